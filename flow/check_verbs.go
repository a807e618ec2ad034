package flow

import (
	"slices"
	"strings"
)

const (
	codeTwoVerbs    Code = "F105"
	codeNoVerb      Code = "F106"
	codeNoSuchError Code = "F109"
	codeUselessHere Code = "F110"
)

// checkVerbs checks that a step has one verb, that its other fields mean
// something with it, and what the verb itself knows.
func checkVerbs(t *tree, ds *Diagnostics) {
	for _, s := range t.steps {
		if s.verb == nil {
			if !s.broken {
				ds.errorf(codeNoVerb, s.name.at, "add one of "+strings.Join(verbNames(), ", "), "step %q does nothing", s.name.Value)
			}
			continue
		}
		if len(s.extra) > 0 {
			all := []string{"`" + s.verb.name + "`"}
			for _, e := range s.extra {
				all = append(all, "`"+e.Value+"`")
			}
			count := map[int]string{2: "two", 3: "three"}[len(all)]
			if count == "" {
				count = "many"
			}
			ds.errorf(codeTwoVerbs, s.name.at, "", "step %q has %s verbs (%s); keep one", s.name.Value, count, strings.Join(all, ", "))
			continue
		}
		for _, f := range s.fields {
			if f.Value != "note" && slices.Contains(stepFields, f.Value) && !slices.Contains(s.verb.fields, f.Value) {
				hint := ""
				if s.verb == &handoffVerb && f.Value == "next" {
					hint = "lead accepted, declined and timeout to steps in `catch`"
				}
				ds.errorf(codeUselessHere, f.at, hint, "`%s` means nothing on `%s`", f.Value, s.verb.name)
			}
		}
		if s.verb != &generateVerb && s.run.firstToken.there() {
			ds.errorf(codeUselessHere, s.run.firstToken.at(), "leave it out", "`first_token` means nothing on `%s`", s.verb.name)
		}
		s.body.check(t, s, ds)
		s.checkCatch(ds)
	}
	for _, in := range t.intents {
		in.resolve(t, ds)
	}
	t.graph = newGraph(t)
}

// resolve finds what an intent names.
func (in *intentDecl) resolve(t *tree, ds *Diagnostics) {
	if in.set != nil {
		in.set.facts()
		in.sets, _ = in.set.resolve(t, ds)
	}
	for _, slot := range in.correct {
		if slot.Value != "" && t.slot(slot.Value) == nil {
			t.undeclared("slot", slot, slot.Value, ds)
		}
	}
	for _, ref := range in.flows {
		c := t.call(ref, ds)
		if c == nil {
			continue
		}
		for _, name := range sortedKeys(c.plan.Inputs) {
			if typesOf(t.inputs)[name] != c.plan.Inputs[name] {
				ds.errorf(codeOtherFlow, ref.at, "a digression passes only inputs that both flows have under one name",
					"flow %q needs the input `%s`, which this flow does not have", c.key, name)
			}
		}
	}
}

// checkCatch checks that what a step catches can happen.
func (s *step) checkCatch(ds *Diagnostics) {
	if s.facts.anyError {
		return
	}
	errors := append([]string{"error"}, s.facts.errors...)
	for _, c := range s.catch {
		switch name := c.key.Value; {
		case slices.Contains(errors, name):
		case s.verb == &runFlowVerb:
			ds.errorf(codeOtherFlow, c.key.at, "it can end with "+strings.Join(errors[1:], ", "),
				"flow %q never ends with %q%s", s.body.(*runFlowBody).called.key, name, didYouMean(name, errors))
		default:
			ds.errorf(codeNoSuchError, c.key.at, "it can fail with "+strings.Join(errors, ", "),
				"`%s` never fails with %q%s", s.verb.name, name, didYouMean(name, errors))
		}
	}
}

// stepFields are the fields that only some verbs take; one that is in none of
// them is unknown, which the schema has said.
var stepFields = []string{"next", "run", "barge_in", "listen", "no_input", "no_match"}

func verbNames() []string {
	names := make([]string, len(verbs))
	for i, v := range verbs {
		names[i] = v.name
	}
	return names
}
