// Package worker runs pools: it polls a store's task queues and does what
// conversations ask for, as many at a time as the pool has slots.
package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/workflows"
)

// Work is what the pools do: one function for each activity. A worker that does
// not serve an activity's pool may leave it nil.
type Work struct {
	Transcribe func(context.Context, activities.TranscribeInput) (activities.TranscribeResult, error)
	Retrieve   func(context.Context, activities.RetrieveInput) (activities.RetrieveResult, error)
	Generate   func(context.Context, activities.GenerateInput) (activities.GenerateResult, error)
	Understand func(context.Context, activities.UnderstandInput) (activities.UnderstandResult, error)
	Speak      func(context.Context, activities.SpeakInput) (activities.SpeakResult, error)
	Perform    func(context.Context, activities.PerformInput) (activities.PerformResult, error)
	Call       func(context.Context, activities.CallInput) (activities.CallResult, error)
}

// Slots is how many requests each pool works on at once when Config does not
// say. Speak lasts as long as its audio plays and Perform as long as a kiosk's
// session, so they have as many as there may be kiosks talking, or at all; the
// servers behind them bound the load.
var Slots = map[activities.Pool]int{
	activities.PoolConversation: 100,
	activities.PoolSTT:          32,
	activities.PoolRetrieval:    32,
	activities.PoolLLM:          16,
	activities.PoolTTS:          128,
	activities.PoolAvatar:       1000,
	activities.PoolAction:       32,
}

// Config says which pools of which store a worker serves.
type Config struct {
	Temporal client.Client
	Store    string
	Pools    []activities.Pool       // default: all
	Slots    map[activities.Pool]int // default: Slots
	Work     Work
	Logger   *slog.Logger
	// Deployment and BuildID make the pool conversation versioned: a conversation
	// stays on the build that it began on. Both or neither. The other pools are
	// never versioned: their contract only gains fields, and a GPU cannot hold two
	// builds. See docs/decisions/0015-worker-versioning.md.
	Deployment string // of one store's conversation workers, in all their builds
	BuildID    string // of this build
	// StopTimeout is how long Stop waits for activities. What is still under way a
	// second before its end (half of it before, when it is short) is handed over: it
	// fails as retryable, and another worker goes on where it was. Default 10s.
	StopTimeout time.Duration
}

// Validate names every fault at once.
func (c Config) Validate() error {
	var faults []error
	if c.Temporal == nil {
		faults = append(faults, errors.New("temporal: a client is needed"))
	}
	if c.Store == "" {
		faults = append(faults, errors.New("store: name the store whose queues to serve"))
	}
	for _, pool := range c.pools() {
		if !slices.Contains(activities.Pools, pool) {
			faults = append(faults, fmt.Errorf("pools: %q is none of %v", pool, activities.Pools))
		} else if c.Work.missing(pool) {
			faults = append(faults, fmt.Errorf("pools: %s is to be served but its activity is not configured", pool))
		}
	}
	for pool, n := range c.Slots {
		if n < 1 || n > 10_000 {
			faults = append(faults, fmt.Errorf("slots.%s: %d must be 1 to 10000", pool, n))
		}
	}
	if c.StopTimeout < 0 || c.StopTimeout > 10*time.Minute {
		faults = append(faults, fmt.Errorf("stop_timeout: %s must be between 0 and 10m", c.StopTimeout))
	}
	if err := ValidateVersion(c.Deployment, c.BuildID); (c.Deployment != "" || c.BuildID != "") && err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// What Temporal takes for names: it joins a deployment and a build id with ":",
// in older servers with ".", and keeps "__" for itself. Its Worker Controller
// names a deployment NAMESPACE/NAME.
var (
	deploymentName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9/_-]{0,99}$`)
	buildIDName    = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$`)
)

// ValidateVersion names every fault of a deployment's version at once.
func ValidateVersion(deployment, buildID string) error {
	var faults []error
	if !deploymentName.MatchString(deployment) {
		faults = append(faults, fmt.Errorf("deployment: %q must be 1 to 100 of a-z, A-Z, 0-9, '/', '_' and '-', like parley-store1", deployment))
	}
	if !buildIDName.MatchString(buildID) {
		faults = append(faults, fmt.Errorf("build_id: %q must be 1 to 100 of a-z, A-Z, 0-9, '.', '_' and '-', like 1.4.0", buildID))
	}
	return errors.Join(faults...)
}

func (c Config) pools() []activities.Pool {
	if len(c.Pools) == 0 {
		return activities.Pools
	}
	return c.Pools
}

func (w Work) missing(pool activities.Pool) bool {
	switch pool {
	case activities.PoolSTT:
		return w.Transcribe == nil
	case activities.PoolRetrieval:
		return w.Retrieve == nil
	case activities.PoolLLM:
		return w.Generate == nil || w.Understand == nil
	case activities.PoolTTS:
		return w.Speak == nil
	case activities.PoolAvatar:
		return w.Perform == nil
	case activities.PoolAction:
		return w.Call == nil
	}
	return false
}

// A Worker serves pools from Start until Stop.
type Worker struct {
	config   Config
	identity string
	dead     chan error
	handover *handover

	mu    sync.Mutex
	pools map[activities.Pool]worker.Worker
}

// New prepares a worker; nothing is polled before Start.
func New(c Config) (*Worker, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	c.StopTimeout = cmp.Or(c.StopTimeout, 10*time.Second)
	w := &Worker{config: c, identity: newIdentity(), dead: make(chan error, 1), handover: newHandover(c.StopTimeout), pools: map[activities.Pool]worker.Worker{}}
	for _, pool := range c.pools() {
		w.pools[pool] = w.serve(pool, w.identity)
	}
	return w, nil
}

