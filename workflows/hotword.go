package workflows

import (
	"slices"
	"strings"
	"unicode"

	"go.temporal.io/sdk/workflow"
)

// A guard is a response under way that only a hotword cuts. The gateway goes on
// speaking and hears what is said meanwhile; here it is decided.
type guard struct {
	words    []string // any of them, as the author wrote it, in the conversation's language
	language string
	cut      workflow.CancelFunc
	called   bool // a hotword was said
}

// hears cuts the response when a hotword was said, and says so. The response may
// be over by the time that the words are known.
func (g *guard) hears(text string) bool {
	said := g.spelled(text)
	for _, hotword := range g.words {
		word := g.spelled(hotword)
		for i := 0; len(word) > 0 && i+len(word) <= len(said); i++ {
			if slices.Equal(said[i:i+len(word)], word) {
				g.called = true
				g.cut()
				return true
			}
		}
	}
	return false
}

// only says whether nothing but a hotword was said.
func (g *guard) only(text string) bool {
	said := g.spelled(text)
	return slices.ContainsFunc(g.words, func(hotword string) bool { return slices.Equal(said, g.spelled(hotword)) })
}

// spelled is a text as words in lower case, without punctuation. A recorded
// conversation replays by it, so it does not follow the grammars' finer ideas.
func (g *guard) spelled(text string) []string {
	lower := strings.ToLower(text)
	if base, _, _ := strings.Cut(g.language, "-"); base == "tr" {
		lower = strings.ToLowerSpecial(unicode.TurkishCase, text)
	}
	return strings.FieldsFunc(lower, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) })
}
