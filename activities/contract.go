// Package activities is the contract between a conversation and the work it
// asks for: names, task queues, inputs and outputs, time limits and errors. The
// work itself is in the packages below it, one for each pool. It imports nothing
// else of ours, and its types only ever gain fields.
package activities

import (
	"encoding/json"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
)

// A Pool is a kind of work that shares one task queue per store, and in a
// cluster one Deployment and one kind of GPU.
type Pool string

// The pools.
const (
	PoolConversation Pool = "conversation" // workflows; no GPU
	PoolSTT          Pool = "stt"
	PoolRetrieval    Pool = "retrieval"
	PoolLLM          Pool = "llm"
	PoolTTS          Pool = "tts"
	PoolAvatar       Pool = "avatar"
	PoolAction       Pool = "action" // the store's own services; no GPU
)

// Pools lists every pool.
var Pools = []Pool{PoolConversation, PoolSTT, PoolRetrieval, PoolLLM, PoolTTS, PoolAvatar, PoolAction}

// Queue is the task queue of a store's pool, "<store>/<pool>".
func Queue(store string, pool Pool) string { return store + "/" + string(pool) }

// The activities' names, as an operator sees them.
const (
	Transcribe = "Transcribe"
	Retrieve   = "Retrieve"
	Generate   = "Generate"
	Speak      = "Speak"
	Perform    = "Perform"
	Understand = "Understand"
	Call       = "Call"
	// RetrieveHere is Retrieve by the conversation's own worker, as a local activity.
	RetrieveHere = "RetrieveHere"
)

// Place says where the kiosk of a conversation can be reached on the media plane.
type Place struct {
	Store        string `json:"store"`
	Kiosk        string `json:"kiosk"`
	Conversation string `json:"conversation"` // the workflow's first run id
	Gateway      string `json:"gateway"`      // host:port of the media plane
	Session      string `json:"session"`      // the kiosk's session at that gateway
	// Stay is the session's stay there: a gateway that was restarted knows nothing
	// of the one before.
	Stay string `json:"stay,omitempty"`
}

// TranscribeInput names the utterance whose audio is pulled from the gateway
// while it is spoken.
type TranscribeInput struct {
	Place     Place    `json:"place"`
	Utterance int      `json:"utterance"`
	Language  string   `json:"language"`           // BCP 47
	Expected  []string `json:"expected,omitempty"` // phrases that the step waits for; a hint
	// Since is an earlier utterance that this one goes on with: the transcript
	// covers both. 0: none.
	Since int `json:"since,omitempty"`
	// Endpointing is the Listening's under which it is said: with "model" the
	// gateway is told, at a pause, how likely it is that the turn is complete.
	Endpointing string `json:"endpointing,omitempty"`
}

// TranscribeResult is what was said.
type TranscribeResult struct {
	Utterance  int     `json:"utterance"`
	Text       string  `json:"text"`       // empty when NoSpeech
	Confidence float64 `json:"confidence"` // 0..1, from the segments' log probabilities
	AudioMs    int64   `json:"audio_ms"`
	NoSpeech   bool    `json:"no_speech,omitempty"` // a noise, or taken back by the gateway
	Model      string  `json:"model"`
	// Open: the customer has paused and may go on; what is done with it is a guess
	// until the turn is committed.
	Open bool `json:"open,omitempty"`
	// Ignored says why the gateway did not take it for something said to the kiosk:
	// noise, backchannel, few_words or echo. Empty: it counts.
	Ignored string `json:"ignored,omitempty"`
	// Joins is the utterance before it, when nothing of its answer had been heard:
	// both want one answer. 0: none.
	Joins int `json:"joins,omitempty"`
}

// RetrieveInput is one search in a knowledge collection.
type RetrieveInput struct {
	Store    string            `json:"store"`
	Index    string            `json:"index"`
	Query    string            `json:"query"`
	Filter   map[string]string `json:"filter,omitempty"` // field → exact value
	TopK     int               `json:"top_k"`
	MinScore float64           `json:"min_score,omitempty"`
}

// A Passage is a piece of a document that a search found.
type Passage struct {
	ID     string            `json:"id"`
	Source string            `json:"source"` // the document's path or address
	Title  string            `json:"title"`
	Text   string            `json:"text"`
	Score  float64           `json:"score"` // 0..1, comparable within one collection
	Fields map[string]string `json:"fields,omitempty"`
}

