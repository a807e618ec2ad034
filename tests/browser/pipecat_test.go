package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/praesenz/parley/tests/system"
	"github.com/praesenz/parley/tests/voice"
)

// stockDoor is what tests/pipecat/page.mjs shows of itself.
type stockDoor struct {
	State       string   `json:"state"`
	Session     string   `json:"session"`
	Version     string   `json:"version"`
	Language    string   `json:"language"`
	Outcome     string   `json:"outcome"`
	Greetings   int      `json:"greetings"`
	Speaking    bool     `json:"speaking"`
	Understood  []string `json:"understood"`
	Buttons     []string `json:"buttons"`
	Errors      []string `json:"errors"`
	Interrupted int      `json:"interrupted"`
	Loudness    float64  `json:"loudness"`
	Captions    []struct {
		Text   string `json:"text"`
		Status string `json:"status"`
	} `json:"captions"`
}

// caption is the status of the first sentence that has words in it.
func (d stockDoor) caption(words string) string {
	for _, c := range d.Captions {
		if strings.Contains(strings.ToLower(c.Text), words) {
			return c.Status
		}
	}
	return ""
}

// stockPage serves the page that is bundled with Pipecat's client, from a host of
// its own as an author's would be.
func stockPage(t *testing.T) *httptest.Server {
	t.Helper()
	bundle := filepath.Join(system.Root(t), "tests", "pipecat", "build", "page.js")
	if _, err := os.Stat(bundle); err != nil {
		t.Skip("tests/pipecat/build is not there: run npm ci and npm run build in tests/pipecat, as tests/run does")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<!doctype html><meta charset="utf-8"><title>Pipecat's client</title><script type="module" src="page.js"></script>`)
	})
	mux.HandleFunc("GET /page.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, bundle) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// call awaits a function of the page.
func (p *page) call(expression string) {
	p.t.Helper()
	do(p, chromedp.Evaluate[bool]("window.__pipecat."+expression, chromedp.EvalAwaitPromise))
}

func (p *page) waitStock(what string, limit time.Duration, holds func(stockDoor) bool) stockDoor {
	p.t.Helper()
	var last stockDoor
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
		last = do(p, chromedp.Evaluate[stockDoor]("window.__pipecat.look()"))
		if holds(last) {
			return last
		}
		time.Sleep(20 * time.Millisecond) // the interval of looking, not a wait for something
	}
	p.t.Fatalf("not within %v: %s; the page is at %+v", limit, what, last)
	return last
}

// Pipecat's stock client, as npm has it, holds a conversation: it is greeted,
// touches, speaks, hears the answer, types over it, loses the connection and goes
// on, and leaves.
func TestPipecatsStockClientHoldsAConversation(t *testing.T) {
	host := stockPage(t)
	sys := system.Start(t, "--origins", host.URL)
	// Greeting, touch and first question take about ten seconds.
	mic := microphone(t, 16*time.Second, voice.Say(t, "rms", "where do i find hammers"), 90*time.Second)
	where := url.Values{"url": {sys.Kiosk}, "token": {sys.Tokens["entrance"]}}
	p := open(t, host.URL+"/#"+where.Encode(), mic, 800, 600)

	p.call("connect()")
	greeted := p.waitStock("the greeting is heard", 20*time.Second, func(d stockDoor) bool {
		return d.State == "ready" && d.Speaking && d.Loudness > 0.01 && len(d.Captions) > 0 && d.Captions[0].Status == "in-progress"
	})
	if greeted.Greetings != 1 || greeted.Version != "2.0.0" {
		t.Errorf("bot-ready came %d times with version %q, want once with 2.0.0", greeted.Greetings, greeted.Version)
	}
	p.waitStock("the language buttons are there", 20*time.Second, func(d stockDoor) bool { return len(d.Buttons) == 2 })
	p.call(`touch("en")`)
	p.waitStock("the buttons are gone and the first question is heard", 20*time.Second, func(d stockDoor) bool {
		return len(d.Buttons) == 0 && d.Speaking && d.Loudness > 0.01
	})

	p.waitStock("the question is understood", 30*time.Second, func(d stockDoor) bool {
		return len(d.Understood) > 0 && strings.Contains(d.Understood[len(d.Understood)-1], "hammer")
	})
	p.waitStock("the answer is heard", 20*time.Second, func(d stockDoor) bool {
		return d.caption("aisle 4") == "in-progress" && d.Loudness > 0.01
	})

	// Typing cuts the answer. The client cannot throw audio away, so silence shows
	// that it had not been sent far ahead.
	before := do(p, chromedp.Evaluate[stockDoor]("window.__pipecat.look()"))
	p.call(`type("do you have paint")`)
	p.waitStock("the answer is cut", 5*time.Second, func(d stockDoor) bool { return d.Interrupted > before.Interrupted })
	p.waitStock("it is silent", 2*time.Second, func(d stockDoor) bool { return d.Loudness < 0.001 })
	p.waitStock("what was typed is answered", 20*time.Second, func(d stockDoor) bool {
		return d.caption("paint") == "in-progress" && d.Loudness > 0.01
	})

	// A connection that is lost and made again goes on with the session.
	p.call("disconnect()")
	p.call("connect()")
	back := p.waitStock("the answer goes on", 20*time.Second, func(d stockDoor) bool {
		return d.State == "ready" && d.Greetings == 2 && d.Loudness > 0.01
	})
	if back.Session != greeted.Session {
		t.Errorf("the session is %s after a reconnect, was %s", back.Session, greeted.Session)
	}
	p.waitStock("it is heard to its end", 40*time.Second, func(d stockDoor) bool { return !d.Speaking })

	p.call("leave()")
	last := p.waitStock("the conversation is over", 20*time.Second, func(d stockDoor) bool { return d.Outcome != "" })
	if len(last.Errors) > 0 {
		t.Errorf("the client was told of errors: %q", last.Errors)
	}
}
