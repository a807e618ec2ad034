package flow

import "time"

const (
	codeLongSilence Code = "F405"
	codeNoLadder    Code = "F502"
)

// longSilence is how long a customer waits before a kiosk that says nothing seems
// dead.
const longSilence = 2 * time.Second

// checkSilence checks that nobody is left in silence: a step that may take long
// has something to say, and a customer who says nothing is spoken to.
func checkSilence(t *tree, ds *Diagnostics) {
	for _, s := range t.steps {
		if s.facts.listens {
			for _, l := range []struct {
				name           string
				own, inherited *ladder
			}{{"no_input", s.noInput, t.noInput}, {"no_match", s.noMatch, t.noMatch}} {
				if l.own == nil && l.inherited == nil {
					ds.errorf(codeNoLadder, s.name.at, "add it to the step or to `defaults`", "no `%s` rule applies to %q and there is no default", l.name, s.name.Value)
				}
			}
		}
		if s.run.cover.Value != "" {
			continue
		}
		if p, ok := s.body.(*parallelBody); ok {
			p.checkSilence(ds)
		}
		field, bound := "run.timeout", s.run.timeout
		if !s.facts.silent {
			field, bound = "run.first_token", s.run.firstToken
		}
		if d := bound.duration().D(); d > longSilence {
			advice := "add `cover`"
			if _, ok := s.body.(*generateBody); ok && s.facts.silent {
				advice = "stream the answer or add `cover`"
			}
			ds.errorf(codeLongSilence, bound.at(), "", "`%s: %s` leaves up to %s of silence: %s", field, bound.y.Value, bound.y.Value, advice)
		}
	}
}

// checkSilence checks the steps of a parallel that has no cover.
func (b *parallelBody) checkSilence(ds *Diagnostics) {
	for _, l := range b.lines {
		for _, s := range l.steps {
			bound, field := s.run.timeout, "run.timeout"
			if w, ok := s.body.(*waitBody); ok && b.join.Value != "first" {
				bound, field = w.pause, "for"
			}
			if bound.duration().D() > longSilence {
				ds.errorf(codeLongSilence, bound.at(), "", "`%s: %s` leaves up to %s of silence: add `cover` to `run` of the parallel", field, bound.y.Value, bound.y.Value)
			}
		}
	}
}
