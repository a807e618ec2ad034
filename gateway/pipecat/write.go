package pipecat

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/praesenz/parley/gateway/wire"
)

// A Writer writes what one client is told.
type Writer struct {
	conversation int        // counts them: each numbers its responses from 1
	said         *botOutput // the sentence that is being heard

	change  resampler // from the rate of the response that is heard
	samples []int16
	pcm     []byte
}

// botOutput is RTVI 2's caption: once when a sentence is announced, once when it
// begins to be heard, once when all of it was heard.
type botOutput struct {
	Text         string    `json:"text"`
	AggregatedBy string    `json:"aggregated_by"`
	SegmentID    int       `json:"segment_id"` // of the connection
	WillBeSpoken bool      `json:"will_be_spoken"`
	SpokenStatus string    `json:"spoken_status"` // new, in-progress or completed
	Progress     *progress `json:"spoken_progress,omitempty"`
}

type progress struct {
	Accumulated string `json:"accumulated_text"`
	Remaining   string `json:"remaining_text"`
}

func (w *Writer) caption(text string, response, segment int, status string) botOutput {
	return botOutput{
		Text: text, AggregatedBy: "sentence", SegmentID: w.conversation<<32 | response<<16 | segment,
		WillBeSpoken: true, SpokenStatus: status,
	}
}

// Message gives the frames that tell a client a message. What RTVI 2 has no word
// for is a server-message, as in our own protocol.
func (w *Writer) Message(m wire.Out) [][]byte {
	switch m := m.(type) {
	case wire.BotReady:
		m.Version = Version
		return [][]byte{frame(wire.Encode(m))}
	case wire.Error:
		return [][]byte{rtvi("error", struct {
			Error   string `json:"error"`
			Message string `json:"message"` // as versions before 2 call it
			Field   string `json:"field,omitempty"`
			Fatal   bool   `json:"fatal"`
		}{said(m), said(m), m.Field, m.Fatal})}
	case wire.BotOutput:
		return [][]byte{rtvi("bot-output", w.caption(m.Text, m.Response, m.Segment, "new"))}
	case wire.BotTTSText:
		frames := w.heard()
		c := w.caption(m.Text, m.Response, m.Segment, "in-progress")
		c.Progress = &progress{Remaining: m.Text}
		w.said = &c
		return append(frames, rtvi("bot-output", c), frame(wire.Encode(m)))
	case wire.Clear, wire.BotInterrupted:
		w.said = nil // not all of it was heard
		return [][]byte{frame(wire.Encode(m))}
	case wire.BotStoppedSpeaking:
		return append(w.heard(), frame(wire.Encode(m)))
	case wire.AudioStart:
		w.change = resampler{from: m.Rate, to: RateOut}
		return [][]byte{rtvi("bot-tts-started", nil)}
	case wire.AudioEnd:
		return [][]byte{rtvi("bot-tts-stopped", nil)}
	case wire.Ended:
		w.conversation++
	}
	return [][]byte{frame(wire.Encode(m))}
}

// heard tells that all of the last sentence was heard.
func (w *Writer) heard() [][]byte {
	if w.said == nil {
		return nil
	}
	c := *w.said
	w.said = nil
	c.SpokenStatus = "completed"
	c.Progress = &progress{Accumulated: c.Text}
	return [][]byte{rtvi("bot-output", c)}
}

// Audio appends a frame of a response's audio to dst, at RateOut. It appends
// nothing where there is nothing to hear yet.
func (w *Writer) Audio(dst []byte, a wire.Audio) []byte {
	w.samples = w.change.add(w.samples[:0], appendPCM(nil, a.PCM))
	if a.Last {
		w.samples = w.change.flush(w.samples)
		w.samples = append(w.samples, make([]int16, quantum)...) // push the last sound out
	}
	if len(w.samples) == 0 {
		return dst
	}
	w.pcm = appendSamples(w.pcm[:0], w.samples)
	return marshal(dst, &Frame{Frame: &Frame_Audio{Audio: &Audio{Audio: w.pcm, SampleRate: RateOut, NumChannels: 1}}})
}

// said is an error with its field, because RTVI's has none.
func said(e wire.Error) string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// rtvi is a frame with a message that our own protocol does not have in this form.
func rtvi(kind string, data any) []byte {
	b, err := json.Marshal(struct {
		Label string `json:"label"`
		Type  string `json:"type"`
		Data  any    `json:"data,omitempty"`
	}{wire.Label, kind, data})
	if err != nil {
		panic(fmt.Sprintf("encode %s: %v", kind, err)) // our own types hold nothing that JSON cannot
	}
	return frame(b)
}

func frame(message []byte) []byte {
	return marshal(nil, &Frame{Frame: &Frame_Message{Message: &Message{Data: string(message)}}})
}

func marshal(dst []byte, f *Frame) []byte {
	b, err := proto.MarshalOptions{}.MarshalAppend(dst, f)
	if err != nil {
		panic(fmt.Sprintf("encode frame: %v", err)) // only text that is not UTF-8 could do this, and json.Marshal writes none
	}
	return b
}
