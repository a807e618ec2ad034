package helm_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"helm.sh/helm/v3/pkg/chartutil"
	"sigs.k8s.io/yaml"

	"github.com/praesenz/parley/tests/helm/render"
)

// newStores are answers to `parley store new`, which between them take every way
// through its templates.
var newStores = map[string][]string{
	"fleet":  nil,
	"argocd": {"--gitops", "argocd", "--ci", "github", "--ring", "early"},
	"one shared GPU": {"--title", `Café "Ö": #1`, "--languages", "de,en", "--kiosks", "entrance=Eingang: links,tools", "--registry", "harbor.example:5000/library",
		"--ring", "canary", "--gpus", "1", "--gpu-taint", "praesenz.io/role=qa:NoSchedule", "--avatar-image", "praesenz/avatar:1.4.0", "--temporal", "10.0.0.7:7233"},
	"no GPU": {"--template", "handoff", "--languages", "tr", "--gpus", "0", "--temporal", "dev"},
	"everything elsewhere": {"--gitops", "argocd", "--template", "form", "--languages", "fr", "--llm", "openai", "--llm-url", "https://llm.example.com", "--llm-model", "qwen2.5-72b",
		"--temporal", "temporal.example.com:7233"},
	"a longest name": {"--kiosks", "a-kiosk-of-20-letter,entrance", "--avatar-image", "avatar.example/unreal:2.0", "--template", "empty"},
}

// TestNewStores holds what `parley store new` writes to every check of the chart.
func TestNewStores(t *testing.T) {
	conform := newConformance(t)
	for name, answers := range newStores {
		t.Run(name, func(t *testing.T) {
			store := "lindenhof"
			if name == "a longest name" {
				store = strings.Repeat("long-name-", 3) + "0123456789"
			}
			dir := t.TempDir()
			gitops := newStore(t, dir, store, answers)
			values := storeValues(t, gitops)
			onlyDifferences(t, "", values["values.yaml"], theChart(t).Values())
			for _, kube := range []string{"1.30.0", "1.36.0"} {
				examine(t, conform, merged(values), render.Options{Namespace: store, Kube: kube})
			}
			storeReaches(t, merged(values), filepath.Join(dir, store))
			holds(t, conform, gitops)
		})
	}
}

