package flow

import "maps"

// A planArc leads from one step of a plan to another.
type planArc struct {
	to    string
	sets  []string // what has a value when it is taken
	heard bool     // an intent leads along it, so the customer has said something
}

// arcs are all the ways out of a step.
func (p *Plan) arcs(s Step) []planArc {
	var out []planArc
	add := func(to string, sets ...string) {
		if to != "" {
			out = append(out, planArc{to: to, sets: sets})
		}
	}
	add(s.Next, s.sets()...)
	for _, c := range s.Branch {
		add(c.To)
	}
	for _, failure := range sortedKeys(s.Catch) {
		add(s.Catch[failure])
	}
	if p.Hears(s) {
		for _, in := range p.Intents {
			for _, to := range []string{in.To, in.Then} {
				if to != "" {
					out = append(out, planArc{to: to, heard: true})
				}
			}
		}
	}
	if s.Collect == nil {
		return out
	}
	for _, l := range []struct{ own, inherited *Ladder }{{s.Collect.NoInput, &p.NoInput}, {s.Collect.NoMatch, &p.NoMatch}} {
		if l.own == nil {
			l.own = l.inherited
		}
		add(l.own.Then)
	}
	return out
}

// Hears reports whether a customer is heard while a step is under way: it
// listens, or a flow that it runs does, and then this plan's intents are heard
// too. The plan is one that has its Flows.
func (p *Plan) Hears(s Step) bool {
	if s.RunFlow == nil {
		return s.Collect != nil
	}
	for _, inner := range p.Flows[s.RunFlow.Flow].Steps {
		if p.Hears(inner) {
			return true
		}
	}
	return false
}

// sets are the slots and vars that have a value once a step has gone well.
func (s Step) sets() []string {
	into := func(name string) []string {
		if name == "" {
			return nil
		}
		return []string{"vars." + name}
	}
	switch {
	case s.Collect != nil:
		return []string{"slots." + s.Collect.Slot}
	case s.Retrieve != nil:
		return into(s.Retrieve.Into)
	case s.Generate != nil:
		return into(s.Generate.Into)
	case s.Call != nil:
		return into(s.Call.Into)
	case s.Wait != nil:
		return into(s.Wait.Into)
	case s.Set != nil:
		var out []string
		for _, a := range s.Set {
			if a.Expr != "null" {
				out = append(out, a.Name)
			}
		}
		return out
	case s.Parallel != nil && s.Parallel.Join == "all":
		var out []string
		for _, l := range s.Parallel.Branches {
			for _, inner := range l.Steps {
				out = append(out, inner.sets()...)
			}
		}
		return out
	}
	return nil
}

// forgets are those that have none any more once a step is reached.
func (p *Plan) forgets(s Step) []string {
	var out []string
	if c := s.Collect; c != nil {
		for _, name := range append([]string{c.Slot}, c.Also...) {
			if slot := p.Slots[name]; slot.AskAnew && slot.Initial == nil {
				out = append(out, "slots."+name)
			}
		}
	}
	for _, a := range s.Set {
		if a.Expr == "null" {
			out = append(out, a.Name)
		}
	}
	return out
}

// ends are the outcomes with which a plan can end, and what has a value for sure
// when it does.
func (p *Plan) ends() map[string]map[string]bool {
	start := map[string]bool{}
	for name, s := range p.Slots {
		if s.Initial != nil {
			start["slots."+name] = true
		}
	}
	known := map[string]map[string]bool{p.Start: start} // on entry, on every path
	for todo := []string{p.Start}; len(todo) > 0; todo = todo[1:] {
		s := p.Steps[todo[0]]
		for _, a := range p.arcs(s) {
			after := maps.Clone(known[todo[0]])
			for _, name := range p.forgets(s) {
				delete(after, name)
			}
			for _, name := range a.sets {
				after[name] = true
			}
			if meet(known, a.to, after) {
				todo = append(todo, a.to)
			}
		}
	}
	out := map[string]map[string]bool{}
	for _, name := range sortedKeys(known) {
		if e := p.Steps[name].End; e != nil {
			meet(out, e.Outcome, known[name])
		}
	}
	return out
}

// meet keeps of what is known at a place only what is known on another way to it
// too, and reports whether anything changed.
func meet(known map[string]map[string]bool, place string, other map[string]bool) bool {
	if known[place] == nil {
		known[place] = maps.Clone(other)
		return true
	}
	before := len(known[place])
	maps.DeleteFunc(known[place], func(name string, _ bool) bool { return !other[name] })
	return len(known[place]) < before
}

// waits reports whether a customer is heard, or time passes, on every way
// through a plan.
func (p *Plan) waits() bool {
	seen := map[string]bool{p.Start: true}
	for todo := []string{p.Start}; len(todo) > 0; todo = todo[1:] {
		s := p.Steps[todo[0]]
		if s.End != nil {
			return false
		}
		if s.Collect != nil || s.Wait != nil || s.Handoff != nil {
			continue
		}
		for _, a := range p.arcs(s) {
			if !a.heard && !seen[a.to] {
				seen[a.to] = true
				todo = append(todo, a.to)
			}
		}
	}
	return true
}

// flat are a plan's steps in the order of their names, with those inside of a
// parallel.
func (p *Plan) flat() []Step {
	var out []Step
	for _, name := range sortedKeys(p.Steps) {
		s := p.Steps[name]
		out = append(out, s)
		if s.Parallel != nil {
			for _, l := range s.Parallel.Branches {
				out = append(out, l.Steps...)
			}
		}
	}
	return out
}
