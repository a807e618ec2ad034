package flow

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/text/language"

	"github.com/praesenz/parley/flow/grammar"
)

// speech writes values as one says them in a language.
type speech struct {
	lang string // BCP 47; empty: for machines
}

// speechIn is the speech of a language. In one that the grammar does not know,
// values are written as machines do.
func speechIn(lang string) speech {
	if !grammar.Known(lang) {
		return speech{}
	}
	return speech{lang}
}

// and joins the last two of a list, by base language.
var and = map[string]string{"en": " and ", "de": " und ", "fr": " et ", "tr": " ve "}

// named matches an expression that is one slot, var or input and nothing else.
var named = regexp.MustCompile(`^\s*(slots|vars|inputs)\.([a-z][a-z0-9_]*)\s*$`)

// speak writes the value of an expression. What an expression only names is
// written by its type: a date in words, an enum's value as a customer would say
// it, a code digit by digit.
func (p *Program) speak(lang, expr string, v any) string {
	say := speechIn(lang)
	m := named.FindStringSubmatch(expr)
	if m == nil {
		return say.text(v)
	}
	var typ Type
	switch m[1] {
	case "slots":
		slot := p.plan.Slots[m[2]]
		if value, ok := v.(string); ok && slot.Type == "enum" {
			return reader{slot: slot, plan: p.plan, lang: lang}.ways(value)[0]
		}
		typ = slot.Type
		if slot.Normalise != "" {
			typ = Type(slot.Normalise)
		}
	case "vars":
		typ = p.plan.Vars[m[2]]
	case "inputs":
		typ = p.plan.Inputs[m[2]]
	}
	return say.typed(v, typ)
}

// typed writes a value of a type, or of a slot's `normalise`.
func (s speech) typed(v any, t Type) string {
	if elem, ok := t.element(); ok {
		if list, ok := v.([]any); ok && elem != "passage" && elem != "object" {
			parts := make([]string, len(list))
			for i, e := range list {
				parts[i] = s.typed(e, elem)
			}
			return s.join(parts)
		}
	}
	switch v.(type) {
	case bool, int64, float64, string:
		if s.lang != "" {
			return grammar.Say(s.lang, string(t), v)
		}
	}
	return s.text(v)
}

// join writes a list as one says it: "red, green and blue".
func (s speech) join(parts []string) string {
	base, _ := language.Make(s.lang).Base()
	last := and[base.String()]
	if last == "" || len(parts) < 2 {
		return strings.Join(parts, ", ")
	}
	return strings.Join(parts[:len(parts)-1], ", ") + last + parts[len(parts)-1]
}

// text writes a value of whatever type it is.
func (s speech) text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		if s.lang != "" {
			return grammar.Say(s.lang, "bool", v)
		}
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		if s.lang != "" {
			return grammar.Say(s.lang, "number", v)
		}
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		return v
	case []any:
		return s.list(v)
	case map[string]any:
		if isPassage(v) {
			return passageText(v)
		}
		var parts []string
		for _, k := range sortedKeys(v) {
			parts = append(parts, k+": "+s.text(v[k]))
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(v)
}

// list writes passages as numbered blocks and everything else as one says it.
func (s speech) list(list []any) string {
	parts := make([]string, len(list))
	passages := false
	for i, v := range list {
		if m, ok := v.(map[string]any); ok && isPassage(m) {
			parts[i] = fmt.Sprintf("[%d] %s", i+1, passageText(m))
			passages = true
			continue
		}
		parts[i] = s.text(v)
	}
	if passages {
		return strings.Join(parts, "\n\n")
	}
	return s.join(parts)
}

func isPassage(m map[string]any) bool {
	_, ok := m["text"].(string)
	return ok
}

// passageText is a passage as a language model reads it: its title, when the
// text does not begin with it anyway, and its text.
func passageText(m map[string]any) string {
	text, _ := m["text"].(string)
	text = strings.TrimSpace(text)
	title, _ := m["title"].(string)
	if title == "" || strings.HasPrefix(text, title) {
		return text
	}
	return title + "\n" + text
}
