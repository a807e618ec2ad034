package flow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/praesenz/parley/flow/grammar"
)

// A SlotMeaning describes a slot to the language model.
type SlotMeaning struct {
	Name, About string
	Type        Type
	Values      []string // what it can be, where that is known
	Correct     bool     // answered before; only taken when the customer takes it back
}

// A Meaning is something that a customer may want, for the language model. Its
// Name is an intent's, for an intent that changes the language
// "<intent>:<language>" and for one that digresses "<intent>:<flow>". A caller's
// begins with its flow, as the name of a caller's slot does: "<flow>.<intent>".
type Meaning struct {
	Name, About string
	Phrases     []string // examples, in the conversation's language
}

// maxExamples of an intent's phrases go to the language model: a small one
// reads slowly, and a few show what is meant.
const maxExamples = 5

// abouts are what the intents that every language has phrases for mean, where
// the author has not said it.
var abouts = map[string]string{
	"cancel": "The customer wants to stop what is going on.",
	"human":  "The customer wants to talk to a person.",
	"repeat": "The customer wants to hear the question again.",
}

// Meanings are what the language model may find in an utterance at a step: the
// slot that is asked for, those that may be told too and those answered that can
// be corrected, and the intents, the callers' too. Sensitive slots are left out.
//
//workflowcheck:ignore
func (p *Program) Meanings(h Heard) ([]SlotMeaning, []Meaning) {
	known, wishes := p.listen(h).meanings()
	var slots []SlotMeaning
	for _, s := range known {
		slots = append(slots, s.SlotMeaning)
	}
	var intents []Meaning
	for _, w := range wishes {
		intents = append(intents, w.Meaning)
	}
	return slots, intents
}

// A known is a slot that the language model may find a value of.
type known struct {
	SlotMeaning
	slot  string
	outer int // whose slot it is
}

// A wish is an intent that the language model may find.
type wish struct {
	Meaning
	plain string // Name without its flow
	means Understanding
}

func (l *listener) meanings() ([]known, []wish) {
	var slots []known
	var wishes []wish
	for outer, of := range l.flows() {
		prefix := ""
		if outer > 0 {
			prefix = of.plan.Flow + "."
		}
		add := func(name string, correct bool) {
			s := of.plan.Slots[name]
			k := known{SlotMeaning{Name: prefix + name, About: s.About, Type: s.Type, Values: s.Values, Correct: correct}, name, outer}
			if !s.Sensitive && !slices.ContainsFunc(slots, func(other known) bool { return other.Name == k.Name }) {
				slots = append(slots, k)
			}
		}
		if of.collect != nil {
			add(of.asked, false)
			for _, name := range of.collect.Also {
				add(name, false)
			}
		}
		for _, in := range of.plan.Intents {
			for _, name := range in.Correct {
				if of.Answered[name] {
					add(name, true)
				}
			}
			for _, w := range of.wishes(in) {
				w.plain, w.Name, w.means.Outer = w.Name, prefix+w.Name, outer
				if !slices.ContainsFunc(wishes, func(other wish) bool { return other.Name == w.Name }) {
					wishes = append(wishes, w)
				}
			}
		}
	}
	return slots, wishes
}

// wishes are what an intent may stand for; one that corrects is known by its
// slots.
func (l *listener) wishes(in Intent) []wish {
	u := Understanding{OK: true, Intent: in.Name}
	var out []wish
	switch {
	case in.Correct != nil:
	case in.setsLanguage():
		for _, tag := range l.plan.Languages.Supported {
			if u.Language = tag; tag != l.Language {
				about := fmt.Sprintf("The customer wants to go on in %s.", display.English.Tags().Name(language.Make(tag)))
				out = append(out, wish{Meaning: Meaning{Name: in.Name + ":" + tag, About: about}, means: u})
			}
		}
	case in.Digress != nil:
		for _, u.Flow = range in.Digress.Flows {
			sub := l.plan.Flows[u.Flow]
			examples := byLanguage(sub.Phrases, l.Language)
			out = append(out, wish{Meaning: Meaning{Name: in.Name + ":" + u.Flow, About: sub.About, Phrases: examples[:min(len(examples), maxExamples)]}, means: u})
		}
	default:
		examples := l.phrases(in)
		about := in.About
		if about == "" {
			about = abouts[in.Name]
		}
		out = append(out, wish{Meaning: Meaning{Name: in.Name, About: about, Phrases: examples[:min(len(examples), maxExamples)]}, means: u})
	}
	return out
}

