package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
)

// State is all that a conversation knows and would not want to lose: it travels
// whole into the next run when a long conversation continues as new.
type State struct {
	Place      activities.Place `json:"place"`
	Seen       int64            `json:"seen"`        // the last of the kiosk's numbers in this session
	Joined     int              `json:"joined"`      // how often the kiosk came, or came back
	SeenSpeech int              `json:"seen_speech"` // the last utterance's number in this session
	Utterances int              `json:"utterances"`  // how many there were, in all sessions
	Step       string           `json:"step"`
	Visits     map[string]int   `json:"visits"`
	Slots      map[string]any   `json:"slots"`
	Answered   map[string]bool  `json:"answered"` // slots that the customer has filled
	Vars       map[string]any   `json:"vars"`
	Language   string           `json:"language"`
	Turns      int              `json:"turns"`
	Responses  int              `json:"responses"` // the last response's number
	Cut        int              `json:"cut"`       // the last response of which the gateway said that it was cut
	Utterance  string           `json:"utterance"` // what the customer said last
	LastPrompt string           `json:"last_prompt"`
	Transcript []Line           `json:"transcript"`
	Inbox      []*Input         `json:"inbox,omitempty"`
	Started    time.Time        `json:"started"`
	Outcome    string           `json:"outcome,omitempty"`
}

// An Input is something that the customer said, typed or touched and that no
// step has dealt with yet.
type Input struct {
	How        string  `json:"how"` // Spoken, ByText or ByTouch
	Text       string  `json:"text"`
	Confidence float64 `json:"confidence,omitempty"`
	Utterance  int     `json:"utterance,omitempty"`
	Pending    bool    `json:"pending,omitempty"` // it is still being spoken or transcribed
	Failed     bool    `json:"failed,omitempty"`  // it could not be transcribed
}

// How an input came.
const (
	Spoken  = "spoken"
	ByText  = "typed"
	ByTouch = "touched"
)

// conversation is a State at work.
type conversation struct {
	State
	plan          flow.Plan
	program       *flow.Program
	inputs        map[string]any
	continueAfter int

	hush         workflow.CancelFunc // cancels the step under way
	left         string              // why the customer is gone, or ""
	listening    bool
	transcribing int               // utterances without a transcript
	performers   []workflow.Future // avatar activities still at work
	published    published         // what the search attributes say
}

// begin takes up a visit: at its start, or where the run before this one left off.
func begin(ctx workflow.Context, v Visit) (*conversation, error) {
	if err := v.Plan.Check(); err != nil {
		return nil, err
	}
	program, err := flow.NewProgram(&v.Plan)
	if err != nil {
		return nil, fmt.Errorf("plan %s %s: %w", v.Plan.Flow, v.Plan.Version, err)
	}
	c := &conversation{
		plan: v.Plan, program: program, inputs: v.Inputs, continueAfter: v.ContinueAfter,
		hush: func() {},
	}
	if v.State != nil {
		c.State = *v.State
		return c, nil
	}
	c.State = State{
		Place: activities.Place{
			Store: v.Store, Kiosk: v.Kiosk,
			Conversation: workflow.GetInfo(ctx).FirstRunID,
		},
		Step:     v.Plan.Start,
		Visits:   map[string]int{},
		Slots:    map[string]any{},
		Answered: map[string]bool{},
		Vars:     map[string]any{},
		Language: v.Plan.Languages.Default,
		Started:  workflow.Now(ctx),
	}
	for _, name := range workflow.DeterministicKeys(v.Plan.Slots) {
		if initial := v.Plan.Slots[name].Initial; initial != nil {
			c.Slots[name] = initial
		}
	}
	c.followLanguage()
	return c, nil
}

// visit is the input with which the next run goes on.
func (c *conversation) visit() Visit {
	state := c.State
	return Visit{
		Store: c.Place.Store, Kiosk: c.Place.Kiosk, Plan: c.plan, Inputs: c.inputs,
		State: &state, ContinueAfter: c.continueAfter,
	}
}

// scope is what expressions and prompts can see.
func (c *conversation) scope() flow.Scope {
	return flow.Scope{
		Inputs: c.inputs, Slots: c.Slots, Vars: c.Vars,
		Ctx: map[string]any{"turns": c.Turns, "language": c.Language, "utterance": c.Utterance},
	}
}

// preferLanguage takes the page's choice of a language, unless the customer has
// already told us theirs.
func (c *conversation) preferLanguage(tag string) {
	slot := c.plan.Languages.Slot
	if slot == "" || c.Answered[slot] || !slices.Contains(c.plan.Languages.Supported, tag) {
		return
	}
	c.Slots[slot] = tag
	c.followLanguage()
}

// followLanguage makes the language slot's value the conversation's language.
func (c *conversation) followLanguage() {
	if tag, ok := c.Slots[c.plan.Languages.Slot].(string); ok && slices.Contains(c.plan.Languages.Supported, tag) {
		c.Language = tag
	}
}

// history is the conversation so far as a model may know it: what the customer
// heard, not what was meant to be said.
func (c *conversation) history() []activities.Said {
	const lines = 12 // a kiosk's talk is short; older lines only cost first-token time
	from := max(0, len(c.Transcript)-lines)
	var said []activities.Said
	for _, line := range c.Transcript[from:] {
		if line.Text != "" && !line.Sensitive {
			said = append(said, activities.Said{By: line.By, Text: line.Text})
		}
	}
	return said
}
