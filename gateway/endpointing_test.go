package gateway

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/praesenz/parley/gateway/vad"
	"github.com/praesenz/parley/media"
)

func endpointed(mode string) *media.Listening {
	return &media.Listening{
		Endpointing: mode, EndSilenceMs: 500, MaxSilenceMs: 1500, PauseMs: 200, MaxUtteranceMs: 10_000,
	}
}

// silence says nothing until the turn is committed, and tells how long that took.
// The detector's hang-over, a frame or two, is in it.
func (r *room) silence() time.Duration {
	r.t.Helper()
	for d := time.Duration(0); d < 3*time.Second; d += vad.Frame {
		r.s.mu.Lock()
		over := r.s.open == nil
		r.s.mu.Unlock()
		if over {
			return d
		}
		r.mic(false, vad.Frame)
	}
	r.t.Fatal("the turn is not over after 3 s of silence")
	return 0
}

func (r *room) expectSilence(want time.Duration, said time.Duration) {
	r.t.Helper()
	if got := said + r.silence(); (got - want).Abs() > 60*time.Millisecond {
		r.t.Errorf("the turn is over after a silence of %s, want %s", got, want)
	}
}

func TestPausesAreLearned(t *testing.T) {
	inTalk(t, endpointed("learned"), func(t *testing.T, r *room) {
		r.mic(true, time.Second)
		r.mic(false, 400*time.Millisecond) // less than what ends a turn
		r.mic(true, time.Second)
		r.expectSilence(600*time.Millisecond, 0)
	})
}

func TestWhoWasCutOffIsNotCutOffAgain(t *testing.T) {
	for name, l := range map[string]*media.Listening{
		"with guesses":    endpointed("learned"),
		"without guesses": {Endpointing: "learned", EndSilenceMs: 500, MaxSilenceMs: 1500},
	} {
		t.Run(name, func(t *testing.T) {
			inTalk(t, l, func(t *testing.T, r *room) {
				r.mic(true, time.Second)
				r.expectSilence(500*time.Millisecond, 0)
				first := r.s.spoken
				r.understood("I would like")
				r.mic(false, 300*time.Millisecond)
				r.mic(true, time.Second)
				if l.PauseMs > 0 {
					r.mic(false, 300*time.Millisecond)
				} else {
					r.silence()
				}
				if v := r.understood("two hammers"); v.Joins != first {
					t.Errorf("the verdict is %v", v)
				}
				r.silence()

				r.over(r.ask(2, l))
				r.mic(true, time.Second)
				r.mic(false, 900*time.Millisecond)
				if r.s.open == nil {
					t.Error("cut off again")
				}
			})
		})
	}
}

// Who speaks over the first word of an answer goes on with the question; who
// speaks over what they have heard reacts to it.
func TestWhoSpeaksOverTheFirstWordWasCutOff(t *testing.T) {
	for name, c := range map[string]struct {
		heard  time.Duration
		text   string
		cutOff bool
	}{
		"the first word":         {300 * time.Millisecond, "for my shed", true},
		"more":                   {800 * time.Millisecond, "what do they cost", false},
		"the first word, a hiss": {300 * time.Millisecond, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			inTalk(t, endpointed("learned"), func(t *testing.T, r *room) {
				r.mic(true, time.Second)
				r.mic(false, 240*time.Millisecond)
				n := r.s.spoken
				r.understood("where are the hammers")
				begin := start(nil, 2, "speech").GetStart()
				begin.After, begin.Listening = n, endpointed("learned")
				r.play(begin, "In aisle four.", "Over there.")
				r.silence()
				r.mic(false, c.heard-300*time.Millisecond)
				r.mic(true, 600*time.Millisecond)
				r.mic(false, 240*time.Millisecond)
				r.understood(c.text)
				if delay := r.s.endpointing(nil).EndSilence; delay > 500*time.Millisecond != c.cutOff {
					t.Errorf("the next turn ends after a silence of %s", delay)
				}
			})
		})
	}
}

