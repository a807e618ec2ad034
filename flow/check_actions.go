package flow

import (
	"slices"
	"strings"
)

const (
	codeNoAction    Code = "F401"
	codeArgMissing  Code = "F402"
	codeUncaught    Code = "F403"
	codeArg         Code = "F406"
	codeResultTaken Code = "F407"
)

// checkActions checks calls against the catalogue, where there is one, and that
// what a step is sure to fail with now and then is caught.
func checkActions(t *tree, ds *Diagnostics) {
	for _, s := range t.steps {
		var open []failure
		switch b := s.body.(type) {
		case *callBody:
			open = b.failures(t)
		case *waitBody:
			open = b.failures()
		case *parallelBody:
			for _, l := range b.lines {
				for _, inner := range l.steps {
					switch b := inner.body.(type) {
					case *callBody:
						open = append(open, b.failures(t)...)
					case *waitBody:
						open = append(open, b.failures()...)
					}
				}
			}
		}
		for _, f := range open {
			if !s.catches(f.name) {
				ds.errorf(codeUncaught, f.at, "lead it to a step in `catch`, or `error` for all the others", "%s can fail with `%s`, which this step does not catch", f.of, f.name)
			}
		}
	}
}

// A failure is what something fails with, by its name.
type failure struct {
	of, name string
	at       at
}

func (b *waitBody) failures() []failure {
	if b.signal.Value == "" {
		return nil
	}
	return []failure{{"waiting for \"" + b.signal.Value + "\"", "timeout", b.signal.at}}
}

// failures are the action's named errors.
func (b *callBody) failures(t *tree) []failure {
	if t.actions == nil {
		return nil
	}
	var out []failure
	for _, e := range t.actions.Actions[b.action.Value].Errors {
		f := failure{"\"" + b.action.Value + "\"", e.Name, b.action.at}
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

// checkAction holds a call against its action.
func (b *callBody) checkAction(t *tree, ds *Diagnostics) (Action, bool) {
	if t.actions == nil || b.action.Value == "" {
		return Action{}, false
	}
	action, ok := t.actions.Actions[b.action.Value]
	if !ok {
		known := sortedKeys(t.actions.Actions)
		hint := ""
		if nearest(b.action.Value, known) == "" {
			hint = "there is " + quoted(known, "and")
		}
		ds.errorf(codeNoAction, b.action.at, hint, "action %q is not in the catalogue%s", b.action.Value, didYouMean(b.action.Value, known))
		return Action{}, false
	}
	given := map[string]bool{}
	var names []string
	for _, arg := range action.Args {
		names = append(names, arg.Name)
	}
	for i, p := range b.args {
		at := slices.Index(names, p.key.Value)
		given[p.key.Value] = true
		if at < 0 {
			given[nearest(p.key.Value, names)] = true // as it was meant
			hint := ""
			if nearest(p.key.Value, names) == "" {
				hint = "it takes " + strings.Join(names, ", ")
			}
			ds.errorf(codeArg, p.key.at, hint, "%q takes no `%s`%s", action.Name, p.key.Value, didYouMean(p.key.Value, names))
			continue
		}
		b.exprs[i].want, b.exprs[i].code = action.Args[at].Type, codeArg
		b.exprs[i].spare = !action.Args[at].Required && named.MatchString(p.val.text().Value)
		if m := literalText.FindStringSubmatch(p.val.text().Value); m != nil && len(action.Args[at].Values) > 0 && !slices.Contains(action.Args[at].Values, m[2]) {
			ds.errorf(codeArg, p.val.at(), "", "`%s` of %q cannot be %q (%s)%s", p.key.Value, action.Name, m[2],
				strings.Join(action.Args[at].Values, ", "), didYouMean(m[2], action.Args[at].Values))
		}
	}
	var missing []string
	for _, arg := range action.Args {
		if arg.Required && !given[arg.Name] {
			missing = append(missing, "`"+arg.Name+"`")
		}
	}
	if len(missing) > 0 {
		ds.errorf(codeArgMissing, b.action.at, "add it to `args`", "%q needs %s, which this step does not pass", action.Name, strings.Join(missing, " and "))
	}
	return action, true
}

// checkResult holds `into` against what the action answers.
func (b *callBody) checkResult(t *tree, action Action, ds *Diagnostics) {
	typ, ok := typesOf(t.vars)[b.into.Value]
	switch {
	case !ok:
	case action.Result == "":
		ds.errorf(codeResultTaken, b.into.at, "leave `into` out", "%q answers nothing that `into` could take", action.Name)
	case !typ.takes(action.Result):
		ds.errorf(codeResultTaken, b.into.at, "declare "+b.into.Value+": "+string(action.Result), "%q answers %s, but var %q is %s", action.Name, action.Result, b.into.Value, typ)
	}
}
