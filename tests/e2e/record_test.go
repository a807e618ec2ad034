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

// wantShortTurns bounds the history of a spoken turn,
// from the customer's first sound to the next question: fewer than 40 events,
// where the language model is not asked what was meant.
func (v *visit) wantShortTurns(c client.Client) {
	v.t.Helper()
	var turns, bytes []int
	model := false
	check := func() {
		if n := len(turns); n > 0 && turns[n-1] >= 40 && !model {
			v.t.Errorf("turn %d has %d events, want fewer than 40", n, turns[n-1])
		}
		model = false
	}
	for _, e := range v.history(c).Events {
		if a := e.GetWorkflowExecutionSignaledEventAttributes(); a != nil {
			var s workflows.Signal
			if err := converter.GetDefaultDataConverter().FromPayloads(a.GetInput(), &s); err != nil {
				v.t.Fatal(err)
			}
			if s.Kind == workflows.SpeechStarted {
				check()
				turns, bytes = append(turns, 0), append(bytes, 0)
			}
		}
		if a := e.GetActivityTaskScheduledEventAttributes(); a != nil && a.GetActivityType().GetName() == activities.Understand {
			model = true
		}
		if len(turns) > 0 {
			turns[len(turns)-1]++
			bytes[len(turns)-1] += proto.Size(e)
		}
	}
	check()
	v.t.Logf("events of each turn: %v; bytes: %v", turns, bytes)
}
