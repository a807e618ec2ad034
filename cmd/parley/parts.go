package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/action"
	"github.com/praesenz/parley/activities/avatar"
	"github.com/praesenz/parley/activities/llm"
	"github.com/praesenz/parley/activities/retrieval"
	"github.com/praesenz/parley/activities/stt"
	"github.com/praesenz/parley/activities/tts"
	"github.com/praesenz/parley/config"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/gateway"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/metrics"
	"github.com/praesenz/parley/store"
	"github.com/praesenz/parley/worker"
)

// work makes what a worker's pools need, and says for people which language
// model is in use. When the worker has stopped, finish waits for the last of it.
func work(ctx context.Context, c *config.Config, pools []activities.Pool, index retrieval.Index,
	st *store.Store, gateways *media.Client, meters *metrics.Metrics, logger *slog.Logger,
) (w worker.Work, thinks string, finish func() error, err error) {
	var faults []error
	finish = func() error { return nil }
	if serves(pools, activities.PoolSTT) {
		t, err := stt.New(stt.Config{
			BaseURL: c.Speech, Key: string(c.SpeechKey), Model: c.STTModel, TurnURL: c.TurnURL,
			OnTranscribed: func(store, kiosk string, confidence float64) {
				meters.STTConfidence.WithLabelValues(store, kiosk).Observe(confidence)
			},
		}, gateways, logger)
		faults = append(faults, err)
		if err == nil {
			w.Transcribe, finish = t.Transcribe, t.Close
		}
	}
	if serves(pools, activities.PoolRetrieval) {
		r := &retrieval.Activity{
			Index:       index,
			OnRetrieved: func(store, _ string, n int) { meters.RAGChunks.WithLabelValues(store).Set(float64(n)) },
		}
		w.Retrieve = r.Retrieve
	}
	if serves(pools, activities.PoolLLM) {
		model, why, err := llm.Choose(ctx, llmConfig(c))
		faults = append(faults, err)
		if err == nil {
			w.Generate = llm.New(model, gateways, logger).Generate
			w.Understand = llm.NewUnderstander(model, logger).Understand
			thinks = why
		}
	}
	if serves(pools, activities.PoolTTS) {
		s, err := tts.New(tts.Config{
			BaseURL: c.Speech, Key: string(c.SpeechKey), Model: c.TTSModel, Voices: st.Voices,
			OnGenerated: func(store string, seconds float64, _ int) {
				meters.TTSGeneration.WithLabelValues(store).Observe(seconds)
			},
		}, gateways, logger)
		faults = append(faults, err)
		if err == nil {
			w.Speak = s.Speak
			// So that no customer waits for the server to load its voices.
			warming, done := context.WithTimeout(ctx, 10*time.Second)
			if err := s.Warm(warming, st.Languages.Supported...); err != nil {
				logger.Warn("voices not warmed", "error", err)
			}
			done()
		}
	}
	if serves(pools, activities.PoolAvatar) {
		w.Perform = avatar.New(gateways, logger).Perform
	}
	if serves(pools, activities.PoolAction) {
		catalogue, err := catalogues(st, logger)
		faults = append(faults, err)
		if err == nil {
			caller, err := action.New(action.Config{
				Catalogue: catalogue, URLs: c.ActionURL, Secrets: c.Secrets,
				OnCalled: func(store, name, outcome string, seconds float64) {
					meters.ActionTime.WithLabelValues(store, name, outcome).Observe(seconds)
				},
			}, logger)
			faults = append(faults, err)
			if err == nil {
				w.Call = caller.Call
			}
		}
	}
	return w, thinks, finish, errors.Join(faults...)
}

// serves tells whether a pool is among those that a worker serves; none means all.
func serves(pools []activities.Pool, pool activities.Pool) bool {
	return len(pools) == 0 || slices.Contains(pools, pool)
}

// catalogues gives a store's actions, read anew when they have changed. A change
// with mistakes keeps the last good ones in use. It fails when there are none to
// begin with.
func catalogues(s *store.Store, logger *slog.Logger) (func() *flow.Catalogue, error) {
	var mu sync.Mutex
	var last *flow.Catalogue
	var stamp string
	read := func() error {
		folder := filepath.Join(s.Dir(), cmp.Or(s.Actions, store.ActionsDir))
		now, err := store.Stamp(folder)
		if err != nil || last != nil && now == stamp {
			return err
		}
		stamp = now
		fresh, err := s.Catalogue()
		if err == nil {
			last = fresh
		}
		return err
	}
	if err := read(); err != nil {
		return nil, err
	}
	return func() *flow.Catalogue {
		mu.Lock()
		defer mu.Unlock()
		if err := read(); err != nil {
			logger.Warn("action catalogue has mistakes; the last good one stays in use", "store", s.ID, "error", err)
		}
		return last
	}, nil
}

