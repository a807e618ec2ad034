// Package pressure has more customers than the system has room for: real Temporal,
// gateway, workers and conversations; only the model servers are stubs, which are
// as slow as the test needs.
package pressure

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/avatar"
	"github.com/praesenz/parley/activities/llm"
	"github.com/praesenz/parley/activities/tts"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/gateway"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/metrics"
	"github.com/praesenz/parley/tests/kiosk"
	"github.com/praesenz/parley/tests/stub"
	"github.com/praesenz/parley/tests/temporal"
	"github.com/praesenz/parley/worker"
	"github.com/praesenz/parley/workflows"
)

const (
	store      = "shop"
	kioskKey   = "0123456789abcdef0123456789abcdef"
	mediaToken = "workers-share-this"
	// limit is for what happens within seconds on a machine with nothing else to do.
	limit = 90 * time.Second
)

// A shop is a system of one process beside Temporal's.
type shop struct {
	t       *testing.T
	gateway *gateway.Gateway
}

// open starts a shop whose flow asks, answers by the model, covers the wait and
// apologises.
func open(t *testing.T, slots map[activities.Pool]int, models stub.Config) *shop {
	t.Helper()
	var attributes []string
	for _, a := range workflows.Attributes {
		kind := "Keyword"
		if a.GetValueType() == enums.INDEXED_VALUE_TYPE_INT {
			kind = "Int"
		}
		attributes = append(attributes, "--search-attribute", a.GetName()+"="+kind)
	}
	c := temporal.Dial(t, client.Options{HostPort: temporal.Start(t, attributes...)})

	plan, err := flow.Compile(flow.Source{Path: "flows/help.yaml", FS: fstest.MapFS{
		"flows/help.yaml": {Data: []byte(`api: parley.flow/v1
flow: help
version: 1.0.0
languages: {default: en, supported: [en]}
prompts: prompts/help
slots: {question: {type: text, ask_anew: true}}
vars: {answer: string}
defaults: {listen: {start_timeout: 5m}, no_input: {then: bye}, no_match: {then: bye}}
start: ask
steps:
  ask: {collect: {slot: question, prompt: ask}, next: answer}
  answer:
    generate: {template: answer, into: answer, speak: stream}
    run: {attempts: 1, first_token: 60s, cover: moment}
    catch: {timeout: busy, error: trouble}
    next: ask
  busy: {say: {prompt: busy}, next: ask}
  trouble: {say: {prompt: trouble}, next: ask}
  bye: {end: {outcome: resolved}}
`)},
		"prompts/help/en.yaml": {Data: []byte("ask: What do you need?\nanswer: Answer the question.\nmoment: One moment.\n" +
			"busy: So many people want to know something. Please ask again.\ntrouble: Something is broken.\n")},
	}})
	if err != nil {
		t.Fatal(err)
	}

	server, err := stub.Start(models)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	registry := prometheus.NewRegistry()
	meters, err := metrics.New(registry)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Config{
		Addr: "127.0.0.1:0", MediaAddr: "127.0.0.1:0", Keys: [][]byte{[]byte(kioskKey)}, MediaToken: mediaToken,
		Temporal: c, Metrics: meters, Registry: registry, Logger: logger,
		Plan: func(context.Context, string, string) (flow.Plan, map[string]any, error) { return *plan, nil, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := g.Stop(ctx); err != nil {
			t.Error(err)
		}
	})

	gateways := media.NewClient(mediaToken)
	t.Cleanup(func() { gateways.Close() })
	model, _, err := llm.Choose(t.Context(), llm.Config{Kind: llm.OpenAI, BaseURL: server.URL, Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	voice, err := tts.New(tts.Config{BaseURL: server.URL, Model: "m"}, gateways, logger)
	if err != nil {
		t.Fatal(err)
	}
	w, err := worker.New(worker.Config{
		Temporal: c, Store: store, Slots: slots, Logger: logger, StopTimeout: time.Second,
		Pools: []activities.Pool{activities.PoolConversation, activities.PoolLLM, activities.PoolTTS, activities.PoolAvatar},
		Work: worker.Work{
			Generate: llm.New(model, gateways, logger).Generate, Understand: llm.NewUnderstander(model, logger).Understand,
			Speak: voice.Speak, Perform: avatar.New(gateways, logger).Perform,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return &shop{t: t, gateway: g}
}

// A customer types at a kiosk.
type customer struct {
	*kiosk.Kiosk
	t    *testing.T
	mark int // of the last question
	last int // response before it
}

// enter has a customer come to a kiosk and be asked what they need.
func (s *shop) enter(ctx context.Context, name string) *customer {
	s.t.Helper()
	token, err := gateway.NewKioskToken([]byte(kioskKey), store, name, time.Hour)
	if err != nil {
		s.t.Fatal(err)
	}
	k, err := kiosk.Dial(ctx, kiosk.Options{URL: "ws://" + s.gateway.Addr() + "/v1/kiosk", Token: token, Mute: true})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(k.Close)
	if err := k.Start("en"); err != nil {
		s.t.Fatal(err)
	}
	c := &customer{Kiosk: k, t: s.t}
	c.waits(ctx, "server:state", "listening")
	return c
}

// waits waits for a message since the last question whose data holds some text.
func (c *customer) waits(ctx context.Context, kind, holds string) kiosk.Event {
	c.t.Helper()
	e, err := c.Wait(ctx, c.mark, func(e kiosk.Event) bool { return e.Type == kind && strings.Contains(string(e.Data), holds) })
	if err != nil {
		c.t.Fatalf("no %s with %q: %v\n%s", kind, holds, err, c.Story())
	}
	return e
}

func (c *customer) asks(text string) {
	c.t.Helper()
	c.mark, c.last = c.Mark(), c.Last()
	if err := c.Type(text); err != nil {
		c.t.Fatal(err)
	}
}

// hears waits for sentences to begin, one after the other, and tells how long
// after the question each did.
func (c *customer) hears(ctx context.Context, since time.Time, sentences ...string) []time.Duration {
	c.t.Helper()
	var after []time.Duration
	for _, s := range sentences {
		after = append(after, c.waits(ctx, "bot-tts-text", s).At.Sub(since))
	}
	if !slices.IsSorted(after) {
		c.t.Errorf("%q were heard after %v", sentences, after)
	}
	return after
}

// One customer's question occupies the language model. The next one hears that it
// takes a moment, and then what the flow has for such a case.
func TestAPoolWithoutAFreeSlot(t *testing.T) {
	s := open(t, map[activities.Pool]int{activities.PoolLLM: 1}, stub.Config{FirstToken: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	first, second := s.enter(ctx, "one"), s.enter(ctx, "two")
	first.asks("where are the hammers")
	first.hears(ctx, time.Now(), "One moment.") // its Generate has the slot

	asked := time.Now()
	second.asks("where are the nails")
	after := second.hears(ctx, asked, "One moment.", "So many people want to know something.", "Please ask again.")
	if after[0] < activities.CoverAfter-100*time.Millisecond {
		t.Errorf("the wait is covered after %v, want %v", after[0], activities.CoverAfter)
	}
	if queue := activities.Policies[activities.PoolLLM].Queue; after[1] < queue-100*time.Millisecond {
		t.Errorf("it is given up after %v in the queue, want %v", after[1], queue)
	}
	second.waits(ctx, "server:state", "listening")
	if story := second.Story(); strings.Contains(story, "Something is broken.") || strings.Contains(story, "server:away") {
		t.Errorf("a full pool is not a broken one:\n%s", story)
	}
}

// Nobody has a voice for the second customer, not even for an apology: the screen
// says that they are not forgotten, and they are answered when there is one.
func TestNoVoiceIsFree(t *testing.T) {
	long := strings.Repeat("This goes on and on and on for quite a while. ", 3) // 8 s
	s := open(t, map[activities.Pool]int{activities.PoolTTS: 1}, stub.Config{Answer: long})
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	second := s.enter(ctx, "two")
	first := s.enter(ctx, "one")
	first.asks("tell me everything")
	first.hears(ctx, time.Now(), "This goes on")

	asked := time.Now()
	second.asks("tell me everything too")
	away := second.waits(ctx, "server:away", "One moment please")
	if after := away.At.Sub(asked); after < 5*time.Second {
		t.Errorf("the screen says after %v that it takes long", after)
	}
	second.hears(ctx, asked, "This goes on")
	second.waits(ctx, "server:back", "")
}
