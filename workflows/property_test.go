package workflows_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/tests/flowgen"
	"github.com/praesenz/parley/workflows"
)

// Whatever valid flow, and whatever its customer does and its servers fail at:
// the conversation ends by itself, within its limits, never spins and never
// breaks. Whatever is said is answered once, however often its speaker pauses,
// and nothing is done for half a sentence.
func TestEveryConversationEnds(t *testing.T) {
	seeds := uint64(150)
	if testing.Short() {
		seeds = 50
	}
	outcomes, verbs, turns, runs := map[string]int{}, map[string]int{}, map[string]int{}, 0
	for seed := range seeds {
		r := rehearse(t, seed)
		plan := r.plan
		sum, err := r.hold()
		if err != nil {
			t.Errorf("seed %d: %v\n%s", seed, err, strings.Join(r.story, "\n"))
			continue
		}
		outcomes[sum.Outcome]++
		runs += r.runs
		for what, n := range r.turns {
			turns[what] += n
		}
		for _, fault := range r.answeredOnce(sum) {
			t.Errorf("seed %d: %s\n%s", seed, fault, strings.Join(r.story, "\n"))
		}
		for way, n := range sum.Taken {
			name, _, _ := strings.Cut(way, ">")
			if step, ok := plan.Steps[strings.TrimPrefix(name, plan.Flow+"/")]; ok {
				verbs[step.Verb()] += n
			}
		}
		if limit := plan.Limits.Turns; sum.Turns > limit {
			t.Errorf("seed %d: %d turns, want at most %d", seed, sum.Turns, limit)
		}
		if ended := strings.Count(fmt.Sprint(sum.Taken), ">end>"); ended == 0 && (sum.Outcome == "resolved" || sum.Outcome == "unresolved") {
			t.Errorf("seed %d: outcome %q, but no end was taken: %v", seed, sum.Outcome, sum.Taken)
		}
	}
	t.Logf("%d conversations in %d runs: %v; steps taken: %v; utterances: %v", seeds, runs, outcomes, verbs, turns)
	for _, what := range []string{"continued", "joined", "committed", "called"} {
		if turns[what] == 0 {
			t.Errorf("nothing was %s; nothing is proven of it", what)
		}
	}
	for _, verb := range []string{"say", "collect", "retrieve", "generate", "call", "set", "branch", "run_flow", "parallel", "wait", "handoff", "end"} {
		if verbs[verb] == 0 {
			t.Errorf("no conversation came through a %s; nothing is proven of it", verb)
		}
	}
}

// A rehearsal is a conversation on virtual time with a customer and servers that
// do anything at any time.
//
// The customer has dice of their own, and so has each activity, by its id, so
// that a seed is the same conversation every time.
type rehearsal struct {
	plan flow.Plan
	seed uint64
	dice
	runs   int
	doubts bool // whether the gateway's signals arrived, so that it sends them again before others

	signals int

	mu    sync.Mutex // activities run beside each other
	story []string
	delay map[string]dice // by activity

	env       *testsuite.TestWorkflowEnvironment
	state     *workflows.State
	steps     int // of all flows of the plan
	taken     int // ways, when the conversation waited last
	spins     error
	seq       int64
	utterance int
	session   int
	gateway   int
	gone      bool // the customer has left, or will do nothing more

	// What the gateway knows of what was said, under mu.
	hotwords bool // the plan has responses that only a hotword cuts
	said     []*uttered
	turns    map[string]int // what became of it
	fault    string
}

// An uttered is an utterance as its gateway knows it. Its transcript's confidence
// tells it from all others.
type uttered struct {
	number, session, gateway, continues int
	committed                           bool // the customer has said all of it
	void                                bool // they have gone on with it, or what followed it joined it
	heard                               bool // something of its answer
	transcribed                         bool // as words
	aside                               bool // it may have been said over a response that only a hotword cuts
	sure                                float64
	joins, before                       *uttered // which it was one answer with
}

// rehearse makes the conversation of a seed.
func rehearse(t *testing.T, seed uint64) *rehearsal {
	t.Helper()
	plan, err := flowgen.Plan(seed)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	return &rehearsal{
		hotwords: bytes.Contains(text, []byte(`"hotword"`)), plan: *plan, seed: seed,
		dice: roll(seed, "customer"), delay: map[string]dice{}, turns: map[string]int{},
	}
}

