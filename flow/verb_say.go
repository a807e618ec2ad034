package flow

var sayVerb = verb{
	name:   "say",
	fields: []string{"next", "barge_in"},
	parse: func(n node) body {
		return &sayBody{
			prompt: n.field("prompt").text(),
			with:   n.field("with").pairs(),
			avatar: n.field("avatar").text(),
			screen: parseScreen(n.field("screen"), n.field("with").pairs()),
		}
	},
}

type sayBody struct {
	prompt Text
	with   []pair
	avatar Text
	screen *screen
}

func (b *sayBody) facts() facts {
	f := facts{prompts: []promptUse{{key: b.prompt, with: b.with}}, exprs: withExprs(b.with)}
	b.screen.addTo(&f)
	return f
}

func (b *sayBody) check(*tree, *step, *Diagnostics) {}

func (b *sayBody) lower(_ *tree, s *Step) {
	s.Say = &Say{Prompt: b.prompt.Value, With: lowerWith(b.with), Avatar: b.avatar.Value, Screen: b.screen.lower()}
}
