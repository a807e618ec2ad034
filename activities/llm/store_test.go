package llm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/praesenz/parley/activities"
)

// The extractive answerer must answer the example store's questions from the
// right document among others, and must not answer what no document knows.
func TestExtractiveAnswersTheExampleStore(t *testing.T) {
	const store = "../../examples/hardware-store"
	type question struct {
		Ask      string     `yaml:"ask"`
		Expects  [][]string `yaml:"expects"`
		Document string     `yaml:"document"`
	}
	var questions map[string][]question
	b, err := os.ReadFile(filepath.Join(store, "questions.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, &questions); err != nil {
		t.Fatal(err)
	}
	e := newExtractive()
	right, all := 0, 0
	for language, list := range questions {
		for i, q := range list {
			all++
			// The right document second, between those of other questions, as a
			// search that is not perfect finds them.
			passages := []activities.Passage{
				passage(t, store, list[(i+3)%len(list)].Document, 0.5),
				passage(t, store, q.Document, 0.5),
				passage(t, store, list[(i+7)%len(list)].Document, 0.4),
			}
			answer := strings.ToLower(strings.Join(e.quote(Question{Text: q.Ask, Passages: passages, Language: language}), " "))
			if says(answer, q.Expects) {
				right++
			} else {
				t.Logf("%s: %q, answered %q, expected %v", language, q.Ask, answer, q.Expects)
			}
			if n := len(strings.Fields(answer)); n > maxWords {
				t.Errorf("%q is answered with %d words", q.Ask, n)
			}
		}
	}
	t.Logf("%d of %d answers hold what they should", right, all)
	if right*10 < all*9 {
		t.Errorf("%d of %d answers hold what they should; want nine in ten", right, all)
	}

	for language, list := range map[string][]string{
		"en": {"what is the capital of mongolia", "who won the football game", "tell me a joke about cats", "do you sell elephants"},
		"de": {"was ist die hauptstadt der mongolei", "wer hat das fußballspiel gewonnen", "verkaufen sie elefanten"},
	} {
		for _, ask := range list {
			var passages []activities.Passage
			for _, q := range questions[language][:5] {
				passages = append(passages, passage(t, store, q.Document, 0.3))
			}
			if got := e.quote(Question{Text: ask, Passages: passages, Language: language}); len(got) != 0 {
				t.Errorf("%q is answered with %q", ask, got)
			}
		}
	}
}

func says(answer string, expects [][]string) bool {
	for _, wordings := range expects {
		found := false
		for _, w := range wordings {
			found = found || strings.Contains(answer, strings.ToLower(w))
		}
		if !found {
			return false
		}
	}
	return answer != ""
}

func passage(t *testing.T, store, document string, score float64) activities.Passage {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(store, document))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "---\n")
	head, body, ok := strings.Cut(rest, "---\n")
	if !ok {
		t.Fatalf("%s has no front matter", document)
	}
	var meta struct {
		Title, Lang string
		Tags        []string
	}
	if err := yaml.Unmarshal([]byte(head), &meta); err != nil {
		t.Fatal(err)
	}
	return activities.Passage{
		ID: document, Source: document, Title: meta.Title, Text: body, Score: score,
		Fields: map[string]string{"lang": meta.Lang, "tags": strings.Join(meta.Tags, ", ")},
	}
}
