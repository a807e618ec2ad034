// Package flow is the language in which conversations are written: YAML source
// with positions, the checks that every mistake must pass, and the Plan that a
// conversation carries. It imports nothing else of ours.
package flow

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Interpreter is the version of the plan's meaning. A conversation refuses a
// plan whose Interpreter it does not know, so that a change in what a verb does
// never changes a conversation that is under way.
const Interpreter = 3

// A Plan is a compiled flow: plain JSON, a few kilobytes, complete in itself. It
// is carried in the workflow's input, so an edit of the source never touches a
// conversation that is under way, and the history alone replays.
type Plan struct {
	Interpreter int       `json:"interpreter"`
	Flow        string    `json:"flow"`
	Version     string    `json:"version"`
	About       string    `json:"about,omitempty"`
	SHA256      string    `json:"plan_sha256"` // of the plan with this field empty, in hexadecimal
	Languages   Languages `json:"languages"`

	// Phrases begin this flow when another digresses into it, by language.
	Phrases map[string][]string `json:"phrases,omitempty"`

	Inputs map[string]Type `json:"inputs,omitempty"`
	Slots  map[string]Slot `json:"slots,omitempty"`
	Vars   map[string]Type `json:"vars,omitempty"`

	Listen  Listen   `json:"listen"`   // the default of every listening step
	BargeIn BargeIn  `json:"barge_in"` // the default of every speaking step
	NoInput Ladder   `json:"no_input"`
	NoMatch Ladder   `json:"no_match"`
	Limits  Limits   `json:"limits"`
	Intents []Intent `json:"intents,omitempty"` // in the author's order; the first that fits is taken

	Start string          `json:"start"`
	Steps map[string]Step `json:"steps"`

	// Prompts holds the text by language, then key. Every key used is in every
	// supported language; the checker has seen to it.
	Prompts map[string]map[string]string `json:"prompts"`

	// Flows are the published flows that this one runs or digresses into, and
	// those that they do, by name and exact version ("store_info@2.1.0"). Only
	// the plan of a conversation has it; the plans in it have none of their own
	// and no SHA256.
	Flows map[string]Plan `json:"flows,omitempty"`
}

// Languages says in which languages a flow can be held, as BCP 47 tags.
type Languages struct {
	Default   string   `json:"default"`
	Supported []string `json:"supported"`
	// Slot names the enum slot whose value is the conversation's language. Empty:
	// the language is Default from the first word to the last.
	Slot string `json:"slot,omitempty"`
}

// A Type is what a slot, variable or input holds:
//
//	text     what a customer said, in their words      string
//	string   a code, a name, a number to call          string
//	bool     yes or no                                 bool
//	int      a whole number                            int
//	number   a number                                  double
//	amount   money, in the currency's unit             double
//	enum     one of the slot's values                  string
//	date     a day, "2026-11-23"                       string
//	time     a time of day, "15:30"                    string
//	passage  what retrieve found                       an object with known fields
//	object   what an action or the model answered      map of anything
//	list(T)  several                                   list
//
// The last column is what expressions see.
type Type string

// A Slot is something that a customer tells.
type Slot struct {
	Type     Type                           `json:"type"`
	About    string                         `json:"about,omitempty"`    // what it is, for the language model
	Values   []string                       `json:"values,omitempty"`   // of an enum
	Synonyms map[string]map[string][]string `json:"synonyms,omitempty"` // language → value → ways to say it
	Initial  any                            `json:"initial,omitempty"`  // its value before anybody has answered; no answer
	AskAnew  bool                           `json:"ask_anew,omitempty"` // collect forgets the old answer
	MaxLen   int                            `json:"max_len,omitempty"`  // in characters; 0: 1,000
	// Normalise makes one spelling of many, of a string: "e164" (a phone number,
	// "+4915112345678"), "digits", "code" (letters and digits said one by one, in
	// upper case without blanks), "email", "upper", "lower".
	Normalise string `json:"normalise,omitempty"`
	Pattern   string `json:"pattern,omitempty"` // RE2 that the whole normalised string must match
	Valid     string `json:"valid,omitempty"`   // CEL over `value`
	Invalid   string `json:"invalid,omitempty"` // prompt that says why Valid or Pattern refused; {value}
	// Sensitive values are masked in operators' views and never reach an LLM.
	Sensitive bool `json:"sensitive,omitempty"`
}

