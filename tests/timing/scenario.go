// Package timing holds turn-taking against the clock. A scenario says what a
// customer does and how fast the models are, and what is heard and recorded
// when, to 20 ms. The gateway, its media plane, the activities and the workflow
// are the real ones; the model servers, Temporal and the network between them are
// stubs, so that all of it runs in a bubble of virtual time
// (testing/synctest): minutes pass in milliseconds, and always the same way.
//
// A scenario that fails prints what happened as a picture.
package timing

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/avatar"
	"github.com/praesenz/parley/activities/llm"
	"github.com/praesenz/parley/activities/retrieval"
	"github.com/praesenz/parley/activities/stt"
	"github.com/praesenz/parley/activities/tts"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/gateway"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/metrics"
	"github.com/praesenz/parley/workflows"
)

// A Scenario is one stretch of a conversation. Its clock begins when the kiosk
// has asked its question and listens.
type Scenario struct {
	Name     string        `yaml:"name"`
	About    string        `yaml:"about"`
	Listen   string        `yaml:"listen"`   // of the flow, in its own words: "{end_silence: 500ms}"
	BargeIn  string        `yaml:"barge_in"` // the same
	Answer   string        `yaml:"answer"`   // step of the answer, the same; default: generate
	NoInput  string        `yaml:"no_input"` // ladder, the same
	KioskVAD bool          `yaml:"kiosk_vad"`
	Echo     float64       `yaml:"echo"` // of the kiosk's voice in its microphone, a factor
	Models   Models        `yaml:"models"`
	Answers  []Answer      `yaml:"answers"`
	Happens  []Act         `yaml:"happens"`
	Until    time.Duration `yaml:"until"`
	Expect   []string      `yaml:"expect"`     // events, all of each kind that is named
	Never    []string      `yaml:"never"`      // kinds of event that do not happen
	Says     []string      `yaml:"transcript"` // "customer: …", "kiosk: …", "kiosk (cut): …", behind the question
}

// An Act is one thing that somebody does.
type Act struct {
	At    time.Duration `yaml:"at"`
	Lasts time.Duration `yaml:"lasts"`
	// Exactly one of these:
	Says    string `yaml:"says"`
	Noise   string `yaml:"noise"` // cough, hiss or click
	Types   string `yaml:"types"`
	Touches string `yaml:"touches"`
	// Does is one of hush, leave, away (Temporal is, for so long), lost (the kiosk
	// is, for so long), moved (to another gateway, for so long offline before), dies
	// (its gateway does, the same), second (another connection takes the kiosk), rival
	// (the same at another gateway, where it goes on with the conversation).
	Does string `yaml:"does"`
}

// The lanes of a picture, and the kinds of what happens in them.
const (
	laneCustomer = "customer"
	laneKiosk    = "kiosk"
	laneGateway  = "gateway"
	laneSTT      = "stt"
	laneLLM      = "llm"
	laneTTS      = "tts"
	laneWorkflow = "workflow"

	kindSays        = "says"     // the customer begins
	kindDone        = "done"     // and ends
	kindDoes        = "does"     //
	kindSpeech      = "speech"   // the gateway has noticed speech
	kindTurn        = "turn"     // and that it is over
	kindHeard       = "heard"    // what was understood
	kindSpeaking    = "speaking" // sound comes from the loudspeaker
	kindResumed     = "resumed"  // the same, from a position on
	kindSilent      = "silent"   // none any more, at this position
	kindInterrupted = "interrupted"
	kindState       = "state"
	kindEnded       = "ended"
	kindClosed      = "closed"
	kindFault       = "fault"
	kindJudged      = "judged"   // whether the turn is complete
	kindAsked       = "asked"    // the model is
	kindKnows       = "knows"    // and this has been said before
	kindAborted     = "aborted"  // nobody wants its answer any more
	kindAnswered    = "answered" // it has answered
	kindVoiced      = "voiced"   // the voice server is asked for a sentence
	kindSearched    = "searched"
	kindCalled      = "called"   // an action was
	kindRecorded    = "recorded" // Speak's result: the position, and what was heard
	kindMisheard    = "ignored"  // Transcribe's result: why it was not taken for speech
)

