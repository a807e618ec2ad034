package workflows_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/workflows"
)

// pauses lets the customer say something and pause at a time: what the gateway
// gives to be transcribed is not surely all. Its transcript comes 1.5 s later.
func (v *visit) pauses(at time.Duration, utterance int, text string) {
	v.verdict[utterance] = activities.TranscribeResult{Open: true}
	v.speaks(at, utterance, text)
}

// goesOn lets the customer go on with an utterance that was not committed; text
// is what both are together.
func (v *visit) goesOn(at time.Duration, utterance, continues int, text string) {
	v.transcript[utterance] = text
	v.at(at, workflows.Signal{Kind: workflows.SpeechStarted, Utterance: utterance, Continues: continues})
}

func (v *visit) commits(at time.Duration, utterance int) {
	v.at(at, workflows.Signal{Kind: workflows.Committed, Utterance: utterance})
}

// wantLines compares what was said, by both, as operators and models see it.
func wantLines(t *testing.T, s workflows.Summary, want ...string) {
	t.Helper()
	var lines []string
	for _, l := range s.Transcript {
		lines = append(lines, l.By+": "+l.Text)
	}
	if got, want := strings.Join(lines, "\n"), strings.Join(want, "\n"); got != want {
		t.Errorf("transcript\n%s\nwant\n%s", got, want)
	}
}

// afters are the utterances that what was spoken at a step was a guess after.
func (v *visit) afters(step string) []int {
	var after []int
	for _, in := range v.spoke {
		if in.Step == step {
			after = append(after, in.After)
		}
	}
	return after
}

var hammersAnswered = []string{
	"kiosk: Welcome.", "kiosk: What are you looking for?", "customer: where are the hammers", "kiosk: Hammers are in aisle 4.",
	"kiosk: Anything else?", "customer: no thanks", "kiosk: Goodbye.",
}

func hammerVisit(t *testing.T) *visit {
	v := newVisit(t, shopPlan(t))
	v.passages = hammers
	v.answers["where are"] = "I do not know."
	v.answers["where are the"] = "I do not know."
	v.answers["where are the hammers"] = "Hammers are in aisle 4."
	return v
}

func TestAPauseIsAnsweredAndStays(t *testing.T) {
	v := hammerVisit(t)
	v.pauses(5*time.Second, 1, "where are the hammers")
	v.speaks(15*time.Second, 2, "no thanks")
	s := v.run()
	wantLines(t, s, hammersAnswered...)
	if got := v.afters("answer"); !slices.Equal(got, []int{1}) {
		t.Errorf("the answer was spoken after %v, want after utterance 1", got)
	}
	if v.generated[0].After != 1 {
		t.Errorf("the answer was written after %d, want after utterance 1", v.generated[0].After)
	}
	// Once the answer was heard nothing of it is taken back.
	if got := v.afters("more"); !slices.Equal(got, []int{0}) {
		t.Errorf("the next question was asked after %v, want after none", got)
	}
}

// The answer to half a sentence is taken back whenever the customer goes on.
func TestWhoGoesOnIsAnsweredOnce(t *testing.T) {
	for name, at := range map[string]time.Duration{
		"while it is transcribed": 6 * time.Second,
		"while we search":         6520 * time.Millisecond,
		"while it is answered":    6700 * time.Millisecond,
		"while it waits":          7500 * time.Millisecond,
	} {
		t.Run(name, func(t *testing.T) {
			v := hammerVisit(t)
			v.pauses(5*time.Second, 1, "where are")
			v.goesOn(at, 2, 1, "where are the hammers")
			v.speaks(17*time.Second, 3, "no thanks")
			s := v.run()
			wantLines(t, s, hammersAnswered...)
			if s.Turns != 2 {
				t.Errorf("%d turns, want 2", s.Turns)
			}
			if n := s.Taken["shop/ask>next>find"]; n != 1 {
				t.Errorf("the question was answered %d times, want once", n)
			}
			last := v.listened[1]
			if last.Utterance != 2 || last.Since != 1 {
				t.Errorf("the second transcript is of %d since %d, want of 2 since 1", last.Utterance, last.Since)
			}
			if asked := strings.Count(strings.Join(v.said, "\n"), "What are you looking for?"); asked != 1 {
				t.Errorf("the question was asked %d times", asked)
			}
		})
	}
}

func TestWhoPausesTwiceIsTranscribedFromTheBeginning(t *testing.T) {
	v := hammerVisit(t)
	v.pauses(5*time.Second, 1, "where are")
	v.verdict[2] = activities.TranscribeResult{Open: true}
	v.goesOn(7*time.Second, 2, 1, "where are the")
	v.goesOn(9*time.Second, 3, 2, "where are the hammers")
	v.speaks(20*time.Second, 4, "no thanks")
	s := v.run()
	wantLines(t, s, hammersAnswered...)
	if last := v.listened[2]; last.Since != 1 {
		t.Errorf("the third transcript is since %d, want since 1", last.Since)
	}
}

