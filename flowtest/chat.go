package flowtest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/workflows"
)

// A Chat is a conversation that a person holds with a flow in a terminal: the
// same engine as a test's, with the person as the customer, the staff and every
// server that nothing else answers for.
type Chat struct {
	Plan     *flow.Plan
	Language string         // the page's choice; "" for none
	Inputs   map[string]any // the flow's
	Now      time.Time      // the store's own time at the start, in UTC
	In       io.Reader      // lines of the person
	Out      io.Writer
	Colour   bool
	Echo     bool // repeat what the person wrote, where no terminal shows it
	// Given answers for the servers before anybody is asked; nil: nobody does.
	Given *Test
	// Retrieve searches the store's knowledge; nil: a search finds nothing.
	Retrieve func(context.Context, activities.RetrieveInput) ([]activities.Passage, error)
	// Generate is the language model of an answer in words; nil: the person is
	// asked.
	Generate func(context.Context, activities.GenerateInput) (string, error)
}

// errQuit ends a chat at its person's wish.
var errQuit = errors.New("the chat was ended")

// Hold holds the conversation until it ends or the person leaves it, and gives a
// recording of it. ctx ends it too.
func (c Chat) Hold(ctx context.Context) (*Recording, error) {
	t := &talk{
		Chat: c, ctx: ctx, lines: make(chan string), recording: newRecording(c), prompts: promptsOf(c.Plan),
		w: &painter{out: c.Out, o: TextOptions{Colour: c.Colour}}, given: map[string]*answers{},
	}
	if c.Given != nil {
		for name, a := range c.Given.given {
			t.given[name] = a.anew()
		}
	}
	done := make(chan struct{})
	defer close(done)
	go t.read(done) // ends with the input, or with the process that waits for it

	t.stage = newStage(*c.Plan, t, math.MaxInt64) // a person takes their time
	err := t.stage.hold(c.Now, c.Language, c.Inputs)
	if err == nil && t.stage.summary != nil {
		t.recording.end(t.stage, t.prompts)
		t.w.printf("%s\n", t.w.paint(dim, fmt.Sprintf("— ended: %s, after %s and %s", t.stage.summary.Outcome,
			count(t.stage.summary.Turns, "turn"), clock(t.stage.now()))))
	}
	return t.recording, errors.Join(err, t.w.err)
}

// A talk is a chat under way, and its cast.
type talk struct {
	Chat
	ctx       context.Context
	lines     chan string
	stage     *stage
	prompts   *prompts
	w         *painter
	recording *Recording
	given     map[string]*answers
	last      *utterance // what the person said last

	step     string
	slots    map[string]any
	vars     map[string]any
	troubles int // lines of the stage's log that were looked through
	barge    *entry
	resting  bool
	quit     bool
}

// read gives the person's lines to whoever asks for one.
func (t *talk) read(done <-chan struct{}) {
	defer close(t.lines)
	scanner := bufio.NewScanner(t.In)
	for scanner.Scan() {
		select {
		case t.lines <- scanner.Text():
		case <-done:
			return
		}
	}
}

// ask prints a prompt and waits for the person's line; errQuit when there are no
// more.
func (t *talk) ask(prompt string) (string, error) {
	t.w.printf("%s ", t.w.paint(bold, prompt))
	select {
	case line, ok := <-t.lines:
		if !ok {
			t.w.printf("\n")
			return "", errQuit
		}
		if t.Echo {
			t.w.printf("%s\n", line)
		}
		return strings.TrimSpace(line), nil
	case <-t.ctx.Done():
		return "", errQuit
	}
}

func (t *talk) dim(format string, args ...any) {
	t.w.printf("  %s\n", t.w.paint(dim, fmt.Sprintf(format, args...)))
}

// spoken prints a response, and interrupts it when the person asked for that.
func (t *talk) spoken(r *response) {
	t.recording.said(r)
	t.trouble()
	if r.Step != t.step {
		t.step = r.Step
		t.dim("at %s", r.Step)
	}
	t.w.printf("%s %s\n", t.w.paint(cyan, "kiosk ▸"), r.text)
	if r.Screen != nil {
		t.dim("screen: %s", described(*r.Screen))
	}
	if len(t.stage.visible) > 0 {
		t.dim("buttons: %s", strings.Join(t.stage.visible, ", "))
	}
	if b := t.barge; b != nil && b.after < r.lasts && r.BargeIn != "none" {
		t.barge = nil
		t.resting = true
		t.recording.interrupt(*b, t.prompts)
		t.stage.later(b.after, func() {
			t.resting = false
			t.dim("you interrupt after %s: %s", b.after, b.utterance.text)
			t.stage.speak(b.utterance)
		})
	}
}

