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

// writeStore makes a store's folder with one flow.
func writeStore(t *testing.T, flow string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"store.yaml":           "store: s\ncollections: {store: {paths: [kb]}}\n",
		"flows/help.yaml":      flow,
		"prompts/help/en.yaml": "ask: What can I do for you?\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
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
	for _, path := range []string{dir, filepath.Join(dir, "flows", "help.yaml")} {
		out, err := runFlow("check", path)
		if err != nil || out != "1 flow: 0 mistakes, 0 warnings\n" {
			t.Errorf("check %s: %q, %v", path, out, err)
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
		"1 flow: 2 mistakes, 0 warnings",
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
