package speech

import (
	"context"
	"strings"
	"time"
)

// inputRate is the rate in hertz at which speech is recognised.
const inputRate = 16000

// A recogniser hears utterances. There are two: PocketSphinx under the build
// tag "pocketsphinx", and none.
type recogniser interface {
	// listen reserves what hearing one utterance needs and must be followed by
	// finish or abandon. It waits while all of it is in use, until ctx ends.
	listen(ctx context.Context, h hints) (utterance, error)
	// close frees everything once all utterances are over. It waits for them.
	close()
}

// An utterance is being heard. It is used by one goroutine.
type utterance interface {
	feed(samples []int16) error   // mono, inputRate
	finish() ([]heardWord, error) // empty when nothing was said
	abandon()                     // instead of finish; after it, does nothing
}

// hints say what is expected.
type hints struct {
	// phrases are whole utterances that are likely answers, each as lower-case
	// words: what the flow expects at this step.
	phrases [][]string
	// text is running text whose words and their order are likely.
	text [][]string
}

func (h hints) empty() bool { return len(h.phrases) == 0 && len(h.text) == 0 }

// key tells hints apart.
func (h hints) key() string {
	var b strings.Builder
	for _, list := range [][][]string{h.phrases, h.text} {
		for _, words := range list {
			b.WriteString(strings.Join(words, " "))
			b.WriteByte('\n')
		}
		b.WriteByte('\f')
	}
	return b.String()
}

// A heardWord is one recognised word and how sure the recogniser is of it.
// Silence of more than a moment is dropped before recognition, so times count
// speech: they agree with the audio as far as that begins with speech and has
// no long pause.
type heardWord struct {
	text       string
	start, end time.Duration
	posterior  float64 // 0–1
}

// alikeness compares two rows of phones: 1 for the same, 0 for nothing in
// common.
func alikeness(a, b []string) float64 {
	longer := max(len(a), len(b))
	if longer == 0 {
		return 0
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, p := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, q := range b {
			cost := diagonal
			if p != q {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return 1 - float64(row[len(b)])/float64(longer)
}
