package flowgen

import (
	"testing"

	"github.com/praesenz/parley/flow"
)

func TestEveryFlowIsValid(t *testing.T) {
	verbs := map[string]int{}
	for seed := range uint64(150) {
		plan, err := Plan(seed)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := flow.NewProgram(plan); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, s := range plan.Steps {
			verbs[s.Verb()]++
		}
	}
	for _, verb := range []string{"say", "collect", "retrieve", "generate", "call", "set", "branch", "run_flow", "parallel", "wait", "handoff", "end"} {
		if verbs[verb] < 25 {
			t.Errorf("only %d steps are %s", verbs[verb], verb)
		}
	}
}

func TestEqualSeedsGiveEqualFlows(t *testing.T) {
	a, err := Plan(7)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Plan(7)
	if err != nil {
		t.Fatal(err)
	}
	if a.SHA256 != b.SHA256 {
		t.Error("the same seed gave two plans")
	}
}
