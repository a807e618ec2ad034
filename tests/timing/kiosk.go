package timing

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/praesenz/parley/gateway/wire"
)

// A kiosk is one with a microphone, a loudspeaker and a clock of its own: the
// bubble's. It knows the gateway's protocol and nothing of what is behind it.
type kiosk struct {
	network *network
	token   string
	ownVAD  bool
	echo    float64 // of the loudspeaker in the microphone, as a factor
	note    func(lane, kind, text string)

	write sync.Mutex // one writer at a time

	mu        sync.Mutex
	conn      *websocket.Conn // nil: offline
	closed    chan struct{}   // when its reader has ended
	listening chan struct{}   // closed when the kiosk listens for the first time
	resume    string
	seq       int64
	unacked   []numbered
	state     string
	mic       []sound // what is still to be heard
	responses map[int]*playback
	current   *playback
	queue     []*playback
}

// A numbered message is kept until the gateway has acknowledged it.
type numbered struct {
	seq     int64
	message map[string]any
}

// A sound begins at a time, to the sample.
type sound struct {
	at  time.Time
	pcm []int16
	end func() // when its last sample has been sent
}

// A playback is one response in the loudspeaker.
type playback struct {
	number int
	texts  []string
	pcm    []byte // all that was received, at its place
	have   int    // samples, up to which it can be played
	last   bool   // no more will come
	at     int    // the sample at which the loudspeaker began
	since  time.Time
	dry    *time.Timer // when all that there is has been played
	played bool        // to its end, or given up
}

func (p *playback) playing() bool { return !p.since.IsZero() }

// position is the sample that is being heard.
func (p *playback) position(now time.Time) int {
	if !p.playing() {
		return p.at
	}
	return min(p.have, p.at+int(now.Sub(p.since)*voiceRate/time.Second))
}

// header is the length of a binary frame's.
const header = 8

func milliseconds(samples int) int { return samples * 1000 / voiceRate }

// connect dials a gateway; with a resume token the session goes on.
func (k *kiosk) connect(ctx context.Context, address string) error {
	d := websocket.Dialer{
		Subprotocols:   []string{wire.Subprotocol, wire.BearerPrefix + k.token},
		NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return k.network.dial(ctx, address) },
	}
	conn, resp, err := d.DialContext(ctx, "ws://"+address+"/v1/kiosk", http.Header{})
	if err != nil {
		return fmt.Errorf("dial %s: %w", address, err)
	}
	resp.Body.Close()
	k.mu.Lock()
	k.conn, k.closed = conn, make(chan struct{})
	resume, unacked, closed := k.resume, slices.Clone(k.unacked), k.closed
	var played map[string]any
	if p := k.current; p != nil {
		played = map[string]any{"response": p.number, "ms": milliseconds(p.position(time.Now()))}
	}
	k.mu.Unlock()
	go func() {
		defer close(closed)
		k.read(conn)
	}()
	if resume != "" {
		d := map[string]any{"token": resume}
		if played != nil {
			d["played"] = played
		}
		k.tell("resume", d)
		for _, m := range unacked {
			k.send(m.message)
		}
	}
	if k.ownVAD {
		k.tell("vad", map[string]any{"mode": "kiosk"})
	}
	return nil
}

// lose ends the connection as a network does. What is in the loudspeaker stops.
func (k *kiosk) lose() {
	k.mu.Lock()
	conn, closed := k.conn, k.closed
	k.conn = nil
	k.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
	if closed != nil {
		<-closed // the gateway may have ended it just now
	}
}

// start begins a conversation.
func (k *kiosk) start() {
	k.number("client-ready", map[string]any{"version": wire.Version, "language": "en"})
}

// number sends a message that changes the conversation.
func (k *kiosk) number(kind string, data any) {
	k.mu.Lock()
	k.seq++
	m := map[string]any{"label": wire.Label, "type": kind, "id": strconv.FormatInt(k.seq, 10)}
	if data != nil {
		m["data"] = data
	}
	k.unacked = append(k.unacked, numbered{k.seq, m})
	k.mu.Unlock()
	k.send(m)
}

// client sends one of our own messages, with a number.
func (k *kiosk) client(t string) { k.number("client-message", map[string]any{"t": t}) }

// tell sends one without.
func (k *kiosk) tell(t string, d any) {
	k.send(map[string]any{"label": wire.Label, "type": "client-message", "id": "m", "data": map[string]any{"t": t, "d": d}})
}

func (k *kiosk) send(m map[string]any) {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // our own maps
	}
	k.frame(websocket.TextMessage, b)
}

// frame writes; a connection that has gone takes nothing.
func (k *kiosk) frame(kind int, b []byte) {
	k.mu.Lock()
	conn := k.conn
	k.mu.Unlock()
	if conn == nil {
		return
	}
	k.write.Lock()
	defer k.write.Unlock()
	_ = conn.WriteMessage(kind, b) // the reader learns of it
}

