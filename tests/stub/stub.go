// Package stub is a model server that is not one: it speaks the OpenAI audio and
// chat APIs and Smart Turn's with answers, delays and faults that are given, for measuring what
// the rest adds and for seeing what it does when a model fails. What it hears it
// does not understand, and what it says is a tone.
package stub

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Paths that a Fault can name.
const (
	Transcriptions = "/v1/audio/transcriptions"
	Speech         = "/v1/audio/speech"
	Chat           = "/v1/chat/completions"
	Turns          = "/raw" // Smart Turn's
)

// A Fault spoils one request.
type Fault struct {
	Path string // Transcriptions, Speech, Chat or Turns
	Skip int    // how many requests to Path go well before
	// Exactly one of these:
	Status int    // answer with it, and Detail
	Hang   bool   // never answer
	Cut    bool   // break the answer off half way
	Empty  bool   // answer well, with nothing in it
	Detail string // the body that goes with Status
}

// Config is what the server answers. The zero value answers at once.
type Config struct {
	Addr string // default 127.0.0.1:0

	STTDelay     time.Duration // from the end of the upload to the transcript
	Transcript   string        // default "where do i find hammers"
	Logprob      float64       // avg_logprob of the only segment; 0 is certainty
	NoSpeechProb float64
	Compression  float64

	TurnDelay    time.Duration // from the request to the answer
	TurnComplete float64       // the probability, 0..1

	Owner      string        // of the models, as /v1/models names it: "vllm"
	FirstToken time.Duration // from the request to the first word
	TokenGap   time.Duration // between words
	Answer     string        // default "Hammers are in aisle four."
	// Structured are the answers to chats with a response_format, one after the
	// other; the last one again and again.
	Structured []string

	FirstAudio time.Duration // from the request to the first audio
	SampleRate int           // default 22050 Hz
	MsPerChar  int           // of speech; default 60
	Timing     bool          // send speech.audio.timing, as the embedded server does

	Faults []Fault
	// Unrecorded: Requests and Ended stay empty, of a server that runs for long.
	Unrecorded bool
}

// A Request is what a client asked for.
type Request struct {
	Path      string
	Fields    map[string]string // of the form, or of the JSON's strings and numbers
	Order     []string          // of the form's parts
	FileType  string            // content type of the form's file
	Audio     int               // bytes of the form's file, or of Turns' samples
	Messages  []Message         // of a chat
	Schema    json.RawMessage   // of a chat's response_format
	Continued bool              // a chat's last message is the assistant's and stays open
	Cancelled bool              // the client went away before the answer was complete
	Arrived   time.Time         // its headers
	Uploaded  time.Time         // its body, whole
	First     time.Time         // the first of the answer: transcript, word or audio
}

// A Message of a chat request.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// A Server is a running stub.
type Server struct {
	URL string // http://127.0.0.1:port

	config Config
	http   *http.Server
	quit   context.CancelFunc

	mu       sync.Mutex
	requests []Request
	ended    chan struct{} // closed and replaced when a request has ended
	counts   map[string]int
	arrived  chan struct{} // see Arrived
}

// Start serves until Close.
func Start(c Config) (*Server, error) {
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.Transcript == "" {
		c.Transcript = "where do i find hammers"
	}
	if c.Answer == "" {
		c.Answer = "Hammers are in aisle four."
	}
	if c.SampleRate == 0 {
		c.SampleRate = 22050
	}
	if c.MsPerChar == 0 {
		c.MsPerChar = 60
	}
	l, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return nil, fmt.Errorf("start the stub: %w", err)
	}
	ctx, quit := context.WithCancel(context.Background())
	s := &Server{
		URL:     "http://" + l.Addr().String(),
		config:  c,
		quit:    quit,
		counts:  map[string]int{},
		ended:   make(chan struct{}),
		arrived: make(chan struct{}, 1),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+Transcriptions, s.transcribe)
	mux.HandleFunc("POST "+Speech, s.speak)
	mux.HandleFunc("POST "+Chat, s.chat)
	mux.HandleFunc("POST "+Turns, s.turn)
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"data": []any{map[string]any{"id": "m", "owned_by": s.config.Owner}}}) //nolint:errcheck // the client's affair
	})
	s.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	go s.http.Serve(l) //nolint:errcheck // it returns when Close closes it
	return s, nil
}

// Close ends the server and every request in it.
func (s *Server) Close() error {
	s.quit()
	return s.http.Close()
}

