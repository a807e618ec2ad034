package check

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/praesenz/parley/tests/helm/render"
)

// A Part is a container that runs parley.
type Part struct {
	render.Workload
	Container corev1.Container
	Args      []string          // the command line, without the program
	Command   []string          // gateway; temporal setup; kb sync
	Flags     map[string]string // as on the command line, by the setting's key
	Env       map[string]string // PARLEY_* by the setting's key, as the container sees it; none from Secrets
	File      map[string]any    // the settings file
	FileName  string            // CONFIGMAP/KEY, for messages; empty without a file
	FileText  string
}

// Parts are the containers of a rendering that run parley.
func Parts(r *render.Rendering) ([]Part, error) {
	v, err := look(r)
	if err != nil {
		return nil, err
	}
	return v.parts, nil
}

// commands are parley's commands that a chart runs.
var commands = []string{"gateway", "worker", "speech", "codec", "kb", "temporal", "health", "admin"}

func (v *View) findParts() ([]Part, error) {
	var parts []Part
	for _, w := range v.workloads {
		for _, c := range w.Containers() {
			p, err := v.readPart(w, c)
			if err != nil {
				return nil, err
			}
			if len(p.Command) > 0 && slices.Contains(commands, p.Command[0]) {
				parts = append(parts, p)
			}
		}
	}
	return parts, nil
}

func (v *View) readPart(w render.Workload, c corev1.Container) (Part, error) {
	p := Part{Workload: w, Container: c, Flags: map[string]string{}, Env: map[string]string{}}
	args := slices.Concat(c.Command, c.Args)
	if len(c.Command) > 0 && path.Base(c.Command[0]) != "parley" {
		return p, nil // another program
	}
	if len(c.Command) > 0 {
		args = args[1:]
	}
	p.Args = args
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "--")
		if !isFlag {
			p.Command = append(p.Command, args[i])
			continue
		}
		name, value, has := strings.Cut(name, "=")
		if !has && i+1 < len(args) && !strings.HasPrefix(args[i+1], "--") {
			i++
			value = args[i]
		}
		p.Flags[strings.ReplaceAll(name, "-", "_")] = value
	}
	seen := map[string]string{}
	for _, e := range c.Env {
		if seen[e.Name] = expand(e.Value, seen); e.ValueFrom != nil {
			field := e.ValueFrom.FieldRef
			if field == nil {
				continue // from a Secret or a ConfigMap: other checks look at those
			}
			seen[e.Name] = downward[field.FieldPath]
		}
		if key, ok := strings.CutPrefix(e.Name, "PARLEY_"); ok {
			p.Env[strings.ToLower(key)] = seen[e.Name]
		}
	}
	file := p.Flags["config"]
	if file == "" {
		file = p.Env["config"]
	}
	if file == "" {
		return p, nil
	}
	config, key, err := v.mountedConfig(w, c, file)
	if err != nil {
		return p, err
	}
	p.FileName = config.Name + "/" + key
	p.FileText = config.Data[key]
	if err := yaml.Unmarshal([]byte(p.FileText), &p.File); err != nil {
		return p, fmt.Errorf("ConfigMap/%s: %s: %w", config.Name, key, err)
	}
	return p, nil
}

// downward is what the fields of a pod might be that containers ask for.
var downward = map[string]string{
	"status.podIP": "10.42.0.7", "status.hostIP": "10.0.0.7", "metadata.name": "pod-1", "metadata.namespace": "shop",
}

var variable = regexp.MustCompile(`\$\(([A-Za-z_][A-Za-z0-9_]*)\)`)

// expand puts the variables before it into a variable's value, as Kubernetes does.
func expand(value string, seen map[string]string) string {
	return variable.ReplaceAllStringFunc(value, func(ref string) string {
		if v, ok := seen[ref[2:len(ref)-1]]; ok {
			return v
		}
		return ref
	})
}

// mountedConfig finds the ConfigMap and its key that a container sees at file.
func (v *View) mountedConfig(w render.Workload, c corev1.Container, file string) (*corev1.ConfigMap, string, error) {
	for _, m := range c.VolumeMounts {
		below, ok := strings.CutPrefix(file, strings.TrimSuffix(m.MountPath, "/"))
		if !ok {
			continue
		}
		below = strings.TrimPrefix(below, "/")
		if m.SubPath != "" {
			below = path.Join(m.SubPath, below)
		}
		for _, volume := range w.Pod.Spec.Volumes {
			if volume.Name != m.Name {
				continue
			}
			for _, s := range configSources(volume) {
				for _, config := range render.Of[*corev1.ConfigMap](v.Rendering) {
					if config.Name != s.name {
						continue
					}
					key := below
					for _, item := range s.items {
						if item.Path == below {
							key = item.Key
						}
					}
					if _, ok := config.Data[key]; ok {
						return config, key, nil
					}
				}
			}
		}
	}
	return nil, "", fmt.Errorf("%s: container %s reads its settings from %s, where no ConfigMap of the chart is mounted", w, c.Name, file)
}

// a source is a ConfigMap or a Secret that a volume shows.
type source struct {
	name     string
	items    []corev1.KeyToPath
	optional bool
}

func configSources(volume corev1.Volume) []source {
	var s []source
	if c := volume.ConfigMap; c != nil {
		s = append(s, source{c.Name, c.Items, isTrue(c.Optional)})
	}
	if p := volume.Projected; p != nil {
		for _, from := range p.Sources {
			if c := from.ConfigMap; c != nil {
				s = append(s, source{c.Name, c.Items, isTrue(c.Optional)})
			}
		}
	}
	return s
}

func secretSources(volume corev1.Volume) []source {
	var s []source
	if c := volume.Secret; c != nil {
		s = append(s, source{c.SecretName, c.Items, isTrue(c.Optional)})
	}
	if p := volume.Projected; p != nil {
		for _, from := range p.Sources {
			if c := from.Secret; c != nil {
				s = append(s, source{c.Name, c.Items, isTrue(c.Optional)})
			}
		}
	}
	return s
}

// Setting gives what a part's setting is by flag, environment or file, in that
// order; nil where nobody sets it.
func (p Part) Setting(key string) any {
	if s, ok := p.Flags[key]; ok {
		return s
	}
	if s, ok := p.Env[key]; ok {
		return s
	}
	return p.File[key]
}

// text gives a setting as text; empty where nobody sets it.
func (p Part) text(key string) string {
	if s := p.Setting(key); s != nil {
		return fmt.Sprint(s)
	}
	return ""
}

// list gives a setting that is a list.
func (p Part) list(key string) []string {
	switch s := p.Setting(key).(type) {
	case []any:
		var l []string
		for _, e := range s {
			l = append(l, fmt.Sprint(e))
		}
		return l
	case string:
		if s != "" {
			return strings.Split(s, ",")
		}
	}
	return nil
}

// table gives a setting that is a map.
func (p Part) table(key string) map[string]string {
	t := map[string]string{}
	switch s := p.Setting(key).(type) {
	case map[string]any:
		for k, e := range s {
			t[k] = fmt.Sprint(e)
		}
	case string:
		for _, pair := range strings.Split(s, ",") {
			if k, e, ok := strings.Cut(pair, "="); ok {
				t[k] = e
			}
		}
	}
	return t
}

// settings are the keys that anybody sets for a part.
func (p Part) settings() []string {
	keys := map[string]bool{}
	for k := range p.Flags {
		keys[k] = true
	}
	for k := range p.Env {
		keys[k] = true
	}
	for k := range p.File {
		keys[k] = true
	}
	return slices.Sorted(maps.Keys(keys))
}

func isTrue(b *bool) bool { return b != nil && *b }
