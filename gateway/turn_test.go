package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/praesenz/parley/gateway/vad"
	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/workflows"
)

// understood gives the session the transcript of the last utterance.
func (r *room) understood(text string) *media.Verdict {
	return r.s.understand(&media.Transcript{Utterance: r.s.spoken, Text: text}, time.Now())
}

// voiced is what the detector takes for a voice.
func voiced(frame int) []byte {
	b := make([]byte, 0, vad.FrameBytes)
	for i := range vad.FrameSamples {
		x := float64(frame*vad.FrameSamples+i) / wire.RateIn * 2 * math.Pi * 150
		v := int16(3000 * (math.Sin(x) + math.Sin(2*x)/2 + math.Sin(3*x)/3))
		b = append(b, byte(v), byte(v>>8))
	}
	return b
}

// mic lets the kiosk's microphone hear a voice, or nothing, for a time.
func (r *room) mic(voice bool, d time.Duration) {
	r.t.Helper()
	for i := range int(d / vad.Frame) {
		frame := make([]byte, vad.FrameBytes)
		if voice {
			frame = voiced(i)
		}
		time.Sleep(vad.Frame)
		if err := r.s.hear(frame, time.Now()); err != nil {
			r.t.Fatal(err)
		}
	}
	synctest.Wait()
}

// inTalk is a room whose kiosk listens as a question wants it to.
func inTalk(t *testing.T, l *media.Listening, f func(t *testing.T, r *room)) {
	t.Helper()
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		r.over(r.ask(1, l))
		r.mic(false, time.Second)
		r.signals()
		f(t, r)
	})
}

// ask plays a question.
func (r *room) ask(number uint32, l *media.Listening) *player {
	r.t.Helper()
	begin := start(nil, number, "speech").GetStart()
	begin.Listening = l
	return r.play(begin, "what")
}

// guess plays an answer to an utterance.
func (r *room) guess(number, after uint32, segments ...string) *player {
	r.t.Helper()
	begin := start(nil, number, "speech").GetStart()
	begin.After = after
	return r.play(begin, segments...)
}

func (r *room) play(begin *media.Audio_Start, segments ...string) *player {
	r.t.Helper()
	p, _, err := r.s.play(begin)
	if err != nil {
		r.t.Fatal(err)
	}
	for i, text := range segments {
		r.add(p, segmentAudio(uint32(i), text), pcmAudio(tone(time.Second)), segmentEnd)
	}
	r.add(p, audioEnd)
	synctest.Wait()
	return p
}

// transcript reads an utterance as Transcribe does.
func (r *room) transcript(number, since uint32) (audio []byte, open bool) {
	r.t.Helper()
	for _, pcm := range r.s.hearBefore(number, since) {
		audio = append(audio, pcm...)
	}
	h, err := r.s.hearUtterance(number, 0)
	if err != nil || !h.ended {
		r.t.Fatalf("utterance %d has ended: %t, %v", number, h.ended, err)
	}
	return append(audio, h.pcm...), h.open
}

// pausedAfter lets the customer pause behind words that are being answered, and
// gives the utterance.
func (r *room) pausedAfter(text string) uint32 {
	r.t.Helper()
	r.mic(true, time.Second)
	r.mic(false, 240*time.Millisecond)
	r.transcript(r.s.spoken, 0)
	r.understood(text)
	return r.s.spoken
}

// asked lets the customer ask, and gives the utterance.
func (r *room) asked(text string) uint32 {
	r.t.Helper()
	r.mic(true, time.Second)
	r.mic(false, 600*time.Millisecond)
	r.understood(text)
	return r.s.spoken
}

func (r *room) expectSignals(want ...workflows.Kind) workflows.Signal {
	r.t.Helper()
	kinds, last := r.signals()
	if !slices.Equal(kinds, want) {
		r.t.Errorf("signals: %v, want %v", kinds, want)
	}
	return last
}

var guessing = &media.Listening{EndSilenceMs: 500, PauseMs: 200, MaxUtteranceMs: 10_000}

