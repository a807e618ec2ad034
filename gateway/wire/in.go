package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Message is what a kiosk said. Seq is its number when it changes the
// conversation, else 0.
type Message struct {
	Seq  int64
	Body Body
}

// Next, as a Message's Seq, stands for the number behind the session's last one.
const Next = -1

// Unnumbered is what a kiosk said that cannot number its messages: each gets the
// next number as it comes.
func Unnumbered(b Body) Message {
	if b.numbered() {
		return Message{Seq: Next, Body: b}
	}
	return Message{Body: b}
}

// Body is one of the types below.
type Body interface{ numbered() bool }

// ClientReady tells that a customer is here.
type ClientReady struct {
	Version  string          `json:"version"`
	About    json.RawMessage `json:"about,omitempty"` // of the client; anything
	Language string          `json:"language,omitempty"`
}

// SendText is what a customer typed.
type SendText struct {
	Content string          `json:"content"`
	Options json.RawMessage `json:"options,omitempty"` // RTVI's; without effect
}

// UIEvent is a touched button.
type UIEvent struct {
	Value string `json:"value"`
}

// DisconnectBot ends the conversation.
type DisconnectBot struct{}

// SpeechStart and SpeechEnd come from a kiosk with its own voice activity
// detection.
type (
	SpeechStart struct{}
	SpeechEnd   struct{}
)

// Interrupt hushes the kiosk.
type Interrupt struct{}

// Played is how far a response has been played.
type Played struct {
	Response int   `json:"response"`
	Ms       int64 `json:"ms"`
	Done     bool  `json:"done,omitempty"` // it has run dry after its last frame, or was cleared
}

// Resume asks for the session that an earlier connection had.
type Resume struct {
	Token  string  `json:"token"`
	Played *Played `json:"played,omitempty"`
}

// VAD says who detects speech: "gateway" or "kiosk".
type VAD struct {
	Mode string `json:"mode"`
}

func (ClientReady) numbered() bool   { return true }
func (SendText) numbered() bool      { return true }
func (UIEvent) numbered() bool       { return true }
func (DisconnectBot) numbered() bool { return true }
func (SpeechStart) numbered() bool   { return true }
func (SpeechEnd) numbered() bool     { return true }
func (Interrupt) numbered() bool     { return true }
func (Played) numbered() bool        { return false }
func (Resume) numbered() bool        { return false }
func (VAD) numbered() bool           { return false }

// Decode reads a kiosk's text frame. The error is a *FieldError.
func Decode(b []byte) (Message, error) {
	if len(b) > MaxText {
		return Message{}, wrong("", "the message has %d bytes; send at most %d", len(b), MaxText)
	}
	if !utf8.Valid(b) {
		return Message{}, wrong("", "the message is not UTF-8")
	}
	var env struct {
		Label string          `json:"label"`
		Type  string          `json:"type"`
		ID    *string         `json:"id"`
		Data  json.RawMessage `json:"data"`
	}
	if err := strict(b, &env, ""); err != nil {
		return Message{}, err
	}
	if env.Label != Label {
		return Message{}, wrong("label", "must be %q, not %q", Label, clip(env.Label))
	}
	body, err := DecodeBody(env.Type, env.Data)
	if err != nil {
		return Message{}, err
	}
	if !body.numbered() {
		return Message{Body: body}, nil
	}
	if env.ID == nil {
		return Message{}, wrong("id", "is missing; number the messages that change the conversation: \"1\", \"2\", …")
	}
	seq, err := strconv.ParseInt(*env.ID, 10, 64)
	if err != nil || seq < 1 || strconv.FormatInt(seq, 10) != *env.ID {
		return Message{}, wrong("id", "%q is not a number; send a string like \"7\", greater than the one before", clip(*env.ID))
	}
	return Message{Seq: seq, Body: body}, nil
}

