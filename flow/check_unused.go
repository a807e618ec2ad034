package flow

const (
	codeNowhere   Code = "F212"
	codeNeverTold Code = "F213"
)

// checkUnused warns of vars that are used nowhere and slots that nothing fills:
// most likely a step was forgotten, or the name can go. A var that is only set is
// there for flows that call this one.
func checkUnused(t *tree, ds *Diagnostics) {
	if len(ds.Errors()) > 0 {
		return // what seems unused may be what one of the mistakes meant
	}
	read, filled := map[string]bool{}, map[string]bool{}
	for _, s := range t.steps {
		for _, name := range s.facts.sets {
			filled[name] = true
		}
		for _, on := range s.facts.setsOn {
			for _, name := range on {
				filled[name] = true
			}
		}
		switch b := s.body.(type) {
		case *collectBody:
			for _, also := range b.also {
				filled["slots."+also.Value] = true
			}
		case *runFlowBody:
			for _, p := range b.outputs {
				if name, _ := t.target(p.key); name != "" {
					filled[name] = true
				}
			}
		}
	}
	for _, s := range t.allSteps() {
		for _, name := range s.facts.sets {
			filled[name] = true
		}
		for _, r := range s.facts.reads {
			read[r.name] = true
		}
		for _, e := range s.facts.exprs {
			for _, name := range e.names {
				read[name] = true
			}
		}
	}
	for _, in := range t.intents {
		for _, name := range in.sets {
			filled[name] = true
		}
		if in.set != nil {
			for _, e := range in.set.exprs {
				for _, name := range e.names {
					read[name] = true
				}
			}
		}
	}
	for _, v := range t.vars {
		if name := "vars." + v.name.Value; !read[name] && !filled[name] {
			ds.warnf(codeNowhere, v.name.at, "use it, or delete it", "var %q is used nowhere", v.name.Value)
		}
	}
	for _, s := range t.slots {
		name := s.name.Value
		if !filled["slots."+name] && !s.initial.there() {
			ds.warnf(codeNeverTold, s.name.at, "collect it, or delete it", "slot %q is filled by no step", name)
		}
	}
}
