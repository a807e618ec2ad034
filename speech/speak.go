package speech

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// A speechRequest is the body of POST /v1/audio/speech.
type speechRequest struct {
	Model          string   `json:"model"`
	Input          string   `json:"input"`
	Voice          string   `json:"voice"`
	ResponseFormat string   `json:"response_format"` // wav (default) or pcm
	Speed          *float64 `json:"speed"`           // default 1
	SampleRate     *int     `json:"sample_rate"`     // default the voice's own
	StreamFormat   string   `json:"stream_format"`   // audio (default) or sse
}

// check fills in defaults and returns the voice, or everything that is wrong.
func (q *speechRequest) check() (voice, faults) {
	var bad faults
	if q.Model == "" {
		bad.addf("model", "is missing; GET /v1/models lists what there is")
	}
	switch n := utf8.RuneCountInString(q.Input); {
	case strings.TrimSpace(q.Input) == "":
		bad.addf("input", "is empty; give the text to speak")
	case n > maxInput:
		bad.addf("input", "has %d characters; give %d at most, a sentence at a time", n, maxInput)
	case !utf8.ValidString(q.Input) || strings.ContainsRune(q.Input, 0):
		bad.addf("input", "is not text in UTF-8")
	}
	v, ok := findVoice(q.Voice)
	if !ok {
		bad.addf("voice", "%q is not a voice here; use a language or one of %s", q.Voice, voiceIDs())
	}
	if q.ResponseFormat == "" {
		q.ResponseFormat = "wav"
	}
	if q.ResponseFormat != "wav" && q.ResponseFormat != "pcm" {
		bad.addf("response_format", "%q is not served here; use wav or pcm", q.ResponseFormat)
	}
	if q.StreamFormat != "" && q.StreamFormat != "audio" && q.StreamFormat != "sse" {
		bad.addf("stream_format", "is %q; use audio or sse", q.StreamFormat)
	}
	if q.Speed == nil {
		q.Speed = new(1.0)
	}
	if ok && !(*q.Speed >= v.MinSpeed && *q.Speed <= v.MaxSpeed) {
		bad.addf("speed", "is %g; voice %s speaks at %g to %g", *q.Speed, v.ID, v.MinSpeed, v.MaxSpeed)
	}
	if q.SampleRate != nil && (*q.SampleRate < minRate || *q.SampleRate > maxRate) {
		bad.addf("sample_rate", "is %d; use %d to %d", *q.SampleRate, minRate, maxRate)
	}
	return v, bad
}

// speak serves POST /v1/audio/speech. By SSE, one event more than speaches has
// comes before the audio: when each phoneme is heard. As there, SSE is always
// PCM at the voice's own rate.
func (s *Server) speak(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(10 * time.Second)) // supported by every net/http server connection
	var q speechRequest
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSpeechBody))
	if err := decoder.Decode(&q); err != nil {
		writeBodyError(w, err)
		return
	}
	v, bad := q.check()
	if len(bad) > 0 {
		bad.write(w)
		return
	}
	if !s.knowsModel(q.Model, taskSpeak) {
		writeProblem(w, http.StatusNotFound, fmt.Sprintf("Model '%s' not found; use %s, %s or tts-1", q.Model, modelFlite, modelEspeak))
		return
	}
	said, err := s.sayInTurn(r.Context(), v, q)
	switch {
	case errors.Is(err, errBusy):
		writeProblem(w, http.StatusServiceUnavailable, err.Error())
		return
	case r.Context().Err() != nil:
		return // the client has gone
	case err != nil:
		s.config.Logger.Error("speech not made", "voice", v.ID, "error", err)
		writeProblem(w, http.StatusInternalServerError, err.Error())
		return
	}
	_ = control.SetWriteDeadline(time.Now().Add(downloadTime))
	if q.StreamFormat == "sse" {
		writeSpeechEvents(w, said)
		return
	}
	if q.SampleRate != nil {
		change := resampler{from: said.rate, to: *q.SampleRate}
		said.samples, said.rate = change.resample(nil, said.samples), *q.SampleRate
	}
	body, kind := encodeWAV(said.samples, said.rate), "audio/wav"
	if q.ResponseFormat == "pcm" {
		body, kind = encodePCM(said.samples), "audio/pcm"
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(body) // the only error is a client that has gone
}

// sayInTurn speaks once one of the Synthesisers is free.
func (s *Server) sayInTurn(ctx context.Context, v voice, q speechRequest) (spoken, error) {
	queue, cancel := queueing(ctx)
	defer cancel()
	select {
	case s.speaking <- struct{}{}:
		defer func() { <-s.speaking }()
	case <-queue.Done():
		return spoken{}, context.Cause(queue)
	}
	ctx, cancel = context.WithTimeoutCause(ctx, maxSpeaking, fmt.Errorf("speaking took longer than %s", maxSpeaking))
	defer cancel()
	return v.say(ctx, q.Input, *q.Speed)
}

// deltaSamples is the size of one SSE delta, a quarter of a second at 16 kHz.
const deltaSamples = 4000

// writeSpeechEvents writes the audio as speaches streams it.
func writeSpeechEvents(w http.ResponseWriter, said spoken) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	type event struct {
		Type       string         `json:"type"`
		SampleRate int            `json:"sample_rate,omitempty"`
		Phonemes   []phoneme      `json:"phonemes,omitempty"`
		Audio      string         `json:"audio,omitempty"`
		TokenUsage map[string]int `json:"token_usage,omitempty"`
	}
	// Errors are a client that has gone; the first ends the stream.
	write := func(e event) bool {
		b, err := json.Marshal(e)
		if err == nil {
			_, err = fmt.Fprintf(w, "data: %s\n\n", b)
		}
		return err == nil
	}
	ok := write(event{Type: "speech.audio.timing", SampleRate: said.rate, Phonemes: said.phonemes})
	for rest := said.samples; ok && len(rest) > 0; {
		n := min(deltaSamples, len(rest))
		ok = write(event{Type: "speech.audio.delta", Audio: base64.StdEncoding.EncodeToString(encodePCM(rest[:n]))})
		rest = rest[n:]
	}
	if ok {
		write(event{Type: "speech.audio.done", TokenUsage: map[string]int{"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}})
	}
}

// writeBodyError answers a JSON body that cannot be read.
func writeBodyError(w http.ResponseWriter, err error) {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		writeProblem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("request body is larger than %d bytes", tooLarge.Limit))
		return
	}
	var bad faults
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		bad.addf(wrong.Field, "is a %s; give a %s", wrong.Value, wrong.Type)
	} else if errors.Is(err, io.EOF) {
		bad.addf("model", "the body is empty; send a JSON object with model, input and voice")
	} else {
		bad.addf("model", "the body is not a JSON object: %v", err)
	}
	bad.write(w)
}
