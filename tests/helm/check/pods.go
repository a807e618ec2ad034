package check

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/praesenz/parley/tests/helm/render"
)

// An Exception lets one part be other than the rule, and says why. Unused ones are
// reported by Unused, so that none outlives its reason.
type Exception struct {
	Component string // as in app.kubernetes.io/component; may end in * for several
	Rule      string // "read-only root", "probes", …
	Reason    string
}

// Exceptions are the parts that are other than the rule on purpose.
var Exceptions = []Exception{
	{"knowledge", "surge", "two that keep the same collections would undo each other's work; nobody waits for it"},
	{"avatar-*", "surge", "one renderer for each kiosk: a second one would take its place at the gateway before it is ready"},
	{"ollama", "surge", "two would hold the same models beside one another, for which a node may lack the memory"},
	{"speaches", "surge", "two would hold the same models beside one another, for which a node may lack the memory"},
	{"minio", "surge", "two servers on one volume would spoil it, and without a volume there is nothing to keep up"},
}

func (v *View) excepted(w render.Workload, rule string) bool {
	return slices.ContainsFunc(Exceptions, func(e Exception) bool {
		prefix, many := strings.CutSuffix(e.Component, "*")
		return e.Rule == rule && (e.Component == w.Component() || many && strings.HasPrefix(w.Component(), prefix))
	})
}

// security: every pod is what the "restricted" Pod Security Standard asks for, and
// reads nothing that it was not given.
func security(v *View) {
	bound := map[string]bool{} // service accounts with rights
	for _, o := range v.Objects {
		subjects, _ := o.At("subjects").([]any)
		for _, s := range subjects {
			if m, ok := s.(map[string]any); ok && m["kind"] == "ServiceAccount" {
				bound[fmt.Sprint(m["name"])] = true
			}
		}
	}
	for _, w := range v.workloads {
		spec := w.Pod.Spec
		pod := spec.SecurityContext
		if pod == nil {
			pod = &corev1.PodSecurityContext{}
		}
		rule := func(name string, kept bool, format string, args ...any) {
			if !kept && !v.excepted(w, name) {
				v.faultf(w, "%s: "+format, append([]any{name}, args...)...)
			}
		}
		rule("service links", spec.EnableServiceLinks != nil && !*spec.EnableServiceLinks,
			"say enableServiceLinks: false: Kubernetes would put a PARLEY_… variable for every Service into the environment, and parley refuses those it does not know")
		rule("no token", bound[spec.ServiceAccountName] || spec.AutomountServiceAccountToken != nil && !*spec.AutomountServiceAccountToken,
			"say automountServiceAccountToken: false, as nothing gives the pod rights")
		rule("no host", !spec.HostNetwork && !spec.HostPID && !spec.HostIPC, "must not share the host's network or processes")
		for _, volume := range spec.Volumes {
			rule("no host", volume.HostPath == nil, "volume %s is a folder of the host", volume.Name)
			rule("bounded", volume.EmptyDir == nil || volume.EmptyDir.SizeLimit != nil, "volume %s: give the emptyDir a sizeLimit", volume.Name)
		}
		for _, c := range w.Containers() {
			s := c.SecurityContext
			if s == nil {
				s = &corev1.SecurityContext{}
			}
			user := pod.RunAsUser
			if s.RunAsUser != nil {
				user = s.RunAsUser
			}
			nonRoot := isTrue(pod.RunAsNonRoot)
			if s.RunAsNonRoot != nil {
				nonRoot = *s.RunAsNonRoot
			}
			rule("non-root", nonRoot && (user == nil || *user != 0), "container %s may run as root: say runAsNonRoot: true", c.Name)
			seccomp := pod.SeccompProfile
			if s.SeccompProfile != nil {
				seccomp = s.SeccompProfile
			}
			rule("seccomp", seccomp != nil && seccomp.Type == corev1.SeccompProfileTypeRuntimeDefault, "container %s: say seccompProfile: {type: RuntimeDefault}", c.Name)
			rule("no escalation", s.AllowPrivilegeEscalation != nil && !*s.AllowPrivilegeEscalation && !isTrue(s.Privileged), "container %s: say allowPrivilegeEscalation: false", c.Name)
			rule("no capabilities", s.Capabilities != nil && slices.Contains(s.Capabilities.Drop, "ALL") && len(s.Capabilities.Add) == 0, "container %s: say capabilities: {drop: [ALL]}", c.Name)
			rule("read-only root", isTrue(s.ReadOnlyRootFilesystem), "container %s: say readOnlyRootFilesystem: true", c.Name)
		}
	}
}

