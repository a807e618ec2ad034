package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

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

// openIndex opens Qdrant or, by default, the embedded index in the data folder.
// When another parley has the folder open, its index is used through it.
func openIndex(ctx context.Context, c *config.Config, logger *slog.Logger) (openedIndex, error) {
	embedder, how, err := chooseEmbedder(ctx, c)
	if err != nil {
		return openedIndex{}, err
	}
	if c.Qdrant != "" {
		idx, err := openQdrant(c, embedder, logger)
		idx.searches = "Qdrant at " + c.Qdrant + ", " + how
		return idx, err
	}
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

// openQdrant opens Qdrant when the settings name one, and otherwise no index. A
// gateway, which only looks whether the server is there, needs no embedder.
func openQdrant(c *config.Config, embedder retrieval.Embedder, logger *slog.Logger) (openedIndex, error) {
	if c.Qdrant == "" {
		return openedIndex{close: func() {}}, nil
	}
	idx, err := qdrant.Open(qdrant.Options{Addr: c.Qdrant, APIKey: string(c.QdrantKey), Embedder: embedder, Log: logger})
	if err != nil {
		return openedIndex{}, fmt.Errorf("qdrant: %w", err)
	}
	return openedIndex{Index: idx, close: func() { idx.Close() }}, nil
}

// chooseEmbedder returns Ollama, and says why not where nothing embeds. Whether it
// answers now is asked only where the setting embed leaves it open: in a cluster
// it may start later than we do.
func chooseEmbedder(ctx context.Context, c *config.Config) (retrieval.Embedder, string, error) {
	if c.Embed == "none" {
		return nil, "by words only (embed is none)", nil
	}
	if c.Ollama == "" {
		return nil, "by words only (no --ollama)", nil
	}
	e, err := ollama.New(ollama.Options{URL: c.Ollama, Model: c.EmbedModel})
	if err == nil && c.Embed == "auto" {
		err = e.Available(ctx)
	}
	if err == nil {
		return e, "by words and by meaning with " + e.Model(), nil
	}
	if c.Embed == "ollama" {
		return nil, "", err
	}
	var failed *temporal.ApplicationError
	if errors.As(err, &failed) && failed.Type() == activities.KindInvalid {
		return nil, fmt.Sprintf("by words only (%s)", failed.Message()), nil
	}
	return nil, fmt.Sprintf("by words only (no Ollama at %s)", c.Ollama), nil
}
