package llm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/praesenz/parley/activities"
)

// Bounds of a structured answer.
const (
	maxStructured = 64 << 10 // bytes
	// structuredTries is how often a model is asked for an answer that fulfils the
	// schema. A server that holds its model to the schema needs one.
	structuredTries = 2
)

// A form is a compiled JSON Schema that an answer has to fulfil.
type form struct {
	source json.RawMessage
	schema *jsonschema.Schema
}

// newForm compiles a schema. What it refers to must be in it.
func newForm(source json.RawMessage) (form, error) {
	const name = "mem:///answer.json"
	c := jsonschema.NewCompiler()
	c.LoadURL = func(url string) (io.ReadCloser, error) {
		return nil, fmt.Errorf("%s is not in the schema; write what $ref names under $defs", url)
	}
	if err := c.AddResource(name, bytes.NewReader(source)); err != nil {
		return form{}, activities.Permanent(activities.KindInvalid, fmt.Errorf("schema: %w", err))
	}
	schema, err := c.Compile(name)
	if err != nil {
		return form{}, activities.Permanent(activities.KindInvalid, fmt.Errorf("schema: %w", err))
	}
	return form{source: source, schema: schema}, nil
}

// fill asks the model until its answer fulfils the schema; its first token has to
// come within limit, and first is how long that took. Errors: KindUnable and
// KindInvalid are permanent, KindTimeout is not.
func (f form) fill(ctx context.Context, model Model, q Question, limit time.Duration) (value any, first time.Duration, err error) {
	started := time.Now()
	ctx, met, stop := patience(ctx, model, limit)
	defer stop()
	q.Schema = f.source
	for range structuredTries {
		var text strings.Builder
		err = model.Answer(ctx, q, func(delta string) error {
			if first == 0 && delta != "" {
				met()
				first = time.Since(started)
			}
			if text.Len()+len(delta) > maxStructured {
				return activities.Permanent(activities.KindInvalid, fmt.Errorf("%s gave an answer of more than %d bytes", model.Name(), maxStructured))
			}
			text.WriteString(delta)
			return nil
		})
		if err != nil {
			return nil, first, err
		}
		if value, err = f.read(text.String()); err == nil {
			return value, first, nil
		}
	}
	return nil, first, activities.Permanent(activities.KindInvalid, fmt.Errorf("%s does not fulfil the schema: %w", model.Name(), err))
}

// read parses an answer and holds it to the schema.
func (f form) read(text string) (any, error) {
	// Some models fence what they write even when they are told not to.
	text = strings.TrimSpace(text)
	text = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(text, "```json"), "```"), "```")
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return nil, fmt.Errorf("the answer is no JSON: %w", err)
	}
	if err := f.schema.Validate(value); err != nil {
		return nil, err
	}
	return value, nil
}

// patience ends a context with a retryable KindTimeout when nothing has called
// met within limit. stop releases it.
func patience(ctx context.Context, model Model, limit time.Duration) (_ context.Context, met func(), stop context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(limit, func() {
		cancel(activities.Retryable(activities.KindTimeout, fmt.Errorf("%s gave no first token within %s", model.Name(), limit)))
	})
	return ctx, func() { timer.Stop() }, func() { timer.Stop(); cancel(nil) }
}
