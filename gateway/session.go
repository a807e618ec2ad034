package gateway

import (
	"cmp"
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/praesenz/parley/gateway/endpointing"
	"github.com/praesenz/parley/gateway/vad"
	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/workflows"
)

// What a kiosk is to show.
const (
	idle      = "idle"
	listening = "listening"
	thinking  = "thinking"
	speaking  = "speaking"
)

const (
	minSpeech     = 120 * time.Millisecond // before a customer counts as speaking
	minBargeIn    = 250 * time.Millisecond // the same while the kiosk speaks
	perWord       = 200 * time.Millisecond // more for each further word that a barge-in needs
	longestNeeded = 700 * time.Millisecond // of all that together
	preRoll       = 300 * time.Millisecond // kept before the first sound, so that no word loses its beginning

	// pauseToLearn is the silence that counts as a pause where pauses are only
	// looked at, and nothing is guessed.
	pauseToLearn = 200 * time.Millisecond

	defaultEndSilence   = 500 * time.Millisecond
	defaultMaxUtterance = 20 * time.Second

	leadFrames    = 60 // of audio kept before an utterance: 1.2 s, longestNeeded + preRoll with its gaps
	maxResponses  = 16 // kept for second attempts
	maxOutbox     = 256
	maxEarly      = 1024            // messages held until a response begins
	untilExcuse   = 6 * time.Second // of a customer who has asked, until the kiosk says that it takes longer
	moveWait      = 5 * time.Second // for an answer to begin before a kiosk is asked to go
	forever       = time.Hour
	checkPlayback = 100 * time.Millisecond
)

// Why a session or a response is no longer there, as media calls are told.
var (
	errPlace    = status.Error(codes.InvalidArgument, "place: conversation and session must be set")
	errNotHere  = status.Error(codes.NotFound, "the kiosk's session is not at this gateway")
	errKioskOff = status.Error(codes.NotFound, "the kiosk has gone")
	errReplaced = status.Error(codes.NotFound, replaced)
	errMoved    = status.Error(codes.Unavailable, "the gateway is draining")
	errOver     = status.Error(codes.NotFound, "the conversation is over")
	errCut      = status.Error(codes.Aborted, "the response was cut")
	errVoid     = status.Error(codes.Aborted, "the customer went on: what this answers is not all that they said")
	// errPerformed ends a Perform that another one has taken over from.
	errPerformed = status.Error(codes.Aborted, "another performer has taken over")
	errMany      = status.Error(codes.ResourceExhausted, "too many responses of this session are open")
)

// A sink is the connection that a session speaks through. Its methods do not
// block.
type sink interface {
	tell(m wire.Out)
	wake()
	close(code int, reason string)
	// ahead is how far audio is sent before it is played.
	ahead() time.Duration
}

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

// A session is a kiosk at this gateway. It outlives a connection for a grace
// time. Everything that happens to it happens under mu, in short steps, so that
// what is heard, said and decided has one order.
type session struct {
	g            *Gateway
	id           string
	stay         string // of the session here; see activities.Place
	store, kiosk string
	born         time.Time

	mu     sync.Mutex
	fresh  bool     // nothing was said in it yet
	before *session // of the same kiosk, while fresh
	conn   sink     // nil while nobody is connected
	said   int      // messages told, so that next can see whether it told one
	over   error
	grace  *time.Timer
	moving bool      // the gateway drains
	moveBy time.Time // whatever is under way then
	moved  bool      // the kiosk was asked to go
	stopAt *part     // the sentence after which it is; nil: none begun

	// The conversation.
	conversing   bool
	conversation string   // its first run id, as media calls know it
	earlier      []string // the last few that are over; calls for them come late
	state        string
	language     string
	listen       *media.Listening // nil: the defaults
	outcome      string           // to be told to a kiosk that was away when it ended

	// The kiosk's numbers.
	received, durable int64

	// What is heard.
	ear        *ear      // nil without a conversation
	heardAt    time.Time // when audio came last
	kioskVAD   bool
	utterances []*utterance // the last keptUtterances
	spoken     uint32       // number of the last one
	open       *utterance   // the one under way, or paused
	endpointer endpointing.Endpointer
	rule       endpointing.Rule // of what ends a turn, as the last question had it
	guess      time.Duration    // the silence that is a pause, likewise; 0: none is
	cameAt     time.Time        // when the conversation began here; zero: something was said in it
	askedAt    time.Time        // when the customer said the last word; zero: answered

	// What is said.
	responses  map[uint32]*response
	current    *response   // being spoken
	played     wire.Played // what the kiosk told of a response that is not spoken here yet
	ending     ownVoice    // of the last response, while it may still be heard
	cutAt      time.Time   // of a clear that is not yet written
	stage      bell        // rings when a response, or who may perform it, has changed
	performers int         // counts the Perform streams; the last one performs

	// What is shown; screen.go.
	card     wire.Screen // the last response's that had one
	answered bool        // the customer has answered since
	shown    wire.Screen // what the kiosk was told

	// What Temporal is to know; bridge.go.
	outbox     []item
	joins      int // told so far
	delivering bool
	away       bool // it cannot be reached
	waits      bool // the customer has waited for too long; see excuse
}

