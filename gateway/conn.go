package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/time/rate"

	"github.com/praesenz/parley/gateway/wire"
)

// maxControl is how many messages wait for a kiosk that does not read; then it
// counts as gone.
const maxControl = 512

// buffers lend the memory into which a message is read, so that a kiosk that is
// silent needs none.
var buffers = sync.Pool{New: func() any { return new([maxMessage + 1]byte) }}

// A conn is one WebSocket. One goroutine reads, one writes, and serve returns
// when both have stopped.
type conn struct {
	g            *Gateway
	ws           *websocket.Conn
	dialect      dialect
	log          *slog.Logger
	store, kiosk string
	about        About
	bell         chan struct{} // capacity 1: there is something for the writer

	frames, messages *rate.Limiter // of the reader
	complaints       *rate.Limiter // of errors sent about audio

	mu      sync.Mutex
	session *session
	ready   wire.Out // bot-ready, kept for the client-ready of a kiosk that is unaware
	queue   []wire.Out
	code    int // of closing; 0: open
	reason  string
}

func newConn(g *Gateway, ws *websocket.Conn, d dialect, store, kiosk string, about About) *conn {
	return &conn{
		g: g, ws: ws, dialect: d, store: store, kiosk: kiosk, about: about,
		log:        g.log.With("store", store, "kiosk", kiosk),
		bell:       make(chan struct{}, 1),
		frames:     rate.NewLimiter(wire.FramesASecond, wire.FramesASecond),
		messages:   rate.NewLimiter(wire.MessagesSecond, wire.MessagesBurst),
		complaints: rate.NewLimiter(1, 2),
	}
}

// serve runs the connection until it is closed.
func (c *conn) serve(ctx context.Context) {
	defer c.g.dismiss(c)
	s, err := c.g.admit(c)
	if err != nil {
		c.g.meters.closed.WithLabelValues(strconv.Itoa(wire.CloseTooMany)).Inc()
		refuse(c.ws, wire.CloseTooMany, err.Error())
		drop(c.ws)
		return
	}
	if c.dialect.unaware() {
		s = c.g.takeUp(s)
	}
	c.take(s, nil)
	c.log.Info("kiosk connected", "session", s.id)

	written := make(chan struct{})
	go func() {
		defer close(written)
		c.write(ctx)
	}()
	why := c.read()
	c.close(websocket.CloseNormalClosure, "") // the writer stops, whoever was first
	<-written
	c.ws.Close()
	s = c.current()
	s.detach(c, time.Now())
	c.log.Info("kiosk disconnected", "session", s.id, "why", why)
}

// take binds the connection to a session.
func (c *conn) take(s *session, played *wire.Played) {
	token, err := c.g.keys.resumeToken(s)
	if err != nil {
		c.log.Error("no resume token", "error", err)
	}
	about := wire.About{
		Store: c.store, Kiosk: c.kiosk, Session: s.id, ResumeToken: token,
		Name: c.about.Name, Languages: c.about.Languages, AudioIn: wire.AudioIn{Rate: wire.RateIn}, Brand: c.about.Brand,
	}
	if about.Name == "" {
		about.Name = c.kiosk
	}
	if about.Languages == nil {
		about.Languages = []string{}
	}
	c.mu.Lock()
	c.session = s
	c.mu.Unlock()
	s.attach(c, wire.BotReady{Version: wire.Version, About: about}, played, time.Now())
	if c.g.drained.Load() {
		c.move()
	}
}

// move asks the kiosk to connect elsewhere, because the gateway drains.
func (c *conn) move() {
	c.g.mu.Lock()
	by := c.g.moveBy
	c.g.mu.Unlock()
	if s := c.current(); s != nil { // else take will ask it
		s.move(by)
	}
}

func (c *conn) current() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

func (c *conn) ahead() time.Duration { return c.dialect.ahead() }

