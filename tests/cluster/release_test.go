//go:build cluster && linux

package cluster

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/cli/values"
	"helm.sh/helm/v3/pkg/getter"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

const (
	name    = "parley"         // of every release
	settles = 90 * time.Second // limit of a wait for the cluster
)

// A store is the chart's release in a namespace of its own, whose pods must keep the
// pod security standard `restricted`.
type store struct {
	namespace string
	helm      *action.Configuration
	kinds     meta.RESTMapper
}

func newStore(t *testing.T, namespace string) *store {
	t.Helper()
	theCluster.takeWarnings()
	_, err := theCluster.clients.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:   namespace,
		Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := &store{namespace: namespace, helm: new(action.Configuration)}
	way := theCluster.getter(namespace)
	if err := s.helm.Init(way, namespace, "secret", func(string, ...any) {}); err != nil {
		t.Fatal(err)
	}
	if s.kinds, err = way.ToRESTMapper(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the nodes' GPUs are the next test's
		uninstall := action.NewUninstall(s.helm)
		uninstall.IgnoreNotFound = true
		if _, err := uninstall.Run(name); err != nil {
			t.Error(err)
		}
	})
	return s
}

func loadChart(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.Load(*chartDir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// valuesOf merges a file of the chart (none for values.yaml) with settings in JSON,
// such as `image.tag="0.2.0"`.
func valuesOf(t *testing.T, file string, settings []string) map[string]any {
	t.Helper()
	options := values.Options{JSONValues: settings}
	if file != "values.yaml" {
		options.ValueFiles = []string{filepath.Join(*chartDir, file)}
	}
	merged, err := options.MergeValues(getter.Providers{})
	if err != nil {
		t.Fatal(err)
	}
	return merged
}

// install installs, and waits until all is ready where ready says so.
func (s *store) install(t *testing.T, ready bool, file string, settings ...string) {
	t.Helper()
	install := action.NewInstall(s.helm)
	install.ReleaseName, install.Namespace = name, s.namespace
	install.Wait, install.WaitForJobs, install.Timeout = ready, ready, settles
	install.PostRenderer = known{s.kinds}
	_, err := install.RunWithContext(t.Context(), loadChart(t), valuesOf(t, file, settings))
	s.fine(t, err)
}

func (s *store) upgrade(t *testing.T, c *chart.Chart, file string, settings ...string) {
	t.Helper()
	upgrade := action.NewUpgrade(s.helm)
	upgrade.Namespace = s.namespace
	upgrade.Wait, upgrade.WaitForJobs, upgrade.Timeout = true, true, settles
	upgrade.PostRenderer = known{s.kinds}
	_, err := upgrade.RunWithContext(t.Context(), name, c, valuesOf(t, file, settings))
	s.fine(t, err)
}

func (s *store) rollback(t *testing.T, revision int) {
	t.Helper()
	rollback := action.NewRollback(s.helm)
	rollback.Version = revision
	rollback.Wait, rollback.WaitForJobs, rollback.Timeout = true, true, settles
	s.fine(t, rollback.Run(name))
}

// fine fails the test where Helm could not do what was asked, with what the cluster says
// of it, and where the API server warned of anything, such as a deprecated version.
func (s *store) fine(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(s.complaints(t), "\n"))
	}
	for _, warning := range theCluster.takeWarnings() {
		t.Errorf("the API server warns: %s", warning)
	}
}

// complaints are the namespace's latest warnings, of which a failed test says more than
// that it waited.
func (s *store) complaints(t *testing.T) []string {
	t.Helper()
	events, err := theCluster.clients.CoreV1().Events(s.namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "type=Warning"})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(events.Items, func(a, b corev1.Event) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	var all []string
	for _, e := range events.Items[max(0, len(events.Items)-10):] {
		all = append(all, fmt.Sprintf("%s %s: %s: %s", e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Reason, e.Message))
	}
	return all
}

// known leaves out the objects whose kinds the cluster does not have.
type known struct{ kinds meta.RESTMapper }

func (k known) Run(rendered *bytes.Buffer) (*bytes.Buffer, error) {
	var kept bytes.Buffer
	docs := releaseutil.SplitManifests(rendered.String())
	order := slices.Collect(maps.Keys(docs))
	sort.Sort(releaseutil.BySplitManifestsOrder(order))
	for _, key := range order {
		doc := docs[key]
		var o metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			return nil, err
		}
		kind := schema.FromAPIVersionAndKind(o.APIVersion, o.Kind)
		if _, err := k.kinds.RESTMapping(kind.GroupKind(), kind.Version); meta.IsNoMatchError(err) {
			theCluster.leaveOut(kind)
			continue
		} else if err != nil {
			return nil, err
		}
		fmt.Fprintf(&kept, "---\n%s\n", doc)
	}
	return &kept, nil
}

// released are the objects of the release that is deployed, as Kind/name.
func (s *store) released(t *testing.T) []string {
	t.Helper()
	r, err := s.helm.Releases.Deployed(name)
	if err != nil {
		t.Fatal(err)
	}
	if r.Info.Status != release.StatusDeployed {
		t.Fatalf("the release is %s", r.Info.Status)
	}
	var all []string
	for _, doc := range releaseutil.SplitManifests(r.Manifest) {
		var o metav1.PartialObjectMetadata
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatal(err)
		}
		all = append(all, o.Kind+"/"+o.Name)
	}
	slices.Sort(all)
	return all
}

