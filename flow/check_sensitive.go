package flow

const codeSensitive Code = "F501"

// checkSensitive checks that no sensitive slot reaches the language model.
func checkSensitive(t *tree, ds *Diagnostics) {
	for _, s := range t.steps {
		for _, e := range s.facts.exprs {
			if !e.toModel {
				continue
			}
			for _, r := range e.reads {
				if slot := t.slot(r.slot()); slot != nil && slot.node.field("sensitive").boolean() {
					ds.errorf(codeSensitive, r.at, "leave it out, or say what the model needs to know in other words",
						"sensitive slot %q reaches the language model through `%s`", slot.name.Value, e.field)
				}
			}
		}
	}
}
