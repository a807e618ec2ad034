package store_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/praesenz/parley/store"
)

// packed reads a values file as Helm does.
func packed(t *testing.T, text []byte) (files, binary map[string]string) {
	t.Helper()
	var values struct {
		Store struct {
			ID, Source  string
			Files       map[string]string
			BinaryFiles map[string]string `yaml:"binaryFiles"`
		}
	}
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatalf("the values are no YAML: %v\n%s", err, text)
	}
	if values.Store.ID != "corner-shop" || values.Store.Source != "files" {
		t.Errorf("store.id is %q, store.source is %q", values.Store.ID, values.Store.Source)
	}
	return values.Store.Files, values.Store.BinaryFiles
}

func TestAPackHoldsWhatKiosksNeedAsItIs(t *testing.T) {
	dir := folder(t, good)
	want := map[string]string{
		"kb/en/dollar.md":    "Prices of ${x}, {{ .Values }} and %s\n",
		"kb/en/blanks.md":    "trailing \n\n\ttab\n   leading\n",
		"kb/en/windows.md":   "one\r\ntwo\r\n",
		"kb/en/no-end.md":    "# No newline",
		"kb/en/leading.md":   "\n\n  text\n",
		"kb/en/empty.md":     "",
		"kb/en/umlaut.md":    "Öffnungszeiten: 8–20 Uhr\u2028\u0085☕\U0001f511\n",
		"kb/de/Öffnung 1.md": "x\n",
		"kb/en/number.md":    "12",
		"kb/en/document.md":  "---\ntitle: x\n---\n# x\n...\n",
		"actions/bell.yaml":  bell,
		"media/aisles.svg":   "<svg/>\n",
		"published/a@1.json": "{}",
	}
	for name, text := range want {
		write(t, dir, name, text)
	}
	picture := "\x89PNG\r\n\x1a\n\x00"
	write(t, dir, "media/kettle.png", picture)
	for _, name := range []string{"README.md", "tests/help/help.yaml", ".git/config", "kb/.draft.md", "kb/.git/x.md", "Makefile"} {
		write(t, dir, name, "not for kiosks\n")
	}
	p, err := store.ReadPack(dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := p.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.YAML()
	if err != nil || string(again) != string(text) {
		t.Errorf("packing again gives another file (%v)", err)
	}
	files, binary := packed(t, text)
	for name, text := range want {
		if files[name] != text {
			t.Errorf("%s became %q, want %q", name, files[name], text)
		}
	}
	for _, name := range []string{"store.yaml", "flows/help.yaml", "prompts/help/en.yaml", "kb/en/a.md"} {
		if files[name] == "" {
			t.Errorf("%s is missing", name)
		}
	}
	if len(files) != len(want)+4 {
		t.Errorf("packed %q", slices.Sorted(maps.Keys(files)))
	}
	if got, err := base64.StdEncoding.DecodeString(binary["media/kettle.png"]); err != nil || string(got) != picture || len(binary) != 1 {
		t.Errorf("binary files %v (%v)", binary, err)
	}
	if !strings.Contains(string(text), "\n    flows/help.yaml: |\n      api: parley.flow/v1\n") {
		t.Errorf("a flow is not in a literal block:\n%s", text)
	}
}

func TestAPackTakesInTheFoldersThatStoreYAMLNames(t *testing.T) {
	dir := folder(t, strings.Replace(good, "paths: [kb]", "paths: [kb, docs/prices.csv]", 1)+"actions: servers\n")
	write(t, dir, "docs/prices.csv", "a,b\n")
	write(t, dir, "docs/other.csv", "a,b\n")
	write(t, dir, "servers/bell.yaml", bell)
	p, err := store.ReadPack(dir)
	if err != nil {
		t.Fatal(err)
	}
	if p.Text["docs/prices.csv"] == "" || p.Text["servers/bell.yaml"] == "" || p.Text["docs/other.csv"] != "" {
		t.Errorf("packed %q", slices.Sorted(maps.Keys(p.Text)))
	}
}

func TestWhatCannotBePacked(t *testing.T) {
	noise := make([]byte, 1<<20)
	rng := rand.NewChaCha8([32]byte{})
	if _, err := rng.Read(noise); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		make func(t *testing.T, dir string)
		want []string
	}{
		{"names that are one key", func(t *testing.T, dir string) {
			write(t, dir, "kb/en__b.md", "x\n")
			write(t, dir, "kb/en/b.md", "x\n")
			write(t, dir, "kb/ä.md", "x\n")
			write(t, dir, "kb/ö.md", "x\n")
		}, []string{"kb/en/b.md and kb/en__b.md become one ConfigMap key, kb__en__b.md", "kb/ä.md and kb/ö.md become one"}},
		{"a path that is too long", func(t *testing.T, dir string) {
			write(t, dir, "kb/"+strings.Repeat("a", 249)+".md", "x\n")
		}, []string{"more than the 253 characters"}},
		{"a link in a folder", func(t *testing.T, dir string) {
			link(t, "/etc/hostname", filepath.Join(dir, "kb", "host.md"))
		}, []string{"kb/host.md is no regular file"}},
		{"a folder that is a link", func(t *testing.T, dir string) {
			link(t, t.TempDir(), filepath.Join(dir, "media"))
		}, []string{"media is no regular file"}},
		{"too much for a ConfigMap", func(t *testing.T, dir string) {
			for i := range 3 {
				write(t, dir, fmt.Sprintf("kb/en/%d.md", i), strings.Repeat("much ", 80_000*(i+1)/2))
			}
		}, []string{"the ConfigMap of kb would have 1171 KiB", "the largest are kb/en/2.md (585 KiB), kb/en/1.md (390 KiB), kb/en/0.md (195 KiB)", "store.source: image"}},
		{"a file that is too much for a ConfigMap", func(t *testing.T, dir string) {
			write(t, dir, "media/film.mp4", "")
			if err := os.Truncate(filepath.Join(dir, "media", "film.mp4"), 2<<30); err != nil {
				t.Fatal(err)
			}
		}, []string{"media/film.mp4 has 2097152 KiB, more than the 1024 of a ConfigMap", "store.source: image"}},
		{"too much for a Helm release", func(t *testing.T, dir string) {
			write(t, dir, "media/map.png", string(noise[:400<<10]))
		}, []string{"KiB compressed", "media/map.png (400 KiB)", "store.source: claim"}},
		{"a flow whose prompts lie elsewhere", func(t *testing.T, dir string) {
			write(t, dir, "flows/help.yaml", strings.Replace(flowSource, "prompts/help", "words/help", 1))
			write(t, dir, "words/help/en.yaml", "goodbye: Bye.\n")
		}, []string{"no whole store"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := folder(t, good)
			tc.make(t, dir)
			_, err := store.ReadPack(dir)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q:\n%v", want, err)
				}
			}
		})
	}
}

