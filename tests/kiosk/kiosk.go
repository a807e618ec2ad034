// Package kiosk is a kiosk without a screen: it speaks the protocol of
// docs/kiosk-protocol.md as the page does, so that tests and benchmarks come
// through the real door. Its microphone never stops and its loudspeaker plays at
// the speed of sound, unless it is told to hurry.
package kiosk

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Rate is the microphone's sample rate in Hz.
const Rate = 16000

const (
	frame      = 20 * time.Millisecond
	frameBytes = Rate / 50 * 2
	header     = 8
)

// An Event is one message from the gateway, with the time of its arrival.
type Event struct {
	At   time.Time
	Type string          // RTVI type, or "server:" and the t of a server-message, or "audio"
	Data json.RawMessage // of JSON messages
	// Of audio: which response, and how many samples have come so far.
	Response int
	Samples  int
}

// Response is what the kiosk has received of one spoken answer.
type Response struct {
	Number    int
	Rate      int // Hz
	PCM       []byte
	Sentences []string
	Visemes   int
	Gestures  []string
	First     time.Time // first audio
	Cut       bool
	PlayedMs  int
	Done      bool // played to its end, or cut

	complete bool // its last frame has come
}

// A Screen is what a kiosk shows beside the avatar.
type Screen struct {
	Title, Text, Picture, Map, Mark, Alt string
	Buttons                              []struct{ Value, Label string }
}

// Options say how a kiosk behaves.
type Options struct {
	URL   string // ws://host:port/v1/kiosk
	Token string
	// Mute keeps the microphone closed; typing and touching still work.
	Mute bool
	// Hurry plays every response the moment it arrives.
	Hurry bool
	// Resume is the token of an earlier session.
	Resume string
}

// A Kiosk is one connection.
type Kiosk struct {
	options Options
	conn    *websocket.Conn
	stop    context.CancelFunc
	done    sync.WaitGroup

	write sync.Mutex // one writer at a time

	mu        sync.Mutex
	changed   chan struct{} // closed and replaced whenever something has happened
	events    []Event
	responses map[int]*Response
	speech    []byte // what the microphone still has to say
	spoken    chan struct{}
	seq       int64
	acked     int64
	screen    Screen
	err       error
	ready     struct {
		Session     string
		ResumeToken string
	}
}

// Dial opens the connection and waits for bot-ready.
func Dial(ctx context.Context, o Options) (*Kiosk, error) {
	d := websocket.Dialer{Subprotocols: []string{"parley.v1", "bearer." + o.Token}, HandshakeTimeout: 10 * time.Second}
	conn, resp, err := d.DialContext(ctx, o.URL, nil)
	if err != nil {
		if resp != nil {
			return nil, fmt.Errorf("dial %s: %w (%s)", o.URL, err, resp.Status)
		}
		return nil, fmt.Errorf("dial %s: %w", o.URL, err)
	}
	run, stop := context.WithCancel(context.Background())
	k := &Kiosk{
		options: o, conn: conn, stop: stop, changed: make(chan struct{}),
		responses: map[int]*Response{},
	}
	k.done.Go(k.read)
	k.done.Go(func() { k.play(run) })
	if !o.Mute {
		k.done.Go(func() { k.listen(run) })
	}
	e, err := k.Wait(ctx, 0, func(e Event) bool { return e.Type == "bot-ready" })
	if err != nil {
		k.Close()
		return nil, err
	}
	var ready struct {
		About struct {
			Session     string `json:"session"`
			ResumeToken string `json:"resume_token"`
		} `json:"about"`
	}
	if err := json.Unmarshal(e.Data, &ready); err != nil {
		k.Close()
		return nil, fmt.Errorf("bot-ready: %w", err)
	}
	k.ready.Session, k.ready.ResumeToken = ready.About.Session, ready.About.ResumeToken
	if o.Resume != "" {
		return k, k.message("client-message", "", map[string]any{"t": "resume", "d": map[string]any{"token": o.Resume, "last_seq": 0}})
	}
	return k, nil
}

// ResumeToken lets another connection take this session over.
func (k *Kiosk) ResumeToken() string { return k.ready.ResumeToken }

// Session is the gateway's name for this kiosk's presence.
func (k *Kiosk) Session() string { return k.ready.Session }

// Close hangs up.
func (k *Kiosk) Close() {
	k.stop()
	k.conn.Close()
	k.done.Wait()
}

// Start tells that a customer is here.
func (k *Kiosk) Start(language string) error {
	data := map[string]any{"version": "1.0.0"}
	if language != "" {
		data["language"] = language
	}
	return k.numbered("client-ready", data)
}

// Type sends what a customer typed.
func (k *Kiosk) Type(text string) error {
	return k.numbered("send-text", map[string]any{"content": text})
}

// Touch sends a touched button's value.
func (k *Kiosk) Touch(value string) error {
	return k.numbered("ui-event", map[string]any{"value": value})
}

