package flow

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

const (
	codeUndeclared Code = "F201"
	codeNotBool    Code = "F202"
	codeNotAValue  Code = "F203"
	codeExprSyntax Code = "F206"
	codeIteration  Code = "F207"
	codeType       Code = "F208"
	codeNoFunction Code = "F209"
)

// maxExprLen bounds an expression: one that is longer is no condition but a
// program.
const maxExprLen = 1000

// checkExpressions types every expression and notes what it reads.
func checkExpressions(t *tree, ds *Diagnostics) {
	env, err := t.names().env()
	if err != nil { // the environment is ours; a broken one is no mistake of the author
		ds.errorf(codeExprSyntax, t.name.at, "", "expressions cannot be checked: %v", err)
		return
	}
	c := newExprChecker(t, t.names().roots(), ds)
	for _, s := range t.steps {
		for _, e := range s.facts.exprs {
			c.check(env, e)
		}
	}
	inIntents := newExprChecker(t, t.names().roots(), ds)
	inIntents.roots["heard"] = sortedKeys(heardFields)
	for _, in := range t.intents {
		if in.set != nil {
			for _, e := range in.set.exprs {
				inIntents.check(env, e)
			}
		}
	}
	for _, s := range t.slots {
		if s.valid.Value == "" {
			continue
		}
		env, err := validEnv(s.typ)
		if err != nil {
			ds.errorf(codeExprSyntax, s.valid.at, "", "`valid` cannot be checked: %v", err)
			continue
		}
		valid := newExprChecker(t, nil, ds)
		valid.check(env, &exprUse{text: s.valid, field: "valid", want: "bool"})
	}
}

// roots are the names that expressions begin with, and the fields of each.
func (n names) roots() map[string][]string {
	ctx := sortedKeys(ctxFields)
	return map[string][]string{"inputs": sortedKeys(n.inputs), "slots": sortedKeys(n.slots), "vars": sortedKeys(n.vars), "ctx": ctx}
}

type exprChecker struct {
	tree  *tree
	ds    *Diagnostics
	roots map[string][]string // nil in `valid`
	asts  map[string]*cel.Ast // by text
	types map[string]*cel.Type
}

func newExprChecker(t *tree, roots map[string][]string, ds *Diagnostics) *exprChecker {
	return &exprChecker{tree: t, ds: ds, roots: roots, asts: map[string]*cel.Ast{}, types: map[string]*cel.Type{}}
}

func (c *exprChecker) check(env *cel.Env, e *exprUse) {
	if e.text.node.y == nil {
		return // the schema or the verb has said that it is missing
	}
	if strings.TrimSpace(e.text.Value) == "" {
		c.ds.errorf(codeExprSyntax, e.text.at, "for empty text, write \"''\"", "the expression of `%s` is empty", e.field)
		return
	}
	if len(e.text.Value) > maxExprLen {
		c.ds.errorf(codeExprSyntax, e.text.at, "split it up with `set`", "the expression of `%s` is longer than %d characters", e.field, maxExprLen)
		return
	}
	parsed, iss := c.parsed(env, e.text.Value)
	if iss.Err() != nil {
		first := iss.Errors()[0]
		hint := ""
		if message := syntaxMessage(first.Message); strings.HasPrefix(message, "unexpected '=") {
			hint = "compare with =="
		}
		c.ds.errorf(codeExprSyntax, c.place(e, first.Location), hint, "the expression of `%s` cannot be read: %s", e.field, syntaxMessage(first.Message))
		return
	}
	before := len(*c.ds)
	c.look(e, parsed)
	if len(*c.ds) > before {
		return // a type mistake would only be an echo
	}
	got, ok := c.types[e.text.Value]
	if !ok {
		checked, iss := env.Check(parsed)
		if iss.Err() != nil {
			for _, err := range iss.Errors() {
				c.typeMistake(e, err)
			}
			return
		}
		got = checked.OutputType()
		c.types[e.text.Value] = got
	}
	c.compare(e, got)
}

// parsed parses an expression once: flows say the same thing in many places.
func (c *exprChecker) parsed(env *cel.Env, text string) (*cel.Ast, *cel.Issues) {
	if ast, ok := c.asts[text]; ok {
		return ast, nil
	}
	ast, iss := env.Parse(text)
	if iss.Err() == nil {
		c.asts[text] = ast
	}
	return ast, iss
}

// place maps a place in an expression to one in the file.
func (c *exprChecker) place(e *exprUse, loc common.Location) at {
	return e.text.span(loc.Line(), max(loc.Column(), 0), 0)
}

