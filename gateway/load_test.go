package gateway

import (
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/praesenz/parley/gateway/wire"
)

func TestWhenAGatewayIsOverloaded(t *testing.T) {
	type stretch struct {
		late  time.Duration // every look
		looks int
		over  bool // after them
	}
	for _, tc := range []struct {
		name      string
		stretches []stretch
	}{
		{"never late", []stretch{{0, 100, false}}},
		{"a little late, for ever", []stretch{{80 * time.Millisecond, 1000, false}}},
		{"one pause", []stretch{{0, 20, false}, {400 * time.Millisecond, 1, false}, {0, 20, false}}},
		{"late, but not for long", []stretch{{300 * time.Millisecond, 1, false}, {0, 100, false}}},
		{"late for long", []stretch{{200 * time.Millisecond, 10, true}}},
		{"better, but not well", []stretch{{200 * time.Millisecond, 20, true}, {40 * time.Millisecond, 1000, true}}},
		{"well again", []stretch{{200 * time.Millisecond, 20, true}, {0, 20, true}, {0, 30, false}}},
		{"so late that it hardly looks", []stretch{{3 * time.Second, 1, true}, {0, 150, false}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var l load
			for i, s := range tc.stretches {
				for range s.looks {
					l.note(s.late)
				}
				if l.over.Load() != s.over {
					t.Errorf("after stretch %d: overloaded %t at %v late", i+1, !s.over, l.late)
				}
			}
		})
	}
}

// An overloaded gateway keeps those that it has, and sends the others elsewhere.
func TestAnOverloadedGatewayTakesNoFurtherKiosks(t *testing.T) {
	b := startGateway(t, nil)
	ready := func() int {
		t.Helper()
		resp, err := http.Get("http://" + b.Addr() + "/ready")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	here := connect(t, b, "k1")
	if got := ready(); got != http.StatusOK {
		t.Fatalf("/ready: %d", got)
	}
	b.load.over.Store(true)
	if got := ready(); got != http.StatusServiceUnavailable {
		t.Errorf("/ready while overloaded: %d", got)
	}
	ws, _, err := dial(b, kioskToken(t, "s1", "k2"))
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, wire.CloseTooMany) {
		t.Errorf("a further kiosk: %v, want %d", err, wire.CloseTooMany)
	}
	here.ready()
	here.expectState(thinking)
	// One that has lost its connection is no further kiosk.
	again := connect(t, b, "k1")
	here.expectClose(wire.CloseReplaced)
	again.ready()

	b.load.over.Store(false)
	connect(t, b, "k2")
	if got := ready(); got != http.StatusOK {
		t.Errorf("/ready when it is well again: %d", got)
	}
}

// However often a kiosk connects, what it leaves behind is one session.
func TestConnectionsThatSayNothingLeaveNothing(t *testing.T) {
	b := startGateway(t, func(c *Config) { c.MaxSessions = 20 })
	first := connect(t, b, "k1")
	first.ready()
	first.expectState(thinking)
	for range 10 {
		connect(t, b, "k1")
	}
	b.mu.Lock()
	kept := len(b.sessions)
	b.mu.Unlock()
	if kept != 2 {
		t.Errorf("%d sessions are kept, want the one that was used and the last", kept)
	}
	last := connect(t, b, "k1")
	last.tell("resume", map[string]any{"token": first.about.ResumeToken})
	var ready wire.BotReady
	last.expect("bot-ready", &ready)
	if ready.About.Session != first.about.Session {
		t.Errorf("it came back to session %s, want %s", ready.About.Session, first.about.Session)
	}
}