// resources: the scheduler knows what every container needs.
func resources(v *View) {
	for _, w := range v.workloads {
		for _, c := range w.Containers() {
			for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				if c.Resources.Requests.Name(name, "").IsZero() {
					v.faultf(w, "container %s has no request for %s", c.Name, name)
				}
			}
			if c.Resources.Limits.Memory().IsZero() {
				v.faultf(w, "container %s has no limit for memory", c.Name)
			}
			for name, limit := range c.Resources.Limits {
				if request, ok := c.Resources.Requests[name]; ok && request.Cmp(limit) > 0 {
					v.faultf(w, "container %s asks for more %s (%s) than it may have (%s)", c.Name, name, request.String(), limit.String())
				}
			}
		}
	}
}

// probes: Kubernetes can tell whether what goes on serving does serve.
func probes(v *View) {
	for _, w := range v.workloads {
		if w.OneShot() || v.excepted(w, "probes") {
			continue
		}
		for _, c := range w.Pod.Spec.Containers {
			if len(c.Ports) == 0 && w.Component() != "" && strings.HasPrefix(w.Component(), "avatar") {
				continue // a renderer without a port has nothing to ask
			}
			if c.ReadinessProbe == nil {
				v.faultf(w, "container %s has no readiness probe", c.Name)
			}
			if c.LivenessProbe == nil {
				v.faultf(w, "container %s has no liveness probe", c.Name)
			}
		}
	}
	for _, p := range v.parts {
		if len(p.Command) > 0 && (p.Command[0] == "gateway" || p.Command[0] == "worker") {
			for _, want := range []struct {
				what, path string
				probe      *corev1.Probe
			}{{"readiness", "/ready", p.Container.ReadinessProbe}, {"liveness", "/health", p.Container.LivenessProbe}} {
				if want.probe != nil && (want.probe.HTTPGet == nil || want.probe.HTTPGet.Path != want.path) {
					v.faultf(p.Workload, "container %s: its %s probe must ask %s", p.Container.Name, want.what, want.path)
				}
			}
		}
	}
}

// rollout: an update neither stops conversations nor waits for a GPU that it holds
// itself.
func rollout(v *View) {
	for _, w := range v.workloads {
		d, ok := w.Typed.(*appsv1.Deployment)
		if !ok {
			continue
		}
		surge, unavailable := intstr.FromString("25%"), intstr.FromString("25%")
		if r := d.Spec.Strategy.RollingUpdate; r != nil {
			if r.MaxSurge != nil {
				surge = *r.MaxSurge
			}
			if r.MaxUnavailable != nil {
				unavailable = *r.MaxUnavailable
			}
		}
		recreate := d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType
		switch {
		case takesGPU(w):
			if !recreate && (surge.IntValue() != 0 || surge.Type == intstr.String) {
				v.faultf(w, "takes a GPU and has maxSurge %s: the new pod waits for ever where all GPUs are taken; say maxSurge: 0, maxUnavailable: 1", surge.String())
			}
		case v.exclusiveClaim(w):
			if !recreate && (surge.IntValue() != 0 || surge.Type == intstr.String) {
				v.faultf(w, "holds a ReadWriteOnce claim and has maxSurge %s: a new pod on another node waits for ever; say maxSurge: 0 or type: Recreate", surge.String())
			}
		case recreate || unavailable.IntValue() != 0 || unavailable.Type == intstr.String:
			if !v.excepted(w, "surge") {
				v.faultf(w, "an update takes a pod away before its successor is ready; say maxSurge: 1, maxUnavailable: 0")
			}
		}
	}
	for _, b := range render.Of[*policy.PodDisruptionBudget](v.Rendering) {
		for _, w := range v.workloads {
			if !matches(b.Spec.Selector, w.Pod.Labels) {
				continue
			}
			n := replicas(w)
			if m := b.Spec.MinAvailable; m != nil && v.scaled()[w.String()] == "" && (m.StrVal == "100%" || m.Type == intstr.Int && m.IntValue() >= n) {
				v.faultf("PodDisruptionBudget/"+b.Name, "minAvailable %s with %d pods: no node could ever be drained", m.String(), n)
			}
			if m := b.Spec.MaxUnavailable; m != nil && (m.String() == "0" || m.String() == "0%") {
				v.faultf("PodDisruptionBudget/"+b.Name, "maxUnavailable 0: no node could ever be drained")
			}
		}
	}
	for _, p := range v.parts {
		v.drains(p)
	}
}

