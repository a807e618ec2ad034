package gateway

import (
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/media"
)

// Perform gives the timelines of a session's responses and takes the cues that
// go with them.
func (m *mediaServer) Perform(stream grpc.BidiStreamingServer[media.Cues, media.Timeline]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	s, err := m.g.find(first.Place)
	if err != nil {
		return err
	}
	p := s.perform(first)
	defer p.stop()
	in := receive(stream.Context(), stream.Recv)
	for {
		entries, more, err := p.timeline()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := stream.Send(e); err != nil {
				return err
			}
		}
		select {
		case next := <-in:
			if errors.Is(next.err, io.EOF) {
				return nil // the performer has gone
			}
			if next.err != nil {
				return next.err
			}
			if err := p.take(next.message, time.Now()); err != nil {
				return err
			}
		case <-more:
		case <-stream.Context().Done():
			return hungUp(stream)
		}
	}
}

// A performer is one Perform stream: it follows a conversation's responses until
// the conversation or the session is over, or another stream takes over.
type performer struct {
	s            *session
	number       int // of this stream in the session
	conversation string
	from         uint32 // the first response
	told         map[uint32]*timelineCursor
}

// A timelineCursor is how far a performer has been told of a response.
type timelineCursor struct {
	part     int
	named    bool // its text was told
	envelope int
	over     bool
}

// perform begins to follow the responses from the one that first names on.
func (s *session) perform(first *media.Cues) *performer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.performers++
	for _, r := range s.responses {
		r.cues = nil // they are given again
	}
	s.stage.ring()
	return &performer{
		s: s, number: s.performers, conversation: s.conversation, from: first.Response,
		told: map[uint32]*timelineCursor{},
	}
}

// timeline gives what is new since the last call, and how to wait for more.
// io.EOF: there is nothing more to perform.
func (p *performer) timeline() ([]*media.Timeline, <-chan struct{}, error) {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over != nil || s.conversation != p.conversation:
		return nil, nil, io.EOF
	case s.performers != p.number:
		return nil, nil, errPerformed
	}
	var entries []*media.Timeline
	for _, n := range slices.Sorted(maps.Keys(s.responses)) {
		r := s.responses[n]
		if n < p.from || r.start == nil {
			continue
		}
		at := p.told[n]
		if at == nil {
			at = &timelineCursor{over: r.over} // of what is over, nothing is left to perform
			p.told[n] = at
			if !at.over {
				entries = append(entries, &media.Timeline{Response: n, Begin: true, Gesture: r.start.Gesture})
			}
		}
		if !at.over {
			entries = append(entries, r.timeline(at)...)
		}
	}
	maps.DeleteFunc(p.told, func(n uint32, _ *timelineCursor) bool { return s.responses[n] == nil })
	return entries, s.stage.heard(), nil
}

// timeline gives what is new of a response behind a cursor, and moves it.
func (r *response) timeline(at *timelineCursor) []*media.Timeline {
	if r.over {
		at.over = true
		return []*media.Timeline{{Response: r.number, End: true, Cut: r.interrupted}}
	}
	var entries []*media.Timeline
	for ; at.part < len(r.parts); at.part, at.named, at.envelope = at.part+1, false, 0 {
		p := r.parts[at.part]
		step := int(envelopeStep / time.Millisecond)
		e := &media.Timeline{Response: r.number, Segment: p.index, StartMs: uint32(r.ms(p.first)) + uint32(at.envelope*step)}
		if !at.named {
			e.Text, e.Phonemes = p.text, p.phonemes
		}
		if len(p.phonemes) == 0 {
			e.Envelope = p.envelope[at.envelope:len(p.envelope):len(p.envelope)]
			at.envelope = len(p.envelope)
		}
		if !at.named || len(e.Envelope) > 0 {
			entries = append(entries, e)
		}
		at.named = true
		if !p.complete {
			break
		}
	}
	return entries
}

// take passes a response's cues on to the kiosk, those whose time is still to
// come: a mouth or a hand that moves too late is worse than one that does not.
func (p *performer) take(c *media.Cues, now time.Time) error {
	cues := make([]wire.Cue, 0, len(c.Cues))
	for _, x := range c.Cues {
		if (x.Viseme == "") == (x.Gesture == "") || x.Weight != x.Weight {
			return invalid("cues: each has a viseme with a weight, or a gesture")
		}
		cues = append(cues, wire.Cue{At: int64(x.AtMs), Viseme: x.Viseme, Gesture: x.Gesture, Weight: float64(max(0, min(1, x.Weight)))})
	}
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.responses[c.Response]
	if r == nil || r.over || r.start == nil || s.performers != p.number || s.conversation != p.conversation {
		return nil
	}
	past := r.ms(r.position(now) - r.samples(lateCue))
	cues = slices.DeleteFunc(cues, func(x wire.Cue) bool { return x.At < past })
	if len(cues) == 0 {
		return nil
	}
	if len(r.cues)+len(cues) > maxCues {
		return status.Errorf(codes.ResourceExhausted, "cues: a response has at most %d", maxCues)
	}
	r.cues = append(r.cues, cues...)
	s.announce(r, wire.Cues{Response: int(r.number), Cues: cues})
	return nil
}
