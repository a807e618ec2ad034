package flow

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"unicode/utf8"
)

// FuzzCompile gives the compiler any two files: it never panics, points only
// into them, and what compiles runs.
func FuzzCompile(f *testing.F) {
	flows, err := filepath.Glob("testdata/diagnostics/*/flow.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range flows {
		flow, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		prompts, err := os.ReadFile(filepath.Join(filepath.Dir(name), "prompts", "en.yaml"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(flow, prompts)
	}
	f.Fuzz(func(t *testing.T, flow, prompts []byte) {
		files := fstest.MapFS{"flow.yaml": {Data: flow}, "prompts/en.yaml": {Data: prompts}, "prompts/de.yaml": {Data: prompts}}
		src := Source{FS: files, Path: "flow.yaml", Collections: []string{"store"}}
		ds := Check(src)
		for _, d := range ds {
			lines := splitLines(files[d.Pos.File].Data)
			inside(t, d, d.Pos, lines)
			if d.End != nil {
				inside(t, d, *d.End, lines)
			}
		}
		Render(ds, files, RenderOptions{Colour: true})
		if len(ds.Errors()) > 0 {
			return
		}
		plan, err := Compile(src)
		if err != nil {
			t.Fatalf("Check finds nothing, but Compile says: %v", err)
		}
		if err := plan.Check(); err != nil {
			t.Error(err)
		}
		if _, err := NewProgram(plan); err != nil {
			t.Error(err)
		}
	})
}

func inside(t *testing.T, d Diagnostic, p Pos, lines []string) {
	t.Helper()
	if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > utf8.RuneCountInString(lines[p.Line-1])+1 {
		t.Errorf("%s: %s is outside the file", d, p)
	}
}

// FuzzCatalogue gives the reader of the action catalogue any file: it never
// panics and points only into it, and what it accepts can be written.
func FuzzCatalogue(f *testing.F) {
	f.Add([]byte(shopActions))
	files, err := filepath.Glob("testdata/catalogue/*/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		lines := splitLines(text)
		catalogue, ds := ReadCatalogue(fstest.MapFS{"actions/shop.yaml": {Data: text}}, "actions")
		for _, d := range ds {
			inside(t, d, d.Pos, lines)
			if d.End != nil {
				inside(t, d, *d.End, lines)
			}
		}
		if catalogue == nil {
			return
		}
		for name, a := range catalogue.Actions {
			if _, err := Expand(a.Path, func(string) (string, error) { return "x", nil }); err != nil {
				t.Errorf("%s: path %q: %v", name, a.Path, err)
			}
			for _, p := range Placeholders(a.Path) {
				if arg := a.arg(p); arg == nil || !arg.Required {
					t.Errorf("%s: path %q needs %q, which need not be there", name, a.Path, p)
				}
			}
		}
	})
}
