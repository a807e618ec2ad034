package chaos

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	rate       = 16000 // of the microphone, Hz
	tick       = 20 * time.Millisecond
	frameBytes = rate / 50 * 2
	header     = 8
	prebuffer  = 80 // ms of audio before a response starts or goes on

	// As the kiosk's page does it.
	connectTimeout = 10 * time.Second
	silenceTimeout = 10 * time.Second
	resumeTimeout  = 3 * time.Second
	firstBackoff   = 250 * time.Millisecond
	backoffGrowth  = 1.5
	mostBackoff    = 8 * time.Second

	// pause is the longest that a customer who is looked after waits without a sign.
	pause = 1200 * time.Millisecond
	// patience is how long a customer waits for the whole of an answer.
	patience = 45 * time.Second
	// unheard is how long after a spoken question the kiosk shows that it has ended.
	unheard = 4 * time.Second
)

// An input is one thing that a customer has said.
type input struct {
	turn  int
	text  string // empty: it was spoken
	seq   int64  // of what was typed
	at    time.Time
	acked time.Time // when the kiosk was told that it has arrived; zero: never
	done  time.Time // when the whole answer was heard; zero: never
	again bool      // it was said aloud before, and the kiosk did not show that it heard that
	cut   bool      // they spoke on before the kiosk had asked what else it may be
}

// A heard is a sentence that came out of the loudspeaker.
type heard struct {
	turn     int
	response int
	text     string
	share    float64 // of it, 0..1
	at       time.Time
}

// A gap is a time in which a customer saw and heard nothing new.
type gap struct{ from, to time.Time }

// A track is a response on its way through the loudspeaker.
type track struct {
	response int
	rate     int // Hz
	start    int // first sample that came
	written  int // samples that have come
	cursor   int // samples that were played
	ms       int // its length, once known
	began    time.Time
	complete bool
	running  bool
	sentence map[int]sentence // by segment
}

type sentence struct {
	text string
	atMs int
}

// A customer stands at a kiosk that behaves as the page does (kiosk/src): it
// comes back after a loss with its resume token and sends again what was not
// acknowledged. They ask one question after another, each when the answer to the
// one before was heard.
type customer struct {
	kiosk, url, token string
	rng               *rand.Rand // of talk
	voices            [][]byte   // what they say aloud now and then, in turn; none: they only type
	hasty             bool       // now and then they do not wait for the kiosk to end
	told              func(kiosk, what string)
	reports           chan map[string]any // of the played position, to be sent

	write sync.Mutex

	mu      sync.Mutex
	changed chan struct{}
	conn    *websocket.Conn
	ears    bool // the gateway has said that a conversation is under way

	session, resume string
	holding         bool // of what a new session says, until the old one is resumed
	heldFrom        time.Time
	attempts        int
	seq, unnumbered int64
	unacked         []message
	lastHeard       time.Time

	state    string
	stopped  int // utterances of which the kiosk has shown the end
	over     int // conversations that have ended
	tracks   []*track
	turns    map[int]int // in which each response was begun
	position struct{ response, ms int }
	reported time.Time
	speech   []byte // what the microphone still has to say

	turn   int
	inputs []*input
	heard  []heard
	gaps   []gap
	seen   time.Time // last progress
}

type message struct {
	seq  int64
	sent time.Time
	text []byte
}

// run holds conversations until leave is closed and the question under way is
// answered, or ctx ends.
func (c *customer) run(ctx context.Context, leave <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { c.connected(ctx) })
	wg.Go(func() { c.listen(ctx) })
	wg.Go(func() { c.report(ctx) })
	if len(c.voices) > 0 {
		wg.Go(func() { c.speak(ctx) })
	}
	c.talk(ctx, leave)
	cancel()
	wg.Wait()
}

// talk is what the customer does.
func (c *customer) talk(ctx context.Context, leave <-chan struct{}) {
	c.say("client-ready", map[string]any{"version": "1.0"}, nil)
	if !c.wait(ctx, patience, func() bool { return c.state == "listening" && len(c.tracks) == 0 }) {
		c.told(c.kiosk, "was not greeted")
	}
	for {
		select {
		case <-leave:
			c.say("disconnect-bot", nil, nil)
			if !c.wait(ctx, patience, func() bool { return len(c.unacked) == 0 }) {
				c.told(c.kiosk, "could not leave")
			}
			return
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(c.rng.IntN(300)) * time.Millisecond): // a customer draws breath
		}
		c.ask(ctx)
	}
}

