// Package endpointing says when a customer's turn is over: how long a silence
// has to last. Too short, and slow speakers are cut off; too long, and everybody
// waits for every answer.
package endpointing

import "time"

// A Mode is where the silence that ends a turn comes from.
type Mode string

// The modes; a flow's listen.endpointing names them. Empty is Fixed.
const (
	Fixed   Mode = "fixed"   // always Rule.EndSilence
	Learned Mode = "learned" // from the speaker's own pauses in this conversation
	Model   Mode = "model"   // from a model that heard the turn; without its answer as Learned
)

// A Rule is what a flow wants of one listening.
type Rule struct {
	Mode       Mode
	EndSilence time.Duration // of Fixed; of the others the shortest
	MaxSilence time.Duration // the longest, of the others; less than EndSilence: as that
}

// A silence is a pause within a turn when it is at least shortest: below are the
// stops of consonants and the breaths within a phrase. One over longest is no
// pause: somebody who speaks after it has waited for an answer. (Campione and
// Véronis, "A large-scale multilingual study of silent pause duration", 2002:
// pauses are brief up to 200 ms, medium up to 1 s, and long ones are rare.)
const (
	shortest = 200 * time.Millisecond
	longest  = 2 * time.Second
)

// How the pauses of a speaker become a silence that covers them: their smoothed
// mean and deviation, as TCP estimates when to give up waiting for a packet (RFC
// 6298), which is the same question. With weight·spread = 1 one pause is enough
// to cover the next like it, however much longer it was than all before. A
// conversation has few pauses, so the mean follows faster than TCP's.
const (
	weight = 0.25  // of the newest pause
	spread = 4     // deviations above the mean
	steady = 0.125 // of the mean: the least deviation; nobody pauses like a clock
	fade   = 0.875 // of what is known, with each turn without a pause
)

// How a model's probability becomes a silence: sure of a complete turn, the
// shortest; sure of an incomplete one, the longest; between, in proportion.
const (
	sure   = 0.7
	unsure = 0.3
)

// An Endpointer knows how one customer speaks. The zero value knows nothing yet:
// make a new one for each conversation. It is not safe for concurrent use.
type Endpointer struct {
	mean, deviation time.Duration // of the pauses so far; 0: there were none

	paused   bool // within the turn at hand
	judged   bool // the pause at hand, by a model
	complete float64
}

// Started tells that a turn has begun.
func (e *Endpointer) Started() { e.paused, e.judged = false, false }

// Resumed tells that the customer went on with the turn after a silence.
func (e *Endpointer) Resumed(silence time.Duration) {
	e.judged = false
	e.learn(silence)
}

// CutOff tells that the turn before had been taken for complete after a silence,
// but was not: the turn at hand goes on with it. It reports whether the silence
// was a pause; after a longer one the customer has not gone on, but come back.
func (e *Endpointer) CutOff(silence time.Duration) bool { return e.learn(silence) }

func (e *Endpointer) learn(silence time.Duration) bool {
	if silence < shortest || silence > longest {
		return false
	}
	e.paused = true
	if e.mean == 0 {
		e.mean = silence
	} else {
		e.deviation += part(weight, (silence-e.mean).Abs()-e.deviation)
		e.mean += part(weight, silence-e.mean)
	}
	e.deviation = max(e.deviation, part(steady, e.mean))
	return true
}

// Judged tells how likely it is, 0..1, that the turn is complete, as a model
// judges the pause at hand.
func (e *Endpointer) Judged(complete float64) {
	e.judged, e.complete = true, complete
}

// Committed tells that the turn was taken for complete. A turn in one go tells
// nothing of the speaker's pauses, but that they may have been the exception: a
// customer who hesitated once does not wait for ever. One who is then cut off is
// understood all the same; see decision 18.
func (e *Endpointer) Committed() {
	if !e.paused {
		e.mean, e.deviation = part(fade, e.mean), part(fade, e.deviation)
	}
}

// Delay is the silence that ends the turn at hand, as far as is known now: a
// model's answer changes it in the middle of a pause.
func (e *Endpointer) Delay(r Rule) time.Duration {
	most := max(r.EndSilence, r.MaxSilence)
	switch {
	case r.Mode == Model && e.judged:
		doubt := (sure - e.complete) / (sure - unsure)
		return r.EndSilence + part(max(0, min(doubt, 1)), most-r.EndSilence)
	case r.Mode == Model || r.Mode == Learned:
		return max(r.EndSilence, min(e.mean+spread*e.deviation, most))
	}
	return r.EndSilence
}

func part(of float64, d time.Duration) time.Duration {
	return time.Duration(of * float64(d))
}
