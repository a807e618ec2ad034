package gateway

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/workflows"
)

// A flakyTemporal breaks calls off: before they had an effect, after it, and while
// nobody knows.
type flakyTemporal struct {
	*stubTemporal
	mu      sync.Mutex
	rng     *rand.Rand
	well    bool
	arrived []workflows.Signal // in their order, as often as they did
}

var errBrokenOff = errors.New("broken off")

// call does a call as chance will have it.
func (f *flakyTemporal) call(ctx context.Context, arrive func() error) error {
	f.mu.Lock()
	fate := f.rng.IntN(8)
	took := time.Duration(f.rng.IntN(300)) * time.Millisecond
	if f.well {
		fate = 0
	}
	f.mu.Unlock()
	switch fate {
	case 4: // it never gets there
		time.Sleep(took)
		return errBrokenOff
	case 5: // it gets there, but its answer does not come back
		if err := arrive(); err != nil {
			return err
		}
		time.Sleep(took)
		return errBrokenOff
	case 6, 7: // nobody answers; it may have got there
		if fate == 6 {
			if err := arrive(); err != nil {
				return err
			}
		}
		<-ctx.Done()
		return context.Cause(ctx)
	}
	time.Sleep(took)
	return arrive()
}

func (f *flakyTemporal) note(s workflows.Signal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.arrived = append(f.arrived, s)
}

func (f *flakyTemporal) has(seq int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.arrived {
		if s.Seq == seq {
			return true
		}
	}
	return false
}

func (f *flakyTemporal) SignalWorkflow(ctx context.Context, id, run, name string, arg any) error {
	return f.call(ctx, func() error {
		err := f.stubTemporal.SignalWorkflow(ctx, id, run, name, arg)
		if err == nil {
			f.note(arg.(workflows.Signal))
		}
		return err
	})
}

func (f *flakyTemporal) SignalWithStartWorkflow(ctx context.Context, id, name string, arg any, o client.StartWorkflowOptions, w any, args ...any) (run client.WorkflowRun, err error) {
	err = f.call(ctx, func() (err error) {
		run, err = f.stubTemporal.SignalWithStartWorkflow(ctx, id, name, arg, o, w, args...)
		if err == nil {
			f.note(arg.(workflows.Signal))
		}
		return err
	})
	return run, err
}

// A strictSink sees to it that nothing is acknowledged that Temporal does not have.
type strictSink struct {
	*stubSink
	t     *testing.T
	flaky *flakyTemporal
	kept  map[int64]bool // numbers that only keep their place

	mu    sync.Mutex
	acked int64
}

