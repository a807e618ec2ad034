package llm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/session"
	"github.com/praesenz/parley/media"
)

// doneTimeout is how long a gateway may take to confirm a complete text.
const doneTimeout = 3 * time.Second

// A writer puts a response's text into the gateway's session. A nil writer
// writes nowhere, for an answer that is not streamed.
type writer struct {
	stream  grpc.ClientStreamingClient[media.Text, media.Done]
	stop    context.CancelFunc
	release func()
	ended   chan error // the stream's end, sorted, once
}

// open starts to write a response of which keep bytes are there already. When
// the gateway ends the stream, cut is called with the reason, so that the model
// stops at once and not with its next token.
func (g *Generator) open(ctx context.Context, cut context.CancelCauseFunc, in activities.GenerateInput, keep int) (*writer, error) {
	gateway, release, err := session.Join(g.media, in.Place)
	if err != nil {
		return nil, err
	}
	// The stream outlives the model's context by the confirmation of its end.
	streaming, stop := context.WithCancel(context.WithoutCancel(ctx))
	stream, err := gateway.Write(streaming)
	if err != nil {
		stop()
		release()
		return nil, session.Err(ctx, "write the answer", err)
	}
	w := &writer{stream: stream, stop: stop, release: release, ended: make(chan error, 1)}
	go func() {
		// CloseAndRecv would wait only after the last word; the end is wanted
		// whenever it comes, and one goroutine may receive while another sends.
		err := session.Err(streaming, "write the answer", stream.RecvMsg(new(media.Done)))
		if err != nil {
			cut(err)
		}
		w.ended <- err
	}()
	return w, w.send(&media.Text{Place: session.Place(in.Place), Response: uint32(in.Response), Keep: uint64(keep), After: uint32(in.After)})
}

func (w *writer) write(delta string) error {
	if w == nil {
		return nil
	}
	return w.send(&media.Text{Delta: delta})
}

// complete says that the text is whole and waits until the gateway has it.
func (w *writer) complete(ctx context.Context) error {
	if w == nil {
		return nil
	}
	if err := w.send(&media.Text{Complete: true}); err != nil {
		return err
	}
	if err := w.stream.CloseSend(); err != nil {
		return session.Err(ctx, "write the answer", err)
	}
	select {
	case err := <-w.ended:
		w.ended <- err
		return err
	case <-time.After(doneTimeout):
		return activities.Retryable(activities.KindTimeout, fmt.Errorf("the gateway did not confirm the answer within %s", doneTimeout))
	}
}

// abandon ends the stream, which leaves an incomplete response open for the
// next attempt, and waits for its goroutine.
func (w *writer) abandon() {
	w.stop()
	<-w.ended
	w.release()
}

// send returns the stream's own end when there is nobody to send to.
func (w *writer) send(t *media.Text) error {
	err := w.stream.Send(t)
	if !errors.Is(err, io.EOF) {
		// gRPC cancels the stream's context when the stream ends, which says nothing
		// about why.
		return session.Err(context.WithoutCancel(w.stream.Context()), "write the answer", err)
	}
	err = <-w.ended
	w.ended <- err
	return err
}
