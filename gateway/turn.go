package gateway

import (
	"slices"
	"time"

	"github.com/praesenz/parley/gateway/vad"
	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/workflows"
)

// How customer and kiosk take turns; decision 18. All of it happens under the
// session's mutex.

const (
	// verdictWithin is how long after a sound has ended what waits for its verdict
	// goes on without one.
	verdictWithin = 2 * time.Second
	// heldLead is how much is said again when a held response goes on: a word that
	// was cut in two is not understood.
	heldLead = 200 * time.Millisecond
	// micGone is how long a microphone may bring nothing in the middle of an
	// utterance, whose end is only known from what it brings.
	micGone = 2 * time.Second
	// unheard is how little of an answer has been played when a customer who speaks
	// over it has not reacted to it, but is still at their question.
	unheard = 500 * time.Millisecond
)

// startUtterance opens an utterance. The customer comes first: what is being said
// is held, and what is about to be said waits. What only a hotword cuts goes on,
// and the conversation says whether one was heard.
func (s *session) startUtterance(seq int64, now time.Time) *utterance {
	u := s.openUtterance()
	u.before = s.state
	started := item{seq: seq, start: true, Signal: workflows.Signal{Kind: workflows.SpeechStarted, Utterance: int(u.number)}}
	r := s.current
	if r != nil && r.start.BargeIn == "hotword" {
		u.aside = true
		s.signal(started)
		return u
	}
	if r != nil {
		u.over = r
		started.Response = int(r.number)
		s.hold(r, now)
		u.overAt = r.mark
	}
	u.awaited = r != nil || s.unanswered(u) != nil
	s.endpointer.Started()
	s.tell(wire.UserStartedSpeaking{})
	s.show(listening)
	s.signal(started)
	return u
}

// pause ends the audio of the open utterance for its readers, who begin to answer
// it as a guess.
func (s *session) pause() {
	u := s.open
	u.paused = true
	u.pausedAt = s.ear.frames
	s.endAudio(u)
}

// resume takes the guess back: the customer goes on, with an utterance of the same
// turn.
func (s *session) resume(now time.Time) {
	before := s.open
	before.void = true
	before.dropped = true // for who has not begun to read it
	s.cutAnswers(before, now)
	s.g.meters.utterances.WithLabelValues("continued").Inc()
	s.g.meters.guesses.WithLabelValues("void").Inc()

	u := s.openUtterance()
	u.continues, u.first, u.before, u.joins = before.number, before.first, before.before, before.joins
	u.over, u.overAt, u.noEcho = before.over, before.overAt, before.noEcho
	held := u.over != nil && u.over.held
	u.awaited = held || u.joins == 0 && s.unanswered(u) != nil
	before.awaited = false
	// The pause is kept, as far as it is short: with the audio before it, what the
	// customer said is whole.
	e := s.ear
	for _, f := range e.since(min(e.frames-before.pausedAt, e.detector.Lead()+int(preRoll/vad.Frame))) {
		u.add(f)
	}
	started := workflows.Signal{Kind: workflows.SpeechStarted, Utterance: int(u.number), Continues: int(before.number)}
	if held {
		started.Response = int(u.over.number)
	}
	s.signal(item{start: true, Signal: started})
}

// commit closes the open utterance: the customer's turn is over, and what answers
// it may be heard.
func (s *session) commit(how string, now time.Time) {
	u := s.open
	s.open = nil
	u.committed = true
	if !u.ended {
		s.endAudio(u)
	}
	s.g.meters.utterances.WithLabelValues(how).Inc()
	if u.aside {
		return
	}
	if u.paused {
		s.g.meters.guesses.WithLabelValues("kept").Inc()
	}
	s.tell(wire.UserStoppedSpeaking{})
	s.wake() // a response may have waited for the customer to finish
	if u.ignored() {
		s.afterNothing(u)
		return
	}
	if s.ear != nil {
		u.until = s.ear.frames - int(s.silence()/vad.Frame)
	}
	s.endpointer.Committed()
	if how == "silence" {
		s.g.meters.endpointing.WithLabelValues(string(s.rule.Mode)).Observe(s.silence().Seconds())
	}
	u.asked, s.askedAt = s.askedAt, now.Add(-s.silence())
	if u.caption != nil {
		u.caption.Final = true
		s.tell(*u.caption)
	}
	if u.verdict == nil && !u.awaited && s.asksLater() {
		s.expect(u)
	}
	s.show(thinking)
	s.confirm(u)
}

// endAudio ends an utterance's audio, and gives its verdict some time.
func (s *session) endAudio(u *utterance) {
	u.speech = time.Duration(len(u.pcm)) * time.Second / bytesPerSecondIn
	if !s.kioskVAD {
		u.speech = time.Duration(s.ear.frames-u.first)*vad.Frame - s.silence()
	}
	u.end(false)
	if u.awaited {
		s.expect(u)
	}
}