func TestAModelJudgesThePause(t *testing.T) {
	for name, c := range map[string]struct {
		complete []float64
		late     bool
		want     time.Duration
	}{
		"sure":             {complete: []float64{0.95}, want: 500 * time.Millisecond},
		"sure of more":     {complete: []float64{0.05}, want: 1500 * time.Millisecond},
		"in doubt":         {complete: []float64{0.5}, want: time.Second},
		"no answer":        {want: 500 * time.Millisecond},
		"not a turn's":     {complete: []float64{0.05}, late: true, want: 500 * time.Millisecond},
		"the last one":     {complete: []float64{0.05, 0.95}, want: 500 * time.Millisecond},
		"no probability":   {complete: []float64{-1}, want: 500 * time.Millisecond},
		"more than likely": {complete: []float64{2}, want: 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			inTalk(t, endpointed("model"), func(t *testing.T, r *room) {
				r.s.conversation = r.place().Conversation
				r.mic(true, time.Second)
				r.mic(false, 240*time.Millisecond)
				n := r.s.spoken
				if c.late { // they went on
					r.mic(true, time.Second)
				}
				for _, p := range c.complete {
					v, err := (&mediaServer{g: r.g}).Transcribed(t.Context(), &media.Transcript{Place: r.place(), Utterance: n, Complete: &p})
					if p < 0 || p > 1 {
						if status.Code(err) != codes.InvalidArgument {
							t.Errorf("a probability of %g: %v", p, err)
						}
						continue
					}
					if err != nil || v.Ignored != "" || v.Joins != 0 {
						t.Errorf("told of the turn: %v, %v", v, err)
					}
				}
				said := 240 * time.Millisecond
				if c.late {
					said = 0
				}
				r.expectSilence(c.want, said)
			})
		})
	}
}

// Who speaks while the kiosk thinks, or over an answer that asks nothing, speaks
// in their own way still.
func TestTheQuestionsRuleHoldsUntilTheNextQuestion(t *testing.T) {
	for name, next := range map[string]func(r *room){
		"while it thinks": func(r *room) {},
		"over an answer": func(r *room) {
			r.play(start(nil, 2, "speech").GetStart(), "one", "two", "three")
			r.mic(false, time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inTalk(t, endpointed("learned"), func(t *testing.T, r *room) {
				r.s.endpointer.Resumed(800 * time.Millisecond)
				r.mic(true, time.Second)
				r.mic(false, 240*time.Millisecond)
				r.understood("where are the hammers")
				r.s.takeAnswer()
				r.silence()
				next(r)
				r.s.endpointer.Resumed(800 * time.Millisecond)
				r.mic(true, time.Second)
				if got := r.silence(); got < 900*time.Millisecond {
					t.Errorf("the turn is over after a silence of %s", got)
				}
			})
		})
	}
}

// A model that is sure at last ends a silence that is long already.
func TestAModelThatIsLateEndsTheSilence(t *testing.T) {
	inTalk(t, endpointed("model"), func(t *testing.T, r *room) {
		r.s.endpointer.Resumed(time.Second)
		r.mic(true, time.Second)
		r.mic(false, 800*time.Millisecond)
		r.s.judge(r.s.spoken, 0.9)
		r.expectSilence(820*time.Millisecond, 800*time.Millisecond)
	})
}

func TestANoiseIsNoTurnToLearnFrom(t *testing.T) {
	inTalk(t, endpointed("learned"), func(t *testing.T, r *room) {
		r.s.endpointer.Resumed(700 * time.Millisecond)
		before := r.s.endpointing(nil).EndSilence
		r.mic(true, 300*time.Millisecond)
		r.mic(false, 240*time.Millisecond)
		r.understood("")
		r.silence()
		if after := r.s.endpointing(nil).EndSilence; after != before {
			t.Errorf("a turn ends after %s, before the noise after %s", after, before)
		}
	})
}

func TestPausesAreForgottenWithTheCustomer(t *testing.T) {
	inTalk(t, endpointed("learned"), func(t *testing.T, r *room) {
		r.s.endpointer.Resumed(time.Second)
		if got := r.s.endpointing(nil).EndSilence; got != 1500*time.Millisecond {
			t.Fatalf("before: %s", got)
		}
		r.s.conversationEnded("done", time.Now())
		r.s.rule = turnRule(endpointed("learned"))
		if got := r.s.endpointing(nil).EndSilence; got != 500*time.Millisecond {
			t.Errorf("after: %s", got)
		}
	})
}
