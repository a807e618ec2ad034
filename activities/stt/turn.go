package stt

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/modelserver"
	"github.com/praesenz/parley/activities/session"
	"github.com/praesenz/parley/media"
)

// ByModel is the TranscribeInput.Endpointing that asks the turn-completion model.
const ByModel = "model"

const (
	// turnHeard is how much of a turn's end the model hears: Smart Turn's window.
	turnHeard      = 8 * time.Second
	turnHeardBytes = int(turnHeard/time.Millisecond) * bytesPerMs
	// tellTimeout is how long the gateway may take to hear of it, or of a
	// transcript.
	tellTimeout = time.Second
)

// A tail is the last of an utterance's audio.
type tail struct{ pcm []byte }

func (t *tail) add(pcm []byte) {
	t.pcm = append(t.pcm, pcm...)
	// It may grow to twice the window, so that little is moved often.
	if len(t.pcm) > 2*turnHeardBytes {
		t.pcm = append(t.pcm[:0], t.last()...)
	}
}

// last is whole samples.
func (t *tail) last() []byte {
	from := max(0, len(t.pcm)-turnHeardBytes)
	return t.pcm[from+from%2:]
}

// askTurn asks the model, if there is one and the kiosk listens by it, whether
// the customer who has paused has said all, and tells the gateway, whose
// decision waits for it. The transcript does not: this goes on by itself, at
// most until TurnTimeout and tellTimeout have passed, and Close waits for it.
// Without an answer nothing is known, and the gateway has a rule for that.
func (t *Transcriber) askTurn(ctx context.Context, in activities.TranscribeInput, pcm []byte) {
	ctx = context.WithoutCancel(ctx) // Transcribe may be done before
	t.asking.Go(func() {
		probability, err := t.turnComplete(ctx, pcm)
		if err == nil {
			err = t.tellTurn(ctx, in, probability)
		}
		if err != nil {
			t.log.Warn("turn not judged", "store", in.Place.Store, "kiosk", in.Place.Kiosk, "conversation", in.Place.Conversation, "error", err)
		}
	})
}

// turnComplete is how likely it is, 0..1, that a turn is complete, by the HTTP
// interface of Pipecat's HttpSmartTurnAnalyzer: an array of samples as numpy.save
// writes it, answered by {"prediction": 1, "probability": 0.97}.
func (t *Transcriber) turnComplete(ctx context.Context, pcm []byte) (float64, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.config.TurnTimeout, fmt.Errorf("%s gave no answer within %s", t.turns, t.config.TurnTimeout))
	defer cancel()
	res, err := t.turns.Post(ctx, "", "application/octet-stream", bytes.NewReader(numpy(pcm)))
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return 0, modelserver.Broken(ctx, t.turns.String(), err)
	}
	var answer struct {
		Probability *float64 `json:"probability"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return 0, fmt.Errorf("%s answered no JSON: %w; stt.turn_url must be a server of Smart Turn", t.turns, err)
	}
	p := answer.Probability
	if p == nil || !(*p >= 0 && *p <= 1) {
		return 0, fmt.Errorf("%s answered no probability of 0 to 1: %.200s; stt.turn_url must be a server of Smart Turn", t.turns, b)
	}
	return *p, nil
}

func (t *Transcriber) tellTurn(ctx context.Context, in activities.TranscribeInput, probability float64) error {
	gateway, release, err := session.Join(t.media, in.Place)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithTimeoutCause(ctx, tellTimeout, errors.New("the gateway did not hear of the turn within 1s"))
	defer cancel()
	_, err = gateway.Transcribed(ctx, &media.Transcript{
		Place: session.Place(in.Place), Utterance: uint32(in.Utterance), Complete: &probability,
	})
	return session.Err(ctx, "tell of the turn", err)
}

// numpy is PCM16 as numpy.save writes an array of float32 from -1 to 1: the NPY
// format's version 1.0, whose header is filled with blanks up to a multiple of 64
// bytes.
func numpy(pcm []byte) []byte {
	samples := len(pcm) / 2
	header := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d,), }", samples)
	const preamble = len("\x93NUMPY\x01\x00") + 2 // and the header's length
	header += strings.Repeat(" ", 63-(preamble+len(header))%64) + "\n"

	b := make([]byte, 0, preamble+len(header)+4*samples)
	b = append(b, "\x93NUMPY\x01\x00"...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(header)))
	b = append(b, header...)
	for i := range samples {
		s := float32(int16(binary.LittleEndian.Uint16(pcm[2*i:]))) / 32768
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(s))
	}
	return b
}
