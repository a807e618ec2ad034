package render

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	kubernetes "k8s.io/client-go/kubernetes/scheme"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
)

// The API types that are at hand as Go: Kubernetes' own, the Prometheus operator's
// and the Gateway API's. The other kinds that the chart knows (Istio, KEDA, Argo
// CD, CloudNativePG, External Secrets, KServe, Temporal's Worker Controller) are
// held against their CRDs' schemas alone, which refuse unknown fields too: their
// modules bring whole controllers with them.
var (
	types   = runtime.NewScheme()
	decoder runtime.Decoder
)

func init() {
	utilruntime.Must(kubernetes.AddToScheme(types))
	utilruntime.Must(monitoring.AddToScheme(types))
	utilruntime.Must(gateway.Install(types))
	decoder = serializer.NewCodecFactory(types, serializer.EnableStrict).UniversalDeserializer()
}

// An Object is one rendered document.
type Object struct {
	Source string         // template, below templates/
	YAML   []byte         // as rendered
	Fields map[string]any // the document as it is
	Typed  runtime.Object // the same by its Go type; nil where the type is not at hand or Err is set
	Err    error          // why it does not fit its Go type, unknown fields included
}

func newObject(source string, doc []byte, fields map[string]any) Object {
	o := Object{Source: source, YAML: doc, Fields: fields}
	typed, _, err := decoder.Decode(doc, nil, nil)
	switch {
	case err == nil:
		o.Typed = typed
	case !runtime.IsNotRegisteredError(err):
		o.Err = err
	case strings.HasSuffix(o.Group(), ".k8s.io") || !strings.Contains(o.Group(), "."):
		o.Err = err // Kubernetes' own, in a version that it does not have
	}
	return o
}

// Group is the API group: "apps", or nothing for the core's.
func (o Object) Group() string {
	group, _, found := strings.Cut(o.APIVersion(), "/")
	if !found {
		return ""
	}
	return group
}

// APIVersion is the object's apiVersion.
func (o Object) APIVersion() string { return o.Text("apiVersion") }

// Kind is the object's kind.
func (o Object) Kind() string { return o.Text("kind") }

// Name is the object's name.
func (o Object) Name() string { return o.Text("metadata", "name") }

// Labels are the object's labels.
func (o Object) Labels() map[string]string { return texts(o.At("metadata", "labels")) }

// Annotations are the object's annotations.
func (o Object) Annotations() map[string]string { return texts(o.At("metadata", "annotations")) }

// String names the object for people: Deployment/parley-gateway.
func (o Object) String() string { return o.Kind() + "/" + o.Name() }

// At gives the field at path, or nil where there is none.
func (o Object) At(path ...string) any {
	var v any = o.Fields
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// Text gives the text at path, or nothing.
func (o Object) Text(path ...string) string {
	s, _ := o.At(path...).(string)
	return s
}

// Into decodes the field at path into the value that into points to.
func (o Object) Into(into any, path ...string) error {
	text, err := json.Marshal(o.At(path...))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %s: %w", o, strings.Join(path, "."), err)
	}
	return nil
}

func texts(v any) map[string]string {
	m, _ := v.(map[string]any)
	t := map[string]string{}
	for k, e := range m {
		t[k] = fmt.Sprint(e)
	}
	return t
}

// A Workload is an object that makes pods.
type Workload struct {
	Object
	Pod corev1.PodTemplateSpec
}

// Workloads are the objects that make pods, as their templates say.
func (r *Rendering) Workloads() ([]Workload, error) {
	var workloads []Workload
	for _, o := range r.Objects {
		at := map[string][]string{
			"Deployment": {"spec", "template"}, "StatefulSet": {"spec", "template"}, "DaemonSet": {"spec", "template"},
			"Job": {"spec", "template"}, "CronJob": {"spec", "jobTemplate", "spec", "template"},
			"WorkerDeployment": {"spec", "template"}, "Pod": {},
		}[o.Kind()]
		if at == nil {
			continue
		}
		w := Workload{Object: o}
		if err := o.Into(&w.Pod, at...); err != nil {
			return nil, err
		}
		workloads = append(workloads, w)
	}
	return workloads, nil
}

// Component is the part of the system that a workload's pods are.
func (w Workload) Component() string { return w.Pod.Labels["app.kubernetes.io/component"] }

// OneShot is whether the pods end by themselves.
func (w Workload) OneShot() bool {
	return w.Kind() == "Job" || w.Kind() == "CronJob" || w.Kind() == "Pod"
}

// Containers are all of a pod's containers, those that begin first first.
func (w Workload) Containers() []corev1.Container {
	return slices.Concat(w.Pod.Spec.InitContainers, w.Pod.Spec.Containers)
}

// Of gives the typed objects of one kind: Of[*corev1.Service](r).
func Of[T runtime.Object](r *Rendering) []T {
	var list []T
	for _, o := range r.Objects {
		if t, ok := o.Typed.(T); ok {
			list = append(list, t)
		}
	}
	return list
}

// Kinds are the kinds that a rendering has, as GROUP/KIND, in order.
func (r *Rendering) Kinds() []string {
	kinds := map[string]bool{}
	for _, o := range r.Objects {
		kinds[strings.TrimPrefix(o.Group()+"/"+o.Kind(), "/")] = true
	}
	return slices.Sorted(maps.Keys(kinds))
}
