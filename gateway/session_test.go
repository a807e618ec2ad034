package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/metrics"
	"github.com/praesenz/parley/workflows"
)

// A stubSink is a connection without a socket: it notes what is told and sent,
// and when.
type stubSink struct {
	s    *session
	bell chan struct{}
	done chan struct{}

	mu     sync.Mutex
	told   []string
	frames []heardFrame
	code   int
}

func (k *stubSink) tell(m wire.Out) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.told = append(k.told, fmt.Sprintf("%T%+v", m, m))
}

func (k *stubSink) wake() {
	select {
	case k.bell <- struct{}{}:
	default:
	}
}

func (k *stubSink) close(code int, _ string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.code = code
}

// write does what a connection's writer does.
func (k *stubSink) write() {
	for {
		var a wire.Audio
		due, wait := k.s.next(k, time.Now(), &a)
		if due {
			k.mu.Lock()
			k.frames = append(k.frames, heardFrame{a, time.Now()})
			k.mu.Unlock()
			continue
		}
		select {
		case <-k.bell:
		case <-time.After(wait):
		case <-k.done:
			return
		}
	}
}

func (k *stubSink) ahead() time.Duration { return ahead }

func (k *stubSink) closedWith() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.code
}

func (k *stubSink) heard() []heardFrame {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.frames)
}

// ms is how much audio of a response was sent.
func (k *stubSink) ms(response uint16) int {
	n := 0
	for _, f := range k.heard() {
		if f.Response == response {
			n += len(f.PCM) / 32
		}
	}
	return n
}

func (k *stubSink) was(told string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.ContainsFunc(k.told, func(s string) bool { return strings.Contains(s, told) })
}

// A room is a session in a synctest bubble, with Temporal's stub behind it.
type room struct {
	t        *testing.T
	g        *Gateway
	temporal *stubTemporal
	s        *session
	k        *stubSink
	seq      int64
}

// inRoom runs a test on virtual time.
func inRoom(t *testing.T, f func(t *testing.T, r *room)) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		m, err := metrics.New(reg)
		if err != nil {
			t.Fatal(err)
		}
		r := &room{t: t, temporal: newStubTemporal()}
		r.g, err = New(Config{
			Keys: [][]byte{[]byte(testKey)}, MediaToken: testToken, Temporal: r.temporal, Metrics: m, Registry: reg,
			Logger: slog.New(slog.DiscardHandler),
			Plan:   func(context.Context, string, string) (flow.Plan, map[string]any, error) { return flow.Plan{}, nil, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		r.s = newSession(r.g, "s1", "k1", "session", time.Now())
		r.g.sessions["session"], r.g.kiosks[kioskKey("s1", "k1")] = r.s, r.s
		r.k = r.connect(nil)
		f(t, r)
		close(r.k.done)
		r.s.end(errMoved)
		r.g.cancel()
		r.g.tasks.end()
	})
}

func (r *room) connect(played *wire.Played) *stubSink {
	k := &stubSink{s: r.s, bell: make(chan struct{}, 1), done: make(chan struct{})}
	r.s.attach(k, wire.BotReady{}, played, time.Now())
	go k.write()
	return k
}

// take does a message of the kiosk.
func (r *room) take(b wire.Body) *wire.FieldError {
	r.t.Helper()
	r.seq++
	switch b.(type) {
	case wire.Played, wire.VAD, wire.Resume:
		return r.s.take(wire.Message{Body: b}, time.Now())
	}
	return r.s.take(wire.Message{Seq: r.seq, Body: b}, time.Now())
}

// signals gives the kinds of what Temporal has been told since.
func (r *room) signals() (kinds []workflows.Kind, last workflows.Signal) {
	synctest.Wait()
	for {
		select {
		case last = <-r.temporal.signals:
			kinds = append(kinds, last.Kind)
		default:
			return kinds, last
		}
	}
}