// listen is the microphone: a frame every 20 ms, until ctx ends.
func (k *kiosk) listen(ctx context.Context) {
	// Beside the round times at which all else happens, whose order with a frame
	// would be chance.
	time.Sleep(7 * time.Millisecond)
	tick := time.NewTicker(frame)
	defer tick.Stop()
	var sent uint32
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		pcm, ended, open := k.hear(time.Now())
		if !open {
			continue
		}
		b := binary.LittleEndian.AppendUint32([]byte{1, 0, 0, 0}, sent)
		for _, v := range pcm {
			b = binary.LittleEndian.AppendUint16(b, uint16(v))
		}
		sent += frameSamples
		k.frame(websocket.BinaryMessage, b)
		for _, end := range ended {
			end()
		}
	}
}

// hear mixes what the microphone has heard in the frame that ends now. It is open
// during a conversation.
func (k *kiosk) hear(now time.Time) (pcm [frameSamples]int16, ended []func(), open bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	began := now.Add(-frame)
	if p := k.current; p != nil && k.echo > 0 && p.playing() {
		from := p.position(began)
		for i := range pcm {
			if at := (from + i) * 2; at >= 0 && at+1 < len(p.pcm) && from+i < p.have {
				pcm[i] = int16(k.echo*float64(int16(binary.LittleEndian.Uint16(p.pcm[at:])))) &^ (marks - 1)
			}
		}
	}
	rest := k.mic[:0]
	for _, s := range k.mic {
		from := int(began.Sub(s.at) * micRate / time.Second)
		for i := range pcm {
			if at := from + i; at >= 0 && at < len(s.pcm) {
				pcm[i] = (pcm[i]+s.pcm[at])&^(marks-1) | s.pcm[at]&(marks-1)
			}
		}
		if from+frameSamples < len(s.pcm) {
			rest = append(rest, s)
		} else if s.end != nil {
			ended = append(ended, s.end)
		}
	}
	k.mic = rest
	return pcm, ended, k.state != "" && k.state != "idle"
}

// say lets the microphone hear something from now on.
func (k *kiosk) say(pcm []int16, end func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mic = append(k.mic, sound{at: time.Now(), pcm: pcm, end: end})
}

// report tells the gateway the played position, as the page does.
func (k *kiosk) report(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		k.mu.Lock()
		p := k.current
		if p == nil || !p.playing() {
			k.mu.Unlock()
			continue
		}
		number, ms := p.number, milliseconds(p.position(time.Now()))
		k.mu.Unlock()
		k.tell("played", map[string]any{"response": number, "ms": ms})
	}
}

func (k *kiosk) read(conn *websocket.Conn) {
	for {
		kind, b, err := conn.ReadMessage()
		if err != nil {
			k.mu.Lock()
			if k.conn == conn {
				k.conn = nil
			}
			k.stopPlaying(time.Now())
			k.mu.Unlock()
			if closed, ok := err.(*websocket.CloseError); ok {
				k.note(laneKiosk, kindClosed, strconv.Itoa(closed.Code))
			}
			return
		}
		if kind == websocket.BinaryMessage {
			k.play(b)
		} else {
			k.take(b)
		}
	}
}

// take does what a message says.
func (k *kiosk) take(b []byte) {
	var m struct {
		Type string
		Data struct {
			T        string
			D        json.RawMessage
			Text     string
			Response int
			Final    bool
			PlayedMs int `json:"played_ms"`
			Error    string
			About    struct {
				ResumeToken string `json:"resume_token"`
			}
		}
	}
	if err := json.Unmarshal(b, &m); err != nil {
		k.note(laneKiosk, kindFault, err.Error())
		return
	}
	var d struct {
		Seq      int64
		State    string
		Response int
		Outcome  string
	}
	if m.Type == "server-message" {
		m.Type = m.Data.T
		if len(m.Data.D) > 0 {
			if err := json.Unmarshal(m.Data.D, &d); err != nil {
				k.note(laneKiosk, kindFault, err.Error())
				return
			}
		}
	}
	switch m.Type {
	case "bot-ready":
		k.mu.Lock()
		k.resume = m.Data.About.ResumeToken
		k.mu.Unlock()
	case "ack":
		k.mu.Lock()
		k.unacked = slices.DeleteFunc(k.unacked, func(n numbered) bool { return n.seq <= d.Seq })
		k.mu.Unlock()
	case "user-started-speaking":
		k.note(laneGateway, kindSpeech, "")
	case "user-stopped-speaking":
		k.note(laneGateway, kindTurn, "")
	case "user-transcription":
		if m.Data.Final {
			k.note(laneGateway, kindHeard, m.Data.Text)
		}
	case "bot-output":
		k.mu.Lock()
		p := k.playback(m.Data.Response)
		if !slices.Contains(p.texts, m.Data.Text) {
			p.texts = append(p.texts, m.Data.Text)
		}
		k.mu.Unlock()
	case "bot-interrupted":
		k.note(laneGateway, kindInterrupted, seconds(time.Duration(m.Data.PlayedMs)*time.Millisecond))
	case "clear":
		k.clear(d.Response)
	case "state":
		k.note(laneGateway, kindState, d.State)
		k.mu.Lock()
		k.state = d.State
		if d.State == "listening" && k.listening != nil {
			close(k.listening)
			k.listening = nil
		}
		k.mu.Unlock()
	case "ended":
		k.note(laneGateway, kindEnded, d.Outcome)
	case "away", "back", "move":
		k.note(laneGateway, m.Type, "")
	case "error":
		k.note(laneKiosk, kindFault, string(b))
	}
}