// tell queues a message; a kiosk that reads none is closed.
func (c *conn) tell(m wire.Out) {
	c.mu.Lock()
	if _, ok := m.(wire.BotReady); ok && c.dialect.unaware() && c.ready == nil {
		c.ready = m
		c.mu.Unlock()
		return
	}
	full := len(c.queue) >= maxControl
	if !full && c.code == 0 {
		c.queue = append(c.queue, m)
	}
	c.mu.Unlock()
	if full {
		c.g.meters.controlOverflow.Inc()
		c.close(wire.CloseIdle, "the kiosk does not read its messages")
		return
	}
	c.wake()
}

func (c *conn) wake() {
	select {
	case c.bell <- struct{}{}:
	default:
	}
}

// close makes the writer send what is queued and then close. The first reason
// counts.
func (c *conn) close(code int, reason string) {
	c.mu.Lock()
	if c.code == 0 {
		c.code, c.reason = code, reason
		c.g.meters.closed.WithLabelValues(strconv.Itoa(code)).Inc()
	}
	c.mu.Unlock()
	c.wake()
}

// pop gives the next message to write, or the close code once there is none.
func (c *conn) pop() (m wire.Out, code int, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		c.queue = nil // an idle kiosk keeps no memory for it
		return nil, c.code, c.reason
	}
	m, c.queue[0] = c.queue[0], nil
	c.queue = c.queue[1:]
	return m, 0, ""
}

// write is the only writer of data frames: messages first, then audio.
func (c *conn) write(ctx context.Context) {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	later := time.NewTimer(forever)
	defer later.Stop()
	var sound wire.Audio
	var frame []byte
	for {
		m, code, reason := c.pop()
		if m != nil {
			if !c.send(c.dialect.message(m)) {
				return
			}
			if _, ok := m.(wire.Clear); ok {
				c.g.meters.cutTime.Observe(time.Since(c.current().cleared()).Seconds())
			}
			continue
		}
		if code != 0 {
			refuse(c.ws, code, reason)
			return
		}
		due, wait := c.current().next(c, time.Now(), &sound)
		if due {
			if frame = c.dialect.audio(frame[:0], sound); len(frame) > 0 && !c.send(websocket.BinaryMessage, [][]byte{frame}) {
				return
			}
			continue
		}
		if wait == 0 {
			continue
		}
		if wait >= forever {
			sound.PCM, frame = nil, nil
		}
		later.Reset(wait)
		select {
		case <-c.bell:
		case <-later.C:
		case <-ping.C:
			if c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTimeout)) != nil {
				return
			}
		case <-ctx.Done():
			c.close(wire.CloseRestart, "the gateway restarts")
		}
	}
}

// send writes messages; the reader learns of a failure, because the connection is
// closed.
func (c *conn) send(kind int, messages [][]byte) bool {
	for _, b := range messages {
		err := c.ws.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err == nil {
			err = c.ws.WriteMessage(kind, b)
		}
		if err != nil {
			c.ws.Close()
			return false
		}
	}
	return true
}

// refuse sends a close frame and gives the other side a moment to read it.
func refuse(ws *websocket.Conn, code int, reason string) {
	message := websocket.FormatCloseMessage(code, reason[:min(len(reason), 123)])
	if ws.WriteControl(websocket.CloseMessage, message, time.Now().Add(writeTimeout)) != nil {
		ws.Close()
		return
	}
	if ws.SetReadDeadline(time.Now().Add(lingerTimeout)) != nil {
		ws.Close()
	}
}

// read is the only reader. It returns why the connection ended.
func (c *conn) read() string {
	c.ws.SetPongHandler(func(string) error { return c.alive() })
	if err := c.alive(); err != nil {
		return err.Error()
	}
	for {
		kind, r, err := c.ws.NextReader()
		if err != nil {
			return c.ended(err)
		}
		if !c.open() {
			continue // it is told why; what it still sends is let go
		}
		if err := c.alive(); err != nil {
			return err.Error()
		}
		if err := c.message(kind, r); err != nil {
			return c.ended(err)
		}
	}
}

