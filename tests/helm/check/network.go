package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/praesenz/parley/tests/helm/render"
)

// An end is one end of a connection: pods of this rendering, those that an
// operator makes from it, pods of another namespace, or an address elsewhere.
type end struct {
	name      string
	labels    map[string]string // nil: nobody here knows
	namespace map[string]string // labels of its namespace; empty: any; nil: outside the cluster
	address   netip.Addr        // outside the cluster, where it is known
	workload  *render.Workload  // nil for what this rendering does not hold
	made      []corev1.ContainerPort
}

func (e end) inRelease() bool { return e.workload != nil || e.made != nil }

// ports gives the container ports that a port's name or number means.
func (e end) ports(port intstr.IntOrString) []corev1.ContainerPort {
	var found []corev1.ContainerPort
	for _, p := range e.allPorts() {
		if port.Type == intstr.String && p.Name == port.StrVal || port.Type == intstr.Int && p.ContainerPort == port.IntVal {
			found = append(found, p)
		}
	}
	return found
}

func (e end) allPorts() []corev1.ContainerPort {
	if e.workload == nil {
		return e.made
	}
	var all []corev1.ContainerPort
	for _, c := range e.workload.Containers() {
		all = append(all, c.Ports...)
	}
	return all
}

// endsWithin are the pods of this rendering, and those that operators make of its
// objects with the labels and ports that they are documented to have.
func (v *View) endsWithin() []end {
	own := map[string]string{corev1.LabelMetadataName: v.Namespace}
	var ends []end
	for i := range v.workloads {
		w := &v.workloads[i]
		ends = append(ends, end{name: w.String(), labels: w.Pod.Labels, namespace: own, workload: w})
	}
	for _, o := range v.Objects {
		made := maps.Clone(o.Labels())
		switch o.Kind() {
		case "Cluster": // CloudNativePG
			made["cnpg.io/cluster"], made["cnpg.io/podRole"] = o.Name(), "instance"
			ends = append(ends, end{name: o.String(), labels: made, namespace: own, made: []corev1.ContainerPort{
				{Name: "postgresql", ContainerPort: 5432}, {Name: "status", ContainerPort: 8000}, {Name: "metrics", ContainerPort: 9187}}})
		case "InferenceService": // KServe
			made["serving.kserve.io/inferenceservice"], made["component"] = o.Name(), "predictor"
			ends = append(ends, end{name: o.String(), labels: made, namespace: own, made: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}})
		}
	}
	return ends
}

// A need is a connection that the configuration makes necessary.
type need struct {
	from, to end
	port     corev1.ContainerPort
	why      string
	optional bool // may be allowed, and nothing breaks where it is not
}

// network: with NetworkPolicies, everything that the configuration names can be
// reached, from both ends, and nothing else can.
func network(v *View) {
	var policies []ruleSet
	for _, p := range render.Of[*networking.NetworkPolicy](v.Rendering) {
		policies = append(policies, ruleSet{p, grants(p)})
	}
	if len(policies) == 0 {
		return
	}
	used := map[string]bool{} // of each policy, the pairs of peer and port that a need uses
	ends := v.endsWithin()
	for _, e := range ends {
		for _, direction := range []networking.PolicyType{networking.PolicyTypeIngress, networking.PolicyTypeEgress} {
			if !isolated(policies, e, direction) {
				v.faultf(e.name, "no NetworkPolicy isolates it for %s: the default must be to deny", direction)
			}
		}
	}
	needs := v.needs(ends)
	for _, n := range needs {
		if n.from.inRelease() {
			ids := allowed(policies, networking.PolicyTypeEgress, n.from, n.to, n.port)
			if len(ids) == 0 && !n.optional {
				v.faultf(n.from.name, "may not reach %s port %d (%s): a NetworkPolicy must let it out", n.to.name, n.port.ContainerPort, n.why)
			}
			for _, id := range ids {
				used[id] = true
			}
		}
		if n.to.inRelease() {
			ids := allowed(policies, networking.PolicyTypeIngress, n.to, n.from, n.port)
			if len(ids) == 0 && !n.optional {
				v.faultf(n.to.name, "may not be reached by %s at port %d (%s): a NetworkPolicy must let it in", n.from.name, n.port.ContainerPort, n.why)
			}
			for _, id := range ids {
				used[id] = true
			}
		}
	}
	v.videoPasses(policies, ends)
	v.nobodyNeeds(policies, ends, needs, used)
}

