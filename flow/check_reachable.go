package flow

import "slices"

const (
	codeUnreachable Code = "F102"
	codeNoEnd       Code = "F103"
)

// checkReachable checks that every step can be reached and that every step leads
// to an end.
func checkReachable(t *tree, ds *Diagnostics) {
	g := t.graph
	if g.start < 0 || t.damaged {
		return
	}
	reached := g.from(g.start, anyArc)
	if !slices.Contains(g.astray, true) { // or else a name that means no step may have meant this one
		for i, s := range t.steps {
			if !reached[i] {
				ds.errorf(codeUnreachable, s.name.at, "lead a step's `next` here, or delete it",
					"step %q can never be reached from %q", s.name.Value, t.steps[g.start].name.Value)
			}
		}
	}
	ends := g.endings()
	// Many steps may lead into one circle without a way out: it is the circle
	// that needs one.
	for _, circle := range g.circles(func(from int, _ arc) bool { return !ends[from] }) {
		within := make(map[int]bool, len(circle))
		for _, i := range circle {
			within[i] = true
		}
		leaves := slices.ContainsFunc(circle, func(i int) bool {
			return slices.ContainsFunc(g.out[i], func(a arc) bool { return !within[a.target] })
		})
		if first := circle[0]; reached[first] && !leaves {
			s := t.steps[first]
			ds.errorf(codeNoEnd, s.name.at, "", "no path leads from %q to an `end` or `handoff`", s.name.Value)
		}
	}
}

// endings are the steps from which an end can be reached. A name that means no
// step is reported elsewhere and counts as a way out.
func (g *graph) endings() []bool {
	into := make([][]int, len(g.steps))
	ends := make([]bool, len(g.steps))
	var todo []int
	for i, s := range g.steps {
		for _, a := range g.out[i] {
			into[a.target] = append(into[a.target], i)
		}
		if s.facts.ends || s.verb == nil || g.astray[i] {
			ends[i] = true
			todo = append(todo, i)
		}
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, from := range into[i] {
			if !ends[from] {
				ends[from] = true
				todo = append(todo, from)
			}
		}
	}
	return ends
}
