package flow

import "slices"

const (
	codeNoElse    Code = "F107"
	codeAfterElse Code = "F108"
)

var branchVerb = verb{
	name: "branch",
	parse: func(n node) body {
		b := &branchBody{node: n}
		for _, item := range n.items() {
			b.arms = append(b.arms, arm{
				node:   item,
				when:   &exprUse{text: item.field("when").text(), field: "when", want: "bool"},
				to:     item.field("to").text(),
				isElse: item.field("else").there(),
				other:  item.field("else").text(),
			})
		}
		return b
	},
}

type branchBody struct {
	node node
	arms []arm
}

type arm struct {
	node   node
	when   *exprUse
	to     Text
	isElse bool
	other  Text // the step of `else`
}

func (b *branchBody) facts() facts {
	var f facts
	for _, a := range b.arms {
		if a.isElse {
			f.edges = append(f.edges, edge{to: a.other, kind: onCase, when: &exprUse{untrue: f.exprs}})
			continue
		}
		a.when.untrue = slices.Clone(f.exprs)
		f.exprs = append(f.exprs, a.when)
		f.edges = append(f.edges, edge{to: a.to, kind: onCase, when: a.when})
	}
	return f
}

func (b *branchBody) check(_ *tree, s *step, ds *Diagnostics) {
	found := false
	for _, a := range b.arms {
		switch {
		case found:
			ds.errorf(codeAfterElse, a.node.at(), "put `else` last", "this arm of %q comes after `else` and can never be taken", s.name.Value)
		case a.isElse && (a.when.text.Value != "" || a.to.Value != ""):
			ds.errorf(codeAfterElse, a.node.at(), "make them two arms", "an arm has `when` and `to`, or `else`, not both")
		case !a.isElse && a.when.text.Value == "":
			ds.errorf(codeMissing, a.node.at(), "", "an arm of `branch` needs `when`")
		case !a.isElse && a.to.Value == "":
			ds.errorf(codeMissing, a.node.at(), "", "an arm of `branch` needs `to`")
		}
		found = found || a.isElse
	}
	if !found {
		ds.errorf(codeNoElse, s.name.at, "end it with {else: step}", "branch %q has no `else`; a customer who matches nothing would be stranded", s.name.Value)
	}
}

func (b *branchBody) lower(_ *tree, s *Step) {
	for _, a := range b.arms {
		if a.isElse {
			s.Branch = append(s.Branch, Case{To: a.other.Value})
			continue
		}
		s.Branch = append(s.Branch, Case{When: a.when.text.Value, To: a.to.Value})
	}
}