// Requests returns those that have ended, in that order.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Ended waits until n requests have ended, which is a moment after their answers
// have, and returns all that did; fewer when ctx ends first.
func (s *Server) Ended(ctx context.Context, n int) []Request {
	for {
		s.mu.Lock()
		count, ended := len(s.requests), s.ended
		s.mu.Unlock()
		if count >= n {
			return s.Requests()
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return s.Requests()
		}
	}
}

// Arrived receives when a chat's question, or audio of an upload, has come in.
func (s *Server) Arrived() <-chan struct{} { return s.arrived }

func (s *Server) arrive() {
	select {
	case s.arrived <- struct{}{}:
	default: // nobody has looked since the last time
	}
}

func (s *Server) record(r *http.Request, req *Request) {
	req.Path = r.URL.Path
	req.Cancelled = r.Context().Err() != nil
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.config.Unrecorded {
		s.requests = append(s.requests, *req)
	}
	close(s.ended)
	s.ended = make(chan struct{})
}

// fault returns the fault that this request meets, if any. It counts requests.
func (s *Server) fault(path string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.counts[path]
	s.counts[path]++
	for _, f := range s.config.Faults {
		if f.Path == path && f.Skip == n {
			return f
		}
	}
	return Fault{}
}

// spoil answers with the fault's status, or hangs; false: go on.
func spoil(w http.ResponseWriter, r *http.Request, f Fault) bool {
	switch {
	case f.Status != 0:
		http.Error(w, f.Detail, f.Status)
	case f.Hang:
		<-r.Context().Done()
	default:
		return false
	}
	return true
}

func (s *Server) transcribe(w http.ResponseWriter, r *http.Request) {
	req := Request{Arrived: time.Now(), Fields: map[string]string{}}
	defer s.record(r, &req)
	f := s.fault(r.URL.Path)
	if f.Status != 0 {
		spoil(w, r, f) // before the upload is over, as a server that refuses does
		return
	}
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	form := multipart.NewReader(r.Body, params["boundary"])
	for {
		part, err := form.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return // the client gave up
		}
		req.Order = append(req.Order, part.FormName())
		if part.FormName() != "file" {
			b, _ := io.ReadAll(part)
			req.Fields[part.FormName()] = string(b)
			continue
		}
		req.FileType = part.Header.Get("Content-Type")
		buf := make([]byte, 4096)
		for {
			n, err := part.Read(buf)
			req.Audio += n
			if n > 0 {
				s.arrive()
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				return
			}
		}
	}
	req.Uploaded = time.Now()
	if spoil(w, r, f) || !wait(r.Context(), s.config.STTDelay) {
		return
	}
	req.First = time.Now()
	text := s.config.Transcript
	if f.Empty {
		text = ""
	}
	w.Header().Set("Content-Type", "application/json")
	words := strings.Fields(text)
	answer := map[string]any{"language": req.Fields["language"], "duration": float64(req.Audio) / 32000, "text": text, "words": nil, "segments": []any{}}
	if len(words) > 0 {
		answer["segments"] = []any{map[string]any{
			"id": 0, "text": text, "tokens": make([]int, len(words)), "avg_logprob": s.config.Logprob,
			"compression_ratio": max(s.config.Compression, 1), "no_speech_prob": s.config.NoSpeechProb,
		}}
	}
	json.NewEncoder(w).Encode(answer) //nolint:errcheck // the client's affair
}

