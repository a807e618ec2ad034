package flow

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"

	"github.com/praesenz/parley/flow/grammar"
)

// maxTextLen is a slot's max_len where the author gave none, in characters.
const maxTextLen = 1000

// maxAround is how many other words may stand around a value that is contained
// in an utterance. A longer sentence that happens to hold the word is more
// likely about something else: "where do you keep the German beer" chooses no
// language.
const maxAround = 4

// A reader reads the values of one slot.
type reader struct {
	slot     Slot
	plan     *Plan
	lang     string
	now      time.Time
	options  []string // what a string can be, where that is known
	ordinals bool     // the values are on the screen: "the second one"
	accepts  func(v any) bool
}

// reader reads one of the plan's slots as it is asked for at the step.
func (l *listener) reader(name string) reader {
	r := reader{slot: l.plan.Slots[name], plan: l.plan, lang: l.Language, now: l.Now,
		accepts: func(v any) bool { return l.program.refuses(name, v) == "" }}
	if name == l.asked && l.collect != nil {
		r.options = l.Options
		r.ordinals = l.collect.Buttons || len(l.Options) > 0
	}
	return r
}

// closed reports whether only some utterances are values: of an open slot every
// text is one.
func (r reader) closed() bool {
	switch r.slot.Type {
	case "text":
		return false
	case "string":
		return len(r.options) > 0 || r.spelled() != ""
	}
	return true
}

// spelled is the grammar's kind of a string that is said sign by sign.
func (r reader) spelled() string {
	switch r.slot.Normalise {
	case grammar.E164, grammar.Digits, grammar.Code, grammar.Email:
		return r.slot.Normalise
	}
	return ""
}

// button is the value of a touch button.
func (r reader) button(touched string) (any, bool) {
	switch {
	case r.slot.Type == "enum":
		return touched, slices.Contains(r.slot.Values, touched)
	case r.slot.Type == "bool":
		b, err := strconv.ParseBool(touched)
		return b, err == nil
	case len(r.options) > 0:
		return touched, slices.Contains(r.options, touched)
	}
	return nil, false
}

// ways are the ways to say an enum's value, as the author wrote them: in the
// language, else in the flow's default language, else the value itself.
func (r reader) ways(value string) []string {
	byValue, ok := r.slot.Synonyms[r.lang]
	if !ok {
		byValue = r.slot.Synonyms[r.plan.Languages.Default]
	}
	if ways := byValue[value]; len(ways) > 0 {
		return ways
	}
	return []string{value}
}

// choices are a closed list's values, in order: an enum's, or the options.
func (r reader) choices() []string {
	if r.slot.Type == "enum" {
		return r.slot.Values
	}
	return r.options
}

// waysOf are the ways to say a choice, and how it is typed.
func (r reader) waysOf(choice string) []string {
	if r.slot.Type == "enum" {
		return append(slices.Clone(r.ways(choice)), choice)
	}
	return []string{choice}
}

// exact reads words that are nothing but a value. Of strings that are spelled it
// reads none: the intents' phrases come first.
func (r reader) exact(said grammar.Words) (any, bool) {
	if said.Len() == 0 {
		return nil, false
	}
	if choices := r.choices(); len(choices) > 0 {
		for _, choice := range choices {
			if slices.ContainsFunc(r.waysOf(choice), said.Is) {
				return choice, true
			}
		}
		if at, ok := said.Choice(len(choices)); ok && r.ordinals {
			return choices[at], true
		}
		return r.sameChoice(said)
	}
	switch r.slot.Type {
	case "bool":
		return said.YesNo()
	case "int", "number", "amount", "date", "time":
		found := said.Values(string(r.slot.Type), r.now)
		if len(found) == 1 && found[0].Value != nil && said.Alone(found[0]) {
			return r.reading(found[0]), true
		}
	}
	return nil, false
}