// Hush touches the face.
func (k *Kiosk) Hush() error {
	return k.numbered("client-message", map[string]any{"t": "interrupt"})
}

// OwnVAD says that this kiosk detects speech itself; SpeechStart and SpeechEnd
// are then its to tell.
func (k *Kiosk) OwnVAD() error {
	return k.message("client-message", "", map[string]any{"t": "vad", "d": map[string]any{"mode": "kiosk"}})
}

// SpeechStart tells that the customer has begun to speak.
func (k *Kiosk) SpeechStart() error {
	return k.numbered("client-message", map[string]any{"t": "speech-start"})
}

// SpeechEnd tells that the customer has finished.
func (k *Kiosk) SpeechEnd() error {
	return k.numbered("client-message", map[string]any{"t": "speech-end"})
}

// Leave ends the conversation.
func (k *Kiosk) Leave() error { return k.numbered("disconnect-bot", nil) }

// Send writes any message, for those who want to send a wrong one.
func (k *Kiosk) Send(kind int, payload []byte) error {
	k.write.Lock()
	defer k.write.Unlock()
	return k.conn.WriteMessage(kind, payload)
}

// Say speaks 16 kHz PCM16 in real time, and returns the moment its last frame
// has left.
func (k *Kiosk) Say(ctx context.Context, pcm []byte) (time.Time, error) {
	done := make(chan struct{})
	k.mu.Lock()
	k.speech = append(k.speech, pcm...)
	k.spoken = done
	k.mu.Unlock()
	select {
	case <-done:
		return time.Now(), nil
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
}

// Mark is a place in the stream of events; what came before it is past.
func (k *Kiosk) Mark() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.events)
}

// Wait gives the first event since a mark for which a condition holds.
func (k *Kiosk) Wait(ctx context.Context, mark int, is func(Event) bool) (Event, error) {
	for {
		k.mu.Lock()
		for ; mark < len(k.events); mark++ {
			if is(k.events[mark]) {
				e := k.events[mark]
				k.mu.Unlock()
				return e, nil
			}
		}
		changed, err := k.changed, k.err
		k.mu.Unlock()
		if err != nil {
			return Event{}, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("%w; events so far: %s", ctx.Err(), k.Story())
		}
	}
}

// State waits for the gateway to tell a state: listening, thinking, speaking, idle.
func (k *Kiosk) State(ctx context.Context, mark int, state string) (Event, error) {
	return k.Wait(ctx, mark, func(e Event) bool {
		var d struct {
			State string `json:"state"`
		}
		return e.Type == "server:state" && json.Unmarshal(e.Data, &d) == nil && d.State == state
	})
}

// Responses gives what has been received of each response whose number is
// greater than after.
func (k *Kiosk) Responses(after int) []Response {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []Response
	for n := after + 1; n <= after+1000; n++ {
		if r := k.responses[n]; r != nil {
			all = append(all, *r)
		}
	}
	return all
}

// Last is the highest response number so far.
func (k *Kiosk) Last() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	last := 0
	for n := range k.responses {
		last = max(last, n)
	}
	return last
}

// Acked is the highest number that the gateway has called durable.
func (k *Kiosk) Acked() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.acked
}

// Screen is what the kiosk shows now.
func (k *Kiosk) Screen() Screen {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.screen
}

// Story tells what has happened, for a failing test.
func (k *Kiosk) Story() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := ""
	audio := 0
	for _, e := range k.events {
		if e.Type == "audio" {
			audio++
			continue
		}
		if audio > 0 {
			s += fmt.Sprintf("\n  … %d audio frames", audio)
			audio = 0
		}
		data := string(e.Data)
		if len(data) > 160 {
			data = data[:160] + "…"
		}
		s += fmt.Sprintf("\n  %s %s %s", e.At.Format("05.000"), e.Type, data)
	}
	return s
}

func (k *Kiosk) numbered(kind string, data any) error {
	k.mu.Lock()
	k.seq++
	id := strconv.FormatInt(k.seq, 10)
	k.mu.Unlock()
	return k.message(kind, id, data)
}

