package flowtest

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/workflows"
)

// A cast plays everything around a conversation: the servers, the customer and
// the staff.
type cast interface {
	// What a server answers to one attempt of a request at a step.
	retrieve(step string, in activities.RetrieveInput) answer
	generate(in activities.GenerateInput) answer
	call(in activities.CallInput) answer
	understand(in activities.UnderstandInput) answer
	// spoken is told of each response as it begins.
	spoken(r *response)
	// answering is told when an utterance's words are known and may be answered,
	// annulled when what was answered since then is taken back.
	answering(utterance int)
	annulled(utterance int)
	// turn is called when the conversation waits for somebody and nothing else is
	// going on at this moment.
	turn(s workflows.Status)
}

// A stage holds one conversation: the real workflow on virtual time, with a cast
// in place of the kiosk and the servers.
type stage struct {
	env  *testsuite.TestWorkflowEnvironment
	plan flow.Plan
	cast cast

	began     time.Time
	log       []Line
	said      []*response
	current   *response              // being spoken
	generated map[int]string         // what the model answered, by response
	calls     []activities.CallInput // each once, however many attempts it takes
	visible   []string               // the values of the buttons on the screen
	labels    []string               // and what is on those that answer the question

	sounds    []*sound             // by number, from 1
	unheard   int                  // those without a transcript
	unsaid    int                  // what the customer goes on with after a pause
	gated     map[int]int          // responses that were asked for and are not heard yet, by the utterance that they are after
	listening activities.Listening // of the last question
	seq       int64
	settling  bool
	staffed   string // the last call for staff that was answered
	stopped   bool
	state     *workflows.State   // live; read only while the workflow waits
	summary   *workflows.Summary // once it has ended
	last      workflows.Status
}

// A response is what the kiosk says at once.
type response struct {
	activities.SpeakInput
	text  string // all of it
	began time.Time
	lasts time.Duration
	held  time.Time     // since when it has been held for a sound over it; zero: it is not
	stood time.Duration // how long it was held before
	heard string        // once it is over
	cut   bool          // the customer interrupts
}

// A Line is one thing that happened in a conversation.
type Line struct {
	At   time.Duration `json:"at_ns"` // virtual time since the start
	Who  string        `json:"who"`   // kiosk, customer, staff, event, a server's name, or "!" for what went wrong
	Step string        `json:"step"`  // at which it happened
	Text string        `json:"text"`
}

const (
	gateway = "rehearsal:0"
	session = "rehearsal"
	// letter is how long a voice takes for a letter or blank: some 17 a second.
	letter = 60 * time.Millisecond
	// What the servers and the recogniser take when nobody says otherwise.
	usualSearch     = 50 * time.Millisecond
	usualFirstToken = 300 * time.Millisecond
	usualCall       = 200 * time.Millisecond
	usualModel      = 250 * time.Millisecond
	endSilence      = 500 * time.Millisecond
)

// newStage sets a stage up. patience is how long the cast may take, in real time,
// for what a workflow does at once.
func newStage(plan flow.Plan, c cast, patience time.Duration) *stage {
	var suite testsuite.WorkflowTestSuite
	s := &stage{plan: plan, cast: c, generated: map[int]string{}, gated: map[int]int{}}
	suite.SetLogger(troubles{s})
	s.env = suite.NewTestWorkflowEnvironment()
	s.env.SetWorkerOptions(worker.Options{
		Interceptors: direct(s), DeadlockDetectionTimeout: patience,
	})
	s.env.SetTestTimeout(10 * time.Second) // of real time without anything to do, which no conversation allows
	held := workflows.Watched(func(state *workflows.State) { s.state = state })
	s.env.RegisterWorkflowWithOptions(held, workflow.RegisterOptions{Name: workflows.ConversationType})
	s.env.SetOnTimerScheduledListener(func(string, time.Duration) { s.settle() })
	return s
}

// hold holds the conversation to its end.
func (s *stage) hold(now time.Time, language string, inputs map[string]any) (err error) {
	s.began = now
	s.env.SetStartTime(now)
	defer func() {
		if p := recover(); p != nil { // the environment's way to say that a workflow is stuck
			err = fmt.Errorf("the conversation is stuck: %v", p)
		}
	}()
	s.env.RegisterDelayedCallback(func() {
		s.signal(workflows.Signal{Kind: workflows.Joined, Language: language})
	}, 0)
	s.env.ExecuteWorkflow(workflows.ConversationType, workflows.Visit{
		Store: "rehearsal", Kiosk: "rehearsal", Plan: s.plan, Inputs: inputs, TimeZone: "UTC",
	})
	if s.stopped {
		if st, err := s.status(); err == nil { // else the last look has to do
			s.last = st
		}
		return nil
	}
	if err := s.env.GetWorkflowError(); err != nil {
		return fmt.Errorf("the conversation failed: %w", err)
	}
	var summary workflows.Summary
	if err := s.env.GetWorkflowResult(&summary); err != nil {
		return fmt.Errorf("read the conversation's result: %w", err)
	}
	s.summary = &summary
	s.last, err = s.status()
	return err
}