func TestAnAnswerIsMadeAtThePauseAndHeardAtTheCommit(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		r.mic(true, time.Second)
		lastWord := time.Now()
		r.mic(false, 240*time.Millisecond)
		n := r.s.spoken
		r.expectSignals(workflows.SpeechStarted)
		if _, open := r.transcript(n, 0); !open {
			t.Error("the utterance is not open at the pause")
		}
		if v := r.understood("where are the hammers"); v.Ignored != "" || v.Joins != 0 {
			t.Errorf("the verdict is %v", v)
		}
		if !r.k.was("Final:false") || r.k.was("UserStoppedSpeaking") || r.k.was("State{State:thinking Language:}") && r.s.state == thinking {
			t.Errorf("the kiosk was told %q", r.k.told)
		}
		p := r.guess(2, n, "In aisle four.")
		r.mic(false, 200*time.Millisecond)
		if got := r.k.ms(2); got != 0 {
			t.Fatalf("%d ms are heard before the commit", got)
		}
		r.mic(false, 120*time.Millisecond)
		if got := r.k.ms(2); got == 0 {
			t.Fatal("nothing is heard after the commit")
		}
		first := slices.IndexFunc(r.k.heard(), func(f heardFrame) bool { return f.Response == 2 })
		if after := r.k.heard()[first].at.Sub(lastWord); after < 480*time.Millisecond || after > 560*time.Millisecond {
			t.Errorf("heard %s after the last word, want the end silence of 500 ms", after)
		}
		if !r.k.was("Final:true") || !r.k.was("UserStoppedSpeaking") {
			t.Errorf("the kiosk was told %q", r.k.told)
		}
		if e := r.over(p); e.Interrupted {
			t.Errorf("ended: %v", e)
		}
		r.expectSignals() // that it was heard says that the guess was right
	})
}

func TestACommitIsToldWhereNothingElseTellsIt(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		r.mic(true, time.Second)
		r.mic(false, 240*time.Millisecond)
		r.transcript(r.s.spoken, 0)
		r.understood("hold one for me")
		r.expectSignals(workflows.SpeechStarted)
		r.mic(false, 400*time.Millisecond)
		if last := r.expectSignals(workflows.Committed); last.Utterance != int(r.s.spoken) {
			t.Errorf("committed: %+v", last)
		}
	})
}

func TestAnAnswerThatGoesUnheardTellsTheCommit(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		n := r.pausedAfter("hold one for me")
		begin := start(nil, 2, "speech").GetStart()
		begin.After = n
		p, _, err := r.s.play(begin)
		if err != nil {
			t.Fatal(err)
		}
		r.mic(false, 400*time.Millisecond)
		r.expectSignals(workflows.SpeechStarted)
		p.stop()
		r.speak(3, "speech", "sorry") // the conversation has gone on
		r.expectSignals(workflows.Committed)
	})
}

func TestALateReaderOfACommittedUtteranceGuessesNothing(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		r.mic(true, time.Second)
		r.mic(false, 600*time.Millisecond)
		if _, open := r.transcript(r.s.spoken, 0); open {
			t.Error("the utterance is open after its commit")
		}
		r.expectSignals(workflows.SpeechStarted)
	})
}

func TestWhoGoesOnIsHeardWhole(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		n := r.pausedAfter("where are")
		p := r.guess(2, n, "What?")
		r.mic(false, 100*time.Millisecond)
		r.expectSignals(workflows.SpeechStarted)
		r.mic(true, 600*time.Millisecond)
		last := r.expectSignals(workflows.SpeechStarted)
		if last.Utterance != int(n)+1 || last.Continues != int(n) {
			t.Fatalf("the customer went on: %+v", last)
		}
		if _, err := p.state(time.Now()); !errors.Is(err, errVoid) {
			t.Errorf("the answer to half a sentence is told %v", err)
		}
		late := start(nil, 3, "speech").GetStart()
		late.After = n
		if _, _, err := r.s.play(late); !errors.Is(err, errVoid) {
			t.Errorf("a late answer to half a sentence is told %v", err)
		}
		if _, _, err := r.s.startText(&media.Text{Response: 4, After: n}); !errors.Is(err, errVoid) {
			t.Errorf("a late text for half a sentence is told %v", err)
		}
		r.mic(false, 600*time.Millisecond)
		whole, open := r.transcript(n+1, n)
		if ms := len(whole) / 32; open || ms < 2000 || ms > 2700 {
			t.Errorf("both together are %d ms long, open %t", ms, open)
		}
		if v := r.understood("where are the hammers"); v.Joins != 0 {
			t.Errorf("the verdict is %v", v)
		}
		if got := r.k.ms(2); got != 0 {
			t.Errorf("%d ms of the void answer were heard", got)
		}
		e := r.over(r.guess(5, n+1, "In aisle four."))
		if e.Interrupted || r.k.ms(5) != 1000 {
			t.Errorf("ended: %v", e)
		}
		starts := 0
		for _, told := range r.k.told {
			if told == "wire.UserStartedSpeaking{}" {
				starts++
			}
		}
		if starts != 1 {
			t.Errorf("one turn began %d times for the kiosk", starts)
		}
	})
}

