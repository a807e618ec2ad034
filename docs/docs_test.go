// Package docs_test holds the documentation to its word: every example in it
// compiles, and the reference leaves nothing of the language out.
package docs_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.yaml.in/yaml/v3"

	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/flowtest"
	"github.com/praesenz/parley/schemas"
	"github.com/praesenz/parley/store"
)

// pages are the documents whose YAML is compiled. Those of flow-diagnostics.md
// show mistakes beside their remedies; the flow package's own test reads it.
var pages = []string{"flow-language.md", "flow-tools.md"}

// A block is one fenced block of YAML: "yaml <kind> [<argument>]".
type block struct {
	page     string
	line     int // of its first line of content
	kind     string
	argument string
	text     string
}

func (b block) String() string { return fmt.Sprintf("docs/%s:%d", b.page, b.line) }

// Kinds of blocks:
//
//	flow           a whole flow
//	prompts LANG   texts of the flow before it
//	part           some fields of a flow
//	steps          some steps of a flow
//	actions        a file of the action catalogue
//	test           conversation tests of the flows of its page
//	store          a store.yaml
//	other          YAML that is not ours, such as a CI job
var kinds = []string{"flow", "prompts", "part", "steps", "actions", "test", "store", "other"}

func blocksOf(t *testing.T, page string) []block {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	var open *block
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case open != nil && strings.HasPrefix(line, "```"):
			if open.kind != "not yaml" {
				blocks = append(blocks, *open)
			}
			open = nil
		case open != nil:
			open.text += line + "\n"
		case strings.HasPrefix(line, "```"):
			open = &block{page: page, line: i + 2, kind: "not yaml"}
			info := strings.Fields(strings.TrimPrefix(line, "```"))
			if len(info) == 0 || info[0] != "yaml" {
				continue
			}
			if len(info) < 2 || !slices.Contains(kinds, info[1]) {
				t.Fatalf("%s: a YAML block must say what it is, one of %s, like ```yaml steps", open, strings.Join(kinds, ", "))
			}
			open.kind = info[1]
			if len(info) > 2 {
				open.argument = info[2]
			}
		}
	}
	if open != nil {
		t.Fatalf("%s: the block is never closed", open)
	}
	return blocks
}

// skeleton is what a part of a flow is put into: names that the parts use.
const skeleton = `
api: parley.flow/v1
flow: skeleton
version: 1.0.0
languages: {default: en, supported: [en, de]}
prompts: prompts/skeleton
inputs: {store_id: string}
slots:
  hold: {type: bool, ask_anew: true}
  question: {type: text, ask_anew: true}
  phone: {type: string, normalise: e164, sensitive: true}
  room: {type: string, ask_anew: true}
  nights: {type: int, ask_anew: true}
  arrival: {type: date, ask_anew: true}
vars:
  hits: list(passage)
  rooms: list(string)
  answer: string
  ticket: string
  found: string
  wish: object
  called: object
  tries: int
defaults:
  no_input: {then: bye}
  no_match: {then: bye}
steps: {}
`

// A document is YAML as maps and lists.
type document = map[string]any

func read(t *testing.T, at fmt.Stringer, text string) document {
	t.Helper()
	var d document
	if err := yaml.Unmarshal([]byte(text), &d); err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	return d
}

// around puts a part of a flow, or some steps, into the skeleton: every step of
// it can be reached, everything that it reads is set, and steps that it only
// names are there.
func around(t *testing.T, b block) document {
	t.Helper()
	d := read(t, b, skeleton)
	part := read(t, b, b.text)
	if b.kind == "steps" {
		part = document{"steps": part}
	}
	for field, v := range part {
		if into, ok := d[field].(document); ok {
			maps.Copy(into, v.(document))
		} else {
			d[field] = v
		}
	}
	steps := d["steps"].(document)
	given := slices.Sorted(maps.Keys(steps))
	for _, name := range targets(d) {
		if steps[name] == nil {
			steps[name] = document{"end": document{"outcome": "resolved"}}
		}
	}
	var arms []any
	for i, name := range given {
		arms = append(arms, document{"when": fmt.Sprintf("ctx.turns == %d", i), "to": name})
	}
	d["start"] = "set_all"
	steps["set_all"] = document{"set": everything(d), "next": "enter"}
	steps["enter"] = document{"branch": append(arms, document{"else": "listen"})}
	steps["listen"] = document{"collect": document{"slot": "question", "prompt": "listen"}, "next": "bye"} // for intents
	if steps["bye"] == nil {
		steps["bye"] = document{"end": document{"outcome": "resolved"}}
	}
	return d
}

