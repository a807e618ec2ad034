package endpointing_test

import (
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/praesenz/parley/gateway/endpointing"
)

const ms = time.Millisecond

func rule(mode endpointing.Mode) endpointing.Rule {
	return endpointing.Rule{Mode: mode, EndSilence: 500 * ms, MaxSilence: 1500 * ms}
}

func TestDelay(t *testing.T) {
	type E = endpointing.Endpointer
	resumed := func(silences ...time.Duration) func(*E) {
		return func(e *E) {
			for _, s := range silences {
				e.Resumed(s)
			}
		}
	}
	judged := func(p float64) func(*E) { return func(e *E) { e.Judged(p) } }
	for _, c := range []struct {
		name string
		rule endpointing.Rule
		told []func(*E)
		want time.Duration
	}{
		{"fixed", rule(endpointing.Fixed), nil, 500 * ms},
		{"fixed is the default", endpointing.Rule{EndSilence: 400 * ms}, nil, 400 * ms},
		{"fixed learns nothing", rule(endpointing.Fixed), []func(*E){resumed(900 * ms), judged(0)}, 500 * ms},

		{"learned, nothing known", rule(endpointing.Learned), nil, 500 * ms},
		{"learned, a pause", rule(endpointing.Learned), []func(*E){resumed(800 * ms)}, 1200 * ms},
		{"learned, short pauses", rule(endpointing.Learned), []func(*E){resumed(250*ms, 250*ms)}, 500 * ms},
		{"learned, not longer than allowed", rule(endpointing.Learned), []func(*E){resumed(1400 * ms)}, 1500 * ms},
		{"learned, no limit given", endpointing.Rule{Mode: endpointing.Learned, EndSilence: 500 * ms}, []func(*E){resumed(900 * ms)}, 500 * ms},
		{"learned, a stop of a consonant is no pause", rule(endpointing.Learned), []func(*E){resumed(900*ms, 160*ms)}, 1350 * ms},
		{"learned, waiting for an answer is no pause", rule(endpointing.Learned), []func(*E){resumed(800*ms, 2500*ms)}, 1200 * ms},
		{"learned does not ask the model", rule(endpointing.Learned), []func(*E){judged(0)}, 500 * ms},

		{"model, sure", rule(endpointing.Model), []func(*E){judged(0.98)}, 500 * ms},
		{"model, sure of more to come", rule(endpointing.Model), []func(*E){judged(0.02)}, 1500 * ms},
		{"model, in doubt", rule(endpointing.Model), []func(*E){judged(0.5)}, 1000 * ms},
		{"model, sure of a slow speaker", rule(endpointing.Model), []func(*E){resumed(900 * ms), judged(1)}, 500 * ms},
		{"model without an answer learns", rule(endpointing.Model), []func(*E){resumed(800 * ms)}, 1200 * ms},
		{"model, the answer to an earlier pause", rule(endpointing.Model), []func(*E){judged(0), resumed(300 * ms)}, 500 * ms},
		{"model, the answer to what was cut off before", rule(endpointing.Model), []func(*E){judged(0), func(e *E) { e.CutOff(700 * ms) }}, 1500 * ms},
		{"learned, cut off", rule(endpointing.Learned), []func(*E){(*E).Committed, (*E).Started, func(e *E) { e.CutOff(800 * ms) }}, 1200 * ms},
		{"model, the answer to an earlier turn", rule(endpointing.Model), []func(*E){judged(0), (*E).Committed, (*E).Started}, 500 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e E
			for _, tell := range c.told {
				tell(&e)
			}
			if got := e.Delay(c.rule); got.Round(ms) != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// However short a speaker's pauses were: the next like a long one is covered.
func TestOnePauseIsEnough(t *testing.T) {
	for long := 300 * ms; long <= 1300*ms; long += 50 * ms {
		var e endpointing.Endpointer
		for range 10 {
			e.Resumed(210 * ms)
		}
		e.Resumed(long)
		if got := e.Delay(rule(endpointing.Learned)); got <= long && got < 1500*ms {
			t.Errorf("after a pause of %s: %s", long, got)
		}
	}
}

func TestAHesitationIsForgotten(t *testing.T) {
	var e endpointing.Endpointer
	e.Resumed(1200 * ms)
	e.Committed()
	e.Started()
	before := e.Delay(rule(endpointing.Learned))
	for turns := range 12 {
		e.Committed()
		e.Started()
		after := e.Delay(rule(endpointing.Learned))
		if after > before {
			t.Fatalf("after %d turns without a pause: %s, before %s", turns+1, after, before)
		}
		if before = after; after == 500*ms {
			return
		}
	}
	t.Errorf("after 12 turns without a pause: still %s", before)
}

// The turn in which somebody paused is none without a pause.
func TestATurnWithAPauseIsRemembered(t *testing.T) {
	var e endpointing.Endpointer
	e.Resumed(800 * ms)
	e.Committed()
	if got := e.Delay(rule(endpointing.Learned)); got.Round(ms) != 1200*ms {
		t.Errorf("%s, want 1.2s", got)
	}
}

func TestTheModelsRuleIsMonotone(t *testing.T) {
	var e endpointing.Endpointer
	last := 1500 * ms
	for p := -0.1; p <= 1.1; p += 0.01 {
		e.Judged(p)
		got := e.Delay(rule(endpointing.Model))
		if got > last || got < 500*ms {
			t.Errorf("at %.2f: %s, before %s", p, got, last)
		}
		last = got
	}
	if last != 500*ms {
		t.Errorf("at the end %s", last)
	}
}

// A speaker is somebody who says turns, with pauses between their parts.
type speaker struct {
	shortest, longest time.Duration // of the pauses
	pauses            int           // in a turn, at most
}

// talk has the speaker say 20 turns: how often they were cut off, and the longest
// that they waited after a turn.
func (s speaker) talk(r *rand.Rand, mode endpointing.Mode) (cutOff int, waited time.Duration) {
	var e endpointing.Endpointer
	for range 20 {
		e.Started()
		for range 1 + r.IntN(s.pauses) {
			pause := s.shortest + time.Duration(r.Int64N(int64(s.longest-s.shortest)))
			if pause >= e.Delay(rule(mode)) {
				e.Committed()
				e.Started()
				e.CutOff(pause)
				cutOff++
				continue
			}
			e.Resumed(pause)
		}
		waited = max(waited, e.Delay(rule(mode)))
		e.Committed()
	}
	return cutOff, waited
}

func TestSpeakers(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 1))
		slow := speaker{shortest: 700 * ms, longest: 900 * ms, pauses: 3}
		if cut, _ := slow.talk(r, endpointing.Learned); cut > 1 {
			t.Errorf("seed %d: a slow speaker was cut off %d times", seed, cut)
		}
		if cut, _ := slow.talk(r, endpointing.Fixed); cut < 20 {
			t.Errorf("seed %d: without learning a slow speaker was cut off %d times only: the simulation shows nothing", seed, cut)
		}
		quick := speaker{shortest: 150 * ms, longest: 350 * ms, pauses: 3}
		if cut, waited := quick.talk(r, endpointing.Learned); cut > 0 || waited >= 600*ms {
			t.Errorf("seed %d: a quick speaker was cut off %d times and waited %s", seed, cut, waited)
		}
	}
}

// There is one in every session, idle or not.
func TestAnEndpointerIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(endpointing.Endpointer{}); size > 32 {
		t.Errorf("%d bytes", size)
	}
}
