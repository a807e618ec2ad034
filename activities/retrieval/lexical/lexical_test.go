package lexical_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/praesenz/parley/activities/retrieval/lexical"
)

func TestTerms(t *testing.T) {
	for _, test := range []struct{ language, text, want string }{
		{"en", "Where do I find the hammers, please?", "en:hammer"},
		{"en-GB", "the store's opening hours", "en:store en:open en:hour"},
		{"de", "Wo finde ich die Hämmer?", "de:hamm"},
		{"de", "Schluesseldienst", "de:schlusseldien"},
		{"de", "SCHLÜSSELDIENST", "de:schlusseldien"},
		{"fr", "Où sont les marteaux ?", "fr:marteau"},
		{"tr", "IŞIK", "tr:ışık"},
		{"it", "Il martello", "xx:il xx:martello"},
		{"", "Hammer 42", "xx:hammer xx:42"},
		{"en", "", ""},
		{"en", "could you tell me where i can find", ""},
	} {
		if got := strings.Join(lexical.Terms(test.language, test.text), " "); got != test.want {
			t.Errorf("%s %q: %q, want %q", test.language, test.text, got, test.want)
		}
	}
}

func TestParts(t *testing.T) {
	parts := lexical.Parts(lexical.Terms("de", "Wandfarbe"))
	for _, want := range []string{"de:wand", "de:farb", "de:wandfarb"} {
		if !slices.Contains(parts, want) {
			t.Errorf("parts %v lack %s", parts, want)
		}
	}
	if parts := lexical.Parts(lexical.Terms("en", "hammer")); len(parts) != 0 {
		t.Errorf("English has parts %v", parts)
	}
}

func TestScore(t *testing.T) {
	const passages = 100
	for name, test := range map[string]struct {
		language, question, title, text string
		holding                         map[string]int
		min, max                        float64
	}{
		"all in the title":    {"en", "claw hammer", "Claw hammer", "It is good.", nil, 1, 1},
		"all in the text":     {"en", "rubber handle", "Hammer", "It has a rubber handle.", nil, 0.8, 0.9},
		"nothing":             {"en", "capital of mongolia", "Hammer", "A tool.", nil, 0, 0},
		"the rare word":       {"en", "price mallet", "Mallet", "A tool.", map[string]int{"en:price": 80}, 0.9, 1},
		"the common word":     {"en", "price mallet", "Hammer", "The price is low.", map[string]int{"en:price": 80}, 0, 0.15},
		"end of a compound":   {"de", "Farbe", "Wandfarbe", "Weiß.", nil, 0.75, 0.85},
		"start of a compound": {"de", "Schlüssel", "Schlüsseldienst", "Gleich.", nil, 0.75, 0.85},
		"two compounds":       {"de", "Akkuschrauber", "Akkubohrschrauber", "Gut.", nil, 0.5, 0.8},
		"unlike compounds":    {"de", "Hauptstadt", "Haupteingang", "Dort.", nil, 0, 0},
		"other language":      {"en", "Wandfarbe", "Wandfarbe", "Weiß.", nil, 1, 1},
	} {
		q := lexical.Ask(test.language, test.question)
		q.Weigh(passages, test.holding)
		title := lexical.Terms(test.language, test.title)
		text := append(slices.Clone(title), lexical.Terms(test.language, test.text)...)
		if got := q.Score(test.language, title, text); got < test.min || got > test.max || math.IsNaN(got) {
			t.Errorf("%s: score %v, want %v to %v", name, got, test.min, test.max)
		}
	}
}

// Without a language, a question is held against each passage in the passage's.
func TestAskInAnyLanguage(t *testing.T) {
	q := lexical.Ask("", "Wo finde ich Wandfarben?")
	q.Weigh(10, nil)
	if s := q.Score("de", lexical.Terms("de", "Wandfarbe"), nil); s < 0.9 {
		t.Errorf("German passage scores %v", s)
	}
	if s := q.Score("en", lexical.Terms("en", "Wall paint"), nil); s != 0 {
		t.Errorf("English passage scores %v", s)
	}
	if !lexical.Ask("en", "where is the").Empty() {
		t.Error("chatter is a question")
	}
}

func BenchmarkTerms(b *testing.B) {
	text := strings.Repeat("You find cordless drills in aisle 3, bay 1. ", 13)
	for b.Loop() {
		lexical.Terms("en", text)
	}
}