// objects are all objects in the namespace that nobody else makes there, as Kind/name.
// With a selector of labels, those alone.
func (s *store) objects(t *testing.T, selector string) []string {
	t.Helper()
	config, err := s.helm.RESTClientGetter.ToRESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	config.WarningHandler = rest.NoWarnings{} // Helm does not ask for these lists
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	lists, err := theCluster.clients.Discovery().ServerPreferredNamespacedResources()
	if err != nil {
		t.Fatal(err)
	}
	resources, err := discovery.GroupVersionResources(discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "delete"}}, lists))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for resource := range resources {
		list, err := client.Resource(resource).Namespace(s.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			t.Fatalf("%s: %v", resource, err)
		}
		for _, o := range list.Items {
			switch {
			case o.GetKind() == "Event", o.GetKind() == "Endpoints", o.GetKind() == "Lease": // made for what is there
			case o.GetName() == "kube-root-ca.crt", o.GetKind() == "ServiceAccount" && o.GetName() == "default":
			case strings.HasPrefix(o.GetName(), "sh.helm.release."):
			case len(o.GetOwnerReferences()) > 0: // goes with its owner
			case o.GetDeletionTimestamp() != nil: // is going
			default:
				all = append(all, o.GetKind()+"/"+o.GetName())
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// pods are the namespace's, without those that are told to go.
func (s *store) pods(t *testing.T) map[types.UID]corev1.Pod {
	t.Helper()
	list, err := theCluster.clients.CoreV1().Pods(s.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pods := map[types.UID]corev1.Pod{}
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil {
			pods[p.UID] = p
		}
	}
	return pods
}

// replaced names the components whose pods are not the same in both; Jobs aside.
func replaced(before, after map[types.UID]corev1.Pod) []string {
	differ := map[string]bool{}
	for _, pair := range [][2]map[types.UID]corev1.Pod{{before, after}, {after, before}} {
		for uid, p := range pair[0] {
			if _, same := pair[1][uid]; !same && !finishes(p) {
				differ[componentOf(p)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(differ))
}

// A moment is the namespace's pods at one time.
type moment map[types.UID]*corev1.Pod

// during returns every moment of the namespace's pods while do runs and afterwards until
// no pod is being deleted.
func (s *store) during(t *testing.T, do func()) []moment {
	t.Helper()
	pods := theCluster.clients.CoreV1().Pods(s.namespace)
	list, err := pods.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	now := moment{}
	for i := range list.Items {
		now[list.Items[i].UID] = &list.Items[i]
	}
	w, err := pods.Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan []moment)
	go func() {
		moments := []moment{now}
		for event := range w.ResultChan() {
			p, ok := event.Object.(*corev1.Pod)
			if !ok {
				continue
			}
			now = maps.Clone(now)
			if now[p.UID] = p; event.Type == watch.Deleted {
				delete(now, p.UID)
			}
			moments = append(moments, now)
		}
		seen <- moments
	}()
	func() {
		defer w.Stop()
		do()
		s.calm(t)
	}()
	return <-seen
}

// calm waits until no pod is being deleted any more.
func (s *store) calm(t *testing.T) {
	t.Helper()
	s.eventually(t, "pods that were told to go are gone", func(ctx context.Context) (bool, error) {
		list, err := theCluster.clients.CoreV1().Pods(s.namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		return !slices.ContainsFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil }), nil
	})
}

// templates are the pod templates of all Deployments and StatefulSets, as JSON by name.
func (s *store) templates(t *testing.T) map[string]string {
	t.Helper()
	deployments, err := theCluster.clients.AppsV1().Deployments(s.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sets, err := theCluster.clients.AppsV1().StatefulSets(s.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, d := range deployments.Items {
		all[d.Name] = d.Spec.Template.String()
	}
	for _, d := range sets.Items {
		all[d.Name] = d.Spec.Template.String()
	}
	return all
}

func (s *store) eventually(t *testing.T, what string, holds wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, settles, true, holds); err != nil {
		t.Fatalf("waited for this: %s: %v\n%s", what, err, strings.Join(s.complaints(t), "\n"))
	}
}

func componentOf(p corev1.Pod) string { return p.Labels["app.kubernetes.io/component"] }

// finishes tells whether a pod is a Job's or a test's.
func finishes(p corev1.Pod) bool { return p.Spec.RestartPolicy != corev1.RestartPolicyAlways }

func isReady(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(is corev1.PodCondition) bool {
		return is.Type == corev1.PodReady && is.Status == corev1.ConditionTrue
	})
}

// gpus is how many GPUs a pod takes.
func gpus(p corev1.Pod) int64 {
	var n int64
	for _, c := range p.Spec.Containers {
		for resource, quantity := range c.Resources.Limits {
			if strings.HasPrefix(string(resource), "nvidia.com/") {
				n += quantity.Value()
			}
		}
	}
	return n
}
