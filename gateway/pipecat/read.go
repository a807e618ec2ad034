package pipecat

import (
	"encoding/json"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/praesenz/parley/gateway/wire"
)

// A Reader reads what one client sends.
type Reader struct {
	Language string // BCP 47, the page's choice; empty: none

	change  resampler
	samples []int16
	pcm     []byte
}

// Received is one frame: sound, or a message.
type Received struct {
	Sound   bool
	PCM     []byte // of wire.RateIn; valid until the next Read
	Message wire.Message
}

// Read reads a frame. The error is a *wire.FieldError; Received.Sound tells what
// it is about all the same.
func (r *Reader) Read(b []byte) (Received, error) {
	var f Frame
	if err := proto.Unmarshal(b, &f); err != nil {
		return Received{}, wrong("", "the frame is not a protobuf Frame; a JSON client offers the subprotocol %s", wire.Subprotocol)
	}
	switch k := f.Frame.(type) {
	case *Frame_Audio:
		pcm, err := r.hear(k.Audio)
		return Received{Sound: true, PCM: pcm}, err
	case *Frame_Message:
		m, err := r.message(k.Message.Data)
		return Received{Message: m}, err
	}
	return Received{}, wrong("frame", "holds neither audio nor a message")
}

// hear gives a frame's audio at wire.RateIn.
func (r *Reader) hear(a *Audio) ([]byte, error) {
	switch {
	case a.NumChannels != 1:
		return nil, wrong("audio.num_channels", "must be 1, not %d", a.NumChannels)
	case !slices.Contains(rates, a.SampleRate):
		return nil, wrong("audio.sample_rate", "must be one of %v, not %d", rates, a.SampleRate)
	case len(a.Audio) == 0:
		return nil, wrong("audio.audio", "the frame holds no samples; send 20 to 40 ms of PCM16")
	case len(a.Audio)%2 != 0:
		return nil, wrong("audio.audio", "half a sample: PCM16 has two bytes a sample, this frame has %d", len(a.Audio))
	}
	if a.SampleRate == wire.RateIn {
		return a.Audio, nil
	}
	if int(a.SampleRate) != r.change.from {
		r.change = resampler{from: int(a.SampleRate), to: wire.RateIn}
	}
	r.samples = r.change.add(r.samples[:0], appendPCM(nil, a.Audio))
	r.pcm = appendSamples(r.pcm[:0], r.samples)
	return r.pcm, nil
}

// message reads an RTVI message. Unlike our own client's, its fields that are not
// known are let go, because a later version of the stock client may add some.
func (r *Reader) message(data string) (wire.Message, error) {
	if len(data) > wire.MaxText {
		return wire.Message{}, wrong("", "the message has %d bytes; send at most %d", len(data), wire.MaxText)
	}
	var env struct {
		Label string          `json:"label"`
		Type  string          `json:"type"`
		Data  json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal([]byte(data), &env); err != nil {
		return wire.Message{}, wrong("message.data", "is not an RTVI message: %v", err)
	}
	if env.Label != wire.Label {
		return wire.Message{}, wrong("label", "must be %q", wire.Label)
	}
	known, err := r.known(env.Type, env.Data)
	if err != nil {
		return wire.Message{}, err
	}
	body, err := wire.DecodeBody(env.Type, known)
	if err != nil {
		return wire.Message{}, err
	}
	return wire.Unnumbered(body), nil
}

// known gives of a message's data what wire knows, in wire's words.
func (r *Reader) known(kind string, data json.RawMessage) (json.RawMessage, error) {
	pick := func(from, to any) (json.RawMessage, error) {
		if err := json.Unmarshal(data, from); err != nil {
			return nil, wrong("data", "is not what belongs into %s: %v", kind, err)
		}
		return json.Marshal(to)
	}
	switch kind {
	case "client-ready":
		var d struct {
			Version  string          `json:"version"`
			About    json.RawMessage `json:"about,omitempty"`
			Language string          `json:"language,omitempty"`
		}
		d.Language = r.Language
		return pick(&d, &d)
	case "send-text":
		var d struct {
			Content string          `json:"content"`
			Options json.RawMessage `json:"options,omitempty"`
		}
		return pick(&d, &d)
	case "ui-event":
		var d struct {
			Event   string       `json:"event"`
			Payload wire.UIEvent `json:"payload"`
		}
		touched, err := pick(&d, &d.Payload)
		if err == nil && d.Event != "touch" {
			err = wrong("data.event", "must be touch, with the button's {value} as its payload")
		}
		return touched, err
	}
	return data, nil
}

func wrong(field, format string, args ...any) *wire.FieldError {
	return &wire.FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}
}
