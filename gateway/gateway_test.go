package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/metrics"
	"github.com/praesenz/parley/workflows"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if fuzz := flag.Lookup("test.fuzz"); fuzz != nil && fuzz.Value.String() != "" {
		os.Exit(m.Run()) // the fuzzer has goroutines of its own
	}
	goleak.VerifyTestMain(m)
}

const (
	testKey   = "0123456789abcdef0123456789abcdef"
	testToken = "workers-share-this"
	patience  = 10 * time.Second // for what must happen; failing slowly is fine
)

// stubTemporal stands in for Temporal, for its faults and timing: it keeps the
// signals, ends conversations on demand and can be away.
type stubTemporal struct {
	mu      sync.Mutex
	away    error
	running map[string]*stubRun // by workflow id
	over    map[string]*stubRun // the last that has ended, by workflow id
	runs    int
	signals chan workflows.Signal
	visits  chan workflows.Visit
	starts  []client.StartWorkflowOptions
	events  chan workflows.Event
	calls   map[string]*workflows.Status // for staff, by workflow id
	refuse  error                        // of an answer to one
	asked   int                          // for a status
}

type stubRun struct {
	client.WorkflowRun
	id    string
	ended chan struct{}
	sum   workflows.Summary
	err   error
}

func newStubTemporal() *stubTemporal {
	return &stubTemporal{
		running: map[string]*stubRun{}, over: map[string]*stubRun{},
		signals: make(chan workflows.Signal, 1000), visits: make(chan workflows.Visit, 100),
		events: make(chan workflows.Event, 100), calls: map[string]*workflows.Status{},
	}
}

func (s *stubTemporal) SignalWithStartWorkflow(_ context.Context, id, _ string, arg any, o client.StartWorkflowOptions, _ any, args ...any) (client.WorkflowRun, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		return nil, s.away
	}
	run := s.running[id]
	if run == nil {
		s.runs++
		run = &stubRun{id: fmt.Sprintf("run-%d", s.runs), ended: make(chan struct{})}
		s.running[id] = run
		s.visits <- args[0].(workflows.Visit)
		s.starts = append(s.starts, o)
	}
	s.signals <- arg.(workflows.Signal)
	return run, nil
}

func (s *stubTemporal) SignalWorkflow(_ context.Context, id, _, _ string, arg any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		return s.away
	}
	if s.running[id] == nil {
		return serviceerror.NewNotFound("no workflow " + id)
	}
	if e, ok := arg.(workflows.Event); ok {
		s.events <- e
		return nil
	}
	s.signals <- arg.(workflows.Signal)
	return nil
}

func (s *stubTemporal) GetWorkflow(_ context.Context, id, run string) client.WorkflowRun {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := cmp.Or(s.running[id], s.over[id]); r != nil {
		return r
	}
	return &stubRun{id: run, err: serviceerror.NewNotFound("gone")}
}