// An Event is what happened.
type Event struct {
	At   time.Duration // on the scenario's clock
	Lane string
	Kind string
	Text string
}

func (e Event) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", seconds(e.At), e.Kind, e.Text))
}

// seconds writes a time as scenarios do.
func seconds(d time.Duration) string {
	return fmt.Sprintf("%.2fs", d.Seconds())
}

// A stage is one scenario under way.
type stage struct {
	Scenario
	network  *network
	temporal *stubTemporal
	models   *models
	phrases  phrases
	kiosk    *kiosk
	token    string
	log      *slog.Logger

	mu     sync.Mutex
	began  time.Time // of the clock
	events []Event
}

func (s *stage) note(lane, kind, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, Event{At: time.Since(s.began), Lane: lane, Kind: kind, Text: text})
}

const (
	store       = "shop"
	kioskID     = "door"
	kioskKey    = "a key of the timing suite's own, 32 bytes"
	mediaToken  = "the media token of the suite"
	modelServer = "10.0.0.9:80"
)

// gatewayAt is the address of the n-th gateway, for kiosks and for workers.
func gatewayAt(n int) (http, media string) {
	return fmt.Sprintf("10.0.1.%d:8080", n), fmt.Sprintf("10.0.1.%d:8090", n)
}

// A Performance is a scenario that was played.
type Performance struct {
	Events     []Event
	Transcript []workflows.Line
	Log        string
}

// Run plays a scenario.
func (sc Scenario) Run(t *testing.T) (p Performance) {
	t.Helper()
	plan := sc.plan(t)
	var log bytes.Buffer // a handler writes one line at a time
	synctest.Test(t, func(t *testing.T) {
		s := &stage{Scenario: sc, network: newNetwork(), log: slog.New(slog.NewTextHandler(&log, nil)), began: time.Now()}
		p.Transcript = s.play(t, plan)
		// What was under way as the clock began belongs to the question.
		p.Events = slices.DeleteFunc(s.events, func(e Event) bool { return e.At <= 0 || e.At >= sc.Until })
	})
	p.Log = log.String()
	return p
}

