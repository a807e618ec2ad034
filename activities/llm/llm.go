// Package llm is the Generate activity: it asks a model for one answer and
// writes it to the gateway's session as it comes, fit to be spoken.
package llm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/session"
	"github.com/praesenz/parley/media"
)

// DefaultMaxTokens of an answer, about a hundred words: half a minute of speech.
const DefaultMaxTokens = 160

// DefaultStructuredTokens of an answer to a schema: it is read by a flow, and cut
// off it is worth nothing.
const DefaultStructuredTokens = 512

// A Generator runs the Generate activity. It is safe for concurrent use.
type Generator struct {
	model Model
	media *media.Client
	log   *slog.Logger
}

// New returns a Generator that asks model.
func New(model Model, gateways *media.Client, log *slog.Logger) *Generator {
	return &Generator{model: model, media: gateways, log: log}
}

// Progress is what a heartbeat carries, for a second attempt to go on from.
type Progress struct {
	Text string `json:"text"` // of the answer so far
}

// Generate answers one question. A response that is cut ends it early with the
// text so far, which is no error. Errors: KindUngrounded and KindRefused are
// permanent, and so are KindUnable and KindInvalid of an answer to a schema;
// KindTimeout is a first token that did not come in time.
func (g *Generator) Generate(ctx context.Context, in activities.GenerateInput) (activities.GenerateResult, error) {
	started := time.Now()
	earlier := begun(ctx)
	a := answer{text: earlier.Text, joint: earlier.Text != ""}
	defer session.Beat(ctx, func() any { return a.soFar() })()

	max := in.MaxTokens
	if max <= 0 {
		max = DefaultMaxTokens
	}
	q := Question{
		System:    in.System,
		History:   in.History,
		Text:      in.Question,
		Passages:  in.Passages,
		Language:  in.Language,
		Grounded:  in.Grounded,
		MaxTokens: max,
		Begun:     earlier.Text,
	}

	limit := activities.FirstToken
	if in.FirstToken > 0 {
		limit = time.Duration(in.FirstToken) * time.Millisecond
	}
	if len(in.Schema) > 0 {
		return g.structure(ctx, in, q, limit)
	}

	thinking, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var out *writer
	if in.Stream {
		var err error
		if out, err = g.open(thinking, cancel, in, len(earlier.Text)); err != nil {
			return activities.GenerateResult{}, err
		}
		defer out.abandon()
	}

	tooSlow := time.AfterFunc(limit, func() {
		cancel(activities.Retryable(activities.KindTimeout, fmt.Errorf("%s gave no first token within %s", g.model.Name(), limit)))
	})
	defer tooSlow.Stop()

	var first time.Duration
	var clean filter
	say := func(spoken string) error {
		if clean.ungrounded {
			return activities.Permanent(activities.KindUngrounded, errors.New("the passages do not answer the question"))
		}
		if spoken == "" {
			return nil
		}
		return a.write(out, spoken)
	}
	err := g.model.Answer(thinking, q, func(delta string) error {
		if first == 0 && delta != "" {
			tooSlow.Stop()
			first = time.Since(started)
		}
		return say(clean.push(delta))
	})
	if err == nil {
		err = say(clean.flush())
	}
	if err == nil && strings.TrimSpace(a.text) == "" {
		err = activities.Retryable(activities.KindRefused, fmt.Errorf("%s gave an empty answer", g.model.Name()))
	}
	if err == nil {
		err = out.complete(thinking)
	}
	if ctx.Err() != nil {
		return activities.GenerateResult{}, ctx.Err()
	}
	if err != nil && !errors.Is(err, session.ErrCut) {
		return activities.GenerateResult{}, err
	}
	result := activities.GenerateResult{
		Text:         strings.TrimSpace(a.text),
		Model:        g.model.Name(),
		FirstTokenMs: first.Milliseconds(),
		Ms:           time.Since(started).Milliseconds(),
	}
	g.log.Debug("answered", "store", in.Place.Store, "kiosk", in.Place.Kiosk, "conversation", in.Place.Conversation, "step", in.Step,
		"model", result.Model, "first_token_ms", result.FirstTokenMs, "ms", result.Ms, "cut", err != nil)
	return result, nil
}

// structure answers with one JSON value that fulfils the input's schema, which
// nobody speaks.
func (g *Generator) structure(ctx context.Context, in activities.GenerateInput, q Question, limit time.Duration) (activities.GenerateResult, error) {
	started := time.Now()
	if in.Stream {
		return activities.GenerateResult{}, activities.Permanent(activities.KindInvalid, errors.New("an answer with a schema cannot be streamed; leave out `stream` or `schema`"))
	}
	if in.MaxTokens <= 0 {
		q.MaxTokens = DefaultStructuredTokens
	}
	// The mark of an answer that the passages do not give fits no schema.
	q.Grounded, q.Begun = false, ""
	f, err := newForm(in.Schema)
	if err != nil {
		return activities.GenerateResult{}, err
	}
	value, first, err := f.fill(ctx, g.model, q, limit)
	if ctx.Err() != nil {
		return activities.GenerateResult{}, ctx.Err()
	}
	if err != nil {
		return activities.GenerateResult{}, err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return activities.GenerateResult{}, activities.Permanent(activities.KindInvalid, fmt.Errorf("write the answer: %w", err))
	}
	result := activities.GenerateResult{Text: string(text), Value: value, Model: g.model.Name(), FirstTokenMs: first.Milliseconds(), Ms: time.Since(started).Milliseconds()}
	g.log.Debug("answered", "store", in.Place.Store, "kiosk", in.Place.Kiosk, "conversation", in.Place.Conversation, "step", in.Step,
		"model", result.Model, "first_token_ms", result.FirstTokenMs, "ms", result.Ms)
	return result, nil
}

// begun is what an earlier attempt wrote, up to the end of its last whole
// sentence. Half a sentence has not been spoken, so it is made anew.
func begun(ctx context.Context) Progress {
	var p Progress
	if !activity.HasHeartbeatDetails(ctx) || activity.GetHeartbeatDetails(ctx, &p) != nil {
		return Progress{}
	}
	// Only a blank after the mark shows an end: "12." may become "12.99".
	for i := len(p.Text) - 1; i > 0; i-- {
		if p.Text[i] == ' ' && strings.ContainsRune(".!?", rune(p.Text[i-1])) {
			p.Text = p.Text[:i]
			return p
		}
	}
	p.Text = ""
	return p
}

// An answer is the text so far; the activity adds to it and heartbeats read it.
type answer struct {
	mu    sync.Mutex
	text  string
	joint bool // a blank is missing between what an earlier attempt left and the rest
}

// write appends what the filter let through and writes it.
func (a *answer) write(out *writer, spoken string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.joint {
		spoken = " " + spoken
		a.joint = false
	}
	a.text += spoken
	return out.write(spoken)
}

func (a *answer) soFar() Progress {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Progress{Text: a.text}
}
