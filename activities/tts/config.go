package tts

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
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

// A voice is one voice of the server.
type voice struct{ model, name string }

// Config says which server speaks, and with which voices.
type Config struct {
	BaseURL string // of the server, without /v1: "http://localhost:8000"
	Key     string // bearer token; empty: none is sent
	Model   string // "speaches-ai/Kokoro-82M-v1.0-ONNX"
	// Voices by BCP 47 tag: a voice of Model, as "en": "af_heart", or one of
	// another model, as "de": "speaches-ai/piper-de_DE-thorsten-high/thorsten".
	// For a language that is missing the server is asked for a voice of that
	// language's code, which is what the embedded server calls its own choice.
	Voices  map[string]string
	Speed   float64       // 1 is the voice's own pace; 0: 1
	Timeout time.Duration // to a segment's first audio, and between its pieces; 0: 8 s
	HTTP    *http.Client  // the way to the server; nil: modelserver.NewHTTP
	// OnGenerated observes each segment that was made: how long the server took
	// and how many characters it spoke.
	OnGenerated func(store string, seconds float64, chars int)
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	var errs []error
	errs = append(errs, modelserver.CheckURL("tts.base_url", c.BaseURL))
	if c.Model == "" {
		errs = append(errs, errors.New("tts.model is empty; write the name that the server's /v1/models lists"))
	}
	for _, tag := range slices.Sorted(maps.Keys(c.Voices)) {
		if _, err := language.Parse(tag); err != nil {
			errs = append(errs, fmt.Errorf("tts.voices.%s is no language; write a BCP 47 tag such as en or de-AT", tag))
		}
		if v := c.Voices[tag]; v == "" || strings.HasSuffix(v, "/") || strings.HasPrefix(v, "/") {
			errs = append(errs, fmt.Errorf("tts.voices.%s is %q; write VOICE or MODEL/VOICE with a name that the server's /v1/audio/voices lists", tag, v))
		}
	}
	// A speed beyond these makes Kokoro or Piper fail in the middle of an answer.
	if c.Speed != 0 && (c.Speed < 0.5 || c.Speed > 2) {
		errs = append(errs, fmt.Errorf("tts.speed is %g; write a number from 0.5 to 2", c.Speed))
	}
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("tts.timeout is %s; write a positive duration, or leave it out for %s", c.Timeout, DefaultTimeout))
	}
	return errors.Join(errs...)
}

// voice is the one for a language: that of the tag itself, else of its base
// language. A voice of another language would read it by wrong rules, so there
// is no other choice.
func (c Config) voice(tag string) (voice, error) {
	base, _, _ := strings.Cut(tag, "-")
	if base == "" {
		return voice{}, activities.Permanent(activities.KindInvalid, errors.New("language is empty; write a BCP 47 tag"))
	}
	name := base
	for _, t := range []string{base, tag} {
		if v, ok := c.Voices[t]; ok {
			name = v
		}
	}
	if i := strings.LastIndex(name, "/"); i > 0 {
		return voice{model: name[:i], name: name[i+1:]}, nil
	}
	return voice{model: c.Model, name: name}, nil
}
