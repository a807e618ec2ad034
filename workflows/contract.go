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

// Names of the signal and the query.
const (
	KioskSignal = "kiosk"
	StatusQuery = "status"
)

// A Visit is the Conversation's input. The plan travels in it.
type Visit struct {
	Store  string         `json:"store"`
	Kiosk  string         `json:"kiosk"`
	Plan   flow.Plan      `json:"plan"`
	Inputs map[string]any `json:"inputs,omitempty"`
	State  *State         `json:"state,omitempty"` // set when a long conversation continues as new
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
	// Seq is the kiosk's own number of this message within its session, which
	// makes a message that is sent again harmless; 0 for what the gateway itself
	// noticed.
	Seq       int64     `json:"seq,omitempty"`
	At        time.Time `json:"at"`
	Utterance int       `json:"utterance,omitempty"`
	Response  int       `json:"response,omitempty"`
	PlayedMs  int64     `json:"played_ms,omitempty"`
	Text      string    `json:"text,omitempty"`
	Language  string    `json:"language,omitempty"` // of Joined: the page's choice, BCP 47
	Reason    string    `json:"reason,omitempty"`   // of Left
}

// Status answers StatusQuery.
type Status struct {
	Flow       string           `json:"flow"`
	Version    string           `json:"version"`
	Step       string           `json:"step"`
	Language   string           `json:"language"`
	Turns      int              `json:"turns"`
	Listening  bool             `json:"listening"`
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
}
