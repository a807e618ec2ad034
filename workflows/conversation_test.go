package workflows_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/workflows"
)

// A visit is a conversation on virtual time: the workflow is real, the kiosk,
// the recogniser, the model, the voice and the store's services are played by the
// test.
type visit struct {
	t    *testing.T
	env  *testsuite.TestWorkflowEnvironment
	plan flow.Plan

	said       []string                            // what the kiosk spoke, in order, by step
	transcript map[int]string                      // utterance → what it will be transcribed as
	confidence map[int]float64                     // utterance → how sure the recogniser is; default 0.9
	verdict    map[int]activities.TranscribeResult // utterance → Open, Joins and Ignored
	unheard    map[int]error                       // utterance → why it cannot be transcribed
	answers    map[string]string                   // question → answer
	passages   []activities.Passage
	searching  time.Duration
	performing time.Duration
	calling    time.Duration
	fail       map[string]error // activity, or activity and step ("Generate ask") → how it fails
	cut        map[int]bool     // responses that the customer interrupts after one second
	heard      string           // what they have heard of such a one by then
	lost       map[int]error    // by response: how it fails at the first gateway

	call       func(activities.CallInput) (any, error)
	understand func(activities.UnderstandInput) activities.UnderstandResult

	seq       int64      // of what the customer typed last
	mu        sync.Mutex // activities run beside each other
	spoke     []activities.SpeakInput
	generated []activities.GenerateInput
	performed []activities.PerformInput
	called    []activities.CallInput
	asked     []activities.UnderstandInput
	expected  []string // of the last utterance
	listened  []activities.TranscribeInput
	searched  int          // how often the pool was asked
	here      func() error // of a search in the conversation's own worker
}

// newVisit sets a plan up with a voice that takes two seconds for each response.
func newVisit(t *testing.T, plan flow.Plan) *visit {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	v := &visit{
		t: t, env: suite.NewTestWorkflowEnvironment(), plan: plan,
		transcript: map[int]string{}, confidence: map[int]float64{}, verdict: map[int]activities.TranscribeResult{}, unheard: map[int]error{}, answers: map[string]string{}, fail: map[string]error{},
		searching: 50 * time.Millisecond, performing: 10 * time.Minute, calling: 50 * time.Millisecond,
		call:       func(activities.CallInput) (any, error) { return nil, nil },
		here:       func() error { return activities.Permanent(activities.KindElsewhere, errors.New("the pool does it")) },
		understand: func(activities.UnderstandInput) activities.UnderstandResult { return activities.UnderstandResult{} },
	}
	v.env.SetTestTimeout(20 * time.Second)
	v.env.RegisterWorkflowWithOptions(workflows.Conversation, workflow.RegisterOptions{Name: workflows.ConversationType})

	var play []func() // the environment wants every activity registered before the first is played
	spoken := map[int]string{}
	played(v, &play, activities.Transcribe, func() time.Duration { return 1500 * time.Millisecond }, func(in activities.TranscribeInput) (activities.TranscribeResult, error) {
		v.expected, v.listened = in.Expected, append(v.listened, in)
		text, sure := v.transcript[in.Utterance], 0.9
		if c, ok := v.confidence[in.Utterance]; ok {
			sure = c
		}
		result := v.verdict[in.Utterance]
		result.Utterance, result.Text, result.Confidence, result.NoSpeech = in.Utterance, text, sure, text == ""
		return result, cmp.Or(v.unheard[in.Utterance], v.fail[activities.Transcribe])
	})
	played(v, &play, activities.Retrieve, func() time.Duration { return v.searching }, func(activities.RetrieveInput) (activities.RetrieveResult, error) {
		v.searched++
		return activities.RetrieveResult{Passages: v.passages}, v.fail[activities.Retrieve]
	})
	played(v, &play, activities.RetrieveHere, func() time.Duration { return 0 }, func(activities.RetrieveInput) (activities.RetrieveResult, error) {
		return activities.RetrieveResult{Passages: v.passages}, v.here()
	})
	played(v, &play, activities.Generate, func() time.Duration { return 300 * time.Millisecond }, func(in activities.GenerateInput) (activities.GenerateResult, error) {
		v.generated = append(v.generated, in)
		if err := cmp.Or(v.fail[activities.Generate], v.fail[activities.Generate+" "+in.Step]); err != nil {
			return activities.GenerateResult{}, err
		}
		text := v.answers[in.Question]
		spoken[in.Response] = text
		result := activities.GenerateResult{Text: text, Model: "test"}
		if len(in.Schema) > 0 {
			return result, json.Unmarshal([]byte(text), &result.Value)
		}
		return result, nil
	})
	played(v, &play, activities.Understand, func() time.Duration { return 100 * time.Millisecond }, func(in activities.UnderstandInput) (activities.UnderstandResult, error) {
		v.asked = append(v.asked, in)
		return v.understand(in), v.fail[activities.Understand]
	})
	played(v, &play, activities.Call, func() time.Duration { return v.calling }, func(in activities.CallInput) (activities.CallResult, error) {
		v.called = append(v.called, in)
		value, err := v.call(in)
		return activities.CallResult{Value: value, Status: 200}, err
	})
	played(v, &play, activities.Speak, func() time.Duration { return 2 * time.Second }, func(in activities.SpeakInput) (activities.SpeakResult, error) {
		v.spoke = append(v.spoke, in)
		if err := v.fail[activities.Speak]; err != nil {
			return activities.SpeakResult{}, err
		}
		text := in.Text
		if text == "" {
			text = spoken[in.Response]
		}
		if err := v.lost[in.Response]; err != nil && in.Place.Gateway == "gw:9000" {
			return activities.SpeakResult{}, err
		}
		v.said = append(v.said, in.Step+": "+text)
		result := activities.SpeakResult{Response: in.Response, Text: text, Heard: text, PlayedMs: 2000, TotalMs: 2000}
		if v.cut[in.Response] {
			result.Heard, result.PlayedMs, result.Interrupted = v.heard, 1000, true
		}
		return result, nil
	})
	played(v, &play, activities.Perform, func() time.Duration { return v.performing }, func(activities.PerformInput) (activities.PerformResult, error) {
		return activities.PerformResult{}, v.fail[activities.Perform]
	})
	v.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, args converter.EncodedValues) {
		var in activities.PerformInput
		if info.ActivityType.Name == activities.Perform && args.Get(&in) == nil {
			v.performed = append(v.performed, in)
		}
	})
	for _, f := range play {
		f()
	}
	return v
}

