package flow

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/praesenz/parley/flow/grammar"
)

// Heard is what reached a listening step.
type Heard struct {
	Step     string
	Language string // BCP 47: the conversation's
	Text     string // what was said or typed
	Touched  string // the value of a touched button; Text is empty then
	// Now is the time at the store, in its zone, for "tomorrow" and "in an hour".
	Now time.Time
	// Options are the values of Collect.Options.
	Options []string
	// Confirming is the value that the customer was asked to confirm, nil when
	// they were not. The answer is yes, no, or another value.
	Confirming any
	// Slots are the flow's slots as they are, and Answered names those that the
	// customer has filled, which are the ones that can be corrected.
	Slots    map[string]any
	Answered map[string]bool
	// Callers are the flows that wait for this one, the innermost first. Their
	// intents are heard too, after its own.
	Callers []Caller
}

// A Caller is a flow that runs the one that listens, or was interrupted for it.
type Caller struct {
	Program  *Program
	Slots    map[string]any  // as Heard.Slots
	Answered map[string]bool // as Heard.Answered
}

// An Understanding is what a step's own grammar, or the language model, made of
// what was heard: an intent, or values, or neither and why.
type Understanding struct {
	OK bool `json:"ok"` // Intent, Values or Confirmed is set

	Intent   string `json:"intent,omitempty"`   // the name of an intent
	Flow     string `json:"flow,omitempty"`     // of a digression: which of its flows
	Language string `json:"language,omitempty"` // heard.language: the language that an intent's words name
	// Outer says whose intent it is: 0 is the flow that listens, 1 the first of
	// Heard.Callers. Values are of that flow's slots.
	Outer int `json:"outer,omitempty"`

	// Values are what was told, by slot, each of its slot's type and past its
	// rules: the slot that was asked for, those of Collect.Also (it may be these
	// alone), and with the intent that corrects, those that were taken back.
	Values map[string]any `json:"values,omitempty"`
	// Confirmed answers Heard.Confirming: "yes" or "no". With "no" Values may hold
	// the right value.
	Confirmed string `json:"confirmed,omitempty"`

	// When not OK, but for AskModel:
	Why     string `json:"why,omitempty"`     // for operators, never spoken
	Invalid any    `json:"invalid,omitempty"` // the value that Valid or Pattern refused
	Wait    bool   `json:"wait,omitempty"`    // the customer only asks for a moment
	// AskModel says that the language model may understand what the grammar did
	// not. It comes with OK when a text slot would take any text: the model says
	// whether it is an intent, and where it cannot be asked the text stands.
	AskModel bool `json:"ask_model,omitempty"`
}

// Understand finds what a customer meant at a step. A touched button's value
// wins; then the answer to "is that right?"; then what is nothing but a value of
// a closed slot; then the intents' phrases, corrections, and the wish for another
// language, each of the flow's own intents before those of its callers; then
// values that a sentence contains; and last, for text slots, the text as it is.
// It is pure.
//
//workflowcheck:ignore
func (p *Program) Understand(h Heard) Understanding {
	l := p.listen(h)
	u := l.understand()
	if l.asksModel() && l.words.Len() > 0 && u.Invalid == nil && !u.OK && !u.Wait {
		u.AskModel = true
	}
	return u
}

// A listener understands one utterance at one step.
type listener struct {
	Heard
	program *Program
	plan    *Plan
	words   grammar.Words
	collect *Collect // nil where only intents are heard
	asked   string   // the slot that is collected
	slot    Slot
	callers []*listener // for their intents, the innermost first
}

func (p *Program) listen(h Heard) *listener {
	words := grammar.Hear(h.Language, h.Text)
	l := p.listener(h, words)
	for _, c := range h.Callers {
		l.callers = append(l.callers, c.Program.listener(Heard{
			Language: h.Language, Text: h.Text, Touched: h.Touched, Now: h.Now, Slots: c.Slots, Answered: c.Answered,
		}, words))
	}
	return l
}

