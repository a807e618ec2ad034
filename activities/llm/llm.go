// Package llm is the Generate activity: it asks a model for one answer and
// writes it to the gateway's session as it comes, fit to be spoken.
package llm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

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

// finishWithin is how long a model may go on with an answer that its workflow has
// taken back, if it could not continue it elsewhere. One that nobody wants any
// more is cut by the gateway, and stops at once.
const finishWithin = 3 * time.Second

// Generate answers one question. A response that is cut ends it early with the
// text so far, which is no error; so does a workflow that takes back a streamed
// answer, and then the result is Unfinished, unless the model was let finish. A
// gateway that is away, or from which the kiosk has gone, does not stop it: the
// result has the text. Errors: KindUngrounded and KindRefused are permanent, and
// so are KindUnable and KindInvalid of an answer to a schema;
// KindTimeout is a first token that did not come in time.
func (g *Generator) Generate(ctx context.Context, in activities.GenerateInput) (_ activities.GenerateResult, err error) {
	started := time.Now()
	q := Question{
		System:    in.System,
		History:   in.History,
		Text:      in.Question,
		Passages:  in.Passages,
		Language:  in.Language,
		Grounded:  in.Grounded,
		MaxTokens: cmp.Or(max(in.MaxTokens, 0), DefaultMaxTokens),
	}
	if len(in.Schema) == 0 { // one that is read by a flow is made anew
		g.goOn(ctx, in.Begun, &q)
	}
	if q.Begun == "" {
		if err := session.Overdue(ctx); err != nil {
			return activities.GenerateResult{}, err
		}
	}
	a := newAnswer(q)
	defer session.Beat(ctx, func() any { return a.soFar() })(&err)

	limit := activities.FirstToken
	if in.FirstToken > 0 {
		limit = time.Duration(in.FirstToken) * time.Millisecond
	}
	if len(in.Schema) > 0 {
		return g.structure(ctx, in, q, limit)
	}

	thinking, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() {
		if in.Stream && temporal.IsCanceledError(context.Cause(ctx)) && !g.model.Continues(thinking) {
			select {
			case <-time.After(finishWithin):
			case <-thinking.Done():
			}
		}
		cancel(context.Cause(ctx))
	})()
	var out *writer
	if in.Stream {
		if out, err = g.open(thinking, cancel, in, q.Begun); err != nil {
			return activities.GenerateResult{}, err
		}
		defer out.abandon()
	}

	tooSlow := time.AfterFunc(limit, func() {
		cancel(activities.Retryable(activities.KindTimeout, fmt.Errorf("%s gave no first token within %s", g.model.Name(), limit)))
	})
	defer tooSlow.Stop()

	var first time.Duration
	clean := newFilter(q)
	say := func(spoken string) error {
		if clean.ungrounded {
			return activities.Permanent(activities.KindUngrounded, errors.New("the passages do not answer the question"))
		}
		out.write(a.add(spoken))
		return nil
	}
	err = g.model.Answer(thinking, q, func(delta string) error {
		if first == 0 && delta != "" {
			tooSlow.Stop()
			first = time.Since(started)
		}
		return say(clean.push(delta))
	})
	if err == nil {
		err = say(clean.flush())
		out.write(a.end())
	}
	if err == nil && strings.TrimSpace(a.text) == "" {
		err = activities.Retryable(activities.KindRefused, fmt.Errorf("%s gave an empty answer", g.model.Name()))
	}
	finished := err == nil
	if finished {
		err = out.complete(ctx)
	}
	takenBack := in.Stream && temporal.IsCanceledError(context.Cause(ctx)) && a.text != ""
	if ctx.Err() != nil && !takenBack {
		return activities.GenerateResult{}, ctx.Err()
	}
	if err != nil && !takenBack && !errors.Is(err, session.ErrCut) {
		if in.Stream && session.Last(ctx, err) {
			out.giveUp(ctx)
		}
		return activities.GenerateResult{}, err
	}
	result := activities.GenerateResult{
		Text:         strings.TrimSpace(a.text),
		Model:        g.model.Name(),
		FirstTokenMs: first.Milliseconds(),
		Ms:           time.Since(started).Milliseconds(),
		Unfinished:   !finished,
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
	q.Grounded = false
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

// goOn lets q begin with what was written before: by an earlier attempt, or for
// another gateway. A model that cannot go on in the middle of a sentence begins
// the last one anew, unless it may have been heard.
func (g *Generator) goOn(ctx context.Context, begun string, q *Question) {
	q.Begun = begun
	var p Progress
	if activity.HasHeartbeatDetails(ctx) && activity.GetHeartbeatDetails(ctx, &p) == nil && len(p.Text) > len(begun) {
		q.Begun = p.Text
	}
	if q.Begun == "" {
		return
	}
	if q.Prefill = g.model.Continues(ctx); q.Prefill {
		return
	}
	q.Begun = q.Begun[:max(wholeWords(begun), wholeSentences(q.Begun))]
}

// wholeSentences is the length of a text's whole sentences.
func wholeSentences(text string) int {
	// Only a blank after the mark shows an end: "12." may become "12.99".
	for i := len(text) - 1; i > 0; i-- {
		if text[i] == ' ' && strings.ContainsRune(".!?", rune(text[i-1])) {
			return i
		}
	}
	return 0
}

// wholeWords is the length of a text without a last word that may be half of one.
func wholeWords(text string) int {
	if r, _ := utf8.DecodeLastRuneInString(text); unicode.IsLetter(r) || unicode.IsDigit(r) {
		return max(0, strings.LastIndexByte(text, ' '))
	}
	return len(text)
}

// An answer is the text so far; the activity adds to it and heartbeats read it.
type answer struct {
	mu   sync.Mutex
	text string

	// Of an answer that goes on behind a text without being one with it:
	joint  bool   // a blank is missing between them
	repeat string // the sentence that was begun; a model may begin it once more
	held   string // text that may be that
}

// newAnswer begins with what is there already.
func newAnswer(q Question) *answer {
	a := &answer{text: q.Begun}
	if q.Begun != "" && !q.Prefill {
		a.joint = true
		a.repeat = strings.TrimSpace(q.Begun[wholeSentences(q.Begun):])
	}
	return a
}

// add appends what the filter let through and gives what is new.
func (a *answer) add(spoken string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.repeat != "" {
		a.held += spoken
		spoken = strings.TrimLeft(a.held, " ")
		if len(spoken) < len(a.repeat) && strings.HasPrefix(a.repeat, spoken) {
			return "" // it may become one
		}
		spoken = strings.TrimPrefix(spoken, a.repeat)
		a.repeat, a.held = "", ""
	}
	return a.append(spoken)
}

// end gives what was held back at the end of the text.
func (a *answer) end() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	held := a.held
	a.repeat, a.held = "", ""
	return a.append(held)
}

// append adds to the text; the lock is held.
func (a *answer) append(spoken string) string {
	if spoken != "" && a.joint {
		spoken = " " + strings.TrimLeft(spoken, " ")
		a.joint = false
	}
	a.text += spoken
	return spoken
}

func (a *answer) soFar() Progress {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Progress{Text: a.text}
}