// Listen says how long a listening step waits, what ends an utterance, and how
// sure the recogniser has to be.
type Listen struct {
	StartTimeout Duration `json:"start_timeout"` // silence before no_input
	EndSilence   Duration `json:"end_silence"`   // the silence that ends a turn; of learned and model, the shortest
	MaxUtterance Duration `json:"max_utterance"`
	// Endpointing is how a turn's end is told from a pause: "fixed", by EndSilence;
	// "learned", by the customer's own pauses; "model", by a turn-completion model
	// that hears whether a sentence is over. Of the latter two MaxSilence ends a
	// turn in any case.
	Endpointing string   `json:"endpointing"`
	MaxSilence  Duration `json:"max_silence,omitempty"`
	// Guess: the answer is begun at a pause, before the turn's end, and taken back
	// when the customer goes on.
	Guess bool `json:"guess"`
	// What was heard with a confidence (0..1) below ConfirmBelow is asked back
	// ("Did you say …?"), below RejectBelow it counts as not understood.
	ConfirmBelow float64 `json:"confirm_below"`
	RejectBelow  float64 `json:"reject_below"`
}

// BargeIn says how a customer may interrupt what is being said.
type BargeIn struct {
	Mode     string `json:"mode"`                // "speech", "hotword" or "none"
	MinWords int    `json:"min_words,omitempty"` // of "speech"
	// Hotwords cut what is being said, by language, of "hotword"; whatever else is
	// said meanwhile is not taken as an answer.
	Hotwords map[string][]string `json:"hotwords,omitempty"`
	// WhenCut says what becomes of an answer that is interrupted, of generate:
	// "keep_heard" (the default: `into` is what was heard) or "keep_all".
	WhenCut string `json:"when_cut,omitempty"`
}

// A Ladder is what the kiosk says time after time when a customer is silent or
// not understood, and the step that it goes to when it has said it all.
type Ladder struct {
	Say  []string `json:"say,omitempty"`  // prompt keys, one for each time
	Then string   `json:"then,omitempty"` // a step
}

// Limits end a conversation that goes on for too long.
type Limits struct {
	Turns         int      `json:"turns"`
	Duration      Duration `json:"duration"`
	VisitsPerStep int      `json:"visits_per_step"`
}

// An Intent is heard at every listening step before no_match: by its phrases
// (case, punctuation and fillers aside), by those that every language has for
// the names cancel, human, repeat, language and correct, or by the language
// model, which reads About. Exactly one of To, Replay, Set, Correct and Digress
// is set.
type Intent struct {
	Name    string              `json:"name"`
	About   string              `json:"about,omitempty"`
	Phrases map[string][]string `json:"phrases,omitempty"` // by language

	To      string   `json:"to,omitempty"`      // a step
	Replay  bool     `json:"replay,omitempty"`  // says the last prompt again and goes on listening
	Set     []Assign `json:"set,omitempty"`     // slots; "heard.language" and "heard.text" are what was said
	Correct []string `json:"correct,omitempty"` // slots that a customer may take back at any time
	Digress *Digress `json:"digress,omitempty"`

	// Say is spoken before the conversation goes on where it was: after Set,
	// Correct and Digress, or alone.
	Say string `json:"say,omitempty"` // prompt key
	// Then is where the conversation goes after Say, Set, Correct or Digress; empty:
	// it resumes, with the question that was open asked again.
	Then string `json:"then,omitempty"`
}

// Digress runs another flow and comes back.
type Digress struct {
	Flows []string `json:"flows"` // exact versions, keys of Plan.Flows
	Depth int      `json:"depth"` // how many digressions may be under way at once
}

// A Step does one thing. Exactly one of the verbs is set.
type Step struct {
	Line int    `json:"line"` // in the source, for operators
	Note string `json:"note,omitempty"`
	Next string `json:"next,omitempty"` // empty for branch, handoff and end

	Say      *Say      `json:"say,omitempty"`
	Collect  *Collect  `json:"collect,omitempty"`
	Retrieve *Retrieve `json:"retrieve,omitempty"`
	Generate *Generate `json:"generate,omitempty"`
	Call     *Call     `json:"call,omitempty"`
	Set      []Assign  `json:"set,omitempty"`
	Branch   []Case    `json:"branch,omitempty"`
	RunFlow  *RunFlow  `json:"run_flow,omitempty"`
	Parallel *Parallel `json:"parallel,omitempty"`
	Wait     *Wait     `json:"wait,omitempty"`
	Handoff  *Handoff  `json:"handoff,omitempty"`
	End      *End      `json:"end,omitempty"`

	Run     Run               `json:"run,omitzero"`
	Catch   map[string]string `json:"catch,omitempty"` // error → step; "error" is any other
	BargeIn *BargeIn          `json:"barge_in,omitempty"`
}