func TestTheAudioOfATurnHasNoSeam(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		r.mic(true, 400*time.Millisecond)
		r.mic(false, 300*time.Millisecond)
		n := r.s.spoken
		r.mic(true, 400*time.Millisecond)
		r.mic(false, 240*time.Millisecond)
		got, _ := r.transcript(n+1, n)
		var said []byte
		for i := range 20 {
			said = append(said, voiced(i)...)
		}
		first, second := bytes.Index(got, said), bytes.LastIndex(got, said)
		if first != 300*32 || second != (300+400+300)*32 {
			t.Errorf("what was said begins at %d and %d ms, want 300 before, 400 of speech and 300 of pause", first/32, second/32)
		}
	})
}

func TestAClickInAPauseTakesNothingBack(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		n := r.pausedAfter("where are the hammers")
		p := r.guess(2, n, "In aisle four.")
		r.mic(true, 40*time.Millisecond)
		r.mic(false, 400*time.Millisecond)
		if r.s.spoken != n || r.k.ms(2) == 0 {
			t.Errorf("a click is utterance %d, and %d ms are heard", r.s.spoken, r.k.ms(2))
		}
		r.over(p)
	})
}

func TestATurnThatGoesOnForTooLongIsCommitted(t *testing.T) {
	l := &media.Listening{EndSilenceMs: 500, PauseMs: 200, MaxUtteranceMs: 2000}
	inTalk(t, l, func(t *testing.T, r *room) {
		for range 4 {
			r.mic(true, 400*time.Millisecond)
			r.mic(false, 240*time.Millisecond)
		}
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		i := slices.IndexFunc(r.s.utterances, func(u *utterance) bool { return u.committed })
		if i < 0 || r.s.utterances[i].continues == 0 {
			t.Error("2 s of talk with pauses were not committed")
		}
	})
}

func TestWithoutGuessingATurnEndsOnce(t *testing.T) {
	inTalk(t, &media.Listening{EndSilenceMs: 500}, func(t *testing.T, r *room) {
		r.mic(true, time.Second)
		r.mic(false, 400*time.Millisecond)
		if h, err := r.s.hearUtterance(r.s.spoken, 0); err != nil || h.ended {
			t.Errorf("ended after 400 ms: %t, %v", h.ended, err)
		}
		r.mic(false, 140*time.Millisecond)
		if _, open := r.transcript(r.s.spoken, 0); open {
			t.Error("the utterance is open")
		}
		r.expectSignals(workflows.SpeechStarted)
	})
}

func TestWordsBeforeTheAnswerJoinTheQuestion(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		n := r.asked("where are the hammers")
		r.signals()
		r.mic(true, 500*time.Millisecond)
		p := r.guess(2, n, "In aisle four.")
		r.mic(false, 600*time.Millisecond)
		if got := r.k.ms(2); got != 0 {
			t.Errorf("%d ms are heard before the verdict", got)
		}
		if last := r.expectSignals(workflows.SpeechStarted); last.Continues != 0 {
			t.Errorf("speech after the commit: %+v", last)
		}
		if v := r.understood("and the nails"); v.Joins != n || v.Ignored != "" {
			t.Errorf("the verdict is %v, want it to join %d", v, n)
		}
		if v := r.understood("and the nails"); v.Joins != n {
			t.Errorf("a second attempt is told %v", v)
		}
		if _, err := p.state(time.Now()); !errors.Is(err, errVoid) {
			t.Errorf("the answer to the first is told %v", err)
		}
		if e := r.over(r.guess(3, n+1, "Both in aisle four.")); e.Interrupted || r.k.ms(2) != 0 {
			t.Errorf("ended: %v", e)
		}
	})
}

