package flow

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestDiagnostics compiles each testdata/diagnostics/<code>-<case>/flow.yaml and
// compares what the author is told. The folder's name begins with the code that
// must be among it.
func TestDiagnostics(t *testing.T) {
	dirs, err := filepath.Glob("testdata/diagnostics/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			root := os.DirFS(dir)
			src := Source{FS: root, Path: "flow.yaml", Collections: []string{"store", "recipes"}}
			if _, err := os.Stat(filepath.Join(dir, "actions")); err == nil {
				var ds Diagnostics
				if src.Actions, ds = ReadCatalogue(root, "actions"); len(ds) > 0 {
					t.Fatal(Render(ds, root, RenderOptions{}))
				}
			}
			if *update {
				publishAll(t, dir)
			}
			ds := Check(src)
			code, _, _ := strings.Cut(filepath.Base(dir), "-")
			found := false
			for _, d := range ds {
				found = found || strings.EqualFold(string(d.Code), code)
			}
			if !found {
				t.Errorf("%s is not reported", code)
			}
			golden(t, filepath.Join(dir, "want.txt"), Render(ds, root, RenderOptions{}))
		})
	}
}

// publishAll publishes the flows that a case calls, in the order of their names.
func publishAll(t *testing.T, dir string) {
	t.Helper()
	flows, err := filepath.Glob(filepath.Join(dir, "publish", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range flows {
		publish(t, dir, path.Join("publish", filepath.Base(name)))
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (run with -update to accept):\n--- got\n%s--- want\n%s", name, got, want)
	}
}

// Every code that the package can report has a golden case and an entry in the
// documentation.
func TestEveryCodeIsExplained(t *testing.T) {
	doc, err := os.ReadFile("../docs/flow-diagnostics.md")
	if err != nil {
		t.Fatal(err)
	}
	cases, err := filepath.Glob("testdata/*/f[0-9]*") // diagnostics/ and catalogue/
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^(?:const)?\s*code\w+\s+Code = "(F\d+)"`)
	codes := 0
	for _, src := range sources {
		text, err := os.ReadFile(src)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			codes++
			if !strings.Contains(string(doc), "\n## "+m[1]+" ") {
				t.Errorf("docs/flow-diagnostics.md has no entry for %s (%s)", m[1], src)
			}
			hasCase := false
			for _, c := range cases {
				hasCase = hasCase || strings.HasPrefix(filepath.Base(c), strings.ToLower(m[1])+"-")
			}
			if !hasCase {
				t.Errorf("testdata has no case for %s", m[1])
			}
		}
	}
	if codes < 30 {
		t.Errorf("found only %d codes: has their declaration changed its form?", codes)
	}
}

func TestCompile(t *testing.T) {
	plan, err := Compile(Source{FS: os.DirFS("testdata/shop"), Path: "flows/help.yaml", Collections: []string{"store"}})
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
	golden(t, "testdata/shop/plan.json", string(text)+"\n")

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
}

func TestCompileSaysEverythingAtOnce(t *testing.T) {
	_, err := Compile(Source{FS: os.DirFS("testdata/diagnostics/f101-ten-mistakes"), Path: "flow.yaml", Collections: []string{"store"}})
	var invalid *InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("got %v, want an InvalidError", err)
	}
	if n := len(invalid.Diagnostics.Errors()); n != 10 {
		t.Errorf("got %d mistakes, want 10:\n%v", n, err)
	}
	for i := 1; i < len(invalid.Diagnostics); i++ {
		if invalid.Diagnostics[i].Pos.Compare(invalid.Diagnostics[i-1].Pos) < 0 {
			t.Errorf("%s comes after %s", invalid.Diagnostics[i], invalid.Diagnostics[i-1])
		}
	}
}

func TestDiagnosticsAsJSON(t *testing.T) {
	empty, err := Diagnostics(nil).JSON()
	if err != nil || string(empty) != "[]" {
		t.Errorf("no diagnostics: %s, %v", empty, err)
	}
	ds := Check(Source{FS: fstest.MapFS{"flow.yaml": {Data: []byte("api: parley.flow/v2\n")}}, Path: "flow.yaml"})
	text, err := ds.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var back Diagnostics
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if len(back) != len(ds) || back[0].Pos.File != "flow.yaml" || back[0].Pos.Line != 1 {
		t.Errorf("got %+v, want %+v", back, ds)
	}
}

func TestSourceBounds(t *testing.T) {
	for name, text := range map[string]string{
		"too big":    "about: " + strings.Repeat("x", maxSourceBytes),
		"too deep":   "about: " + strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1),
		"deepest":    strings.Repeat("[", 200_000),
		"not UTF-8":  "about: \xff\xfe",
		"a zero":     "about: \x00",
		"empty":      "",
		"no mapping": "hello",
		"too many":   manySteps(501),
	} {
		t.Run(name, func(t *testing.T) {
			ds := Check(Source{FS: fstest.MapFS{"flow.yaml": {Data: []byte(text)}}, Path: "flow.yaml"})
			if len(ds.Errors()) == 0 {
				t.Error("nothing is reported")
			}
		})
	}
	ds := Check(Source{FS: fstest.MapFS{}, Path: "flow.yaml"})
	if len(ds) != 1 || !strings.Contains(ds[0].Message, fs.ErrNotExist.Error()) {
		t.Errorf("a missing file: %v", ds)
	}
}

func manySteps(n int) string {
	var b strings.Builder
	b.WriteString("steps:\n")
	for i := range n {
		fmt.Fprintf(&b, "  s%d: {say: {prompt: a}, next: nowhere%d}\n", i, i)
	}
	return b.String()
}
