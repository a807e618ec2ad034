package flowtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/workflows"
)

// A script is the cast that a test describes.
type script struct {
	stage   *stage
	test    *Test
	prompts *prompts

	given   map[string]*answers
	marks   map[int]map[string]int // how far given was used, when an utterance was understood
	next    int                    // the entry whose turn it is
	from    int                    // the first response in which the next `kiosk` is looked for
	means   *utterance             // what the customer said last
	resting bool                   // something happens later; until then the customer does nothing
	silent  bool                   // what they do not do is speak; an interruption may end it early
	rests   int                    // how often they have rested
	gone    bool                   // the customer has been told to leave at the test's end
	failure *Failure
}

// A Failure is the first thing in a test that is not as its author expects.
type Failure struct {
	Pos      flow.Pos `json:"pos"` // of the entry
	Message  string   `json:"message"`
	Expected string   `json:"expected,omitempty"`
	Got      string   `json:"got,omitempty"`
	Hint     string   `json:"hint,omitempty"`
	line     int      // how many lines of the conversation there were
}

// A Result is what became of a test.
type Result struct {
	Test         *Test          `json:"-"`
	Name         string         `json:"test"`
	Flow         string         `json:"flow"`
	Failure      *Failure       `json:"failure,omitempty"`
	Turns        int            `json:"turns"`
	Outcome      string         `json:"outcome,omitempty"`
	Conversation []Line         `json:"conversation"`
	Virtual      time.Duration  `json:"virtual_ns"` // how long the conversation was
	Took         time.Duration  `json:"took_ns"`    // how long it took to hold
	Taken        map[string]int `json:"taken,omitempty"`
}

// Run holds one test's conversation. It never blocks on anything outside.
func Run(t *Test, plan *flow.Plan) Result { return run(t, plan, promptsOf(plan)) }

func run(t *Test, plan *flow.Plan, p *prompts) Result {
	began := time.Now()
	given := map[string]*answers{}
	for name, a := range t.given {
		given[name] = a.anew()
	}
	sc := &script{test: t, given: given, prompts: p, marks: map[int]map[string]int{}}
	s := newStage(*plan, sc, time.Minute)
	sc.stage = s
	err := s.hold(t.Now, t.Language, t.Inputs)
	if err == nil && sc.failure == nil {
		sc.finish()
	}
	if err != nil && sc.failure == nil {
		sc.failure = &Failure{Pos: t.Pos, Message: err.Error(), line: len(s.log)}
	}
	r := Result{
		Test: t, Name: t.Name, Flow: t.Flow, Failure: sc.failure, Conversation: s.log, Took: time.Since(began),
		Turns: s.last.Turns, Taken: s.last.Taken,
	}
	if s.summary != nil {
		r.Turns, r.Outcome, r.Taken = s.summary.Turns, s.summary.Outcome, s.summary.Taken
	}
	if n := len(s.log); n > 0 {
		r.Virtual = s.log[n-1].At
	}
	return r
}

// fail ends the test.
func (sc *script) fail(e entry, f Failure) {
	if sc.failure != nil {
		return
	}
	f.Pos, f.line = e.at.Pos(), len(sc.stage.log)
	sc.failure = &f
	sc.stage.stop()
}

// current is the entry whose turn it is.
func (sc *script) current() entry {
	if sc.next < len(sc.test.entries) {
		return sc.test.entries[sc.next]
	}
	return entry{at: sc.test.doc.Field("conversation")}
}

// turn goes on with the test as far as the conversation, which waits for
// somebody, allows.
func (sc *script) turn(st workflows.Status) {
	for !sc.resting && sc.failure == nil {
		if sc.next == len(sc.test.entries) {
			if !sc.gone {
				sc.gone = true
				sc.stage.leave()
			}
			return
		}
		e := sc.current()
		switch e.kind {
		case kindKiosk:
			if !st.Listening && !sc.find(e) {
				return // nobody has to say anything yet: it may still come
			}
			if st.Listening {
				sc.check(e)
			}
		case kindExpect:
			sc.expect(e, st, nil)
		default:
			if !sc.ready(e, st) {
				return
			}
			sc.move(e, st)
			return
		}
	}
}

// check finds what a `kiosk` entry names among what was said, or fails.
func (sc *script) check(e entry) {
	if !sc.find(e) {
		sc.fail(e, sc.unsaid(e))
	}
}

// find looks for the response that a `kiosk` entry names; if it is there, the
// test goes on behind it.
func (sc *script) find(e entry) bool {
	for i := sc.from; i < len(sc.stage.said); i++ {
		if sc.matches(e, sc.stage.said[i]) {
			sc.from = i + 1
			sc.next++
			return true
		}
	}
	return false
}

// ready says whether the conversation waits for what an entry does. If it waits
// for something else the entry's time may still come.
func (sc *script) ready(e entry, st workflows.Status) bool {
	switch e.kind {
	case kindUser, kindTyped, kindTouch, kindNoise, kindBargeIn:
		return st.Listening
	case kindStaff:
		if st.Handoff == nil && st.Listening {
			sc.fail(e, Failure{
				Message: "nobody has called staff",
				Got:     fmt.Sprintf("the conversation listens at step %q", st.Step),
			})
		}
		return st.Handoff != nil
	}
	return true
}

