package tts_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"google.golang.org/grpc/codes"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/tts"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/tests/stub"
)

type scene struct {
	gateway *stub.Gateway
	server  *stub.Server
	env     *testsuite.TestActivityEnvironment
	made    []int // characters of each segment, as observed
	run     func(activities.SpeakInput) (activities.SpeakResult, error)
}

func newScene(t *testing.T, gateway stub.GatewayConfig, speech stub.Config) *scene {
	t.Helper()
	s := &scene{}
	var err error
	if s.gateway, err = stub.StartGateway(gateway); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.gateway.Close)
	if s.server, err = stub.Start(speech); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.server.Close() })
	gateways := media.NewClient("")
	t.Cleanup(func() { gateways.Close() })
	speaker, err := tts.New(tts.Config{
		BaseURL: s.server.URL,
		Model:   "m",
		Voices:  map[string]string{"en": "slt", "de": "maker/n/anna"},
		Timeout: time.Second,
		OnGenerated: func(store string, seconds float64, chars int) {
			if store != "s1" || seconds < 0 {
				t.Errorf("observed %q, %v s", store, seconds)
			}
			s.made = append(s.made, chars)
		},
	}, gateways, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s.env = new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
	s.env.RegisterActivity(speaker)
	s.run = func(in activities.SpeakInput) (activities.SpeakResult, error) {
		in.Place = activities.Place{Store: "s1", Kiosk: "k1", Conversation: "c1", Gateway: s.gateway.Address, Session: "x"}
		if in.Language == "" {
			in.Language = "en"
		}
		var result activities.SpeakResult
		v, err := s.env.ExecuteActivity(speaker.Speak, in)
		if err == nil {
			err = v.Get(&result)
		}
		return result, err
	}
	return s
}

const twoSentences = "Hammers cost 12.99 €. They are in aisle 4."

func TestSpeakAGivenText(t *testing.T) {
	s := newScene(t, stub.GatewayConfig{}, stub.Config{Timing: true, SampleRate: 24000})
	got, err := s.run(activities.SpeakInput{
		Response: 7, Text: twoSentences, BargeIn: "speech", MinWords: 2,
		Listening: &activities.Listening{EndSilenceMs: 500, MaxUtteranceMs: 20000, Buttons: []activities.Button{{Value: "y", Label: "Yes"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Text != twoSentences || got.Heard != twoSentences || got.Interrupted || got.Voice != "slt" || got.Response != 7 {
		t.Errorf("result %+v", got)
	}
	start, spoken := s.gateway.Spoken()
	if start.GetSampleRate() != 24000 || start.GetBargeIn() != "speech" || start.GetMinWords() != 2 || start.GetResponse() != 7 ||
		start.GetListening().GetEndSilenceMs() != 500 || start.GetListening().GetButtons()[0].GetLabel() != "Yes" {
		t.Errorf("start %v", start)
	}
	if len(spoken) != 2 {
		t.Fatalf("spoken %+v", spoken)
	}
	for i, text := range []string{"Hammers cost 12.99 €.", "They are in aisle 4."} {
		if sp := spoken[i]; sp.Text != text || sp.Phonemes != 2 || !sp.Complete || sp.Bytes == 0 {
			t.Errorf("segment %d: %+v", i, sp)
		}
	}
	if len(s.made) != 2 {
		t.Errorf("observed %v", s.made)
	}
	// The engine is given what it can read; the caption keeps the original.
	var inputs []string
	for _, r := range s.server.Ended(t.Context(), 3) {
		if r.Fields["stream_format"] == "sse" {
			inputs = append(inputs, r.Fields["input"])
		}
	}
	if len(inputs) != 2 || inputs[0] != "Hammers cost 12 euros 99." {
		t.Errorf("the server was asked to say %q", inputs)
	}
}

func TestSpeakReadsWhatAModelWrites(t *testing.T) {
	s := newScene(t, stub.GatewayConfig{}, stub.Config{})
	s.gateway.Preset("Aisle 4. Bay", false)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), stub.Deadline)
		defer cancel()
		// The first sentence is spoken before the second one is written.
		if s.gateway.Wait(ctx, func() bool { return s.gateway.SpokenSegments() == 1 }) == nil {
			s.gateway.Preset("Aisle 4. Bay 2.", true)
		}
	}()
	got, err := s.run(activities.SpeakInput{Language: "de-AT", Cover: "One moment."})
	if r := s.gateway.LastRead(); r.GetCover() != "One moment." || r.GetCoverAfterMs() != 700 {
		t.Errorf("Speak reads by %v", r)
	}
	if r := s.server.Ended(t.Context(), 2)[1]; r.Fields["model"] != "maker/n" || r.Fields["voice"] != "anna" {
		t.Errorf("the server was asked for %v", r.Fields)
	}
	if err != nil || got.Text != "Aisle 4. Bay 2." || got.Voice != "anna" || got.FirstAudioMs < 0 {
		t.Errorf("result %+v, %v", got, err)
	}
	if w := s.gateway.Writes(); len(w) != 0 {
		t.Errorf("Speak wrote %v", w)
	}
}

// No more than two segments are made ahead of the one that plays.
func TestSpeakStaysALittleAhead(t *testing.T) {
	played := make(chan struct{})
	s := newScene(t, stub.GatewayConfig{Played: played}, stub.Config{})
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), stub.Deadline)
		defer cancel()
		for i := range 6 {
			most := min(i+1+tts.Ahead, 6)
			if s.gateway.Wait(ctx, func() bool { return s.gateway.SpokenSegments() >= most }) != nil {
				t.Errorf("segment %d was not made in time", most)
			}
			if _, spoken := s.gateway.Spoken(); len(spoken) > most {
				t.Errorf("%d segments made while %d were played", len(spoken), i)
			}
			if i < 3 {
				played <- struct{}{}
			}
		}
	}()
	if _, err := s.run(activities.SpeakInput{Text: "One. Two. Three. Four. Five. Six."}); err != nil {
		t.Fatal(err)
	}
}