// now is the virtual time since the start.
func (s *stage) now() time.Duration { return s.env.Now().Sub(s.began).Truncate(time.Millisecond) }

func (s *stage) status() (workflows.Status, error) {
	var st workflows.Status
	v, err := s.env.QueryWorkflow(workflows.StatusQuery)
	if err != nil {
		return st, fmt.Errorf("query the conversation: %w", err)
	}
	if err := v.Get(&st); err != nil {
		return st, fmt.Errorf("read the conversation's status: %w", err)
	}
	// Operators see what customers say of themselves masked; a rehearsal sees it.
	st.Slots = throughJSON(s.state.Stack[len(s.state.Stack)-1].Slots)
	return st, nil
}

// note writes a line.
func (s *stage) note(who, step, text string) {
	s.log = append(s.log, Line{At: s.now(), Who: who, Step: step, Text: text})
}

// settle asks for a look at the conversation as soon as nothing else is going on
// at this moment of virtual time.
func (s *stage) settle() {
	if s.settling || s.stopped {
		return
	}
	s.settling = true
	s.env.RegisterDelayedCallback(func() {
		s.settling = false
		s.look()
	}, time.Nanosecond) // time moves on only when there is nothing left to do
}

// look gives the cast its turn when the conversation waits for somebody.
func (s *stage) look() {
	if s.stopped || s.unheard > 0 || s.unsaid > 0 || s.env.IsWorkflowCompleted() {
		return
	}
	st, err := s.status()
	if err != nil {
		return // it has only just begun
	}
	if st.Handoff != nil && st.Handoff.ID == s.staffed {
		st.Handoff = nil // it is answered; the conversation finishes its sentence
	}
	s.last = st
	if st.Listening || st.Handoff != nil || s.awaits(st) {
		s.cast.turn(st)
	}
}

// awaits says whether the conversation waits for an event from outside, alone or
// beside other things.
func (s *stage) awaits(st workflows.Status) bool {
	step := s.step(st.Flow, st.Step)
	steps := []flow.Step{step}
	if step.Parallel != nil {
		for _, branch := range step.Parallel.Branches {
			steps = append(steps, branch.Steps...)
		}
	}
	return slices.ContainsFunc(steps, func(s flow.Step) bool { return s.Wait != nil && s.Wait.Signal != "" })
}

// step finds a step of the plan or, by its flow's name, of a flow that it runs.
func (s *stage) step(flowName, name string) flow.Step {
	if flowName != s.plan.Flow {
		for _, p := range s.plan.Flows {
			if p.Flow == flowName {
				return p.Steps[name]
			}
		}
	}
	return s.plan.Steps[name]
}

// isHandoff says whether any flow of the plan has such a handoff.
func (s *stage) isHandoff(step string) bool {
	if s.plan.Steps[step].Handoff != nil {
		return true
	}
	for _, p := range s.plan.Flows {
		if p.Steps[step].Handoff != nil {
			return true
		}
	}
	return false
}

// summary is what staff read when nobody says what the model makes of a
// conversation for them.
const summary = "The customer wants to talk to somebody."

// later lets something happen after a virtual time, and looks again then.
func (s *stage) later(after time.Duration, f func()) {
	s.env.RegisterDelayedCallback(func() {
		if !s.stopped {
			f()
			s.settle()
		}
	}, max(after, time.Nanosecond))
}

// stop ends the conversation from outside.
func (s *stage) stop() {
	if !s.stopped {
		s.stopped = true
		s.env.CancelWorkflow()
	}
}

func (s *stage) signal(sig workflows.Signal) {
	sig.Gateway, sig.Session, sig.At = gateway, session, s.env.Now()
	if sig.Kind == workflows.Typed || sig.Kind == workflows.Touched {
		s.seq++
		sig.Seq = s.seq
	}
	s.env.SignalWorkflow(workflows.KioskSignal, sig)
}

