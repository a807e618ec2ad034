package workflows_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/workflows"
)

// compiled is the plan of a small flow: its steps and what else it declares, and
// its prompts, one a line. Called is what it runs or digresses into.
func compiled(t *testing.T, body, prompts string, called ...flow.Plan) flow.Plan {
	t.Helper()
	name := "shop"
	if rest, ok := strings.CutPrefix(body, "flow: "); ok {
		name, body, _ = strings.Cut(rest, "\n")
	}
	head := "api: parley.flow/v1\nflow: " + name + "\nabout: Customer wants something\nversion: 1.0.0\nprompts: prompts\n"
	if !strings.Contains(body, "languages:") {
		head += "languages: {default: en, supported: [en]}\n"
	}
	if strings.Contains(body, "collect:") && !strings.Contains(body, "defaults:") {
		body += "  silent: {end: {outcome: abandoned}}\n  lost: {end: {prompt: sorry, outcome: unresolved}}\n"
		head += "defaults: {no_input: {say: [hello], then: silent}, no_match: {say: [pardon], then: lost}}\n"
	}
	files := fstest.MapFS{
		"flow.yaml":       {Data: []byte(head + body)},
		"prompts/en.yaml": {Data: []byte("hello: Hello?\npardon: Pardon?\nsorry: Sorry.\n" + prompts)},
		"prompts/de.yaml": {Data: []byte("hello: Hallo?\npardon: Wie bitte?\nsorry: Schade.\n" + strings.ReplaceAll(prompts, ": ", ": DE "))},
		"media/map.svg":   {Data: []byte("<svg xmlns='http://www.w3.org/2000/svg'/>")},
		"media/a4.png":    {Data: []byte("x")},
	}
	for _, p := range called {
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		files[flow.PublishedPath(p.Flow, p.Version)] = &fstest.MapFile{Data: b}
	}
	plan, err := flow.Compile(flow.Source{FS: files, Path: "flow.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	return *plan
}

// types lets the customer type something at a time.
func (v *visit) types(at time.Duration, text string) {
	v.seq++
	v.at(at, workflows.Signal{Kind: workflows.Typed, Seq: v.seq, Text: text})
}

// status looks at the conversation at a time.
func (v *visit) status(at time.Duration, look func(workflows.Status)) {
	v.env.RegisterDelayedCallback(func() {
		value, err := v.env.QueryWorkflow(workflows.StatusQuery)
		if err != nil {
			v.t.Error(err)
			return
		}
		var s workflows.Status
		if err := value.Get(&s); err != nil {
			v.t.Error(err)
			return
		}
		look(s)
	}, at)
}

func (v *visit) wantOutcome(s workflows.Summary, want string) {
	v.t.Helper()
	if s.Outcome != want {
		v.t.Errorf("outcome %q, want %q; said\n%s", s.Outcome, want, strings.Join(v.said, "\n"))
	}
}

func (v *visit) wantTaken(s workflows.Summary, ways ...string) {
	v.t.Helper()
	for _, way := range ways {
		if s.Taken[way] == 0 {
			v.t.Errorf("the way %q was not taken: %v", way, s.Taken)
		}
	}
}

func madeToFail(kind string) error { return activities.Permanent(kind, errors.New("made to fail")) }

// sidePlan asks which way to go on, and fails, or ends as it is told.
func sidePlan(t *testing.T, inputs string) flow.Plan {
	return compiled(t, `flow: side
phrases: {en: [the side]}
inputs: {`+inputs+`}
slots: {topic: {type: enum, values: [hours, way, trouble]}}
vars: {note: string, hits: list(passage)}
start: ask
steps:
  ask: {collect: {slot: topic, prompt: ask}, next: fork}
  fork: {branch: [{when: slots.topic == 'trouble', to: find}, {else: note}]}
  find: {retrieve: {index: store, query: slots.topic, into: hits}, next: note}
  note: {set: {note: "'somebody wants ' + slots.topic"}, next: done}
  done: {branch: [{when: slots.topic == 'way', to: early}, {else: fine}]}
  early: {end: {outcome: early}}
  fine: {end: {prompt: fine, outcome: fine}}
`, "ask: What about the side?\nfine: Side done.\n")
}

func callerPlan(t *testing.T) flow.Plan {
	return compiled(t, `slots: {colour: {type: enum, values: [red, blue]}, topic: {type: text}}
vars: {told: string}
start: run
steps:
  run:
    run_flow: {flow: side@1, inputs: {who: "'Ada'"}, outputs: {vars.told: vars.note, slots.topic: slots.topic}}
    catch: {early: caught, error: failed}
    next: say
  say: {say: {prompt: told, with: {told: "has(vars.told) ? vars.told : ''"}}, next: bye}
  caught: {say: {prompt: caught}, next: bye}
  failed: {say: {prompt: failed}, next: bye}
  bye: {end: {outcome: resolved}}
`, "told: I was told {told}.\ncaught: It ended early.\nfailed: It failed.\n", sidePlan(t, "who: string"))
}

func TestAFlowRunsAnother(t *testing.T) {
	for _, tc := range []struct{ topic, says, way string }{
		{"hours", "say: I was told somebody wants hours.", "shop/run>next>say"},
		{"way", "caught: It ended early.", "shop/run>early>caught"},
		{"trouble", "failed: It failed.", "shop/run>error>failed"},
	} {
		t.Run(tc.topic, func(t *testing.T) {
			v := newVisit(t, callerPlan(t))
			v.fail[activities.Retrieve] = madeToFail(activities.KindAway)
			v.status(2500*time.Millisecond, func(s workflows.Status) {
				if s.Flow != "side" || s.Step != "ask" || !slices.Equal(s.Within, []string{"shop@1.0.0"}) || !s.Listening {
					t.Errorf("status in the called flow: %+v", s)
				}
			})
			v.types(3*time.Second, tc.topic)
			s := v.run()
			if !slices.Contains(v.said, tc.says) {
				t.Errorf("said %q, want %q", v.said, tc.says)
			}
			v.wantOutcome(s, "resolved")
			v.wantTaken(s, "side/ask>next>fork", tc.way, "shop/bye>end>")
		})
	}
}

func digressPlan(t *testing.T, then string) flow.Plan {
	return compiled(t, `slots: {colour: {type: enum, values: [red, blue]}}
intents:
  info: {flows: [side@1], depth: 1, say: back`+then+`}
start: ask
steps:
  ask: {collect: {slot: colour, prompt: ask}, next: bye}
  bye: {end: {prompt: bye, outcome: resolved}}
`, "ask: Which colour?\nback: Back to colours.\nbye: Goodbye.\n", sidePlan(t, ""))
}

func TestADigressionReturns(t *testing.T) {
	v := newVisit(t, digressPlan(t, ", resume: true"))
	v.types(3*time.Second, "the side")
	v.types(6*time.Second, "hours")
	v.types(14*time.Second, "red")
	s := v.run()
	v.wantSaid("ask: Which colour?", "ask: What about the side?", "fine: Side done.", "ask: Back to colours.", "ask: Which colour?", "bye: Goodbye.")
	v.wantTaken(s, "shop/ask>intent info>ask", "side/fine>end>", "shop/ask>next>bye")
}

func TestADigressionGoesOnElsewhere(t *testing.T) {
	v := newVisit(t, digressPlan(t, ", to: bye"))
	v.types(3*time.Second, "the side")
	v.types(6*time.Second, "way")
	s := v.run()
	v.wantSaid("ask: Which colour?", "ask: What about the side?", "ask: Back to colours.", "bye: Goodbye.")
	v.wantTaken(s, "shop/ask>intent info>bye")
}

func TestADigressionThatFailsIsOver(t *testing.T) {
	v := newVisit(t, digressPlan(t, ", resume: true"))
	v.fail[activities.Retrieve] = madeToFail(activities.KindAway)
	v.types(3*time.Second, "the side")
	v.types(6*time.Second, "trouble")
	v.types(14*time.Second, "red")
	s := v.run()
	v.wantSaid("ask: Which colour?", "ask: What about the side?", "ask: Back to colours.", "ask: Which colour?", "bye: Goodbye.")
	v.wantOutcome(s, "resolved")
}

func TestWhoLeavesADigressionLeaves(t *testing.T) {
	v := newVisit(t, digressPlan(t, ", resume: true"))
	v.types(3*time.Second, "the side")
	v.at(6*time.Second, workflows.Signal{Kind: workflows.Left})
	v.wantOutcome(v.run(), workflows.OutcomeAbandoned)
	v.wantSaid("ask: Which colour?", "ask: What about the side?")
}

func callPlan(t *testing.T) flow.Plan {
	return compiled(t, `slots: {again: {type: bool, ask_anew: true}}
vars: {ticket: string, count: int}
start: hold
steps:
  hold:
    call: {action: shop.hold_item, args: {sku: "'K17'", count: '2'}, into: ticket}
    run: {cover: moment}
    catch: {not_in_stock: gone, error: trouble}
    next: say
  say: {say: {prompt: ticket, with: {t: vars.ticket}}, next: again}
  again: {collect: {slot: again, prompt: again}, next: fork}
  fork: {branch: [{when: slots.again, to: hold}, {else: bye}]}
  gone: {end: {prompt: gone, outcome: unresolved}}
  trouble: {end: {prompt: trouble, outcome: unresolved}}
  bye: {end: {outcome: resolved}}
`, "moment: One moment.\nticket: Your ticket is {t}.\nagain: Another?\ngone: It is gone.\ntrouble: That did not work.\n")
}

func TestAnActionIsCalledWithItsKey(t *testing.T) {
	v := newVisit(t, callPlan(t))
	v.call = func(activities.CallInput) (any, error) { return "A17", nil }
	v.types(5*time.Second, "yes")
	v.types(10*time.Second, "no")
	v.run()
	v.wantSaid("say: Your ticket is A17.", "again: Another?", "say: Your ticket is A17.", "again: Another?")
	if len(v.called) != 2 {
		t.Fatalf("called %d times, want 2", len(v.called))
	}
	first := v.called[0]
	if first.Action != "shop.hold_item" || first.Args["sku"] != "K17" || first.Args["count"] != float64(2) || first.Step != "hold" {
		t.Errorf("called with %+v", first)
	}
	if run := first.Conversation; first.Key != run+"/hold/1" || v.called[1].Key != run+"/hold/2" {
		t.Errorf("keys %q and %q, want the conversation, the step and the visit", first.Key, v.called[1].Key)
	}
}

func TestAnArgumentThatIsNotRequiredMayBeLacking(t *testing.T) {
	files := fstest.MapFS{
		"actions/shop.yaml": {Data: []byte(`api: parley.actions/v1
service: shop
about: The shop
url: https://shop.example
actions:
  find:
    about: Finds what there is
    method: GET
    path: /items/{kind}
    query: {colour: "{colour}", size: "{size}"}
    args:
      type: object
      properties: {kind: {type: string}, colour: {type: string}, size: {type: integer}}
      required: [kind]
`)},
		"prompts/en.yaml": {Data: []byte("kind: What are you looking for?\nhello: Hello?\n")},
		"flow.yaml": {Data: []byte(`api: parley.flow/v1
flow: shop
version: 1.0.0
languages: {default: en, supported: [en]}
prompts: prompts
slots:
  kind: {type: enum, values: [coat, hat]}
  colour: {type: enum, values: [red, blue]}
  size: {type: int}
defaults: {no_input: {say: [hello], then: bye}, no_match: {say: [hello], then: bye}}
start: kind
steps:
  kind: {collect: {slot: kind, also: [colour, size], prompt: kind}, next: find}
  find:
    call: {action: shop.find, args: {kind: slots.kind, colour: slots.colour, size: slots.size}}
    catch: {error: bye}
    next: bye
  bye: {end: {outcome: resolved}}
`)},
	}
	catalogue, ds := flow.ReadCatalogue(files, "actions")
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	plan, err := flow.Compile(flow.Source{FS: files, Path: "flow.yaml", Actions: catalogue})
	if err != nil {
		t.Fatal(err)
	}
	v := newVisit(t, *plan)
	v.call = func(activities.CallInput) (any, error) { return nil, nil }
	v.types(3*time.Second, "a red hat")
	v.wantOutcome(v.run(), "resolved")
	if want := map[string]any{"kind": "hat", "colour": "red"}; len(v.called) != 1 || !maps.Equal(v.called[0].Args, want) {
		t.Errorf("called %+v, want once with %v", v.called, want)
	}
}

func TestAnActionsErrorsAreCaughtByName(t *testing.T) {
	for _, tc := range []struct {
		name, says string
		value      any
		err        error
	}{
		{"named", "gone: It is gone.", nil, madeToFail("not_in_stock")},
		{"another", "trouble: That did not work.", nil, madeToFail(activities.KindAway)},
		{"a result of another type", "trouble: That did not work.", 17, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newVisit(t, callPlan(t))
			v.call = func(activities.CallInput) (any, error) { return tc.value, tc.err }
			v.run()
			v.wantSaid(tc.says)
		})
	}
}

func TestASlowActionIsCovered(t *testing.T) {
	v := newVisit(t, callPlan(t))
	v.call = func(activities.CallInput) (any, error) { return "A17", nil }
	v.calling = 3 * time.Second
	v.types(8*time.Second, "no")
	v.run()
	v.wantSaid("hold: One moment.", "say: Your ticket is A17.", "again: Another?")
}

func parallelPlan(t *testing.T, join, run string) flow.Plan {
	return compiled(t, `vars: {stock: int, hits: list(passage), answer: string}
start: look
steps:
  look:
    parallel:
      join: `+join+`
      branches:
        stock: [{call: {action: shop.stock, into: stock}}]
        docs: [{retrieve: {index: store, query: "'hammers'", into: hits}}]
        words: [{wait: {for: 1s}}, {generate: {template: brief, into: answer, speak: none}}]
`+run+`
    catch: {timeout: slow, sold_out: sold, error: trouble}
    next: say
  say: {say: {prompt: found, with: {seen: "(has(vars.stock) ? 'stock ' : '') + (has(vars.hits) ? 'docs' : '')"}}, next: bye}
  slow: {end: {prompt: slow, outcome: unresolved}}
  sold: {end: {prompt: sold, outcome: unresolved}}
  trouble: {end: {prompt: trouble, outcome: unresolved}}
  bye: {end: {outcome: resolved}}
`, "brief: Be brief.\nfound: I have {seen}.\nslow: Too slow.\nsold: Sold out.\ntrouble: Trouble.\nmoment: One moment.\n")
}

func TestParallel(t *testing.T) {
	for _, tc := range []struct {
		name, join, run    string
		calling, searching time.Duration
		err                error
		want               []string
		took               time.Duration // virtual
	}{
		{"waits for all", "all", "    run: {cover: moment}", 500 * time.Millisecond, 200 * time.Millisecond, nil,
			[]string{"look: One moment.", "say: I have stock docs."}, 4700 * time.Millisecond},
		{"waits for the first", "first", "", 5 * time.Second, 200 * time.Millisecond, nil,
			[]string{"say: I have docs."}, 2200 * time.Millisecond},
		{"fails with a branch", "all", "", 500 * time.Millisecond, 20 * time.Second, madeToFail("sold_out"),
			[]string{"sold: Sold out."}, 2500 * time.Millisecond},
		{"has a time limit", "all", "    run: {timeout: 2s}", 5 * time.Second, 200 * time.Millisecond, nil,
			[]string{"slow: Too slow."}, 4 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newVisit(t, parallelPlan(t, tc.join, tc.run))
			v.calling, v.searching = tc.calling, tc.searching
			v.call = func(activities.CallInput) (any, error) { return 3, tc.err }
			started := v.env.Now()
			v.run()
			v.wantSaid(tc.want...)
			if took := v.env.Now().Sub(started); took != tc.took {
				t.Errorf("it took %v, want %v", took, tc.took)
			}
		})
	}
}