// speak makes a response's audio: segments of a second each.
func (r *room) speak(number uint32, bargeIn string, segments ...string) *player {
	r.t.Helper()
	p, from, err := r.s.play(start(nil, number, bargeIn).GetStart())
	if err != nil {
		r.t.Fatal(err)
	}
	for i := int(from); i < len(segments); i++ {
		r.add(p, segmentAudio(uint32(i), segments[i]), pcmAudio(tone(time.Second)), segmentEnd)
	}
	if len(segments) > 0 {
		r.add(p, audioEnd)
	}
	return p
}

func (r *room) add(p *player, parts ...*media.Audio) {
	r.t.Helper()
	for _, a := range parts {
		if fits, err := p.add(a, time.Now()); err != nil || !fits {
			r.t.Fatalf("audio fits: %t, %v", fits, err)
		}
	}
}

// over waits for the end of a response.
func (r *room) over(p *player) *media.Playback_Ended {
	r.t.Helper()
	for range 1000 {
		st, err := p.state(time.Now())
		if err != nil {
			r.t.Fatal(err)
		}
		if st.ended != nil {
			return st.ended
		}
		time.Sleep(10 * time.Millisecond) // virtual
	}
	r.t.Fatal("the response does not end")
	return nil
}

func TestAudioIsSentAtMostASecondAhead(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		began := time.Now()
		p := r.speak(1, "speech", "one", "two", "three")
		synctest.Wait()
		if got := r.k.ms(1); got != 1000 {
			t.Errorf("%d ms were sent at once, want 1000", got)
		}
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		if got := r.k.ms(1); got < 1400 || got > 1500 {
			t.Errorf("%d ms were sent after 500 ms, want 1500", got)
		}
		e := r.over(p)
		if took := time.Since(began); took < 3*time.Second || took > 3200*time.Millisecond {
			t.Errorf("3 s took %s at a kiosk that tells nothing", took)
		}
		if e.Heard != "one two three" || e.Interrupted {
			t.Errorf("ended: %v", e)
		}
	})
}

func TestTheKiosksClockCounts(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		p := r.speak(1, "speech", "one", "two", "three")
		for ms := int64(0); ms <= 3000; ms += 50 { // plays at half speed
			r.take(wire.Played{Response: 1, Ms: ms, Done: ms == 3000})
			synctest.Wait()
			if sent := int64(r.k.ms(1)); sent > ms+1000+100 {
				t.Fatalf("%d ms were sent when %d had been played", sent, ms)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if e := r.over(p); e.PlayedMs != 3000 || e.Interrupted {
			t.Errorf("ended: %v", e)
		}
	})
}

func TestAKioskThatStopsTellingCountsAsDone(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		began := time.Now()
		p := r.speak(1, "speech", "one")
		time.Sleep(100 * time.Millisecond)
		r.take(wire.Played{Response: 1, Ms: 100})
		r.over(p)
		if took := time.Since(began); took < 3*time.Second || took > 3300*time.Millisecond {
			t.Errorf("ended after %s, want 2 s after the expected end", took)
		}
	})
}

func TestAKioskThatDoesNotPlayIsGivenUp(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		p := r.speak(1, "none", "one")
		for range 150 {
			r.take(wire.Played{Response: 1, Ms: 0})
			time.Sleep(100 * time.Millisecond)
		}
		if e := r.over(p); !e.Interrupted || e.Heard != "" {
			t.Errorf("ended: %v", e)
		}
	})
}

func TestResponsesPlayInTheirOrder(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.VAD{Mode: "kiosk"})
		r.take(wire.SpeechStart{}) // nobody is talked over
		second := r.speak(2, "speech", "b")
		first := r.speak(1, "speech", "a")
		synctest.Wait()
		if len(r.k.heard()) > 0 {
			t.Error("the customer is talked over")
		}
		r.take(wire.SpeechEnd{})
		r.over(first)
		r.over(second)
		order := slices.CompactFunc(r.k.heard(), func(a, b heardFrame) bool { return a.Response == b.Response })
		if len(order) != 2 || order[0].Response != 1 {
			t.Errorf("the responses were mixed: %d changes", len(order))
		}
	})
}