// reading is a value's reading that the slot's rules accept: "half past six" is
// in the morning where only mornings are valid.
func (r reader) reading(f grammar.Found) any {
	if f.Other != nil && !r.accepts(f.Value) && r.accepts(f.Other) {
		return f.Other
	}
	return f.Value
}

// sameChoice finds the one choice that is a time, day or number which the words
// tell: "halb drei" is the option "14:30".
func (r reader) sameChoice(said grammar.Words) (any, bool) {
	for _, kind := range []string{"time", "date", "number"} {
		f, ok := said.One(kind, r.now)
		if !ok {
			continue
		}
		for _, v := range []any{f.Value, f.Other} {
			for _, choice := range r.choices() {
				if n, isNumber := v.(float64); v != nil && (choice == v || isNumber && strconv.FormatFloat(n, 'f', -1, 64) == choice) {
					return choice, true
				}
			}
		}
	}
	return nil, false
}

// near is exact, but for an article or the like around one of several choices.
func (r reader) near(said grammar.Words) (any, bool) {
	if v, ok := r.exact(said); ok || said.Len() == 0 || len(r.choices()) == 0 {
		return v, ok
	}
	v, why := r.choice(said, 2)
	return v, why == ""
}

// loose reads a value that a sentence contains, or takes its text; why says that
// it did not.
func (r reader) loose(said grammar.Words) (v any, why string) {
	if said.Len() == 0 {
		return nil, "nothing is said"
	}
	if v, ok := r.exact(said); ok {
		return v, ""
	}
	if len(r.choices()) > 0 {
		return r.choice(said, maxAround)
	}
	switch r.slot.Type {
	case "bool":
		if yes, ok := said.Begins(); ok {
			return yes, ""
		}
		return nil, "it is neither yes nor no"
	case "int", "number", "amount", "date", "time":
		if f, ok := said.One(string(r.slot.Type), r.now); ok {
			return r.reading(f), ""
		}
		return nil, fmt.Sprintf("it holds not one %s, but %d", r.slot.Type, len(said.Values(string(r.slot.Type), r.now)))
	}
	if kind := r.spelled(); kind != "" {
		if s, ok := said.Spelled(kind); ok {
			return s, ""
		}
		return nil, fmt.Sprintf("there is no %s in it", kind)
	}
	return r.text(said)
}

// text takes what was said as it is.
func (r reader) text(said grammar.Words) (any, string) {
	text := said.Raw()
	if r.slot.Type == "string" { // a name, not a sentence: "my name is Anna Berg."
		text = strings.TrimRight(said.Bare().Raw(), ".!?, ")
	}
	switch r.slot.Normalise {
	case "upper":
		text = strings.ToUpper(text)
	case "lower":
		text = strings.ToLower(text)
	}
	limit := r.slot.MaxLen
	if limit == 0 {
		limit = maxTextLen
	}
	if n := utf8.RuneCountInString(text); n > limit {
		return nil, fmt.Sprintf("the text has %d characters; max_len is %d", n, limit)
	}
	return text, ""
}

// choice reads the one choice that a sentence with at most so many other words
// contains. A longer way to say one hides the shorter within it: "oat milk" is
// not "milk".
func (r reader) choice(said grammar.Words, around int) (any, string) {
	said = said.Core()
	type hit struct {
		choice   string
		from, to int
	}
	var hits []hit
	for _, choice := range r.choices() {
		for _, way := range r.waysOf(choice) {
			if from, to := said.Find(way); from >= 0 && said.Len()-(to-from) <= around {
				hits = append(hits, hit{choice, from, to})
			}
		}
	}
	var found []string
	for _, h := range hits {
		hidden := slices.ContainsFunc(hits, func(o hit) bool {
			return o.choice != h.choice && o.from <= h.from && o.to >= h.to && o.to-o.from > h.to-h.from
		})
		if !hidden && !slices.Contains(found, h.choice) {
			found = append(found, h.choice)
		}
	}
	switch len(found) {
	case 1:
		return found[0], ""
	case 0:
		return nil, fmt.Sprintf("it is none of %s", strings.Join(r.choices(), ", "))
	}
	return nil, fmt.Sprintf("it could be %s", strings.Join(found, " or "))
}

