package flow

import (
	"encoding/json"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/praesenz/parley/schemas"
)

const codeSchema Code = "F211"

var generateVerb = verb{
	name:   "generate",
	fields: []string{"next", "run", "barge_in"},
	errors: []string{"ungrounded", "refused", "timeout"},
	parse: func(n node) body {
		b := &generateBody{
			template:   n.field("template").text(),
			with:       n.field("with").pairs(),
			question:   n.field("question").text(),
			into:       n.field("into").text(),
			schema:     n.field("schema"),
			speak:      n.field("speak").text(),
			groundedIn: n.field("grounded_in").text(),
			maxTokens:  n.field("max_tokens").integer(),
			avatar:     n.field("avatar").text(),
		}
		return b
	},
}

type generateBody struct {
	template, question, into, groundedIn, avatar, speak Text
	with                                                []pair
	schema                                              node
	maxTokens                                           int
}

// mode is how the answer is spoken.
func (b *generateBody) mode() string {
	switch {
	case b.speak.Value != "":
		return b.speak.Value
	case b.schema.there():
		return "none"
	}
	return "stream"
}

func (b *generateBody) facts() facts {
	f := facts{
		prompts: []promptUse{{key: b.template, with: b.with}},
		exprs:   withExprs(b.with),
		silent:  b.mode() != "stream",
	}
	if b.question.Value != "" {
		f.exprs = append(f.exprs, &exprUse{text: b.question, field: "question", want: "text"})
	}
	if b.groundedIn.Value != "" {
		f.reads = []read{{name: "vars." + b.groundedIn.Value, at: b.groundedIn.at, field: "grounded_in"}}
	}
	return f
}

func (b *generateBody) check(t *tree, s *step, ds *Diagnostics) {
	allowed := []Type{"text", "string"}
	if b.schema.there() {
		allowed = b.checkSchema(ds)
	}
	if into := t.checkVar(b.into, "into", ds, allowed...); into != "" {
		s.facts.sets = []string{"vars." + into}
	}
	t.checkVar(b.groundedIn, "grounded_in", ds, "list(passage)")
}

func (b *generateBody) lower(_ *tree, s *Step) {
	s.Generate = &Generate{
		Template:   b.template.Value,
		With:       lowerWith(b.with),
		Question:   b.question.Value,
		Into:       b.into.Value,
		Schema:     b.schema.raw(),
		Speak:      b.mode(),
		GroundedIn: b.groundedIn.Value,
		MaxTokens:  b.maxTokens,
		Avatar:     b.avatar.Value,
	}
}

// checkSchema checks the schema of a structured answer and says which types of
// var take one; none: any.
func (b *generateBody) checkSchema(ds *Diagnostics) []Type {
	if b.speak.Value != "" && b.speak.Value != "none" {
		ds.errorf(codeSchema, b.speak.at, "leave `speak` out, and `say` what the answer holds in the next step",
			"an answer with a `schema` is data and cannot be spoken")
	}
	if b.schema.y.Kind != yaml.MappingNode {
		return nil // the schema of the language has said so
	}
	if err := schemas.CheckSchema(b.schema.raw()); err != nil {
		where := b.schema.at()
		if _, val := b.schema.find(err.Way); val.there() {
			where = val.at()
		}
		ds.errorf(codeSchema, where, "see https://json-schema.org/draft-07", "`schema` is no JSON Schema: %s", err.Message)
		return nil
	}
	return schemaVars[b.schema.field("type").text().Value]
}

// schemaVars are the types of var that take an answer by its schema's `type`.
var schemaVars = map[string][]Type{
	"object":  {"object"},
	"string":  {"text", "string", "date", "time"},
	"integer": {"int", "number", "amount"},
	"number":  {"number", "amount"},
	"boolean": {"bool"},
	"array": {"list(text)", "list(string)", "list(bool)", "list(int)", "list(number)", "list(amount)", "list(date)", "list(time)",
		"list(object)"},
}

// raw is a value as JSON; nil where the author left it out.
func (n node) raw() json.RawMessage {
	if !n.there() {
		return nil
	}
	b, err := json.Marshal(n.json())
	if err != nil { // json gives only what can be marshalled
		return nil
	}
	return b
}

// checkVar checks that a field names a var, of one of the given types where any
// are given. It answers the var that is meant, misspelt or not; "" for none.
func (t *tree) checkVar(name Text, field string, ds *Diagnostics, allowed ...Type) string {
	if name.Value == "" {
		return ""
	}
	typ, ok := typesOf(t.vars)[name.Value]
	if !ok {
		t.undeclared("var", name, name.Value, ds)
		return nearest(name.Value, sortedKeys(t.names().vars))
	}
	if len(allowed) > 0 && !slices.Contains(allowed, typ) {
		names := make([]string, len(allowed))
		for i, a := range allowed {
			names[i] = string(a)
		}
		ds.errorf(codeType, name.at, "", "`%s` needs a var of type %s, but %q is %s", field, strings.Join(names, " or "), name.Value, typ)
	}
	return name.Value
}