func waitPlan(t *testing.T) flow.Plan {
	return compiled(t, `vars: {event: object}
start: hello
steps:
  hello: {say: {prompt: hello}, next: pause}
  pause: {wait: {for: 5s}, next: wait}
  wait: {wait: {signal: called, timeout: 30s, into: event}, catch: {timeout: never}, next: say}
  say: {say: {prompt: desk, with: {desk: vars.event.desk}}, next: bye}
  never: {end: {prompt: never, outcome: unresolved}}
  bye: {end: {outcome: resolved}}
`, "desk: Go to desk {desk}.\nnever: Nobody called.\n")
}

func TestWaitingForAnEvent(t *testing.T) {
	for _, tc := range []struct {
		name string
		at   time.Duration // of the event; 0: never
		want string
		took time.Duration
	}{
		{"that came before, the last of its name", time.Second, "say: Go to desk 3.", 9 * time.Second},
		{"that comes", 17 * time.Second, "say: Go to desk 2.", 19 * time.Second},
		{"that never comes", 0, "never: Nobody called.", 39 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newVisit(t, waitPlan(t))
			for i, name := range []string{"other", "called", "called"} {
				if tc.at > 0 {
					v.env.RegisterDelayedCallback(func() {
						v.env.SignalWorkflow(workflows.EventSignal, workflows.Event{Name: name, Data: map[string]any{"desk": i + 1}})
					}, tc.at)
				}
			}
			started := v.env.Now()
			v.run()
			v.wantSaid("hello: Hello?", tc.want)
			if took := v.env.Now().Sub(started); took != tc.took {
				t.Errorf("it took %v, want %v", took, tc.took)
			}
		})
	}
}

