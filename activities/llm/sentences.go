package llm

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// abbreviations that end with a full stop and end no sentence.
var abbreviations = map[string]bool{
	"approx.": true, "ca.": true, "e.g.": true, "etc.": true, "i.e.": true, "incl.": true, "max.": true,
	"min.": true, "mr.": true, "mrs.": true, "dr.": true, "no.": true, "nr.": true, "st.": true, "str.": true,
	"tel.": true, "vs.": true, "z.b.": true, "bzw.": true, "inkl.": true, "usw.": true, "evtl.": true, "d.h.": true,
}

var sentenceEnd = regexp.MustCompile(`[.!?…]["”“)]*\s+`)

// sentences splits a passage: each line ends one, and so does a full stop that
// is no abbreviation's, no number's ("am 1. Mai") and no initial's.
func sentences(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		start := 0
		for _, at := range sentenceEnd.FindAllStringIndex(line, -1) {
			next, _ := utf8.DecodeRuneInString(line[at[1]:])
			if next == utf8.RuneError || unicode.IsLower(next) || inner(line[start:at[0]+1]) {
				continue
			}
			all = append(all, strings.TrimSpace(line[start:at[1]]))
			start = at[1]
		}
		if rest := strings.TrimSpace(line[start:]); rest != "" {
			all = append(all, rest)
		}
	}
	return all
}

// inner reports whether the full stop at the end of s ends no sentence.
func inner(s string) bool {
	if !strings.HasSuffix(s, ".") {
		return false
	}
	word := s[strings.LastIndexAny(s, " \t(")+1:]
	if abbreviations[strings.ToLower(word)] {
		return true
	}
	stem := strings.TrimSuffix(word, ".")
	return utf8.RuneCountInString(stem) == 1 && unicode.IsLetter([]rune(stem)[0]) || isShortNumber(stem)
}

// isShortNumber reports whether s may be an ordinal: "1", "24".
func isShortNumber(s string) bool {
	return len(s) <= 2 && s != "" && strings.Trim(s, "0123456789") == ""
}
