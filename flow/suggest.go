package flow

import (
	"fmt"
	"strings"
)

// nearest is the candidate that a misspelt word most likely meant, or "". Ties
// go to the earlier one.
func nearest(word string, candidates []string) string {
	if len(word) < 2 || len(word) > 64 {
		return ""
	}
	best, limit := "", max(1, len(word)/3) // one slip in a short word, more in a long one
	for _, c := range candidates {
		if d := slips(word, c); d <= limit {
			best, limit = c, d-1
		}
	}
	return best
}

// slips counts the letters to insert, delete, replace or swap with their
// neighbour to make b of a (optimal string alignment). A swap is one slip: "aks"
// is a typical misspelling of "ask", and Levenshtein's distance would count two.
func slips(a, b string) int {
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
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
