package flow

// verbs are all verbs, in the order in which the documentation lists them. A
// verb is one file: it parses its own fields, tells the checks its facts, checks
// what only it knows, and lowers itself into the plan.
var verbs = []*verb{
	&sayVerb, &collectVerb, &retrieveVerb, &generateVerb, &callVerb, &setVerb, &branchVerb,
	&runFlowVerb, &parallelVerb, &waitVerb, &handoffVerb, &endVerb,
}

type verb struct {
	name   string
	fields []string // fields of the step beside the verb that mean something with it; `note` and `catch` always do
	errors []string // what it can fail with, beside "error"
	parse  func(node) body
}

// A body is what a step's verb holds.
type body interface {
	facts() facts
	// check reports what only this verb can know.
	check(t *tree, s *step, ds *Diagnostics)
	lower(*tree, *Step)
}

// facts are what the checks need to know of a verb, whatever it is.
type facts struct {
	prompts []promptUse
	files   []fileUse
	exprs   []*exprUse
	reads   []read   // slots and vars that it needs beside those in its expressions
	edges   []edge   // where it can go, beside `next`, `catch` and the ladders
	sets    []string // "slots.x" and "vars.x" that have a value when it goes on to `next`
	// setsOn are those that have a value when it is left by what `catch` names.
	setsOn  map[string][]string
	forgets []string // "slots.x" and "vars.x" that have none any more once the step is reached
	// errors are what it can fail with, beside "error"; nil with anyError: not known.
	errors   []string
	anyError bool
	listens  bool
	hears    bool // intents are heard in it: it listens, or the flow that it runs does
	waits    bool // time passes in it, or a customer is heard, so that it stops a circle
	// silent says that a customer hears nothing until the step is done.
	silent bool
	ends   bool
}

// A promptUse is a place where a prompt is spoken or given to the model.
type promptUse struct {
	key  Text
	with []pair
	own  []string // placeholders that are filled without the author's doing
}

// A fileUse is a place where a file of the store is shown.
type fileUse struct {
	name Text
	with []pair
}

// An exprUse is a place where an expression stands.
type exprUse struct {
	text   Text
	field  string     // as the author knows the place: `when`
	want   Type       // "" takes any value that can be spoken
	whole  bool       // takes any value at all
	spare  bool       // may be left without a value: an argument that an action does not require
	after  []string   // what has a value here whatever came before
	untrue []*exprUse // what was false before this is looked at
	code   Code       // of a value of the wrong type; default F202 or F208

	// What the expression check finds out:
	reads  []read   // slots and vars that must have a value
	all    []read   // all uses of a slot or var, guarded or not
	names  []string // of all slots and vars in it
	has    []string // those that have one where the expression is true
	hasNot []string // those that have one where it is false
}

// A read is one use of a slot or var in an expression.
type read struct {
	name  string // "slots.x" or "vars.x"
	at    at
	field string // where it stands, when not in an expression
}

func verbNamed(name string) *verb {
	for _, v := range verbs {
		if v.name == name {
			return v
		}
	}
	return nil
}

// withExprs are the expressions that fill a prompt's placeholders.
func withExprs(with []pair) []*exprUse {
	var out []*exprUse
	for _, p := range with {
		out = append(out, &exprUse{text: p.val.text(), field: p.key.Value})
	}
	return out
}

// catchOf is the step to which what went wrong leads, or nil where the author
// says nothing of it.
func (s *step) catchOf(failure string) *Text {
	for _, c := range s.catch {
		if c.key.Value == failure {
			to := c.val.text()
			return &to
		}
	}
	return nil
}

// catches reports whether a failure leads anywhere.
func (s *step) catches(failure string) bool {
	return s.catchOf(failure) != nil || s.catchOf("error") != nil
}

func lowerWith(with []pair) With {
	if len(with) == 0 {
		return nil
	}
	out := make(With, len(with))
	for _, p := range with {
		out[p.key.Value] = p.val.text().Value
	}
	return out
}
