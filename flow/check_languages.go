package flow

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/praesenz/parley/flow/grammar"
)

const (
	codeLanguage     Code = "F308"
	codeLanguageSlot Code = "F309"
	codeNoYesNo      Code = "F310"
)

// checkLanguages checks the languages of the flow and the slot that chooses one.
func checkLanguages(t *tree, ds *Diagnostics) {
	for _, lang := range t.language.supported {
		// What is no tag at all, the schema has said.
		var unknown language.ValueError
		if _, err := language.Parse(lang.Value); errors.As(err, &unknown) {
			ds.errorf(codeLanguage, lang.at, "write a BCP 47 tag like en, de or pt-BR", "there is no language %q", lang.Value)
		}
	}
	t.checkSupported(t.language.initial, ds)
	for _, s := range t.slots {
		kind := string(s.typ)
		if n := s.node.field("normalise").text().Value; n != "" {
			kind = n
		}
		if !slices.Contains(worded, kind) || !t.collects(s.name.Value) {
			continue
		}
		for _, lang := range t.languages() {
			switch {
			case grammar.Known(lang.Value):
			case kind == "bool":
				ds.errorf(codeNoYesNo, s.name.at, "make it an enum with synonyms for each language",
					"slot %q is bool, but yes and no are not known in %s", s.name.Value, languageName(lang.Value))
			default:
				ds.warnf(codeNoYesNo, s.name.at, "what is typed in digits is understood in every language",
					"slot %q is %s, whose words are not known in %s: only the language model can understand them", s.name.Value, kind, languageName(lang.Value))
			}
		}
	}
	name := t.language.slot
	if name.Value == "" {
		return
	}
	slot := t.slot(name.Value)
	switch {
	case slot == nil:
		t.undeclared("slot", name, name.Value, ds)
	case slot.typ != "enum":
		ds.errorf(codeLanguageSlot, name.at, "", "the language's slot must be an enum, but %q is %s", name.Value, slot.typ)
	default:
		for _, v := range slot.values {
			if v.Value != "" && !t.supports(v.Value) {
				ds.errorf(codeLanguageSlot, v.at, "", "slot %q chooses the language, but %q is not supported (%s)", name.Value, v.Value, t.supportedList())
			}
		}
	}
}

// worded are the types, and kinds of strings, that are said in words of which
// each language has its own.
var worded = []string{"bool", "int", "number", "amount", "date", "time", "e164", "digits", "code", "email"}

func (t *tree) collects(slot string) bool {
	return slices.ContainsFunc(t.steps, func(s *step) bool {
		c, ok := s.body.(*collectBody)
		return ok && c.slot.Value == slot
	})
}

// languages are the supported languages that exist.
func (t *tree) languages() []Text {
	return slices.DeleteFunc(slices.Clone(t.language.supported), func(l Text) bool {
		_, err := language.Parse(l.Value)
		return err != nil
	})
}

func (t *tree) supports(lang string) bool {
	return slices.ContainsFunc(t.language.supported, func(l Text) bool { return l.Value == lang })
}

func (t *tree) supportedList() string {
	list := make([]string, len(t.language.supported))
	for i, l := range t.language.supported {
		list[i] = l.Value
	}
	return strings.Join(list, ", ")
}

// checkSupported reports a language that the flow does not support.
func (t *tree) checkSupported(lang Text, ds *Diagnostics) {
	if lang.Value != "" && len(t.language.supported) > 0 && !t.supports(lang.Value) {
		ds.errorf(codeLanguage, lang.at, "add it to `languages.supported`", "%q is not a supported language (%s)", lang.Value, t.supportedList())
	}
}

// languageName is a language's English name, for messages.
func languageName(tag string) string {
	parsed, err := language.Parse(tag)
	if err != nil {
		return tag
	}
	return display.English.Tags().Name(parsed)
}
