package workflows

import (
	"fmt"
	"maps"
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
	Committed  int              `json:"committed"`   // the last utterance of this session that is surely over
	Played     Played           `json:"played"`      // by the kiosk, when it joined last

	Course

	Responses int              `json:"responses"` // the last response's number
	Cut       int              `json:"cut"`       // the last response of which the gateway said that it was cut
	Inbox     []*Input         `json:"inbox,omitempty"`
	Events    map[string]Event `json:"events,omitempty"`   // that no `wait` has taken yet, by name
	Handoffs  int              `json:"handoffs,omitempty"` // how often staff was called
	Answered  string           `json:"answered,omitempty"` // the Handoff that staff answered last
	Works     int              `json:"works"`              // how many activities there were
	// Unable: the store's model has said that it cannot tell what customers mean;
	// it is not asked again.
	Unable bool `json:"unable,omitempty"`
	// Elsewhere: the conversation's worker does not search; the pool does.
	Elsewhere bool      `json:"elsewhere,omitempty"`
	Started   time.Time `json:"started"`
	Outcome   string    `json:"outcome,omitempty"`
}

// A Course is the part of a State that an answer changes, and that is taken back
// with an answer to half a sentence; see point. Everything else only ever grows.
type Course struct {
	// Stack holds the flows under way: the conversation's own first, the one that
	// has the floor last. Each of the others waits for the one after it.
	Stack  []*Frame       `json:"stack"`
	Frames int            `json:"frames"`          // how many there were
	Taken  map[string]int `json:"taken,omitempty"` // how often each way was taken; see Way

	// What belongs to the whole conversation, whichever flow has the floor.
	Language   string `json:"language"`
	Turns      int    `json:"turns"`
	Utterance  string `json:"utterance"` // what the customer said last
	LastPrompt string `json:"last_prompt"`
	Transcript []Line `json:"transcript"`
}

// copy gives a Course that shares nothing with this one that is ever changed in
// place: values of slots and vars are only replaced, lines of the transcript only
// added.
func (c Course) copy() Course {
	c.Stack = slices.Clone(c.Stack)
	for i, f := range c.Stack {
		own := *f
		own.Visits, own.Slots = maps.Clone(f.Visits), maps.Clone(f.Slots)
		own.Answered, own.Vars = maps.Clone(f.Answered), maps.Clone(f.Vars)
		c.Stack[i] = &own
	}
	c.Taken, c.Transcript = maps.Clone(c.Taken), slices.Clip(c.Transcript)
	return c
}

// Played is how much of a response a kiosk had played when it lost its gateway.
type Played struct {
	Response int   `json:"response"`
	Ms       int64 `json:"ms"`
}

// A Frame is one flow under way: the conversation's own, one that `run_flow` runs
// or one that the customer digressed into.
type Frame struct {
	ID       int             `json:"id"`             // unique within the conversation, from 1
	Flow     string          `json:"flow,omitempty"` // a key of the plan's Flows; empty: the conversation's own
	Inputs   map[string]any  `json:"inputs,omitempty"`
	Step     string          `json:"step"`
	Visits   map[string]int  `json:"visits"`
	Slots    map[string]any  `json:"slots"`
	Answered map[string]bool `json:"answered"` // slots that the customer has filled, or that a step has set
	Vars     map[string]any  `json:"vars"`
	// Digression: the flow below it was interrupted for this one, and resumes when
	// it is over.
	Digression bool `json:"digression,omitempty"`
	// Resume says how this flow, which a digression has interrupted, goes on.
	Resume *Resume `json:"resume,omitempty"`
}

// Resume is how a flow goes on after a digression.
type Resume struct {
	Intent string `json:"intent"`         // that digressed
	Say    string `json:"say,omitempty"`  // prompt key
	Then   string `json:"then,omitempty"` // a step; empty: the step that was interrupted, without counting as another visit
	// Outer says how much further out the flow is that has the intent, and with it
	// the prompt.
	Outer int `json:"outer,omitempty"`
}

// An Input is something that the customer said, typed or touched and that no
// step has dealt with yet.
type Input struct {
	How        string  `json:"how"`                  // Spoken, ByText or ByTouch
	Text       string  `json:"text"`                 // of what is Pending: what is known of it already
	Confidence float64 `json:"confidence,omitempty"` // of what was spoken; 0: not known
	Pending    bool    `json:"pending,omitempty"`    // it is still being spoken or transcribed
	Failed     bool    `json:"failed,omitempty"`     // it could not be transcribed

	// Of what was spoken.
	Place     activities.Place `json:"place,omitzero"` // where its audio is
	Utterance int              `json:"utterance,omitempty"`
	Since     int              `json:"since,omitempty"` // the first utterance of which it is the continuation; 0: of none
	Over      int              `json:"over,omitempty"`  // the response that it was said over; 0: none
	Open      bool             `json:"open,omitempty"`  // the customer may go on; see State.Committed
	// Before was said before Utterance and Since and wants the same answer; it is
	// part of Text.
	Before     string  `json:"before,omitempty"`
	BeforeSure float64 `json:"before_sure,omitempty"` // its confidence

	stop workflow.CancelFunc // ends its Transcribe
}

