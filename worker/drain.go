package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/workflows"
)

const (
	drainLook = 2 * time.Second // between two looks at what is left
	askFor    = 5 * time.Second // limit of one question to Temporal
	// No conversation must have been open for this long before a worker relies on
	// it: Temporal's index follows them by a second or so, and on a build that is
	// still the current one another may begin at any moment, until that of the next
	// build follows its pods.
	quietFor        = 3 * time.Second
	quietForCurrent = 15 * time.Second
	// leaving marks the identity of a conversation worker that drains. Two that
	// drain at the same moment would otherwise each leave its conversations to the
	// other.
	leaving = " (leaving)"
)

// Leaving tells whether an identity is of a worker that drains.
func Leaving(identity string) bool { return strings.HasSuffix(identity, leaving) }

// Drain makes a versioned worker leave no conversation behind. The pools of
// activities stop at once: another worker takes over. The pool conversation goes
// on, because nobody but a worker of its own build may continue what began on it,
// until one of these holds:
//
//   - no conversation of its build is open, and none has been for some seconds;
//   - another worker of the same build polls, and is not itself leaving;
//   - ctx has ended. What is open then is moved to the current build, which
//     continues it from its history, unless that is this build: its next worker
//     will find them.
//
// Whether this build is the current one is no reason to leave: in a rolling
// update the old pods are told to go before the new build is made the current one.
//
// Drain of a worker without versions does nothing. Call Stop after it.
func (w *Worker) Drain(ctx context.Context) {
	if w.config.Deployment == "" || w.pools[activities.PoolConversation] == nil {
		return
	}
	began := time.Now()
	logger := w.config.Logger.With("store", w.config.Store, "deployment", w.config.Deployment, "build_id", w.config.BuildID)
	d := drain{config: w.config, me: w.identity + leaving}
	look := time.NewTicker(drainLook)
	defer look.Stop()
	var open int
	for renamed := false; ctx.Err() == nil; {
		var why string
		var err error
		if !renamed { // again and again, where Temporal is away just now
			err = w.rename(d.me)
			renamed = err == nil
		}
		if renamed {
			var n int
			if n, why, err = d.mayLeave(ctx); err == nil {
				open = n
			}
		}
		if err != nil && ctx.Err() == nil {
			logger.Warn("worker cannot tell whether it may leave", "error", err)
		}
		if why != "" {
			logger.Info("worker leaves", "why", why, "open", open, "seconds", time.Since(began).Seconds())
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
		}
	}
	// The time to wait is over, not the time to move what is left.
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), 2*askFor, fmt.Errorf("not done within %s", 2*askFor))
	defer cancel()
	moved, err := d.moveRest(ctx)
	logger.Warn("worker leaves conversations open", "why", "drain is over", "open", open, "moved", moved,
		"seconds", time.Since(began).Seconds(), "error", err)
}

// rename has the pool conversation polled under another identity, without a gap,
// and ends the others.
func (w *Worker) rename(identity string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := w.serve(activities.PoolConversation, identity)
	if err := next.Start(); err != nil {
		return fmt.Errorf("start worker of pool %s: %w", activities.PoolConversation, err)
	}
	stopAll(slices.Collect(maps.Values(w.pools)))
	w.pools = map[activities.Pool]worker.Worker{activities.PoolConversation: next}
	return nil
}

// A drain looks at what a build still has to do.
type drain struct {
	config Config
	me     string
	since  time.Time // of Temporal's clock: when me was first seen; zero before
	quiet  time.Time // since when no conversation has been open; zero: one is
}