// everything gives each slot and var a value of its type.
func everything(d document) document {
	values := map[string]string{"bool": "true", "int": "1", "number": "1.0", "amount": "1.0", "object": "{}"}
	set := document{}
	give := func(kind, name, typ string) {
		v, ok := values[typ]
		switch {
		case strings.HasPrefix(typ, "list("):
			v = "[]"
		case !ok:
			v = `""`
		}
		set[kind+"."+name] = v
	}
	for name, slot := range d["slots"].(document) {
		if typ := slot.(document)["type"].(string); typ != "enum" {
			give("slots", name, typ)
		}
	}
	for name, typ := range d["vars"].(document) {
		give("vars", name, typ.(string))
	}
	return set
}

// targets are the steps that a flow names.
func targets(d document) []string {
	var names []string
	walk(d, func(field string, v any) {
		switch v := v.(type) {
		case string:
			if slices.Contains([]string{"next", "to", "then", "else"}, field) {
				names = append(names, v)
			}
		case document:
			if field == "catch" {
				for _, to := range v {
					names = append(names, to.(string))
				}
			}
		}
	})
	return names
}

// texts makes up the prompts that a flow names, with the placeholders that their
// steps pass.
func texts(d document) document {
	made := document{}
	walk(d, func(field string, v any) {
		switch v := v.(type) {
		case string:
			if slices.Contains([]string{"prompt", "template", "cover", "while_waiting", "invalid", "title", "text", "alt", "label", "say"}, field) && made[v] == nil {
				made[v] = "…"
			}
		case []any:
			if field == "say" {
				for _, key := range v {
					made[key.(string)] = "…"
				}
			}
		case document:
			with, _ := v["with"].(document)
			for _, key := range []any{v["prompt"], v["template"]} {
				if key, ok := key.(string); ok && with != nil {
					made[key] = "{" + strings.Join(slices.Sorted(maps.Keys(with)), "} {") + "}"
				}
			}
		}
	})
	return made
}

func walk(v any, see func(field string, v any)) {
	switch v := v.(type) {
	case document:
		for field, inner := range v {
			if field != "examples" { // of a schema: no fields
				see(field, inner)
				walk(inner, see)
			}
		}
	case []any:
		for _, inner := range v {
			walk(inner, see)
		}
	}
}

// Examples are what the blocks of one page are compiled in, in their order: a
// flow is published as it comes, so that later ones can run it.
type examples struct {
	files   fstest.MapFS
	actions *flow.Catalogue
}

// compile compiles a flow. prompts are the texts that the page gives, by
// language; the others are made up.
func (s examples) compile(t *testing.T, b block, d document, prompts map[string]string) *flow.Plan {
	t.Helper()
	name, _ := d["flow"].(string)
	languages, _ := d["languages"].(document)
	supported, _ := languages["supported"].([]any)
	walk(d, func(field string, v any) {
		if path, ok := v.(string); ok && (field == "picture" || field == "map") {
			s.files[path] = &fstest.MapFile{Data: []byte("<svg xmlns='http://www.w3.org/2000/svg'/>")}
		}
	})
	for _, lang := range supported {
		given := prompts[lang.(string)]
		if given == "" {
			given = encode(t, texts(d))
		}
		s.files[fmt.Sprintf("prompts/%s/%s.yaml", name, lang)] = &fstest.MapFile{Data: []byte(given)}
	}
	source := b.text
	if b.kind != "flow" {
		source = encode(t, d)
	}
	path := "flows/" + name + ".yaml"
	s.files[path] = &fstest.MapFile{Data: []byte(source)}
	ds := flow.Check(flow.Source{FS: s.files, Path: path, Collections: []string{"catalogue"}, Actions: s.actions})
	for _, d := range ds {
		if d.Severity == flow.Error || b.kind == "flow" {
			t.Errorf("%s:\n%s", b, flow.Render(flow.Diagnostics{d}, s.files, flow.RenderOptions{}))
		}
	}
	plan, err := flow.Compile(flow.Source{FS: s.files, Path: path, Collections: []string{"catalogue"}, Actions: s.actions})
	if err != nil {
		t.FailNow()
	}
	return plan
}

func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestExamplesCompile(t *testing.T) {
	for _, page := range pages {
		t.Run(page, func(t *testing.T) {
			compileAll(t, page)
		})
	}
}