// played has the test play an activity, which takes so long.
func played[In, Out any](v *visit, play *[]func(), name string, takes func() time.Duration, do func(In) (Out, error)) {
	f := func(context.Context, In) (Out, error) { var none Out; return none, nil }
	v.env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	*play = append(*play, func() {
		v.env.OnActivity(name, mock.Anything, mock.Anything).Return(func(_ context.Context, in In) (Out, error) {
			v.mu.Lock()
			defer v.mu.Unlock()
			return do(in)
		}).AfterFn(takes)
	})
}

// at lets something happen at a time after the start.
func (v *visit) at(at time.Duration, s workflows.Signal) {
	if s.Gateway == "" {
		s.Gateway = "gw:9000"
	}
	if s.Session == "" {
		s.Session = "s1"
	}
	v.env.RegisterDelayedCallback(func() { v.env.SignalWorkflow(workflows.KioskSignal, s) }, at)
}

func (v *visit) speaks(at time.Duration, utterance int, text string) {
	v.transcript[utterance] = text
	v.at(at, workflows.Signal{Kind: workflows.SpeechStarted, Utterance: utterance})
}

// run holds the conversation to its end.
func (v *visit) run() workflows.Summary {
	v.t.Helper()
	v.at(0, workflows.Signal{Kind: workflows.Joined})
	v.env.ExecuteWorkflow(workflows.ConversationType, workflows.Visit{Store: "st", Kiosk: "k1", Plan: v.plan})
	if !v.env.IsWorkflowCompleted() {
		v.t.Fatalf("the conversation has not ended; said so far:\n%s", strings.Join(v.said, "\n"))
	}
	if err := v.env.GetWorkflowError(); err != nil {
		v.t.Fatalf("the conversation failed: %v\nsaid so far:\n%s", err, strings.Join(v.said, "\n"))
	}
	var s workflows.Summary
	if err := v.env.GetWorkflowResult(&s); err != nil {
		v.t.Fatal(err)
	}
	return s
}

func (v *visit) wantSaid(want ...string) {
	v.t.Helper()
	if got, want := strings.Join(v.said, "\n"), strings.Join(want, "\n"); got != want {
		v.t.Errorf("the kiosk said\n%s\nwant\n%s", got, want)
	}
}