// A person says what they say without a pause, and answers for servers only once.
func (t *talk) answering(int) {}
func (t *talk) annulled(int)  {}

// described is a screen on one line.
func described(s activities.Screen) string {
	var parts []string
	for _, text := range []string{s.Title, s.Text, s.Picture, s.Map} {
		if text != "" {
			parts = append(parts, text)
		}
	}
	if s.Mark != "" {
		parts = append(parts, "with "+s.Mark+" lit up")
	}
	for _, b := range s.Buttons {
		parts = append(parts, "["+b.Label+"]")
	}
	return strings.Join(parts, " · ")
}

// trouble prints what the workflow has warned of.
func (t *talk) trouble() {
	for ; t.troubles < len(t.stage.log); t.troubles++ {
		if l := t.stage.log[t.troubles]; l.Who == "!" {
			t.w.printf("  %s\n", t.w.paint(red, "! "+l.Text))
		}
	}
}

// turn asks the person what the customer, or staff, does.
func (t *talk) turn(st workflows.Status) {
	if t.resting || t.quit {
		return
	}
	t.recording.waited(t.stage)
	t.trouble()
	t.changes(st)
	prompt := "you ▸"
	switch {
	case st.Handoff != nil:
		prompt = fmt.Sprintf("staff %q is called, /accept or /decline ▸", st.Handoff.Team)
	case !st.Listening:
		prompt = "waiting for an event, /event NAME [DATA] ▸"
	}
	for {
		line, err := t.ask(prompt)
		if err != nil {
			t.leave()
			return
		}
		moved, err := t.do(line, st)
		if err != nil {
			t.w.printf("  %s\n", t.w.paint(red, err.Error()))
		}
		if moved {
			return
		}
	}
}

// changes prints what is new since the last turn.
func (t *talk) changes(st workflows.Status) {
	if st.Step != t.step {
		t.step = st.Step
		t.dim("at %s", st.Step)
	}
	show := func(what string, before, now map[string]any) {
		for _, name := range sortedKeys(now) {
			if !reflect.DeepEqual(before[name], now[name]) {
				t.dim("%s.%s = %s", what, name, shortened(shown(now[name])))
			}
		}
	}
	show("slots", t.slots, st.Slots)
	show("vars", t.vars, st.Vars)
	t.slots, t.vars = maps.Clone(st.Slots), maps.Clone(st.Vars)
}

func (t *talk) leave() {
	t.quit = true
	t.recording.leave(t.prompts)
	t.stage.leave()
}

// help is what can be written instead of something said.
const help = `  an empty line     say nothing, until the kiosk goes on
  /silence 7s       say nothing for so long
  /touch VALUE      touch a button
  /type TEXT        type instead of speaking
  /low 0.3 TEXT     speak so that the recogniser is only so sure
  /means WHAT TEXT  speak so that the language model, if asked, finds WHAT: an
                    intent, or slot=value
  /barge 400ms TEXT interrupt the next response after so long
  /noise            make a noise that is no speech
  /accept /decline  answer a call for staff
  /event NAME DATA  tell the conversation of an event; DATA is JSON
  /slots /vars /path /lang   show what the conversation knows
  /quit             leave`