// video is what a kiosk and its avatar exchange, at ports that they agree on.
var video = corev1.ContainerPort{ContainerPort: 50000, Protocol: corev1.ProtocolUDP}

// videoPasses expects that an avatar and its kiosk can exchange video: one of them
// must be able to begin.
func (v *View) videoPasses(policies []ruleSet, ends []end) {
	for _, e := range ends {
		if !strings.HasPrefix(e.labels["app.kubernetes.io/component"], "avatar-") {
			continue
		}
		if len(allowed(policies, networking.PolicyTypeEgress, e, kiosks, video)) == 0 &&
			len(allowed(policies, networking.PolicyTypeIngress, e, kiosks, video)) == 0 {
			v.faultf(e.name, "no kiosk sees it: neither may it send video (UDP) to the kiosks' network, nor they to it; say networkPolicy.kioskCIDRs")
		}
	}
}

// kiosks are outside the cluster, and nobody here knows where.
var kiosks = end{name: "kiosks"}

// nobodyNeeds reports what the policies allow beyond the needs.
func (v *View) nobodyNeeds(policies []ruleSet, ends []end, needs []need, used map[string]bool) {
	for _, from := range ends {
		for _, to := range ends {
			for _, port := range to.allPorts() {
				if len(allowed(policies, networking.PolicyTypeEgress, from, to, port)) == 0 ||
					len(allowed(policies, networking.PolicyTypeIngress, to, from, port)) == 0 {
					continue
				}
				if !slices.ContainsFunc(needs, func(n need) bool {
					return n.from.name == from.name && n.to.name == to.name && n.port.ContainerPort == port.ContainerPort
				}) {
					v.faultf(from.name, "may reach %s port %d, which it has no need of: take the edge out of the NetworkPolicies, or tell the configuration that needs it", to.name, port.ContainerPort)
				}
			}
		}
	}
	for _, p := range policies {
		for id, what := range p.grants {
			if !used[id] && !v.asked(what) {
				v.faultf("NetworkPolicy/"+p.Name, "%s: nobody needs it", what.text)
			}
		}
	}
}

// asked is whether somebody asks for a grant in so many words: networkPolicy.egress
// and networkPolicy.clients of the values.
func (v *View) asked(g grant) bool {
	n, _ := v.Values["networkPolicy"].(map[string]any)
	if g.egress {
		extra, _ := n["egress"].([]any)
		return slices.ContainsFunc(extra, func(e any) bool {
			m, _ := e.(map[string]any)
			return m != nil && (g.port == nil || g.port.Port == nil || fmt.Sprint(m["port"]) == g.port.Port.String())
		})
	}
	clients, _ := n["clients"].(map[string]any)
	for _, c := range clients {
		peers, _ := c.([]any)
		for _, p := range peers {
			var peer networking.NetworkPolicyPeer
			text, err := json.Marshal(p)
			if err == nil && json.Unmarshal(text, &peer) == nil && g.peer != nil && reflect.DeepEqual(peer, *g.peer) {
				return true
			}
		}
	}
	return false
}

// A ruleSet is a NetworkPolicy and what it grants, by an id for each grant.
type ruleSet struct {
	*networking.NetworkPolicy
	grants map[string]grant
}

// A grant is one pair of a peer and a port in a policy's rule.
type grant struct {
	text   string
	egress bool
	peer   *networking.NetworkPolicyPeer // nil: everybody
	port   *networking.NetworkPolicyPort // nil: every port
}

// grants are all the pairs of a policy, by an id of their own.
func grants(p *networking.NetworkPolicy) map[string]grant {
	all := map[string]grant{}
	add := func(direction string, i int, peers []networking.NetworkPolicyPeer, ports []networking.NetworkPolicyPort) {
		for j := range max(1, len(peers)) {
			for k := range max(1, len(ports)) {
				g := grant{egress: direction == "egress"}
				text := fmt.Sprintf("%s rule %d", direction, i+1)
				if len(peers) > 0 {
					g.peer = &peers[j]
					text += ", " + peerText(peers[j])
				}
				if len(ports) > 0 {
					g.port = &ports[k]
					text += fmt.Sprintf(", %s %s", protocolOf(ports[k].Protocol), portText(ports[k].Port))
				}
				g.text = text
				all[fmt.Sprintf("%s/%s/%d/%d/%d", p.Name, direction, i, j, k)] = g
			}
		}
	}
	for i, r := range p.Spec.Ingress {
		add("ingress", i, r.From, r.Ports)
	}
	for i, r := range p.Spec.Egress {
		add("egress", i, r.To, r.Ports)
	}
	return all
}