// newIdentity is by whom Temporal's UI says that a queue is polled: the process,
// and a number of its own, because a container that starts again in its pod is the
// same process on the same host.
func newIdentity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("%d@%s %04x", os.Getpid(), host, rand.N(1<<16))
}

// serve prepares one pool.
func (w *Worker) serve(pool activities.Pool, identity string) worker.Worker {
	c := w.config
	slots := cmp.Or(c.Slots[pool], Slots[pool])
	options := worker.Options{
		Identity:          identity, // beside the queue, which says the store and the pool
		WorkerStopTimeout: c.StopTimeout,
		// A cancelled activity learns of it by a heartbeat, and what an attempt has
		// done is kept by one: the SDK's default would hold them back for seconds.
		MaxHeartbeatThrottleInterval: 500 * time.Millisecond,
		OnFatalError: func(err error) {
			select {
			case w.dead <- fmt.Errorf("pool %s: %w", pool, err):
			default: // another pool's is being told
			}
		},
	}
	if pool == activities.PoolConversation {
		// What waits for a worker that is dead goes to another, or to the one in its
		// place: a customer is not kept waiting for the SDK's five seconds.
		options.StickyScheduleToStartTimeout = time.Second
		options.MaxConcurrentWorkflowTaskExecutionSize = slots
		options.LocalActivityWorkerOnly = true
		options.MaxConcurrentLocalActivityExecutionSize = slots
		options.DeploymentOptions = w.version()
	} else {
		options.Interceptors = []interceptor.WorkerInterceptor{w.handover}
		options.MaxConcurrentActivityExecutionSize = slots
		options.DisableWorkflowWorker = true
	}
	p := worker.New(c.Temporal, activities.Queue(c.Store, pool), options)
	register(p, pool, c.Work, c.here())
	return p
}

// version pins each conversation to the build that began it, when there is one.
func (w *Worker) version() worker.DeploymentOptions {
	if w.config.Deployment == "" {
		return worker.DeploymentOptions{}
	}
	return worker.DeploymentOptions{
		UseVersioning:             true,
		Version:                   worker.WorkerDeploymentVersion{DeploymentName: w.config.Deployment, BuildID: w.config.BuildID},
		DefaultVersioningBehavior: workflow.VersioningBehaviorPinned,
	}
}

type retrieve = func(context.Context, activities.RetrieveInput) (activities.RetrieveResult, error)

// here is how a conversation searches in its own worker: where that serves the
// pool retrieval too, as the pool does. Elsewhere the pool may be on a GPU of its
// own, and is asked by its queue.
func (c Config) here() retrieve {
	if slices.Contains(c.pools(), activities.PoolRetrieval) {
		return c.Work.Retrieve
	}
	return func(context.Context, activities.RetrieveInput) (activities.RetrieveResult, error) {
		return activities.RetrieveResult{}, activities.Permanent(activities.KindElsewhere, errors.New("this worker does not serve the pool retrieval"))
	}
}

// register makes a pool's worker do its work. here is how a conversation searches
// in its own worker.
func register(w worker.Worker, pool activities.Pool, work Work, here retrieve) {
	as := func(name string) activity.RegisterOptions { return activity.RegisterOptions{Name: name} }
	switch pool {
	case activities.PoolConversation:
		w.RegisterWorkflowWithOptions(workflows.Conversation, workflow.RegisterOptions{Name: workflows.ConversationType})
		w.RegisterActivityWithOptions(here, as(activities.RetrieveHere))
	case activities.PoolSTT:
		w.RegisterActivityWithOptions(work.Transcribe, as(activities.Transcribe))
	case activities.PoolRetrieval:
		w.RegisterActivityWithOptions(work.Retrieve, as(activities.Retrieve))
	case activities.PoolLLM:
		w.RegisterActivityWithOptions(work.Generate, as(activities.Generate))
		w.RegisterActivityWithOptions(work.Understand, as(activities.Understand))
	case activities.PoolTTS:
		w.RegisterActivityWithOptions(work.Speak, as(activities.Speak))
	case activities.PoolAvatar:
		w.RegisterActivityWithOptions(work.Perform, as(activities.Perform))
	case activities.PoolAction:
		w.RegisterActivityWithOptions(work.Call, as(activities.Call))
	}
}

// Start begins to poll. When one pool cannot start, those before it stop again.
func (w *Worker) Start() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var started []worker.Worker
	for _, pool := range w.config.pools() {
		if err := w.pools[pool].Start(); err != nil {
			stopAll(started)
			return fmt.Errorf("start worker of pool %s: %w", pool, err)
		}
		started = append(started, w.pools[pool])
	}
	return nil
}

// Dead tells why a pool is served no more: Temporal has refused it for good. The
// process should end, so that whatever runs it notices.
func (w *Worker) Dead() <-chan error { return w.dead }

// Stop takes no more work and waits for what is under way, all pools at once.
func (w *Worker) Stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	began := time.Now()
	stopAll(slices.Collect(maps.Values(w.pools)))
	w.config.Logger.Info("worker stopped", "store", w.config.Store, "ended", w.handover.ended.Load(),
		"handed_over", w.handover.handedOver.Load(), "seconds", time.Since(began).Seconds())
}

func stopAll(pools []worker.Worker) {
	var stopping sync.WaitGroup
	for _, pool := range pools {
		stopping.Go(pool.Stop)
	}
	stopping.Wait()
}
