package flow

import "slices"

const codeOldAnswer Code = "F205"

// checkAskAnew checks slots that a customer is asked for again and again. A text
// or a bool answers the question of the moment, so a second visit means a new
// answer; a string, number or enum is a fact that is known once it was told.
func checkAskAnew(t *tree, ds *Diagnostics) {
	g := t.graph
	for _, circle := range g.circles(anyArc) {
		for _, i := range circle {
			s := g.steps[i]
			c, ok := s.body.(*collectBody)
			if !ok {
				continue
			}
			slot := t.slot(c.slot.Value)
			if slot == nil || !t.keepsUnsaid(slot) {
				continue
			}
			ds.errorf(codeOldAnswer, c.slot.at, "or `ask_anew: false` to keep the answer on purpose",
				"slot %q keeps its old answer when %q is reached again; set `ask_anew: true`", slot.name.Value, s.name.Value)
		}
	}
}

// keepsUnsaid reports whether a slot that answers the question of the moment
// keeps its answer without its author having said so: by ask_anew, by letting
// another question fill it, or by taking it away where it is to be asked again.
func (t *tree) keepsUnsaid(slot *slotDecl) bool {
	if slot.askAnew.there() || slot.typ != "text" && slot.typ != "bool" {
		return false
	}
	for _, s := range t.steps {
		if slices.Contains(s.facts.forgets, "slots."+slot.name.Value) {
			return false
		}
		if c, ok := s.body.(*collectBody); ok && slices.ContainsFunc(c.also, func(also Text) bool { return also.Value == slot.name.Value }) {
			return false
		}
	}
	return true
}
