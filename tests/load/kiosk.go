package load

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	rate       = 16000 // of the microphone, Hz
	frame      = 20 * time.Millisecond
	frameBytes = rate / 50 * 2
	header     = 8
	// reportEvery is how many frames lie between two told positions.
	reportEvery = 10
	// patience is how long a customer waits for the first word of an answer, or for
	// a kiosk to have finished talking, before the turn counts as failed.
	patience = 15 * time.Second
)

// A kiosk keeps only what the next turn needs, so that hundreds of them cost
// little beside what they measure. Its microphone never stops while a
// conversation is under way, and it plays at the speed of sound.
type kiosk struct {
	conn *websocket.Conn
	ears bool           // the gateway detects speech
	stop chan struct{}  // closed to end what follows
	own  sync.WaitGroup // its reader, and its microphone and loudspeaker

	write sync.Mutex // one writer at a time
	seq   int64      // of numbered messages; the driver's alone

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced when something has happened
	state    string
	ended    bool
	err      error
	speech   int       // frames that the microphone still has to say
	silence  time.Time // when the last of them went out
	hears    bool      // the gateway takes audio
	response int       // being played, or the last one
	rate     int       // of its samples
	got      int       // its samples
	complete bool
	since    time.Time // of its playback
	first    time.Time // its first audio
	captions []string  // since the last question
}

// dial connects.
func dial(ctx context.Context, url, token string, ears bool) (*kiosk, error) {
	d := websocket.Dialer{Subprotocols: []string{"parley.v1", "bearer." + token}, HandshakeTimeout: 30 * time.Second}
	conn, resp, err := d.DialContext(ctx, url, nil)
	if err != nil {
		if resp != nil {
			return nil, fmt.Errorf("dial: %w (%s)", err, resp.Status)
		}
		return nil, fmt.Errorf("dial: %w", err)
	}
	k := &kiosk{conn: conn, ears: ears, stop: make(chan struct{}), changed: make(chan struct{})}
	k.own.Go(k.listen)
	k.own.Go(k.run)
	return k, nil
}

// close hangs up; a nil kiosk has done so.
func (k *kiosk) close() {
	if k == nil {
		return
	}
	close(k.stop)
	k.conn.Close()
	k.own.Wait()
}

// begin starts a conversation and waits until it listens.
func (k *kiosk) begin(ctx context.Context) error {
	k.mu.Lock()
	k.ended, k.state, k.response = false, "", 0
	k.mu.Unlock()
	if !k.ears {
		if err := k.tell("client-message", "m", `{"t":"vad","d":{"mode":"kiosk"}}`); err != nil {
			return err
		}
	}
	if err := k.numbered("client-ready", `{"version":"1.0.0","language":"en"}`); err != nil {
		return err
	}
	return k.until(ctx, "the kiosk listens", func() bool { return k.state == "listening" })
}

// leave ends the conversation.
func (k *kiosk) leave(ctx context.Context) error {
	if err := k.numbered("disconnect-bot", ""); err != nil {
		return err
	}
	return k.until(ctx, "the conversation is over", func() bool { return k.ended })
}

// ask says something that lasts d, and gives the time from its end to the first
// audio of an answer that holds want; it returns when the kiosk listens again.
func (k *kiosk) ask(ctx context.Context, d time.Duration, want string) (time.Duration, error) {
	k.mu.Lock()
	if k.state != "listening" {
		defer k.mu.Unlock()
		return 0, fmt.Errorf("the kiosk is %s when its customer begins to speak", k.state)
	}
	before := k.response
	k.captions = nil
	k.silence = time.Time{}
	k.mu.Unlock()
	if !k.ears {
		if err := k.numbered("client-message", `{"t":"speech-start"}`); err != nil {
			return 0, err
		}
	}
	k.mu.Lock()
	k.speech = int(d / frame)
	k.mu.Unlock()
	if err := k.until(ctx, "all is said", func() bool { return !k.silence.IsZero() }); err != nil {
		return 0, err
	}
	if !k.ears {
		if err := k.numbered("client-message", `{"t":"speech-end"}`); err != nil {
			return 0, err
		}
	}
	if err := k.until(ctx, "an answer is heard", func() bool { return k.response > before && !k.first.IsZero() }); err != nil {
		return 0, err
	}
	k.mu.Lock()
	took := k.first.Sub(k.silence)
	k.mu.Unlock()
	if err := k.until(ctx, "the kiosk listens again", func() bool { return k.state == "listening" }); err != nil {
		return 0, err
	}
	k.mu.Lock()
	said := strings.Join(k.captions, " ")
	k.mu.Unlock()
	if !strings.Contains(said, want) {
		return 0, fmt.Errorf("%q was to be heard, and it was %q", want, said)
	}
	return took, nil
}

