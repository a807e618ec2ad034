package flow

import "slices"

// An edgeKind says what leads a conversation along an edge.
type edgeKind int

const (
	onNext    edgeKind = iota // the step is done
	onCase                    // an arm of a branch
	onError                   // `catch`
	onSilence                 // the no_input ladder's end
	onNoMatch                 // the no_match ladder's end
	onIntent                  // an intent is heard while the step, or the flow that it runs, listens
)

// An edge leads from a step to the step that its author named.
type edge struct {
	to   Text
	kind edgeKind
	when *exprUse // of a branch's arm; without a text for `else`; nil for the others
	name string   // what `catch` names, or the intent's
	sets []string // what an intent sets
}

// edges are all the ways out of a step, in the order of the source.
func (t *tree) edges(s *step) []edge {
	var out []edge
	add := func(kind edgeKind, to Text) {
		if to.Value != "" {
			out = append(out, edge{to: to, kind: kind})
		}
	}
	add(onNext, s.next)
	for _, e := range s.facts.edges {
		if e.to.Value != "" {
			out = append(out, e)
		}
	}
	for _, c := range s.catch {
		if to := c.val.text(); to.Value != "" {
			out = append(out, edge{to: to, kind: onError, name: c.key.Value})
		}
	}
	if s.facts.listens {
		if l := s.ladderOr(s.noInput, t.noInput); l != nil {
			add(onSilence, l.then)
		}
		if l := s.ladderOr(s.noMatch, t.noMatch); l != nil {
			add(onNoMatch, l.then)
		}
	}
	if s.facts.hears {
		for _, in := range t.intents {
			if in.to.Value != "" {
				out = append(out, edge{to: in.to, kind: onIntent, name: in.name.Value, sets: in.sets})
			}
		}
	}
	return out
}

func (s *step) ladderOr(own, inherited *ladder) *ladder {
	if own != nil {
		return own
	}
	return inherited
}

// A graph is the flow's steps by index, with edges that lead somewhere.
type graph struct {
	steps  []*step
	start  int // -1: there is no such step
	out    [][]arc
	astray []bool // the step names one that does not exist
}

type arc struct {
	edge
	target int
}

// newGraph resolves the edges. A name that is misspelt leads where it was most
// likely meant to, so that one mistake is not reported as several.
func newGraph(t *tree) *graph {
	g := &graph{steps: t.steps, out: make([][]arc, len(t.steps)), astray: make([]bool, len(t.steps)), start: -1}
	index := make(map[string]int, len(t.steps))
	for i, s := range t.steps {
		index[s.name.Value] = i
	}
	meant := map[string]int{} // -1: no step
	resolve := func(name string) int {
		i, ok := index[name]
		if !ok {
			i, ok = meant[name]
		}
		if !ok {
			i = -1
			if best := nearest(name, t.stepNames()); best != "" {
				i = index[best]
			}
			meant[name] = i
		}
		return i
	}
	g.start = resolve(t.start.Value)
	for i, s := range t.steps {
		for _, e := range t.edges(s) {
			if target := resolve(e.to.Value); target >= 0 {
				g.out[i] = append(g.out[i], arc{e, target})
			} else {
				g.astray[i] = true
			}
		}
	}
	return g
}

func (t *tree) stepNames() []string {
	names := make([]string, len(t.steps))
	for i, s := range t.steps {
		names[i] = s.name.Value
	}
	return names
}

// from is the set of steps that can be reached from one.
func (g *graph) from(start int, follow func(from int, a arc) bool) []bool {
	seen := make([]bool, len(g.steps))
	todo := []int{start}
	seen[start] = true
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, a := range g.out[i] {
			if !seen[a.target] && follow(i, a) {
				seen[a.target] = true
				todo = append(todo, a.target)
			}
		}
	}
	return seen
}

func anyArc(int, arc) bool { return true }

// circles are the groups of steps that lead to each other (strongly connected
// components with a cycle, by Tarjan's algorithm), each in source order.
func (g *graph) circles(follow func(from int, a arc) bool) [][]int {
	n := len(g.steps)
	order, low := make([]int, n), make([]int, n) // 0: not visited
	onStack := make([]bool, n)
	var stack []int
	var found [][]int
	next := 1
	var visit func(int)
	visit = func(i int) {
		order[i], low[i] = next, next
		next++
		stack = append(stack, i)
		onStack[i] = true
		self := false
		for _, a := range g.out[i] {
			if !follow(i, a) {
				continue
			}
			self = self || a.target == i
			if order[a.target] == 0 {
				visit(a.target)
				low[i] = min(low[i], low[a.target])
			} else if onStack[a.target] {
				low[i] = min(low[i], order[a.target])
			}
		}
		if low[i] != order[i] {
			return
		}
		at := slices.Index(stack, i)
		group := slices.Clone(stack[at:])
		stack = stack[:at]
		for _, j := range group {
			onStack[j] = false
		}
		if len(group) > 1 || self {
			slices.Sort(group)
			found = append(found, group)
		}
	}
	for i := range g.steps {
		if order[i] == 0 {
			visit(i)
		}
	}
	return found
}

// path is the names along a shortest way from a step of a circle back to it.
func (g *graph) path(circle []int, follow func(from int, a arc) bool) []string {
	start := circle[0]
	prev := map[int]int{}
	for todo := []int{start}; len(todo) > 0; todo = todo[1:] {
		i := todo[0]
		for _, a := range g.out[i] {
			if !follow(i, a) || !slices.Contains(circle, a.target) {
				continue
			}
			if a.target == start {
				names := []string{g.steps[start].name.Value}
				for j := i; j != start; j = prev[j] {
					names = append(names, g.steps[j].name.Value)
				}
				names = append(names, g.steps[start].name.Value)
				slices.Reverse(names)
				return names
			}
			if _, ok := prev[a.target]; !ok {
				prev[a.target] = i
				todo = append(todo, a.target)
			}
		}
	}
	return nil
}
