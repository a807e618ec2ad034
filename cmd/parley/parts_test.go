package main

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/praesenz/parley/config"
	"github.com/praesenz/parley/gateway"
)

// TestProbe: what a gateway says of servers that come and go. The servers are
// stubs, because they must be away at the right moment.
func TestProbe(t *testing.T) {
	type moment struct {
		speech, ollama bool // whether it answers
		ready          bool
		says           string // of Ollama
	}
	for name, c := range map[string]struct {
		llm     string
		moments []moment
	}{
		"auto, and Ollama never was there": {"auto", []moment{
			{false, false, false, "not used"},
			{true, false, true, "not used"},
		}},
		"auto, and Ollama goes": {"auto", []moment{
			{true, true, true, "connected"},
			{true, false, true, "unreachable"}, // the extractive answerer is there
		}},
		"Ollama is needed": {"ollama", []moment{
			{true, false, false, "unreachable"},
			{true, true, true, "connected"},
			{true, false, false, "unreachable"},
		}},
		"Ollama only embeds": {"openai", []moment{
			{true, true, true, "connected"},
			{true, false, true, "unreachable"}, // searches by words
		}},
	} {
		t.Run(name, func(t *testing.T) {
			stub := func(up *atomic.Bool) string {
				s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					if !up.Load() {
						w.WriteHeader(http.StatusServiceUnavailable)
					}
				}))
				t.Cleanup(s.Close)
				return s.URL
			}
			var speech, ollama atomic.Bool
			ask := probe(&config.Config{LLM: c.llm, Speech: stub(&speech), Ollama: stub(&ollama)}, nil)
			for i, m := range c.moments {
				speech.Store(m.speech)
				ollama.Store(m.ollama)
				got := ask(t.Context())
				want := gateway.Probe{GPU: got.GPU, ModelLoaded: m.speech, Ready: m.ready, Qdrant: "embedded", Ollama: m.says}
				if got != want {
					t.Errorf("%d: %+v, want %+v", i, got, want)
				}
			}
		})
	}
	got := probe(&config.Config{LLM: "extractive"}, nil)(t.Context())
	if got.Ollama != "not used" {
		t.Errorf("without the setting ollama: %q", got.Ollama)
	}
}

// One server that takes a request and never answers must not make the others look
// as if they were away.
func TestProbeOfAServerThatHangs(t *testing.T) {
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hangs.Close()
	answers := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer answers.Close()
	got := probe(&config.Config{LLM: "ollama", Speech: hangs.URL, Ollama: answers.URL}, nil)(t.Context())
	if got.ModelLoaded || got.Ready || got.Ollama != "connected" {
		t.Errorf("%+v", got)
	}
}