func TestInterruptedIsAResultAndNoError(t *testing.T) {
	s := newScene(t, stub.GatewayConfig{InterruptAfter: 1000}, stub.Config{})
	got, err := s.run(activities.SpeakInput{Text: twoSentences})
	if err != nil || !got.Interrupted || got.Heard != "Hammers" {
		t.Errorf("result %+v, %v", got, err)
	}
}

func TestCutBeforeAnythingPlays(t *testing.T) {
	s := newScene(t, stub.GatewayConfig{Fail: map[string]codes.Code{"Play": codes.Aborted}}, stub.Config{})
	got, err := s.run(activities.SpeakInput{Text: twoSentences})
	if err != nil || !got.Interrupted {
		t.Errorf("result %+v, %v", got, err)
	}
}

func TestGestureAndScreenGoWithTheResponse(t *testing.T) {
	s := newScene(t, stub.GatewayConfig{}, stub.Config{})
	_, err := s.run(activities.SpeakInput{Text: twoSentences, BargeIn: "hotword", Gesture: "point", Screen: &activities.Screen{
		Title: "Aisle 4", Text: "On the left", Picture: "media/hammer.jpg", Map: "media/map.svg", Mark: "a4", Alt: "A map",
		Buttons: []activities.Button{{Value: "more", Label: "More"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	start, _ := s.gateway.Spoken()
	c := start.GetScreen()
	if start.GetGesture() != "point" || start.GetBargeIn() != "hotword" || c.GetTitle() != "Aisle 4" || c.GetText() != "On the left" ||
		c.GetPicture() != "media/hammer.jpg" || c.GetMap() != "media/map.svg" || c.GetMark() != "a4" || c.GetAlt() != "A map" ||
		c.GetButtons()[0].GetValue() != "more" {
		t.Errorf("start %v", start)
	}
	_, err = s.run(activities.SpeakInput{Text: twoSentences, Gesture: "dance"})
	var e *temporal.ApplicationError
	if !errors.As(err, &e) || e.Type() != activities.KindInvalid || !strings.Contains(err.Error(), `gesture "dance"`) {
		t.Errorf("an unknown gesture: %v", err)
	}
}

// Its workflow takes a response back: the customer said a hotword, or somebody
// of the staff has come.
func TestCancelledByItsWorkflowItTellsWhatWasHeard(t *testing.T) {
	s := newScene(t, stub.GatewayConfig{Endless: true}, stub.Config{})
	ctx, cancel := context.WithCancelCause(t.Context())
	s.env.SetWorkerOptions(worker.Options{BackgroundActivityContext: ctx})
	go func() {
		s.gateway.Wait(ctx, func() bool { return s.gateway.SpokenSegments() == 2 }) //nolint:errcheck // then it is cancelled sooner
		cancel(temporal.NewCanceledError())
	}()
	got, err := s.run(activities.SpeakInput{Text: twoSentences, BargeIn: "hotword"})
	if err != nil || !got.Interrupted || got.Heard != "Hammers" || got.Text != twoSentences {
		t.Errorf("result %+v, %v", got, err)
	}
}

// A worker that shuts down leaves its response to the next one.
func TestAWorkerThatStopsCutsNothing(t *testing.T) {
	s := newScene(t, stub.GatewayConfig{Endless: true}, stub.Config{})
	ctx, cancel := context.WithCancelCause(t.Context())
	s.env.SetWorkerOptions(worker.Options{BackgroundActivityContext: ctx})
	go func() {
		s.gateway.Wait(ctx, func() bool { return s.gateway.SpokenSegments() == 2 }) //nolint:errcheck // then it is cancelled sooner
		cancel(worker.ErrWorkerShutdown)
	}()
	if got, err := s.run(activities.SpeakInput{Text: twoSentences}); err == nil {
		t.Errorf("result %+v", got)
	}
	if s.gateway.TakenBack() {
		t.Error("what the next attempt could go on with was cut")
	}
}

func TestSecondAttemptGoesOn(t *testing.T) {
	s := newScene(t, stub.GatewayConfig{From: 1}, stub.Config{})
	s.gateway.Preset(twoSentences, true)
	s.env.SetHeartbeatDetails(activities.Made{Segments: []int64{400}})
	if _, err := s.run(activities.SpeakInput{Text: twoSentences}); err != nil {
		t.Fatal(err)
	}
	if text, _ := s.gateway.Text(); text != twoSentences {
		t.Errorf("the text was written again: %q", text)
	}
	if _, spoken := s.gateway.Spoken(); len(spoken) != 1 || spoken[0].Index != 1 {
		t.Errorf("spoken %+v, want the second segment only", spoken)
	}
}

// The first attempt's worker died when all had been heard.
func TestSecondAttemptOfWhatWasHeardTellsSo(t *testing.T) {
	s := newScene(t, failing("Write", codes.Aborted), stub.Config{})
	s.gateway.Preset(twoSentences, true)
	got, err := s.run(activities.SpeakInput{Text: twoSentences})
	if err != nil || got.Interrupted || got.Heard != twoSentences {
		t.Errorf("result %+v, %v", got, err)
	}
}

func TestSpeakFails(t *testing.T) {
	fault := func(f stub.Fault) stub.Config {
		f.Path, f.Skip = stub.Speech, 1 // in the second sentence
		return stub.Config{Faults: []stub.Fault{f}}
	}
	for name, c := range map[string]struct {
		gateway   stub.GatewayConfig
		speech    stub.Config
		kind      string
		permanent bool
		says      string
	}{
		"no audio":         {speech: fault(stub.Fault{Empty: true}), kind: activities.KindAway, says: `voice "slt"`},
		"audio breaks off": {speech: fault(stub.Fault{Cut: true}), kind: activities.KindAway, says: "broke off"},
		"hangs":            {speech: fault(stub.Fault{Hang: true}), kind: activities.KindTimeout, says: "no audio for 1s"},
		"busy":             {speech: fault(stub.Fault{Status: 429}), kind: activities.KindAway},
		"unknown model":    {speech: fault(stub.Fault{Status: 404, Detail: "no model m"}), kind: activities.KindInvalid, permanent: true, says: "no model m"},
		"session gone":     {gateway: failing("Write", codes.NotFound), kind: activities.KindGone, permanent: true},
		"play is refused":  {gateway: failing("Play", codes.InvalidArgument), kind: activities.KindInvalid, permanent: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, c.gateway, c.speech)
			_, err := s.run(activities.SpeakInput{Text: twoSentences})
			var e *temporal.ApplicationError
			if !errors.As(err, &e) || e.Type() != c.kind || e.NonRetryable() != c.permanent || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v; want kind %q, permanent %t", err, c.kind, c.permanent)
			}
			// What failed must stay open for the next attempt.
			if _, spoken := s.gateway.Spoken(); len(spoken) == 2 && spoken[1].Complete {
				t.Error("the segment that failed was given as complete")
			}
		})
	}
}

// A gateway that is away for a moment is waited for.
func TestAGatewayComesBack(t *testing.T) {
	for _, method := range []string{"Write", "Read", "Play"} {
		g := failing(method, codes.Unavailable)
		g.FailFirst = 2
		s := newScene(t, g, stub.Config{})
		if got, err := s.run(activities.SpeakInput{Text: twoSentences}); err != nil || got.Heard != twoSentences {
			t.Errorf("%s: result %+v, %v", method, got, err)
		}
	}
}

// What was heard at one gateway is not made again for the next.
func TestAResponseGoesOnAtAnotherGateway(t *testing.T) {
	const text = "One. Two. Three. Four."
	s := newScene(t, stub.GatewayConfig{Endless: true}, stub.Config{})
	ctx, cancel := context.WithCancelCause(t.Context())
	s.env.SetWorkerOptions(worker.Options{BackgroundActivityContext: ctx})
	go func() {
		s.gateway.Wait(ctx, func() bool { return s.gateway.SpokenSegments() == 4 }) //nolint:errcheck // then it is cancelled sooner
		cancel(temporal.NewCanceledError())
	}()
	got, err := s.run(activities.SpeakInput{Text: text})
	if err != nil || got.Made == nil || len(got.Made.Segments) != 4 || got.Made.Segments[0] <= 0 {
		t.Fatalf("result %+v, %v; want the lengths of four segments", got, err)
	}

	long := got.Made.Segments
	heard := func(ms int64, known ...int64) activities.Heard {
		return activities.Heard{PlayedMs: ms, Made: activities.Made{Segments: known}}
	}
	for name, c := range map[string]struct {
		heard activities.Heard
		from  int // the first segment that is made
	}{
		"in the middle of the third":      {heard(long[0]+long[1]+100, long...), 2},
		"between two":                     {heard(long[0]+long[1], long...), 2},
		"a little before the second ends": {heard(long[0]+long[1]-5, long...), 2},
		"one length is known":             {heard(long[0]+long[1], long[:1]...), 1},
		"no length is known":              {heard(1000), 0},
		"all of it":                       {heard(1<<20, long...), 4},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, stub.GatewayConfig{}, stub.Config{})
			if _, err := s.run(activities.SpeakInput{Text: text, Heard: &c.heard}); err != nil {
				t.Fatal(err)
			}
			start, spoken := s.gateway.Spoken()
			if int64(start.GetFromMs()) != c.heard.PlayedMs || len(spoken) != 4 {
				t.Fatalf("plays from %d ms, spoken %+v", start.GetFromMs(), spoken)
			}
			for i, sp := range spoken {
				if made := sp.Bytes > 0; made != (i >= c.from) || made == (sp.HeardMs > 0) {
					t.Errorf("segment %d: %+v", i, sp)
				}
			}
		})
	}
}

