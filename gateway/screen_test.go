package gateway

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/workflows"
)

// say plays a response of a second with a screen and a question to its end.
func (r *room) say(number uint32, screen *media.Screen, listening *media.Listening) {
	r.t.Helper()
	a := start(nil, number, "speech").GetStart()
	a.Screen, a.Listening = screen, listening
	p, _, err := r.s.play(a)
	if err != nil {
		r.t.Fatal(err)
	}
	r.add(p, segmentAudio(0, "words"), pcmAudio(tone(time.Second)), segmentEnd, audioEnd)
	synctest.Wait()
	r.over(p)
}

// shown is what the kiosk shows, and how often it was told.
func (r *room) shown() (screen string, times int) {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	for _, told := range r.k.told {
		if s, ok := strings.CutPrefix(told, "wire.Screen"); ok {
			screen, times = s, times+1
		}
	}
	return screen, times
}

func (r *room) expectShown(want ...string) {
	r.t.Helper()
	got, _ := r.shown()
	for _, w := range want {
		if !strings.Contains(got, w) {
			r.t.Errorf("the kiosk shows %s, want %s", got, w)
		}
	}
}

const nothing = "{Title: Text: Picture: Map: Mark: Alt: Buttons:[]}"

func TestAScreenStaysUntilAnAnswerIsAnswered(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		card := &media.Screen{
			Title: "Aisle 4", Picture: "media/big kettle.jpg", Map: "media/map.svg", Mark: "a4", Alt: "A map",
			Buttons: []*media.Button{{Value: "more", Label: "More"}},
		}
		yes := &media.Listening{Buttons: []*media.Button{{Value: "yes", Label: "Yes"}, {Value: "more", Label: "Tell me more"}}}
		r.say(1, card, nil)
		r.expectShown("Title:Aisle 4", "Picture:store/media/big%20kettle.jpg", "Map:store/media/map.svg Mark:a4 Alt:A map", "[{Value:more Label:More}]")

		// The question that follows has none of its own.
		r.say(2, nil, yes)
		r.expectShown("Title:Aisle 4", "[{Value:more Label:More} {Value:yes Label:Yes}]")
		// Nor has its repetition, when nobody answers.
		_, before := r.shown()
		r.say(3, nil, yes)
		if _, after := r.shown(); after != before {
			t.Errorf("what is shown already was told again, %d times", after-before)
		}

		r.take(wire.UIEvent{Value: "yes"})
		r.expectShown("Title:Aisle 4", "Buttons:[]")
		r.say(4, nil, nil)
		r.expectShown(nothing)
		r.say(5, &media.Screen{Text: "Bay 2"}, nil)
		r.say(6, &media.Screen{Text: "Bay 3"}, nil)
		r.expectShown("Text:Bay 3")

		// A kiosk that comes back is told again.
		old := r.k
		r.s.detach(old, time.Now())
		close(old.done)
		r.k = r.connect(nil)
		r.expectShown("Text:Bay 3")
		r.s.conversationEnded("resolved", time.Now())
		r.expectShown(nothing)
	})
}

func TestASpokenAnswerTakesTheScreenAway(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		r.take(wire.VAD{Mode: "kiosk"})
		r.say(1, &media.Screen{Title: "Aisle 4"}, nil)
		for i, text := range []string{"", "thank you"} { // a noise first
			r.take(wire.SpeechStart{})
			r.take(wire.SpeechEnd{})
			m := &mediaServer{g: r.g}
			place := &media.Place{Store: "s1", Kiosk: "k1", Session: "session", Conversation: "c"}
			if i == 0 {
				r.s.conversation = "c" // as its first media call would have it
			}
			if _, err := m.Transcribed(t.Context(), &media.Transcript{Place: place, Utterance: r.s.spoken, Text: text}); err != nil {
				t.Fatal(err)
			}
			r.say(uint32(2+i), nil, nil)
			if i == 0 {
				r.expectShown("Title:Aisle 4")
			}
		}
		r.expectShown(nothing)
	})
}

func TestAFileThatCannotBeShownIsLeftOut(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		for i, file := range []string{"media/../kb/secret.jpg", "kb/a.jpg", "/media/a.jpg", "media/.git/a.jpg", "media/a.pdf", `media\a.jpg`, "media/a.png/"} {
			r.say(uint32(i+1), &media.Screen{Title: file, Picture: file, Map: "media/map.png"}, nil)
			r.expectShown("Title:" + file + " Text: Picture: Map: Mark:")
		}
	})
}