func newSession(g *Gateway, store, kiosk, id string, born time.Time) *session {
	return &session{
		g: g, id: id, stay: rand.Text(), store: store, kiosk: kiosk, born: born, state: idle, fresh: true,
		// A session that was at another gateway counts on from there: no customer
		// makes ten utterances a second.
		spoken: uint32(time.Since(born) / (100 * time.Millisecond)),
		rule:   turnRule(nil),
	}
}

// attach gives the session its connection. known: the kiosk was here before, and
// what it has not heard is said again from the played position.
func (s *session) attach(c sink, ready wire.BotReady, played *wire.Played, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		c.close(wire.CloseRestart, "the session has ended; connect again")
		return
	}
	s.conn = c
	if s.grace != nil {
		s.grace.Stop()
		s.grace = nil
	}
	s.tell(ready)
	if s.durable > 0 {
		s.tell(wire.Ack{Seq: s.durable})
	}
	if s.outcome != "" {
		s.tell(wire.Ended{Outcome: s.outcome})
		s.outcome = ""
	}
	s.tell(wire.State{State: s.state, Language: s.language})
	if s.away || s.waits {
		s.tell(wire.Away{Message: awayMessage(s.language)})
	}
	if s.conversing {
		s.shown = s.screen()
		s.tell(s.shown)
	}
	if r := s.current; r != nil {
		at := r.mark
		if played != nil && uint32(played.Response) == r.number {
			at = r.samples(time.Duration(played.Ms) * time.Millisecond)
		}
		r.rewindTo(at, now)
		if r.held {
			r.pause(now)
		} else {
			s.sayAgain(r)
		}
	}
	c.wake()
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

// detach takes a connection away that has closed. The session waits for the
// kiosk to come back, and ends if it does not.
func (s *session) detach(c sink, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detachLocked(c, now)
}

func (s *session) detachLocked(c sink, now time.Time) {
	if s.conn != c || s.over != nil {
		return
	}
	s.conn = nil
	if s.current != nil {
		s.current.pause(now)
	}
	if s.open != nil {
		s.commit("gone", now) // what was said so far is answered
	}
	if s.moving {
		s.endLocked(errMoved)
		return
	}
	s.grace = time.AfterFunc(s.g.cfg.Grace, func() {
		s.mu.Lock()
		back := s.conn != nil || s.over != nil
		if !back && s.conversing {
			s.signal(item{Signal: workflows.Signal{Kind: workflows.Left, Reason: workflows.KioskGone}})
		}
		if !back {
			s.endLocked(errKioskOff)
		}
		s.mu.Unlock()
		if !back {
			s.g.forget(s)
		}
	})
}

// end lets everything go: readers of its streams get the error.
func (s *session) end(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(why)
}

func (s *session) endLocked(why error) {
	if s.over != nil {
		return
	}
	s.over = why
	s.conn = nil
	if s.grace != nil {
		s.grace.Stop()
	}
	s.open = nil
	for _, u := range s.utterances {
		u.end(true)
		u.bell.ring()
	}
	now := time.Now()
	for _, r := range s.responses {
		if !r.over {
			r.finish(now, true)
		}
	}
	s.stage.ring()
	s.current, s.ear = nil, nil
}

// unused tells whether nothing was said in this session yet, so that another one
// may take its place.
func (s *session) unused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fresh
}

// supersede ends a session in which nothing was said and which stands between
// another one of its kiosk, which it gives, and the newest.
func (s *session) supersede() *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.fresh || s.before == nil {
		return nil
	}
	before := s.before
	s.before = nil
	s.endLocked(errReplaced)
	return before
}

// settled marks the session as used, and gives the one before it, which nobody
// will come back to.
func (s *session) settled() *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.before
	s.fresh, s.before = false, nil
	return old
}