func TestANoiseBeforeTheAnswerOnlyDelaysIt(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		n := r.asked("where are the hammers")
		r.mic(true, 300*time.Millisecond)
		p := r.guess(2, n, "In aisle four.")
		r.mic(false, 240*time.Millisecond)
		if v := r.understood(""); v.Ignored != "noise" {
			t.Errorf("the verdict is %v", v)
		}
		r.mic(false, 400*time.Millisecond)
		if e := r.over(p); e.Interrupted || r.k.ms(2) != 1000 {
			t.Errorf("ended: %v", e)
		}
	})
}

func TestAnAnswerThatIsNoGuessWaitsAndIsHeard(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		r.asked("hold one for me")
		r.mic(true, 300*time.Millisecond)
		p := r.speak(2, "speech", "Done.")
		r.mic(false, 240*time.Millisecond)
		if got := r.k.ms(2); got != 0 {
			t.Errorf("the customer is talked over")
		}
		r.understood("no, two")
		r.mic(false, 600*time.Millisecond)
		if e := r.over(p); e.Interrupted {
			t.Errorf("ended: %v", e)
		}
	})
}

func TestWithoutAVerdictTheAnswerIsHeard(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		n := r.asked("where are the hammers")
		r.mic(true, 300*time.Millisecond)
		p := r.guess(2, n, "In aisle four.", "Over there.")
		r.mic(false, 1900*time.Millisecond)
		if got := r.k.ms(2); got != 0 {
			t.Errorf("%d ms are heard before 2 s are over", got)
		}
		r.mic(false, 500*time.Millisecond)
		if got := r.k.ms(2); got == 0 {
			t.Error("nothing is heard after 2 s without a verdict")
		}
		if v := r.understood("and nails"); v.Joins != 0 || v.Ignored != "" {
			t.Errorf("the verdict is %v", v)
		}
		if e := r.over(p); !e.Interrupted {
			t.Errorf("late words do not cut: %v", e)
		}
	})
}

func TestASoundThatIsNothingHoldsTheVoiceAndLetsItGoOn(t *testing.T) {
	for name, text := range map[string]string{"noise": "", "few_words": "nails", "backchannel": "oh, okay", "echo": "find hammers in aisle"} {
		t.Run(name, func(t *testing.T) {
			inTalk(t, guessing, func(t *testing.T, r *room) {
				begin := start(nil, 2, "speech").GetStart()
				begin.MinWords = 2
				p := r.play(begin, "You find hammers", "in aisle four")
				r.mic(false, 500*time.Millisecond)
				r.mic(true, 600*time.Millisecond)
				held := len(r.k.heard())
				last := r.expectSignals(workflows.SpeechStarted)
				if last.Response != 2 || !r.k.was("Clear{Response:2}") || r.s.state != listening {
					t.Fatalf("the voice is not held: %+v, %s", last, r.s.state)
				}
				r.mic(false, 240*time.Millisecond)
				if v := r.understood(text); v.Ignored != name {
					t.Errorf("the verdict is %v", v)
				}
				synctest.Wait()
				if r.s.state != speaking {
					t.Errorf("the kiosk shows %s", r.s.state)
				}
				if at := int(r.k.heard()[held].Offset) / 16; at < 500 || at > 800 {
					t.Errorf("goes on at %d ms, want what was said before it was held", at)
				}
				e := r.over(p)
				if e.Interrupted || e.Heard != "You find hammers in aisle four" || r.k.was("BotInterrupted") {
					t.Errorf("ended: %v", e)
				}
				r.expectSignals()
			})
		})
	}
}