func TestOnlyAHotwordCuts(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		r.take(wire.VAD{Mode: "kiosk"})
		p := r.speak(1, "hotword", "You find hammers", "in aisle four", "over there")
		time.Sleep(500 * time.Millisecond)
		r.signals()
		told := len(r.k.told)
		r.take(wire.SpeechStart{})
		if kinds, last := r.signals(); !slices.Equal(kinds, []workflows.Kind{workflows.SpeechStarted}) || last.Utterance != int(r.s.spoken) {
			t.Errorf("signals: %v, %+v", kinds, last)
		}
		if err := r.s.hear(tone(200*time.Millisecond), time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
		r.take(wire.SpeechEnd{})
		h, err := r.s.hearUtterance(r.s.spoken, 0)
		if len(h.pcm) != 6400 || !h.ended || h.dropped || err != nil {
			t.Errorf("the recogniser gets %d bytes, ended %t, dropped %t, %v", len(h.pcm), h.ended, h.dropped, err)
		}
		if got := r.k.ms(1); got < 1900 {
			t.Errorf("%d ms were sent after a second: what is said has paused", got)
		}
		for _, m := range r.k.told[told:] {
			if !strings.HasPrefix(m, "wire.Ack") && !strings.HasPrefix(m, "wire.BotTTSText") {
				t.Errorf("the kiosk was told %s", m)
			}
		}
		if e := r.over(p); e.Interrupted || e.Heard != "You find hammers in aisle four over there" {
			t.Errorf("ended: %v", e)
		}
	})
}

func TestTheConversationTakesAResponseBack(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		p := r.speak(1, "hotword", "You find hammers", "in aisle four")
		time.Sleep(1100 * time.Millisecond)
		r.signals()
		m := &mediaServer{g: r.g}
		r.s.conversation = "c" // as its first media call would have it
		cut := &media.CutRequest{Place: &media.Place{Store: "s1", Kiosk: "k1", Session: "session", Conversation: "c"}, Response: 1}
		for range 2 { // the second time it is over already
			if _, err := m.Cut(t.Context(), cut); err != nil {
				t.Fatal(err)
			}
		}
		sent := len(r.k.heard())
		if e := r.over(p); !e.Interrupted || e.Heard != "You find hammers" || e.PlayedMs < 1050 || e.PlayedMs > 1100 {
			t.Errorf("ended: %v", e)
		}
		// The conversation need not be told what it has decided itself.
		if kinds, _ := r.signals(); len(kinds) > 0 {
			t.Errorf("signals: %v", kinds)
		}
		time.Sleep(time.Second)
		if n := len(r.k.heard()); n != sent || !r.k.was("Clear{Response:1}") || !r.k.was("State{State:thinking") {
			t.Errorf("%d frames were sent after the cut; told %q", n-sent, r.k.told)
		}
		// One that is cut before its voice comes is never heard.
		cut.Response = 2
		if _, err := m.Cut(t.Context(), cut); err != nil {
			t.Fatal(err)
		}
		if e := r.over(r.speak(2, "speech", "no")); !e.Interrupted || e.PlayedMs != 0 {
			t.Errorf("ended: %v", e)
		}
	})
}

func TestTypingCutsWhatAHotwordCuts(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		p := r.speak(1, "hotword", "one", "two")
		time.Sleep(500 * time.Millisecond)
		r.take(wire.SendText{Content: "hello"})
		if e := r.over(p); !e.Interrupted {
			t.Errorf("ended: %v", e)
		}
	})
}

// performs reads what is new of the timelines, as one line each.
func performs(t *testing.T, p *performer) (lines []string) {
	t.Helper()
	entries, _, err := p.timeline()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		line := string(rune('0' + e.Response))
		switch {
		case e.Begin:
			line += " begin " + e.Gesture
		case e.Cut:
			line += " cut"
		case e.End:
			line += " end"
		default:
			line += " " + e.Text
		}
		lines = append(lines, line)
	}
	return lines
}