func handoffPlan(t *testing.T) flow.Plan {
	return compiled(t, `slots: {question: {type: text}, phone: {type: string, sensitive: true}}
start: ask
steps:
  ask: {collect: {slot: question, prompt: ask}, next: phone}
  phone: {collect: {slot: phone, prompt: phone}, next: call}
  call:
    handoff: {team: floor, prompt: calling, wait: 50s, while_waiting: coming, summary: true}
    catch: {accepted: here, declined: busy, timeout: busy}
  here: {end: {prompt: here, outcome: handed_off}}
  busy: {end: {prompt: busy, outcome: unresolved}}
`, "ask: What is it?\nphone: Your number?\ncalling: I call somebody.\ncoming: They are coming.\nhere: Here they are.\nbusy: They are busy.\n")
}

// answers has staff answer the handoff that is under way.
func (v *visit) staff(at time.Duration, accept bool, then func(error)) {
	v.status(at, func(s workflows.Status) {
		if s.Handoff == nil {
			v.t.Errorf("nobody is called at %v", at)
			return
		}
		v.update(workflows.HandoffAnswer{ID: s.Handoff.ID, Accept: accept, By: "Ann"}, then)
	})
}

func (v *visit) update(a workflows.HandoffAnswer, then func(error)) {
	v.seq++
	v.env.UpdateWorkflow(workflows.HandoffUpdate, fmt.Sprint(v.seq), &testsuite.TestUpdateCallback{
		OnAccept: func() {}, OnReject: then,
		OnComplete: func(_ any, err error) { then(err) },
	}, a)
}