func TestWithoutAVerdictTheVoiceGoesOn(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		p := r.speak(2, "speech", "one", "two", "three")
		r.mic(false, 500*time.Millisecond)
		r.mic(true, 500*time.Millisecond)
		r.mic(false, 1900*time.Millisecond)
		if r.s.state == speaking {
			t.Error("goes on before 2 s are over")
		}
		r.mic(false, 300*time.Millisecond)
		if r.s.state != speaking {
			t.Errorf("2 s without a verdict: the kiosk shows %s", r.s.state)
		}
		r.understood("stop that please")
		if e := r.over(p); !e.Interrupted || e.PlayedMs > 1300 {
			t.Errorf("late words do not cut: %v", e)
		}
		r.expectSignals(workflows.SpeechStarted, workflows.Interrupted)
	})
}

func TestAVoiceIsHeldWhileTheCustomerGoesOn(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		p := r.speak(2, "speech", "one", "two")
		r.mic(false, 500*time.Millisecond)
		r.mic(true, 500*time.Millisecond)
		r.mic(false, 300*time.Millisecond)
		r.mic(true, 300*time.Millisecond) // before the verdict
		last := r.expectSignals(workflows.SpeechStarted, workflows.SpeechStarted)
		if last.Continues == 0 || last.Response != 2 {
			t.Errorf("the customer went on: %+v", last)
		}
		if v := r.s.understand(&media.Transcript{Utterance: uint32(last.Continues), Text: "hm"}, time.Now()); v.Ignored != "" || r.s.state != listening {
			t.Errorf("the verdict on the first half is %v, the kiosk shows %s", v, r.s.state)
		}
		r.mic(false, 240*time.Millisecond)
		r.understood("where are the nails")
		if e := r.over(p); !e.Interrupted {
			t.Errorf("ended: %v", e)
		}
	})
}

func TestTouchingCutsWhatIsHeld(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		p := r.speak(2, "speech", "one", "two")
		r.mic(false, 500*time.Millisecond)
		r.mic(true, 500*time.Millisecond)
		r.take(wire.UIEvent{Value: "stop"})
		if e := r.over(p); !e.Interrupted || e.PlayedMs < 700 || e.PlayedMs > 1000 {
			t.Errorf("ended: %v", e)
		}
		r.mic(false, 240*time.Millisecond)
		r.understood("")
		r.expectSignals(workflows.SpeechStarted, workflows.Touched, workflows.Interrupted)
		if got := len(slices.DeleteFunc(r.k.told, func(s string) bool { return s != "wire.Clear{Response:2}" })); got != 1 {
			t.Errorf("cleared %d times", got)
		}
	})
}

// A kiosk answers a clear with done, which must not end what goes on.
func TestTheAnswerToAClearEndsNothing(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		p := r.speak(2, "speech", "one")
		for ms := int64(0); ms < 500; ms += 100 {
			r.take(wire.Played{Response: 2, Ms: ms})
			r.mic(false, 100*time.Millisecond)
		}
		r.mic(true, 300*time.Millisecond)
		r.mic(false, 240*time.Millisecond)
		r.understood("")
		time.Sleep(time.Millisecond) // all that is left was sent at once
		r.take(wire.Played{Response: 2, Ms: 600, Done: true})
		st, err := p.state(time.Now())
		if err != nil || st.ended != nil {
			t.Fatalf("ended: %v, %v", st.ended, err)
		}
		if e := r.over(p); e.Interrupted {
			t.Errorf("ended: %v", e)
		}
	})
}

func TestAKioskThatComesBackWhileTheVoiceIsHeld(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		p := r.speak(2, "speech", "one", "two")
		r.mic(false, 500*time.Millisecond)
		r.mic(true, 500*time.Millisecond)
		old := r.k
		r.s.detach(old, time.Now())
		close(old.done)
		r.k = r.connect(&wire.Played{Response: 2, Ms: 700})
		synctest.Wait()
		if len(r.k.heard()) != 0 {
			t.Error("what is held is heard")
		}
		r.understood("")
		if e := r.over(p); e.Interrupted || len(r.k.heard()) == 0 || r.k.heard()[0].Offset != 500*16 {
			t.Errorf("ended: %v", e)
		}
	})
}

