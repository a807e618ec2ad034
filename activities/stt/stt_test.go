package stt_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"google.golang.org/grpc/codes"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/stt"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/tests/stub"
)

// A scene is a stub gateway, a stub speech server and the activity between them.
type scene struct {
	t          *testing.T
	gateway    *stub.Gateway
	server     *stub.Server
	sounds     chan *media.Sound
	run        func(activities.TranscribeInput) (activities.TranscribeResult, error)
	log        logged
	close      func() error
	confidence []float64 // as observed
}

// logged is what was logged.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newScene(t *testing.T, speech stub.Config, fail map[string]codes.Code) *scene {
	t.Helper()
	s := &scene{t: t, sounds: make(chan *media.Sound, 1000)}
	var err error
	if s.gateway, err = stub.StartGateway(stub.GatewayConfig{Token: "secret", Sounds: s.sounds, Fail: fail}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.gateway.Close)
	if s.server, err = stub.Start(speech); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.server.Close() })
	gateways := media.NewClient("secret")
	t.Cleanup(func() { gateways.Close() })

	transcriber, err := stt.New(stt.Config{
		BaseURL: s.server.URL,
		Model:   "ears",
		TurnURL: s.server.URL + stub.Turns,
		Timeout: time.Second,
		OnTranscribed: func(store, kiosk string, confidence float64) {
			if store != "s1" || kiosk != "k1" {
				t.Errorf("observed for store %q, kiosk %q", store, kiosk)
			}
			s.confidence = append(s.confidence, confidence)
		},
	}, gateways, slog.New(slog.NewTextHandler(&s.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s.close = transcriber.Close
	env := new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
	env.RegisterActivity(transcriber)
	s.run = func(in activities.TranscribeInput) (activities.TranscribeResult, error) {
		in.Place = activities.Place{Store: "s1", Kiosk: "k1", Conversation: "c1", Gateway: s.gateway.Address, Session: "x"}
		var result activities.TranscribeResult
		v, err := env.ExecuteActivity(transcriber.Transcribe, in)
		if err == nil {
			err = v.Get(&result)
		}
		return result, err
	}
	return s
}

// request is the first that the server got, once it has ended.
func (s *scene) request() stub.Request {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), stub.Deadline)
	defer cancel()
	requests := s.server.Ended(ctx, 1)
	if len(requests) == 0 {
		s.t.Fatal("the server got no request")
	}
	return requests[0]
}

// say gives an utterance of a second, and its end.
func (s *scene) say() {
	for range 10 {
		s.sounds <- &media.Sound{Pcm: stub.Tone(100)}
	}
	s.sounds <- &media.Sound{End: true}
}

func kind(err error) (kind string, permanent bool) {
	var e *temporal.ApplicationError
	if errors.As(err, &e) {
		return e.Type(), e.NonRetryable()
	}
	return "", false
}