// mayLeave says how many conversations of the build are open, and why the worker
// may go; "" when it may not.
func (d *drain) mayLeave(ctx context.Context) (open int, why string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askFor, fmt.Errorf("no answer within %s", askFor))
	defer cancel()
	count, err := d.config.Temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: d.openOnes()})
	if err != nil {
		return 0, "", fmt.Errorf("count open conversations: %w", err)
	}
	open = int(count.GetCount())
	if open == 0 {
		if quiet, err := d.quietEnough(ctx); !quiet || err != nil {
			return 0, "", err
		}
		return 0, "no conversation of this build is open", nil
	}
	d.quiet = time.Time{}
	queue, err := d.config.Temporal.DescribeTaskQueue(ctx, activities.Queue(d.config.Store, activities.PoolConversation), enums.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return 0, "", fmt.Errorf("see who polls: %w", err)
	}
	if d.another(queue.GetPollers()) {
		return open, "another worker of this build goes on", nil
	}
	return open, "", nil
}

// quietEnough says, while no conversation is open, whether that can be relied on.
func (d *drain) quietEnough(ctx context.Context) (bool, error) {
	if d.quiet.IsZero() {
		d.quiet = time.Now()
	}
	current, err := d.current(ctx)
	if err != nil {
		return false, err
	}
	wait := quietFor
	if current != nil && current.BuildID == d.config.BuildID {
		wait = quietForCurrent
	}
	return time.Since(d.quiet) >= wait, nil
}

// current is the version on which conversations begin now; nil: there is none.
func (d *drain) current(ctx context.Context) (*worker.WorkerDeploymentVersion, error) {
	deployment, err := d.config.Temporal.WorkerDeploymentClient().GetHandle(d.config.Deployment).Describe(ctx, client.WorkerDeploymentDescribeOptions{})
	if err != nil {
		return nil, fmt.Errorf("find the current build: %w", err)
	}
	return deployment.Info.RoutingConfig.CurrentVersion, nil
}

// another says whether somebody else has polled for this build since this worker
// began to leave. Temporal names pollers for minutes after they have gone, so only
// its own clock tells, by when it first saw this worker under its last name. Who
// is leaving too is named twice, under both names.
func (d *drain) another(pollers []*taskqueue.PollerInfo) bool {
	named := map[string]time.Time{}
	for _, p := range pollers {
		v := p.GetDeploymentOptions()
		if v.GetDeploymentName() == d.config.Deployment && v.GetBuildId() == d.config.BuildID {
			named[p.GetIdentity()] = p.GetLastAccessTime().AsTime()
		}
	}
	if d.since.IsZero() {
		d.since = named[d.me]
		return false
	}
	for who, polled := range named {
		_, leaves := named[who+leaving]
		if !leaves && !Leaving(who) && polled.After(d.since) {
			return true
		}
	}
	return false
}

// openOnes finds the open conversations of the build. The names need no escape:
// ValidateVersion lets no quote pass.
func (d *drain) openOnes() string {
	return fmt.Sprintf(`TemporalWorkerDeploymentVersion = "%s:%s" AND WorkflowType = "%s" AND ExecutionStatus = "Running"`,
		d.config.Deployment, d.config.BuildID, workflows.ConversationType)
}

// moveRest pins what is open to the build that is the current one now, and says
// how many.
func (d *drain) moveRest(ctx context.Context) (int, error) {
	current, err := d.current(ctx)
	if err != nil {
		return 0, err
	}
	if current == nil || current.BuildID == d.config.BuildID {
		return 0, nil
	}
	change := client.WorkflowExecutionOptionsChanges{
		VersioningOverride: &client.VersioningOverrideChange{Value: &client.PinnedVersioningOverride{Version: *current}},
	}
	list, err := d.config.Temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: d.openOnes(), PageSize: 1000})
	if err != nil {
		return 0, fmt.Errorf("list open conversations: %w", err)
	}
	moved := 0
	var faults []error
	for _, e := range list.GetExecutions() {
		_, err := d.config.Temporal.UpdateWorkflowExecutionOptions(ctx, client.UpdateWorkflowExecutionOptionsRequest{
			WorkflowId: e.GetExecution().GetWorkflowId(), RunId: e.GetExecution().GetRunId(), WorkflowExecutionOptionsChanges: change,
		})
		if err != nil {
			faults = append(faults, fmt.Errorf("move %s: %w", e.GetExecution().GetWorkflowId(), err))
			continue
		}
		moved++
	}
	return moved, errors.Join(faults...)
}
