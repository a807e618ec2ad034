package browser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"

	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/gateway"
	kioskpage "github.com/praesenz/parley/kiosk"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/metrics"
	"github.com/praesenz/parley/workflows"
)

// stubTemporal takes the gateway's signals, so that the test is the
// conversation; its one conversation never ends. What staff ask is not answered.
type stubTemporal struct {
	gateway.Temporal
	signals chan workflows.Signal
}

type stubRun struct{ client.WorkflowRun }

func (stubRun) GetRunID() string { return "run" }
func (stubRun) Get(ctx context.Context, _ any) error {
	<-ctx.Done()
	return ctx.Err()
}

func (s *stubTemporal) SignalWithStartWorkflow(_ context.Context, _, _ string, arg any, _ client.StartWorkflowOptions, _ any, _ ...any) (client.WorkflowRun, error) {
	s.signals <- arg.(workflows.Signal)
	return stubRun{}, nil
}

func (s *stubTemporal) SignalWorkflow(_ context.Context, _, _, _ string, arg any) error {
	s.signals <- arg.(workflows.Signal)
	return nil
}

func (s *stubTemporal) GetWorkflow(context.Context, string, string) client.WorkflowRun {
	return stubRun{}
}

// hall is the page in a browser at a real gateway, with the test for its
// conversation.
type hall struct {
	*page
	temporal *stubTemporal
	media    media.MediaClient
	place    *media.Place
	said     uint32
}

