package flow

const codeNoStep Code = "F101"

// checkTargets checks that every name of a step is one.
func checkTargets(t *tree, ds *Diagnostics) {
	t.checkTarget(t.start, ds)
	for _, l := range []*ladder{t.noInput, t.noMatch} {
		if l != nil {
			t.checkTarget(l.then, ds)
		}
	}
	for _, in := range t.intents {
		t.checkTarget(in.to, ds)
	}
	for _, s := range t.steps {
		t.checkTarget(s.next, ds)
		for _, e := range s.facts.edges {
			t.checkTarget(e.to, ds)
		}
		for _, c := range s.catch {
			t.checkTarget(c.val.text(), ds)
		}
		for _, l := range []*ladder{s.noInput, s.noMatch} {
			if l != nil {
				t.checkTarget(l.then, ds)
			}
		}
	}
}

func (t *tree) checkTarget(name Text, ds *Diagnostics) {
	if name.Value != "" && t.byName[name.Value] == nil {
		ds.errorf(codeNoStep, name.at, "", "step %q does not exist%s", name.Value, didYouMean(name.Value, t.stepNames()))
	}
}
