package check

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/praesenz/parley/tests/helm/render"
)

// standard are the labels that every object has.
var standard = []string{
	"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/version",
	"app.kubernetes.io/managed-by", "app.kubernetes.io/part-of", "helm.sh/chart",
}

// names: every object can be told apart, is of this release and in its namespace,
// and has a name that DNS takes.
func names(v *View) {
	seen := map[string]render.Object{}
	for _, o := range v.Objects {
		if o.Source == "extraobjects.yaml" {
			continue // what somebody else wrote
		}
		if first, ok := seen[o.Group()+o.String()]; ok {
			v.faultf(o, "is rendered twice: by %s and by %s", first.Source, o.Source)
		}
		seen[o.Group()+o.String()] = o
		isName, what := validation.IsDNS1123Label, "label"
		if o.Typed == nil {
			isName, what = validation.IsDNS1123Subdomain, "name" // an operator's, which makes of it what it needs
		}
		if faults := isName(o.Name()); len(faults) > 0 {
			v.faultf(o, "its name is no DNS "+what+" (%s): shorten it or take out other characters", strings.Join(faults, "; "))
		}
		if ns := o.Text("metadata", "namespace"); ns != "" && ns != v.Namespace {
			v.faultf(o, "is in namespace %q, not in the release's %q: leave the namespace to `helm --namespace`", ns, v.Namespace)
		}
		for _, label := range standard {
			if o.Labels()[label] == "" {
				v.faultf(o, "lacks the label %s: include parley.labels", label)
			}
		}
		for key, value := range o.Labels() {
			if faults := validation.IsValidLabelValue(value); len(faults) > 0 {
				v.faultf(o, "label %s=%q: %s", key, value, strings.Join(faults, "; "))
			}
		}
	}
	for _, w := range v.workloads {
		for _, label := range append(standard[:2:2], "app.kubernetes.io/component") {
			if w.Pod.Labels[label] == "" && w.Source != "extraobjects.yaml" {
				v.faultf(w, "its pods lack the label %s: include parley.labels in the pod template", label)
			}
		}
	}
}

// selectors: what is selected is there, and is what was meant.
func selectors(v *View) {
	for _, w := range v.workloads {
		s := selectorOf(w)
		if s == nil {
			continue
		}
		if !matches(s, w.Pod.Labels) {
			v.faultf(w, "its selector %s does not match its own pods' labels", metav1.FormatLabelSelector(s))
		}
		for _, other := range v.workloads {
			if other.String() != w.String() && matches(s, other.Pod.Labels) {
				v.faultf(w, "its selector %s matches the pods of %s too: both would fight over them", metav1.FormatLabelSelector(s), other)
			}
		}
	}
	for _, s := range render.Of[*corev1.Service](v.Rendering) {
		if len(s.Spec.Selector) == 0 {
			if s.Spec.Type != corev1.ServiceTypeExternalName {
				v.faultf("Service/"+s.Name, "has no selector, so it leads nowhere")
			}
			continue
		}
		v.oneComponent("Service/"+s.Name, &metav1.LabelSelector{MatchLabels: s.Spec.Selector})
	}
	for _, b := range render.Of[*policy.PodDisruptionBudget](v.Rendering) {
		v.oneComponent("PodDisruptionBudget/"+b.Name, b.Spec.Selector)
	}
	for _, n := range render.Of[*networking.NetworkPolicy](v.Rendering) {
		if !matchesAny(&n.Spec.PodSelector, v.endsWithin()) {
			v.faultf("NetworkPolicy/"+n.Name, "selects no pod of this rendering (%s): leave the policy out when its part is off", metav1.FormatLabelSelector(&n.Spec.PodSelector))
		}
	}
	for _, m := range render.Of[*monitoring.ServiceMonitor](v.Rendering) {
		if len(v.servicesOf(m)) == 0 {
			v.faultf("ServiceMonitor/"+m.Name, "selects no Service of this rendering (%s)", metav1.FormatLabelSelector(&m.Spec.Selector))
		}
		if len(m.Spec.NamespaceSelector.MatchNames) > 0 && !slices.Contains(m.Spec.NamespaceSelector.MatchNames, v.Namespace) || m.Spec.NamespaceSelector.Any {
			v.faultf("ServiceMonitor/"+m.Name, "must look in the release's own namespace, and there only")
		}
	}
}

