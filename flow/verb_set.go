package flow

import (
	"slices"
	"strings"
)

var setVerb = verb{
	name:   "set",
	fields: []string{"next"},
	parse:  func(n node) body { return &setBody{assigns: n.pairs()} },
}

type setBody struct {
	assigns []pair
	exprs   []*exprUse // one for each of assigns
}

func (b *setBody) facts() facts {
	for _, p := range b.assigns {
		b.exprs = append(b.exprs, &exprUse{text: p.val.text(), field: p.key.Value})
	}
	return facts{exprs: b.exprs, silent: true}
}

// check resolves the targets, which is why it also completes the facts: what a
// short name means is known only when all names are.
func (b *setBody) check(t *tree, s *step, ds *Diagnostics) {
	s.facts.sets, s.facts.forgets = b.resolve(t, ds)
}

// resolve checks the targets and says what has a value afterwards and what has
// none any more.
func (b *setBody) resolve(t *tree, ds *Diagnostics) (sets, forgets []string) {
	for i, p := range b.assigns {
		name, typ := t.target(p.key)
		switch {
		case typ == "" && name != "":
			ds.errorf(codeUndeclared, p.key.at, "write slots."+name+" or vars."+name, "%q is both a slot and a var", p.key.Value)
		case name == "":
			bare := p.key.Value[strings.LastIndexByte(p.key.Value, '.')+1:]
			n := t.names()
			ds.errorf(codeUndeclared, p.key.at, "", "%q is no slot or var%s", p.key.Value,
				didYouMean(bare, append(sortedKeys(n.slots), sortedKeys(n.vars)...)))
		default:
			b.exprs[i].want = typ
			if slot := t.slot(strings.TrimPrefix(name, "slots.")); slot != nil && strings.HasPrefix(name, "slots.") {
				t.checkLiteral(slot, b.exprs[i].text, ds)
			}
			b.exprs[i].after = slices.Clone(sets)
			has := func(other string) bool { return other == name }
			sets, forgets = slices.DeleteFunc(sets, has), slices.DeleteFunc(forgets, has)
			if p.val.null() {
				forgets = append(forgets, name)
			} else {
				sets = append(sets, name)
			}
		}
	}
	return sets, forgets
}

// cutName takes "slots.x" apart.
func cutName(name string) (kind, bare string, ok bool) { return strings.Cut(name, ".") }

// target is the full name ("slots.x") and type of what `set` assigns to. A name
// that is both a slot and a var has no type; one that is neither has no name.
func (t *tree) target(key Text) (string, Type) {
	n := t.names()
	if name, ok := strings.CutPrefix(key.Value, "slots."); ok {
		if typ, ok := n.slots[name]; ok {
			return key.Value, typ
		}
		return "", ""
	}
	if name, ok := strings.CutPrefix(key.Value, "vars."); ok {
		if typ, ok := n.vars[name]; ok {
			return key.Value, typ
		}
		return "", ""
	}
	slotType, isSlot := n.slots[key.Value]
	varType, isVar := n.vars[key.Value]
	switch {
	case isSlot && isVar:
		return key.Value, ""
	case isSlot:
		return "slots." + key.Value, slotType
	case isVar:
		return "vars." + key.Value, varType
	}
	return "", ""
}

func (b *setBody) lower(t *tree, s *Step) { s.Set = b.lowerAssigns(t) }

func (b *setBody) lowerAssigns(t *tree) []Assign {
	var out []Assign
	for _, p := range b.assigns {
		name, _ := t.target(p.key)
		expr := p.val.text().Value
		if p.val.null() {
			expr = "null"
		}
		out = append(out, Assign{Name: name, Expr: expr})
	}
	return out
}