// DecodeBody reads the data of a message of a type. The error is a *FieldError.
func DecodeBody(kind string, data json.RawMessage) (Body, error) {
	switch kind {
	case "client-ready":
		var m ClientReady
		if err := strict(data, &m, "data"); err != nil {
			return nil, err
		}
		if m.Version == "" || len(m.Version) > 32 {
			return nil, wrong("data.version", "must be the RTVI version, like %q", Version)
		}
		if len(m.Language) > 35 { // the longest tag of RFC 5646, section 4.4.1
			return nil, wrong("data.language", "must be a BCP 47 tag, like \"de\"")
		}
		return m, nil
	case "send-text":
		var m SendText
		if err := strict(data, &m, "data"); err != nil {
			return nil, err
		}
		if n := utf8.RuneCountInString(m.Content); n > MaxContent {
			return nil, wrong("data.content", "has %d characters; send at most %d", n, MaxContent)
		}
		if strings.TrimSpace(m.Content) == "" {
			return nil, wrong("data.content", "is empty; send what the customer typed")
		}
		return m, nil
	case "ui-event":
		var m UIEvent
		if err := strict(data, &m, "data"); err != nil {
			return nil, err
		}
		if m.Value == "" || utf8.RuneCountInString(m.Value) > MaxTouch {
			return nil, wrong("data.value", "must be the value of a button that was offered, 1 to %d characters", MaxTouch)
		}
		return m, nil
	case "disconnect-bot":
		return DisconnectBot{}, nil
	case "client-message":
		return decodeClientMessage(data)
	case "":
		return nil, wrong("type", "is missing")
	}
	return nil, wrong("type", "%q is not known; send client-ready, send-text, ui-event, disconnect-bot or client-message", clip(kind))
}

func decodeClientMessage(data json.RawMessage) (Body, error) {
	var m struct {
		T string          `json:"t"`
		D json.RawMessage `json:"d"`
	}
	if err := strict(data, &m, "data"); err != nil {
		return nil, err
	}
	switch m.T {
	case "speech-start":
		return SpeechStart{}, nil
	case "speech-end":
		return SpeechEnd{}, nil
	case "interrupt":
		return Interrupt{}, nil
	case "played":
		var p Played
		if err := strict(m.D, &p, "data.d"); err != nil {
			return nil, err
		}
		return p, p.check("data.d")
	case "resume":
		var r Resume
		if err := strict(m.D, &r, "data.d"); err != nil {
			return nil, err
		}
		if r.Token == "" || len(r.Token) > MaxToken {
			return nil, wrong("data.d.token", "must be the resume_token of the last bot-ready")
		}
		if r.Played != nil {
			return r, r.Played.check("data.d.played")
		}
		return r, nil
	case "vad":
		var v VAD
		if err := strict(m.D, &v, "data.d"); err != nil {
			return nil, err
		}
		if v.Mode != "gateway" && v.Mode != "kiosk" {
			return nil, wrong("data.d.mode", "must be \"gateway\" or \"kiosk\", not %q", clip(v.Mode))
		}
		return v, nil
	case "":
		return nil, wrong("data.t", "is missing")
	}
	return nil, wrong("data.t", "%q is not known; send speech-start, speech-end, interrupt, played, resume or vad", clip(m.T))
}

func (p Played) check(at string) error {
	if p.Response < 1 || p.Response > 65535 {
		return wrong(at+".response", "must be the number of a response, 1 to 65535, not %d", p.Response)
	}
	if p.Ms < 0 || p.Ms > 24*60*60*1000 {
		return wrong(at+".ms", "must be the played milliseconds of the response, not %d", p.Ms)
	}
	return nil
}

// strict decodes one JSON object and nothing else: no unknown fields, nothing
// behind it. The path of the object leads the field in the error.
func strict(b []byte, into any, at string) error {
	if t := bytes.TrimLeft(b, " \t\r\n"); len(t) == 0 || t[0] != '{' {
		return wrong(at, "must be a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return wrong(at, "there is more behind the object; send one message a frame")
		}
		return nil
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return wrong(join(at, e.Field), "must be %s, not %s", named(e.Type.Kind().String()), e.Value)
	}
	// encoding/json has no type for this error.
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name, _ = strconv.Unquote(name)
		return wrong(join(at, clip(name)), "is not a field of this message; leave it out")
	}
	return wrong(at, "is not JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
}

func named(kind string) string {
	switch kind {
	case "int", "int64":
		return "a whole number"
	case "bool":
		return "true or false"
	case "string", "ptr":
		return "a string"
	}
	return "an object"
}

func join(at, field string) string {
	if at == "" || field == "" {
		return at + field
	}
	return at + "." + field
}

// clip keeps what a kiosk sent short enough to be sent back.
func clip(s string) string {
	if len(s) <= 40 {
		return s
	}
	return strings.ToValidUTF8(s[:40], "") + "…"
}
