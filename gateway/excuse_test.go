package gateway

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/workflows"
)

// told counts how often the kiosk was told something.
func (k *stubSink) count(told string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, s := range k.told {
		if s == told {
			n++
		}
	}
	return n
}

// Nobody is there who could speak: not the answer, nor an apology.
func TestWhoWaitsTooLongIsToldSo(t *testing.T) {
	const away, back = "wire.Away{Message:One moment please, I will be right back.}", "wire.Back{}"
	for _, tc := range []struct {
		name       string
		asks       func(r *room)
		answer     time.Duration // after the customer is done; 0: none
		away, back int
	}{
		{"an answer in time", func(r *room) { r.take(wire.SendText{Content: "hello"}) }, 5900 * time.Millisecond, 0, 0},
		{"an answer that comes late", func(r *room) { r.take(wire.SendText{Content: "hello"}) }, 7 * time.Second, 1, 1},
		{"no answer", func(r *room) { r.take(wire.SendText{Content: "hello"}) }, 0, 1, 0},
		{"Temporal is away at the same time", func(r *room) {
			r.temporal.setAway(io.ErrUnexpectedEOF)
			time.AfterFunc(8*time.Second, func() { r.temporal.setAway(nil) })
			r.take(wire.SendText{Content: "hello"})
		}, 12 * time.Second, 1, 1},
		{"the customer speaks on and on", func(r *room) {
			r.talk(15 * time.Second)
		}, 2 * time.Second, 0, 0},
		{"nobody asks anything", func(*room) {}, 0, 0, 0},
		{"nobody greets the next one", func(r *room) {
			r.temporal.end(workflows.ConversationID("s1", "k1"), "resolved", nil)
			time.Sleep(time.Minute)
			r.take(wire.ClientReady{Version: "1"})
		}, 0, 1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inRoom(t, func(t *testing.T, r *room) {
				r.take(wire.ClientReady{Version: "1"})
				r.take(wire.VAD{Mode: "kiosk"})
				r.over(r.speak(1, "speech", "What do you need?"))
				tc.asks(r)
				if tc.answer > 0 {
					time.Sleep(tc.answer)
					r.over(r.speak(2, "speech", "Aisle four."))
				} else {
					time.Sleep(time.Minute)
				}
				synctest.Wait()
				if a, b := r.k.count(away), r.k.count(back); a != tc.away || b != tc.back {
					t.Errorf("away was told %d times and back %d times, want %d and %d", a, b, tc.away, tc.back)
				}
			})
		})
	}
}

// The screen says so again to a kiosk that has lost its connection meanwhile.
func TestWhoWaitsIsToldSoAfterAReconnect(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1", Language: "tr"})
		r.take(wire.SendText{Content: "merhaba"})
		time.Sleep(10 * time.Second)
		old := r.k
		r.s.detach(old, time.Now())
		close(old.done)
		r.k = r.connect(nil)
		synctest.Wait()
		if !r.k.was("Away{Message:Bir dakika") {
			t.Errorf("the kiosk was told %q", r.k.told)
		}
	})
}
