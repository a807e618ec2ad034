package workflows

import (
	"errors"
	"fmt"
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
func Conversation(ctx workflow.Context, v Visit) (Summary, error) {
	c, err := begin(ctx, v)
	if err != nil {
		return Summary{}, temporal.NewNonRetryableApplicationError(err.Error(), activities.KindInvalid, err)
	}
	if err := workflow.SetQueryHandler(ctx, StatusQuery, c.status); err != nil {
		return Summary{}, err
	}
	workflow.Go(ctx, c.listen) // moves signals into the state; decides nothing
	if err := workflow.Await(ctx, func() bool { return c.Place.Session != "" }); err != nil {
		return Summary{}, err
	}

	for c.Outcome == "" {
		if c.beyond(ctx) {
			c.giveUp(ctx, OutcomeLimit)
			break
		}
		c.publish(ctx)
		next, err := c.takeStep(ctx)
		switch {
		case ctx.Err() != nil:
			return c.close(ctx), ctx.Err() // an operator cancelled it
		case c.left != "":
			c.Outcome = OutcomeAbandoned
		case errors.Is(err, errHeardEnough):
			c.giveUp(ctx, OutcomeLimit)
		case err != nil:
			workflow.GetLogger(ctx).Error("step failed", "step", c.Step, "error", err)
			c.giveUp(ctx, OutcomeFailed)
		default:
			c.Step = next
		}
		if c.Outcome == "" && c.tooLong(ctx) {
			c.settle(ctx)
			return Summary{}, workflow.NewContinueAsNewError(ctx, ConversationType, c.visit())
		}
	}
	return c.close(ctx), nil
}

// takeStep does the current step and tells which comes next. A customer who
// leaves cancels it, which is a normal ending and not a failure.
func (c *conversation) takeStep(ctx workflow.Context) (next string, err error) {
	ctx, c.hush = workflow.WithCancel(ctx)
	defer c.hush()
	if c.left != "" {
		return "", errLeft
	}
	step := c.plan.Steps[c.Step]
	c.Visits[c.Step]++
	switch {
	case step.Say != nil:
		return step.Next, c.say(ctx, *step.Say)
	case step.Collect != nil:
		next, err = c.collect(ctx, *step.Collect)
		if next == "" {
			next = step.Next
		}
	case step.Retrieve != nil:
		next, err = step.Next, c.retrieve(ctx, *step.Retrieve)
	case step.Generate != nil:
		next, err = step.Next, c.generate(ctx, *step.Generate)
	case step.Set != nil:
		next, err = step.Next, c.set(step.Set)
	case step.Branch != nil:
		next, err = c.branch(step.Branch)
	case step.End != nil:
		err = c.end(ctx, *step.End)
	default:
		err = fmt.Errorf("step %q has no verb that this worker knows", c.Step)
	}
	if err != nil && c.left == "" && ctx.Err() == nil && !errors.Is(err, errHeardEnough) {
		if to, ok := caught(step.Catch, err); ok {
			workflow.GetLogger(ctx).Info("step caught", "step", c.Step, "to", to, "error", err)
			return to, nil
		}
	}
	return next, err
}

// caught finds the step that a `catch` names for a failure: its own kind first,
// then "error", which stands for any.
func caught(catch map[string]string, err error) (string, bool) {
	if to, ok := catch[kindOf(err)]; ok {
		return to, true
	}
	to, ok := catch["error"]
	return to, ok
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
	limits := c.plan.Limits
	return limits.VisitsPerStep > 0 && c.Visits[c.Step] >= limits.VisitsPerStep ||
		c.plan.Steps[c.Step].Collect != nil && c.heardEnough(ctx)
}

// heardEnough says whether the customer may not be asked once more. What they
// said last is still answered.
func (c *conversation) heardEnough(ctx workflow.Context) bool {
	limits := c.plan.Limits
	return limits.Turns > 0 && c.Turns >= limits.Turns ||
		limits.Duration > 0 && workflow.Now(ctx).Sub(c.Started) > limits.Duration.D()
}

// giveUp says why, as far as that is still possible, and ends the conversation:
// a customer is never left in silence.
func (c *conversation) giveUp(ctx workflow.Context, outcome string) {
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
		workflow.GetLogger(ctx).Error("last words not spoken", "step", c.Step, "error", err)
	}
}

