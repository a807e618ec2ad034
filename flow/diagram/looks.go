package diagram

import "strings"

// A look is how a verb's steps are drawn, in both pictures.
type look struct {
	fill, stroke string
	width        int // of the border, in pixels
}

// Colours. Text keeps a contrast of 7:1 on every fill, and 4.5:1 where it is
// faded because a conversation did not come by.
const (
	paper     = "#ffffff"
	ink       = "#16202b"
	faded     = "#5b6773"
	line      = "#5b6773"
	lineIdle  = "#c4ccd4"
	litColour = "#00694f"
)

// verbs are the language's, in the order of its reference.
var verbs = []string{"say", "collect", "retrieve", "generate", "call", "set", "branch", "run_flow", "parallel", "wait", "handoff", "end"}

// looks: what the customer hears is blue, where they can speak is yellow and has
// the thickest border, what asks a server is green, violet or orange, what only
// computes is grey.
var looks = map[string]look{
	"say":      {"#e8f1fb", "#3b7dc4", 1},
	"collect":  {"#ffe9a8", "#a86a00", 4},
	"retrieve": {"#e3f4ea", "#2e8b57", 1},
	"generate": {"#efe8fb", "#7a4fc9", 1},
	"call":     {"#fde9e0", "#c8551b", 1},
	"set":      {"#f1f3f5", "#7b8794", 1},
	"branch":   {"#f1f3f5", "#4a5560", 1},
	"run_flow": {"#dff3f5", "#16808c", 1},
	"parallel": {"#dff3f5", "#16808c", 1},
	"wait":     {"#f6f0e4", "#8a7340", 1},
	"handoff":  {"#fde4ea", "#c0305a", 2},
	"end":      {"#dfe5eb", "#1f2d3d", 2},
}

// idle is a step that the conversation did not come to.
var idle = look{"#fafbfc", "#c4ccd4", 1}

// textWidth is about how wide a text is in a sans-serif face of some size, in
// pixels. It errs to the wide side: fonts differ, and text must stay inside.
func textWidth(s string, size float64) float64 {
	var em float64
	for _, r := range s {
		switch {
		case strings.ContainsRune("iljtfrI.,:;'|!()[]{} “”’-", r):
			em += 0.38
		case strings.ContainsRune("mwMW@%→…×", r):
			em += 0.94
		case r >= 'A' && r <= 'Z':
			em += 0.70
		case r >= 0x2e80: // Chinese, Japanese, Korean
			em += 1.05
		default:
			em += 0.6
		}
	}
	return em * size
}

// monoWidth is the width in a face whose letters are all as wide.
func monoWidth(s string, size float64) float64 { return float64(len([]rune(s))) * 0.62 * size }
