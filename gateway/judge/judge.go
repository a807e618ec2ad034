// Package judge says what a sound over the kiosk's voice was: something said to
// the kiosk, or something that it need not stop for. It knows the words only; the
// kiosk's own voice in its microphone is known by its sound in gateway/echo.
//
// It is a set of rules and not a model, because its verdict must be there the
// moment that the words are, and because a store must be able to tell why its
// kiosk did not stop.
package judge

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/praesenz/parley/flow/grammar"
)

// Why a sound did not count, as media.Verdict's ignored tells it.
const (
	// Noise has no words, or words that a recogniser makes of noise.
	Noise = "noise"
	// Backchannel says that the customer is listening: "mhm", "ah, okay".
	Backchannel = "backchannel"
	// FewWords are fewer than the flow wants for an interruption.
	FewWords = "few_words"
	// Echo is what the kiosk itself was saying.
	Echo = "echo"
)

// Said is a sound over the kiosk's voice, as it was understood.
type Said struct {
	Text     string
	Language string // BCP 47; of another language than en, de, fr and tr only what is alike everywhere is known
	// Confidence is the recogniser's, 0..1.
	Confidence float64
	// MinWords is how many words an interruption needs; 0 is 1.
	MinWords int
	// Speech is how long the sound was, without the silence around it. 0: unknown.
	Speech time.Duration
	// Over is what the kiosk was saying while the sound lasted, and for some words
	// before and after. Empty: it was silent, and then only noise is ignored.
	Over string
	// NoEcho: the kiosk's own voice is known not to be in the sound, so that the
	// same words are the customer's.
	NoEcho bool
	// Question: the kiosk is asking something, so that "yes" is an answer to it and
	// no sign of listening.
	Question bool
	// Answers are what a customer may choose from, as its buttons say it.
	Answers []string
}

const (
	// echoWords is how many words are needed for an echo: a customer repeats one
	// ("kettles?"), or two, as a question.
	echoWords = 3
	// echoDiffers is the share of an echo's words that may be others than those
	// that the kiosk said, or be missing: one in five.
	echoDiffers = 5
	// overWords bounds what is compared.
	overWords = 200

	// fastest is how many words a second nobody says, and briefest how many more
	// are allowed for a sound whose length is known only roughly. Quick speakers
	// reach some five words a second in the languages we know.
	fastest  = 8
	briefest = 3

	// doubtful is the confidence below which a polite phrase is taken for noise
	// even when the kiosk has asked something.
	doubtful = 0.5
)

// Utterance says why a sound is to be ignored, or "" when it counts.
func Utterance(s Said) (ignored string) {
	said := strings.Fields(grammar.Normal(s.Language, spoken(s.Text)))
	switch {
	case len(said) == 0 || isCaption(said):
		return Noise
	case s.Over == "":
		return ""
	case tooFast(len(said), s.Speech), isPolite(said) && (!s.Question || s.Confidence < doubtful):
		return Noise
	case s.Question && s.answers():
		return ""
	case !s.NoEcho && echoes(said, strings.Fields(grammar.Normal(s.Language, s.Over))):
		return Echo
	case isBackchannel(s.Language, said):
		return Backchannel
	case count(said) < max(1, s.MinWords):
		return FewWords
	}
	return ""
}

// answers tells whether it is plainly an answer: yes, no, or one of the buttons.
// An answer is as short as it is, whatever the flow wants of an interruption.
func (s Said) answers() bool {
	words := grammar.Hear(s.Language, s.Text)
	if _, ok := words.YesNo(); ok {
		return true
	}
	return slices.ContainsFunc(s.Answers, words.Is)
}

// spoken is a transcript without what a recogniser writes in brackets about a
// sound that is no speech: "[Music]", "(coughs)", "*sighs*", "♪ la la ♪".
func spoken(text string) string {
	closing := map[rune]rune{'[': ']', '(': ')', '{': '}', '*': '*', '♪': '♪', '♫': '♫', '（': '）', '【': '】'}
	var b strings.Builder
	var until rune
	for _, r := range text {
		switch {
		case until != 0:
			if r == until {
				until = 0
			}
		case closing[r] != 0:
			until = closing[r]
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// tooFast tells that nobody can have said so many words in so short a time: they
// are the recogniser's invention.
func tooFast(words int, speech time.Duration) bool {
	return speech > 0 && float64(words) > briefest+fastest*speech.Seconds()
}

// count is how many words a speaker would say there are. Sounds of hesitation are
// none. Scripts that put no blanks between words have two letters to a word, which
// is about the average of Chinese and Japanese.
func count(said []string) int {
	n := 0
	for _, w := range said {
		if hesitations[squeeze(w)] {
			continue
		}
		unspaced := 0
		for _, r := range w {
			if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) {
				unspaced++
			}
		}
		n += max(1, (unspaced+1)/2)
	}
	return n
}

// echoes tells whether the words are, in their order and without gaps, a stretch
// of what the kiosk was saying. The measure is the edit distance, in words, to
// the stretch that is nearest (Sellers' algorithm).
func echoes(said, over []string) bool {
	over = over[max(0, len(over)-overWords):]
	if len(said) < echoWords || len(said)*(echoDiffers-1) > len(over)*echoDiffers {
		return false
	}
	// distance[i] is that of the first i words to the nearest stretch that ends at
	// the word of the kiosk's that is looked at.
	distance := make([]int, len(said)+1)
	for i := range distance {
		distance[i] = i
	}
	nearest := len(said)
	for _, w := range over {
		diagonal := distance[0] // 0: a stretch may begin anywhere
		for i, v := range said {
			differs := 1
			if alike(v, w) {
				differs = 0
			}
			diagonal, distance[i+1] = distance[i+1], min(diagonal+differs, distance[i+1]+1, distance[i]+1)
		}
		nearest = min(nearest, distance[len(said)])
	}
	return nearest*echoDiffers <= len(said)
}

// alike tells whether two words may be one, heard twice: one letter in four may
// differ.
func alike(a, b string) bool {
	if a == b {
		return true
	}
	x, y := []rune(a), []rune(b)
	most := max(len(x), len(y)) / 4
	if most == 0 || len(x)-len(y) > most || len(y)-len(x) > most {
		return false
	}
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j, q := range y {
			differs := 1
			if r == q {
				differs = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+differs, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(y)] <= most
}
