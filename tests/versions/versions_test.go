// Package versions proves, on a real Temporal server, that a conversation stays on
// the build that it began on, whatever is deployed meanwhile, and that no build
// leaves while it is needed.
package versions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/tests/system"
	"github.com/praesenz/parley/tests/temporal"
	"github.com/praesenz/parley/worker"
	"github.com/praesenz/parley/workflows"
)

const store = "hardware-store" // of examples, for the tests that run the binary

// poll is how long a poll of these tests' servers lasts where there is no work.
// Temporal's own is a minute, and a worker that leaves waits for one of another's.
const poll = 3 * time.Second

// server starts Temporal with the search attributes that conversations set.
func server(t *testing.T) client.Client {
	t.Helper()
	c, _ := serverAt(t)
	return c
}

func serverAt(t *testing.T) (client.Client, string) {
	t.Helper()
	args := []string{"--dynamic-config-value", fmt.Sprintf("matching.longPollExpirationInterval=%q", poll)}
	for _, a := range workflows.Attributes {
		kind := "Keyword"
		if a == workflows.AttributeTurns {
			kind = "Int"
		}
		args = append(args, "--search-attribute", a.GetName()+"="+kind)
	}
	address := temporal.Start(t, args...)
	c := temporal.Dial(t, client.Options{HostPort: address})
	temporal.Eventually(t, time.Minute, func() error { // the namespace is made after the port answers
		_, err := c.OperatorService().ListSearchAttributes(t.Context(), &operatorservice.ListSearchAttributesRequest{Namespace: "default"})
		return err
	})
	return c, address
}

// stubWork stands for speech and avatar: what is tested is who gets which task.
func stubWork() worker.Work {
	return worker.Work{
		Transcribe: func(context.Context, activities.TranscribeInput) (activities.TranscribeResult, error) {
			return activities.TranscribeResult{}, errors.New("nobody speaks here")
		},
		Speak: func(_ context.Context, in activities.SpeakInput) (activities.SpeakResult, error) {
			return activities.SpeakResult{Response: in.Response, Text: in.Text, Heard: in.Text}, nil
		},
		Perform: func(ctx context.Context, _ activities.PerformInput) (activities.PerformResult, error) {
			<-ctx.Done()
			return activities.PerformResult{}, ctx.Err()
		},
	}
}

