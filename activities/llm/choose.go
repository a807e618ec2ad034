package llm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/praesenz/parley/activities/modelserver"
)

// Kinds of model.
const (
	Auto       = "auto"       // or empty: Ollama when it answers and has the model, else extractive
	Ollama     = "ollama"     // an Ollama server
	OpenAI     = "openai"     // any server with OpenAI's chat API
	Extractive = "extractive" // no model: quotes the passages
)

// Defaults of Config.
const (
	DefaultOllama      = "http://localhost:11434"
	DefaultModel       = "qwen2.5:14b"
	DefaultKeepAlive   = 30 * time.Minute
	DefaultTemperature = 0.2
)

// Config says which model answers.
type Config struct {
	Kind      string        // default: auto
	BaseURL   string        // of the server, without /v1; Ollama's default is http://localhost:11434
	Key       string        // bearer token, of OpenAI's API only
	Model     string        // default for Ollama: qwen2.5:14b
	KeepAlive time.Duration // how long Ollama keeps the model in memory; 0: 30 m
	// Temperature is 0..2; 0 means the default of 0.2, because facts are wanted
	// and not fancy. Write a very small number for none at all.
	Temperature float64
	HTTP        *http.Client // the way to a server with OpenAI's API; nil: modelserver.NewHTTP
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	var errs []error
	switch c.Kind {
	case "", Auto, Ollama, OpenAI, Extractive:
	default:
		errs = append(errs, fmt.Errorf("llm.kind is %q; write auto, ollama, openai or extractive", c.Kind))
	}
	if c.BaseURL != "" || c.Kind == OpenAI {
		errs = append(errs, modelserver.CheckURL("llm.base_url", c.BaseURL))
	}
	if c.Kind == OpenAI && c.Model == "" {
		errs = append(errs, errors.New("llm.model is empty; write the name that the server's /v1/models lists"))
	}
	if c.KeepAlive < 0 {
		errs = append(errs, fmt.Errorf("llm.keep_alive is %s; write a positive duration, or leave it out for %s", c.KeepAlive, DefaultKeepAlive))
	}
	if c.Temperature < 0 || c.Temperature > 2 {
		errs = append(errs, fmt.Errorf("llm.temperature is %g; write a number from 0 to 2", c.Temperature))
	}
	return errors.Join(errs...)
}

// probeTimeout is how long Choose waits for Ollama to list its models.
const probeTimeout = time.Second

// Choose returns the model that c asks for and one line that says which it is
// and why, for people: "extractive; no Ollama at localhost:11434". What is named
// is not tried first: a server that is away now may be back for the first
// question.
func Choose(ctx context.Context, c Config) (model Model, why string, err error) {
	if err := c.Validate(); err != nil {
		return nil, "", err
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = DefaultKeepAlive
	}
	if c.Temperature == 0 {
		c.Temperature = DefaultTemperature
	}
	switch c.Kind {
	case Extractive:
		return newExtractive(), "extractive; as configured", nil
	case OpenAI:
		return newOpenAI(c), fmt.Sprintf("%s at %s; as configured", c.Model, host(c.BaseURL)), nil
	}
	if c.BaseURL == "" {
		c.BaseURL = DefaultOllama
	}
	if c.Model == "" {
		c.Model = DefaultModel
	}
	o, err := newOllama(c)
	if err != nil {
		return nil, "", err
	}
	if c.Kind == Ollama {
		return o, fmt.Sprintf("%s by Ollama at %s; as configured", c.Model, host(c.BaseURL)), nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, probeTimeout, fmt.Errorf("no answer from Ollama within %s", probeTimeout))
	defer cancel()
	switch answers, has := o.has(ctx); {
	case has:
		return o, fmt.Sprintf("%s by Ollama at %s", c.Model, host(c.BaseURL)), nil
	case answers:
		return newExtractive(), fmt.Sprintf("extractive; Ollama at %s has no model %s (ollama pull %s)", host(c.BaseURL), c.Model, c.Model), nil
	default:
		return newExtractive(), fmt.Sprintf("extractive; no Ollama at %s", host(c.BaseURL)), nil
	}
}

// host is a base URL's host and port, as people write it.
func host(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	return u.Host
}