// ask is one turn.
func (c *customer) ask(ctx context.Context) {
	c.mu.Lock()
	c.turn++
	turn, over := c.turn, c.over
	c.mu.Unlock()
	in := &input{turn: turn}
	if aloud := len(c.voices) > 0 && turn%2 != 0; !aloud || !c.askAloud(ctx, in) {
		in = &input{turn: turn, text: fmt.Sprintf("where are the hammers, number %d", turn), again: aloud}
		c.say("send-text", map[string]any{"content": in.text}, in)
	}
	if c.hasty && turn%3 == 1 && c.wait(ctx, patience, func() bool { return c.over > over || c.asks(turn) }) && c.interrupts(in) {
		return
	}
	// They are answered, or asked to say it again, when the kiosk listens.
	c.wait(ctx, patience, func() bool {
		return c.over > over || c.state == "listening" && len(c.tracks) == 0 && c.heardWhole(turn, "")
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.heardWhole(turn, lastWords) {
		in.done = time.Now()
	}
	if c.over > over { // a customer begins anew
		c.mu.Unlock()
		c.say("client-ready", map[string]any{"version": "1.0"}, nil)
		c.wait(ctx, patience, func() bool { return c.state == "listening" && len(c.tracks) == 0 })
		c.mu.Lock()
	}
}

// asks tells whether the kiosk is asking what else it may be, at the end of a
// turn; the lock is held.
func (c *customer) asks(turn int) bool {
	if len(c.tracks) == 0 || c.turns[c.tracks[0].response] != turn {
		return false
	}
	t := c.tracks[0]
	for _, s := range t.sentence {
		if strings.TrimSpace(s.text) == lastWords && t.rate > 0 && t.cursor*1000/t.rate > s.atMs+200 {
			return true
		}
	}
	return false
}

// interrupts ends a turn in the middle of the kiosk's question, unless that was
// not reached.
func (c *customer) interrupts(in *input) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.asks(in.turn) {
		return false
	}
	in.cut, in.done = true, time.Now()
	return true
}

// askAloud speaks, and tells whether the kiosk showed that it has heard a
// question. A customer who is not heard types.
func (c *customer) askAloud(ctx context.Context, in *input) bool {
	c.mu.Lock()
	in.at = time.Now()
	c.inputs = append(c.inputs, in)
	stopped := c.stopped
	c.speech = slices.Clone(c.voices[in.turn/2%len(c.voices)])
	c.mu.Unlock()
	c.wait(ctx, patience, func() bool { return len(c.speech) == 0 })
	if !c.wait(ctx, unheard, func() bool { return c.stopped > stopped }) {
		return false
	}
	c.mu.Lock()
	in.acked = time.Now()
	c.mu.Unlock()
	return true
}

// heardWhole tells whether a sentence of a turn was heard, any when text is empty;
// the lock is held.
func (c *customer) heardWhole(turn int, text string) bool {
	for said, times := range c.shares(turn) {
		if times > nearly && (text == "" || said == text) {
			return true
		}
	}
	return false
}

// nearly is the share of a sentence that counts as all of it: positions are told
// now and then, and a voice does not say it twice at quite the same pace.
const nearly = 0.85

// shares gives how often the sentences of a turn were heard, 1 for once, be it in
// pieces; the lock is held.
func (c *customer) shares(turn int) map[string]float64 {
	times := map[string]float64{}
	for _, h := range c.heard {
		if h.turn == turn {
			times[h.text] += h.share
		}
	}
	return times
}

// wait waits until a condition holds, which is asked with the lock held.
func (c *customer) wait(ctx context.Context, limit time.Duration, is func() bool) bool {
	late := time.NewTimer(limit)
	defer late.Stop()
	for {
		c.mu.Lock()
		ok, changed := is(), c.changed
		c.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-late.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// announce wakes everybody who waits; the lock is held.
func (c *customer) announce() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// progress notes that the customer has seen or heard something new; the lock is
// held.
func (c *customer) progress() {
	now := time.Now()
	if !c.seen.IsZero() && now.Sub(c.seen) > pause {
		c.gaps = append(c.gaps, gap{c.seen, now})
	}
	c.seen = now
}

// recovered gives how long a customer was without progress after a moment; false
// while they still are.
func (c *customer) recovered(after time.Time) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := time.Duration(0)
	for _, g := range c.gaps {
		if g.to.After(after) {
			from := g.from
			if after.After(from) {
				from = after
			}
			most = max(most, g.to.Sub(from))
		}
	}
	return most, time.Since(c.seen) < pause
}

// The link, as kiosk/src/protocol/link.ts.

// say sends what changes the conversation, now or once connected again.
func (c *customer) say(kind string, data any, in *input) {
	c.mu.Lock()
	c.seq++
	m := map[string]any{"label": "rtvi-ai", "id": strconv.FormatInt(c.seq, 10), "type": kind}
	if data != nil {
		m["data"] = data
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // of values that are in this file
	}
	if in != nil {
		in.seq, in.at = c.seq, time.Now()
		c.inputs = append(c.inputs, in)
		c.state = "thinking" // the page shows it at once
	}
	c.unacked = append(c.unacked, message{c.seq, time.Now(), text})
	conn := c.conn
	c.mu.Unlock()
	c.send(conn, websocket.TextMessage, text)
}

// tell sends what is of use only now.
func (c *customer) tell(d map[string]any) {
	c.mu.Lock()
	c.unnumbered++
	id, conn := "u"+strconv.FormatInt(c.unnumbered, 10), c.conn
	c.mu.Unlock()
	text, err := json.Marshal(map[string]any{"label": "rtvi-ai", "id": id, "type": "client-message", "data": d})
	if err != nil {
		panic(err) // of values that are in this file
	}
	c.send(conn, websocket.TextMessage, text)
}

func (c *customer) send(conn *websocket.Conn, kind int, b []byte) {
	if conn == nil {
		return
	}
	c.write.Lock()
	defer c.write.Unlock()
	if conn.SetWriteDeadline(time.Now().Add(5*time.Second)) != nil || conn.WriteMessage(kind, b) != nil {
		conn.Close() // the reader notices
	}
}

// connected keeps the kiosk connected.
func (c *customer) connected(ctx context.Context) {
	for ctx.Err() == nil {
		code, stay := c.connect(ctx)
		switch code {
		case 4400, 4401, 4403, 4409:
			c.told(c.kiosk, fmt.Sprintf("was refused with %d", code))
			return
		}
		c.mu.Lock()
		wait := min(mostBackoff, time.Duration(float64(firstBackoff)*math.Pow(backoffGrowth, float64(min(c.attempts, 16)))))
		c.attempts++
		c.mu.Unlock()
		wait = wait/2 + time.Duration(rand.Float64()*float64(wait)/2)
		if code == websocket.CloseServiceRestart && stay >= time.Second {
			wait = 0
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// connect holds one connection and gives why it closed, and how long it was.
func (c *customer) connect(ctx context.Context) (code int, stay time.Duration) {
	d := websocket.Dialer{Subprotocols: []string{"parley.v1", "bearer." + c.token}, HandshakeTimeout: connectTimeout}
	conn, _, err := d.DialContext(ctx, c.url, nil)
	if err != nil {
		return 0, 0
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c.mu.Lock()
	c.conn, c.lastHeard, c.holding, c.heldFrom = conn, time.Now(), c.resume != "", time.Now()
	resume := map[string]any{"token": c.resume}
	if c.position.response > 0 {
		resume["played"] = map[string]any{"response": c.position.response, "ms": c.position.ms}
	}
	again, holding := slices.Clone(c.unacked), c.holding
	c.mu.Unlock()
	if holding {
		c.tell(map[string]any{"t": "resume", "d": resume})
	}
	for _, m := range again {
		c.send(conn, websocket.TextMessage, m.text)
	}
	opened := time.Now()
	for {
		kind, b, err := conn.ReadMessage()
		if err == nil {
			err = c.take(kind, b)
		}
		if err != nil {
			c.mu.Lock()
			c.conn, c.ears = nil, false
			c.announce()
			c.mu.Unlock()
			var closed *websocket.CloseError
			if errors.As(err, &closed) {
				return closed.Code, time.Since(opened)
			}
			return 0, time.Since(opened)
		}
	}
}

func (c *customer) take(kind int, b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.announce()
	c.lastHeard = time.Now()
	if kind == websocket.BinaryMessage {
		return c.push(b)
	}
	var m struct {
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("message: %w", err)
	}
	if m.Type == "server-message" {
		var s struct {
			T string          `json:"t"`
			D json.RawMessage `json:"d"`
		}
		if err := json.Unmarshal(m.Data, &s); err != nil {
			return fmt.Errorf("server-message: %w", err)
		}
		m.Type, m.Data = s.T, s.D
	}
	var d struct {
		Field    string `json:"field"`
		Response int    `json:"response"`
		Segment  int    `json:"segment"`
		Text     string `json:"text"`
		AtMs     int    `json:"at_ms"`
		Rate     int    `json:"rate"`
		Ms       int    `json:"ms"`
		Seq      int64  `json:"seq"`
		State    string `json:"state"`
		Outcome  string `json:"outcome"`
		About    struct {
			Session     string `json:"session"`
			ResumeToken string `json:"resume_token"`
		} `json:"about"`
	}
	if len(m.Data) > 0 {
		if err := json.Unmarshal(m.Data, &d); err != nil {
			return fmt.Errorf("%s: %w", m.Type, err)
		}
	}
	if c.holding {
		switch {
		case m.Type == "bot-ready" && d.About.Session == c.session,
			m.Type == "error" && d.Field == "data.d.token",
			time.Since(c.heldFrom) > resumeTimeout:
			c.holding = false
		case m.Type == "bot-ready", m.Type == "state", m.Type == "screen":
			return nil
		}
	}
	switch m.Type {
	case "bot-ready":
		c.session, c.resume, c.attempts = d.About.Session, d.About.ResumeToken, 0
	case "ack":
		c.acked(d.Seq)
	case "state":
		c.ears = d.State != "idle"
		if d.State != "idle" { // another gateway than before learns of the conversation only now
			c.state = d.State
		}
		if d.State == "listening" {
			c.progress()
		}
	case "user-stopped-speaking":
		c.stopped++
	case "user-transcription":
		c.progress()
	case "audio":
		c.open(d.Response, d.Rate)
	case "bot-output":
		if t := c.track(d.Response); t != nil {
			t.sentence[d.Segment] = sentence{d.Text, d.AtMs}
		}
	case "end":
		if t := c.track(d.Response); t != nil {
			t.ms = d.Ms
			t.complete = t.complete || t.written >= (d.Ms-1)*t.rate/1000
		}
	case "clear":
		if t := c.track(d.Response); t != nil {
			c.finish(t)
		} else {
			c.played(d.Response, 0, true)
		}
	case "ended":
		for len(c.tracks) > 0 {
			c.finish(c.tracks[0])
		}
		c.position.response, c.position.ms = 0, 0
		clear(c.turns)
		c.over++
		c.state, c.ears = "idle", false
		c.told(c.kiosk, "was told that the conversation had ended: "+d.Outcome)
	}
	return nil
}

// acked takes an acknowledgement; the lock is held.
func (c *customer) acked(seq int64) {
	c.unacked = slices.DeleteFunc(c.unacked, func(m message) bool { return m.seq <= seq })
	for _, in := range c.inputs {
		if in.seq > 0 && in.seq <= seq && in.acked.IsZero() {
			in.acked = time.Now()
		}
	}
	c.progress()
}

// The loudspeaker, as kiosk/src/audio/playout.ts.

func (c *customer) track(response int) *track {
	for _, t := range c.tracks {
		if t.response == response {
			return t
		}
	}
	return nil
}

// open begins a response. A gateway begins one only when those before it are
// over, so that what has come of them is all that will.
func (c *customer) open(response, rate int) {
	if c.track(response) != nil {
		return
	}
	for _, t := range c.tracks {
		t.complete = true
	}
	if _, again := c.turns[response]; !again {
		c.turns[response] = c.turn
	}
	c.tracks = append(c.tracks, &track{response: response, rate: rate, start: -1, sentence: map[int]sentence{}})
}

func (c *customer) push(b []byte) error {
	if len(b) < header {
		return errors.New("binary frame without a header")
	}
	t := c.track(int(binary.LittleEndian.Uint16(b[2:4])))
	if t == nil {
		return nil
	}
	at := int(binary.LittleEndian.Uint32(b[4:8]))
	if t.start < 0 {
		t.start, t.cursor, t.written = at, at, at
	}
	t.written = max(t.written, at+(len(b)-header)/2)
	t.complete = t.complete || b[1]&1 != 0
	return nil
}

// listen plays what has come, at the speed of sound.
func (c *customer) listen(ctx context.Context) {
	clock := time.NewTicker(tick)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-clock.C:
		}
		c.mu.Lock()
		c.play()
		silent := len(c.unacked) > 0 && c.conn != nil && c.lastHeard.Before(c.unacked[0].sent) && time.Since(c.lastHeard) > silenceTimeout
		conn := c.conn
		c.mu.Unlock()
		if silent {
			conn.Close()
		}
	}
}

func (c *customer) play() {
	if len(c.tracks) == 0 {
		return
	}
	t := c.tracks[0]
	if t.rate == 0 || !t.running && !t.complete && (t.written-t.cursor)*1000/t.rate < prebuffer {
		return
	}
	if t.began.IsZero() {
		t.began = time.Now()
	}
	t.running = true
	if t.cursor < t.written {
		t.cursor = min(t.written, t.cursor+t.rate/50)
		c.position.response, c.position.ms = t.response, t.cursor*1000/t.rate
		c.progress()
	}
	if t.cursor >= t.written {
		t.running = false
		if t.complete {
			c.finish(t)
			c.announce()
			return
		}
	}
	if time.Since(c.reported) >= 100*time.Millisecond {
		c.reported = time.Now()
		c.played(t.response, c.position.ms, false)
	}
}

// played reports the position, in order; the lock is held.
func (c *customer) played(response, ms int, done bool) {
	select {
	case c.reports <- map[string]any{"t": "played", "d": map[string]any{"response": response, "ms": ms, "done": done}}:
	default: // the network takes nothing; the next one says it too
	}
}

func (c *customer) report(ctx context.Context) {
	for {
		select {
		case r := <-c.reports:
			c.tell(r)
		case <-ctx.Done():
			return
		}
	}
}

// finish takes a response off the loudspeaker and notes what was heard of it; the
// lock is held.
func (c *customer) finish(t *track) {
	c.tracks = slices.DeleteFunc(c.tracks, func(x *track) bool { return x == t })
	if t.rate == 0 {
		return
	}
	cursor := t.cursor * 1000 / t.rate
	for i, s := range t.sentence {
		end := max(t.ms, t.written*1000/t.rate)
		if next, ok := t.sentence[i+1]; ok {
			end = next.atMs
		}
		from := max(s.atMs, t.start*1000/t.rate)
		if cursor <= from || end <= from {
			continue
		}
		c.heard = append(c.heard, heard{
			turn: c.turns[t.response], response: t.response, text: strings.TrimSpace(s.text),
			share: float64(min(cursor, end)-from) / float64(end-s.atMs), at: t.began.Add(time.Duration(s.atMs) * time.Millisecond),
		})
	}
	c.played(t.response, cursor, true)
}

// speak is the microphone: a frame every 20 ms, silence when nobody speaks.
func (c *customer) speak(ctx context.Context) {
	clock := time.NewTicker(tick)
	defer clock.Stop()
	packet := make([]byte, header+frameBytes)
	packet[0] = 1
	samples := uint32(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-clock.C:
		}
		c.mu.Lock()
		n := copy(packet[header:], c.speech)
		c.speech = c.speech[n:]
		clear(packet[header+n:])
		if n > 0 && len(c.speech) == 0 {
			c.announce()
		}
		conn := c.conn
		if !c.ears {
			conn = nil
		}
		c.mu.Unlock()
		binary.LittleEndian.PutUint32(packet[4:8], samples)
		samples += frameBytes / 2
		c.send(conn, websocket.BinaryMessage, packet)
	}
}
