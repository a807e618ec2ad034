// Package workflows holds the deterministic code: the Conversation and nothing
// that touches the world. What others need to start, signal and read a
// conversation is in this file.
package workflows

import (
	"time"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
)

// ConversationType is the workflow's name.
const ConversationType = "Conversation"

// ConversationID is the workflow id of whatever a kiosk is talking about; a
// kiosk has at most one conversation.
func ConversationID(store, kiosk string) string { return "kiosk/" + store + "/" + kiosk }

// Names of the signals, the query and the update.
const (
	KioskSignal   = "kiosk"   // a Signal, from a gateway
	EventSignal   = "event"   // an Event, from another system
	StatusQuery   = "status"  // answers a Status
	HandoffUpdate = "handoff" // takes a HandoffAnswer, from staff; refused when nobody is waiting
)

// An Event tells a conversation of something outside it, for which a `wait` may
// be waiting. One that comes before its wait is kept, the last of each name.
type Event struct {
	Name string `json:"name"`
	Data any    `json:"data,omitempty"`
}

// Types of the error with which HandoffUpdate is refused.
const (
	HandoffAnswered = "handoff_answered" // somebody has answered this one
	HandoffOver     = "handoff_over"     // it timed out, or the customer left, or there never was one of this id
)

// A HandoffAnswer is what staff say to a call for them.
type HandoffAnswer struct {
	ID     string `json:"id"` // of the Handoff that is answered
	Accept bool   `json:"accept"`
	By     string `json:"by"` // who answers
}

// A Handoff is a call for staff that nobody has answered yet.
type Handoff struct {
	ID      string    `json:"id"` // unique within the conversation
	Team    string    `json:"team"`
	Step    string    `json:"step"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
	Summary string    `json:"summary,omitempty"` // of the conversation, for staff; without sensitive words
}

// A Visit is the Conversation's input. The plan travels in it.
type Visit struct {
	Store    string         `json:"store"`
	Kiosk    string         `json:"kiosk"`
	Plan     flow.Plan      `json:"plan"`
	Inputs   map[string]any `json:"inputs,omitempty"`
	State    *State         `json:"state,omitempty"`     // set when a long conversation continues as new
	TimeZone string         `json:"time_zone,omitempty"` // the store's, IANA; default UTC
	// ContinueAfter is the length of a history, in events, after which the
	// conversation continues as new; 0: when Temporal suggests it.
	ContinueAfter int `json:"continue_after,omitempty"`
}

// Kind says what a signal tells.
type Kind string

// What a gateway tells a conversation.
const (
	Joined        Kind = "joined"         // the kiosk is there, or there again at another address
	Left          Kind = "left"           // the customer ended it, or the kiosk is gone for good
	SpeechStarted Kind = "speech_started" // Utterance began; its audio can be pulled
	Typed         Kind = "typed"          // Text
	Touched       Kind = "touched"        // Text is the value of the button
	Interrupted   Kind = "interrupted"    // Response was cut at PlayedMs
	Committed     Kind = "committed"      // the customer has said all of Utterance
)

// KioskGone is the Reason of a Left that the gateway itself tells: the kiosk was
// away for longer than its session is kept.
const KioskGone = "kiosk gone"

// A Signal is the one envelope in which everything reaches a conversation, so
// that what happened first is heard first.
type Signal struct {
	Kind    Kind   `json:"kind"`
	Gateway string `json:"gateway"` // media plane of the gateway that sent it
	Session string `json:"session"`
	Stay    string `json:"stay,omitempty"` // the session's stay at that gateway; see activities.Place
	// Seq is the kiosk's own number of this message within its session, which
	// makes a message that is sent again harmless; 0 for what the gateway itself
	// noticed.
	Seq       int64     `json:"seq,omitempty"`
	At        time.Time `json:"at"`
	Utterance int       `json:"utterance,omitempty"`
	// Continues, of SpeechStarted: the utterance that was not committed yet and
	// that the customer goes on with. What was guessed from it is void.
	Continues int `json:"continues,omitempty"`
	// Response and PlayedMs say how much of a response was heard. Of Joined: what
	// the kiosk had played of the last one when it lost its gateway. Of
	// SpeechStarted: the response that it was said over.
	Response int    `json:"response,omitempty"`
	PlayedMs int64  `json:"played_ms,omitempty"`
	Text     string `json:"text,omitempty"`
	Language string `json:"language,omitempty"` // of Joined: the page's choice, BCP 47
	Reason   string `json:"reason,omitempty"`   // of Left
}

// Status answers StatusQuery.
type Status struct {
	Flow       string           `json:"flow"`
	Version    string           `json:"version"`
	Step       string           `json:"step"`
	Language   string           `json:"language"`
	Turns      int              `json:"turns"`
	Listening  bool             `json:"listening"`
	Within     []string         `json:"within,omitempty"`  // flows that wait for the one at Step, outermost first
	Handoff    *Handoff         `json:"handoff,omitempty"` // staff is being called
	Vars       map[string]any   `json:"vars"`
	Taken      map[string]int   `json:"taken"` // how often each way was taken; see Way
	Place      activities.Place `json:"place"`
	Slots      map[string]any   `json:"slots"`
	Transcript []Line           `json:"transcript"`
}

// Line is one line of the transcript.
type Line struct {
	By         string  `json:"by"` // "customer" or "kiosk"
	Step       string  `json:"step"`
	Text       string  `json:"text"`
	Confidence float64 `json:"confidence,omitempty"` // of a spoken customer line
	How        string  `json:"how,omitempty"`        // spoken, typed or touched; of a customer's line
	Cut        bool    `json:"cut,omitempty"`        // of a kiosk's line: the customer interrupted, Text is what was heard
	Sensitive  bool    `json:"sensitive,omitempty"`  // an answer to a sensitive slot: masked in views, kept from models
}

// Summary is the Conversation's result.
type Summary struct {
	Outcome    string `json:"outcome"`
	Turns      int    `json:"turns"`
	Language   string `json:"language"`
	Transcript []Line `json:"transcript"`
	// Taken counts the ways that the conversation took; see Way.
	Taken map[string]int `json:"taken,omitempty"`
}

// Way names a way out of a step, as Taken counts it: "flow/step>next>other",
// "flow/step>case 2>other", "flow/step>timeout>other" (caught, or an outcome of
// run_flow), "flow/step>no_input>other", "flow/step>no_match>other",
// "flow/step>intent cancel>other". An `end` has the way "flow/step>end>".
func Way(flow, step, how, to string) string { return flow + "/" + step + ">" + how + ">" + to }
