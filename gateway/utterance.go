package gateway

import (
	"time"

	"github.com/praesenz/parley/gateway/wire"
)

const (
	// longestUtterance bounds what is kept of one, whatever the flow allows.
	longestUtterance = 60 * time.Second
	// keptUtterances is how many are there for a second attempt at transcribing.
	keptUtterances = 2

	bytesPerSecondIn = wire.RateIn * 2
	utteranceBytes   = int(longestUtterance/time.Second) * bytesPerSecondIn
)

// A bell wakes everybody who waits for a change. Its owner's mutex guards it.
type bell struct{ ch chan struct{} }

// heard is closed at the next ring.
func (b *bell) heard() <-chan struct{} {
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *bell) ring() {
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

// An utterance is what a customer says in one go. Its audio is only ever
// appended to, so a reader may keep what it was given. The session's mutex
// guards it.
type utterance struct {
	number  uint32
	pcm     []byte // 16 kHz PCM16 mono, at most utteranceBytes
	ended   bool
	dropped bool // nothing to answer
	// aside: it was begun over a response that only a hotword cuts. The kiosk goes
	// on as if nothing were heard; what it means is the conversation's to decide.
	aside bool
	bell  bell
}

// add appends audio and reports whether there was room for all of it.
func (u *utterance) add(pcm []byte) bool {
	room := utteranceBytes - len(u.pcm)
	u.pcm = append(u.pcm, pcm[:min(len(pcm), room)]...)
	u.bell.ring()
	return len(pcm) <= room
}

func (u *utterance) end(dropped bool) {
	if u.ended {
		return
	}
	u.ended, u.dropped = true, dropped
	u.bell.ring()
}
