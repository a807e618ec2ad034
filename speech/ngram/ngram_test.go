package ngram_test

import (
	"bufio"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/praesenz/parley/speech/ngram"
)

var update = flag.Bool("update", false, "write the golden files anew")

func model(t *testing.T, sentences ...string) string {
	t.Helper()
	var counts ngram.Counts
	for _, s := range sentences {
		counts.Add(strings.Fields(s), 1)
	}
	var out strings.Builder
	if err := counts.WriteARPA(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestARPAGolden(t *testing.T) {
	got := model(t, "where are hammers", "where are nails", "hammers cost five euros")
	const path = "testdata/model.golden"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// After any context the probabilities of all words, seen there or not, make 1.
func TestProbabilitiesMakeOne(t *testing.T) {
	m := read(t, model(t, "where are hammers", "where are nails", "where is the hammer", "hammers cost five euros"))
	for _, context := range []string{"", "<s>", "where", "<s> where", "where are", "cost five", "nails hammers"} {
		var sum float64
		for _, word := range m.words {
			sum += m.probability(strings.Fields(context), word)
		}
		if math.Abs(sum-1) > 0.005 { // the file has four decimals
			t.Errorf("after %q the probabilities make %.4f", context, sum)
		}
	}
}

func TestWeightsAndEmptyModels(t *testing.T) {
	var counts ngram.Counts
	counts.Add(nil, 1)
	counts.Add([]string{"never"}, 0)
	if err := counts.WriteARPA(&strings.Builder{}); err == nil {
		t.Error("an empty model was written")
	}
	counts.Add([]string{"often"}, 9)
	counts.Add([]string{"seldom"}, 1)
	var out strings.Builder
	if err := counts.WriteARPA(&out); err != nil {
		t.Fatal(err)
	}
	m := read(t, out.String())
	if often, seldom := m.probability([]string{"<s>"}, "often"), m.probability([]string{"<s>"}, "seldom"); often < 4*seldom {
		t.Errorf("weight 9 gives %.3f, weight 1 %.3f", often, seldom)
	}
	if words := counts.Words(); fmt.Sprint(words) != "[often seldom]" {
		t.Errorf("words %v", words)
	}
}

// arpa is a model read back, as a recogniser understands it.
type arpa struct {
	words []string
	prob  map[string]float64
	back  map[string]float64
}

func read(t *testing.T, file string) arpa {
	t.Helper()
	m := arpa{prob: map[string]float64{}, back: map[string]float64{}}
	order := 0
	for lines := bufio.NewScanner(strings.NewReader(file)); lines.Scan(); {
		line := lines.Text()
		if strings.HasSuffix(line, "-grams:") {
			order++
			continue
		}
		fields := strings.Fields(line)
		if order == 0 || len(fields) < order+1 {
			continue
		}
		words := strings.Join(fields[1:order+1], " ")
		var p, b float64
		if _, err := fmt.Sscan(fields[0], &p); err != nil {
			t.Fatal(err)
		}
		if len(fields) > order+1 {
			if _, err := fmt.Sscan(fields[order+1], &b); err != nil {
				t.Fatal(err)
			}
		}
		m.prob[words], m.back[words] = p, b
		if order == 1 && words != "<s>" {
			m.words = append(m.words, words)
		}
	}
	return m
}

func (m arpa) probability(context []string, word string) float64 {
	if p, ok := m.prob[strings.Join(append(append([]string{}, context...), word), " ")]; ok {
		return math.Pow(10, p)
	}
	if len(context) == 0 {
		return 0
	}
	return math.Pow(10, m.back[strings.Join(context, " ")]) * m.probability(context[1:], word)
}