// expect bounds the wait for a verdict.
func (s *session) expect(u *utterance) {
	u.awaited = true
	time.AfterFunc(verdictWithin-s.silence(), func() { s.overdue(u) })
}

// silence is for how long the customer has said nothing, as an utterance ends.
func (s *session) silence() time.Duration {
	if s.kioskVAD || s.ear == nil {
		return 0
	}
	return s.ear.detector.Silence()
}

// watch commits an utterance whose microphone has gone away.
func (s *session) watch(u *utterance) {
	time.AfterFunc(micGone, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		now := time.Now()
		switch {
		case s.over != nil || s.open != u || s.kioskVAD: // a kiosk says itself when it ends
		case now.Sub(s.heardAt) < micGone:
			s.watch(u)
		default:
			s.endDetection()
			s.commit("gone", now)
		}
	})
}

// endDetection makes the detector begin anew: the utterance was ended by something
// else than what it heard.
func (s *session) endDetection() {
	if s.ear != nil {
		s.ear.detector.Forget()
	}
}

// confirm tells the conversation that a guess was right. A response to it that is
// about to be heard tells that too, and costs nothing.
func (s *session) confirm(u *utterance) {
	if !u.guessed || u.confirmed || u.void || u.ignored() {
		return
	}
	for _, r := range s.responses {
		if r.after == u.number && r.start != nil && !r.over {
			return
		}
	}
	u.confirmed = true
	s.signal(item{Signal: workflows.Signal{Kind: workflows.Committed, Utterance: int(u.number)}})
}

// understand takes an utterance's transcript and decides what it was. A second
// attempt at transcribing hears the same verdict.
func (s *session) understand(t *media.Transcript, now time.Time) *media.Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.utterance(t.Utterance)
	switch {
	case u == nil:
		s.showWords(t, true)
		return &media.Verdict{}
	case u.verdict != nil:
		return u.verdict
	case u.aside || u.void:
		u.verdict = &media.Verdict{}
		return u.verdict
	}
	u.verdict = &media.Verdict{Ignored: s.judged(t, u)}
	u.awaited = false
	s.g.log.Debug("utterance judged", "store", s.store, "kiosk", s.kiosk, "session", s.id, "utterance", u.number,
		"ignored", u.verdict.Ignored, "letters", len(t.Text), "confidence", t.Confidence, "speech", u.speech, "over", u.over != nil, "late", u.late)
	if u.over != nil {
		verdict := u.verdict.Ignored
		if verdict == "" {
			verdict = "cut"
		}
		s.g.meters.holds.WithLabelValues(verdict).Inc()
	}
	if u.ignored() {
		s.ignore(u, now)
		return u.verdict
	}
	if before := s.unanswered(u); before != nil && u.joins == 0 {
		u.joins = before.number
		before.void = true
		s.cutAnswers(before, now)
		s.cutOff(before, u)
	}
	u.verdict.Joins = u.joins
	s.cutQuestions(now)
	if r := s.current; r != nil && r.start.BargeIn == "speech" && (r == u.over || u.late && u.over == nil) && s.interrupt("speech", 0, now) {
		for _, x := range s.utterances {
			if x.over == r { // what else is said now is said into the silence
				x.over = nil
			}
		}
		if before := s.turnBefore(u); before != nil && time.Duration(r.playedMs)*time.Millisecond < unheard {
			s.cutOff(before, u)
		}
		u.answered = false
		if s.open == nil {
			s.show(thinking)
		}
	}
	s.answered = true
	u.caption = s.showWords(t, u.committed)
	s.speakOn(now)
	return u.verdict
}

// cutOff notes that a turn was taken for complete, and the customer went on.
func (s *session) cutOff(before, u *utterance) {
	if s.endpointer.CutOff(time.Duration(u.first-before.until) * vad.Frame) {
		s.g.meters.cutOffs.WithLabelValues(string(s.rule.Mode)).Inc()
	}
}

// judge takes how likely it is that the turn is complete, from a model that has
// heard an utterance; it matters as long as that is what the kiosk waits at.
func (s *session) judge(utterance uint32, complete float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open != nil && s.open.number == utterance && s.open.paused {
		s.endpointer.Judged(complete)
	}
}

// showWords shows what was understood. Before the commit it is not final.
func (s *session) showWords(t *media.Transcript, final bool) *wire.UserTranscription {
	c := &wire.UserTranscription{
		Text: t.Text, Final: final, Timestamp: time.Now().UTC().Format(time.RFC3339Nano), UserID: s.kiosk,
		Confidence: max(0, min(1, t.Confidence)),
	}
	s.tell(*c)
	return c
}

