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
const Interpreter = 1

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
}

// Languages says in which languages a flow can be held, as BCP 47 tags.
type Languages struct {
	Default   string   `json:"default"`
	Supported []string `json:"supported"`
	// Slot names the enum slot whose value is the conversation's language. Empty:
	// the language is Default from the first word to the last.
	Slot string `json:"slot,omitempty"`
}

// A Type is what a slot, variable or input holds: "text", "string", "bool",
// "int", "number", "enum", "passage", or "list(T)" of one of these.
type Type string

// A Slot is something that a customer tells.
type Slot struct {
	Type     Type                           `json:"type"`
	Values   []string                       `json:"values,omitempty"`   // of an enum
	Synonyms map[string]map[string][]string `json:"synonyms,omitempty"` // language → value → ways to say it
	Initial  any                            `json:"initial,omitempty"`  // its value before anybody has answered; no answer
	AskAnew  bool                           `json:"ask_anew,omitempty"` // collect forgets the old answer
	MaxLen   int                            `json:"max_len,omitempty"`  // in characters; 0: 1,000
	Valid    string                         `json:"valid,omitempty"`    // CEL over `value`
	// Sensitive values are masked in operators' views and never reach an LLM.
	Sensitive bool `json:"sensitive,omitempty"`
}

// Listen says how long a listening step waits and what ends an utterance.
type Listen struct {
	StartTimeout Duration `json:"start_timeout"` // silence before no_input
	EndSilence   Duration `json:"end_silence"`   // the pause that ends an utterance
	MaxUtterance Duration `json:"max_utterance"`
}

// BargeIn says how a customer may interrupt what is being said.
type BargeIn struct {
	Mode     string `json:"mode"`                // "speech" or "none"
	MinWords int    `json:"min_words,omitempty"` // of "speech"
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

// An Intent is heard at every listening step before no_match: an utterance that
// is one of its phrases (case, punctuation and fillers aside).
type Intent struct {
	Name    string              `json:"name"`
	Phrases map[string][]string `json:"phrases"`          // by language
	To      string              `json:"to,omitempty"`     // a step
	Replay  bool                `json:"replay,omitempty"` // says the last prompt again and goes on listening
}

// A Step does one thing. Exactly one of the verbs is set.
type Step struct {
	Line int    `json:"line"` // in the source, for operators
	Note string `json:"note,omitempty"`
	Next string `json:"next,omitempty"` // empty for branch and end

	Say      *Say      `json:"say,omitempty"`
	Collect  *Collect  `json:"collect,omitempty"`
	Retrieve *Retrieve `json:"retrieve,omitempty"`
	Generate *Generate `json:"generate,omitempty"`
	Set      []Assign  `json:"set,omitempty"`
	Branch   []Case    `json:"branch,omitempty"`
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
	case s.Set != nil:
		return "set"
	case s.Branch != nil:
		return "branch"
	case s.End != nil:
		return "end"
	}
	return ""
}

// Run bounds a step that asks a server; zero fields mean the pool's own policy.
type Run struct {
	Timeout    Duration `json:"timeout,omitzero"`     // all attempts together
	Attempts   int      `json:"attempts,omitempty"`   // at most
	FirstToken Duration `json:"first_token,omitzero"` // of generate
	Cover      string   `json:"cover,omitempty"`      // prompt spoken when the step takes longer than 700 ms
}

// With holds the CEL expressions whose values fill a prompt's placeholders.
type With map[string]string

// Say speaks a prompt.
type Say struct {
	Prompt string `json:"prompt"`
	With   With   `json:"with,omitempty"`
	Avatar string `json:"avatar,omitempty"` // a gesture: wave, nod, point, shrug, think
}

// Collect asks until its slot has a valid value.
type Collect struct {
	Slot    string  `json:"slot"`
	Prompt  string  `json:"prompt"`
	With    With    `json:"with,omitempty"`
	Avatar  string  `json:"avatar,omitempty"`
	Buttons bool    `json:"buttons,omitempty"` // shows the values of an enum or bool as touch buttons
	Listen  Listen  `json:"listen"`            // complete: defaults are filled in
	NoInput *Ladder `json:"no_input,omitempty"`
	NoMatch *Ladder `json:"no_match,omitempty"`
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
	Template   string `json:"template"` // prompt key
	With       With   `json:"with,omitempty"`
	Question   string `json:"question,omitempty"` // CEL: what the customer asked; empty: the last utterance
	Into       string `json:"into,omitempty"`     // a var of type string
	Speak      string `json:"speak"`              // stream, whole or none
	GroundedIn string `json:"grounded_in,omitempty"`
	MaxTokens  int    `json:"max_tokens,omitempty"`
	Avatar     string `json:"avatar,omitempty"`
}

// Assign sets one slot or var, in the author's order.
type Assign struct {
	Name string `json:"name"` // "slots.x" or "vars.x"
	Expr string `json:"expr"` // CEL
}

// Case is one arm of a branch; When is empty for `else`, which is the last.
type Case struct {
	When string `json:"when,omitempty"` // CEL, bool
	To   string `json:"to"`
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
