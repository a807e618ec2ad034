package flow

var endVerb = verb{
	name:   "end",
	fields: []string{"barge_in"},
	parse: func(n node) body {
		return &endBody{
			prompt:  n.field("prompt").text(),
			with:    n.field("with").pairs(),
			avatar:  n.field("avatar").text(),
			outcome: n.field("outcome").text(),
		}
	},
}

type endBody struct {
	prompt, avatar, outcome Text
	with                    []pair
}

func (b *endBody) facts() facts {
	f := facts{ends: true, exprs: withExprs(b.with)}
	if b.prompt.Value != "" {
		f.prompts = []promptUse{{key: b.prompt, with: b.with}}
	}
	return f
}

func (b *endBody) check(*tree, *step, *Diagnostics) {}

func (b *endBody) lower(_ *tree, s *Step) {
	s.End = &End{Prompt: b.prompt.Value, With: lowerWith(b.with), Avatar: b.avatar.Value, Outcome: b.outcome.Value}
}
