package gateway

import (
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"github.com/praesenz/parley/gateway/pipecat"
	"github.com/praesenz/parley/gateway/wire"
)

// maxMessage is the size in bytes of the largest WebSocket message that a kiosk
// may send, in any dialect.
const maxMessage = max(wire.MaxText, wire.MaxBinary, pipecat.MaxFrame)

// stockAhead is how far audio is sent to a stock client before it is played. The
// client cannot throw away what it has: so much is still heard when a response is
// cut. Less, and it runs dry when a network or a browser is late.
const stockAhead = 240 * time.Millisecond

// errJSON ends the connection of a client of ours that forgot its subprotocol.
var errJSON = &wire.FieldError{Problem: "to send JSON, offer the subprotocol " + wire.Subprotocol}

// A dialect is how a connection's messages and audio are written as WebSocket
// messages. One goroutine reads and one writes; what either needs is its own.
type dialect interface {
	// limit is how many bytes a WebSocket message of a type may have.
	limit(kind int) int
	// read reads one. The error is a *wire.FieldError; what was received tells
	// whether it was sound all the same.
	read(kind int, b []byte) (incoming, error)

	// message gives the WebSocket messages, and their type, that tell a kiosk m.
	message(m wire.Out) (kind int, messages [][]byte)
	// audio appends to dst the binary message with a frame of a response; nothing
	// when there is nothing to hear in it.
	audio(dst []byte, a wire.Audio) []byte

	// ahead is how far audio is sent before it is played.
	ahead() time.Duration
	// unaware tells that the kiosk knows nothing of sessions: it cannot resume
	// one, takes bot-ready for the answer to client-ready, and sends audio whether
	// or not a conversation is under way.
	unaware() bool
}

// incoming is what one WebSocket message holds.
type incoming struct {
	sound   bool
	pcm     []byte // of wire.RateIn; valid until the next read
	message wire.Message
}

// speaks gives the dialect that a connection's request asks for; nil: none that
// is known. A stock client of Pipecat cannot offer a subprotocol, which is how it
// is known.
func speaks(r *http.Request, ws *websocket.Conn) dialect {
	switch {
	case ws.Subprotocol() == wire.Subprotocol:
		return ours{}
	case len(websocket.Subprotocols(r)) == 0:
		return &stock{reader: pipecat.Reader{Language: r.URL.Query().Get("language")}}
	}
	return nil
}

// ours is wire.Subprotocol: JSON text frames, and binary ones with audio.
type ours struct{}

func (ours) limit(kind int) int {
	if kind == websocket.BinaryMessage {
		return wire.MaxBinary
	}
	return wire.MaxText
}

func (ours) read(kind int, b []byte) (incoming, error) {
	if kind == websocket.BinaryMessage {
		a, err := wire.DecodeAudio(b)
		return incoming{sound: true, pcm: a.PCM}, err
	}
	m, err := wire.Decode(b)
	return incoming{message: m}, err
}

func (ours) message(m wire.Out) (int, [][]byte) {
	return websocket.TextMessage, [][]byte{wire.Encode(m)}
}

func (ours) audio(dst []byte, a wire.Audio) []byte { return a.Append(dst) }

func (ours) ahead() time.Duration { return ahead }

func (ours) unaware() bool { return false }

// stock is what Pipecat's stock clients speak: protobuf frames.
type stock struct {
	reader pipecat.Reader
	writer pipecat.Writer
}

func (*stock) limit(int) int { return pipecat.MaxFrame }

func (s *stock) read(kind int, b []byte) (incoming, error) {
	if kind != websocket.BinaryMessage {
		return incoming{}, errJSON
	}
	r, err := s.reader.Read(b)
	return incoming{sound: r.Sound, pcm: r.PCM, message: r.Message}, err
}

func (s *stock) message(m wire.Out) (int, [][]byte) {
	return websocket.BinaryMessage, s.writer.Message(m)
}

func (s *stock) audio(dst []byte, a wire.Audio) []byte { return s.writer.Audio(dst, a) }

func (*stock) ahead() time.Duration { return stockAhead }

func (*stock) unaware() bool { return true }
