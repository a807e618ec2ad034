package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/praesenz/parley/workflows"
)

// An invariant is what must hold whatever dies.
type invariant string

const (
	kept     invariant = "kept"     // what was acknowledged is in one history, once
	answered invariant = "answered" // and was answered
	ordered  invariant = "ordered"  // what it asked for was done once
	once     invariant = "once"     // once: no sentence was heard twice
	whole    invariant = "whole"    // and whole: none was left out
	able     invariant = "able"     // the answer was no apology
	alive    invariant = "alive"    // no conversation and no part ended by itself
	clean    invariant = "clean"    // and none is left over when all have gone
)

var invariants = []invariant{kept, answered, ordered, once, whole, able, alive, clean}

// A violation is an invariant that did not hold, from one moment to another.
type violation struct {
	invariant invariant
	from, to  time.Time
	what      string
}

// The sentences of the test's store that are the same in every turn.
const (
	lastWords = "What else may it be?"
	apology   = "I cannot look that up right now."
	cover     = "One moment, please." // where something takes long
)

var middle = []string{"That is on your left.", "Have a look around."}

// runs gives a workflow's executions, oldest first.
func runs(ctx context.Context, c client.Client, id string) ([]*workflow.WorkflowExecutionInfo, error) {
	list, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: fmt.Sprintf("WorkflowId = %q", id)})
	all := list.GetExecutions()
	slices.Reverse(all)
	return all, err
}

// history gives the lines of all conversations that a kiosk has had, oldest first.
func history(ctx context.Context, c client.Client, kiosk string) ([]workflows.Line, error) {
	id := workflows.ConversationID(store, kiosk)
	var lines []workflows.Line
	all, err := runs(ctx, c, id)
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		if e.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW {
			continue // the last of its runs tells everything
		}
		if e.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
			return nil, fmt.Errorf("%s is still running", id)
		}
		var s workflows.Summary
		if err := c.GetWorkflow(ctx, id, e.GetExecution().GetRunId()).Get(ctx, &s); err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		lines = append(lines, s.Transcript...)
	}
	return lines, nil
}

// check holds what a customer said and heard against the histories of their
// kiosk, and against what was ordered at it.
func (c *customer) check(lines []workflows.Line, shop *shop) []violation {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []violation
	sorry := count(lines, func(l workflows.Line) bool { return l.By == "kiosk" && l.Text == apology })
	typed := 0
	for _, in := range c.inputs {
		end := in.done
		if end.IsZero() {
			end = in.at.Add(patience)
		}
		fail := func(i invariant, format string, args ...any) {
			what := in.text
			if what == "" {
				what = fmt.Sprintf("what was spoken in turn %d", in.turn)
			}
			all = append(all, violation{i, in.at, end, c.kiosk + ": " + what + ": " + fmt.Sprintf(format, args...)})
		}
		if in.acked.IsZero() {
			if in.text != "" {
				fail(kept, "was never acknowledged")
			}
			continue // the customer has typed it again
		}
		if in.text != "" {
			said := count(lines, func(l workflows.Line) bool { return l.By == "customer" && l.Text == in.text })
			if said != 1 {
				fail(kept, "is %d times in the histories", said)
			}
			echoed := count(lines, func(l workflows.Line) bool {
				return l.By == "kiosk" && l.Step == "echo" && strings.Contains(l.Text, in.text+".")
			})
			if echoed != 1 {
				fail(answered, "was answered %d times in the histories", echoed)
			}
			times, _ := shop.times(order{c.kiosk, in.text})
			if typed += times; times > 1 || times == 0 && sorry == 0 {
				fail(ordered, "was ordered %d times", times)
			}
		}
		if in.done.IsZero() {
			fail(answered, "the customer did not hear the whole answer")
			continue
		}
		c.checkHeard(in, fail)
	}
	spoken := count(lines, func(l workflows.Line) bool { return l.By == "customer" && l.How == workflows.Spoken })
	aloud, most := 0, 0
	for _, in := range c.inputs {
		if in.text == "" {
			most++
			if !in.acked.IsZero() {
				aloud++
			}
		}
	}
	// What was said as its gateway died may have been heard without the kiosk
	// knowing.
	if spoken < aloud || spoken > most {
		all = append(all, violation{kept, time.Time{}, time.Now(), fmt.Sprintf(
			"%s: %d spoken questions are in the histories; the kiosk showed that it heard %d of %d", c.kiosk, spoken, aloud, most)})
	}
	_, orders := shop.times(order{Kiosk: c.kiosk})
	if made := orders - typed; made > spoken || made < spoken-sorry {
		all = append(all, violation{ordered, time.Time{}, time.Now(), fmt.Sprintf(
			"%s: %d orders were made of %d spoken questions", c.kiosk, made, spoken)})
	}
	return all
}

// checkHeard compares what came out of the loudspeaker in a turn with what had to.
func (c *customer) checkHeard(in *input, fail func(invariant, string, ...any)) {
	times := c.shares(in.turn)
	answers, apologised := 0, false
	for text, n := range times {
		if text == cover || text == lastWords && in.cut {
			continue
		}
		most := 2 - nearly
		if in.again {
			most++ // it may have heard both
		}
		switch {
		case n > most:
			fail(once, "%q was heard %.2f times", text, n)
		case n < nearly:
			fail(whole, "%q was heard %.2f times", text, n)
		}
		switch {
		case text == apology:
			apologised = true
		case text == lastWords, slices.Contains(middle, text), strings.HasPrefix(text, "You asked"), strings.HasPrefix(text, "number"):
		default:
			answers++
		}
	}
	for _, text := range append([]string{lastWords}, middle...) {
		if times[text] == 0 && !in.cut {
			fail(whole, "%q was not heard", text)
		}
	}
	switch {
	// Of what was said aloud as the network broke, half may have been heard, and not
	// been understood.
	case apologised && !in.again:
		fail(able, "was answered with an apology")
	case answers == 0:
		fail(whole, "nothing of the answer was heard")
	}
}

func count(lines []workflows.Line, is func(workflows.Line) bool) int {
	n := 0
	for _, l := range lines {
		if is(l) {
			n++
		}
	}
	return n
}
