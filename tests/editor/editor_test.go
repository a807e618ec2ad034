package editor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/flow/diagram"
	"github.com/praesenz/parley/schemas"
	"github.com/praesenz/parley/tests/editor"
	"github.com/praesenz/parley/tests/flowgen"
)

// installed is the path of a file of an npm package of this folder.
func installed(t *testing.T, name string) string {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("there is no node; the language server that editors run needs node 20")
	}
	path := filepath.Join("node_modules", name)
	if _, err := os.Stat(path); err != nil {
		t.Skip("tests/editor/node_modules is not there: run npm ci in tests/editor, as tests/run does")
	}
	return path
}

// An opened document, in a folder with the schemas as a store would have them.
type document struct {
	server *editor.Server
	uri    string
	text   string
}

// language is a running yaml-language-server that loads nothing from anywhere.
func language(t *testing.T) (*editor.Server, string) {
	t.Helper()
	bin := installed(t, "yaml-language-server/bin/yaml-language-server")
	dir := t.TempDir()
	for kind, text := range schemas.Sources() {
		if err := os.WriteFile(filepath.Join(dir, schemas.File(kind)), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	server, err := editor.Start(ctx, "node", bin, "--stdio")
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); server.Stop() })
	limit, done := context.WithTimeout(t.Context(), time.Minute)
	defer done()
	if err := server.Ask(limit, "initialize", map[string]any{
		"processId": os.Getpid(), "rootUri": uri(dir), "capabilities": map[string]any{},
	}, new(any)); err != nil {
		t.Fatal(err)
	}
	for method, params := range map[string]any{
		"initialized": map[string]any{},
		"workspace/didChangeConfiguration": map[string]any{"settings": map[string]any{
			"yaml": map[string]any{"validate": true, "hover": true, "completion": true, "schemaStore": map[string]any{"enable": false}},
		}},
	} {
		if err := server.Notify(method, params); err != nil {
			t.Fatal(err)
		}
	}
	return server, dir
}

func uri(path string) string { return (&url.URL{Scheme: "file", Path: path}).String() }

// open opens a document; its first line names the schema as an author would.
func open(t *testing.T, server *editor.Server, path, text string) document {
	t.Helper()
	d := document{server: server, uri: uri(path), text: text}
	if err := server.Notify("textDocument/didOpen", map[string]any{"textDocument": map[string]any{
		"uri": d.uri, "languageId": "yaml", "version": 1, "text": text,
	}}); err != nil {
		t.Fatal(err)
	}
	return d
}

// at is the place of | in a text, which is taken out.
func at(text string) (plain string, line, character int) {
	before, after, _ := strings.Cut(text, "|")
	line = strings.Count(before, "\n")
	return before + after, line, len(before) - strings.LastIndexByte(before, '\n') - 1
}

func position(d document, line, character int) map[string]any {
	return map[string]any{"textDocument": map[string]any{"uri": d.uri}, "position": map[string]any{"line": line, "character": character}}
}

func TestAnEditorCompletes(t *testing.T) {
	server, dir := language(t)
	for name, c := range map[string]struct {
		schema, text string
		want         []string
	}{
		"verbs in a step": {"flow", "steps:\n  greet:\n    |\n", []string{
			"say", "collect", "retrieve", "generate", "call", "set", "branch", "run_flow", "parallel", "wait", "handoff", "end", "next", "catch",
		}},
		"fields of a verb":     {"flow", "steps:\n  greet:\n    say:\n      |\n", []string{"prompt", "with", "avatar", "screen"}},
		"values of a field":    {"flow", "steps:\n  greet:\n    say:\n      avatar: |\n", []string{"wave", "nod", "think"}},
		"fields of a slot":     {"flow", "slots:\n  phone:\n    |\n", []string{"type", "normalise", "sensitive", "valid"}},
		"fields of an action":  {"actions", "actions:\n  hold:\n    |\n", []string{"method", "path", "args", "result", "errors", "timeout"}},
		"methods of an action": {"actions", "actions:\n  hold:\n    method: |\n", []string{"GET", "POST", "DELETE"}},
		"fields of a test":     {"test", "test: a\nflow: f\n|\n", []string{"conversation", "given", "language"}},
		"entries of a test":    {"test", "test: a\nflow: f\nconversation:\n- |\n", []string{"kiosk", "user", "silence", "expect"}},
		"fields of a store":    {"store", "store: s\n|\n", []string{"kiosks", "languages", "time_zone", "actions"}},
	} {
		t.Run(name, func(t *testing.T) {
			text, line, character := at("# yaml-language-server: $schema=" + schemas.File(c.schema) + "\n" + c.text)
			d := open(t, server, filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".yaml"), text)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var answer struct {
				Items []struct {
					Label         string `json:"label"`
					Documentation any    `json:"documentation"`
				} `json:"items"`
			}
			if err := server.Ask(ctx, "textDocument/completion", position(d, line, character), &answer); err != nil {
				t.Fatal(err)
			}
			var labels []string
			for _, item := range answer.Items {
				labels = append(labels, item.Label)
			}
			for _, want := range c.want {
				if !slices.Contains(labels, want) {
					t.Errorf("%q is not offered among %q", want, labels)
				}
			}
		})
	}
}