// hold lets the conversation run to its end, through all its runs.
func (r *rehearsal) hold() (workflows.Summary, error) {
	r.steps = len(r.plan.Steps)
	for _, p := range r.plan.Flows {
		r.steps += len(p.Steps)
	}
	visit := workflows.Visit{Store: "st", Kiosk: "k", Plan: r.plan, Inputs: map[string]any{"store": "st"}, TimeZone: "Europe/Berlin"}
	var virtual time.Duration
	for {
		r.runs++
		r.prepare()
		started := r.env.Now()
		r.env.ExecuteWorkflow(workflows.ConversationType, visit)
		virtual += r.env.Now().Sub(started)
		if !r.env.IsWorkflowCompleted() {
			return workflows.Summary{}, errors.New("the conversation has not ended")
		}
		if r.spins != nil {
			return workflows.Summary{}, r.spins
		}
		err := r.env.GetWorkflowError()
		var again *workflow.ContinueAsNewError
		if errors.As(err, &again) {
			visit = workflows.Visit{}
			if err := converterFrom(again, &visit); err != nil {
				return workflows.Summary{}, err
			}
			continue
		}
		if err != nil {
			return workflows.Summary{}, err
		}
		// A question is asked until the limit; what follows the last one is bounded by
		// the visits of the steps that wait, two minutes at most each.
		limit := r.plan.Limits.Duration.D() + time.Duration(r.steps*r.plan.Limits.VisitsPerStep)*2*time.Minute
		if virtual > limit {
			return workflows.Summary{}, fmt.Errorf("it took %v, want at most %v", virtual, limit)
		}
		var sum workflows.Summary
		return sum, r.env.GetWorkflowResult(&sum)
	}
}

func (r *rehearsal) tell(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.story = append(r.story, r.env.Now().Format("04:05.000 ")+fmt.Sprintf(format, args...))
}

// dice are a source of chance.
type dice struct{ *rand.Rand }

func roll(seed uint64, what string) dice {
	h := fnv.New64a()
	h.Write([]byte(what))
	return dice{rand.New(rand.NewPCG(seed, h.Sum64()))}
}

func (d dice) chance(percent int) bool    { return d.IntN(100) < percent }
func (d dice) pick(from ...string) string { return from[d.IntN(len(from))] }

// prepare sets one run up.
func (r *rehearsal) prepare() {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	r.env = suite.NewTestWorkflowEnvironment()
	r.env.SetTestTimeout(30 * time.Second)
	r.env.RegisterWorkflowWithOptions(workflows.Watched(func(s *workflows.State) { r.state = s }), workflow.RegisterOptions{Name: workflows.ConversationType})
	r.taken = -1
	r.env.SetOnTimerScheduledListener(func(string, time.Duration) { r.waits() })
	r.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		r.waits()
		if info.ActivityType.Name == activities.Call {
			r.calls()
		}
	})

	var answer []func() // the environment wants every activity registered before the first is answered for
	mocked(r, &answer, activities.Transcribe, 2000, func(in activities.TranscribeInput, d dice) (activities.TranscribeResult, error) {
		out := activities.TranscribeResult{Utterance: in.Utterance, Text: d.words()}
		if d.chance(15) {
			out.Text = ""
		}
		r.verdict(&out, in)
		return out, nil
	})
	mocked(r, &answer, activities.Retrieve, 5000, func(_ activities.RetrieveInput, d dice) (activities.RetrieveResult, error) {
		return activities.RetrieveResult{Passages: []activities.Passage{{ID: "1", Text: "Kettles are in aisle 4.", Score: d.Float64()}}[:d.IntN(2)]}, nil
	})
	mocked(r, &answer, activities.Generate, 4000, func(in activities.GenerateInput, d dice) (activities.GenerateResult, error) {
		return activities.GenerateResult{Text: "An answer.", Value: map[string]any{"left": d.IntN(3)}}, nil
	})
	mocked(r, &answer, activities.Understand, 4000, func(in activities.UnderstandInput, d dice) (activities.UnderstandResult, error) {
		var out activities.UnderstandResult
		if len(in.Intents) > 0 && d.chance(30) {
			out.Intent = in.Intents[d.IntN(len(in.Intents))].Name
		} else if len(in.Slots) > 0 {
			out.Values = map[string]any{in.Slots[d.IntN(len(in.Slots))].Name: d.words()}
		}
		return out, nil
	})
	mocked(r, &answer, activities.Call, 6000, func(in activities.CallInput, d dice) (activities.CallResult, error) {
		if in.Action == "shop.look" {
			return activities.CallResult{Value: map[string]any{"left": d.IntN(3)}}, nil
		}
		if d.chance(20) {
			return activities.CallResult{}, activities.Permanent("sold_out", errors.New("made to fail"))
		}
		return activities.CallResult{Value: "A17"}, nil
	})
	mocked(r, &answer, activities.Speak, 4000, func(in activities.SpeakInput, d dice) (activities.SpeakResult, error) {
		r.tell("kiosk at %s: %s", in.Step, in.Text)
		out := activities.SpeakResult{Response: in.Response, Text: in.Text, Heard: in.Text}
		if d.chance(15) || !r.opens(in.After) {
			out.Heard, out.Interrupted = "", true
		} else {
			out.PlayedMs = 500
		}
		return out, nil
	})
	mocked(r, &answer, activities.Perform, 60_000, func(activities.PerformInput, dice) (activities.PerformResult, error) {
		return activities.PerformResult{}, nil
	})
	for _, f := range answer {
		f()
	}
	r.env.RegisterDelayedCallback(r.join, 0)
	r.env.RegisterDelayedCallback(r.act, time.Duration(r.IntN(5000))*time.Millisecond)
}

