package tts

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/tmaxmax/go-sse"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/modelserver"
	"github.com/praesenz/parley/media"
)

// Bounds of what a server sends for one segment.
const (
	maxEvent   = 4 << 20  // bytes; speaches sends a sentence in one event
	maxSegment = 16 << 20 // bytes of PCM: 5 minutes at 24 kHz
	maxPiece   = 32 << 10 // bytes of PCM in one message to the gateway
	minAudioMs = 60       // less than this for words is a failure, not speech
)

// speechRequest is the JSON of POST /v1/audio/speech.
type speechRequest struct {
	Model          string  `json:"model"`
	Input          string  `json:"input"`
	Voice          string  `json:"voice"`
	ResponseFormat string  `json:"response_format"`
	StreamFormat   string  `json:"stream_format,omitempty"`
	Speed          float64 `json:"speed"`
}

// speechEvent is any of the events that come back. timing is the embedded
// server's extension; speaches does not send it.
type speechEvent struct {
	Type     string `json:"type"`
	Audio    string `json:"audio"`
	Phonemes []struct {
		Symbol  string `json:"p"`
		StartMs uint32 `json:"start_ms"`
		EndMs   uint32 `json:"end_ms"`
	} `json:"phonemes"`
	Error *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// segment makes the audio of one segment, unless the gateway has it from an
// earlier attempt.
func (r *response) segment(ctx context.Context, s *media.Segment, rate int, from uint32) error {
	if r.text != "" {
		r.text += " "
	}
	r.text += s.GetText()
	if s.GetIndex() < from {
		return nil
	}
	if ms := r.heardMs(s.GetIndex()); ms > 0 {
		return r.skip(ctx, s, ms)
	}
	if err := r.mayMake(ctx, s.GetIndex()); err != nil {
		return err
	}
	o := outlet{response: r, segment: s, rate: rate}
	if input := spoken(r.in.Language, s.GetText()); sounds(input) {
		if err := r.voiceOver(ctx, input, &o); err != nil {
			return err
		}
	} // else mere marks: silence, which no server is asked for
	if err := o.close(ctx); err != nil {
		return err
	}
	r.made.add(s, r.in.Cover, o.ms())
	return nil
}

// heardMs gives the length in ms of a segment that was played whole in an earlier
// stay; 0: it was not, or its length is not known.
func (r *response) heardMs(index uint32) int64 {
	h := r.in.Heard
	if h == nil || int(index) >= len(h.Segments) {
		return 0
	}
	end := int64(0)
	for _, ms := range h.Segments[:index+1] {
		end += ms
	}
	if end > h.PlayedMs+nearly.Milliseconds() {
		return 0
	}
	return h.Segments[index]
}

// nearly is how much of a segment may be left when it counts as played: a kiosk
// tells its position now and then, and rounded.
const nearly = 30 * time.Millisecond

// skip tells the gateway of a segment that was heard before.
func (r *response) skip(ctx context.Context, s *media.Segment, ms int64) error {
	err := r.send(ctx, &media.Audio{Part: &media.Audio_Segment{Segment: &media.Audio_SegmentAudio{
		Index: s.GetIndex(), Text: s.GetText(), HeardMs: uint32(ms),
	}}})
	if err != nil {
		return err
	}
	r.made.add(s, r.in.Cover, ms)
	r.hear(s.GetIndex() + 1)
	return nil
}

// voiceOver has the server speak input into o, as the audio comes.
func (r *response) voiceOver(ctx context.Context, input string, o *outlet) error {
	server, limit := r.speaker.server, r.speaker.config.Timeout
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(limit, func() {
		cancel(activities.Retryable(activities.KindTimeout, fmt.Errorf("%s sent no audio for %s", server, limit)))
	})
	defer late.Stop()

	began := time.Now()
	res, err := r.speaker.ask(ctx, speechRequest{
		Model: r.voice.model, Input: input, Voice: r.voice.name,
		ResponseFormat: "pcm", StreamFormat: "sse", Speed: r.speaker.config.Speed,
	})
	if err != nil {
		return err
	}
	defer res.Body.Close()

	var held time.Duration // by a gateway whose buffer is full; no fault of the server's
	put := func(pcm []byte) error {
		late.Stop()
		defer late.Reset(limit)
		full := time.Now()
		defer func() { held += time.Since(full) }()
		return o.put(ctx, pcm)
	}
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind == "text/event-stream" {
		err = r.speaker.events(ctx, res.Body, o, put)
	} else {
		err = r.speaker.raw(ctx, res.Body, put)
	}
	if err != nil {
		return err
	}
	if o.ms() < minAudioMs {
		return activities.Retryable(activities.KindAway, fmt.Errorf("%s made %d ms of audio for %d characters; does it have the voice %q?", server, o.ms(), len(input), r.voice.name))
	}
	if f := r.speaker.config.OnGenerated; f != nil {
		f(r.in.Place.Store, (time.Since(began) - held).Seconds(), len([]rune(input)))
	}
	return nil
}

func (s *Speaker) ask(ctx context.Context, req speechRequest) (*http.Response, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return nil, activities.Permanent(activities.KindInvalid, fmt.Errorf("write the speech request: %w", err))
	}
	return s.server.Post(ctx, "/v1/audio/speech", "application/json", bytes.NewReader(body))
}

