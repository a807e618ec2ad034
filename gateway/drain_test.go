package gateway

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/praesenz/parley/gateway/wire"
)

// gone waits for the kiosk to be asked to go, and tells how long that took.
func (r *room) gone() time.Duration {
	r.t.Helper()
	began := time.Now()
	for r.k.closedWith() == 0 {
		if time.Since(began) > drainLimit {
			r.t.Fatal("the kiosk is never asked to go")
		}
		time.Sleep(10 * time.Millisecond) // virtual
	}
	if r.k.closedWith() != wire.CloseRestart || !r.k.was("Move{}") {
		r.t.Errorf("closed with %d, told %q", r.k.closedWith(), r.k.told)
	}
	return time.Since(began)
}

// talk is an utterance at a kiosk with a voice activity detection of its own.
func (r *room) talk(d time.Duration) {
	r.take(wire.SpeechStart{})
	for range d / (100 * time.Millisecond) {
		r.s.hear(make([]byte, bytesPerSecondIn/10), time.Now())
		time.Sleep(100 * time.Millisecond) // virtual
	}
	r.take(wire.SpeechEnd{})
}

func TestWhenAKioskMoves(t *testing.T) {
	const none, all = time.Duration(0), moveLimit
	for _, tc := range []struct {
		name  string
		under func(r *room) // is under way when the gateway drains
		from  time.Duration // it goes after this,
		to    time.Duration // and before this
	}{
		{"nobody is there", func(*room) {}, none, 20 * time.Millisecond},
		{"the customer may speak", func(r *room) {
			r.over(r.speak(1, "speech", "one"))
		}, none, 20 * time.Millisecond},
		{"the customer speaks", func(r *room) {
			go r.talk(8 * time.Second)
			time.AfterFunc(8500*time.Millisecond, func() { r.speak(1, "speech", "one", "two") })
		}, 9500 * time.Millisecond, 9700 * time.Millisecond},
		{"the answer is on its way", func(r *room) {
			r.take(wire.SendText{Content: "hello"})
			time.AfterFunc(2*time.Second, func() { r.speak(1, "speech", "one", "two") })
		}, 3 * time.Second, 3200 * time.Millisecond},
		{"the answer takes long", func(r *room) {
			r.take(wire.SendText{Content: "hello"})
		}, moveWait, moveWait + 200*time.Millisecond},
		{"a sentence has no end", func(r *room) {
			p := r.speak(1, "speech")
			r.add(p, segmentAudio(0, "one"))
			for range 20 {
				r.add(p, pcmAudio(tone(time.Second)))
			}
			time.AfterFunc(15*time.Second, func() {
				for range 20 {
					r.add(p, pcmAudio(tone(time.Second)))
				}
			})
		}, all, all + 200*time.Millisecond},
		{"the customer has no end", func(r *room) {
			go r.talk(15 * time.Second)
			time.AfterFunc(16*time.Second, func() { r.talk(15 * time.Second) })
		}, all, all + 200*time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inRoom(t, func(t *testing.T, r *room) {
				r.take(wire.ClientReady{Version: "1"})
				r.take(wire.VAD{Mode: "kiosk"})
				tc.under(r)
				synctest.Wait()
				r.s.move(time.Now().Add(moveLimit))
				if took := r.gone(); took < tc.from || took > tc.to {
					t.Errorf("it goes after %v, want %v to %v", took, tc.from, tc.to)
				}
				time.Sleep(time.Minute) // virtual: who talks talks to the end
			})
		})
	}
}

// A thousand kiosks that come at once would be refused, or would make the gateways
// that take them late.
func TestKiosksMoveOneAfterTheOther(t *testing.T) {
	for _, tc := range []struct {
		kiosks int
		most   int // in a second
		within time.Duration
	}{
		{3, 3, 150 * time.Millisecond},
		{100, 21, 5100 * time.Millisecond},
		{1000, 101, moveWithin + time.Second},
	} {
		t.Run(fmt.Sprint(tc.kiosks), func(t *testing.T) {
			inRoom(t, func(t *testing.T, r *room) {
				sinks := make([]*stubSink, tc.kiosks)
				for i := range sinks {
					s := newSession(r.g, "s1", fmt.Sprint("k", i), fmt.Sprint("session", i), time.Now())
					sinks[i] = &stubSink{s: s, bell: make(chan struct{}, 1), done: make(chan struct{})}
					s.attach(sinks[i], wire.BotReady{}, nil, time.Now())
					go sinks[i].write()
					r.g.conns[&conn{g: r.g, session: s}] = struct{}{}
				}
				began := time.Now()
				go r.g.Drain(t.Context())
				var went []time.Duration
				for len(went) < tc.kiosks && time.Since(began) < drainLimit {
					time.Sleep(10 * time.Millisecond)
					synctest.Wait()
					for _, k := range slices.Clone(sinks) {
						if k.closedWith() == wire.CloseRestart {
							went = append(went, time.Since(began))
							close(k.done)
							sinks = slices.DeleteFunc(sinks, func(x *stubSink) bool { return x == k })
						}
					}
				}
				if len(sinks) > 0 || went[len(went)-1] > tc.within {
					t.Fatalf("%d kiosks are left; the last one went after %v, want %v", len(sinks), went[len(went)-1], tc.within)
				}
				for i := range went {
					if j := i + tc.most; j < len(went) && went[j]-went[i] < 990*time.Millisecond {
						t.Fatalf("%d kiosks went within %v", tc.most+1, went[j]-went[i])
					}
				}
				time.Sleep(drainLimit) // virtual; the connections of this test never end
			})
		})
	}
}