// compileAll compiles the flows, parts and steps of a page, and gives its flows'
// plans by name.
func compileAll(t *testing.T, page string) (examples, map[string]*flow.Plan) {
	t.Helper()
	blocks := blocksOf(t, page)
	s, plans := examples{files: fstest.MapFS{}}, map[string]*flow.Plan{}
	for i, b := range blocks {
		if b.kind == "actions" {
			s.files[fmt.Sprintf("actions/%d.yaml", i)] = &fstest.MapFile{Data: []byte(b.text)}
		}
	}
	if _, err := fs.Stat(s.files, "actions"); err == nil {
		catalogue, ds := flow.ReadCatalogue(s.files, "actions")
		if len(ds) > 0 {
			t.Fatalf("docs/%s: actions:\n%s", page, flow.Render(ds, s.files, flow.RenderOptions{}))
		}
		s.actions = catalogue
	}
	for i, b := range blocks {
		switch b.kind {
		case "flow":
			prompts := map[string]string{}
			for _, next := range blocks[i+1:] {
				if next.kind != "prompts" {
					break
				}
				prompts[next.argument] = next.text
			}
			plan := s.compile(t, b, read(t, b, b.text), prompts)
			plans[plan.Flow] = plan
			published, err := json.Marshal(plan)
			if err != nil {
				t.Fatal(err)
			}
			s.files[flow.PublishedPath(plan.Flow, plan.Version)] = &fstest.MapFile{Data: published}
		case "part", "steps":
			s.compile(t, b, around(t, b), nil)
		case "store":
			readStore(t, b)
		}
	}
	return s, plans
}

// readStore reads a store.yaml in a folder that has what it names.
func readStore(t *testing.T, b block) {
	t.Helper()
	dir := t.TempDir()
	for _, folder := range []string{"kb", "actions"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, store.File), []byte(b.text), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Read(dir); err != nil {
		t.Errorf("%s: %v", b, err)
	}
}

// The conversations of a page go with the flows of that page as they say.
func TestConversations(t *testing.T) {
	for _, page := range pages {
		t.Run(page, func(t *testing.T) {
			s, plans := compileAll(t, page)
			var tests []string
			for _, b := range blocksOf(t, page) {
				if b.kind == "test" {
					path := fmt.Sprintf("tests/line-%d.yaml", b.line)
					s.files[path] = &fstest.MapFile{Data: []byte(b.text)}
					tests = append(tests, path)
				}
			}
			read, of, ds := flowtest.Open(s.files, tests, func(name string) (*flow.Plan, error) {
				if plans[name] == nil {
					return nil, fmt.Errorf("the page has no flow %q", name)
				}
				return plans[name], nil
			})
			if len(ds) > 0 {
				t.Fatalf("docs/%s:\n%s", page, flow.Render(ds, s.files, flow.RenderOptions{}))
			}
			report := flowtest.Rehearse(t.Context(), read, of)
			if report.Failed() > 0 || len(report.Results) < len(tests) {
				var text strings.Builder
				if err := report.Text(&text, flowtest.TextOptions{}); err != nil {
					t.Fatal(err)
				}
				t.Errorf("docs/%s:\n%s", page, text.String())
			}
		})
	}
}

// Every field, type and word of the language, of actions and of tests is in the
// reference, in code.
func TestReferenceIsComplete(t *testing.T) {
	var text []byte
	for _, page := range pages {
		of, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, of...)
	}
	told := map[string]bool{}
	fences := regexp.MustCompile("(?s)```.*?```")
	for _, code := range regexp.MustCompile("`[^`]+`").FindAllString(fences.ReplaceAllString(string(text), ""), -1) {
		for _, word := range regexp.MustCompile(`[A-Za-z0-9_]+`).FindAllString(code, -1) {
			told[word] = true
		}
	}
	for _, heading := range regexp.MustCompile(`(?m)^### (\w+)$`).FindAllStringSubmatch(string(text), -1) {
		told[heading[1]] = true
	}
	for schemaName, schema := range map[string][]byte{"flow.v1.json": schemas.FlowJSON, "actions.v1.json": schemas.ActionsJSON, "test.v1.json": schemas.TestJSON} {
		var s any
		if err := json.Unmarshal(schema, &s); err != nil {
			t.Fatal(err)
		}
		walk(s, func(field string, v any) {
			switch v := v.(type) {
			case document:
				if field == "properties" {
					for name := range v {
						if !told[name] {
							t.Errorf("%s: field %q is not in the reference", schemaName, name)
						}
					}
				}
			case []any:
				if field == "enum" {
					for _, word := range v {
						w, ok := word.(string)
						if ok && !told[w] && !strings.HasPrefix(w, "parley.") {
							t.Errorf("%s: %q, a value of the language, is not in the reference", schemaName, w)
						}
					}
				}
			}
		})
	}
}
