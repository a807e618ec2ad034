//go:build cluster && linux

package cluster

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/kube"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	kubernetesVersion = "v1.36.3" // as programs/kubernetes/go.mod pins it
	becomesReady      = time.Minute
)

var (
	chartDir = flag.String("chart", "../../helm", "the chart's folder")
	programs = flag.String("programs", "../../bin/cluster", "folder of kube-apiserver, kube-controller-manager, kube-scheduler, etcd and kwok; what is missing is built")
	crds     = flag.String("crds", "", "folder of CustomResourceDefinitions to apply first; objects of other kinds are left out, by name")
)

// theCluster is the one that all tests share.
var theCluster *cluster

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	dir, err := os.MkdirTemp("", "cluster")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c := &cluster{dir: dir, stop: stop, leftOut: map[string]bool{}}
	defer c.end()
	if err := c.start(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	theCluster = c
	code := m.Run()
	for _, kind := range slices.Sorted(maps.Keys(c.leftOut)) {
		fmt.Printf("left out, as -crds names no definition of it: %s\n", kind)
	}
	return code
}

// What each module in programs/ gives: the package of each program.
var sources = map[string]map[string]string{
	"kubernetes": {
		"kube-apiserver":          "k8s.io/kubernetes/cmd/kube-apiserver",
		"kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
		"kube-scheduler":          "k8s.io/kubernetes/cmd/kube-scheduler",
	},
	"etcd": {"etcd": "go.etcd.io/etcd/server/v3"},
	"kwok": {"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
}

// build makes the programs that are not there yet.
func build(ctx context.Context, dir string) error {
	for module, packages := range sources {
		for name, path := range packages {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				continue
			}
			began := time.Now()
			fmt.Printf("building %s (once; with an empty cache minutes) …\n", name)
			// Without its version the API server calls itself v0.0.0, which Helm refuses.
			flags := "-s -w -X k8s.io/component-base/version.gitVersion=" + kubernetesVersion
			cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags", flags, "-o", filepath.Join(dir, name), path)
			cmd.Dir = filepath.Join("programs", module)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("build %s: %w\n%s", name, err, out)
			}
			fmt.Printf("built %s in %s\n", name, time.Since(began).Round(time.Second))
		}
	}
	return nil
}

// A cluster is an API server with etcd, controllers, scheduler and kwok's nodes, on
// loopback, with everything it keeps below dir.
type cluster struct {
	dir       string
	stop      context.CancelFunc
	processes []*exec.Cmd
	url       string
	clients   kubernetes.Interface

	mu       sync.Mutex
	warnings []string // of the API server, in answers to Helm
	leftOut  map[string]bool
}

func (c *cluster) start(ctx context.Context) error {
	// A child ends with the thread that made it (Pdeathsig), so that a test that is
	// killed leaves none behind; this one must not be given back before the end.
	runtime.LockOSThread()
	bin, err := filepath.Abs(*programs)
	if err != nil {
		return err
	}
	if err := build(ctx, bin); err != nil {
		return err
	}
	// Not one of the programs takes port 0 and says which it got.
	ports, err := freePorts(4)
	if err != nil {
		return err
	}
	c.url = fmt.Sprintf("https://127.0.0.1:%d", ports[2])
	etcd := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	peers := fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	if err := c.secrets(); err != nil {
		return err
	}

	if err := c.launch(ctx, filepath.Join(bin, "etcd"),
		"--data-dir", c.path("etcd"), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", etcd, "--advertise-client-urls", etcd,
		"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "default="+peers); err != nil {
		return err
	}
	// The API server asks for etcd again and again until it is there.
	if err := c.launch(ctx, filepath.Join(bin, "kube-apiserver"),
		"--etcd-servers", etcd, "--bind-address", "127.0.0.1", "--secure-port", fmt.Sprint(ports[2]), "--cert-dir", c.path("certs"),
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", c.path("sa.key"), "--service-account-signing-key-file", c.path("sa.key"),
		"--service-cluster-ip-range", "10.96.0.0/16", "--authorization-mode", "RBAC", "--token-auth-file", c.path("tokens")); err != nil {
		return err
	}
	if err := c.ready(ctx); err != nil {
		return err
	}
	for _, p := range [][]string{
		{"kube-controller-manager", "--kubeconfig", c.path("kubeconfig"), "--leader-elect=false", "--secure-port=0",
			"--service-account-private-key-file", c.path("sa.key"), "--controllers", "*,-node-ipam-controller,-node-route-controller,-service-lb-controller"},
		{"kube-scheduler", "--kubeconfig", c.path("kubeconfig"), "--leader-elect=false", "--secure-port=0"},
		{"kwok", "--kubeconfig", c.path("kubeconfig"), "--manage-all-nodes", "--config", "testdata/stages.yaml", "--server-address", fmt.Sprintf("127.0.0.1:%d", ports[3])},
	} {
		if err := c.launch(ctx, filepath.Join(bin, p[0]), p[1:]...); err != nil {
			return err
		}
	}
	return c.furnish(ctx)
}

