package workflows

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	cover     string                    // of the wait for the answer
	gesture   string
	screen    *activities.Screen
	bargeIn   flow.BargeIn
	listening *activities.Listening
	run       flow.Run // of the answer
	sensitive bool     // it tells what the customer has said of themselves
}

// spoken is what became of a response.
type spoken struct {
	text  string // all of it
	heard string // what the customer heard of it
	cut   bool   // they interrupted it
}

// speak says one response and returns when the kiosk has played it, or the
// customer has cut it short. What the customer heard goes into the transcript.
//
// Speak and, for an answer, Generate run at the same time and meet in the
// gateway's session: the model's text is spoken sentence by sentence while it is
// still being written, and a Temporal hop is paid once, not once a stage. The
// avatar follows by itself; see animate.
func (c *conversation) speak(ctx workflow.Context, u utterance) (spoken, error) {
	if u.answer == nil && strings.TrimSpace(u.text) == "" { // all that the author wrote is a placeholder without a value
		if u.listening != nil {
			return spoken{}, activities.Permanent(activities.KindInvalid, c.inStep(errors.New("the question has no words; give its placeholders values")))
		}
		return spoken{}, nil
	}
	c.Responses++
	t := &telling{utterance: u, number: c.Responses}
	until := workflow.Now(ctx).Add(waitForKiosk)
	for {
		joined, place := c.Joined, c.Place
		said, err := c.tell(ctx, t)
		if kindOf(err) != activities.KindGone || c.left != "" {
			return said, err
		}
		if c.Place != place {
			until = workflow.Now(ctx).Add(waitForKiosk)
		}
		// The kiosk is not at that gateway any more and may be on its way to another,
		// or the gateway cannot be reached and may come back.
		if _, err := c.until(ctx, tellAgain, "kiosk away", func() bool { return c.Joined != joined }); err != nil {
			return spoken{}, err
		}
		if c.Joined == joined && !workflow.Now(ctx).Before(until) {
			c.left = KioskGone
			return spoken{}, errLeft
		}
	}
}

// tellAgain is how long after a gateway was lost it is tried again.
const tellAgain = 10 * time.Second

// A telling is a response and how far it has come. It keeps its number when the
// kiosk moves, and goes on there where it was.
type telling struct {
	utterance
	number   int
	answered string          // the model's whole answer, once it is known
	made     activities.Made // of its audio
}

// heardOf says how much of a response its kiosk has played in an earlier stay.
func (c *conversation) heardOf(t *telling) *activities.Heard {
	if c.Played.Response != t.number {
		return nil
	}
	return &activities.Heard{PlayedMs: c.Played.Ms, Made: t.made}
}

// tell is one stay's part of speaking. KindGone: it goes on in another stay.
func (c *conversation) tell(ctx workflow.Context, t *telling) (spoken, error) {
	ctx, cut := workflow.WithCancel(ctx)
	defer cut()
	step, n, place := c.frame().Step, t.number, c.Place

	var hot *guard
	if t.bargeIn.Mode == "hotword" {
		hot = &guard{words: t.bargeIn.Hotwords[c.Language], language: c.Language, cut: cut}
		c.guard = hot
		defer func() { c.guard = nil }()
	}
	var answer workflow.Future
	if t.answer != nil && t.answered == "" {
		in := *t.answer
		in.Place, in.Response, in.Stream, in.After = place, n, true, c.after()
		answer = workflow.ExecuteActivity(c.on(ctx, activities.PoolLLM, work{step: step, note: c.step().Note, run: t.run, streams: true}), activities.Generate, in)
	}
	voice := workflow.ExecuteActivity(c.on(ctx, activities.PoolTTS, work{step: step, part: "speak", note: c.step().Note, streams: true}), activities.Speak,
		activities.SpeakInput{
			Place: place, Response: n, Step: step, Text: cmp.Or(t.text, t.answered), Cover: t.cover, Language: c.Language,
			Heard: c.heardOf(t), After: c.after(),
			BargeIn: t.bargeIn.Mode, MinWords: t.bargeIn.MinWords, Gesture: t.gesture, Screen: t.screen, Listening: t.listening,
		})

	moved := false
	workflow.Go(ctx, func(ctx workflow.Context) {
		if workflow.Await(ctx, func() bool { return c.Place != place }) == nil {
			moved = true
			cut()
		}
	})

	var answered activities.GenerateResult
	var failed error
	if answer != nil {
		if failed = answer.Get(ctx, &answered); failed != nil {
			cut() // there is nothing more to speak
		}
	}
	var said activities.SpeakResult
	err := voice.Get(ctx, &said)
	if answer != nil && failed == nil && !answered.Unfinished {
		t.answered = answered.Text
	}
	if kindOf(err) == activities.KindGone || moved && (err != nil || failed != nil || said.Interrupted && c.Cut < n) {
		t.take(answered, failed, said, err)
		return spoken{}, activities.Permanent(activities.KindGone, errors.New("the kiosk is at another gateway"))
	}
	called := hot != nil && hot.called && c.left == ""
	if called && temporal.IsCanceledError(err) {
		err, said.Interrupted = nil, true // nothing of it was heard, as far as the voice could say
	}
	if t.listening != nil {
		c.asked = &t.utterance
	}
	if err == nil {
		c.heard(said, failed != nil || said.Interrupted || called, t.sensitive)
	}
	if failed != nil && !(called && temporal.IsCanceledError(failed)) {
		return spoken{}, failed
	}
	if err != nil {
		return spoken{}, err
	}
	if said.Interrupted && !called {
		if err := c.awaitCut(ctx, n); err != nil {
			return spoken{}, err
		}
	}
	return spoken{text: cmp.Or(t.answered, answered.Text, said.Text), heard: said.Heard, cut: said.Interrupted}, nil
}

