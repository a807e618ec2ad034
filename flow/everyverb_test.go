package flow

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// everyVerb is a flow that uses every verb and field of the language.
func everyVerb(t *testing.T) Source {
	t.Helper()
	root := os.DirFS("testdata/everyverb")
	actions, ds := ReadCatalogue(root, "actions")
	if len(ds) > 0 {
		t.Fatal(Render(ds, root, RenderOptions{}))
	}
	return Source{FS: root, Path: "flows/desk.yaml", Collections: []string{"store"}, Actions: actions}
}

func TestEveryVerbCompiles(t *testing.T) {
	const dir = "testdata/everyverb"
	if *update {
		publish(t, dir, "flows/store_info.yaml")
	}
	src := everyVerb(t)
	if ds := Check(src); len(ds) > 0 {
		t.Fatal(Render(ds, src.FS, RenderOptions{}))
	}
	plan, err := Compile(src)
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Check(); err != nil {
		t.Error(err)
	}
	text, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join(dir, "plan.json"), string(text)+"\n")
	var back Plan
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if err := back.Check(); err != nil {
		t.Errorf("after a round trip through JSON: %v", err)
	}
	if _, err := NewProgram(&back); err != nil {
		t.Error(err)
	}
	for key, sub := range back.Flows {
		if _, err := NewProgram(&sub); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// publish writes a flow's plan to where flows that call it look for it.
func publish(t *testing.T, dir, name string) {
	t.Helper()
	plan, err := Compile(Source{FS: os.DirFS(dir), Path: name})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, PublishedDir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, PublishedPath(plan.Flow, plan.Version)), append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