// mocked answers for an activity, which takes up to some milliseconds and
// sometimes fails.
func mocked[In, Out any](r *rehearsal, answer *[]func(), name string, upToMs int, do func(In, dice) (Out, error)) {
	f := func(context.Context, In) (Out, error) { var none Out; return none, nil }
	r.env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	*answer = append(*answer, func() {
		r.env.OnActivity(name, mock.Anything, mock.Anything).Return(func(ctx context.Context, in In) (Out, error) {
			d := roll(r.seed, fmt.Sprint(r.runs, activity.GetInfo(ctx).ActivityID))
			if d.chance(4) {
				var none Out
				kind := d.pick(activities.KindTimeout, activities.KindAway, activities.KindInvalid, activities.KindRefused, activities.KindUngrounded, activities.KindGone)
				r.tell("%s fails: %s", name, kind)
				return none, activities.Permanent(kind, errors.New("made to fail"))
			}
			return do(in, d)
		}).AfterFn(func() time.Duration {
			r.mu.Lock()
			defer r.mu.Unlock()
			if _, ok := r.delay[name]; !ok {
				r.delay[name] = roll(r.seed, name)
			}
			return time.Duration(r.delay[name].IntN(upToMs)) * time.Millisecond
		})
	})
}

// waits is told whenever the conversation has begun to wait for something. Since
// it waited last it has taken each step once at most, but for those that were
// taken while something else was waited for.
func (r *rehearsal) waits() {
	total := 0
	for _, n := range r.state.Taken {
		total += n
	}
	if r.taken >= 0 && total-r.taken > 2*r.steps && r.spins == nil {
		r.spins = fmt.Errorf("%d steps between two waits; the plan has %d: it spins", total-r.taken, r.steps)
	}
	r.taken = total
}

func (r *rehearsal) signal(s workflows.Signal) {
	s.Gateway, s.Session = fmt.Sprintf("gw%d:9000", r.gateway), fmt.Sprintf("s%d", r.session)
	r.signals++
	if !r.doubts {
		r.env.SignalWorkflow(workflows.KioskSignal, s)
		return
	}
	if s.Kind == workflows.SpeechStarted {
		s.Seq = 0 // as of speech that the gateway itself detects
	}
	again := func() { r.env.SignalWorkflow(workflows.KioskSignal, s) }
	again()
	again()
	number := r.signals
	r.env.RegisterDelayedCallback(func() {
		if r.signals == number {
			again()
		}
	}, time.Duration(1+number%7)*300*time.Millisecond)
}

func (r *rehearsal) join() {
	r.signal(workflows.Signal{Kind: workflows.Joined, Language: r.pick("", "en", "de", "xx")})
}