func TestAudioIsKeptForWhoHasYetToTranscribeIt(t *testing.T) {
	inTalk(t, &media.Listening{EndSilenceMs: 500}, func(t *testing.T, r *room) {
		for range 5 {
			r.mic(true, time.Second)
			r.mic(false, 600*time.Millisecond)
		}
		for n := r.s.spoken - 4; n <= r.s.spoken; n++ {
			r.transcript(n, 0)
			r.s.understand(&media.Transcript{Utterance: n, Text: "hello"}, time.Now())
		}
		first := r.s.spoken - 4
		r.mic(true, time.Second)
		if _, err := r.s.hearUtterance(first, 0); err == nil {
			t.Error("audio that was transcribed long ago is still kept")
		}
	})
}

func TestAMicrophoneThatGoesAwayEndsTheTurn(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		n := r.pausedAfter("where are the hammers")
		p := r.guess(2, n, "In aisle four.")
		time.Sleep(1900 * time.Millisecond)
		if got := r.k.ms(2); got != 0 {
			t.Errorf("%d ms are heard before the commit", got)
		}
		time.Sleep(2200 * time.Millisecond)
		if e := r.over(p); e.Interrupted {
			t.Errorf("ended: %v", e)
		}
	})
}

func TestWhatTheModelWritesOfAVoidGuessIsNotShown(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		write := func(number, after uint32, deltas ...string) {
			w, _, err := r.s.startText(&media.Text{Response: number, After: after})
			for _, d := range deltas {
				err = errors.Join(err, r.s.addText(w, &media.Text{Delta: d}))
			}
			if err = errors.Join(err, r.s.addText(w, &media.Text{Complete: true})); err != nil {
				t.Fatal(err)
			}
		}
		r.mic(true, time.Second)
		r.mic(false, 240*time.Millisecond)
		n := r.s.spoken
		write(2, n, "I do ", "not know.")
		r.guess(2, n, "I do not know.")
		r.mic(true, 300*time.Millisecond)
		write(3, n+1, "In aisle ", "four.")
		r.mic(false, 600*time.Millisecond)
		r.over(r.guess(3, n+1, "In aisle four."))
		if r.k.was("I do") || !r.k.was("BotLLMText{Text:In aisle four.}") || !r.k.was("BotLLMStopped") {
			t.Errorf("the kiosk was told %q", r.k.told)
		}
	})
}

func TestWordsAnswerAQuestionThatIsAboutToBeAsked(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		r.mic(true, 500*time.Millisecond)
		question := r.ask(2, guessing)
		answer := r.speak(3, "speech", "Done.")
		r.mic(false, 600*time.Millisecond)
		if r.k.ms(2) != 0 {
			t.Error("the kiosk speaks before it knows what the customer has said")
		}
		r.understood("the kettles")
		if e := r.over(question); !e.Interrupted || e.PlayedMs != 0 || r.k.ms(2) != 0 {
			t.Errorf("the question ended: %v", e)
		}
		if e := r.over(answer); e.Interrupted {
			t.Errorf("what asks nothing ended: %v", e)
		}
		if last := r.expectSignals(workflows.SpeechStarted, workflows.Interrupted); last.Response != 2 {
			t.Errorf("interrupted: %+v", last)
		}
	})
}

func TestWhoLeavesIsToldNothingMore(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		r.mic(true, time.Second)
		r.mic(false, 400*time.Millisecond)
		p := r.speak(2, "none", "In aisle four.")
		r.take(wire.DisconnectBot{})
		r.mic(false, 400*time.Millisecond)
		if e := r.over(p); !e.Interrupted || r.k.ms(2) != 0 {
			t.Errorf("ended: %v", e)
		}
		r.expectSignals(workflows.SpeechStarted, workflows.Left)
	})
}

