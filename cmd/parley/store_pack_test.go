package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pack runs store pack.
func pack(t *testing.T, args ...string) (out, complaints string, err error) {
	t.Helper()
	cmd := storePackCommand()
	var o, c bytes.Buffer
	cmd.SetOut(&o)
	cmd.SetErr(&c)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return o.String(), c.String(), err
}

func TestTheExampleStoresCanBePacked(t *testing.T) {
	stores, err := filepath.Glob("../../examples/*/store.yaml")
	if err != nil || len(stores) == 0 {
		t.Fatal("there are no examples: ", err)
	}
	for _, file := range stores {
		dir := filepath.Dir(file)
		values := filepath.Join(t.TempDir(), "values-store.yaml")
		if _, complaints, err := pack(t, dir, "--out", values); err != nil {
			t.Errorf("%s: %v\n%s", dir, err, complaints)
			continue
		}
		if out, complaints, err := pack(t, dir, "--out", values, "--check"); err != nil || !strings.Contains(out, "packed") {
			t.Errorf("%s: what was just packed is out of date: %v\n%s%s", dir, err, out, complaints)
		}
		text, err := os.ReadFile(values)
		if err != nil {
			t.Fatal(err)
		}
		checkYAML(t, values, string(text))
	}
}

func TestPackRefusesAStoreWithMistakes(t *testing.T) {
	dir := t.TempDir()
	mustNewStore(t, dir)
	store, values := filepath.Join(dir, "lindenhof"), filepath.Join(dir, "lindenhof-gitops", "helm", "values-store.yaml")
	before := tree(t, dir)
	edit(t, filepath.Join(store, "flows", "help.yaml"), "start: greet", "start: gret")
	_, complaints, err := pack(t, store, "--out", values)
	if err == nil || !strings.Contains(complaints, `did you mean "greet"?`) || !strings.Contains(complaints, filepath.Join(store, "flows", "help.yaml")+":") {
		t.Errorf("error %v; the complaints do not say what is wrong, and where:\n%s", err, complaints)
	}
	if after := tree(t, dir); after["lindenhof-gitops/helm/values-store.yaml"] != before["lindenhof-gitops/helm/values-store.yaml"] {
		t.Error("a store with mistakes was written")
	}
	if _, _, err := pack(t, filepath.Join(dir, "lindenhof-gitops")); err == nil || !strings.Contains(err.Error(), "is no store's folder, for it has no store.yaml") {
		t.Errorf("error %v for a folder that is no store's", err)
	}
}

func TestPackCheckSaysWhatDiffers(t *testing.T) {
	dir := t.TempDir()
	mustNewStore(t, dir)
	store, values := filepath.Join(dir, "lindenhof"), filepath.Join(dir, "lindenhof-gitops", "helm", "values-store.yaml")
	edit(t, filepath.Join(store, "kb", "en", "about-us.md"), "gladly", "always")
	out, _, err := pack(t, store, "--out", values, "--check")
	if err == nil || !strings.Contains(out, "kb/en/about-us.md has changed") || !strings.Contains(out, "run: parley store pack "+store+" --out "+values) {
		t.Errorf("%v\n%s", err, out)
	}
	if _, _, err := pack(t, store, "--out", values); err != nil {
		t.Fatal(err)
	}
	if out, _, err := pack(t, store, "--out", values, "--check"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if _, _, err := pack(t, store, "--check"); err == nil || !strings.Contains(err.Error(), "--check: name the packed file with --out") {
		t.Errorf("error %v without --out", err)
	}
}
