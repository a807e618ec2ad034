// Package models_test runs the activities against the model servers that can
// run here: the embedded speech server.
package models_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"go.temporal.io/sdk/testsuite"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/stt"
	"github.com/praesenz/parley/activities/tts"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/speech"
	"github.com/praesenz/parley/tests/stub"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// startSpeech runs the embedded speech server; without its engines the test is
// skipped.
func startSpeech(t *testing.T) (server *speech.Server, url string) {
	t.Helper()
	for _, engine := range []string{"flite", "espeak-ng"} {
		if _, err := exec.LookPath(engine); err != nil {
			t.Skipf("skipped: %s is not installed; apt-get install %s", engine, engine)
		}
	}
	server, err := speech.New(speech.Config{Addr: "127.0.0.1:0", Corpus: []string{"../../examples/hardware-store"}, Recognisers: 1, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Stop(t.Context()) }) //nolint:errcheck // the test is over
	return server, "http://" + server.Addr()
}

func gateway(t *testing.T, c stub.GatewayConfig) (*stub.Gateway, *media.Client, activities.Place) {
	t.Helper()
	g, err := stub.StartGateway(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	client := media.NewClient("")
	t.Cleanup(func() { client.Close() })
	return g, client, activities.Place{Store: "s1", Kiosk: "k1", Gateway: g.Address, Session: "x"}
}

func TestSpeakWithTheEmbeddedServer(t *testing.T) {
	_, url := startSpeech(t)
	for language, want := range map[string]struct {
		text string
		rate uint32
	}{
		"en": {"Hammers cost 12.99 €. They are in aisle 4.", 16000},
		"de": {"Der Hammer kostet 12,99 €. Er liegt in Gang 4.", 22050},
	} {
		g, client, place := gateway(t, stub.GatewayConfig{})
		speaker, err := tts.New(tts.Config{BaseURL: url, Model: "tts-1"}, client, quiet)
		if err != nil {
			t.Fatal(err)
		}
		env := new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
		env.RegisterActivity(speaker)
		v, err := env.ExecuteActivity(speaker.Speak, activities.SpeakInput{Place: place, Text: want.text, Language: language})
		if err != nil {
			t.Fatalf("%s: %v", language, err)
		}
		var result activities.SpeakResult
		if err := v.Get(&result); err != nil || result.Text != want.text {
			t.Errorf("%s: result %+v, %v", language, result, err)
		}
		start, spoken := g.Spoken()
		if start.GetSampleRate() != want.rate || len(spoken) != 2 {
			t.Fatalf("%s: %d segments at %d Hz, want 2 at %d Hz", language, len(spoken), start.GetSampleRate(), want.rate)
		}
		for _, s := range spoken {
			// A second of speech or more, with the times of its sounds.
			if !s.Complete || s.Bytes < int(want.rate)*2 || s.Phonemes < 8 {
				t.Errorf("%s: segment %+v", language, s)
			}
		}
		t.Logf("%s: first audio after %d ms", language, result.FirstAudioMs)
	}
}

func TestTranscribeWithTheEmbeddedServer(t *testing.T) {
	server, url := startSpeech(t)
	if err := server.Deaf(); err != nil {
		t.Skipf("skipped: %v", err)
	}
	sounds := make(chan *media.Sound, 1000)
	g, client, place := gateway(t, stub.GatewayConfig{Sounds: sounds})
	transcriber, err := stt.New(stt.Config{BaseURL: url, Model: "whisper-1"}, client, quiet)
	if err != nil {
		t.Fatal(err)
	}
	env := new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
	env.RegisterActivity(transcriber)

	pcm := say(t, url, "rms", "where do I find hammers")
	for at := 0; at < len(pcm); at += 640 {
		sounds <- &media.Sound{Pcm: pcm[at:min(at+640, len(pcm))]}
	}
	sounds <- &media.Sound{End: true}
	v, err := env.ExecuteActivity(transcriber.Transcribe, activities.TranscribeInput{Place: place, Utterance: 1, Language: "en"})
	if err != nil {
		t.Fatal(err)
	}
	var result activities.TranscribeResult
	if err := v.Get(&result); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(result.Text, "hammer") || result.Confidence <= 0.3 || result.Confidence > 1 {
		t.Errorf("result %+v", result)
	}
	if len(g.Captions()) != 1 {
		t.Error("no caption was shown")
	}
	t.Logf("%q, confidence %.2f", result.Text, result.Confidence)
}

// say is text in a customer's voice, 16 kHz PCM16, with silence around it.
func say(t *testing.T, url, voice, text string) []byte {
	t.Helper()
	body, err := json.Marshal(map[string]any{"model": "tts-1", "voice": voice, "input": text, "response_format": "pcm", "sample_rate": 16000})
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(url+"/v1/audio/speech", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	pcm, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %.200s, %v", res.Status, pcm, err)
	}
	pause := make([]byte, 16000*2*3/10)
	return append(append(pause, pcm...), pause...)
}
