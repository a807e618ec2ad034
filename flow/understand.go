package flow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
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
}

// An Understanding is what a step's own grammar, or the language model, made of
// what was heard: an intent, or values, or neither and why.
type Understanding struct {
	OK bool `json:"ok"` // Intent, Values or Confirmed is set

	Intent   string `json:"intent,omitempty"`   // the name of an intent
	Flow     string `json:"flow,omitempty"`     // of a digression: which of its flows
	Language string `json:"language,omitempty"` // heard.language: the language that an intent's words name

	// Values are what was told, by slot, each of its slot's type and past its
	// rules: the slot that was asked for, those of Collect.Also, and with the
	// intent that corrects, those that were taken back.
	Values map[string]any `json:"values,omitempty"`
	// Confirmed answers Heard.Confirming: "yes" or "no". With "no" Values may hold
	// the right value.
	Confirmed string `json:"confirmed,omitempty"`

	// When not OK, but for AskModel:
	Why     string `json:"why,omitempty"`     // for operators, never spoken
	Invalid any    `json:"invalid,omitempty"` // the value that Valid or Pattern refused
	// AskModel says that the language model may understand what the grammar did
	// not. It comes with OK when a text slot would take any text: the model says
	// whether it is an intent, and where it cannot be asked the text stands.
	AskModel bool `json:"ask_model,omitempty"`
}

// maxTextLen is a slot's max_len where the author gave none, in characters.
const maxTextLen = 1000

// maxAround is how many other words may stand around a value that is contained
// in an utterance. A longer sentence that happens to hold the word is more
// likely about something else: "where do you keep the German beer" chooses no
// language.
const maxAround = 4

// Understand finds what a customer meant at a step. A touched button's value
// wins; then comes what is exactly one of a closed slot's values; then the
// intents' phrases; then a value that a short utterance contains; and last, for
// text slots, the text as it is. It is pure.
//
//workflowcheck:ignore
func (p *Program) Understand(h Heard) Understanding {
	step, lang, utterance, touched := h.Step, h.Language, h.Text, h.Touched
	name, slot, listens := p.plan.slotOf(step)
	g := grammar{plan: p.plan, slot: slot, lang: lang, words: wordsOf(lang)}
	if touched != "" {
		if v, ok := g.button(touched); listens && ok {
			return p.accept(name, v)
		}
		utterance = touched // a button that is not this step's: as if it had been said
	}
	said := normalise(lang, utterance)
	if said == "" {
		return Understanding{Why: "there is nothing in it but punctuation or silence"}
	}
	if v, ok := g.exact(said); listens && ok {
		return p.accept(name, v)
	}
	if intent, ok := g.intent(said); ok {
		return Understanding{Intent: intent, OK: true}
	}
	if !listens {
		return Understanding{Why: fmt.Sprintf("step %q listens only for intents", step)}
	}
	v, why := g.loose(said, utterance)
	if why != "" {
		return Understanding{Why: why}
	}
	return p.accept(name, v)
}

// slotOf is the slot that a step collects.
func (p *Plan) slotOf(step string) (string, Slot, bool) {
	c := p.Steps[step].Collect
	if c == nil {
		return "", Slot{}, false
	}
	s, ok := p.Slots[c.Slot]
	return c.Slot, s, ok
}

// accept applies the slot's `valid`.
func (p *Program) accept(slot string, v any) Understanding {
	prg, ok := p.valid[slot]
	if !ok {
		return Understanding{Values: map[string]any{slot: v}, OK: true}
	}
	expr := p.plan.Slots[slot].Valid
	val, _, err := prg.Eval(map[string]any{"value": v})
	if err != nil {
		return Understanding{Why: fmt.Sprintf("slot %q: valid %q: %v", slot, expr, err)}
	}
	if val != types.True {
		return Understanding{Why: fmt.Sprintf("slot %q: the value is refused by valid %q", slot, expr)}
	}
	return Understanding{Values: map[string]any{slot: v}, OK: true}
}

// A grammar reads utterances in one language for one slot.
type grammar struct {
	plan  *Plan
	slot  Slot
	lang  string
	words words
}

