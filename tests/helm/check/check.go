// Package check looks at a rendered chart as a whole: whether what one object says
// of another is so, and whether every pod is as the project wants its pods. What
// one object may say by itself, schemas and types tell.
package check

import (
	"cmp"
	"fmt"
	"slices"

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
	{"names", names},
	{"selectors", selectors},
	{"ports", ports},
	{"references", references},
	{"security", security},
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