// do does what the person wrote. moved says that the conversation goes on.
func (t *talk) do(line string, st workflows.Status) (moved bool, err error) {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	if !st.Listening && (line == "" || !strings.HasPrefix(word, "/")) {
		if line != "" {
			return false, errors.New("nobody is listening now; /help shows what can be done, an empty line waits")
		}
	}
	if !strings.HasPrefix(word, "/") {
		if line == "" {
			t.recording.begin(t.prompts)
			t.recording.silence(t.stage)
			return true, nil
		}
		t.say(clearly(part{text: line}))
		return true, nil
	}
	switch word {
	case "/quit":
		t.leave()
		return true, nil
	case "/slots":
		t.dim("%s", asText(st.Slots))
	case "/vars":
		t.dim("%s", asText(st.Vars))
	case "/lang":
		t.dim("%s", st.Language)
	case "/path":
		for _, way := range sortedKeys(st.Taken) {
			t.dim("%s × %d", way, st.Taken[way])
		}
	case "/help":
		t.w.printf("%s\n", help)
	case "/barge":
		return false, t.bargeIn(rest)
	case "/silence":
		return t.silence(rest)
	case "/event":
		return t.event(rest)
	case "/accept", "/decline":
		return t.staff(st, word == "/accept")
	case "/touch", "/type", "/low", "/noise", "/means":
		if !st.Listening {
			return false, errors.New("nobody is listening now; an empty line waits")
		}
		return t.act(word, rest)
	default:
		return false, fmt.Errorf("there is no %s; /help shows what there is", word)
	}
	return false, nil
}

// act is what a customer can do besides speaking clearly.
func (t *talk) act(word, rest string) (bool, error) {
	switch word {
	case "/touch":
		if !t.stage.touchable(rest) {
			return false, t.stage.noButton(rest)
		}
		t.recording.move(t.prompts, kindTouch, rest)
		t.stage.enter(workflows.Touched, rest)
	case "/type":
		t.recording.move(t.prompts, kindTyped, rest)
		t.stage.enter(workflows.Typed, rest)
	case "/noise":
		t.recording.move(t.prompts, kindNoise, map[string]any{})
		t.stage.speak(nil)
	case "/low":
		sure, text, _ := strings.Cut(rest, " ")
		confidence, err := strconv.ParseFloat(sure, 64)
		if err != nil || confidence < 0 || confidence > 1 || text == "" {
			return false, errors.New("write how sure the recogniser is, from 0 to 1, and the words: /low 0.3 hammers")
		}
		u := clearly(part{text: text})
		u.confidence = confidence
		t.say(u)
	case "/means":
		what, text, _ := strings.Cut(rest, " ")
		if text == "" {
			return false, errors.New("write what it means, and the words: /means human get me your boss")
		}
		t.say(meaning(what, text))
	}
	return true, nil
}

func (t *talk) say(u *utterance) {
	t.last = u
	t.recording.say(t.prompts, u)
	t.stage.speak(u)
}

func (t *talk) bargeIn(rest string) error {
	at, text, _ := strings.Cut(rest, " ")
	d, err := time.ParseDuration(at)
	if err != nil || d <= 0 || text == "" {
		return errors.New("write when and what: /barge 400ms hammers please")
	}
	t.barge = &entry{kind: kindBargeIn, after: d, utterance: clearly(part{text: text})}
	t.dim("the next response that can be interrupted will be, after %s", d)
	return nil
}

func (t *talk) silence(rest string) (bool, error) {
	d, err := time.ParseDuration(rest)
	if err != nil || d <= 0 {
		return false, errors.New("write how long: /silence 7s")
	}
	t.recording.move(t.prompts, kindSilence, rest)
	t.resting = true
	t.stage.later(d, func() { t.resting = false })
	return true, nil
}

func (t *talk) event(rest string) (bool, error) {
	name, text, _ := strings.Cut(rest, " ")
	var data any
	if text != "" {
		if err := json.Unmarshal([]byte(text), &data); err != nil {
			return false, fmt.Errorf("the data is not JSON: %w", err)
		}
	}
	if name == "" {
		return false, errors.New("write its name: /event ticket_called {\"desk\": 3}")
	}
	event := map[string]any{"name": name}
	if data != nil {
		event["data"] = data
	}
	t.recording.move(t.prompts, kindEvent, event)
	t.stage.event(name, data)
	t.stage.settle()
	return true, nil
}

func (t *talk) staff(st workflows.Status, accept bool) (bool, error) {
	if st.Handoff == nil {
		return false, errors.New("nobody has called staff")
	}
	answer := "decline"
	if accept {
		answer = "accept"
	}
	t.recording.move(t.prompts, kindStaff, answer)
	t.stage.answerHandoff(*st.Handoff, accept, "staff", func(err error) { t.dim("refused: %v", err) })
	t.stage.settle()
	return true, nil
}

