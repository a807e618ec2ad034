package embedded_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

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