// shopPlan is a small shop: greet, ask, find, answer, anything else.
func shopPlan(t *testing.T, change ...func(*flow.Plan)) flow.Plan {
	t.Helper()
	b, err := os.ReadFile("testdata/shop.plan.json")
	if err != nil {
		t.Fatal(err)
	}
	var p flow.Plan
	if err := json.Unmarshal(b, &p); err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(&p)
	}
	if p.SHA256, err = p.Sum(); err != nil {
		t.Fatal(err)
	}
	return p
}

var hammers = []activities.Passage{{ID: "1", Source: "hammers.md", Title: "Hammers", Text: "Hammers are in aisle 4.", Score: 0.9}}

func TestQuestionIsAnsweredByVoice(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.passages = hammers
	v.answers["where are the hammers"] = "Hammers are in aisle 4."
	v.speaks(5*time.Second, 1, "where are the hammers") // greeting and question take four seconds
	v.speaks(15*time.Second, 2, "no thanks")
	s := v.run()
	v.wantSaid("greet: Welcome.", "ask: What are you looking for?", "answer: Hammers are in aisle 4.",
		"more: Anything else?", "bye: Goodbye.")
	if s.Outcome != "resolved" || s.Turns != 2 {
		t.Errorf("outcome %q after %d turns, want resolved after 2", s.Outcome, s.Turns)
	}
	var lines []string
	for _, l := range s.Transcript {
		lines = append(lines, l.By+" "+l.Step+": "+l.Text)
	}
	want := "kiosk greet: Welcome.\nkiosk ask: What are you looking for?\ncustomer ask: where are the hammers\n" +
		"kiosk answer: Hammers are in aisle 4.\nkiosk more: Anything else?\ncustomer more: no thanks\nkiosk bye: Goodbye."
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("transcript\n%s\nwant\n%s", got, want)
	}
}

func TestTypingAndTouchingInAnotherLanguage(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.passages = hammers
	v.answers["Wo sind die Hämmer?"] = "Hämmer sind in Gang 4."
	v.at(0, workflows.Signal{Kind: workflows.Joined, Language: "de"})
	v.at(5*time.Second, workflows.Signal{Kind: workflows.Typed, Seq: 1, Text: "Wo sind die Hämmer?"})
	v.at(15*time.Second, workflows.Signal{Kind: workflows.Touched, Seq: 2, Text: "false"})
	s := v.run()
	v.wantSaid("greet: Willkommen.", "ask: Was suchen Sie?", "answer: Hämmer sind in Gang 4.",
		"more: Noch etwas?", "bye: Auf Wiedersehen.")
	if s.Language != "de" || s.Outcome != "resolved" {
		t.Errorf("language %q, outcome %q; want de, resolved", s.Language, s.Outcome)
	}
}

func TestSilenceIsAnsweredThenEndsIt(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	started := v.env.Now()
	s := v.run()
	v.wantSaid("greet: Welcome.", "ask: What are you looking for?", "ask: Are you still there?", "ask: I will be here.")
	if s.Outcome != "abandoned" {
		t.Errorf("outcome %q, want abandoned", s.Outcome)
	}
	// Four responses of 2 s and three silences of 6 s.
	if took := v.env.Now().Sub(started); took != 26*time.Second {
		t.Errorf("it took %v, want 26s", took)
	}
}

func TestANoiseIsNeitherAnswerNorSilence(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.speaks(9*time.Second, 1, "") // five seconds into the silence
	s := v.run()
	v.wantSaid("greet: Welcome.", "ask: What are you looking for?", "ask: Are you still there?", "ask: I will be here.")
	if s.Turns != 0 {
		t.Errorf("%d turns, want 0: a noise is not a turn", s.Turns)
	}
}

func TestNotUnderstoodIsAskedAgainThenGivenUp(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.passages = hammers
	v.answers["hammers"] = "Hammers are in aisle 4."
	v.at(5*time.Second, workflows.Signal{Kind: workflows.Typed, Seq: 1, Text: "hammers"})
	v.at(12*time.Second, workflows.Signal{Kind: workflows.Typed, Seq: 2, Text: "purple"})
	v.at(16*time.Second, workflows.Signal{Kind: workflows.Typed, Seq: 3, Text: "elephants"})
	s := v.run()
	v.wantSaid("greet: Welcome.", "ask: What are you looking for?", "answer: Hammers are in aisle 4.",
		"more: Anything else?", "more: Please say yes or no.", "bye: Goodbye.")
	if s.Outcome != "resolved" || s.Turns != 3 {
		t.Errorf("outcome %q after %d turns, want resolved after 3", s.Outcome, s.Turns)
	}
}

