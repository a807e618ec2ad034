package embedded_test

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/retrieval"
	"github.com/praesenz/parley/activities/retrieval/embedded"
)

// A flow that wants to say "I don't know" branches on this score.
const threshold = 0.35

const exampleStore = "../../../examples/hardware-store"

var example = retrieval.Collection{Store: "hardware-store", Index: "store"}

type question struct {
	Ask      string `yaml:"ask"`
	Document string `yaml:"document"`
}

func readQuestions(t *testing.T, file string) map[string][]question {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string][]question
	if err := yaml.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func exampleIndex(t *testing.T) *embedded.Index {
	t.Helper()
	idx, err := embedded.Open(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { idx.Close() })
	report, err := retrieval.Sync(t.Context(), idx, example, os.DirFS(exampleStore), "kb")
	if err != nil || len(report.Failed) > 0 {
		t.Fatalf("sync: %v, %v", err, report.Failed)
	}
	return idx
}

// The example store's questions and harder ones, by words alone: the document
// that holds the answer is among the first three for 95 % of them, and what the
// store knows nothing about stays below the threshold.
func TestExampleStore(t *testing.T) {
	idx := exampleIndex(t)
	var asked, right, sure int
	for _, file := range []string{exampleStore + "/questions.yaml", "testdata/questions.yaml"} {
		for lang, questions := range readQuestions(t, file) {
			for _, q := range questions {
				found, err := idx.Search(t.Context(), example, retrieval.Query{Text: q.Ask, Filter: map[string]string{"lang": lang}})
				if err != nil {
					t.Fatal(err)
				}
				asked++
				top := found[:min(3, len(found))]
				ok := slices.ContainsFunc(top, func(p activities.Passage) bool { return p.Source == q.Document })
				if ok {
					right++
				}
				best := 0.0
				if len(found) > 0 {
					best = found[0].Score
				}
				if best >= threshold {
					sure++
				}
				if len(found) == 0 || found[0].Source != q.Document {
					t.Logf("%q: want %s, found %s", q.Ask, q.Document, brief(found))
				}
			}
		}
	}
	t.Logf("%d questions: %d with the right document among the first three, %d above the threshold", asked, right, sure)
	if right*100 < asked*95 {
		t.Errorf("the right document is among the first three for %d of %d questions, want 95 %%", right, asked)
	}
	if sure*100 < asked*95 {
		t.Errorf("the first passage reaches %v for %d of %d questions, want 95 %%", threshold, sure, asked)
	}
}

func TestOutOfScopeScoresLow(t *testing.T) {
	idx := exampleIndex(t)
	var wrong, asked int
	for lang, questions := range readQuestions(t, "testdata/out-of-scope.yaml") {
		for _, q := range questions {
			asked++
			for _, filter := range []map[string]string{{"lang": lang}, nil} {
				found, err := idx.Search(t.Context(), example, retrieval.Query{Text: q.Ask, Filter: filter, MinScore: threshold})
				if err != nil {
					t.Fatal(err)
				}
				if len(found) > 0 {
					wrong++
					t.Logf("%q (%v): %s", q.Ask, filter, brief(found))
				}
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d searches about other things found a passage above %v", wrong, 2*asked, threshold)
	}
}

func brief(found []activities.Passage) string {
	s := ""
	for _, p := range found[:min(4, len(found))] {
		s += fmt.Sprintf(" %s %.2f", p.Source, p.Score)
	}
	return s
}

func BenchmarkSearch(b *testing.B) {
	idx, err := embedded.Open(embedded.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer idx.Close()
	if _, err := retrieval.Sync(b.Context(), idx, example, os.DirFS(exampleStore), "kb"); err != nil {
		b.Fatal(err)
	}
	q := retrieval.Query{Text: "where do i find the cordless drill please", Filter: map[string]string{"lang": "en"}}
	for b.Loop() {
		if _, err := idx.Search(b.Context(), example, q); err != nil {
			b.Fatal(err)
		}
	}
}