func TestStaffIsCalled(t *testing.T) {
	for _, tc := range []struct {
		name string
		at   time.Duration // of the answer; 0: never
		yes  bool
		want []string
		way  string
	}{
		{"and comes", 20 * time.Second, true, []string{"call: I call somebody.", "here: Here they are."}, "shop/call>accepted>here"},
		{"and declines", 40 * time.Second, false, []string{"call: I call somebody.", "call: They are coming.", "busy: They are busy."}, "shop/call>declined>busy"},
		{"and does not answer", 0, false, []string{"call: I call somebody.", "call: They are coming.", "call: They are coming.", "busy: They are busy."}, "shop/call>timeout>busy"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newVisit(t, handoffPlan(t))
			v.types(3*time.Second, "my kettle leaks")
			v.types(6*time.Second, "555 0151")
			if tc.at > 0 {
				v.staff(tc.at, tc.yes, func(err error) {
					if err != nil {
						t.Errorf("staff's answer was refused: %v", err)
					}
				})
			}
			s := v.run()
			if got := v.said[2:]; !slices.Equal(got, tc.want) {
				t.Errorf("said %q, want %q", got, tc.want)
			}
			v.wantTaken(s, tc.way)
		})
	}
}

func TestStaffIsToldWhatItIsAbout(t *testing.T) {
	for _, tc := range []struct{ name, summary, want string }{
		{"by the model", "A kettle leaks.", "A kettle leaks."},
		{"by the last lines", "", "kiosk: What is it?\ncustomer: my kettle leaks\nkiosk: Your number?\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newVisit(t, handoffPlan(t))
			const said = "kiosk: What is it?\ncustomer: my kettle leaks\nkiosk: Your number?\n"
			v.answers[said] = tc.summary
			v.types(3*time.Second, "my kettle leaks")
			v.types(6*time.Second, "555 0151")
			v.status(15*time.Second, func(s workflows.Status) {
				if s.Handoff == nil || s.Handoff.Summary != tc.want || s.Handoff.Team != "floor" || s.Handoff.Until.Sub(s.Handoff.Since) != 50*time.Second {
					t.Errorf("handoff %+v, want the summary %q", s.Handoff, tc.want)
				}
			})
			v.run()
			if strings.Contains(fmt.Sprintf("%+v", v.generated), "0151") {
				t.Errorf("the model was told what is sensitive: %+v", v.generated)
			}
		})
	}
}

