package workflows_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/workflows"
)

// nestedPlan is a shop that runs a flow that runs another; customers can also
// digress into the last one. Only the shop has intents.
func nestedPlan(t *testing.T) flow.Plan {
	inner := compiled(t, `flow: inner
languages: {default: en, supported: [en, de], slot: lang}
phrases: {en: [the side], de: [daneben]}
slots:
  lang: {type: enum, values: [en, de], initial: en}
  topic: {type: enum, values: [hours, way], synonyms: {de: {hours: [zeiten], way: [weg]}}}
  note: {type: text}
start: topic
steps:
  topic: {collect: {slot: topic, prompt: topic, understand: grammar}, next: note}
  note: {collect: {slot: note, prompt: note, understand: model}, next: bye}
  bye: {end: {outcome: done}}
`, "topic: Which topic?\nnote: Anything else?\n")
	middle := compiled(t, `flow: middle
languages: {default: en, supported: [en, de]}
vars: {note: string}
start: inner
steps:
  inner: {run_flow: {flow: inner@1, outputs: {vars.note: slots.note}}, next: noted}
  noted: {say: {prompt: noted, with: {note: "has(vars.note) ? vars.note : ''"}}, next: bye}
  bye: {end: {outcome: done}}
`, "noted: You said {note}.\n", inner)
	return compiled(t, `languages: {default: en, supported: [en, de], slot: lang}
slots:
  lang: {type: enum, values: [en, de], initial: en}
  colour: {type: enum, values: [red, blue], synonyms: {de: {red: [rot], blue: [blau]}}}
  ready: {type: bool, ask_anew: true}
vars: {note: string}
defaults: {listen: {start_timeout: 10s}, no_input: {then: bye}, no_match: {say: [pardon], then: lost}}
intents:
  human: {to: staff}
  repeat: {replay: last_prompt}
  language: {set: {lang: heard.language}, say: switched, resume: true}
  correct: {slots: [colour], say: corrected, resume: true}
  start_over: {phrases: {en: [start over], de: [von vorn]}, set: {colour: null}, say: over, to: colour}
  aside: {flows: [inner@1], depth: 1, say: back, resume: true}
start: colour
steps:
  colour: {collect: {slot: colour, prompt: colour}, next: ready}
  ready: {collect: {slot: ready, prompt: ready}, next: middle}
  middle: {run_flow: {flow: middle@1}, next: bye}
  staff: {say: {prompt: staff}, next: bye}
  bye: {end: {prompt: bye, with: {c: "has(slots.colour) ? slots.colour : 'nothing'"}, outcome: resolved}}
  lost: {end: {outcome: unresolved}}
`, `colour: Which colour?
ready: Are you ready?
switched: So be it.
corrected: I see.
over: Once more.
back: Back to it.
staff: Somebody is coming.
bye: Goodbye, {c}.
`, middle, inner)
}

func TestCallersIntentsAreHeard(t *testing.T) {
	for _, tc := range []struct {
		name  string
		types []string
		want  []string // what the kiosk says after "Are you ready?"
		taken []string
	}{
		{"to, two flows deep", []string{"yes", "a human please"},
			[]string{"topic: Which topic?", "staff: Somebody is coming.", "bye: Goodbye, red."},
			[]string{"shop/middle>intent human>staff", "shop/staff>next>bye"}},
		{"to, from a digression", []string{"the side", "a human please"},
			[]string{"topic: Which topic?", "staff: Somebody is coming.", "bye: Goodbye, red."},
			[]string{"shop/ready>intent aside>ready", "shop/ready>intent human>staff"}},
		{"to, where any text is an answer", []string{"yes", "hours", "a human please"},
			[]string{"topic: Which topic?", "note: Anything else?", "staff: Somebody is coming.", "bye: Goodbye, red."}, nil},
		{"repeat", []string{"yes", "pardon", "way", "nothing"},
			[]string{"topic: Which topic?", "topic: Which topic?", "note: Anything else?", "noted: You said nothing.", "bye: Goodbye, red."},
			[]string{"shop/middle>intent repeat>middle"}},
		{"another language, in every flow", []string{"yes", "auf Deutsch bitte", "zeiten", "nein"},
			[]string{"topic: Which topic?", "topic: DE So be it.", "topic: DE Which topic?", "note: DE Anything else?", "noted: DE You said nein.", "bye: DE Goodbye, red."},
			[]string{"shop/middle>intent language>middle"}},
		{"a correction", []string{"yes", "no, I meant blue", "way", "nothing"},
			[]string{"topic: Which topic?", "topic: I see.", "topic: Which topic?", "note: Anything else?", "noted: You said nothing.", "bye: Goodbye, blue."},
			[]string{"shop/middle>intent correct>middle"}},
		{"a correction in a digression", []string{"the side", "no, I meant blue", "way", "nothing", "a human please"},
			[]string{"topic: Which topic?", "topic: I see.", "topic: Which topic?", "note: Anything else?", "ready: Back to it.", "ready: Are you ready?", "staff: Somebody is coming.", "bye: Goodbye, blue."}, nil},
		{"what is set, and then a step", []string{"yes", "start over", "blue", "a human please"},
			[]string{"topic: Which topic?", "topic: Once more.", "colour: Which colour?", "ready: Are you ready?", "staff: Somebody is coming.", "bye: Goodbye, blue."},
			[]string{"shop/middle>intent start_over>colour"}},
		{"a digression, in the middle of a flow that is run", []string{"yes", "the side", "way", "nothing", "hours", "that is all"},
			[]string{"topic: Which topic?", "topic: Which topic?", "note: Anything else?", "topic: Back to it.", "topic: Which topic?", "note: Anything else?", "noted: You said that is all.", "bye: Goodbye, red."},
			[]string{"shop/middle>intent aside>middle"}},
		{"a digression no deeper than allowed", []string{"the side", "the side"},
			[]string{"topic: Which topic?", "topic: Pardon?"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newVisit(t, nestedPlan(t))
			for i, text := range append([]string{"red"}, tc.types...) {
				v.types(time.Duration(3+6*i)*time.Second, text)
			}
			s := v.run()
			if len(v.said) < 2 || v.said[1] != "ready: Are you ready?" {
				t.Fatalf("said %q", v.said)
			}
			if got := v.said[2:min(len(v.said), 2+len(tc.want))]; !slices.Equal(got, tc.want) {
				t.Errorf("said\n%s\nwant\n%s", strings.Join(v.said[2:], "\n"), strings.Join(tc.want, "\n"))
			}
			v.wantTaken(s, tc.taken...)
		})
	}
}

