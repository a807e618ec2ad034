package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
)

// maxPerforms is how often the avatar is started anew in one session; after that
// it stands still until the kiosk comes with another.
const maxPerforms = 3

// animate moves the avatar for as long as the conversation lasts, with one
// activity for each session of the kiosk: it follows the responses by itself.
// What it fails at is no reason to fail a conversation; it begins anew with the
// next response.
func (c *conversation) animate(ctx workflow.Context) {
	for failures := 0; ctx.Err() == nil; {
		place, first := c.Place, max(1, c.Responses) // what is beginning now; what is over does not begin again
		stage, stop := workflow.WithCancel(ctx)
		performance := workflow.ExecuteActivity(c.on(stage, activities.PoolAvatar, work{step: "avatar"}), activities.Perform,
			activities.PerformInput{Place: place, Response: first})
		elsewhere := func() bool { return c.Place != place }
		if err := workflow.Await(ctx, func() bool { return performance.IsReady() || elsewhere() }); err != nil {
			return
		}
		stop() // no effect once it is over
		if elsewhere() {
			failures = 0
			continue
		}
		again := elsewhere
		if err := performance.Get(ctx, nil); err != nil {
			workflow.GetLogger(ctx).Warn("avatar does not perform", "session", place.Session, "error", err)
			if failures++; failures <= maxPerforms {
				spoken := c.Responses
				again = func() bool { return elsewhere() || c.Responses > spoken }
			}
		}
		if err := workflow.Await(ctx, again); err != nil {
			return
		}
		if elsewhere() {
			failures = 0
		}
	}
}