func TestRepeatSaysTheLastPromptAgain(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.at(5*time.Second, workflows.Signal{Kind: workflows.Typed, Seq: 1, Text: "Pardon?"})
	v.run()
	v.wantSaid("greet: Welcome.", "ask: What are you looking for?", "ask: What are you looking for?",
		"ask: Are you still there?", "ask: I will be here.")
}

func TestWhoSpeaksBeforeTheQuestionIsNotAsked(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.passages = hammers
	v.answers["hammers please"] = "Hammers are in aisle 4."
	v.speaks(time.Second, 1, "hammers please") // over the greeting
	v.run()
	v.wantSaid("greet: Welcome.", "answer: Hammers are in aisle 4.", "more: Anything else?",
		"more: Are you still there?", "more: I will be here.")
}

// The voice reports the cut before the gateway's signals arrive; still nobody
// asks a question that the customer is already answering.
func TestWhoInterruptsIsAnsweredAndNotAsked(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.passages = hammers
	v.answers["nails"], v.answers["hammers"] = "Nails are in aisle 5.", "Hammers are in aisle 4."
	v.cut = map[int]bool{3: true}
	v.at(5*time.Second, workflows.Signal{Kind: workflows.Typed, Seq: 1, Text: "nails"})
	late := 7*time.Second + 300*time.Millisecond // the response began at 5.05 s and is reported cut at 7.05 s
	v.transcript[1] = "yes please"
	v.at(late, workflows.Signal{Kind: workflows.SpeechStarted, Utterance: 1})
	v.at(late, workflows.Signal{Kind: workflows.Interrupted, Response: 3, PlayedMs: 1000})
	v.run()
	if len(v.said) < 4 || v.said[3] != "ask: What are you looking for?" {
		t.Errorf("after the interruption the kiosk said %q; want it to take the answer to the question it had not asked", v.said)
	}
}

// made is what an earlier gateway had of a response.
var made = activities.Made{Segments: []int64{1200, 800}}

func TestAResponseFollowsItsKioskToAnotherGateway(t *testing.T) {
	gone := temporal.NewNonRetryableApplicationError("gone", activities.KindGone, nil, made)
	heard := &activities.Heard{PlayedMs: 1300, Made: made}
	// This environment cancels activities without asking them: what they tell then,
	// tests/e2e sees.
	for name, c := range map[string]struct {
		first  error // of the voice, after two seconds
		moves  time.Duration
		joined workflows.Signal
		want   *activities.Heard
	}{
		"it is cancelled":     {nil, 500 * time.Millisecond, workflows.Signal{Response: 1, PlayedMs: 1300}, &activities.Heard{PlayedMs: 1300}},
		"its gateway is gone": {gone, 2500 * time.Millisecond, workflows.Signal{Response: 1, PlayedMs: 1300}, heard},
		"nothing was heard":   {gone, 2500 * time.Millisecond, workflows.Signal{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVisit(t, shopPlan(t))
			v.lost = map[int]error{1: c.first}
			c.joined.Kind, c.joined.Gateway = workflows.Joined, "gw2:9000"
			v.at(c.moves, c.joined)
			told := 0
			for _, l := range v.run().Transcript {
				if l.Step == "greet" && !l.Cut {
					told++
				}
			}
			if told != 1 {
				t.Errorf("the transcript has it %d times", told)
			}
			again := v.spoke[1]
			if again.Place.Gateway != "gw2:9000" || again.Response != 1 || v.spoke[0].Text != again.Text || v.spoke[2].Response != 2 {
				t.Errorf("it went on as %+v", again)
			}
			if !reflect.DeepEqual(again.Heard, c.want) || v.spoke[2].Heard != nil {
				t.Errorf("heard %+v, then %+v; want %+v", again.Heard, v.spoke[2].Heard, c.want)
			}
		})
	}
}

// A gateway that was restarted at its address is another place.
func TestAResponseFollowsItsKioskToARestartedGateway(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.at(500*time.Millisecond, workflows.Signal{Kind: workflows.Joined, Stay: "2", Response: 1, PlayedMs: 700})
	v.run()
	if s := v.spoke[1]; s.Response != 1 || s.Place.Stay != "2" || s.Heard == nil {
		t.Errorf("it went on as %+v", s)
	}
}

