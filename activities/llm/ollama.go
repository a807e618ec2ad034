package llm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/modelserver"
)

// ollama is a model on an Ollama server.
type ollama struct {
	client      *api.Client
	server      string
	model       string
	keepAlive   time.Duration
	temperature float64
}

func newOllama(c Config) (*ollama, error) {
	u, err := url.Parse(c.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("llm.base_url: %w", err)
	}
	return &ollama{
		client:      api.NewClient(u, modelserver.NewHTTP()),
		server:      c.BaseURL,
		model:       c.Model,
		keepAlive:   c.KeepAlive,
		temperature: c.Temperature,
	}, nil
}

func (o *ollama) Name() string { return o.model }

// Answer implements Model. Cancelling ctx closes the request, upon which Ollama
// stops the model.
func (o *ollama) Answer(ctx context.Context, q Question, emit func(string) error) error {
	req := &api.ChatRequest{
		Model:     o.model,
		KeepAlive: &api.Duration{Duration: o.keepAlive},
		Think:     &api.ThinkValue{Value: false}, // nobody waits at a kiosk for a model that thinks
		Options:   map[string]any{"num_predict": q.MaxTokens, "temperature": o.temperature},
	}
	if q.Exact {
		req.Options["temperature"] = 0
	}
	if len(q.Schema) > 0 {
		req.Format = q.Schema
	}
	for _, m := range q.messages() {
		req.Messages = append(req.Messages, api.Message{Role: m.Role, Content: m.Content})
	}
	var said error
	done := false
	err := o.client.Chat(ctx, req, func(r api.ChatResponse) error {
		done = done || r.Done
		if r.Message.Content == "" {
			return nil
		}
		said = emit(r.Message.Content)
		return said
	})
	switch {
	case said != nil:
		return said
	case err != nil:
		return o.sort(ctx, err)
	case !done:
		return modelserver.Broken(ctx, o.server, errors.New("the answer broke off"))
	}
	return nil
}

// Continues implements Model: Ollama leaves an assistant's message at the end
// open, so that the model goes on with it.
func (o *ollama) Continues(context.Context) bool { return true }

// sort tells Ollama's errors apart.
func (o *ollama) sort(ctx context.Context, err error) error {
	var status api.StatusError
	if errors.As(err, &status) && context.Cause(ctx) == nil {
		if status.StatusCode == http.StatusNotFound {
			return activities.Permanent(activities.KindInvalid, fmt.Errorf("%s has no model %q; run: ollama pull %s", o.server, o.model, o.model))
		}
		return activities.Classify(o.server, status.StatusCode, status.ErrorMessage)
	}
	return modelserver.Broken(ctx, o.server, err)
}

// has reports whether the server answers and has the model.
func (o *ollama) has(ctx context.Context) (answers, model bool) {
	list, err := o.client.List(ctx)
	if err != nil {
		return false, false
	}
	for _, m := range list.Models {
		if m.Name == o.model || m.Name == o.model+":latest" {
			return true, true
		}
	}
	return true, false
}
