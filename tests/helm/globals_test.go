package helm_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/praesenz/parley/tests/helm/check"
	"github.com/praesenz/parley/tests/helm/render"
)

// allOn are two sets of values that together make every object the chart can make:
// what cannot be on at once is in the one or the other.
func allOn(t *testing.T) map[string]map[string]any {
	t.Helper()
	s := readYAML[switches](t, "testdata/switches.yaml")
	sets := map[string]map[string]any{}
	for _, c := range []struct {
		name    string
		options []string
	}{
		{"by its own", []string{"speaches.enabled=true", "secrets.generate=true", "temporal.devServer.enabled=true", "versioning.kind=promote", "workerDefaults.autoscaling.kind=hpa", "store.source=files", "avatar.gpu.enabled=true"}},
		{"by operators", []string{"speaches.enabled=false", "embeddedSpeech.enabled=true", "externalSecrets.enabled=true", "externalSecrets.vault.enabled=true", "codec.enabled=true", "versioning.kind=controller", "workerDefaults.autoscaling.kind=keda", "store.source=claim", "ollama.enabled=false", "kserve.enabled=true", "avatar.gpu.enabled=false"}},
	} {
		on := []string{"minio.enabled=true", "postgres.enabled=true", "postgres.backup.enabled=true", "postgres.monitoring=true", "ingress.enabled=true", "gatewayAPI.enabled=true", "istio.enabled=true",
			"monitoring.serviceMonitor.enabled=true", "monitoring.alerts.enabled=true", "monitoring.dashboards.enabled=true", "rbac.operators.enabled=true",
			"gateway.autoscaling.enabled=true", "workerDefaults.autoscaling.enabled=true", "temporal.tls.enabled=true", "temporal.tls.mutual=true"}
		if c.name == "by its own" {
			on = slices.DeleteFunc(on, func(o string) bool { return strings.HasPrefix(o, "temporal.tls") }) // its server has no TLS
		}
		all := []map[string]any{s.Base}
		for _, option := range append(on, c.options...) {
			path, level, _ := strings.Cut(option, "=")
			var value any = level
			if level == "true" || level == "false" {
				value = level == "true"
			}
			if get(theChart(t).Values(), path) == nil {
				t.Errorf("values.yaml has no %s", path)
			}
			all = append(all, s.Company[option], set(map[string]any{}, path, value))
		}
		sets[c.name] = render.Merge(all...)
	}
	return sets
}

// TestEveryTemplateIsRendered expects that the two sets leave no template out, so
// that what is said of all objects is said of all objects.
func TestEveryTemplateIsRendered(t *testing.T) {
	made := map[string]bool{"validations.yaml": true, "extraobjects.yaml": true} // nothing of its own
	for _, values := range allOn(t) {
		for _, o := range mustRender(t, values, render.Options{}).Objects {
			made[o.Source] = true
		}
	}
	for _, template := range theChart(t).Templates() {
		if !made[template] {
			t.Errorf("templates/%s makes nothing with everything on", template)
		}
	}
}

// TestGlobalsReachEverything sets what is for all and looks at all.
func TestGlobalsReachEverything(t *testing.T) {
	global := map[string]any{
		"global": map[string]any{
			"imageRegistry": "mirror.example:5000", "storageClass": "fast",
			"imagePullSecrets": []any{map[string]any{"name": "mirror-login"}},
		},
		"commonLabels":      map[string]any{"example.com/shop": "seventh"},
		"commonAnnotations": map[string]any{"example.com/contact": "Ada"},
		"placement": map[string]any{
			"nodeSelector":      map[string]any{"example.com/room": "cellar"},
			"tolerations":       []any{map[string]any{"key": "example.com/room", "operator": "Equal", "value": "cellar", "effect": "NoSchedule"}},
			"priorityClassName": "shop-floor",
		},
		"postgres": map[string]any{"storage": map[string]any{"storageClass": ""}},
	}
	for name, values := range allOn(t) {
		t.Run(name, func(t *testing.T) {
			r := mustRender(t, render.Merge(values, global), render.Options{})
			for _, o := range r.Objects {
				if o.Labels()["example.com/shop"] != "seventh" {
					t.Errorf("%s lacks commonLabels", o)
				}
				if o.Annotations()["example.com/contact"] != "Ada" {
					t.Errorf("%s lacks commonAnnotations", o)
				}
				text := string(o.YAML)
				switch o.Kind() {
				case "Cluster", "InferenceService": // whose pods an operator makes
					if !strings.Contains(text, "example.com/room") || !strings.Contains(text, "shop-floor") {
						t.Errorf("%s: its pods lack placement", o)
					}
				}
				if o.Kind() == "PersistentVolumeClaim" && o.Text("spec", "storageClassName") != "fast" ||
					strings.Contains(text, "volumeClaimTemplates") && !strings.Contains(text, "fast") ||
					o.Kind() == "Cluster" && o.Text("spec", "storage", "storageClass") != "fast" {
					t.Errorf("%s is not of global.storageClass", o)
				}
				for _, image := range imageLines(text) {
					if !strings.HasPrefix(image, "mirror.example:5000/") {
						t.Errorf("%s: image %s does not come from global.imageRegistry: a store without a way out cannot have it", o, image)
					}
				}
			}
			workloads, err := r.Workloads()
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range workloads {
				spec := w.Pod.Spec
				if len(spec.ImagePullSecrets) != 1 || spec.ImagePullSecrets[0].Name != "mirror-login" {
					t.Errorf("%s lacks global.imagePullSecrets", w)
				}
				if spec.NodeSelector["example.com/room"] != "cellar" {
					t.Errorf("%s lacks placement.nodeSelector", w)
				}
				if !strings.Contains(fmt.Sprint(spec.Tolerations), "example.com/room") {
					t.Errorf("%s lacks placement.tolerations", w)
				}
				if spec.PriorityClassName != "shop-floor" {
					t.Errorf("%s lacks placement.priorityClassName", w)
				}
			}
		})
	}
}

