// Package actions calls a store's own service through a running parley: the
// catalogue in the store's folder, the flags of a deployment, a real worker.
package actions

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/tests/kiosk"
	"github.com/praesenz/parley/tests/system"
)

// callOnce is a workflow that calls one action as a conversation does.
func callOnce(ctx workflow.Context, in activities.CallInput) (activities.CallResult, error) {
	policy := activities.Policies[activities.PoolAction]
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: activities.Queue(in.Store, activities.PoolAction), StartToCloseTimeout: policy.Attempt,
		HeartbeatTimeout: policy.Heartbeat, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: policy.Attempts, InitialInterval: policy.Backoff},
	})
	var result activities.CallResult
	err := workflow.ExecuteActivity(ctx, activities.Call, in).Get(ctx, &result)
	return result, err
}

// A shop is the store's service, a real HTTP server.
type shop struct {
	*httptest.Server
	mu      sync.Mutex
	answers []int // statuses still to give; then 200
	seen    []string
	keys    map[string]bool
}

func openShop(t *testing.T) *shop {
	s := &shop{keys: map[string]bool{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen = append(s.seen, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
		s.keys[r.Header.Get("Idempotency-Key")] = true
		if len(s.answers) > 0 {
			w.WriteHeader(s.answers[0])
			s.answers = s.answers[1:]
			return
		}
		io.WriteString(w, `{"ticket":"A17"}`)
	}))
	t.Cleanup(s.Close)
	return s
}

// answer has the next requests answered with these statuses.
func (s *shop) answer(statuses ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = statuses
}

// forget makes a new beginning.
func (s *shop) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = nil
	clear(s.keys)
}

// requests are those that the shop has seen, and their idempotency keys.
func (s *shop) requests() (seen []string, keys map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen), maps.Clone(s.keys)
}

// storeFolder is a copy of the store in testdata, to be edited.
func storeFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "store"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func secretsFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "shop_token"), []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAWorkerCallsTheStoresService(t *testing.T) {
	s, dir := openShop(t), storeFolder(t)
	sys := system.Start(t, "--store", dir, "--secrets", secretsFolder(t), "--action-url", "shop="+s.URL+"/v2")
	c := sys.Client(t)
	w := worker.New(c, "calls", worker.Options{})
	w.RegisterWorkflow(callOnce)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	hold := func(key string) (activities.CallResult, error) {
		t.Helper()
		run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: "calls"}, callOnce, activities.CallInput{
			Store: sys.Store, Kiosk: "till", Step: "hold", Action: "shop.hold_item", Args: map[string]any{"sku": "K17"}, Key: key,
		})
		if err != nil {
			t.Fatal(err)
		}
		var result activities.CallResult
		err = run.Get(t.Context(), &result)
		return result, err
	}

	// A conversation, with a customer at the kiosk.
	k, err := kiosk.Dial(t.Context(), kiosk.Options{URL: sys.Kiosk, Token: sys.Tokens["till"], Mute: true, Hurry: true})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if err := k.Start("en"); err != nil {
		t.Fatal(err)
	}
	hearing, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := system.Eventually(hearing, func() error {
		for _, r := range k.Responses(0) {
			if strings.Contains(strings.Join(r.Sentences, " "), "Your ticket is A17.") {
				return nil
			}
		}
		return errors.New("the kiosk has not told the ticket")
	}); err != nil {
		t.Fatal(err)
	}
	s.forget()

	// A service that is away for a moment gets the same request again, under the
	// same key.
	s.answer(503)
	result, err := hold("first")
	if err != nil || result.Value != "A17" || result.Status != 200 {
		t.Fatalf("got %+v, %v", result, err)
	}
	seen, keys := s.requests()
	if len(seen) != 2 || seen[0] != seen[1] || seen[0] != "POST /v2/items/K17/holds Bearer s3cret" || len(keys) != 1 || !keys["first"] {
		t.Errorf("the shop saw %v under %v", seen, keys)
	}

	// A named error is not tried again.
	s.answer(409)
	_, err = hold("second")
	var failed *temporal.ApplicationError
	seen, _ = s.requests()
	if !errors.As(err, &failed) || failed.Type() != "not_in_stock" || len(seen) != 3 {
		t.Errorf("got %v after %d requests", err, len(seen))
	}

	// An action that is edited is used by the next call.
	path := filepath.Join(dir, "actions", "shop.yaml")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), "/items/{sku}/holds", "/held/{sku}", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = hold("third")
	if seen, _ = s.requests(); err != nil || seen[len(seen)-1] != "POST /v2/held/K17 Bearer s3cret" {
		t.Errorf("got %v; the shop saw %v", err, seen)
	}

	res, err := http.Get(sys.Page + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`outcome="done",store="corner-shop"} 3`, `outcome="not_in_stock",store="corner-shop"} 1`, `outcome="away",store="corner-shop"} 1`} {
		if !strings.Contains(string(text), `kiosk_action_seconds_count{action="shop.hold_item",`+want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if strings.Contains(sys.Output(), "K17") || strings.Contains(sys.Output(), "s3cret") {
		t.Errorf("an argument or a secret is in the log:\n%s", sys.Output())
	}
}

// What a deployment lacks is said at the start, all of it.
func TestFaultsOfADeploymentAreSaidAtTheStart(t *testing.T) {
	cmd := exec.Command(system.Binary(t), "dev", "--store", storeFolder(t), "--data", t.TempDir(),
		"--listen", "127.0.0.1:0", "--media", "127.0.0.1:0", "--speech-listen", "127.0.0.1:0", "--ollama", "http://127.0.0.1:1",
		"--temporal-port", strconv.Itoa(system.FreePort(t)), "--ui-port", strconv.Itoa(system.FreePort(t)), "--action-url", "shp=http://localhost:9")
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatal("it began all the same")
	}
	for _, want := range []string{`there is no service "shp" in the catalogue; it has shop`, `secret "shop_token" is missing; put it into the environment as PARLEY_SECRET_SHOP_TOKEN`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}
