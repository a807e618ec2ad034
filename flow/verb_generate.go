package flow

import (
	"slices"
	"strings"
)

var generateVerb = verb{
	name:   "generate",
	fields: []string{"next", "run", "catch", "barge_in"},
	errors: []string{"ungrounded", "refused", "timeout"},
	parse: func(n node) body {
		b := &generateBody{
			template:   n.field("template").text(),
			with:       n.field("with").pairs(),
			question:   n.field("question").text(),
			into:       n.field("into").text(),
			speak:      "stream",
			groundedIn: n.field("grounded_in").text(),
			maxTokens:  n.field("max_tokens").integer(),
			avatar:     n.field("avatar").text(),
		}
		if speak := n.field("speak").text().Value; speak != "" {
			b.speak = speak
		}
		return b
	},
}

type generateBody struct {
	template, question, into, groundedIn, avatar Text
	with                                         []pair
	speak                                        string
	maxTokens                                    int
}

func (b *generateBody) facts() facts {
	f := facts{
		prompts: []promptUse{{b.template, b.with}},
		exprs:   withExprs(b.with),
		silent:  b.speak != "stream",
	}
	if b.question.Value != "" {
		f.exprs = append(f.exprs, &exprUse{text: b.question, field: "question", want: "text"})
	}
	if b.groundedIn.Value != "" {
		f.reads = []read{{name: "vars." + b.groundedIn.Value, at: b.groundedIn.at}}
	}
	for _, e := range f.exprs {
		e.toModel = true
	}
	return f
}

func (b *generateBody) check(t *tree, s *step, ds *Diagnostics) {
	if into := t.checkVar(b.into, "into", ds, "text", "string"); into != "" {
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
		Speak:      b.speak,
		GroundedIn: b.groundedIn.Value,
		MaxTokens:  b.maxTokens,
		Avatar:     b.avatar.Value,
	}
}

// checkVar checks that a field names a var of one of the given types. It answers
// the var that is meant, misspelt or not; "" for none.
func (t *tree) checkVar(name Text, field string, ds *Diagnostics, allowed ...Type) string {
	if name.Value == "" {
		return ""
	}
	typ, ok := typesOf(t.vars)[name.Value]
	if !ok {
		t.undeclared("var", name, name.Value, ds)
		return nearest(name.Value, sortedKeys(t.names().vars))
	}
	if !slices.Contains(allowed, typ) {
		names := make([]string, len(allowed))
		for i, a := range allowed {
			names[i] = string(a)
		}
		ds.errorf(codeType, name.at, "", "`%s` needs a var of type %s, but %q is %s", field, strings.Join(names, " or "), name.Value, typ)
	}
	return name.Value
}
