// Package ngram builds small trigram language models from sentences and writes
// them as ARPA files, the text format every speech recogniser reads.
package ngram

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// Sentence boundaries, as ARPA readers expect them.
const (
	begin = "<s>"
	end   = "</s>"
)

// Counts collects how often words follow each other. The zero value is ready to
// use; it is not safe for use by two goroutines at once.
type Counts struct {
	unigrams map[string]float64
	bigrams  map[[2]string]float64
	trigrams map[[3]string]float64
}

// Add counts one sentence weight times. Words must be lower case and without
// spaces; an empty sentence or a weight of 0 or less adds nothing.
func (c *Counts) Add(sentence []string, weight float64) {
	if len(sentence) == 0 || weight <= 0 {
		return
	}
	if c.unigrams == nil {
		c.unigrams = map[string]float64{}
		c.bigrams = map[[2]string]float64{}
		c.trigrams = map[[3]string]float64{}
	}
	padded := slices.Concat([]string{begin}, sentence, []string{end})
	for i := 1; i < len(padded); i++ {
		c.unigrams[padded[i]] += weight
		c.bigrams[[2]string(padded[i-1:i+1])] += weight
		if i >= 2 {
			c.trigrams[[3]string(padded[i-2:i+1])] += weight
		}
	}
}

// Words lists the vocabulary in alphabetical order, without the sentence marks.
func (c *Counts) Words() []string {
	words := make([]string, 0, len(c.unigrams))
	for w := range c.unigrams {
		if w != end {
			words = append(words, w)
		}
	}
	slices.Sort(words)
	return words
}

// A context is what has been seen after some words: how many occurrences in
// all, of how many different words.
type context struct {
	total float64
	types float64
}

// known is Witten and Bell's share of probability for what has been seen after
// a context; the rest goes to the next shorter one.
func (x context) known() float64 { return x.total / (x.total + x.types) }

// WriteARPA writes the Witten-Bell trigram model. The order of lines depends on
// the counts only, so equal counts give equal files. Counts without a sentence
// are an error, since no recogniser accepts an empty model.
func (c *Counts) WriteARPA(w io.Writer) error {
	if len(c.unigrams) == 0 {
		return fmt.Errorf("write language model: no sentences were added")
	}
	var root context
	for _, n := range c.unigrams {
		root.total += n
		root.types++
	}
	after1, after2 := map[string]context{}, map[[2]string]context{}
	for k, n := range c.bigrams {
		x := after1[k[0]]
		after1[k[0]] = context{x.total + n, x.types + 1}
	}
	for k, n := range c.trigrams {
		h := [2]string{k[0], k[1]}
		x := after2[h]
		after2[h] = context{x.total + n, x.types + 1}
	}
	uniform := 1 / root.types
	p1 := func(word string) float64 {
		return root.known()*c.unigrams[word]/root.total + (1-root.known())*uniform
	}
	p2 := func(k [2]string) float64 {
		x := after1[k[0]]
		return x.known()*c.bigrams[k]/x.total + (1-x.known())*p1(k[1])
	}
	p3 := func(k [3]string) float64 {
		h := [2]string{k[0], k[1]}
		x := after2[h]
		return x.known()*c.trigrams[k]/x.total + (1-x.known())*p2([2]string{k[1], k[2]})
	}

	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "\\data\\\nngram 1=%d\nngram 2=%d\nngram 3=%d\n", len(c.unigrams)+1, len(c.bigrams), len(c.trigrams))

	fmt.Fprintf(out, "\n\\1-grams:\n-99 %s %s\n", begin, backOff(after1, begin))
	for _, word := range slices.Sorted(maps.Keys(c.unigrams)) {
		fmt.Fprintf(out, "%.4f %s %s\n", math.Log10(p1(word)), word, backOff(after1, word))
	}
	fmt.Fprintf(out, "\n\\2-grams:\n")
	for _, k := range slices.SortedFunc(maps.Keys(c.bigrams), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		fmt.Fprintf(out, "%.4f %s %s\n", math.Log10(p2(k)), strings.Join(k[:], " "), backOff(after2, k))
	}
	fmt.Fprintf(out, "\n\\3-grams:\n")
	for _, k := range slices.SortedFunc(maps.Keys(c.trigrams), func(a, b [3]string) int { return slices.Compare(a[:], b[:]) }) {
		fmt.Fprintf(out, "%.4f %s\n", math.Log10(p3(k)), strings.Join(k[:], " "))
	}
	fmt.Fprintf(out, "\n\\end\\\n")
	return out.Flush()
}

// backOff is the weight of the shorter context after history. Because WriteARPA
// interpolates, it is exactly the share Witten-Bell leaves to what is unseen.
func backOff[K comparable](after map[K]context, history K) string {
	x, ok := after[history]
	if !ok {
		return "0.0000"
	}
	return fmt.Sprintf("%.4f", math.Log10(1-x.known()))
}
