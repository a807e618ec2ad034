package wire

import (
	"encoding/json"
	"fmt"
)

// Out is a message to a kiosk, one of the types below.
type Out interface {
	// name is RTVI's type, and for a server-message its t.
	name() (kind, t string)
}

// BotReady is the first message of every connection, and comes again when a
// session was resumed.
type BotReady struct {
	Version string `json:"version"`
	About   About  `json:"about"`
}

// About tells a kiosk who and where it is.
type About struct {
	Store       string            `json:"store"`
	Kiosk       string            `json:"kiosk"`
	Session     string            `json:"session"`
	ResumeToken string            `json:"resume_token"`
	Name        string            `json:"name"`
	Languages   []string          `json:"languages"`
	AudioIn     AudioIn           `json:"audio_in"`
	Brand       map[string]string `json:"brand,omitempty"` // of the store, for the page
}

// AudioIn says what audio a kiosk is to send.
type AudioIn struct {
	Rate int `json:"rate"` // Hz
}

// What RTVI tells without data.
type (
	UserStartedSpeaking struct{}
	UserStoppedSpeaking struct{}
	BotLLMStarted       struct{}
	BotLLMStopped       struct{}
	BotStartedSpeaking  struct{}
	BotStoppedSpeaking  struct{}
)

// UserTranscription is what was understood.
type UserTranscription struct {
	Text       string  `json:"text"`
	Final      bool    `json:"final"`
	Timestamp  string  `json:"timestamp"` // RFC 3339
	UserID     string  `json:"user_id"`   // the kiosk
	Confidence float64 `json:"confidence,omitempty"`
}

// BotLLMText is the model's text as it comes.
type BotLLMText struct {
	Text string `json:"text"`
}

// BotOutput is a sentence that will be heard at AtMs of its response.
type BotOutput struct {
	Text         string `json:"text"`
	Response     int    `json:"response"`
	Segment      int    `json:"segment"`
	AtMs         int64  `json:"at_ms"`
	Spoken       bool   `json:"spoken"`
	AggregatedBy string `json:"aggregated_by"` // "sentence"
}

// BotTTSText is a sentence that begins to be heard.
type BotTTSText struct {
	Text     string `json:"text"`
	Response int    `json:"response"`
	Segment  int    `json:"segment"`
}

// BotInterrupted tells that a response was cut.
type BotInterrupted struct {
	Response int   `json:"response"`
	PlayedMs int64 `json:"played_ms"`
}

// Error tells what was wrong with a message, and what to send instead.
type Error struct {
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
	Fatal   bool   `json:"fatal"`
}

// Ack tells that all numbers up to Seq are durable.
type Ack struct {
	Seq int64 `json:"seq"`
}

// AudioStart comes before the first frame of a response.
type AudioStart struct {
	Response int `json:"response"`
	Rate     int `json:"rate"` // Hz
}

// AudioEnd tells the length of a response whose audio is complete.
type AudioEnd struct {
	Response int   `json:"response"`
	Ms       int64 `json:"ms"`
}

// Clear throws away what is not yet played.
type Clear struct {
	Response int `json:"response"`
}

// Cues are mouth shapes and gestures on a response's own clock.
type Cues struct {
	Response int   `json:"response"`
	Cues     []Cue `json:"cues"`
}

// A Cue has a Viseme and its Weight, or a Gesture.
type Cue struct {
	At      int64   `json:"at"` // ms from the response's first sample
	Viseme  string  `json:"viseme,omitempty"`
	Weight  float64 `json:"weight,omitempty"` // 0..1
	Gesture string  `json:"gesture,omitempty"`
}

// Screen is all that is to be seen beside the avatar; an empty one takes it away.
type Screen struct {
	Title   string   `json:"title,omitempty"`
	Text    string   `json:"text,omitempty"`
	Picture string   `json:"picture,omitempty"` // address, relative to the one that v1/kiosk is relative to
	Map     string   `json:"map,omitempty"`     // the same, of an SVG
	Mark    string   `json:"mark,omitempty"`    // id of the element of Map to light up
	Alt     string   `json:"alt,omitempty"`     // what Picture or Map shows
	Buttons []Button `json:"buttons"`
}

// A Button is a touch button.
type Button struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

// State is what the kiosk should show.
type State struct {
	State    string `json:"state"` // idle, listening, thinking or speaking
	Language string `json:"language,omitempty"`
}

// Ended tells that the conversation is over.
type Ended struct {
	Outcome string `json:"outcome"`
}

// Away tells, in the customer's language, that the service cannot be reached.
type Away struct {
	Message string `json:"message"`
}

// Back tells that the service can be reached again.
type Back struct{}

// Move asks the kiosk to connect again: this gateway is draining.
type Move struct{}

func (BotReady) name() (string, string)            { return "bot-ready", "" }
func (UserStartedSpeaking) name() (string, string) { return "user-started-speaking", "" }
func (UserStoppedSpeaking) name() (string, string) { return "user-stopped-speaking", "" }
func (UserTranscription) name() (string, string)   { return "user-transcription", "" }
func (BotLLMStarted) name() (string, string)       { return "bot-llm-started", "" }
func (BotLLMText) name() (string, string)          { return "bot-llm-text", "" }
func (BotLLMStopped) name() (string, string)       { return "bot-llm-stopped", "" }
func (BotStartedSpeaking) name() (string, string)  { return "bot-started-speaking", "" }
func (BotStoppedSpeaking) name() (string, string)  { return "bot-stopped-speaking", "" }
func (BotOutput) name() (string, string)           { return "bot-output", "" }
func (BotTTSText) name() (string, string)          { return "bot-tts-text", "" }
func (BotInterrupted) name() (string, string)      { return "bot-interrupted", "" }
func (Error) name() (string, string)               { return "error", "" }
func (Ack) name() (string, string)                 { return "server-message", "ack" }
func (AudioStart) name() (string, string)          { return "server-message", "audio" }
func (AudioEnd) name() (string, string)            { return "server-message", "end" }
func (Clear) name() (string, string)               { return "server-message", "clear" }
func (Cues) name() (string, string)                { return "server-message", "cues" }
func (Screen) name() (string, string)              { return "server-message", "screen" }
func (State) name() (string, string)               { return "server-message", "state" }
func (Ended) name() (string, string)               { return "server-message", "ended" }
func (Away) name() (string, string)                { return "server-message", "away" }
func (Back) name() (string, string)                { return "server-message", "back" }
func (Move) name() (string, string)                { return "server-message", "move" }

type envelope struct {
	Label string `json:"label"`
	Type  string `json:"type"`
	Data  any    `json:"data,omitempty"`
}

type serverMessage struct {
	T string `json:"t"`
	D any    `json:"d,omitempty"`
}

// Encode writes a message as a text frame.
func Encode(m Out) []byte {
	kind, t := m.name()
	e := envelope{Label: Label, Type: kind, Data: m}
	if t != "" {
		e.Data = serverMessage{T: t, D: m}
	}
	b, err := json.Marshal(e)
	if err != nil {
		// Only a NaN or an infinite number in our own types could do this.
		panic(fmt.Sprintf("encode %s %s: %v", kind, t, err))
	}
	return b
}