func TestTranscribe(t *testing.T) {
	s := newScene(t, stub.Config{Transcript: "where do i find hammers", Logprob: -0.1}, nil)
	s.say()
	got, err := s.run(activities.TranscribeInput{Utterance: 3, Language: "en-GB", Expected: []string{"yes", "no"}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Text != "where do i find hammers" || got.AudioMs != 1000 || got.NoSpeech || got.Utterance != 3 || got.Model != "ears" {
		t.Errorf("result %+v", got)
	}
	if want := math.Exp(-0.1); math.Abs(got.Confidence-want) > 1e-9 || len(s.confidence) != 1 || s.confidence[0] != got.Confidence {
		t.Errorf("confidence %v, observed %v, want %v", got.Confidence, s.confidence, want)
	}
	captions := s.gateway.Captions()
	if len(captions) != 1 || captions[0].GetText() != got.Text || captions[0].GetUtterance() != 3 {
		t.Errorf("captions %v", captions)
	}
	r := s.request()
	if r.Audio != 32000 || r.FileType != "audio/pcm" {
		t.Errorf("the server got %d bytes of %s", r.Audio, r.FileType)
	}
	want := map[string]string{"model": "ears", "language": "en", "response_format": "verbose_json", "temperature": "0", "hotwords": "yes,no"}
	for k, v := range want {
		if r.Fields[k] != v {
			t.Errorf("field %s is %q, want %q", k, r.Fields[k], v)
		}
	}
	if slices.Index(r.Order, "file") != len(r.Order)-1 {
		t.Errorf("the file comes before a field: %v", r.Order)
	}
}

// The audio must be with the server while the customer still speaks.
func TestTranscribeUploadsWhileTheCustomerSpeaks(t *testing.T) {
	s := newScene(t, stub.Config{}, nil)
	go func() {
		s.sounds <- &media.Sound{Pcm: stub.Tone(300)}
		<-s.server.Arrived() // and only then the rest is said
		s.say()
	}()
	if _, err := s.run(activities.TranscribeInput{}); err != nil {
		t.Fatal(err)
	}
}

func TestTheGatewayJudges(t *testing.T) {
	for name, c := range map[string]struct {
		verdict *media.Verdict
		open    bool
	}{
		"a guess":     {verdict: &media.Verdict{}, open: true},
		"not for us":  {verdict: &media.Verdict{Ignored: "backchannel"}},
		"one of both": {verdict: &media.Verdict{Joins: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, stub.Config{Transcript: "yes"}, nil)
			s.gateway.Judge(c.verdict)
			s.sounds <- &media.Sound{Pcm: stub.Tone(500)}
			s.sounds <- &media.Sound{End: true, Open: c.open}
			got, err := s.run(activities.TranscribeInput{Utterance: 3, Since: 2})
			if err != nil || got.Open != c.open || got.Ignored != c.verdict.Ignored || got.Joins != int(c.verdict.Joins) || got.Text != "yes" {
				t.Errorf("result %+v, %v", got, err)
			}
			if h := s.gateway.Heard(); len(h) != 1 || h[0].Utterance != 3 || h[0].Since != 2 {
				t.Errorf("asked to hear %v", h)
			}
		})
	}
}

func TestNothingWasSaid(t *testing.T) {
	for name, c := range map[string]struct {
		speech stub.Config
		sounds []*media.Sound
		asked  bool // and the answer is used
	}{
		"dropped before any sound": {sounds: []*media.Sound{{End: true, Dropped: true}}},
		"taken back":               {sounds: []*media.Sound{{Pcm: stub.Tone(100)}, {End: true, Dropped: true}}},
		"near silence":             {sounds: []*media.Sound{{Pcm: make([]byte, 32000)}, {End: true}}},
		"the server hears nothing": {speech: stub.Config{Faults: []stub.Fault{{Path: stub.Transcriptions, Empty: true}}}, sounds: loud()},
		"the model invents words":  {speech: stub.Config{Transcript: "Thanks for watching!", Logprob: -1.4, NoSpeechProb: 0.9}, sounds: loud()},
		"speaches issue 608":       {speech: stub.Config{Faults: []stub.Fault{{Path: stub.Transcriptions, Status: 500, Detail: "No clip timestamps found. Set 'vad_filter' to True"}}}, sounds: loud()},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, c.speech, nil)
			for _, sound := range c.sounds {
				s.sounds <- sound
			}
			got, err := s.run(activities.TranscribeInput{})
			if err != nil || !got.NoSpeech || got.Text != "" {
				t.Errorf("result %+v, %v", got, err)
			}
			// The gateway is told of it: what is being said may wait for that.
			if told := s.gateway.Captions(); len(told) != 1 || told[0].GetText() != "" || len(s.confidence) != 0 {
				t.Errorf("nothing was said, but the gateway was told %v and %v observed", told, s.confidence)
			}
		})
	}
}

func loud() []*media.Sound { return []*media.Sound{{Pcm: stub.Tone(500)}, {End: true}} }

func TestTranscribeFails(t *testing.T) {
	for name, c := range map[string]struct {
		speech    stub.Config
		fail      map[string]codes.Code
		sounds    []*media.Sound
		kind      string
		permanent bool
		says      string
	}{
		"language not served": {speech: status(400, "language tr is not served"), sounds: loud(), kind: activities.KindInvalid, permanent: true, says: "language tr is not served"},
		"wrong key":           {speech: status(403, "forbidden"), sounds: loud(), kind: activities.KindInvalid, permanent: true},
		"busy":                {speech: status(503, "busy"), sounds: loud(), kind: activities.KindAway},
		"never answers":       {speech: stub.Config{Faults: []stub.Fault{{Path: stub.Transcriptions, Hang: true}}}, sounds: loud(), kind: activities.KindTimeout, permanent: true, says: "within 1s"},
		"session gone":        {fail: map[string]codes.Code{"Hear": codes.NotFound}, kind: activities.KindGone, permanent: true},
		"gateway away":        {fail: map[string]codes.Code{"Hear": codes.Unavailable}, kind: activities.KindAway},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, c.speech, c.fail)
			for _, sound := range c.sounds {
				s.sounds <- sound
			}
			_, err := s.run(activities.TranscribeInput{Language: "tr"})
			k, permanent := kind(err)
			if k != c.kind || permanent != c.permanent || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v (kind %q, permanent %t); want %q, %t", err, k, permanent, c.kind, c.permanent)
			}
		})
	}
}

func TestGatewayDiesWhileTheCustomerSpeaks(t *testing.T) {
	s := newScene(t, stub.Config{}, nil)
	s.sounds <- &media.Sound{Pcm: stub.Tone(300)}
	go func() {
		<-s.server.Arrived()
		s.gateway.Close()
	}()
	_, err := s.run(activities.TranscribeInput{})
	if k, permanent := kind(err); k != activities.KindAway || permanent {
		t.Errorf("error %v", err)
	}
}

func TestACaptionThatFailsLosesNothing(t *testing.T) {
	s := newScene(t, stub.Config{}, map[string]codes.Code{"Transcribed": codes.NotFound})
	s.say()
	if got, err := s.run(activities.TranscribeInput{}); err != nil || got.Text == "" {
		t.Errorf("result %+v, %v", got, err)
	}
}