func (k *kiosk) playback(number int) *playback {
	p := k.responses[number]
	if p == nil {
		p = &playback{number: number}
		k.responses[number] = p
	}
	return p
}

// play takes a frame of the kiosk's voice. One that the loudspeaker has not come
// to yet replaces what was there from its place on.
func (k *kiosk) play(b []byte) {
	if len(b) < header {
		k.note(laneKiosk, kindFault, "a binary frame without a header")
		return
	}
	last, at, pcm := b[1]&1 != 0, int(binary.LittleEndian.Uint32(b[4:])), b[header:]
	k.mu.Lock()
	p := k.playback(int(binary.LittleEndian.Uint16(b[2:])))
	now := time.Now()
	if !p.playing() {
		p.at, p.have = at, at
	}
	if at > p.have {
		k.mu.Unlock()
		k.note(laneKiosk, kindFault, fmt.Sprintf("response %d: a frame at sample %d leaves a gap behind %d", p.number, at, p.have))
		return
	}
	if missing := at*2 - len(p.pcm); missing > 0 {
		p.pcm = append(p.pcm, make([]byte, missing)...)
	}
	p.pcm = append(p.pcm[:at*2], pcm...)
	p.have, p.last, p.played = at+len(pcm)/2, last, false
	switch {
	case k.current == nil || k.current == p:
		k.sound(p, now)
	case !slices.Contains(k.queue, p):
		k.queue = append(k.queue, p)
	}
	k.mu.Unlock()
}

// sound plays what there is of a response; the lock is held.
func (k *kiosk) sound(p *playback, now time.Time) {
	k.current = p
	if !p.playing() {
		p.since = now
		switch text := strings.Join(p.texts, " "); {
		case p.at == 0:
			k.note(laneKiosk, kindSpeaking, text)
		default:
			k.note(laneKiosk, kindResumed, seconds(time.Duration(milliseconds(p.at))*time.Millisecond))
		}
	}
	left := time.Duration(p.have-p.at)*time.Second/voiceRate - now.Sub(p.since)
	if p.dry != nil {
		p.dry.Stop()
	}
	p.dry = time.AfterFunc(left, func() { k.ranDry(p) })
}

// ranDry is when the loudspeaker has played all that there is of a response.
func (k *kiosk) ranDry(p *playback) {
	k.mu.Lock()
	if k.current != p || !p.playing() || p.position(time.Now()) < p.have {
		k.mu.Unlock()
		return
	}
	number, ms, done := p.number, milliseconds(p.have), p.last
	k.stopPlaying(time.Now())
	if done {
		p.played = true
		k.next()
	}
	k.mu.Unlock()
	if done {
		k.tell("played", map[string]any{"response": number, "ms": ms, "done": true})
	}
}

// stopPlaying stills the loudspeaker; the lock is held.
func (k *kiosk) stopPlaying(now time.Time) {
	p := k.current
	if p == nil || !p.playing() {
		return
	}
	p.at = p.position(now)
	p.since = time.Time{}
	p.dry.Stop()
	k.note(laneKiosk, kindSilent, seconds(time.Duration(milliseconds(p.at))*time.Millisecond))
}

// next plays what has been waiting; the lock is held.
func (k *kiosk) next() {
	k.current = nil
	if len(k.queue) > 0 {
		p := k.queue[0]
		k.queue = k.queue[1:]
		k.sound(p, time.Now())
	}
}

// clear lets go of what there is of a response.
func (k *kiosk) clear(number int) {
	k.mu.Lock()
	p := k.playback(number)
	cleared := k.current == p
	if cleared {
		k.stopPlaying(time.Now())
		p.have = p.at
		k.next()
	}
	k.queue = slices.DeleteFunc(k.queue, func(q *playback) bool { return q == p })
	ms := milliseconds(p.at)
	k.mu.Unlock()
	if cleared {
		k.tell("played", map[string]any{"response": number, "ms": ms, "done": true})
	}
}
