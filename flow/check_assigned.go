package flow

import (
	"maps"
	"slices"
)

const codeUnset Code = "F204"

// checkAssigned checks that a slot or var has a value on every path to where it
// is read: an expression over something unset has no value at run time.
func checkAssigned(t *tree, ds *Diagnostics) {
	g, start := t.graph, t.graph.start
	if start < 0 || t.damaged {
		return
	}
	known := make([]map[string]bool, len(g.steps)) // on entry, on every path; nil: not reached yet
	known[start] = t.knownAtStart()
	for todo := []int{start}; len(todo) > 0; todo = todo[1:] {
		i := todo[0]
		for _, a := range g.out[i] {
			after := g.steps[i].after(known[i], a.edge)
			if known[a.target] == nil {
				known[a.target] = after
				todo = append(todo, a.target)
				continue
			}
			before := len(known[a.target])
			maps.DeleteFunc(known[a.target], func(name string, _ bool) bool { return !after[name] })
			if len(known[a.target]) < before {
				todo = append(todo, a.target)
			}
		}
	}
	t.checkIntentReads(known, ds)
	for i, s := range g.steps {
		reads := slices.Clone(s.facts.reads)
		for _, e := range s.facts.exprs {
			if e.spare {
				continue
			}
			had := e.had()
			for _, r := range e.reads {
				if !slices.Contains(had, r.name) {
					reads = append(reads, r)
				}
			}
		}
		for _, r := range reads {
			if known[i] == nil || known[i][r.name] || !t.declared(r.name) {
				continue
			}
			hint := "give it a value on that way too, or ask has(" + r.name + ") first"
			switch via, intent := g.unsetVia(start, i, r.name, t); {
			case intent != nil:
				ds.errorf(codeUnset, r.at, "lead the intent to the first question: what is answered is not asked again", "`%s` is read here, but when intent %q leads from %q to %q nothing has set it",
					r.name, intent.name, via, intent.to.Value)
			case via != "":
				ds.errorf(codeUnset, r.at, hint, "`%s` is read here, but on the path through %q nothing has set it", r.name, via)
			default:
				ds.errorf(codeUnset, r.at, "", "`%s` is read here, but nothing has set it", r.name)
			}
		}
	}
}

// checkIntentReads checks that what an intent reads has a value wherever it can
// be heard.
func (t *tree) checkIntentReads(known []map[string]bool, ds *Diagnostics) {
	for _, in := range t.intents {
		if in.set == nil {
			continue
		}
		for _, e := range in.set.exprs {
			for _, r := range e.reads {
				for i, s := range t.graph.steps {
					if known[i] != nil && s.facts.hears && !s.after(known[i], edge{kind: onIntent})[r.name] && t.declared(r.name) {
						ds.errorf(codeUnset, r.at, "ask has("+r.name+") first", "`%s` is read here, but nothing has set it when %q listens", r.name, s.name.Value)
						break
					}
				}
			}
		}
	}
}

// declared reports whether "slots.x" or "vars.x" is there; F201 has reported one
// that is not.
func (t *tree) declared(name string) bool {
	_, typ := t.target(Text{Value: name})
	return typ != ""
}

func (t *tree) knownAtStart() map[string]bool {
	known := map[string]bool{}
	for _, s := range t.slots {
		if s.initial.there() {
			known["slots."+s.name.Value] = true
		}
	}
	return known
}

// had are the slots and vars that have a value where an expression is looked at,
// because of those before it that were false.
func (e *exprUse) had() []string {
	var out []string
	for _, before := range e.untrue {
		out = append(out, before.hasNot...)
	}
	return out
}

// after is what has a value when a step has been left along an edge.
func (s *step) after(known map[string]bool, e edge) map[string]bool {
	out := maps.Clone(known)
	for _, name := range s.facts.forgets {
		delete(out, name)
	}
	switch {
	case e.kind == onNext:
		for _, name := range s.facts.sets {
			out[name] = true
		}
	case e.kind == onError:
		for _, name := range s.facts.setsOn[e.name] {
			out[name] = true
		}
	case e.kind == onIntent:
		for _, name := range e.sets {
			out[name] = true
		}
	case e.when != nil:
		for _, name := range append(e.when.had(), e.when.has...) {
			out[name] = true
		}
	}
	return out
}

// unsetVia is the step before the last on a shortest path that leaves a name
// without a value; or, where an intent is on that path, the step at which it is
// heard, and the intent.
func (g *graph) unsetVia(start, target int, name string, t *tree) (string, *edge) {
	type place struct {
		step int
		set  bool
	}
	type way struct {
		from place
		by   edge
	}
	first := place{start, t.knownAtStart()[name]}
	prev := map[place]way{first: {from: first}}
	for todo := []place{first}; len(todo) > 0; todo = todo[1:] {
		p := todo[0]
		if p.step == target && !p.set {
			if p == first {
				return "", nil
			}
			for at := p; at != first; at = prev[at].from {
				if w := prev[at]; w.by.kind == onIntent {
					return g.steps[w.from.step].name.Value, &w.by
				}
			}
			return g.steps[prev[p].from.step].name.Value, nil
		}
		for _, a := range g.out[p.step] {
			next := place{a.target, g.steps[p.step].after(map[string]bool{name: p.set}, a.edge)[name]}
			if _, ok := prev[next]; !ok {
				prev[next] = way{p, a.edge}
				todo = append(todo, next)
			}
		}
	}
	return "", nil
}
