package versions

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/tests/temporal"
	"github.com/praesenz/parley/worker"
)

// performing asks for one Perform whose death would be noticed after a minute.
func performing(ctx workflow.Context) (result activities.PerformResult, err error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: activities.Queue(store, activities.PoolAvatar), StartToCloseTimeout: time.Hour, HeartbeatTimeout: time.Minute,
	})
	err = workflow.ExecuteActivity(ctx, activities.Perform, activities.PerformInput{}).Get(ctx, &result)
	return result, err
}

// What a worker that stops cannot finish goes on at another one, from where it
// was, without waiting for the heartbeats that do not come.
func TestAWorkerThatStopsHandsOver(t *testing.T) {
	address := temporal.Start(t)
	c := temporal.Dial(t, client.Options{HostPort: address})
	conversation := sdk.New(c, "performances", sdk.Options{})
	conversation.RegisterWorkflow(performing)
	if err := conversation.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conversation.Stop)

	started := make(chan int32, 2)
	work := stubWork()
	work.Perform = func(ctx context.Context, _ activities.PerformInput) (activities.PerformResult, error) {
		attempt := activity.GetInfo(ctx).Attempt
		started <- attempt
		if attempt > 1 {
			var responses int
			err := activity.GetHeartbeatDetails(ctx, &responses)
			return activities.PerformResult{Responses: responses}, err
		}
		activity.RecordHeartbeat(ctx, 7)
		<-ctx.Done()
		return activities.PerformResult{}, ctx.Err()
	}
	serve := func() *worker.Worker {
		w, err := worker.New(worker.Config{Temporal: c, Store: store, Pools: []activities.Pool{activities.PoolAvatar}, Work: work,
			StopTimeout: time.Second, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.Stop)
		return w
	}
	first := serve()
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: "performances"}, performing)
	if err != nil {
		t.Fatal(err)
	}
	if attempt := <-started; attempt != 1 {
		t.Fatalf("attempt %d is the first", attempt)
	}
	serve()
	first.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var result activities.PerformResult
	if err := run.Get(ctx, &result); err != nil || result.Responses != 7 {
		t.Errorf("the second worker's result: %+v, %v", result, err)
	}
}
