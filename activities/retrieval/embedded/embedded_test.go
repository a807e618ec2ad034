package embedded_test

import (
	"errors"
	"os"
	"path/filepath"
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
