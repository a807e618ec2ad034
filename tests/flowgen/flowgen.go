// Package flowgen writes random flows that are valid: for the tests that hold of
// every plan, such as that none spins and each ends.
package flowgen

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing/fstest"

	"github.com/praesenz/parley/flow"
)

// Source is a random flow of 3 to 30 steps with its prompts, the flow that it
// calls, and its catalogue of actions: "shop.look" (answers an object) and
// "shop.hold" (answers a string, can fail with "sold_out"). Equal seeds give
// equal flows. It compiles without errors; warnings there may be.
//
// The ways between its steps are such that a flow is valid: forward to any step,
// and backward to those that ask anew or on what was said.
func Source(seed uint64) (flow.Source, error) {
	g := &generator{rand: rand.New(rand.NewPCG(seed, 0)), prompts: map[string]string{}}
	files := fstest.MapFS{}
	if err := g.publish(files); err != nil {
		return flow.Source{}, fmt.Errorf("publish the flow that seed %d calls: %w", seed, err)
	}
	g.prompts = map[string]string{}
	files["flow.yaml"] = &fstest.MapFile{Data: []byte(g.main())}
	files["media/map.svg"] = &fstest.MapFile{Data: []byte(`<svg xmlns="http://www.w3.org/2000/svg"><g id="a"/></svg>`)}
	g.writePrompts(files, "prompts")
	return flow.Source{FS: files, Path: "flow.yaml", Collections: []string{"store"}, Actions: actions}, nil
}

// Plan is the plan of Source. Its error quotes the flow.
func Plan(seed uint64) (*flow.Plan, error) {
	src, err := Source(seed)
	if err != nil {
		return nil, err
	}
	plan, err := flow.Compile(src)
	if err != nil {
		text := src.FS.(fstest.MapFS)[src.Path].Data
		return nil, fmt.Errorf("seed %d: %w\n%s", seed, err, text)
	}
	return plan, nil
}

var actions = &flow.Catalogue{Actions: map[string]flow.Action{
	"shop.look": {Name: "shop.look", Service: "shop", Args: []flow.Arg{{Name: "what", Type: "string", Required: true}}, Result: "object"},
	"shop.hold": {
		Name: "shop.hold", Service: "shop", Args: []flow.Arg{{Name: "what", Type: "string", Required: true}, {Name: "count", Type: "int"}},
		Result: "string", Errors: []flow.ActionError{{Name: "sold_out", Status: 409}},
	},
}}

// slots are those of every flow, by type and use.
const slots = `slots:
  lang: {type: enum, values: [en, de], initial: en}
  question: {type: text, ask_anew: true, max_len: 200}
  sure: {type: bool, ask_anew: true}
  again: {type: int, ask_anew: true, valid: value < 100}
  colour: {type: enum, values: [red, blue, green], ask_anew: true, synonyms: {en: {red: [crimson]}, de: {red: [rot], blue: [blau], green: [grün]}}}
  count: {type: int, valid: value > 0, invalid: refused}
  length: {type: number}
  price: {type: amount}
  day: {type: date}
  at: {type: time}
  name: {type: string, pattern: "[A-Za-z ]+"}
  code: {type: string, normalise: code}
  phone: {type: string, normalise: e164, sensitive: true}
vars: {hits: list(passage), answer: text, found: object, ticket: string, told: string, event: object, total: int}
`

var (
	anew    = []string{"question", "sure", "again", "colour"}                            // asked each time
	once    = []string{"count", "length", "price", "day", "at", "name", "code", "phone"} // skipped when known
	texts   = []string{"slots.question", "slots.name", "slots.code", "vars.answer", "vars.told", "vars.ticket"}
	gesture = []string{"wave", "nod", "shake", "point", "shrug", "think", "smile"}
)

type generator struct {
	rand    *rand.Rand
	prompts map[string]string
	steps   []step
	out     strings.Builder
}

// A step that is planned: its name, its verb, and whether anything may lead to it
// but the step before.
type step struct {
	name, verb string
	slot       string // of collect
	inner      bool   // only the step before leads to it
}

func (g *generator) chance(percent int) bool    { return g.rand.IntN(100) < percent }
func (g *generator) pick(from ...string) string { return from[g.rand.IntN(len(from))] }

