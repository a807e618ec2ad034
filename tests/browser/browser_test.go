// Package browser opens the kiosk's page in a real Chromium, with a customer's
// voice in its microphone.
package browser

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/praesenz/parley/tests/system"
	"github.com/praesenz/parley/tests/voice"
)

// door is the page's own test door, window.__parley.
type door struct {
	Screen   string `json:"screen"`
	State    string `json:"state"`
	Language string `json:"language"`
	Online   bool   `json:"online"`
	Mic      string `json:"mic"`
	Captions []struct {
		Text  string `json:"text"`
		Heard int    `json:"heard"`
		Now   bool   `json:"now"`
	} `json:"captions"`
	Transcript []struct {
		By   string `json:"by"`
		Text string `json:"text"`
	} `json:"transcript"`
	Buttons []string `json:"buttons"`
	Card    *struct {
		Title   string `json:"title"`
		Picture string `json:"picture"`
		Loaded  bool   `json:"loaded"`
		Marked  bool   `json:"marked"`
	} `json:"card"`
	Response int     `json:"response"`
	PlayedMs float64 `json:"playedMs"`
	Mouth    float64 `json:"mouth"`
	LevelIn  float64 `json:"levelIn"`
	LevelOut float64 `json:"levelOut"`
}

// page is one open kiosk page.
type page struct {
	t   *testing.T
	ctx context.Context
}

// open starts Chromium with a WAV file for a microphone.
func open(t *testing.T, url, microphone string, width, height int64, flags ...chromedp.ExecAllocatorOption) *page {
	t.Helper()
	path := ""
	for _, name := range []string{"/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"} {
		if _, err := os.Stat(name); err == nil {
			path = name
			break
		}
	}
	if path == "" {
		t.Fatal("there is no Chromium; install Debian's package chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("use-file-for-fake-audio-capture", microphone+"%noloop"),
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(60*time.Second),
	)
	allocated, cancel := chromedp.NewExecAllocator(t.Context(), append(options, flags...)...)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewContext(allocated)
	t.Cleanup(stop)
	// The browser lives as long as the context of its first action.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	p := &page{t, ctx}
	do(p, chromedp.EmulateViewport(width, height))
	do(p, chromedp.Navigate(url))
	return p
}

// do lets the browser do one thing, within a minute.
func do[T any](p *page, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		p.t.Fatal(err)
	}
	return value
}

func (p *page) look() door {
	p.t.Helper()
	return do(p, chromedp.Evaluate[door]("window.__parley"))
}

// wait looks until a condition holds.
func (p *page) wait(what string, limit time.Duration, holds func(door) bool) door {
	p.t.Helper()
	var last door
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
		last = p.look()
		if holds(last) {
			return last
		}
		time.Sleep(20 * time.Millisecond) // the interval of looking, not a wait for something
	}
	p.screenshot("failed")
	p.t.Fatalf("not within %v: %s; the page is at %+v", limit, what, last)
	return last
}

// screenshot keeps a picture for people to look at.
func (p *page) screenshot(name string) {
	p.t.Helper()
	png := do(p, chromedp.CaptureScreenshot())
	dir := filepath.Join(system.Root(p.t), "tests", "artifacts")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// microphone writes a WAV file: silence, a voice, silence.
func microphone(t *testing.T, before time.Duration, pcm []byte, after time.Duration) string {
	t.Helper()
	silence := func(d time.Duration) []byte { return make([]byte, int(d.Seconds()*16000)*2) }
	sound := append(append(silence(before), pcm...), silence(after)...)
	path := filepath.Join(t.TempDir(), "microphone.wav")
	if err := os.WriteFile(path, voice.Encode(sound, 16000), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestACustomerTalksToThePage(t *testing.T) {
	sys := system.Start(t)
	// The microphone opens with the touch; greeting and first question take about
	// ten seconds.
	mic := microphone(t, 13*time.Second, voice.Say(t, "rms", "where do i find hammers"), 60*time.Second)
	p := open(t, sys.Page+"/#token="+sys.Tokens["entrance"], mic, 1080, 1920)

	p.wait("the page is online and attracts customers", 30*time.Second, func(d door) bool { return d.Online && d.Screen == "attract" })
	p.screenshot("1-attract")
	do(p, chromedp.Click("#start"))
	p.wait("the microphone is open", 15*time.Second, func(d door) bool { return d.Mic == "on" })
	greeted := p.wait("the greeting is heard and seen", 20*time.Second, func(d door) bool {
		return d.LevelOut > 0.01 && d.Mouth > 0.05 && len(d.Captions) > 0 && d.Captions[0].Heard > 0
	})
	p.screenshot("2-greeting")
	if greeted.State != "speaking" {
		t.Errorf("state %q while the page speaks, want speaking", greeted.State)
	}
	p.wait("language buttons are there", 20*time.Second, func(d door) bool { return len(d.Buttons) == 2 })
	p.screenshot("3-buttons")
	p.wait("the customer's voice comes in", 20*time.Second, func(d door) bool { return d.LevelIn > 0.01 })

	understood := p.wait("the question is understood", 20*time.Second, func(d door) bool {
		for _, l := range d.Transcript {
			if l.By == "customer" && strings.Contains(l.Text, "hammer") {
				return true
			}
		}
		return false
	})
	t.Logf("understood: %+v", understood.Transcript)
	p.wait("the answer is heard, its caption seen and the mouth moves", 20*time.Second, func(d door) bool {
		said := ""
		for _, c := range d.Captions {
			said += c.Text
		}
		return strings.Contains(said, "aisle 4") && d.LevelOut > 0.01 && d.Mouth > 0.05
	})
	p.screenshot("4-answer")

	// A mouth that follows speech opens and closes.
	open, shut := 0.0, 1.0
	p.wait("the mouth opens and closes", 10*time.Second, func(d door) bool {
		open, shut = max(open, d.Mouth), min(shut, d.Mouth)
		return open > 0.15 && shut < 0.05
	})
	p.wait("the page listens again", 30*time.Second, func(d door) bool { return d.State == "listening" })
	p.screenshot("5-listening")
}

func TestThePageApologisesWhenTheVoiceIsAway(t *testing.T) {
	sys := system.Start(t, "--speech", "http://127.0.0.1:1") // nobody is there
	mic := microphone(t, time.Second, nil, 60*time.Second)
	p := open(t, sys.Page+"/#token="+sys.Tokens["entrance"], mic, 1080, 1920)
	p.wait("the page is online and attracts customers", 30*time.Second, func(d door) bool { return d.Online && d.Screen == "attract" })
	do(p, chromedp.Click("#start"))
	const sorry = "Please ask a member of our staff"
	for deadline := time.Now().Add(30 * time.Second); ; {
		notice := do(p, chromedp.Evaluate[string](`document.getElementById("notice").hidden ? "" : document.getElementById("notice").textContent`))
		if strings.Contains(notice, sorry) {
			break
		}
		if time.Now().After(deadline) {
			p.screenshot("failed")
			t.Fatalf("the page shows %q, want %q", notice, sorry)
		}
	}
	p.screenshot("6-apology")
	p.wait("the page waits for the next customer", 15*time.Second, func(d door) bool { return d.Screen == "attract" })
}
