// Package stt is speech-to-text: the Transcribe activity. It pulls an
// utterance's audio from the gateway while it is spoken and passes it on, as it
// comes, to any server with the OpenAI audio API (speaches, or the embedded
// one), so that the answer is ready soon after the last word.
package stt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/modelserver"
	"github.com/praesenz/parley/activities/session"
	"github.com/praesenz/parley/media"
)

// SampleRate of the audio that a gateway gives, in Hz: PCM16 little-endian mono.
const SampleRate = 16000

const bytesPerMs = SampleRate * 2 / 1000

// Defaults of Config.
const (
	DefaultTimeout    = 10 * time.Second
	DefaultNoiseFloor = -55 // dBFS
	// DefaultTurnTimeout is short because a pause is told after 200 ms, and a turn
	// may end after 500: what comes later decides nothing.
	DefaultTurnTimeout = 300 * time.Millisecond
)

// Config says which server hears, and how.
type Config struct {
	BaseURL string        // of the server, without /v1: "http://localhost:8000"
	Key     string        // bearer token; empty: none is sent
	Model   string        // "Systran/faster-whisper-small"
	Timeout time.Duration // for the transcript, after the last sample; 0: 10 s
	HTTP    *http.Client  // the way to the servers; nil: modelserver.NewHTTP
	// NoiseFloor in dBFS: an utterance whose loudest tenth of a second is below
	// it holds no speech and is not transcribed, because Whisper invents words
	// for silence. 0: -55.
	NoiseFloor float64
	// TurnURL is a server of Smart Turn, a model that hears whether a customer who
	// pauses has said all: "http://localhost:8000/raw". Empty: there is none.
	TurnURL     string
	TurnTimeout time.Duration // for its answer; 0: 300 ms
	// OnTranscribed observes the confidence of every transcript with words in it.
	OnTranscribed func(store, kiosk string, confidence float64)
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	var errs []error
	errs = append(errs, modelserver.CheckURL("stt.base_url", c.BaseURL))
	if c.Model == "" {
		errs = append(errs, errors.New("stt.model is empty; write the name that the server's /v1/models lists"))
	}
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("stt.timeout is %s; write a positive duration, or leave it out for %s", c.Timeout, DefaultTimeout))
	}
	if c.TurnTimeout < 0 {
		errs = append(errs, fmt.Errorf("stt.turn_timeout is %s; write a positive duration, or leave it out for %s", c.TurnTimeout, DefaultTurnTimeout))
	}
	if c.NoiseFloor > 0 {
		errs = append(errs, fmt.Errorf("stt.noise_floor is %g; write decibels below full scale, for example %d", c.NoiseFloor, DefaultNoiseFloor))
	}
	if c.TurnURL != "" {
		errs = append(errs, modelserver.CheckURL("stt.turn_url", c.TurnURL))
	}
	return errors.Join(errs...)
}

// A Transcriber runs the Transcribe activity. It is safe for concurrent use.
type Transcriber struct {
	config Config
	media  *media.Client
	server *modelserver.Server
	turns  *modelserver.Server // nil: there is none
	asking sync.WaitGroup      // for requests to it
	log    *slog.Logger
}

// New returns a Transcriber, or every fault of the configuration.
func New(config Config, gateways *media.Client, log *slog.Logger) (*Transcriber, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.Timeout == 0 {
		config.Timeout = DefaultTimeout
	}
	if config.NoiseFloor == 0 {
		config.NoiseFloor = DefaultNoiseFloor
	}
	if config.TurnTimeout == 0 {
		config.TurnTimeout = DefaultTurnTimeout
	}
	t := &Transcriber{config: config, media: gateways, server: modelserver.Over(config.HTTP, config.BaseURL, config.Key), log: log}
	if config.TurnURL != "" {
		t.turns = modelserver.Over(config.HTTP, config.TurnURL, "")
	}
	return t, nil
}

// Close waits, a second or so, for what a transcript did not wait for. No
// Transcribe may begin after it. It never fails.
func (t *Transcriber) Close() error {
	t.asking.Wait()
	return nil
}

// errNothingSaid ends an upload whose audio turned out to hold no speech.
var errNothingSaid = errors.New("the utterance holds no speech")

