package llm

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// filtered is text after the filter, given in pieces of size runes.
func filtered(text string, size int) (spoken string, ungrounded bool) {
	var f filter
	var b strings.Builder
	runes := []rune(text)
	for at := 0; at < len(runes); at += size {
		b.WriteString(f.push(string(runes[at:min(at+size, len(runes))])))
	}
	b.WriteString(f.flush())
	return b.String(), f.ungrounded
}

func TestFilterMakesTextFitToBeSpoken(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"plain", "Hammers are in aisle 4.", "Hammers are in aisle 4."},
		{"bold", "They cost **12.99 euros** *today*.", "They cost 12.99 euros today."},
		{"code", "Ask for `H401`.", "Ask for H401."},
		{"heading", "## Hammers\nAisle 4.", "Hammers. Aisle 4."},
		{"list", "We have:\n- hammers\n* nails\n• saws", "We have: hammers. nails. saws"},
		{"numbered list", "Do this:\n1. Sand it.\n2) Paint it.\n", "Do this: Sand it. Paint it."},
		{"number at the start is no list", "2. Etage, Gang 5.", "2. Etage, Gang 5."},
		{"price at a line's start", "It costs\n12.99 euros.", "It costs. 12.99 euros."},
		{"minus", "It works down to\n-5 degrees.", "It works down to. -5 degrees."},
		{"citation", "Aisle 4 [1]. Bay 2 [2, 3].", "Aisle 4. Bay 2."},
		{"named citation", "Aisle 4 [Passage 1].", "Aisle 4."},
		{"link", "See [our site](https://example.com/a(b) ok.", "See our site ok."},
		{"brackets", "The [blue] paint.", "The blue paint."},
		{"emoji", "Sure! 👍🏽 Aisle 4 ✅🔨.", "Sure! Aisle 4."},
		{"degrees stay", "Up to 80 °C.", "Up to 80 °C."},
		{"tags", "Aisle 4<br>Bay 2 and 3 < 4.", "Aisle 4 Bay 2 and 3 < 4."},
		{"thinking", "<think>The customer wants\n[1] hammers</think>\n\nAisle 4.", "Aisle 4."},
		{"table", "| Item | Price |\n|---|---|\n| Nail | 2 |", "Item Price. Nail 2"},
		{"snake case", "a_b and _emphasis_ here", "a b and emphasis here"},
		{"umlauts", "Die Säge kostet 9,99 €.", "Die Säge kostet 9,99 €."},
		{"blanks", "  Aisle   4.\n\n\nBay 2.  ", "Aisle 4. Bay 2."},
		{"open bracket at the end", "Aisle 4 [1", "Aisle 4 1"},
		{"starts like the marker", "UN 38.3 batteries are in aisle 4.", "UN 38.3 batteries are in aisle 4."},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, 7, 1000} {
				got, ungrounded := filtered(c.text, size)
				if got != c.want || ungrounded {
					t.Errorf("in pieces of %d: %q, ungrounded %t; want %q", size, got, ungrounded, c.want)
				}
			}
		})
	}
}

func TestUngroundedMarkerIsNeverSpoken(t *testing.T) {
	for _, text := range []string{
		"[[UNGROUNDED]]", "[UNGROUNDED]", "UNGROUNDED.", " \n**[[UNGROUNDED]]**", "`UNGROUNDED`",
		"<think>hm</think>[[UNGROUNDED]]", "I am sorry. [[UNGROUNDED]] Bye.",
	} {
		for _, size := range []int{1, 3, 100} {
			got, ungrounded := filtered(text, size)
			if !ungrounded || strings.Contains(got, "UNGROUNDED") || strings.Contains(got, "Bye") {
				t.Errorf("%q in pieces of %d: %q, ungrounded %t", text, size, got, ungrounded)
			}
		}
	}
}

// The same text gives the same words however a model cuts it.
func FuzzFilter(f *testing.F) {
	f.Add("## A\n- **b** [1](x) <think>c</think> 1. d 👍", uint64(1))
	f.Add("[[UNGROUNDED]]", uint64(2))
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		if !utf8.ValidString(text) {
			return
		}
		want, ungrounded := filtered(text, len(text)+1)
		random := rand.New(rand.NewPCG(seed, 0))
		var g filter
		var b strings.Builder
		for rest := []rune(text); len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			b.WriteString(g.push(string(rest[:n])))
			rest = rest[n:]
		}
		b.WriteString(g.flush())
		if b.String() != want || g.ungrounded != ungrounded {
			t.Errorf("whole %q, in pieces %q", want, b.String())
		}
	})
}