// drains: a part that drains has the time that it needs for that.
func (v *View) drains(p Part) {
	if len(p.Command) == 0 || p.Command[0] != "gateway" && p.Command[0] != "worker" {
		return
	}
	grace := 30 * time.Second
	if g := p.Pod.Spec.TerminationGracePeriodSeconds; g != nil {
		grace = time.Duration(*g) * time.Second
	}
	var needs time.Duration
	if l := p.Container.Lifecycle; l != nil && l.PreStop != nil && l.PreStop.Sleep != nil {
		needs += time.Duration(l.PreStop.Sleep.Seconds) * time.Second
	}
	duration := func(key, standard string) time.Duration {
		text := p.text(key)
		if text == "" {
			text = standard
		}
		d, err := time.ParseDuration(text)
		if err != nil {
			v.faultf(p.Workload, "setting %s: %v", key, err)
		}
		return d
	}
	switch {
	case p.Command[0] == "gateway":
		if l := p.Container.Lifecycle; l == nil || l.PreStop == nil || l.PreStop.Sleep == nil || l.PreStop.Sleep.Seconds < 1 {
			v.faultf(p.Workload, "has no preStop sleep: kiosks would be sent to a pod that already refuses them")
		}
		needs += duration("drain", "30s")
	case p.text("deployment") != "" && (len(p.list("pools")) == 0 || slices.Contains(p.list("pools"), "conversation")):
		needs += duration("drain", "15m") + duration("stop_timeout", "10s")
	default:
		needs += duration("stop_timeout", "10s")
	}
	if needs >= grace {
		v.faultf(p.Workload, "terminationGracePeriodSeconds is %d, but it takes %s to drain (preStop, drain and stop): Kubernetes would kill it before", int(grace.Seconds()), needs)
	}
}

func takesGPU(w render.Workload) bool {
	return slices.ContainsFunc(w.Containers(), func(c corev1.Container) bool {
		for name := range c.Resources.Limits {
			if strings.Contains(string(name), "gpu") || strings.HasPrefix(string(name), "nvidia.com/") {
				return true
			}
		}
		return len(c.Resources.Claims) > 0
	})
}

// exclusiveClaim is whether a workload's pods mount a claim that one node has.
func (v *View) exclusiveClaim(w render.Workload) bool {
	return slices.ContainsFunc(w.Pod.Spec.Volumes, func(volume corev1.Volume) bool {
		if volume.PersistentVolumeClaim == nil {
			return false
		}
		for _, c := range render.Of[*corev1.PersistentVolumeClaim](v.Rendering) {
			if c.Name == volume.PersistentVolumeClaim.ClaimName {
				return slices.Contains(c.Spec.AccessModes, corev1.ReadWriteOnce) || slices.Contains(c.Spec.AccessModes, corev1.ReadWriteOncePod)
			}
		}
		return false // somebody else's, and nobody says
	})
}

func replicas(w render.Workload) int {
	switch n := w.At("spec", "replicas").(type) {
	case float64:
		return int(n)
	case int64:
		return int(n)
	}
	return 1
}

// images: what runs is known, and stays the same until somebody changes it.
func images(v *View) {
	for _, w := range v.workloads {
		for _, c := range w.Containers() {
			v.image(w, "container "+c.Name, c.Image)
			if c.ImagePullPolicy == "" {
				v.faultf(w, "container %s has no imagePullPolicy", c.Name)
			}
		}
		for _, volume := range w.Pod.Spec.Volumes {
			if i := volume.Image; i != nil {
				v.image(w, "volume "+volume.Name, i.Reference)
			}
		}
	}
}

var digest = regexp.MustCompile(`@sha256:[0-9a-f]{64}$`)

func (v *View) image(w render.Workload, what, image string) {
	name, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	switch {
	case strings.Contains(image, "@"):
		if !digest.MatchString(image) {
			v.faultf(w, "%s: image %q: a digest is sha256: and 64 hexadecimal digits", what, image)
		}
	case name == "" || strings.HasPrefix(image, "/") || strings.Contains(image, "//"):
		v.faultf(w, "%s: image %q is not complete", what, image)
	case tag == "":
		v.faultf(w, "%s: image %q has no tag", what, image)
	case tag == "latest":
		v.faultf(w, "%s: image %q: latest is another image tomorrow; name a version", what, image)
	}
}