func TestTheModelKnowsCallersIntents(t *testing.T) {
	for _, tc := range []struct {
		name string
		says activities.UnderstandResult
		want []string
	}{
		{"an intent", activities.UnderstandResult{Intent: "shop.human"}, []string{"staff: Somebody is coming.", "bye: Goodbye, red."}},
		{"an intent without its flow", activities.UnderstandResult{Intent: "human"}, []string{"staff: Somebody is coming.", "bye: Goodbye, red."}},
		{"another language", activities.UnderstandResult{Intent: "shop.language:de"}, []string{"note: DE So be it.", "note: DE Anything else?"}},
		{"a correction", activities.UnderstandResult{Values: map[string]any{"shop.colour": "blue"}}, []string{"note: I see.", "note: Anything else?"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newVisit(t, nestedPlan(t))
			v.understand = func(activities.UnderstandInput) activities.UnderstandResult { return tc.says }
			for i, text := range []string{"red", "yes", "way", "could you do something else over there"} {
				v.types(time.Duration(3+6*i)*time.Second, text)
			}
			v.run()
			if len(v.said) < 4+len(tc.want) || !slices.Equal(v.said[4:4+len(tc.want)], tc.want) {
				t.Errorf("said %q, want %q in the end", v.said, tc.want)
			}
			if len(v.asked) != 1 {
				t.Fatalf("the model was asked %d times, want once", len(v.asked))
			}
			var names []string
			for _, m := range v.asked[0].Intents {
				names = append(names, m.Name)
			}
			if want := []string{"shop.human", "shop.repeat", "shop.language:de", "shop.start_over", "shop.aside:inner@1.0.0"}; !slices.Equal(names, want) {
				t.Errorf("the model was told of %q, want %q", names, want)
			}
		})
	}
}

// A customer who asks for a moment gets one, three times a question.
func TestAMomentIsGiven(t *testing.T) {
	v := newVisit(t, formPlan(t))
	v.fail[activities.Understand] = madeToFail(activities.KindUnable)
	for i, text := range []string{"wait a second", "one moment", "hold on", "just a minute", "red", "wait a second", "cancel"} {
		v.types(time.Duration(3+4*i)*time.Second, text)
	}
	s := v.run()
	moment := "colour: Take your time."
	v.wantSaid("colour: Which colour?", moment, moment, moment, "colour: Pardon?", "size: Which size?", "size: Take your time.", "stopped: Stopped.")
	v.wantTaken(s, "shop/size>intent cancel>stopped")
}

// Who asks for a moment before they have heard the question hears it then.
func TestAMomentBeforeTheQuestion(t *testing.T) {
	v := newVisit(t, formPlan(t))
	v.at(0, workflows.Signal{Kind: workflows.Typed, Seq: 1, Text: "one moment"})
	v.seq = 1
	v.types(3*time.Second, "cancel")
	v.run()
	v.wantSaid("colour: Which colour?", "stopped: Stopped.")
}
