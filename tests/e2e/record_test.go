package e2e

import (
	"flag"
	"os"
	"path/filepath"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"

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
	var h history.History
	events := c.GetWorkflowHistory(v.ctx, workflows.ConversationID(v.sys.Store, v.name), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			v.t.Fatal(err)
		}
		h.Events = append(h.Events, e)
	}
	b, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(&h)
	if err != nil {
		v.t.Fatal(err)
	}
	path := filepath.Join(system.Root(v.t), "tests", "replay", "testdata", name+".json")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		v.t.Fatal(err)
	}
	v.t.Logf("recorded %d events in %s", len(h.Events), path)
}
