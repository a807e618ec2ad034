// Package render renders a Helm chart as `helm template` does, without a cluster,
// and gives what comes out as Kubernetes objects. The checks and the tests of the
// chart are built on it.
package render

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigs "sigs.k8s.io/yaml"
)

// A Chart is a chart's folder, read.
type Chart struct{ chart *chart.Chart }

// Load reads the chart in dir.
func Load(dir string) (*Chart, error) {
	c, err := loader.Load(dir)
	if err != nil {
		return nil, fmt.Errorf("load the chart: %w", err)
	}
	return &Chart{chart: c}, nil
}

// Values are the chart's own values.yaml. The caller may change what it gets.
func (c *Chart) Values() map[string]any { return clone(c.chart.Values) }

// Schema is the chart's values.schema.json.
func (c *Chart) Schema() []byte { return c.chart.Schema }

// KubeVersion is the range of Kubernetes versions that the chart says it is for.
func (c *Chart) KubeVersion() string { return c.chart.Metadata.KubeVersion }

// Templates are the paths of the chart's templates below templates/ that make
// objects: neither partials nor NOTES.txt.
func (c *Chart) Templates() []string {
	var names []string
	for _, f := range c.chart.Templates {
		name := strings.TrimPrefix(f.Name, "templates/")
		if !strings.HasPrefix(path.Base(name), "_") && path.Ext(name) == ".yaml" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Options are the circumstances of an installation.
type Options struct {
	Release   string // default: parley
	Namespace string // default: shop
	Kube      string // Kubernetes' version; default: 1.36.0
	Upgrade   bool   // an upgrade, not an installation
}

// A Rendering is what a chart becomes with one set of values.
type Rendering struct {
	Release   string
	Namespace string
	Kube      string         // Kubernetes' version, such as 1.36.0
	Values    map[string]any // the chart's own, and over them those given
	Objects   []Object       // of several renderings the same: to be read only
	Notes     string
}

// Render renders the chart with values over its own. The error is the one that
// somebody who installs the chart would see.
func (c *Chart) Render(values map[string]any, o Options) (*Rendering, error) {
	r := &Rendering{Release: cmp.Or(o.Release, "parley"), Namespace: cmp.Or(o.Namespace, "shop")}
	r.Kube = cmp.Or(o.Kube, "1.36.0")
	kube, err := chartutil.ParseKubeVersion(r.Kube)
	if err != nil {
		return nil, fmt.Errorf("version of Kubernetes %q: %w", r.Kube, err)
	}
	caps := chartutil.DefaultCapabilities.Copy()
	caps.KubeVersion = *kube
	release := chartutil.ReleaseOptions{Name: r.Release, Namespace: r.Namespace, Revision: 1, IsInstall: !o.Upgrade, IsUpgrade: o.Upgrade}
	top, err := chartutil.ToRenderValues(c.chart, clone(values), release, caps)
	if err != nil {
		return nil, err
	}
	r.Values = top["Values"].(chartutil.Values)
	files, err := engine.Render(c.chart, top)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		source := strings.TrimPrefix(name, c.chart.Name()+"/templates/")
		switch {
		case path.Base(name) == "NOTES.txt":
			r.Notes = files[name]
		case path.Ext(name) == ".yaml":
			objects, err := Parse(source, []byte(files[name]))
			if err != nil {
				return nil, err
			}
			r.Objects = append(r.Objects, objects...)
		}
	}
	return r, nil
}

// Parse takes a file's YAML documents apart. Documents without content, as a
// template that is off leaves them, are left out.
func Parse(source string, text []byte) ([]Object, error) {
	var objects []Object
	docs := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
		object, err := parse(source, doc)
		if err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", source, err, doc)
		}
		if len(object.Fields) > 0 {
			objects = append(objects, object)
		}
	}
}

// parsed keeps documents by template and text: most are the same in most
// renderings, and nobody changes an Object.
var parsed sync.Map

func parse(source string, doc []byte) (Object, error) {
	key := source + "\n" + string(doc)
	if o, ok := parsed.Load(key); ok {
		return o.(Object), nil
	}
	var fields map[string]any
	if err := sigs.UnmarshalStrict(doc, &fields); err != nil {
		return Object{}, err
	}
	o := Object{}
	if len(fields) > 0 {
		o = newObject(source, doc, fields)
	}
	parsed.Store(key, o)
	return o, nil
}

// clone copies a tree of values, so that no rendering changes another's.
func clone(values map[string]any) map[string]any {
	if values == nil {
		return map[string]any{}
	}
	return runtime.DeepCopyJSON(jsonTree(values).(map[string]any))
}

// jsonTree makes of what YAML decoders give what runtime.DeepCopyJSON takes.
func jsonTree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = jsonTree(e)
		}
		return m
	case chartutil.Values:
		return jsonTree(map[string]any(v))
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = jsonTree(e)
		}
		return l
	case []string:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = e
		}
		return l
	case int:
		return int64(v)
	}
	return v
}

// Merge lays maps of values over one another, later ones over earlier ones, as
// several `--values` do. Lists are replaced whole.
func Merge(values ...map[string]any) map[string]any {
	merged := map[string]any{}
	for _, v := range values {
		merged = chartutil.MergeTables(clone(v), merged)
	}
	return merged
}
