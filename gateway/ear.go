package gateway

import (
	"cmp"
	"time"

	"github.com/praesenz/parley/gateway/endpointing"
	"github.com/praesenz/parley/gateway/vad"
	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/media"
)

const (
	minSpeech     = 120 * time.Millisecond // before a customer counts as speaking
	minBargeIn    = 250 * time.Millisecond // the same while the kiosk speaks
	perWord       = 200 * time.Millisecond // more for each further word that a barge-in needs
	longestNeeded = 700 * time.Millisecond // of all that together
	preRoll       = 300 * time.Millisecond // kept before the first sound, so that no word loses its beginning
	leadFrames    = 60                     // of audio kept before an utterance: 1.2 s, longestNeeded + preRoll with its gaps

	// pauseToLearn is the silence that counts as a pause where pauses are only
	// looked at, and nothing is guessed.
	pauseToLearn = 200 * time.Millisecond

	// stillComing is for how long audio may come that was on its way when the
	// conversation ended.
	stillComing = time.Second

	defaultEndSilence   = 500 * time.Millisecond
	defaultMaxUtterance = 20 * time.Second
)

// An ear follows the microphone while a conversation is under way.
type ear struct {
	detector vad.Detector
	frame    [vad.FrameBytes]byte
	filled   int
	lead     [leadFrames][vad.FrameBytes]byte // the last second, a ring
	frames   int                              // heard so far
	itself   float64                          // power of the last sound, if it was the kiosk's own voice; else 0
	likeness likeness                         // of what was about to be speech, to the kiosk's own voice
}

// hear takes a kiosk's audio.
func (s *session) hear(pcm []byte, now time.Time) *wire.FieldError {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.conversing {
		if now.Sub(s.deafAt) < stillComing {
			return nil
		}
		return &wire.FieldError{Field: "kind", Problem: "no conversation is under way; send client-ready before audio"}
	}
	if s.ear == nil {
		s.ear = &ear{}
	}
	s.heardAt = now
	for e := s.ear; len(pcm) > 0; {
		n := copy(e.frame[e.filled:], pcm)
		pcm = pcm[n:]
		if e.filled += n; e.filled == len(e.frame) {
			e.filled = 0
			s.hearFrame(e, now)
		}
	}
	return nil
}

func (s *session) hearFrame(e *ear, now time.Time) {
	if s.kioskVAD {
		if s.open != nil && (!s.open.add(e.frame[:]) || time.Duration(len(s.open.pcm))*time.Second/bytesPerSecondIn >= s.maxUtterance()) {
			s.commit("too_long", now)
		}
		return
	}
	if s.ending.silent(now) {
		s.ending = ownVoice{}
	}
	e.lead[e.frames%leadFrames] = e.frame
	e.frames++
	spoken := s.current
	options := s.endpointing(spoken)
	event := e.detector.Hear(e.frame[:], options)
	if s.open == nil && spoken != nil && spoken.start.BargeIn == "none" {
		e.detector.Forget() // what is heard meanwhile is not said to us
		return
	}
	u := s.open
	if u == nil {
		if e.detector.About(options) {
			e.likeness = s.compare(e, now)
		}
		if event == vad.Started {
			own, within := s.hearsItself(e, now)
			if own {
				e.detector.Forget()
				s.g.meters.ownVoice.Inc()
				return
			}
			u = s.startUtterance(0, now)
			u.noEcho = !within
			u.first = e.frames - e.detector.Lead()
			for _, f := range e.since(e.detector.Lead() + int(preRoll/vad.Frame)) {
				u.add(f)
			}
		}
		return
	}
	if !u.paused && !u.add(e.frame[:]) {
		e.detector.Forget()
		event = vad.TooLong
	}
	if event == vad.Resumed && !u.aside {
		s.endpointer.Resumed(e.detector.Silence())
	}
	switch {
	case event == vad.Paused && s.guess > 0 && !u.aside:
		s.pause()
	case event == vad.Resumed && u.paused:
		s.resume(now)
	case event == vad.Ended:
		s.commit("silence", now)
	case event == vad.TooLong:
		s.commit("too_long", now)
	}
}

// since gives the last n frames, oldest first.
func (e *ear) since(n int) [][]byte {
	n = min(n, e.frames, leadFrames)
	frames := make([][]byte, 0, n)
	for i := e.frames - n; i < e.frames; i++ {
		frames = append(frames, e.lead[i%leadFrames][:])
	}
	return frames
}

// endpointing is how speech is told from noise at this moment.
func (s *session) endpointing(spoken *response) vad.Options {
	o := vad.Options{
		MinSpeech: minSpeech, Pause: s.guess,
		EndSilence: s.endpointer.Delay(s.rule), MaxUtterance: s.maxUtterance(),
	}
	if o.Pause == 0 && s.rule.Mode != endpointing.Fixed {
		o.Pause = pauseToLearn
	}
	if spoken != nil && !spoken.held {
		// Words cannot be counted before they are recognised; the time that they
		// take to say can. A response that was held in vain is harder to hold: a
		// kiosk in a noise, or one that hears itself and is not known, must get on.
		words := time.Duration(max(1, int(spoken.start.MinWords)) + spoken.disturbed)
		o.MinSpeech = min(longestNeeded, minBargeIn+(words-1)*perWord)
	}
	return o
}

// turnRule is how the silence is found that ends a turn; nil: as by default.
func turnRule(l *media.Listening) endpointing.Rule {
	return endpointing.Rule{
		Mode:       cmp.Or(endpointing.Mode(l.GetEndpointing()), endpointing.Fixed),
		EndSilence: cmp.Or(time.Duration(l.GetEndSilenceMs())*time.Millisecond, defaultEndSilence),
		MaxSilence: time.Duration(l.GetMaxSilenceMs()) * time.Millisecond,
	}
}

func (s *session) maxUtterance() time.Duration {
	if ms := s.listen.GetMaxUtteranceMs(); ms > 0 {
		return min(longestUtterance, time.Duration(ms)*time.Millisecond)
	}
	return defaultMaxUtterance
}

// kioskSpeech is the beginning of speech as a kiosk detects it.
func (s *session) kioskSpeech(seq int64, now time.Time) *wire.FieldError {
	if !s.kioskVAD {
		s.signal(item{seq: seq})
		return &wire.FieldError{Field: "data.t", Problem: "the gateway detects speech; send vad {mode:\"kiosk\"} before speech-start"}
	}
	if r := s.current; s.open != nil || r != nil && r.start.BargeIn == "none" {
		s.signal(item{seq: seq})
		return nil
	}
	s.converse()
	s.heardAt = now
	s.startUtterance(seq, now)
	return nil
}
