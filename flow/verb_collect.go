package flow

import (
	"fmt"
	"slices"
)

var collectVerb = verb{
	name:   "collect",
	fields: []string{"next", "barge_in", "listen", "no_input", "no_match"},
	parse: func(n node) body {
		b := &collectBody{
			slot:       n.field("slot").text(),
			prompt:     n.field("prompt").text(),
			with:       n.field("with").pairs(),
			avatar:     n.field("avatar").text(),
			screen:     parseScreen(n.field("screen"), n.field("with").pairs()),
			buttons:    n.field("buttons"),
			options:    n.field("options").text(),
			also:       n.field("also").texts(),
			understand: n.field("understand").text(),
			hints:      n.field("hints").pairs(),
		}
		if c := n.field("confirm"); c.there() {
			b.confirm = &confirm{prompt: c.field("prompt").text(), with: c.field("with").pairs(), attempts: defaultAttempts}
			if c.field("attempts").there() {
				b.confirm.attempts = c.field("attempts").integer()
			}
		}
		return b
	},
}

// defaultAttempts is how many wrong values `confirm` takes: a customer who was
// misunderstood twice is better served by the ladder's last step.
const defaultAttempts = 2

type collectBody struct {
	slot, prompt, avatar Text
	with                 []pair
	screen               *screen
	buttons              node
	options, understand  Text
	also                 []Text
	hints                []pair // language → node of words
	confirm              *confirm
}

type confirm struct {
	prompt   Text
	with     []pair
	attempts int
}

func (b *collectBody) facts() facts {
	f := facts{
		prompts: []promptUse{{key: b.prompt, with: b.with}},
		exprs:   withExprs(b.with),
		sets:    []string{"slots." + b.slot.Value},
		listens: true,
		hears:   true,
		waits:   true,
	}
	b.screen.addTo(&f)
	if b.options.Value != "" {
		f.exprs = append(f.exprs, &exprUse{text: b.options, field: "options", want: "list(string)"})
	}
	if b.confirm != nil {
		f.prompts = append(f.prompts, promptUse{key: b.confirm.prompt, with: b.confirm.with, own: []string{"value"}})
		for _, e := range withExprs(b.confirm.with) {
			e.after = []string{"slots." + b.slot.Value} // there is something to confirm
			f.exprs = append(f.exprs, e)
		}
	}
	return f
}

func (b *collectBody) check(t *tree, s *step, ds *Diagnostics) {
	for _, hint := range b.hints {
		t.checkSupported(hint.key, ds)
	}
	var also []*slotDecl
	for _, name := range b.also {
		switch slot := t.slot(name.Value); {
		case name.Value == "":
		case slot == nil:
			t.undeclared("slot", name, name.Value, ds)
		case name.Value == b.slot.Value:
			ds.errorf(codeSlot, name.at, "name only further slots", "`also` of %q names its own slot %q", s.name.Value, name.Value)
		default:
			also = append(also, slot)
		}
	}
	slot := t.slot(b.slot.Value)
	if slot == nil {
		if b.slot.Value != "" {
			t.undeclared("slot", b.slot, b.slot.Value, ds)
			s.facts.sets = []string{"slots." + nearest(b.slot.Value, sortedKeys(t.names().slots))} // as it was meant
		}
		return
	}
	// The question forgets the old answers to what it asks anew.
	for _, asked := range append([]*slotDecl{slot}, also...) {
		if asked.askAnew.boolean() && !asked.initial.there() {
			s.facts.forgets = append(s.facts.forgets, "slots."+asked.name.Value)
		}
	}
	if b.buttons.boolean() && slot.typ != "enum" && slot.typ != "bool" && b.options.Value == "" {
		ds.errorf(codeType, b.buttons.at(), "only an enum, a bool or `options` has values to show",
			"`buttons` does not work with slot %q, which is %s", slot.name.Value, slot.typ)
	}
	if b.options.Value != "" && slot.typ != "string" && slot.typ != "text" {
		ds.errorf(codeType, b.options.at, "declare the slot as string", "`options` does not work with slot %q, which is %s", slot.name.Value, slot.typ)
	}
}

// lets reports whether the language model may read what a customer answers: not
// by itself where a sensitive slot is filled.
func (b *collectBody) lets(t *tree) string {
	if b.understand.Value != "" {
		return b.understand.Value
	}
	slot := t.slot(b.slot.Value)
	if slot == nil || slot.typ == "text" || b.sensitive(t) != nil {
		return "grammar"
	}
	return "model"
}

// sensitive is the first sensitive slot that the step fills, or nil.
func (b *collectBody) sensitive(t *tree) *slotDecl {
	for _, name := range append([]Text{b.slot}, b.also...) {
		if slot := t.slot(name.Value); slot != nil && slot.sensitive() {
			return slot
		}
	}
	return nil
}

func (b *collectBody) lower(t *tree, s *Step) {
	s.Collect = &Collect{
		Slot:       b.slot.Value,
		Prompt:     b.prompt.Value,
		With:       lowerWith(b.with),
		Avatar:     b.avatar.Value,
		Screen:     b.screen.lower(),
		Buttons:    b.buttons.boolean(),
		Options:    b.options.Value,
		Also:       values(b.also),
		Understand: b.lets(t),
		Hints:      wordLists(b.hints),
	}
	if b.confirm != nil {
		with := lowerWith(b.confirm.with)
		if with == nil {
			with = With{}
		}
		if with["value"] == "" {
			with["value"] = "slots." + b.slot.Value
		}
		s.Collect.Confirm = &Confirm{Prompt: b.confirm.prompt.Value, With: with, Attempts: b.confirm.attempts}
	}
}

// values are the texts without their places.
func values(texts []Text) []string {
	var out []string
	for _, t := range texts {
		if !slices.Contains(out, t.Value) {
			out = append(out, t.Value)
		}
	}
	return out
}

// wordLists are lists of words by language; nil for none.
func wordLists(byLanguage []pair) map[string][]string {
	if len(byLanguage) == 0 {
		return nil
	}
	out := make(map[string][]string, len(byLanguage))
	for _, p := range byLanguage {
		out[p.key.Value] = append(out[p.key.Value], values(p.val.texts())...)
	}
	return out
}

// undeclared reports a name that is not declared as a slot, var or input.
func (t *tree) undeclared(kind string, where Text, name string, ds *Diagnostics) {
	n := t.names()
	known := map[string]map[string]Type{"slot": n.slots, "var": n.vars, "input": n.inputs}[kind]
	hint := ""
	if nearest(name, sortedKeys(known)) == "" {
		hint = fmt.Sprintf("declare it under `%ss:`", kind)
	}
	ds.errorf(codeUndeclared, where.at, hint, "%s %q is not declared%s", kind, name, didYouMean(name, sortedKeys(known)))
}