// placeOf is the place of a part of an expression. skip is how many characters
// after the part's beginning the mistake begins; 0 for width: not known.
func (c *exprChecker) placeOf(e *exprUse, parsed *cel.Ast, id int64, skip, width int) at {
	loc := parsed.NativeRep().SourceInfo().GetStartLocation(id)
	return e.text.span(loc.Line(), max(loc.Column(), 0)+skip, width)
}

// iterating are CEL's macros that go through a collection.
var iterating = []string{"all", "exists", "exists_one", "existsOne", "map", "filter", "transformList", "transformMap", "transformMapEntry"}

// look reports what the type checker would say badly or not at all, and notes
// what the expression reads.
func (c *exprChecker) look(e *exprUse, parsed *cel.Ast) {
	root := parsed.NativeRep().Expr()
	if slices.ContainsFunc(calls(root), func(x ast.Expr) bool {
		call := x.AsCall()
		if !call.IsMemberFunction() || !slices.Contains(iterating, call.FunctionName()) || len(call.Args()) < 2 {
			return false
		}
		c.ds.errorf(codeIteration, c.placeOf(e, parsed, x.ID(), 0, 0), "ask for one element, or let `retrieve` do the filtering",
			"iterating (`%s`) is not allowed in expressions: the order of a map changes on replay", call.FunctionName())
		return true
	}) {
		return
	}
	var tested []string
	whole := map[int64]bool{} // roots that are a step on the way to one of their fields
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(x ast.Expr) {
		switch x.Kind() {
		case ast.IdentKind:
			name := x.AsIdent()
			where := c.placeOf(e, parsed, x.ID(), 0, len(name))
			if !c.knows(name) {
				c.undeclared(name, where)
			} else if _, ok := c.roots[name]; ok && !whole[x.ID()] {
				c.ds.errorf(codeType, where, "name one of them: "+name+".x", "`%s` alone is no value", name)
			}
		case ast.SelectKind:
			sel := x.AsSelect()
			operand := sel.Operand()
			if operand.Kind() != ast.IdentKind {
				return
			}
			kind, name := operand.AsIdent(), sel.FieldName()
			known, ok := c.roots[kind]
			if !ok {
				return
			}
			whole[operand.ID()] = true
			if !slices.Contains(known, name) {
				c.unknownField(e, parsed, x, kind, name)
				return
			}
			full := kind + "." + name
			e.names = append(e.names, full)
			if sel.IsTestOnly() {
				tested = append(tested, full)
			} else if kind == "slots" || kind == "vars" {
				e.all = append(e.all, read{name: full, at: c.placeOf(e, parsed, operand.ID(), 0, len(full))})
			}
		case ast.CallKind:
			c.comparedEnum(e, parsed, x.AsCall())
		}
	}))
	e.reads = slices.DeleteFunc(slices.Clone(e.all), func(r read) bool {
		return slices.Contains(tested, r.name) || slices.Contains(e.after, r.name)
	})
	e.has, e.hasNot = guarded(root, true), guarded(root, false)
}

// unknownField reports slots.hodl. The place that CEL gives is the dot.
func (c *exprChecker) unknownField(e *exprUse, parsed *cel.Ast, x ast.Expr, kind, name string) {
	skip := 1
	if x.AsSelect().IsTestOnly() {
		skip = 0 // has(slots.hodl): CEL places the macro's parenthesis
	}
	where := c.placeOf(e, parsed, x.ID(), skip, len(name))
	if x.AsSelect().IsTestOnly() {
		where = c.placeOf(e, parsed, x.AsSelect().Operand().ID(), len(kind)+1, len(name))
	}
	if kind == "ctx" || kind == "heard" {
		c.ds.errorf(codeUndeclared, where, "it has "+strings.Join(c.roots[kind], ", "), "`%s` has no %q%s", kind, name, didYouMean(name, c.roots[kind]))
		return
	}
	singular := strings.TrimSuffix(kind, "s")
	hint := ""
	if nearest(name, c.roots[kind]) == "" {
		hint = fmt.Sprintf("declare it under `%s:`", kind)
		for _, other := range sortedKeys(c.roots) {
			if slices.Contains(c.roots[other], name) {
				hint = fmt.Sprintf("write %s.%s", other, name)
			}
		}
	}
	c.ds.errorf(codeUndeclared, where, hint, "%s %q is not declared%s", singular, name, didYouMean(name, c.roots[kind]))
}

// comparedEnum reports slots.lang == 'fr' where fr is not one of its values.
func (c *exprChecker) comparedEnum(e *exprUse, parsed *cel.Ast, call ast.CallExpr) {
	if f := call.FunctionName(); f != operators.Equals && f != operators.NotEquals && f != operators.In {
		return
	}
	for i, side := range call.Args() {
		slot := c.enumOf(side)
		if slot == nil {
			continue
		}
		other := call.Args()[1-i]
		literals := []ast.Expr{other}
		if other.Kind() == ast.ListKind {
			literals = other.AsList().Elements()
		}
		for _, lit := range literals {
			if lit.Kind() != ast.LiteralKind {
				continue
			}
			if text, ok := lit.AsLiteral().Value().(string); ok && !slot.hasValue(text) {
				slot.notAValue(text, c.placeOf(e, parsed, lit.ID(), 0, len([]rune(text))+2), c.ds)
			}
		}
	}
}

