package grammar

import (
	"cmp"
	"slices"
	"strings"
)

// A lang is what the grammar knows of a language. Its words are written here as
// people write them, and folded when the package starts.
type lang struct {
	yes, no   []string // the first of each is how a kiosk says it
	yesWords  [][]word
	noWords   [][]word
	fillers   [][]word        // said before or after what is meant, longest first
	particles map[string]bool // may stand around a value
	counted   map[string]bool // may stand around a number of things
	or        map[string]bool // between two values, of which neither is meant then
	comma     bool            // 12,5 rather than 12.5
	suffixed  bool            // an apostrophe ends a name before its suffix, as in Turkish
	compounds bool            // words of one number are written as one

	numbers     map[string]int // 0 to 19 and the tens
	articles    map[string]bool
	numberWords []string // as they are written
	and         []string // within a number
	hundred     []string
	thousand    []string
	point       []string
	minus       []string
	halves      map[string]float64 // added to the number before it
	portions    map[string]float64 // numbers by themselves
	repeats     map[string]int     // "double" five
	ofNumber    string             // "drei und zwanzig": the unit is said before the ten, with this between
	scores      bool               // "quatre-vingt-dix-sept"

	places  map[string]int  // ordinals that only lists have: "erstes", "deuxième"
	money   map[string]bool // currencies
	cents   map[string]bool // their hundredths
	days    calendar
	clock   clock
	spelled spelled
	said    said
	meant   meant
}

var langs = map[string]*lang{"en": english, "de": german, "fr": french, "tr": turkish}

// unknown reads digits only.
var unknown = &lang{yes: []string{"true"}, no: []string{"false"}}

func init() {
	for _, l := range langs {
		l.yesWords, l.noWords = phrases(l.yes...), phrases(l.no...)
	}
}

// parts splits a word that is a weekday and a part of it: "Montagabend".
func (l *lang) parts(s string) []string {
	if l.days.partings == nil || len(s) < 9 {
		return []string{s}
	}
	for cut := 6; cut < len(s)-3; cut++ {
		if _, ok := l.days.weekdays[s[:cut]]; ok && l.days.partings[s[cut:]] {
			return []string{s[:cut], s[cut:]}
		}
	}
	return []string{s}
}

// phrases folds the ways to say something, the longest first.
func phrases(list ...string) [][]word {
	var out [][]word
	for _, s := range list {
		out = append(out, unknown.split(s))
	}
	slices.SortStableFunc(out, func(a, b []word) int { return cmp.Compare(len(b), len(a)) })
	return out
}

// set folds single words.
func set(list ...string) map[string]bool {
	out := map[string]bool{}
	for _, s := range list {
		for _, f := range strings.Fields(s) {
			out[unknown.split(f)[0].text] = true
		}
	}
	return out
}

// table folds lists of words that stand for 0, 1, 2 … or from another first
// number on; words with a slash between them mean the same.
func table(first int, list string) map[string]int {
	out := map[string]int{}
	for i, ways := range strings.Fields(list) {
		for _, s := range strings.Split(ways, "/") {
			out[unknown.split(s)[0].text] = first + i
		}
	}
	return out
}

func merge(tables ...map[string]int) map[string]int {
	out := map[string]int{}
	for _, t := range tables {
		for k, v := range t {
			out[k] = v
		}
	}
	return out
}

// times multiplies a table's numbers.
func times(n int, t map[string]int) map[string]int {
	for k := range t {
		t[k] *= n
	}
	return t
}
