package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// A Scope holds the values that expressions read. A slot or var that has no
// value yet is absent from its map. Passages are maps with id, source, title,
// text (strings), score (0..1) and their document's own fields beside them.
// Numbers may be any Go number: a value that went through JSON reads as the
// type that the plan declares.
type Scope struct {
	Inputs, Slots, Vars map[string]any
	// Ctx has turns (int), language (BCP 47 tag) and utterance (what the
	// customer said last).
	Ctx map[string]any
	// Heard has language (BCP 47 tag) and text: what an intent's words say, for
	// the expressions of its Set.
	Heard map[string]any
}

// Lacks reports whether an expression names a slot or var, and nothing else, that
// has no value.
func (s Scope) Lacks(expr string) bool {
	m := named.FindStringSubmatch(expr)
	if m == nil {
		return false
	}
	values, ok := map[string]map[string]any{"slots": s.Slots, "vars": s.Vars}[m[1]]
	return ok && values[m[2]] == nil
}

// A Program evaluates a plan's expressions. It is pure and deterministic: the
// same plan and scope give the same value on every replay. It is safe for
// concurrent use.
//
// workflowcheck follows its methods into the libraries' allocations and caches,
// which no result depends on; hence they are exempt from it.
type Program struct {
	plan  *Plan
	exprs map[string]cel.Program // by source text
	valid map[string]cel.Program // by slot
}

// NewProgram prepares every expression of a plan. Its error names the step and
// the expression; a plan that Compile made has none.
//
//workflowcheck:ignore
func NewProgram(p *Plan) (*Program, error) {
	slots := make(map[string]Type, len(p.Slots))
	for name, s := range p.Slots {
		slots[name] = s.Type
	}
	env, err := names{inputs: p.Inputs, slots: slots, vars: p.Vars}.env()
	if err != nil {
		return nil, err
	}
	prog := &Program{plan: p, exprs: map[string]cel.Program{}, valid: map[string]cel.Program{}}
	add := func(where, name string, exprs ...string) error {
		for _, expr := range exprs {
			if prog.exprs[expr] != nil {
				continue
			}
			var err error
			if prog.exprs[expr], err = compileExpr(env, expr); err != nil {
				return fmt.Errorf("%s %q: expression %q: %w", where, name, expr, err)
			}
		}
		return nil
	}
	for _, name := range sortedKeys(p.Steps) {
		if err := add("step", name, p.Steps[name].expressions()...); err != nil {
			return nil, err
		}
	}
	// An intent that was heard with doubt is read back in the customer's words.
	if err := add("prompt", PromptConfirmHeard, "ctx.utterance"); err != nil {
		return nil, err
	}
	for _, in := range p.Intents {
		for _, a := range in.Set {
			if err := add("intent", in.Name, a.Expr); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range sortedKeys(p.Slots) {
		s := p.Slots[name]
		// A value that is read back, or refused, is spoken as the slot's.
		if err := add("slot", name, "slots."+name); err != nil {
			return nil, err
		}
		if s.Valid == "" {
			continue
		}
		env, err := validEnv(s.Type)
		if err != nil {
			return nil, err
		}
		if prog.valid[name], err = compileExpr(env, s.Valid); err != nil {
			return nil, fmt.Errorf("slot %q: valid %q: %w", name, s.Valid, err)
		}
	}
	return prog, nil
}

func compileExpr(env *cel.Env, expr string) (cel.Program, error) {
	ast, iss := env.Compile(expr)
	if err := iss.Err(); err != nil {
		return nil, err
	}
	return env.Program(ast)
}

// expressions are all CEL sources of a step, in a fixed order.
func (s Step) expressions() []string {
	var out []string
	add := func(with With) {
		for _, k := range sortedKeys(with) {
			out = append(out, with[k])
		}
	}
	some := func(exprs ...string) {
		for _, e := range exprs {
			if e != "" {
				out = append(out, e)
			}
		}
	}
	switch {
	case s.Say != nil:
		add(s.Say.With)
		if s.Say.Screen != nil {
			some(s.Say.Screen.Mark)
		}
	case s.Collect != nil:
		add(s.Collect.With)
		some(s.Collect.Options)
		if s.Collect.Screen != nil {
			some(s.Collect.Screen.Mark)
		}
		if s.Collect.Confirm != nil {
			add(s.Collect.Confirm.With)
		}
	case s.Retrieve != nil:
		out = append(out, s.Retrieve.Query)
		add(s.Retrieve.Filter)
	case s.Generate != nil:
		add(s.Generate.With)
		some(s.Generate.Question)
	case s.Call != nil:
		add(s.Call.Args)
	case s.RunFlow != nil:
		add(s.RunFlow.Inputs)
	case s.Parallel != nil:
		for _, l := range s.Parallel.Branches {
			for _, inner := range l.Steps {
				some(inner.expressions()...)
			}
		}
	case s.Handoff != nil:
		add(s.Handoff.With)
	case s.End != nil:
		add(s.End.With)
	}
	for _, a := range s.Set {
		out = append(out, a.Expr)
	}
	for _, c := range s.Branch {
		some(c.When)
	}
	return out
}

// Value evaluates one of the plan's expressions. The result is plain Go that
// survives JSON: nil, bool, int64, float64, string, []any or map[string]any.
//
//workflowcheck:ignore
func (p *Program) Value(expr string, s Scope) (any, error) {
	prg, ok := p.exprs[expr]
	if !ok {
		return nil, fmt.Errorf("expression %q is not in plan %s %s", expr, p.plan.Flow, p.plan.Version)
	}
	val, _, err := prg.Eval(p.activation(s))
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", expr, err)
	}
	out, err := native(val)
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", expr, err)
	}
	return out, nil
}