// Whoever waits for a response that was given up would wait for ever.
func TestANewResponseEndsOneThatNobodyMakesAnyMore(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		s := r.s
		s.mu.Lock()
		given, err := s.response(1)
		s.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		p := r.speak(2, "speech", "a")
		r.over(p)
		s.mu.Lock()
		defer s.mu.Unlock()
		if !given.over {
			t.Error("the response that nobody makes any more is still open")
		}
	})
}

func TestSpeechCutsWhatIsSaid(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		r.take(wire.VAD{Mode: "kiosk"})
		p := r.speak(1, "speech", "You find hammers", "in aisle four", "over there")
		time.Sleep(1500 * time.Millisecond)
		r.signals()
		r.take(wire.SpeechStart{})
		sent := len(r.k.heard())
		kinds, last := r.signals()
		if !slices.Equal(kinds, []workflows.Kind{workflows.SpeechStarted}) || last.Response != 1 {
			t.Errorf("signals: %v, %+v", kinds, last)
		}
		for _, want := range []string{"UserStartedSpeaking", "Clear{Response:1}", "BotStoppedSpeaking", "State{State:listening"} {
			if !r.k.was(want) {
				t.Errorf("the kiosk was not told %s: %q", want, r.k.told)
			}
		}
		time.Sleep(700 * time.Millisecond)
		r.take(wire.SpeechEnd{})
		time.Sleep(200 * time.Millisecond)
		if v := r.understood("and what of nails?"); v.Ignored != "" || v.Joins != 0 {
			t.Errorf("the verdict is %v", v)
		}
		kinds, last = r.signals()
		if !slices.Equal(kinds, []workflows.Kind{workflows.Interrupted}) || last.Response != 1 || last.PlayedMs < 1450 || last.PlayedMs > 1500 {
			t.Errorf("signals: %v, %+v", kinds, last)
		}
		e := r.over(p)
		if !e.Interrupted || e.Heard != "You find hammers in aisle" && e.Heard != "You find hammers in" {
			t.Errorf("ended: %v", e)
		}
		time.Sleep(5 * time.Second)
		if n := len(r.k.heard()); n != sent {
			t.Errorf("%d frames were sent after the cut", n-sent)
		}
		if !r.k.was("BotInterrupted{Response:1") || !r.k.was("State{State:thinking") {
			t.Errorf("the kiosk was told %q", r.k.told)
		}
	})
}

func TestWhatMustBeHeardIsNotCut(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		r.take(wire.VAD{Mode: "kiosk"})
		p := r.speak(1, "none", "one", "two")
		time.Sleep(500 * time.Millisecond)
		r.signals()
		r.take(wire.SpeechStart{})
		r.take(wire.Interrupt{})
		if kinds, _ := r.signals(); len(kinds) > 0 {
			t.Errorf("signals: %v", kinds)
		}
		if e := r.over(p); e.Interrupted {
			t.Errorf("ended: %v", e)
		}
		if !r.k.was(fmt.Sprintf("Ack{Seq:%d}", r.seq)) {
			t.Error("what had no effect is not acknowledged")
		}
	})
}

func TestTypingCutsAndAsks(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		r.speak(1, "speech", "one", "two")
		time.Sleep(500 * time.Millisecond)
		r.signals()
		r.take(wire.SendText{Content: " hello "})
		if !r.k.was("State{State:thinking") {
			t.Errorf("the kiosk was told %q", r.k.told)
		}
		// By what first, then that: a conversation that knows it was interrupted does
		// not ask a question over the answer.
		kinds, last := r.signals()
		if !slices.Equal(kinds, []workflows.Kind{workflows.Typed, workflows.Interrupted}) || last.Response != 1 {
			t.Errorf("signals: %v, %+v", kinds, last)
		}
	})
}