// Transcribe hears one utterance to its end and says what was said. A noise, or
// an utterance that the gateway takes back, is NoSpeech and no error.
func (t *Transcriber) Transcribe(ctx context.Context, in activities.TranscribeInput) (activities.TranscribeResult, error) {
	defer session.Beat(ctx, nil)(nil)

	result := activities.TranscribeResult{Utterance: in.Utterance, Model: t.config.Model}
	gateway, release, err := session.Join(t.media, in.Place)
	if err != nil {
		return result, err
	}
	defer release()

	hearing, stop := context.WithCancel(ctx)
	defer stop()
	sounds, err := gateway.Hear(hearing, &media.HearRequest{
		Place: session.Place(in.Place), Utterance: uint32(in.Utterance), Since: uint32(in.Since),
	})
	if err != nil {
		return result, session.Err(ctx, "hear the utterance", err)
	}
	heard, err := t.hear(ctx, sounds, in)
	result.AudioMs, result.Open = heard.ms, heard.open
	if ctx.Err() != nil {
		return result, ctx.Err()
	}
	if err != nil && !errors.Is(err, errNothingSaid) {
		return result, err
	}
	result.Text, result.Confidence = heard.transcript.judge()
	result.NoSpeech = result.Text == ""
	if !result.NoSpeech && t.config.OnTranscribed != nil {
		t.config.OnTranscribed(in.Place.Store, in.Place.Kiosk, result.Confidence)
	}
	verdict := t.tell(ctx, gateway, in, result)
	result.Ignored, result.Joins = verdict.GetIgnored(), int(verdict.GetJoins())
	return result, nil
}

// tell tells the gateway what was understood, or that there was nothing to
// understand, and gives its verdict. The conversation goes on without one, so a
// failure is only logged.
func (t *Transcriber) tell(ctx context.Context, gateway media.MediaClient, in activities.TranscribeInput, r activities.TranscribeResult) *media.Verdict {
	ctx, cancel := context.WithTimeoutCause(ctx, tellTimeout, errors.New("the gateway took no transcript within 1s"))
	defer cancel()
	verdict, err := gateway.Transcribed(ctx, &media.Transcript{
		Place:      session.Place(in.Place),
		Utterance:  uint32(in.Utterance),
		Text:       r.Text,
		Confidence: r.Confidence,
		Language:   in.Language,
	})
	if err != nil {
		t.log.Warn("no verdict on a transcript", "store", in.Place.Store, "kiosk", in.Place.Kiosk, "conversation", in.Place.Conversation, "error", err)
	}
	return verdict
}

type heard struct {
	ms         int64
	open       bool // the customer may go on
	transcript transcript
}

// hear passes the sounds on to the server until the utterance ends and returns
// the transcript, or errNothingSaid. The request is opened with the first sound,
// so an utterance that is taken back at once asks nothing.
func (t *Transcriber) hear(ctx context.Context, sounds grpc.ServerStreamingClient[media.Sound], in activities.TranscribeInput) (heard, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	var up *upload
	var loud meter
	var turn tail
	byModel := t.turns != nil && in.Endpointing == ByModel
	var bytes int64
	for {
		sound, err := sounds.Recv()
		if err != nil {
			if up != nil {
				up.abandon(errNothingSaid)
			}
			if errors.Is(err, io.EOF) {
				err = activities.Retryable(activities.KindAway, errors.New("hear the utterance: the gateway ended the stream before the utterance's end"))
			}
			return heard{ms: bytes / bytesPerMs}, session.Err(ctx, "hear the utterance", err)
		}
		if len(sound.GetPcm()) > 0 {
			if up == nil {
				up = t.begin(ctx, in)
			}
			bytes += int64(len(sound.GetPcm()))
			loud.add(sound.GetPcm())
			if byModel {
				turn.add(sound.GetPcm())
			}
			if !up.write(sound.GetPcm()) {
				// The server has answered before the end: it does not want the rest.
				a := up.answer()
				return heard{ms: bytes / bytesPerMs, transcript: a.transcript}, early(a.err)
			}
		}
		if !sound.GetEnd() {
			continue
		}
		h := heard{ms: bytes / bytesPerMs, open: sound.GetOpen()}
		if up == nil {
			return h, errNothingSaid
		}
		if sound.GetDropped() || loud.dBFS() < t.config.NoiseFloor {
			up.abandon(errNothingSaid)
			return h, errNothingSaid
		}
		if byModel && sound.GetOpen() {
			t.askTurn(ctx, in, turn.last())
		}
		slow := time.AfterFunc(t.config.Timeout, func() {
			// The customer has waited long enough; what fails at once is tried again.
			cancel(activities.Permanent(activities.KindTimeout, fmt.Errorf("%s gave no transcript within %s of the last sample", t.server, t.config.Timeout)))
		})
		defer slow.Stop()
		up.finish()
		a := up.answer()
		h.transcript = a.transcript
		return h, a.err
	}
}

// early is the error of a server that answered while audio was still coming. A
// transcript of half an utterance would be wrong, so even success is one.
func early(err error) error {
	if err != nil {
		return err
	}
	return activities.Retryable(activities.KindAway, errors.New("the speech server answered before the utterance's end"))
}
