package workflows_test

import (
	"errors"
	"testing"
	"time"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/workflows"
)

// TestASearchIsDoneHereWhereItCanBe: the conversation's own worker searches, and
// the pool where that does not.
func TestASearchIsDoneHereWhereItCanBe(t *testing.T) {
	for _, tc := range []struct {
		name       string
		err        error // of a search here
		here, pool int   // searches, of two questions
		says       string
	}{
		{"the worker serves the pool", nil, 2, 0, "answer: Hammers are in aisle 4."},
		{"the worker does not", activities.Permanent(activities.KindElsewhere, errors.New("not here")), 1, 2, "answer: Hammers are in aisle 4."},
		{"the index is away for the worker", activities.Retryable(activities.KindAway, errors.New("away")), 1, 2, "answer: Hammers are in aisle 4."},
		{"the search is wrong", activities.Permanent(activities.KindInvalid, errors.New("wrong")), 2, 0, "trouble: Something is wrong."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newVisit(t, shopPlan(t))
			v.passages = hammers
			v.answers["hammers"], v.answers["nails"] = "Hammers are in aisle 4.", "Hammers are in aisle 4."
			here := 0
			v.here = func() error { here++; return tc.err }
			v.at(5*time.Second, workflows.Signal{Kind: workflows.Typed, Seq: 1, Text: "hammers"})
			v.at(12*time.Second, workflows.Signal{Kind: workflows.Typed, Seq: 2, Text: "yes"})
			v.at(16*time.Second, workflows.Signal{Kind: workflows.Typed, Seq: 3, Text: "nails"})
			v.run()
			if here != tc.here || v.searched != tc.pool {
				t.Errorf("searched %d times here and %d times in the pool, want %d and %d", here, v.searched, tc.here, tc.pool)
			}
			if n := count(v.said, tc.says); n != 2 {
				t.Errorf("%q was said %d times, want twice; all that was said: %q", tc.says, n, v.said)
			}
		})
	}
}

func count(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}