// secrets writes what the programs need to know each other: the key of service
// accounts, the administrator's token and a kubeconfig with it.
func (c *cluster) secrets() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	token := rand.Text()
	for name, text := range map[string]string{
		"sa.key": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		"tokens": token + ",admin,admin,system:masters\n",
		// The API server writes its certificate before it listens.
		"kubeconfig": fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: admin}}]
clusters: [{name: test, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: admin, user: {token: %q}}]
`, c.url, c.path("certs/apiserver.crt"), token),
	} {
		if err := os.WriteFile(c.path(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// launch starts a program whose log is a file in dir.
func (c *cluster) launch(ctx context.Context, program string, args ...string) error {
	log, err := os.Create(c.path(filepath.Base(program) + ".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", filepath.Base(program), err)
	}
	c.processes = append(c.processes, cmd)
	return nil
}

// end stops the programs and takes away what they kept.
func (c *cluster) end() {
	c.stop()
	for _, p := range c.processes {
		_ = p.Wait() // killed, as asked
	}
	os.RemoveAll(c.dir)
}

func (c *cluster) path(name string) string { return filepath.Join(c.dir, name) }

// ready waits for the API server.
func (c *cluster) ready(ctx context.Context) error {
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, becomesReady, true, func(ctx context.Context) (bool, error) {
		config, err := clientcmd.BuildConfigFromFlags("", c.path("kubeconfig"))
		if err != nil {
			return false, nil // the certificate is not there yet
		}
		if c.clients, err = kubernetes.NewForConfig(config); err != nil {
			return false, nil
		}
		return c.clients.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil, nil
	})
	if err != nil {
		return fmt.Errorf("kube-apiserver is not ready after %s: %w; it says:\n%s", becomesReady, err, c.lastWords("kube-apiserver"))
	}
	return nil
}

func (c *cluster) lastWords(program string) string {
	text, err := os.ReadFile(c.path(program + ".log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// furnish applies the nodes, the classes and the definitions that -crds names.
func (c *cluster) furnish(ctx context.Context) error {
	files := []string{"testdata/nodes.yaml"}
	if *crds != "" {
		more, err := filepath.Glob(filepath.Join(*crds, "*.yaml"))
		if err != nil || len(more) == 0 {
			return fmt.Errorf("-crds %s: there is no *.yaml", *crds)
		}
		files = append(more, files...)
	}
	client := kube.New(c.getter("default"))
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		objects, err := client.Build(f, false)
		f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if _, err := client.Create(objects); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := client.Wait(objects, becomesReady); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, becomesReady, true, func(ctx context.Context) (bool, error) {
		nodes, err := c.clients.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		for _, node := range nodes.Items {
			ready := slices.ContainsFunc(node.Status.Conditions, func(is corev1.NodeCondition) bool {
				return is.Type == corev1.NodeReady && is.Status == corev1.ConditionTrue
			})
			if !ready || slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeNotReady }) {
				return false, nil
			}
		}
		return true, nil
	})
}

// getter is Helm's way to the cluster. What goes that way is checked strictly, as
// Helm alone does not ask for: unknown and doubled fields are refused, and what the API
// server warns of is kept.
func (c *cluster) getter(namespace string) genericclioptions.RESTClientGetter {
	flags := genericclioptions.NewConfigFlags(true)
	kubeconfig := c.path("kubeconfig")
	flags.KubeConfig, flags.Namespace = &kubeconfig, &namespace
	return flags.WithWrapConfigFn(func(config *rest.Config) *rest.Config {
		config.QPS, config.Burst = -1, -1
		config.WarningHandler = c
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { return strict{next} })
		return config
	})
}

// HandleWarningHeader keeps a warning of the API server.
func (c *cluster) HandleWarningHeader(_ int, _ string, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.warnings = append(c.warnings, text)
}

// takeWarnings returns the warnings since the last call.
func (c *cluster) takeWarnings() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	warnings := c.warnings
	c.warnings = nil
	return warnings
}

// leaveOut notes a kind whose objects are not tried.
func (c *cluster) leaveOut(kind schema.GroupVersionKind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leftOut[kind.GroupVersion().String()+" "+kind.Kind] = true
}

// strict has the API server refuse unknown fields in whatever is written.
type strict struct{ next http.RoundTripper }

func (s strict) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch {
		r = r.Clone(r.Context())
		query := r.URL.Query()
		query.Set("fieldValidation", "Strict")
		r.URL.RawQuery = query.Encode()
	}
	return s.next.RoundTrip(r)
}

func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all at once, so that they differ
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
