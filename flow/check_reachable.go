package flow

import "slices"

const (
	codeUnreachable Code = "F102"
	codeNoEnd       Code = "F103"
)

// checkReachable checks that every step can be reached and that every step leads
// to an end.
func checkReachable(t *tree, ds *Diagnostics) {
	g := t.graph()
	start := slices.IndexFunc(t.steps, func(s *step) bool { return s.name.Value == t.resolve(t.start.Value) })
	if start < 0 || t.damaged {
		return
	}
	reached := g.from(start, anyArc)
	leadsAstray := slices.ContainsFunc(t.steps, func(s *step) bool { return g.leadsAstray(t, s) })
	for i, s := range t.steps {
		if !reached[i] && !leadsAstray { // a name that means no step may have meant this one
			ds.errorf(codeUnreachable, s.name.at, "lead a step's `next` here, or delete it",
				"step %q can never be reached from %q", s.name.Value, t.steps[start].name.Value)
		}
	}
	ends := g.endings(t)
	for i, s := range t.steps {
		// Of the steps that are stuck, only the first of those that do not lead
		// to yet another one is reported.
		if !reached[i] || ends[i] {
			continue
		}
		further := g.from(i, anyArc)
		first := true
		for j := range t.steps {
			if further[j] && (j < i || !g.from(j, anyArc)[i]) {
				first = false
			}
		}
		if first {
			ds.errorf(codeNoEnd, s.name.at, "", "no path leads from %q to an `end`", s.name.Value)
		}
	}
}

// leadsAstray reports whether a step names one that does not exist.
func (g graph) leadsAstray(t *tree, s *step) bool {
	return slices.ContainsFunc(t.edges(s), func(e edge) bool { return t.resolve(e.to.Value) == "" })
}

// endings are the steps from which an end can be reached. A name that means no
// step is reported elsewhere and counts as a way out.
func (g graph) endings(t *tree) []bool {
	ends := make([]bool, len(g.steps))
	for i, s := range g.steps {
		ends[i] = s.facts.ends || s.verb == nil || g.leadsAstray(t, s)
	}
	for changed := true; changed; {
		changed = false
		for i := range g.steps {
			if !ends[i] && slices.ContainsFunc(g.out[i], func(a arc) bool { return ends[a.target] }) {
				ends[i], changed = true, true
			}
		}
	}
	return ends
}
