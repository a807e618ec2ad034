// Package examples_test holds the example stores to their word: everything in
// them checks clean, their conversations go as their tests say, and between them
// they use the whole language.
package examples_test

import (
	"encoding/json"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/flowtest"
	"github.com/praesenz/parley/schemas"
	"github.com/praesenz/parley/store"
)

// leastCoverage is how many of a flow's ways its tests take, in percent.
const leastCoverage = 90

func stores(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*/" + store.File)
	if err != nil || len(files) == 0 {
		t.Fatalf("no stores here: %v", err)
	}
	var dirs []string
	for _, file := range files {
		dirs = append(dirs, filepath.Dir(file))
	}
	return dirs
}

// source is a flow of a store, with all that it is checked against.
func source(t *testing.T, dir, name string) flow.Source {
	t.Helper()
	s, err := store.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	src := flow.Source{FS: os.DirFS(dir), Path: "flows/" + name + ".yaml", Collections: slices.Sorted(maps.Keys(s.Collections))}
	if _, err := os.Stat(filepath.Join(dir, store.ActionsDir)); err != nil {
		return src
	}
	actions, ds := store.ReadCatalogue(dir, s.Actions)
	if len(ds) > 0 {
		t.Fatalf("actions:\n%s", flow.Render(ds, src.FS, flow.RenderOptions{Dir: dir}))
	}
	src.Actions = actions
	return src
}

func flows(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "flows", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no flows: %v", dir, err)
	}
	var names []string
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".yaml"))
	}
	return names
}

func TestFlowsCheckClean(t *testing.T) {
	for _, dir := range stores(t) {
		if _, err := store.Open(dir); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
		for _, name := range flows(t, dir) {
			src := source(t, dir, name)
			if ds := flow.Check(src); len(ds) > 0 {
				t.Errorf("\n%s", flow.Render(ds, src.FS, flow.RenderOptions{Dir: dir}))
				continue
			}
			plan, err := flow.Compile(src)
			if err != nil {
				t.Fatal(err)
			}
			if ds := flow.CheckUnchanged(src, plan); len(ds) > 0 {
				t.Errorf("\n%s", flow.Render(ds, src.FS, flow.RenderOptions{Dir: dir}))
			}
		}
	}
}

func TestConversations(t *testing.T) {
	for _, dir := range stores(t) {
		t.Run(dir, func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join(dir, "tests", "*", "*.yaml"))
			if err != nil || len(files) == 0 {
				t.Fatalf("no tests: %v", err)
			}
			for i, file := range files {
				rel, err := filepath.Rel(dir, file)
				if err != nil {
					t.Fatal(err)
				}
				files[i] = filepath.ToSlash(rel)
			}
			fsys := os.DirFS(dir)
			tests, plans, ds := flowtest.Open(fsys, files, func(name string) (*flow.Plan, error) {
				return flow.Compile(source(t, dir, name))
			})
			if len(ds) > 0 {
				t.Fatalf("\n%s", flow.Render(ds, fsys, flow.RenderOptions{Dir: dir}))
			}
			report := flowtest.Rehearse(t.Context(), tests, plans)
			if report.Failed() > 0 {
				var text strings.Builder
				if err := report.Text(&text, flowtest.TextOptions{Dir: dir}); err != nil {
					t.Fatal(err)
				}
				t.Errorf("\n%s", text.String())
			}
			for _, c := range report.Coverage {
				if c.Ways.Percent() < leastCoverage {
					t.Errorf("%s: the tests take %.0f %% of the ways of %s; at least %d %% must be", dir, c.Ways.Percent(), c.Flow, leastCoverage)
				}
				if !slices.Contains(flows(t, dir), path.Base(c.Flow)) {
					t.Errorf("%s has no flow %s", dir, c.Flow)
				}
			}
			if got := len(report.Coverage); got < len(flows(t, dir)) {
				t.Errorf("%s: %d of %d flows are tested", dir, got, len(flows(t, dir)))
			}
		})
	}
}

// A test speaks the language in which the kiosk's page was opened; without one,
// the flow's default.
func TestConversationsAreInTwoLanguages(t *testing.T) {
	for _, dir := range stores(t) {
		spoken := map[string]bool{}
		files, err := filepath.Glob(filepath.Join(dir, "tests", "*", "*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, doc := range documents(t, text) {
				lang, _ := doc["language"].(string)
				spoken[lang] = true
			}
		}
		if len(spoken) < 2 {
			t.Errorf("%s: the tests are in one language", dir)
		}
	}
}

// Each verb, field, type and word of the language is used by one of the stores,
// so that whoever looks for an example of it finds one.
func TestTheStoresUseTheWholeLanguage(t *testing.T) {
	used := map[string]bool{}
	collect := func(pattern string) {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: nothing: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, doc := range documents(t, text) {
				words(doc, used)
			}
		}
	}
	collect("*/flows/*.yaml")
	collect("*/actions/*.yaml")
	for name, source := range map[string][]byte{"flow.v1.json": schemas.FlowJSON, "actions.v1.json": schemas.ActionsJSON} {
		var schema any
		if err := json.Unmarshal(source, &schema); err != nil {
			t.Fatal(err)
		}
		for _, word := range vocabulary(schema) {
			if !used[word] && !unused[word] {
				t.Errorf("%s: %q is used by no store", name, word)
			}
			if used[word] && unused[word] {
				t.Errorf("%q is used; take it out of the list", word)
			}
		}
	}
}

// unused are words of the language that a store of ours has no natural use for;
// docs/flow-language.md and flow/testdata have them.
var unused = map[string]bool{
	"digits": true, "lower": true, "shake": true, "keep_all": true,
	"PATCH": true, "DELETE": true, "idempotency_header": true, "max_bytes": true,
}

func documents(t *testing.T, text []byte) []map[string]any {
	t.Helper()
	var docs []map[string]any
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	for {
		var doc map[string]any
		if err := d.Decode(&doc); err != nil {
			return docs // io.EOF, or what another test reports
		}
		docs = append(docs, doc)
	}
}

// words are a document's keys and its scalars.
func words(v any, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			into[key] = true
			words(inner, into)
		}
	case []any:
		for _, inner := range v {
			words(inner, into)
		}
	case string:
		into[v] = true
	}
}

// vocabulary are the fields that a schema names, and the words that they take.
func vocabulary(schema any) []string {
	var found []string
	switch schema := schema.(type) {
	case map[string]any:
		for key, inner := range schema {
			switch fields, isMap := inner.(map[string]any); {
			case key == "examples" || key == "default":
				continue
			case key == "properties" && isMap:
				found = append(found, slices.Sorted(maps.Keys(fields))...)
			case key == "enum":
				for _, word := range inner.([]any) {
					if word, ok := word.(string); ok {
						found = append(found, word)
					}
				}
			}
			found = append(found, vocabulary(inner)...)
		}
	case []any:
		for _, inner := range schema {
			found = append(found, vocabulary(inner)...)
		}
	}
	return found
}