func (c *exprChecker) enumOf(x ast.Expr) *slotDecl {
	if x.Kind() != ast.SelectKind || x.AsSelect().Operand().Kind() != ast.IdentKind || x.AsSelect().Operand().AsIdent() != "slots" {
		return nil
	}
	if s := c.tree.slot(x.AsSelect().FieldName()); s != nil && s.typ == "enum" {
		return s
	}
	return nil
}

// checkLiteral reports set: {lang: "'fr'"} where fr is not one of its values.
func (t *tree) checkLiteral(slot *slotDecl, expr Text, ds *Diagnostics) {
	m := literalText.FindStringSubmatch(expr.Value)
	if slot.typ == "enum" && m != nil && !slot.hasValue(m[2]) {
		slot.notAValue(m[2], expr.at, ds)
	}
}

var literalText = regexp.MustCompile(`^\s*(['"])([^'"\\]*)['"]\s*$`)

// guarded are the slots and vars that have a value wherever the expression is
// true, or false: has(vars.a) && !(!has(vars.b) || …).
func guarded(x ast.Expr, truth bool) []string {
	switch x.Kind() {
	case ast.CallKind:
		call := x.AsCall()
		switch f := call.FunctionName(); {
		case f == operators.LogicalNot:
			return guarded(call.Args()[0], !truth)
		case f == operators.LogicalAnd && truth, f == operators.LogicalOr && !truth:
			var out []string
			for _, arg := range call.Args() {
				out = append(out, guarded(arg, truth)...)
			}
			return out
		}
	case ast.SelectKind:
		if sel := x.AsSelect(); truth && sel.IsTestOnly() && sel.Operand().Kind() == ast.IdentKind {
			return []string{sel.Operand().AsIdent() + "." + sel.FieldName()}
		}
	}
	return nil
}

func calls(root ast.Expr) []ast.Expr {
	var out []ast.Expr
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() == ast.CallKind {
			out = append(out, x)
		}
	}))
	return out
}

// compare holds an expression's type against what its place takes.
func (c *exprChecker) compare(e *exprUse, got *cel.Type) {
	if e.want == "" && !e.whole && !slices.Contains(speakable, got.Kind()) {
		c.ds.errorf(codeType, e.text.at, "", "`%s` cannot be %s", e.field, typeName(got))
	}
	if e.want == "" || fits(e.want.cel(), got) {
		return
	}
	if e.code != "" {
		c.ds.errorf(e.code, e.text.at, "", "`%s` must be %s, but `%s` is %s", e.field, typeName(e.want.cel()), e.text.Value, typeName(got))
		return
	}
	if e.want == "bool" {
		c.ds.errorf(codeNotBool, e.text.at, "", "`%s` must be true or false, but `%s` is %s", e.field, e.text.Value, typeName(got))
		return
	}
	c.ds.errorf(codeType, e.text.at, "", "`%s` must be %s, but `%s` is %s", e.field, typeName(e.want.cel()), e.text.Value, typeName(got))
}

// fits reports whether a place that wants a type takes another: what is known
// only at run time fits everything, and an int is a number.
func fits(want, got *cel.Type) bool {
	switch {
	case got.Kind() == cel.DynKind, want.Kind() == cel.DynKind, want.IsExactType(got):
		return true
	case want.Kind() == cel.DoubleKind:
		return got.Kind() == cel.IntKind
	case want.Kind() == cel.MapKind:
		return got.Kind() == cel.MapKind && fits(want.Parameters()[0], got.Parameters()[0])
	case want.Kind() == cel.ListKind:
		return got.Kind() == cel.ListKind && fits(want.Parameters()[0], got.Parameters()[0])
	}
	return false
}

// speakable are the kinds of values that a prompt can be filled with.
var speakable = []cel.Kind{cel.BoolKind, cel.DoubleKind, cel.DynKind, cel.IntKind, cel.ListKind, cel.MapKind, cel.StringKind, cel.StructKind}

// typeName is a CEL type in the words of the language.
func typeName(t *cel.Type) string {
	return plainTypes(cel.FormatCELType(t))
}

var typeWords = strings.NewReplacer(
	inputsType, "inputs", slotsType, "slots", varsType, "vars", ctxType, "ctx", heardType, "heard", passageType, "passage",
	"map(string, dyn)", "object", "string", "text", "double", "number", "dyn", "anything",
)

