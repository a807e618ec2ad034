package avatar_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"google.golang.org/grpc/codes"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/avatar"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/tests/stub"
)

// perform runs the activity against a timeline and returns what the gateway got.
func perform(t *testing.T, c stub.GatewayConfig, gesture string) (activities.PerformResult, []string, error) {
	t.Helper()
	gateway, err := stub.StartGateway(c)
	if err != nil {
		t.Fatal(err)
	}
	defer gateway.Close()
	gateways := media.NewClient("")
	defer gateways.Close()
	p := avatar.New(gateways, slog.New(slog.NewTextHandler(io.Discard, nil)))
	env := new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
	env.RegisterActivity(p)
	var result activities.PerformResult
	v, err := env.ExecuteActivity(p.Perform, activities.PerformInput{
		Place:    activities.Place{Store: "s1", Kiosk: "k1", Gateway: gateway.Address, Session: "x"},
		Response: 1, Gesture: gesture,
	})
	if err == nil {
		err = v.Get(&result)
	}
	ctx, cancel := context.WithTimeout(t.Context(), stub.Deadline)
	defer cancel()
	if err == nil {
		gateway.Wait(ctx, func() bool { return gateway.CueCount() >= result.Visemes+result.Gestures }) //nolint:errcheck // compared below
	}
	var cues []string
	for _, c := range gateway.Cues() {
		cues = append(cues, fmt.Sprintf("%d %s%s %.1f", c.GetAtMs(), c.GetViseme(), c.GetGesture(), c.GetWeight()))
	}
	return result, cues, err
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
	result, cues, err := perform(t, stub.GatewayConfig{Timeline: []*media.Timeline{
		// "hammers": the short d and the second of two equal shapes go, the short
		// closed lips stay.
		{Segment: 0, Text: "Hammers?", StartMs: 100, Phonemes: phonemes("pau", 80, "hh", 150, "d", 170, "ae", 250, "ah", 300, "m", 330, "er", 400, "z", 480)},
		{Segment: 1, Text: "Yes.", StartMs: 700, Phonemes: phonemes("Y", 100, "??", 200)},
		{End: true},
	}}, "wave")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"0 wave 0.0",
		"100 sil 0.0", "180 kk 0.5", "250 aa 0.9", "400 PP 0.9", "430 RR 0.5", "500 SS 0.5", "580 sil 0.0", "580 nod 0.0",
		"700 I 0.6", "800 sil 0.0",
	}
	if !slices.Equal(cues, want) {
		t.Errorf("cues\n%s\nwant\n%s", strings.Join(cues, "\n"), strings.Join(want, "\n"))
	}
	if result.Gestures != 2 || result.Visemes != len(want)-2 {
		t.Errorf("result %+v", result)
	}
}

// Without phonemes the mouth opens where it is loud, on the text's vowels, and
// closes where it is not.
func TestPerformLoudness(t *testing.T) {
	loud, quiet := slices.Repeat([]byte{200}, 9), slices.Repeat([]byte{3}, 9) // 180 ms
	_, cues, err := perform(t, stub.GatewayConfig{Timeline: []*media.Timeline{
		{Text: "So blue", Envelope: slices.Concat(quiet, loud)},
		{StartMs: 360, Envelope: slices.Concat(quiet, loud, quiet)},
		{End: true},
	}}, "")
	if err != nil {
		t.Fatal(err)
	}
	var shapes []string // without repetitions
	for _, c := range cues {
		if shape := strings.Fields(c)[1]; len(shapes) == 0 || shapes[len(shapes)-1] != shape {
			shapes = append(shapes, shape)
		}
	}
	if got := strings.Join(shapes, " "); got != "sil O sil U sil" && got != "sil U sil O sil" {
		t.Errorf("shapes %q of cues %v", got, cues)
	}
}

func TestPerformEndings(t *testing.T) {
	if _, _, err := perform(t, stub.GatewayConfig{Fail: map[string]codes.Code{"Perform": codes.Aborted}}, ""); err != nil {
		t.Errorf("a response that was cut: %v", err)
	}
	for name, c := range map[string]struct {
		code    codes.Code
		gesture string
		kind    string
	}{
		"gone":            {code: codes.NotFound, kind: activities.KindGone},
		"away":            {code: codes.Unavailable, kind: activities.KindAway},
		"unknown gesture": {gesture: "dance", kind: activities.KindInvalid},
	} {
		_, _, err := perform(t, stub.GatewayConfig{Fail: map[string]codes.Code{"Perform": c.code}}, c.gesture)
		var e *temporal.ApplicationError
		if !errors.As(err, &e) || e.Type() != c.kind {
			t.Errorf("%s: error %v, want kind %q", name, err, c.kind)
		}
	}
}
