package flow

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

const codeSlot Code = "F210"

// checkSlots checks that slots are complete and that what they name are their
// own values.
func checkSlots(t *tree, ds *Diagnostics) {
	for _, s := range t.slots {
		name := s.name.Value
		if s.typ == "enum" && len(s.values) == 0 {
			ds.errorf(codeSlot, s.name.at, "", "enum slot %q needs `values`", name)
		}
		if s.typ != "enum" && s.typ != "" {
			for _, field := range []string{"values", "synonyms"} {
				if n := s.node.field(field); n.there() {
					ds.errorf(codeSlot, n.at(), "", "`%s` belongs to an enum; slot %q is %s", field, name, s.typ)
				}
			}
		}
		if n := s.node.field("max_len"); n.there() && s.typ != "text" && s.typ != "string" {
			ds.errorf(codeSlot, n.at(), "", "`max_len` belongs to text; slot %q is %s", name, s.typ)
		}
		for _, field := range []string{"normalise", "pattern"} {
			if n := s.node.field(field); n.there() && s.typ != "string" && s.typ != "" {
				ds.errorf(codeSlot, n.at(), "declare it as string", "`%s` belongs to a string; slot %q is %s", field, name, s.typ)
			}
		}
		if _, err := regexp.Compile(s.pattern.Value); err != nil {
			ds.errorf(codeSlot, s.pattern.at, "see https://github.com/google/re2/wiki/Syntax", "`pattern` of slot %q is no regular expression: %s", name, patternFault(err))
		}
		if s.invalid.Value != "" && s.pattern.Value == "" && s.valid.Value == "" && !s.node.field("normalise").there() {
			ds.errorf(codeSlot, s.invalid.at, "add `valid`, `pattern` or `normalise`, or leave it out", "`invalid` is never spoken: slot %q refuses no value", name)
		}
		s.checkInitial(ds)
		for _, lang := range s.synonyms {
			t.checkSupported(lang.key, ds)
			for _, value := range lang.val.pairs() {
				if s.typ == "enum" && !s.hasValue(value.key.Value) {
					s.notAValue(value.key.Value, value.key.at, ds)
				}
			}
		}
	}
}

// patternFault is what is wrong with a regular expression.
func patternFault(err error) string {
	var syntax *syntax.Error
	if errors.As(err, &syntax) {
		return fmt.Sprintf("%s: %q", syntax.Code, syntax.Expr)
	}
	return err.Error()
}

func (s *slotDecl) checkInitial(ds *Diagnostics) {
	if !s.initial.there() || s.initial.y.Kind != yaml.ScalarNode {
		return
	}
	if s.typ == "enum" {
		if text := s.initial.text().Value; !s.hasValue(text) {
			s.notAValue(text, s.initial.at(), ds)
		}
		return
	}
	if s.initialValue() == nil && !s.initial.bareBool() {
		ds.errorf(codeType, s.initial.at(), "", "`initial` of slot %q must be %s, but this is %s", s.name.Value, s.typ, s.initial.kind())
	}
}

// initialValue is `initial` as the slot's type has it, or nil.
func (s *slotDecl) initialValue() any {
	text := s.initial.text().Value
	switch s.typ {
	case "bool":
		if s.initial.y.ShortTag() == "!!bool" {
			return s.initial.boolean()
		}
	case "date":
		if _, err := time.Parse(time.DateOnly, text); err == nil && isText(s.initial.y) {
			return text
		}
	case "time":
		if _, err := time.Parse("15:04", text); err == nil {
			return text
		}
	case "int":
		if i, err := strconv.ParseInt(text, 10, 64); err == nil && !isText(s.initial.y) {
			return i
		}
	case "number", "amount":
		if f, err := strconv.ParseFloat(text, 64); err == nil && !isText(s.initial.y) {
			return f
		}
	default:
		if isText(s.initial.y) {
			return text
		}
	}
	return nil
}

func (s *slotDecl) hasValue(v string) bool {
	return slices.ContainsFunc(s.values, func(t Text) bool { return t.Value == v })
}

// notAValue is F203.
func (s *slotDecl) notAValue(v string, where at, ds *Diagnostics) {
	values := make([]string, len(s.values))
	list := ""
	for i, t := range s.values {
		values[i] = t.Value
		if i > 0 {
			list += ", "
		}
		list += t.Value
	}
	ds.errorf(codeNotAValue, where, "", "%q is not a value of slot %q (%s)%s", v, s.name.Value, list, didYouMean(v, values))
}