// What the customer adds while nothing of the answer was heard wants the same
// answer.
func TestWhatIsSaidBeforeTheAnswerJoins(t *testing.T) {
	v := hammerVisit(t)
	v.speaks(5*time.Second, 1, "where are")
	v.confidence[1] = 0.6
	v.verdict[2] = activities.TranscribeResult{Joins: 1}
	v.speaks(6600*time.Millisecond, 2, "the hammers")
	v.speaks(17*time.Second, 3, "no thanks")
	s := v.run()
	wantLines(t, s, hammersAnswered...)
	if s.Transcript[2].Confidence != 0.6 {
		t.Errorf("confidence %v, want that of the part that is less sure", s.Transcript[2].Confidence)
	}
	if since := v.listened[1].Since; since != 0 {
		t.Errorf("the second utterance was transcribed since %d; it is one of its own", since)
	}
}

// Whoever goes on with what was joined is still answered once, to everything.
func TestWhoGoesOnWithWhatJoined(t *testing.T) {
	v := hammerVisit(t)
	v.speaks(5*time.Second, 1, "where are")
	v.verdict[2] = activities.TranscribeResult{Joins: 1, Open: true}
	v.speaks(6600*time.Millisecond, 2, "the")
	v.goesOn(9*time.Second, 3, 2, "the hammers")
	v.speaks(20*time.Second, 4, "no thanks")
	s := v.run()
	wantLines(t, s, hammersAnswered...)
	if in := v.listened[2]; in.Since != 2 {
		t.Errorf("the third transcript is since %d, want since 2", in.Since)
	}
}

// Both transcripts may come before a step has taken the first.
func TestWhatJoinsAnUtteranceThatNobodyHasTaken(t *testing.T) {
	v := hammerVisit(t)
	v.speaks(time.Second, 1, "where are") // over the greeting, which goes on until 2 s
	v.verdict[2] = activities.TranscribeResult{Joins: 1}
	v.speaks(1010*time.Millisecond, 2, "the hammers")
	v.speaks(9*time.Second, 3, "no thanks")
	s := v.run()
	wantLines(t, s, slices.Delete(slices.Clone(hammersAnswered), 1, 2)...)
}

// An utterance goes on that is known no more, because its answer was heard.
func TestWhatGoesOnAfterTheAnswerIsTheNextThingSaid(t *testing.T) {
	v := hammerVisit(t)
	v.pauses(5*time.Second, 1, "where are the hammers")
	v.goesOn(9500*time.Millisecond, 2, 1, "no thanks")
	s := v.run()
	wantLines(t, s, hammersAnswered...)
	if since := v.listened[1].Since; since != 0 {
		t.Errorf("transcribed since %d, want by itself", since)
	}
}

// What the recogniser fails at takes nothing away from what is understood.
func TestWhatWasUnderstoodIsAnsweredWhenTheRestIsNothing(t *testing.T) {
	for name, spoil := range map[string]func(*visit){
		"a noise":   func(v *visit) { v.transcript[2] = "" },
		"ignored":   func(v *visit) { v.verdict[2] = activities.TranscribeResult{Ignored: "echo"} },
		"a failure": func(v *visit) { v.unheard[2] = madeToFail(activities.KindInvalid) },
		"gone":      func(v *visit) { v.unheard[2] = madeToFail(activities.KindGone) },
	} {
		t.Run(name, func(t *testing.T) {
			v := hammerVisit(t)
			v.pauses(5*time.Second, 1, "where are the hammers")
			v.goesOn(7*time.Second, 2, 1, "x")
			v.commits(8*time.Second, 2)
			spoil(v)
			v.speaks(17*time.Second, 3, "no thanks")
			wantLines(t, v.run(), hammersAnswered...)
		})
	}
}

// What seemed to be a noise is heard again with what followed it.
func TestANoiseThatGoesOn(t *testing.T) {
	v := hammerVisit(t)
	v.verdict[1] = activities.TranscribeResult{Open: true}
	v.speaks(5*time.Second, 1, "")
	v.goesOn(7*time.Second, 2, 1, "where are the hammers")
	v.speaks(17*time.Second, 3, "no thanks")
	wantLines(t, v.run(), hammersAnswered...)
	if since := v.listened[1].Since; since != 1 {
		t.Errorf("transcribed since %d, want since 1", since)
	}
}

