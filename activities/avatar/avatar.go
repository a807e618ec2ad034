// Package avatar is the Perform activity: it follows the timeline of a
// response's audio and gives the mouth shapes and gestures that go with it.
package avatar

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"google.golang.org/grpc"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/session"
	"github.com/praesenz/parley/media"
)

// Gestures are those that every avatar knows.
var Gestures = []string{"wave", "nod", "shake", "point", "shrug", "think", "smile"}

// A Performer runs the Perform activity. It is safe for concurrent use.
type Performer struct {
	media *media.Client
	log   *slog.Logger
}

// New returns a Performer.
func New(gateways *media.Client, log *slog.Logger) *Performer {
	return &Performer{media: gateways, log: log}
}

// Perform moves the avatar along with one response until it has been played or
// cut, and counts what it sent. A second attempt starts over: the timeline is
// given again, and cues of the past do nothing.
func (p *Performer) Perform(ctx context.Context, in activities.PerformInput) (activities.PerformResult, error) {
	var result activities.PerformResult
	defer session.Beat(ctx, nil)()

	gateway, release, err := session.Join(p.media, in.Place)
	if err != nil {
		return result, err
	}
	defer release()
	performing, stop := context.WithCancel(ctx)
	defer stop()
	stream, err := gateway.Perform(performing)
	if err == nil {
		result, err = follow(stream, in)
	}
	err = session.Err(ctx, "perform the response", err)
	if ctx.Err() != nil {
		return result, ctx.Err()
	}
	if errors.Is(err, session.ErrCut) {
		err = nil
	}
	if err != nil {
		return result, err
	}
	p.log.Debug("performed", "store", in.Place.Store, "kiosk", in.Place.Kiosk, "conversation", in.Place.Conversation,
		"visemes", result.Visemes, "gestures", result.Gestures)
	return result, nil
}

// follow answers each piece of the timeline with its cues, to the end.
func follow(stream grpc.BidiStreamingClient[media.Cues, media.Timeline], in activities.PerformInput) (activities.PerformResult, error) {
	var result activities.PerformResult
	first := &media.Cues{Place: session.Place(in.Place), Response: uint32(in.Response)}
	if err := stream.Send(first); err != nil && !errors.Is(err, io.EOF) {
		return result, err
	}
	var f face
	for {
		t, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return result, nil
		}
		if err != nil {
			return result, err
		}
		if t.GetEnd() {
			// Leaving at once would cancel the stream and lose cues under way.
			if err := stream.CloseSend(); err != nil {
				return result, err
			}
			continue
		}
		cues := f.cues(t)
		if len(cues) == 0 {
			continue
		}
		for _, c := range cues {
			if c.GetGesture() != "" {
				result.Gestures++
			} else {
				result.Visemes++
			}
		}
		// At EOF the next Recv tells why the stream has ended.
		if err := stream.Send(&media.Cues{Cues: cues}); err != nil && !errors.Is(err, io.EOF) {
			return result, err
		}
	}
}