// told finds the values of a sentence whose types are clear: of the slot that is
// asked for, where it has such a type, and of those that may be told too. Days
// are read before times, and both before numbers, so that "four people at seven"
// are four. used are the words that tell days, times, amounts and numbers.
func (l *listener) told() (values map[string]any, used []grammar.Found) {
	values = map[string]any{}
	if l.collect == nil || len(l.collect.Also) == 0 && (l.slot.Type != "int" && l.slot.Type != "number") {
		return values, nil
	}
	slots := append([]string{l.asked}, l.collect.Also...)
	var taken []grammar.Found
	free := func(from, to int) bool {
		return !slices.ContainsFunc(taken, func(f grammar.Found) bool { return from < f.To && f.From < to })
	}
	for _, kind := range []Type{"date", "time", "amount", "number", "int"} {
		var found []grammar.Found
		for _, f := range l.words.Values(string(kind), l.Now) {
			if f.Value != nil && !f.Weak && free(f.From, f.To) {
				found = append(found, f)
			}
		}
		var of []string
		for _, name := range slots {
			if l.plan.Slots[name].Type == kind {
				of = append(of, name)
			}
		}
		if kind != "number" && kind != "int" {
			taken = append(taken, found...) // a time is no number, whether a slot is for it or not
		}
		used = append(used, l.assign(values, of, found)...)
		if kind == "number" && len(of) > 0 {
			taken = append(taken, found...)
		}
	}
	for _, name := range l.collect.Also {
		r := l.reader(name)
		switch {
		case r.slot.Type == "enum":
			if v, why := r.choice(l.words, l.words.Len()); why == "" {
				values[name] = v
			}
		case r.slot.Normalise == grammar.Email, r.slot.Normalise == grammar.E164, r.spelled() != "" && r.slot.Pattern != "":
			if v, ok := l.words.Spelled(r.slot.Normalise); ok && r.accepts(v) {
				values[name] = v
			}
		}
	}
	return values, used
}

// assign gives values to slots of their type: as many as there are slots, in
// order; or a single one to the slot that is asked for, or to the only slot. It
// answers those that were given.
func (l *listener) assign(values map[string]any, slots []string, found []grammar.Found) []grammar.Found {
	switch {
	case len(found) == 0 || len(slots) == 0:
	case len(found) == len(slots):
		for i, name := range slots {
			values[name] = l.reader(name).reading(found[i])
		}
		return found
	case len(found) == 1 && slots[0] == l.asked:
		values[l.asked] = l.reader(l.asked).reading(found[0])
		return found
	}
	return nil
}

// refuses says why a slot's rules refuse a value, or "".
func (p *Program) refuses(name string, v any) string {
	slot := p.plan.Slots[name]
	if text, ok := v.(string); ok && slot.Pattern != "" {
		pattern, err := regexp.Compile(`^(?:` + slot.Pattern + `)$`)
		if err != nil {
			return fmt.Sprintf("slot %q: pattern %q: %v", name, slot.Pattern, err)
		}
		if !pattern.MatchString(text) {
			return fmt.Sprintf("slot %q: the value does not match pattern %q", name, slot.Pattern)
		}
	}
	prg, ok := p.valid[name]
	if !ok {
		return ""
	}
	val, _, err := prg.Eval(map[string]any{"value": v})
	if err != nil {
		return fmt.Sprintf("slot %q: valid %q: %v", name, slot.Valid, err)
	}
	if val != types.True {
		return fmt.Sprintf("slot %q: the value is refused by valid %q", name, slot.Valid)
	}
	return ""
}

// sameValue compares values of which one may have been through JSON.
func sameValue(a, b any) bool {
	x, xok := float(a)
	y, yok := float(b)
	if xok && yok {
		return x == y
	}
	return fmt.Sprint(a) == fmt.Sprint(b)
}
