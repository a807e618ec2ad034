package flowtest

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/workflows"
)

// A script is the cast that a test describes.
type script struct {
	stage   *stage
	test    *Test
	prompts *prompts

	given   map[string]*answers
	next    int        // the entry whose turn it is
	from    int        // the first response in which the next `kiosk` is looked for
	means   *utterance // what the customer said last
	resting bool       // something happens later; until then the customer does nothing
	gone    bool       // the customer has been told to leave at the test's end
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
	sc := &script{test: t, given: given, prompts: p}
	s := newStage(*plan, sc)
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
		s.note("silence", st.Step, e.for_.String())
		sc.rest(e.for_, func() {})
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
		sc.rest(e.for_, func() { sc.staff(e, h) })
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
	sc.stage.later(d, func() {
		sc.resting = false
		then()
	})
}

func (sc *script) say(u *utterance, step string) bool {
	text := u.text
	if u.confidence != usual {
		text += fmt.Sprintf(" (%.0f %% sure)", 100*u.confidence)
	}
	sc.means = u
	sc.stage.note("customer", step, text)
	return sc.stage.speak(u)
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
	if sc.resting || sc.failure != nil {
		return
	}
	for sc.current().kind == kindKiosk && sc.next < len(sc.test.entries) && sc.find(sc.current()) {
		continue
	}
	e := sc.current()
	if e.kind != kindBargeIn || sc.from < len(sc.stage.said) && sc.afterKiosk() {
		return
	}
	switch {
	case r.BargeIn == "none":
		sc.fail(e, Failure{
			Message: "this response cannot be interrupted", Got: fmt.Sprintf("step %q has `barge_in: none`", r.Step),
		})
		return
	case e.for_ >= r.lasts:
		sc.fail(e, Failure{
			Message: fmt.Sprintf("nobody can interrupt after %s: saying it takes %s", e.for_, r.lasts),
			Got:     fmt.Sprintf("%q", r.text),
		})
		return
	}
	sc.next++
	sc.rest(e.for_, func() { sc.interrupt(e, r) })
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
		if !sc.say(e.utterance, r.Step) {
			sc.fail(e, Failure{
				Message: fmt.Sprintf("this does not interrupt: the step's barge_in wants %d words", r.MinWords),
				Got:     fmt.Sprintf("%q", e.utterance.text),
			})
		}
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
}

// The servers.

// lacks fails a test whose `given` does not say what a server answers.
func (sc *script) lacks(step, what, name, example string) answer {
	e := sc.current()
	sc.fail(e, Failure{
		Message: fmt.Sprintf("step %q %s, and `given` does not say what comes back", step, what),
		Hint:    fmt.Sprintf("add %s: %s", name, example),
	})
	return answer{fails: activities.KindInvalid}
}

func (sc *script) retrieve(step string, in activities.RetrieveInput) answer {
	name := "retrieve." + in.Index
	a := sc.given[name]
	if a == nil {
		return sc.lacks(step, fmt.Sprintf("searches %q", in.Index), name, "[{text: \"Kettles are in aisle 4.\", score: 0.8}], or [] for nothing")
	}
	return sc.tell(name, step, strconv.Quote(in.Query), a.take())
}

func (sc *script) generate(in activities.GenerateInput) answer {
	step, _, _ := strings.Cut(in.Step, ".") // inside a parallel: step.branch.number
	a := sc.given["generate."+step]
	if a == nil && sc.stage.isHandoff(step) {
		return answer{value: summary}
	}
	if a == nil {
		a = sc.given["generate"]
	}
	if a == nil {
		return sc.lacks(in.Step, "asks the language model", "generate", "[\"The kettles are in aisle 4.\"]")
	}
	return sc.tell("generate", in.Step, strconv.Quote(in.Question), a.take())
}

func (sc *script) call(in activities.CallInput) answer {
	name := "call." + in.Action
	a := sc.given[name]
	if a == nil {
		return sc.lacks(in.Step, fmt.Sprintf("calls %q", in.Action), name, "{…what it answers}")
	}
	return sc.tell(name, in.Step, asText(in.Args), a.take())
}

func (sc *script) understand(in activities.UnderstandInput) answer {
	result := activities.UnderstandResult{}
	if u := sc.means; u != nil && u.means && u.text == in.Utterance {
		result.Intent, result.Values = u.intent, u.slots
	}
	text := "nothing"
	if result.Intent != "" || result.Values != nil {
		text = strings.TrimSpace(result.Intent + " " + dataText(anyOrNil(result.Values)))
	}
	sc.stage.note("understand", in.Step, strconv.Quote(in.Utterance)+" → "+text)
	return answer{value: result}
}