var imageLine = regexp.MustCompile(`(?m)^\s*(?:- )?(?:image|imageName|reference):\s*"?([^\s"{]+)"?\s*$`)

// imageLines are the images that a document names: a container's, an image
// volume's, a PostgreSQL cluster's.
func imageLines(text string) []string {
	var found []string
	for _, m := range imageLine.FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}

// TestDigestsWin gives every image a digest and expects it in place of its tag.
func TestDigestsWin(t *testing.T) {
	const digest = "sha256:" + someHex
	digests := map[string]any{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			return
		}
		for key, e := range m {
			walk(strings.TrimPrefix(path+"."+key, "."), e)
		}
		if _, ok := m["digest"]; ok {
			set(digests, path+".digest", digest)
		}
	}
	walk("", theChart(t).Values())
	for name, values := range allOn(t) {
		t.Run(name, func(t *testing.T) {
			for _, o := range mustRender(t, render.Merge(values, digests), render.Options{}).Objects {
				for _, image := range imageLines(string(o.YAML)) {
					if o.Kind() == "Cluster" && image == o.Text("spec", "imageName") {
						continue // CloudNativePG reads PostgreSQL's version from the tag
					}
					if !strings.HasSuffix(image, "@"+digest) {
						t.Errorf("%s: image %s, and its digest was given", o, image)
					}
				}
			}
		})
	}
}

// TestTwoReleasesSideBySide expects that two releases in one namespace have nothing
// in common: no object, and no selector that takes the other's pods.
func TestTwoReleasesSideBySide(t *testing.T) {
	for name, values := range allOn(t) {
		t.Run(name, func(t *testing.T) {
			one := mustRender(t, values, render.Options{Release: "ground-floor"})
			other := mustRender(t, values, render.Options{Release: "garden"})
			both := &render.Rendering{Release: one.Release, Namespace: one.Namespace, Kube: one.Kube, Values: one.Values, Objects: slices.Concat(one.Objects, other.Objects)}
			faults, err := check.Run(both)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range faults {
				if strings.HasPrefix(f.Object, "SecretStore/") {
					continue // its name is a value of its own: whoever has two stores gives two
				}
				if f.Check == "names" || f.Check == "selectors" || strings.Contains(f.Message, "may reach") {
					t.Error(f)
				}
			}
		})
	}
}

// TestLongNames gives everything the longest name that it may have: names are cut
// to what Kubernetes takes, and stay different.
func TestLongNames(t *testing.T) {
	kiosk := strings.Repeat("by-the-door-", 3)[:31]
	values := map[string]any{
		"avatar": map[string]any{"image": map[string]any{"repository": "avatar", "tag": "1"}},
		"kiosks": []any{map[string]any{"id": kiosk + "1"}, map[string]any{"id": kiosk + "2"}},
		"store":  map[string]any{"source": "example", "files": nil, "binaryFiles": nil}, // whose kiosks are not known here
	}
	for name, on := range allOn(t) {
		t.Run(name, func(t *testing.T) {
			r := mustRender(t, render.Merge(on, values), render.Options{Release: strings.Repeat("flagship-store-hamburg-", 3)[:53]})
			faults, err := check.Run(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range faults {
				t.Error(f)
			}
		})
	}
}

// TestPairwise expects of the matrix what it promises: every two levels meet, in
// far fewer rows than there are combinations.
func TestPairwise(t *testing.T) {
	var factors []factor
	for i := range 20 {
		factors = append(factors, factor{fmt.Sprint("f", i), []any{false, true}})
	}
	factors = append(factors, factor{"version", []any{1, 2, 3, 4, 5}})
	apart := func(a, b string) bool {
		return a == "f0=true" && b == "f1=true" || a == "f1=true" && b == "f0=true"
	}
	rows := pairwise(factors, apart)
	if len(rows) > 20 {
		t.Errorf("%d rows", len(rows))
	}
	met := map[string]bool{}
	for _, row := range rows {
		for f := range row {
			for g := f + 1; g < len(row); g++ {
				a, b := factors[f].name(row[f]), factors[g].name(row[g])
				if apart(a, b) {
					t.Errorf("%s and %s meet", a, b)
				}
				met[a+" "+b] = true
			}
		}
	}
	if want := 20*19/2*4 + 20*2*5 - 1; len(met) != want {
		t.Errorf("%d pairs met, want %d", len(met), want)
	}
	if again := pairwise(factors, apart); !slices.EqualFunc(rows, again, slices.Equal[[]int]) {
		t.Error("the rows are others the second time")
	}
}
