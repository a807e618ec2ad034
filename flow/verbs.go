package flow

// verbs are all verbs, in the order in which the documentation lists them. A
// verb is one file: it parses its own fields, tells the checks its facts, checks
// what only it knows, and lowers itself into the plan.
var verbs = []*verb{&sayVerb, &collectVerb, &retrieveVerb, &generateVerb, &setVerb, &branchVerb, &endVerb}

type verb struct {
	name   string
	fields []string // fields of the step beside the verb that mean something with it; `note` always does
	errors []string // what it can fail with, beside "error"
	parse  func(node) body
}

// A body is what a step's verb holds.
type body interface {
	facts() facts
	// check reports what only this verb can know.
	check(*tree, *step, *Diagnostics)
	lower(*tree, *Step)
}

// facts are what the checks need to know of a verb, whatever it is.
type facts struct {
	prompts []promptUse
	exprs   []*exprUse
	reads   []read   // slots and vars that it needs beside those in its expressions
	edges   []edge   // where it can go, beside `next`, `catch` and the ladders
	sets    []string // "slots.x" and "vars.x" that have a value when it goes on to `next`
	forgets string   // "slots.x" whose answer is forgotten when the step is reached
	listens bool
	// silent says that a customer hears nothing until the step is done.
	silent bool
	ends   bool
}

// A promptUse is a place where a prompt is spoken or given to the model.
type promptUse struct {
	key  Text
	with []pair
}

// An exprUse is a place where an expression stands.
type exprUse struct {
	text    Text
	field   string // as the author knows the place: `when`
	want    Type   // "" takes any value
	toModel bool   // its value reaches the language model
	after   []string

	// What the expression check finds out:
	reads []read   // slots and vars that must have a value
	has   []string // those that have one where the expression is true
}

// A read is one use of a slot or var in an expression.
type read struct {
	name string // "slots.x" or "vars.x"
	at   at
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