func selectorOf(w render.Workload) *metav1.LabelSelector {
	switch o := w.Typed.(type) {
	case *appsv1.Deployment:
		return o.Spec.Selector
	case *appsv1.StatefulSet:
		return o.Spec.Selector
	case *appsv1.DaemonSet:
		return o.Spec.Selector
	}
	return nil
}

// oneComponent expects that a selector matches the pods of one workload: of more
// only where they are the same component, as two runs of a Job are.
func (v *View) oneComponent(object string, s *metav1.LabelSelector) {
	found := map[string][]string{}
	for _, e := range v.endsWithin() {
		if matches(s, e.labels) {
			found[e.labels["app.kubernetes.io/component"]] = append(found[e.labels["app.kubernetes.io/component"]], e.name)
		}
	}
	switch len(found) {
	case 0:
		v.faultf(object, "its selector %s matches no pods", metav1.FormatLabelSelector(s))
	case 1:
	default:
		v.faultf(object, "its selector %s matches pods of different parts: %s", metav1.FormatLabelSelector(s),
			strings.Join(slices.Sorted(maps.Keys(found)), ", "))
	}
}

func matches(s *metav1.LabelSelector, set map[string]string) bool {
	if s == nil {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(labels.Set(set))
}

func matchesAny(s *metav1.LabelSelector, ends []end) bool {
	return slices.ContainsFunc(ends, func(e end) bool { return matches(s, e.labels) })
}

// servicesOf are the Services that a ServiceMonitor looks at.
func (v *View) servicesOf(m *monitoring.ServiceMonitor) []*corev1.Service {
	var found []*corev1.Service
	for _, s := range render.Of[*corev1.Service](v.Rendering) {
		if matches(&m.Spec.Selector, s.Labels) {
			found = append(found, s)
		}
	}
	return found
}

// ports: who names a port names one that is there.
func ports(v *View) {
	for _, w := range v.workloads {
		seen := map[string]string{}
		for _, c := range w.Containers() {
			for _, p := range c.Ports {
				if other, ok := seen[p.Name]; ok && p.Name != "" {
					v.faultf(w, "port %q is in the containers %s and %s", p.Name, other, c.Name)
				}
				seen[p.Name] = c.Name
			}
			for what, h := range handlers(c) {
				for _, port := range handlerPorts(h) {
					if !hasPort(c, port) {
						v.faultf(w, "container %s: its %s asks port %s, which the container does not list", c.Name, what, port.String())
					}
				}
			}
		}
	}
	for _, s := range render.Of[*corev1.Service](v.Rendering) {
		for _, e := range v.endsWithin() {
			if e.workload == nil || !matches(&metav1.LabelSelector{MatchLabels: s.Spec.Selector}, e.labels) || len(s.Spec.Selector) == 0 {
				continue
			}
			for _, p := range s.Spec.Ports {
				target := targetPort(p)
				if len(e.ports(target)) == 0 {
					v.faultf("Service/"+s.Name, "port %s leads to %s, which no container of %s lists", p.Name, target.String(), e.name)
				}
			}
		}
	}
	for _, m := range render.Of[*monitoring.ServiceMonitor](v.Rendering) {
		for _, s := range v.servicesOf(m) {
			for _, e := range m.Spec.Endpoints {
				if !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == e.Port }) {
					v.faultf("ServiceMonitor/"+m.Name, "scrapes port %q, which Service/%s does not have", e.Port, s.Name)
				}
			}
		}
	}
	for _, in := range render.Of[*networking.Ingress](v.Rendering) {
		for _, rule := range in.Spec.Rules {
			if rule.HTTP == nil {
				continue
			}
			for _, p := range rule.HTTP.Paths {
				if b := p.Backend.Service; b != nil {
					v.needService("Ingress/"+in.Name, b.Name, intstr.IntOrString{Type: intstr.Type(bit(b.Port.Name != "")), IntVal: b.Port.Number, StrVal: b.Port.Name})
				}
			}
		}
	}
	for _, route := range render.Of[*gateway.HTTPRoute](v.Rendering) {
		for _, rule := range route.Spec.Rules {
			for _, b := range rule.BackendRefs {
				if b.Port == nil {
					v.faultf("HTTPRoute/"+route.Name, "backend %s: name its port", b.Name)
					continue
				}
				v.needService("HTTPRoute/"+route.Name, string(b.Name), intstr.FromInt32(int32(*b.Port)))
			}
		}
	}
	for _, o := range v.Objects {
		switch o.Kind() {
		case "VirtualService":
			var routes []struct {
				Route []struct {
					Destination struct {
						Host string
						Port struct{ Number int32 }
					}
				}
			}
			if err := o.Into(&routes, "spec", "http"); err != nil {
				v.faultf(o, "%v", err)
			}
			for _, r := range routes {
				for _, d := range r.Route {
					v.needService(o.String(), v.serviceNamed(d.Destination.Host), intstr.FromInt32(d.Destination.Port.Number))
				}
			}
		case "DestinationRule":
			if host := o.Text("spec", "host"); v.service(v.serviceNamed(host)) == nil {
				v.faultf(o, "its host %s is no Service of this rendering", host)
			}
		}
	}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (v *View) needService(object, name string, port intstr.IntOrString) {
	s := v.service(name)
	if s == nil {
		v.faultf(object, "leads to Service %q, which is not rendered", name)
		return
	}
	for _, p := range s.Spec.Ports {
		if port.StrVal != "" && p.Name == port.StrVal || port.StrVal == "" && p.Port == port.IntVal {
			return
		}
	}
	v.faultf(object, "leads to port %s of Service/%s, which it does not have", port.String(), name)
}

