// Package check looks at a rendered chart as a whole: whether what one object says
// of another is so, and whether every pod is as the project wants its pods. What
// one object may say by itself, schemas and types tell.
package check

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/praesenz/parley/tests/helm/render"
)

// A Fault is one thing wrong in a rendering.
type Fault struct {
	Check   string // the check that found it: "selectors"
	Object  string // KIND/NAME
	Message string // what is wrong, and what to write instead
}

func (f Fault) String() string { return fmt.Sprintf("[%s] %s: %s", f.Check, f.Object, f.Message) }

// All are the checks of one rendering, by name.
var All = []struct {
	Name string
	Run  func(*View)
}{
	{"types", types},
	{"versions", versions},
	{"names", names},
	{"selectors", selectors},
	{"ports", ports},
	{"references", references},
	{"security", security},
	{"rights", rights},
	{"resources", resources},
	{"probes", probes},
	{"rollout", rollout},
	{"scaling", scaling},
	{"images", images},
	{"secrets", secrets},
	{"network", network},
}

// Run runs every check on a rendering and returns what they find, in order.
func Run(r *render.Rendering) ([]Fault, error) {
	v, err := look(r)
	if err != nil {
		return nil, err
	}
	for _, c := range All {
		v.check = c.Name
		c.Run(v)
	}
	slices.SortFunc(v.faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Check, b.Check), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(v.faults), nil
}

// A View is a rendering with what every check asks for.
type View struct {
	*render.Rendering
	workloads []render.Workload
	parts     []Part // the containers that run parley, with the settings they have
	byName    map[string]render.Object

	check  string
	faults []Fault
}

func look(r *render.Rendering) (*View, error) {
	v := &View{Rendering: r, byName: map[string]render.Object{}}
	var err error
	if v.workloads, err = r.Workloads(); err != nil {
		return nil, err
	}
	for _, o := range r.Objects {
		v.byName[o.String()] = o
	}
	if v.parts, err = v.findParts(); err != nil {
		return nil, err
	}
	return v, nil
}

func (v *View) faultf(object any, format string, args ...any) {
	v.faults = append(v.faults, Fault{v.check, fmt.Sprint(object), fmt.Sprintf(format, args...)})
}

// types: every object fits its Go type, unknown fields refused.
func types(v *View) {
	for _, o := range v.Objects {
		if o.Err != nil {
			v.faultf(o, "%s does not fit its type: %v", o.Source, o.Err)
		}
	}
}

// since are the fields that an older version of Kubernetes does not know or does
// not heed, by their path in a pod or an object, and the version that has them by
// default. The schemas at hand are the newest version's, so they cannot tell.
var since = []struct {
	path    *regexp.Regexp
	version string
}{
	{regexp.MustCompile(`\.lifecycle\.preStop\.sleep$`), "1.30.0"},
	{regexp.MustCompile(`^Service\.spec\.trafficDistribution$`), "1.31.0"},
	{regexp.MustCompile(`\.volumes\.image$`), "1.33.0"},
	{regexp.MustCompile(`\.template\.spec\.resources\.(limits|requests)$`), "1.34.0"}, // a whole pod's
	{regexp.MustCompile(`\.lifecycle\.stopSignal$`), "1.33.0"},
}

// versions: nothing is rendered that the version of Kubernetes does not know.
func versions(v *View) {
	if v.Kube == "" {
		return
	}
	kube := version.MustParseSemantic(v.Kube)
	for _, o := range v.Objects {
		if o.Group() == "resource.k8s.io" && kube.LessThan(version.MustParseSemantic("1.34.0")) {
			v.faultf(o, "%s is not served by Kubernetes %s", o.APIVersion(), v.Kube)
		}
		if !slices.Contains([]string{"Deployment", "StatefulSet", "Job", "CronJob", "Pod", "Service", "DaemonSet"}, o.Kind()) {
			continue
		}
		walk(o.Kind(), o.Fields, func(path string) {
			for _, s := range since {
				if s.path.MatchString(path) && kube.LessThan(version.MustParseSemantic(s.version)) {
					v.faultf(o, "%s needs Kubernetes %s, and this is for %s", path, s.version, v.Kube)
				}
			}
		})
	}
}

// walk visits the path of every field; the items of a list have the list's.
func walk(path string, value any, visit func(path string)) {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			visit(path + "." + key)
			walk(path+"."+key, value[key], visit)
		}
	case []any:
		for _, e := range value {
			walk(path, e, visit)
		}
	}
}

// rights: what the chart gives anybody is by name, in its own namespace, and never
// a look into Secrets.
func rights(v *View) {
	for _, o := range v.Objects {
		switch o.Kind() {
		case "ClusterRole", "ClusterRoleBinding":
			v.faultf(o, "reaches beyond the release's namespace: make it a Role")
		case "Role":
			var rules []struct{ APIGroups, Resources, Verbs, ResourceNames []string }
			if err := o.Into(&rules, "rules"); err != nil {
				v.faultf(o, "%v", err)
			}
			for _, r := range rules {
				if all := slices.Concat(r.APIGroups, r.Resources, r.Verbs); slices.Contains(all, "*") {
					v.faultf(o, "gives everything (*) on %s: name what is needed", strings.Join(r.Resources, ", "))
				}
				if slices.Contains(r.Resources, "secrets") {
					v.faultf(o, "gives %s on Secrets", strings.Join(r.Verbs, ", "))
				}
				if slices.Contains(r.Resources, "configmaps") && len(r.ResourceNames) == 0 {
					v.faultf(o, "gives %s on every ConfigMap of the namespace: name this release's", strings.Join(r.Verbs, ", "))
				}
			}
		}
	}
}
