package check_test

import (
	"strings"
	"testing"

	"github.com/praesenz/parley/tests/helm/check"
	"github.com/praesenz/parley/tests/helm/render"
)

// good is a rendering in which everything is as it should be: a gateway, a worker
// that streams to it, and the policies between them.
const good = `
apiVersion: v1
kind: ConfigMap
metadata: {name: parley-config, labels: {LABELS}}
data:
  parley.yaml: |
    temporal: parley-temporal.shop.svc.cluster.local:7233
    stop_timeout: 10s
---
apiVersion: v1
kind: Secret
metadata: {name: parley-secrets, labels: {LABELS}}
stringData: {media_token: x}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: parley-gateway, labels: {LABELS}}
spec:
  replicas: 2
  selector: {matchLabels: {app.kubernetes.io/component: gateway}}
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  template:
    metadata: {labels: {POD, app.kubernetes.io/component: gateway}}
    spec:
      PODSPEC
      terminationGracePeriodSeconds: 45
      volumes:
        - {name: config, configMap: {name: parley-config}}
        - {name: secrets, secret: {secretName: parley-secrets, items: [{key: media_token, path: media_token}]}}
      containers:
        - name: parley
          image: ghcr.io/praesenz/parley:1.0.0
          imagePullPolicy: IfNotPresent
          args: [gateway, --config=/etc/parley/parley.yaml]
          env:
            - {name: PARLEY_MEDIA_TOKEN_FILE, value: /etc/parley/secrets/media_token}
            - {name: PARLEY_DRAIN, value: 30s}
          ports: [{name: http, containerPort: 8080}, {name: media, containerPort: 8090}]
          readinessProbe: {httpGet: {path: /ready, port: http}}
          livenessProbe: {httpGet: {path: /health, port: http}}
          lifecycle: {preStop: {sleep: {seconds: 5}}}
          volumeMounts:
            - {name: config, mountPath: /etc/parley}
            - {name: secrets, mountPath: /etc/parley/secrets}
          CONTAINER
---
apiVersion: v1
kind: Service
metadata: {name: parley-gateway, labels: {LABELS, app.kubernetes.io/component: gateway}}
spec:
  selector: {app.kubernetes.io/component: gateway}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: parley-gateway, labels: {LABELS}}
spec: {maxUnavailable: 1, selector: {matchLabels: {app.kubernetes.io/component: gateway}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: parley-worker-llm, labels: {LABELS}}
spec:
  selector: {matchLabels: {app.kubernetes.io/component: worker-llm}}
  strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}
  template:
    metadata: {labels: {POD, app.kubernetes.io/component: worker-llm}}
    spec:
      PODSPEC
      terminationGracePeriodSeconds: 30
      volumes: [{name: config, configMap: {name: parley-config}}]
      containers:
        - name: parley
          image: ghcr.io/praesenz/parley@sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945
          imagePullPolicy: IfNotPresent
          args: [worker, --config=/etc/parley/parley.yaml, --pools, llm]
          env: [{name: PARLEY_LLM, value: openai}, {name: PARLEY_LLM_URL, value: "https://llm.example"}]
          ports: [{name: metrics, containerPort: 9100}]
          readinessProbe: {httpGet: {path: /ready, port: metrics}}
          livenessProbe: {httpGet: {path: /health, port: metrics}}
          volumeMounts: [{name: config, mountPath: /etc/parley}]
          GPUCONTAINER
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: parley-worker-llm, labels: {LABELS}}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: parley-worker-llm}, minReplicas: 1, maxReplicas: 2}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: parley-temporal, labels: {LABELS}}
spec:
  replicas: 1
  serviceName: parley-temporal
  selector: {matchLabels: {app.kubernetes.io/component: temporal}}
  template:
    metadata: {labels: {POD, app.kubernetes.io/component: temporal}}
    spec:
      PODSPEC
      containers:
        - name: temporal
          image: docker.io/temporalio/temporal:1.5.1
          imagePullPolicy: IfNotPresent
          command: [temporal, server, start-dev]
          ports: [{name: frontend, containerPort: 7233}]
          readinessProbe: {tcpSocket: {port: frontend}}
          livenessProbe: {tcpSocket: {port: frontend}}
          CONTAINER
---
apiVersion: v1
kind: Service
metadata: {name: parley-temporal, labels: {LABELS}}
spec:
  clusterIP: None
  selector: {app.kubernetes.io/component: temporal}
  ports: [{name: frontend, port: 7233, targetPort: frontend}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: parley, labels: {LABELS}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: parley-default, labels: {LABELS}}
spec:
  podSelector: {matchLabels: {app.kubernetes.io/part-of: parley}}
  policyTypes: [Ingress, Egress]
  egress:
    - to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}]
      ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: parley-gateway, labels: {LABELS}}
spec:
  podSelector: {matchLabels: {app.kubernetes.io/component: gateway}}
  policyTypes: [Ingress, Egress]
  ingress:
    - from: [{podSelector: {matchLabels: {app.kubernetes.io/component: worker-llm}}}]
      ports: [{port: media}]
  egress:
    - to: [{podSelector: {matchLabels: {app.kubernetes.io/component: temporal}}}]
      ports: [{port: 7233}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: parley-temporal, labels: {LABELS}}
spec:
  podSelector: {matchLabels: {app.kubernetes.io/component: temporal}}
  policyTypes: [Ingress]
  ingress:
    - from: [{podSelector: {matchExpressions: [{key: app.kubernetes.io/component, operator: In, values: [gateway, worker-llm]}]}}]
      ports: [{port: frontend}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: parley-worker-llm, labels: {LABELS}}
spec:
  podSelector: {matchLabels: {app.kubernetes.io/component: worker-llm}}
  policyTypes: [Egress]
  egress:
    - to: [{podSelector: {matchLabels: {app.kubernetes.io/component: gateway}}}]
      ports: [{port: 8090}]
    - to: [{podSelector: {matchLabels: {app.kubernetes.io/component: temporal}}}]
      ports: [{port: 7233}]
    - to: [{ipBlock: {cidr: 0.0.0.0/0}}]
      ports: [{port: 443}]
`

