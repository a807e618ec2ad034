package gateway

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/praesenz/parley/gateway/pipecat"
	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/workflows"
)

// A stockKiosk is the other side of the WebSocket as Pipecat's stock client is:
// no subprotocol, no header, ids that are no numbers, and nothing said of what it
// has played. tests/browser has the real one.
type stockKiosk struct{ kiosk }

func dialStock(t testing.TB, b *bench, tokens ...string) *stockKiosk {
	t.Helper()
	at := "ws://" + b.Addr() + "/v1/kiosk?" + url.Values{"token": tokens, "language": {"de"}}.Encode()
	ws, _, err := websocket.DefaultDialer.Dial(at, http.Header{"Origin": {"http://" + b.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	k := &stockKiosk{kiosk{t: t, ws: ws}}
	k.follow(k.read)
	return k
}

func (k *stockKiosk) read() {
	for {
		_, b, err := k.ws.ReadMessage()
		if err != nil {
			k.gone(err)
			return
		}
		var f pipecat.Frame
		if err := proto.Unmarshal(b, &f); err != nil {
			panic(err)
		}
		if a := f.GetAudio(); a != nil {
			k.play(heardFrame{Audio: wire.Audio{PCM: a.Audio}})
			continue
		}
		k.note([]byte(f.GetMessage().GetData()))
	}
}

func (k *stockKiosk) frame(f *pipecat.Frame) {
	k.t.Helper()
	b, err := proto.Marshal(f)
	if err != nil {
		k.t.Fatal(err)
	}
	if err := k.ws.WriteMessage(websocket.BinaryMessage, b); err != nil {
		k.t.Fatal(err)
	}
}

func (k *stockKiosk) send(kind string, data any) {
	k.t.Helper()
	k.frame(&pipecat.Frame{Frame: &pipecat.Frame_Message{Message: &pipecat.Message{
		Data: `{"id":"1a2b3c4d","label":"rtvi-ai","type":"` + kind + `","data":` + mustJSON(data) + `}`,
	}}})
}

func (k *stockKiosk) ready() {
	k.t.Helper()
	k.send("client-ready", map[string]any{"version": "2.1.0", "about": map[string]any{"library": "@pipecat-ai/client-js"}})
	var ready wire.BotReady
	k.expect("bot-ready", &ready)
	k.about = ready.About
}

func (k *stockKiosk) speak(pcm []byte) {
	k.t.Helper()
	for at := 0; at < len(pcm); at += 640 {
		k.frame(&pipecat.Frame{Frame: &pipecat.Frame_Audio{Audio: &pipecat.Audio{
			Audio: pcm[at:min(at+640, len(pcm))], SampleRate: wire.RateIn, NumChannels: 1,
		}}})
	}
}

// stockAnswered is a stock client to which a response is played.
func stockAnswered(t *testing.T, b *bench, text string, length time.Duration) (*stockKiosk, grpc.BidiStreamingClient[media.Audio, media.Playback]) {
	t.Helper()
	k := dialStock(t, b, kioskToken(t, "s1", "k1"))
	k.ready()
	b.expectSignal(t, workflows.Joined)
	st, err := b.media.Play(worker(t))
	if err != nil {
		t.Fatal(err)
	}
	sendAll(t, st, start(k.place("run-1"), 1, "speech"), segmentAudio(0, text), pcmAudio(tone(length)), segmentEnd, audioEnd)
	return k, st
}

// played is how much audio has come.
func (k *stockKiosk) played() time.Duration {
	n := 0
	for _, f := range k.heard() {
		n += len(f.PCM) / 2
	}
	return time.Duration(n) * time.Second / pipecat.RateOut
}

func TestAStockClientIsGreetedAndItsMessagesAreNumbered(t *testing.T) {
	b := startGateway(t, nil)
	k := dialStock(t, b, "an old token", kioskToken(t, "s1", "k1"))
	k.expectState("idle")
	k.speak(make([]byte, 640)) // it records all the time; before a conversation nobody listens
	k.ready()
	if k.about.Kiosk != "k1" {
		t.Errorf("about %+v", k.about)
	}
	if s := b.expectSignal(t, workflows.Joined); s.Seq != 1 || s.Language != "de" {
		t.Errorf("joined: %+v", s)
	}
	k.send("send-text", map[string]any{"content": "hello", "options": map[string]any{}})
	if s := b.expectSignal(t, workflows.Typed); s.Seq != 2 || s.Text != "hello" {
		t.Errorf("typed: %+v", s)
	}
	k.send("ui-event", map[string]any{"event": "touch", "payload": map[string]any{"value": "yes"}})
	if s := b.expectSignal(t, workflows.Touched); s.Seq != 3 || s.Text != "yes" {
		t.Errorf("touched: %+v", s)
	}
	for ack := (wire.Ack{}); ack.Seq < 3; {
		k.expect("ack", &ack)
	}
	k.send("ui-snapshot", map[string]any{})
	var e struct{ Error string }
	k.expect("error", &e)
	if e.Error == "" {
		t.Error("an error without words")
	}
}

// The customer's voice cuts the kiosk, which cannot throw away what it has.
func TestAStockClientHasLittleAudioWhenItIsCut(t *testing.T) {
	b := startGateway(t, nil)
	k, st := stockAnswered(t, b, "I talk for a long time", 20*time.Second)
	begun := k.expect("bot-started-speaking", nil).at
	k.speak(voice(t, "where do I find hammers"))
	cut := k.expect("clear", nil).at
	if most := cut.Sub(begun) + stockAhead + frameTime; k.played() > most {
		t.Errorf("%s of audio had come after %s, want at most %s", k.played(), cut.Sub(begun), most)
	}
	started := b.expectSignal(t, workflows.SpeechStarted)
	heard := &media.Transcript{Place: k.place("run-1"), Utterance: uint32(started.Utterance), Text: "where do I find hammers"}
	if _, err := b.media.Transcribed(worker(t), heard); err != nil {
		t.Fatal(err)
	}
	if e := ended(t, st); !e.Interrupted || int64(e.PlayedMs) > cut.Sub(begun).Milliseconds()+50 {
		t.Errorf("ended: %v, %s after it began", e, cut.Sub(begun))
	}
}

// Nobody says what was played: the clock does.
func TestAnAnswerIsPlayedByTheClock(t *testing.T) {
	b := startGateway(t, nil)
	const length = 700 * time.Millisecond
	k, st := stockAnswered(t, b, "Hello", length)
	begun := k.expect("bot-started-speaking", nil).at
	e := ended(t, st)
	took := k.expect("bot-stopped-speaking", nil).at.Sub(begun)
	if e.Interrupted || e.Heard != "Hello" || took < length || took > length+500*time.Millisecond {
		t.Errorf("ended %v after %s, want all of it after %s", e, took, length)
	}
	if extra := k.played() - length; extra < 0 || extra > 10*time.Millisecond {
		t.Errorf("%s of audio came for %s", k.played(), length)
	}
}

// It cannot resume, and goes on where it was all the same.
func TestAStockClientComesBackToItsSession(t *testing.T) {
	b := startGateway(t, nil)
	k, st := stockAnswered(t, b, "Hello", 2*time.Second)
	k.expect("bot-started-speaking", nil)
	k.ws.Close()

	token := kioskToken(t, "s1", "k1")
	again := dialStock(t, b, token)
	again.ready()
	if again.about.Session != k.about.Session {
		t.Errorf("session %s, want %s", again.about.Session, k.about.Session)
	}
	if s := b.expectSignal(t, workflows.Joined); s.Session != k.about.Session || s.Seq != 2 {
		t.Errorf("joined: %+v", s)
	}
	if e := ended(t, st); e.Interrupted || e.Heard != "Hello" {
		t.Errorf("ended: %v", e)
	}
	if again.played() < time.Second {
		t.Errorf("%s of audio came after the reconnect", again.played())
	}
	newer := dialStock(t, b, token)
	again.expectClose(wire.CloseReplaced)
	newer.ready()
}

// A client of ours that forgot its subprotocol is told so.
func TestJSONNeedsItsSubprotocol(t *testing.T) {
	b := startGateway(t, nil)
	k := dialStock(t, b, kioskToken(t, "s1", "k1"))
	k.raw(`{"label":"rtvi-ai","type":"client-ready","id":"1","data":{"version":"1.0.0"}}`)
	k.expectClose(wire.CloseMalformed)
}

// A client that stays, or comes back, after a conversation begins the next one.
func TestAStockClientBeginsTheNextConversation(t *testing.T) {
	b := startGateway(t, nil)
	token := kioskToken(t, "s1", "k1")
	k := dialStock(t, b, token)
	k.ready()
	b.expectSignal(t, workflows.Joined)
	over := func() {
		t.Helper()
		b.temporal.end("kiosk/s1/k1", "resolved", nil)
		k.expect("ended", nil)
		k.speak(make([]byte, 640)) // it goes on recording
	}
	over()
	k.send("send-text", map[string]any{"content": "one more thing"})
	b.expectSignal(t, workflows.Joined)
	b.expectSignal(t, workflows.Typed)
	over()
	k = dialStock(t, b, token)
	k.ready()
	b.expectSignal(t, workflows.Joined)
	k.expectState("thinking")
	select {
	case m := <-k.inbox:
		if m.name() == "error" {
			t.Errorf("it was told of an error: %s", m.Raw)
		}
	default:
	}
}
