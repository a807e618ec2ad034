package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/praesenz/parley/flow"
)

// languageSets are every language as a flow's default, alone and with others.
var languageSets = [][]string{{"en"}, {"de"}, {"fr"}, {"tr"}, {"en", "de"}, {"tr", "en", "fr", "de"}}

func TestNewFlowsCheckCleanAndTheirTestsPass(t *testing.T) {
	for _, template := range templateNames() {
		for _, languages := range languageSets {
			t.Run(template+" in "+strings.Join(languages, ", "), func(t *testing.T) {
				dir := t.TempDir()
				if _, err := newFlow("a_flow", newOptions{template: template, languages: languages, dir: dir}); err != nil {
					t.Fatal(err)
				}
				root := os.DirFS(dir)
				if ds := flow.Check(flow.Source{FS: root, Path: "flows/a_flow.yaml"}); len(ds) > 0 {
					t.Errorf("the new flow does not check clean:\n%s", flow.Render(ds, root, flow.RenderOptions{}))
				}
				var out bytes.Buffer
				if err := testFlows(t.Context(), &out, []string{dir}, testOptions{minCoverage: 60}); err != nil {
					t.Errorf("the new flow's tests: %v\n%s", err, out.String())
				}
				if strings.Contains(out.String(), "warning") {
					t.Errorf("the new flow's tests are not clean:\n%s", out.String())
				}
			})
		}
	}
}

func TestNewNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "prompts", "a_flow", "en.yaml")
	if err := os.MkdirAll(filepath.Dir(mine), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mine, []byte("greet: Mine.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := newFlow("a_flow", newOptions{template: "empty", languages: []string{"en"}, dir: dir})
	if err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("error %v, want one that says which file is there", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "flows")); err == nil {
		t.Error("something was written although a file was in the way")
	}
}

func TestNewTellsEveryFaultAtOnce(t *testing.T) {
	_, err := newFlow("My Flow", newOptions{template: "qestions", languages: []string{"en", "xx", "en"}, dir: "nowhere"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`NAME: "My Flow"`, `did you mean "questions"?`, `do not speak "xx"`, `"en" is there twice`, `--dir: "nowhere" is no folder`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
}
