package gateway

import (
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/websocket"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/workflows"
)

// voice is a synthetic customer's words as 16 kHz PCM, with a second of silence
// before and after.
func voice(t testing.TB, words string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "say.wav")
	cmd := exec.CommandContext(t.Context(), "flite", "-voice", "slt", "-t", words, "-o", file)
	if cmd.Err != nil {
		t.Skipf("SKIPPED, no real voice to speak with: %v; install Debian's flite", cmd.Err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("flite: %v: %s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if rate := binary.LittleEndian.Uint32(b[24:]); rate != wire.RateIn {
		t.Fatalf("flite speaks at %d Hz", rate)
	}
	quiet := make([]byte, 2*wire.RateIn)
	return slices.Concat(quiet, b[44:len(b)/2*2], quiet)
}

// The customer's voice reaches a worker, and silences the kiosk.
func TestAVoiceIsHeardAndCutsTheKiosk(t *testing.T) {
	b := startGateway(t, nil)
	k := connect(t, b, "k1")
	k.ready()
	b.expectSignal(t, workflows.Joined)
	ctx := worker(t)
	st, err := b.media.Play(ctx)
	if err != nil {
		t.Fatal(err)
	}
	place := k.place("run-1")
	sendAll(t, st, start(place, 1, "speech"), segmentAudio(0, "I talk for a long time"), pcmAudio(tone(20*time.Second)), segmentEnd, audioEnd)
	text, err := b.media.Write(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := text.Send(&media.Text{Place: place, Response: 1, Delta: "I talk"}); err != nil {
		t.Fatal(err)
	}
	k.expect("bot-started-speaking", nil)

	k.speak(voice(t, "where do I find hammers"))
	k.expect("clear", nil)
	heard := len(k.heard()) // the reader is in order: frames behind the clear come later
	k.expect("user-started-speaking", nil)
	started := b.expectSignal(t, workflows.SpeechStarted)
	if started.Response != 1 {
		t.Errorf("speech over the response: %+v", started)
	}
	for range 2 { // a second attempt hears it all again
		hear, err := b.media.Hear(ctx, &media.HearRequest{Place: place, Utterance: uint32(started.Utterance)})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for {
			s, err := hear.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if n += len(s.Pcm); s.End {
				if s.Dropped {
					t.Error("the utterance was dropped")
				}
				break
			}
		}
		if spoken := time.Duration(n) * time.Second / bytesPerSecondIn; spoken < 1500*time.Millisecond || spoken > 4*time.Second {
			t.Errorf("%s of audio was heard", spoken)
		}
	}
	k.expect("user-stopped-speaking", nil)
	if _, err := b.media.Transcribed(ctx, &media.Transcript{Place: place, Utterance: uint32(started.Utterance), Text: "where do I find hammers", Confidence: .8}); err != nil {
		t.Fatal(err)
	}
	if cut := b.expectSignal(t, workflows.Interrupted); cut.Response != 1 {
		t.Errorf("interrupted: %+v", cut)
	}
	if e := ended(t, st); !e.Interrupted {
		t.Errorf("ended: %v", e)
	}
	if _, err := text.CloseAndRecv(); status.Code(err) != codes.Aborted {
		t.Errorf("the model is told %v, want ABORTED", err)
	}
	k.expect("bot-interrupted", nil)
	var said wire.UserTranscription
	k.expect("user-transcription", &said)
	if said.Text != "where do I find hammers" || !said.Final || said.Confidence != .8 {
		t.Errorf("transcription: %+v", said)
	}
	if n := len(k.heard()); n != heard {
		t.Errorf("%d frames came behind the clear", n-heard)
	}
}

// From the cut to the last word on the wire, many times.
func TestACutTakesEffectAtOnce(t *testing.T) {
	b := startGateway(t, nil)
	k := connect(t, b, "k1")
	k.ready()
	k.tell("vad", wire.VAD{Mode: "kiosk"})
	var took []time.Duration
	for n := uint32(1); n <= 40; n++ { // within the burst that a kiosk may send
		st, err := b.media.Play(worker(t))
		if err != nil {
			t.Fatal(err)
		}
		sendAll(t, st, start(k.place("run-1"), n, "speech"), segmentAudio(0, "I talk"), pcmAudio(tone(3*time.Second)))
		k.expect("bot-started-speaking", nil)
		at := time.Now()
		k.send("client-message", map[string]any{"t": "interrupt"})
		took = append(took, k.expect("clear", nil).at.Sub(at))
		if e := ended(t, st); !e.Interrupted {
			t.Fatalf("ended: %v", e)
		}
	}
	slices.Sort(took)
	t.Logf("interrupt sent to clear received over loopback: p50 %s, p95 %s", took[20], took[38])
	for _, line := range strings.Split(get(t, b, "/metrics"), "\n") {
		if strings.HasPrefix(line, "parley_gateway_cut_seconds_") {
			t.Log("inside the gateway: " + line)
		}
	}
}

func TestTheNewerConnectionWins(t *testing.T) {
	b := startGateway(t, nil)
	old := connect(t, b, "k1")
	newer := connect(t, b, "k1")
	old.expectClose(wire.CloseReplaced)
	newer.ready()
	newer.expect("ack", nil)
}

func TestAKioskResumesItsSession(t *testing.T) {
	b := startGateway(t, nil)
	k := connect(t, b, "k1")
	k.ready()
	k.expect("ack", nil)
	b.expectSignal(t, workflows.Joined)
	session, token := k.about.Session, k.about.ResumeToken
	k.ws.Close()

	again := connect(t, b, "k1")
	again.tell("resume", wire.Resume{Token: token})
	var ready wire.BotReady
	again.expect("bot-ready", &ready)
	if ready.About.Session != session {
		t.Errorf("session %s, want %s", ready.About.Session, session)
	}
	if s := b.expectSignal(t, workflows.Joined); s.Session != session {
		t.Errorf("joined: %+v", s)
	}
	again.raw(`{"label":"rtvi-ai","type":"client-ready","id":"1","data":{"version":"1"}}`) // sent again
	var ack wire.Ack
	again.expect("ack", &ack)
	again.seq = 1
	again.send("send-text", map[string]any{"content": "hello"})
	if s := b.expectSignal(t, workflows.Typed); s.Seq != 2 {
		t.Errorf("typed: %+v", s)
	}
}

// A gateway has died; another, with the same key, knows only the token.
func TestAKioskResumesAtAnotherGateway(t *testing.T) {
	a, b := startGateway(t, nil), startGateway(t, nil)
	k := connect(t, a, "k1")
	b.temporal.running["kiosk/s1/k1"] = &stubRun{id: "run-1", ended: make(chan struct{})} // Temporal is the same
	there := connect(t, b, "k1")
	there.tell("resume", wire.Resume{Token: k.about.ResumeToken})
	s := b.expectSignal(t, workflows.Joined)
	if s.Session != k.about.Session || s.Gateway != b.MediaAddr() {
		t.Errorf("joined: %+v", s)
	}
	there.expectState(thinking)

	// One that held no conversation starts none.
	idler := connect(t, a, "k2")
	there = connect(t, b, "k2")
	there.tell("resume", wire.Resume{Token: idler.about.ResumeToken})
	there.expect("bot-ready", nil)
	there.send("client-message", map[string]any{"t": "interrupt"})
	there.expect("ack", nil)
	select {
	case s := <-b.temporal.signals:
		t.Errorf("signal %+v", s)
	default:
	}
}

// A store's key is replaced in two steps, and no kiosk is turned away between them.
func TestAKeyIsReplaced(t *testing.T) {
	fresh := []byte(strings.Repeat("n", 32))
	for name, step := range map[string]struct {
		keys   [][]byte
		opened bool
	}{
		"both keys": {[][]byte{fresh, []byte(testKey)}, true},
		"the new":   {[][]byte{fresh}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := startGateway(t, func(c *Config) { c.Keys = step.keys })
			made, err := NewKioskToken(fresh, "s1", "k2", time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			for token, opened := range map[string]bool{made: true, kioskToken(t, "s1", "k1"): step.opened} {
				ws, _, err := dial(b, token)
				if err != nil {
					t.Fatal(err)
				}
				_, message, err := ws.ReadMessage()
				ws.Close()
				if opened != (err == nil) || !opened && !websocket.IsCloseError(err, wire.CloseToken) {
					t.Errorf("%s, %v: %s %v", token, opened, message, err)
				}
			}
		})
	}
	if _, err := New(Config{Keys: [][]byte{fresh, []byte("short")}}); err == nil || !strings.Contains(err.Error(), "Keys: each needs at least 32 bytes") {
		t.Errorf("a short second key: %v", err)
	}
}

func TestWhoMayNotConnect(t *testing.T) {
	b := startGateway(t, func(c *Config) {
		c.MaxSessions = 1
		c.About = func(_ context.Context, _, kiosk string) (About, error) {
			if kiosk == "stranger" {
				return About{}, ErrUnknownKiosk
			}
			return About{}, nil
		}
	})
	forged, err := NewKioskToken([]byte(strings.Repeat("x", 32)), "s1", "k1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	one := connect(t, b, "k1")
	for name, c := range map[string]struct {
		token string
		code  int
	}{
		"no token":             {"", wire.CloseToken},
		"rubbish":              {"a.b.c", wire.CloseToken},
		"another key":          {forged, wire.CloseToken},
		"a resume token":       {one.about.ResumeToken, wire.CloseToken},
		"an unknown kiosk":     {kioskToken(t, "s1", "stranger"), wire.CloseUnknown},
		"one kiosk too many":   {kioskToken(t, "s1", "k2"), wire.CloseTooMany},
		"algorithm none (RFC)": {"eyJhbGciOiJub25lIn0.eyJzdG9yZSI6InMxIiwic3ViIjoiazEiLCJleHAiOjQxMDI0NDQ4MDB9.", wire.CloseToken},
	} {
		ws, _, err := dial(b, c.token)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = ws.ReadMessage()
		if !websocket.IsCloseError(err, c.code) {
			t.Errorf("%s: %v, want %d", name, err, c.code)
		}
		ws.Close()
	}
	// A browser from elsewhere.
	_, resp, err := (&websocket.Dialer{}).Dial("ws://"+b.Addr()+"/v1/kiosk", http.Header{"Origin": {"https://evil.example"}})
	if err == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign page: %v", err)
	}
	// A browser from here, whose token is a subprotocol: it takes its kiosk over.
	here := websocket.Dialer{Subprotocols: []string{wire.Subprotocol, wire.BearerPrefix + kioskToken(t, "s1", "k1")}}
	ws, _, err := here.Dial("ws://"+b.Addr()+"/v1/kiosk", http.Header{"Origin": {"http://" + b.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if ws.Subprotocol() != wire.Subprotocol {
		t.Errorf("subprotocol %q", ws.Subprotocol())
	}
	one.expectClose(wire.CloseReplaced)
}

func TestBadMessagesAreAnsweredByNamingTheField(t *testing.T) {
	b := startGateway(t, nil)
	k := connect(t, b, "k1")
	for _, c := range []struct{ send, field string }{
		{"hello", ""},
		{`{"label":"rtvi-ai","type":"send-text","id":"x","data":{"content":"a"}}`, "id"},
		{`{"label":"rtvi-ai","type":"send-text","id":"1","data":{"content":""}}`, "data.content"},
		{`{"label":"rtvi-ai","type":"client-message","data":{"t":"resume","d":{"token":"wrong"}}}`, "data.d.token"},
	} {
		k.raw(c.send)
		var e wire.Error
		k.expect("error", &e)
		if e.Field != c.field || e.Fatal {
			t.Errorf("%s: %+v", c.send, e)
		}
	}
	for _, c := range []struct {
		send  []byte
		field string
	}{{[]byte{9}, "header"}, {wire.Audio{PCM: make([]byte, 640)}.Append(nil), "kind"}} {
		if err := k.ws.WriteMessage(websocket.BinaryMessage, c.send); err != nil {
			t.Fatal(err)
		}
		var e wire.Error
		k.expect("error", &e)
		if e.Field != c.field {
			t.Errorf("% x: %+v", c.send[:1], e)
		}
	}
	k.ready() // it is still there
	k.expect("ack", nil)
	if err := k.ws.WriteMessage(websocket.TextMessage, []byte(strings.Repeat("x", 10<<20))); err != nil {
		t.Log(err) // it may be closed before it is all sent
	}
	var e wire.Error
	if k.expect("error", &e); !e.Fatal {
		t.Errorf("10 MB: %+v", e)
	}
	k.expectClose(wire.CloseMalformed)
}

func TestTooManyMessagesCloseTheConnection(t *testing.T) {
	b := startGateway(t, nil)
	k := connect(t, b, "k1")
	for range wire.MessagesBurst + 20 {
		if k.ws.WriteMessage(websocket.TextMessage, []byte(`{"label":"rtvi-ai","type":"client-message","data":{"t":"vad","d":{"mode":"gateway"}}}`)) != nil {
			break
		}
	}
	k.expectClose(wire.CloseTooMany)
}

func TestAnOperatorTerminatesAConversation(t *testing.T) {
	b := startGateway(t, nil)
	k := connect(t, b, "k1")
	k.ready()
	k.expect("ack", nil)
	b.temporal.end("kiosk/s1/k1", "", &temporal.TerminatedError{})
	var e wire.Ended
	k.expect("ended", &e)
	if e.Outcome != "terminated" {
		t.Errorf("ended: %+v", e)
	}
	k.expectState(idle)
	k.send("send-text", map[string]any{"content": "again"}) // begins the next
	k.expectState(thinking)
}

func TestMediaCallsNeedTheTokenAndASession(t *testing.T) {
	b := startGateway(t, nil)
	k := connect(t, b, "k1")
	if _, err := b.media.Transcribed(t.Context(), &media.Transcript{Place: k.place("c")}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("without a token: %v", err)
	}
	lost := k.place("c")
	lost.Session = "elsewhere"
	foreign := k.place("c")
	foreign.Kiosk = "k2"
	for _, p := range []*media.Place{lost, foreign} {
		if _, err := b.media.Transcribed(worker(t), &media.Transcript{Place: p}); status.Code(err) != codes.NotFound {
			t.Errorf("place %v: %v", p, err)
		}
	}
}

func TestHealthReadyAndDrain(t *testing.T) {
	b := startGateway(t, func(c *Config) {
		c.Probe = func(context.Context) Probe {
			return Probe{GPU: true, ModelLoaded: true, Ready: true, Qdrant: "connected", Ollama: "not used"}
		}
	})
	if got, want := get(t, b, "/health"), `{"status":"ok","gpu":true,"model_loaded":true}`; got != want {
		t.Errorf("/health: %s", got)
	}
	if got, want := get(t, b, "/ready"), `{"ready":true,"qdrant":"connected","ollama":"not used"}`; got != want {
		t.Errorf("/ready: %s", got)
	}
	k := connect(t, b, "k1")
	b.Drain(t.Context())
	k.expect("move", nil)
	k.expectClose(wire.CloseRestart)
	if want := `kiosk_connected{kiosk="k1",store="s1"} 0` + "\n"; !strings.Contains(get(t, b, "/metrics"), want) {
		t.Errorf("/metrics does not say %s", want)
	}
	resp, err := http.Get("http://" + b.Addr() + "/ready")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("/ready while draining: %d", resp.StatusCode)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.HasPrefix(string(body), `{"ready":false`) {
		t.Errorf("/ready while draining: %s, %v", body, err)
	}
}

// TestReadyOnceReadyStaysSo: a kiosk with a gateway can apologise; without one it
// is silent.
func TestReadyOnceReadyStaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gateway{}
		probe := Probe{Qdrant: "unreachable", Ollama: "not used"}
		g.cfg.Probe = func(context.Context) Probe { return probe }
		ask := func() (int, string) {
			t.Helper()
			time.Sleep(probeFresh + 1) // the fake clock's
			w := httptest.NewRecorder()
			c, _ := gin.CreateTestContext(w)
			c.Request = httptest.NewRequest("GET", "/ready", nil)
			g.ready(c)
			return w.Code, w.Body.String()
		}
		for _, is := range []struct {
			qdrant     string
			up, drains bool
			code       int
			body       string
		}{
			{"unreachable", false, false, 503, `{"ready":false,"qdrant":"unreachable","ollama":"not used"}`},
			{"connected", true, false, 200, `{"ready":true,"qdrant":"connected","ollama":"not used"}`},
			{"unreachable", false, false, 200, `{"ready":true,"qdrant":"unreachable","ollama":"not used"}`},
			{"connected", true, true, 503, `{"ready":false,"qdrant":"connected","ollama":"not used"}`},
		} {
			probe.Qdrant, probe.Ready = is.qdrant, is.up
			g.drained.Store(is.drains)
			if code, body := ask(); code != is.code || body != is.body {
				t.Errorf("%+v: %d %s", is, code, body)
			}
		}
	})
}

// What leads kiosks to the page need not hide the metrics.
func TestMetricsOnAPortOfTheirOwn(t *testing.T) {
	b := startGateway(t, func(c *Config) { c.MetricsAddr = "127.0.0.1:0" })
	for addr, want := range map[string]int{b.Addr(): http.StatusNotFound, b.MetricsAddr(): http.StatusOK} {
		resp, err := http.Get("http://" + addr + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("/metrics at %s is %d, want %d", addr, resp.StatusCode, want)
		}
	}
	resp, err := http.Get("http://" + b.MetricsAddr() + "/v1/kiosk")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("the kiosks' door is at the metrics' port too: %d", resp.StatusCode)
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	_, err := New(Config{})
	for _, field := range []string{"Keys", "MediaToken", "Temporal", "Plan", "Metrics", "Registry", "Logger"} {
		if err == nil || !strings.Contains(err.Error(), field+":") {
			t.Errorf("%s is not named: %v", field, err)
		}
	}
}

// The memory of a kiosk that is connected and silent, both goroutines and the
// kernel-facing buffers of the gateway's side included. The client's side lives
// in the same process, so its share is measured and taken off.
func BenchmarkIdleSession(b *testing.B) {
	for b.Loop() {
		const kiosks = 500
		g := startGateway(b, nil)
		used := func() float64 {
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return float64(m.HeapInuse + m.StackInuse)
		}
		before := used()
		conns := make([]*websocket.Conn, kiosks)
		for i := range conns {
			ws, _, err := dial(g, kioskToken(b, "s1", "k"+strconv.Itoa(i)))
			if err != nil {
				b.Fatal(err)
			}
			if _, _, err := ws.ReadMessage(); err != nil {
				b.Fatal(err)
			}
			conns[i] = ws
		}
		b.ReportMetric((used()-before)/kiosks/1024, "KB/kiosk,client-included")
		for _, ws := range conns {
			ws.Close()
		}
	}
}