func (p *Program) listener(h Heard, words grammar.Words) *listener {
	l := &listener{Heard: h, program: p, plan: p.plan, words: words, collect: p.plan.Steps[h.Step].Collect}
	if l.collect != nil {
		l.asked = l.collect.Slot
		l.slot = p.plan.Slots[l.asked]
	}
	return l
}

// flows are the flow that listens and its callers, as Understanding.Outer counts
// them.
func (l *listener) flows() []*listener { return append([]*listener{l}, l.callers...) }

// first is what the first of the flows understands.
func (l *listener) first(find func(of *listener) (Understanding, bool)) (Understanding, bool) {
	for outer, of := range l.flows() {
		if u, ok := find(of); ok {
			u.Outer = outer
			return u, true
		}
	}
	return Understanding{}, false
}

// asksModel reports whether the language model may be asked at this step. What a
// sensitive slot is told never reaches it.
func (l *listener) asksModel() bool {
	if l.collect == nil || l.collect.Understand != "model" || l.slot.Sensitive {
		return false
	}
	return !slices.ContainsFunc(l.collect.Also, func(name string) bool { return l.plan.Slots[name].Sensitive })
}

func (l *listener) understand() Understanding {
	if l.Touched != "" {
		if u, ok := l.touch(); ok {
			return u
		}
		l.Text = l.Touched // a button of another step: as if it had been said
		l.words = grammar.Hear(l.Language, l.Text)
	}
	if l.words.Len() == 0 {
		return Understanding{Why: "there is nothing in it but punctuation or silence"}
	}
	if l.Confirming != nil {
		if u, ok := l.confirm(); ok {
			return u
		}
	} else if v, ok := l.exact(l.reader(l.asked)); ok {
		return l.tell(map[string]any{l.asked: v})
	}
	if u, ok := l.wish(l.words); ok {
		return u
	}
	if l.words.Means("wait") { // "wait a second" is neither one nor an answer
		return Understanding{Wait: true, Why: "the customer asks for a moment"}
	}
	if u, ok := l.correction(); ok {
		return u
	}
	if u, ok := l.first((*listener).tongue); ok {
		return u
	}
	switch {
	case l.Confirming != nil:
		return Understanding{Why: "it neither confirms nor corrects what was asked back"}
	case l.collect == nil:
		return Understanding{Why: fmt.Sprintf("step %q listens only for intents", l.Step)}
	}
	return l.contained()
}

// touch takes a button's value, or the name of an intent.
func (l *listener) touch() (Understanding, bool) {
	if v, ok := l.reader(l.asked).button(l.Touched); l.collect != nil && ok {
		switch {
		case l.Confirming == nil:
			return l.tell(map[string]any{l.asked: v}), true
		case l.slot.Type == "bool":
			return Understanding{OK: true, Confirmed: yesNo(l.Touched == "true")}, true
		}
		return l.confirmed(v), true
	}
	if l.Confirming != nil && (l.Touched == "true" || l.Touched == "false") {
		return Understanding{OK: true, Confirmed: yesNo(l.Touched == "true")}, true
	}
	return l.first(func(of *listener) (Understanding, bool) {
		named := slices.ContainsFunc(of.plan.Intents, func(in Intent) bool { return in.Name == l.Touched })
		return Understanding{OK: true, Intent: l.Touched}, named
	})
}

// exact reads words that are nothing but a value of a closed slot.
func (l *listener) exact(r reader) (any, bool) {
	if l.collect == nil || !r.closed() {
		return nil, false
	}
	return r.exact(l.words)
}

// confirm reads the answer to "I understood four. Is that right?": yes, no, or
// the right value.
func (l *listener) confirm() (Understanding, bool) {
	if yes, ok := l.words.YesNo(); ok {
		return Understanding{OK: true, Confirmed: yesNo(yes)}, true
	}
	right, no := l.words.AfterNo()
	if c, ok := l.words.Correction(); ok {
		right, no = c.Right, true
	}
	if no {
		if u, ok := l.wish(right); ok {
			return u, true
		}
	} else if u, ok := l.wish(l.words); ok {
		return u, true
	}
	r := l.reader(l.asked)
	yes, begins := l.words.Begins()
	if begins && yes && !r.closed() {
		return Understanding{OK: true, Confirmed: "yes"}, true
	}
	if l.collect != nil && l.slot.Type != "bool" {
		if v, why := r.loose(right); why == "" {
			return l.confirmed(v), true
		}
	}
	if no {
		if u, ok := l.correction(); ok {
			return u, true
		}
		return Understanding{OK: true, Confirmed: "no"}, true
	}
	if begins {
		return Understanding{OK: true, Confirmed: yesNo(yes)}, true
	}
	return Understanding{}, false
}