func TestOnePerformerFollowsEveryResponse(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		r.over(r.speak(1, "speech", "before"))
		p := r.s.perform(&media.Cues{Response: 1})
		if got := performs(t, p); len(got) > 0 {
			t.Errorf("what is over is performed: %q", got)
		}
		a := start(nil, 2, "speech").GetStart()
		a.Gesture = "wave"
		first, _, err := r.s.play(a)
		if err != nil {
			t.Fatal(err)
		}
		r.add(first, segmentAudio(0, "one"), pcmAudio(tone(time.Second)), segmentEnd, audioEnd)
		second := r.speak(3, "speech", "two", "three")
		if got, want := performs(t, p), []string{"2 begin wave", "2 one", "3 begin ", "3 two", "3 three"}; !slices.Equal(got, want) {
			t.Errorf("timeline %q, want %q", got, want)
		}

		take := func(at ...uint32) {
			t.Helper()
			c := &media.Cues{Response: 2}
			for _, ms := range at {
				c.Cues = append(c.Cues, &media.Cue{AtMs: ms, Gesture: "nod"})
			}
			if err := p.take(c, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		take(0)
		time.Sleep(700 * time.Millisecond)
		take(400, 600, 900) // the first comes too late
		if !r.k.was("Cues{Response:2 Cues:[{At:0 ") || !r.k.was("Cues{Response:2 Cues:[{At:600 ") || r.k.was("At:400") {
			t.Errorf("the kiosk was told %q", r.k.told)
		}
		r.over(first)
		take(900)
		r.take(wire.VAD{Mode: "kiosk"})
		time.Sleep(100 * time.Millisecond)
		r.take(wire.SpeechStart{})
		r.understood("stop")
		r.over(second)
		if got, want := performs(t, p), []string{"2 end", "3 cut"}; !slices.Equal(got, want) {
			t.Errorf("timeline %q, want %q", got, want)
		}

		// A second attempt takes over and begins with what is not over.
		open := r.speak(4, "speech", "four")
		again := r.s.perform(&media.Cues{Response: 1})
		if _, _, err := p.timeline(); err != errPerformed {
			t.Errorf("the first performer is told %v", err)
		}
		if got, want := performs(t, again), []string{"4 begin ", "4 four"}; !slices.Equal(got, want) {
			t.Errorf("timeline %q, want %q", got, want)
		}
		r.take(wire.SpeechEnd{})
		r.over(open)
		r.s.end(errKioskOff)
		if _, _, err := again.timeline(); err != io.EOF {
			t.Errorf("at the end of the session: %v", err)
		}
	})
}

func TestTheStoresPicturesAreServed(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"media/a4.jpg": "jpeg", "media/deep/er.svg": "<svg/>", "media/notes.txt": "x", "media/.hidden.png": "x",
		"secret.jpg": "x", "media/large.png": strings.Repeat("x", maxPicture+1),
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../secret.jpg", filepath.Join(dir, "media/link.jpg")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "media/folder.png"), 0o755); err != nil {
		t.Fatal(err)
	}
	b := startGateway(t, func(c *Config) {
		c.Media = filepath.Join(dir, "media")
		c.Origins = []string{"https://kiosk.example"}
	})
	ask := func(method, path string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+b.Addr(), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Opaque = "//" + b.Addr() + path // as it is
		req.Header.Set("Origin", "https://kiosk.example")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	for path, kind := range map[string]string{"a4.jpg": "image/jpeg", "deep/er.svg": "image/svg+xml"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			r := ask(method, "/store/media/"+path)
			if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != kind || r.Header.Get("Cache-Control") == "" ||
				!strings.Contains(r.Header.Get("Content-Security-Policy"), "sandbox") || r.Header.Get("X-Content-Type-Options") != "nosniff" ||
				r.Header.Get("Access-Control-Allow-Origin") != "https://kiosk.example" {
				t.Errorf("%s %s: %s %v", method, path, r.Status, r.Header)
			}
		}
	}
	for _, path := range []string{
		"", "none.jpg", "notes.txt", ".hidden.png", "large.png", "link.jpg", "folder.png", "../secret.jpg", "..%2fsecret.jpg",
		"%2e%2e/secret.jpg", "deep/../../secret.jpg", "/a4.jpg", "deep//er.svg", "a4.jpg%00.png", "..%5csecret.jpg",
	} {
		if r := ask(http.MethodGet, "/store/media/"+path); r.StatusCode != http.StatusNotFound {
			t.Errorf("%q: %s", path, r.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
