package flow

import (
	"strings"
	"time"
)

const codeStranded Code = "F112"

// defaultHandoffWait is how long staff may take to answer a call for them.
const defaultHandoffWait = 90 * time.Second

var handoffVerb = verb{
	name:   "handoff",
	fields: []string{"barge_in"},
	errors: []string{"accepted", "declined", "timeout"},
	parse: func(n node) body {
		b := &handoffBody{
			team:         n.field("team").text(),
			prompt:       n.field("prompt").text(),
			with:         n.field("with").pairs(),
			avatar:       n.field("avatar").text(),
			wait:         Duration(defaultHandoffWait),
			whileWaiting: n.field("while_waiting").text(),
			summary:      n.field("summary").boolean(),
		}
		if n.field("wait").there() {
			b.wait = n.field("wait").duration()
		}
		return b
	},
}

type handoffBody struct {
	team, prompt, avatar, whileWaiting Text
	with                               []pair
	wait                               Duration
	summary                            bool
}

func (b *handoffBody) facts() facts {
	f := facts{exprs: withExprs(b.with), waits: true, ends: true}
	for _, key := range []Text{b.prompt, b.whileWaiting} {
		if key.Value != "" {
			f.prompts = append(f.prompts, promptUse{key: key, with: b.with})
		}
	}
	return f
}

// check sees that the customer goes on whatever staff answer.
func (b *handoffBody) check(_ *tree, s *step, ds *Diagnostics) {
	var open []string
	for _, way := range s.verb.errors {
		if !s.catches(way) {
			open = append(open, "`"+way+"`")
		}
	}
	if len(open) > 0 && s.next.Value == "" { // F110 says what is wrong with `next`
		ds.errorf(codeStranded, s.name.at, "lead each of them to a step in `catch`, or `error` for all the others",
			"handoff %q does not catch %s; its customer would be stranded", s.name.Value, strings.Join(open, ", "))
	}
}

func (b *handoffBody) lower(_ *tree, s *Step) {
	s.Handoff = &Handoff{
		Team:         b.team.Value,
		Prompt:       b.prompt.Value,
		With:         lowerWith(b.with),
		Avatar:       b.avatar.Value,
		Wait:         b.wait,
		WhileWaiting: b.whileWaiting.Value,
		Summary:      b.summary,
	}
}
