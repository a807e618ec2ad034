package retrieval_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/retrieval"
	"github.com/praesenz/parley/activities/retrieval/embedded"
)

var kb = retrieval.Collection{Store: "s1", Index: "kb"}

func open(t *testing.T) *embedded.Index {
	t.Helper()
	idx, err := embedded.Open(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { idx.Close() })
	return idx
}

func file(text string, minute int) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(text), ModTime: time.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC)}
}

// A countingFS counts how often each file is opened.
type countingFS struct {
	fstest.MapFS
	opened map[string]int
}

func (c countingFS) Open(name string) (fs.File, error) {
	if strings.Contains(name, ".") && name != "." {
		c.opened[name]++
	}
	return c.MapFS.Open(name)
}

// Stat keeps fs.Stat from opening.
func (c countingFS) Stat(name string) (fs.FileInfo, error) { return c.MapFS.Stat(name) }

func TestSyncFollowsFiles(t *testing.T) {
	idx := open(t)
	files := countingFS{fstest.MapFS{
		"kb/hammer.md":       file("# Hammer\n\nA hammer.", 0),
		"kb/de/saege.md":     file("# Säge\n\nEine Säge.", 0),
		"kb/logo.png":        file("\x89PNG", 0),
		"kb/.hidden/note.md": file("# Note\n\nNot for customers.", 0),
		"flows/help.md":      file("# Help\n\nNot knowledge.", 0),
	}, make(map[string]int)}
	s := &retrieval.Syncer{Index: idx, Collection: kb, Files: files, Paths: []string{"kb"}}
	sync := func(want retrieval.Report) retrieval.Report {
		t.Helper()
		clear(files.opened)
		got, err := s.Sync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		failed := got.Failed
		got.Failed = nil
		if got.String() != want.String() {
			t.Errorf("report is %s, want %s", got, want)
		}
		got.Failed = failed
		return got
	}
	sync(retrieval.Report{Documents: 2, Passages: 2, Changed: 2})
	sync(retrieval.Report{Documents: 2, Passages: 2})
	if len(files.opened) != 0 {
		t.Errorf("unchanged files were read again: %v", files.opened)
	}

	files.MapFS["kb/hammer.md"] = file("# Hammer\n\nA hammer.", 1) // touched, not changed
	sync(retrieval.Report{Documents: 2, Passages: 2})
	files.MapFS["kb/hammer.md"] = file("# Mallet\n\nA mallet.", 2)
	sync(retrieval.Report{Documents: 2, Passages: 2, Changed: 1})
	found(t, idx, "hammer")
	found(t, idx, "mallet", "kb/hammer.md")

	// A file that cannot be read keeps its old passages, is reported each time and
	// read once.
	files.MapFS["kb/hammer.md"] = file("\xff\xfe\xff", 3)
	if r := sync(retrieval.Report{Documents: 1, Passages: 1}); len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Error(), "kb/hammer.md") {
		t.Errorf("failed are %v", r.Failed)
	}
	if r := sync(retrieval.Report{Documents: 1, Passages: 1}); len(r.Failed) != 1 || files.opened["kb/hammer.md"] != 0 {
		t.Errorf("failed are %v, opened %v", r.Failed, files.opened)
	}
	found(t, idx, "mallet", "kb/hammer.md")

	delete(files.MapFS, "kb/hammer.md")
	sync(retrieval.Report{Documents: 1, Passages: 1, Removed: 1})
	found(t, idx, "mallet")
}

func TestSyncKeepsWhatOthersAdded(t *testing.T) {
	idx := open(t)
	added := &retrieval.Syncer{Index: idx, Collection: kb, Files: fstest.MapFS{"extra.md": file("# Extra\n\nAdded.", 0)}, Origin: "kb add"}
	if _, err := added.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"kb/a.md": file("# Apple\n\nAn apple.", 0)}
	for range 2 {
		if r, err := retrieval.Sync(t.Context(), idx, kb, files, "kb"); err != nil || r.Removed != 0 {
			t.Fatalf("%v, %v", r, err)
		}
	}
	found(t, idx, "extra", "extra.md")
}

// A knowledge folder that is not there is a mistake, not an empty one.
func TestSyncMissingPath(t *testing.T) {
	idx := open(t)
	files := fstest.MapFS{"kb/a.md": file("# Apple\n\nAn apple.", 0)}
	if _, err := retrieval.Sync(t.Context(), idx, kb, files, "kb"); err != nil {
		t.Fatal(err)
	}
	_, err := retrieval.Sync(t.Context(), idx, kb, files, "nosuch")
	if err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("%v, want an error that names the path", err)
	}
	found(t, idx, "apple", "kb/a.md")
}

func found(t *testing.T, idx retrieval.Index, query string, sources ...string) {
	t.Helper()
	hits, err := idx.Search(t.Context(), kb, retrieval.Query{Text: query})
	if err != nil {
		t.Fatal(err)
	}
	if len(hits) != len(sources) || len(hits) > 0 && hits[0].Source != sources[0] {
		t.Errorf("%q found %v, want %v", query, hits, sources)
	}
}

func TestRetrieve(t *testing.T) {
	idx := open(t)
	if _, err := retrieval.Sync(t.Context(), idx, kb, fstest.MapFS{"hammer.md": file("# Hammer\n\nA hammer.", 0)}); err != nil {
		t.Fatal(err)
	}
	told := make(map[string]int)
	a := &retrieval.Activity{Index: idx, OnRetrieved: func(store, index string, n int) { told[store+"/"+index] = n }}

	res, err := a.Retrieve(t.Context(), activities.RetrieveInput{Store: "s1", Index: "kb", Query: "where are the hammers"})
	if err != nil || len(res.Passages) != 1 || told["s1/kb"] != 1 {
		t.Errorf("%+v, %v, told %v", res, err, told)
	}
	for _, query := range []string{"", "  ", "mongolia"} {
		res, err := a.Retrieve(t.Context(), activities.RetrieveInput{Store: "s1", Index: "kb", Query: query})
		if err != nil || res.Passages == nil || len(res.Passages) != 0 || told["s1/kb"] != 0 {
			t.Errorf("%q: %+v, %v, told %v", query, res, err, told)
		}
	}
	for name, in := range map[string]activities.RetrieveInput{
		"no store":   {Index: "kb", Query: "x"},
		"top_k":      {Store: "s1", Index: "kb", Query: "x", TopK: 51},
		"min_score":  {Store: "s1", Index: "kb", Query: "x", MinScore: 2},
		"long query": {Store: "s1", Index: "kb", Query: strings.Repeat("x", 3000)},
	} {
		_, err := a.Retrieve(t.Context(), in)
		var application *temporal.ApplicationError
		if !errors.As(err, &application) || !application.NonRetryable() || application.Type() != activities.KindInvalid {
			t.Errorf("%s: %v, want a permanent error", name, err)
		}
	}
}
