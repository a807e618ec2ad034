package grammar_test

import (
	"testing"
	"time"

	"github.com/praesenz/parley/flow/grammar"
)

// FuzzHear reads anything in any language: nothing panics, what is found lies
// within the words, and a day or time that is found is one.
func FuzzHear(f *testing.F) {
	for _, s := range []string{"half past three on the 3rd of May", "nicht 15 Uhr, sondern halb vier", "quatre-vingt-dix-sept €", "üçe çeyrek kala, 23 Kasım'da", "+49 (0)151 1234", "anna.b at example.com", "-3,5.", "İ'ı", "double double"} {
		for _, lang := range []string{"en", "de", "fr", "tr", "es", ""} {
			f.Add(lang, s)
		}
	}
	f.Fuzz(func(t *testing.T, lang, text string) {
		w := grammar.Hear(lang, text)
		for _, kind := range []string{"int", "number", "amount", "date", "time"} {
			for _, v := range w.Values(kind, now) {
				if v.From < 0 || v.From >= v.To || v.To > w.Len() {
					t.Fatalf("%s in %q at %d to %d of %d words", kind, text, v.From, v.To, w.Len())
				}
				w.Alone(v)
				form := map[string]string{"date": grammar.DateForm, "time": grammar.TimeForm}[kind]
				if s, ok := v.Value.(string); ok {
					if _, err := time.Parse(form, s); err != nil {
						t.Fatalf("%q is no %s", s, kind)
					}
				}
			}
			w.One(kind, now)
		}
		for _, kind := range []string{grammar.E164, grammar.Digits, grammar.Code, grammar.Email} {
			if s, ok := w.Spelled(kind); ok && s == "" {
				t.Fatalf("an empty %s in %q", kind, text)
			}
		}
		w.YesNo()
		w.Begins()
		w.AfterNo()
		w.Bare()
		w.Choice(3)
		w.Tongue([]string{"en", "de", "fr", "tr"})
		if c, ok := w.Correction(); ok && c.Right.Len() > w.Len() {
			t.Fatalf("more is right than was said: %q", text)
		}
		if w.Raw() != "" && w.Len() == 0 || w.Len() > 0 && w.Raw() == "" {
			t.Fatalf("%q has %d words and is written %q", text, w.Len(), w.Raw())
		}
		if !w.Is(text) {
			t.Fatalf("%q is not what it is", text)
		}
	})
}
