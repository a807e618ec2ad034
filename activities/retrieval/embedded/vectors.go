package embedded

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/philippgille/chromem-go"

	"github.com/praesenz/parley/activities/retrieval"
)

// vectors holds the passages' embeddings.
type vectors struct {
	mu  sync.RWMutex // chromem wants to know how many it holds before it searches
	set *chromem.Collection
}

func openVectors(folder string) (*vectors, error) {
	db := chromem.NewDB()
	if folder != "" {
		var err error
		if db, err = chromem.NewPersistentDB(filepath.Join(folder, "vectors"), false); err != nil {
			return nil, fmt.Errorf("open vectors: %w", err)
		}
	}
	set, err := db.GetOrCreateCollection("passages", nil, neverEmbed)
	if err != nil {
		return nil, fmt.Errorf("open vectors: %w", err)
	}
	return &vectors{set: set}, nil
}

// neverEmbed keeps chromem from its default, which is a call to OpenAI.
func neverEmbed(context.Context, string) ([]float32, error) {
	return nil, errors.New("passages are embedded before they are stored")
}

func (v *vectors) add(ctx context.Context, records []retrieval.Record, embeddings [][]float32) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, r := range records {
		err := v.set.AddDocument(ctx, chromem.Document{ID: r.Passage.ID, Metadata: r.Passage.Fields, Embedding: embeddings[i]})
		if err != nil {
			return fmt.Errorf("write the vector of a passage of %s: %w", r.Source.Source, err)
		}
	}
	return nil
}

// remove forgets the vectors of passages; those that have none do not matter.
func (v *vectors) remove(ctx context.Context, ids []string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, id := range ids {
		if _, err := v.set.GetByID(ctx, id); err != nil {
			continue // it was stored without an embedder
		}
		if err := v.set.Delete(ctx, nil, nil, id); err != nil {
			return fmt.Errorf("remove a vector: %w", err)
		}
	}
	return nil
}

func (v *vectors) nearest(ctx context.Context, vector []float32, filter map[string]string, n int) ([]chromem.Result, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if n = min(n, v.set.Count()); n == 0 {
		return nil, nil
	}
	near, err := v.set.QueryEmbedding(ctx, vector, n, filter, nil)
	if err != nil {
		return nil, fmt.Errorf("search by meaning: %w", err)
	}
	return near, nil
}