// enter is typing, or touching a button.
func (s *stage) enter(kind workflows.Kind, text string) {
	r := s.current
	if r != nil && r.BargeIn != "none" {
		r.cut = true
	}
	s.signal(workflows.Signal{Kind: kind, Text: text})
	if r != nil && r.cut {
		s.interrupted(r)
	}
}

func (s *stage) interrupted(r *response) {
	s.signal(workflows.Signal{
		Kind: workflows.Interrupted, Response: r.Response, PlayedMs: r.played(s.env.Now()).Milliseconds(),
	})
}

func (s *stage) leave() {
	s.signal(workflows.Signal{Kind: workflows.Left, Reason: "customer"})
}

// answerHandoff lets staff answer the call for them.
func (s *stage) answerHandoff(h workflows.Handoff, accept bool, by string, refused func(error)) {
	s.staffed = h.ID
	s.env.UpdateWorkflow(workflows.HandoffUpdate, "", &testsuite.TestUpdateCallback{
		OnAccept:   func() {},
		OnReject:   refused,
		OnComplete: func(any, error) {},
	}, workflows.HandoffAnswer{ID: h.ID, Accept: accept, By: by})
}

func (s *stage) event(name string, data any) {
	s.env.SignalWorkflow(workflows.EventSignal, workflows.Event{Name: name, Data: data})
}

// begin begins a response.
func (s *stage) begin(in activities.SpeakInput, text string) *response {
	r := &response{
		SpeakInput: in, text: text, began: s.env.Now(),
		lasts: spokenFor(text),
	}
	s.current = r
	s.said = append(s.said, r)
	s.visible, s.labels = nil, nil
	if in.Screen != nil {
		for _, b := range in.Screen.Buttons {
			s.visible = append(s.visible, b.Value)
		}
	}
	if in.Listening != nil {
		s.listening = *in.Listening
		for _, b := range in.Listening.Buttons {
			s.visible = append(s.visible, b.Value)
			s.labels = append(s.labels, b.Value, b.Label)
		}
	}
	s.note("kiosk", in.Step, text)
	s.cast.spoken(r)
	return r
}

// end is when a response has been played or cut.
func (s *stage) end(r *response) activities.SpeakResult {
	played := r.played(s.env.Now())
	r.heard = r.text
	if s.current == r {
		s.current = nil
	}
	if r.cut {
		r.heard = heardUpTo(r.text, float64(played)/float64(max(r.lasts, 1)))
	}
	return activities.SpeakResult{
		Response: r.Response, Text: r.text, Heard: r.heard, Interrupted: r.cut,
		PlayedMs: played.Milliseconds(), TotalMs: r.lasts.Milliseconds(), Voice: "rehearsal",
	}
}

// heardUpTo gives the words that were spoken after a share of a text's letters.
// A word of which half was spoken has been heard.
func heardUpTo(text string, share float64) string {
	letters := utf8.RuneCountInString(text)
	reached, words := 0.0, []string(nil)
	for _, w := range strings.Fields(text) {
		n := float64(utf8.RuneCountInString(w))
		if reached+n/2 > share*float64(letters) {
			break
		}
		reached += n + 1
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

// touchable says whether a value can be touched now.
func (s *stage) touchable(value string) bool { return slices.Contains(s.visible, value) }

// noButton says why a value cannot be touched.
func (s *stage) noButton(value string) error {
	if len(s.visible) == 0 {
		return fmt.Errorf("there is no button %q to touch; there are no buttons on the screen", value)
	}
	return fmt.Errorf("there is no button %q to touch%s; the buttons are %s", value, flow.DidYouMean(value, s.visible), flow.Quoted(s.visible))
}

// troubles takes what the workflow logs: its warnings and errors belong to the
// conversation that is printed when a test fails.
type troubles struct{ s *stage }

var _ log.Logger = troubles{}

func (t troubles) Debug(string, ...any)             {}
func (t troubles) Info(string, ...any)              {}
func (t troubles) Warn(msg string, keyvals ...any)  { t.write(msg, keyvals) }
func (t troubles) Error(msg string, keyvals ...any) { t.write(msg, keyvals) }
func (t troubles) write(msg string, keyvals []any) {
	if t.s.stopped {
		return
	}
	step := ""
	for i := 0; i+1 < len(keyvals); i += 2 {
		switch keyvals[i] {
		case "step":
			step = fmt.Sprint(keyvals[i+1])
		case "error":
			msg += fmt.Sprintf(": %v", keyvals[i+1])
		}
	}
	t.s.note("!", step, msg)
}