// FromModel holds what the language model made of an utterance to the same rules
// as Understand: intent is a Meaning's name or empty, values are by slot and as
// the model wrote them. A caller's intent may be named without its flow. Where
// the model found nothing in the answer to a text slot, the text is the answer.
//
//workflowcheck:ignore
func (p *Program) FromModel(h Heard, intent string, values map[string]any) Understanding {
	l := p.listen(h)
	slots, wishes := l.meanings()
	for _, name := range []func(wish) string{func(w wish) string { return w.Name }, func(w wish) string { return w.plain }} {
		if at := slices.IndexFunc(wishes, func(w wish) bool { return name(w) == intent }); at >= 0 {
			return wishes[at].means
		}
	}
	told, corrected := map[string]any{}, map[string]any{}
	corrects := 0 // whose slots are corrected
	for _, s := range slots {
		of := l.flows()[s.outer]
		v, ok := of.reader(s.slot).written(values[s.Name])
		switch {
		case !ok:
		case !s.Correct:
			told[s.slot] = v
		case sameValue(v, of.Slots[s.slot]):
		case len(corrected) == 0 || corrects == s.outer:
			corrected[s.slot], corrects = v, s.outer
		}
	}
	if v, ok := told[l.asked]; ok && h.Confirming != nil {
		return l.confirmed(v)
	}
	if l.collect != nil && l.slot.Type == "text" && h.Confirming == nil && len(corrected) == 0 {
		// A model may shorten a text; the customer's words are the value.
		text, why := l.reader(l.asked).loose(l.words)
		if why != "" {
			return Understanding{Why: why}
		}
		sure, _ := l.told()
		for name, v := range sure { // what the grammar was sure of stands
			if _, ok := told[name]; !ok {
				told[name] = v
			}
		}
		told[l.asked] = text
	}
	switch {
	case len(told) > 0:
		return l.accept(told)
	case len(corrected) > 0:
		of := l.flows()[corrects]
		u := of.accept(corrected)
		if !u.OK {
			return Understanding{Why: u.Why} // the value is none of the slot that is asked for
		}
		u.Outer = corrects
		u.Intent = of.plan.Intents[slices.IndexFunc(of.plan.Intents, func(in Intent) bool { return in.Correct != nil })].Name
		return u
	}
	return Understanding{Why: "the language model did not understand it either"}
}

// written gives a value that the language model wrote the slot's type. A date or
// a number may stand in words, which the grammar reads.
func (r reader) written(v any) (any, bool) {
	text, isText := v.(string)
	text = strings.TrimSpace(text)
	if n, ok := float(v); ok {
		text, isText = strconv.FormatFloat(n, 'f', -1, 64), true
		switch r.slot.Type {
		case "number", "amount":
			return n, true
		case "int":
			return int64(n), n == float64(int64(n))
		}
	}
	if b, ok := v.(bool); ok {
		return b, r.slot.Type == "bool"
	}
	if !isText || text == "" {
		return nil, false
	}
	switch r.slot.Type {
	case "enum":
		if slices.Contains(r.slot.Values, text) {
			return text, true
		}
	case "date":
		if _, err := time.Parse(grammar.DateForm, text); err == nil {
			return text, true
		}
	case "time":
		if _, err := time.Parse(grammar.TimeForm, text); err == nil {
			return text, true
		}
	}
	read, why := r.loose(grammar.Hear(r.lang, text))
	return read, why == ""
}

// Expected lists what a speech recogniser should expect at a step, in a fixed
// order and as the author wrote it: the hints, the slot's values and their
// synonyms or the options, the words of its type, the intents' phrases, the
// callers' last. Nothing needs to have been heard yet.
//
//workflowcheck:ignore
func (p *Program) Expected(h Heard) []string {
	l, lang := p.listen(h), h.Language
	var phrases []string
	if l.collect != nil {
		phrases = append(phrases, byLanguage(l.collect.Hints, lang)...)
		for _, name := range append([]string{l.asked}, l.collect.Also...) {
			r := l.reader(name)
			for _, choice := range r.choices() {
				phrases = append(phrases, r.ways(choice)...)
			}
			kind := string(r.slot.Type)
			if spelled := r.spelled(); spelled != "" {
				kind = spelled
			}
			phrases = append(phrases, grammar.Vocabulary(lang, kind)...)
		}
		if l.collect.Confirm != nil {
			phrases = append(phrases, grammar.Vocabulary(lang, "bool")...)
		}
	}
	for _, of := range l.flows() {
		for _, in := range of.plan.Intents {
			phrases = append(phrases, of.phrases(in)...)
			if in.Digress == nil {
				continue
			}
			for _, name := range in.Digress.Flows {
				phrases = append(phrases, byLanguage(of.plan.Flows[name].Phrases, lang)...)
			}
		}
	}
	seen := make(map[string]bool, len(phrases))
	return slices.DeleteFunc(phrases, func(s string) bool {
		dup := seen[s]
		seen[s] = true
		return dup
	})
}

// A Button is one touch button of a collect that shows them.
type Button struct {
	Value string `json:"value"` // what the kiosk sends back when it is touched
	Label string `json:"label"`
}

// Buttons are the touch buttons of a step, in the author's order: an enum's
// values, labelled by their first synonym in the language, the options, or yes
// and no. A step that shows none has none.
//
//workflowcheck:ignore
func (p *Program) Buttons(step, lang string, options []string) []Button {
	l := p.listen(Heard{Step: step, Language: lang, Options: options})
	if l.collect == nil || !l.collect.Buttons {
		return nil
	}
	if l.slot.Type == "bool" {
		return YesNo(lang)
	}
	r := l.reader(l.asked)
	var buttons []Button
	for _, choice := range r.choices() {
		buttons = append(buttons, Button{Value: choice, Label: r.ways(choice)[0]})
	}
	return buttons
}

// YesNo are the buttons of a question that is answered yes or no, and of one
// whether something was understood rightly.
//
//workflowcheck:ignore
func YesNo(lang string) []Button {
	return []Button{{"true", grammar.Capital(grammar.Yes(lang)[0])}, {"false", grammar.Capital(grammar.No(lang)[0])}}
}
