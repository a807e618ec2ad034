package helm_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/yannh/kubeconform/pkg/resource"
	"github.com/yannh/kubeconform/pkg/validator"

	"github.com/praesenz/parley/tests/helm/check"
	"github.com/praesenz/parley/tests/helm/render"
)

// kubes are the versions of Kubernetes that the chart is for: its validations say
// from where on, the API's schemas up to where.
var kubes = []string{"1.30.0", "1.31.0", "1.32.0", "1.33.0", "1.34.0", "1.35.0", "1.36.0"}

// The switches file says what the chart's options need and what is no option.
type switches struct {
	// Base are values for every row.
	Base map[string]any `json:"base"`
	// Choices are the options that are not just on or off: by path, their values.
	Choices map[string][]any `json:"choices"`
	// Company is what an option needs beside it: by PATH=VALUE.
	Company map[string]map[string]any `json:"company"`
	// Apart are pairs that the chart refuses, with what it says.
	Apart []struct {
		Options []string `json:"options"` // PATH=VALUE
		Says    string   `json:"says"`    // a regular expression
	} `json:"apart"`
	// Left are switches that are no options of the chart, and why.
	Left map[string]string `json:"left"`
}

// A factor is an option of the chart and what it can be.
type factor struct {
	path   string
	levels []any
}

// factors are all booleans of values.yaml that are not left out, and the choices.
func (s switches) factors(t *testing.T, values map[string]any) []factor {
	t.Helper()
	var found []factor
	left := map[string]bool{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		for pattern := range s.Left {
			if ok, err := filepath.Match(pattern, path); err != nil {
				t.Fatal(err)
			} else if ok {
				left[pattern] = true
				return
			}
		}
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(strings.TrimPrefix(path+"."+key, "."), v[key])
			}
		case bool:
			found = append(found, factor{path, []any{v, !v}})
		}
	}
	walk("", values)
	for pattern := range s.Left {
		if !left[pattern] {
			t.Errorf("testdata/switches.yaml leaves out %q, which values.yaml does not have", pattern)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(s.Choices)) {
		if get(values, path) == nil {
			t.Errorf("testdata/switches.yaml: choices: values.yaml has no %q", path)
		}
		found = append(found, factor{path, s.Choices[path]})
	}
	versions := factor{path: kubernetes}
	for _, kube := range kubes {
		versions.levels = append(versions.levels, kube)
	}
	return append(found, versions)
}

// kubernetes is the factor that is no value: Kubernetes' version.
const kubernetes = "kubernetes"

// values are those of one row: each factor's level, with its company.
func (s switches) values(factors []factor, row []int) (map[string]any, render.Options) {
	all := []map[string]any{s.Base}
	var o render.Options
	for i, f := range factors {
		if f.path == kubernetes {
			o.Kube = f.levels[row[i]].(string)
			continue
		}
		all = append(all, s.Company[f.name(row[i])], set(map[string]any{}, f.path, f.levels[row[i]]))
	}
	return render.Merge(all...), o
}

func (f factor) name(level int) string { return fmt.Sprintf("%s=%v", f.path, f.levels[level]) }

// apart is whether the chart refuses two levels together.
func (s switches) apart(a, b string) bool {
	for _, pair := range s.Apart {
		if len(pair.Options) == 2 && (pair.Options[0] == a && pair.Options[1] == b || pair.Options[0] == b && pair.Options[1] == a) {
			return true
		}
	}
	return false
}

