package timing

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/retrieval"
)

// Models are the stub servers' speeds. They stand for real ones of a known speed.
type Models struct {
	// STT is from the last word that the recogniser has heard to the transcript,
	// as of one that recognises while it listens, but never before the upload is
	// over. STTAfterAudio is from the end of the upload, as of one that does not.
	STT           time.Duration `yaml:"stt"`
	STTAfterAudio time.Duration `yaml:"stt_after_audio"`
	STTFails      int           `yaml:"stt_fails"` // so many requests, with 500
	Search        time.Duration `yaml:"search"`
	FirstToken    time.Duration `yaml:"first_token"`
	AllTokens     time.Duration `yaml:"all_tokens"` // from the request, as all of these
	FirstAudio    time.Duration `yaml:"first_audio"`
	AllAudio      time.Duration `yaml:"all_audio"`
	Call          time.Duration `yaml:"call"`
	// Turn is the probability that a turn is complete, by what was said, and
	// TurnAfter how long the model that tells it takes.
	Turn      map[string]float64 `yaml:"turn"`
	TurnAfter time.Duration      `yaml:"turn_after"`
}

// An Answer is what the language model says to a question.
type Answer struct {
	To    string        `yaml:"to"` // the question; the last that is empty answers all others
	Text  string        `yaml:"text"`
	Lasts time.Duration `yaml:"lasts"` // spoken; default 60 ms a letter
	// After is when the first token comes, of this answer only.
	After time.Duration `yaml:"after"`
}

const (
	turnPath  = "/turn"
	voiceRate = 16000 // Hz, of the kiosk's voice
	letter    = 60 * time.Millisecond
)

// models is the stub of every model server.
type models struct {
	Models
	answers []Answer
	phrases *phrases
	note    func(lane, kind, text string)

	mu    sync.Mutex
	lasts map[string]time.Duration // of each sentence
	asked int                      // for transcripts
}

func newModels(m Models, answers []Answer, p *phrases, note func(lane, kind, text string)) *models {
	s := &models{Models: m, answers: answers, phrases: p, note: note, lasts: map[string]time.Duration{}}
	for _, a := range answers {
		if a.Lasts == 0 {
			continue
		}
		letters := 0
		sentences := sentences(a.Text)
		for _, t := range sentences {
			letters += len(t)
		}
		for _, t := range sentences {
			s.lasts[t] = a.Lasts * time.Duration(len(t)) / time.Duration(letters)
		}
	}
	return s
}

// sentences is how the gateway cuts the stubs' simple texts.
func sentences(text string) []string {
	parts := strings.SplitAfter(text, ". ")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

func (m *models) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/audio/transcriptions", m.transcribe)
	mux.HandleFunc("POST /v1/audio/speech", m.speak)
	mux.HandleFunc("POST /v1/chat/completions", m.chat)
	mux.HandleFunc("POST "+turnPath, m.turn)
	return mux
}

// transcribe recognises the customer's phrases by the marks in their samples.
func (m *models) transcribe(w http.ResponseWriter, r *http.Request) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var heard recognised
	form := multipart.NewReader(r.Body, params["boundary"])
	for {
		part, err := form.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return // taken back
		}
		if part.FormName() != "file" {
			continue
		}
		buf := make([]byte, 8192)
		for kept := 0; ; {
			n, err := part.Read(buf[kept:])
			n += kept
			heard.add(buf[:n&^1])
			kept = copy(buf, buf[n&^1:n])
			if err != nil {
				break
			}
		}
	}
	ready := heard.last.Add(m.STT)
	if m.STTAfterAudio > 0 {
		ready = time.Now().Add(m.STTAfterAudio)
	}
	if !wait(r.Context(), time.Until(ready)) {
		return
	}
	m.mu.Lock()
	m.asked++
	fails := m.asked <= m.STTFails
	m.mu.Unlock()
	if fails {
		http.Error(w, "made to fail", http.StatusInternalServerError)
		return
	}
	text := m.phrases.text(&heard)
	answer := map[string]any{"text": text, "segments": []any{}}
	if text != "" {
		answer["segments"] = []any{map[string]any{
			"text": text, "tokens": []int{1}, "avg_logprob": -0.1, "compression_ratio": 1, "no_speech_prob": 0,
		}}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer) //nolint:errcheck // the client's affair
}

// turn judges whether the customer has said all, by what they have said.
func (m *models) turn(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	_, samples, found := bytes.Cut(b, []byte("\n")) // behind the header of an NPY file
	if err != nil || !found {
		http.Error(w, "no array", http.StatusBadRequest)
		return
	}
	var heard recognised
	pcm := make([]byte, 0, len(samples)/2)
	for ; len(samples) >= 4; samples = samples[4:] {
		v := math.Float32frombits(binary.LittleEndian.Uint32(samples))
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(int16(v*32768)))
	}
	heard.add(pcm)
	text := m.phrases.text(&heard)
	if !wait(r.Context(), m.TurnAfter) {
		return
	}
	m.note(laneSTT, kindJudged, fmt.Sprintf("%s %.2f", text, m.Turn[text]))
	json.NewEncoder(w).Encode(map[string]any{"prediction": 1, "probability": m.Turn[text]}) //nolint:errcheck // the client's affair
}