func llmConfig(c *config.Config) llm.Config {
	l := llm.Config{Kind: c.LLM, BaseURL: c.LLMURL, Key: string(c.LLMKey), Model: c.LLMModel}
	if c.LLM == "auto" || c.LLM == "ollama" {
		l.BaseURL = c.Ollama
	}
	return l
}

// plans adapts a store's folder to the gateway.
func plans(s *store.Store, logger *slog.Logger) func(context.Context, string, string) (flow.Plan, map[string]any, error) {
	return func(_ context.Context, id, kiosk string) (flow.Plan, map[string]any, error) {
		if id != s.ID {
			return flow.Plan{}, nil, fmt.Errorf("store %q is not here; this gateway serves %q", id, s.ID)
		}
		plan, err := s.Plan(kiosk)
		if plan == nil {
			return flow.Plan{}, nil, err
		}
		if err != nil {
			logger.Warn("flow has mistakes; the last good one stays in use", "store", id, "kiosk", kiosk, "error", err)
		}
		inputs := map[string]any{}
		for name := range plan.Inputs {
			switch name {
			case "store_id":
				inputs[name] = id
			case "kiosk_id":
				inputs[name] = kiosk
			}
		}
		return *plan, inputs, nil
	}
}

// about adapts a store's folder to the page.
func about(s *store.Store) func(context.Context, string, string) (gateway.About, error) {
	return func(_ context.Context, id, kiosk string) (gateway.About, error) {
		k, ok := s.Kiosk(kiosk)
		if id != s.ID || !ok {
			return gateway.About{}, gateway.ErrUnknownKiosk
		}
		brand := map[string]string{"name": s.Name}
		if s.Branding.Name != "" {
			brand["name"] = s.Branding.Name
		}
		for name, colour := range s.Branding.Colours {
			brand[name] = colour
		}
		languages := append([]string{s.Languages.Default}, slices.DeleteFunc(slices.Clone(s.Languages.Supported),
			func(l string) bool { return l == s.Languages.Default })...)
		return gateway.About{Name: k.Name, Languages: languages, Brand: brand}, nil
	}
}

// probe says how the servers behind the workers are, for /health and /ready. gpu
// is whether this machine has one: /dev/nvidiactl is there when the driver is.
// Ollama may be away where it need not be there; when it never answered, it is
// not used.
func probe(c *config.Config, index retrieval.Index) func(context.Context) gateway.Probe {
	var ollamaSeen atomic.Bool
	return func(ctx context.Context) gateway.Probe {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		// At the same time, so that one that hangs does not take the others' time.
		var speechErr, qdrantErr, ollamaErr error
		var asked sync.WaitGroup
		asked.Go(func() { speechErr = speechUp(ctx, c.Speech) })
		if c.Qdrant != "" {
			asked.Go(func() { _, qdrantErr = index.Collections(ctx) })
		}
		if c.Ollama != "" {
			asked.Go(func() { ollamaErr = ollamaUp(ctx, c.Ollama) })
		}
		asked.Wait()

		_, err := os.Stat("/dev/nvidiactl")
		p := gateway.Probe{GPU: err == nil, Qdrant: "embedded", Ollama: "not used"}
		p.ModelLoaded = speechErr == nil
		p.Ready = p.ModelLoaded && qdrantErr == nil
		switch {
		case qdrantErr != nil:
			p.Qdrant = "unreachable"
		case c.Qdrant != "":
			p.Qdrant = "connected"
		}
		needed := c.LLM == llm.Ollama
		switch {
		case c.Ollama == "":
		case ollamaErr == nil:
			ollamaSeen.Store(true)
			p.Ollama = "connected"
		case needed || c.Embed == "ollama" || ollamaSeen.Load():
			p.Ollama = "unreachable"
			p.Ready = p.Ready && !needed
		}
		return p
	}
}

// ollamaUp asks Ollama whether it is there.
func ollamaUp(ctx context.Context, base string) error {
	u, err := url.Parse(base)
	if err != nil {
		return fmt.Errorf("--ollama: %w", err)
	}
	return api.NewClient(u, http.DefaultClient).Heartbeat(ctx)
}

// absolute paths of what the recogniser should know: the store's knowledge and
// what its kiosks say and expect.
func corpus(s *store.Store) []string {
	var paths []string
	for _, c := range s.Collections {
		for _, p := range c.Paths {
			paths = append(paths, filepath.Join(s.Dir(), p))
		}
	}
	for _, folder := range []string{"flows", "prompts"} {
		paths = append(paths, filepath.Join(s.Dir(), folder))
	}
	slices.Sort(paths)
	return paths
}