func TestAnAnswerFollowsItsKiosk(t *testing.T) {
	const answer = "Hammers are in aisle 4. They cost 12 euros."
	for name, c := range map[string]struct {
		at        time.Duration // the kiosk moves; the answer is written and spoken from 6.55 s on
		generated int           // how often
		text      string        // that the second Speak is given
	}{
		"while it is written": {6700 * time.Millisecond, 2, ""},
		"once it is written":  {7500 * time.Millisecond, 1, answer},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVisit(t, shopPlan(t))
			v.answers["where are the hammers"], v.passages = answer, hammers
			v.speaks(5*time.Second, 1, "where are the hammers")
			v.at(c.at, workflows.Signal{Kind: workflows.Joined, Gateway: "gw2:9000", Response: 3, PlayedMs: 900})
			s := v.run()
			again := v.spoke[3]
			if again.Response != 3 || again.Text != c.text || again.Heard == nil || again.Heard.PlayedMs != 900 {
				t.Errorf("it went on as %+v", again)
			}
			if len(v.generated) != c.generated {
				t.Fatalf("generated %d times, want %d", len(v.generated), c.generated)
			}
			if g := v.generated[c.generated-1]; g.Response != 3 {
				t.Errorf("the model wrote response %d", g.Response)
			}
			told := 0
			for _, l := range s.Transcript {
				if l.Step == "answer" && l.Text == answer && !l.Cut {
					told++
				}
			}
			if told != 1 {
				t.Errorf("the transcript has the answer %d times: %+v", told, s.Transcript)
			}
		})
	}
}

// A gateway to which a kiosk comes while nothing is said learns how to listen.
func TestAGatewayLearnsHowToListen(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.at(5*time.Second, workflows.Signal{Kind: workflows.Joined, Gateway: "gw2:9000", Response: 2, PlayedMs: 2000})
	v.run()
	asked, told := v.spoke[1], v.spoke[2]
	if told.Heard == nil || !told.Heard.Whole || told.Place.Gateway != "gw2:9000" || !reflect.DeepEqual(told.Listening, asked.Listening) || told.Text != "" {
		t.Errorf("told %+v", told)
	}
}

// What the gateway that a kiosk has left still delivers does not bring it back.
func TestALateSignalDoesNotMoveTheKiosk(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.at(500*time.Millisecond, workflows.Signal{Kind: workflows.Joined, Gateway: "gw2:9000"})
	v.at(600*time.Millisecond, workflows.Signal{Kind: workflows.SpeechStarted, Utterance: 1})
	v.run()
	if last := v.spoke[len(v.spoke)-1]; last.Place.Gateway != "gw2:9000" {
		t.Errorf("spoken at %s", last.Place.Gateway)
	}
}

func TestAMessageSentTwiceIsHeardOnce(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.passages = hammers
	v.answers["hammers"] = "Hammers are in aisle 4."
	typed := workflows.Signal{Kind: workflows.Typed, Seq: 1, Text: "hammers"}
	v.at(5*time.Second, typed)
	v.at(5100*time.Millisecond, typed)
	v.at(6*time.Second, typed)
	s := v.run()
	if s.Turns != 1 {
		t.Errorf("%d turns, want 1", s.Turns)
	}
}

func TestASpeechSignalSentTwiceIsHeardOnce(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.passages = hammers
	v.answers["hammers"] = "Hammers are in aisle 4."
	v.speaks(5*time.Second, 1, "hammers")
	v.speaks(5100*time.Millisecond, 1, "hammers")
	v.speaks(8*time.Second, 1, "hammers")
	s := v.run()
	if s.Turns != 1 {
		t.Errorf("%d turns, want 1", s.Turns)
	}
}

func TestTheCustomerLeaves(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.at(5*time.Second, workflows.Signal{Kind: workflows.Left})
	started := v.env.Now()
	s := v.run()
	if took := v.env.Now().Sub(started); took != 5*time.Second {
		t.Errorf("it ended after %v, want at once, 5s", took)
	}
	if s.Outcome != workflows.OutcomeAbandoned {
		t.Errorf("outcome %q, want %q", s.Outcome, workflows.OutcomeAbandoned)
	}
	v.wantSaid("greet: Welcome.", "ask: What are you looking for?")
}

