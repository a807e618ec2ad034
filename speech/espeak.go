package speech

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// sayWithEspeak speaks with espeak-ng. Its program tells which sounds it makes
// but not when; their times are fitted to the audio. (Its library tells both,
// but is GPL-3, which a linked program would have to be too.)
func sayWithEspeak(ctx context.Context, name, text string, speed float64) (spoken, error) {
	wordsPerMinute := strconv.Itoa(int(math.Round(175 * speed)))
	wav, err := run(ctx, text, "espeak-ng", "-v", name, "-s", wordsPerMinute, "--stdin", "--stdout")
	if err != nil {
		return spoken{}, err
	}
	samples, rate, err := readAllWAV(bytes.NewReader(wav))
	if err != nil {
		return spoken{}, fmt.Errorf("read espeak-ng's audio: %w", err)
	}
	ipa, err := run(ctx, text, "espeak-ng", "-v", name, "-q", "--ipa", "--sep=_", "--stdin")
	if err != nil {
		return spoken{}, err
	}
	return spoken{samples: samples, rate: rate, phonemes: fit(parseIPA(string(ipa)), samples, rate)}, nil
}

// A sound is a phoneme that is not placed in time yet.
type sound struct {
	symbol string
	weight float64 // its usual length, a short vowel being 1
}

// arpabet gives the ARPAbet for what espeak-ng writes in IPA. Vowels English
// lacks become the ones with the nearest shape of the mouth.
var arpabet = map[string]string{
	"i": "iy", "ɪ": "ih", "y": "uw", "ʏ": "uh", "ɨ": "ih", "ɯ": "ih", "ᵻ": "ih",
	"e": "ey", "ɛ": "eh", "æ": "ae", "ø": "er", "œ": "er", "a": "aa", "ɑ": "aa", "ɒ": "aa",
	"ʌ": "ah", "ə": "ax", "ɐ": "ax", "ɚ": "er", "ɝ": "er", "ɜ": "er",
	"ɔ": "ao", "o": "ow", "ʊ": "uh", "u": "uw",
	"aɪ": "ay", "aʊ": "aw", "ɔɪ": "oy", "ɔø": "oy", "eɪ": "ey", "oʊ": "ow", "əʊ": "ow",
	"p": "p", "b": "b", "t": "t", "d": "d", "k": "k", "g": "g", "ɡ": "g", "c": "k", "ɟ": "g",
	"f": "f", "v": "v", "θ": "th", "ð": "dh", "s": "s", "z": "z", "ʃ": "sh", "ʒ": "zh", "ç": "hh", "x": "hh", "h": "hh", "ɣ": "g", "β": "b",
	"tʃ": "ch", "dʒ": "jh", "m": "m", "n": "n", "ŋ": "ng", "ɲ": "n",
	"l": "l", "ɫ": "l", "ʎ": "l", "r": "r", "ɹ": "r", "ɾ": "r", "ʁ": "r", "ʀ": "r", "ɻ": "r", "j": "y", "w": "w", "ʍ": "w", "ɥ": "w", "ʋ": "v",
}

// parseIPA reads what espeak-ng --ipa --sep=_ prints: a line per clause.
func parseIPA(out string) [][]sound {
	var clauses [][]sound
	for line := range strings.Lines(out) {
		var clause []sound
		for len(line) > 0 {
			symbol, size := nextSymbol(line)
			line = line[size:]
			if strings.HasPrefix(line, "ː") && len(clause) > 0 {
				clause[len(clause)-1].weight *= 1.5
			}
			if symbol != "" {
				clause = append(clause, sound{symbol, usualLength(symbol)})
			}
		}
		if len(clause) > 0 {
			clauses = append(clauses, clause)
		}
	}
	return clauses
}

// nextSymbol gives the ARPAbet at the beginning of s and how many bytes it
// takes; "" for a mark that is no sound.
func nextSymbol(s string) (string, int) {
	_, first := utf8.DecodeRuneInString(s)
	_, second := utf8.DecodeRuneInString(s[first:])
	if symbol, ok := arpabet[s[:first+second]]; ok {
		return symbol, first + second
	}
	return arpabet[s[:first]], first
}

func usualLength(symbol string) float64 {
	switch symbol {
	case "ay", "aw", "oy", "ey", "ow":
		return 1.5
	case "ax", "p", "b", "t", "d", "k", "g", "l", "r", "y", "w", "n", "m":
		return 0.7
	default:
		return 1
	}
}

// fit places clauses of sounds on the audio they were heard in: each clause
// fills one stretch between the longest pauses, each sound its usual share.
func fit(clauses [][]sound, samples []int16, rate int) []phoneme {
	stretches := speechStretches(samples, rate, len(clauses))
	if len(stretches) == 0 {
		return nil
	}
	if len(stretches) < len(clauses) {
		// Clauses that run into one another have no pause to tell them apart.
		rest := slices.Concat(clauses[len(stretches)-1:]...)
		clauses = append(slices.Clone(clauses[:len(stretches)-1]), rest)
	}
	var phonemes []phoneme
	pause := func(until int) {
		from := 0
		if n := len(phonemes); n > 0 {
			from = phonemes[n-1].EndMS
		}
		if until > from {
			phonemes = append(phonemes, phoneme{Symbol: "pau", StartMS: from, EndMS: until})
		}
	}
	for i, stretch := range stretches {
		pause(stretch.start)
		var total, passed float64
		for _, s := range clauses[i] {
			total += s.weight
		}
		at := stretch.start
		for _, s := range clauses[i] {
			passed += s.weight
			end := stretch.start + int(passed/total*float64(stretch.end-stretch.start)+0.5)
			phonemes = append(phonemes, phoneme{Symbol: s.symbol, StartMS: at, EndMS: end})
			at = end
		}
	}
	pause(durationMS(len(samples), rate))
	return phonemes
}

// A stretch is a piece of audio in milliseconds.
type stretch struct{ start, end int }

// speechStretches cuts audio at its longest pauses into at most n stretches of
// speech, in their order.
func speechStretches(samples []int16, rate, n int) []stretch {
	const (
		stepMS     = 10
		minPauseMS = 60
		quiet      = 0.02 // of the loudest step
	)
	step := rate * stepMS / 1000
	var loudness []float64
	for i := 0; i+step <= len(samples); i += step {
		var sum float64
		for _, s := range samples[i : i+step] {
			sum += float64(s) * float64(s)
		}
		loudness = append(loudness, math.Sqrt(sum))
	}
	if n == 0 || len(loudness) == 0 || slices.Max(loudness) == 0 {
		return nil
	}
	threshold := quiet * slices.Max(loudness)
	loud := func(l float64) bool { return l > threshold }
	first := slices.IndexFunc(loudness, loud)
	end := len(loudness)
	for !loud(loudness[end-1]) {
		end--
	}
	var pauses []stretch
	for i := first; i < end; i++ {
		if loud(loudness[i]) {
			continue
		}
		j := i
		for !loud(loudness[j]) {
			j++
		}
		if (j-i)*stepMS >= minPauseMS {
			pauses = append(pauses, stretch{i * stepMS, j * stepMS})
		}
		i = j
	}
	slices.SortStableFunc(pauses, func(a, b stretch) int { return cmp.Compare(b.end-b.start, a.end-a.start) })
	pauses = pauses[:min(len(pauses), n-1)]
	slices.SortFunc(pauses, func(a, b stretch) int { return cmp.Compare(a.start, b.start) })

	var out []stretch
	start := first * stepMS
	for _, p := range pauses {
		out = append(out, stretch{start, p.start})
		start = p.end
	}
	return append(out, stretch{start, end * stepMS})
}
