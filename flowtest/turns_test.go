package flowtest

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/praesenz/parley/flow"
)

// How turns are taken, to the tenth of a second: with what a gateway does about
// pauses, sounds over the kiosk's voice and words that come before the answer.
func TestTurns(t *testing.T) {
	root := os.DirFS("testdata/turns")
	tests, plans, ds := Open(root, []string{"tests.yaml"}, func(name string) (*flow.Plan, error) {
		return flow.Compile(flow.Source{FS: root, Path: "flows/" + name + ".yaml"})
	})
	if len(ds) > 0 {
		t.Fatalf("the tests are not clean:\n%s", flow.Render(ds, root, flow.RenderOptions{}))
	}
	var told strings.Builder
	for _, test := range tests {
		r := Run(test, plans[test.Flow])
		if r.Failure != nil {
			t.Errorf("%s: %+v", test.Name, *r.Failure)
		}
		fmt.Fprintf(&told, "%s\n", r.Name)
		for _, l := range r.Conversation {
			fmt.Fprintf(&told, "  %s  %-14s %-7s %s\n", clock(l.At), l.Who, l.Step, l.Text)
		}
	}
	golden(t, "turns.golden", told.String())
}