// plan compiles the scenario's flow: it asks, answers, and asks again.
func (sc Scenario) plan(t *testing.T) flow.Plan {
	t.Helper()
	or := func(text, otherwise string) string {
		if text == "" {
			return otherwise
		}
		return text
	}
	source := fmt.Sprintf(`api: parley.flow/v1
flow: help
about: Customer asks something
version: 1.0.0
languages: {default: en, supported: [en]}
prompts: prompts
slots: {question: {type: text, max_len: 400, ask_anew: true}}
vars: {hits: list(passage), answer: string}
defaults:
  barge_in: %s
  listen: %s
  no_input: %s
  no_match: {say: [pardon], then: lost}
intents:
  goodbye: {to: bye, phrases: {en: ["goodbye"]}}
start: ask
steps:
  ask: {collect: {slot: question, prompt: ask, understand: grammar}, next: find}
  find: {retrieve: {index: store, query: slots.question, into: hits}, next: answer}
  answer: %s
  more: {collect: {slot: question, prompt: more, understand: grammar}, next: find}
  trouble: {say: {prompt: sorry}, next: more}
  bye: {end: {prompt: bye, outcome: resolved}}
  silent: {end: {outcome: abandoned}}
  lost: {end: {outcome: unresolved}}
`, or(sc.BargeIn, "{mode: speech}"), or(sc.Listen, "{end_silence: 500ms, guess: false}"), or(sc.NoInput, "{say: [hello], then: silent}"),
		or(sc.Answer, "{generate: {template: answer, into: answer, speak: stream, grounded_in: hits}, catch: {error: trouble}, next: more}"))
	prompts := "ask: Yes?\nmore: More?\nhello: Hello?\npardon: Pardon?\nsorry: Sorry.\nbye: Bye.\nanswer: Answer in one sentence.\n"
	if strings.Contains(sc.Answer, "cover: cover") {
		prompts += "cover: One moment.\n"
	}
	plan, err := flow.Compile(flow.Source{Path: "flow.yaml", FS: fstest.MapFS{
		"flow.yaml":       {Data: []byte(source)},
		"prompts/en.yaml": {Data: []byte(prompts)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return *plan
}

// play sets the stage up, lets everything happen, and takes it down.
func (s *stage) play(t *testing.T, plan flow.Plan) []workflows.Line {
	s.models = newModels(s.Models, s.Answers, &s.phrases, s.note)
	l, err := s.network.listen(t.Context(), "tcp", modelServer)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s.models.handler()}
	go server.Serve(l) //nolint:errcheck // it returns when it is closed
	defer server.Close()
	gateways := media.NewClient(mediaToken, media.WithDialer(s.network.dial))
	defer gateways.Close()
	way := s.network.client()
	defer way.CloseIdleConnections()
	work, done := s.work(t, gateways, way)
	defer done()
	s.temporal = &stubTemporal{activities: work, log: s.log, ended: s.activityEnded}

	ctx, cancel := context.WithCancel(t.Context())
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel()
	var running []*gateway.Gateway
	for n := range 2 {
		running = append(running, s.gateway(t, n+1, plan))
	}
	defer func() {
		for _, g := range running {
			if err := g.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}()
	if s.token, err = gateway.NewKioskToken([]byte(kioskKey), store, kioskID, time.Hour); err != nil {
		t.Fatal(err)
	}
	listening := make(chan struct{})
	s.kiosk = &kiosk{
		network: s.network, token: s.token, ownVAD: s.KioskVAD, echo: s.Echo, note: s.note,
		responses: map[int]*playback{}, listening: listening,
	}
	address, _ := gatewayAt(1)
	if err := s.kiosk.connect(ctx, address); err != nil {
		t.Fatal(err)
	}
	defer s.kiosk.lose()
	tasks.Go(func() { s.kiosk.listen(ctx) })
	tasks.Go(func() { s.kiosk.report(ctx) })
	s.kiosk.start()
	select {
	case <-listening:
	case <-time.After(time.Minute):
		t.Errorf("the kiosk does not listen; so far\n%s", Picture(s.events))
		if r := s.temporal.current(); r != nil {
			r.end()
		}
		return nil
	}
	s.mu.Lock()
	s.began, s.events = time.Now(), nil
	s.mu.Unlock()
	for _, a := range s.Happens {
		tasks.Go(func() {
			if wait(ctx, a.At-time.Since(s.began)) {
				s.act(ctx, t, a)
			}
		})
	}
	time.Sleep(s.Until)
	synctest.Wait()
	var transcript []workflows.Line
	if r := s.temporal.current(); r != nil {
		status, err := r.status()
		if err != nil {
			t.Error(err)
		}
		transcript = status.Transcript
		r.end()
	} else {
		transcript = s.temporal.runs[len(s.temporal.runs)-1].summary.Transcript
	}
	return transcript
}

// gateway starts the n-th gateway.
func (s *stage) gateway(t *testing.T, n int, plan flow.Plan) *gateway.Gateway {
	registry := prometheus.NewRegistry()
	m, err := metrics.New(registry)
	if err != nil {
		t.Fatal(err)
	}
	addr, mediaAddr := gatewayAt(n)
	g, err := gateway.New(gateway.Config{
		Addr: addr, MediaAddr: mediaAddr, AdvertiseMedia: mediaAddr, Listen: s.network.listen,
		Keys: [][]byte{[]byte(kioskKey)}, MediaToken: mediaToken, Temporal: s.temporal,
		Plan:    func(context.Context, string, string) (flow.Plan, map[string]any, error) { return plan, nil, nil },
		Metrics: m, Registry: registry, Logger: s.log,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g
}

// work is what the workers do: the real activities, asking the stub servers. done
// waits for what they leave behind.
func (s *stage) work(t *testing.T, gateways *media.Client, way *http.Client) (work map[string]any, done func()) {
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	url := "http://" + modelServer
	hears, err := stt.New(stt.Config{BaseURL: url, TurnURL: url + turnPath, Model: "stub", HTTP: way}, gateways, s.log)
	must(err)
	speaks, err := tts.New(tts.Config{BaseURL: url, Model: "stub", HTTP: way}, gateways, s.log)
	must(err)
	model, _, err := llm.Choose(t.Context(), llm.Config{Kind: llm.OpenAI, BaseURL: url, Model: "stub", HTTP: way})
	must(err)
	thinks := llm.New(model, gateways, s.log)
	searches := &retrieval.Activity{Index: stubIndex{models: s.models}}
	work = map[string]any{
		activities.Transcribe:   hears.Transcribe,
		activities.Retrieve:     searches.Retrieve,
		activities.RetrieveHere: searches.Retrieve,
		activities.Generate:     thinks.Generate,
		activities.Speak:        speaks.Speak,
		activities.Perform:      avatar.New(gateways, s.log).Perform,
		activities.Call:         s.call,
	}
	return work, func() { must(hears.Close()) }
}

// call stands in for the store's services.
func (s *stage) call(ctx context.Context, in activities.CallInput) (activities.CallResult, error) {
	s.note(laneWorkflow, kindCalled, in.Action)
	if !wait(ctx, s.Models.Call) {
		return activities.CallResult{}, context.Cause(ctx)
	}
	return activities.CallResult{Status: http.StatusOK}, nil
}

// activityEnded notes what the workflow is told.
func (s *stage) activityEnded(_ string, _, result any, err error) {
	switch r := result.(type) {
	case activities.SpeakResult:
		if err == nil {
			played := time.Duration(r.PlayedMs) * time.Millisecond
			s.note(laneWorkflow, kindRecorded, strings.TrimSpace(seconds(played)+" "+r.Heard))
		}
	case activities.TranscribeResult:
		if r.Ignored != "" {
			s.note(laneWorkflow, kindMisheard, r.Ignored)
		}
	}
}

// act does one thing.
func (s *stage) act(ctx context.Context, t *testing.T, a Act) {
	sounds := func(text string, pcm []int16) {
		s.note(laneCustomer, kindSays, text)
		if s.KioskVAD {
			s.kiosk.client("speech-start")
		}
		s.kiosk.say(pcm, func() {
			s.note(laneCustomer, kindDone, "")
			if s.KioskVAD {
				s.kiosk.client("speech-end")
			}
		})
	}
	switch {
	case a.Says != "":
		sounds(a.Says, s.phrases.voice(a.Says, a.Lasts))
	case a.Noise != "":
		sounds("("+a.Noise+")", noise(a.Noise, a.Lasts))
	case a.Types != "":
		s.note(laneCustomer, kindDoes, "types "+a.Types)
		s.kiosk.number("send-text", map[string]any{"content": a.Types})
	case a.Touches != "":
		s.note(laneCustomer, kindDoes, "touches "+a.Touches)
		s.kiosk.number("ui-event", map[string]any{"value": a.Touches})
	default:
		s.note(laneCustomer, kindDoes, a.Does)
		s.does(ctx, t, a)
	}
}

func (s *stage) does(ctx context.Context, t *testing.T, a Act) {
	back := func(gateway int) {
		address, _ := gatewayAt(gateway)
		if wait(ctx, a.Lasts) {
			if err := s.kiosk.connect(ctx, address); err != nil {
				t.Error(err)
			}
		}
	}
	http, media := gatewayAt(1)
	switch a.Does {
	case "hush":
		s.kiosk.client("interrupt")
	case "leave":
		s.kiosk.number("disconnect-bot", nil)
	case "away":
		s.temporal.setAway(true)
		wait(ctx, a.Lasts)
		s.temporal.setAway(false)
	case "lost":
		s.kiosk.lose()
		back(1)
	case "moved":
		s.kiosk.lose()
		back(2)
	case "dies":
		for _, address := range []string{http, media} {
			s.network.cut(address)
		}
		s.kiosk.lose()
		back(2)
	case "second":
		other := &kiosk{network: s.network, token: s.token, note: func(string, string, string) {}, responses: map[int]*playback{}}
		if err := other.connect(ctx, http); err != nil {
			t.Error(err)
			return
		}
		<-ctx.Done()
		other.lose()
	case "rival":
		other := &kiosk{network: s.network, token: s.token, note: s.note, responses: map[int]*playback{}}
		address, _ := gatewayAt(2)
		if err := other.connect(ctx, address); err != nil {
			t.Error(err)
			return
		}
		other.start()
		other.report(ctx)
		other.lose()
	default:
		t.Errorf("nobody knows how to do %q", a.Does)
	}
}

// tolerance is how far from its time an event may be, and a position from its.
const tolerance = 20 * time.Millisecond

// Check tells what is not as the scenario expects.
func (sc Scenario) Check(p Performance) []string {
	var faults []string
	faultf := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	named := map[string]bool{kindFault: true}
	var want []Event
	for _, line := range sc.Expect {
		at, rest, _ := strings.Cut(line, " ")
		kind, text, _ := strings.Cut(rest, " ")
		d, err := time.ParseDuration(at)
		if err != nil {
			faultf("expect %q: begin with a time, as in \"3.5s turn\"", line)
			continue
		}
		named[kind] = true
		want = append(want, Event{At: d, Kind: kind, Text: text})
	}
	for _, kind := range sc.Never {
		named[kind] = true
	}
	got := slices.DeleteFunc(slices.Clone(p.Events), func(e Event) bool { return !named[e.Kind] })
	// Among those of one kind the order is that of time; between kinds it says
	// nothing that the times do not say.
	for kind := range named {
		of := func(all []Event) []Event {
			return slices.DeleteFunc(slices.Clone(all), func(e Event) bool { return e.Kind != kind })
		}
		g, w := of(got), of(want)
		for i := range max(len(g), len(w)) {
			switch {
			case i >= len(g):
				faultf("missing:  %s", w[i])
			case i >= len(w):
				faultf("too much: %s", g[i])
			case !w[i].matches(g[i]):
				faultf("expected: %s\n     got: %s", w[i], g[i])
			}
		}
	}
	slices.Sort(faults)
	if sc.Says != nil {
		got := lines(p.Transcript)
		if !slices.Equal(got, sc.Says) {
			faultf("transcript:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(sc.Says, "\n  "))
		}
	}
	return faults
}

// lines is the transcript behind the first question, as a scenario writes it.
func lines(transcript []workflows.Line) []string {
	var all []string
	for i, l := range transcript {
		if i == 0 {
			continue // the question
		}
		by := l.By
		if l.Cut {
			by += " (cut)"
		}
		all = append(all, by+": "+l.Text)
	}
	return all
}

var position = regexp.MustCompile(`^(\d+\.?\d*s)\b ?`)

// matches tells whether an event is the one that was expected: its time, and a
// position that its text begins with, within the tolerance.
func (e Event) matches(got Event) bool {
	near := func(a, b time.Duration) bool { return (a - b).Abs() <= tolerance }
	if !near(e.At, got.At) {
		return false
	}
	w, g := position.FindStringSubmatch(e.Text), position.FindStringSubmatch(got.Text)
	if w == nil || g == nil {
		return e.Text == "" || e.Text == got.Text
	}
	a, _ := time.ParseDuration(w[1]) // as the pattern has it
	b, _ := time.ParseDuration(g[1])
	rest := e.Text[len(w[0]):]
	return near(a, b) && (rest == "" || rest == got.Text[len(g[0]):])
}
