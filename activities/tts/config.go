package tts

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/modelserver"
)

// DefaultTimeout is how long a server may take to the first audio of a segment,
// and from one piece to the next.
const DefaultTimeout = 8 * time.Second

// A Voice is one voice of the server.
type Voice struct {
	Model string  // "speaches-ai/Kokoro-82M-v1.0-ONNX"
	Name  string  // "af_heart"
	Speed float64 // 1 is the voice's own; 0: 1
}

// Config says which server speaks, and with which voices.
type Config struct {
	BaseURL string           // of the server, without /v1: "http://localhost:8000"
	Key     string           // bearer token; empty: none is sent
	Voices  map[string]Voice // by BCP 47 tag: "en", "de-AT"
	Timeout time.Duration    // to a segment's first audio, and between its pieces; 0: 8 s
	// OnGenerated observes each segment that was made: how long the server took
	// and how many characters it spoke.
	OnGenerated func(store string, seconds float64, chars int)
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	var errs []error
	errs = append(errs, modelserver.CheckURL("tts.base_url", c.BaseURL))
	if len(c.Voices) == 0 {
		errs = append(errs, errors.New("tts.voices is empty; write a voice for each language, for example en: {model: …, name: af_heart}"))
	}
	for _, tag := range slices.Sorted(maps.Keys(c.Voices)) {
		v := c.Voices[tag]
		if _, err := language.Parse(tag); err != nil {
			errs = append(errs, fmt.Errorf("tts.voices.%s is no language; write a BCP 47 tag such as en or de-AT", tag))
		}
		if v.Model == "" {
			errs = append(errs, fmt.Errorf("tts.voices.%s.model is empty; write the name that the server's /v1/models lists", tag))
		}
		if v.Name == "" {
			errs = append(errs, fmt.Errorf("tts.voices.%s.name is empty; write the name that the server's /v1/audio/voices lists", tag))
		}
		// A speed beyond these makes Kokoro or Piper fail in the middle of an answer.
		if v.Speed != 0 && (v.Speed < 0.5 || v.Speed > 2) {
			errs = append(errs, fmt.Errorf("tts.voices.%s.speed is %g; write a number from 0.5 to 2", tag, v.Speed))
		}
	}
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("tts.timeout is %s; write a positive duration, or leave it out for %s", c.Timeout, DefaultTimeout))
	}
	return errors.Join(errs...)
}

// voice is the one for a language: that of the tag itself, else of its base
// language. A wrong voice would read one language by the rules of another, so
// there is no other choice.
func (c Config) voice(tag string) (Voice, error) {
	base, _, _ := strings.Cut(tag, "-")
	for _, t := range []string{tag, base} {
		if v, ok := c.Voices[t]; ok {
			if v.Speed == 0 {
				v.Speed = 1
			}
			return v, nil
		}
	}
	return Voice{}, activities.Permanent(activities.KindInvalid, fmt.Errorf("no voice speaks %q; add tts.voices.%s", tag, base))
}
