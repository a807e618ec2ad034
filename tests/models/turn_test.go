package models_test

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.temporal.io/sdk/testsuite"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/stt"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/tests/stub"
)

// startSmartTurn runs deploy/turn's server with the real model; where that was
// not installed the test is skipped.
func startSmartTurn(t *testing.T) (url string) {
	t.Helper()
	const turn = "../../deploy/turn"
	python, err := filepath.Abs(turn + "/venv/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	server := exec.CommandContext(t.Context(), python, turn+"/server.py", "--listen", "127.0.0.1:0")
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Skip("skipped: deploy/turn/venv is not there; make turn-model makes it")
	}
	t.Cleanup(func() { server.Wait() }) //nolint:errcheck // it is killed when the test is over
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("it ended, or said nothing: %v", lines.Err())
	}
	_, url, _ = strings.Cut(lines.Text(), " at ")
	return url
}

// What Smart Turn thinks of synthetic voices is not what it thinks of people's,
// so these are two that it is sure of.
func TestSmartTurnHearsWhoHasSaidAll(t *testing.T) {
	turns := startSmartTurn(t)
	_, url := startSpeech(t)
	for text, all := range map[string]bool{"Hammers, please.": true, "I would like to, um": false} {
		sounds := make(chan *media.Sound, 1)
		g, client, place := gateway(t, stub.GatewayConfig{Sounds: sounds})
		ears, err := stub.Start(stub.Config{Transcript: text})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ears.Close() })
		transcriber, err := stt.New(stt.Config{BaseURL: ears.URL, Model: "ears", TurnURL: turns, TurnTimeout: stub.Deadline}, client, quiet)
		if err != nil {
			t.Fatal(err)
		}
		env := new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
		env.RegisterActivity(transcriber)
		go func() {
			sounds <- &media.Sound{Pcm: say(t, url, "rms", text)}
			sounds <- &media.Sound{End: true, Open: true}
		}()
		in := activities.TranscribeInput{Place: place, Utterance: 1, Language: "en", Endpointing: stt.ByModel}
		if _, err := env.ExecuteActivity(transcriber.Transcribe, in); err != nil {
			t.Fatal(err)
		}
		if err := transcriber.Close(); err != nil {
			t.Fatal(err)
		}
		judged := false
		for _, c := range g.Captions() {
			if c.Complete != nil {
				judged = true
				if (c.GetComplete() > 0.5) != all {
					t.Errorf("%q is complete with a probability of %.2f", text, c.GetComplete())
				}
				t.Logf("%q: %.2f", text, c.GetComplete())
			}
		}
		if !judged {
			t.Errorf("%q was not judged", text)
		}
	}
}