// publish compiles and publishes the flow that the main one calls.
func (g *generator) publish(files fstest.MapFS) error {
	yaml := `api: parley.flow/v1
flow: side
about: Customer asks something else
phrases: {en: [something else], de: [etwas anderes]}
version: 1.2.0
languages: {default: en, supported: [en, de]}
prompts: side
slots: {topic: {type: enum, values: [hours, way], ask_anew: true}, sure: {type: bool, ask_anew: true}}
vars: {note: string}
defaults: {no_input: {then: left}, no_match: {` + g.pick("", "say: [what], ") + `then: left}}
start: ` + g.pick("ask", "begin") + `
steps:
  begin: {say: {prompt: hello}, next: ask}
  ask: {collect: {slot: topic, prompt: hello}, next: ` + g.pick("note", "sure") + `}
  sure: {collect: {slot: sure, prompt: hello}, next: note}
  note: {set: {note: "'noted'"}, next: fork}
  fork: {branch: [{when: slots.topic == "way", to: ` + g.pick("done", "ask") + `}, {else: done}]}
  done: {end: {` + g.pick("", "prompt: hello, ") + `outcome: done}}
  left: {end: {outcome: left}}
`
	// A step that chance has left out of every way is none.
	if strings.Contains(yaml, "start: ask") {
		yaml = strings.Replace(yaml, "  begin: {say: {prompt: hello}, next: ask}\n", "", 1)
	}
	if strings.Contains(yaml, "prompt: hello}, next: note}\n  sure") {
		yaml = strings.Replace(yaml, "  sure: {collect: {slot: sure, prompt: hello}, next: note}\n", "", 1)
	}
	files["side.yaml"] = &fstest.MapFile{Data: []byte(yaml)}
	g.prompts["hello"], g.prompts["what"] = "Hello.", "What?"
	g.writePrompts(files, "side")
	plan, err := flow.Compile(flow.Source{FS: files, Path: "side.yaml"})
	if err != nil {
		return err
	}
	text, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	files[flow.PublishedPath(plan.Flow, plan.Version)] = &fstest.MapFile{Data: text}
	return nil
}

func (g *generator) writePrompts(files fstest.MapFS, dir string) {
	var b strings.Builder
	for key, text := range g.prompts {
		fmt.Fprintf(&b, "%s: %q\n", key, text)
	}
	files[dir+"/en.yaml"] = &fstest.MapFile{Data: []byte(b.String())}
	files[dir+"/de.yaml"] = &fstest.MapFile{Data: []byte(b.String())}
}

// prompt adds a prompt and is its key.
func (g *generator) prompt(text string) string {
	key := fmt.Sprintf("p%d", len(g.prompts))
	g.prompts[key] = text
	return key
}

func (g *generator) main() string {
	g.plan()
	fmt.Fprintf(&g.out, `api: parley.flow/v1
flow: main
about: Customer wants something
version: 1.0.0
languages: {default: en, supported: [en, de], slot: lang}
prompts: prompts
inputs: {store: string}
`)
	g.prompts["refused"] = "{value} will not do."
	g.out.WriteString(slots)
	fmt.Fprintf(&g.out, `defaults:
  barge_in: {mode: %s, hotwords: {en: [stop], de: [halt]}}
  listen: {start_timeout: %ds, confirm_below: 0.%d}
  no_input: {say: [%s], then: quiet}
  no_match: {say: [%s, %s], then: %s}
  limits: {turns: %d, duration: %dm, visits_per_step: %d}
`, g.pick("speech, min_words: 2", "speech", "hotword", "none"), 3+g.rand.IntN(6), 3+g.rand.IntN(4), g.prompt("Hello?"),
		g.prompt("Pardon?"), g.prompt("Once more?"), g.pick("lost", "lost", g.anyStep()), 4+g.rand.IntN(30), 1+g.rand.IntN(10), 2+g.rand.IntN(5))
	fmt.Fprintf(&g.out, `intents:
  cancel: {to: lost}
  human: {about: Customer wants to talk to a human, to: %s}
  repeat: {replay: last_prompt}
  language: {set: {lang: heard.language}, resume: true}
  correct: {slots: [lang, count, name, day, phone], say: %s, resume: true}
  jump: {about: Customer wants something else, phrases: {en: [jump], de: [spring]}, set: {told: heard.text, count: null}, to: %s}
  side: {flows: [side@1], depth: %d, say: %s, resume: true}
start: %s
steps:
`, g.anyStep(), g.prompt("Changed."), g.anyStep(), 1+g.rand.IntN(2), g.prompt("Back again."), g.steps[0].name)
	for i := range g.steps {
		fmt.Fprintf(&g.out, "  %s:\n", g.steps[i].name)
		g.write(i)
	}
	fmt.Fprintf(&g.out, "  bye: {end: {prompt: %s, outcome: resolved}}\n", g.prompt("Goodbye."))
	fmt.Fprintf(&g.out, "  lost: {end: {prompt: %s, outcome: unresolved}}\n  quiet: {end: {outcome: abandoned}}\n", g.prompt("Sorry."))
	return g.out.String()
}