func TestAHotwordInTwoHalves(t *testing.T) {
	v := hammerVisit(t)
	v.plan = shopPlan(t, func(p *flow.Plan) {
		for name, s := range p.Steps {
			s.BargeIn = &flow.BargeIn{Mode: "hotword", Hotwords: map[string][]string{"en": {"hey kiosk"}}}
			p.Steps[name] = s
		}
	})
	v.pauses(100*time.Millisecond, 1, "hey")
	v.goesOn(time.Second, 2, 1, "hey kiosk where are the hammers")
	v.run()
	if in := v.listened[1]; in.Since != 1 || in.Expected[0] != "hey kiosk" {
		t.Errorf("the second half was transcribed as %+v, want since 1 and listening for the hotword", in)
	}
}

func TestWhatTheGatewayIgnoresIsForgotten(t *testing.T) {
	v := hammerVisit(t)
	v.verdict[1] = activities.TranscribeResult{Ignored: "backchannel"}
	v.transcript[1] = "mhm"
	v.at(time.Second, workflows.Signal{Kind: workflows.SpeechStarted, Utterance: 1, Response: 1})
	v.speaks(5*time.Second, 2, "where are the hammers")
	v.speaks(15*time.Second, 3, "no thanks")
	wantLines(t, v.run(), hammersAnswered...)
}

// A sound over a response that went on wants no "I could not hear you".
func TestAFailureOverAResponseThatWentOnIsForgotten(t *testing.T) {
	v := hammerVisit(t)
	v.unheard[1] = madeToFail(activities.KindInvalid)
	v.at(time.Second, workflows.Signal{Kind: workflows.SpeechStarted, Utterance: 1, Response: 1})
	v.speaks(5*time.Second, 2, "where are the hammers")
	v.speaks(15*time.Second, 3, "no thanks")
	wantLines(t, v.run(), hammersAnswered...)
}

// A gateway that the kiosk has just left still has what was said to it.
func TestWhatTheLastGatewayHeardIsTranscribedThere(t *testing.T) {
	v := hammerVisit(t)
	v.at(4900*time.Millisecond, workflows.Signal{Kind: workflows.Joined, Gateway: "gw2:9000"})
	v.pauses(5*time.Second, 1, "where are the hammers")
	v.at(13*time.Second, workflows.Signal{Kind: workflows.SpeechStarted, Gateway: "gw2:9000", Utterance: 9})
	v.transcript[9] = "no thanks"
	wantLines(t, v.run(), hammersAnswered...)
	if in := v.listened[0]; in.Place.Gateway != "gw:9000" {
		t.Errorf("transcribed at %s, want at gw:9000, where it was said", in.Place.Gateway)
	}
	if got := v.afters("answer"); !slices.Equal(got, []int{0}) {
		t.Errorf("the answer was spoken after %v; the gateway where it is spoken knows of no such utterance", got)
	}
}

const holdPlan = `slots: {colour: {type: enum, values: [red, blue]}}
vars: {ticket: string}
start: ask
steps:
  ask: {collect: {slot: colour, prompt: ask}, next: hold}
  hold: {call: {action: shop.hold_item, args: {sku: slots.colour}, into: ticket}, catch: {error: bye}, next: bye}
  bye: {end: {prompt: bye, outcome: resolved}}
`

const holdPrompts = "ask: Which colour?\nbye: Goodbye.\n"

// A service is called when the customer has said all, and not a moment before.
func TestNothingIsDoneThatCannotBeTakenBack(t *testing.T) {
	t.Run("kept", func(t *testing.T) {
		v := newVisit(t, compiled(t, holdPlan, holdPrompts))
		v.call = func(activities.CallInput) (any, error) { return "A17", nil }
		var called int
		v.pauses(3*time.Second, 1, "the red one")
		v.env.RegisterDelayedCallback(func() { called = len(v.called) }, 6900*time.Millisecond)
		v.commits(7*time.Second, 1)
		v.wantOutcome(v.run(), "resolved")
		if called != 0 || len(v.called) != 1 {
			t.Errorf("called %d times before the end of the sentence and %d in all, want 0 and 1", called, len(v.called))
		}
		if got := v.afters("bye"); !slices.Equal(got, []int{0}) {
			t.Errorf("what follows the call is spoken after %v, want after none", got)
		}
	})
	t.Run("void", func(t *testing.T) {
		v := newVisit(t, compiled(t, holdPlan, holdPrompts))
		v.call = func(activities.CallInput) (any, error) { return "A17", nil }
		v.pauses(3*time.Second, 1, "the red one")
		v.goesOn(7*time.Second, 2, 1, "the red one no the blue one")
		v.transcript[2] = "blue"
		s := v.run()
		wantLines(t, s, "kiosk: Which colour?", "customer: blue", "kiosk: Goodbye.")
		if len(v.called) != 1 || v.called[0].Args["sku"] != "blue" {
			t.Errorf("called with %v, want once with blue", v.called)
		}
	})
	t.Run("no word from the gateway", func(t *testing.T) {
		v := newVisit(t, compiled(t, holdPlan, holdPrompts))
		v.call = func(activities.CallInput) (any, error) { return "A17", nil }
		v.pauses(3*time.Second, 1, "the red one")
		v.wantOutcome(v.run(), "resolved")
		if len(v.called) != 1 {
			t.Errorf("called %d times, want once, after a while", len(v.called))
		}
	})
	t.Run("another gateway", func(t *testing.T) {
		v := newVisit(t, compiled(t, holdPlan, holdPrompts))
		v.call = func(activities.CallInput) (any, error) { return "A17", nil }
		v.pauses(3*time.Second, 1, "the red one")
		var called int
		v.at(5*time.Second, workflows.Signal{Kind: workflows.Joined, Gateway: "gw2:9000"})
		v.env.RegisterDelayedCallback(func() { called = len(v.called) }, 5500*time.Millisecond)
		v.wantOutcome(v.run(), "resolved")
		if called != 1 {
			t.Errorf("called %d times half a second after the kiosk moved, want once: it surely was all", called)
		}
	})
	t.Run("said since the commit", func(t *testing.T) {
		v := newVisit(t, compiled(t, holdPlan, holdPrompts))
		v.call = func(activities.CallInput) (any, error) { return "A17", nil }
		v.speaks(3*time.Second, 1, "the red one")
		v.verdict[2] = activities.TranscribeResult{Joins: 1}
		v.speaks(4520*time.Millisecond, 2, "and hurry")
		s := v.run()
		if len(v.called) != 1 || s.Turns != 1 {
			t.Errorf("called %d times in %d turns, want once in one", len(v.called), s.Turns)
		}
	})
}