// attend tells a gateway to which the kiosk has come while nothing is being said
// how to listen and what to show.
func (c *conversation) attend(ctx workflow.Context) {
	for place := c.Place; ; {
		if workflow.Await(ctx, func() bool { return c.Place != place }) != nil {
			return
		}
		place = c.Place
		if !c.listening || c.asked == nil {
			continue // the next response tells it
		}
		step := c.frame().Step
		err := workflow.ExecuteActivity(c.on(ctx, activities.PoolTTS, work{step: step, part: "listen", note: c.step().Note}), activities.Speak,
			activities.SpeakInput{
				Place: place, Response: max(1, c.Responses), Step: step, Language: c.Language, Heard: &activities.Heard{Whole: true},
				BargeIn: c.asked.bargeIn.Mode, MinWords: c.asked.bargeIn.MinWords, Screen: c.asked.screen, Listening: c.asked.listening,
			}).Get(ctx, nil)
		if err != nil {
			workflow.GetLogger(ctx).Warn("gateway not told how to listen", "step", step, "error", err)
		}
	}
}

// take keeps what a stay that is over knows of the response.
func (t *telling) take(answered activities.GenerateResult, failed error, said activities.SpeakResult, err error) {
	written := struct {
		Text string `json:"text"`
	}{answered.Text}
	lastWords(failed, &written)
	if t.answer != nil && t.answered == "" && written.Text != "" {
		rest := *t.answer
		rest.Begun = written.Text
		t.answer = &rest
	}
	made := said.Made
	lastWords(err, &made)
	if made != nil && len(made.Segments) >= len(t.made.Segments) {
		t.made = *made
	}
}

// lastWords reads what an activity that has failed knew: the details of its
// error, or of its last heartbeat when its worker has died. What it did not tell
// is made again.
func lastWords(err error, into any) {
	var app *temporal.ApplicationError
	var late *temporal.TimeoutError
	switch {
	case errors.As(err, &app) && app.HasDetails():
		_ = app.Details(into)
	case errors.As(err, &late) && late.HasLastHeartbeatDetails():
		_ = late.LastHeartbeatDetails(into)
	}
}

// awaitCut waits for the gateway's word on an interrupted response. What the
// customer said over it was signalled just before, so that from here on it is in
// the inbox and nobody asks a question that is already being answered.
func (c *conversation) awaitCut(ctx workflow.Context, n int) error {
	if c.Cut >= n {
		return nil
	}
	_, err := c.until(ctx, time.Second, "interruption", func() bool { return c.Cut >= n })
	return err
}

// heard writes a line of the kiosk's into the transcript. An answer of which
// something was heard is not taken back any more.
func (c *conversation) heard(said activities.SpeakResult, cut, sensitive bool) {
	if said.PlayedMs > 0 || !said.Interrupted {
		c.point = nil
	}
	text := said.Text
	if cut {
		text = said.Heard
	}
	if text == "" {
		return
	}
	c.Transcript = append(c.Transcript, Line{By: "kiosk", Step: c.frame().Step, Text: text, Cut: cut, Sensitive: sensitive})
}