// newStore runs `parley store new` and gives the GitOps folder.
func newStore(t *testing.T, dir, name string, answers []string) string {
	t.Helper()
	args := append([]string{"store", "new", name, "--dir", dir, "--yes", "--domain", "stores.example.com", "--time-zone", "Europe/Berlin"}, answers...)
	if out, err := exec.Command(parley(t), args...).CombinedOutput(); err != nil {
		t.Fatalf("parley %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return filepath.Join(dir, name+"-gitops")
}

// storeValues are both values files, by name.
func storeValues(t *testing.T, gitops string) map[string]map[string]any {
	t.Helper()
	values := map[string]map[string]any{}
	for _, file := range []string{"values.yaml", "values-store.yaml"} {
		values[file] = readYAML[map[string]any](t, filepath.Join(gitops, "helm", file))
	}
	return values
}

// merged is what both values files are for Helm: the later one wins.
func merged(values map[string]map[string]any) map[string]any {
	return chartutil.MergeTables(clone(values["values-store.yaml"]), clone(values["values.yaml"]))
}

func clone(values map[string]any) map[string]any {
	text, err := json.Marshal(values)
	if err != nil {
		panic(err) // it came from YAML
	}
	var copied map[string]any
	if err := json.Unmarshal(text, &copied); err != nil {
		panic(err)
	}
	return copied
}

// onlyDifferences reports what a store's values say that the chart says by itself.
func onlyDifferences(t *testing.T, at string, values, defaults map[string]any) {
	t.Helper()
	for key, value := range values {
		way := strings.TrimPrefix(at+"."+key, ".")
		inner, isMap := value.(map[string]any)
		usual, known := defaults[key].(map[string]any)
		switch {
		case isMap && known && len(usual) > 0:
			onlyDifferences(t, way, inner, usual)
		case reflect.DeepEqual(value, defaults[key]):
			t.Errorf("values.yaml: %s: %v is the chart's default; leave it out", way, value)
		}
	}
}

// forKiosks are the files of a new store that kiosks need.
var forKiosks = regexp.MustCompile(`^(store\.yaml|flows/.*|prompts/.*|kb/.*)$`)

// storeReaches compares the folder that a pod of the gateway sees with the one that
// was packed: the same paths with the same contents, through ConfigMaps and their
// keys.
func storeReaches(t *testing.T, values map[string]any, folder string) {
	t.Helper()
	r := mustRender(t, values, render.Options{})
	data := map[string]map[string]any{}
	for _, o := range r.Objects {
		if o.Kind() == "ConfigMap" {
			data[o.Name()], _ = o.At("data").(map[string]any)
		}
	}
	workloads, err := r.Workloads()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, w := range workloads {
		if w.Component() != "gateway" {
			continue
		}
		for _, volume := range w.Pod.Spec.Volumes {
			if volume.Projected == nil || volume.Name != "store" {
				continue
			}
			for _, source := range volume.Projected.Sources {
				if source.ConfigMap == nil {
					continue
				}
				for _, item := range source.ConfigMap.Items {
					seen[item.Path] = fmt.Sprint(data[source.ConfigMap.Name][item.Key])
				}
			}
		}
	}
	err = filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		if !forKiosks.MatchString(filepath.ToSlash(rel)) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if seen[filepath.ToSlash(rel)] != string(text) {
			t.Errorf("%s is %q in a pod of the gateway, and %q in the folder", rel, seen[filepath.ToSlash(rel)], text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// holds checks every manifest of a GitOps folder against the API's schemas, and
// each fleet.yaml against Fleet's.
func holds(t *testing.T, conform *conformance, gitops string) {
	t.Helper()
	err := filepath.WalkDir(gitops, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		name := filepath.Base(path)
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(name, "values"):
		case name == "fleet.yaml":
			checkFleet(t, path, text)
		default:
			objects, err := render.Parse(path, text)
			if err != nil {
				return err
			}
			if len(objects) == 0 {
				t.Errorf("%s has no object", path)
			}
			for _, o := range objects {
				if o.Kind() == "GitRepo" { // of which no schema is at hand
					continue
				}
				if err := conform.check(o); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// checkFleet checks a fleet.yaml against Fleet's schema, and that what it names is
// there and nothing in it is expanded by Fleet.
func checkFleet(t *testing.T, path string, text []byte) {
	t.Helper()
	var fleet struct {
		Helm *struct {
			DisablePreProcess bool     `json:"disablePreProcess"`
			ValuesFiles       []string `json:"valuesFiles"`
		} `json:"helm"`
	}
	if err := yaml.Unmarshal(text, &fleet); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if fleet.Helm != nil && !fleet.Helm.DisablePreProcess {
		t.Errorf("%s: without helm.disablePreProcess Fleet expands the ${…} of flows and prompts", path)
	}
	if fleet.Helm != nil {
		for _, file := range fleet.Helm.ValuesFiles {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), file)); err != nil {
				t.Errorf("%s: helm.valuesFiles: %v", path, err)
			}
		}
	}
	schemaFile := filepath.Join(*schemas, "fleet.yaml.json")
	if _, err := os.Stat(schemaFile); err != nil {
		t.Logf("%s is not held against Fleet's schema: %v", path, err)
		return
	}
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if err := schema.Validate(doc); err != nil {
		t.Errorf("%s: %v", path, err)
	}
}

// TestTheWorkflowPacks runs what CI runs on a push, but for taking parley out of its
// image: the change of a flow reaches the GitOps repository, and only once.
func TestTheWorkflowPacks(t *testing.T) {
	for _, tool := range []string{"bash", "git", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("what CI runs needs ", tool)
		}
	}
	dir := t.TempDir()
	gitops := newStore(t, dir, "lindenhof", []string{"--ci", "github"})
	store, remote := filepath.Join(dir, "lindenhof"), filepath.Join(dir, "remote.git")
	run(t, gitops, nil, "git", "init", "--quiet", "--initial-branch", "main")
	run(t, gitops, nil, "git", "add", ".")
	run(t, gitops, nil, "git", "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--quiet", "--message", "first")
	run(t, dir, nil, "git", "clone", "--quiet", "--bare", gitops, remote)
	commits := func() string { return run(t, remote, nil, "git", "log", "--format=%s", "main") }

	prompts := filepath.Join(store, "prompts", "help", "en.yaml")
	text, err := os.ReadFile(prompts)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(prompts, []byte(strings.Replace(string(text), "Hello, and welcome!", "Welcome to Lindenhof!", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		runWorkflow(t, store, filepath.Join(store, ".github", "workflows", "check.yaml"), remote)
	}
	if got, want := commits(), "store: lindenhof at 0123abc\nfirst\n"; got != want {
		t.Errorf("the GitOps repository has the commits %q, want %q", got, want)
	}
	if packed := run(t, remote, nil, "git", "show", "main:helm/values-store.yaml"); !strings.Contains(packed, "Welcome to Lindenhof!") {
		t.Errorf("the change has not reached the GitOps repository:\n%s", packed)
	}
}

// runWorkflow runs the steps of a workflow, each as a runner's shell does.
func runWorkflow(t *testing.T, store, file, gitops string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct{ Run string } `json:"steps"`
		} `json:"jobs"`
	}
	if err := yaml.Unmarshal(text, &workflow); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	ran := 0
	for _, step := range workflow.Jobs["check"].Steps {
		if step.Run == "" || strings.Contains(step.Run, "docker create") {
			continue
		}
		ran++
		run(t, store, []string{
			"PATH=" + filepath.Dir(parley(t)) + string(os.PathListSeparator) + os.Getenv("PATH"), "RUNNER_TEMP=" + t.TempDir(),
			"GITHUB_SHA=0123abc", "GITOPS_REPO=" + gitops, "GITOPS_TOKEN=token",
		}, "bash", "-e", "-o", "pipefail", "-c", step.Run)
	}
	if ran != 3 {
		t.Errorf("%s has %d steps to run, want check, test and pack", file, ran)
	}
}

func run(t *testing.T, dir string, environ []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull), environ...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestAStoresProject compares what a store may make by ArgoCD with what the chart's
// own AppProject allows, which another test compares with what the chart makes; and
// what Fleet leaves to autoscalers with the chart's own fleet.yaml.
func TestAStoresProject(t *testing.T) {
	dir := t.TempDir()
	argo := newStore(t, dir, "by-argo", []string{"--gitops", "argocd"})
	type project struct {
		Spec struct {
			NamespaceResourceWhitelist []map[string]string `json:"namespaceResourceWhitelist"`
		} `json:"spec"`
	}
	read := func(path string, into any) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, into); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	var stores, charts project
	read(filepath.Join(argo, "argocd", "appproject.yaml"), &stores)
	read(filepath.Join(*chartDir, "argocd", "appproject.yaml"), &charts)
	if !reflect.DeepEqual(stores, charts) {
		t.Errorf("a store may make %v, the chart's project allows %v", stores, charts)
	}
	type fleet struct {
		Diff any `json:"diff"`
	}
	var storesFleet, chartsFleet fleet
	read(filepath.Join(newStore(t, dir, "by-fleet", nil), "helm", "fleet.yaml"), &storesFleet)
	read(filepath.Join(*chartDir, "fleet.yaml"), &chartsFleet)
	if !reflect.DeepEqual(storesFleet, chartsFleet) {
		t.Errorf("Fleet leaves %v to autoscalers, for the chart itself %v", storesFleet, chartsFleet)
	}
}

// TestFleetOfStores checks the fleet.yaml files that docs/stores.md shows.
func TestFleetOfStores(t *testing.T) {
	text, err := os.ReadFile("../../docs/stores.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml fleet\n(.*?)```").FindAllSubmatch(text, -1)
	if len(blocks) != 2 {
		t.Fatalf("docs/stores.md has %d fleet.yaml files, want 2", len(blocks))
	}
	for _, block := range blocks {
		checkFleet(t, "docs/stores.md", block[1])
	}
}
