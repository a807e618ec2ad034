// Package avatar is the Perform activity: it follows the timelines of a kiosk's
// responses and gives the mouth shapes and gestures that go with them.
package avatar

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/session"
	"github.com/praesenz/parley/media"
)

// beatInterval is how often Perform heartbeats, within the pool's limit of 10 s.
// Each kiosk that is there has one under way all the time.
const beatInterval = 6 * time.Second

// A Performer runs the Perform activity. It is safe for concurrent use.
type Performer struct {
	media *media.Client
	log   *slog.Logger
}

// New returns a Performer.
func New(gateways *media.Client, log *slog.Logger) *Performer {
	return &Performer{media: gateways, log: log}
}

// Perform moves the avatar along with every response of a kiosk's session, until
// the session or the conversation is over, and counts what it sent. A session
// that is not at the gateway when it begins is KindGone. A second attempt starts
// over with the responses that are not over.
func (p *Performer) Perform(ctx context.Context, in activities.PerformInput) (activities.PerformResult, error) {
	var result activities.PerformResult
	defer session.BeatEvery(ctx, beatInterval, nil)(nil)

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
	err = session.Err(ctx, "perform the session's responses", err)
	if ctx.Err() != nil {
		return result, ctx.Err()
	}
	if errors.Is(err, session.ErrCut) { // another one performs now
		err = nil
	}
	if err != nil {
		return result, err
	}
	p.log.Debug("performed", "store", in.Place.Store, "kiosk", in.Place.Kiosk, "conversation", in.Place.Conversation,
		"responses", result.Responses, "visemes", result.Visemes, "gestures", result.Gestures)
	return result, nil
}

// follow answers each piece of the timelines with its cues, until the gateway
// ends the stream.
func follow(stream grpc.BidiStreamingClient[media.Cues, media.Timeline], in activities.PerformInput) (activities.PerformResult, error) {
	var result activities.PerformResult
	first := &media.Cues{Place: session.Place(in.Place), Response: uint32(in.Response)}
	if err := stream.Send(first); err != nil && !errors.Is(err, io.EOF) {
		return result, err
	}
	faces := map[uint32]*face{} // of the responses under way; the gateway keeps few
	for {
		t, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return result, nil
		}
		if err != nil {
			return result, err
		}
		response := t.GetResponse()
		switch {
		case t.GetBegin():
			faces[response] = &face{}
			result.Responses++
		case t.GetEnd():
			delete(faces, response)
			continue
		}
		f := faces[response]
		if f == nil {
			continue // it has ended
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
		if err := stream.Send(&media.Cues{Response: response, Cues: cues}); err != nil && !errors.Is(err, io.EOF) {
			return result, err
		}
	}
}
