//go:build cluster && linux

package cluster

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestEveryValuesFile: the API server takes every object of every values file, without an
// unknown field and without a warning, and admits every pod to a namespace that is
// `restricted`. Whether a node has room for them is not asked here.
func TestEveryValuesFile(t *testing.T) {
	files := []string{"values.yaml"}
	for _, pattern := range []string{"values-*.yaml", "ci/*.yaml"} {
		paths, err := filepath.Glob(filepath.Join(*chartDir, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("there is no %s", pattern)
		}
		for _, path := range paths {
			file, err := filepath.Rel(*chartDir, path)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			s := newStore(t, "file-"+strings.NewReplacer("/", "-", ".yaml", "").Replace(file))
			s.install(t, false, file)
			s.eventually(t, "every Deployment, StatefulSet and Job has made its pods", s.allMade)
		})
	}
}

// allMade tells whether the controllers have made the pods that they are to make.
func (s *store) allMade(ctx context.Context) (bool, error) {
	apps, batch := theCluster.clients.AppsV1(), theCluster.clients.BatchV1()
	deployments, err := apps.Deployments(s.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, err
	}
	for _, d := range deployments.Items {
		if d.Status.ObservedGeneration < d.Generation || d.Status.Replicas < *d.Spec.Replicas {
			return false, nil
		}
	}
	sets, err := apps.StatefulSets(s.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, err
	}
	for _, d := range sets.Items {
		if d.Status.Replicas < *d.Spec.Replicas {
			return false, nil
		}
	}
	jobs, err := batch.Jobs(s.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, err
	}
	for _, j := range jobs.Items {
		if j.Status.Active+j.Status.Succeeded == 0 {
			return false, nil
		}
	}
	return true, nil
}

// TestQA: everything runs on the one node that is labelled and tainted for it, and its
// test passes.
func TestQA(t *testing.T) {
	s := newStore(t, "qa")
	s.install(t, true, "values-qa.yaml")
	for _, p := range s.pods(t) {
		if p.Spec.NodeName != "node1" {
			t.Errorf("%s is on %q, not on node1", p.Name, p.Spec.NodeName)
		}
	}
	test := action.NewReleaseTesting(s.helm)
	test.Timeout = settles
	_, err := test.Run(name)
	s.fine(t, err)
}