func (k *strictSink) tell(m wire.Out) {
	k.stubSink.tell(m)
	ack, ok := m.(wire.Ack)
	if !ok {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for ; k.acked < ack.Seq; k.acked++ {
		if seq := k.acked + 1; !k.kept[seq] && !k.flaky.has(seq) {
			k.t.Errorf("message %d is acknowledged, and Temporal does not have it", seq)
		}
	}
}

// Whatever becomes of single calls: Temporal has everything that happened, in the
// order in which it happened. What arrived again did so before anything else, which
// is what a conversation lets pass without an effect
// (workflows.TestASignalThatArrivesAgainChangesNothing).
func TestNoSignalIsLostOrComesInAnotherOrder(t *testing.T) {
	for seed := range uint64(100) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inRoom(t, func(t *testing.T, r *room) {
				rng := rand.New(rand.NewPCG(seed, 1))
				flaky := &flakyTemporal{stubTemporal: r.temporal, rng: rand.New(rand.NewPCG(seed, 2))}
				r.g.cfg.Temporal = flaky
				sink := &strictSink{stubSink: r.k, t: t, flaky: flaky, kept: map[int64]bool{}}
				r.s.mu.Lock()
				r.s.conn = sink
				r.s.mu.Unlock()

				var sent []wire.Message // as the kiosk remembers it
				send := func(b wire.Body) {
					m := wire.Message{Seq: int64(len(sent) + 1), Body: b}
					sent = append(sent, m)
					sink.mu.Lock()
					_, ends := b.(wire.SpeechEnd)
					_, hushes := b.(wire.Interrupt)
					sink.kept[m.Seq] = ends || hushes
					sink.mu.Unlock()
					r.s.take(m, time.Now())
				}
				send(wire.ClientReady{Version: "1"})
				r.take(wire.VAD{Mode: "kiosk"})
				spoken, resumed := 0, 0
				for range 40 {
					switch rng.IntN(7) {
					case 0:
						send(wire.SendText{Content: "hello"})
					case 1:
						send(wire.UIEvent{Value: "yes"})
					case 2, 3:
						send(wire.SpeechStart{})
						time.Sleep(300 * time.Millisecond)
						send(wire.SpeechEnd{})
						spoken++
					case 4:
						send(wire.Interrupt{})
					case 5: // the network doubles what is not acknowledged
						for _, m := range sent[max(0, len(sent)-5):] {
							r.s.take(m, time.Now())
						}
					case 6: // the kiosk comes back, and says again all that it must
						r.s.rejoin(nil)
						resumed++
						sink.mu.Lock()
						acked := sink.acked
						sink.mu.Unlock()
						for _, m := range sent[acked:] {
							r.s.take(m, time.Now())
						}
					}
					time.Sleep(time.Duration(rng.IntN(2000)) * time.Millisecond)
				}
				flaky.mu.Lock()
				flaky.well = true
				flaky.mu.Unlock()
				for r.s.undelivered() > 0 {
					time.Sleep(time.Second)
				}
				synctest.Wait()

				flaky.mu.Lock()
				defer flaky.mu.Unlock()
				var last workflows.Signal
				seq, utterances, joined := int64(0), 0, 0
				for _, s := range flaky.arrived {
					if s == last {
						continue // again, before anything else
					}
					if s.At.Before(last.At) {
						t.Errorf("%+v arrived behind %+v", s, last)
					}
					last = s
					if s.Seq > 0 && s.Seq <= seq {
						t.Errorf("message %d arrived again behind %d", s.Seq, seq)
					}
					for n := seq + 1; n < s.Seq; n++ {
						if !sink.kept[n] {
							t.Errorf("message %d never arrived", n)
						}
					}
					seq = max(seq, s.Seq)
					switch s.Kind {
					case workflows.SpeechStarted:
						utterances++
					case workflows.Joined:
						joined++
					}
				}
				if utterances != spoken || joined != 1+resumed {
					t.Errorf("%d utterances and %d arrivals were told, want %d and %d", utterances, joined, spoken, 1+resumed)
				}
				if int64(len(sent)) != sink.acked {
					t.Errorf("%d of %d messages are acknowledged", sink.acked, len(sent))
				}
			})
		})
	}
}

// While Temporal is away a customer says three things; the one behind the other
// they are there when it is back, with their sound.
func TestWhatIsSaidWhileTemporalIsAwayIsKept(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		r.take(wire.VAD{Mode: "kiosk"})
		r.signals()
		if _, err := r.g.find(r.place()); err != nil {
			t.Fatal(err)
		}
		r.temporal.setAway(errBrokenOff)
		first := r.s.spoken + 1
		for range 3 {
			r.talk(5 * time.Second)
			time.Sleep(5 * time.Second)
		}
		r.temporal.setAway(nil)
		time.Sleep(2 * mostBackoff)
		kinds, _ := r.signals()
		if len(kinds) != 3 || kinds[0] != workflows.SpeechStarted || kinds[1] != workflows.SpeechStarted || kinds[2] != workflows.SpeechStarted {
			t.Fatalf("signals: %v", kinds)
		}
		for n := first; n < first+3; n++ {
			h, err := r.s.hearUtterance(n, 0)
			if err != nil || !h.ended || h.dropped || len(h.pcm) != 5*bytesPerSecondIn {
				t.Errorf("utterance %d: %d bytes, ended %t, dropped %t, %v", n, len(h.pcm), h.ended, h.dropped, err)
			}
		}
	})
}
