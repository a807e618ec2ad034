package gateway

import (
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/media"
)

const (
	// longestUtterance bounds what is kept of one, whatever the flow allows.
	longestUtterance = 60 * time.Second
	// keptTurns is of how many turns the audio is there for a second attempt at
	// transcribing; that of utterances which have no transcript yet is kept anyway,
	// within keptAudio. The utterances themselves are remembered longer.
	keptTurns      = 2
	keptAudio      = 2 * utteranceBytes
	keptUtterances = 32

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
//
// It is open while it is spoken. After a pause it has ended for its readers, but
// it may not be all of the turn: then it is committed when the customer stays
// silent, and void when they go on, with another utterance that continues it.
type utterance struct {
	number    uint32
	continues uint32 // the one before it in the same turn; 0: it is the first
	pcm       []byte // 16 kHz PCM16 mono, at most utteranceBytes
	forgotten bool   // its audio is not kept any more
	first     int    // the turn's first frame, as the ear counts them
	pausedAt  int    // the frame behind its last one
	until     int    // once committed: the frame behind its last word
	speech    time.Duration
	bell      bell

	ended     bool
	dropped   bool // nothing to answer
	paused    bool // it ended in a pause
	guessed   bool // a reader was told so: what it does is a guess until the commit
	committed bool
	confirmed bool // the conversation was told of the commit
	// void: nobody wants an answer to this alone, because the customer went on.
	void     bool
	answered bool // something was heard after it was committed

	// aside: it was begun over a response that only a hotword cuts. The kiosk goes
	// on as if nothing were heard; what it means is the conversation's to decide.
	aside   bool
	before  string         // the state that the kiosk was in
	over    *response      // that was being said as it began, and is held; nil: none
	overAt  int64          // the sample of it that was being heard
	noEcho  bool           // it is known not to begin with the kiosk's own voice
	awaited bool           // its verdict is: nothing is begun until then, and what is held stays so
	late    bool           // the verdict did not come in time
	joins   uint32         // the utterance that wants one answer with it
	verdict *media.Verdict // nil: there is no transcript yet
	caption *wire.UserTranscription
	asked   time.Time // session.askedAt before it was committed
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

// ignored tells whether its transcript showed that it was not meant for the
// kiosk.
func (u *utterance) ignored() bool { return u.verdict.GetIgnored() != "" }

// utterance gives one by its number; nil: it is not known here.
func (s *session) utterance(number uint32) *utterance {
	for _, u := range slices.Backward(s.utterances) {
		if u.number == number {
			return u
		}
	}
	return nil
}

// openUtterance makes the next one and lets go of what is too old.
func (s *session) openUtterance() *utterance {
	s.spoken++
	u := &utterance{number: s.spoken}
	s.open = u
	s.utterances = append(s.utterances, u)
	s.utterances = s.utterances[max(0, len(s.utterances)-keptUtterances):]
	s.watch(u)

	turns, bytes, transcribed, continued := 0, 0, true, uint32(0)
	for _, x := range slices.Backward(s.utterances) {
		if x.number != continued { // the last of its turn, whose transcript is that of all of it
			transcribed = x.verdict != nil
			turns++
		}
		continued = x.continues
		if bytes += len(x.pcm); bytes > keptAudio || turns > keptTurns && transcribed {
			x.pcm, x.forgotten = nil, true
		}
	}
	return u
}

// hearUtterance gives what there is of an utterance for a reader that has its
// first bytes.
func (s *session) hearUtterance(number uint32, from int) (hearing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.utterance(number)
	switch {
	case u == nil && s.over != nil:
		return hearing{}, s.over
	case u == nil || u.forgotten:
		return hearing{}, status.Errorf(codes.NotFound, "utterance %d is not kept here", number)
	}
	open := u.paused && !u.committed && !u.dropped
	u.guessed = u.guessed || open
	return hearing{pcm: u.pcm[from:], ended: u.ended, dropped: u.dropped, open: open, more: u.bell.heard()}, nil
}

// A hearing is what there is to hear of an utterance.
type hearing struct {
	pcm     []byte
	ended   bool
	dropped bool
	open    bool // the customer may go on
	more    <-chan struct{}
}

// hearBefore gives the audio of the utterances from since up to, and not with, a
// number. An open turn's numbers follow each other.
func (s *session) hearBefore(number, since uint32) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var audio [][]byte
	for _, u := range s.utterances {
		if since != 0 && u.number >= since && u.number < number {
			audio = append(audio, u.pcm)
		}
	}
	return audio
}