// TestStore is a store's life with exactly the GPUs that it asks for: it is installed,
// upgraded, rolled back, changed and taken down.
func TestStore(t *testing.T) {
	const file = "values-store1.yaml"
	s := newStore(t, "store1")
	c := loadChart(t)

	s.install(t, true, file)
	first, firstObjects := s.templates(t), s.released(t)

	t.Run("GPU nodes are for what needs a GPU", func(t *testing.T) {
		var taken int64
		for _, p := range s.pods(t) {
			if (gpus(p) > 0) != (p.Spec.NodeName == "gpu") {
				t.Errorf("%s takes %d GPUs and is on %q", p.Name, gpus(p), p.Spec.NodeName)
			}
			taken += gpus(p)
		}
		node, err := theCluster.clients.CoreV1().Nodes().Get(t.Context(), "gpu", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if all := node.Status.Allocatable["nvidia.com/gpu"]; taken != all.Value() {
			t.Fatalf("%d of %s GPUs are taken; the upgrades below are to happen with none free", taken, all.String())
		}
		s.nothingElse(t)
	})

	t.Run("an upgrade of Parley interrupts nobody", func(t *testing.T) {
		before := s.pods(t)
		moments := s.during(t, func() { s.upgrade(t, c, file, `image.tag="0.2.0"`) })
		if fewest := fewest(moments, "gateway"); fewest < 2 {
			t.Errorf("at some time %d gateways were ready, of 2", fewest)
		}
		if fewest := fewest(moments, "worker-conversation"); fewest < 2 {
			t.Errorf("at some time %d conversation workers were ready, of 2", fewest)
		}
		// Conversations end on the code they began with.
		if !slices.ContainsFunc(moments, func(m moment) bool {
			var drains, serves bool
			for _, p := range m {
				if componentOf(*p) == "worker-conversation" {
					drains = drains || p.DeletionTimestamp != nil && p.DeletionGracePeriodSeconds != nil && *p.DeletionGracePeriodSeconds > 900
					serves = serves || isReady(p) && strings.HasSuffix(p.Spec.Containers[0].Image, ":0.2.0")
				}
			}
			return drains && serves
		}) {
			t.Error("at no time did an old conversation worker drain, with more than 15 minutes to do so, while a new one served")
		}
		for _, component := range replaced(before, s.pods(t)) {
			if component == "ollama" || component == "speaches" || component == "qdrant" || strings.HasPrefix(component, "avatar-") {
				t.Errorf("%s was restarted by an upgrade of Parley", component)
			}
		}
		s.nothingElse(t)
		if job := s.job(t, "promote"); slices.Contains(firstObjects, job) {
			t.Errorf("the new build is not made the current one: %s is the old one's", job)
		}
	})

	t.Run("an upgrade of what holds a GPU waits for no other GPU", func(t *testing.T) {
		moments := s.during(t, func() {
			s.upgrade(t, c, file, `image.tag="0.2.0"`, `ollama.image.tag="0.18.0"`, `speaches.image.tag="0.9.1-cuda"`, `avatar.image.tag="5.5.5"`)
		})
		for _, component := range []string{"ollama", "speaches", "avatar-entrance", "avatar-tools", "avatar-garden"} {
			if most := most(moments, component); most > 1 {
				t.Errorf("at some time there were %d of %s, which holds a GPU", most, component)
			}
		}
		if fewest := fewest(moments, "gateway"); fewest < 2 {
			t.Errorf("at some time %d gateways were ready, of 2", fewest)
		}
		s.nothingElse(t)
	})

	t.Run("a rollback brings everything back", func(t *testing.T) {
		moments := s.during(t, func() { s.rollback(t, 1) })
		if fewest := fewest(moments, "gateway"); fewest < 2 {
			t.Errorf("at some time %d gateways were ready, of 2", fewest)
		}
		if now := s.templates(t); !maps.Equal(first, now) {
			t.Errorf("pods are not as they were: %v, were %v", now, first)
		}
		if now := s.released(t); !slices.Equal(firstObjects, now) {
			t.Errorf("objects are %v, were %v", now, firstObjects)
		}
		s.nothingElse(t) // so the Job that makes the old build current has run again
	})

	t.Run("a new chart replaces only what it changes", func(t *testing.T) {
		newer := loadChart(t)
		newer.Metadata.Version, newer.Metadata.AppVersion = "99.0.0", "99.0.0"
		s.restarts(t, func() { s.upgrade(t, newer, file) })
	})

	t.Run("a setting restarts who reads it", func(t *testing.T) {
		s.restarts(t, func() { s.upgrade(t, c, file, `gateway.config.log_level="debug"`) }, "gateway")
		s.restarts(t, func() { s.upgrade(t, c, file, `gateway.config.log_level="debug"`, `config.log_level="warn"`) },
			"gateway", "knowledge", "worker-action", "worker-avatar", "worker-conversation", "worker-llm", "worker-retrieval", "worker-stt", "worker-tts")
		s.nothingElse(t)
	})

	t.Run("a kiosk in the middle goes alone", func(t *testing.T) {
		s.upgrade(t, c, file)
		s.calm(t)
		before := s.objects(t, "")
		kiosks := `kiosks=[{"id":"entrance","language":"en","branding":"lindenhof"},{"id":"garden","language":"de","branding":"lindenhof"}]`
		s.restarts(t, func() { s.upgrade(t, c, file, kiosks) }, "avatar-tools")
		after := s.objects(t, "")
		for _, object := range before {
			if !slices.Contains(after, object) && !strings.Contains(object, "avatar-tools") {
				t.Errorf("%s went too", object)
			}
		}
		s.nothingElse(t)
		s.upgrade(t, c, file)
	})

	t.Run("an upgrade leaves an autoscaler's replicas alone", func(t *testing.T) {
		s.upgrade(t, c, file, `gateway.autoscaling.enabled=true`)
		deployments := theCluster.clients.AppsV1().Deployments(s.namespace)
		scale, err := deployments.GetScale(t.Context(), "parley-gateway", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		// As the autoscaler does under load, by the same subresource.
		scale.Spec.Replicas, scale.ResourceVersion = 4, ""
		if _, err := deployments.UpdateScale(t.Context(), "parley-gateway", scale, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		s.upgrade(t, c, file, `gateway.autoscaling.enabled=true`, `config.log_level="debug"`)
		gateway, err := deployments.Get(t.Context(), "parley-gateway", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if *gateway.Spec.Replicas != 4 || gateway.Status.ReadyReplicas != 4 {
			t.Errorf("%d replicas, %d ready, after the upgrade of 4", *gateway.Spec.Replicas, gateway.Status.ReadyReplicas)
		}
	})

	t.Run("an uninstall keeps what was downloaded and learned", func(t *testing.T) {
		_, err := action.NewUninstall(s.helm).Run(name)
		s.fine(t, err)
		s.calm(t)
		var left []string
		s.eventually(t, "what is to go is gone", func(context.Context) (bool, error) {
			left = s.objects(t, "")
			return !slices.ContainsFunc(left, func(o string) bool { return !strings.HasPrefix(o, "PersistentVolumeClaim/") }), nil
		})
		want := []string{"PersistentVolumeClaim/data-parley-qdrant-0", "PersistentVolumeClaim/parley-ollama", "PersistentVolumeClaim/parley-speaches"}
		if !slices.Equal(left, want) {
			t.Errorf("left: %v\nwant: %v", left, want)
		}
		s.install(t, true, file) // and takes it again
	})
}

// TestMadeSecretsStay: what secrets.generate made is the same after an uninstall.
func TestMadeSecretsStay(t *testing.T) {
	s := newStore(t, "secrets")
	secret := func() map[string][]byte {
		made, err := theCluster.clients.CoreV1().Secrets(s.namespace).Get(t.Context(), "parley-secrets", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return made.Data
	}
	s.install(t, false, "ci/no-gpu.yaml")
	made := secret()
	s.upgrade(t, loadChart(t), "ci/no-gpu.yaml", `config.log_level="debug"`)
	if _, err := action.NewUninstall(s.helm).Run(name); err != nil {
		t.Fatal(err)
	}
	s.install(t, false, "ci/no-gpu.yaml")
	if fmt.Sprint(made) != fmt.Sprint(secret()) {
		t.Error("the secrets are new: kiosks' tokens are void")
	}
}

// restarts does something and checks that the pods of these components are replaced, and
// no others.
func (s *store) restarts(t *testing.T, do func(), components ...string) {
	t.Helper()
	before := s.pods(t)
	do()
	s.calm(t)
	if got := replaced(before, s.pods(t)); !slices.Equal(got, components) {
		t.Errorf("replaced: %v\nwant:     %v", got, components)
	}
}

// nothingElse checks that the release's objects are all there, and no others of it.
func (s *store) nothingElse(t *testing.T) {
	t.Helper()
	want, got := s.released(t), s.objects(t, "app.kubernetes.io/managed-by=Helm,app.kubernetes.io/instance="+name)
	for _, object := range want {
		if !slices.Contains(got, object) {
			t.Errorf("%s is not there", object)
		}
	}
	for _, object := range got {
		if !slices.Contains(want, object) {
			t.Errorf("%s is left over", object)
		}
	}
}

// job is the release's Job of a component, as Job/name.
func (s *store) job(t *testing.T, component string) string {
	t.Helper()
	for _, object := range s.released(t) {
		if strings.HasPrefix(object, "Job/parley-"+component+"-") {
			return object
		}
	}
	t.Fatalf("there is no Job %s", component)
	return ""
}

// fewest is the least number of a component's pods that were ready at one time.
func fewest(moments []moment, component string) int {
	return slices.Min(counts(moments, component, isReady))
}

// most is the greatest number of a component's pods that were to run at one time.
func most(moments []moment, component string) int {
	return slices.Max(counts(moments, component, func(p *corev1.Pod) bool { return p.DeletionTimestamp == nil }))
}

func counts(moments []moment, component string, counted func(*corev1.Pod) bool) []int {
	var all []int
	for _, m := range moments {
		n := 0
		for _, p := range m {
			if componentOf(*p) == component && counted(p) {
				n++
			}
		}
		all = append(all, n)
	}
	return all
}