func TestAnswersThatNobodyWaitsForAreRefused(t *testing.T) {
	v := newVisit(t, handoffPlan(t))
	v.types(3*time.Second, "my kettle leaks")
	v.types(6*time.Second, "555 0151")
	refused := func(want string) func(error) {
		return func(err error) {
			var app *temporal.ApplicationError
			if !errors.As(err, &app) || app.Type() != want {
				t.Errorf("refused with %v, want %s", err, want)
			}
		}
	}
	at := func(at time.Duration, a workflows.HandoffAnswer, want string) {
		v.env.RegisterDelayedCallback(func() { v.update(a, refused(want)) }, at)
	}
	at(4*time.Second, workflows.HandoffAnswer{ID: "call-1", Accept: true, By: "Ann"}, workflows.HandoffOver)
	at(12*time.Second, workflows.HandoffAnswer{ID: "call-9", Accept: true, By: "Ann"}, workflows.HandoffOver)
	at(12*time.Second, workflows.HandoffAnswer{ID: "call-1", Accept: true}, activities.KindInvalid)
	v.staff(12*time.Second, true, func(err error) {
		if err != nil {
			t.Errorf("the answer was refused: %v", err)
		}
	})
	at(12500*time.Millisecond, workflows.HandoffAnswer{ID: "call-1", Accept: false, By: "Bob"}, workflows.HandoffAnswered)
	v.wantOutcome(v.run(), "handed_off")
}