// until waits for a condition, which is called under the lock.
func (k *kiosk) until(ctx context.Context, what string, is func() bool) error {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		k.mu.Lock()
		ok, err, changed, state, ended := is(), k.err, k.changed, k.state, k.ended
		k.mu.Unlock()
		switch {
		case ok:
			return nil
		case err != nil:
			return err
		case ended:
			return fmt.Errorf("the conversation ended before %s", what)
		}
		select {
		case <-changed:
		case <-limit.C:
			return fmt.Errorf("it took longer than %s until %s; the kiosk is %s", patience, what, state)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (k *kiosk) numbered(kind, data string) error {
	k.seq++
	return k.tell(kind, strconv.FormatInt(k.seq, 10), data)
}

func (k *kiosk) tell(kind, id, data string) error {
	m := `{"label":"rtvi-ai","type":"` + kind + `","id":"` + id + `"`
	if data != "" {
		m += `,"data":` + data
	}
	return k.send(websocket.TextMessage, []byte(m+"}"))
}

func (k *kiosk) send(kind int, b []byte) error {
	k.write.Lock()
	defer k.write.Unlock()
	return k.conn.WriteMessage(kind, b)
}

// announce wakes the driver; the lock is held.
func (k *kiosk) announce() {
	close(k.changed)
	k.changed = make(chan struct{})
}

// listen takes what the gateway sends until the connection is closed.
func (k *kiosk) listen() {
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

func (k *kiosk) take(kind int, b []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if kind == websocket.BinaryMessage {
		return k.sound(b)
	}
	var m struct {
		Type string `json:"type"`
		Data struct {
			T       string `json:"t"`
			Text    string `json:"text"`
			Message string `json:"message"`
			D       struct {
				State    string `json:"state"`
				Response int    `json:"response"`
				Rate     int    `json:"rate"`
			} `json:"d"`
		} `json:"data"`
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("message: %w", err)
	}
	switch m.Type {
	case "bot-output":
		k.captions = append(k.captions, m.Data.Text)
		return nil
	case "error":
		return errors.New(m.Data.Message)
	case "server-message":
	default:
		return nil
	}
	switch m.Data.T {
	case "state":
		k.state = m.Data.D.State
		k.hears = k.state != "idle"
	case "ended":
		k.ended, k.hears = true, false
	case "audio":
		k.response, k.rate, k.got, k.complete = m.Data.D.Response, m.Data.D.Rate, 0, false
		k.first, k.since = time.Time{}, time.Time{}
		return nil
	case "away":
		return errors.New("the gateway says that the service is away")
	default:
		return nil
	}
	k.announce()
	return nil
}

func (k *kiosk) sound(b []byte) error {
	if len(b) < header {
		return errors.New("a binary frame without a header")
	}
	if int(binary.LittleEndian.Uint16(b[2:4])) != k.response {
		return errors.New("audio of a response that was not announced")
	}
	if at := int(binary.LittleEndian.Uint32(b[4:8])); at != k.got {
		return fmt.Errorf("a frame at sample %d after %d samples", at, k.got)
	}
	k.got += (len(b) - header) / 2
	k.complete = b[1]&1 != 0
	if k.first.IsZero() {
		k.first = time.Now()
		k.since = k.first
		k.announce()
	}
	return nil
}

// run is the microphone and the loudspeaker: a frame every 20 ms while the
// gateway listens, and the played position while there is something to play.
func (k *kiosk) run() {
	tick := time.NewTicker(frame)
	defer tick.Stop()
	voice, quiet := tone(frame), make([]byte, frameBytes)
	packet := make([]byte, header+frameBytes)
	packet[0] = 1
	for samples, n := uint32(0), 0; ; n++ {
		select {
		case <-k.stop:
			return
		case <-tick.C:
		}
		k.mu.Lock()
		sound, hears, said := quiet, k.hears, false
		if k.speech > 0 {
			sound = voice
			k.speech--
			said = k.speech == 0
		}
		report := ""
		if !k.since.IsZero() {
			have := k.got * 1000 / k.rate
			ms := min(have, int(time.Since(k.since).Milliseconds()))
			done := k.complete && ms >= have
			if done {
				k.since = time.Time{}
			}
			if done || n%reportEvery == 0 {
				report = fmt.Sprintf(`{"t":"played","d":{"response":%d,"ms":%d,"done":%t}}`, k.response, ms, done)
			}
		}
		k.mu.Unlock()
		var err error
		if hears {
			copy(packet[header:], sound)
			binary.LittleEndian.PutUint32(packet[4:8], samples)
			samples += frameBytes / 2
			err = k.send(websocket.BinaryMessage, packet)
		}
		if err == nil && report != "" {
			err = k.tell("client-message", "m", report)
		}
		if err != nil {
			return // the reader says why
		}
		if said {
			k.mu.Lock()
			k.silence = time.Now()
			k.announce()
			k.mu.Unlock()
		}
	}
}

// tone is a customer's voice for models that do not listen: 440 Hz.
func tone(d time.Duration) []byte {
	pcm := make([]byte, int(d.Seconds()*rate)*2)
	for i := 0; i < len(pcm); i += 2 {
		v := 8000 * math.Sin(2*math.Pi*440*float64(i/2)/rate)
		binary.LittleEndian.PutUint16(pcm[i:], uint16(int16(v)))
	}
	return pcm
}