func TestAnEditorExplains(t *testing.T) {
	server, dir := language(t)
	for name, c := range map[string]struct {
		schema, text string
		way          []string // to the schema whose description is shown
	}{
		"a verb":      {"flow", "steps:\n  ask:\n    coll|ect: {slot: a, prompt: b}\n", []string{"definitions", "step", "properties", "collect"}},
		"a field":     {"flow", "steps:\n  ask:\n    collect: {slot: a, also|: [b], prompt: c}\n", []string{"definitions", "collect", "properties", "also"}},
		"a reference": {"flow", "steps:\n  ask:\n    collect: {slot: a, prompt: c, understand: grammar}\n    ne|xt: b\n", []string{"definitions", "step", "properties", "next"}},
		"an action":   {"actions", "actions:\n  hold:\n    idempotency_|header: X-Once\n", []string{"definitions", "action", "properties", "idempotency_header"}},
	} {
		t.Run(name, func(t *testing.T) {
			text, line, character := at("# yaml-language-server: $schema=" + schemas.File(c.schema) + "\n" + c.text)
			d := open(t, server, filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".yaml"), text)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var answer struct {
				Contents struct {
					Value string `json:"value"`
				} `json:"contents"`
			}
			if err := server.Ask(ctx, "textDocument/hover", position(d, line, character), &answer); err != nil {
				t.Fatal(err)
			}
			want := description(t, schemas.Sources()[c.schema], c.way)
			if got := words(answer.Contents.Value); !strings.Contains(got, words(want)) {
				t.Errorf("got %q, want %q in it", got, want)
			}
		})
	}
}

// description is what a schema says about itself, or what it refers to does.
func description(t *testing.T, text []byte, way []string) string {
	t.Helper()
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	v := doc
	for _, seg := range way {
		v = v.(map[string]any)[seg]
	}
	rule, _ := v.(map[string]any)
	if ref, ok := rule["$ref"].(string); ok && rule["description"] == nil {
		return description(t, text, strings.Split(strings.TrimPrefix(ref, "#/"), "/"))
	}
	text1, _ := rule["description"].(string)
	if text1 == "" {
		t.Fatalf("the schema says nothing at %v", way)
	}
	return text1
}

// words are the letters and digits of a text: a server escapes the rest, for
// Markdown.
func words(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') }), " ")
}

func TestAnEditorPointsAtMistakes(t *testing.T) {
	server, dir := language(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	// A complete flow has none; the file is where its author has it.
	example, err := filepath.Abs("../../examples/hardware-store/flows/help.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(text, []byte("# yaml-language-server: $schema=")) {
		t.Errorf("%s names no schema", example)
	}
	clean := open(t, server, example, string(text))
	if ds, err := server.Diagnostics(ctx, clean.uri); err != nil || len(ds) > 0 {
		t.Errorf("the example: %v, %+v", err, ds)
	}

	broken := open(t, server, filepath.Join(dir, "broken.yaml"), "# yaml-language-server: $schema="+schemas.File("flow")+`
api: parley.flow/v1
flow: help
version: 1.0.0
languages: {default: en, supported: [en]}
prompts: prompts/help
start: greet
steps:
  greet:
    say: {promt: greet, prompt: greet}
    next: bye
  bye: {end: {outcome: resolved}}
`)
	ds, err := server.Diagnostics(ctx, broken.uri)
	if err != nil {
		t.Fatal(err)
	}
	if len(ds) != 1 || !strings.Contains(ds[0].Message, "promt") || ds[0].Range.Start.Line != 9 || ds[0].Range.Start.Character != 10 {
		t.Errorf("got %+v, want one mistake, at promt", ds)
	}
}

// Mermaid reads what we write for it, for flows that nobody wrote too.
func TestMermaidReadsOurs(t *testing.T) {
	installed(t, "mermaid")
	texts := map[string]string{}
	for _, name := range []string{"market", "market-taken", "every-verb"} {
		text, err := os.ReadFile("../../flow/diagram/testdata/" + name + ".mmd")
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(text)
	}
	plan, err := flowgen.Plan(7)
	if err != nil {
		t.Fatal(err)
	}
	texts["random"] = diagram.Mermaid(plan, nil)
	for name, text := range texts {
		if out, err := readMermaid(t, text); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	if out, err := readMermaid(t, "flowchart TD\n  a --> end\n"); err == nil {
		t.Errorf("what is no Mermaid was read: %s", out)
	}
}

func readMermaid(t *testing.T, text string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "mermaid.mjs")
	cmd.Stdin = strings.NewReader(text)
	return cmd.CombinedOutput()
}

// The schema of SARIF 2.1.0 is the standard's own.
func TestSARIFIsValid(t *testing.T) {
	schema, err := os.ReadFile(installed(t, "@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json"))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("sarif.json", bytes.NewReader(schema)); err != nil {
		t.Fatal(err)
	}
	sarif, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	mistakes := flow.Check(flow.Source{FS: os.DirFS("../../flow/testdata/diagnostics/f101-ten-mistakes"), Path: "flow.yaml"})
	if len(mistakes) == 0 {
		t.Fatal("no mistakes to write")
	}
	for name, ds := range map[string]flow.Diagnostics{"some": mistakes, "none": nil} {
		text, err := ds.SARIF("1.2.3")
		if err != nil {
			t.Fatal(err)
		}
		var log any
		if err := json.Unmarshal(text, &log); err != nil {
			t.Fatal(err)
		}
		if err := sarif.Validate(log); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
