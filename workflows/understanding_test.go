package workflows_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/workflows"
)

// formPlan asks for a few things of different kinds.
func formPlan(t *testing.T) flow.Plan {
	return compiled(t, `languages: {default: en, supported: [en, de], slot: lang}
slots:
  lang: {type: enum, values: [en, de], initial: en}
  colour: {type: enum, values: [red, blue], synonyms: {de: {red: [rot], blue: [blau]}}}
  size: {type: int, valid: value < 50, invalid: bad_size}
  wish: {type: text}
  sure: {type: bool}
intents:
  cancel: {to: stopped}
  repeat: {replay: last_prompt}
  human: {about: Customer wants a person, to: stopped}
  language: {set: {lang: heard.language}, say: switched, resume: true}
  correct: {slots: [colour, size], say: corrected, resume: true}
defaults:
  listen: {start_timeout: 6s, confirm_below: 0.5, reject_below: 0.2}
  no_input: {say: [hello], then: silent}
  no_match: {say: [pardon, pardon], then: lost}
start: colour
steps:
  colour: {collect: {slot: colour, prompt: colour, also: [size], understand: grammar}, next: size}
  size: {collect: {slot: size, prompt: size, confirm: {prompt: confirm, attempts: 2}, understand: grammar}, next: wish}
  wish: {collect: {slot: wish, prompt: wish, understand: model}, next: bye}
  bye: {end: {prompt: bye, with: {c: slots.colour, s: slots.size}, outcome: resolved}}
  stopped: {end: {prompt: stopped, outcome: unresolved}}
  silent: {end: {outcome: abandoned}}
  lost: {end: {prompt: sorry, outcome: unresolved}}
`, `colour: Which colour?
size: Which size?
confirm: Size {value}?
bad_size: No size {value}.
wish: What else?
bye: Goodbye, {c} {s}.
stopped: Stopped.
switched: So be it.
corrected: I see.
`)
}

// hears tells what a customer says, one answer every six seconds after the first
// question, and what is said to it.
type hears struct {
	text  string
	sure  float64 // 0: 0.9
	typed bool
}

func (v *visit) converse(answers ...hears) workflows.Summary {
	v.t.Helper()
	for i, a := range answers {
		at := 3*time.Second + time.Duration(i)*7*time.Second
		if a.typed {
			v.types(at, a.text)
			continue
		}
		if a.sure > 0 {
			v.confidence[i+1] = a.sure
		}
		v.speaks(at, i+1, a.text)
	}
	return v.run()
}

