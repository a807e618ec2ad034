package flow

var callVerb = verb{
	name:   "call",
	fields: []string{"next", "run"},
	errors: []string{"timeout"},
	parse: func(n node) body {
		return &callBody{
			action: n.field("action").text(),
			args:   n.field("args").pairs(),
			into:   n.field("into").text(),
			at:     n.at(),
		}
	},
}

type callBody struct {
	action, into Text
	args         []pair
	exprs        []*exprUse // one for each of args
	at           at
}

func (b *callBody) facts() facts {
	b.exprs = withExprs(b.args)
	for _, e := range b.exprs {
		e.whole = true
	}
	return facts{exprs: b.exprs, silent: true}
}

func (b *callBody) check(t *tree, s *step, ds *Diagnostics) {
	if into := t.checkVar(b.into, "into", ds); into != "" {
		s.facts.sets = []string{"vars." + into}
	}
	action, known := b.checkAction(t, ds)
	if !known {
		s.facts.anyError = true
		return
	}
	for _, e := range action.Errors {
		s.facts.errors = append(s.facts.errors, e.Name)
	}
	b.checkResult(t, action, ds)
}

func (b *callBody) lower(_ *tree, s *Step) {
	s.Call = &Call{Action: b.action.Value, Args: lowerWith(b.args), Into: b.into.Value}
}