// rejoin tells the conversation, if there is one, that the kiosk is here again, and
// how much it has played. That is said even where nothing has changed: the kiosk
// may have been at another gateway meanwhile.
func (s *session) rejoin(played *wire.Played) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fresh = false
	// What the conversation took along to another gateway, it brings back from there.
	maps.DeleteFunc(s.responses, func(_ uint32, r *response) bool { return r.withdrawn })
	joined := workflows.Signal{Kind: workflows.Joined, Language: s.language}
	if played != nil {
		joined.Response, joined.PlayedMs = played.Response, played.Ms
	}
	s.signal(item{Signal: joined})
}

// ended tells whether nobody can come back to this session.
func (s *session) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over != nil
}

// online tells whether a kiosk is connected.
func (s *session) online() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn != nil
}

// move asks the kiosk to connect elsewhere as soon as nobody is interrupted by
// that, and in any case by a time.
func (s *session) move(by time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.moving {
		s.moving, s.moveBy = true, by
		s.wake()
	}
}

func (r *response) partAt(sample int64) *part {
	for _, p := range slices.Backward(r.parts) {
		if sample >= p.first {
			return p
		}
	}
	return nil
}

func (s *session) tell(m wire.Out) {
	if s.conn != nil {
		s.conn.tell(m)
		s.said++
	}
}

func (s *session) show(state string) {
	if s.state != state {
		s.state = state
		s.tell(wire.State{State: state, Language: s.language})
	}
}

// take does what a kiosk's message says. The problem, if there is one, is for
// the kiosk.
func (s *session) take(m wire.Message, now time.Time) *wire.FieldError {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Seq == wire.Next {
		m.Seq = s.received + 1
	}
	if m.Seq > 0 {
		if m.Seq <= s.received { // sent again: it is on its way to Temporal, or there
			if m.Seq <= s.durable {
				s.tell(wire.Ack{Seq: s.durable})
			}
			return nil
		}
		s.received = m.Seq
	}
	switch b := m.Body.(type) {
	case wire.ClientReady:
		if b.Language != "" {
			s.language = b.Language
		}
		s.join(m.Seq)
	case wire.SendText:
		s.act(m.Seq, workflows.Signal{Kind: workflows.Typed, Text: strings.TrimSpace(b.Content)}, now)
	case wire.UIEvent:
		s.act(m.Seq, workflows.Signal{Kind: workflows.Touched, Text: b.Value}, now)
	case wire.DisconnectBot:
		s.interrupt("input", 0, now)
		for _, r := range s.responses {
			if !r.over { // nobody is there to hear it
				s.cut(r, "input", now)
			}
		}
		s.signal(item{seq: m.Seq, Signal: workflows.Signal{Kind: workflows.Left, Reason: "customer"}})
	case wire.SpeechStart:
		return s.kioskSpeech(m.Seq, now)
	case wire.SpeechEnd:
		if s.open != nil {
			s.commit("kiosk", now)
		}
		s.signal(item{seq: m.Seq})
	case wire.Interrupt:
		if !s.interrupt("interrupt", m.Seq, now) {
			s.signal(item{seq: m.Seq})
		}
	case wire.Played:
		if r := s.current; r != nil && r.number == uint32(b.Response) && !r.marked.IsZero() {
			r.report(b.Ms, b.Done, now)
			s.conn.wake()
		} else {
			s.played = b // of one that is on its way here from another gateway
		}
	case wire.VAD:
		if s.open != nil { // who would end it listens no more
			s.commit("kiosk", now)
		}
		s.endDetection()
		s.kioskVAD = b.Mode == "kiosk"
	case wire.Resume:
		return &wire.FieldError{Field: "data.t", Problem: "resume is the first message of a connection"}
	}
	return nil
}

// act is typing or touching: it hushes the kiosk and asks for an answer. What was
// typed is signalled before the cut, as speech is: when the conversation learns
// that it was interrupted, it knows by what.
func (s *session) act(seq int64, sig workflows.Signal, now time.Time) {
	s.converse()
	s.signal(item{seq: seq, start: true, Signal: sig})
	s.interrupt("input", 0, now)
	s.answeredAll()
	if s.open != nil {
		s.open.before = thinking
	}
	s.askedAt = now
	s.takeAnswer()
	s.show(thinking)
	s.wake() // to say so when there is no answer; see excuse
}

// converse makes sure that a conversation is under way and knows that the kiosk
// is in this session.
func (s *session) converse() {
	if !s.conversing {
		s.join(0)
	}
}

// join begins a conversation, or goes on with the one that is under way.
func (s *session) join(seq int64) {
	s.goOn()
	s.signal(item{seq: seq, start: true, Signal: workflows.Signal{Kind: workflows.Joined, Language: s.language}})
}