// judged has a customer say something and pause. It gives the words that the
// gateway was told, the probability that it was told, if any, and the bytes of
// audio that the model got, in each request.
func (s *scene) judged(in activities.TranscribeInput, seconds int, end *media.Sound) (words []string, complete []float64, asked []int) {
	s.t.Helper()
	for range seconds {
		second := stub.Tone(1000)
		s.sounds <- &media.Sound{Pcm: second[:12345]} // not whole samples
		s.sounds <- &media.Sound{Pcm: second[12345:]}
	}
	s.sounds <- end
	if _, err := s.run(in); err != nil {
		s.t.Fatal(err)
	}
	if err := s.close(); err != nil {
		s.t.Fatal(err)
	}
	for _, c := range s.gateway.Captions() {
		if c.GetUtterance() != uint32(in.Utterance) || (c.Complete == nil) == (c.GetText() == "") {
			s.t.Errorf("the gateway was told %v; want words or a probability of utterance %d", c, in.Utterance)
		}
		if c.Complete != nil {
			complete = append(complete, c.GetComplete())
			continue
		}
		words = append(words, c.GetText())
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), stub.Deadline)
	defer cancel()
	for _, r := range s.server.Ended(ctx, len(words)+len(complete)) {
		if r.Path == stub.Turns {
			asked = append(asked, r.Audio)
		}
	}
	return words, complete, asked
}

var pause = &media.Sound{End: true, Open: true}

func TestATurnIsJudged(t *testing.T) {
	for name, c := range map[string]struct {
		seconds int
		asked   int // samples
	}{
		"a short one": {seconds: 2, asked: 2 * stt.SampleRate},
		"a long one":  {seconds: 20, asked: 8 * stt.SampleRate},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, stub.Config{TurnComplete: 0.93}, nil)
			words, complete, asked := s.judged(activities.TranscribeInput{Utterance: 3, Endpointing: stt.ByModel}, c.seconds, pause)
			if !slices.Equal(words, []string{"where do i find hammers"}) || !slices.Equal(complete, []float64{0.93}) {
				t.Errorf("the gateway was told %q and %v", words, complete)
			}
			if !slices.Equal(asked, []int{4 * c.asked}) {
				t.Errorf("the model got %v bytes of samples, want %d", asked, 4*c.asked)
			}
		})
	}
}

func TestATurnIsNotJudged(t *testing.T) {
	for name, c := range map[string]struct {
		endpointing string
		end         *media.Sound
	}{
		"fixed":              {"", pause},
		"learned":            {"learned", pause},
		"it is over already": {stt.ByModel, &media.Sound{End: true}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, stub.Config{}, nil)
			words, complete, asked := s.judged(activities.TranscribeInput{Utterance: 3, Endpointing: c.endpointing}, 1, c.end)
			if len(words) != 1 || len(complete) != 0 || len(asked) != 0 {
				t.Errorf("the gateway was told %q and %v, the model asked %v", words, complete, asked)
			}
		})
	}
}

// Whatever the model does, the transcript is there, and the gateway is told
// nothing that is not known.
func TestATurnCannotBeJudged(t *testing.T) {
	for name, c := range map[string]struct {
		fault stub.Fault
		odds  float64
		says  string
	}{
		"busy":           {stub.Fault{Path: stub.Turns, Status: 503, Detail: "busy"}, 0, "answered 503: busy"},
		"never answers":  {stub.Fault{Path: stub.Turns, Hang: true}, 0, "gave no answer within 300ms"},
		"another server": {stub.Fault{Path: stub.Turns, Empty: true}, 0, "stt.turn_url must be a server of Smart Turn"},
		"no probability": {stub.Fault{}, 1.5, "stt.turn_url must be a server of Smart Turn"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, stub.Config{TurnComplete: c.odds, Faults: []stub.Fault{c.fault}}, nil)
			words, complete, _ := s.judged(activities.TranscribeInput{Utterance: 3, Endpointing: stt.ByModel}, 1, pause)
			if len(words) != 1 || len(complete) != 0 {
				t.Errorf("the gateway was told %q and %v", words, complete)
			}
			if !strings.Contains(s.log.String(), c.says) {
				t.Errorf("logged %q, which does not say %q", &s.log, c.says)
			}
		})
	}
}

func status(code int, detail string) stub.Config {
	return stub.Config{Faults: []stub.Fault{{Path: stub.Transcriptions, Status: code, Detail: detail}}}
}

func TestConfigNamesEveryFault(t *testing.T) {
	_, err := stt.New(stt.Config{BaseURL: "localhost:8000", TurnURL: "turn:8000", TurnTimeout: -1, Timeout: -1, NoiseFloor: 3}, nil, nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, option := range []string{"stt.base_url", "stt.turn_url", "stt.turn_timeout", "stt.model", "stt.timeout", "stt.noise_floor"} {
		if !strings.Contains(err.Error(), option) {
			t.Errorf("%v does not name %s", err, option)
		}
	}
}
