package session_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/session"
)

// away is a gateway's error while it cannot be reached.
func away(ctx context.Context) error {
	return session.Err(ctx, "play", status.Error(codes.Unavailable, "nobody listens"))
}

func TestAGatewayIsWaitedFor(t *testing.T) {
	refused := activities.Permanent(activities.KindInvalid, errors.New("no"))
	for name, c := range map[string]struct {
		back   time.Duration // 0: never
		each   time.Duration // how long a try lasts
		then   error
		cancel time.Duration
		kind   string
		within [2]time.Duration
	}{
		"it comes back":                  {back: 3 * time.Second, within: [2]time.Duration{3 * time.Second, 4 * time.Second}},
		"it comes back and refuses":      {back: time.Second, then: refused, kind: activities.KindInvalid, within: [2]time.Duration{time.Second, 2 * time.Second}},
		"it stays away":                  {kind: activities.KindGone, within: [2]time.Duration{session.AwayFor, session.AwayFor + 2*time.Second}},
		"it was there for a while":       {each: 10 * time.Second, back: 35 * time.Second, within: [2]time.Duration{35 * time.Second, 45 * time.Second}},
		"the conversation takes it back": {cancel: 2 * time.Second, kind: "canceled", within: [2]time.Duration{2 * time.Second, 2 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				if c.cancel > 0 {
					time.AfterFunc(c.cancel, func() { cancel(temporal.NewCanceledError()) })
				}
				began := time.Now()
				err := session.Retry(ctx, func() error {
					time.Sleep(c.each) // virtual
					if c.back > 0 && time.Since(began) >= c.back {
						return c.then
					}
					return away(ctx)
				})
				kind := session.Kind(err)
				if temporal.IsCanceledError(err) {
					kind = "canceled"
				}
				if took := time.Since(began); kind != c.kind || took < c.within[0] || took > c.within[1] {
					t.Errorf("error %v after %v; want kind %q after %v to %v", err, took, c.kind, c.within[0], c.within[1])
				}
				cancel(nil)
			})
		})
	}
}