// The end is the end: somebody who has paused is heard out first.
func TestNobodyIsCutOffByTheEnd(t *testing.T) {
	plan := compiled(t, `slots: {colour: {type: enum, values: [red, blue], ask_anew: true}}
start: ask
steps:
  ask: {collect: {slot: colour, prompt: ask}, next: which}
  which: {branch: [{when: slots.colour == 'red', to: done}, {else: bye}]}
  done: {end: {outcome: red}}
  bye: {end: {outcome: blue}}
`, "ask: Which colour?\n")
	v := newVisit(t, plan)
	v.pauses(3*time.Second, 1, "red")
	v.goesOn(5*time.Second, 2, 1, "blue")
	v.wantOutcome(v.run(), "blue")
}

// A question that is taken up again is as it was: what was not understood of half
// a sentence does not count.
func TestAQuestionIsTakenUpAsItWas(t *testing.T) {
	plan := compiled(t, `slots: {colour: {type: enum, values: [red, blue]}}
start: ask
steps:
  ask: {collect: {slot: colour, prompt: ask}, next: bye}
  bye: {end: {prompt: bye, outcome: resolved}}
`, holdPrompts)
	v := newVisit(t, plan)
	v.pauses(3*time.Second, 1, "well")
	v.goesOn(5*time.Second, 2, 1, "well I think")
	v.speaks(11*time.Second, 3, "red")
	s := v.run()
	// One `pardon` is all that the flow allows.
	wantLines(t, s, "kiosk: Which colour?", "customer: well I think", "kiosk: Pardon?", "customer: red", "kiosk: Goodbye.")
	v.wantOutcome(s, "resolved")
}

// Typing is certain, and so is what was said before it.
func TestWhatIsTypedAfterAPauseFollowsIt(t *testing.T) {
	v := hammerVisit(t)
	v.pauses(5*time.Second, 1, "where are the hammers")
	v.cut = map[int]bool{3: true} // the gateway cuts the answer
	v.types(7*time.Second, "no thanks")
	v.commits(7*time.Second, 1)
	s := v.run()
	if s.Turns != 2 || s.Outcome != "resolved" {
		t.Errorf("outcome %q after %d turns, want resolved after 2", s.Outcome, s.Turns)
	}
}

// A long conversation does not continue as new in the middle of a guess.
func TestAGuessIsNotCarriedIntoAnotherRun(t *testing.T) {
	v := hammerVisit(t)
	v.at(0, workflows.Signal{Kind: workflows.Joined})
	v.pauses(5*time.Second, 1, "where are")
	v.env.RegisterDelayedCallback(func() { v.env.SetContinueAsNewSuggested(true) }, 6*time.Second)
	v.goesOn(7*time.Second, 2, 1, "where are the hammers")
	v.env.ExecuteWorkflow(workflows.ConversationType, workflows.Visit{Store: "st", Kiosk: "k1", Plan: v.plan})
	var again *workflow.ContinueAsNewError
	if err := v.env.GetWorkflowError(); !errors.As(err, &again) {
		t.Fatalf("error %v, want continue-as-new", err)
	}
	next := continued(t, v.env.GetWorkflowError())
	if s := next.State; s.Utterance != "where are the hammers" || s.Turns != 1 {
		t.Errorf("carried over: %+v", s)
	}
}