// Verb is the name of the step's verb.
func (s Step) Verb() string {
	switch {
	case s.Say != nil:
		return "say"
	case s.Collect != nil:
		return "collect"
	case s.Retrieve != nil:
		return "retrieve"
	case s.Generate != nil:
		return "generate"
	case s.Call != nil:
		return "call"
	case s.Set != nil:
		return "set"
	case s.Branch != nil:
		return "branch"
	case s.RunFlow != nil:
		return "run_flow"
	case s.Parallel != nil:
		return "parallel"
	case s.Wait != nil:
		return "wait"
	case s.Handoff != nil:
		return "handoff"
	case s.End != nil:
		return "end"
	}
	return ""
}

// Run bounds a step that asks a server; zero fields mean the pool's own policy.
type Run struct {
	Timeout    Duration `json:"timeout,omitzero"`     // all attempts together
	Attempts   int      `json:"attempts,omitempty"`   // at most
	Backoff    Duration `json:"backoff,omitzero"`     // before the second attempt; doubles
	FirstToken Duration `json:"first_token,omitzero"` // of generate
	Cover      string   `json:"cover,omitempty"`      // prompt spoken when the step takes longer than 700 ms
}

// With holds the CEL expressions whose values fill a prompt's placeholders.
type With map[string]string

// Say speaks a prompt.
type Say struct {
	Prompt string  `json:"prompt"`
	With   With    `json:"with,omitempty"`
	Avatar string  `json:"avatar,omitempty"` // a gesture: wave, nod, shake, point, shrug, think, smile
	Screen *Screen `json:"screen,omitempty"`
}

// A Screen is shown beside what is said, until the next response or screen.
// Title, Text, Alt and the buttons' labels are prompt keys, filled with the
// step's With.
type Screen struct {
	Title string `json:"title,omitempty"`
	Text  string `json:"text,omitempty"`
	// Picture and Map are files of the store, relative to its folder ("media/a4.jpg").
	// {placeholders} in them are filled with With.
	Picture string         `json:"picture,omitempty"`
	Map     string         `json:"map,omitempty"`  // an SVG
	Mark    string         `json:"mark,omitempty"` // CEL, text: the id of the element in Map to light up
	Alt     string         `json:"alt,omitempty"`  // what Picture or Map shows, for those who cannot see it
	Buttons []ScreenButton `json:"buttons,omitempty"`
}

// A ScreenButton is touched instead of something said.
type ScreenButton struct {
	Label string `json:"label"` // prompt key
	Value string `json:"value"` // a value of the slot that is collected next, or words as if they had been said
}

// Collect asks until its slot has a valid value.
type Collect struct {
	Slot    string   `json:"slot"`
	Prompt  string   `json:"prompt"`
	With    With     `json:"with,omitempty"`
	Avatar  string   `json:"avatar,omitempty"`
	Screen  *Screen  `json:"screen,omitempty"`
	Buttons bool     `json:"buttons,omitempty"` // shows the values of an enum or bool, or the options, as touch buttons
	Options string   `json:"options,omitempty"` // CEL, list(string): what a string slot can be, known only at run time
	Also    []string `json:"also,omitempty"`    // further slots that are filled when the answer tells them too
	// Understand is "grammar" (the slot's own grammar and phrases) or "model" (then
	// the language model, for what they do not understand; for a text slot, to
	// find an intent before the text is taken).
	Understand string              `json:"understand"`
	Hints      map[string][]string `json:"hints,omitempty"` // words to expect, by language, for the recogniser
	Confirm    *Confirm            `json:"confirm,omitempty"`
	Listen     Listen              `json:"listen"` // complete: defaults are filled in
	NoInput    *Ladder             `json:"no_input,omitempty"`
	NoMatch    *Ladder             `json:"no_match,omitempty"`
}

// Confirm reads a value back and asks whether it is right.
type Confirm struct {
	Prompt   string `json:"prompt"`         // {value} is what was understood
	With     With   `json:"with,omitempty"` // complete: `value` is in it
	Attempts int    `json:"attempts"`       // wrong values before no_match's last step
}

// Retrieve searches a knowledge collection.
type Retrieve struct {
	Index    string  `json:"index"`
	Query    string  `json:"query"`            // CEL, text
	Filter   With    `json:"filter,omitempty"` // field → CEL, text
	TopK     int     `json:"top_k"`
	MinScore float64 `json:"min_score,omitempty"` // 0..1
	Into     string  `json:"into"`                // a var of type list(passage)
}

// Generate asks the language model.
type Generate struct {
	Template   string          `json:"template"` // prompt key
	With       With            `json:"with,omitempty"`
	Question   string          `json:"question,omitempty"` // CEL: what the customer asked; empty: the last utterance
	Into       string          `json:"into,omitempty"`     // a var of type string or text; object or list with Schema
	Schema     json.RawMessage `json:"schema,omitempty"`   // JSON Schema of the answer; Speak is "none" then
	Speak      string          `json:"speak"`              // stream, whole or none
	GroundedIn string          `json:"grounded_in,omitempty"`
	MaxTokens  int             `json:"max_tokens,omitempty"`
	Avatar     string          `json:"avatar,omitempty"`
}

