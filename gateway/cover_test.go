package gateway

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/media"
)

// A stubReader is a Read stream without gRPC: it notes which segments came when.
type stubReader struct {
	grpc.ServerStream
	ctx   context.Context
	began time.Time

	mu    sync.Mutex
	texts []string
	came  []time.Duration
}

func (s *stubReader) Context() context.Context { return s.ctx }

func (s *stubReader) Send(m *media.Segment) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if int(m.Index) != len(s.texts) {
		panic("segments are not sent in their order")
	}
	s.texts, s.came = append(s.texts, m.Text), append(s.came, time.Since(s.began))
	return nil
}

func (r *room) place() *media.Place {
	return &media.Place{Store: "s1", Kiosk: "k1", Conversation: "c", Session: "session"}
}

// read reads response 1 as Speak does. The reader may be looked at when wait has
// returned.
func (r *room) read(ctx context.Context, req *media.ReadRequest) (reader *stubReader, wait func()) {
	req.Place, req.Response = r.place(), 1
	reader = &stubReader{ctx: ctx, began: time.Now()}
	var reading sync.WaitGroup
	reading.Go(func() {
		if err := (&mediaServer{g: r.g}).Read(req, reader); err != nil && ctx.Err() == nil {
			r.t.Error(err)
		}
	})
	return reader, reading.Wait
}

// write adds to the text of response 1.
func (r *room) write(delta string, complete bool) {
	r.t.Helper()
	first := &media.Text{Place: r.place(), Response: 1, Delta: delta, Complete: complete}
	s, err := r.g.find(first.Place)
	if err != nil {
		r.t.Fatal(err)
	}
	x, _, err := s.startText(first)
	if err == nil {
		err = s.addText(x, first)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func TestALongWaitIsCovered(t *testing.T) {
	const cover = "One moment. I am looking."
	for _, tc := range []struct {
		name string
		// The text comes after so long; the customer goes on talking for so long.
		text, talks time.Duration
		want        []string
		covered     time.Duration // when the cover came
	}{
		{"the model is quick", 300 * time.Millisecond, 0, []string{"Aisle four."}, 0},
		{"the model is slow", time.Second, 0, []string{"One moment.", "I am looking.", "Aisle four."}, 700 * time.Millisecond},
		{"the customer still talks", time.Second, 800 * time.Millisecond, []string{"Aisle four."}, 0},
		{"the customer has waited from when they were done", 2 * time.Second, 800 * time.Millisecond,
			[]string{"One moment.", "I am looking.", "Aisle four."}, 1500 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inRoom(t, func(t *testing.T, r *room) {
				r.take(wire.ClientReady{Version: "1"})
				r.take(wire.VAD{Mode: "kiosk"})
				began := time.Now()
				if tc.talks > 0 {
					r.take(wire.SpeechStart{})
				}
				reader, wait := r.read(t.Context(), &media.ReadRequest{Cover: cover, CoverAfterMs: 700})
				if tc.talks > 0 {
					time.Sleep(tc.talks)
					r.take(wire.SpeechEnd{})
				}
				time.Sleep(time.Until(began.Add(tc.text)))
				r.write("Aisle four.", true)
				wait()
				if !slices.Equal(reader.texts, tc.want) {
					t.Errorf("read %q, want %q", reader.texts, tc.want)
				}
				if tc.covered > 0 && reader.came[0] != tc.covered {
					t.Errorf("the cover came after %v, want %v", reader.came[0], tc.covered)
				}
			})
		})
	}
}

// The voice dies in the middle of the cover, and another attempt goes on.
func TestACoverIsSaidOnce(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		req := func() *media.ReadRequest { return &media.ReadRequest{Cover: "One moment.", CoverAfterMs: 700} }
		ctx, die := context.WithCancel(t.Context())
		_, wait := r.read(ctx, req())
		time.Sleep(time.Second)
		die()
		wait()
		again, wait := r.read(t.Context(), req())
		time.Sleep(time.Second)
		r.write("Aisle four.", true)
		wait()
		if want := []string{"One moment.", "Aisle four."}; !slices.Equal(again.texts, want) {
			t.Errorf("the second attempt reads %q, want %q", again.texts, want)
		}
	})
}

// The voice's worker dies as the kiosk has heard all, or has been interrupted: the
// next attempt is told what was heard, and does not take it for nothing.
func TestASecondAttemptIsToldWhatWasHeard(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		inRoom(t, func(t *testing.T, r *room) {
			r.take(wire.ClientReady{Version: "1"})
			r.write("You find hammers. In aisle four.", true)
			p := r.speak(1, "speech", "You find hammers.", "In aisle four.")
			time.Sleep(1200 * time.Millisecond)
			if interrupted {
				r.take(wire.SendText{Content: "stop"})
			}
			first := r.over(p)

			r.write("You find hammers. In aisle four.", true)
			again := r.over(r.speak(1, "speech"))
			if again.Heard == "" || again.Heard != first.Heard || again.Interrupted != interrupted {
				t.Errorf("interrupted %t: the second attempt is told %v, the first one was %v", interrupted, again, first)
			}
		})
	}
}

// What the kiosk heard first at the gateway that it comes from is first here too,
// so that segments have the numbers that they had there.
func TestACoverMovesWithItsResponse(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		r.write("Aisle four. On the left.", true)
		for attempt := range 2 {
			reader, wait := r.read(t.Context(), &media.ReadRequest{Cover: "One moment."})
			wait()
			if want := []string{"One moment.", "Aisle four.", "On the left."}; !slices.Equal(reader.texts, want) {
				t.Errorf("attempt %d reads %q, want %q", attempt+1, reader.texts, want)
			}
		}
	})
}