func (v *View) service(name string) *corev1.Service {
	for _, s := range render.Of[*corev1.Service](v.Rendering) {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// serviceNamed gives the Service's name of a host of the release's namespace, or
// nothing for another host.
func (v *View) serviceNamed(host string) string {
	name, rest, _ := strings.Cut(host, ".")
	if rest == "" || rest == v.Namespace || strings.HasPrefix(rest, v.Namespace+".svc") {
		return name
	}
	return ""
}

func targetPort(p corev1.ServicePort) intstr.IntOrString {
	if p.TargetPort.String() == "0" {
		return intstr.FromInt32(p.Port)
	}
	return p.TargetPort
}

func hasPort(c corev1.Container, port intstr.IntOrString) bool {
	return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool {
		return port.Type == intstr.String && p.Name == port.StrVal || port.Type == intstr.Int && p.ContainerPort == port.IntVal
	})
}

// handlers are a container's probes and hooks, by what people call them.
func handlers(c corev1.Container) map[string]corev1.ProbeHandler {
	found := map[string]corev1.ProbeHandler{}
	for what, p := range map[string]*corev1.Probe{"liveness probe": c.LivenessProbe, "readiness probe": c.ReadinessProbe, "startup probe": c.StartupProbe} {
		if p != nil {
			found[what] = p.ProbeHandler
		}
	}
	if c.Lifecycle != nil && c.Lifecycle.PreStop != nil {
		found["preStop hook"] = corev1.ProbeHandler{HTTPGet: c.Lifecycle.PreStop.HTTPGet}
	}
	return found
}

func handlerPorts(h corev1.ProbeHandler) []intstr.IntOrString {
	switch {
	case h.HTTPGet != nil:
		return []intstr.IntOrString{h.HTTPGet.Port}
	case h.TCPSocket != nil:
		return []intstr.IntOrString{h.TCPSocket.Port}
	case h.GRPC != nil:
		return []intstr.IntOrString{intstr.FromInt32(h.GRPC.Port)}
	}
	return nil
}

// references: what a pod refers to is in the rendering, or the values say that it
// is there already.
func references(v *View) {
	known := v.external()
	for _, w := range v.workloads {
		spec := w.Pod.Spec
		for _, volume := range spec.Volumes {
			for _, s := range configSources(volume) {
				v.needKeys(w, "ConfigMap", s, known)
			}
			for _, s := range secretSources(volume) {
				v.needKeys(w, "Secret", s, known)
			}
			if c := volume.PersistentVolumeClaim; c != nil {
				if _, ok := v.byName["PersistentVolumeClaim/"+c.ClaimName]; !ok && !known["PersistentVolumeClaim/"+c.ClaimName] {
					v.faultf(w, "volume %s: claim %q is neither rendered nor named by an existingClaim in the values", volume.Name, c.ClaimName)
				}
			}
		}
		for _, c := range w.Containers() {
			v.containerReferences(w, c, known)
		}
		for _, s := range spec.ImagePullSecrets {
			if !known["Secret/"+s.Name] {
				v.faultf(w, "image pull secret %q is not among global.imagePullSecrets", s.Name)
			}
		}
		if a := spec.ServiceAccountName; a == "" {
			if spec.AutomountServiceAccountToken != nil && !*spec.AutomountServiceAccountToken {
				continue // whoever it is, it cannot say so
			}
			v.faultf(w, "names no service account, so it runs as the namespace's default: say parley.serviceAccountName")
		} else if _, ok := v.byName["ServiceAccount/"+a]; !ok && !known["ServiceAccount/"+a] {
			v.faultf(w, "service account %q is neither rendered nor serviceAccount.name of the values", a)
		}
	}
	for _, o := range v.Objects {
		if o.Kind() != "RoleBinding" {
			continue
		}
		if _, ok := v.byName[o.Text("roleRef", "kind")+"/"+o.Text("roleRef", "name")]; !ok {
			v.faultf(o, "binds %s %q, which is not rendered", o.Text("roleRef", "kind"), o.Text("roleRef", "name"))
		}
	}
}

func (v *View) containerReferences(w render.Workload, c corev1.Container, known map[string]bool) {
	for _, e := range c.Env {
		if e.ValueFrom == nil {
			continue
		}
		if r := e.ValueFrom.ConfigMapKeyRef; r != nil {
			v.needKeys(w, "ConfigMap", source{r.Name, []corev1.KeyToPath{{Key: r.Key}}, isTrue(r.Optional)}, known)
		}
		if r := e.ValueFrom.SecretKeyRef; r != nil {
			v.needKeys(w, "Secret", source{r.Name, []corev1.KeyToPath{{Key: r.Key}}, isTrue(r.Optional)}, known)
		}
	}
	for _, e := range c.EnvFrom {
		if r := e.ConfigMapRef; r != nil {
			v.needKeys(w, "ConfigMap", source{name: r.Name, optional: isTrue(r.Optional)}, known)
		}
		if r := e.SecretRef; r != nil {
			v.needKeys(w, "Secret", source{name: r.Name, optional: isTrue(r.Optional)}, known)
		}
	}
	for _, m := range c.VolumeMounts {
		if !slices.ContainsFunc(w.Pod.Spec.Volumes, func(x corev1.Volume) bool { return x.Name == m.Name }) && !v.claimTemplate(w, m.Name) {
			v.faultf(w, "container %s mounts volume %q, which the pod does not have", c.Name, m.Name)
		}
	}
}

func (v *View) claimTemplate(w render.Workload, name string) bool {
	s, ok := w.Typed.(*appsv1.StatefulSet)
	return ok && slices.ContainsFunc(s.Spec.VolumeClaimTemplates, func(c corev1.PersistentVolumeClaim) bool { return c.Name == name })
}

// needKeys expects that an object with these keys is there.
func (v *View) needKeys(w render.Workload, kind string, s source, known map[string]bool) {
	if s.optional {
		return
	}
	o, rendered := v.byName[kind+"/"+s.name]
	if !rendered && !known[kind+"/"+s.name] {
		v.faultf(w, "%s %q is neither rendered nor named by an existing… setting of the values", kind, s.name)
		return
	}
	var keys map[string]any
	if rendered {
		keys = map[string]any{}
		for _, field := range []string{"data", "stringData", "binaryData"} {
			if m, ok := o.At(field).(map[string]any); ok {
				maps.Copy(keys, m)
			}
		}
	} else if keys = v.promised(kind, s.name); keys == nil {
		return // somebody else's, and nobody says what is in it
	}
	for _, item := range s.items {
		if _, ok := keys[item.Key]; !ok {
			v.faultf(w, "%s %q has no key %q (it has %s)", kind, s.name, item.Key, strings.Join(slices.Sorted(maps.Keys(keys)), ", "))
		}
	}
}

// promised are the keys that a Secret which others fill will have: by secrets.keys
// of the values, or by an ExternalSecret. Nil where nobody says.
func (v *View) promised(kind, name string) map[string]any {
	if kind != "Secret" {
		return nil
	}
	for _, o := range v.Objects {
		if o.Kind() == "ExternalSecret" && o.Text("spec", "target", "name") == name {
			keys := map[string]any{}
			data, _ := o.At("spec", "data").([]any)
			for _, d := range data {
				if m, ok := d.(map[string]any); ok {
					keys[fmt.Sprint(m["secretKey"])] = true
				}
			}
			if len(keys) > 0 {
				return keys
			}
		}
	}
	own, _ := v.Values["secrets"].(map[string]any)
	if own["existingSecret"] != name {
		return nil
	}
	keys := map[string]any{}
	list, _ := own["keys"].([]any)
	for _, k := range list {
		keys[fmt.Sprint(k)] = true
	}
	return keys
}

var existing = regexp.MustCompile(`^existing(Secret|Claim|ConfigMap)$`)

// external are the objects that the values say are there: KIND/NAME.
func (v *View) external() map[string]bool {
	known := map[string]bool{}
	var walk func(value any)
	walk = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			for k, e := range value {
				if m := existing.FindStringSubmatch(k); m != nil {
					kind := map[string]string{"Secret": "Secret", "Claim": "PersistentVolumeClaim", "ConfigMap": "ConfigMap"}[m[1]]
					known[fmt.Sprintf("%s/%v", kind, e)] = true
					continue
				}
				if k == "imagePullSecrets" {
					list, _ := e.([]any)
					for _, s := range list {
						if s, ok := s.(map[string]any); ok {
							known[fmt.Sprintf("Secret/%v", s["name"])] = true
						}
					}
				}
				walk(e)
			}
		case []any:
			for _, e := range value {
				walk(e)
			}
		}
	}
	walk(asTree(v.Values))
	if account, ok := v.Values["serviceAccount"].(map[string]any); ok {
		known[fmt.Sprintf("ServiceAccount/%v", account["name"])] = true
	}
	for _, o := range v.Objects {
		switch o.Kind() {
		case "ExternalSecret":
			known["Secret/"+o.Text("spec", "target", "name")] = true
		case "Cluster": // CloudNativePG makes its users' Secrets
			known["Secret/"+o.Name()+"-app"], known["Secret/"+o.Name()+"-superuser"] = true, true
		}
	}
	return known
}