func link(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		t.Skip("links cannot be made here: ", err)
	}
}

func TestAPackIsOutOfDate(t *testing.T) {
	dir := folder(t, good)
	write(t, dir, "kb/en/b.md", "x\n")
	p, err := store.ReadPack(dir)
	if err != nil {
		t.Fatal(err)
	}
	values, err := p.YAML()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "kb/en/a.md", "# A\n\nNew.\n")
	write(t, dir, "kb/en/c.md", "x\n")
	if err := os.Remove(filepath.Join(dir, "kb/en/b.md")); err != nil {
		t.Fatal(err)
	}
	now, err := store.ReadPack(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		pack *store.Pack
		text string
		want []string
	}{
		{p, string(values), nil},
		{p, "gateway: {replicas: 3}\n" + string(values), nil},
		{now, string(values), []string{"kb/en/a.md has changed", "kb/en/c.md is missing", "kb/en/b.md is no longer in the folder"}},
		{p, strings.Replace(string(values), "id: corner-shop", "id: other", 1), []string{`store.id is "other", not "corner-shop"`}},
	} {
		got, err := tc.pack.Differs(strings.NewReader(tc.text))
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%v, %v; want %v", got, err, tc.want)
		}
	}
}

func FuzzPack(f *testing.F) {
	for _, text := range []string{"", "a", "a\n", "\n\n a\n", "a \nb\n", "a\r\nb", "\ta\n", "- a: |\n    b\n", "# ${x} {{ y }}\n", "12", "null", "\u2028\u0085\ufeff", "---\n...\n", "a\x00b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, content string) {
		p := store.Pack{ID: "corner-shop", Text: map[string]string{"kb/a.md": content, "kb/b.md": "after\n"}}
		text, err := p.YAML()
		if err != nil {
			t.Skip("what is no text is packed as a binary file: ", err)
		}
		if files, _ := packed(t, text); files["kb/a.md"] != content || files["kb/b.md"] != "after\n" {
			t.Errorf("%q became %q:\n%s", content, files, text)
		}
	})
}