func (m *models) chat(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	var body struct {
		Messages []struct{ Role, Content string }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	question := ""
	for _, said := range body.Messages {
		if said.Role == "user" {
			question = said.Content
		}
	}
	// Passages stand before it.
	if _, asked, found := strings.Cut(question, "Question: "); found {
		question = asked
	}
	m.note(laneLLM, kindAsked, question)
	for _, said := range body.Messages {
		if said.Role == "assistant" {
			m.note(laneLLM, kindKnows, said.Content)
		}
	}
	a := m.answer(question)
	first, all := m.FirstToken, m.AllTokens
	if a.After > 0 {
		first, all = a.After, max(a.After, all)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	flush(w)
	words := strings.SplitAfter(a.Text, " ")
	for i, word := range words {
		at := first
		if len(words) > 1 {
			at += (all - first) * time.Duration(i) / time.Duration(len(words)-1)
		}
		if !wait(r.Context(), time.Until(began.Add(at))) {
			m.note(laneLLM, kindAborted, question)
			return
		}
		event(w, map[string]any{"choices": []any{map[string]any{"delta": map[string]any{"content": word}}}})
	}
	m.note(laneLLM, kindAnswered, a.Text)
	event(w, map[string]any{"choices": []any{map[string]any{"delta": map[string]any{}, "finish_reason": "stop"}}})
	fmt.Fprint(w, "data: [DONE]\n\n")
}

// answer is the one to a question, else the last that is for any.
func (m *models) answer(question string) Answer {
	found := Answer{Text: "Kettles are in aisle four."}
	for _, a := range m.answers {
		if a.To == question {
			return a
		}
		if a.To == "" {
			found = a
		}
	}
	return found
}

func (m *models) speak(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	var body struct {
		Input  string `json:"input"`
		Stream string `json:"stream_format"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if body.Stream != "sse" {
		w.Header().Set("Content-Type", "audio/wav")
		w.Write(wavHeader(voiceRate)) //nolint:errcheck // the client's affair
		return
	}
	lasts, known := m.lasts[body.Input]
	if !known {
		lasts = time.Duration(len(body.Input)) * letter
	}
	m.note(laneTTS, kindVoiced, body.Input)
	pcm := kioskVoice(lasts)
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	flush(w)
	// A fifth of a second comes first, the rest when all of it is made.
	first := min(len(pcm), voiceRate/5*2)
	for _, piece := range []struct {
		at  time.Duration
		pcm []byte
	}{{m.FirstAudio, pcm[:first]}, {max(m.FirstAudio, m.AllAudio), pcm[first:]}} {
		if !wait(r.Context(), time.Until(began.Add(piece.at))) {
			return
		}
		event(w, map[string]any{"type": "speech.audio.delta", "audio": base64.StdEncoding.EncodeToString(piece.pcm)})
	}
	event(w, map[string]any{"type": "speech.audio.done"})
}

// wait waits on virtual time; false: the client has gone.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func event(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // the stub's own maps
	}
	fmt.Fprintf(w, "data: %s\n\n", b)
	flush(w)
}

func flush(w http.ResponseWriter) { w.(http.Flusher).Flush() }

func wavHeader(rate int) []byte {
	b := append([]byte("RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"), make([]byte, 20)...)
	binary.LittleEndian.PutUint32(b[24:], uint32(rate))
	return b
}

// kioskVoice is what the kiosk's voice sounds like, in PCM16 at voiceRate:
// syllables of changing length, pitch, loudness and colour, with gaps between
// them, always the same.
func kioskVoice(d time.Duration) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	between := func(a, b float64) float64 { return a + (b-a)*random.Float64() }
	pcm := make([]byte, int(d.Seconds()*voiceRate)*2)
	for at := 0; at < len(pcm)/2; {
		length := int(between(0.09, 0.26) * voiceRate)
		pitch, loud, formant, hiss := between(150, 240), between(2000, 9000), between(300, 2600), between(0, 0.5)
		for i := range length {
			if (at+i)*2 >= len(pcm) {
				break
			}
			t, swell := float64(i)/voiceRate, math.Sin(math.Pi*float64(i)/float64(length))
			v := math.Sin(2*math.Pi*pitch*t) + 0.7*math.Sin(2*math.Pi*math.Round(formant/pitch)*pitch*t) + hiss*(random.Float64()-0.5)
			binary.LittleEndian.PutUint16(pcm[(at+i)*2:], uint16(int16(loud*swell*v)))
		}
		at += length + int(between(0.01, 0.12)*voiceRate)
	}
	return pcm
}

// stubIndex knows one passage, which answers everything.
type stubIndex struct {
	retrieval.Index
	models *models
}

func (i stubIndex) Search(ctx context.Context, _ retrieval.Collection, q retrieval.Query) ([]activities.Passage, error) {
	if !wait(ctx, i.models.Search) {
		return nil, context.Cause(ctx)
	}
	return []activities.Passage{{ID: "1", Source: "kettles.md", Title: "Kettles", Text: "Kettles are in aisle four.", Score: 0.9}}, nil
}