func plainTypes(s string) string { return typeWords.Replace(s) }

var (
	overloadError   = regexp.MustCompile(`^found no matching overload for '(.+)' applied to '\((.*)\)'$`)
	memberError     = regexp.MustCompile(`^found no matching overload for '(.+)' applied to '(.*)\.\((.*)\)'$`)
	undeclaredError = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	selectionError  = regexp.MustCompile(`^type '(.+)' does not support field selection$`)
)

// typeMistake says in the author's words what CEL's type checker found.
func (c *exprChecker) typeMistake(e *exprUse, err *common.Error) {
	where := c.place(e, err.Location)
	if m := undeclaredError.FindStringSubmatch(err.Message); m != nil { // names have been looked at
		hint := ""
		if nearest(m[1], functions) == "" {
			hint = "there are " + strings.Join(functions, ", ")
		}
		c.ds.errorf(codeNoFunction, where, hint, "there is no function `%s`%s", m[1], didYouMean(m[1], functions))
		return
	}
	message := "the expression of `" + e.field + "`: " + plainTypes(err.Message)
	hint := ""
	if m := memberError.FindStringSubmatch(err.Message); m != nil {
		message = fmt.Sprintf("`%s(%s)` does not work on %s", m[1], plainTypes(m[3]), plainTypes(m[2]))
	} else if m := overloadError.FindStringSubmatch(err.Message); m != nil {
		message = fmt.Sprintf("`%s` does not work on %s", operatorName(m[1]), plainTypes(strings.ReplaceAll(m[2], ", ", " and ")))
		if strings.Contains(m[2], "double") && strings.Contains(m[2], "int") {
			hint = "write whole numbers with a point, like 1.0, beside a number"
		}
	} else if strings.Contains(err.Message, "invalid matches argument") {
		message = "the pattern of `matches` is no regular expression"
		hint = "see https://github.com/google/re2/wiki/Syntax"
	} else if m := selectionError.FindStringSubmatch(err.Message); m != nil {
		message = fmt.Sprintf("%s has no fields", plainTypes(m[1]))
		if strings.HasPrefix(m[1], "list(") {
			hint = "name one of its elements, as in x[0].field"
		}
	}
	c.ds.errorf(codeType, where, hint, "%s", message)
}

// functions are those of CEL's that flows have a use for.
var functions = []string{"size", "has", "contains", "startsWith", "endsWith", "matches", "string", "int", "double"}

// knows reports whether an expression may begin with a name. The names of CEL's
// own types are not worth a suggestion, but they are no mistake.
func (c *exprChecker) knows(name string) bool {
	if c.roots == nil {
		return name == "value" || slices.Contains(typeNames, name)
	}
	_, isRoot := c.roots[name]
	return isRoot || slices.Contains(typeNames, name)
}

var typeNames = []string{"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"}

// undeclared reports a name that there is not.
func (c *exprChecker) undeclared(name string, where at) {
	if c.roots == nil {
		c.ds.errorf(codeUndeclared, where, "it knows only `value`", "`valid` does not know `%s`", name)
		return
	}
	hint := fmt.Sprintf("for text, quote it once more: \"'%s'\"", name)
	for _, kind := range []string{"slots", "vars", "inputs", "ctx"} {
		if slices.Contains(c.roots[kind], name) {
			hint = fmt.Sprintf("write %s.%s", kind, name)
		}
	}
	if name == "heard" {
		hint = "only an intent's `set` knows it; what the customer said last is ctx.utterance"
	}
	c.ds.errorf(codeUndeclared, where, hint, "expressions do not know `%s`%s", name, didYouMean(name, sortedKeys(c.roots)))
}

// operatorName is _+_ as one writes it.
func operatorName(f string) string {
	if name, ok := operators.FindReverse(f); ok && name != "" {
		return name
	}
	switch f {
	case operators.Conditional:
		return "? :"
	case operators.Index:
		return "[ ]"
	}
	return f
}

// syntaxMessage leaves out the list of everything that CEL would have taken.
func syntaxMessage(s string) string {
	s = strings.TrimPrefix(s, "Syntax error: ")
	s, _, _ = strings.Cut(s, " expecting ")
	switch {
	case strings.Contains(s, "'<EOF>'"):
		return "it ends too early"
	case strings.HasPrefix(s, "token recognition error at: "):
		return "unexpected " + strings.TrimPrefix(s, "token recognition error at: ")
	}
	for _, p := range []string{"mismatched input ", "extraneous input ", "no viable alternative at input "} {
		if rest, ok := strings.CutPrefix(s, p); ok {
			return "unexpected " + rest
		}
	}
	return s
}