func asTree(values map[string]any) any { return values }

// Immutable holds two renderings of one release against each other: what the API server lets nobody change must be the same, so that an upgrade from the one to the
// other goes through.
func Immutable(before, after *render.Rendering) []Fault {
	v := &View{check: "upgrade"}
	old := map[string]render.Object{}
	for _, o := range before.Objects {
		old[o.Group()+o.String()] = o
	}
	for _, o := range after.Objects {
		was, ok := old[o.Group()+o.String()]
		if !ok {
			continue
		}
		for _, field := range immutableFields(o) {
			path := strings.Split(field, ".")
			if a, b := fmt.Sprint(was.At(path...)), fmt.Sprint(o.At(path...)); a != b {
				v.faultf(o, "%s changes from %s to %s, which the API server refuses", field, a, b)
			}
		}
	}
	return v.faults
}

func immutableFields(o render.Object) []string {
	switch o.Kind() {
	case "Deployment", "DaemonSet":
		return []string{"spec.selector"}
	case "StatefulSet":
		return []string{"spec.selector", "spec.serviceName", "spec.podManagementPolicy"}
	case "Job":
		return []string{"spec.selector", "spec.template", "spec.completions", "spec.completionMode"}
	case "Service":
		return []string{"spec.clusterIP"}
	case "PersistentVolumeClaim":
		return []string{"spec.accessModes", "spec.volumeName"} // its class and size are a store's own
	case "RoleBinding":
		return []string{"roleRef"}
	}
	return nil
}