// act lets the customer, or the world, do something, and again a little later.
func (r *rehearsal) act() {
	if r.gone {
		return
	}
	r.seq++
	switch n := r.IntN(100); {
	case n < 30:
		text := r.words()
		r.tell("customer types %q", text)
		r.signal(workflows.Signal{Kind: workflows.Typed, Seq: r.seq, Text: text})
	case n < 45:
		text := r.pick("true", "false", "red", "de", "cancel", "nonsense")
		r.tell("customer touches %q", text)
		r.signal(workflows.Signal{Kind: workflows.Touched, Seq: r.seq, Text: text})
	case n < 70:
		r.speak()
		if r.chance(40) {
			r.signal(workflows.Signal{Kind: workflows.Interrupted, Response: r.state.Responses, PlayedMs: 300})
		}
	case n < 76:
		r.env.SignalWorkflow(workflows.EventSignal, workflows.Event{Name: r.pick("called", "ready", "other"), Data: map[string]any{"desk": 3}})
	case n < 84:
		r.staff()
	case n < 87:
		if r.chance(50) {
			r.session++
			r.seq, r.utterance = 0, 0
		} else {
			r.gateway++
			r.utterance += 100 // a gateway counts on where no other can have come to
		}
		r.tell("kiosk comes back")
		r.join()
	case n < 89:
		r.tell("customer leaves")
		r.signal(workflows.Signal{Kind: workflows.Left, Seq: r.seq})
		r.gone = true
	case n < 91:
		r.tell("customer falls silent for good")
		r.gone = true
	case n < 93:
		r.env.SetContinueAsNewSuggested(true)
	}
	r.env.RegisterDelayedCallback(r.act, time.Duration(50+r.IntN(8000))*time.Millisecond)
}

// speak lets the customer begin to speak, or go on with what they have not
// finished. It is committed a while later, unless they go on once more.
func (r *rehearsal) speak() {
	r.utterance++
	r.seq++
	u := &uttered{number: r.utterance, session: r.session, gateway: r.gateway, sure: r.Float64(), aside: r.hotwords}
	r.mu.Lock()
	if last := r.last(); last != nil && last.number == u.number-1 && !last.committed {
		u.continues, u.before, last.void = last.number, last, true
		r.turns["continued"]++
	}
	r.said = append(r.said, u)
	r.mu.Unlock()
	r.tell("customer speaks, utterance %d/%d continues %d", u.session, u.number, u.continues)
	r.signal(workflows.Signal{Kind: workflows.SpeechStarted, Seq: r.seq, Utterance: u.number, Continues: u.continues})
	r.env.RegisterDelayedCallback(func() { r.commit(u) }, time.Duration(100+r.IntN(4000))*time.Millisecond)
	if r.chance(50) {
		r.env.RegisterDelayedCallback(func() {
			if !r.gone && r.here(u) && u.number == r.utterance {
				r.speak()
			}
		}, time.Duration(50+r.IntN(5000))*time.Millisecond)
	}
}

// commit says that an utterance was all, unless it was not. Of one that was heard
// elsewhere nobody knows.
func (r *rehearsal) commit(u *uttered) {
	r.mu.Lock()
	over := u.void || !r.here(u)
	if !over {
		u.committed = true
		r.turns["committed"]++
	}
	r.mu.Unlock()
	if !over {
		r.tell("utterance %d is all", u.number)
		r.signal(workflows.Signal{Kind: workflows.Committed, Utterance: u.number})
	}
}

// last is the utterance that this gateway heard last.
func (r *rehearsal) last() *uttered {
	if n := len(r.said); n > 0 && r.here(r.said[n-1]) {
		return r.said[n-1]
	}
	return nil
}

// here says whether an utterance was heard where the kiosk is now.
func (r *rehearsal) here(u *uttered) bool { return u.session == r.session && u.gateway == r.gateway }

// uttered finds an utterance that this gateway has heard.
func (r *rehearsal) uttered(number int) *uttered {
	for _, u := range r.said {
		if r.here(u) && u.number == number {
			return u
		}
	}
	return nil
}

