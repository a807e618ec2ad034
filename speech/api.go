package speech

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Bounds on what one request may bring and take.
const (
	maxTranscriptionBody = 16 << 20
	maxSpeechBody        = 64 << 10
	maxField             = 64 << 10         // bytes of one form field
	maxUtterance         = 60 * time.Second // of audio
	maxInput             = 4096             // characters to speak, as OpenAI's API has it
	maxQueueing          = 5 * time.Second  // waiting for a free recogniser or voice
	maxSpeaking          = 30 * time.Second // computing one text's audio
	uploadTime           = 90 * time.Second // an utterance is uploaded as it is spoken
	downloadTime         = 60 * time.Second // taking the answer
)

// Model ids. The aliases are those of OpenAI's own models, as in speaches.
const (
	modelSphinx = "pocketsphinx-en-us"
	modelFlite  = "flite"
	modelEspeak = "espeak-ng"
)

// A model is an entry of /v1/models.
type model struct {
	ID       string   `json:"id"`
	Created  int64    `json:"created"`
	Object   string   `json:"object"`
	OwnedBy  string   `json:"owned_by"`
	Language []string `json:"language"`
	Task     string   `json:"task"`
	aliases  []string
}

const (
	taskHear  = "automatic-speech-recognition"
	taskSpeak = "text-to-speech"
)

func (s *Server) models() []model {
	models := []model{
		{ID: modelFlite, Object: "model", OwnedBy: "cmu", Language: []string{"en"}, Task: taskSpeak, aliases: []string{"tts-1", "tts-1-hd"}},
		{ID: modelEspeak, Object: "model", OwnedBy: "espeak-ng", Language: espeakLanguages(), Task: taskSpeak, aliases: []string{"tts-1", "tts-1-hd"}},
	}
	if s.deaf == nil {
		models = append(models, model{ID: modelSphinx, Object: "model", OwnedBy: "cmusphinx", Language: []string{"en"}, Task: taskHear, aliases: []string{"whisper-1"}})
	}
	return models
}

// knowsModel reports whether id or its alias serves the task.
func (s *Server) knowsModel(id, task string) bool {
	return slices.ContainsFunc(s.models(), func(m model) bool {
		return m.Task == task && (m.ID == id || slices.Contains(m.aliases, id))
	})
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"message": "OK"})
	})
	mux.Handle("GET /v1/models", s.authorised(s.listModels))
	mux.Handle("GET /v1/models/{id}", s.authorised(s.getModel))
	mux.Handle("GET /v1/audio/voices", s.authorised(s.listVoices))
	mux.Handle("POST /v1/audio/speech", s.authorised(s.speak))
	mux.Handle("POST /v1/audio/transcriptions", s.authorised(s.transcribe))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusNotFound, "Not Found")
	})
	return mux
}

// authorised answers 403 to a request without the token, as speaches does.
func (s *Server) authorised(next http.HandlerFunc) http.Handler {
	want := []byte(s.config.Token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if len(want) > 0 && subtle.ConstantTimeCompare([]byte(got), want) != 1 {
			writeProblem(w, http.StatusForbidden, "Invalid or missing token; send it as Authorization: Bearer")
			return
		}
		next(w, r)
	})
}

func (s *Server) listModels(w http.ResponseWriter, r *http.Request) {
	models := s.models()
	if task := r.URL.Query().Get("task"); task != "" {
		models = slices.DeleteFunc(models, func(m model) bool { return m.Task != task })
	}
	writeJSON(w, http.StatusOK, map[string]any{"data": models, "object": "list"})
}

func (s *Server) getModel(w http.ResponseWriter, r *http.Request) {
	for _, m := range s.models() {
		if m.ID == r.PathValue("id") {
			writeJSON(w, http.StatusOK, m)
			return
		}
	}
	writeProblem(w, http.StatusNotFound, fmt.Sprintf("Model '%s' not found", r.PathValue("id")))
}

func (s *Server) listVoices(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"voices": voices, "object": "list"})
}

// A fault is one thing wrong with a request's field, in the shape in which
// FastAPI, and so speaches, tells it.
type fault struct {
	Type string   `json:"type"`
	Loc  []string `json:"loc"`
	Msg  string   `json:"msg"`
}

// faults collects everything that is wrong with a request.
type faults []fault

func (f *faults) addf(field, format string, args ...any) {
	*f = append(*f, fault{Type: "value_error", Loc: []string{"body", field}, Msg: fmt.Sprintf(format, args...)})
}

func (f faults) write(w http.ResponseWriter) {
	writeJSON(w, http.StatusUnprocessableEntity, map[string]any{"detail": f})
}

func writeProblem(w http.ResponseWriter, status int, detail string) {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, status, map[string]string{"detail": detail})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The only error is a client that has gone.
	_ = json.NewEncoder(w).Encode(v)
}

// errBusy is the cause when a request has waited maxQueueing for its turn.
var errBusy = errors.New("every engine of this kind is in use; try again, or raise Recognisers or Synthesisers")

// queueing bounds the wait for a free engine.
func queueing(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, maxQueueing, errBusy)
}
