package workflows

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
)

// Conversation holds one visit at one kiosk: it walks through the plan's steps,
// speaking and listening, until a step ends it, the customer leaves or a limit
// is reached. Sound never enters its history: a signal says only where the
// gateway keeps it.
func Conversation(ctx workflow.Context, v Visit) (Summary, error) { return converse(ctx, v, nil) }

// Watched is Conversation for rehearsals, which may see what Status masks: watch
// is told the live State as each run begins, to be read between its steps.
func Watched(watch func(*State)) func(workflow.Context, Visit) (Summary, error) {
	return func(ctx workflow.Context, v Visit) (Summary, error) { return converse(ctx, v, watch) }
}

func converse(ctx workflow.Context, v Visit, watch func(*State)) (Summary, error) {
	c, err := begin(ctx, v)
	if err != nil {
		return Summary{}, temporal.NewNonRetryableApplicationError(err.Error(), activities.KindInvalid, err)
	}
	if watch != nil {
		watch(&c.State)
	}
	if err := workflow.SetQueryHandler(ctx, StatusQuery, c.status); err != nil {
		return Summary{}, err
	}
	validate := workflow.UpdateHandlerOptions{Validator: c.answerable}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, HandoffUpdate, c.answer, validate); err != nil {
		return Summary{}, err
	}
	workflow.Go(ctx, c.listen) // moves signals into the state; decides nothing
	if err := workflow.Await(ctx, func() bool { return c.Place.Session != "" }); err != nil {
		return Summary{}, err
	}
	workflow.Go(ctx, c.animate)
	workflow.Go(ctx, c.attend)

	for c.Outcome == "" {
		c.goBack()
		if c.beyond(ctx) {
			c.giveUp(ctx, OutcomeLimit)
			continue
		}
		c.publish(ctx)
		err := c.takeStep(ctx)
		switch {
		case ctx.Err() != nil:
			return c.close(ctx), ctx.Err() // an operator cancelled it
		case c.left != "":
			c.Outcome = OutcomeAbandoned
		case c.back != nil:
			continue // whatever came of it
		case errors.Is(err, errHeardEnough):
			c.giveUp(ctx, OutcomeLimit)
		case err != nil && !c.unwind(ctx, err):
			workflow.GetLogger(ctx).Error("step failed", "step", c.frame().Step, "error", err)
			c.giveUp(ctx, OutcomeFailed)
		}
		if c.Outcome == "" && c.tooLong(ctx) {
			c.settle(ctx)
			if c.back != nil || ctx.Err() != nil {
				continue
			}
			if c.left == "" {
				// A new run carries its state and no history, so it may begin on the build
				// that is current: a long conversation is not kept on old code for ever.
				return Summary{}, workflow.NewContinueAsNewErrorWithOptions(ctx, workflow.ContinueAsNewErrorOptions{
					InitialVersioningBehavior: workflow.ContinueAsNewVersioningBehaviorAutoUpgrade,
				}, ConversationType, c.next())
			}
			c.Outcome = OutcomeAbandoned
		}
	}
	return c.close(ctx), nil
}

// takeStep does the current step and goes on to the next. A customer who leaves
// cancels it, which is a normal ending and not a failure.
func (c *conversation) takeStep(ctx workflow.Context) error {
	ctx, c.hush = workflow.WithCancel(ctx)
	defer c.hush()
	if c.left != "" {
		return errLeft
	}
	f, step := c.frame(), c.step()
	if q := c.reopened; q != nil {
		c.reopened = nil
		r, err := c.pursue(ctx, q)
		return c.conclude(ctx, r.on, r.gone, err)
	}
	resumed := f.Resume != nil
	if resumed {
		then, err := c.resume(ctx)
		if err != nil || then != "" {
			f.Step = cmp.Or(then, f.Step)
			return err
		}
	} else {
		f.Visits[f.Step]++
	}
	j := job{Step: step, name: f.Step, visit: f.Visits[f.Step]}
	on, gone := way{"next", step.Next}, false
	var err error
	if step.Call != nil || step.Wait != nil || step.Parallel != nil || step.Handoff != nil {
		err = c.commit(ctx)
	}
	switch {
	case err != nil:
	case step.Say != nil:
		err = c.say(ctx, *step.Say)
	case step.Collect != nil:
		var r reply
		r, err = c.collect(ctx, *step.Collect, resumed)
		on, gone = r.on, r.gone
	case step.Branch != nil:
		on, err = c.branch(step.Branch)
	case step.RunFlow != nil:
		err, gone = c.runFlow(*step.RunFlow), true
	case step.Parallel != nil:
		err = c.parallel(ctx, j)
	case step.Handoff != nil:
		on, err = c.handoff(ctx, j)
	case step.End != nil:
		err, gone = c.end(ctx, *step.End), true
	default:
		err = c.work(ctx, j)
	}
	return c.conclude(ctx, on, gone, err)
}