func (r *stubRun) GetRunID() string { return r.id }
func (r *stubRun) Get(ctx context.Context, into any) error {
	if r.ended == nil {
		return r.err
	}
	select {
	case <-r.ended:
		*into.(*workflows.Summary) = r.sum
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end ends a kiosk's conversation.
func (s *stubTemporal) end(id, outcome string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.running[id]
	delete(s.running, id)
	s.over[id] = r
	r.sum.Outcome, r.err = outcome, err
	close(r.ended)
}

func (s *stubTemporal) setAway(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = err
}

// bench is a gateway on loopback with its Temporal.
type bench struct {
	*Gateway
	temporal *stubTemporal
	registry *prometheus.Registry
	media    media.MediaClient
}

func startGateway(t testing.TB, change func(*Config)) *bench {
	t.Helper()
	reg := prometheus.NewRegistry()
	m, err := metrics.New(reg)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{temporal: newStubTemporal(), registry: reg}
	cfg := Config{
		Addr: "127.0.0.1:0", MediaAddr: "127.0.0.1:0", Keys: [][]byte{[]byte(testKey)}, MediaToken: testToken,
		Temporal: b.temporal, Metrics: m, Registry: reg, Logger: slog.New(slog.DiscardHandler),
		Plan: func(context.Context, string, string) (flow.Plan, map[string]any, error) {
			return flow.Plan{Flow: "help", Version: "1.0.0"}, map[string]any{"lang": "en"}, nil
		},
	}
	if change != nil {
		change(&cfg)
	}
	if b.Gateway, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	cc, err := grpc.NewClient(b.MediaAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	b.media = media.NewMediaClient(cc)
	t.Cleanup(func() {
		cc.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := b.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return b
}

// worker is a context that carries the workers' token.
func worker(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+testToken)
}

// kiosk is the other side of the WebSocket.
type kiosk struct {
	t      testing.TB
	ws     *websocket.Conn
	seq    int
	about  wire.About
	mu     sync.Mutex
	frames []heardFrame
	inbox  chan message
	closed chan int // the close code
}

type heardFrame struct {
	wire.Audio
	at time.Time
}

type message struct {
	Type string
	Data struct {
		T string
		D json.RawMessage
	}
	Raw json.RawMessage // data
	at  time.Time
}

func (m message) name() string {
	if m.Type == "server-message" {
		return m.Data.T
	}
	return m.Type
}

func dial(b *bench, token string, protocols ...string) (*websocket.Conn, *http.Response, error) {
	d := websocket.Dialer{Subprotocols: append([]string{wire.Subprotocol}, protocols...)}
	return d.Dial("ws://"+b.Addr()+"/v1/kiosk", http.Header{"Authorization": {"Bearer " + token}})
}

func kioskToken(t testing.TB, store, name string) string {
	t.Helper()
	token, err := NewKioskToken([]byte(testKey), store, name, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// connect opens a kiosk's connection and waits for bot-ready.
func connect(t testing.TB, b *bench, name string) *kiosk {
	t.Helper()
	ws, _, err := dial(b, kioskToken(t, "s1", name))
	if err != nil {
		t.Fatal(err)
	}
	k := &kiosk{t: t, ws: ws}
	k.follow(k.read)
	var ready wire.BotReady
	k.expect("bot-ready", &ready)
	k.about = ready.About
	return k
}

// follow reads a connection until the test ends.
func (k *kiosk) follow(read func()) {
	k.inbox, k.closed = make(chan message, 10000), make(chan int, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		read()
	}()
	k.t.Cleanup(func() {
		k.ws.Close()
		<-done
	})
}

func (k *kiosk) read() {
	for {
		kind, b, err := k.ws.ReadMessage()
		if err != nil {
			k.gone(err)
			return
		}
		if kind == websocket.TextMessage {
			k.note(b)
			continue
		}
		k.play(parseFrame(b))
	}
}

func (k *kiosk) gone(err error) {
	var ce *websocket.CloseError
	code := -1
	if errors.As(err, &ce) {
		code = ce.Code
	}
	k.closed <- code
}

// note takes an RTVI message.
func (k *kiosk) note(b []byte) {
	m := message{at: time.Now()}
	var env struct {
		Type string
		Data json.RawMessage
	}
	if err := json.Unmarshal(b, &env); err != nil {
		panic(err)
	}
	m.Type, m.Raw = env.Type, env.Data
	if m.Type == "server-message" {
		if err := json.Unmarshal(env.Data, &m.Data); err != nil {
			panic(err)
		}
		m.Raw = m.Data.D
	}
	k.inbox <- m
}

func (k *kiosk) play(f heardFrame) {
	f.at = time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.frames = append(k.frames, f)
}

func parseFrame(b []byte) heardFrame {
	return heardFrame{Audio: wire.Audio{
		Last: b[1]&1 != 0, Response: uint16(b[2]) | uint16(b[3])<<8,
		Offset: uint32(b[4]) | uint32(b[5])<<8 | uint32(b[6])<<16 | uint32(b[7])<<24, PCM: b[8:],
	}}
}

func (k *kiosk) heard() []heardFrame {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]heardFrame(nil), k.frames...)
}

// expect skips messages until one of the name comes, and decodes its data.
func (k *kiosk) expect(name string, into any) message {
	k.t.Helper()
	var skipped []string
	deadline := time.After(patience)
	for {
		select {
		case m := <-k.inbox:
			if m.name() != name {
				skipped = append(skipped, m.name()+string(m.Raw))
				continue
			}
			if into != nil {
				if err := json.Unmarshal(m.Raw, into); err != nil {
					k.t.Fatal(err)
				}
			}
			return m
		case <-deadline:
			k.t.Fatalf("no %s came, but %s", name, strings.Join(skipped, ", "))
		}
	}
}

func (k *kiosk) expectState(want string) {
	k.t.Helper()
	for {
		var s wire.State
		k.expect("state", &s)
		if s.State == want {
			return
		}
	}
}

func (k *kiosk) expectClose(code int) {
	k.t.Helper()
	select {
	case got := <-k.closed:
		if got != code {
			k.t.Fatalf("closed with %d, want %d", got, code)
		}
	case <-time.After(patience):
		k.t.Fatalf("not closed, want %d", code)
	}
}

func (k *kiosk) send(kind string, data any) {
	k.t.Helper()
	k.seq++
	k.raw(fmt.Sprintf(`{"label":"rtvi-ai","type":%q,"id":"%d","data":%s}`, kind, k.seq, mustJSON(data)))
}

// tell sends one of our messages without a number.
func (k *kiosk) tell(t string, d any) {
	k.t.Helper()
	k.raw(fmt.Sprintf(`{"label":"rtvi-ai","type":"client-message","data":{"t":%q,"d":%s}}`, t, mustJSON(d)))
}

func (k *kiosk) raw(s string) {
	k.t.Helper()
	if err := k.ws.WriteMessage(websocket.TextMessage, []byte(s)); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kiosk) speak(pcm []byte) {
	k.t.Helper()
	for at := 0; at < len(pcm); at += 640 {
		f := wire.Audio{Offset: uint32(at / 2), PCM: pcm[at:min(at+640, len(pcm))]}.Append(nil)
		if err := k.ws.WriteMessage(websocket.BinaryMessage, f); err != nil {
			k.t.Fatal(err)
		}
	}
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (k *kiosk) ready() { k.send("client-ready", map[string]any{"version": "1.0.0", "language": "en"}) }

func (b *bench) expectSignal(t testing.TB, kind workflows.Kind) workflows.Signal {
	t.Helper()
	select {
	case s := <-b.temporal.signals:
		if s.Kind != kind {
			t.Fatalf("signal %+v, want %s", s, kind)
		}
		return s
	case <-time.After(patience):
		t.Fatalf("no signal %s", kind)
	}
	panic("unreachable")
}

func (k *kiosk) place(conversation string) *media.Place {
	return &media.Place{Store: k.about.Store, Kiosk: k.about.Kiosk, Session: k.about.Session, Conversation: conversation}
}

func start(p *media.Place, number uint32, bargeIn string) *media.Audio {
	return &media.Audio{Part: &media.Audio_Start_{Start: &media.Audio_Start{
		Place: p, Response: number, SampleRate: 16000, BargeIn: bargeIn, MinWords: 1, Language: "en",
	}}}
}

func segmentAudio(index uint32, text string) *media.Audio {
	return &media.Audio{Part: &media.Audio_Segment{Segment: &media.Audio_SegmentAudio{Index: index, Text: text}}}
}

func pcmAudio(pcm []byte) *media.Audio { return &media.Audio{Part: &media.Audio_Pcm{Pcm: pcm}} }

var (
	segmentEnd = &media.Audio{Part: &media.Audio_SegmentEnd{SegmentEnd: true}}
	audioEnd   = &media.Audio{Part: &media.Audio_End{End: true}}
)

// tone is PCM of a length at 16 kHz, none of whose samples are alike in a
// frame's worth, so that a test can tell where it is.
func tone(d time.Duration) []byte {
	n := int(d.Seconds() * 16000)
	pcm := make([]byte, 0, n*2)
	for i := range n {
		pcm = append(pcm, byte(i), byte(i>>8)&0x1f)
	}
	return pcm
}

type playStream = grpc.BidiStreamingClient[media.Audio, media.Playback]

func sendAll(t testing.TB, st playStream, parts ...*media.Audio) {
	t.Helper()
	for _, p := range parts {
		if err := st.Send(p); err != nil {
			t.Fatal(err)
		}
	}
}

// ended reads a Play stream to its end.
func ended(t testing.TB, st playStream) *media.Playback_Ended {
	t.Helper()
	for {
		p, err := st.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if e := p.GetEnded(); e != nil {
			return e
		}
	}
}

func TestAnAnswerIsPlayed(t *testing.T) {
	b := startGateway(t, nil)
	k := connect(t, b, "k1")
	k.ready()
	k.expect("ack", nil)
	joined := b.expectSignal(t, workflows.Joined)
	if joined.Gateway != b.MediaAddr() || joined.Session != k.about.Session || joined.Seq != 1 {
		t.Errorf("joined: %+v", joined)
	}
	visit := <-b.temporal.visits
	if visit.Store != "s1" || visit.Kiosk != "k1" || visit.Plan.Flow != "help" || visit.Inputs["lang"] != "en" {
		t.Errorf("visit: %+v", visit)
	}
	if o := b.temporal.starts[0]; o.TaskQueue != "s1/conversation" || o.ID != "kiosk/s1/k1" || o.StaticSummary == "" {
		t.Errorf("start: %+v", o)
	}
	k.send("send-text", map[string]any{"content": "where are the hammers?"})
	if s := b.expectSignal(t, workflows.Typed); s.Text != "where are the hammers?" || s.Seq != 2 {
		t.Errorf("typed: %+v", s)
	}

	ctx := worker(t)
	place := k.place("run-1")
	text, err := b.media.Write(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []*media.Text{
		{Place: place, Response: 1, Delta: "Hammers cost 12.99 euros. You find"}, {Delta: " them in aisle 4."}, {Complete: true},
	} {
		if err := text.Send(d); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := text.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
	read, err := b.media.Read(ctx, &media.ReadRequest{Place: place, Response: 1})
	if err != nil {
		t.Fatal(err)
	}
	var segments []string
	for {
		s, err := read.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		segments = append(segments, s.Text)
	}
	if want := []string{"Hammers cost 12.99 euros.", "You find them in aisle 4."}; fmt.Sprint(segments) != fmt.Sprint(want) {
		t.Errorf("segments %q, want %q", segments, want)
	}

	perform, err := b.media.Perform(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := perform.Send(&media.Cues{Place: place, Response: 1}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	st, err := b.media.Play(ctx)
	if err != nil {
		t.Fatal(err)
	}
	pcm := tone(1500 * time.Millisecond)
	s := start(place, 1, "speech")
	s.GetStart().Listening = &media.Listening{Buttons: []*media.Button{{Value: "yes", Label: "Yes"}}}
	s.GetStart().Gesture = "wave"
	sendAll(t, st, s, segmentAudio(0, segments[0]), pcmAudio(pcm[:32000]), segmentEnd,
		segmentAudio(1, segments[1]), pcmAudio(pcm[32000:]), segmentEnd, audioEnd)

	var rate wire.AudioStart
	k.expect("audio", &rate)
	if rate != (wire.AudioStart{Response: 1, Rate: 16000}) {
		t.Errorf("audio: %+v", rate)
	}
	k.expect("bot-started-speaking", nil)
	var second wire.BotOutput
	k.expect("bot-output", nil)
	k.expect("bot-output", &second)
	if second.AtMs != 1000 || second.Text != segments[1] {
		t.Errorf("caption of the second segment: %+v", second)
	}
	e := ended(t, st)
	took := time.Since(began)
	if e.Interrupted || e.PlayedMs != 1500 || e.TotalMs != 1500 || e.Heard != strings.Join(segments, " ") {
		t.Errorf("ended: %+v", e)
	}
	if took < 1400*time.Millisecond {
		t.Errorf("1.5 s of audio were played in %s: nobody told that they were, and a clock says no", took)
	}
	k.expectState(listening)

	var got []byte
	for i, f := range k.heard() {
		if int(f.Offset)*2 != len(got) {
			t.Fatalf("frame %d begins at sample %d, want %d", i, f.Offset, len(got)/2)
		}
		ahead := time.Duration(f.Offset)*time.Second/16000 - f.at.Sub(k.heard()[0].at)
		if ahead > time.Second+50*time.Millisecond {
			t.Errorf("frame %d was sent %s ahead of its time", i, ahead)
		}
		got = append(got, f.PCM...)
		if f.Last != (len(got) == len(pcm)) {
			t.Errorf("frame %d says last=%t at %d of %d bytes", i, f.Last, len(got), len(pcm))
		}
	}
	if !bytes.Equal(got, pcm) {
		t.Errorf("%d bytes arrived, want the %d that were sent", len(got), len(pcm))
	}
	var timeline []*media.Timeline
	for {
		e, err := perform.Recv()
		if err != nil {
			t.Fatal(err)
		}
		timeline = append(timeline, e)
		if e.End {
			break
		}
	}
	if len(timeline) < 4 || !timeline[0].Begin || timeline[0].Gesture != "wave" || timeline[1].Text != segments[0] {
		t.Errorf("timeline: %v", timeline)
	}

	b.temporal.end("kiosk/s1/k1", "resolved", nil)
	var over wire.Ended
	k.expect("ended", &over)
	if over.Outcome != "resolved" {
		t.Errorf("ended: %+v", over)
	}
	k.expectState(idle)
	if e, err := perform.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the performer of a conversation that is over is told %v, %v", e, err)
	}
	for name, want := range map[string]string{
		"kiosk_conversations_total":           `kiosk_conversations_total{outcome="resolved",store="s1"} 1`,
		"kiosk_response_time_seconds":         `kiosk_response_time_seconds_count{kiosk="k1",store="s1"} 1`,
		"kiosk_active_sessions":               "kiosk_active_sessions 1",
		"kiosk_connected":                     `kiosk_connected{kiosk="k1",store="s1"} 1`,
		"parley_gateway_frames_sent_total":    fmt.Sprintf("parley_gateway_frames_sent_total %d", len(k.heard())),
		"parley_gateway_signals_total typed":  `parley_gateway_signals_total{kind="typed",result="accepted"} 1`,
		"parley_gateway_signals_total joined": `parley_gateway_signals_total{kind="joined",result="accepted"} 1`,
	} {
		if page := get(t, b, "/metrics"); !strings.Contains(page, want+"\n") {
			t.Errorf("%s: /metrics does not say %s", name, want)
		}
	}
}

func get(t testing.TB, b *bench, path string) string {
	t.Helper()
	resp, err := http.Get("http://" + b.Addr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