func TestRepair(t *testing.T) {
	say := func(text string) hears { return hears{text: text} }
	for _, tc := range []struct {
		name    string
		answers []hears
		want    []string // what the kiosk says, from the first question on
	}{
		{"everything is understood and the number confirmed",
			[]hears{say("red please"), say("twelve"), say("yes"), say("nothing more")},
			[]string{"colour: Which colour?", "size: Which size?", "size: Size 12?", "wish: What else?", "bye: Goodbye, red 12."}},
		{"one answer tells two things",
			[]hears{say("red, size twelve"), say("nothing more")},
			[]string{"colour: Which colour?", "wish: What else?", "bye: Goodbye, red 12."}},
		{"no, it is another",
			[]hears{say("red"), say("twelve"), say("no, thirteen"), say("yes")},
			[]string{"colour: Which colour?", "size: Which size?", "size: Size 12?", "size: Size 13?", "wish: What else?"}},
		{"wrong too often",
			[]hears{say("red"), say("twelve"), say("no"), say("thirteen"), say("no")},
			[]string{"colour: Which colour?", "size: Which size?", "size: Size 12?", "size: Which size?", "size: Size 13?", "lost: Sorry."}},
		{"a confirmation that is not understood is asked again",
			[]hears{say("red"), say("twelve"), say("elephants in the garden"), say("yes")},
			[]string{"colour: Which colour?", "size: Which size?", "size: Size 12?", "size: Size 12?", "wish: What else?"}},
		{"a value that the rules refuse",
			[]hears{say("red"), say("ninety"), say("twelve"), say("yes")},
			[]string{"colour: Which colour?", "size: Which size?", "size: No size 90.", "size: Size 12?", "wish: What else?"}},
		{"hardly heard is not understood",
			[]hears{{text: "red", sure: 0.1}, say("red")},
			[]string{"colour: Which colour?", "colour: Pardon?", "size: Which size?"}},
		{"unsure is asked back",
			[]hears{{text: "red", sure: 0.4}, {text: "yes", sure: 0.4}},
			[]string{"colour: Which colour?", "colour: I heard: red. Is that right?", "size: Which size?"}},
		{"unsure and wrong",
			[]hears{{text: "red", sure: 0.4}, say("no, blue")},
			[]string{"colour: Which colour?", "colour: I heard: red. Is that right?", "size: Which size?"}},
		{"unsure of an intent",
			[]hears{{text: "cancel", sure: 0.4}, say("no"), say("red")},
			[]string{"colour: Which colour?", "colour: I heard: cancel. Is that right?", "colour: Pardon?", "size: Which size?"}},
		{"unsure of what is confirmed anyway",
			[]hears{say("red"), {text: "twelve", sure: 0.4}},
			[]string{"colour: Which colour?", "size: Which size?", "size: Size 12?"}},
		{"cancel", []hears{say("cancel")}, []string{"colour: Which colour?", "stopped: Stopped."}},
		{"repeat in a confirmation",
			[]hears{say("red"), say("twelve"), say("pardon"), say("yes")},
			[]string{"colour: Which colour?", "size: Which size?", "size: Size 12?", "size: Size 12?", "wish: What else?"}},
		{"another language",
			[]hears{{text: "auf Deutsch bitte", typed: true}, {text: "rot", typed: true}},
			[]string{"colour: Which colour?", "colour: DE So be it.", "colour: DE Which colour?", "size: DE Which size?"}},
		{"a correction",
			[]hears{say("red"), say("no, I meant blue"), say("twelve"), say("yes"), say("nothing more")},
			[]string{"colour: Which colour?", "size: Which size?", "size: I see.", "size: Which size?", "size: Size 12?", "wish: What else?", "bye: Goodbye, blue 12."}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newVisit(t, formPlan(t))
			v.fail[activities.Understand] = madeToFail(activities.KindUnable)
			v.converse(tc.answers...)
			if got := v.said[:min(len(v.said), len(tc.want))]; !slices.Equal(got, tc.want) {
				t.Errorf("said\n%s\nwant\n%s", strings.Join(v.said, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}

func TestWhatIsTouchedOrTypedIsSure(t *testing.T) {
	v := newVisit(t, formPlan(t))
	v.at(3*time.Second, workflows.Signal{Kind: workflows.Touched, Seq: 1, Text: "red"})
	v.at(6*time.Second, workflows.Signal{Kind: workflows.Typed, Seq: 2, Text: "12"})
	v.at(9*time.Second, workflows.Signal{Kind: workflows.Touched, Seq: 3, Text: "true"})
	v.run()
	want := []string{"colour: Which colour?", "size: Which size?", "size: Size 12?", "wish: What else?"}
	if got := v.said[:4]; !slices.Equal(got, want) {
		t.Errorf("said %q, want %q", got, want)
	}
	confirm := v.spoke[2].Listening
	if confirm == nil || fmt.Sprint(confirm.Buttons) != "[{true Yes} {false No}]" {
		t.Errorf("the confirmation listens with %+v, want buttons for yes and no", confirm)
	}
}

func TestTheModelIsAskedWhatTheGrammarDoesNotKnow(t *testing.T) {
	for _, tc := range []struct {
		name string
		says activities.UnderstandResult
		fail error
		want string
	}{
		{"and finds an intent", activities.UnderstandResult{Intent: "human"}, nil, "stopped: Stopped."},
		{"and finds nothing", activities.UnderstandResult{}, nil, "bye: Goodbye, red 12."},
		{"and cannot", activities.UnderstandResult{}, madeToFail(activities.KindUnable), "bye: Goodbye, red 12."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newVisit(t, formPlan(t))
			v.understand = func(activities.UnderstandInput) activities.UnderstandResult { return tc.says }
			v.fail[activities.Understand] = tc.fail
			v.converse(hears{text: "red, size twelve"}, hears{text: "is there anybody who could come over here"})
			if got := v.said[len(v.said)-1]; got != tc.want {
				t.Errorf("said %q at the end, want %q", got, tc.want)
			}
			if len(v.asked) != 1 {
				t.Fatalf("the model was asked %d times, want once: %+v", len(v.asked), v.asked)
			}
			in := v.asked[0]
			if in.Prompt != "What else?" || in.Slots[0].Name != "wish" || !slices.ContainsFunc(in.Intents, func(m activities.Meaning) bool { return m.Name == "human" }) {
				t.Errorf("the model was asked %+v", in)
			}
		})
	}
}

func TestOptionsAreKnownAtRunTime(t *testing.T) {
	v := newVisit(t, compiled(t, `slots: {at: {type: string}}
vars: {free: list(string)}
start: look
steps:
  look: {call: {action: shop.free, into: free}, catch: {error: bye}, next: ask}
  ask: {collect: {slot: at, prompt: ask, options: vars.free, buttons: true}, next: bye}
  bye: {end: {prompt: bye, with: {at: "has(slots.at) ? slots.at : ''"}, outcome: resolved}}
`, "ask: Who shall come?\nbye: I call {at}.\n"))
	v.call = func(activities.CallInput) (any, error) { return []any{"Ada", "Grace"}, nil }
	v.fail[activities.Understand] = madeToFail(activities.KindUnable)
	v.types(3*time.Second, "elephants in the garden today")
	v.types(7*time.Second, "Grace please")
	v.run()
	v.wantSaid("ask: Who shall come?", "ask: Pardon?", "bye: I call Grace.")
	if b := v.spoke[0].Listening.Buttons; len(b) != 2 || b[1].Value != "Grace" {
		t.Errorf("buttons %+v, want the options", b)
	}
}

// A hotword is the only thing that cuts such a response, and whatever else is
// said over it is no answer.
func TestHotword(t *testing.T) {
	for _, tc := range []struct {
		name, over string
		want       []string // the transcript
	}{
		{"nothing but the hotword", "Stop!", []string{"What is it?", "Hello?"}},
		{"a hotword and a wish", "stop, where are the kettles", []string{"stop, where are the kettles", "stop, where are the kettles"}},
		{"something else", "look at that, Anna", []string{"A long story.", "What is it?", "Hello?"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newVisit(t, compiled(t, `slots: {wish: {type: text}}
start: story
steps:
  story:
    say: {prompt: story}
    barge_in: {mode: hotword, hotwords: {en: [stop, hey you]}}
    next: ask
  ask: {collect: {slot: wish, prompt: ask}, next: bye}
  bye: {end: {prompt: bye, with: {w: slots.wish}, outcome: resolved}}
`, "story: A long story.\nask: What is it?\nbye: \"{w}\"\n"))
			v.speaks(300*time.Millisecond, 1, tc.over) // the words are known before the response is over
			var lines []string
			for _, line := range v.run().Transcript {
				lines = append(lines, line.Text)
			}
			if !slices.Equal(lines, tc.want) {
				t.Errorf("the transcript has %q, want %q", lines, tc.want)
			}
			if !slices.Contains(v.expected, "hey you") {
				t.Errorf("the recogniser is told to expect %q, want the hotwords too", v.expected)
			}
		})
	}
}

// Who says but that something is wrong is taken to the step that the author has
// for it, or is not understood.
func TestAnIntentThatOnlySays(t *testing.T) {
	for _, tc := range []struct{ then, want string }{
		{"resume: true", "colour: Which colour?"},
		{"to: check", "check: What is wrong?"},
	} {
		t.Run(tc.then, func(t *testing.T) {
			v := newVisit(t, compiled(t, `slots: {colour: {type: enum, values: [red, blue]}}
intents: {astray: {phrases: {en: [tell me a joke]}, say: astray, `+tc.then+`}}
start: colour
steps:
  colour: {collect: {slot: colour, prompt: colour}, next: check}
  check: {say: {prompt: check}, next: bye}
  bye: {end: {outcome: resolved}}
`, "colour: Which colour?\nastray: I only know colours.\ncheck: What is wrong?\n"))
			v.types(3*time.Second, "tell me a joke")
			v.types(9*time.Second, "red")
			v.run()
			if len(v.said) < 3 || v.said[1] != "colour: I only know colours." || v.said[2] != tc.want {
				t.Errorf("said %q, want the intent's prompt, then %q", v.said, tc.want)
			}
		})
	}
}

func TestACorrectionThatDoesNotSayWhat(t *testing.T) {
	for _, tc := range []struct{ then, want string }{
		{"to: check", "check: What is wrong?"},
		{"resume: true", "wish: Pardon?"},
	} {
		t.Run(tc.then, func(t *testing.T) {
			v := newVisit(t, compiled(t, `slots: {colour: {type: enum, values: [red, blue]}, wish: {type: bool}}
intents: {correct: {slots: [colour], phrases: {en: [that was wrong]}, `+tc.then+`}}
start: colour
steps:
  colour: {collect: {slot: colour, prompt: colour}, next: wish}
  wish: {collect: {slot: wish, prompt: wish, understand: grammar}, next: check}
  check: {say: {prompt: check}, next: bye}
  bye: {end: {outcome: resolved}}
`, "colour: Which colour?\nwish: Gift wrap?\ncheck: What is wrong?\n"))
			v.types(3*time.Second, "red")
			v.types(6*time.Second, "that was wrong")
			v.run()
			if len(v.said) < 3 || v.said[2] != tc.want {
				t.Errorf("said %q, want %q in the end", v.said, tc.want)
			}
		})
	}
}

func TestWhatIsSensitiveReachesNoModelAndNoView(t *testing.T) {
	v := newVisit(t, compiled(t, `slots: {phone: {type: string, normalise: digits, sensitive: true}, wish: {type: text}}
intents: {correct: {slots: [phone], resume: true}}
start: phone
steps:
  phone: {collect: {slot: phone, prompt: phone, confirm: {prompt: confirm}}, next: wish}
  wish: {collect: {slot: wish, prompt: wish, understand: model}, next: tell}
  tell: {say: {prompt: tell, with: {phone: slots.phone}}, next: answer}
  answer: {generate: {template: answer}, next: bye}
  bye: {end: {outcome: resolved}}
`, "phone: Your number?\nconfirm: Is it {value}?\nwish: What is it?\ntell: I call {phone}.\nanswer: Be kind.\n"))
	v.answers["a kettle"] = "Here is a kettle."
	v.status(20*time.Second, func(s workflows.Status) {
		if all := fmt.Sprint(s.Slots, s.Transcript); strings.Contains(all, "9 8 7") || strings.Contains(all, "987") {
			t.Errorf("status shows what the customer said of themselves: %s", all)
		}
	})
	v.converse(hears{text: "98765", typed: true}, hears{text: "yes", typed: true}, hears{text: "a kettle", typed: true})
	for i := range v.asked {
		v.asked[i].Now = time.Time{} // digits that are none of the customer's
	}
	if all := fmt.Sprint(v.generated, v.asked); len(v.generated) != 1 || strings.Contains(all, "9 8") || strings.Contains(all, "98") {
		t.Errorf("a model was told what is sensitive: %s", all)
	}
}

// A conversation of two hundred turns continues as new again and again, in the
// middle of flows that others wait for, and loses nothing.
func TestTwoHundredTurns(t *testing.T) {
	side := compiled(t, `flow: side
slots: {wish: {type: text, ask_anew: true}, more: {type: bool, ask_anew: true}}
vars: {count: int}
start: wish
steps:
  wish: {collect: {slot: wish, prompt: wish}, next: count}
  count: {set: {count: "has(vars.count) ? vars.count + 1 : 1"}, next: more}
  more: {collect: {slot: more, prompt: more}, next: fork}
  fork: {branch: [{when: slots.more, to: wish}, {else: bye}]}
  bye: {end: {outcome: done}}
`, "wish: What is it?\nmore: More?\n")
	plan := compiled(t, `vars: {count: int}
defaults: {limits: {turns: 1000, duration: 24h, visits_per_step: 1000}}
start: run
steps:
  run: {run_flow: {flow: side@1, outputs: {vars.count: vars.count}}, next: bye}
  bye: {end: {prompt: bye, with: {count: "has(vars.count) ? vars.count : 0"}, outcome: resolved}}
`, "bye: You had {count} wishes.\n", side)
	visit := workflows.Visit{Store: "st", Kiosk: "k1", Plan: plan, TimeZone: "Europe/Berlin"}
	turn, runs := 0, 0
	for {
		runs++
		v := newVisit(t, plan)
		if runs == 1 {
			v.at(0, workflows.Signal{Kind: workflows.Joined})
		}
		// Each run of some turns hears one answer more than it can take in, which
		// is what the next one begins with.
		const each = 40
		for i := range each {
			text := fmt.Sprintf("wish %d", turn/2+1)
			if turn%2 == 1 {
				text = "yes"
				if turn == 199 {
					text = "no"
				}
			}
			turn++
			if turn > 200 {
				break
			}
			v.at(time.Duration(i)*3*time.Second+time.Second, workflows.Signal{Kind: workflows.Typed, Seq: int64(turn), Text: text})
		}
		v.env.RegisterDelayedCallback(func() { v.env.SetContinueAsNewSuggested(true) }, each*3*time.Second-2*time.Second)
		v.env.ExecuteWorkflow(workflows.ConversationType, visit)
		err := v.env.GetWorkflowError()
		if err == nil {
			var s workflows.Summary
			if err := v.env.GetWorkflowResult(&s); err != nil {
				t.Fatal(err)
			}
			checkTwoHundred(t, s, runs)
			return
		}
		visit = continued(t, err)
		if n := len(visit.State.Stack); n != 2 || visit.TimeZone != "Europe/Berlin" {
			t.Fatalf("run %d continues with %d flows under way in time zone %q", runs, n, visit.TimeZone)
		}
	}
}

func checkTwoHundred(t *testing.T, s workflows.Summary, runs int) {
	t.Helper()
	if s.Turns != 200 || s.Outcome != "resolved" || runs < 5 {
		t.Errorf("%d turns in %d runs, outcome %q; want 200 in 5 or more, resolved", s.Turns, runs, s.Outcome)
	}
	if got := s.Transcript[len(s.Transcript)-1].Text; got != "You had 100 wishes." {
		t.Errorf("it ends with %q, want all hundred wishes", got)
	}
	var wishes int
	for _, line := range s.Transcript {
		if line.By == "customer" && strings.HasPrefix(line.Text, "wish ") {
			wishes++
			if want := fmt.Sprintf("wish %d", wishes); line.Text != want {
				t.Errorf("the transcript has %q, want %q", line.Text, want)
			}
		}
	}
	if n := s.Taken["side/wish>next>count"]; wishes != 100 || n != 100 {
		t.Errorf("%d wishes in the transcript, %d ways taken, want 100 of both", wishes, n)
	}
}