// Call runs an action of the action catalogue. Its idempotency key is
// conversation + step + visit.
type Call struct {
	Action string `json:"action"`         // "shop.hold_item"
	Args   With   `json:"args,omitempty"` // name → CEL, any type
	Into   string `json:"into,omitempty"` // a var
}

// Assign sets one slot or var, in the author's order. A value of null takes its
// value away: it is unset from then on, and a slot unanswered.
type Assign struct {
	Name string `json:"name"` // "slots.x" or "vars.x"
	Expr string `json:"expr"` // CEL
}

// Case is one arm of a branch; When is empty for `else`, which is the last.
type Case struct {
	When string `json:"when,omitempty"` // CEL, bool
	To   string `json:"to"`
}

// RunFlow runs another flow, then goes on. The outcome with which it ends can be
// caught by name; any other goes to `next`.
type RunFlow struct {
	Flow    string   `json:"flow"`              // exact version, a key of Plan.Flows
	Inputs  With     `json:"inputs,omitempty"`  // its input → CEL over the caller's names
	Outputs []Output `json:"outputs,omitempty"` // what the caller takes over at its end
}

// Output takes a slot or var of a flow that has ended into one of the caller's.
// What has no value there leaves the caller's as it is.
type Output struct {
	Name string `json:"name"` // the caller's: "slots.x" or "vars.x"
	From string `json:"from"` // the other flow's: "slots.y" or "vars.y"
}

// Parallel does several things at once; nobody speaks or listens in them.
type Parallel struct {
	Branches []Line `json:"branches"` // in the author's order
	Join     string `json:"join"`     // "all"; or "first": the others are cancelled when one is done
}

// A Line is one branch of a parallel: steps that run one after the other, each a
// retrieve, call, set, wait, or a generate that is not spoken.
type Line struct {
	Name  string `json:"name"`
	Steps []Step `json:"steps"`
}

// Wait lets time pass, or waits for an event from outside.
type Wait struct {
	For     Duration `json:"for,omitzero"`
	Signal  string   `json:"signal,omitempty"` // the event's name
	Timeout Duration `json:"timeout,omitzero"` // of Signal: then `catch: timeout`
	Into    string   `json:"into,omitempty"`   // a var: the event's data
}

// Handoff calls staff. All its ways on are in the step's Catch: accepted,
// declined, timeout.
type Handoff struct {
	Team         string   `json:"team"`
	Prompt       string   `json:"prompt,omitempty"`
	With         With     `json:"with,omitempty"`
	Avatar       string   `json:"avatar,omitempty"`
	Wait         Duration `json:"wait"`
	WhileWaiting string   `json:"while_waiting,omitempty"` // prompt, said every 20 s
	Summary      bool     `json:"summary,omitempty"`       // the language model sums the conversation up for staff
}

// End says goodbye and ends the conversation.
type End struct {
	Prompt  string `json:"prompt,omitempty"`
	With    With   `json:"with,omitempty"`
	Avatar  string `json:"avatar,omitempty"`
	Outcome string `json:"outcome"` // resolved, unresolved, handed_off, abandoned, or the author's own word
}

// Duration is a time.Duration written as Go writes it ("1.5s") in JSON.
type Duration time.Duration

// D is the duration for the standard library.
func (d Duration) D() time.Duration { return time.Duration(d) }

// MarshalJSON writes "1.5s".
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads "1.5s".
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("duration must be a string like \"1.5s\": %w", err)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("duration %q: write it like \"1.5s\"", s)
	}
	*d = Duration(v)
	return nil
}

// Sum is the plan's SHA-256 in hexadecimal, over its JSON with SHA256 empty.
// encoding/json sorts map keys, so equal plans have equal sums;
// workflowcheck cannot see that.
//
//workflowcheck:ignore
func (p Plan) Sum() (string, error) {
	p.SHA256 = ""
	b, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("marshal plan: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// Check says why a plan that came from outside cannot be run, or nil.
func (p Plan) Check() error {
	if p.Interpreter != Interpreter {
		return fmt.Errorf("plan %s %s needs interpreter %d; this worker has %d", p.Flow, p.Version, p.Interpreter, Interpreter)
	}
	sum, err := p.Sum()
	if err != nil {
		return err
	}
	if sum != p.SHA256 {
		return fmt.Errorf("plan %s %s: plan_sha256 is %q but its content sums to %q", p.Flow, p.Version, p.SHA256, sum)
	}
	if _, ok := p.Steps[p.Start]; !ok {
		return fmt.Errorf("plan %s %s: start step %q does not exist", p.Flow, p.Version, p.Start)
	}
	return nil
}
