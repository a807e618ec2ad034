// Package sealed proves, with the whole product, that nothing a customer said can
// be read in Temporal without the keys, and that everything works with them.
package sealed

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/query/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/proto"

	"github.com/praesenz/parley/payload"
	"github.com/praesenz/parley/tests/kiosk"
	"github.com/praesenz/parley/tests/system"
	"github.com/praesenz/parley/tests/temporal"
	"github.com/praesenz/parley/workflows"
)

func newKey(id string) string {
	key := make([]byte, 32)
	rand.Read(key)
	return id + ":" + hex.EncodeToString(key)
}

func write(t *testing.T, keys ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "payload-keys")
	if err := os.WriteFile(path, []byte(strings.Join(keys, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// asks has a customer ask one question by typing, and leave.
func asks(t *testing.T, sys *system.System, question string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	k, err := kiosk.Dial(ctx, kiosk.Options{URL: sys.Kiosk, Token: sys.Tokens["entrance"], Mute: true, Hurry: true})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if err := k.Start("en"); err != nil {
		t.Fatal(err)
	}
	state := func(mark int, s string) {
		t.Helper()
		if _, err := k.State(ctx, mark, s); err != nil {
			t.Fatalf("no state %s: %v\n%s", s, err, k.Story())
		}
	}
	state(0, "listening")
	mark := k.Mark()
	if err := k.Type(question); err != nil {
		t.Fatal(err)
	}
	state(mark, "speaking")
	state(mark, "listening")
	if err := k.Leave(); err != nil {
		t.Fatal(err)
	}
}

// events are the history of the kiosk's last conversation, once it has ended.
func events(t *testing.T, c client.Client) (run string, list []*history.HistoryEvent) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	id := workflows.ConversationID("hardware-store", "entrance")
	it := c.GetWorkflowHistory(ctx, id, "", true, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for it.HasNext() {
		e, err := it.Next()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	return list[0].GetWorkflowExecutionStartedEventAttributes().GetOriginalExecutionRunId(), list
}

func parley(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), system.Binary(t), args...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

const codecToken = "0123456789abcdef0123456789abcdef"

// startCodec runs `parley codec` and gives its URL.
func startCodec(t *testing.T, keys string) string {
	t.Helper()
	addr := fmt.Sprintf("127.0.0.1:%d", system.FreePort(t))
	cmd := exec.Command(system.Binary(t), "codec", "--listen", addr, "--payload-keys-file", keys)
	cmd.Env = append(os.Environ(), "PARLEY_CODEC_TOKEN="+codecToken)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("parley codec ended with %v", err)
		}
	})
	temporal.Eventually(t, 30*time.Second, func() error {
		res, err := http.Get("http://" + addr + "/health")
		if err == nil {
			res.Body.Close()
		}
		return err
	})
	return "http://" + addr
}

func TestNothingThatWasSaidCanBeReadWithoutTheKeys(t *testing.T) {
	first, second := newKey("first"), newKey("second")
	sys := system.Start(t, "--payload-keys-file", write(t, first))
	const question = "where do i find the paint rollers"
	asks(t, sys, question)

	raw := sys.Client(t) // without keys
	run, sealed := events(t, raw)
	answered := 0
	for _, e := range sealed {
		b, err := proto.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		// Of the question, of any answer, of the flow's own prompts, of the prompts for a
		// model, of summaries, and of the plan.
		for _, words := range []string{"paint", "roller", "aisle", "Welcome", "hammer", "transcript", "prompts"} {
			if bytes.Contains(bytes.ToLower(b), []byte(strings.ToLower(words))) {
				t.Errorf("event %d, %s, shows %q", e.GetEventId(), e.GetEventType(), words)
			}
		}
		if e.GetEventType() == enums.EVENT_TYPE_ACTIVITY_TASK_COMPLETED {
			answered++
		}
	}
	if answered == 0 {
		t.Errorf("no activity was completed in %d events: nothing was tried", len(sealed))
	}
	// The live transcript of the Temporal UI's page.
	page, err := raw.WorkflowService().QueryWorkflow(t.Context(), &workflowservice.QueryWorkflowRequest{
		Namespace: "default", Execution: &common.WorkflowExecution{WorkflowId: workflows.ConversationID("hardware-store", "entrance"), RunId: run},
		Query: &query.WorkflowQuery{QueryType: "__temporal_workflow_metadata"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(page.GetQueryResult().GetPayloads()[0].GetMetadata()["encoding"]); got != payload.Encoding {
		t.Errorf("the live transcript is encoded %q", got)
	}

	// With the keys, it reads as before; after a rotation too, which is a restart.
	graph := func(keys string) (string, error) {
		return parley(t, "flow", "graph", "--conversation", workflows.ConversationID("hardware-store", "entrance"), "--run", run,
			"--temporal", sys.Temporal, "--payload-keys-file", keys)
	}
	rotated := write(t, second, first)
	for _, keys := range []string{write(t, first), rotated} {
		if out, err := graph(keys); err != nil || !strings.Contains(out, "flowchart") {
			t.Errorf("with the keys: %v\n%s", err, out)
		}
	}
	for _, keys := range []string{write(t, second), write(t, "# none")} {
		if out, err := graph(keys); err == nil || !strings.Contains(out, `needs the key "first"`) {
			t.Errorf("without the key: %v\n%s", err, out)
		}
	}
	// Operators read by the codec server, here with Temporal's own command.
	codec := startCodec(t, write(t, first))
	shows := func(args ...string) bool {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), temporal.Command(t), append([]string{"workflow", "show", "--output", "json", "--address", sys.Temporal,
			"--workflow-id", workflows.ConversationID("hardware-store", "entrance"), "--run-id", run}, args...)...)
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		h, err := client.HistoryFromJSON(bytes.NewReader(out), client.HistoryJSONOptions{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := proto.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(b, []byte(question))
	}
	if !shows("--codec-endpoint", codec, "--codec-auth", "Bearer "+codecToken) {
		t.Error("with the codec server the question cannot be read")
	}
	if shows() {
		t.Error("without the codec server the question can be read")
	}

	sys.Stop(t)
	sys.Restart(t, "--payload-keys-file", rotated)
	asks(t, sys, question)
	_, after := events(t, sys.Client(t))
	input := after[0].GetWorkflowExecutionStartedEventAttributes().GetInput().GetPayloads()
	if id := string(input[0].GetMetadata()["encryption-key-id"]); id != "second" {
		t.Errorf("after the rotation it is sealed with %q", id)
	}
}
