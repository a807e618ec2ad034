package gateway

import (
	"slices"

	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/media"
)

// turnScreen follows the beginning of a response. A screen stays until a
// response begins that has one of its own, or that follows a customer's answer:
// a map is still there when the kiosk asks whether it was any help.
func (s *session) turnScreen(own *media.Screen) {
	switch {
	case own != nil:
		s.card = s.cardOf(own)
	case s.answered:
		s.card = wire.Screen{}
	}
	s.answered = false
	s.showScreen()
}

// takeAnswer follows what a customer types or touches. The buttons go at once,
// so that nobody answers twice; the rest stays until the kiosk has an answer.
func (s *session) takeAnswer() {
	s.listen = nil
	s.card.Buttons = nil
	s.answered = true
	s.showScreen()
}

func (s *session) clearScreen() {
	s.card, s.answered, s.listen = wire.Screen{}, false, nil
	s.showScreen()
}

// showScreen tells the kiosk what to show, when that has changed.
func (s *session) showScreen() {
	screen := s.screen()
	if screen.Title == s.shown.Title && screen.Text == s.shown.Text && screen.Picture == s.shown.Picture &&
		screen.Map == s.shown.Map && screen.Mark == s.shown.Mark && screen.Alt == s.shown.Alt &&
		slices.Equal(screen.Buttons, s.shown.Buttons) {
		return
	}
	s.shown = screen
	s.tell(screen)
}

// screen is the card with its buttons and those of the question that is open.
func (s *session) screen() wire.Screen {
	screen := s.card
	screen.Buttons = append([]wire.Button{}, s.card.Buttons...)
	for _, b := range s.listen.GetButtons() {
		if !slices.ContainsFunc(screen.Buttons, func(x wire.Button) bool { return x.Value == b.Value }) {
			screen.Buttons = append(screen.Buttons, wire.Button{Value: b.Value, Label: b.Label})
		}
	}
	return screen
}

// cardOf is a response's screen as a kiosk shows it. A file that cannot be
// served is left out: the rest of the screen, and what is said, are worth more.
func (s *session) cardOf(m *media.Screen) wire.Screen {
	card := wire.Screen{Title: m.Title, Text: m.Text, Mark: m.Mark, Alt: m.Alt}
	var err error
	if m.Picture != "" {
		if card.Picture, err = mediaAddress(m.Picture); err != nil {
			s.g.log.Warn("screen has no picture", "store", s.store, "kiosk", s.kiosk, "error", err)
		}
	}
	if m.Map != "" {
		if card.Map, err = mapAddress(m.Map); err != nil {
			s.g.log.Warn("screen has no map", "store", s.store, "kiosk", s.kiosk, "error", err)
		}
	}
	for _, b := range m.Buttons {
		card.Buttons = append(card.Buttons, wire.Button{Value: b.Value, Label: b.Label})
	}
	return card
}