// move is the customer's or somebody else's turn.
func (sc *script) move(e entry, st workflows.Status) {
	s := sc.stage
	if e.kind != kindBargeIn {
		sc.next++
		sc.from = len(s.said)
	}
	switch e.kind {
	case kindSilence:
		s.note("silence", st.Step, e.after.String())
		sc.rest(e.after, func() { sc.silent = false })
		sc.silent = true
	case kindUser:
		sc.say(e.utterance, st.Step)
	case kindTyped:
		s.note("customer", st.Step, e.text+" (typed)")
		s.enter(workflows.Typed, e.text)
	case kindTouch:
		sc.touch(e, st.Step)
	case kindNoise:
		s.note("noise", st.Step, "something that is no speech")
		s.speak(nil)
	case kindBargeIn:
		sc.fail(e, Failure{
			Message: "there is nothing to interrupt: the kiosk has finished speaking and listens",
			Hint:    "put barge_in behind the `kiosk` entry of the response that is interrupted, or write user",
		})
	case kindStaff:
		h := *st.Handoff
		sc.rest(e.after, func() { sc.staff(e, h) })
	case kindEvent:
		s.note("event", st.Step, strings.TrimSpace(e.event+" "+dataText(e.data)))
		s.event(e.event, e.data)
		s.settle()
	case kindLeave:
		s.note("customer", st.Step, "(leaves)")
		s.leave()
	}
}

func dataText(v any) string {
	if v == nil {
		return ""
	}
	return asText(v)
}

// rest lets virtual time pass in which the customer does nothing.
func (sc *script) rest(d time.Duration, then func()) {
	if d == 0 {
		then()
		sc.stage.settle()
		return
	}
	sc.resting = true
	sc.rests++
	n := sc.rests
	sc.stage.later(d, func() {
		if n == sc.rests { // else it has ended early
			sc.resting = false
			then()
		}
	})
}

func (sc *script) say(u *utterance, step string) {
	text := u.shown()
	if u.confidence != usual {
		text += fmt.Sprintf(" (%.0f %% sure)", 100*u.confidence)
	}
	sc.means = u
	sc.stage.note("customer", step, text)
	sc.stage.speak(u)
}

func (sc *script) touch(e entry, step string) {
	s := sc.stage
	s.note("customer", step, e.text+" (touched)")
	if !s.touchable(e.text) {
		sc.fail(e, Failure{Message: s.noButton(e.text).Error()})
		return
	}
	s.enter(workflows.Touched, e.text)
}

func (sc *script) staff(e entry, h workflows.Handoff) {
	answer := "declines"
	if e.accept {
		answer = "accepts"
	}
	sc.stage.note("staff", h.Step, e.by+" "+answer)
	sc.stage.answerHandoff(h, e.accept, e.by, func(err error) {
		sc.fail(e, Failure{Message: "the answer of staff came too late or was refused", Got: err.Error()})
	})
}

// spoken goes on with the test up to a barge_in, whose time is now.
func (sc *script) spoken(r *response) {
	if sc.failure != nil || sc.resting && !sc.silent {
		return
	}
	next, from := sc.next, sc.from
	for sc.current().kind == kindKiosk && sc.find(sc.current()) {
		continue
	}
	e := sc.current()
	if e.kind != kindBargeIn || sc.from < len(sc.stage.said) && sc.afterKiosk() {
		if sc.silent {
			sc.next, sc.from = next, from // the silence goes on
		}
		return
	}
	sc.silent, sc.resting = false, false
	switch {
	case r.BargeIn == "none":
		sc.fail(e, Failure{
			Message: "this response cannot be interrupted", Got: fmt.Sprintf("step %q has `barge_in: none`", r.Step),
		})
		return
	case e.after >= r.lasts:
		sc.fail(e, Failure{
			Message: fmt.Sprintf("nobody can interrupt after %s: saying it takes %s", e.after, r.lasts),
			Got:     fmt.Sprintf("%q", r.text),
		})
		return
	}
	sc.next++
	sc.rest(e.after, func() { sc.interrupt(e, r) })
}

// afterKiosk says whether the entry before this one names a response.
func (sc *script) afterKiosk() bool {
	return sc.next > 0 && sc.test.entries[sc.next-1].kind == kindKiosk
}

func (sc *script) interrupt(e entry, r *response) {
	sc.from = len(sc.stage.said)
	switch {
	case e.touched:
		sc.touch(e, r.Step)
	case e.typed:
		sc.stage.note("customer", r.Step, e.text+" (typed)")
		sc.stage.enter(workflows.Typed, e.text)
	default:
		sc.say(e.utterance, r.Step)
	}
}

// finish goes through what is left when the conversation has ended.
func (sc *script) finish() {
	ended := func(e entry, message string) {
		sc.fail(e, Failure{Message: message, Got: fmt.Sprintf("the conversation has ended with outcome %q", sc.stage.summary.Outcome)})
	}
	for sc.failure == nil && sc.next < len(sc.test.entries) {
		e := sc.current()
		switch e.kind {
		case kindKiosk:
			sc.check(e)
			continue
		case kindExpect:
			sc.expect(e, sc.stage.last, sc.stage.summary)
			continue
		case kindSilence, kindLeave:
			sc.next++
		case kindStaff:
			ended(e, "staff cannot answer")
		case kindEvent:
			ended(e, "nobody is told of the event")
		default:
			ended(e, "the customer cannot go on")
		}
	}
	if sc.failure == nil && sc.stage.summary.Outcome == workflows.OutcomeFailed && !sc.expectsOutcome() {
		sc.fail(entry{at: sc.test.doc.Field("test")}, Failure{
			Message: "a step failed and nothing caught it",
			Hint:    "catch it, or expect {outcome: " + workflows.OutcomeFailed + "}",
		})
	}
}

// expectsOutcome says whether the test says how the conversation ends.
func (sc *script) expectsOutcome() bool {
	return slices.ContainsFunc(sc.test.entries, func(e entry) bool {
		return e.kind == kindExpect && e.val.Field("outcome").There()
	})
}
