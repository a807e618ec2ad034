package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFlowGraph(t *testing.T) {
	dir := writeStore(t, goodFlow)
	file := filepath.Join(dir, "flows", "help.yaml")
	out, err := runFlow("graph", file)
	if err != nil || !strings.Contains(out, "flowchart TD") || !strings.Contains(out, "s_find --> s_ask") {
		t.Errorf("%v\n%s", err, out)
	}

	picture := filepath.Join(dir, "help.svg")
	writeFile(t, dir, "taken.json", `{"outcome": "resolved", "taken": {"help/ask>next>find": 3}}`)
	if _, err := runFlow("graph", file, "--out", picture, "--taken", filepath.Join(dir, "taken.json")); err != nil {
		t.Fatal(err)
	}
	if svg, err := os.ReadFile(picture); err != nil || !strings.HasPrefix(string(svg), "<svg ") || !strings.Contains(string(svg), "×3") {
		t.Errorf("%v\n%s", err, svg)
	}
	writeFile(t, dir, "bare.json", `{"help/ask>next>find": 3}`)
	if out, err = runFlow("graph", file, "--taken", filepath.Join(dir, "bare.json")); err != nil || !strings.Contains(out, "×3") {
		t.Errorf("%v\n%s", err, out)
	}

	if _, err := runFlow("publish", file); err != nil {
		t.Fatal(err)
	}
	if out, err = runFlow("graph", filepath.Join(dir, "published", "help@1.0.0.json")); err != nil || !strings.Contains(out, "title: help 1.0.0") {
		t.Errorf("a published flow: %v\n%s", err, out)
	}
}

func TestFlowGraphSaysWhatItCannotDo(t *testing.T) {
	dir := writeStore(t, goodFlow)
	file := filepath.Join(dir, "flows", "help.yaml")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"graph"}, "--conversation"},
		{[]string{"graph", file, "--conversation", "kiosk/s/door"}, "--conversation"},
		{[]string{"graph", file, "--format", "png"}, "--format"},
		{[]string{"graph", file, "--taken", file}, "--taken"},
	} {
		if _, err := runFlow(c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q in it", c.args, err, c.want)
		}
	}
}
