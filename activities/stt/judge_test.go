package stt

import (
	"math"
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
	for _, c := range []struct {
		name       string
		transcript transcript
		text       string
		confidence float64
	}{
		{"nothing", transcript{}, "", 0},
		{"no segments", transcript{Text: " hello "}, "hello", unknown},
		{"weighed by tokens", transcript{Segments: []segment{
			{Text: " where do", Tokens: make([]int, 3), AvgLogprob: -0.2},
			{Text: " I find hammers", Tokens: make([]int, 1), AvgLogprob: -1},
		}}, "where do I find hammers", math.Exp(-(3*0.2 + 1) / 4)},
		{"no tokens: by words", transcript{Segments: []segment{
			{Text: "a b c", AvgLogprob: -0.2}, {Text: "d", AvgLogprob: -1},
		}}, "a b c d", math.Exp(-(3*0.2 + 1) / 4)},
		{"a silent segment goes", transcript{Segments: []segment{
			{Text: "yes", AvgLogprob: -0.1}, {Text: "Thank you.", AvgLogprob: -1.2, NoSpeechProb: 0.8},
		}}, "yes", math.Exp(-0.1)},
		{"sure in spite of the silence", transcript{Segments: []segment{
			{Text: "yes", AvgLogprob: -0.1, NoSpeechProb: 0.8},
		}}, "yes", math.Exp(-0.1)},
		{"runs away", transcript{Text: strings.Repeat("no ", 10_000)}, strings.TrimSpace(strings.Repeat("no ", 1334)[:longest]), repetitiveAtMost},
		{"repeats itself", transcript{Segments: []segment{
			{Text: "no no no no", AvgLogprob: -0.1, CompressionRatio: 3},
		}}, "no no no no", repetitiveAtMost},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, confidence := c.transcript.judge()
			if text != c.text || !near(confidence, c.confidence) {
				t.Errorf("%q, %v; want %q, %v", text, confidence, c.text, c.confidence)
			}
		})
	}
}

func TestMeterFindsTheLoudestTenthOfASecond(t *testing.T) {
	square := func(ms int, level int16) []byte {
		var pcm []byte
		for range ms * SampleRate / 1000 {
			pcm = append(pcm, byte(level), byte(level>>8))
		}
		return pcm
	}
	var m meter
	m.add(square(2000, 3))
	m.add(square(200, 3277)) // -20 dBFS
	pcm := square(2000, 3)
	m.add(pcm[:1001]) // half a sample is no matter
	m.add(pcm[1001:])
	if got := m.dBFS(); math.Abs(got+20) > 0.1 {
		t.Errorf("%.2f dBFS, want -20", got)
	}
	var short meter
	short.add(square(20, 3277))
	if got := short.dBFS(); math.Abs(got+20) > 0.1 {
		t.Errorf("a short utterance: %.2f dBFS, want -20", got)
	}
	var silent meter
	silent.add(make([]byte, 32000))
	if got := silent.dBFS(); !math.IsInf(got, -1) {
		t.Errorf("silence: %v", got)
	}
}