var short = strings.NewReplacer(
	"{LABELS", `{app.kubernetes.io/name: parley, app.kubernetes.io/instance: parley, app.kubernetes.io/version: "1.0.0", app.kubernetes.io/managed-by: Helm, app.kubernetes.io/part-of: parley, helm.sh/chart: parley-1.0.0`,
	"{POD", "{app.kubernetes.io/name: parley, app.kubernetes.io/instance: parley, app.kubernetes.io/part-of: parley",
	"PODSPEC", `serviceAccountName: parley
      enableServiceLinks: false
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}`,
	"GPUCONTAINER", `securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
          resources: {requests: {cpu: 250m, memory: 128Mi}, limits: {memory: 256Mi, nvidia.com/gpu: 1}}`,
	"CONTAINER", `securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
          resources: {requests: {cpu: 250m, memory: 128Mi}, limits: {memory: 256Mi}}`,
)

func faults(t *testing.T, text string) []check.Fault {
	t.Helper()
	objects, err := render.Parse("planted.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	found, err := check.Run(&render.Rendering{Release: "parley", Namespace: "shop", Kube: "1.30.0", Objects: objects, Values: map[string]any{
		"networkPolicy": map[string]any{"dnsNamespace": map[string]any{"kubernetes.io/metadata.name": "kube-system"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestGoodRendering expects no fault where there is none.
func TestGoodRendering(t *testing.T) {
	for _, f := range faults(t, short.Replace(good)) {
		t.Error(f)
	}
}

// TestPodsThatNeedNotMeet opens both ends of a way that nobody needs.
func TestPodsThatNeedNotMeet(t *testing.T) {
	text := strings.NewReplacer("values: [gateway, worker-llm]", "values: [gateway, worker-llm, temporal]",
		"  policyTypes: [Ingress]\n", "  policyTypes: [Ingress, Egress]\n  egress: [{to: [{podSelector: {}}]}]\n").Replace(short.Replace(good))
	says := "StatefulSet/parley-temporal: may reach StatefulSet/parley-temporal port 7233, which it has no need of"
	found := faults(t, text)
	for _, f := range found {
		if strings.Contains(f.Object+": "+f.Message, says) {
			return
		}
	}
	t.Errorf("not found: %s\nfound: %v", says, found)
}

// TestPlantedFaults plants one fault after the other and expects each to be found
// by the check whose business it is, in words that name the thing.
func TestPlantedFaults(t *testing.T) {
	for _, c := range []struct{ name, old, planted, check, says string }{
		{"a field that there is not", "enableServiceLinks: false", "enableServiceLink: false", "types", `unknown field "spec.template.spec.enableServiceLink"`},
		{"a field of a later version", "volumes: [{name: config, configMap: {name: parley-config}}]", "volumes: [{name: config, configMap: {name: parley-config}}, {name: store, image: {reference: \"harbor.example/stores/corner:7\"}}]", "versions", "needs Kubernetes 1.33.0"},
		{"a role that may everything", "kind: ServiceAccount\nmetadata: {name: parley, labels: {LABELS}}\n", "kind: ServiceAccount\nmetadata: {name: parley, labels: {LABELS}}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: parley, labels: {LABELS}}\nrules: [{apiGroups: [\"\"], resources: [pods], verbs: [\"*\"]}]\n", "rights", "gives everything (*) on pods"},
		{"a look into Secrets", "kind: ServiceAccount\nmetadata: {name: parley, labels: {LABELS}}\n", "kind: ServiceAccount\nmetadata: {name: parley, labels: {LABELS}}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: parley, labels: {LABELS}}\nrules: [{apiGroups: [\"\"], resources: [secrets], verbs: [get]}]\n", "rights", "gives get on Secrets"},
		{"a label left out", `helm.sh/chart: parley-1.0.0}`, "}", "names", "lacks the label helm.sh/chart"},
		{"a name that DNS does not take", "metadata: {name: parley-temporal,", "metadata: {name: parley_temporal,", "names", "no DNS label"},
		{"a name twice", "metadata: {name: parley-temporal, labels: {LABELS}}\nspec:\n  clusterIP", "metadata: {name: parley-gateway, labels: {LABELS}}\nspec:\n  clusterIP", "names", "is rendered twice"},
		{"a selector that misses its pods", "selector: {matchLabels: {app.kubernetes.io/component: worker-llm}}\n  strategy", "selector: {matchLabels: {app.kubernetes.io/component: worker}}\n  strategy", "selectors", "does not match its own pods"},
		{"a selector that takes others' pods", "selector: {matchLabels: {app.kubernetes.io/component: temporal}}\n  template", "selector: {matchLabels: {app.kubernetes.io/part-of: parley}}\n  template", "selectors", "matches the pods of Deployment/parley-gateway too"},
		{"a Service to nobody", "selector: {app.kubernetes.io/component: gateway}", "selector: {app.kubernetes.io/component: door}", "selectors", "matches no pods"},
		{"a Service to several parts", "selector: {app.kubernetes.io/component: gateway}", "selector: {app.kubernetes.io/part-of: parley}", "selectors", "matches pods of different parts: gateway, temporal, worker-llm"},
		{"a port that no container has", "targetPort: http", "targetPort: web", "ports", "port http leads to web"},
		{"a probe of a port that is not there", "path: /ready, port: http", "path: /ready, port: web", "ports", "readiness probe asks port web"},
		{"a Secret that nobody makes", "secretName: parley-secrets", "secretName: parley-secret", "references", `Secret "parley-secret" is neither rendered`},
		{"a key that is not in the Secret", "items: [{key: media_token", "items: [{key: token", "references", `has no key "token" (it has media_token)`},
		{"an account that nobody makes", "kind: ServiceAccount\nmetadata: {name: parley,", "kind: ServiceAccount\nmetadata: {name: other,", "references", `service account "parley"`},
		{"a root that can be written", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "security", "say readOnlyRootFilesystem: true"},
		{"root", "runAsNonRoot: true", "runAsNonRoot: false", "security", "may run as root"},
		{"a token for nothing", "automountServiceAccountToken: false", "automountServiceAccountToken: true", "security", "automountServiceAccountToken: false"},
		{"no limit", "limits: {memory: 256Mi}", "limits: {}", "resources", "no limit for memory"},
		{"no probe", "livenessProbe: {httpGet: {path: /health, port: metrics}}", "", "probes", "no liveness probe"},
		{"a probe that asks the wrong question", "{path: /ready, port: metrics}", "{path: /health, port: metrics}", "probes", "must ask /ready"},
		{"a GPU pod that surges", "strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}", "strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}", "rollout", "takes a GPU and has maxSurge 1"},
		{"no time to drain", "terminationGracePeriodSeconds: 45", "terminationGracePeriodSeconds: 35", "rollout", "terminationGracePeriodSeconds is 35, but it takes 35s to drain"},
		{"a node that cannot be drained", "spec: {maxUnavailable: 1,", "spec: {minAvailable: 2,", "rollout", "no node could ever be drained"},
		{"two who say how many", "  selector: {matchLabels: {app.kubernetes.io/component: worker-llm}}\n  strategy", "  replicas: 1\n  selector: {matchLabels: {app.kubernetes.io/component: worker-llm}}\n  strategy", "scaling", "has replicas and HorizontalPodAutoscaler/parley-worker-llm too"},
		{"latest", "praesenz/parley:1.0.0", "praesenz/parley:latest", "images", "latest is another image tomorrow"},
		{"a secret in plain sight", "- {name: PARLEY_DRAIN, value: 30s}", "- {name: PARLEY_KIOSK_KEY, value: abc}", "secrets", "PARLEY_KIOSK_KEY is a secret in plain sight"},
		{"a secret in the settings", "    stop_timeout: 10s", "    stop_timeout: 10s\n    llm_key: abc", "secrets", "llm_key is a secret"},
		{"a secret's file that nobody mounts", "value: /etc/parley/secrets/media_token", "value: /etc/parley/secrets/token", "secrets", "which no volume shows"},
		{"nobody lets the worker out", "    - to: [{podSelector: {matchLabels: {app.kubernetes.io/component: gateway}}}]\n      ports: [{port: 8090}]\n", "", "network", "Deployment/parley-worker-llm: may not reach Deployment/parley-gateway port 8090 (the media plane"},
		{"nobody lets the worker in", "ports: [{port: media}]", "ports: [{port: http}]", "network", "Deployment/parley-gateway: may not be reached by Deployment/parley-worker-llm at port 8090"},
		{"an address that nobody lets out to", "ports: [{port: 443}]", "ports: [{port: 8443}]", "network", "may not reach llm.example port 443 (setting llm_url: answers)"},
		{"no names", "ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]", "ports: [{port: 53, protocol: TCP}]", "network", "may not reach the cluster's DNS port 53"},
		{"no default", "podSelector: {matchLabels: {app.kubernetes.io/part-of: parley}}", "podSelector: {matchLabels: {app.kubernetes.io/component: gateway}}", "network", "no NetworkPolicy isolates it for Ingress"},
		{"a way that nobody needs", "      ports: [{port: media}]", "      ports: [{port: media}, {port: http}]", "network", "ingress rule 1, pods app.kubernetes.io/component=worker-llm, TCP port http: nobody needs it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			old, planted := short.Replace(c.old), short.Replace(c.planted)
			whole := short.Replace(good)
			if !strings.Contains(whole, old) {
				t.Fatalf("the good rendering has no %q", old)
			}
			found := faults(t, strings.Replace(whole, old, planted, 1))
			for _, f := range found {
				if f.Check == c.check && strings.Contains(f.Object+": "+f.Message, c.says) {
					return
				}
			}
			t.Errorf("not found: [%s] … %s\nfound: %v", c.check, c.says, found)
		})
	}
}
