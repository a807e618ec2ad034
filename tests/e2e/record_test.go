package e2e

import (
	"flag"
	"os"
	"path/filepath"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/tests/system"
	"github.com/praesenz/parley/workflows"
)

var record = flag.Bool("record", false, "write the histories of the conversations to tests/replay/testdata")

// recordHistory keeps a conversation for the replay tests, when asked to.
func (v *visit) recordHistory(c client.Client, name string) {
	v.t.Helper()
	if !*record {
		return
	}
	h := v.history(c)
	b, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(h)
	if err != nil {
		v.t.Fatal(err)
	}
	path := filepath.Join(system.Root(v.t), "tests", "replay", "testdata", name+".json")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		v.t.Fatal(err)
	}
	v.t.Logf("recorded %d events in %s", len(h.Events), path)
}

// history reads the conversation's events.
func (v *visit) history(c client.Client) *history.History {
	v.t.Helper()
	h := &history.History{}
	events := c.GetWorkflowHistory(v.ctx, workflows.ConversationID(v.sys.Store, v.name), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			v.t.Fatal(err)
		}
		h.Events = append(h.Events, e)
	}
	return h
}

// wantShortTurns bounds the history of a spoken turn, from the customer's first
// sound to the next question, where the language model is not asked what was
// meant: the events that are not of workflow tasks in each, and all events in the
// shortest. How many tasks there are depends on the machine as well: what comes
// together on a calm one is taken up in two tasks, of three events each, on a busy
// one.
func (v *visit) wantShortTurns(c client.Client) {
	v.t.Helper()
	type turn struct {
		events, tasks, bytes int // tasks: those of the events that are of workflow tasks
		model, asked         bool
	}
	var turns []turn
	for _, e := range v.history(c).Events {
		if a := e.GetWorkflowExecutionSignaledEventAttributes(); a != nil {
			var s workflows.Signal
			if err := converter.GetDefaultDataConverter().FromPayloads(a.GetInput(), &s); err != nil {
				v.t.Fatal(err)
			}
			if s.Kind == workflows.SpeechStarted {
				turns = append(turns, turn{})
			}
		}
		if len(turns) == 0 {
			continue
		}
		t := &turns[len(turns)-1]
		t.events++
		t.bytes += proto.Size(e)
		switch e.GetEventType() {
		case enums.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED, enums.EVENT_TYPE_WORKFLOW_TASK_STARTED, enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
			t.tasks++
		}
		switch e.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName() {
		case activities.Understand:
			t.model = true
		case activities.Generate:
			t.asked = true
		}
	}
	shortest := 0
	for i, t := range turns {
		v.t.Logf("turn %d: %d events, %d of them of workflow tasks; %d bytes", i+1, t.events, t.tasks, t.bytes)
		if t.model || !t.asked {
			continue
		}
		if own := t.events - t.tasks; own > 20 {
			v.t.Errorf("turn %d has %d events beside its workflow tasks, want at most 20", i+1, own)
		}
		if shortest == 0 || t.events < shortest {
			shortest = t.events
		}
	}
	if shortest >= 40 {
		v.t.Errorf("the shortest turn has %d events, want fewer than 40", shortest)
	}
}