// RetrieveResult holds the passages, best first.
type RetrieveResult struct {
	Passages []Passage `json:"passages"`
}

// A Said is one line of the conversation so far, as the model may know it.
type Said struct {
	By   string `json:"by"` // "customer" or "kiosk"
	Text string `json:"text"`
}

// GenerateInput asks for one answer.
type GenerateInput struct {
	Place      Place     `json:"place"`
	Response   int       `json:"response"`
	Step       string    `json:"step"`
	System     string    `json:"system"` // the rendered template
	Question   string    `json:"question"`
	Passages   []Passage `json:"passages,omitempty"`
	History    []Said    `json:"history,omitempty"`
	Language   string    `json:"language"`
	MaxTokens  int       `json:"max_tokens,omitempty"`
	Grounded   bool      `json:"grounded,omitempty"`    // only what the passages say
	Stream     bool      `json:"stream,omitempty"`      // write deltas to the gateway for Speak
	FirstToken int64     `json:"first_token,omitempty"` // ms; 0: the policy's
	// After is the utterance that this answers as a guess; see SpeakInput.After.
	After int `json:"after,omitempty"`
	// Begun is what an earlier Generate of the same answer has written: the model
	// goes on behind it.
	Begun string `json:"begun,omitempty"`
	// Schema is the JSON Schema of the answer, which is then one JSON value; of an
	// answer that is not streamed.
	Schema json.RawMessage `json:"schema,omitempty"`
}

// GenerateResult is the whole answer.
type GenerateResult struct {
	Text         string `json:"text"`
	Value        any    `json:"value,omitempty"` // the answer to a Schema, which it fulfils
	Model        string `json:"model"`
	FirstTokenMs int64  `json:"first_token_ms"`
	Ms           int64  `json:"ms"`
	// Unfinished: it was cut, or the conversation took it back; Text is what there is
	// of it.
	Unfinished bool `json:"unfinished,omitempty"`
}

// UnderstandInput asks the language model what an utterance means where the
// step's own grammar does not know: one call for slots and intents together. Its
// answer is held to a JSON Schema made of these.
type UnderstandInput struct {
	Place     Place         `json:"place"`
	Step      string        `json:"step"`
	Language  string        `json:"language"`
	Now       time.Time     `json:"now"`       // at the store, for "tomorrow"
	Prompt    string        `json:"prompt"`    // what the kiosk asked
	Utterance string        `json:"utterance"` // what the customer answered
	History   []Said        `json:"history,omitempty"`
	Slots     []SlotMeaning `json:"slots"`   // the slot that is asked for first, then those that may be told too
	Intents   []Meaning     `json:"intents"` // and flows to digress into: what else the customer may want
}

// A SlotMeaning describes a slot to the language model.
type SlotMeaning struct {
	Name   string   `json:"name"`
	About  string   `json:"about,omitempty"`
	Type   string   `json:"type"`             // flow.Type
	Values []string `json:"values,omitempty"` // what it can be, where that is known
	// Correct: not asked for now; only taken when the customer takes it back.
	Correct bool `json:"correct,omitempty"`
}

// A Meaning is something that a customer may want.
type Meaning struct {
	Name    string   `json:"name"`
	About   string   `json:"about,omitempty"`
	Phrases []string `json:"phrases,omitempty"` // examples, in the language
}

// UnderstandResult is what the model made of it: an intent, or values, or
// nothing. The values are as the model wrote them and still have to pass the
// slots' own rules.
type UnderstandResult struct {
	Intent string         `json:"intent,omitempty"` // a Meaning's name
	Values map[string]any `json:"values,omitempty"` // slot → value
	Model  string         `json:"model"`
	Ms     int64          `json:"ms"`
}

// CallInput runs one action of the catalogue.
type CallInput struct {
	Store        string         `json:"store"`
	Kiosk        string         `json:"kiosk"`
	Conversation string         `json:"conversation"`
	Step         string         `json:"step"`
	Action       string         `json:"action"` // "shop.hold_item"
	Args         map[string]any `json:"args"`
	Key          string         `json:"key"` // the idempotency key
	Language     string         `json:"language"`
}

// CallResult is what the action answered, which fulfils its schema.
type CallResult struct {
	Value  any   `json:"value,omitempty"`
	Status int   `json:"status"` // HTTP
	Ms     int64 `json:"ms"`
}

