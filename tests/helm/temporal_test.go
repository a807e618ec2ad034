package helm_test

import (
	"path/filepath"
	"testing"

	"github.com/praesenz/parley/tests/helm/render"
)

const temporalDir = "../../deploy/temporal"

// TestTemporalFindsItsDatabase expects of the wrapper around Temporal's official chart
// that the server is told the host, databases, user and Secret that CloudNativePG makes.
func TestTemporalFindsItsDatabase(t *testing.T) {
	chart, err := render.Load(temporalDir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := chart.Render(nil, render.Options{Release: "temporal", Namespace: "temporal"})
	if err != nil {
		t.Fatal(err)
	}
	var cluster, owner string
	databases := map[string]bool{}
	for _, o := range r.Objects {
		switch {
		case o.Kind() == "Cluster":
			cluster, owner = o.Name(), o.Text("spec", "bootstrap", "initdb", "owner")
			databases[o.Text("spec", "bootstrap", "initdb", "database")] = true
		case o.Kind() == "Database":
			databases[o.Text("spec", "name")] = true
			if got := o.Text("spec", "cluster", "name"); got != cluster {
				t.Errorf("database %s is in the cluster %q, not %q", o.Name(), got, cluster)
			}
			if got := o.Text("spec", "owner"); got != owner {
				t.Errorf("database %s belongs to %q, not to %q", o.Name(), got, owner)
			}
		}
	}
	for _, store := range []string{"default", "visibility"} {
		t.Run(store, func(t *testing.T) {
			sql := get(chart.Values(), "temporal.server.config.persistence.datastores."+store+".sql").(map[string]any)
			for key, want := range map[string]any{
				"connectAddr":    cluster + "-rw:5432",
				"user":           owner,
				"existingSecret": cluster + "-app",
				"createDatabase": false,
			} {
				if sql[key] != want {
					t.Errorf("%s is %v; CloudNativePG makes it %v", key, sql[key], want)
				}
			}
			if name, _ := sql["databaseName"].(string); !databases[name] {
				t.Errorf("nothing makes the database %q", name)
			}
		})
	}
}

// TestTemporalWithItsChart renders the wrapper with the official chart, where `helm
// dependency build deploy/temporal` has brought it, and holds it against the schemas.
func TestTemporalWithItsChart(t *testing.T) {
	if found, err := filepath.Glob(filepath.Join(temporalDir, "charts", "temporal*")); err != nil || len(found) == 0 {
		t.Skip("Temporal's chart is not in deploy/temporal/charts; `helm dependency build deploy/temporal` brings it")
	}
	conform := newConformance(t)
	chart, err := render.Load(temporalDir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := chart.Render(nil, render.Options{Release: "temporal", Namespace: "temporal"})
	if err != nil {
		t.Fatal(err)
	}
	frontend := false
	for _, o := range r.Objects {
		if err := conform.check(o); err != nil {
			t.Errorf("%s: %v", o, err)
		}
		// The default of temporal.address in Parley's chart.
		frontend = frontend || o.Kind() == "Service" && o.Name() == "temporal-frontend"
	}
	if !frontend {
		t.Error("no Service temporal-frontend, where Parley's chart looks for Temporal")
	}
}
