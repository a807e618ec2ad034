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
				ds.errorf(codeUselessHere, f.at, "", "`%s` means nothing on `%s`", f.Value, s.verb.name)
			}
		}
		if errors := append([]string{"error"}, s.verb.errors...); slices.Contains(s.verb.fields, "catch") {
			for _, c := range s.catch {
				if !slices.Contains(errors, c.key.Value) {
					ds.errorf(codeNoSuchError, c.key.at, "it can fail with "+strings.Join(errors, ", "),
						"`%s` never fails with %q%s", s.verb.name, c.key.Value, didYouMean(c.key.Value, errors))
				}
			}
		}
		s.body.check(t, s, ds)
	}
	t.graph = newGraph(t)
}

// stepFields are the fields that only some verbs take; one that is in none of
// them is unknown, which the schema has said.
var stepFields = []string{"next", "run", "catch", "barge_in", "listen", "no_input", "no_match"}

func verbNames() []string {
	names := make([]string, len(verbs))
	for i, v := range verbs {
		names[i] = v.name
	}
	return names
}
