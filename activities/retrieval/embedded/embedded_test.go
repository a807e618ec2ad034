package embedded_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/praesenz/parley/activities/retrieval"
	"github.com/praesenz/parley/activities/retrieval/embedded"
	"github.com/praesenz/parley/activities/retrieval/indextest"
)

func TestIndex(t *testing.T) {
	root := t.TempDir()
	indextest.Run(t, func(t *testing.T, e retrieval.Embedder) retrieval.Index {
		t.Helper()
		idx, err := embedded.Open(embedded.Options{Dir: filepath.Join(root, filepath.Base(t.Name())), Embedder: e})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { idx.Close() })
		return idx
	})
}

// The same contract for a process that uses an index which another has open.
func TestShared(t *testing.T) {
	root := t.TempDir()
	folders := make(map[string]string) // socket paths are short
	indextest.Run(t, func(t *testing.T, e retrieval.Embedder) retrieval.Index {
		t.Helper()
		if folders[t.Name()] == "" {
			folders[t.Name()] = filepath.Join(root, string(rune('a'+len(folders))))
		}
		dir := folders[t.Name()]
		idx, err := embedded.Open(embedded.Options{Dir: dir, Embedder: e})
		if err != nil {
			t.Fatal(err)
		}
		stop, err := idx.Share()
		if err != nil {
			t.Fatal(err)
		}
		remote, err := embedded.Dial(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		var once sync.Once
		end := func() error {
			once.Do(func() {
				remote.Close()
				stop()
				idx.Close()
			})
			return nil
		}
		t.Cleanup(func() { _ = end() })
		return closing{remote, end}
	})
}

// closing ends the other process as well, as a restart would.
type closing struct {
	retrieval.Index
	end func() error
}

func (c closing) Close() error { return c.end() }

func TestLockedAndNotShared(t *testing.T) {
	dir := t.TempDir()
	idx, err := embedded.Open(embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer idx.Close()
	if _, err := embedded.Dial(t.Context(), dir); !errors.Is(err, embedded.ErrLocked) {
		t.Errorf("Dial: %v, want ErrLocked", err)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	first, err := embedded.Open(embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Open(embedded.Options{Dir: dir}); !errors.Is(err, embedded.ErrLocked) {
		t.Errorf("second Open: %v, want ErrLocked", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := embedded.Open(embedded.Options{Dir: dir})
	if err != nil {
		t.Fatalf("Open after Close: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Open(embedded.Options{Dir: file}); err == nil {
		t.Error("opened a file as a folder")
	}
}

// awayStub is a stub of an embedder whose server goes away.
type awayStub struct{ away bool }

var errAway = errors.New("the server is away")

func (s *awayStub) Model() string { return "stub" }

func (s *awayStub) EmbedPassages(_ context.Context, texts []string) ([][]float32, error) {
	if s.away {
		return nil, errAway
	}
	vectors := make([][]float32, len(texts))
	for i := range vectors {
		vectors[i] = []float32{1, 0}
	}
	return vectors, nil
}

func (s *awayStub) EmbedQuery(context.Context, string) ([]float32, error) {
	if s.away {
		return nil, errAway
	}
	return []float32{1, 0}, nil
}

// Without its model's server, a collection is still searched by words, and
// neither a Put nor a rebuild loses what it holds.
func TestEmbedderAway(t *testing.T) {
	embedder := &awayStub{}
	idx, err := embedded.Open(embedded.Options{Embedder: embedder})
	if err != nil {
		t.Fatal(err)
	}
	defer idx.Close()
	files := fstest.MapFS{"hammer.md": {Data: []byte("# Hammer\n\nA hammer.")}}
	if _, err := retrieval.Sync(t.Context(), idx, example, files); err != nil {
		t.Fatal(err)
	}
	embedder.away = true
	files["hammer.md"] = &fstest.MapFile{Data: []byte("# Mallet\n\nA mallet.")}
	if _, err := retrieval.Sync(t.Context(), idx, example, files); !errors.Is(err, errAway) {
		t.Errorf("sync: %v", err)
	}
	if _, err := retrieval.Rebuild(t.Context(), idx, example); !errors.Is(err, errAway) {
		t.Errorf("rebuild: %v", err)
	}
	hits, err := idx.Search(t.Context(), example, retrieval.Query{Text: "hammer"})
	if err != nil || len(hits) != 1 || hits[0].Source != "hammer.md" {
		t.Errorf("search: %v, %v", hits, err)
	}
}