// ignore goes on as if an utterance had not been heard. One for which the kiosk's
// voice or an answer had to wait is closed with that; another stays open, because
// more words may show what it was.
func (s *session) ignore(u *utterance, now time.Time) {
	if u.over != nil {
		u.over.disturbed++
	}
	switch {
	case s.open == u && (u.over != nil || s.unanswered(u) != nil):
		s.endDetection()
		s.commit("ignored", now)
	case u.committed && !u.answered: // nor was it followed by another turn
		s.askedAt = u.asked
		s.afterNothing(u)
	}
	s.speakOn(now)
}

// afterNothing shows again what was shown before an utterance that was nothing.
func (s *session) afterNothing(u *utterance) {
	if s.open == nil && s.current == nil {
		s.show(u.before)
	}
}

// overdue goes on without a verdict. Words that come later still cut.
func (s *session) overdue(u *utterance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil || !u.awaited {
		return
	}
	now := time.Now()
	u.awaited, u.late = false, true
	if u.over != nil {
		s.g.meters.holds.WithLabelValues("late").Inc()
	}
	if s.open == u && u.over != nil {
		s.endDetection()
		s.commit("silence", now)
	}
	s.speakOn(now)
}

// unanswered gives the utterance before a turn when nothing of its answer was
// heard yet: both want one answer.
func (s *session) unanswered(u *utterance) *utterance {
	if x := s.turnBefore(u); x != nil && !x.answered && !x.void {
		return x
	}
	return nil
}

// turnBefore gives the last utterance of the turn before one; nil: there was none.
func (s *session) turnBefore(u *utterance) *utterance {
	for _, x := range slices.Backward(s.utterances) {
		if x.number < u.number && x.committed && !x.aside && !x.ignored() {
			return x
		}
	}
	return nil
}

// answeredAll notes that the kiosk answers, or that the customer has asked
// something else in another way: what they say next is a turn of its own.
func (s *session) answeredAll() {
	for _, u := range s.utterances {
		u.answered = u.answered || u.committed
	}
}

// unwanted tells whether an answer to an utterance is void; one that is not known
// here is committed.
func (s *session) unwanted(after uint32) bool {
	u := s.utterance(after)
	return u != nil && u.void
}

// cutAnswers takes back what answers an utterance alone. Nothing of it was heard.
func (s *session) cutAnswers(u *utterance, now time.Time) {
	for _, r := range s.responses {
		if r.after == u.number && !r.over {
			r.void = true
			s.cut(r, "void", now)
		}
	}
}

// cutQuestions takes back what is about to be asked: the words that the customer
// has said in the meantime answer it. What says no more than it has to say waits,
// and is heard.
func (s *session) cutQuestions(now time.Time) {
	for _, r := range s.responses {
		if r.asksLater() {
			s.cut(r, "speech", now)
			s.signal(item{Signal: workflows.Signal{Kind: workflows.Interrupted, Response: int(r.number)}})
		}
	}
}

// asksLater tells whether a response is a question that is not begun yet and that
// words may take the place of.
func (r *response) asksLater() bool {
	return r.start != nil && r.start.Listening != nil && r.start.BargeIn == "speech" && r.after == 0 && !r.begun && !r.over
}

func (s *session) asksLater() bool {
	for _, r := range s.responses {
		if r.asksLater() {
			return true
		}
	}
	return false
}

// awaiting tells whether something that is to be said waits for a verdict.
func (s *session) awaiting() bool {
	return slices.ContainsFunc(s.utterances, func(u *utterance) bool { return u.awaited })
}

// hold silences a response at once, and keeps its place.
func (s *session) hold(r *response, now time.Time) {
	if r.held {
		return
	}
	r.pause(now)
	r.held = true
	s.cutAt = now
	s.tell(wire.Clear{Response: int(r.number)})
	s.tell(wire.BotStoppedSpeaking{})
}

// speakOn lets what has waited for a verdict be said: what was held from its place on.
func (s *session) speakOn(now time.Time) {
	if s.awaiting() {
		return
	}
	s.wake()
	r := s.current
	if r == nil || !r.held {
		return
	}
	r.held = false
	again := heldLead
	if r.disturbed > 1 {
		again = 0 // or a noise that does not end would keep it where it is
	}
	r.rewindTo(r.mark-r.samples(again), now)
	r.captions = r.wholeParts(r.sent) // the sentence in progress is told once more
	if s.conn == nil {
		r.pause(now) // attach says it again
		return
	}
	s.sayAgain(r)
	s.tell(wire.BotStartedSpeaking{})
	s.show(speaking)
}