func peerText(p networking.NetworkPolicyPeer) string {
	switch {
	case p.IPBlock != nil:
		return p.IPBlock.CIDR
	case p.NamespaceSelector != nil && p.PodSelector != nil:
		return fmt.Sprintf("pods %s of namespaces %s", metav1.FormatLabelSelector(p.PodSelector), metav1.FormatLabelSelector(p.NamespaceSelector))
	case p.NamespaceSelector != nil:
		return "namespaces " + metav1.FormatLabelSelector(p.NamespaceSelector)
	}
	return "pods " + metav1.FormatLabelSelector(p.PodSelector)
}

func portText(p *intstr.IntOrString) string {
	if p == nil {
		return "every port"
	}
	return "port " + p.String()
}

func isolated(policies []ruleSet, e end, direction networking.PolicyType) bool {
	return slices.ContainsFunc(policies, func(p ruleSet) bool {
		return slices.Contains(directions(p.NetworkPolicy), direction) && matches(&p.Spec.PodSelector, e.labels)
	})
}

// directions are the policy's types, with Kubernetes' rule for those unsaid.
func directions(p *networking.NetworkPolicy) []networking.PolicyType {
	if len(p.Spec.PolicyTypes) > 0 {
		return p.Spec.PolicyTypes
	}
	d := []networking.PolicyType{networking.PolicyTypeIngress}
	if len(p.Spec.Egress) > 0 {
		d = append(d, networking.PolicyTypeEgress)
	}
	return d
}

