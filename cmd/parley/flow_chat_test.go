package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shopFolder is a copy of the example store without its tests, to write into.
func shopFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../examples/hardware-store")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "tests")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// parley runs a command as a shell would, with lines piped into it.
func parley(t *testing.T, lines string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(strings.NewReader(lines))
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

// A chat with the store's own knowledge is recorded, and the recording passes.
func TestChatThroughAPipe(t *testing.T) {
	dir := shopFolder(t)
	record := filepath.Join(dir, "tests", "help", "hammers.yaml")
	out, err := parley(t, "/touch de\n\nWo finde ich Hämmer?\nnein danke\n", "flow", "chat", filepath.Join(dir, "flows", "help.yaml"), "--kb", "--record", record)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"buttons: en, de", "Sind Sie noch da?", "Gang 4", "— ended: resolved"} {
		if !strings.Contains(out, want) {
			t.Errorf("the chat lacks %q:\n%s", want, out)
		}
	}
	if out, err = parley(t, "", "flow", "test", record); err != nil {
		t.Errorf("the recorded test: %v\n%s", err, out)
	}
	if out, err = parley(t, "/quit\n", "flow", "chat", filepath.Join(dir, "flows", "help.yaml"), "--record", record); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("a recording was overwritten: %v\n%s", err, out)
	}
}

func TestChatRefusesWhatTheFlowDoesNotHave(t *testing.T) {
	file := filepath.Join("..", "..", "examples", "hardware-store", "flows", "help.yaml")
	for want, args := range map[string][]string{
		`has no language "fr"`:  {file, "--lang", "fr"},
		`has no input "shop"`:   {file, "--input", "shop=s1"},
		"no such file":          {file, "--given", "nowhere.yaml"},
		"the flow has mistakes": {"nowhere.yaml"},
	} {
		args := append([]string{"flow", "chat"}, args...)
		out, err := parley(t, "", args...)
		if err == nil || !strings.Contains(err.Error()+out, want) {
			t.Errorf("%v: error %v, want %q\n%s", args, err, want, out)
		}
	}
}
