// Package worker runs pools: it polls a store's task queues and does what
// conversations ask for, as many at a time as the pool has slots.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
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
	pools []worker.Worker
}

// New prepares a worker; nothing is polled before Start.
func New(c Config) (*Worker, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	w := &Worker{}
	for _, pool := range c.pools() {
		slots := c.Slots[pool]
		if slots == 0 {
			slots = Slots[pool]
		}
		options := worker.Options{
			Identity:          fmt.Sprintf("%s/%s", c.Store, pool),
			WorkerStopTimeout: stopTimeout,
			// A cancelled activity learns of it by a heartbeat, and what an attempt has
			// done is kept by one: the SDK's default would hold them back for seconds.
			MaxHeartbeatThrottleInterval: 500 * time.Millisecond,
			OnFatalError: func(err error) {
				c.Logger.Error("worker stopped", "store", c.Store, "pool", pool, "error", err)
			},
		}
		if pool == activities.PoolConversation {
			options.MaxConcurrentWorkflowTaskExecutionSize = slots
			options.LocalActivityWorkerOnly = true
		} else {
			options.MaxConcurrentActivityExecutionSize = slots
			options.DisableWorkflowWorker = true
		}
		p := worker.New(c.Temporal, activities.Queue(c.Store, pool), options)
		register(p, pool, c.Work)
		w.pools = append(w.pools, p)
	}
	return w, nil
}

func register(w worker.Worker, pool activities.Pool, work Work) {
	as := func(name string) activity.RegisterOptions { return activity.RegisterOptions{Name: name} }
	switch pool {
	case activities.PoolConversation:
		w.RegisterWorkflowWithOptions(workflows.Conversation, workflow.RegisterOptions{Name: workflows.ConversationType})
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
	for i, pool := range w.pools {
		if err := pool.Start(); err != nil {
			for _, started := range w.pools[:i] {
				started.Stop()
			}
			return fmt.Errorf("start worker: %w", err)
		}
	}
	return nil
}

// Stop takes no more work and waits for what is under way, all pools at once.
func (w *Worker) Stop() {
	done := make(chan struct{})
	for _, pool := range w.pools {
		go func() {
			pool.Stop()
			done <- struct{}{}
		}()
	}
	for range w.pools {
		<-done
	}
}

// Logger makes the SDK log where everything else does.
func Logger(l *slog.Logger) log.Logger { return log.NewStructuredLogger(l) }

// stopTimeout is how long Stop waits for activities; the sentence being spoken
// may end, what lasts longer is taken over by another worker.
const stopTimeout = 10 * time.Second