func anyOrNil(m map[string]any) any {
	if m == nil {
		return nil
	}
	return m
}

// tell writes a request and its answer into the conversation.
func (sc *script) tell(name, step, asked string, a answer) answer {
	text := "fails: " + a.fails
	if a.fails == "" {
		text = asText(a.value)
	}
	if a.after > 0 {
		text += " after " + a.after.String()
	}
	sc.stage.note(name, step, asked+" → "+text)
	return a
}

// What is expected.

// matches says whether a response is what a `kiosk` entry names.
func (sc *script) matches(e entry, r *response) bool {
	if !e.val.IsMap() {
		return textMatches(e.val.Text(), r.text)
	}
	for _, f := range e.val.Fields() {
		want := f.Value.Text()
		ok := true
		switch f.Name {
		case "prompt":
			ok = sc.prompts.is(want, r.text)
		case "says":
			ok = textMatches(want, r.text)
		case "step":
			ok = r.Step == want
		case "barge_in":
			ok = r.BargeIn == want
		case "avatar":
			ok = r.Gesture == want
		case "screen":
			ok = screenMatches(f.Value, r.Screen)
		}
		if !ok {
			return false
		}
	}
	return true
}

// textMatches compares with a piece of text, or with /a regular expression/.
func textMatches(want, got string) bool {
	if pattern, ok := asPattern(want); ok {
		re, err := regexp.Compile(pattern)
		return err == nil && re.MatchString(got)
	}
	return strings.Contains(got, want)
}

func asPattern(s string) (string, bool) {
	if len(s) > 2 && s[0] == '/' && s[len(s)-1] == '/' {
		return s[1 : len(s)-1], true
	}
	return "", false
}

func screenMatches(want flow.Value, s *activities.Screen) bool {
	if s == nil {
		return false
	}
	for _, f := range want.Fields() {
		ok := true
		switch f.Name {
		case "title":
			ok = textMatches(f.Value.Text(), s.Title)
		case "text":
			ok = textMatches(f.Value.Text(), s.Text)
		case "alt":
			ok = textMatches(f.Value.Text(), s.Alt)
		case "picture":
			ok = s.Picture == f.Value.Text()
		case "map":
			ok = s.Map == f.Value.Text()
		case "mark":
			ok = s.Mark == f.Value.Text()
		case "buttons":
			var values, wants []string
			for _, b := range s.Buttons {
				values = append(values, b.Value)
			}
			for _, v := range f.Value.Items() {
				wants = append(wants, v.Text())
			}
			ok = slices.Equal(values, wants)
		}
		if !ok {
			return false
		}
	}
	return true
}

// unsaid says what was said instead.
func (sc *script) unsaid(e entry) Failure {
	f := Failure{Expected: sc.wanted(e), Got: "the kiosk said nothing more"}
	f.Message = "the kiosk did not say this"
	var said []string
	for _, r := range sc.stage.said[min(sc.from, len(sc.stage.said)):] {
		line := fmt.Sprintf("%q at step %q", r.text, r.Step)
		if keys := sc.prompts.keys(r.text); len(keys) > 0 {
			line += " (prompt " + strings.Join(keys, ", ") + ")"
		}
		said = append(said, line)
	}
	if len(said) > 0 {
		f.Got = "the kiosk said " + strings.Join(said, "\nthen ")
	}
	for _, r := range sc.stage.said[:min(sc.from, len(sc.stage.said))] {
		if sc.matches(e, r) {
			f.Hint = fmt.Sprintf("it was said earlier, after %s: each `kiosk` looks only at what was said since the customer's last turn and behind the `kiosk` before it",
				clock(r.began.Sub(sc.stage.began)))
		}
	}
	return f
}

// wanted is what a `kiosk` entry names, in words.
func (sc *script) wanted(e entry) string {
	if !e.val.IsMap() {
		return fmt.Sprintf("something with %q", e.val.Text())
	}
	var parts []string
	for _, f := range e.val.Fields() {
		switch f.Name {
		case "prompt":
			parts = append(parts, fmt.Sprintf("prompt %s, %q", f.Value.Text(), sc.prompts.text(f.Value.Text(), sc.stage.last.Language)))
		case "screen":
			parts = append(parts, "screen "+asText(plain(f.Value.Any())))
		default:
			parts = append(parts, f.Name+" "+fmt.Sprintf("%q", f.Value.Text()))
		}
	}
	return strings.Join(parts, ", ")
}

