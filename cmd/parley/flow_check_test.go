package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/praesenz/parley/flow"
)

const goodFlow = `api: parley.flow/v1
flow: help
version: 1.0.0
languages: {default: en, supported: [en]}
prompts: prompts/help
slots:
  question: {type: text, ask_anew: true}
vars: {hits: list(passage)}
defaults:
  no_input: {then: bye}
  no_match: {then: bye}
start: ask
steps:
  ask:  {collect: {slot: question, prompt: ask}, next: find}
  find: {retrieve: {index: store, query: slots.question, into: hits}, next: ask}
  bye:  {end: {outcome: resolved}}
`

const storeYAML = `store: s
languages: {default: en, supported: [en]}
kiosks: [{id: door, flow: help}]
collections: {store: {paths: [kb]}}
`

// writeStore makes a store's folder with one flow.
func writeStore(t *testing.T, flow string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"store.yaml":           storeYAML,
		"kb/en/a.md":           "# A\n",
		"flows/help.yaml":      flow,
		"prompts/help/en.yaml": "ask: What can I do for you?\n",
	} {
		writeFile(t, dir, name, text)
	}
	return dir
}

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func runFlow(args ...string) (string, error) {
	var out bytes.Buffer
	cmd := flowCommand()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.Execute()
	return out.String(), err
}

func TestFlowCheckAcceptsAGoodFlow(t *testing.T) {
	dir := writeStore(t, goodFlow)
	for path, want := range map[string]string{
		dir:                                      "1 store, 1 flow: 0 mistakes, 0 warnings\n",
		filepath.Join(dir, "flows", "help.yaml"): "1 flow: 0 mistakes, 0 warnings\n",
	} {
		if out, err := runFlow("check", path); err != nil || out != want {
			t.Errorf("check %s: %q, %v; want %q", path, out, err, want)
		}
	}
}

func TestFlowCheckPointsAtMistakes(t *testing.T) {
	dir := writeStore(t, strings.NewReplacer("index: store", "index: stor", "next: find", "next: fnid").Replace(goodFlow))
	file := filepath.Join(dir, "flows", "help.yaml")
	out, err := runFlow("check", dir)
	var quiet quietError
	if !errors.As(err, &quiet) {
		t.Errorf("got %v, want a quietError: the command has said why", err)
	}
	for _, want := range []string{
		file + `:14:56: error F101 step "fnid" does not exist; did you mean "find"?`,
		file + `:15:28: error F404 knowledge collection "stor" is not configured`, // known from store.yaml
		"  14 |   ask:  {collect: {slot: question, prompt: ask}, next: fnid}\n" +
			"     |                                                        ^^^^\n",
		"1 store, 1 flow: 2 mistakes, 0 warnings",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b[") {
		t.Error("colours were written to what is no terminal")
	}

	out, err = runFlow("check", dir, "--format", "json", "--collections", "stor")
	if err == nil {
		t.Error("mistakes gave no error")
	}
	var ds flow.Diagnostics
	if err := json.Unmarshal([]byte(out), &ds); err != nil {
		t.Fatal(err)
	}
	if len(ds) != 1 || ds[0].Code != "F101" || ds[0].Pos != (flow.Pos{File: file, Line: 14, Column: 56}) {
		t.Errorf("got %+v, want only F101, because --collections names the other", ds)
	}
}

func TestFlowCheckSaysWhatItCannotDo(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"check", t.TempDir()}, "there is no flow in"},
		{[]string{"check", filepath.Join(t.TempDir(), "none.yaml")}, "none.yaml"},
		{[]string{"check", writeStore(t, goodFlow), "--format", "xml"}, "--format"},
	} {
		if _, err := runFlow(c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q in it", c.args, err, c.want)
		}
	}
}

const bellActions = `api: parley.actions/v1
service: bell
url: http://bell.example
actions:
  ring: {method: PUT, path: /ring}
`

// A folder is checked with all that is in it; what is wrong is told once, though
// two flows depend on it.
func TestFlowCheckOfAStore(t *testing.T) {
	dir := writeStore(t, goodFlow)
	writeFile(t, dir, "flows/again.yaml", strings.Replace(goodFlow, "flow: help", "flow: again", 1))
	writeFile(t, dir, "store.yaml", storeYAML+"kiosk: []\n")
	writeFile(t, dir, "actions/bell.yaml", bellActions+"  knock: {method: PUT, path: knock}\n")
	writeFile(t, dir, "published/help@0.9.0.json", "{}\n")
	out, err := runFlow("check", dir)
	if err == nil {
		t.Error("mistakes gave no error")
	}
	for _, want := range []string{
		filepath.Join(dir, "store.yaml") + `:5:1: error F011 unknown field "kiosk"`,
		filepath.Join(dir, "actions", "bell.yaml") + ":6:30: error F014 `path` cannot be \"knock\"",
		filepath.Join(dir, "published", "help@0.9.0.json") + ":1:1: error F607 this is not what was published",
		"1 store, 2 flows, 1 service, 1 published flow: 3 mistakes, 0 warnings\n",
	} {
		if strings.Count(out, want) != 1 {
			t.Errorf("%q is not there once in:\n%s", want, out)
		}
	}

	writeFile(t, dir, "store.yaml", strings.Replace(storeYAML, "id: door", "id: Front door", 1))
	out, err = runFlow("check", filepath.Join(dir, "store.yaml"))
	if want := `store.yaml:3:15: error F014 `; err == nil || !strings.Contains(out, want) {
		t.Errorf("%v, want %q in:\n%s", err, want, out)
	}
	writeFile(t, dir, "store.yaml", strings.Replace(storeYAML, "[kb]", "[kb, manuals]", 1))
	out, err = runFlow("check", filepath.Join(dir, "store.yaml"))
	if want := "store.yaml:4:35: error F014 `collections.store.paths[1]`: \"manuals\" is not there"; err == nil || !strings.Contains(out, want) {
		t.Errorf("%v, want %q in:\n%s", err, want, out)
	}
}

func TestFlowCheckForPullRequests(t *testing.T) {
	dir := writeStore(t, strings.Replace(goodFlow, "next: find", "next: fnid", 1))
	out, err := runFlow("check", dir, "--format", "github")
	want := "::error file=" + filepath.Join(dir, "flows", "help.yaml") + `,line=14,col=56,endColumn=60,title=F101::step "fnid" does not exist; did you mean "find"?` + "\n"
	if err == nil || !strings.HasPrefix(out, want) {
		t.Errorf("%v: got %q, want %q", err, out, want)
	}
}

func TestFlowCheckForScanners(t *testing.T) {
	dir := writeStore(t, strings.Replace(goodFlow, "next: find", "next: fnid", 1))
	out, err := runFlow("check", dir, "--format", "sarif")
	if err == nil {
		t.Error("mistakes gave no error")
	}
	var log struct {
		Version string
		Runs    []struct {
			Results []struct{ RuleID string }
		}
	}
	if err := json.Unmarshal([]byte(out), &log); err != nil {
		t.Fatal(err)
	}
	if log.Version != "2.1.0" || len(log.Runs) != 1 || log.Runs[0].Results[0].RuleID != "F101" {
		t.Errorf("got %s", out)
	}
}