func TestAnAnswerThatFulfilsASchema(t *testing.T) {
	v := newVisit(t, compiled(t, `vars: {wish: object}
start: read
steps:
  read:
    generate: {template: read, question: "'a red kettle'", into: wish, schema: {type: object, properties: {colour: {type: string}}}}
    next: say
  say: {say: {prompt: colour, with: {c: vars.wish.colour}}, next: bye}
  bye: {end: {outcome: resolved}}
`, "read: Read the wish.\ncolour: You want {c}.\n"))
	v.answers["a red kettle"] = `{"colour": "red"}`
	v.run()
	v.wantSaid("say: You want red.")
	if in := v.generated[0]; in.Stream || len(in.Schema) == 0 {
		t.Errorf("asked for %+v, want a schema and nothing spoken", in)
	}
}

func TestAScreenIsFilledIn(t *testing.T) {
	v := newVisit(t, compiled(t, `slots: {colour: {type: enum, values: [red, blue]}}
vars: {aisle: string}
start: set
steps:
  set: {set: {aisle: "'a4'"}, next: show}
  show:
    say: {prompt: here, with: {aisle: vars.aisle}, avatar: point, screen: {title: title, text: here, picture: "media/{aisle}.png", alt: alt, buttons: [{label: go, value: red}]}}
    barge_in: {mode: none}
    next: ask
  ask:
    collect: {slot: colour, prompt: ask, buttons: true, screen: {map: media/map.svg, mark: vars.aisle, alt: alt}}
    next: bye
  bye: {end: {outcome: resolved}}
`, "here: It is in {aisle}.\ntitle: Aisle {aisle}\nalt: A map\ngo: Take me there\nask: Which colour?\n"))
	v.run()
	show, ask := v.spoke[0], v.spoke[1]
	want := activities.Screen{Title: "Aisle a4", Text: "It is in a4.", Picture: "media/a4.png", Alt: "A map", Buttons: []activities.Button{{Value: "red", Label: "Take me there"}}}
	if show.Screen == nil || fmt.Sprint(*show.Screen) != fmt.Sprint(want) || show.Gesture != "point" || show.BargeIn != "none" {
		t.Errorf("shown %+v with gesture %q, barge-in %q; want %+v", show.Screen, show.Gesture, show.BargeIn, want)
	}
	if ask.Screen == nil || ask.Screen.Map != "media/map.svg" || ask.Screen.Mark != "a4" || ask.Listening == nil || len(ask.Listening.Buttons) != 2 {
		t.Errorf("the question came with %+v, %+v", ask.Screen, ask.Listening)
	}
	if again := v.spoke[2]; again.Screen == nil {
		t.Error("the question that was asked again has lost its screen")
	}
}

