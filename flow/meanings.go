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
// "<intent>:<language>" and for one that digresses "<intent>:<flow>".
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
// slot that is asked for, those that may be told too and those of answered that
// can be corrected, and the intents. Sensitive slots are left out.
//
//workflowcheck:ignore
func (p *Program) Meanings(step, lang string, answered map[string]bool) ([]SlotMeaning, []Meaning) {
	var slots []SlotMeaning
	add := func(name string, correct bool) {
		s := p.plan.Slots[name]
		known := slices.ContainsFunc(slots, func(m SlotMeaning) bool { return m.Name == name })
		if !known && !s.Sensitive {
			slots = append(slots, SlotMeaning{Name: name, About: s.About, Type: s.Type, Values: s.Values, Correct: correct})
		}
	}
	l := p.listen(Heard{Step: step, Language: lang})
	if l.collect != nil {
		add(l.asked, false)
		for _, name := range l.collect.Also {
			add(name, false)
		}
	}
	var intents []Meaning
	for _, in := range p.plan.Intents {
		examples := l.phrases(in)
		m := Meaning{Name: in.Name, About: in.About, Phrases: examples[:min(len(examples), maxExamples)]}
		if m.About == "" {
			m.About = abouts[in.Name]
		}
		switch {
		case in.Correct != nil:
			for _, name := range in.Correct {
				if answered[name] {
					add(name, true)
				}
			}
		case in.setsLanguage():
			for _, tag := range p.plan.Languages.Supported {
				if tag != lang {
					intents = append(intents, Meaning{Name: in.Name + ":" + tag,
						About: fmt.Sprintf("The customer wants to go on in %s.", display.English.Tags().Name(language.Make(tag)))})
				}
			}
		case in.Digress != nil:
			for _, name := range in.Digress.Flows {
				sub := p.plan.Flows[name]
				examples := byLanguage(sub.Phrases, lang)
				intents = append(intents, Meaning{Name: in.Name + ":" + name, About: sub.About, Phrases: examples[:min(len(examples), maxExamples)]})
			}
		default:
			intents = append(intents, m)
		}
	}
	return slots, intents
}

// FromModel holds what the language model made of an utterance to the same rules
// as Understand: intent is a Meaning's name or empty, values are by slot and as
// the model wrote them. Where it found nothing in the answer to a text slot, the
// text is the answer.
//
//workflowcheck:ignore
func (p *Program) FromModel(h Heard, intent string, values map[string]any) Understanding {
	l := p.listen(h)
	slots, intents := p.Meanings(h.Step, h.Language, h.Answered)
	if intent != "" && slices.ContainsFunc(intents, func(m Meaning) bool { return m.Name == intent }) {
		return l.meant(intent)
	}
	told, corrected := map[string]any{}, map[string]any{}
	for _, m := range slots {
		v, ok := l.reader(m.Name).written(values[m.Name])
		switch {
		case !ok:
		case !m.Correct:
			told[m.Name] = v
		case !sameValue(v, h.Slots[m.Name]):
			corrected[m.Name] = v
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
		for name, v := range l.told() { // what the grammar was sure of stands
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
		u := l.accept(corrected)
		if u.OK {
			u.Intent = l.plan.Intents[slices.IndexFunc(l.plan.Intents, func(in Intent) bool { return in.Correct != nil })].Name
		}
		return u
	}
	return Understanding{Why: "the language model did not understand it either"}
}

// meant takes a Meaning's name apart.
func (l *listener) meant(name string) Understanding {
	u := Understanding{OK: true}
	var of string
	u.Intent, of, _ = strings.Cut(name, ":")
	for _, in := range l.plan.Intents {
		switch {
		case in.Name != u.Intent:
		case in.setsLanguage():
			u.Language = of
		case in.Digress != nil:
			u.Flow = of
		}
	}
	return u
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
// synonyms or the options, the words of its type, the hotwords, the intents'
// phrases.
//
//workflowcheck:ignore
func (p *Program) Expected(step, lang string, options []string) []string {
	l := p.listen(Heard{Step: step, Language: lang, Options: options})
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
	for _, b := range []*BargeIn{p.plan.Steps[step].BargeIn, &p.plan.BargeIn} {
		if b != nil && b.Mode == "hotword" {
			phrases = append(phrases, byLanguage(b.Hotwords, lang)...)
		}
	}
	for _, in := range p.plan.Intents {
		phrases = append(phrases, l.phrases(in)...)
		if in.Digress != nil {
			for _, name := range in.Digress.Flows {
				phrases = append(phrases, byLanguage(p.plan.Flows[name].Phrases, lang)...)
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