// Bool evaluates an expression that is true or false.
func (p *Program) Bool(expr string, s Scope) (bool, error) {
	v, err := p.Value(expr, s)
	if err != nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("expression %q must be true or false, but is %s", expr, describe(v))
	}
	return b, nil
}

// Text evaluates an expression and writes its value as text: numbers with a
// point and without an exponent, bools as true and false, passages as numbered
// blocks, other lists with commas.
//
//workflowcheck:ignore
func (p *Program) Text(expr string, s Scope) (string, error) {
	v, err := p.Value(expr, s)
	if err != nil {
		return "", err
	}
	return speech{}.text(v), nil
}

// Prompt is the text of a prompt with its placeholders filled. Values are written
// as one says them in the language: "12,5" and "ja" in German; and where an
// expression only names a slot, var or input, as one of its type: a date in
// words, an amount with its currency, a code digit by digit, an enum's value by
// its first synonym, a list with "and".
//
//workflowcheck:ignore
func (p *Program) Prompt(lang, key string, with With, s Scope) (string, error) {
	text, ok := p.plan.Prompts[lang][key]
	if !ok {
		return "", fmt.Errorf("prompt %q has no text in %q", key, lang)
	}
	tpl, bad := parseTemplate(text)
	if bad != nil {
		return "", fmt.Errorf("prompt %q in %q: %w", key, lang, bad)
	}
	var b strings.Builder
	for _, part := range tpl {
		if !part.placeholder {
			b.WriteString(part.text)
			continue
		}
		expr, ok := with[part.text]
		if !ok {
			return "", fmt.Errorf("prompt %q in %q uses {%s}, which the step does not pass", key, lang, part.text)
		}
		v, err := p.Value(expr, s)
		if err != nil {
			return "", fmt.Errorf("prompt %q, placeholder {%s}: %w", key, part.text, err)
		}
		b.WriteString(p.speak(lang, expr, v))
	}
	return b.String(), nil
}

// activation gives each value the type that the plan declares: JSON, through
// which a conversation's state goes, knows only one kind of number.
func (p *Program) activation(s Scope) map[string]any {
	slots := make(map[string]any, len(s.Slots))
	for name, v := range s.Slots {
		slots[name] = typed(v, p.plan.Slots[name].Type)
	}
	return map[string]any{
		"inputs": typedMap(s.Inputs, p.plan.Inputs),
		"slots":  slots,
		"vars":   typedMap(s.Vars, p.plan.Vars),
		"ctx":    typedMap(s.Ctx, map[string]Type{"turns": "int"}),
		"heard":  s.Heard,
	}
}

func typedMap(m map[string]any, ts map[string]Type) map[string]any {
	out := make(map[string]any, len(m))
	for name, v := range m {
		out[name] = typed(v, ts[name])
	}
	return out
}

func typed(v any, t Type) any {
	if elem, ok := t.element(); ok {
		rv := reflect.ValueOf(v)
		if rv.Kind() != reflect.Slice {
			return v
		}
		out := make([]any, rv.Len())
		for i := range out {
			out[i] = typed(rv.Index(i).Interface(), elem)
		}
		return out
	}
	if t != "int" && t != "number" && t != "amount" {
		return v
	}
	f, ok := float(v)
	switch {
	case !ok:
		return v
	case t != "int":
		return f
	case f == float64(int64(f)):
		return int64(f)
	}
	return v
}

func float(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case float64:
		return n, true
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	}
	return 0, false
}

// native turns a CEL value into plain Go.
func native(v ref.Val) (any, error) {
	switch v := v.(type) {
	case types.Null:
		return nil, nil
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		return int64(v), nil
	case types.Double:
		return float64(v), nil
	case types.String:
		return string(v), nil
	case traits.Mapper:
		out := map[string]any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			name, ok := key.(types.String)
			if !ok {
				return nil, errors.New("a map must have text keys")
			}
			val, err := native(v.Get(key))
			if err != nil {
				return nil, err
			}
			out[string(name)] = val
		}
		return out, nil
	case traits.Lister:
		out := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			val, err := native(it.Next())
			if err != nil {
				return nil, err
			}
			out = append(out, val)
		}
		return out, nil
	}
	return nil, fmt.Errorf("a value of type %s cannot be kept", v.Type().TypeName())
}

// describe names a value's kind as flow authors know it.
func describe(v any) string {
	switch v.(type) {
	case nil:
		return "empty"
	case bool:
		return "a bool"
	case int64:
		return "an int"
	case float64:
		return "a number"
	case string:
		return "text"
	case []any:
		return "a list"
	}
	return "a map"
}

// sortedKeys are a map's keys in the one order that every replay sees.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
