package flow

const codeWait Code = "F114"

var waitVerb = verb{
	name:   "wait",
	fields: []string{"next"},
	parse: func(n node) body {
		return &waitBody{
			pause:   n.field("for"),
			signal:  n.field("signal").text(),
			timeout: n.field("timeout"),
			into:    n.field("into").text(),
			at:      n.at(),
		}
	},
}

type waitBody struct {
	pause, timeout node
	signal, into   Text
	at             at
}

func (b *waitBody) facts() facts { return facts{waits: true, silent: true} }

func (b *waitBody) check(t *tree, s *step, ds *Diagnostics) {
	switch {
	case b.pause.there() && b.signal.Value != "":
		ds.errorf(codeWait, b.at, "keep `for` to let time pass, or `signal` and `timeout` to wait for an event", "step %q waits `for` a time and for a `signal`", s.name.Value)
	case !b.pause.there() && b.signal.Value == "" && !s.broken:
		ds.errorf(codeWait, s.name.at, "add `for: 5s`, or `signal` and `timeout`", "step %q does not say what it waits for", s.name.Value)
	case b.pause.there() && b.timeout.there():
		ds.errorf(codeWait, b.timeout.at(), "write only `for`", "`timeout` bounds a `signal`; step %q waits `for` a time", s.name.Value)
	case b.pause.there() && b.into.Value != "":
		ds.errorf(codeWait, b.into.at, "", "`into` takes what a `signal` brings; step %q waits `for` a time", s.name.Value)
	}
	if b.signal.Value != "" {
		s.facts.errors = append(s.facts.errors, "timeout")
	}
	if into := t.checkVar(b.into, "into", ds); into != "" {
		s.facts.sets = []string{"vars." + into}
	}
}

func (b *waitBody) lower(_ *tree, s *Step) {
	s.Wait = &Wait{For: b.pause.duration(), Signal: b.signal.Value, Timeout: b.timeout.duration(), Into: b.into.Value}
}
