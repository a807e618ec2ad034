package helm_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/praesenz/parley/tests/helm/render"
)

// TestAppProjectAllowsWhatTheChartMakes expects that the AppProject lets ArgoCD make
// every kind that some values make the chart render, and no other.
func TestAppProjectAllowsWhatTheChartMakes(t *testing.T) {
	type kind struct {
		Group string `json:"group"`
		Kind  string `json:"kind"`
	}
	project := readYAML[struct {
		APIVersion string         `json:"apiVersion"`
		Kind       string         `json:"kind"`
		Metadata   map[string]any `json:"metadata"`
		Spec       struct {
			Description  string           `json:"description"`
			SourceRepos  []string         `json:"sourceRepos"`
			Destinations []map[string]any `json:"destinations"`
			Cluster      []kind           `json:"clusterResourceWhitelist"`
			Namespaced   []kind           `json:"namespaceResourceWhitelist"`
			Roles        []map[string]any `json:"roles"`
		} `json:"spec"`
	}](t, filepath.Join(*chartDir, "argocd/appproject.yaml"))
	var allowed []string
	for _, k := range project.Spec.Namespaced {
		allowed = append(allowed, strings.TrimPrefix(k.Group+"/"+k.Kind, "/"))
	}

	var made []string
	for _, values := range valuesFiles(t) {
		made = append(made, mustRender(t, values, render.Options{}).Kinds()...)
	}
	// ArgoCD does not run `helm test`, and a Secret that Helm makes is not for it:
	// it would be made anew at each sync.
	made = slices.DeleteFunc(made, func(k string) bool { return k == "Pod" || k == "Secret" })
	slices.Sort(made)
	slices.Sort(allowed)
	if got, want := strings.Join(allowed, "\n"), strings.Join(slices.Compact(made), "\n"); got != want {
		t.Errorf("argocd/appproject.yaml's namespaceResourceWhitelist against what the chart renders:\n%s", difference(want, got))
	}
}

// TestArgoCD holds the manifests for ArgoCD against its schemas.
func TestArgoCD(t *testing.T) {
	conform := newConformance(t)
	for _, name := range []string{"application.yaml", "appproject.yaml"} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(*chartDir, "argocd", name))
			if err != nil {
				t.Fatal(err)
			}
			objects, err := render.Parse("argocd/"+name, text)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range objects {
				if err := conform.check(o); err != nil {
					t.Errorf("%s: %v", o, err)
				}
			}
		})
	}
}
