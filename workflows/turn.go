package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
)

// An utterance is one response on its way to be spoken: a given text, or the
// model's answer to a question.
type utterance struct {
	text      string                    // given; or
	answer    *activities.GenerateInput // to be generated while it is spoken
	gesture   string
	bargeIn   flow.BargeIn
	listening *activities.Listening
	run       flow.Run
}

// speak says one response and returns when the kiosk has played it, or the
// customer has cut it short. What the customer heard goes into the transcript.
//
// Speak, Perform and, for an answer, Generate run at the same time and meet in
// the gateway's session: the model's text is spoken sentence by sentence while
// it is still being written, and a Temporal hop is paid once, not once a stage.
func (c *conversation) speak(ctx workflow.Context, u utterance) (string, error) {
	for {
		joined := c.Joined
		text, err := c.speakOnce(ctx, u)
		if kindOf(err) != activities.KindGone || c.left != "" {
			return text, err
		}
		// The kiosk is not at that gateway any more; it may be on its way to another.
		moved, e := workflow.AwaitWithTimeout(ctx, waitForKiosk, func() bool { return c.Joined != joined })
		if e != nil {
			return "", e
		}
		if !moved {
			c.left = KioskGone
			return "", errLeft
		}
	}
}

func (c *conversation) speakOnce(ctx workflow.Context, u utterance) (string, error) {
	ctx, cut := workflow.WithCancel(ctx)
	defer cut()
	c.Responses++
	n := c.Responses

	var answer workflow.Future
	if u.answer != nil {
		in := *u.answer
		in.Place, in.Response, in.Stream = c.Place, n, true
		answer = workflow.ExecuteActivity(c.on(ctx, activities.PoolLLM, c.Step, n, "", u.run), activities.Generate, in)
	}
	spoken := workflow.ExecuteActivity(c.on(ctx, activities.PoolTTS, c.Step, n, "speak", flow.Run{}), activities.Speak,
		activities.SpeakInput{
			Place: c.Place, Response: n, Step: c.Step, Text: u.text, Language: c.Language,
			BargeIn: u.bargeIn.Mode, MinWords: u.bargeIn.MinWords, Listening: u.listening,
		})
	// The avatar goes on by itself until the gateway says that the audio is over,
	// so nobody waits for it between two steps and cutting the speech cuts it too.
	// Only a voice that fails leaves it waiting for audio that never comes.
	apart, rest := workflow.NewDisconnectedContext(ctx)
	c.performers = append(c.performers, workflow.ExecuteActivity(c.on(apart, activities.PoolAvatar, c.Step, n, "perform", flow.Run{}),
		activities.Perform, activities.PerformInput{
			Place: c.Place, Response: n,
		}))

	var answered activities.GenerateResult
	if answer != nil {
		if err := answer.Get(ctx, &answered); err != nil {
			cut() // there is nothing more to speak
			var said activities.SpeakResult
			if e := spoken.Get(ctx, &said); e == nil {
				c.heard(said.Heard, true)
			}
			rest()
			return "", err
		}
	}
	var said activities.SpeakResult
	if err := spoken.Get(ctx, &said); err != nil {
		rest()
		return "", err
	}
	if said.Interrupted {
		c.heard(said.Heard, true)
		if err := c.awaitCut(ctx, n); err != nil {
			return "", err
		}
	} else {
		c.heard(said.Text, false)
	}
	if answer != nil {
		return answered.Text, nil
	}
	return said.Text, nil
}

// awaitCut waits for the gateway's word on an interrupted response. What the
// customer said over it was signalled just before, so that from here on it is in
// the inbox and nobody asks a question that is already being answered.
func (c *conversation) awaitCut(ctx workflow.Context, n int) error {
	if c.Cut >= n {
		return nil
	}
	_, err := workflow.AwaitWithTimeout(ctx, time.Second, func() bool { return c.Cut >= n })
	return err
}

// heard writes a line of the kiosk's into the transcript.
func (c *conversation) heard(text string, cut bool) {
	if text == "" {
		return
	}
	c.Transcript = append(c.Transcript, Line{By: "kiosk", Step: c.Step, Text: text, Cut: cut})
}