var secretName = regexp.MustCompile(`(?i)(^|_)(key|keys|token|password|passwd|secret|credentials?)$`)

// secrets: no secret is in the environment or in a ConfigMap for all to read.
func secrets(v *View) {
	for _, w := range v.workloads {
		for _, c := range w.Containers() {
			for _, e := range c.Env {
				if !secretName.MatchString(e.Name) {
					continue
				}
				if e.Value != "" {
					v.faultf(w, "container %s: %s is a secret in plain sight; take it from a Secret", c.Name, e.Name)
				}
				if e.ValueFrom != nil && strings.HasPrefix(e.Name, "PARLEY_") && !v.excepted(w, "secret in environment") {
					v.faultf(w, "container %s: %s is in the environment, which crash reports and child processes carry; mount the Secret and set %s_FILE", c.Name, e.Name, e.Name)
				}
			}
		}
	}
	for _, p := range v.parts {
		for _, key := range p.settings() {
			if !secretName.MatchString(key) || strings.HasPrefix(p.text(key), "/") {
				continue // or the path of a file, such as a certificate's key
			}
			if _, ok := p.File[key]; ok {
				v.faultf("ConfigMap/"+p.FileName, "%s is a secret: put it into the Secret and set %s_file", key, key)
			}
			if _, ok := p.Flags[key]; ok {
				v.faultf(p.Workload, "--%s is a secret: put it into the Secret and set %s_file", strings.ReplaceAll(key, "_", "-"), key)
			}
		}
		v.secretFiles(p)
	}
}

// secretFiles: each …_file setting names a file that is mounted into the container.
func (v *View) secretFiles(p Part) {
	for _, key := range p.settings() {
		if !strings.HasSuffix(key, "_file") {
			continue
		}
		file := p.text(key)
		if file == "" {
			continue
		}
		mounted := false
		for _, m := range p.Container.VolumeMounts {
			below, ok := strings.CutPrefix(file, strings.TrimSuffix(m.MountPath, "/")+"/")
			if m.SubPath != "" && file == m.MountPath {
				below, ok = m.SubPath, true
			}
			if !ok {
				continue
			}
			for _, volume := range p.Pod.Spec.Volumes {
				if volume.Name == m.Name && v.shows(volume, below) {
					mounted = true
				}
			}
		}
		if !mounted {
			v.faultf(p.Workload, "container %s: %s is %s, which no volume shows", p.Container.Name, key, file)
		}
	}
}

// shows is whether a volume has a file: as far as one can tell where others fill
// the Secret.
func (v *View) shows(volume corev1.Volume, file string) bool {
	if len(configSources(volume)) > 0 && len(secretSources(volume)) == 0 {
		return false // secrets are in Secrets
	}
	for _, s := range secretSources(volume) {
		if len(s.items) > 0 {
			if slices.ContainsFunc(s.items, func(i corev1.KeyToPath) bool { return i.Path == file }) {
				return true
			}
			continue
		}
		o, rendered := v.byName["Secret/"+s.name]
		if !rendered {
			keys := v.promised("Secret", s.name)
			if keys == nil {
				return true
			}
			if _, ok := keys[file]; ok {
				return true
			}
			continue
		}
		for _, field := range []string{"data", "stringData"} {
			if m, ok := o.At(field).(map[string]any); ok {
				if _, ok := m[file]; ok {
					return true
				}
			}
		}
	}
	return false
}

// scrapedPorts are the container ports that Prometheus scrapes, by workload.
func (v *View) scrapedPorts() map[string][]corev1.ContainerPort {
	found := map[string][]corev1.ContainerPort{}
	for _, m := range render.Of[*monitoring.ServiceMonitor](v.Rendering) {
		for _, s := range v.servicesOf(m) {
			for _, e := range v.endsWithin() {
				if len(s.Spec.Selector) == 0 || !matchesLabels(s.Spec.Selector, e.labels) {
					continue
				}
				for _, p := range s.Spec.Ports {
					if slices.ContainsFunc(m.Spec.Endpoints, func(x monitoring.Endpoint) bool { return x.Port == p.Name }) {
						found[e.name] = append(found[e.name], e.ports(targetPort(p))...)
					}
				}
			}
		}
	}
	return found
}