// plan chooses the steps. The first listens, so that the ends of the ladders can
// be reached.
func (g *generator) plan() {
	verbs := []string{"say", "collect", "collect", "collect", "retrieve", "generate", "call", "set", "branch", "run_flow", "parallel", "wait", "handoff"}
	for n := 3 + g.rand.IntN(28); len(g.steps) < n; {
		s := step{name: fmt.Sprintf("s%d", len(g.steps)), verb: g.pick(verbs...)}
		if len(g.steps) == 0 {
			s.verb = "collect"
		}
		if s.verb == "collect" {
			s.slot = g.pick(append(append([]string{"lang"}, anew...), once...)...)
		}
		g.steps = append(g.steps, s)
		if s.verb == "retrieve" {
			g.steps = append(g.steps, step{name: fmt.Sprintf("s%d", len(g.steps)), verb: "grounded", inner: true})
		}
	}
}

// anyStep is any step that other steps than the one before may lead to.
func (g *generator) anyStep() string {
	for {
		if s := g.steps[g.rand.IntN(len(g.steps))]; !s.inner {
			return s.name
		}
	}
}

// ahead is a later step or an end; now and then an earlier one that asks anew.
func (g *generator) ahead(i int) string {
	to := []string{"bye", "lost"}
	for j, s := range g.steps {
		asks := s.verb == "collect" && (s.slot == "question" || s.slot == "sure" || s.slot == "again" || s.slot == "colour")
		if !s.inner && (j > i || asks && g.chance(30)) {
			to = append(to, s.name)
		}
	}
	return g.pick(to...)
}

func (g *generator) next(i int) string {
	if i+1 < len(g.steps) {
		return g.steps[i+1].name
	}
	return "bye"
}

// text is an expression that is text whatever has been answered.
func (g *generator) text() string {
	name := g.pick(texts...)
	return fmt.Sprintf("has(%s) ? %s : 'none'", name, name)
}

func (g *generator) truth() string {
	return g.pick(
		"has(slots.sure) && slots.sure",
		"has(slots.colour) && slots.colour == 'red'",
		"has(slots.count) && slots.count > 2 || ctx.turns > 5",
		"has(vars.hits) && size(vars.hits) > 0 && vars.hits[0].score > 0.5",
		"has(vars.found) && has(vars.found.left) && vars.found.left > 1",
		"ctx.language == 'en'",
		"slots.lang == 'de'",
		"has(vars.ticket)",
	)
}

func (g *generator) catch(i int, failures ...string) {
	if g.chance(40) {
		failures = append(failures, "error")
	}
	if len(failures) == 0 {
		return
	}
	var b []string
	for _, f := range failures {
		b = append(b, f+": "+g.ahead(i))
	}
	fmt.Fprintf(&g.out, "    catch: {%s}\n", strings.Join(b, ", "))
}

