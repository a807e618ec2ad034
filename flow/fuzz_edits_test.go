package flow

import (
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"strings"
	"testing"
	"testing/fstest"
)

// editedFlows are valid flows, to be edited.
type editedFlows struct {
	paths   []string
	files   []fstest.MapFS
	actions *Catalogue
}

func newEditedFlows(tb testing.TB) editedFlows {
	var e editedFlows
	for _, f := range []struct{ dir, path string }{
		{"testdata/everyverb", "flows/desk.yaml"},
		{"testdata/everyverb", "flows/store_info.yaml"},
		{"testdata/shop", "flows/help.yaml"},
		{"testdata/twenty", "flow.yaml"},
	} {
		e.paths, e.files = append(e.paths, f.path), append(e.files, load(tb, f.dir))
	}
	var ds Diagnostics
	if e.actions, ds = ReadCatalogue(e.files[0], "actions"); len(ds) > 0 {
		tb.Fatal(ds)
	}
	return e
}

// check edits one of the flows as a hasty author would: lines are deleted,
// doubled, swapped, cut off, indented otherwise and mixed with other words. The
// checker never panics, points only into the files there are, and what it finds
// no mistake in compiles and runs.
func (e editedFlows) check(t *testing.T, which uint8, script []byte) {
	at := int(which) % len(e.paths)
	edited := maps.Clone(e.files[at])
	name := e.paths[at]
	if len(script) > 0 && script[0] >= 200 { // now and then it is a prompt
		name = anyPrompts(edited)
	}
	script = script[:min(len(script), 90)]
	edited[name] = &fstest.MapFile{Data: []byte(edit(string(edited[name].Data), script))}
	src := Source{FS: edited, Path: e.paths[at], Collections: []string{"store"}, Actions: e.actions}
	ds := Check(src)
	for _, d := range ds {
		file := edited[d.Pos.File]
		if file == nil {
			t.Errorf("%s points to no file", d)
			continue
		}
		lines := splitLines(file.Data)
		inside(t, d, d.Pos, lines)
		if d.End != nil {
			inside(t, d, *d.End, lines)
		}
	}
	Render(ds, edited, RenderOptions{})
	plan, err := Compile(src)
	if (err != nil) != (len(ds.Errors()) > 0) {
		t.Fatalf("Check finds %d mistakes, but Compile says: %v", len(ds.Errors()), err)
	}
	if err != nil {
		return
	}
	if err := plan.Check(); err != nil {
		t.Error(err)
	}
	if _, err := NewProgram(plan); err != nil {
		t.Error(err)
	}
}

func FuzzEdits(f *testing.F) {
	flows := newEditedFlows(f)
	for i := range flows.paths {
		f.Add(uint8(i), []byte{0, 10, 0, 1, 20, 0, 2, 30, 40, 3, 50, 7, 4, 60, 9, 5, 25, 3, 6, 33, 8})
		f.Add(uint8(i), []byte{6, 14, 2, 6, 35, 17, 13, 3, 4})
	}
	f.Fuzz(flows.check)
}

// TestRandomEdits is what FuzzEdits finds in a second.
func TestRandomEdits(t *testing.T) {
	flows := newEditedFlows(t)
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 0))
		script := make([]byte, 3*(1+r.IntN(4)))
		for i := range script {
			script[i] = byte(r.Uint32())
		}
		flows.check(t, uint8(r.Uint32()), script)
		if t.Failed() {
			t.Fatalf("by seed %d", seed)
		}
	}
}

// load reads a folder into memory.
func load(tb testing.TB, dir string) fstest.MapFS {
	tb.Helper()
	files := fstest.MapFS{}
	root := os.DirFS(dir)
	err := fs.WalkDir(root, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := fs.ReadFile(root, name)
		files[name] = &fstest.MapFile{Data: text}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

// anyPrompts is the first prompts file.
func anyPrompts(files fstest.MapFS) string {
	for _, name := range sortedKeys(files) {
		if path.Base(name) == "de.yaml" {
			return name
		}
	}
	return ""
}

// tokens are what an edit puts in place of a word.
var tokens = []string{
	"", "null", "true", "yes", "{", "}", "[", "]", "'", "\"", ":", "- ", "&a", "*a", "!!str", "|", ">", "#", "\t", "ß", "💬",
	"slots.x", "vars.hits", "inputs", "slots.", "has(", "size(vars.hits) > 0", "value", "heard.language", "ctx.turns", "1e99", "-1", "5s",
	"say", "collect", "retrieve", "generate", "call", "set", "branch", "run_flow", "parallel", "wait", "handoff", "end",
	"next", "catch", "else", "into", "schema", "confirm", "also", "screen", "branches", "store_info@2", "desk@1", "store_info@9", "bye", "error",
	"object", "list(passage)", "list(list(int))", "date", "en", "xx", "de-CH", "prompts/desk", "../x", "media/aisles.svg",
}

// edit runs a script of three bytes an edit: what, which line, how.
func edit(text string, script []byte) string {
	lines := strings.Split(text, "\n")
	for ; len(script) >= 3; script = script[3:] {
		if len(lines) == 0 {
			return ""
		}
		i, arg := int(script[1])%len(lines), int(script[2])
		other := arg % len(lines)
		switch script[0] % 8 {
		case 0: // delete
			lines = append(lines[:i:i], lines[i+1:]...)
		case 1: // double
			lines = append(lines[:i+1:i+1], lines[i:]...)
		case 2: // swap
			lines[i], lines[other] = lines[other], lines[i]
		case 3: // cut off
			lines[i] = lines[i][:arg%(len(lines[i])+1)]
		case 4: // take a letter out
			if n := len(lines[i]); n > 0 {
				lines[i] = lines[i][:arg%n] + lines[i][arg%n+1:]
			}
		case 5: // indent otherwise
			lines[i] = strings.Repeat(" ", arg%9) + strings.TrimLeft(lines[i], " ")
		case 6: // another word
			words := strings.FieldsFunc(lines[i], func(r rune) bool { return strings.ContainsRune(" ,{}[]:", r) })
			if len(words) > 0 {
				lines[i] = strings.Replace(lines[i], words[arg%len(words)], tokens[(arg+i)%len(tokens)], 1)
			}
		case 7: // put in a word
			at := arg % (len(lines[i]) + 1)
			lines[i] = lines[i][:at] + tokens[(arg*7+i)%len(tokens)] + lines[i][at:]
		}
	}
	return strings.Join(lines, "\n")
}