// allowed gives the ids of the grants by which self may connect to other, or be
// connected to by it, at a port.
func allowed(policies []ruleSet, direction networking.PolicyType, self, other end, port corev1.ContainerPort) []string {
	if !isolated(policies, self, direction) {
		return []string{"not isolated"}
	}
	var ids []string
	for _, p := range policies {
		if !slices.Contains(directions(p.NetworkPolicy), direction) || !matches(&p.Spec.PodSelector, self.labels) {
			continue
		}
		for id, g := range p.grants {
			if g.egress == (direction == networking.PolicyTypeEgress) && g.toPort(port) && g.toPeer(other) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

func (g grant) toPeer(other end) bool {
	switch p := g.peer; {
	case p == nil:
		return true
	case p.IPBlock != nil:
		if other.namespace != nil {
			return false // pods have no fixed address
		}
		if !other.address.IsValid() {
			return true // a name elsewhere, and nobody here knows its address
		}
		block, err := netip.ParsePrefix(p.IPBlock.CIDR)
		return err == nil && block.Contains(other.address) && !slices.ContainsFunc(p.IPBlock.Except, func(e string) bool {
			x, err := netip.ParsePrefix(e)
			return err == nil && x.Contains(other.address)
		})
	case p.NamespaceSelector == nil:
		return other.inRelease() && matches(p.PodSelector, other.labels)
	default:
		if other.namespace == nil || len(other.namespace) > 0 && !matches(p.NamespaceSelector, other.namespace) {
			return false
		}
		return p.PodSelector == nil || other.labels == nil || matches(p.PodSelector, other.labels)
	}
}

func (g grant) toPort(port corev1.ContainerPort) bool {
	p := g.port
	if p == nil {
		return true
	}
	if protocolOf(p.Protocol) != protocolOf(&port.Protocol) {
		return false
	}
	switch {
	case p.Port == nil:
		return true
	case p.Port.Type == intstr.String:
		return p.Port.StrVal == port.Name
	case p.EndPort != nil:
		return port.ContainerPort >= p.Port.IntVal && port.ContainerPort <= *p.EndPort
	}
	return p.Port.IntVal == port.ContainerPort
}

func protocolOf(p *corev1.Protocol) corev1.Protocol {
	if p == nil || *p == "" {
		return corev1.ProtocolTCP
	}
	return *p
}

func matchesLabels(selector, set map[string]string) bool {
	return labels.SelectorFromSet(selector).Matches(labels.Set(set))
}

// needs derives from the configuration who has to reach whom.
func (v *View) needs(ends []end) []need {
	var needs []need
	add := func(n need) { needs = append(needs, n) }
	byName := map[string]end{}
	for _, e := range ends {
		byName[e.name] = e
	}
	for _, p := range v.parts {
		from := byName[p.String()]
		for _, a := range p.addresses() {
			for _, n := range v.reach(ends, a.address) {
				n.from, n.why, n.optional = from, a.why, a.optional
				add(n)
			}
		}
		if p.streams() {
			for _, e := range ends {
				for _, port := range e.ports(intstr.FromString("media")) {
					add(need{from: from, to: e, port: port, why: "the media plane: activities stream to the kiosk's gateway"})
				}
			}
		}
	}
	for _, w := range v.workloads {
		for _, a := range foreignAddresses(w, v.parts) {
			for _, n := range v.reach(ends, a) {
				n.from, n.why = byName[w.String()], "its arguments or environment name "+a
				add(n)
			}
		}
	}
	needs = append(needs, v.needsOfModels(ends)...)
	needs = append(needs, v.needsFromOutside(ends)...)
	needs = append(needs, v.needsOfOperators(ends)...)
	return append(needs, v.needsOfNames(ends, needs)...)
}

// An address that a part is configured with.
type address struct {
	address  string // HOST:PORT or a URL
	why      string
	optional bool
}

// addresses are where a part connects to, as cmd/parley does.
func (p Part) addresses() []address {
	var found []address
	add := func(key, why string) {
		if a := p.text(key); a != "" {
			found = append(found, address{address: a, why: "setting " + key + ": " + why})
		}
	}
	ollama := func(why string) {
		if kind := p.text("llm"); kind == "" || kind == "auto" || kind == "ollama" {
			add("ollama", why)
		}
	}
	serves := func(pool string) bool {
		pools := p.list("pools")
		return len(pools) == 0 || slices.Contains(pools, pool)
	}
	switch p.Command[0] {
	case "gateway":
		add("temporal", "signals to conversations")
		add("speech", "its /ready asks whether it is there")
		add("qdrant", "its /ready asks whether it is there")
		ollama("its /ready asks whether it is there")
		// A gateway with an index looks once whether Ollama can embed.
		if p.text("qdrant") != "" && p.text("ollama") != "" {
			found = append(found, address{address: p.text("ollama"), why: "embeddings", optional: true})
		}
	case "worker":
		add("temporal", "its task queues")
		if serves("stt") || serves("tts") {
			add("speech", "transcribes and speaks")
		}
		if serves("stt") {
			add("turn_url", "judges turns")
		}
		if serves("llm") {
			ollama("answers")
			if p.text("llm") == "openai" {
				add("llm_url", "answers")
			}
		}
		if serves("retrieval") {
			add("qdrant", "looks for passages")
			add("ollama", "embeds questions")
		}
		if serves("action") {
			for name, u := range p.table("action_url") {
				found = append(found, address{address: u, why: "action " + name})
			}
		}
	case "kb":
		add("qdrant", "keeps the collections")
		add("ollama", "embeds passages")
	case "temporal":
		add("temporal", strings.Join(p.Command, " "))
	case "health":
		for _, u := range p.Command[1:] {
			found = append(found, address{address: u, why: "health"})
		}
	}
	return found
}

// streams is whether a part's activities stream to gateways.
func (p Part) streams() bool {
	if p.Command[0] != "worker" {
		return false
	}
	pools := p.list("pools")
	return len(pools) == 0 || slices.ContainsFunc(pools, func(pool string) bool {
		return slices.Contains([]string{"stt", "llm", "tts", "avatar"}, pool)
	})
}

var urls = regexp.MustCompile(`\b(?:https?|wss?|grpc)://[A-Za-z0-9.\-]+(?::\d+)?|\b[a-z0-9-]+\.[a-z0-9-]+\.svc\.[a-z.]+:\d+`)

// foreignAddresses are the addresses in the arguments and the environment of the
// containers that do not run parley.
func foreignAddresses(w render.Workload, parts []Part) []string {
	var found []string
	for _, c := range w.Containers() {
		if slices.ContainsFunc(parts, func(p Part) bool { return p.String() == w.String() && p.Container.Name == c.Name }) {
			continue
		}
		texts := slices.Concat(c.Command, c.Args)
		for _, e := range c.Env {
			texts = append(texts, e.Value)
		}
		for _, t := range texts {
			found = append(found, urls.FindAllString(t, -1)...)
		}
	}
	return found
}

// reach says which pods, or what elsewhere, answer at an address: needs without
// who needs them.
func (v *View) reach(ends []end, at string) []need {
	host, port, ok := hostPort(at)
	if !ok || host == "localhost" || host == "0.0.0.0" {
		return nil
	}
	addr, err := netip.ParseAddr(host)
	if err == nil {
		if addr.IsLoopback() {
			return nil
		}
		return []need{{to: end{name: host, address: addr}, port: port}}
	}
	name, rest, _ := strings.Cut(host, ".")
	namespace, _, _ := strings.Cut(rest, ".")
	// NAME.NAMESPACE alone could be a name of the world's as well, and is taken as one.
	inCluster := rest == "" || rest == v.Namespace || strings.Contains(host+".", ".svc.")
	if !inCluster {
		return []need{{to: end{name: host}, port: port}}
	}
	if rest != "" && namespace != v.Namespace {
		return []need{{to: end{name: "namespace " + namespace, namespace: map[string]string{corev1.LabelMetadataName: namespace}}, port: port}}
	}
	if s := v.service(name); s != nil {
		var found []need
		for _, p := range s.Spec.Ports {
			if p.Port != port.ContainerPort {
				continue
			}
			for _, e := range ends {
				if len(s.Spec.Selector) > 0 && matchesLabels(s.Spec.Selector, e.labels) {
					for _, target := range e.ports(targetPort(p)) {
						found = append(found, need{to: e, port: target})
					}
				}
			}
		}
		if len(found) == 0 {
			v.faultf("Service/"+name, "%s leads to its port %d, which it does not have or no pod serves", at, port.ContainerPort)
		}
		return found
	}
	for _, e := range ends {
		o, isMade := v.byName[e.name]
		if isMade && e.workload == nil && (name == o.Name() || strings.HasPrefix(name, o.Name()+"-")) {
			return []need{{to: e, port: port}}
		}
	}
	v.faultf("address "+at, "the configuration names it, and no Service %q is rendered", name)
	return nil
}

// hostPort takes HOST:PORT or a URL apart.
func hostPort(at string) (string, corev1.ContainerPort, bool) {
	if !strings.Contains(at, "://") {
		at = "tcp://" + at
	}
	u, err := url.Parse(at)
	if err != nil || u.Hostname() == "" {
		return "", corev1.ContainerPort{}, false
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "wss": "443"}[u.Scheme]
		if port == "" {
			port = "80"
		}
	}
	n, err := strconv.ParseInt(port, 10, 32)
	return u.Hostname(), corev1.ContainerPort{ContainerPort: int32(n)}, err == nil
}

// needsFromOutside are what comes in: kiosks through the cluster's door, and
// Prometheus.
func (v *View) needsFromOutside(ends []end) []need {
	values, _ := v.Values["networkPolicy"].(map[string]any)
	outside := func(key string) end {
		m, _ := values[key].(map[string]any)
		set := map[string]string{}
		for k, e := range m {
			set[k] = fmt.Sprint(e)
		}
		return end{name: "networkPolicy." + key, namespace: set}
	}
	door, monitor := outside("ingressNamespace"), outside("monitoringNamespace")
	doors := len(render.Of[*networking.Ingress](v.Rendering)) + len(render.Of[*gateway.HTTPRoute](v.Rendering))
	for _, o := range v.Objects {
		doors += bit(o.Kind() == "VirtualService")
	}
	scraped := v.scrapedPorts()
	var needs []need
	for _, e := range ends {
		if strings.HasPrefix(e.labels["app.kubernetes.io/component"], "avatar-") {
			needs = append(needs, need{from: kiosks, to: e, port: video, why: "video", optional: true}, need{from: e, to: kiosks, port: video, why: "video", optional: true})
		}
		for _, p := range e.allPorts() {
			switch component := e.labels["app.kubernetes.io/component"]; {
			case component == "gateway" && p.Name == "http":
				needs = append(needs, need{from: door, to: e, port: p, why: "kiosks come through the cluster's door", optional: doors == 0})
				for _, s := range render.Of[*corev1.Service](v.Rendering) {
					if (s.Spec.Type == corev1.ServiceTypeLoadBalancer || s.Spec.Type == corev1.ServiceTypeNodePort) && matchesLabels(s.Spec.Selector, e.labels) {
						needs = append(needs, need{from: kiosks, to: e, port: p, why: "the Service is open to the outside"})
					}
				}
			case component == "codec" || component == "temporal":
				needs = append(needs, need{from: door, to: e, port: p, why: "people's browsers", optional: true})
				if p.ContainerPort == 7233 {
					needs = append(needs, v.needsOfScalers(e, p)...)
				}
			}
			needs = append(needs, need{from: monitor, to: e, port: p, why: "Prometheus scrapes it",
				optional: !slices.ContainsFunc(scraped[e.name], func(s corev1.ContainerPort) bool { return s.ContainerPort == p.ContainerPort })})
		}
	}
	return needs
}

// needsOfModels are the downloads of the servers that the values give models. They
// are optional: a store without a way out has its models on its volumes.
func (v *View) needsOfModels(ends []end) []need {
	var needs []need
	for _, e := range ends {
		component := e.labels["app.kubernetes.io/component"]
		part, _ := v.Values[component].(map[string]any)
		models, _ := part["models"].([]any)
		serves := strings.HasPrefix(e.name, "InferenceService/")
		if len(models) > 0 || serves {
			needs = append(needs, need{from: e, to: end{name: "the servers of models"}, port: corev1.ContainerPort{ContainerPort: 443}, why: "downloads models", optional: true})
		}
		for _, to := range ends {
			for _, port := range to.allPorts() {
				keeps := to.labels["app.kubernetes.io/component"] == "minio" && port.Name != "console"
				if keeps && (serves || strings.HasPrefix(e.name, "Cluster/")) {
					needs = append(needs, need{from: e, to: to, port: port, why: "its model, or its backups, may be there", optional: true})
				}
			}
		}
	}
	return needs
}

// needsOfScalers are those of the operators that ask Temporal itself, wherever they
// are: KEDA how long the queues are, the Worker Controller which versions drain.
func (v *View) needsOfScalers(temporal end, port corev1.ContainerPort) []need {
	var needs []need
	for _, o := range v.Objects {
		if o.Kind() == "ScaledObject" || o.Kind() == "WorkerDeployment" {
			needs = append(needs, need{from: anywhere, to: temporal, port: port, why: o.String() + ": its operator asks Temporal"})
		}
	}
	return needs
}

// anywhere is another namespace of the cluster, and nobody here knows which.
var anywhere = end{name: "another namespace", namespace: map[string]string{}}

// needsOfOperators are what the pods that an operator makes need: CloudNativePG's
// instances follow one another, talk to the API server, and are looked after by
// the operator in its own namespace; what keeps its data there is anywhere.
func (v *View) needsOfOperators(ends []end) []need {
	var needs []need
	for _, e := range ends {
		if !strings.HasPrefix(e.name, "Cluster/") {
			continue
		}
		for _, p := range e.made {
			needs = append(needs, need{from: e, to: e, port: p, why: "PostgreSQL's instances follow one another", optional: p.Name == "metrics"},
				need{from: anywhere, to: e, port: p, why: "the operator, and who keeps its data there", optional: true})
		}
		for _, o := range v.Objects {
			if o.Kind() == "ObjectStore" {
				for _, n := range v.reach(ends, o.Text("spec", "configuration", "endpointURL")) {
					n.from, n.why = e, "its backups go there"
					needs = append(needs, n)
				}
			}
		}
		for _, port := range []int32{443, 6443} {
			needs = append(needs, need{from: e, to: end{name: "the API server"}, port: corev1.ContainerPort{ContainerPort: port}, why: "its instance manager", optional: true})
		}
	}
	return needs
}

// needsOfNames: who connects to a name asks the cluster's DNS for it.
func (v *View) needsOfNames(ends []end, needs []need) []need {
	values, _ := v.Values["networkPolicy"].(map[string]any)
	set := map[string]string{}
	m, _ := values["dnsNamespace"].(map[string]any)
	for k, e := range m {
		set[k] = fmt.Sprint(e)
	}
	dns := end{name: "the cluster's DNS", namespace: set}
	asks := map[string]bool{}
	for _, n := range needs {
		asks[n.from.name] = asks[n.from.name] || !n.optional && n.from.name != n.to.name
	}
	var found []need
	for _, e := range ends {
		for _, protocol := range []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP} {
			found = append(found, need{from: e, to: dns, port: corev1.ContainerPort{ContainerPort: 53, Protocol: protocol}, why: "names", optional: !asks[e.name]})
		}
	}
	return found
}
