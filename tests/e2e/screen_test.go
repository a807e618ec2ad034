package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/praesenz/parley/tests/kiosk"
	"github.com/praesenz/parley/tests/system"
	"github.com/praesenz/parley/tests/voice"
)

// A store whose one flow shows a map while it explains something at length.
var tour = map[string]string{
	"store.yaml": `store: tour
name: Tour
languages: {default: en, supported: [en]}
kiosks: [{id: entrance, name: Entrance, flow: tour}]
`,
	"flows/tour.yaml": `api: parley.flow/v1
flow: tour
about: Customer is shown around
version: 1.0.0
languages: {default: en, supported: [en]}
prompts: prompts/tour
slots:
  question: {type: text, ask_anew: true}
defaults:
  barge_in: {mode: speech, hotwords: {en: [stop]}}
  no_input: {say: [ask], then: bye}
  no_match: {say: [ask], then: bye}
start: ask
steps:
  ask:
    collect: {slot: question, prompt: ask}
    next: explain
  explain:
    say:
      prompt: explain
      avatar: point
      screen: {title: title, map: media/map.svg, mark: "'a4'", alt: title}
    barge_in: {mode: hotword}
    next: ask
  bye:
    end: {prompt: bye, outcome: resolved}
`,
	"prompts/tour/en.yaml": `ask: What would you like to see?
title: Aisle four
explain: >-
  Go straight ahead until you come to the paint, and then turn to the left. Behind the second pillar you will find
  the ladders. From there it is only a few steps to the garden tools, which are next to the big window. The flowers
  are outside, behind the door on the right hand side.
bye: Goodbye!
`,
	"media/map.svg": `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><rect id="a4" width="5" height="5"/></svg>`,
}

func TestAScreenIsShownAndOnlyAHotwordCuts(t *testing.T) {
	dir := t.TempDir()
	for name, content := range tour {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sys := system.Start(t, "--store", dir)
	v := enter(t, sys, "entrance", "en", kiosk.Options{})
	ctx, cancel := context.WithTimeout(v.ctx, time.Minute)
	defer cancel()
	mark := v.k.Mark()
	if err := v.k.Type("where are the flowers"); err != nil {
		t.Fatal(err)
	}
	v.waitState(mark, "speaking")
	shown := func(e kiosk.Event) bool {
		return e.Type == "server:screen" && strings.Contains(string(e.Data), `"mark":"a4"`)
	}
	if _, err := v.k.Wait(ctx, mark, shown); err != nil {
		t.Fatal(err)
	}
	if s := v.k.Screen(); s.Title != "Aisle four" || s.Map != "store/media/map.svg" {
		t.Errorf("the kiosk shows %+v", s)
	}
	response := v.k.Last()

	// What is no hotword is let go, and the kiosk shows nothing of it.
	mark = v.k.Mark()
	if _, err := v.k.Say(ctx, voice.Say(t, "rms", "where do i find hammers")); err != nil {
		t.Fatal(err)
	}
	if _, err := v.k.Say(ctx, make([]byte, kiosk.Rate*2*2)); err != nil { // two seconds of silence
		t.Fatal(err)
	}
	for _, r := range v.k.Responses(response - 1) {
		if r.Cut || r.Done {
			t.Fatalf("the explanation has ended after %d ms, cut: %t\n%s", r.PlayedMs, r.Cut, v.k.Story())
		}
	}
	if _, err := v.k.Say(ctx, voice.Say(t, "rms", "please stop talking now")); err != nil {
		t.Fatal(err)
	}
	if _, err := v.k.Wait(ctx, mark, func(e kiosk.Event) bool { return e.Type == "bot-interrupted" }); err != nil {
		t.Fatal(err)
	}
	after := v.k.Mark()
	v.waitState(after-1, "listening")
	if s := v.k.Screen(); s.Title != "Aisle four" {
		t.Errorf("the question that follows shows %+v; nobody has answered", s)
	}
	story := v.k.Story()
	if strings.Contains(story, "user-transcription") {
		t.Errorf("what was said over the explanation was shown\n%s", story)
	}
	if r := v.k.Responses(response - 1)[0]; len(r.Gestures) == 0 || r.Gestures[0] != "point" || r.Visemes < 20 {
		t.Errorf("the avatar moved with %v and %d visemes", r.Gestures, r.Visemes)
	}
}