// message reads and does one message. Its error is the connection's.
func (c *conn) message(kind int, r io.Reader) error {
	buf := buffers.Get().(*[maxMessage + 1]byte)
	defer buffers.Put(buf)
	most := c.dialect.limit(kind)
	n, err := io.ReadFull(r, buf[:most+1])
	switch {
	case err == nil:
		c.refuse("size", &wire.FieldError{Problem: "a frame of this kind has at most " + strconv.Itoa(most) + " bytes"}, true)
		c.close(wire.CloseMalformed, "a frame is too large")
		return nil
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	in, err := c.dialect.read(kind, buf[:n])
	limit := c.messages
	if in.sound {
		limit = c.frames
	}
	if !limit.Allow() {
		c.refuse("rate", &wire.FieldError{Problem: "too many messages; send at most 20 messages and 200 frames a second"}, true)
		c.close(wire.CloseTooMany, "too many messages")
		return nil
	}
	switch {
	case err == errJSON:
		c.refuse("malformed", errJSON, true)
		c.close(wire.CloseMalformed, errJSON.Problem)
	case in.sound:
		c.hear(in.pcm, err)
	default:
		c.do(in.message, err)
	}
	return nil
}

// hear takes a frame of sound, or the error that it was.
func (c *conn) hear(pcm []byte, err error) {
	c.g.meters.framesIn.Inc()
	if err == nil {
		c.settled()
		if problem := c.current().hear(pcm, time.Now()); problem != nil {
			if c.dialect.unaware() {
				return // what is said between conversations is nobody's business
			}
			err = problem
		}
	}
	// Frames come fifty times a second: the complaint need not.
	if fe, ok := errors.AsType[*wire.FieldError](err); ok {
		if c.complaints.Allow() {
			c.refuse("audio", fe, false)
		} else {
			c.g.meters.refused.WithLabelValues("audio").Inc()
		}
	}
}

// do does a message, or answers the error that it was.
func (c *conn) do(m wire.Message, err error) {
	if fe, ok := errors.AsType[*wire.FieldError](err); ok {
		c.refuse("malformed", fe, false)
		return
	}
	s := c.current()
	if r, ok := m.Body.(wire.Resume); ok && s.unused() {
		c.resume(s, r)
		return
	}
	c.settled()
	if _, ok := m.Body.(wire.ClientReady); ok && c.dialect.unaware() {
		c.greet()
	}
	if problem := s.take(m, time.Now()); problem != nil {
		c.refuse("not_now", problem, false)
	}
}

// greet tells bot-ready to a kiosk that has said client-ready.
func (c *conn) greet() {
	c.mu.Lock()
	m := c.ready
	c.mu.Unlock()
	c.tell(m)
}

// resume goes on with an earlier session, if this is the first message.
func (c *conn) resume(fresh *session, r wire.Resume) {
	s, known, err := c.g.resume(c, fresh, r.Token)
	if err != nil {
		c.refuse("resume", &wire.FieldError{Field: "data.d.token", Problem: err.Error() + "; go on with a new session"}, false)
		return
	}
	fresh.end(errReplaced)
	c.take(s, r.Played)
	s.rejoin(r.Played)
	c.log.Info("kiosk resumed", "session", s.id, "known", known)
}

// settled makes the connection's session the kiosk's only one: it has said
// something, and it was not resume.
func (c *conn) settled() {
	s := c.current()
	if old := s.settled(); old != nil {
		c.g.forget(old)
		old.end(errReplaced)
	}
}

func (c *conn) refuse(reason string, fe *wire.FieldError, fatal bool) {
	c.g.meters.refused.WithLabelValues(reason).Inc()
	c.tell(wire.Error{Message: fe.Error(), Field: fe.Field, Fatal: fatal})
}

// alive gives the kiosk time for its next sign of life.
func (c *conn) alive() error {
	if !c.open() {
		return nil // refuse has set the last deadline
	}
	return c.ws.SetReadDeadline(time.Now().Add(idleTimeout))
}

func (c *conn) open() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.code == 0
}

// ended says why reading came to an end.
func (c *conn) ended(err error) string {
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() && c.open() {
		c.close(wire.CloseIdle, "nothing was heard for too long")
		return "idle"
	}
	return err.Error()
}
