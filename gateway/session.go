package gateway

import (
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/praesenz/parley/gateway/endpointing"
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
	maxOutbox   = 256
	untilExcuse = 6 * time.Second // of a customer who has asked, until the kiosk says that it takes longer
	moveWait    = 5 * time.Second // for an answer to begin before a kiosk is asked to go
	forever     = time.Hour
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
	deafAt     time.Time // when the last conversation was over
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
	s := &session{
		g: g, id: id, stay: rand.Text(), store: store, kiosk: kiosk, state: idle, fresh: true,
		born: born.Truncate(time.Second), // as its token has it
		rule: turnRule(nil),
	}
	s.countOn()
	return s
}

// countOn makes the next utterance's number higher than all that another gateway
// may have given in this session, because the conversation takes a lower one for
// one that it knows. No customer makes ten utterances a second.
func (s *session) countOn() {
	s.spoken = max(s.spoken, uint32(time.Since(s.born)/(100*time.Millisecond)))
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
	s.countOn()
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
	s.deafAt = time.Now()
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

func (s *session) wake() {
	if s.conn != nil {
		s.conn.wake()
	}
}
