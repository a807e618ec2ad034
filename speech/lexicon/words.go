// Package lexicon turns written text into what a recogniser works with: spoken
// words (numbers spelled out, marks gone) and their pronunciations.
package lexicon

import (
	"regexp"
	"strings"
	"unicode"
)

// numeral matches a whole or decimal number, with a point as English writes it.
var numeral = regexp.MustCompile(`[0-9]+(?:[.,][0-9]+)?`)

// clock matches a time of day as 9:30.
var clock = regexp.MustCompile(`\b([0-9]{1,2}):([0-9]{2})\b`)

// spokenMarks are the marks that are read aloud.
var spokenMarks = strings.NewReplacer(
	"’", "'", "‘", "'", "&", " and ", "%", " percent ", "€", " euros ", "$", " dollars ", "°", " degrees ",
	"+", " plus ", "ß", "ss",
)

// Sentences splits English or German text into sentences of lower-case words,
// as they are spoken: "Aisle 4, 12.99 euros." gives
// [aisle four] [twelve point nine nine euros]. A comma ends a sentence too,
// because speech pauses there. Words of letters the recogniser cannot have are
// kept; whether a word can be pronounced is the Lexicon's business.
func Sentences(text string) [][]string {
	text = spokenMarks.Replace(strings.ToLower(text))
	text = clock.ReplaceAllStringFunc(text, func(t string) string {
		hours, minutes, _ := strings.Cut(t, ":")
		return strings.TrimSuffix(hours+" "+minutes, " 00")
	})
	text = numeral.ReplaceAllStringFunc(text, func(n string) string { return " " + spell(n) + " " })
	var out [][]string
	for _, clause := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(".!?;:,\n\r\t|()[]{}<>\"“”„/—–=", r) }) {
		words := strings.FieldsFunc(clause, func(r rune) bool { return !unicode.IsLetter(r) && r != '\'' })
		kept := words[:0]
		for _, w := range words {
			if w = strings.Trim(w, "'"); w != "" && len(w) <= maxWord {
				kept = append(kept, w)
			}
		}
		if len(kept) > 0 {
			out = append(out, kept)
		}
	}
	return out
}

// maxWord is the most bytes a word has; what is longer is no word but noise.
const maxWord = 40

var ones = strings.Fields("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
var tens = strings.Fields("- ten twenty thirty forty fifty sixty seventy eighty ninety")

// spell reads a numeral the way the voices do: digit by digit after the point,
// and digit by digit throughout when it is too long for a quantity.
func spell(numeral string) string {
	whole, fraction, decimal := strings.Cut(strings.Replace(numeral, ",", ".", 1), ".")
	spoken := spellDigits(whole)
	if len(whole) <= 4 && (len(whole) == 1 || whole[0] != '0') {
		n := 0
		for _, d := range whole {
			n = 10*n + int(d-'0')
		}
		spoken = spellQuantity(n)
	}
	if decimal {
		spoken += " point " + spellDigits(fraction)
	}
	return spoken
}

func spellDigits(digits string) string {
	words := make([]string, len(digits))
	for i := range digits {
		words[i] = ones[digits[i]-'0']
	}
	return strings.Join(words, " ")
}

// spellQuantity reads 0–9999.
func spellQuantity(n int) string {
	switch {
	case n < 20:
		return ones[n]
	case n < 100:
		return joinNonZero(tens[n/10], n%10)
	case n < 1000:
		return joinNonZero(ones[n/100]+" hundred", n%100)
	default:
		return joinNonZero(ones[n/1000]+" thousand", n%1000)
	}
}

func joinNonZero(head string, rest int) string {
	if rest == 0 {
		return head
	}
	return head + " " + spellQuantity(rest)
}
