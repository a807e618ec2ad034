package flow

import (
	"fmt"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Names of the object types that an expression sees. They cannot clash with an
// author's names because those hold no slash.
const (
	inputsType  = "parley/inputs"
	slotsType   = "parley/slots"
	varsType    = "parley/vars"
	ctxType     = "parley/ctx"
	heardType   = "parley/heard"
	passageType = "parley/passage"
)

// element is T of "list(T)", and whether t is a list.
func (t Type) element() (Type, bool) {
	inner, ok := strings.CutPrefix(string(t), "list(")
	if !ok {
		return "", false
	}
	inner, ok = strings.CutSuffix(inner, ")")
	return Type(inner), ok
}

// cel is the type that an expression sees; an unknown type is dyn, which fits
// everything, because the unknown name has its own diagnostic.
func (t Type) cel() *cel.Type {
	if elem, ok := t.element(); ok {
		return cel.ListType(elem.cel())
	}
	switch t {
	case "text", "string", "enum", "date", "time":
		return cel.StringType
	case "bool":
		return cel.BoolType
	case "int":
		return cel.IntType
	case "number", "amount":
		return cel.DoubleType
	case "object":
		return cel.MapType(cel.StringType, cel.DynType)
	case "passage":
		return cel.ObjectType(passageType)
	}
	return cel.DynType
}

// shape tells the type checker which fields inputs, slots, vars, ctx and
// passages have. The values themselves are plain maps.
type shape struct {
	types.Provider
	fields map[string]map[string]*cel.Type
}

// FindStructType implements types.Provider.
func (s shape) FindStructType(name string) (*types.Type, bool) {
	if _, ok := s.fields[name]; ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return s.Provider.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (s shape) FindStructFieldNames(name string) ([]string, bool) {
	if fields, ok := s.fields[name]; ok {
		return sortedKeys(fields), true
	}
	return s.Provider.FindStructFieldNames(name)
}

// FindStructFieldType implements types.Provider. A passage carries whatever
// fields its document had, so the ones not listed are dyn.
func (s shape) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	fields, ok := s.fields[name]
	if !ok {
		return s.Provider.FindStructFieldType(name, field)
	}
	if t, ok := fields[field]; ok {
		return &types.FieldType{Type: t}, true
	}
	if name == passageType {
		return &types.FieldType{Type: cel.DynType}, true
	}
	return nil, false
}

// NewValue implements types.Provider; expressions make no objects of ours.
func (s shape) NewValue(name string, fields map[string]ref.Val) ref.Val {
	if _, ok := s.fields[name]; ok {
		return types.NewErr("%s cannot be made in an expression", name)
	}
	return s.Provider.NewValue(name, fields)
}

// baseEnv holds CEL's standard functions without the macros that iterate:
// iteration over a map has no fixed order and would break replay. There is no
// clock and no randomness in it.
var baseEnv = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.ClearMacros(),
		cel.Macros(cel.HasMacro),
		cel.CrossTypeNumericComparisons(true), // slots.price > 10 for a number and an int
		cel.ASTValidators(cel.ValidateRegexLiterals()),
	)
})

var (
	ctxFields = map[string]*cel.Type{
		"turns":     cel.IntType,
		"language":  cel.StringType,
		"utterance": cel.StringType,
	}
	heardFields = map[string]*cel.Type{
		"language": cel.StringType,
		"text":     cel.StringType,
	}
	passageFields = map[string]*cel.Type{
		"id":     cel.StringType,
		"source": cel.StringType,
		"title":  cel.StringType,
		"text":   cel.StringType,
		"score":  cel.DoubleType,
	}
)

// names are the typed names that expressions may use.
type names struct {
	inputs, slots, vars map[string]Type
}

// env is the environment in which a flow's expressions are checked and run.
func (n names) env() (*cel.Env, error) {
	base, err := baseEnv()
	if err != nil {
		return nil, fmt.Errorf("build the expression environment: %w", err)
	}
	s := shape{Provider: base.CELTypeProvider(), fields: map[string]map[string]*cel.Type{
		inputsType:  celTypes(n.inputs),
		slotsType:   celTypes(n.slots),
		varsType:    celTypes(n.vars),
		ctxType:     ctxFields,
		heardType:   heardFields,
		passageType: passageFields,
	}}
	env, err := base.Extend(
		cel.CustomTypeProvider(s),
		cel.Variable("inputs", cel.ObjectType(inputsType)),
		cel.Variable("slots", cel.ObjectType(slotsType)),
		cel.Variable("vars", cel.ObjectType(varsType)),
		cel.Variable("ctx", cel.ObjectType(ctxType)),
		cel.Variable("heard", cel.ObjectType(heardType)), // of an intent
	)
	if err != nil {
		return nil, fmt.Errorf("build the expression environment: %w", err)
	}
	return env, nil
}

// validEnv is the environment of a slot's `valid`: its only name is `value`.
func validEnv(t Type) (*cel.Env, error) {
	base, err := baseEnv()
	if err != nil {
		return nil, fmt.Errorf("build the expression environment: %w", err)
	}
	env, err := base.Extend(cel.Variable("value", t.cel()))
	if err != nil {
		return nil, fmt.Errorf("build the environment of `valid`: %w", err)
	}
	return env, nil
}

func celTypes(m map[string]Type) map[string]*cel.Type {
	out := make(map[string]*cel.Type, len(m))
	for name, t := range m {
		out[name] = t.cel()
	}
	return out
}