// conclude goes on from a step that was taken: where its failure leads, when
// that is caught, or on its way, unless another flow has the floor by now.
func (c *conversation) conclude(ctx workflow.Context, on way, gone bool, err error) error {
	if err != nil {
		if c.left != "" || ctx.Err() != nil || errors.Is(err, errHeardEnough) {
			return err
		}
		var ok bool
		if on, ok = caught(c.step().Catch, kindOf(err)); !ok {
			return err
		}
		workflow.GetLogger(ctx).Info("step caught", "step", c.frame().Step, "to", on.to, "error", err)
	} else if gone {
		return nil
	}
	c.follow(on)
	return nil
}

// resume goes on where a digression has interrupted the flow under way, or at the
// step that the author wants next, which it gives.
func (c *conversation) resume(ctx workflow.Context) (then string, err error) {
	f := c.frame()
	r := f.Resume
	f.Resume = nil
	if r.Say != "" {
		err = c.sayOf(ctx, r.Outer, r.Say)
	}
	return r.Then, err
}

// kindOf names a failure as a flow's author does.
func kindOf(err error) string {
	var app *temporal.ApplicationError
	var timeout *temporal.TimeoutError
	switch {
	case errors.As(err, &app):
		return app.Type()
	case errors.As(err, &timeout):
		return activities.KindTimeout
	}
	return "error"
}

// beyond says whether the step about to be taken is beyond a limit of the flow.
func (c *conversation) beyond(ctx workflow.Context) bool {
	f, limit := c.frame(), c.root.Limits.VisitsPerStep
	if c.reopened != nil {
		return false // it was not when the question was asked
	}
	return limit > 0 && f.Resume == nil && f.Visits[f.Step] >= limit ||
		c.step().Collect != nil && c.heardEnough(ctx)
}

// heardEnough says whether the customer may not be asked once more. What they
// said last is still answered.
func (c *conversation) heardEnough(ctx workflow.Context) bool {
	limits := c.root.Limits
	return limits.Turns > 0 && c.Turns >= limits.Turns ||
		limits.Duration > 0 && workflow.Now(ctx).Sub(c.Started) > limits.Duration.D()
}

// giveUp says why, as far as that is still possible, and ends the conversation:
// a customer is never left in silence. One who has not finished the sentence
// that it comes of is heard out first.
func (c *conversation) giveUp(ctx workflow.Context, outcome string) {
	if err := c.commit(ctx); errors.Is(err, errVoid) {
		return
	}
	c.Outcome = outcome
	key := flow.PromptApology
	if outcome == OutcomeLimit {
		key = flow.PromptLimit
	}
	text, err := c.prompt(key, nil)
	if err == nil {
		_, err = c.speak(ctx, utterance{text: text, bargeIn: flow.BargeIn{Mode: "none"}})
	}
	if err != nil {
		workflow.GetLogger(ctx).Error("last words not spoken", "step", c.frame().Step, "error", err)
	}
}

// tooLong says whether the history has grown enough to continue as new.
func (c *conversation) tooLong(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	return info.GetContinueAsNewSuggested() ||
		c.visit.ContinueAfter > 0 && info.GetCurrentHistoryLength() >= c.visit.ContinueAfter
}

// settle waits until nothing is under way that a new run could not go on with:
// nothing is answered that may be taken back, each utterance has its transcript,
// and every signal that Temporal holds is in the state. The avatar is started
// anew by the next run.
func (c *conversation) settle(ctx workflow.Context) {
	if c.commit(ctx) != nil {
		return
	}
	for ctx.Err() == nil {
		_ = workflow.Await(ctx, func() bool { return c.transcribing == 0 }) // bounded by Transcribe's own time limits
		c.drain(ctx)
		if c.transcribing == 0 {
			return
		}
	}
}

// close records how it ended and gives the result.
func (c *conversation) close(ctx workflow.Context) Summary {
	if c.Outcome == "" {
		c.Outcome = OutcomeCancelled
	}
	c.publish(ctx)
	return Summary{Outcome: c.Outcome, Turns: c.Turns, Language: c.Language, Transcript: c.Transcript, Taken: c.Taken}
}

// drain takes in what has arrived but what no coroutine has received yet; what
// stayed in the channels would be lost by continuing as new.
func (c *conversation) drain(ctx workflow.Context) {
	signals, events := workflow.GetSignalChannel(ctx, KioskSignal), workflow.GetSignalChannel(ctx, EventSignal)
	for {
		var s Signal
		if !signals.ReceiveAsync(&s) {
			break
		}
		c.take(ctx, s)
	}
	for {
		var e Event
		if !events.ReceiveAsync(&e) {
			return
		}
		c.note(ctx, e)
	}
}

// listen takes in whatever the gateway and other systems tell, each in its order,
// for as long as the conversation lasts.
func (c *conversation) listen(ctx workflow.Context) {
	selector := workflow.NewSelector(ctx)
	selector.AddReceive(workflow.GetSignalChannel(ctx, KioskSignal), func(signals workflow.ReceiveChannel, _ bool) {
		var s Signal
		signals.Receive(ctx, &s)
		c.take(ctx, s)
	})
	selector.AddReceive(workflow.GetSignalChannel(ctx, EventSignal), func(events workflow.ReceiveChannel, _ bool) {
		var e Event
		events.Receive(ctx, &e)
		c.note(ctx, e)
	})
	for ctx.Err() == nil {
		selector.Select(ctx)
	}
}

