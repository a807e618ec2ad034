package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/praesenz/parley/flow"
)

func TestFlowPublish(t *testing.T) {
	dir := writeStore(t, goodFlow)
	file := filepath.Join(dir, "flows", "help.yaml")
	published := filepath.Join(dir, "published", "help@1.0.0.json")

	out, err := runFlow("publish", file, "--check")
	if want := "help 1.0.0 can be published: " + published + "\n"; err != nil || out != want {
		t.Errorf("--check: %q, %v; want %q", out, err, want)
	}
	if _, err := os.Stat(published); err == nil {
		t.Error("--check has published")
	}
	out, err = runFlow("publish", file)
	if want := "help 1.0.0 is published: " + published + "\n"; err != nil || out != want {
		t.Errorf("publish: %q, %v; want %q", out, err, want)
	}
	first, err := os.ReadFile(published)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flow.ReadPublished(os.DirFS(dir), "help", "1.0.0"); err != nil {
		t.Errorf("what was published cannot be read: %v", err)
	}
	out, err = runFlow("publish", file)
	if want := "help 1.0.0 is published already: " + published + "\n"; err != nil || out != want {
		t.Errorf("publish again: %q, %v; want %q", out, err, want)
	}

	// The flow changes, its version does not.
	writeFile(t, dir, "prompts/help/en.yaml", "ask: How can I help?\n")
	want := file + ":3:10: error F603 version is still 1.0.0 but the plan has changed since it was published"
	for _, args := range [][]string{{"publish", file}, {"publish", file, "--check"}, {"check", dir}} {
		out, err = runFlow(args...)
		if !errors.As(err, new(quietError)) || !strings.Contains(out, want) {
			t.Errorf("%v: %v, want %q in:\n%s", args, err, want, out)
		}
	}
	if kept, err := os.ReadFile(published); err != nil || string(kept) != string(first) {
		t.Errorf("the published version has changed (%v)", err)
	}

	writeFile(t, dir, "flows/help.yaml", strings.Replace(goodFlow, "version: 1.0.0", "version: 1.1.0", 1))
	if out, err = runFlow("publish", file); err != nil || !strings.Contains(out, "help 1.1.0 is published") {
		t.Errorf("with a new version: %q, %v", out, err)
	}
	if out, err = runFlow("check", dir); err != nil {
		t.Errorf("check: %v\n%s", err, out)
	}
}

func TestFlowPublishRefusesAFlowWithMistakes(t *testing.T) {
	dir := writeStore(t, strings.Replace(goodFlow, "next: find", "next: fnid", 1))
	out, err := runFlow("publish", filepath.Join(dir, "flows", "help.yaml"))
	if !errors.As(err, new(quietError)) || !strings.Contains(out, `F101 step "fnid"`) {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "published")); err == nil {
		t.Error("something was published")
	}
}

// Whoever edits a published file is told, wherever it is read.
func TestFlowCheckFindsAChangedPublishedFlow(t *testing.T) {
	dir := writeStore(t, goodFlow)
	if _, err := runFlow("publish", filepath.Join(dir, "flows", "help.yaml")); err != nil {
		t.Fatal(err)
	}
	published := filepath.Join(dir, "published", "help@1.0.0.json")
	text, err := os.ReadFile(published)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "published/help@1.0.0.json", strings.Replace(string(text), "What can I do for you?", "What now?", 1))
	writeFile(t, dir, "published/help@2.0.0.json", string(text))
	out, err := runFlow("check", filepath.Join(dir, "published"))
	if err == nil || strings.Count(out, "F607") != 2 || !strings.Contains(out, `holds flow "help" in version "1.0.0"`) {
		t.Errorf("%v\n%s", err, out)
	}
}
