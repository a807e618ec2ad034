package flow

import "fmt"

var collectVerb = verb{
	name:   "collect",
	fields: []string{"next", "barge_in", "listen", "no_input", "no_match"},
	parse: func(n node) body {
		return &collectBody{
			slot:    n.field("slot").text(),
			prompt:  n.field("prompt").text(),
			with:    n.field("with").pairs(),
			avatar:  n.field("avatar").text(),
			buttons: n.field("buttons"),
		}
	},
}

type collectBody struct {
	slot, prompt, avatar Text
	with                 []pair
	buttons              node
}

func (b *collectBody) facts() facts {
	return facts{
		prompts: []promptUse{{b.prompt, b.with}},
		exprs:   withExprs(b.with),
		sets:    []string{"slots." + b.slot.Value},
		listens: true,
	}
}

func (b *collectBody) check(t *tree, s *step, ds *Diagnostics) {
	slot := t.slot(b.slot.Value)
	if slot == nil {
		if b.slot.Value != "" {
			t.undeclared("slot", b.slot, b.slot.Value, ds)
			s.facts.sets = []string{"slots." + nearest(b.slot.Value, sortedKeys(t.names().slots))} // as it was meant
		}
		return
	}
	if slot.askAnew.boolean() && !slot.initial.there() {
		s.facts.forgets = "slots." + b.slot.Value
	}
	if b.buttons.boolean() && slot.typ != "enum" && slot.typ != "bool" {
		ds.errorf(codeType, b.buttons.at(), "only an enum or bool has values to show",
			"`buttons` does not work with slot %q, which is %s", slot.name.Value, slot.typ)
	}
}

func (b *collectBody) lower(_ *tree, s *Step) {
	s.Collect = &Collect{
		Slot:    b.slot.Value,
		Prompt:  b.prompt.Value,
		With:    lowerWith(b.with),
		Avatar:  b.avatar.Value,
		Buttons: b.buttons.boolean(),
	}
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
