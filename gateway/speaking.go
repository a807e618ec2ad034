package gateway

import (
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/workflows"
)

const (
	maxResponses  = 16   // kept for second attempts
	maxEarly      = 1024 // messages held until a response begins
	checkPlayback = 100 * time.Millisecond
)

// response gives a response by its number, made if it is new.
func (s *session) response(number uint32) (*response, error) {
	if s.over != nil {
		return nil, s.over
	}
	if r := s.responses[number]; r != nil {
		return r, nil
	}
	if number == 0 || number > 65535 {
		return nil, status.Errorf(codes.InvalidArgument, "response: must be 1 to 65535, not %d", number)
	}
	// A conversation says one thing after another: a new response shows that one
	// before it which nobody is making any more has been given up.
	for n, r := range s.responses {
		if n < number && !r.over && !r.made && !r.playing {
			s.cut(r, "superseded", time.Now())
		}
	}
	if len(s.responses) >= maxResponses {
		oldest := uint32(0)
		for n, r := range s.responses {
			if r.over && (oldest == 0 || n < oldest) {
				oldest = n
			}
		}
		if oldest == 0 {
			return nil, errMany
		}
		delete(s.responses, oldest)
	}
	if s.responses == nil {
		s.responses = map[uint32]*response{}
	}
	r := &response{number: number}
	s.responses[number] = r
	return r, nil
}

// choose gives the response that is heard now or next: the lowest number that
// has a voice. A customer whose turn is not over is not talked over, unless what
// they began to say was an aside, and nothing is begun that the verdict on what
// they said may yet cut. So nothing that answers a guess is heard before its
// commit.
func (s *session) choose() *response {
	if s.current != nil || s.open != nil && !s.open.aside || s.awaiting() {
		return s.current
	}
	var next *response
	for n, r := range s.responses {
		if r.start != nil && !r.over && (next == nil || n < next.number) {
			next = r
		}
	}
	return next
}

// next gives the writer of c the next audio frame, in a, whose memory it uses, or
// says how long to wait for one. When none is due and there is nothing to wait
// for, there are messages to be written first.
func (s *session) next(c sink, now time.Time, a *wire.Audio) (due bool, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c || s.moved {
		return false, forever
	}
	before := s.said
	r := s.choose()
	if s.moving && s.mayMove(now) {
		s.moveOn()
		return false, 0
	}
	nothing := s.wait(now)
	if s.moving {
		nothing = min(nothing, checkPlayback) // it may go on without anything that wakes us
	}
	if s.said != before {
		return false, 0
	}
	if r == nil || r.held {
		return false, nothing
	}
	if !r.begun {
		if !s.begin(r, now) {
			return false, nothing
		}
		return false, 0
	}
	at := r.position(now)
	for r.captions < len(r.parts) && r.parts[r.captions].first <= at && r.parts[r.captions].first < r.sent {
		p := r.parts[r.captions]
		r.captions++
		s.tell(wire.BotTTSText{Text: p.text, Response: int(r.number), Segment: int(p.index)})
		r.bell.ring()
	}
	if r.made && !r.endTold {
		r.endTold = true
		s.tell(wire.AudioEnd{Response: int(r.number), Ms: r.ms(r.total)})
	}
	switch {
	case r.played(now):
		s.finish(r, now)
	case r.stalled(now):
		s.g.log.Warn("response stalled", "store", s.store, "kiosk", s.kiosk, "response", r.number,
			"played_ms", r.ms(at), "sent_ms", r.ms(r.sent), "made_ms", r.ms(r.total), "complete", r.made)
		s.cut(r, "stalled", now)
		s.show(s.after(r))
	}
	if s.said != before {
		return false, 0
	}
	upTo := r.total
	if s.stopAt != nil {
		upTo = s.stopAt.first + s.stopAt.samples
	}
	due, wait = r.frame(now, upTo, c.ahead(), a)
	if due {
		s.g.meters.framesOut.Inc()
		if !s.askedAt.IsZero() {
			s.g.cfg.Metrics.ResponseTime.WithLabelValues(s.store, s.kiosk).Observe(now.Sub(s.askedAt).Seconds())
			s.askedAt = time.Time{}
		}
		return true, 0
	}
	return false, min(wait, checkPlayback)
}

// begin starts a response's playback once there is audio to play.
func (s *session) begin(r *response, now time.Time) bool {
	if r.start.FromMs > 0 && s.played.Response == int(r.number) { // the kiosk has played on what it had
		r.beginAt(max(r.sent, r.samples(time.Duration(s.played.Ms)*time.Millisecond)))
	}
	if r.made && r.total-r.sent <= r.left() { // nothing of it is left to be heard
		r.captions, r.endTold, r.lastSent = len(r.parts), true, true
		s.listenNext(r)
		s.finish(r, now)
		return true
	}
	if ready := r.total - r.sent; ready <= 0 || ready < r.samples(frameTime) && !r.made && !r.flushable() {
		return false
	}
	s.current = r
	s.answeredAll()
	r.begun = true
	r.moved = now
	if l := r.start.Language; l != "" {
		s.language = l
	}
	s.show(speaking)
	s.tell(wire.AudioStart{Response: int(r.number), Rate: int(r.start.SampleRate)})
	s.tell(wire.BotStartedSpeaking{})
	s.captionsFrom(r)
	for _, m := range r.early {
		s.tell(m)
	}
	r.early = nil
	s.listenNext(r)
	return true
}

