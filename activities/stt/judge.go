package stt

import (
	"encoding/binary"
	"math"
	"strings"
)

// transcript is what verbose_json holds and we use.
type transcript struct {
	Text     string    `json:"text"`
	Segments []segment `json:"segments"`
}

type segment struct {
	Text             string  `json:"text"`
	Tokens           []int   `json:"tokens"`
	AvgLogprob       float64 `json:"avg_logprob"`
	CompressionRatio float64 `json:"compression_ratio"`
	NoSpeechProb     float64 `json:"no_speech_prob"`
}

// Whisper's own gates, which batched servers do not apply (the values are those
// of openai/whisper's transcribe).
const (
	noSpeechAbove    = 0.6
	noSpeechLogprob  = -1.0
	repetitiveAbove  = 2.4
	repetitiveAtMost = 0.4 // confidence of a text that repeats itself
)

// unknown is the confidence of a transcript whose server gives no
// probabilities: neither good nor suspect.
const unknown = 0.5

// judge returns the words and how sure they are, 0..1: the geometric mean of
// the tokens' probabilities over the segments that hold speech.
func (t transcript) judge() (text string, confidence float64) {
	if len(t.Segments) == 0 {
		if text = strings.TrimSpace(t.Text); text == "" {
			return "", 0
		}
		return short(text, unknown)
	}
	var words []string
	var sum, tokens float64
	most := 1.0
	for _, s := range t.Segments {
		if s.NoSpeechProb > noSpeechAbove && s.AvgLogprob < noSpeechLogprob {
			continue
		}
		words = append(words, strings.Fields(s.Text)...)
		// A server may leave the tokens out; each segment then counts by its words.
		n := float64(len(s.Tokens))
		if n == 0 {
			n = float64(max(1, len(strings.Fields(s.Text))))
		}
		sum += n * s.AvgLogprob
		tokens += n
		if s.CompressionRatio > repetitiveAbove {
			most = repetitiveAtMost
		}
	}
	if len(words) == 0 {
		return "", 0
	}
	return short(strings.Join(words, " "), min(math.Exp(sum/tokens), most))
}

// longest is in characters. Nobody says as much in the minute that an utterance
// lasts at most; a model that has run away does, and what it writes would stay in
// the conversation's history.
const longest = 4000

// short cuts off what nobody can have said.
func short(text string, confidence float64) (string, float64) {
	if r := []rune(text); len(r) > longest {
		return strings.TrimSpace(string(r[:longest])), min(confidence, repetitiveAtMost)
	}
	return text, confidence
}

// A meter finds the loudest tenth of a second of 16 kHz PCM16.
type meter struct {
	odd      []byte // half a sample that waits for its other half
	sum      float64
	n        int
	loudest  float64 // mean square of the loudest window, full scale 1
	complete bool    // a whole window was seen
}

const meterWindow = SampleRate / 10

func (m *meter) add(pcm []byte) {
	if len(m.odd) > 0 {
		pcm = append(m.odd, pcm...)
	}
	for len(pcm) >= 2 {
		s := float64(int16(binary.LittleEndian.Uint16(pcm))) / 32768
		pcm = pcm[2:]
		m.sum += s * s
		m.n++
		if m.n == meterWindow {
			m.loudest = max(m.loudest, m.sum/float64(m.n))
			m.sum, m.n, m.complete = 0, 0, true
		}
	}
	m.odd = append([]byte(nil), pcm...)
}

// dBFS is the loudest window's level; an utterance shorter than a window is
// measured whole.
func (m *meter) dBFS() float64 {
	loudest := m.loudest
	if !m.complete && m.n > 0 {
		loudest = m.sum / float64(m.n)
	}
	return 10 * math.Log10(loudest)
}