func (g *generator) write(i int) {
	s := g.steps[i]
	line := func(format string, args ...any) { fmt.Fprintf(&g.out, "    "+format+"\n", args...) }
	switch s.verb {
	case "say":
		with, text := "", "Hello."
		if g.chance(50) {
			with, text = fmt.Sprintf(", with: {x: %q}", g.text()), "Hello {x}."
		}
		line("say: {prompt: %s%s, avatar: %s%s}", g.prompt(text), with, g.pick(gesture...), g.screen())
		g.catch(i)
	case "collect":
		g.collect(i, s)
		return
	case "retrieve":
		line("retrieve: {index: store, query: %q, filter: {store: inputs.store}, into: hits}", g.text())
		line("run: {timeout: %dms, cover: %s}", 100+g.rand.IntN(4000), g.prompt("One moment."))
		g.catch(i, "timeout")
	case "grounded":
		line("generate: {template: %s, with: {passages: vars.hits}, into: answer, grounded_in: hits, speak: %s}", g.prompt("Use {passages}."), g.pick("stream", "whole"))
		line("barge_in: {mode: speech, when_cut: %s}", g.pick("keep_heard", "keep_all"))
		g.catch(i, "ungrounded", "refused")
	case "generate":
		line(g.pick(
			fmt.Sprintf("generate: {template: %s, into: answer, speak: none}", g.prompt("Be brief.")),
			fmt.Sprintf("generate: {template: %s, question: %q}", g.prompt("Be kind."), g.text()),
			fmt.Sprintf("generate: {template: %s, into: found, schema: {type: object, properties: {left: {type: integer}}}}", g.prompt("Count.")),
		))
		line("run: {first_token: 1s, attempts: %d, backoff: 50ms}", 1+g.rand.IntN(3))
		g.catch(i, "timeout")
	case "call":
		if g.chance(50) {
			line("call: {action: shop.look, args: {what: %q}, into: found}", g.text())
			g.catch(i, "timeout")
		} else {
			line("call: {action: shop.hold, args: {what: %q, count: '1'}, into: ticket}", g.text())
			g.catch(i, "sold_out", "timeout")
		}
	case "set":
		line(g.pick(
			fmt.Sprintf("set: {told: %q, total: 'has(vars.total) ? vars.total + 1 : 1'}", g.text()),
			"set: {count: null, name: null}",
			"set: {lang: \"'en'\"}",
		))
		g.catch(i)
	case "branch":
		line("branch:")
		for range 1 + g.rand.IntN(3) {
			line("- {when: %q, to: %s}", g.truth(), g.ahead(i))
		}
		line("- {else: %s}", g.next(i))
		return
	case "run_flow":
		line("run_flow: {flow: side@1.2, outputs: {vars.told: vars.note}}")
		if g.chance(60) {
			line("catch: {left: %s}", g.ahead(i))
		}
	case "parallel":
		line("parallel:")
		line("  join: %s", g.pick("all", "first"))
		line("  branches:")
		line("    a: [{retrieve: {index: store, query: %q, into: hits}}, {set: {total: size(vars.hits)}}]", g.text())
		line("    b: [{call: {action: shop.hold, args: {what: %q}, into: ticket}}]", g.text())
		if g.chance(50) {
			line("    c: [{generate: {template: %s, into: answer, speak: none}}, {wait: {for: %dms}}]", g.prompt("Think."), g.rand.IntN(1900))
		}
		if g.chance(50) {
			line("run: {timeout: %ds, cover: %s}", 1+g.rand.IntN(5), g.prompt("It takes a moment."))
		}
		g.catch(i, "sold_out", "timeout")
	case "wait":
		if g.chance(50) {
			line("wait: {for: %dms}", 10+g.rand.IntN(9000))
			g.catch(i)
		} else {
			line("wait: {signal: %s, timeout: %ds, into: event}", g.pick("called", "ready"), 1+g.rand.IntN(40))
			g.catch(i, "timeout")
		}
	case "handoff":
		line("handoff: {team: floor, prompt: %s, wait: %ds, while_waiting: %s, summary: %t}", g.prompt("I call somebody."),
			5+g.rand.IntN(100), g.prompt("They are coming."), g.chance(50))
		if g.chance(70) {
			line("catch: {accepted: %s, declined: %s, timeout: %s}", g.next(i), g.ahead(i), g.ahead(i))
		} else {
			line("catch: {accepted: %s, error: %s}", g.ahead(i), g.next(i))
		}
		return
	}
	line("next: %s", g.next(i))
}

func (g *generator) screen() string {
	if g.chance(70) {
		return ""
	}
	return fmt.Sprintf(", screen: {title: %s, map: media/map.svg, mark: \"'a'\", alt: %s, buttons: [{label: %s, value: cancel}]}",
		g.prompt("Look"), g.prompt("A map"), g.prompt("Stop"))
}

func (g *generator) collect(i int, s step) {
	line := func(format string, args ...any) { fmt.Fprintf(&g.out, "    "+format+"\n", args...) }
	line("collect:")
	line("  slot: %s", s.slot)
	line("  prompt: %s", g.prompt("Well?"))
	if g.chance(20) {
		line("  also: [%s]", g.other(s.slot))
	}
	if (s.slot == "sure" || s.slot == "lang" || s.slot == "colour") && g.chance(60) {
		line("  buttons: true")
	}
	if s.slot == "name" && g.chance(50) {
		line("  options: \"has(vars.told) ? ['Ada', 'Grace'] : ['Ada']\"")
	}
	if s.slot != "phone" && g.chance(30) {
		line("  understand: grammar")
	}
	if g.chance(25) {
		line("  confirm: {prompt: %s, attempts: %d}", g.prompt("Is {value} right?"), 1+g.rand.IntN(3))
	}
	if g.chance(20) {
		line("  hints: {en: [kettle]}")
	}
	if g.chance(20) {
		line("  screen: {text: %s}", g.prompt("Say it."))
	}
	if g.chance(20) {
		line("listen: {start_timeout: %ds, reject_below: 0.3}", 2+g.rand.IntN(5))
	}
	if g.chance(20) {
		line("barge_in: %s", g.pick("none", "speech", "hotword"))
	}
	if g.chance(20) {
		line("no_input: {then: quiet}")
	}
	if g.chance(25) {
		line("no_match: {say: [%s], then: %s}", g.prompt("Say it otherwise."), g.anyStep())
	}
	line("next: %s", g.next(i))
}

// other is a slot that an answer may tell too.
func (g *generator) other(slot string) string {
	for {
		if o := g.pick(once[:5]...); o != slot {
			return o
		}
	}
}