// note keeps an event for the `wait` that is or will be waiting for it, the last
// of each name; what no step of any flow waits for is dropped.
func (c *conversation) note(ctx workflow.Context, e Event) {
	if !c.awaited(e.Name) {
		workflow.GetLogger(ctx).Warn("event that no step waits for dropped", "event", e.Name)
		return
	}
	if c.Events == nil {
		c.Events = map[string]Event{}
	}
	c.Events[e.Name] = e
}

// awaited says whether a step of the conversation's flows waits for an event.
func (c *conversation) awaited(name string) bool {
	if waitsFor(c.root, name) {
		return true
	}
	return slices.ContainsFunc(workflow.DeterministicKeys(c.root.Flows), func(key string) bool { return waitsFor(c.root.Flows[key], name) })
}

func waitsFor(p flow.Plan, name string) bool {
	for _, key := range workflow.DeterministicKeys(p.Steps) {
		step := p.Steps[key]
		if step.Wait != nil && step.Wait.Signal == name {
			return true
		}
		if step.Parallel == nil {
			continue
		}
		for _, branch := range step.Parallel.Branches {
			if slices.ContainsFunc(branch.Steps, func(s flow.Step) bool { return s.Wait != nil && s.Wait.Signal == name }) {
				return true
			}
		}
	}
	return false
}

// take records one signal. What the kiosk sent twice is dropped.
func (c *conversation) take(ctx workflow.Context, s Signal) {
	if s.Session == "" || s.Gateway == "" {
		workflow.GetLogger(ctx).Warn("signal without session or gateway dropped", "kind", s.Kind)
		return
	}
	if s.Kind == Left && s.Reason == KioskGone && (s.Gateway != c.Place.Gateway || s.Stay != c.Place.Stay) {
		return // the gateway that the kiosk has left has just noticed
	}
	if s.Session != c.Place.Session {
		if c.Place.Session != "" && s.Kind != Joined {
			workflow.GetLogger(ctx).Info("signal of another session dropped", "kind", s.Kind)
			return
		}
		c.Seen, c.SeenSpeech, c.Committed = 0, 0, 0
	}
	// What the gateway that the kiosk has left still delivers does not bring it back.
	if s.Kind == Joined || c.Place.Session == "" {
		c.Place.Gateway, c.Place.Session, c.Place.Stay = s.Gateway, s.Session, s.Stay
	}
	if s.Seq != 0 {
		if s.Seq <= c.Seen {
			return
		}
		c.Seen = s.Seq
	}
	switch s.Kind {
	case Joined:
		c.Joined++
		c.Played = Played{Response: s.Response, Ms: s.PlayedMs}
		c.preferLanguage(s.Language)
	case Left:
		c.left = s.Reason
		if c.left == "" {
			c.left = "customer"
		}
		c.hush()
	case SpeechStarted:
		if s.Utterance <= c.SeenSpeech {
			return // the gateway was not sure that its signal had arrived
		}
		c.SeenSpeech = s.Utterance
		// Who begins anew, or goes on with an utterance, has finished those before.
		c.Committed = max(c.Committed, cmp.Or(s.Continues, s.Utterance)-1)
		place := c.Place // or the one before it, which still delivers
		place.Gateway, place.Session, place.Stay = s.Gateway, s.Session, s.Stay
		c.speech(ctx, &Input{How: Spoken, Place: place, Utterance: s.Utterance, Over: s.Response, Pending: true}, s.Continues)
	case Committed:
		c.Committed = max(c.Committed, s.Utterance)
	case Typed:
		c.enter(ctx, &Input{How: ByText, Text: s.Text})
	case Touched:
		c.enter(ctx, &Input{How: ByTouch, Text: s.Text})
	case Interrupted:
		// What was heard, the response's own activity reports.
		c.Cut = max(c.Cut, s.Response)
	default:
		workflow.GetLogger(ctx).Warn("unknown kind of signal dropped", "kind", s.Kind)
	}
}

// enter puts an input where the next step that listens finds it, if there is room.
func (c *conversation) enter(ctx workflow.Context, in *Input) bool {
	if len(c.Inbox) >= maxInbox {
		workflow.GetLogger(ctx).Warn("input dropped: too much was said that no step has listened to yet", "how", in.How)
		return false
	}
	c.Inbox = append(c.Inbox, in)
	return true
}

// errLeft ends a step whose customer has gone, errHeardEnough one that would
// have to ask beyond the flow's limits.
var (
	errLeft        = errors.New("the customer has left")
	errHeardEnough = errors.New("a limit of the flow is reached")
)

// The outcomes that no author writes.
const (
	OutcomeAbandoned = "abandoned" // the customer left
	OutcomeFailed    = "failed"    // a step failed and nothing caught it
	OutcomeLimit     = "limit"     // a limit of the flow was reached
	OutcomeCancelled = "cancelled" // an operator cancelled it
)

// waitForKiosk is how long a conversation outlives its kiosk's connection.
const waitForKiosk = 45 * time.Second
