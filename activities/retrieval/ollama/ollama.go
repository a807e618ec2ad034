// Package ollama embeds text with a model on an Ollama server.
package ollama

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/retrieval"
)

// DefaultModel embeds English well and other languages passably; for a German
// store, "bge-m3" or "snowflake-arctic-embed2" are better choices.
const DefaultModel = "nomic-embed-text"

// Options of an Embedder.
type Options struct {
	URL   string // of the server, such as http://localhost:11434
	Model string // empty means DefaultModel
	// QueryTimeout bounds the embedding of a question; 0 means 1 s, because a
	// customer waits. PassagesTimeout bounds a batch of passages; 0 means 1 min,
	// because the server may have to load the model first.
	QueryTimeout    time.Duration
	PassagesTimeout time.Duration
}

const (
	defaultQueryTimeout    = time.Second
	defaultPassagesTimeout = time.Minute
)

// batch is how many passages go into one request.
const batch = 32

// Embedder is a retrieval.Embedder on an Ollama server.
type Embedder struct {
	client       *api.Client
	model        string
	query, batch time.Duration
	forQuery     string // what the model wants before a question
	forPassage   string // and before a passage
}

var _ retrieval.Embedder = (*Embedder)(nil)

// New checks the options; it does not call the server.
func New(o Options) (*Embedder, error) {
	base, err := url.Parse(o.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("ollama address %q: write a URL such as http://localhost:11434", o.URL)
	}
	e := &Embedder{
		client: api.NewClient(base, &http.Client{}), // each call brings its own time limit
		model:  o.Model, query: o.QueryTimeout, batch: o.PassagesTimeout,
	}
	if e.model == "" {
		e.model = DefaultModel
	}
	if e.query <= 0 {
		e.query = defaultQueryTimeout
	}
	if e.batch <= 0 {
		e.batch = defaultPassagesTimeout
	}
	// Nomic's models were trained with these words (their model card says so) and
	// find much less without them.
	if strings.HasPrefix(e.model, "nomic-embed-text") {
		e.forQuery, e.forPassage = "search_query: ", "search_document: "
	}
	return e, nil
}

// Model implements retrieval.Embedder.
func (e *Embedder) Model() string { return e.model }

// Available asks the server whether it is there and has the model; the error
// says what is missing.
func (e *Embedder) Available(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, e.query, fmt.Errorf("ollama did not answer within %v", e.query))
	defer cancel()
	have, err := e.client.List(ctx)
	if err != nil {
		return e.classify(ctx, err)
	}
	for _, m := range have.Models {
		if m.Name == e.model || strings.TrimSuffix(m.Name, ":latest") == e.model {
			return nil
		}
	}
	return activities.Permanent(activities.KindInvalid, fmt.Errorf("ollama has no model %q: run ollama pull %s", e.model, e.model))
}

// EmbedPassages implements retrieval.Embedder.
func (e *Embedder) EmbedPassages(ctx context.Context, texts []string) ([][]float32, error) {
	var vectors [][]float32
	for some := range slices.Chunk(texts, batch) {
		embedded, err := e.embed(ctx, e.batch, e.forPassage, some)
		if err != nil {
			return nil, err
		}
		vectors = append(vectors, embedded...)
	}
	return vectors, nil
}

// EmbedQuery implements retrieval.Embedder.
func (e *Embedder) EmbedQuery(ctx context.Context, text string) ([]float32, error) {
	vectors, err := e.embed(ctx, e.query, e.forQuery, []string{text})
	if err != nil {
		return nil, err
	}
	return vectors[0], nil
}

func (e *Embedder) embed(ctx context.Context, limit time.Duration, before string, texts []string) ([][]float32, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("ollama did not embed within %v", limit))
	defer cancel()
	input := make([]string, len(texts))
	for i, text := range texts {
		input[i] = before + text
	}
	res, err := e.client.Embed(ctx, &api.EmbedRequest{Model: e.model, Input: input})
	if err != nil {
		return nil, e.classify(ctx, err)
	}
	if len(res.Embeddings) != len(texts) {
		return nil, activities.Permanent(activities.KindInvalid, fmt.Errorf("ollama returned %d embeddings for %d texts: %s may be no embedding model", len(res.Embeddings), len(texts), e.model))
	}
	for _, v := range res.Embeddings {
		if len(v) == 0 || len(v) != len(res.Embeddings[0]) {
			return nil, activities.Permanent(activities.KindInvalid, fmt.Errorf("ollama returned embeddings of different lengths: %s may be no embedding model", e.model))
		}
	}
	return res.Embeddings, nil
}

func (e *Embedder) classify(ctx context.Context, err error) error {
	var answer api.StatusError
	var denied api.AuthorizationError
	switch {
	case errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound:
		return activities.Permanent(activities.KindInvalid, fmt.Errorf("ollama has no model %q: run ollama pull %s", e.model, e.model))
	case errors.As(err, &answer):
		return activities.Classify("ollama", answer.StatusCode, answer.ErrorMessage)
	case errors.As(err, &denied):
		return activities.Classify("ollama", denied.StatusCode, denied.Status)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return activities.Retryable(activities.KindTimeout, context.Cause(ctx))
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return activities.Retryable(activities.KindAway, fmt.Errorf("ask ollama: %w", err))
}
