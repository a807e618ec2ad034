package flowtest

import (
	"fmt"
	"strings"

	"github.com/praesenz/parley/flow"
)

// Coverage says how much of a flow its tests went through.
type Coverage struct {
	Flow   string `json:"flow"`
	File   string `json:"file"` // its source
	Steps  Count  `json:"steps"`
	Ways   Count  `json:"ways"`
	Missed []Way  `json:"missed,omitempty"` // in the order of the source
}

// A Count is how many of all.
type Count struct {
	Covered int `json:"covered"`
	All     int `json:"all"`
}

// Percent is the covered part of a hundred; of nothing, all is covered.
func (c Count) Percent() float64 {
	if c.All == 0 {
		return 100
	}
	return 100 * float64(c.Covered) / float64(c.All)
}

// A Way is a way out of a step, or of every listening step, that a conversation
// can take.
type Way struct {
	Step string `json:"step,omitempty"` // empty: what holds for every listening step
	Line int    `json:"line"`           // of the step; 0: none
	How  string `json:"how"`            // as workflows.Way writes it; "" for the step itself
	To   string `json:"to,omitempty"`
}

// String says it as a report does.
func (w Way) String() string {
	switch {
	case w.How == "":
		return fmt.Sprintf("step %s", w.Step)
	case w.Step == "":
		return fmt.Sprintf("%s → %s", w.How, w.To)
	case w.To == "":
		return fmt.Sprintf("%s: %s", w.Step, w.How)
	}
	return fmt.Sprintf("%s: %s → %s", w.Step, w.How, w.To)
}

// Cover compares the ways that conversations took, as workflows.Way names them,
// with those that there are. What every listening step has (the intents, and the
// default repair of silence and misunderstanding) counts once, wherever it was
// taken: nobody tests each of them at each step.
func Cover(plan *flow.Plan, file string, taken map[string]int) Coverage {
	c := Coverage{Flow: plan.Flow, File: file}
	visited := map[string]bool{}
	took := map[Way]bool{}
	for way := range taken {
		name, rest, _ := strings.Cut(way, "/")
		if name != plan.Flow {
			continue
		}
		parts := strings.SplitN(rest, ">", 3)
		if len(parts) != 3 {
			continue
		}
		visited[parts[0]] = true
		w := Way{Step: parts[0], How: parts[1], To: parts[2]}
		took[w] = true
		took[Way{Step: w.Step, How: w.How}] = true
		took[Way{How: w.How}] = true
	}
	count := func(of *Count, covered bool, w Way) {
		of.All++
		if covered {
			of.Covered++
		} else {
			c.Missed = append(c.Missed, w)
		}
	}
	shared := sharedWays(plan)
	for _, w := range shared {
		count(&c.Ways, took[Way{How: w.How}] && !ownOnly(plan, took, w), w)
	}
	for _, name := range stepsByLine(plan) {
		step := plan.Steps[name]
		count(&c.Steps, visited[name], Way{Step: name, Line: step.Line})
		for _, w := range waysOf(step) {
			w.Step = name
			covered := took[w]
			w.Line = step.Line
			if visited[name] {
				count(&c.Ways, covered, w)
			} else {
				c.Ways.All++ // its step is missed already: one line is enough
			}
		}
	}
	return c
}

// sharedWays are those that every listening step has; its intents every step has
// that runs a flow which listens.
func sharedWays(plan *flow.Plan) []Way {
	inherits := map[string]bool{}
	listens := false
	for _, s := range plan.Steps {
		listens = listens || plan.Hears(s)
		if s.Collect == nil {
			continue
		}
		inherits["no_input"] = inherits["no_input"] || s.Collect.NoInput == nil
		inherits["no_match"] = inherits["no_match"] || s.Collect.NoMatch == nil
	}
	if !listens {
		return nil
	}
	var ways []Way
	if inherits["no_input"] && plan.NoInput.Then != "" {
		ways = append(ways, Way{How: "no_input", To: plan.NoInput.Then})
	}
	if inherits["no_match"] && plan.NoMatch.Then != "" {
		ways = append(ways, Way{How: "no_match", To: plan.NoMatch.Then})
	}
	for _, in := range plan.Intents {
		to := in.To
		if to == "" {
			to = in.Then
		}
		if to == "" {
			to = "goes on"
		}
		ways = append(ways, Way{How: "intent " + in.Name, To: to})
	}
	return ways
}

// ownOnly says that a default repair was taken only by steps that have one of
// their own.
func ownOnly(plan *flow.Plan, took map[Way]bool, w Way) bool {
	if w.How != "no_input" && w.How != "no_match" {
		return false
	}
	for name, s := range plan.Steps {
		if c := s.Collect; c != nil && took[Way{Step: name, How: w.How}] &&
			(w.How == "no_input" && c.NoInput == nil || w.How == "no_match" && c.NoMatch == nil) {
			return false
		}
	}
	return true
}

// waysOf are a step's own ways out, without its name.
func waysOf(s flow.Step) []Way {
	var ways []Way
	if s.Next != "" {
		ways = append(ways, Way{How: "next", To: s.Next})
	}
	for i, arm := range s.Branch {
		how := "else"
		if arm.When != "" {
			how = fmt.Sprintf("case %d", i+1)
		}
		ways = append(ways, Way{How: how, To: arm.To})
	}
	if s.Collect != nil && s.Collect.NoInput != nil && s.Collect.NoInput.Then != "" {
		ways = append(ways, Way{How: "no_input", To: s.Collect.NoInput.Then})
	}
	if s.Collect != nil && s.Collect.NoMatch != nil && s.Collect.NoMatch.Then != "" {
		ways = append(ways, Way{How: "no_match", To: s.Collect.NoMatch.Then})
	}
	for _, kind := range sortedKeys(s.Catch) {
		ways = append(ways, Way{How: kind, To: s.Catch[kind]})
	}
	if s.End != nil {
		ways = append(ways, Way{How: "end"})
	}
	return ways
}