// How an input came.
const (
	Spoken  = "spoken"
	ByText  = "typed"
	ByTouch = "touched"
)

// maxInbox bounds what a customer can say ahead of the steps that listen; what
// comes beyond it is dropped, and logged.
const maxInbox = 20

// conversation is a State at work.
type conversation struct {
	State
	root    flow.Plan
	scripts map[string]*script // of the flows that were under way so far
	visit   Visit              // without its State and Plan
	zone    *time.Location     // the store's

	hush         workflow.CancelFunc // cancels the step under way
	left         string              // why the customer is gone, or ""
	listening    bool
	asked        *utterance // that the customer is answering, or has answered last
	options      []string   // of the collect under way
	transcribing int        // utterances without a transcript
	guard        *guard     // of the response that only a hotword cuts
	point        *point     // where to go back to when the customer goes on; nil: what was answered stays
	latest       *Input     // the utterance that began last, unless a step has taken it
	back         *point     // where the conversation is about to go back to
	reopened     *question
	calling      *Handoff // staff is being called
	staff        *HandoffAnswer
	published    published // what the search attributes say
}

// A script is a flow that can be interpreted.
type script struct {
	*flow.Program
	plan flow.Plan
}

// begin takes up a visit: at its start, or where the run before this one left off.
func begin(ctx workflow.Context, v Visit) (*conversation, error) {
	if err := v.Plan.Check(); err != nil {
		return nil, err
	}
	for _, name := range workflow.DeterministicKeys(v.Plan.Flows) {
		if p := v.Plan.Flows[name]; p.Interpreter != flow.Interpreter {
			return nil, fmt.Errorf("flow %s in plan %s %s needs interpreter %d; this worker has %d", name, v.Plan.Flow, v.Plan.Version, p.Interpreter, flow.Interpreter)
		}
	}
	zone, err := zoneOf(v.TimeZone)
	if err != nil {
		return nil, err
	}
	c := &conversation{root: v.Plan, scripts: map[string]*script{}, visit: v, zone: zone, hush: func() {}}
	c.visit.State, c.visit.Plan = nil, flow.Plan{}
	if v.State != nil {
		c.State = *v.State
		for _, f := range c.Stack {
			if err := c.read(f.Flow); err != nil {
				return nil, err
			}
		}
		return c, nil
	}
	c.State = State{
		Place: activities.Place{
			Store: v.Store, Kiosk: v.Kiosk,
			Conversation: workflow.GetInfo(ctx).FirstRunID,
		},
		Course:  Course{Taken: map[string]int{}, Language: v.Plan.Languages.Default},
		Started: workflow.Now(ctx),
	}
	if err := c.push("", v.Inputs); err != nil {
		return nil, err
	}
	c.followLanguage()
	return c, nil
}

// zoneOf reads a time zone from the worker's tables. What is understood with it
// is recorded, so another worker's tables change nothing in a replay.
//
//workflowcheck:ignore
func zoneOf(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %q of the store is not known; write one like \"Europe/Berlin\": %w", name, err)
	}
	return zone, nil
}

// next is the input with which the next run goes on.
func (c *conversation) next() Visit {
	v, state := c.visit, c.State
	v.Plan, v.State = c.root, &state
	return v
}

// scope is what expressions and prompts of the flow under way can see.
func (c *conversation) scope() flow.Scope {
	f := c.frame()
	return flow.Scope{
		Inputs: f.Inputs, Slots: f.Slots, Vars: f.Vars,
		Ctx: map[string]any{"turns": c.Turns, "language": c.Language, "utterance": c.Utterance},
	}
}

// preferLanguage takes the page's choice of a language, unless the customer has
// already told us theirs.
func (c *conversation) preferLanguage(tag string) {
	f, plan := c.frame(), c.plan()
	slot := plan.Languages.Slot
	if slot == "" || f.Answered[slot] || !slices.Contains(plan.Languages.Supported, tag) {
		return
	}
	f.Slots[slot] = tag
	c.followLanguage()
}

// followLanguage makes the language slot's value the conversation's language.
func (c *conversation) followLanguage() {
	languages := c.plan().Languages
	if tag, ok := c.frame().Slots[languages.Slot].(string); ok && slices.Contains(languages.Supported, tag) {
		c.Language = tag
	}
}

// keepLanguage makes the conversation's language the flow's, when another flow
// has given it the floor.
func (c *conversation) keepLanguage() {
	languages := c.plan().Languages
	if !slices.Contains(languages.Supported, c.Language) {
		c.Language = languages.Default
	}
	if languages.Slot != "" {
		c.frame().Slots[languages.Slot] = c.Language
	}
}

// history is the last of the conversation as a model may know it: what the
// customer heard, not what was meant to be said, and nothing sensitive.
func (c *conversation) history(lines int) []activities.Said {
	from := max(0, len(c.Transcript)-lines)
	var said []activities.Said
	for _, line := range c.Transcript[from:] {
		if line.Text != "" && !line.Sensitive {
			said = append(said, activities.Said{By: line.By, Text: line.Text})
		}
	}
	return said
}

// historyLines is how much of the conversation a model is told for its next
// answer: a kiosk's talk is short, and older lines only cost first-token time.
const historyLines = 12