func (s *session) goOn() {
	if !s.conversing {
		s.conversing = true
		s.cameAt = time.Now()
		s.outcome = ""
		s.show(thinking)
		s.wake() // to say so when nobody greets; see excuse
	}
}

// conversationEnded follows the end of the workflow.
func (s *session) conversationEnded(outcome string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A customer may have said something in the meantime, which begins the next.
	if !s.conversing || slices.ContainsFunc(s.outbox, func(i item) bool { return i.start }) {
		return
	}
	s.reset("ended", now)
	s.played = wire.Played{}
	s.leaveConversation()
	s.deafen()
	s.clearScreen()
	if s.conn == nil {
		s.outcome = outcome
	}
	s.tell(wire.Ended{Outcome: outcome})
	s.language = ""
	s.show(idle)
}

// deafen forgets what was heard: no conversation is under way.
func (s *session) deafen() {
	s.conversing, s.ear, s.open, s.askedAt = false, nil, nil, time.Time{}
	s.rule, s.guess = turnRule(nil), 0
	s.ending = ownVoice{}
	for _, u := range s.utterances {
		u.end(true)
		u.awaited = false
	}
	s.utterances = nil
}

func (s *session) leaveConversation() {
	if s.conversation == "" {
		return
	}
	s.earlier = append(s.earlier, s.conversation)
	s.earlier = s.earlier[max(0, len(s.earlier)-4):]
	s.conversation = ""
	s.stage.ring()
}

// reset cuts what is being said and forgets all responses: their numbers start
// again with another conversation.
func (s *session) reset(reason string, now time.Time) {
	for _, r := range s.responses {
		if !r.over {
			r.after = 0 // the conversation that guessed is gone
			s.cut(r, reason, now)
		}
	}
	s.responses, s.current = nil, nil
	s.endpointer = endpointing.Endpointer{} // another customer may speak in another way
}

// enter lets a media call of a conversation in; the first call of another one
// takes its place.
func (s *session) enter(conversation string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over != nil:
		return s.over
	case conversation == s.conversation:
		return nil
	case slices.Contains(s.earlier, conversation):
		return errOver
	}
	s.reset("abandoned", time.Now())
	s.clearScreen()
	s.leaveConversation()
	s.conversation = conversation
	return nil
}

// hear takes a kiosk's audio.
func (s *session) hear(pcm []byte, now time.Time) *wire.FieldError {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.conversing {
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

// wait tells a customer who has asked and hears nothing that they are not
// forgotten, whoever it is that does not get on: a pool without a free slot, a
// model, a worker that is gone. It gives the time until that is due.
func (s *session) wait(now time.Time) time.Duration {
	from := s.askedAt
	if from.IsZero() {
		from = s.cameAt
	}
	asked := !from.IsZero() && s.conversing && s.current == nil && s.open == nil
	left := untilExcuse - now.Sub(from)
	s.excuse(s.away, asked && left <= 0)
	if !asked || left <= 0 {
		return forever
	}
	return left
}

// excuse tells the customer that there will be no answer for now, or that there
// will be one again.
func (s *session) excuse(away, waits bool) {
	was := s.away || s.waits
	s.away, s.waits = away, waits
	switch is := away || waits; {
	case is && !was:
		s.tell(wire.Away{Message: awayMessage(s.language)})
	case was && !is:
		s.tell(wire.Back{})
	}
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

// mayMove tells whether the kiosk can go without anybody being cut short: the
// customer is not speaking, what they asked is being answered (or takes long), and
// the sentence that is being said has been heard.
func (s *session) mayMove(now time.Time) bool {
	r := s.current
	switch {
	case now.After(s.moveBy):
		return true
	case s.open != nil || s.awaiting():
		return false
	case r == nil:
		return s.askedAt.IsZero() || now.Sub(s.askedAt) > moveWait
	}
	if !slices.Contains(r.parts, s.stopAt) {
		s.stopAt = r.partAt(r.position(now))
	}
	p := s.stopAt
	return p == nil || r.stalled(now) || p.complete && r.position(now) >= p.first+p.samples
}

// moveOn asks the kiosk to connect elsewhere.
func (s *session) moveOn() {
	s.moved = true
	s.tell(wire.Move{})
	s.conn.close(wire.CloseRestart, "the gateway is draining")
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

func (s *session) caption(r *response, p *part) wire.BotOutput {
	return wire.BotOutput{
		Text: p.text, Response: int(r.number), Segment: int(p.index), AtMs: r.ms(p.first), AggregatedBy: "sentence",
	}
}

func (s *session) wake() {
	if s.conn != nil {
		s.conn.wake()
	}
}