func (s *Server) chat(w http.ResponseWriter, r *http.Request) {
	req := Request{Arrived: time.Now()}
	defer s.record(r, &req)
	var body struct {
		Model       string    `json:"model"`
		Messages    []Message `json:"messages"`
		Temperature float64   `json:"temperature"`
		Continue    bool      `json:"continue_final_message"`
		AddPrompt   *bool     `json:"add_generation_prompt"`
		Format      struct {
			JSONSchema struct {
				Schema json.RawMessage `json:"schema"`
			} `json:"json_schema"`
		} `json:"response_format"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req.Uploaded = time.Now()
	req.Messages, req.Schema = body.Messages, body.Format.JSONSchema.Schema
	req.Fields = map[string]string{"model": body.Model, "temperature": fmt.Sprint(body.Temperature)}
	req.Continued = body.Continue && body.AddPrompt != nil && !*body.AddPrompt
	s.arrive()
	f := s.fault(r.URL.Path)
	if spoil(w, r, f) {
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	flush(w)
	if !wait(r.Context(), s.config.FirstToken) {
		return
	}
	req.First = time.Now()
	answer := s.config.Answer
	if len(req.Schema) > 0 {
		answer = s.structured()
	}
	words := strings.SplitAfter(answer, " ")
	for i, word := range words {
		if f.Empty {
			break
		}
		if f.Cut && i == len(words)/2 {
			return
		}
		if i > 0 && !wait(r.Context(), s.config.TokenGap) {
			return
		}
		event(w, map[string]any{"choices": []any{map[string]any{"delta": map[string]any{"content": word}}}})
	}
	event(w, map[string]any{"choices": []any{map[string]any{"delta": map[string]any{}, "finish_reason": "stop"}}})
	fmt.Fprint(w, "data: [DONE]\n\n")
}

// structured is the next of the structured answers.
func (s *Server) structured() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.config.Structured) == 0 {
		return s.config.Answer
	}
	n := min(s.counts["structured"], len(s.config.Structured)-1)
	s.counts["structured"]++
	return s.config.Structured[n]
}

func (s *Server) speak(w http.ResponseWriter, r *http.Request) {
	req := Request{Arrived: time.Now()}
	defer s.record(r, &req)
	var body map[string]any
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req.Uploaded = time.Now()
	req.Fields = map[string]string{}
	for k, v := range body {
		req.Fields[k] = fmt.Sprint(v)
	}
	if req.Fields["response_format"] == "wav" && req.Fields["stream_format"] != "sse" {
		w.Header().Set("Content-Type", "audio/wav")
		w.Write(wav(s.config.SampleRate, tone(s.config.SampleRate, 100))) //nolint:errcheck
		return
	}
	f := s.fault(r.URL.Path)
	if spoil(w, r, f) {
		return
	}
	text := req.Fields["input"]
	ms := s.config.MsPerChar * len([]rune(text))
	pcm := tone(s.config.SampleRate, ms)
	if f.Empty {
		pcm = nil
	}
	if !wait(r.Context(), s.config.FirstAudio) {
		return
	}
	req.First = time.Now()
	w.Header().Set("Content-Type", "text/event-stream")
	if s.config.Timing {
		event(w, map[string]any{"type": "speech.audio.timing", "phonemes": []any{
			map[string]any{"p": "hh", "start_ms": 0, "end_ms": ms / 2},
			map[string]any{"p": "ah", "start_ms": ms / 2, "end_ms": ms},
		}})
	}
	// An odd size, so that samples are split between deltas.
	const size = 4801
	for at := 0; at < len(pcm); at += size {
		if f.Cut && at > len(pcm)/2 {
			return
		}
		delta := pcm[at:min(at+size, len(pcm))]
		event(w, map[string]any{"type": "speech.audio.delta", "audio": base64.StdEncoding.EncodeToString(delta)})
	}
	event(w, map[string]any{"type": "speech.audio.done"})
}

func (s *Server) turn(w http.ResponseWriter, r *http.Request) {
	req := Request{Arrived: time.Now()}
	defer s.record(r, &req)
	b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return // the client gave up
	}
	req.Uploaded = time.Now()
	if _, samples, ok := bytes.Cut(b, []byte("\n")); ok { // behind the header of numpy.save
		req.Audio = len(samples)
	}
	s.arrive()
	f := s.fault(r.URL.Path)
	if spoil(w, r, f) || !wait(r.Context(), s.config.TurnDelay) {
		return
	}
	req.First = time.Now()
	w.Header().Set("Content-Type", "application/json")
	if f.Empty {
		fmt.Fprint(w, "{}")
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"prediction": math.Round(s.config.TurnComplete), "probability": s.config.TurnComplete}) //nolint:errcheck // the client's affair
}

func event(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // the stub's own maps
	}
	fmt.Fprintf(w, "data: %s\n\n", b)
	flush(w)
}

func flush(w http.ResponseWriter) {
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}

// wait returns false when the client has gone first.
func wait(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// tone is ms of a 220 Hz tone as PCM16 mono.
func tone(rate, ms int) []byte {
	pcm := make([]byte, 0, rate*ms/1000*2)
	for i := range rate * ms / 1000 {
		v := int16(8000 * math.Sin(2*math.Pi*220*float64(i)/float64(rate)))
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(v))
	}
	return pcm
}

// wav puts a header before PCM16 mono.
func wav(rate int, pcm []byte) []byte {
	b := []byte("RIFF")
	b = binary.LittleEndian.AppendUint32(b, uint32(36+len(pcm)))
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	b = binary.LittleEndian.AppendUint16(b, 1)
	b = binary.LittleEndian.AppendUint16(b, 1)
	b = binary.LittleEndian.AppendUint32(b, uint32(rate))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate*2))
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint16(b, 16)
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(pcm)))
	return append(b, pcm...)
}