// scaled are the workloads that an autoscaler has: KIND/NAME, and who.
func (v *View) scaled() map[string]string {
	by := map[string]string{}
	for _, h := range render.Of[*autoscaling.HorizontalPodAutoscaler](v.Rendering) {
		by[h.Spec.ScaleTargetRef.Kind+"/"+h.Spec.ScaleTargetRef.Name] = "HorizontalPodAutoscaler/" + h.Name
	}
	for _, o := range v.Objects {
		if o.Kind() == "ScaledObject" {
			kind := o.Text("spec", "scaleTargetRef", "kind")
			if kind == "" {
				kind = "Deployment"
			}
			by[kind+"/"+o.Text("spec", "scaleTargetRef", "name")] = o.String()
		}
	}
	return by
}

// scaling: an autoscaler has a target, and nobody else says how many there are.
func scaling(v *View) {
	by := v.scaled()
	for _, target := range slices.Sorted(maps.Keys(by)) {
		o, ok := v.byName[target]
		if !ok {
			v.faultf(by[target], "scales %s, which is not rendered", target)
			continue
		}
		if o.At("spec", "replicas") != nil {
			v.faultf(target, "has replicas and %s too: each upgrade would undo the scaling; leave replicas out", by[target])
		}
	}
	for _, w := range v.workloads {
		if (w.Kind() == "Deployment" || w.Kind() == "StatefulSet") && w.At("spec", "replicas") == nil && by[w.String()] == "" && w.Source != "extraobjects.yaml" {
			v.faultf(w, "has neither replicas nor an autoscaler")
		}
	}
}
