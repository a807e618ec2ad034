package flow

var sayVerb = verb{
	name:   "say",
	fields: []string{"next", "barge_in"},
	parse: func(n node) body {
		return &sayBody{prompt: n.field("prompt").text(), with: n.field("with").pairs(), avatar: n.field("avatar").text()}
	},
}

type sayBody struct {
	prompt Text
	with   []pair
	avatar Text
}

func (b *sayBody) facts() facts {
	return facts{prompts: []promptUse{{b.prompt, b.with}}, exprs: withExprs(b.with)}
}

func (b *sayBody) check(*tree, *step, *Diagnostics) {}

func (b *sayBody) lower(_ *tree, s *Step) {
	s.Say = &Say{Prompt: b.prompt.Value, With: lowerWith(b.with), Avatar: b.avatar.Value}
}
