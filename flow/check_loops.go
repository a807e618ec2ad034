package flow

import (
	"slices"
	"strings"
)

const (
	codeSpin        Code = "F104"
	codeSilenceLoop Code = "F503"
)

// checkLoops checks that no circle of steps goes round without a customer.
func checkLoops(t *tree, ds *Diagnostics) {
	g := t.graph
	// A step that listens stops the circle, unless its slot is known already and
	// it is skipped.
	unheard := func(from int, a arc) bool {
		s := g.steps[from]
		if s.verb == nil || s.broken || len(s.extra) > 0 {
			return false // what it does is not known
		}
		if a.kind == onIntent {
			return false // somebody has said it
		}
		return !s.facts.waits || s.facts.listens && a.kind == onNext && !t.asksAnew(s)
	}
	again := g.askedAgain(unheard)
	unasked := func(from int, a arc) bool { return unheard(from, a) && (!again[from] || a.kind != onNext) }
	for _, circle := range g.circles(unasked) {
		path := g.path(circle, unasked)
		hint := ""
		for _, i := range circle {
			if c, ok := g.steps[i].body.(*collectBody); ok {
				hint = "set `ask_anew: true` on slot \"" + c.slot.Value + "\", or it is asked only once"
			}
		}
		ds.errorf(codeSpin, g.steps[circle[0]].name.at, hint, "\"%s\" loops without listening or waiting; the conversation would spin", strings.Join(path, " → "))
	}
	// Silence goes round where every listening step on the way is left by its
	// no_input ladder.
	silent := func(from int, a arc) bool {
		return a.kind != onIntent && (!g.steps[from].facts.listens || a.kind == onSilence)
	}
	for _, circle := range g.circles(silent) {
		i := slices.IndexFunc(circle, func(i int) bool { return g.steps[i].facts.listens })
		if i < 0 {
			continue // F104 has said it
		}
		s := g.steps[circle[i]]
		where := s.name.at
		if s.noInput != nil {
			where = s.noInput.then.at
		}
		path := g.path(append([]int{circle[i]}, circle...), silent)
		ds.errorf(codeSilenceLoop, where, "lead `then` to an `end`",
			"silence at %q leads back to it (%s); it would loop for ever", s.name.Value, strings.Join(path, " → "))
	}
}

// askedAgain are the steps that listen although their slot is not asked anew: on
// every way round to them, along the arcs to follow, a step takes its value away
// (`set: {slot: null}`) and none gives it another.
func (g *graph) askedAgain(follow func(from int, a arc) bool) map[int]bool {
	again := map[int]bool{}
	for i, s := range g.steps {
		c, ok := s.body.(*collectBody)
		if !ok {
			continue
		}
		slot := "slots." + c.slot.Value
		known := func(from int, a arc) bool {
			return follow(from, a) && !slices.Contains(g.steps[a.target].facts.forgets, slot)
		}
		again[i] = true
		for j, giver := range g.steps {
			if j != i && !slices.Contains(giver.facts.sets, slot) {
				continue
			}
			for _, a := range g.out[j] {
				if known(j, a) && g.from(a.target, known)[i] {
					again[i] = false
				}
			}
		}
	}
	return again
}

// asksAnew reports whether a listening step asks although it was answered before.
func (t *tree) asksAnew(s *step) bool {
	c, ok := s.body.(*collectBody)
	if !ok {
		return false
	}
	slot := t.slot(c.slot.Value)
	// What is not declared, or keeps its answer by mistake, is reported elsewhere.
	return slot == nil || slot.askAnew.boolean() || t.keepsUnsaid(slot)
}