// A cover that was said at one gateway is the first segment at the next, and one
// that was not is not said there.
func TestACoverGoesAlong(t *testing.T) {
	for _, covered := range []bool{true, false} {
		s := newScene(t, stub.GatewayConfig{}, stub.Config{})
		_, err := s.run(activities.SpeakInput{Text: twoSentences, Cover: "One moment.", Heard: &activities.Heard{PlayedMs: 100, Made: activities.Made{Covered: covered}}})
		if err != nil {
			t.Fatal(err)
		}
		if r := s.gateway.LastRead(); (r.GetCover() != "") != covered || r.GetCoverAfterMs() != 0 {
			t.Errorf("covered %t: Speak reads by %v", covered, r)
		}
	}
}

// Nothing is left to be said, but the gateway is to know how to listen.
func TestAGatewayIsToldHowToListen(t *testing.T) {
	s := newScene(t, stub.GatewayConfig{}, stub.Config{})
	_, err := s.run(activities.SpeakInput{
		Heard: &activities.Heard{Whole: true}, BargeIn: "speech",
		Listening: &activities.Listening{EndSilenceMs: 700, PauseMs: 200, Endpointing: "learned", MaxSilenceMs: 1500},
	})
	if err != nil {
		t.Fatal(err)
	}
	start, spoken := s.gateway.Spoken()
	l := start.GetListening()
	if len(spoken) != 0 || l.GetEndSilenceMs() != 700 || l.GetPauseMs() != 200 || l.GetEndpointing() != "learned" || l.GetMaxSilenceMs() != 1500 {
		t.Errorf("start %v, spoken %v", start, spoken)
	}
}

func failing(method string, code codes.Code) stub.GatewayConfig {
	return stub.GatewayConfig{Fail: map[string]codes.Code{method: code}}
}

func TestConfigNamesEveryFault(t *testing.T) {
	_, err := tts.New(tts.Config{Voices: map[string]string{"en": "m/", "klingon!": "k"}, Speed: 9, Timeout: -1}, nil, nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, option := range []string{"tts.base_url", "tts.model", "tts.voices.en is", "tts.speed", "tts.voices.klingon! is no language", "tts.timeout"} {
		if !strings.Contains(err.Error(), option) {
			t.Errorf("%v does not name %s", err, option)
		}
	}
}