// tooLong says whether the history has grown enough to continue as new.
func (c *conversation) tooLong(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	return info.GetContinueAsNewSuggested() ||
		c.continueAfter > 0 && info.GetCurrentHistoryLength() >= c.continueAfter
}

// settle waits until nothing is under way that a new run could not go on with:
// the avatar has finished, each utterance has its transcript, and every signal
// that Temporal holds is in the state.
func (c *conversation) settle(ctx workflow.Context) {
	c.awaitPerformers(ctx)
	_ = workflow.Await(ctx, func() bool { return c.transcribing == 0 }) // bounded by Transcribe's own time limits
	c.drain(ctx)
}

// close records how it ended and gives the result.
func (c *conversation) close(ctx workflow.Context) Summary {
	c.awaitPerformers(ctx)
	if c.Outcome == "" {
		c.Outcome = OutcomeCancelled
	}
	c.publish(ctx)
	return Summary{Outcome: c.Outcome, Turns: c.Turns, Language: c.Language, Transcript: c.Transcript}
}

// drain takes in the signals that have arrived but that no coroutine has
// received yet; what stayed in the channel would be lost by continuing as new.
func (c *conversation) drain(ctx workflow.Context) {
	signals := workflow.GetSignalChannel(ctx, KioskSignal)
	for {
		var s Signal
		if !signals.ReceiveAsync(&s) {
			return
		}
		c.take(ctx, s)
	}
}

// listen takes in whatever the gateway tells, in its order, for as long as the
// conversation lasts.
func (c *conversation) listen(ctx workflow.Context) {
	signals := workflow.GetSignalChannel(ctx, KioskSignal)
	for {
		var s Signal
		signals.Receive(ctx, &s)
		if ctx.Err() != nil {
			return
		}
		c.take(ctx, s)
	}
}

// take records one signal. What the kiosk sent twice is dropped.
func (c *conversation) take(ctx workflow.Context, s Signal) {
	if s.Session == "" || s.Gateway == "" {
		workflow.GetLogger(ctx).Warn("signal without session or gateway dropped", "kind", s.Kind)
		return
	}
	if s.Kind == Left && s.Reason == KioskGone && s.Gateway != c.Place.Gateway {
		return // the gateway that the kiosk has left has just noticed
	}
	if s.Session != c.Place.Session {
		if c.Place.Session != "" && s.Kind != Joined {
			workflow.GetLogger(ctx).Info("signal of another session dropped", "kind", s.Kind)
			return
		}
		c.Seen, c.SeenSpeech = 0, 0
	}
	c.Place.Gateway, c.Place.Session = s.Gateway, s.Session
	if s.Seq != 0 {
		if s.Seq <= c.Seen {
			return
		}
		c.Seen = s.Seq
	}
	switch s.Kind {
	case Joined:
		c.Joined++
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
		c.Inbox = append(c.Inbox, &Input{How: Spoken, Utterance: s.Utterance, Pending: true})
		c.transcribing++
		in := c.Inbox[len(c.Inbox)-1]
		workflow.Go(ctx, func(ctx workflow.Context) { c.transcribe(ctx, in) })
	case Typed:
		c.Inbox = append(c.Inbox, &Input{How: ByText, Text: s.Text})
	case Touched:
		c.Inbox = append(c.Inbox, &Input{How: ByTouch, Text: s.Text})
	case Interrupted:
		// What was heard, the response's own activity reports.
		c.Cut = max(c.Cut, s.Response)
	default:
		workflow.GetLogger(ctx).Warn("unknown kind of signal dropped", "kind", s.Kind)
	}
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
