// Package helm_test proves the chart in helm/: every check that needs no cluster.
package helm_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/praesenz/parley/tests/helm/render"
)

var (
	update   = flag.Bool("update", false, "write the golden files")
	chartDir = flag.String("chart", "../../helm", "the chart's folder")
	schemas  = flag.String("schemas", "../../../shared/k8s-schemas", "the folder with the API's JSON Schemas, beside the repository")
)

// loadChart reads the chart once for all tests: nothing changes it.
var loadChart = sync.OnceValues(func() (*render.Chart, error) { return render.Load(*chartDir) })

func theChart(t *testing.T) *render.Chart {
	t.Helper()
	c, err := loadChart()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// valuesFiles are the chart's values files by their path in the chart: its own
// values.yaml, those of places, and the examples in ci/.
func valuesFiles(t *testing.T) map[string]map[string]any {
	t.Helper()
	found := map[string]map[string]any{"values.yaml": {}}
	for _, pattern := range []string{"values-*.yaml", "ci/*.yaml"} {
		paths, err := filepath.Glob(filepath.Join(*chartDir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			name, err := filepath.Rel(*chartDir, path)
			if err != nil {
				t.Fatal(err)
			}
			found[name] = readYAML[map[string]any](t, path)
		}
	}
	return found
}

// readYAML reads a YAML file strictly.
func readYAML[T any](t *testing.T, path string) T {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v T
	if err := yaml.UnmarshalStrict(text, &v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

// mustRender renders the chart, whose values must be good ones.
func mustRender(t *testing.T, values map[string]any, o render.Options) *render.Rendering {
	t.Helper()
	r, err := theChart(t).Render(values, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// needSchemas skips a test where the API's schemas are not at hand.
func needSchemas(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(*schemas); err != nil {
		t.Skipf("there is no folder %s with the API's schemas", *schemas)
	}
}

// golden compares text with a file of testdata, or writes it.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("%s is different; see `git diff` after `go test -run '^%s$' . -update`:\n%s", path, t.Name(), difference(string(want), text))
	}
}

// difference shows the lines that only one of two texts has.
func difference(want, got string) string {
	var out strings.Builder
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for _, line := range a {
		if !slices.Contains(b, line) {
			out.WriteString("- " + line + "\n")
		}
	}
	for _, line := range b {
		if !slices.Contains(a, line) {
			out.WriteString("+ " + line + "\n")
		}
	}
	return out.String()
}

// set puts a value at a dotted path into a tree of values.
func set(values map[string]any, path string, value any) map[string]any {
	keys := strings.Split(path, ".")
	at := values
	for _, key := range keys[:len(keys)-1] {
		next, ok := at[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[key] = next
		}
		at = next
	}
	at[keys[len(keys)-1]] = value
	return values
}

// get gives the value at a dotted path, or nil.
func get(values map[string]any, path string) any {
	var v any = values
	for _, key := range strings.Split(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}