// confirmed compares a value with the one that was asked back.
func (l *listener) confirmed(v any) Understanding {
	if sameValue(v, l.Confirming) {
		return Understanding{OK: true, Confirmed: "yes"}
	}
	u := l.accept(map[string]any{l.asked: v})
	u.OK, u.Confirmed = true, "no"
	return u
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// wish finds the first intent, of all flows, whose phrases the words are.
func (l *listener) wish(said grammar.Words) (Understanding, bool) {
	return l.first(func(of *listener) (Understanding, bool) { return of.intent(said) })
}

// intent finds the first intent of one flow whose phrases the words are.
func (l *listener) intent(said grammar.Words) (Understanding, bool) {
	if said.Len() == 0 {
		return Understanding{}, false
	}
	for _, in := range l.plan.Intents {
		if in.Correct != nil && in.Then == "" {
			continue // it needs a value, which correction looks for
		}
		if said.Means(in.Name) || slices.ContainsFunc(byLanguage(in.Phrases, l.Language), said.Is) {
			u := Understanding{OK: true, Intent: in.Name}
			if !in.setsLanguage() {
				return u, true
			}
			if u.Language = l.other(); u.Language != "" {
				return u, true
			}
			continue // "another language": which of several?
		}
		if in.Digress == nil {
			continue
		}
		for _, name := range in.Digress.Flows {
			if slices.ContainsFunc(byLanguage(l.plan.Flows[name].Phrases, l.Language), said.Is) {
				return Understanding{OK: true, Intent: in.Name, Flow: name}, true
			}
		}
	}
	return Understanding{}, false
}

// phrases are an intent's own and those that its name has in every language.
func (l *listener) phrases(in Intent) []string {
	return slices.Concat(byLanguage(in.Phrases, l.Language), grammar.Phrases(l.Language, in.Name))
}

// byLanguage is what a map from languages holds for one of them.
func byLanguage[V any](m map[string]V, lang string) V { return m[lang] }

// other is the only other language that is supported, or "".
func (l *listener) other() string {
	var others []string
	for _, lang := range l.plan.Languages.Supported {
		if lang != l.Language {
			others = append(others, lang)
		}
	}
	if len(others) != 1 {
		return ""
	}
	return others[0]
}

// setsLanguage reports whether an intent changes the conversation's language to
// the one that its words name.
func (in Intent) setsLanguage() bool {
	return slices.ContainsFunc(in.Set, func(a Assign) bool { return strings.Contains(a.Expr, "heard.language") })
}

// tongue finds the wish for another language: "auf Deutsch bitte".
func (l *listener) tongue() (Understanding, bool) {
	at := slices.IndexFunc(l.plan.Intents, Intent.setsLanguage)
	if at < 0 {
		return Understanding{}, false
	}
	lang, ok := l.words.Tongue(l.plan.Languages.Supported)
	if !ok {
		return Understanding{}, false
	}
	return Understanding{OK: true, Intent: l.plan.Intents[at].Name, Language: lang}, true
}

// correction finds what the customer takes back: a value that fits exactly one
// of the slots that they have answered. What answers the open question is taken
// back from no caller.
func (l *listener) correction() (Understanding, bool) {
	c, ok := l.words.Correction()
	if !ok {
		rest, no := l.words.AfterNo()
		if !no || rest.Len() == 0 || l.slot.Type == "bool" {
			return Understanding{}, false
		}
		c.Right = rest
	}
	answers := l.collect != nil && l.Confirming == nil && l.fitsAsked(c.Right)
	anyText := l.collect != nil && !l.reader(l.asked).closed()
	return l.first(func(of *listener) (Understanding, bool) {
		if answers && (of != l || !c.Sure) {
			return Understanding{}, false
		}
		return of.corrected(c, anyText)
	})
}

// corrected finds the slot of one flow that a correction is about. Where the
// open question takes any text, only a value of a closed slot tells.
func (l *listener) corrected(c grammar.Correction, anyText bool) (Understanding, bool) {
	at := slices.IndexFunc(l.plan.Intents, func(in Intent) bool { return in.Correct != nil })
	if at < 0 {
		return Understanding{}, false
	}
	in := l.plan.Intents[at]
	fits := map[string]any{}
	var open []string
	closed := false // what is right is a value of a closed slot, whether it fits or not
	for _, name := range in.Correct {
		if name == l.asked || !l.Answered[name] {
			continue
		}
		r := l.reader(name)
		if !r.closed() {
			open = append(open, name)
			continue
		}
		if v, ok := r.near(c.Wrong); ok && !sameValue(v, l.Slots[name]) {
			continue // something else was wrong
		}
		v, ok := r.near(c.Right)
		if !ok {
			continue
		}
		closed = true
		if !sameValue(v, l.Slots[name]) && l.accept(map[string]any{name: v}).OK {
			fits[name] = v
		}
	}
	if !closed && len(open) == 1 && c.Sure && !anyText {
		if v, why := l.reader(open[0]).loose(c.Right); why == "" && l.accept(map[string]any{open[0]: v}).OK {
			fits[open[0]] = v
		}
	}
	if len(fits) != 1 {
		return Understanding{}, false
	}
	return Understanding{OK: true, Intent: in.Name, Values: fits}, true
}

// fitsAsked reports whether words are an answer to the question that is open.
func (l *listener) fitsAsked(said grammar.Words) bool {
	r := l.reader(l.asked)
	if !r.closed() {
		return false
	}
	_, ok := r.near(said)
	return ok
}

// contained reads the values that a sentence contains, of the slot that is asked
// for and of those that may be told too; or takes the text.
func (l *listener) contained() Understanding {
	r := l.reader(l.asked)
	values, used := l.told()
	if !r.closed() {
		if l.slot.Type == "string" && l.words.Only(used) {
			return l.accept(values) // "tomorrow at three" is nobody's name
		}
		text, why := r.loose(l.words)
		if why != "" {
			return Understanding{Why: why}
		}
		values[l.asked] = text
		u := l.accept(values)
		u.AskModel = u.OK && l.asksModel()
		return u
	}
	v, why := r.loose(l.words)
	if why != "" && len(values) > 0 && len(r.choices()) > 0 {
		v, why = r.choice(l.words, l.words.Len()) // the words around it tell the other slots
	}
	if _, told := values[l.asked]; !told && why == "" {
		values[l.asked] = v
	}
	if len(values) == 0 {
		u := Understanding{Why: why}
		if digits, ok := l.words.Spelled(grammar.Digits); ok && r.slot.Normalise == grammar.E164 && len(digits) > 3 {
			u.Invalid = digits // a number was said, but one that cannot be dialled
		}
		return u
	}
	return l.accept(values)
}

// tell is an answer together with what the same sentence tells of other slots.
func (l *listener) tell(values map[string]any) Understanding {
	if l.Touched == "" {
		told, _ := l.told()
		for name, v := range told {
			if _, ok := values[name]; !ok {
				values[name] = v
			}
		}
	}
	return l.accept(values)
}

// accept applies the slots' rules. A refused value of the slot that is asked for
// refuses the answer; another one is left out.
func (l *listener) accept(values map[string]any) Understanding {
	u := Understanding{OK: true, Values: map[string]any{}}
	for _, name := range sortedKeys(values) {
		why := l.program.refuses(name, values[name])
		switch {
		case why == "":
			u.Values[name] = values[name]
		case name == l.asked || len(values) == 1:
			return Understanding{Why: why, Invalid: values[name]}
		}
	}
	if len(u.Values) == 0 {
		return Understanding{Why: "no value that was told is a valid one"}
	}
	return u
}
