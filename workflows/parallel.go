package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
)

// parallel does a step's branches at once, and is done when all are, or with
// join "first" when one is; the others are cancelled then. What fails in a branch
// fails the step, and ends the others too.
func (c *conversation) parallel(ctx workflow.Context, j job) error {
	ctx, stop := workflow.WithCancel(ctx)
	defer stop()
	all, done := workflow.NewFuture(ctx)
	left := len(j.Parallel.Branches)
	for _, branch := range j.Parallel.Branches {
		workflow.Go(ctx, func(ctx workflow.Context) {
			err := c.branchOff(ctx, j, branch)
			left--
			if !all.IsReady() && (err != nil || left == 0 || j.Parallel.Join == "first") {
				done.SetError(err) // nil: it went well
			}
		})
	}
	if limit := j.Run.Timeout.D(); limit > 0 {
		workflow.Go(ctx, func(ctx workflow.Context) {
			if in, err := c.until(ctx, limit, "time limit", all.IsReady); err == nil && !in {
				done.SetError(activities.Permanent(activities.KindTimeout, c.inStep(fmt.Errorf("not done within %s", limit))))
			}
		})
	}
	return c.await(ctx, all, j.Run.Cover, nil)
}

// branchOff does the steps of one branch, one after the other.
func (c *conversation) branchOff(ctx workflow.Context, parallel job, branch flow.Line) error {
	for i, step := range branch.Steps {
		j := job{Step: step, name: fmt.Sprintf("%s.%s.%d", parallel.name, branch.Name, i+1), visit: parallel.visit}
		j.Note, j.Run.Cover = parallel.Note, "" // the whole step has a cover, its branches say nothing
		if err := c.work(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

// work does what a step and a branch's step have in common: the verbs that say
// nothing.
func (c *conversation) work(ctx workflow.Context, j job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	switch {
	case j.Retrieve != nil:
		return c.retrieve(ctx, j)
	case j.Generate != nil:
		return c.generate(ctx, j)
	case j.Call != nil:
		return c.call(ctx, j)
	case j.Set != nil:
		return c.set(j.Set, c.scope)
	case j.Wait != nil:
		return c.wait(ctx, *j.Wait)
	}
	return fmt.Errorf("step %q has no verb that this worker knows", j.name)
}
