package avatar_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"google.golang.org/grpc/codes"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/avatar"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/tests/stub"
)

// perform runs the activity until it has performed the whole timeline, when the
// kiosk leaves, and returns what the gateway got.
func perform(t *testing.T, c stub.GatewayConfig) (activities.PerformResult, []string, error) {
	t.Helper()
	const last = 99 // a response whose only cue tells that all before it have come
	c.Timeline = append(c.Timeline, &media.Timeline{Response: last, Begin: true, Gesture: "think"})
	gateway, err := stub.StartGateway(c)
	if err != nil {
		t.Fatal(err)
	}
	defer gateway.Close()
	gateways := media.NewClient("")
	defer gateways.Close()
	p := avatar.New(gateways, slog.New(slog.DiscardHandler))
	env := new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
	env.RegisterActivity(p)
	ctx, cancel := context.WithTimeout(t.Context(), stub.Deadline)
	defer cancel()
	go func() {
		gateway.Wait(ctx, func() bool { return gateway.Performed(last) }) //nolint:errcheck // compared by the test
		gateway.Leave()
	}()
	var result activities.PerformResult
	v, err := env.ExecuteActivity(p.Perform, activities.PerformInput{
		Place:    activities.Place{Store: "s1", Kiosk: "k1", Gateway: gateway.Address, Session: "x"},
		Response: 3,
	})
	if err == nil {
		err = v.Get(&result)
	}
	first, got := gateway.Cues()
	if first != nil && (first.GetResponse() != 3 || first.GetPlace().GetKiosk() != "k1") {
		t.Errorf("first message %v", first)
	}
	var told []string
	for _, c := range got[:max(0, len(got)-1)] {
		told = append(told, fmt.Sprintf("%d: %d %s%s %.1f", c.Response, c.GetAtMs(), c.GetViseme(), c.GetGesture(), c.GetWeight()))
	}
	return result, told, err
}

func TestPerformPhonemes(t *testing.T) {
	phonemes := func(list ...any) (ps []*media.Phoneme) {
		from := 0
		for i := 0; i < len(list); i += 2 {
			ps = append(ps, &media.Phoneme{Symbol: list[i].(string), StartMs: uint32(from), EndMs: uint32(list[i+1].(int))})
			from = list[i+1].(int)
		}
		return ps
	}
	want := []string{
		"3: 0 wave 0.0",
		"3: 100 sil 0.0", "3: 180 kk 0.5", "3: 250 aa 0.9", "3: 400 PP 0.9", "3: 430 RR 0.5", "3: 500 SS 0.5", "3: 580 sil 0.0", "3: 580 nod 0.0",
		"4: 0 U 0.7", "4: 80 O 0.8", "4: 150 sil 0.0",
		"3: 700 I 0.6", "3: 800 sil 0.0",
	}
	result, cues, err := perform(t, stub.GatewayConfig{Timeline: []*media.Timeline{
		{Response: 3, Begin: true, Gesture: "wave"},
		// "hammers": the short d and the second of two equal shapes go, the short
		// closed lips stay.
		{Response: 3, Segment: 0, Text: "Hammers?", StartMs: 100, Phonemes: phonemes("pau", 80, "hh", 150, "d", 170, "ae", 250, "ah", 300, "m", 330, "er", 400, "z", 480)},
		// The next response is made while this one is heard.
		{Response: 4, Begin: true},
		{Response: 4, Segment: 0, Text: "Two.", Phonemes: phonemes("w", 80, "ow", 150)},
		{Response: 3, Segment: 1, Text: "Yes.", StartMs: 700, Phonemes: phonemes("Y", 100, "??", 200)},
		{Response: 3, End: true},
		{Response: 4, End: true, Cut: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(cues, want) {
		t.Errorf("cues\n%s\nwant\n%s", strings.Join(cues, "\n"), strings.Join(want, "\n"))
	}
	if result.Responses != 3 || result.Gestures != 3 || result.Visemes != len(want)-2 {
		t.Errorf("result %+v", result)
	}
}

// Without phonemes the mouth opens where it is loud, on the text's vowels, and
// closes where it is not.
func TestPerformLoudness(t *testing.T) {
	loud, quiet := slices.Repeat([]byte{200}, 9), slices.Repeat([]byte{3}, 9) // 180 ms
	_, cues, err := perform(t, stub.GatewayConfig{Timeline: []*media.Timeline{
		{Response: 1, Begin: true},
		{Response: 1, Text: "So blue", Envelope: slices.Concat(quiet, loud)},
		{Response: 1, StartMs: 360, Envelope: slices.Concat(quiet, loud, quiet)},
		{Response: 1, End: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var shapes []string // without repetitions
	for _, c := range cues {
		if shape := strings.Fields(c)[2]; len(shapes) == 0 || shapes[len(shapes)-1] != shape {
			shapes = append(shapes, shape)
		}
	}
	if got := strings.Join(shapes, " "); got != "sil O sil U sil" && got != "sil U sil O sil" {
		t.Errorf("shapes %q of cues %v", got, cues)
	}
}

func TestPerformEndings(t *testing.T) {
	if _, _, err := perform(t, stub.GatewayConfig{Fail: map[string]codes.Code{"Perform": codes.Aborted}}); err != nil {
		t.Errorf("another performer took over: %v", err)
	}
	for kind, code := range map[string]codes.Code{activities.KindGone: codes.NotFound, activities.KindAway: codes.Unavailable} {
		_, _, err := perform(t, stub.GatewayConfig{Fail: map[string]codes.Code{"Perform": code}})
		var e *temporal.ApplicationError
		if !errors.As(err, &e) || e.Type() != kind {
			t.Errorf("%s: error %v, want kind %q", code, err, kind)
		}
	}
}

// A conversation that ends does not wait for its avatar.
func TestPerformEndsWhenItIsCancelled(t *testing.T) {
	gateway, err := stub.StartGateway(stub.GatewayConfig{Timeline: []*media.Timeline{{Response: 1, Begin: true, Gesture: "nod"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer gateway.Close()
	gateways := media.NewClient("")
	defer gateways.Close()
	p := avatar.New(gateways, slog.New(slog.DiscardHandler))
	env := new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
	env.RegisterActivity(p)
	ctx, cancel := context.WithCancelCause(t.Context())
	env.SetWorkerOptions(worker.Options{BackgroundActivityContext: ctx})
	go func() {
		gateway.Wait(ctx, func() bool { return gateway.Performed(1) }) //nolint:errcheck // then it is cancelled sooner
		cancel(temporal.NewCanceledError())
	}()
	_, err = env.ExecuteActivity(p.Perform, activities.PerformInput{
		Place: activities.Place{Store: "s1", Kiosk: "k1", Gateway: gateway.Address, Session: "x"}, Response: 1,
	})
	if !errors.Is(err, context.Canceled) && !temporal.IsCanceledError(err) {
		t.Errorf("error %v, want that it was cancelled", err)
	}
}