func TestAResumedKioskHearsTheRest(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		p := r.speak(1, "speech", "one", "two", "three")
		time.Sleep(1500 * time.Millisecond)
		old := r.k
		r.s.detach(old, time.Now())
		close(old.done)
		time.Sleep(10 * time.Second) // the clock stands meanwhile
		r.k = r.connect(&wire.Played{Response: 1, Ms: 1200})
		synctest.Wait()
		first := r.k.heard()[0]
		if first.Offset != 1200*16 {
			t.Errorf("goes on at sample %d, want %d", first.Offset, 1200*16)
		}
		if !r.k.was("AudioStart{Response:1 Rate:16000}") || !r.k.was("BotOutput{Text:three") || !r.k.was("State{State:speaking") {
			t.Errorf("the kiosk was told %q", r.k.told)
		}
		if e := r.over(p); e.Interrupted || e.PlayedMs != 3000 {
			t.Errorf("ended: %v", e)
		}
	})
}

func TestAKioskThatStaysAwayHasLeft(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		p := r.speak(1, "speech", "one", "two", "three")
		time.Sleep(time.Second)
		r.signals()
		r.s.detach(r.k, time.Now())
		time.Sleep(31 * time.Second)
		kinds, last := r.signals()
		if !slices.Equal(kinds, []workflows.Kind{workflows.Left}) || last.Reason != workflows.KioskGone {
			t.Errorf("signals: %v, %+v", kinds, last)
		}
		if _, err := p.state(time.Now()); !errors.Is(err, errKioskOff) {
			t.Errorf("the voice is told %v", err)
		}
		if _, err := r.g.find(&media.Place{Store: "s1", Kiosk: "k1", Session: "session", Conversation: "c"}); !errors.Is(err, errNotHere) {
			t.Errorf("the session is still there: %v", err)
		}
	})
}

func TestTemporalAway(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.temporal.setAway(io.ErrUnexpectedEOF)
		r.take(wire.ClientReady{Version: "1", Language: "de-AT"})
		r.take(wire.SendText{Content: "hello"})
		time.Sleep(2900 * time.Millisecond)
		if r.k.was("Away") {
			t.Error("said away before 3 s")
		}
		time.Sleep(200 * time.Millisecond)
		if !r.k.was("Away{Message:Einen Moment bitte") || r.k.was("Ack") {
			t.Errorf("the kiosk was told %q", r.k.told)
		}
		time.Sleep(20 * time.Second)
		r.temporal.setAway(nil)
		time.Sleep(2100 * time.Millisecond)
		if kinds, _ := r.signals(); !slices.Equal(kinds, []workflows.Kind{workflows.Joined, workflows.Typed}) {
			t.Errorf("signals: %v", kinds)
		}
		if r.k.was("Back{}") || !r.k.was("Ack{Seq:2}") {
			t.Errorf("before there is an answer, the kiosk was told %q", r.k.told)
		}
		r.speak(1, "speech", "one")
		synctest.Wait()
		if !r.k.was("Back{}") {
			t.Errorf("with the answer, the kiosk was told %q", r.k.told)
		}
	})
}

func TestWhatIsSentAgainIsSignalledOnce(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		m := wire.Message{Seq: 7, Body: wire.SendText{Content: "hello"}}
		for range 3 {
			r.s.take(m, time.Now())
			synctest.Wait()
		}
		if kinds, _ := r.signals(); !slices.Equal(kinds, []workflows.Kind{workflows.Joined, workflows.Typed}) {
			t.Errorf("signals: %v", kinds)
		}
	})
}

func TestTooMuchForTemporalClosesTheConnection(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.temporal.setAway(io.ErrUnexpectedEOF)
		for range maxOutbox + 10 {
			r.take(wire.SendText{Content: "hello"})
		}
		if r.k.closedWith() != wire.CloseTooMany {
			t.Errorf("closed with %d, want %d", r.k.closedWith(), wire.CloseTooMany)
		}
		if n := r.s.undelivered(); n != maxOutbox {
			t.Errorf("%d signals wait, want %d", n, maxOutbox)
		}
	})
}

