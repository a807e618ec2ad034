// Package session is a kiosk's session at its gateway, as the activities of a
// conversation meet it: where it is, what its errors mean, and the sign of life
// that an activity gives while it streams.
package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/media"
)

// BeatInterval is how often a streaming activity heartbeats. Temporal's client
// sends fewer of them; this is how fresh their details are.
const BeatInterval = time.Second

// ErrCut says that the response was cut: the customer spoke over it, or it was
// replaced. That is a normal ending.
var ErrCut = errors.New("the response was cut")

// ErrAway says that a gateway cannot be reached, or has broken a stream off.
var ErrAway = errors.New("the gateway cannot be reached")

// AwayFor is how long an activity waits for a gateway that is away. It does so
// itself, and not by another attempt, because the conversation may take its work
// to another gateway meanwhile and then wants to know how far it has come.
const AwayFor = 8 * time.Second

// Retry runs do until it returns an error other than ErrAway's, or ctx ends, or
// its gateway has been away for AwayFor: then the error is permanent, of
// KindGone.
func Retry(ctx context.Context, do func() error) error {
	const (
		first, most = 100 * time.Millisecond, 500 * time.Millisecond
		// A try that lasted longer was not one at a gateway that cannot be reached.
		there = 3 * time.Second
	)
	backoff, lost := first, time.Time{}
	for {
		began := time.Now()
		err := do()
		if !errors.Is(err, ErrAway) || ctx.Err() != nil {
			return err
		}
		if time.Since(began) > there {
			backoff, lost = first, time.Time{}
		}
		if lost.IsZero() {
			lost = time.Now()
		}
		if time.Since(lost) > AwayFor {
			return activities.Permanent(activities.KindGone, fmt.Errorf("for %s: %w", AwayFor, err))
		}
		select {
		case <-time.After(backoff):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		backoff = min(2*backoff, most)
	}
}

// Kind is the contract's kind of an error, or "".
func Kind(err error) string {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Type()
	}
	return ""
}

// Overdue is the error of an attempt that comes so late that the customer has
// given up; of the first attempt there is none.
func Overdue(ctx context.Context) error {
	info := activity.GetInfo(ctx)
	if info.Attempt <= 1 || time.Since(info.ScheduledTime) < activities.Patience {
		return nil
	}
	return activities.Permanent(activities.KindTimeout, fmt.Errorf("attempt %d begins more than %s after it was asked for", info.Attempt, activities.Patience))
}

// Last tells whether no attempt follows one that has failed with err.
func Last(ctx context.Context, err error) bool {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok && app.NonRetryable() {
		return true
	}
	info := activity.GetInfo(ctx)
	return info.RetryPolicy != nil && info.RetryPolicy.MaximumAttempts > 0 && info.Attempt >= info.RetryPolicy.MaximumAttempts
}

// Place is p as the media plane writes it.
func Place(p activities.Place) *media.Place {
	return &media.Place{Store: p.Store, Kiosk: p.Kiosk, Conversation: p.Conversation, Session: p.Session, Stay: p.Stay}
}

// Join connects to the gateway that holds a session. The caller calls release
// when its streams are over.
func Join(c *media.Client, p activities.Place) (gateway media.MediaClient, release func(), err error) {
	if p.Gateway == "" {
		return nil, nil, activities.Permanent(activities.KindInvalid, errors.New("place.gateway is empty; write the host:port of the gateway's media plane"))
	}
	gateway, release, err = c.Gateway(p.Gateway)
	if err != nil {
		return nil, nil, activities.Retryable(activities.KindAway, err)
	}
	return gateway, release, nil
}

// Err sorts an error of the media plane: ErrCut when the response was cut, the
// context's own error when we were cancelled, otherwise permanent or retryable
// with its kind. An error that is none of the media plane's is returned as it is.
func Err(ctx context.Context, op string, err error) error {
	s, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	wrapped := fmt.Errorf("%s: %s (%s)", op, s.Message(), s.Code())
	switch s.Code() {
	case codes.Aborted:
		return ErrCut
	case codes.NotFound:
		return activities.Permanent(activities.KindGone, wrapped)
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange, codes.Unimplemented, codes.Unauthenticated, codes.PermissionDenied:
		return activities.Permanent(activities.KindInvalid, wrapped)
	case codes.DeadlineExceeded:
		return activities.Retryable(activities.KindTimeout, wrapped)
	default:
		return temporal.NewApplicationErrorWithCause(wrapped.Error(), activities.KindAway, ErrAway)
	}
}

// Beat heartbeats every BeatInterval until stop is called, which waits for it to
// end. progress gives the details that a second attempt goes on from; it is called
// from another goroutine and may be nil. stop is told where the attempt's error
// is: one that has failed tells its last details, one that has not tells nothing
// more, because each heartbeat is a transaction of Temporal's, and what comes
// first or last keeps a customer waiting.
//
//	defer session.Beat(ctx, a.soFar)(&err)
func Beat(ctx context.Context, progress func() any) (stop func(err *error)) {
	return BeatEvery(ctx, BeatInterval, progress)
}

// BeatEvery is Beat with an interval of its own, which is also how long it can
// take until a cancel of the activity is noticed.
func BeatEvery(ctx context.Context, interval time.Duration, progress func() any) (stop func(err *error)) {
	beat := func() {
		if progress == nil {
			activity.RecordHeartbeat(ctx)
			return
		}
		activity.RecordHeartbeat(ctx, progress())
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				beat()
			case <-quit:
				return
			}
		}
	}()
	return func(err *error) {
		close(quit)
		<-done
		if progress != nil && *err != nil {
			beat()
		}
	}
}
