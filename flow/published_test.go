package flow

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// TestPublishedDiagnostics publishes each testdata/published/<code>-<case> as it
// is in flow.yaml, and compares what is told when the flow is edited.yaml.
func TestPublishedDiagnostics(t *testing.T) {
	dir := "testdata/published/f603-changed"
	root := fstest.MapFS{}
	for _, name := range []string{"flow.yaml", "edited.yaml", "prompts/en.yaml"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		root[name] = &fstest.MapFile{Data: text}
	}
	plan, err := Compile(Source{FS: root, Path: "flow.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	src := Source{FS: root, Path: "edited.yaml"}
	edited, err := Compile(src)
	if err != nil {
		t.Fatal(err)
	}
	if ds := CheckUnchanged(src, edited); len(ds) > 0 {
		t.Errorf("before anything is published: %v", ds)
	}
	publishIn(t, root, plan)
	if ds := CheckUnchanged(Source{FS: root, Path: "flow.yaml"}, plan); len(ds) > 0 {
		t.Errorf("an unchanged flow: %v", ds)
	}
	golden(t, filepath.Join(dir, "want.txt"), Render(CheckUnchanged(src, edited), root, RenderOptions{}))

	// With another version of a flow that it runs, its author need not have done
	// anything.
	plan.Flows = map[string]Plan{"info@1.0.0": {}}
	plan.SHA256 = sum(t, plan)
	publishIn(t, root, plan)
	newer := *plan
	newer.Flows = map[string]Plan{"info@1.0.1": {}}
	newer.SHA256 = sum(t, &newer)
	golden(t, filepath.Join(dir, "want-newer.txt"), Render(CheckUnchanged(Source{FS: root, Path: "flow.yaml"}, &newer), root, RenderOptions{}))
}

// A comment that moves the steps, and a version of Parley with other words of its
// own, change nothing that an author wrote.
func TestWhatNobodyWroteIsUnchanged(t *testing.T) {
	src := everyVerb(t)
	root := fstest.MapFS{}
	everyverb := src.FS
	if err := fs.WalkDir(everyverb, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(everyverb, name)
		root[name] = &fstest.MapFile{Data: data}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	src.FS = root
	plan, err := Compile(src)
	if err != nil {
		t.Fatal(err)
	}
	plan.Prompts["en"][PromptApology] = "Words of an older Parley."
	delete(plan.Prompts["en"], PromptTakeYourTime)
	plan.SHA256 = sum(t, plan)
	publishIn(t, root, plan)
	text := root[src.Path].Data
	root[src.Path] = &fstest.MapFile{Data: append([]byte("# A comment.\n\n"), text...)}
	moved, err := Compile(src)
	if err != nil {
		t.Fatal(err)
	}
	if moved.SHA256 == plan.SHA256 {
		t.Fatal("the plans do not differ at all")
	}
	if ds := CheckUnchanged(src, moved); len(ds) > 0 {
		t.Errorf("%v", ds)
	}
}

func TestAPublishedFileThatWasEdited(t *testing.T) {
	dir := "testdata/published/f607-edited"
	golden(t, filepath.Join(dir, "want.txt"), Render(CheckPublished(os.DirFS(dir), "published/help@1.0.0.json"), os.DirFS(dir), RenderOptions{}))
	if _, err := ReadPublished(os.DirFS(dir), "help", "2.0.0"); err == nil || !strings.Contains(err.Error(), "help@2.0.0.json") {
		t.Errorf("one that is not there: %v", err)
	}
}

func publishIn(t *testing.T, root fstest.MapFS, p *Plan) {
	t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	root[PublishedPath(p.Flow, p.Version)] = &fstest.MapFile{Data: text}
}

func sum(t *testing.T, p *Plan) string {
	t.Helper()
	s, err := p.Sum()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
