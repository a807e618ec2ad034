package llm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/session"
	"github.com/praesenz/parley/media"
)

// doneTimeout is how long a gateway may take to confirm a complete text.
const doneTimeout = 3 * time.Second

// A writer keeps a response's text in the gateway's session like the model's, as
// it grows. A gateway that is away gets all of it when it is back: the model does
// not wait for it. A nil writer writes nowhere, for an answer that is not
// streamed.
type writer struct {
	gateway media.MediaClient
	in      activities.GenerateInput
	stop    context.CancelFunc
	grown   chan struct{} // a token when there is more to write
	ended   chan struct{} // closed with err set

	mu    sync.Mutex
	text  string
	whole bool

	err error // why writing ended: nil when the text is whole and there
}

// open starts to write a response of which text is known already. When the
// response is cut, cut is called, so that the model stops at once and not with
// its next token.
func (g *Generator) open(ctx context.Context, cut context.CancelCauseFunc, in activities.GenerateInput, text string) (*writer, error) {
	gateway, release, err := session.Join(g.media, in.Place)
	if err != nil {
		return nil, err
	}
	// Writing outlives the model's context by the confirmation of its end.
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	w := &writer{gateway: gateway, in: in, stop: stop, text: text, grown: make(chan struct{}, 1), ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		defer release()
		w.err = session.Retry(ctx, func() error { return w.stream(ctx) })
		if w.err != nil && !gone(w.err) {
			cut(w.err)
		}
	}()
	return w, nil
}

// gone tells whether the session is not at the gateway any more, or the gateway
// is not there. Its kiosk may be on its way to another, for which the answer is
// wanted all the same.
func gone(err error) bool { return session.Kind(err) == activities.KindGone }

// stream writes from the first word until the text is whole. A gateway that has
// some of it knows it again.
func (w *writer) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, err := w.gateway.Write(ctx)
	if err != nil {
		return session.Err(ctx, "write the answer", err)
	}
	over := make(chan error, 1)
	go func() {
		// CloseAndRecv would wait only after the last word; the end is wanted
		// whenever it comes, and one goroutine may receive while another sends.
		over <- session.Err(ctx, "write the answer", out.RecvMsg(new(media.Done)))
	}()
	first := &media.Text{Place: session.Place(w.in.Place), Response: uint32(w.in.Response), After: uint32(w.in.After)}
	if err := w.send(out, first, over); err != nil {
		return err
	}
	for sent := 0; ; {
		w.mu.Lock()
		text, whole := w.text, w.whole
		w.mu.Unlock()
		if len(text) > sent || whole {
			if err := w.send(out, &media.Text{Delta: text[sent:], Complete: whole}, over); err != nil {
				return err
			}
			sent = len(text)
		}
		if whole {
			return w.confirmed(out, over)
		}
		select {
		case <-w.grown:
		case err := <-over:
			return err
		case <-ctx.Done():
			<-over
			return context.Cause(ctx)
		}
	}
}

// send writes a message. When the gateway has ended the stream, over knows why.
func (w *writer) send(out grpc.ClientStreamingClient[media.Text, media.Done], t *media.Text, over <-chan error) error {
	err := out.Send(t)
	if errors.Is(err, io.EOF) {
		return <-over
	}
	return session.Err(out.Context(), "write the answer", err)
}

// confirmed waits until the gateway has said that it has everything.
func (w *writer) confirmed(out grpc.ClientStreamingClient[media.Text, media.Done], over <-chan error) error {
	if err := out.CloseSend(); err != nil {
		return session.Err(out.Context(), "write the answer", err)
	}
	select {
	case err := <-over:
		return err
	case <-time.After(doneTimeout):
		return activities.Retryable(activities.KindTimeout, fmt.Errorf("the gateway did not confirm the answer within %s", doneTimeout))
	}
}

func (w *writer) write(delta string) {
	if w == nil || delta == "" {
		return
	}
	w.mu.Lock()
	w.text += delta
	w.mu.Unlock()
	w.grow()
}

func (w *writer) grow() {
	select {
	case w.grown <- struct{}{}:
	default: // a token is waiting already
	}
}

// complete says that the text is whole and waits until the gateway has it, or is
// not there to have it.
func (w *writer) complete(ctx context.Context) error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	w.whole = true
	w.mu.Unlock()
	w.grow()
	select {
	case <-w.ended:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if gone(w.err) {
		return nil
	}
	return w.err
}

// giveUpTimeout bounds telling the gateway that there will be no answer.
const giveUpTimeout = time.Second

// giveUp tells the gateway that there will be no answer, so that its voice waits
// no longer. It learns it from the conversation too, but later.
func (w *writer) giveUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpTimeout)
	defer cancel()
	_, _ = w.gateway.Cut(ctx, &media.CutRequest{Place: session.Place(w.in.Place), Response: uint32(w.in.Response)})
}

// abandon ends the writing, which leaves an incomplete response open for the next
// attempt, and waits for its goroutine.
func (w *writer) abandon() {
	w.stop()
	<-w.ended
}
