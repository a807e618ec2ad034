package flow_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/praesenz/parley/flow"
)

// Task graphs in the manner of public dialogue corpora, which were not drawn for
// this language, are flows of it without a mistake or a warning.
func TestCorpus(t *testing.T) {
	fsys := os.DirFS("testdata/corpus")
	actions, ds := flow.ReadCatalogue(fsys, "actions")
	if len(ds) > 0 {
		t.Fatalf("actions:\n%s", flow.Render(ds, fsys, flow.RenderOptions{}))
	}
	paths, err := filepath.Glob("testdata/corpus/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no flows in testdata/corpus: %v", err)
	}
	for _, path := range paths {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			if ds := flow.Check(flow.Source{FS: fsys, Path: name, Actions: actions}); len(ds) > 0 {
				t.Errorf("\n%s", flow.Render(ds, fsys, flow.RenderOptions{}))
			}
		})
	}
}