// pairwise gives rows of levels in which every two levels of every two factors
// come together at least once, but for those that are apart. The rows are the same
// every time.
func pairwise(factors []factor, apart func(a, b string) bool) [][]int {
	type pair struct{ f, fl, g, gl int }
	open := map[pair]bool{}
	for f := range factors {
		for g := f + 1; g < len(factors); g++ {
			for fl := range factors[f].levels {
				for gl := range factors[g].levels {
					if !apart(factors[f].name(fl), factors[g].name(gl)) {
						open[pair{f, fl, g, gl}] = true
					}
				}
			}
		}
	}
	var rows [][]int
	for len(open) > 0 {
		row := make([]int, len(factors))
		for f := range row {
			row[f] = -1
		}
		// The first open pair, so that each row closes one at least.
		first := slices.MinFunc(slices.Collect(maps.Keys(open)), func(a, b pair) int {
			return slices.Compare([]int{a.f, a.g, a.fl, a.gl}, []int{b.f, b.g, b.fl, b.gl})
		})
		row[first.f], row[first.g] = first.fl, first.gl
		for f := range factors {
			if row[f] >= 0 {
				continue
			}
			best, most := 0, -1
			for level := range factors[f].levels {
				n, allowed := 0, true
				for g, gl := range row {
					if gl < 0 {
						continue
					}
					allowed = allowed && !apart(factors[f].name(level), factors[g].name(gl))
					p := pair{f, level, g, gl}
					if g < f {
						p = pair{g, gl, f, level}
					}
					if open[p] {
						n++
					}
				}
				if allowed && n > most {
					best, most = level, n
				}
			}
			row[f] = best
		}
		for f := range row {
			for g := f + 1; g < len(row); g++ {
				delete(open, pair{f, row[f], g, row[g]})
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// TestMatrix renders every values file, and pairs of all options, for every
// version of Kubernetes, and checks each rendering: every document by schema and
// by type, and all of them together.
func TestMatrix(t *testing.T) {
	conform := newConformance(t)
	for name, values := range valuesFiles(t) {
		for _, kube := range kubes {
			t.Run(name+"/"+kube, func(t *testing.T) {
				t.Parallel()
				examine(t, conform, values, render.Options{Kube: kube})
			})
		}
	}
	s := readYAML[switches](t, "testdata/switches.yaml")
	factors := s.factors(t, theChart(t).Values())
	for i, row := range pairwise(factors, s.apart) {
		t.Run(fmt.Sprintf("pairs/%d", i), func(t *testing.T) {
			t.Parallel()
			values, o := s.values(factors, row)
			o.Upgrade = i%2 == 1
			examine(t, conform, values, o)
			if t.Failed() {
				var on []string
				for f := range factors {
					if row[f] > 0 {
						on = append(on, factors[f].name(row[f]))
					}
				}
				t.Logf("with %s", strings.Join(on, ", "))
			}
		})
	}
}

func examine(t *testing.T, conform *conformance, values map[string]any, o render.Options) {
	t.Helper()
	r := mustRender(t, values, o)
	for _, object := range r.Objects {
		if err := conform.check(object); err != nil {
			t.Errorf("%s: %s: %v", object.Source, object, err)
		}
	}
	faults, err := check.Run(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
}

// TestApart expects that what testdata/switches.yaml says the chart refuses is
// refused, with words that help.
func TestApart(t *testing.T) {
	s := readYAML[switches](t, "testdata/switches.yaml")
	factors := s.factors(t, theChart(t).Values())
	for _, pair := range s.Apart {
		t.Run(strings.Join(pair.Options, ","), func(t *testing.T) {
			row := make([]int, len(factors))
			for _, option := range pair.Options {
				at := slices.IndexFunc(factors, func(f factor) bool {
					return slices.ContainsFunc(f.levels, func(l any) bool { return option == fmt.Sprintf("%s=%v", f.path, l) })
				})
				if at < 0 {
					t.Fatalf("there is no option %s", option)
				}
				row[at] = slices.IndexFunc(factors[at].levels, func(l any) bool { return option == fmt.Sprintf("%s=%v", factors[at].path, l) })
			}
			values, o := s.values(factors, row)
			_, err := theChart(t).Render(values, o)
			if err == nil || !regexp.MustCompile(pair.Says).MatchString(err.Error()) {
				t.Errorf("refused with %v, want %q", err, pair.Says)
			}
		})
	}
}

// unknownKinds are kinds of which no schema is at hand: what they are, others'
// documentation says.
var unknownKinds = []string{
	"postgresql.cnpg.io/Database",        // CloudNativePG 1.25 and later
	"postgresql.cnpg.io/ScheduledBackup", // CloudNativePG
	"barmancloud.cnpg.io/ObjectStore",    // CloudNativePG's Barman plugin
	"monitoring.coreos.com/PodMonitor",   // held against its Go type
}

// A conformance holds documents against the API's JSON Schemas, each document
// once, however many renderings have it. Nil where the schemas are not at hand.
type conformance struct {
	validator validator.Validator
	mu        sync.Mutex // of what follows, and of the validator
	known     map[[32]byte]error
}

func newConformance(t *testing.T) *conformance {
	if _, err := os.Stat(*schemas); err != nil {
		t.Logf("kubeconform is left out: there is no folder %s", *schemas)
		return nil
	}
	v, err := validator.New([]string{
		*schemas + "/k8s/{{.ResourceKind}}{{.KindSuffix}}.json",
		*schemas + "/crds/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json",
	}, validator.Opts{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	return &conformance{validator: v, known: map[[32]byte]error{}}
}

func (c *conformance) check(o render.Object) error {
	if c == nil || slices.Contains(unknownKinds, o.Group()+"/"+o.Kind()) {
		return nil
	}
	sum := sha256.Sum256(o.YAML)
	c.mu.Lock()
	defer c.mu.Unlock()
	err, known := c.known[sum]
	if !known {
		r := c.validator.ValidateResource(resource.Resource{Path: o.Source, Bytes: o.YAML})
		err = r.Err
		for _, e := range r.ValidationErrors {
			err = fmt.Errorf("%w; %s: %s", err, e.Path, e.Msg)
		}
		c.known[sum] = err
	}
	return err
}

// TestSchemasAreThere says in plain words whether documents were held against the
// API's schemas.
func TestSchemasAreThere(t *testing.T) {
	needSchemas(t)
}

// TestUpgrades expects that a release can be upgraded from each values file to each
// other one: that nothing changes which the API server lets nobody change.
func TestUpgrades(t *testing.T) {
	files := valuesFiles(t)
	rendered := map[string]*render.Rendering{}
	for name, values := range files {
		rendered[name] = mustRender(t, values, render.Options{Upgrade: true})
	}
	for _, from := range slices.Sorted(maps.Keys(files)) {
		for _, to := range slices.Sorted(maps.Keys(files)) {
			for _, f := range check.Immutable(rendered[from], rendered[to]) {
				t.Errorf("from %s to %s: %s", from, to, f)
			}
		}
	}
}