func TestFailuresAreCaughtByTheirName(t *testing.T) {
	permanent := func(kind string) error { return activities.Permanent(kind, errors.New("made to fail")) }
	for _, tc := range []struct {
		name, activity, kind, says, outcome string
	}{
		{"no answer in the passages", activities.Generate, activities.KindUngrounded, "no_answer: I do not know.", "abandoned"},
		{"the model is away", activities.Generate, activities.KindAway, "trouble: Something is wrong.", "abandoned"},
		{"the index is away", activities.Retrieve, activities.KindAway, "trouble: Something is wrong.", "abandoned"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newVisit(t, shopPlan(t))
			v.passages = hammers
			v.fail[tc.activity] = permanent(tc.kind)
			v.at(5*time.Second, workflows.Signal{Kind: workflows.Typed, Seq: 1, Text: "hammers"})
			s := v.run()
			if all := strings.Join(v.said, "\n"); !strings.Contains(all, tc.says) || s.Outcome != tc.outcome {
				t.Errorf("outcome %q; said\n%s\nwant %q and %q", s.Outcome, all, tc.outcome, tc.says)
			}
		})
	}
}

func TestASlowSearchIsCovered(t *testing.T) {
	v := newVisit(t, shopPlan(t, func(p *flow.Plan) {
		s := p.Steps["find"]
		s.Run.Cover = "rephrase"
		p.Steps["find"] = s
	}))
	v.passages = hammers
	v.searching = 3 * time.Second
	v.answers["hammers"] = "Hammers are in aisle 4."
	v.at(5*time.Second, workflows.Signal{Kind: workflows.Typed, Seq: 1, Text: "hammers"})
	v.run()
	v.wantSaid("greet: Welcome.", "ask: What are you looking for?", "find: Please say that differently.",
		"answer: Hammers are in aisle 4.", "more: Anything else?", "more: Are you still there?", "more: I will be here.")
}

func TestWhatNothingCatchesIsApologisedFor(t *testing.T) {
	v := newVisit(t, shopPlan(t, func(p *flow.Plan) {
		s := p.Steps["find"]
		s.Catch = nil
		p.Steps["find"] = s
	}))
	v.fail[activities.Retrieve] = activities.Permanent(activities.KindInvalid, errors.New("made to fail"))
	v.at(5*time.Second, workflows.Signal{Kind: workflows.Typed, Seq: 1, Text: "hammers"})
	s := v.run()
	v.wantSaid("greet: Welcome.", "ask: What are you looking for?",
		"find: I am sorry.")
	if s.Outcome != workflows.OutcomeFailed {
		t.Errorf("outcome %q, want %q", s.Outcome, workflows.OutcomeFailed)
	}
}

// The avatar waits for audio; a voice that fails must not leave it waiting, and
// the conversation with it.
func TestAVoiceThatFailsEndsIt(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.fail[activities.Speak] = activities.Permanent(activities.KindAway, errors.New("made to fail"))
	v.performing = 3 * time.Minute
	started := v.env.Now()
	s := v.run()
	if took := v.env.Now().Sub(started); s.Outcome != workflows.OutcomeFailed || took > 10*time.Second {
		t.Errorf("outcome %q after %v, want %q within seconds", s.Outcome, took, workflows.OutcomeFailed)
	}
}

func TestAnUtteranceThatCannotBeTranscribedIsAskedForAgain(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.fail[activities.Transcribe] = activities.Permanent(activities.KindInvalid, errors.New("made to fail"))
	v.speaks(5*time.Second, 1, "hammers")
	v.run()
	v.wantSaid("greet: Welcome.", "ask: What are you looking for?", "ask: Please type it.",
		"ask: Are you still there?", "ask: I will be here.")
}

func TestLimitsEndIt(t *testing.T) {
	v := newVisit(t, shopPlan(t, func(p *flow.Plan) { p.Limits.Turns = 1 }))
	v.passages = hammers
	v.answers["hammers"] = "Hammers are in aisle 4."
	v.at(5*time.Second, workflows.Signal{Kind: workflows.Typed, Seq: 1, Text: "hammers"})
	s := v.run()
	if s.Outcome != workflows.OutcomeLimit {
		t.Errorf("outcome %q, want %q", s.Outcome, workflows.OutcomeLimit)
	}
	if all := strings.Join(v.said, "\n"); !strings.Contains(all, "aisle 4") {
		t.Errorf("the last question was not answered:\n%s", all)
	}
}

