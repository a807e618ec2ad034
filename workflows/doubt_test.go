package workflows_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A gateway whose call to Temporal broke off does not know whether its signal has
// arrived, and sends it again before it sends another. Whatever the signal, and
// whenever it comes, a conversation goes on as if it had come once.
func TestASignalThatArrivesAgainChangesNothing(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		hold := func(doubts bool) (*rehearsal, any) {
			r := rehearse(t, seed)
			r.doubts = doubts
			sum, err := r.hold()
			if err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, strings.Join(r.story, "\n"))
			}
			return r, sum
		}
		once, sum := hold(false)
		again, sum2 := hold(true)
		if reflect.DeepEqual(sum, sum2) {
			continue
		}
		for i, line := range once.story {
			if i >= len(again.story) || again.story[i] != line {
				from := max(0, i-6)
				t.Errorf("seed %d: with each signal once\n%s\nand with each again\n%s", seed, strings.Join(once.story[from:min(len(once.story), i+4)], "\n"),
					strings.Join(again.story[min(from, len(again.story)):min(len(again.story), i+4)], "\n"))
				break
			}
		}
		if !slices.Equal(once.story, again.story) {
			t.Fatalf("summaries:\n%+v\n%+v", sum, sum2)
		}
	}
}
