package worker

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/praesenz/parley/activities"
)

// toHandOver is how long before the end of StopTimeout a worker that stops hands
// over what is still under way: enough to tell Temporal.
const toHandOver = time.Second

// errHandedOver ends an attempt on a worker that stops. Temporal gives the next
// one to another worker at once; without it, it would notice only that the
// heartbeats have ended, seconds later.
var errHandedOver = errors.New("the worker stops; another one goes on")

// A handover ends the activities that outlast a worker that stops, so that others
// take them over.
type handover struct {
	interceptor.WorkerInterceptorBase
	after      time.Duration // the worker was told to stop
	ended      atomic.Int64  // activities that came to their end after that
	handedOver atomic.Int64
}

func newHandover(stop time.Duration) *handover {
	return &handover{after: max(stop/2, stop-toHandOver)}
}

// InterceptActivity stands between the SDK and each of the worker's activities.
func (h *handover) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	i := &handedOver{h: h}
	i.Next = next
	return i
}

type handedOver struct {
	interceptor.ActivityInboundInterceptorBase
	h *handover
}

func (i *handedOver) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	stop, after := activity.GetWorkerStopChannel(ctx), i.h.after
	if activity.GetInfo(ctx).ActivityType.Name == activities.Perform {
		after = 0 // it lasts as long as its kiosk's session, and would only be waited for
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-stop:
		case <-done:
			return
		}
		late := time.NewTimer(after)
		defer late.Stop()
		select {
		case <-late.C:
			cancel(errHandedOver)
		case <-done:
			i.h.ended.Add(1)
		}
	}()
	result, err := i.Next.ExecuteActivity(ctx, in)
	close(done)
	<-watched
	if err == nil || !errors.Is(context.Cause(ctx), errHandedOver) {
		return result, err
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok && app.NonRetryable() {
		return result, err // it had failed by itself
	}
	i.h.handedOver.Add(1)
	return nil, temporal.NewApplicationErrorWithOptions(errHandedOver.Error(), activities.KindAway,
		temporal.ApplicationErrorOptions{Category: temporal.ApplicationErrorCategoryBenign}) // it needs no attention
}
