//go:build pocketsphinx

package speech

import (
	"bytes"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// questions are what customers ask of the store in testdata/corpus. Most are
// put otherwise than its documents put them.
var questions = []string{
	"where do i find hammers", "how much is the cordless drill", "when do you close on sunday",
	"do you have blue paint", "can you cut keys", "what does paint mixing cost",
	"can i return a product without a receipt", "where are the toilets", "i am looking for wood screws",
	"how much does the garden hose cost", "where can i find light bulbs", "can i rent a concrete mixer",
}

// chatter has nothing to do with the store.
var chatter = []string{
	"what is the weather like tomorrow", "my brother went to the university in london",
	"tell me a joke about politicians", "i have been married for seventeen years",
	"the committee will meet again in october", "where is the swimming pool",
}

// confidenceOf is what the product's client makes of the segments.
func confidenceOf(segments []segment) float64 {
	var sum, n float64
	for _, s := range segments {
		sum += float64(len(s.Tokens)) * s.AvgLogprob
		n += float64(len(s.Tokens))
	}
	if n == 0 {
		return 0
	}
	return math.Exp(sum / n)
}

// wrongWords counts the words to insert, delete and replace to make got of want.
func wrongWords(want, got string) (wrong, words int) {
	a, b := strings.Fields(want), strings.Fields(got)
	return int(math.Round((1 - alikeness(a, b)) * float64(max(len(a), len(b))))), len(a)
}

func TestCustomersAreHeard(t *testing.T) {
	url := startServer(t, nil)
	bars := map[string]float64{"rms": 0.10, "awb": 0.10, "kal": 0.10} // word error rate
	for _, voice := range customerVoices {
		var wrong, words int
		for _, question := range questions {
			got := transcribed(t, url, utteranceOf(t, voice, question))
			w, n := wrongWords(question, got.Text)
			wrong, words = wrong+w, words+n
			if w > 0 {
				t.Logf("%s: %q heard as %q, confidence %.2f", voice, question, got.Text, confidenceOf(got.Segments))
			}
		}
		rate := float64(wrong) / float64(words)
		t.Logf("%s: word error rate %.1f%%", voice, 100*rate)
		if rate > bars[voice] {
			t.Errorf("%s: word error rate %.1f%%, the bar is %.0f%%", voice, 100*rate, 100*bars[voice])
		}
	}
}

// What is no question for the store must be heard as itself or with doubt, not
// as one of its products.
func TestChatterIsDoubted(t *testing.T) {
	url := startServer(t, nil)
	confidences := func(texts []string) []float64 {
		var out []float64
		for _, text := range texts {
			got := transcribed(t, url, utteranceOf(t, "rms", text))
			confidence := confidenceOf(got.Segments)
			if wrong, words := wrongWords(text, got.Text); float64(wrong) > 0.5*float64(words) && confidence > 0.75 {
				t.Errorf("%q was heard as %q with confidence %.2f", text, got.Text, confidence)
			}
			out = append(out, confidence)
		}
		slices.Sort(out)
		t.Logf("confidences %.2f", out)
		return out
	}
	asked, chatted := confidences(questions), confidences(chatter)
	if a, c := asked[len(asked)/2], chatted[len(chatted)/2]; a < c+0.05 {
		t.Errorf("median confidence is %.2f for questions and %.2f for chatter; they should be apart", a, c)
	}
}

func TestExpectedAnswersAreHeard(t *testing.T) {
	url := startServer(t, nil)
	answers := []string{"yes please", "no thank you", "english", "german", "blue", "yellow", "talk to a person", "goodbye", "quillhausen"}
	expected := field{"hotwords", strings.Join(answers, ", ")}
	for _, voice := range customerVoices {
		for _, answer := range answers {
			got := transcribed(t, url, utteranceOf(t, voice, answer), expected)
			if got.Text != answer {
				t.Errorf("%s: %q heard as %q, confidence %.2f", voice, answer, got.Text, confidenceOf(got.Segments))
			}
		}
	}
	for _, question := range questions[:4] {
		got := transcribed(t, url, utteranceOf(t, "awb", question), expected)
		if slices.Contains(answers, got.Text) {
			t.Errorf("%q was forced on the expected answer %q", question, got.Text)
		}
	}
}

// More lists of expected answers than are kept set up: the oldest go.
func TestManyListsOfAnswers(t *testing.T) {
	url := startServer(t, nil)
	yes := utteranceOf(t, "awb", "yes please")
	for i := range maxKnownHints + 2 {
		list := field{"hotwords", strings.Repeat("no, ", i+1) + "yes please"}
		if got := transcribed(t, url, yes, list); got.Text != "yes please" {
			t.Errorf("list %d: heard %q", i, got.Text)
		}
	}
}

func TestSilenceIsNothing(t *testing.T) {
	url := startServer(t, nil)
	for name, samples := range map[string][]int16{"none": nil, "one sample": {1}, "a second": make([]int16, inputRate)} {
		if got := transcribed(t, url, samples); got.Text != "" || len(got.Segments) != 0 {
			t.Errorf("%s: heard %q in %d segments", name, got.Text, len(got.Segments))
		}
	}
}

func TestWAVOfAnyRate(t *testing.T) {
	url := startServer(t, nil)
	v, _ := findVoice("rms")
	said, err := v.say(t.Context(), "where are the toilets", 1)
	if err != nil {
		t.Fatal(err)
	}
	change := resampler{from: said.rate, to: 44100}
	wav := encodeWAV(change.resample(nil, said.samples), 44100)
	response := postForm(t, url, "", []field{{"model", modelSphinx}, {"response_format", "text"}}, "audio/wav", bytes.NewReader(wav))
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if string(body) != "where are the toilets" {
		t.Errorf("heard %q", body)
	}
}

// live gives audio no faster than it is spoken, 20 ms at a time.
type live struct {
	pcm  []byte
	tick *time.Ticker
	last time.Time // when the last sound was given
}

func (l *live) Read(p []byte) (int, error) {
	if len(l.pcm) == 0 {
		return 0, io.EOF
	}
	<-l.tick.C
	n := copy(p, l.pcm[:min(len(l.pcm), inputRate/50*2)])
	l.pcm, l.last = l.pcm[n:], time.Now()
	return n, nil
}

// What is uploaded while it is spoken is decoded while it is spoken: at its end
// there is less to wait for than for the same utterance uploaded at once.
func TestTranscriptComesSoonAfterTheLastSound(t *testing.T) {
	url := startServer(t, nil)
	samples := utteranceOf(t, "rms", "can i return a product without a receipt")
	listen := func(file io.Reader) string {
		response := postForm(t, url, "", []field{{"model", "whisper-1"}, {"response_format", "text"}}, "audio/pcm", file)
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	spoken := &live{pcm: encodePCM(samples), tick: tick}
	text := listen(spoken)
	after := time.Since(spoken.last)
	began := time.Now()
	if whole := listen(bytes.NewReader(encodePCM(samples))); whole != text {
		t.Errorf("heard %q live and %q at once", text, whole)
	}
	atOnce := time.Since(began)
	t.Logf("%q, %s of audio: transcript %s after the last sound, %s when uploaded at once", text,
		time.Duration(len(samples))*time.Second/inputRate, after.Round(time.Millisecond), atOnce.Round(time.Millisecond))
	if after > atOnce {
		t.Errorf("live, the transcript took %s after the last sound; uploaded at once only %s", after, atOnce)
	}
}

func TestEditedCorpusIsLearned(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "store.md"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# Hammers\n\nHammers are in aisle 4.\n")
	url := startServer(t, func(c *Config) { c.Corpus = []string{dir} })
	asked := utteranceOf(t, "awb", "where do i find the zorblax")
	if got := transcribed(t, url, asked); strings.Contains(got.Text, "zorblax") {
		t.Fatalf("heard %q before the store had any", got.Text)
	}
	write("---\ntitle: Zorblax\ntags: [zorblax]\n---\n# Zorblax\n\nThe zorblax is in aisle 7. A zorblax costs 5 euros.\n")
	for deadline := time.Now().Add(2 * time.Minute); ; {
		got := transcribed(t, url, asked)
		if strings.Contains(got.Text, "zorblax") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still heard %q two minutes after the store got some", got.Text)
		}
	}
}

// Two talk at once into one recogniser: one is heard, and the other is told that
// it is busy while it still talks.
func TestBusyRecogniserSaysSo(t *testing.T) {
	t.Parallel()
	url := startServer(t, nil)
	talking, talk := io.Pipe()
	defer talk.Close()
	answers := make(chan *http.Response, 2)
	for range 2 {
		go func() { answers <- postForm(t, url, "", []field{{"model", "whisper-1"}}, "audio/pcm", talking) }()
	}
	busy := <-answers
	if busy.StatusCode != 503 || busy.Header.Get("Retry-After") == "" {
		t.Errorf("the one who waits: %s, Retry-After %q; want 503 and when to come back", busy.Status, busy.Header.Get("Retry-After"))
	}
	talk.Close()
	if heard := <-answers; heard.StatusCode != 200 {
		t.Errorf("the one who is heard: %s", heard.Status)
	}
}

func TestUtteranceTooLong(t *testing.T) {
	url := startServer(t, nil)
	endless := bytes.NewReader(make([]byte, 2*inputRate*61))
	response := postForm(t, url, "", []field{{"model", "whisper-1"}}, "audio/pcm", endless)
	if response.StatusCode != 413 {
		t.Errorf("61 s of audio: %s, want 413", response.Status)
	}
	// The recogniser is free again.
	if got := transcribed(t, url, utteranceOf(t, "rms", "where are the toilets")); got.Text != "where are the toilets" {
		t.Errorf("afterwards heard %q", got.Text)
	}
}