func TestMoreAudioThanFitsWaits(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		p := r.speak(1, "speech")
		r.add(p, segmentAudio(0, "long"))
		for range 30 {
			r.add(p, pcmAudio(tone(time.Second)))
		}
		if fits, err := p.add(pcmAudio(tone(time.Second)), time.Now()); fits || err != nil {
			t.Errorf("31 s fit: %t, %v", fits, err)
		}
		time.Sleep(1100 * time.Millisecond)
		r.add(p, pcmAudio(tone(time.Second)))
	})
}

func TestAResponseHasAnEnd(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		p := r.speak(1, "speech")
		for i := range maxSegments {
			r.add(p, segmentAudio(uint32(i), "a"), segmentEnd)
		}
		if _, err := p.add(segmentAudio(maxSegments, "a"), time.Now()); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("one segment too many: %v", err)
		}
		many := segmentAudio(0, "a")
		many.GetSegment().Phonemes = make([]*media.Phoneme, maxPhonemes+1)
		if _, err := p.add(many, time.Now()); status.Code(err) != codes.InvalidArgument {
			t.Errorf("too many phonemes: %v", err)
		}
	})
}

func TestASecondVoiceTakesOver(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		first := r.speak(1, "speech")
		r.add(first, segmentAudio(0, "one"), pcmAudio(tone(time.Second)), segmentEnd, segmentAudio(1, "two"))
		first.stop() // its worker died
		time.Sleep(3 * time.Second)
		second := r.speak(1, "speech", "one", "two", "three")
		if _, err := first.state(time.Now()); !errors.Is(err, errCut) {
			t.Errorf("the first voice is told %v", err)
		}
		if e := r.over(second); e.TotalMs != 3000 || e.Heard != "one two three" || r.k.ms(1) != 3000 {
			t.Errorf("ended: %v after %d ms of audio", e, r.k.ms(1))
		}
	})
}

func TestAVoiceThatNeverComesBackDoesNotHoldUpTheNext(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		first := r.speak(1, "speech")
		r.add(first, segmentAudio(0, "one"), pcmAudio(tone(time.Second)))
		time.Sleep(time.Second)
		first.stop()
		next := r.speak(2, "speech", "next")
		if e := r.over(next); e.Interrupted {
			t.Errorf("ended: %v", e)
		}
	})
}

func TestAnotherConversationBeginsAnew(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		if err := r.s.enter("a"); err != nil {
			t.Fatal(err)
		}
		p := r.speak(1, "speech", "one")
		synctest.Wait()
		if err := r.s.enter("b"); err != nil {
			t.Fatal(err)
		}
		if e := r.over(p); !e.Interrupted {
			t.Errorf("what the last conversation said goes on: %v", e)
		}
		if e := r.over(r.speak(1, "speech", "fresh")); e.Heard != "fresh" {
			t.Errorf("ended: %v", e)
		}
		if err := r.s.enter("a"); !errors.Is(err, errOver) {
			t.Errorf("a late call of the first is told %v", err)
		}
	})
}

func TestMovingWaitsForTheSentence(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		r.speak(1, "speech", "one", "two", "three")
		time.Sleep(1300 * time.Millisecond)
		r.s.move(time.Now().Add(moveLimit))
		time.Sleep(500 * time.Millisecond)
		if r.k.closedWith() != 0 {
			t.Error("the kiosk is sent away in the middle of a sentence")
		}
		time.Sleep(300 * time.Millisecond)
		if r.k.closedWith() != wire.CloseRestart || !r.k.was("Move{}") {
			t.Errorf("closed with %d, told %q", r.k.closedWith(), r.k.told)
		}
		if got := r.k.ms(1); got > 2320 {
			t.Errorf("%d ms were sent; the third sentence is the next gateway's", got)
		}
	})
}
