package flow

import (
	"slices"
	"strings"
)

const (
	codeInParallel Code = "F111"
	codeRace       Code = "F115"
)

var parallelVerb = verb{
	name:   "parallel",
	fields: []string{"next", "run"},
	errors: []string{"timeout"},
}

// The steps of a branch are parsed as all are, by way of the list of verbs that
// holds parallelVerb; to name parseParallel there would be a circle.
func init() { parallelVerb.parse = parseParallel }

func parseParallel(n node) body {
	b := &parallelBody{join: n.field("join").text()}
	for _, p := range n.field("branches").pairs() {
		l := line{name: p.key}
		for _, item := range p.val.items() {
			l.steps = append(l.steps, parseStep(pair{key: Text{at: item.at(), node: item}, val: item}))
		}
		b.lines = append(b.lines, l)
	}
	return b
}

type parallelBody struct {
	lines []line
	join  Text
}

// A line is a branch of a parallel.
type line struct {
	name  Text
	steps []*step
}

func (b *parallelBody) facts() facts {
	f := facts{silent: true}
	for _, l := range b.lines {
		for _, s := range l.steps {
			f.exprs = append(f.exprs, s.facts.exprs...)
			f.prompts = append(f.prompts, s.facts.prompts...)
			f.reads = append(f.reads, s.facts.reads...)
		}
	}
	return f
}

// check lets the branches' steps check themselves, and finds out what has a
// value at the end: with `join: first` only what every branch sets.
func (b *parallelBody) check(t *tree, s *step, ds *Diagnostics) {
	s.facts.reads = nil
	setBy := map[string]string{} // by which branch
	for i, l := range b.lines {
		var sets []string
		for _, inner := range l.steps {
			b.checkInner(t, l, inner, ds)
			for _, r := range inner.facts.reads {
				if !slices.Contains(sets, r.name) {
					s.facts.reads = append(s.facts.reads, r)
				}
			}
			for _, e := range inner.facts.exprs {
				e.after = append(e.after, sets...)
			}
			s.facts.errors = append(s.facts.errors, inner.facts.errors...)
			s.facts.anyError = s.facts.anyError || inner.facts.anyError
			sets = append(sets, inner.facts.sets...)
			sets = slices.DeleteFunc(sets, func(name string) bool { return slices.Contains(inner.facts.forgets, name) })
			s.facts.forgets = append(s.facts.forgets, inner.facts.forgets...)
		}
		for _, name := range sets {
			if other := setBy[name]; other != "" && other != l.name.Value && b.join.Value != "first" {
				ds.errorf(codeRace, l.name.at, "give each branch a var of its own, or `join: first`",
					"branches %q and %q of %q both set `%s`; which of them is kept would be left to chance", other, l.name.Value, s.name.Value, name)
			}
			setBy[name] = l.name.Value
		}
		if i == 0 || b.join.Value != "first" {
			s.facts.sets = append(s.facts.sets, sets...)
		} else {
			s.facts.sets = slices.DeleteFunc(s.facts.sets, func(name string) bool { return !slices.Contains(sets, name) })
		}
	}
}

// checkInner checks one step of a branch.
func (b *parallelBody) checkInner(t *tree, l line, inner *step, ds *Diagnostics) {
	if inner.verb == nil {
		if !slices.ContainsFunc(inner.fields, func(f Text) bool { return fitsNoLine(f.Value) }) {
			ds.errorf(codeNoVerb, inner.name.at, "add one of "+strings.Join(lineVerbs, ", "), "a step of branch %q does nothing", l.name.Value)
		}
		return
	}
	if !slices.Contains(lineVerbs, inner.verb.name) {
		return // the schema's check has said it
	}
	if len(inner.extra) > 0 {
		ds.errorf(codeTwoVerbs, inner.extra[0].at, "make them two steps of the branch", "a step of branch %q has two verbs (`%s`, `%s`); keep one", l.name.Value, inner.verb.name, inner.extra[0].Value)
		return
	}
	inner.body.check(t, inner, ds)
	if g, ok := inner.body.(*generateBody); ok && g.mode() != "none" {
		where := inner.name.at
		if g.speak.Value != "" {
			where = g.speak.at
		}
		ds.errorf(codeInParallel, where, "write `speak: none`, and `say` the answer afterwards", "nobody can speak in a parallel, but `generate` in branch %q does", l.name.Value)
	}
	if inner.run.cover.Value != "" {
		ds.errorf(codeInParallel, inner.run.cover.at, "move it to `run` of the parallel itself", "nobody can speak in a parallel, but a step of branch %q has a `cover`", l.name.Value)
	}
}

// lineVerbs are the verbs that a branch of a parallel can hold.
var lineVerbs = []string{"retrieve", "generate", "call", "set", "wait"}

// fitsNoLine reports whether a field of a branch's step is one that only steps of
// their own have.
func fitsNoLine(field string) bool {
	if slices.Contains(lineVerbs, field) || field == "run" || field == "note" {
		return false
	}
	return verbNamed(field) != nil || field == "catch" || slices.Contains(stepFields, field)
}

// reportUnfit reports such a field.
func reportUnfit(field Text, ds *Diagnostics) {
	switch verbNamed(field.Value) {
	case nil:
		advice := map[string]string{"next": "leave it out: the branch's steps follow each other", "catch": "catch it on the parallel: what fails in a branch fails the step"}[field.Value]
		ds.errorf(codeInParallel, field.at, advice, "a step of a branch has no `%s`", field.Value)
	case &sayVerb, &collectVerb:
		ds.errorf(codeInParallel, field.at, "do it before or after the parallel", "nobody can speak or listen in a parallel, so `%s` cannot be in it", field.Value)
	default:
		ds.errorf(codeInParallel, field.at, "a branch holds "+strings.Join(lineVerbs, ", "), "`%s` cannot be in a parallel", field.Value)
	}
}

func (b *parallelBody) lower(t *tree, s *Step) {
	s.Parallel = &Parallel{Join: "all"}
	if b.join.Value != "" {
		s.Parallel.Join = b.join.Value
	}
	for _, l := range b.lines {
		out := Line{Name: l.name.Value}
		for _, inner := range l.steps {
			out.Steps = append(out.Steps, inner.lower(t))
		}
		s.Parallel.Branches = append(s.Parallel.Branches, out)
	}
}