// events reads the audio as server-sent events.
func (s *Speaker) events(ctx context.Context, body io.Reader, o *outlet, put func([]byte) error) error {
	for event, err := range sse.Read(body, &sse.ReadConfig{MaxEventSize: maxEvent}) {
		if err != nil {
			return modelserver.Broken(ctx, s.server.String(), err)
		}
		var e speechEvent
		if err := json.Unmarshal([]byte(event.Data), &e); err != nil {
			return activities.Retryable(activities.KindAway, fmt.Errorf("%s sent an event that is no JSON: %w", s.server, err))
		}
		switch {
		case e.Error != nil:
			return activities.Retryable(activities.KindAway, fmt.Errorf("%s: %s", s.server, e.Error.Message))
		case e.Type == "speech.audio.timing":
			for _, p := range e.Phonemes {
				o.phonemes = append(o.phonemes, &media.Phoneme{Symbol: p.Symbol, StartMs: p.StartMs, EndMs: p.EndMs})
			}
		case e.Type == "speech.audio.delta":
			pcm, err := base64.StdEncoding.DecodeString(e.Audio)
			if err != nil {
				return activities.Retryable(activities.KindAway, fmt.Errorf("%s sent audio that is no base64: %w", s.server, err))
			}
			if err := put(pcm); err != nil {
				return err
			}
		case e.Type == "speech.audio.done":
			return nil
		}
	}
	return modelserver.Broken(ctx, s.server.String(), errors.New("the audio broke off"))
}

// raw reads the audio of a server that has no events, as headerless PCM.
func (s *Speaker) raw(ctx context.Context, body io.Reader, put func([]byte) error) error {
	buf := make([]byte, maxPiece)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if err := put(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return modelserver.Broken(ctx, s.server.String(), err)
		}
	}
}

// An outlet sends one segment's audio to the gateway in whole samples.
type outlet struct {
	response *response
	segment  *media.Segment
	rate     int
	phonemes []*media.Phoneme
	opened   bool
	odd      []byte // half a sample
	bytes    int    // sent
}

// open announces the segment, with the times that are known before its audio.
func (o *outlet) open(ctx context.Context) error {
	if o.opened {
		return nil
	}
	o.opened = true
	return o.response.send(ctx, &media.Audio{Part: &media.Audio_Segment{Segment: &media.Audio_SegmentAudio{
		Index:    o.segment.GetIndex(),
		Text:     o.segment.GetText(),
		Phonemes: o.phonemes,
	}}})
}

