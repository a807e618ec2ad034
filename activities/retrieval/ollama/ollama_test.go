package ollama_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/retrieval/ollama"
)

// stub answers like Ollama where a real one could not be made to fail.
func stub(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return s.URL
}

func TestEmbedsInBatchesInOrder(t *testing.T) {
	var requests int
	var prefixed = true
	url := stub(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		var req struct {
			Input []string `json:"input"`
		}
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			t.Error(err)
		}
		var res struct {
			Embeddings [][]float32 `json:"embeddings"`
		}
		for _, text := range req.Input {
			prefixed = prefixed && strings.HasPrefix(text, "search_document: ")
			res.Embeddings = append(res.Embeddings, []float32{float32(len(text)), 1})
		}
		_ = json.NewEncoder(w).Encode(res)
	})
	e, err := ollama.New(ollama.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	texts := make([]string, 70)
	for i := range texts {
		texts[i] = strings.Repeat("x", i)
	}
	vectors, err := e.EmbedPassages(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	if requests != 3 || len(vectors) != 70 || !prefixed {
		t.Errorf("%d requests, %d vectors, prefixed %v", requests, len(vectors), prefixed)
	}
	for i, v := range vectors {
		if v[0] != float32(len("search_document: ")+i) {
			t.Fatalf("vector %d is out of order", i)
		}
	}
}

func TestErrors(t *testing.T) {
	released := make(chan struct{})
	t.Cleanup(func() { close(released) })
	for _, test := range []struct {
		name      string
		handle    http.HandlerFunc
		kind      string
		permanent bool
		says      string
	}{
		{"no such model", answer(404, `{"error":"model not found"}`), activities.KindInvalid, true, "ollama pull nomic-embed-text"},
		{"bad request", answer(400, `{"error":"input too long"}`), activities.KindInvalid, true, "input too long"},
		{"busy", answer(503, `{"error":"server busy"}`), activities.KindAway, false, "server busy"},
		{"no embedding model", answer(200, `{"embeddings":[]}`), activities.KindInvalid, true, "no embedding model"},
		{"cut off", answer(200, `{"embeddings":[[0.1,`), activities.KindAway, false, ""},
		{"slow", func(http.ResponseWriter, *http.Request) { <-released }, activities.KindTimeout, false, "within"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := httptest.NewServer(test.handle)
			t.Cleanup(s.CloseClientConnections)
			e, err := ollama.New(ollama.Options{URL: s.URL, QueryTimeout: 200 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			_, err = e.EmbedQuery(t.Context(), "hammer")
			var application *temporal.ApplicationError
			if !errors.As(err, &application) || application.Type() != test.kind || application.NonRetryable() != test.permanent || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v", err)
			}
		})
	}
	if _, err := ollama.New(ollama.Options{URL: "localhost:11434"}); err == nil {
		t.Error("took an address that is no URL")
	}
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}
