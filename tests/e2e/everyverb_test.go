package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/praesenz/parley/tests/kiosk"
	"github.com/praesenz/parley/tests/system"
	"github.com/praesenz/parley/workflows"
)

// A shop is the store's own service.
type shop struct {
	mu   sync.Mutex
	seen map[string]string // "POST /items/K17/holds" → its idempotency key and body
}

// ServeHTTP answers for the two actions of testdata/everyverb.
func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.seen[r.Method+" "+r.URL.Path] = r.Header.Get("Idempotency-Key") + " " + string(body)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodPost {
		io.WriteString(w, `{"ticket": "A17"}`)
		return
	}
	io.WriteString(w, `{"count": 3}`)
}

// TestEveryVerb comes through every verb of the language against the real parts:
// the history is what tests/replay holds later interpreters to.
func TestEveryVerb(t *testing.T) {
	shop := &shop{seen: map[string]string{}}
	backend := httptest.NewServer(shop)
	t.Cleanup(backend.Close)
	store := filepath.Join(system.Root(t), "tests", "e2e", "testdata", "everyverb")
	sys := system.Start(t, "--store", store, "--action-url", "shop="+backend.URL)
	temporal := sys.Client(t)
	v := enter(t, sys, "entrance", "en", kiosk.Options{Mute: true, Hurry: true})
	id := workflows.ConversationID(sys.Store, v.name)

	for _, turn := range []struct{ step, text string }{
		{"tour/question", "where is the blue kettle"},
		{"tour/colour", "opening hours"}, // a digression
		{"side/ask", "sunday"},
		{"tour/colour", "red"},
		{"tour/phone", "12345"},
		{"tour/phone", "yes"},
	} {
		v.until(temporal, func(s workflows.Status) bool { return s.Listening && s.Flow+"/"+s.Step == turn.step })
		asked := v.status(temporal).Turns
		if err := v.k.Type(turn.text); err != nil {
			t.Fatal(err)
		}
		v.until(temporal, func(s workflows.Status) bool { return s.Turns > asked })
	}
	v.until(temporal, func(s workflows.Status) bool { return s.Step == "queue" })
	event := workflows.Event{Name: "ticket_called", Data: map[string]any{"desk": 3}}
	if err := temporal.SignalWorkflow(v.ctx, id, "", workflows.EventSignal, event); err != nil {
		t.Fatal(err)
	}
	s := v.until(temporal, func(s workflows.Status) bool { return s.Listening && s.Flow == "side" })
	if len(s.Within) != 1 || s.Within[0] != "tour@1.0.0" {
		t.Errorf("the flow is said to run within %q, want the tour", s.Within)
	}
	mark := v.k.Mark()
	if err := v.k.Type("weekday"); err != nil {
		t.Fatal(err)
	}
	call := v.until(temporal, func(s workflows.Status) bool { return s.Handoff != nil }).Handoff
	if call.Team != "floor" || strings.Contains(call.Summary, "12345") || call.Summary == "" {
		t.Errorf("staff is called with %+v", call)
	}
	v.answerHandoff(temporal, id, workflows.HandoffAnswer{ID: call.ID, Accept: true, By: "Ann"})
	if _, err := v.k.Wait(v.ctx, mark, func(e kiosk.Event) bool { return e.Type == "server:ended" }); err != nil {
		t.Fatal(err)
	}
	v.recordHistory(temporal, "every-verb")

	var sum workflows.Summary
	if err := temporal.GetWorkflow(v.ctx, id, "").Get(v.ctx, &sum); err != nil {
		t.Fatal(err)
	}
	if sum.Outcome != "handed_off" || sum.Turns != 7 {
		t.Errorf("outcome %q after %d turns, want handed_off after 7", sum.Outcome, sum.Turns)
	}
	for _, way := range []string{
		"tour/greet>next>question", "tour/look>next>answer", "tour/answer>next>colour", "tour/colour>intent hours>colour",
		"side/closed>end>", "tour/hold>next>held", "tour/queue>next>called", "tour/pause>next>side", "tour/side>open>more",
		"tour/more>next>enough", "tour/enough>case 1>staff", "tour/staff>accepted>bye", "tour/bye>end>",
	} {
		if sum.Taken[way] != 1 {
			t.Errorf("the way %q was taken %d times, want once", way, sum.Taken[way])
		}
	}
	var story strings.Builder
	for _, line := range sum.Transcript {
		fmt.Fprintf(&story, "%s %s: %s\n", line.By, line.Step, line.Text)
	}
	for _, want := range []string{"aisle 4", "On Sundays we are closed.", "Back to your question.", "Your red kettle is held under A17.", "Please go to desk 3."} {
		if !strings.Contains(story.String(), want) {
			t.Errorf("nobody said %q:\n%s", want, story.String())
		}
	}
	shop.mu.Lock()
	defer shop.mu.Unlock()
	held := shop.seen["POST /items/K17/holds"]
	var body map[string]any
	key, text, _ := strings.Cut(held, " ")
	if err := json.Unmarshal([]byte(text), &body); err != nil || body["phone"] != "12345" || !strings.HasSuffix(key, "/hold/1") {
		t.Errorf("the shop was asked %q, want the number under the step's key", held)
	}
}

// status asks the conversation how it stands.
func (v *visit) status(c client.Client) workflows.Status {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, 10*time.Second)
	defer cancel()
	value, err := c.QueryWorkflow(ctx, workflows.ConversationID(v.sys.Store, v.name), "", workflows.StatusQuery)
	if err != nil {
		v.t.Fatal(err)
	}
	var s workflows.Status
	if err := value.Get(&s); err != nil {
		v.t.Fatal(err)
	}
	return s
}

// until waits for the conversation to stand so.
func (v *visit) until(c client.Client, so func(workflows.Status) bool) (s workflows.Status) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, 30*time.Second)
	defer cancel()
	err := system.Eventually(ctx, func() error {
		if s = v.status(c); !so(s) {
			return fmt.Errorf("it stands at %s/%s, listening %v, turn %d, transcript %+v", s.Flow, s.Step, s.Listening, s.Turns, s.Transcript)
		}
		return nil
	})
	if err != nil {
		v.t.Fatal(err)
	}
	return s
}

// answerHandoff gives staff's answer.
func (v *visit) answerHandoff(c client.Client, id string, a workflows.HandoffAnswer) {
	v.t.Helper()
	update, err := c.UpdateWorkflow(v.ctx, client.UpdateWorkflowOptions{
		WorkflowID: id, UpdateName: workflows.HandoffUpdate, Args: []any{a}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = update.Get(v.ctx, nil)
	}
	if err != nil {
		v.t.Fatalf("staff's answer: %v", err)
	}
}
