package flow

import (
	"slices"
	"strings"
)

const (
	codeCycle     Code = "F601"
	codeNoVersion Code = "F602"
	codeLacksLang Code = "F605"
	codeOtherFlow Code = "F606"
)

var runFlowVerb = verb{
	name:   "run_flow",
	fields: []string{"next"},
	parse: func(n node) body {
		return &runFlowBody{
			flow:    n.field("flow").text(),
			inputs:  n.field("inputs").pairs(),
			outputs: n.field("outputs").pairs(),
		}
	},
}

type runFlowBody struct {
	flow    Text
	inputs  []pair
	exprs   []*exprUse // one for each of inputs
	outputs []pair

	called *called // nil: not to be had
}

func (b *runFlowBody) facts() facts {
	b.exprs = withExprs(b.inputs)
	return facts{exprs: b.exprs}
}

func (b *runFlowBody) check(t *tree, s *step, ds *Diagnostics) {
	for _, p := range b.outputs { // as its author means it, whatever is wrong with the other flow
		if name, typ := t.target(p.key); typ != "" {
			s.facts.sets = append(s.facts.sets, name)
		} else {
			ds.errorf(codeUndeclared, p.key.at, "", "%q is no slot or var of this flow%s", p.key.Value, didYouMean(p.key.Value, t.targets()))
		}
	}
	if b.called = t.call(b.flow, ds); b.called == nil {
		s.facts.anyError = true
		return
	}
	plan := b.called.plan
	b.checkInputs(t, ds)
	b.checkOutputs(t, ds)
	s.facts.waits = plan.waits()
	s.facts.hears = slices.ContainsFunc(sortedKeys(plan.Steps), func(name string) bool { return plan.Hears(plan.Steps[name]) })
	ends := plan.ends()
	s.facts.errors = sortedKeys(ends)
	s.facts.sets, s.facts.setsOn = nil, map[string][]string{}
	var rest []map[string]bool
	for _, outcome := range s.facts.errors {
		if s.catchOf(outcome) != nil {
			s.facts.setsOn[outcome] = b.taken(t, ends[outcome])
		} else {
			rest = append(rest, ends[outcome])
		}
	}
	s.facts.sets = b.taken(t, rest...)
}

// checkInputs checks what is passed against what the other flow takes.
func (b *runFlowBody) checkInputs(t *tree, ds *Diagnostics) {
	inputs := b.called.plan.Inputs
	given := map[string]bool{}
	for i, p := range b.inputs {
		typ, ok := inputs[p.key.Value]
		given[p.key.Value] = true
		if !ok {
			best := nearest(p.key.Value, sortedKeys(inputs))
			given[best] = true
			ds.errorf(codeOtherFlow, p.key.at, "", "flow %q has no input %q%s", b.called.key, p.key.Value, didYouMean(p.key.Value, sortedKeys(inputs)))
			continue
		}
		b.exprs[i].want, b.exprs[i].code = typ, codeOtherFlow
	}
	var missing []string
	for _, name := range sortedKeys(inputs) {
		if !given[name] && typesOf(t.inputs)[name] != inputs[name] {
			missing = append(missing, "`"+name+"`")
		}
	}
	if len(missing) > 0 {
		ds.errorf(codeOtherFlow, b.flow.at, "add it to `inputs`", "flow %q needs %s, which this step does not pass", b.called.key, strings.Join(missing, ", "))
	}
}

// checkOutputs checks what is taken over against what the other flow has.
func (b *runFlowBody) checkOutputs(t *tree, ds *Diagnostics) {
	theirs := b.called.plan.holds()
	for _, p := range b.outputs {
		name, want := t.target(p.key)
		from := p.val.text()
		got, ok := theirs[from.Value]
		switch {
		case from.Value == "":
		case !ok:
			ds.errorf(codeOtherFlow, from.at, "", "flow %q has no `%s`%s", b.called.key, from.Value, didYouMean(from.Value, sortedKeys(theirs)))
		case want != "" && !want.takes(got):
			ds.errorf(codeOtherFlow, p.key.at, "", "`%s` is %s, but `%s` of flow %q is %s", name, want, from.Value, b.called.key, got)
		}
	}
}

// taken are the caller's names that have a value where the other flow ended with
// one of the given sets of its own.
func (b *runFlowBody) taken(t *tree, ends ...map[string]bool) []string {
	var out []string
	for _, p := range b.outputs {
		name, typ := t.target(p.key)
		always := len(ends) > 0 && !slices.ContainsFunc(ends, func(known map[string]bool) bool { return !known[p.val.text().Value] })
		if typ != "" && always {
			out = append(out, name)
		}
	}
	return out
}

func (b *runFlowBody) lower(t *tree, s *Step) {
	s.RunFlow = &RunFlow{Flow: b.called.key, Inputs: lowerWith(b.inputs)}
	for _, name := range sortedKeys(b.called.plan.Inputs) {
		if s.RunFlow.Inputs[name] == "" {
			if s.RunFlow.Inputs == nil {
				s.RunFlow.Inputs = With{}
			}
			s.RunFlow.Inputs[name] = "inputs." + name
		}
	}
	for _, p := range b.outputs {
		name, _ := t.target(p.key)
		s.RunFlow.Outputs = append(s.RunFlow.Outputs, Output{Name: name, From: p.val.text().Value})
	}
}

// targets are all that `set` and outputs can name.
func (t *tree) targets() []string {
	var out []string
	n := t.names()
	for _, name := range sortedKeys(n.slots) {
		out = append(out, "slots."+name)
	}
	for _, name := range sortedKeys(n.vars) {
		out = append(out, "vars."+name)
	}
	return out
}

// takes reports whether a slot or var of type t can hold what one of another
// type does.
func (t Type) takes(got Type) bool {
	spoken := []Type{"text", "string", "enum"}
	return t == got || slices.Contains(spoken, t) && (slices.Contains(spoken, got) || got == "date" || got == "time") ||
		(t == "number" || t == "amount") && (got == "int" || got == "number" || got == "amount")
}
