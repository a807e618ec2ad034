package helm_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/praesenz/parley/tests/helm/check"
	"github.com/praesenz/parley/tests/helm/render"
)

// TestFleet holds fleet.yaml against Fleet's schema, and against the chart: it
// names values files that are there, and every store's file has a target.
func TestFleet(t *testing.T) {
	fleet := readYAML[map[string]any](t, filepath.Join(*chartDir, "fleet.yaml"))
	type helm struct {
		ValuesFiles       []string `json:"valuesFiles"`
		DisablePreProcess bool     `json:"disablePreProcess"`
	}
	read := readYAMLLoosely[struct {
		Helm    helm
		Targets []struct {
			Name string
			Helm helm
		} `json:"targetCustomizations"`
		Rollout struct {
			Partitions []struct{ Name string }
		} `json:"rolloutStrategy"`
	}](t, filepath.Join(*chartDir, "fleet.yaml"))
	if !read.Helm.DisablePreProcess {
		t.Error("helm.disablePreProcess must be true: Fleet would expand the ${…} of flows and prompts")
	}
	var named []string
	for _, target := range read.Targets {
		for _, file := range target.Helm.ValuesFiles {
			named = append(named, file)
			if _, err := os.Stat(filepath.Join(*chartDir, file)); err != nil {
				t.Errorf("target %s: %v", target.Name, err)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(*chartDir, "values-*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !slices.Contains(named, filepath.Base(file)) {
			t.Errorf("%s is for no target of fleet.yaml", filepath.Base(file))
		}
	}
	if len(read.Rollout.Partitions) < 2 {
		t.Error("rolloutStrategy has no rings: say partitions")
	}
	t.Run("schema", func(t *testing.T) {
		needSchemas(t)
		againstSchema(t, filepath.Join(*schemas, "fleet.yaml.json"), fleet)
	})
}

// TestArgoCD holds the manifests for Argo CD against their CRDs' schemas.
func TestArgoCDManifests(t *testing.T) {
	needSchemas(t)
	conform := newConformance(t)
	paths, err := filepath.Glob(filepath.Join(*chartDir, "argocd", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := render.Parse(filepath.Base(path), text)
		if err != nil {
			t.Error(err)
		}
		for _, o := range objects {
			kinds[o.Kind()] = true
			if o.Kind() == "ApplicationSet" {
				continue // no schema at hand
			}
			if err := conform.check(o); err != nil {
				t.Errorf("%s: %s: %v", path, o, err)
			}
		}
	}
	for _, kind := range []string{"Application", "AppProject"} {
		if !kinds[kind] {
			t.Errorf("argocd/ has no %s", kind)
		}
	}
}

func readYAMLLoosely[T any](t *testing.T, path string) T {
	t.Helper()
	text, err := json.Marshal(readYAML[map[string]any](t, path))
	if err != nil {
		t.Fatal(err)
	}
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

func againstSchema(t *testing.T, path string, value any) {
	t.Helper()
	absolute, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jsonschema.NewCompiler().Compile(absolute)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(value); err != nil {
		t.Error(err)
	}
}

// TestReadme expects that the chart's README says what values.yaml says.
func TestReadme(t *testing.T) {
	var faults strings.Builder
	docs := exec.Command("go", "tool", "helm-docs", "--chart-search-root", *chartDir, "--sort-values-order", "file", "--ignore-non-descriptions", "--dry-run")
	docs.Stderr = &faults
	want, err := docs.Output()
	if err != nil {
		t.Fatalf("helm-docs: %v\n%s", err, faults.String())
	}
	got, err := os.ReadFile(filepath.Join(*chartDir, "README.md"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(got)) != strings.TrimSpace(string(want)) {
		t.Errorf("helm/README.md is not what values.yaml says; run `make generate`:\n%s", difference(string(got), string(want)))
	}
}

// TestEveryValueIsDescribed expects a `# --` comment, from which the README's table
// is made, wherever somebody would have to guess.
func TestEveryValueIsDescribed(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(*chartDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for key := range theChart(t).Values() {
		if !regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(key) + `[. ]`).Match(text) {
			t.Errorf("helm/README.md says nothing of %s: give it a `# --` comment in values.yaml", key)
		}
	}
}

// TestPodsRestartWhenTheirSettingsChange changes what ConfigMaps hold and expects
// the pods that read them to be made anew, and the others to be left alone.
func TestPodsRestartWhenTheirSettingsChange(t *testing.T) {
	store := func(flow, prompt string) map[string]any {
		return map[string]any{"store": map[string]any{"id": "corner", "source": "files", "files": map[string]any{
			"store.yaml": "store: corner\n", "flows/help.yaml": flow, "prompts/help/en.yaml": prompt,
		}}}
	}
	base := render.Merge(store("a", "a"), map[string]any{"versioning": map[string]any{"buildID": "1"}})
	for _, c := range []struct {
		name      string
		values    map[string]any
		restarts  []string
		stays     []string
		reasonWhy string
	}{
		{"a setting", map[string]any{"config": map[string]any{"log_level": "debug"}}, []string{"gateway", "worker-llm"}, []string{"qdrant", "ollama"}, "parley.yaml is read when a process begins"},
		{"a part's own setting", map[string]any{"gateway": map[string]any{"config": map[string]any{"max_sessions": 7}}}, []string{"gateway"}, []string{"worker-llm", "qdrant"}, "it is the gateway's alone"},
		{"a model", map[string]any{"qdrant": map[string]any{"image": map[string]any{"tag": "v9.9.9"}}}, []string{"qdrant"}, []string{"gateway", "worker-llm"}, "nobody else runs that image"},
		{"a flow", store("b", "a"), nil, []string{"qdrant", "ollama", "speaches"}, "they know nothing of flows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, after := podTemplates(t, base), podTemplates(t, render.Merge(base, c.values))
			for _, component := range c.restarts {
				if before[component] == after[component] {
					t.Errorf("%s stays as it was: %s", component, c.reasonWhy)
				}
			}
			for _, component := range c.stays {
				if before[component] == "" {
					t.Errorf("there is no %s", component)
				}
				if before[component] != after[component] {
					t.Errorf("%s is made anew, and need not be: %s\n%s", component, c.reasonWhy, difference(before[component], after[component]))
				}
			}
		})
	}
}

func podTemplates(t *testing.T, values map[string]any) map[string]string {
	t.Helper()
	workloads, err := mustRender(t, values, render.Options{}).Workloads()
	if err != nil {
		t.Fatal(err)
	}
	templates := map[string]string{}
	for _, w := range workloads {
		text, err := json.MarshalIndent(w.Pod, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		templates[w.Component()] = string(text)
	}
	return templates
}

// TestExceptionsAreUsed expects that no exception outlives its reason.
func TestExceptionsAreUsed(t *testing.T) {
	all := render.Merge(map[string]any{
		"minio":  map[string]any{"enabled": true},
		"avatar": map[string]any{"image": map[string]any{"repository": "avatar", "tag": "1"}, "gpu": map[string]any{"enabled": false}},
		"kiosks": []any{map[string]any{"id": "garden"}},
	})
	workloads, err := mustRender(t, all, render.Options{}).Workloads()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range check.Exceptions {
		prefix, _ := strings.CutSuffix(e.Component, "*")
		if !slices.ContainsFunc(workloads, func(w render.Workload) bool { return strings.HasPrefix(w.Component(), prefix) }) {
			t.Errorf("exception %q of %s: there is no such part", e.Rule, e.Component)
		}
		if e.Reason == "" {
			t.Errorf("exception %q of %s: say why", e.Rule, e.Component)
		}
	}
}