// A work is one activity of a step, as the Temporal UI shows it.
type work struct {
	step string // the author's name for it
	part string // of the step, when it is not the whole
	note string
	run  flow.Run
	// streams: it has something to say when it is cancelled, which is waited for.
	streams bool
}

// summary is what the Temporal UI says of it.
func (w work) summary() string {
	s := w.step
	if w.part != "" {
		s += " · " + w.part
	}
	if w.note != "" {
		s += " · " + w.note
	}
	return s
}

// work is the activity that is all that a job does.
func (j job) work() work { return work{step: j.name, note: j.Note, run: j.Run} }

// on gives the options with which a pool's activity runs: the pool's policy,
// what the step's `run` makes of it, and the author's step as its name. The
// number makes its id unique: one that was cancelled may still be under way when
// the step is taken again.
func (c *conversation) on(ctx workflow.Context, pool activities.Pool, w work) workflow.Context {
	policy := activities.Policies[pool]
	c.Works++
	id := fmt.Sprintf("%s.%d", w.step, c.Works)
	if w.part != "" {
		id = fmt.Sprintf("%s.%s.%d", w.step, w.part, c.Works)
	}
	options := workflow.ActivityOptions{
		ActivityID:             id,
		Summary:                w.summary(),
		TaskQueue:              activities.Queue(c.Place.Store, pool),
		StartToCloseTimeout:    policy.Attempt,
		ScheduleToStartTimeout: policy.Queue,
		ScheduleToCloseTimeout: policy.Total,
		HeartbeatTimeout:       policy.Heartbeat,
		// Of a response that is taken back we want to know what was heard of it and how
		// far it had come; nothing else that is cancelled has anything more to say.
		WaitForCancellation: w.streams,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: policy.Backoff, BackoffCoefficient: 2, MaximumAttempts: policy.Attempts,
		},
	}
	if w.run.Timeout > 0 {
		options.ScheduleToCloseTimeout = w.run.Timeout.D()
		options.StartToCloseTimeout = min(options.StartToCloseTimeout, w.run.Timeout.D())
	}
	if w.run.Attempts > 0 {
		options.RetryPolicy.MaximumAttempts = int32(w.run.Attempts)
	}
	if w.run.Backoff > 0 {
		options.RetryPolicy.InitialInterval = w.run.Backoff.D()
	}
	return workflow.WithActivityOptions(ctx, options)
}

// until waits for a condition, for so long at most, and tells whether it came. what
// is the wait's name in the Temporal UI.
func (c *conversation) until(ctx workflow.Context, limit time.Duration, what string, is func() bool) (bool, error) {
	return workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
		Timeout: limit, TimerOptions: workflow.TimerOptions{Summary: work{step: c.frame().Step, part: what}.summary()},
	}, is)
}

// listeningStep is the step whose answer the customer is about to give: this
// one, or the first `collect` that surely follows it.
func (c *conversation) listeningStep() string {
	steps, name := c.plan().Steps, c.frame().Step
	for range len(steps) {
		step := steps[name]
		if step.Collect != nil {
			return name
		}
		if step.Next == "" {
			break
		}
		name = step.Next
	}
	return c.frame().Step
}

// forget takes an input out of the inbox.
func (c *conversation) forget(in *Input) {
	c.Inbox = slices.DeleteFunc(c.Inbox, func(other *Input) bool { return other == in })
}

// hear waits for the customer's next input, and gives nil when they have been
// silent for the whole start timeout. While something is being spoken or
// transcribed nobody is silent. When the question was not asked because somebody
// seemed to be answering it, and it was but a noise, it gives errNoise.
func (c *conversation) hear(ctx workflow.Context, q *question) (*Input, error) {
	c.listening = true
	defer func() { c.listening = false }()
	c.publish(ctx)
	for {
		began, err := c.until(ctx, q.Listen.StartTimeout.D(), "silence", func() bool { return len(c.Inbox) > 0 })
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
		next := func() bool { return len(c.Inbox) > 0 && c.Inbox[0] == in } // else it was a noise, or half a sentence
		if next() {
			if err := c.commit(ctx); err != nil {
				return nil, err // what was said before it was not all
			}
		}
		if next() {
			c.remember(q, in)
			c.Inbox = c.Inbox[1:]
			return in, nil
		}
		if !q.asked && len(c.Inbox) == 0 {
			return nil, errNoise
		}
	}
}

// errNoise says that nobody has answered a question that was not asked.
var errNoise = errors.New("it was but a noise")
