package flow

import (
	"regexp"
	"slices"
)

const codeSensitive Code = "F501"

// checkSensitive checks that no sensitive slot reaches the language model, nor
// anything that was made of one.
func checkSensitive(t *tree, ds *Diagnostics) {
	origin := t.sensitive()
	report := func(r read, through string) {
		slot, ok := origin[r.name]
		if !ok {
			return
		}
		by := ""
		if r.name != slot {
			by = "in `" + r.name + "` "
		}
		ds.errorf(codeSensitive, r.at, "leave it out, or say what the model needs to know in other words",
			"sensitive %s reaches the language model %sthrough `%s`", describeOrigin(slot), by, through)
	}
	for _, s := range t.allSteps() {
		for _, r := range s.facts.reads {
			if r.field == "grounded_in" {
				report(r, r.field)
			}
		}
		switch b := s.body.(type) {
		case *generateBody:
			for _, e := range s.facts.exprs {
				for _, r := range e.all {
					report(r, e.field)
				}
			}
		case *collectBody:
			if slot := b.sensitive(t); slot != nil && b.understand.Value == "model" {
				ds.errorf(codeSensitive, b.understand.at, "leave `understand` out: the slot's own grammar reads the answer",
					"sensitive slot %q reaches the language model: `understand: model` shows it what the customer answers", slot.name.Value)
			}
		case *runFlowBody:
			for i, p := range b.inputs {
				if b.called == nil || !b.called.plan.tells("inputs."+p.key.Value, b.called.plan.Flows) {
					continue
				}
				for _, r := range b.exprs[i].all {
					report(r, p.key.Value)
				}
			}
		}
	}
}

// describeOrigin names where something sensitive comes from.
func describeOrigin(name string) string {
	if kind, bare, _ := cutName(name); kind == "slots" {
		return "slot \"" + bare + "\""
	}
	return "`" + name + "`"
}

// sensitive are the slots and vars that may hold something sensitive, with that
// which it comes from.
func (t *tree) sensitive() map[string]string {
	origin := map[string]string{}
	for _, s := range t.slots {
		if s.sensitive() {
			origin["slots."+s.name.Value] = "slots." + s.name.Value
		}
	}
	var sets []*setBody
	for _, s := range t.allSteps() {
		switch b := s.body.(type) {
		case *setBody:
			sets = append(sets, b)
		case *runFlowBody:
			for _, p := range b.outputs {
				_, from, _ := cutName(p.val.text().Value)
				if name, _ := t.target(p.key); name != "" && b.called != nil && b.called.plan.Slots[from].Sensitive && origin[name] == "" {
					origin[name] = name
				}
			}
		}
	}
	for _, in := range t.intents {
		if in.set != nil {
			sets = append(sets, in.set)
		}
	}
	for changed := true; changed; {
		changed = false
		for _, b := range sets {
			for i, p := range b.assigns {
				name, _ := t.target(p.key)
				from := slices.IndexFunc(b.exprs[i].all, func(r read) bool { return origin[r.name] != "" })
				if from >= 0 && name != "" && origin[name] == "" {
					origin[name], changed = origin[b.exprs[i].all[from].name], true
				}
			}
		}
	}
	return origin
}

// tells reports whether a plan gives the language model a value of its own, or
// something made of it. flows are those that it may run.
func (p *Plan) tells(name string, flows map[string]Plan) bool {
	tainted := []string{name}
	mentions := func(expr string) bool {
		return slices.ContainsFunc(tainted, func(n string) bool { return mention(n).MatchString(expr) })
	}
	steps := p.flat()
	for changed := true; changed; {
		changed = false
		for _, s := range steps {
			for _, a := range s.Set {
				if mentions(a.Expr) && !slices.Contains(tainted, a.Name) {
					tainted, changed = append(tainted, a.Name), true
				}
			}
		}
	}
	for _, s := range steps {
		switch {
		case s.Generate != nil:
			if slices.ContainsFunc(s.expressions(), mentions) {
				return true
			}
		case s.RunFlow != nil:
			for _, input := range sortedKeys(s.RunFlow.Inputs) {
				sub := flows[s.RunFlow.Flow]
				if mentions(s.RunFlow.Inputs[input]) && sub.tells("inputs."+input, flows) {
					return true
				}
			}
		}
	}
	return false
}

func mention(name string) *regexp.Regexp {
	return regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`)
}
