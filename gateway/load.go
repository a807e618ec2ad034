package gateway

import (
	"context"
	"sync/atomic"
	"time"
)

// A gateway that has too much to do is late: what its timers and goroutines do,
// they do after the moment at which it was due, and a customer's interruption is
// noticed as much later. That is what is measured, because it holds whatever is
// short: the processor, the share of it that a cluster grants, or memory.
const (
	loadEvery = 100 * time.Millisecond
	// lateMemory is the time over which lateness is averaged: one short pause is no
	// overload.
	lateMemory = 2 * time.Second
	// tooLate is the lateness from which no further kiosk is taken. Audio is sent a
	// second ahead, so nobody hears it yet; but a customer who interrupts is heard
	// so much later. At a load just at the mark it would come and go, hence two.
	tooLate   = 100 * time.Millisecond
	lateAgain = 25 * time.Millisecond
)

// A load says whether the gateway can take more kiosks.
type load struct {
	over  atomic.Bool
	late  time.Duration // averaged; watch's own
	since time.Time     // when over changed
}

// watch measures until ctx ends. changed is told whenever over changes, and how
// long it had been as it was.
func (l *load) watch(ctx context.Context, changed func(lasted time.Duration)) {
	l.since = time.Now()
	look := time.NewTimer(loadEvery)
	defer look.Stop()
	for {
		due := time.Now().Add(loadEvery)
		look.Reset(loadEvery)
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
		if now := time.Now(); l.note(now.Sub(due)) {
			changed(now.Sub(l.since))
			l.since = now
		}
	}
}

// note takes how late the last look was, and reports whether over has changed.
func (l *load) note(late time.Duration) bool {
	took := min(loadEvery+late, lateMemory)
	l.late += time.Duration(float64(late-l.late) * float64(took) / float64(lateMemory))
	over := l.over.Load()
	switch {
	case !over && l.late > tooLate, over && l.late < lateAgain:
		l.over.Store(!over)
		return true
	}
	return false
}
