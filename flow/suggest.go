package flow

import (
	"fmt"
	"strings"

	"github.com/agnivade/levenshtein"
)

// nearest is the candidate that a misspelt word most likely meant, or "". Ties
// go to the earlier one.
func nearest(word string, candidates []string) string {
	best, limit := "", 1+len(word)/4 // one slip in a short word, more in a long one
	if len(word) > 100 {
		return ""
	}
	for _, c := range candidates {
		if d := levenshtein.ComputeDistance(word, c); d <= limit && d < len(word) {
			best, limit = c, d-1
		}
	}
	return best
}

// didYouMean is "; did you mean "ask"?", or nothing.
func didYouMean(word string, candidates []string) string {
	if best := nearest(word, candidates); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return ""
}

// quoted lists words for a hint: "a", "b" or "c".
func quoted(list []string, last string) string {
	if len(list) == 0 {
		return "none"
	}
	qs := make([]string, len(list))
	for i, s := range list {
		qs[i] = fmt.Sprintf("%q", s)
	}
	if len(qs) == 1 {
		return qs[0]
	}
	return strings.Join(qs[:len(qs)-1], ", ") + " " + last + " " + qs[len(qs)-1]
}