// The servers.

// answer keeps what a server answered for the recording.
func (t *talk) answer(name string, a answer) answer {
	t.recording.answered(name, a)
	return a
}

func (t *talk) retrieve(step string, in activities.RetrieveInput) answer {
	name := "retrieve." + in.Index
	var a answer
	switch given := t.given[name]; {
	case given != nil:
		a = given.take()
	case t.Retrieve != nil:
		found, err := t.Retrieve(t.ctx, in)
		if err != nil {
			a.fails = kindOf(err)
			t.dim("%s: %v", name, err)
			break
		}
		a.value = asPassages(found)
	default:
		a.value = []any{}
	}
	found, _ := a.value.([]any)
	t.dim("%s %q → %s", name, in.Query, count(len(found), "passage"))
	return t.answer(name, a)
}

func (t *talk) generate(in activities.GenerateInput) answer {
	step, _, _ := strings.Cut(in.Step, ".") // inside a parallel: step.branch.number
	a, name := t.given["generate."+step], "generate."+step
	if a == nil {
		a = t.given["generate"]
	}
	if a != nil {
		return t.answer(name, a.take())
	}
	if t.stage.isHandoff(step) {
		return answer{value: summary}
	}
	if t.Generate != nil && in.Schema == nil {
		text, err := t.Generate(t.ctx, in)
		if err != nil {
			t.dim("generate %q → !%s", in.Question, kindOf(err))
			return t.answer(name, answer{fails: kindOf(err)})
		}
		return t.answer(name, answer{value: text})
	}
	what := ""
	if in.Schema != nil {
		what = " as JSON"
	}
	return t.answer(name, t.reply(fmt.Sprintf("generate%s at %s for %q →", what, in.Step, in.Question)))
}

func (t *talk) call(in activities.CallInput) answer {
	name := "call." + in.Action
	if a := t.given[name]; a != nil {
		got := a.take()
		t.dim("call %s %s → %s", in.Action, asText(in.Args), shown(got.value))
		return t.answer(name, got)
	}
	return t.answer(name, t.reply(fmt.Sprintf("call %s %s →", in.Action, asText(in.Args))))
}

// reply lets the person answer for a server: JSON, or text as it is, or !kind for
// a failure.
func (t *talk) reply(prompt string) answer {
	line, err := t.ask(prompt + " value, or !error ▸")
	if err != nil {
		return answer{fails: activities.KindAway}
	}
	if kind, fails := strings.CutPrefix(line, "!"); fails {
		if kind == "" {
			kind = activities.KindAway
		}
		return answer{fails: kind}
	}
	var v any
	if json.Unmarshal([]byte(line), &v) != nil {
		v = line
	}
	return answer{value: v}
}

// understand is asked only where a flow's own grammar does not know; here the
// person says beforehand what the model would make of their words.
func (t *talk) understand(in activities.UnderstandInput) answer {
	result := activities.UnderstandResult{}
	if u := t.last; u != nil && u.means && u.text == in.Utterance {
		result.Intent, result.Values = u.intent, u.slots
	} else {
		t.dim("the language model is asked what that means, and does not know (/means WHAT TEXT lets it)")
	}
	return answer{value: result}
}

// meaning reads what a language model is to make of words: an intent or a slot's
// value.
func meaning(what, text string) *utterance {
	u := clearly(part{text: text})
	u.means = true
	slot, value, ok := strings.Cut(what, "=")
	if !ok {
		u.intent = what
		return u
	}
	var v any
	if json.Unmarshal([]byte(value), &v) != nil {
		v = value
	}
	u.slots = map[string]any{slot: v}
	return u
}

// asPassages are passages as a test's `given` writes them.
func asPassages(found []activities.Passage) any {
	out := make([]any, len(found))
	for i, p := range found {
		m := map[string]any{"id": p.ID, "text": p.Text, "score": p.Score}
		if p.Title != "" {
			m["title"] = p.Title
		}
		if p.Source != "" {
			m["source"] = p.Source
		}
		for name, value := range p.Fields {
			if _, taken := m[name]; !taken {
				m[name] = value
			}
		}
		out[i] = m
	}
	return out
}

// kindOf is the kind of a server's failure.
func kindOf(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Type()
	}
	return activities.KindAway
}