// enter opens the page at a gateway whose store has these files.
func enter(t *testing.T, files map[string]string, width, height int64, flags ...chromedp.ExecAllocatorOption) *hall {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const key, token = "0123456789abcdef0123456789abcdef", "workers-share-this"
	registry := prometheus.NewRegistry()
	meters, err := metrics.New(registry)
	if err != nil {
		t.Fatal(err)
	}
	temporal := &stubTemporal{signals: make(chan workflows.Signal, 100)}
	gw, err := gateway.New(gateway.Config{
		Addr: "127.0.0.1:0", MediaAddr: "127.0.0.1:0", Keys: [][]byte{[]byte(key)}, MediaToken: token,
		Temporal: temporal, Metrics: meters, Registry: registry, Logger: slog.New(slog.DiscardHandler),
		Page: kioskpage.Page(), Media: dir,
		Plan: func(context.Context, string, string) (flow.Plan, map[string]any, error) { return flow.Plan{}, nil, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := gw.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		gw.Stop(ctx) //nolint:errcheck // the test is over
	})
	pass, err := gateway.NewKioskToken([]byte(key), "s1", "k1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	gateways := media.NewClient(token)
	t.Cleanup(func() { gateways.Close() })
	m, release, err := gateways.Gateway(gw.MediaAddr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)

	p := open(t, fmt.Sprintf("http://%s/#token=%s", gw.Addr(), pass), microphone(t, time.Second, nil, 0), width, height, flags...)
	p.wait("the page attracts customers", 30*time.Second, func(d door) bool { return d.Online && d.Screen == "attract" })
	do(p, chromedp.Click("#start"))
	h := &hall{page: p, temporal: temporal, media: m}
	joined := h.signal(workflows.Joined)
	h.place = &media.Place{Store: "s1", Kiosk: "k1", Session: joined.Session, Conversation: "run"}
	return h
}

func (h *hall) signal(kind workflows.Kind) workflows.Signal {
	h.t.Helper()
	for deadline := time.After(20 * time.Second); ; {
		select {
		case s := <-h.temporal.signals:
			if s.Kind == kind {
				return s
			}
		case <-deadline:
			h.t.Fatalf("no signal %s", kind)
		}
	}
}

// say plays a short silence as a response, with what it shows, and returns when
// the page has heard it.
func (h *hall) say(text string, screen *media.Screen, buttons ...*media.Button) {
	h.t.Helper()
	h.said++
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	defer cancel()
	play, err := h.media.Play(ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, part := range []*media.Audio{
		{Part: &media.Audio_Start_{Start: &media.Audio_Start{
			Place: h.place, Response: h.said, SampleRate: 16000, BargeIn: "none", Language: "en", Screen: screen,
			Listening: &media.Listening{Buttons: buttons},
		}}},
		{Part: &media.Audio_Segment{Segment: &media.Audio_SegmentAudio{Text: text}}},
		{Part: &media.Audio_Pcm{Pcm: make([]byte, 16000)}},
		{Part: &media.Audio_SegmentEnd{SegmentEnd: true}},
		{Part: &media.Audio_End{End: true}},
	} {
		if err := play.Send(part); err != nil {
			h.t.Fatal(err)
		}
	}
	for {
		p, err := play.Recv()
		if err != nil {
			h.t.Fatalf("played: %v", err)
		}
		if p.GetEnded() != nil {
			break
		}
	}
	if _, err := play.Recv(); !errors.Is(err, io.EOF) {
		h.t.Fatal(err)
	}
}

func (h *hall) js(expression string) string {
	h.t.Helper()
	return do(h.page, chromedp.Evaluate[string]("String("+expression+")"))
}

// A map as a drawing program writes it, and what somebody could hide in one.
const hostileMap = `<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:ink="http://ink.example" width="800px" height="400px" onload="hacked=1">
  <ink:view zoom="2"/>
  <script>hacked = 2</script>
  <style>.floor { fill: #ddeeff }</style>
  <style>.floor { fill: url(BEACON/style) }</style>
  <style>@import url(BEACON/import);</style>
  <rect id="floor" class="floor" width="800" height="400" onclick="hacked=3"/>
  <g transform="translate(100 100)"><rect id="a4" style="fill:#ffcc00;stroke:#333333" width="200" height="100"/></g>
  <rect id="far" style="fill:url(BEACON/fill)" x="500" width="10" height="10"/>
  <image href="BEACON/image" width="10" height="10"/>
  <use xlink:href="BEACON/use#x"/><use id="own" xlink:href="#a4"/>
  <a href="javascript:hacked=4"><text id="link">link</text></a>
  <foreignObject width="100" height="100"><body xmlns="http://www.w3.org/1999/xhtml"><img src="BEACON/foreign" onerror="hacked=5"/></body></foreignObject>
  <animate href="#a4" attributeName="href" to="javascript:hacked=6"/>
</svg>`

func TestACardIsShownBesideTheAvatar(t *testing.T) {
	var fetched atomic.Int64
	beacon := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
	defer beacon.Close()
	h := enter(t, map[string]string{
		"map.svg":    strings.ReplaceAll(hostileMap, "BEACON", beacon.URL),
		"kettle.svg": `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 30"><circle cx="20" cy="15" r="10"/></svg>`,
	}, 1080, 1920)

	h.say("The kettles are in aisle four. Was that it?", &media.Screen{
		Title: "Aisle 4", Text: "Left of the entrance", Map: "media/map.svg", Mark: "a4", Alt: "A map of the store",
		Buttons: []*media.Button{{Value: "more", Label: "Tell me more"}},
	}, &media.Button{Value: "yes", Label: "Yes"})
	h.wait("the map is drawn and its place lit up", 20*time.Second, func(d door) bool {
		return d.Card != nil && d.Card.Loaded && d.Card.Marked && slices.Equal(d.Buttons, []string{"Tell me more", "Yes"})
	})
	h.screenshot("card-map")

	const drawn = `document.querySelector("#card .map").shadowRoot`
	for expression, want := range map[string]string{
		`document.querySelector("#card h2").textContent`: "Aisle 4",
		`document.querySelector("#card p").textContent`:  "Left of the entrance",
		`document.querySelector("#card .map").ariaLabel`: "A map of the store",
		`typeof hacked`: "undefined",
		`getComputedStyle(` + drawn + `.querySelector("#a4")).fill`:                        "rgb(255, 204, 0)",
		`getComputedStyle(` + drawn + `.querySelector("#a4")).stroke`:                      "rgb(200, 16, 46)",
		`getComputedStyle(` + drawn + `.querySelector("#a4")).animationName`:               "lit",
		`getComputedStyle(` + drawn + `.querySelector("#floor")).fill`:                     "rgb(221, 238, 255)",
		drawn + `.querySelectorAll(".parley-pin").length`:                                  "1",
		drawn + `.querySelectorAll("script, foreignObject, animate, a, body, img").length`: "0",
		`[...` + drawn + `.querySelectorAll("*")].flatMap((e) => [...e.attributes]).filter((a) => /^on/i.test(a.name) || /http:..127|javascript/.test(a.value)).map((a) => a.name + "=" + a.value)`: "",
		drawn + `.querySelectorAll("#own, #link").length`: "1", // the use of an own element; what was in a link went with it
	} {
		if got := h.js(expression); got != want {
			t.Errorf("%s\n is %q, want %q", expression, got, want)
		}
	}
	if n := fetched.Load(); n > 0 {
		t.Errorf("the map had %d files fetched", n)
	}
	// Nothing covers anything, and every button can be hit.
	if got := h.js(`(() => {
		const box = (s) => document.querySelector(s).getBoundingClientRect();
		const card = box("#card"), sheet = box(".sheet"), stage = box(".stage"), map = box("#card .map");
		const faults = [];
		if (card.top < stage.bottom - 1 || card.bottom > sheet.top + 1) faults.push("the card covers something");
		if (stage.height < 200) faults.push("the face is small: " + stage.height);
		if (map.height < 300 || map.width < 500) faults.push("the map is small: " + map.width + "x" + map.height);
		for (const b of document.querySelectorAll("#choices button, .dock button")) {
			const r = b.getBoundingClientRect();
			if (r.height < 56 || r.width < 56 || r.bottom > innerHeight) faults.push(b.textContent.trim() + " is " + r.width + "x" + r.height);
		}
		return faults.join("; ");
	})()`); got != "" {
		t.Error(got)
	}

	do(h.page, chromedp.Click("#choices button:nth-child(2)"))
	if s := h.signal(workflows.Touched); s.Text != "yes" {
		t.Errorf("touched %+v", s)
	}
	h.wait("the buttons go, the map stays", 10*time.Second, func(d door) bool { return len(d.Buttons) == 0 && d.Card != nil && d.Card.Title == "Aisle 4" })
	h.say("This is it.", &media.Screen{Title: "A kettle", Picture: "media/kettle.svg", Alt: "A blue kettle"})
	h.wait("the picture is drawn", 20*time.Second, func(d door) bool { return d.Card != nil && d.Card.Picture != "" && d.Card.Loaded })
	if got := h.js(`document.querySelector("#card img").alt + document.querySelectorAll("#card .map").length`); got != "A blue kettle0" {
		t.Errorf("the picture: %q", got)
	}
	h.say("And this.", &media.Screen{Picture: "media/none.png", Alt: "A red kettle"})
	h.wait("a picture that is not there is told in words", 20*time.Second, func(door) bool {
		return h.js(`document.querySelector("#card figcaption")?.textContent`) == "A red kettle"
	})
	do(h.page, chromedp.Click("#keyboard"))
	do(h.page, chromedp.SendKeys("#text", "thanks"))
	do(h.page, chromedp.Click("#send"))
	h.signal(workflows.Typed)
	h.say("You are welcome.", nil)
	h.wait("the next answer takes it away", 10*time.Second, func(d door) bool { return d.Card == nil })
	if got := h.js(`document.querySelector("#card").hidden`); got != "true" {
		t.Error("the card is still there")
	}
}

func TestACardInLandscapeWithoutMotion(t *testing.T) {
	h := enter(t, map[string]string{"map.svg": hostileMap}, 1920, 1080, chromedp.Flag("force-prefers-reduced-motion", true))
	h.say("Here.", &media.Screen{Title: "Aisle 4", Map: "media/map.svg", Mark: "a4"})
	h.wait("the map is drawn", 20*time.Second, func(d door) bool { return d.Card != nil && d.Card.Loaded && d.Card.Marked })
	h.screenshot("card-landscape")
	if got := h.js(`(() => {
		const box = (s) => document.querySelector(s).getBoundingClientRect();
		const card = box("#card"), sheet = box(".sheet"), stage = box(".stage");
		const faults = [];
		if (card.top < stage.bottom - 1 || card.right > sheet.left + 1 || card.bottom > innerHeight) faults.push("the card covers something");
		const place = document.querySelector("#card .map").shadowRoot.querySelector("#a4");
		for (const e of [place, document.querySelector("#card")]) {
			if (getComputedStyle(e).animationName !== "none") faults.push(e.id + " moves");
		}
		return faults.join("; ");
	})()`); got != "" {
		t.Error(got)
	}
}