// A Screen is shown to a customer beside what is said, all its texts filled in.
type Screen struct {
	Title   string   `json:"title,omitempty"`
	Text    string   `json:"text,omitempty"`
	Picture string   `json:"picture,omitempty"` // a file of the store: "media/a4.jpg"
	Map     string   `json:"map,omitempty"`     // an SVG file of the store
	Mark    string   `json:"mark,omitempty"`    // id of the element of Map to light up
	Alt     string   `json:"alt,omitempty"`
	Buttons []Button `json:"buttons,omitempty"`
}

// A Button is a touch button that a kiosk shows while it listens.
type Button struct {
	Value string `json:"value"` // what the kiosk sends back
	Label string `json:"label"` // what the customer reads
}

// Gestures are those that every avatar knows.
var Gestures = []string{"wave", "nod", "shake", "point", "shrug", "think", "smile"}

// Listening is what follows a response, so that the gateway can start to listen
// the moment the last word is out, without waiting for the workflow.
type Listening struct {
	Buttons        []Button `json:"buttons,omitempty"`
	EndSilenceMs   int64    `json:"end_silence_ms"` // that ends a turn; of learned and model endpointing, the shortest
	MaxUtteranceMs int64    `json:"max_utterance_ms"`
	Endpointing    string   `json:"endpointing,omitempty"`    // fixed (also when empty), learned or model
	MaxSilenceMs   int64    `json:"max_silence_ms,omitempty"` // the longest, of learned and model
	PauseMs        int64    `json:"pause_ms,omitempty"`       // the silence after which the answer is guessed at; 0: never
}

// SpeakInput speaks one response. Text is what to say; when it is empty the
// text is read from the gateway's session, where Generate writes it.
type SpeakInput struct {
	Place     Place      `json:"place"`
	Response  int        `json:"response"`
	Step      string     `json:"step"`
	Text      string     `json:"text,omitempty"`
	Language  string     `json:"language"`
	BargeIn   string     `json:"barge_in"`            // "speech", "hotword" (speech is heard, and the conversation decides) or "none"
	MinWords  int        `json:"min_words,omitempty"` // of barge-in by speech
	Gesture   string     `json:"gesture,omitempty"`   // of the avatar, as it begins
	Screen    *Screen    `json:"screen,omitempty"`    // shown as it begins
	Listening *Listening `json:"listening,omitempty"` // set when the kiosk listens next
	// After is the utterance that this answers as a guess: nothing of it is heard
	// before the gateway has committed that, and it is cut when the customer goes on
	// instead. 0: it is no guess.
	After int `json:"after,omitempty"`
	// Cover is spoken first when the text has no sentence yet after CoverAfter, be
	// it that the model is slow or that no worker is free to ask it.
	Cover string `json:"cover,omitempty"`
	// Heard says how much of the response was heard before; nil: nothing was.
	Heard *Heard `json:"heard,omitempty"`
}

// Made is how far a response's audio has come.
type Made struct {
	// Segments are the lengths in ms of the first segments.
	Segments []int64 `json:"segments,omitempty"`
	// Covered: the first of them are the cover.
	Covered bool `json:"covered,omitempty"`
}

// Heard is how much of a response was played in an earlier stay, so that it goes
// on where it was. Segments that were played whole are not made again.
type Heard struct {
	Made
	PlayedMs int64 `json:"played_ms"`
	// Whole: nothing of it is left to be said. The gateway is told how to listen and
	// what to show.
	Whole bool `json:"whole,omitempty"`
}

// SpeakResult is the record of what was said.
type SpeakResult struct {
	Response     int    `json:"response"`
	Text         string `json:"text"`  // all that was spoken or about to be
	Heard        string `json:"heard"` // the words up to the played position
	PlayedMs     int64  `json:"played_ms"`
	TotalMs      int64  `json:"total_ms"` // of the audio made
	Interrupted  bool   `json:"interrupted,omitempty"`
	FirstAudioMs int64  `json:"first_audio_ms"` // activity start to first audio at the gateway
	Voice        string `json:"voice"`
	// Made is set of a response that the conversation took back.
	Made *Made `json:"made,omitempty"`
}

// PerformInput moves a kiosk's avatar for as long as its session lasts: it
// follows every response from Response on.
type PerformInput struct {
	Place    Place `json:"place"`
	Response int   `json:"response"` // the first to perform
}