// startWorker runs the pools that a typed conversation needs: conversation on a
// build, the others without one, or all without one for build "".
func startWorker(t *testing.T, c client.Client, build string, pools ...activities.Pool) *worker.Worker {
	t.Helper()
	config := worker.Config{Temporal: c, Store: store, Pools: pools, Work: stubWork(), StopTimeout: time.Second,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if build != "" {
		config.Deployment, config.BuildID = "parley/"+store, build
	}
	w, err := worker.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w
}

var media = []activities.Pool{activities.PoolSTT, activities.PoolTTS, activities.PoolAvatar}

// promote makes a build the current one, once it polls.
func promote(t *testing.T, c client.Client, build string) {
	t.Helper()
	temporal.Eventually(t, time.Minute, func() error {
		_, err := c.WorkerDeploymentClient().GetHandle("parley/"+store).SetCurrentVersion(t.Context(), client.WorkerDeploymentSetCurrentVersionOptions{BuildID: build})
		return err
	})
}

// A talk is one conversation, held by typing.
type talk struct {
	t   *testing.T
	c   client.Client
	id  string
	seq int64
}

// begin has a kiosk begin to talk.
func begin(t *testing.T, c client.Client, kiosk string, change func(*workflows.Visit)) *talk {
	t.Helper()
	plan, err := flow.Compile(flow.Source{Path: "flows/names.yaml", FS: fstest.MapFS{
		"flows/names.yaml": {Data: []byte(`api: parley.flow/v1
flow: names
version: 1.0.0
languages: {default: en, supported: [en]}
prompts: prompts/names
slots:
  first: {type: text}
  last: {type: text}
defaults: {listen: {start_timeout: 2m}, no_input: {then: bye}, no_match: {then: bye}}
start: first
steps:
  first: {collect: {slot: first, prompt: first}, next: last}
  last: {collect: {slot: last, prompt: last}, next: bye}
  bye: {end: {prompt: bye, outcome: resolved}}
`)},
		"prompts/names/en.yaml": {Data: []byte("first: What is your first name?\nlast: And your last name?\nbye: Thank you.\n")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	visit := workflows.Visit{Store: store, Kiosk: kiosk, Plan: *plan}
	if change != nil {
		change(&visit)
	}
	k := &talk{t: t, c: c, id: workflows.ConversationID(store, kiosk)}
	_, err = c.SignalWithStartWorkflow(t.Context(), k.id, workflows.KioskSignal, k.signal(workflows.Joined, ""),
		client.StartWorkflowOptions{ID: k.id, TaskQueue: activities.Queue(store, activities.PoolConversation)}, workflows.ConversationType, visit)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *talk) signal(kind workflows.Kind, text string) workflows.Signal {
	k.seq++
	return workflows.Signal{Kind: kind, Gateway: "127.0.0.1:1", Session: "s", Seq: k.seq, At: time.Now(), Text: text}
}

// listens waits until a step listens.
func (k *talk) listens(step string) {
	k.t.Helper()
	temporal.Eventually(k.t, 30*time.Second, func() error {
		ctx, cancel := context.WithTimeout(k.t.Context(), 3*time.Second)
		defer cancel()
		answer, err := k.c.QueryWorkflow(ctx, k.id, "", workflows.StatusQuery)
		if err != nil {
			return err
		}
		var s workflows.Status
		if err := answer.Get(&s); err != nil {
			return err
		}
		if s.Step != step || !s.Listening {
			return fmt.Errorf("it is at %s, listening %t", s.Step, s.Listening)
		}
		return nil
	})
}

func (k *talk) types(text string) {
	k.t.Helper()
	if err := k.c.SignalWorkflow(k.t.Context(), k.id, "", workflows.KioskSignal, k.signal(workflows.Typed, text)); err != nil {
		k.t.Fatal(err)
	}
}

// ends waits for its end.
func (k *talk) ends() workflows.Summary {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), 30*time.Second)
	defer cancel()
	var s workflows.Summary
	if err := k.c.GetWorkflow(ctx, k.id, "").Get(ctx, &s); err != nil {
		k.t.Fatalf("%s: %v", k.id, err)
	}
	if s.Outcome != "resolved" {
		k.t.Errorf("%s ended %s", k.id, s.Outcome)
	}
	return s
}

// build is what its last task ran on.
func (k *talk) build() string {
	k.t.Helper()
	d, err := k.c.DescribeWorkflowExecution(k.t.Context(), k.id, "")
	if err != nil {
		k.t.Fatal(err)
	}
	return d.GetWorkflowExecutionInfo().GetVersioningInfo().GetDeploymentVersion().GetBuildId()
}

func (k *talk) onBuild(want string) {
	k.t.Helper()
	if got := k.build(); got != want {
		k.t.Errorf("%s runs on build %q, not %q", k.id, got, want)
	}
}

// talking starts a server, a worker of build 1.0.0 and a conversation that is under
// way on it.
func talking(t *testing.T) (client.Client, *worker.Worker, *talk) {
	t.Helper()
	c := server(t)
	startWorker(t, c, "", media...)
	one := startWorker(t, c, "1.0.0", activities.PoolConversation)
	promote(t, c, "1.0.0")
	k := begin(t, c, "door", nil)
	k.listens("first")
	return c, one, k
}

func TestAConversationEndsOnTheBuildThatItBeganOn(t *testing.T) {
	t.Parallel()
	c, _, old := talking(t)
	startWorker(t, c, "1.1.0", activities.PoolConversation)
	promote(t, c, "1.1.0")
	young := begin(t, c, "window", nil)
	for _, k := range []*talk{old, young} {
		k.listens("first")
		k.types("Ada")
		k.listens("last")
		k.types("Lovelace")
		k.ends()
	}
	old.onBuild("1.0.0")
	young.onBuild("1.1.0")

	// Back to the build before.
	promote(t, c, "1.0.0")
	again := begin(t, c, "door", nil)
	again.listens("first")
	again.onBuild("1.0.0")
}

func TestALongConversationContinuesOnTheCurrentBuild(t *testing.T) {
	t.Parallel()
	c := server(t)
	info, err := c.WorkflowService().GetSystemInfo(t.Context(), &workflowservice.GetSystemInfoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if minor := strings.Split(info.GetServerVersion(), "."); len(minor) == 3 && minor[0] == "1" && minor[1] < "31" {
		t.Skipf("Temporal %s keeps a pinned workflow on its build when it continues as new; 1.31 and later move it", info.GetServerVersion())
	}
	startWorker(t, c, "", media...)
	startWorker(t, c, "1.0.0", activities.PoolConversation)
	promote(t, c, "1.0.0")
	k := begin(t, c, "door", func(v *workflows.Visit) { v.ContinueAfter = 10 })
	k.listens("first")
	startWorker(t, c, "1.1.0", activities.PoolConversation)
	promote(t, c, "1.1.0")
	k.onBuild("1.0.0")
	k.types("Ada")
	k.listens("last") // in a new run
	k.onBuild("1.1.0")
	k.types("Lovelace")
	if s := k.ends(); len(s.Transcript) < 4 {
		t.Errorf("the first run's transcript is lost: %v", s.Transcript)
	}
}

func TestConversationsWithoutABuildMoveToTheFirstOne(t *testing.T) {
	t.Parallel()
	c := server(t)
	startWorker(t, c, "", media...)
	before := startWorker(t, c, "", activities.PoolConversation)
	k := begin(t, c, "door", nil)
	k.listens("first")
	startWorker(t, c, "1.0.0", activities.PoolConversation)
	promote(t, c, "1.0.0")
	before.Stop()
	k.types("Ada")
	k.listens("last")
	k.onBuild("1.0.0")
}

// drained starts to drain a worker and gives a channel that closes when it may
// stop.
func drained(t *testing.T, w *worker.Worker, limit time.Duration) <-chan struct{} {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer cancel()
		w.Drain(ctx)
		w.Stop()
	}()
	return done
}

func within(t *testing.T, limit time.Duration, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("the worker has not left within %s", limit)
	}
}

func TestABuildGoesOnUntilItsConversationsHaveEnded(t *testing.T) {
	t.Parallel()
	c, one, k := talking(t)
	// As in a rolling update, it is told to go while it is still the current build.
	done := drained(t, one, 2*time.Minute)
	startWorker(t, c, "1.1.0", activities.PoolConversation)
	promote(t, c, "1.1.0")
	k.listens("first")
	k.types("Ada")
	k.listens("last")
	k.onBuild("1.0.0")
	select {
	case <-done:
		t.Error("it left while a conversation was open")
	default:
	}
	k.types("Lovelace")
	k.ends()
	within(t, 40*time.Second, done)
}

// In a rolling update the old pods are told to go before the next build is the
// current one. What begins meanwhile, with nothing else open, must not be left
// pinned to a build that nobody runs.
func TestABuildTakesWhatBeginsUntilTheNextOneIsPromoted(t *testing.T) {
	t.Parallel()
	c := server(t)
	startWorker(t, c, "", media...)
	one := startWorker(t, c, "1.0.0", activities.PoolConversation)
	promote(t, c, "1.0.0")
	done := drained(t, one, 3*time.Minute)
	select {
	case <-done:
		t.Fatal("it left while conversations begin on its build")
	case <-time.After(3 * time.Second): // longer than it takes to look once
	}
	k := begin(t, c, "door", nil)
	k.listens("first")
	startWorker(t, c, "1.1.0", activities.PoolConversation)
	promote(t, c, "1.1.0")
	k.types("Ada")
	k.listens("last")
	k.onBuild("1.0.0")
	k.types("Lovelace")
	k.ends()
	within(t, 40*time.Second, done)
}

func TestAWorkerLeavesItsConversationsToAnotherOfItsBuild(t *testing.T) {
	t.Parallel()
	c, one, k := talking(t)
	startWorker(t, c, "1.0.0", activities.PoolConversation)
	within(t, 80*time.Second, drained(t, one, 3*time.Minute))
	k.types("Ada")
	k.listens("last")
	k.onBuild("1.0.0")
}

// Two pods of the same old build are told to go at the same moment: each sees the
// other poll, and neither may rely on it.
func TestTwoThatLeaveDoNotRelyOnEachOther(t *testing.T) {
	t.Parallel()
	c, one, k := talking(t)
	two := startWorker(t, c, "1.0.0", activities.PoolConversation)
	first, second := drained(t, one, 5*time.Minute), drained(t, two, 5*time.Minute)
	select {
	case <-first:
		t.Error("the first left")
	case <-second:
		t.Error("the second left")
	case <-time.After(5 * poll): // each has polled, and looked, more than once
	}
	k.types("Ada")
	k.listens("last")
	k.types("Lovelace")
	k.ends()
	within(t, 40*time.Second, first)
	within(t, 40*time.Second, second)
}

func TestWhatIsOpenWhenTheDrainIsOverMovesToTheCurrentBuild(t *testing.T) {
	t.Parallel()
	c, one, k := talking(t)
	startWorker(t, c, "1.1.0", activities.PoolConversation)
	promote(t, c, "1.1.0")
	within(t, 30*time.Second, drained(t, one, 4*time.Second))
	k.types("Ada")
	k.listens("last")
	k.onBuild("1.1.0")
	k.types("Lovelace")
	k.ends()
}

// A pod of the chart, from its start to the end of its last conversation.
func TestAPodThatIsToldToGoEndsWithItsLastConversation(t *testing.T) {
	t.Parallel()
	c, address := serverAt(t)
	startWorker(t, c, "", media...)
	listen := fmt.Sprintf("127.0.0.1:%d", system.FreePort(t))
	var wrote bytes.Buffer
	pod := exec.Command(system.Binary(t), "worker", "--pools", "conversation", "--deployment", "parley/"+store, "--build-id", "1.0.0",
		"--temporal", address, "--store", filepath.Join(system.Root(t), "examples", store), "--listen", listen, "--drain", "3m")
	pod.Env = append(os.Environ(), "PARLEY_MEDIA_TOKEN=0123456789abcdef0123456789abcdef")
	pod.Stdout, pod.Stderr = &wrote, &wrote
	if err := pod.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- pod.Wait() }()
	t.Cleanup(func() { pod.Process.Kill() })

	probe := func(path string, status int, body string) {
		t.Helper()
		temporal.Eventually(t, 30*time.Second, func() error {
			res, err := http.Get("http://" + listen + path)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			if err == nil && (res.StatusCode != status || strings.TrimSpace(string(b)) != body) {
				err = fmt.Errorf("%s: %s %s", path, res.Status, b)
			}
			return err
		})
	}
	probe("/ready", http.StatusOK, `{"ready":true,"pools":["conversation"],"temporal":"connected"}`)
	promote(t, c, "1.0.0")
	k := begin(t, c, "entrance", nil)
	k.listens("first")
	if err := pod.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	probe("/ready", http.StatusServiceUnavailable, `{"ready":false}`)
	probe("/health", http.StatusOK, `{"status":"ok"}`)
	k.types("Ada")
	k.listens("last")
	k.types("Lovelace")
	k.ends()
	select {
	case err := <-ended:
		if err != nil || !strings.Contains(wrote.String(), "no conversation of this build is open") {
			t.Errorf("it ended with %v\n%s", err, wrote.String())
		}
	case <-time.After(time.Minute):
		t.Error("it did not end")
	}
}

func TestVersionsThatTemporalWouldRefuseAreNamed(t *testing.T) {
	for _, tc := range []struct{ deployment, build, want string }{
		{"parley", "", "build_id"},
		{"", "1.0.0", "deployment"},
		{"par.ley", "1.0.0", `deployment: "par.ley"`},
		{"parley:shop", "1.0.0", `deployment: "parley:shop"`},
		{"__parley", "1.0.0", `deployment: "__parley"`},
		{"parley", `1"`, `build_id: "1\""`},
		{"parley", strings.Repeat("1", 101), "build_id"},
		{"store/parley-worker", "v1.4.0-3fd2", ""},
	} {
		err := worker.ValidateVersion(tc.deployment, tc.build)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q, %q: got %v, want %q", tc.deployment, tc.build, err, tc.want)
		}
	}
}
