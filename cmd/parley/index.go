package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/retrieval"
	"github.com/praesenz/parley/activities/retrieval/embedded"
	"github.com/praesenz/parley/activities/retrieval/ollama"
	"github.com/praesenz/parley/activities/retrieval/qdrant"
	"github.com/praesenz/parley/config"
)

// An openedIndex is the index that the settings name, and what it searches with.
type openedIndex struct {
	retrieval.Index
	searches string // for people: "embedded index, by words only (…)"
	close    func()
}

// openIndex opens Qdrant or, by default, the embedded index in the data folder;
// with Ollama's embeddings where it has the model. When another parley has the
// folder open, its index is used through it.
func openIndex(ctx context.Context, c *config.Config, logger *slog.Logger) (openedIndex, error) {
	if c.Qdrant != "" {
		return openRemoteIndex(ctx, c, logger)
	}
	embedder, how := chooseEmbedder(ctx, c)
	dir := filepath.Join(c.Data, "kb")
	idx, err := embedded.Open(embedded.Options{Dir: dir, Embedder: embedder, Log: logger})
	if errors.Is(err, embedded.ErrLocked) {
		remote, err := embedded.Dial(ctx, dir)
		if err != nil {
			return openedIndex{}, fmt.Errorf("open the index in --data %s: %w", c.Data, err)
		}
		return openedIndex{Index: remote, searches: "the embedded index of the parley that is running", close: func() { remote.Close() }}, nil
	}
	if err != nil {
		return openedIndex{}, err
	}
	unshare, err := idx.Share()
	if err != nil {
		idx.Close()
		return openedIndex{}, err
	}
	return openedIndex{Index: idx, searches: "embedded index, " + how, close: func() {
		unshare()
		if err := idx.Close(); err != nil {
			logger.Error("index not closed cleanly", "error", err)
		}
	}}, nil
}

// openRemoteIndex opens Qdrant when the settings name one, and otherwise no index: a
// gateway only looks whether the server is there.
func openRemoteIndex(ctx context.Context, c *config.Config, logger *slog.Logger) (openedIndex, error) {
	if c.Qdrant == "" {
		return openedIndex{close: func() {}}, nil
	}
	embedder, how := chooseEmbedder(ctx, c)
	idx, err := qdrant.Open(qdrant.Options{Addr: c.Qdrant, APIKey: string(c.QdrantKey), Embedder: embedder, Log: logger})
	if err != nil {
		return openedIndex{}, fmt.Errorf("--qdrant: %w", err)
	}
	return openedIndex{Index: idx, searches: "Qdrant at " + c.Qdrant + ", " + how, close: func() { idx.Close() }}, nil
}

// chooseEmbedder returns Ollama where it answers and has the model, and says why
// not where it does not.
func chooseEmbedder(ctx context.Context, c *config.Config) (retrieval.Embedder, string) {
	if c.Ollama == "" {
		return nil, "by words only (no --ollama)"
	}
	e, err := ollama.New(ollama.Options{URL: c.Ollama, Model: c.EmbedModel})
	if err == nil {
		err = e.Available(ctx)
	}
	if err != nil {
		var failed *temporal.ApplicationError
		if errors.As(err, &failed) && failed.Type() == activities.KindInvalid {
			return nil, fmt.Sprintf("by words only (%s)", failed.Message())
		}
		return nil, fmt.Sprintf("by words only (no Ollama at %s)", c.Ollama)
	}
	return e, "by words and by meaning with " + e.Model()
}

// watch keeps the collections like the store's files until ctx ends.
func watch(ctx context.Context, syncers []*retrieval.Syncer, every time.Duration, logger *slog.Logger) {
	var wg sync.WaitGroup
	for _, s := range syncers {
		wg.Go(func() { s.Run(ctx, every, logger) })
	}
	wg.Wait()
}