// button is the value of a touch button.
func (g grammar) button(touched string) (any, bool) {
	switch g.slot.Type {
	case "enum":
		return touched, slices.Contains(g.slot.Values, touched)
	case "bool":
		b, err := strconv.ParseBool(touched)
		return b, err == nil
	}
	return nil, false
}

// same reports whether two normalised texts mean the same, fillers aside.
func (g grammar) same(said, phrase string) bool {
	return said == phrase || g.words.strip(said) == g.words.strip(phrase)
}

// ways are the ways to say an enum's value, as the author wrote them: in the
// language, else in the flow's default language, else the value itself.
func (g grammar) ways(value string) []string {
	byValue, ok := g.slot.Synonyms[g.lang]
	if !ok {
		byValue = g.slot.Synonyms[g.plan.Languages.Default]
	}
	if ways := byValue[value]; len(ways) > 0 {
		return ways
	}
	return []string{value}
}

// exact reads an utterance that is nothing but a value of a closed type.
func (g grammar) exact(said string) (any, bool) {
	switch g.slot.Type {
	case "bool":
		for _, yes := range g.words.yes {
			if g.same(said, yes) {
				return true, true
			}
		}
		for _, no := range g.words.no {
			if g.same(said, no) {
				return false, true
			}
		}
	case "enum":
		for _, v := range g.slot.Values {
			if g.same(said, normalise(g.lang, v)) { // typed, most likely
				return v, true
			}
			for _, way := range g.ways(v) {
				if g.same(said, normalise(g.lang, way)) {
					return v, true
				}
			}
		}
	case "int", "number":
		tokens := strings.Fields(g.words.strip(said))
		if n, used := g.readNumber(tokens); used > 0 && used == len(tokens) {
			return g.numeric(n)
		}
	}
	return nil, false
}

// intent finds the first intent that has the utterance among its phrases.
func (g grammar) intent(said string) (string, bool) {
	for _, in := range g.plan.Intents {
		for _, phrase := range in.Phrases[g.lang] {
			if g.same(said, normalise(g.lang, phrase)) {
				return in.Name, true
			}
		}
	}
	return "", false
}

// loose reads a value that an utterance contains, or takes its text; why says
// that it did not.
func (g grammar) loose(said, utterance string) (v any, why string) {
	switch g.slot.Type {
	case "bool":
		return g.looseBool(said)
	case "enum":
		return g.looseEnum(said)
	case "int", "number":
		return g.looseNumber(said)
	}
	limit := g.slot.MaxLen
	if limit == 0 {
		limit = maxTextLen
	}
	text := strings.Join(strings.Fields(utterance), " ")
	if n := utf8.RuneCountInString(text); n > limit {
		return nil, fmt.Sprintf("the text has %d characters; max_len is %d", n, limit)
	}
	return text, ""
}

// looseBool reads a sentence that begins with yes or no and does not take it
// back.
func (g grammar) looseBool(said string) (any, string) {
	said = g.words.strip(said)
	begins := func(ways []string) bool {
		return slices.ContainsFunc(ways, func(w string) bool { return strings.HasPrefix(said, w+" ") })
	}
	contains := func(ways []string) bool {
		return slices.ContainsFunc(ways, func(w string) bool { return holds(said, w) })
	}
	switch {
	case begins(g.words.yes) && !contains(g.words.no):
		return true, ""
	case begins(g.words.no) && !contains(g.words.yes):
		return false, ""
	}
	return nil, "it is neither yes nor no"
}

func (g grammar) looseEnum(said string) (any, string) {
	said = g.words.strip(said)
	total := len(strings.Fields(said))
	var found []string
	for _, v := range g.slot.Values {
		for _, way := range g.ways(v) {
			way = normalise(g.lang, way)
			if holds(said, way) && total-len(strings.Fields(way)) <= maxAround {
				found = append(found, v)
				break
			}
		}
	}
	switch len(found) {
	case 1:
		return found[0], ""
	case 0:
		return nil, fmt.Sprintf("it is none of %s", strings.Join(g.slot.Values, ", "))
	}
	return nil, fmt.Sprintf("it could be %s", strings.Join(found, " or "))
}