// Whatever a customer does, and whatever becomes of its transcripts, the room
// comes to rest: every response ends, nothing is held, and nothing was begun that
// answers a guess.
func TestEveryTurnComesToAnEnd(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inTalk(t, guessing, func(t *testing.T, r *room) {
				random := rand.New(rand.NewPCG(seed, 1))
				texts := []string{"", "mhm", "where are the hammers", "stop that please"}
				transcribed, number := r.s.spoken, uint32(1)
				transcribe := func() {
					for ; transcribed < r.s.spoken; transcribed++ {
						if h, err := r.s.hearUtterance(transcribed+1, 0); err != nil || !h.ended {
							return
						}
						if random.IntN(5) == 0 {
							continue // the recogniser fails
						}
						text := texts[random.IntN(len(texts))]
						v := r.s.understand(&media.Transcript{Utterance: transcribed + 1, Text: text}, time.Now())
						if v.Ignored == "" && text != "" && random.IntN(4) > 0 && !r.s.unwanted(transcribed+1) {
							number++
							r.guess(number, transcribed+1, "In aisle four.", "Over there.")
						}
					}
				}
				for range 40 {
					switch random.IntN(8) {
					case 0, 1, 2:
						r.mic(true, time.Duration(random.IntN(40))*vad.Frame)
					case 3, 4:
						r.mic(false, time.Duration(random.IntN(40))*vad.Frame)
					case 5:
						transcribe()
					case 6:
						number++
						r.speak(number, []string{"speech", "none", "hotword"}[random.IntN(3)], "We close at eight.")
					case 7:
						if random.IntN(2) == 0 {
							r.take(wire.SendText{Content: "hello"})
						} else {
							number++
							r.ask(number, guessing)
						}
					}
					r.s.mu.Lock()
					if c := r.s.current; c != nil && c.after != 0 && !r.s.utterance(c.after).committed {
						t.Errorf("response %d is heard before utterance %d is committed", c.number, c.after)
					}
					r.s.mu.Unlock()
				}
				for range 8 { // the customer has gone, and the answers are played out
					r.mic(false, time.Second)
					transcribe()
				}
				r.mic(false, time.Minute)
				r.s.mu.Lock()
				defer r.s.mu.Unlock()
				for _, x := range r.s.responses {
					if !x.over {
						t.Errorf("response %d never ends (held %t, begun %t)", x.number, x.held, x.begun)
					}
				}
				if r.s.open != nil || r.s.current != nil || r.s.awaiting() {
					t.Errorf("still open %t, being said %t, awaited %t", r.s.open != nil, r.s.current != nil, r.s.awaiting())
				}
			})
		})
	}
}

func TestWhoHasCutTheVoiceIsHeardToTheEnd(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		begin := start(nil, 2, "speech").GetStart()
		begin.MinWords = 2
		p := r.play(begin, "You find hammers", "in aisle four")
		r.mic(false, 500*time.Millisecond)
		r.mic(true, 600*time.Millisecond)
		r.mic(false, 240*time.Millisecond)
		if v := r.understood("stop that"); v.Ignored != "" {
			t.Errorf("the verdict is %v", v)
		}
		if e := r.over(p); !e.Interrupted {
			t.Errorf("ended: %v", e)
		}
		r.mic(true, 300*time.Millisecond) // the same turn, or the next
		r.mic(false, 240*time.Millisecond)
		if v := r.understood("nails"); v.Ignored != "" {
			t.Errorf("one word into the silence: the verdict is %v", v)
		}
	})
}

func TestALateNoiseDoesNotUndoWhatCameAfterIt(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		r.mic(true, 300*time.Millisecond)
		r.mic(false, 600*time.Millisecond)
		n := r.s.spoken
		r.take(wire.SendText{Content: "hello"})
		r.s.understand(&media.Transcript{Utterance: n}, time.Now())
		if r.s.state != thinking || r.s.askedAt.IsZero() {
			t.Errorf("the kiosk shows %s, and waits for an answer: %t", r.s.state, !r.s.askedAt.IsZero())
		}
	})
}

func TestLateWordsDoNotCutWhatOnlyAHotwordCuts(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		r.asked("where are the hammers")
		r.mic(true, 300*time.Millisecond)
		p := r.speak(2, "hotword", "one", "two", "three")
		r.mic(false, 2500*time.Millisecond)
		r.understood("and nails")
		if e := r.over(p); e.Interrupted {
			t.Errorf("ended: %v", e)
		}
	})
}

// A kiosk sends audio until it is told that the conversation is over.
func TestAudioThatWasOnItsWayAtTheEndIsLetGo(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		r.s.conversationEnded("resolved", time.Now())
		r.mic(true, 500*time.Millisecond)
		r.expectSignals()
		time.Sleep(stillComing)
		if err := r.s.hear(voiced(0), time.Now()); err == nil {
			t.Error("audio without a conversation is taken")
		}
	})
}