func TestNullForgets(t *testing.T) {
	v := newVisit(t, compiled(t, `slots: {room: {type: text}}
start: ask
steps:
  ask: {collect: {slot: room, prompt: ask}, next: forget}
  forget: {set: {room: null}, next: again}
  again: {collect: {slot: room, prompt: ask}, next: bye}
  bye: {end: {prompt: bye, with: {room: slots.room}, outcome: resolved}}
`, "ask: Which room?\nbye: To the {room}.\n"))
	v.types(3*time.Second, "kitchen")
	v.types(6*time.Second, "cellar")
	v.run()
	v.wantSaid("ask: Which room?", "again: Which room?", "bye: To the cellar.")
}

func TestWhatIsKnownIsNotAsked(t *testing.T) {
	v := newVisit(t, compiled(t, `slots: {room: {type: text}}
start: set
steps:
  set: {set: {room: "'cellar'"}, next: ask}
  ask: {collect: {slot: room, prompt: ask}, next: bye}
  bye: {end: {prompt: bye, with: {room: slots.room}, outcome: resolved}}
`, "ask: Which room?\nbye: To the {room}.\n"))
	v.run()
	v.wantSaid("bye: To the cellar.")
}

func TestWhatTheCustomerHeardIsKept(t *testing.T) {
	for _, tc := range []struct{ policy, want string }{{"keep_heard", "The kettles"}, {"keep_all", "The kettles are in aisle 4."}} {
		t.Run(tc.policy, func(t *testing.T) {
			v := newVisit(t, compiled(t, `vars: {answer: string}
start: answer
steps:
  answer:
    generate: {template: t, question: "'q'", into: answer}
    barge_in: {mode: speech, when_cut: `+tc.policy+`}
    next: say
  say: {say: {prompt: said, with: {a: vars.answer}}, next: bye}
  bye: {end: {outcome: resolved}}
`, "t: Answer.\nsaid: You know {a}\n"))
			v.answers["q"] = "The kettles are in aisle 4."
			v.cut, v.heard = map[int]bool{1: true}, "The kettles"
			s := v.run()
			if got := v.said[1]; got != "say: You know "+tc.want {
				t.Errorf("the answer is kept as %q, want %q", got, tc.want)
			}
			if line := s.Transcript[0]; line.Text != "The kettles" || !line.Cut {
				t.Errorf("the transcript has %+v, want what was heard", line)
			}
		})
	}
}

func TestAnAnswerWithoutWordsIsNotSpoken(t *testing.T) {
	v := newVisit(t, compiled(t, `vars: {x: string}
start: set
steps:
  set: {set: {x: "''"}, next: say}
  say: {say: {prompt: said, with: {x: vars.x}}, next: bye}
  bye: {end: {prompt: bye, outcome: resolved}}
`, "said: \"{x}\"\nbye: Goodbye.\n"))
	v.wantOutcome(v.run(), "resolved")
	v.wantSaid("bye: Goodbye.")
}

func TestTheAvatarPerformsOnceASession(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.at(3*time.Second, workflows.Signal{Kind: workflows.Joined, Session: "s1"}) // the same kiosk again
	v.at(5*time.Second, workflows.Signal{Kind: workflows.Joined, Session: "s2", Gateway: "gw2:9000"})
	v.run()
	if len(v.performed) != 2 || v.performed[0].Place.Session != "s1" || v.performed[0].Response != 1 ||
		v.performed[1].Place.Session != "s2" || v.performed[1].Place.Gateway != "gw2:9000" {
		t.Errorf("performances %+v, want one for each session", v.performed)
	}
}

func TestAnAvatarThatFailsIsStartedAnewAFewTimes(t *testing.T) {
	v := newVisit(t, shopPlan(t))
	v.performing = time.Second
	v.fail[activities.Perform] = madeToFail(activities.KindAway)
	s := v.run()
	if len(v.performed) != 4 || v.performed[1].Response <= v.performed[0].Response {
		t.Errorf("performances %+v, want the first and three more", v.performed)
	}
	v.wantOutcome(s, "abandoned")
}