// PerformResult counts what was sent.
type PerformResult struct {
	Responses int `json:"responses"`
	Visemes   int `json:"visemes"`
	Gestures  int `json:"gestures"`
}

// A Policy is a pool's time limits and retries.
type Policy struct {
	Attempt   time.Duration // one attempt, start to close
	Queue     time.Duration // waiting for a free slot
	Heartbeat time.Duration // without a sign of life
	Attempts  int32         // at most
	Total     time.Duration // of all attempts; 0: their number bounds it
	Backoff   time.Duration // before the second attempt; doubles
}

// Policies is the one table of timeouts, heartbeats and retries. A step's `run`
// may shorten Attempt and lower or raise Attempts, nothing else.
//
// Speak lasts as long as its audio plays and Perform as long as the kiosk's
// session, so their attempts are long and their heartbeats are what notices a
// dead worker: they beat once a second, and who is silent for two is dead, which
// leaves the next attempt one of the three seconds within which a conversation goes
// on. Seven attempts are made within 6.3 s when each fails at once, which
// is the time in which a server that was killed comes back; one that lets each of
// them wait is bounded by Patience. Without a voice nothing can be said, not even
// an apology: Speak waits longer than others for a free slot, while the kiosk's
// screen says so. Call's attempts are bounded by the
// catalogue, 5 s where it does not say and 60 s at most. A zero bounds nothing.
var Policies = map[Pool]Policy{
	PoolSTT:       {Attempt: 40 * time.Second, Queue: 5 * time.Second, Heartbeat: 2 * time.Second, Attempts: 7, Backoff: 100 * time.Millisecond},
	PoolRetrieval: {Attempt: 3 * time.Second, Queue: 3 * time.Second, Heartbeat: 0, Attempts: 7, Total: Patience, Backoff: 100 * time.Millisecond},
	PoolLLM:       {Attempt: 30 * time.Second, Queue: 5 * time.Second, Heartbeat: 2 * time.Second, Attempts: 7, Backoff: 100 * time.Millisecond},
	PoolTTS:       {Attempt: 3 * time.Minute, Queue: 15 * time.Second, Heartbeat: 2 * time.Second, Attempts: 7, Backoff: 100 * time.Millisecond},
	PoolAvatar:    {Attempt: 3 * time.Hour, Queue: 0, Heartbeat: 10 * time.Second, Attempts: 0, Backoff: 100 * time.Millisecond},
	PoolAction:    {Attempt: 65 * time.Second, Queue: 5 * time.Second, Heartbeat: 3 * time.Second, Attempts: 3, Backoff: 200 * time.Millisecond},
}

// Patience is how long a customer waits for an answer. What has not begun to come
// by then is not tried again.
const Patience = 10 * time.Second

// CoverAfter is how long a customer is left in silence before a step's cover
// phrase is spoken.
const CoverAfter = 700 * time.Millisecond

// FirstToken is how long a model may think before its first token when the step
// does not say.
const FirstToken = 10 * time.Second

// Kinds of failure, the error types that a flow's `catch` can name.
const (
	KindUngrounded = "ungrounded" // the passages do not answer the question
	KindRefused    = "refused"    // the model declined
	KindTimeout    = "timeout"    // a time limit ran out
	KindInvalid    = "invalid"    // our request was wrong; a second attempt would be too
	KindAway       = "away"       // the server cannot be reached, or says that it is busy
	KindUnable     = "unable"     // there is no model that could do it
	KindGone       = "gone"       // the kiosk's session is not at this gateway
	KindElsewhere  = "elsewhere"  // a search that this conversation's worker leaves to the pool; no flow sees it
)

// Permanent is an error that another attempt would only repeat.
func Permanent(kind string, err error) error {
	return temporal.NewNonRetryableApplicationError(err.Error(), kind, nil)
}

// Retryable is an error that another attempt may not meet.
func Retryable(kind string, err error) error {
	return temporal.NewApplicationError(err.Error(), kind)
}

// Classify sorts an HTTP answer of a model server: 408, 425, 429 and 5xx may be
// better next time, everything else will not.
func Classify(server string, status int, detail string) error {
	err := fmt.Errorf("%s answered %d: %s", server, status, detail)
	if status == 408 || status == 425 || status == 429 || status >= 500 {
		return Retryable(KindAway, err)
	}
	return Permanent(KindInvalid, err)
}
