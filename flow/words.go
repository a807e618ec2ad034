package flow

import (
	"golang.org/x/text/language"

	"github.com/praesenz/parley/flow/grammar"
)

// words are how values that stand inside others are written: those of lists and
// maps.
type words struct {
	yes, no []string
	comma   bool // 12,5 rather than 12.5
}

// plain writes values for machines.
var plain = words{yes: []string{"true"}, no: []string{"false"}}

// wordsOf are the words of a BCP 47 tag's base language; for one that is not
// known, bools are written "true" and "false".
func wordsOf(lang string) words {
	if !grammar.Known(lang) {
		return plain
	}
	base, _ := language.Make(lang).Base()
	return words{yes: grammar.Yes(lang), no: grammar.No(lang), comma: base.String() != "en"}
}

// normalise writes a phrase so that two ways of writing it are equal.
func normalise(lang, s string) string { return grammar.Normal(lang, s) }