func (o *outlet) put(ctx context.Context, pcm []byte) error {
	if err := o.open(ctx); err != nil {
		return err
	}
	pcm = append(o.odd, pcm...)
	whole := len(pcm) &^ 1
	o.odd = append([]byte(nil), pcm[whole:]...)
	if o.bytes += whole; o.bytes > maxSegment {
		return activities.Permanent(activities.KindInvalid, fmt.Errorf("%s made more than %d MiB of audio for one sentence", o.response.speaker.server, maxSegment>>20))
	}
	for at := 0; at < whole; at += maxPiece {
		piece := bytes.Clone(pcm[at:min(at+maxPiece, whole)])
		if err := o.response.send(ctx, &media.Audio{Part: &media.Audio_Pcm{Pcm: piece}}); err != nil {
			return err
		}
		if o.response.firstAudio == 0 {
			o.response.firstAudio = time.Since(o.response.started)
		}
	}
	return nil
}

// close completes the segment.
func (o *outlet) close(ctx context.Context) error {
	if err := o.open(ctx); err != nil {
		return err
	}
	return o.response.send(ctx, &media.Audio{Part: &media.Audio_SegmentEnd{SegmentEnd: true}})
}

// ms is the length of what was sent.
func (o *outlet) ms() int64 { return int64((o.bytes*1000 + o.rate) / (o.rate * 2)) }

// sounds reports whether there is anything to say in a text.
func sounds(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}

// rates holds what is known of the voices' native sample rates. Events and raw
// PCM do not tell it, and asking for another rate makes speaches resample badly.
type rates struct {
	mu    sync.Mutex
	known map[voice]*rate
}

type rate struct {
	asking chan struct{} // holds a token while nobody asks
	hz     atomic.Int64
}

// rate is a voice's native sample rate in Hz, learned once from the header of a
// short WAV. Those who want it meanwhile wait for the one who asks.
func (s *Speaker) rate(ctx context.Context, v voice) (int, error) {
	s.rates.mu.Lock()
	known := s.rates.known[v]
	if known == nil {
		known = &rate{asking: make(chan struct{}, 1)}
		known.asking <- struct{}{}
		s.rates.known[v] = known
	}
	s.rates.mu.Unlock()

	if hz := known.hz.Load(); hz != 0 {
		return int(hz), nil
	}
	select {
	case <-known.asking:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	defer func() { known.asking <- struct{}{} }()
	if hz := known.hz.Load(); hz != 0 {
		return int(hz), nil
	}
	hz, err := s.learnRate(ctx, v)
	if err != nil {
		return 0, err
	}
	known.hz.Store(int64(hz))
	return hz, nil
}

// Warm learns the rates of the voices of some languages, so that the first
// customer does not wait for it and the server loads its models. Its errors are
// those of a first answer, too: a caller logs them and goes on.
func (s *Speaker) Warm(ctx context.Context, languages ...string) error {
	var errs []error
	for _, tag := range languages {
		v, err := s.config.voice(tag)
		if err == nil {
			_, err = s.rate(ctx, v)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("voice for %s: %w", tag, err))
		}
	}
	return errors.Join(errs...)
}

func (s *Speaker) learnRate(ctx context.Context, v voice) (int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.config.Timeout,
		activities.Retryable(activities.KindTimeout, fmt.Errorf("%s made no audio within %s", s.server, s.config.Timeout)))
	defer cancel()
	res, err := s.ask(ctx, speechRequest{Model: v.model, Input: "one", Voice: v.name, ResponseFormat: "wav", Speed: s.config.Speed})
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	var header [28]byte // RIFF, size, WAVE, "fmt ", size, format, channels, rate
	if _, err := io.ReadFull(res.Body, header[:]); err != nil {
		return 0, modelserver.Broken(ctx, s.server.String(), err)
	}
	hz := int(binary.LittleEndian.Uint32(header[24:]))
	if string(header[:4]) != "RIFF" || string(header[8:16]) != "WAVEfmt " || hz < 8000 || hz > 48000 {
		return 0, activities.Permanent(activities.KindInvalid, fmt.Errorf("%s answered no WAV of 8 to 48 kHz when asked for one; tts.base_url must be a server with the OpenAI audio API", s.server))
	}
	return hz, nil
}

// A counter only goes up.
type counter struct{ n atomic.Uint32 }

func (c *counter) value() uint32 { return c.n.Load() }

func (c *counter) raise(to uint32) {
	for {
		now := c.n.Load()
		if to <= now || c.n.CompareAndSwap(now, to) {
			return
		}
	}
}