func (g grammar) looseNumber(said string) (any, string) {
	tokens := strings.Fields(said)
	var found []float64
	for i := 0; i < len(tokens); {
		n, used := g.readNumber(tokens[i:])
		if used == 0 {
			i++
			continue
		}
		found = append(found, n)
		i += used
	}
	if len(found) != 1 {
		return nil, fmt.Sprintf("it holds %d numbers, not one", len(found))
	}
	v, ok := g.numeric(found[0])
	if !ok {
		return nil, "it is not a whole number"
	}
	return v, ""
}

// readNumber reads digits or a spoken number at the beginning of tokens.
func (g grammar) readNumber(tokens []string) (float64, int) {
	if len(tokens) == 0 {
		return 0, 0
	}
	if c := tokens[0][0]; c == '-' || c >= '0' && c <= '9' {
		if n, err := strconv.ParseFloat(tokens[0], 64); err == nil {
			return n, 1
		}
		return 0, 0
	}
	if g.words.number == nil {
		return 0, 0
	}
	if tokens[0] == "minus" {
		n, used := g.words.number(tokens[1:])
		if used == 0 {
			return 0, 0
		}
		return -n, used + 1
	}
	return g.words.number(tokens)
}

// numeric gives a number the slot's type.
func (g grammar) numeric(n float64) (any, bool) {
	if g.slot.Type == "number" {
		return n, true
	}
	return int64(n), n == float64(int64(n))
}

// Expected lists what a speech recogniser should expect at a step, in a fixed
// order and as the author wrote it: the slot's values and their synonyms, yes
// and no, the intents' phrases.
//
//workflowcheck:ignore
func (p *Program) Expected(step, lang string, options []string) []string {
	var phrases []string
	_, slot, ok := p.plan.slotOf(step)
	g := grammar{plan: p.plan, slot: slot, lang: lang, words: wordsOf(lang)}
	if ok && slot.Type == "enum" {
		for _, v := range slot.Values {
			phrases = append(phrases, g.ways(v)...)
		}
	}
	if ok && slot.Type == "bool" {
		phrases = append(phrases, g.words.yes...)
		phrases = append(phrases, g.words.no...)
	}
	for _, in := range p.plan.Intents {
		phrases = append(phrases, in.Phrases[lang]...)
	}
	seen := make(map[string]bool, len(phrases))
	phrases = slices.DeleteFunc(phrases, func(s string) bool {
		dup := seen[s]
		seen[s] = true
		return dup
	})
	return phrases
}

// A Button is one touch button of a collect that shows them.
type Button struct {
	Value string `json:"value"` // what the kiosk sends back when it is touched
	Label string `json:"label"`
}

// Buttons are the touch buttons of a step, in the author's order: an enum's
// values, labelled by their first synonym in the language, or yes and no. A step
// that shows none has none.
//
//workflowcheck:ignore
func (p *Program) Buttons(step, lang string, options []string) []Button {
	_, slot, ok := p.plan.slotOf(step)
	if !ok || !p.plan.Steps[step].Collect.Buttons {
		return nil
	}
	g := grammar{plan: p.plan, slot: slot, lang: lang, words: wordsOf(lang)}
	switch slot.Type {
	case "enum":
		buttons := make([]Button, len(slot.Values))
		for i, v := range slot.Values {
			buttons[i] = Button{Value: v, Label: g.ways(v)[0]}
		}
		return buttons
	case "bool":
		return []Button{{"true", capitalise(g.words.yes[0])}, {"false", capitalise(g.words.no[0])}}
	}
	return nil
}

func capitalise(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return strings.ToUpper(string(r)) + s[n:]
}

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

// Meanings are what the language model may find in an utterance at a step: the
// slot that is asked for, those that may be told too and those of answered that
// can be corrected, and the intents.
//
//workflowcheck:ignore
func (p *Program) Meanings(step, lang string, answered map[string]bool) ([]SlotMeaning, []Meaning) {
	return nil, nil
}

// FromModel holds what the language model made of an utterance to the same rules
// as Understand: intent is a Meaning's name or empty, values are by slot and as
// the model wrote them.
//
//workflowcheck:ignore
func (p *Program) FromModel(h Heard, intent string, values map[string]any) Understanding {
	return Understanding{Why: "the language model did not understand it either"}
}
