package flow

import (
	"slices"
)

const codeSensitive Code = "F501"

// checkSensitive checks that no sensitive slot reaches the language model, nor a
// var or slot that was made of one.
func checkSensitive(t *tree, ds *Diagnostics) {
	origin := t.sensitive()
	for _, s := range t.steps {
		for _, e := range s.facts.exprs {
			if !e.toModel {
				continue
			}
			for _, r := range e.reads {
				slot, ok := origin[r.name]
				if !ok {
					continue
				}
				through := ""
				if r.name != "slots."+slot {
					through = "in `" + r.name + "` "
				}
				ds.errorf(codeSensitive, r.at, "leave it out, or say what the model needs to know in other words",
					"sensitive slot %q reaches the language model %sthrough `%s`", slot, through, e.field)
			}
		}
	}
}

// sensitive are the slots and vars that may hold something sensitive, with the
// slot that it comes from.
func (t *tree) sensitive() map[string]string {
	origin := map[string]string{}
	for _, s := range t.slots {
		if s.sensitive() {
			origin["slots."+s.name.Value] = s.name.Value
		}
	}
	for changed := true; changed; {
		changed = false
		for _, s := range t.steps {
			b, ok := s.body.(*setBody)
			if !ok {
				continue
			}
			for i, p := range b.assigns {
				name, _ := t.target(p.key)
				from := slices.IndexFunc(b.exprs[i].reads, func(r read) bool { return origin[r.name] != "" })
				if from >= 0 && name != "" && origin[name] == "" {
					origin[name], changed = origin[b.exprs[i].reads[from].name], true
				}
			}
		}
	}
	return origin
}