func TestAPlanOfAnotherInterpreterIsRefused(t *testing.T) {
	v := newVisit(t, shopPlan(t, func(p *flow.Plan) { p.Interpreter = 99 }))
	v.at(0, workflows.Signal{Kind: workflows.Joined})
	v.env.ExecuteWorkflow(workflows.ConversationType, workflows.Visit{Store: "st", Kiosk: "k1", Plan: v.plan})
	var app *temporal.ApplicationError
	if err := v.env.GetWorkflowError(); !errors.As(err, &app) || !strings.Contains(app.Message(), "needs interpreter 99") || !app.NonRetryable() {
		t.Errorf("error %v, want a final one that names the interpreter", err)
	}
}

func TestContinuesAsNewWithoutLosingAnything(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.passages = hammers
	v.answers["hammers"] = "Hammers are in aisle 4."
	v.env.SetContinueAsNewSuggested(true)
	v.at(0, workflows.Signal{Kind: workflows.Joined})
	v.at(500*time.Millisecond, workflows.Signal{Kind: workflows.Typed, Seq: 7, Text: "hammers"})
	v.env.ExecuteWorkflow(workflows.ConversationType, workflows.Visit{Store: "st", Kiosk: "k1", Plan: v.plan})
	var again *workflow.ContinueAsNewError
	if err := v.env.GetWorkflowError(); !errors.As(err, &again) {
		t.Fatalf("error %v, want continue-as-new", err)
	}
	var next workflows.Visit
	if err := converterFrom(again, &next); err != nil {
		t.Fatal(err)
	}
	if s := next.State; s == nil || s.Stack[0].Step != "ask" || len(s.Inbox) != 1 || s.Inbox[0].Text != "hammers" || s.Seen != 7 || s.Responses != 1 {
		t.Fatalf("state carried over: %+v", next.State)
	}

	// The next run answers what was typed in the one before, and nothing twice.
	w := newVisit(t, v.plan)
	w.passages, w.answers = v.passages, v.answers
	w.at(time.Second, workflows.Signal{Kind: workflows.Typed, Seq: 7, Text: "hammers"})
	w.env.ExecuteWorkflow(workflows.ConversationType, next)
	var s workflows.Summary
	if err := w.env.GetWorkflowResult(&s); err != nil {
		t.Fatal(err)
	}
	w.wantSaid("answer: Hammers are in aisle 4.", "more: Anything else?", "more: Are you still there?", "more: I will be here.")
	if s.Turns != 1 || s.Transcript[0].Text != "Welcome." {
		t.Errorf("summary %+v", s)
	}
}

// Who leaves while a long conversation is about to continue as new has left.
func TestWhoLeavesBetweenTwoRunsHasLeft(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.env.SetContinueAsNewSuggested(true)
	v.speaks(time.Second, 1, "hammers") // the transcript of which the next run waits for
	v.at(2200*time.Millisecond, workflows.Signal{Kind: workflows.Left})
	if s := v.run(); s.Outcome != workflows.OutcomeAbandoned {
		t.Errorf("outcome %q, want %q", s.Outcome, workflows.OutcomeAbandoned)
	}
}

// A noise over the greeting is no answer to the question that follows.
func TestAfterANoiseTheQuestionIsAsked(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.speaks(time.Second, 1, "")
	v.run()
	v.wantSaid("greet: Welcome.", "ask: What are you looking for?", "ask: Are you still there?", "ask: I will be here.")
}

func TestSensitiveAnswersAreMasked(t *testing.T) {
	v := newVisit(t, shopPlan(t, func(p *flow.Plan) {
		s := p.Slots["question"]
		s.Sensitive = true
		p.Slots["question"] = s
	}))
	v.at(5*time.Second, workflows.Signal{Kind: workflows.Typed, Seq: 1, Text: "my number is 0151"})
	v.env.RegisterDelayedCallback(func() {
		value, err := v.env.QueryWorkflow(workflows.StatusQuery)
		if err != nil {
			t.Error(err)
			return
		}
		var s workflows.Status
		if err := value.Get(&s); err != nil {
			t.Error(err)
			return
		}
		if all := fmt.Sprint(s); strings.Contains(all, "0151") {
			t.Errorf("status shows what the customer said of themselves: %s", all)
		}
	}, 8*time.Second)
	v.run()
}