// verdict is what the gateway makes of a transcript.
func (r *rehearsal) verdict(out *activities.TranscribeResult, in activities.TranscribeInput) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.uttered(in.Utterance)
	if u == nil {
		out.Text, out.NoSpeech = "", true // the kiosk has gone elsewhere with its audio
		return
	}
	out.Confidence, out.Open, out.NoSpeech = u.sure, !u.committed, out.Text == ""
	if out.NoSpeech {
		return
	}
	u.transcribed = true
	if first := r.uttered(cmp.Or(in.Since, in.Utterance) - 1); first != nil && first.transcribed && !first.heard && !first.void {
		out.Joins, first.void, u.joins = first.number, true, first
		r.turns["joined"]++
	}
}

// opens says whether a response can be heard now that answers an utterance.
func (r *rehearsal) opens(after int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.uttered(after)
	if u == nil {
		return true // it answers nothing that could go on
	}
	if !u.committed || u.void {
		return false
	}
	u.heard = true
	return true
}

// calls is told whenever a service is about to be called.
func (r *rehearsal) calls() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turns["called"]++
	u := r.last()
	if u != nil && !u.committed && u.transcribed && slices.ContainsFunc(r.state.Transcript, func(l workflows.Line) bool { return l.Confidence == u.sure }) {
		r.fault = fmt.Sprintf("a service was called before utterance %d was all", u.number)
	}
}

// answeredOnce holds a conversation's transcript against what was said.
func (r *rehearsal) answeredOnce(sum workflows.Summary) (faults []string) {
	if r.fault != "" {
		faults = append(faults, r.fault)
	}
	times := map[float64]int{}
	for _, line := range sum.Transcript {
		if line.How == workflows.Spoken && line.Confidence > 0 {
			times[line.Confidence]++
		}
	}
	for _, u := range r.said {
		waits := slices.ContainsFunc(r.state.Inbox, func(in *workflows.Input) bool { // when the conversation ended
			return in.Place.Session == fmt.Sprintf("s%d", u.session) && in.Utterance >= u.number
		})
		if u.transcribed && !u.void && !u.aside && !waits && !u.answered(times) {
			faults = append(faults, fmt.Sprintf("utterance %d/%d was lost", u.session, u.number))
		}
		if times[u.sure] > 1 {
			faults = append(faults, fmt.Sprintf("utterance %d/%d was answered %d times", u.session, u.number, times[u.sure]))
		}
		if next := r.next(u); next != nil && next.transcribed && times[u.sure] > 0 && times[next.sure] > 0 {
			faults = append(faults, fmt.Sprintf("utterance %d/%d was answered, and its continuation too", u.session, u.number))
		}
	}
	return faults
}

// answered says whether an utterance is in the transcript: by itself, or in one
// line with what it joined or went on with, which is as sure as the least sure.
func (u *uttered) answered(times map[float64]int) bool {
	return u != nil && (times[u.sure] > 0 || u.joins.answered(times) || u.before.answered(times))
}

// next is the utterance that goes on with another.
func (r *rehearsal) next(u *uttered) *uttered {
	for _, v := range r.said {
		if v.session == u.session && v.continues == u.number {
			return v
		}
	}
	return nil
}

// staff answers a call for them, now and then one that nobody made.
func (r *rehearsal) staff() {
	answer := workflows.HandoffAnswer{ID: "none", Accept: r.chance(50), By: "Ann"}
	value, err := r.env.QueryWorkflow(workflows.StatusQuery)
	var status workflows.Status
	if err == nil && value.Get(&status) == nil && status.Handoff != nil && r.chance(80) {
		answer.ID = status.Handoff.ID
	}
	r.env.UpdateWorkflow(workflows.HandoffUpdate, fmt.Sprint(r.seq, r.session), &testsuite.TestUpdateCallback{
		OnAccept:   func() { r.tell("staff answers %s", answer.ID) },
		OnReject:   func(err error) {},
		OnComplete: func(any, error) {},
	}, answer)
}

// words are something that a customer says.
func (d dice) words() string {
	return d.pick(
		"yes", "no", "no, twelve", "twelve", "3", "red", "crimson please", "German", "auf Deutsch bitte", "in English please",
		"Ada", "my name is Grace", "plus four nine one five one two three four five six seven", "tomorrow", "half past three",
		"twelve fifty", "A B 1 2", "cancel", "a human please", "repeat that", "jump", "something else", "hours", "the way",
		"no, I meant five", "actually Bob", "where are the kettles", "blah blah purple", "stop", "stop it please", "",
	)
}