// listenNext takes over how to listen during and after a response, and what to
// show. Its buttons are shown from its first word on: a customer who knows the
// answer need not wait for the question.
func (s *session) listenNext(r *response) {
	s.cameAt = time.Time{}
	s.listen = r.start.Listening
	if s.listen != nil { // else speech is heard as it was
		s.rule = turnRule(s.listen)
		s.guess = time.Duration(s.listen.PauseMs) * time.Millisecond
	}
	s.turnScreen(r.start.Screen)
}

// finish ends a response that was played to its end.
func (s *session) finish(r *response, now time.Time) {
	s.fade(r, now)
	r.finish(now, false)
	s.stage.ring()
	s.current = nil
	if r.begun {
		s.tell(wire.BotStoppedSpeaking{})
	}
	s.show(s.after(r))
	s.said++ // look again: another response may be next
}

// after is what the kiosk does when a response is over.
func (s *session) after(r *response) string {
	switch {
	case !s.conversing:
		return idle
	case s.open != nil && !s.open.aside:
		return listening
	case r.start.Listening != nil:
		return listening
	}
	return thinking
}

// interrupt cuts what is being said, unless it must not be, and tells the
// conversation.
func (s *session) interrupt(reason string, seq int64, now time.Time) bool {
	r, at := s.hush(reason, now)
	if r == nil {
		return false
	}
	s.show(s.after(r))
	s.signal(item{seq: seq, Signal: workflows.Signal{Kind: workflows.Interrupted, Response: int(r.number), PlayedMs: at}})
	return true
}

// hush cuts what is being said, unless it must not be, and tells what was cut
// and how much of it had been played, in ms.
func (s *session) hush(reason string, now time.Time) (*response, int64) {
	r := s.current
	if r == nil || r.start.BargeIn == "none" {
		return nil, 0
	}
	s.cut(r, reason, now)
	return r, r.playedMs
}

// cut ends a response at once: no frame of it is taken from here after this.
func (s *session) cut(r *response, reason string, now time.Time) {
	s.fade(r, now)
	r.finish(now, true)
	s.stage.ring()
	if s.current == r {
		s.current = nil
	}
	s.g.meters.cuts.WithLabelValues(reason).Inc()
	if u := s.utterance(r.after); u != nil && u.committed && r.playedMs == 0 {
		s.confirm(u) // which hearing it would have done
	}
	if !r.begun {
		return
	}
	if !r.held {
		s.cutAt = now
		s.tell(wire.Clear{Response: int(r.number)})
	}
	s.tell(wire.BotInterrupted{Response: int(r.number), PlayedMs: r.playedMs})
	if !r.held {
		s.tell(wire.BotStoppedSpeaking{})
	}
}

// cleared gives the time of the last cut once, for whoever writes its clear.
func (s *session) cleared() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.cutAt
	s.cutAt = time.Time{}
	return at
}

// announce tells something that goes with a response's audio, not before it
// begins.
func (s *session) announce(r *response, m wire.Out) {
	switch {
	case r.begun:
		s.tell(m)
		s.wake()
	case len(r.early) < maxEarly:
		r.early = append(r.early, m)
	}
}

// tellText tells what the model writes; of a guess not before it is heard, for it
// may be void.
func (s *session) tellText(r *response, m wire.Out) {
	if r.after == 0 {
		s.tell(m)
		return
	}
	if t, ok := m.(wire.BotLLMText); ok && !r.begun && len(r.early) > 0 {
		if last, ok := r.early[len(r.early)-1].(wire.BotLLMText); ok {
			r.early[len(r.early)-1] = wire.BotLLMText{Text: last.Text + t.Text}
			return
		}
	}
	s.announce(r, m)
}

// captionsFrom tells what is said of a response from where it is sent, and counts
// what was heard before as told.
func (s *session) captionsFrom(r *response) {
	for i, p := range r.parts {
		if !p.complete || p.first+p.samples > r.sent {
			s.tell(s.caption(r, p))
		}
		if p.first < r.sent {
			r.captions = max(r.captions, i+1)
		}
	}
}

func (s *session) caption(r *response, p *part) wire.BotOutput {
	return wire.BotOutput{
		Text: p.text, Response: int(r.number), Segment: int(p.index), AtMs: r.ms(p.first), AggregatedBy: "sentence",
	}
}

// sayAgain repeats what goes with a response's audio.
func (s *session) sayAgain(r *response) {
	s.tell(wire.AudioStart{Response: int(r.number), Rate: int(r.start.SampleRate)})
	s.captionsFrom(r)
	at := r.ms(r.sent)
	if i := slices.IndexFunc(r.cues, func(c wire.Cue) bool { return c.At >= at }); i >= 0 {
		s.tell(wire.Cues{Response: int(r.number), Cues: r.cues[i:]})
	}
	r.endTold = false
}