// expect compares what an `expect` entry says with what the conversation knows;
// sum is there when it has ended.
func (sc *script) expect(e entry, st workflows.Status, sum *workflows.Summary) {
	for _, f := range e.val.Fields() {
		var err error
		switch f.Name {
		case "step":
			err = equal(f.Value.Text(), st.Step)
		case "flow":
			err = equal(f.Value.Text(), st.Flow)
		case "language":
			err = equal(f.Value.Text(), st.Language)
		case "turns":
			err = equal(plain(f.Value.Any()), float64(st.Turns))
		case "outcome":
			err = expectOutcome(f.Value, sum)
		case "heard":
			err = expectHeard(f.Value.Text(), sc.stage.said)
		case "slots":
			err = expectValues(f.Value, st.Slots)
		case "vars":
			err = expectValues(f.Value, st.Vars)
		case "visited":
			err = expectVisited(f.Value, st)
		case "called":
			err = expectCalled(f.Value, sc.stage.calls)
		}
		var d difference
		if errors.As(err, &d) {
			at := entry{at: f.Key}
			name := strings.TrimSuffix(f.Name+"."+d.name, ".")
			sc.fail(at, Failure{Message: name + " is not as expected", Expected: d.want, Got: d.got})
			return
		}
	}
	sc.next++
}

// A difference is between what is expected and what is.
type difference struct{ name, want, got string }

// Error says it on one line.
func (d difference) Error() string { return fmt.Sprintf("%s: want %s, got %s", d.name, d.want, d.got) }

func equal(want, got any) error {
	if !reflect.DeepEqual(want, got) {
		return difference{want: shown(want), got: shown(got)}
	}
	return nil
}

// shown writes a value so that text can be told from what is none.
func shown(v any) string {
	if v == nil {
		return "nothing"
	}
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	return asText(v)
}

func expectOutcome(v flow.Value, sum *workflows.Summary) error {
	want, got := v.Any(), any(nil)
	if sum != nil {
		got = sum.Outcome
	}
	if want == got {
		return nil
	}
	d := difference{want: shown(want), got: shown(got)}
	if want == nil {
		d.want = "that it goes on"
	}
	if got == nil {
		d.got = "it has not ended"
	}
	return d
}

func expectHeard(want string, said []*response) error {
	for _, r := range slices.Backward(said) {
		if r.cut {
			if textMatches(want, r.heard) {
				return nil
			}
			return difference{want: shown(want), got: shown(r.heard)}
		}
	}
	return difference{want: shown(want), got: "no response was interrupted"}
}

// expectValues compares the values that matter.
func expectValues(v flow.Value, have map[string]any) error {
	for _, f := range v.Fields() {
		want, got := plain(f.Value.Any()), have[f.Name]
		if !contains(got, want) {
			return difference{f.Name, shown(want), shown(got)}
		}
	}
	return nil
}

// contains compares; of an object only the wanted members matter.
func contains(got, want any) bool {
	w, ok := want.(map[string]any)
	if !ok {
		return reflect.DeepEqual(got, want)
	}
	g, ok := got.(map[string]any)
	if !ok {
		return false
	}
	for name, value := range w {
		if !contains(g[name], value) {
			return false
		}
	}
	return true
}

func expectVisited(v flow.Value, st workflows.Status) error {
	visited := visitedSteps(st.Taken)
	visited[st.Step] = true
	for _, item := range v.Items() {
		if !visited[item.Text()] {
			return difference{want: shown(item.Text()), got: "it was not visited"}
		}
	}
	return nil
}

// visitedSteps are the steps that were left by some way.
func visitedSteps(taken map[string]int) map[string]bool {
	steps := map[string]bool{}
	for way := range taken {
		_, step, _ := strings.Cut(way, "/")
		step, _, _ = strings.Cut(step, ">")
		steps[step] = true
	}
	return steps
}

func expectCalled(v flow.Value, calls []activities.CallInput) error {
	for _, f := range v.Fields() {
		var last *activities.CallInput
		for i := range calls {
			if calls[i].Action == f.Name {
				last = &calls[i]
			}
		}
		want := plain(f.Value.Any())
		switch {
		case want == nil && last != nil:
			return difference{f.Name, "that it is not called", asText(last.Args)}
		case want == nil:
		case last == nil:
			return difference{f.Name, asText(want), "it was not called"}
		case !contains(any(throughJSON(last.Args)), want):
			return difference{f.Name, asText(want), asText(last.Args)}
		}
	}
	return nil
}

// clock writes a virtual time as minutes and seconds.
func clock(d time.Duration) string {
	return fmt.Sprintf("%d:%04.1f", int(d.Minutes()), (d % time.Minute).Seconds())
}
