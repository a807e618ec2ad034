package flow

// A screen is what a step shows beside what it says.
type screen struct {
	title, text, alt, picture, plan Text // plan is `map`
	mark                            Text
	buttons                         []screenButton
	with                            []pair // of the step
}

type screenButton struct{ label, value Text }

// parseScreen reads a screen; nil where there is none.
func parseScreen(n node, with []pair) *screen {
	if !n.there() {
		return nil
	}
	s := &screen{
		title:   n.field("title").text(),
		text:    n.field("text").text(),
		alt:     n.field("alt").text(),
		picture: n.field("picture").text(),
		plan:    n.field("map").text(),
		mark:    n.field("mark").text(),
		with:    with,
	}
	for _, b := range n.field("buttons").items() {
		s.buttons = append(s.buttons, screenButton{label: b.field("label").text(), value: b.field("value").text()})
	}
	return s
}

// addTo adds what a screen uses to the facts of its step.
func (s *screen) addTo(f *facts) {
	if s == nil {
		return
	}
	keys := []Text{s.title, s.text, s.alt}
	for _, b := range s.buttons {
		keys = append(keys, b.label)
	}
	for _, key := range keys {
		if key.Value != "" {
			f.prompts = append(f.prompts, promptUse{key: key, with: s.with})
		}
	}
	for _, name := range []Text{s.picture, s.plan} {
		if name.Value != "" {
			f.files = append(f.files, fileUse{name, s.with})
		}
	}
	if s.mark.Value != "" {
		f.exprs = append(f.exprs, &exprUse{text: s.mark, field: "mark", want: "text"})
	}
}

func (s *screen) lower() *Screen {
	if s == nil {
		return nil
	}
	out := &Screen{
		Title:   s.title.Value,
		Text:    s.text.Value,
		Picture: s.picture.Value,
		Map:     s.plan.Value,
		Mark:    s.mark.Value,
		Alt:     s.alt.Value,
	}
	for _, b := range s.buttons {
		out.Buttons = append(out.Buttons, ScreenButton{Label: b.label.Value, Value: b.value.Value})
	}
	return out
}