// on gives the options with which a pool's activity runs: the pool's policy,
// what the step's `run` makes of it, and the author's step as its name.
//
// The id is the step's name, with the response's number, because the avatar may
// still be finishing one response of a step when the next one begins.
func (c *conversation) on(ctx workflow.Context, pool activities.Pool, step string, n int, part string, run flow.Run) workflow.Context {
	policy := activities.Policies[pool]
	id := fmt.Sprintf("%s.%d", step, n)
	summary := step
	if part != "" {
		id = fmt.Sprintf("%s.%s.%d", step, part, n)
		summary = step + " · " + part
	}
	if note := c.plan.Steps[step].Note; note != "" {
		summary += " · " + note
	}
	options := workflow.ActivityOptions{
		ActivityID:             id,
		Summary:                summary,
		TaskQueue:              activities.Queue(c.Place.Store, pool),
		StartToCloseTimeout:    policy.Attempt,
		ScheduleToStartTimeout: policy.Queue,
		HeartbeatTimeout:       policy.Heartbeat,
		WaitForCancellation:    true,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: policy.Backoff, BackoffCoefficient: 2, MaximumAttempts: policy.Attempts,
		},
	}
	if run.Timeout > 0 {
		options.ScheduleToCloseTimeout = run.Timeout.D()
		options.StartToCloseTimeout = min(options.StartToCloseTimeout, run.Timeout.D())
	}
	if run.Attempts > 0 {
		options.RetryPolicy.MaximumAttempts = int32(run.Attempts)
	}
	return workflow.WithActivityOptions(ctx, options)
}

// transcribe turns one utterance into text. It is scheduled when speech starts,
// so that its hop hides behind the customer's own voice.
func (c *conversation) transcribe(ctx workflow.Context, in *Input) {
	defer func() { c.transcribing-- }()
	c.Utterances++ // utterances are numbered within a session; an id must differ from those of another
	step := c.listeningStep()
	expected := c.program.Expected(step, c.Language, nil)
	var result activities.TranscribeResult
	err := workflow.ExecuteActivity(c.on(ctx, activities.PoolSTT, step, c.Utterances, "hear", flow.Run{}), activities.Transcribe,
		activities.TranscribeInput{
			Place: c.Place, Utterance: in.Utterance, Language: c.Language, Expected: expected,
		}).Get(ctx, &result)
	in.Pending = false
	switch {
	case kindOf(err) == activities.KindGone, err == nil && (result.NoSpeech || result.Text == ""):
		c.forget(in) // a noise, or a kiosk that went away with its audio
	case err != nil:
		workflow.GetLogger(ctx).Error("utterance not transcribed", "step", step, "error", err)
		in.Failed = true
	default:
		in.Text, in.Confidence = result.Text, result.Confidence
	}
}

// listeningStep is the step whose answer the customer is about to give: this
// one, or the first `collect` that surely follows it.
func (c *conversation) listeningStep() string {
	name := c.Step
	for range len(c.plan.Steps) {
		step := c.plan.Steps[name]
		if step.Collect != nil {
			return name
		}
		if step.Next == "" {
			break
		}
		name = step.Next
	}
	return c.Step
}

// forget takes an input out of the inbox.
func (c *conversation) forget(in *Input) {
	c.Inbox = slices.DeleteFunc(c.Inbox, func(other *Input) bool { return other == in })
}

// hear waits for the customer's next input, and gives nil when they have been
// silent for the whole start timeout. While something is being spoken or
// transcribed nobody is silent.
func (c *conversation) hear(ctx workflow.Context, silence time.Duration) (*Input, error) {
	c.listening = true
	defer func() { c.listening = false }()
	c.publish(ctx)
	for {
		began, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
			Timeout:      silence,
			TimerOptions: workflow.TimerOptions{Summary: c.Step + " · silence"},
		}, func() bool { return len(c.Inbox) > 0 })
		if err != nil {
			return nil, err
		}
		if !began {
			return nil, nil
		}
		in := c.Inbox[0]
		// Bounded by the time limits of Transcribe.
		if err := workflow.Await(ctx, func() bool { return !in.Pending }); err != nil {
			return nil, err
		}
		if len(c.Inbox) > 0 && c.Inbox[0] == in { // else it was a noise
			c.Inbox = c.Inbox[1:]
			return in, nil
		}
	}
}

// awaitPerformers waits for the avatar to finish what it is doing; what it
// failed at is no reason to fail a conversation.
func (c *conversation) awaitPerformers(ctx workflow.Context) {
	for _, performer := range c.performers {
		if err := performer.Get(ctx, nil); err != nil && ctx.Err() == nil {
			workflow.GetLogger(ctx).Warn("avatar did not perform", "error", err)
		}
	}
	c.performers = nil
}
