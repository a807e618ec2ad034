package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/praesenz/parley/schemas"
)

func TestFlowSchema(t *testing.T) {
	out, err := runFlow("schema")
	if err != nil || out != string(schemas.FlowJSON) {
		t.Errorf("without a name: %.60q, %v; want the schema of a flow", out, err)
	}
	out, err = runFlow("schema", "actions")
	if err != nil || out != string(schemas.ActionsJSON) {
		t.Errorf("actions: %.60q, %v", out, err)
	}
	for _, args := range [][]string{{"schema", "floor"}, {"schema", "flow", "--write", t.TempDir()}} {
		if _, err := runFlow(args...); err == nil {
			t.Errorf("%v was taken", args)
		}
	}

	dir := filepath.Join(t.TempDir(), "schemas")
	if _, err := runFlow("schema", "--write", dir); err != nil {
		t.Fatal(err)
	}
	for kind := range schemas.Sources() {
		text, err := os.ReadFile(filepath.Join(dir, kind+".v1.json"))
		if err != nil || !json.Valid(text) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