func (k *Kiosk) message(kind, id string, data any) error {
	if id == "" {
		id = "m"
	}
	m := map[string]any{"label": "rtvi-ai", "type": kind, "id": id}
	if data != nil {
		m["data"] = data
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return k.Send(websocket.TextMessage, b)
}

func (k *Kiosk) read() {
	for {
		kind, b, err := k.conn.ReadMessage()
		if err == nil {
			err = k.take(kind, b)
		}
		if err != nil {
			k.mu.Lock()
			k.err = fmt.Errorf("connection: %w", err)
			k.announce()
			k.mu.Unlock()
			return
		}
	}
}

// announce wakes everybody who waits; the lock is held.
func (k *Kiosk) announce() {
	close(k.changed)
	k.changed = make(chan struct{})
}

func (k *Kiosk) take(kind int, b []byte) error {
	e := Event{At: time.Now()}
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.announce()
	if kind == websocket.BinaryMessage {
		if len(b) < header {
			return errors.New("binary frame without a header")
		}
		n := int(binary.LittleEndian.Uint16(b[2:4]))
		r := k.response(n)
		if r.First.IsZero() {
			r.First = e.At
		}
		at := int(binary.LittleEndian.Uint32(b[4:8])) * 2
		if at > len(r.PCM) {
			return fmt.Errorf("response %d: a frame at sample %d after %d samples leaves a gap", n, at/2, len(r.PCM)/2)
		}
		r.PCM = append(r.PCM[:at], b[header:]...)
		r.complete = b[1]&1 != 0
		e.Type, e.Response, e.Samples = "audio", n, len(r.PCM)/2
		k.events = append(k.events, e)
		return nil
	}
	var m struct {
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("message: %w", err)
	}
	e.Type, e.Data = m.Type, m.Data
	if m.Type == "server-message" {
		var s struct {
			T string          `json:"t"`
			D json.RawMessage `json:"d"`
		}
		if err := json.Unmarshal(m.Data, &s); err != nil {
			return fmt.Errorf("server-message: %w", err)
		}
		e.Type, e.Data = "server:"+s.T, s.D
	}
	var d struct {
		Response int    `json:"response"`
		Rate     int    `json:"rate"`
		Seq      int64  `json:"seq"`
		Text     string `json:"text"`
		Cues     []struct {
			Viseme  string `json:"viseme"`
			Gesture string `json:"gesture"`
		} `json:"cues"`
	}
	if len(e.Data) > 0 {
		_ = json.Unmarshal(e.Data, &d) // messages without these fields say nothing here
	}
	switch e.Type {
	case "server:ack":
		k.acked = d.Seq
	case "server:audio":
		k.response(d.Response).Rate = d.Rate
	case "server:clear":
		r := k.response(d.Response)
		r.Cut = true
	case "server:cues":
		r := k.response(d.Response)
		for _, c := range d.Cues {
			if c.Gesture != "" {
				r.Gestures = append(r.Gestures, c.Gesture)
			} else {
				r.Visemes++
			}
		}
	case "server:screen":
		k.screen = Screen{}
		if err := json.Unmarshal(e.Data, &k.screen); err != nil {
			return fmt.Errorf("screen: %w", err)
		}
	case "bot-output":
		r := k.response(d.Response)
		r.Sentences = append(r.Sentences, d.Text)
	}
	k.events = append(k.events, e)
	return nil
}

func (k *Kiosk) response(n int) *Response {
	r := k.responses[n]
	if r == nil {
		r = &Response{Number: n}
		k.responses[n] = r
	}
	return r
}

// play is the loudspeaker: it plays response after response and reports how far
// it has come.
func (k *Kiosk) play(ctx context.Context) {
	tick := time.NewTicker(frame)
	defer tick.Stop()
	current, report := 0, 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		k.mu.Lock()
		if current == 0 || k.responses[current].Done {
			current = k.nextUnplayed()
		}
		r := k.responses[current]
		if r == nil || r.Rate == 0 {
			k.mu.Unlock()
			continue
		}
		have := len(r.PCM) / 2 * 1000 / r.Rate
		if k.options.Hurry {
			r.PlayedMs = have
		} else {
			r.PlayedMs = min(have, r.PlayedMs+int(frame.Milliseconds()))
		}
		r.Done = r.Cut || r.complete && r.PlayedMs >= have
		played, done := r.PlayedMs, r.Done
		k.mu.Unlock()
		if report++; done || report%5 == 0 {
			if k.message("client-message", "", map[string]any{"t": "played", "d": map[string]any{"response": current, "ms": played, "done": done}}) != nil {
				return
			}
		}
	}
}

// nextUnplayed is the lowest response that is not done, or 0; the lock is held.
func (k *Kiosk) nextUnplayed() int {
	next := 0
	for n, r := range k.responses {
		if !r.Done && (len(r.PCM) > 0 || r.Cut) && (next == 0 || n < next) {
			next = n
		}
	}
	return next
}

// listen is the microphone: a frame every 20 ms, silence when nobody speaks.
func (k *Kiosk) listen(ctx context.Context) {
	tick := time.NewTicker(frame)
	defer tick.Stop()
	packet := make([]byte, header+frameBytes)
	packet[0] = 1
	samples := uint32(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		k.mu.Lock()
		n := copy(packet[header:], k.speech)
		k.speech = k.speech[n:]
		clear(packet[header+n:])
		var spoken chan struct{}
		if len(k.speech) == 0 && k.spoken != nil {
			spoken, k.spoken = k.spoken, nil
		}
		k.mu.Unlock()
		binary.LittleEndian.PutUint32(packet[4:8], samples)
		samples += frameBytes / 2
		if k.Send(websocket.BinaryMessage, packet) != nil {
			return
		}
		if spoken != nil {
			close(spoken)
		}
	}
}
