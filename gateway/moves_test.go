package gateway

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/workflows"
)

// goOn plays a response of segments of a second each behind what was played in
// an earlier stay, in which so many of them have a known length.
func (r *room) goOn(played time.Duration, known int, segments ...string) *player {
	r.t.Helper()
	s := start(nil, 1, "speech").GetStart()
	s.FromMs = uint32(played.Milliseconds())
	p, from, err := r.s.play(s)
	if err != nil || from != 0 {
		r.t.Fatalf("from segment %d, %v", from, err)
	}
	for i, text := range segments {
		a := segmentAudio(uint32(i), text)
		if i < known {
			a.GetSegment().HeardMs = 1000
			r.add(p, a)
			continue
		}
		r.add(p, a, pcmAudio(tone(time.Second)), segmentEnd)
	}
	r.add(p, audioEnd)
	return p
}

func TestAResponseGoesOnWhereItsKioskIs(t *testing.T) {
	for name, c := range map[string]struct {
		played     time.Duration
		known      int
		first      int // sample of the first frame; -1: there is none
		told, left string
	}{
		"in the second sentence":     {1500 * time.Millisecond, 1, 1500 * 16, "two three", "one"},
		"between two":                {time.Second, 1, 1000 * 16, "two three", "one"},
		"a little before the second": {980 * time.Millisecond, 1, 1000 * 16, "two three", "one"},
		"no length is known":         {1500 * time.Millisecond, 0, 1500 * 16, "two three", "one"},
		"nothing was heard":          {0, 0, 0, "one two three", ""},
		"all was heard":              {3 * time.Second, 3, -1, "", "one two three"},
		"all was heard, and is made": {3 * time.Second, 1, -1, "", "one two three"},
	} {
		t.Run(name, func(t *testing.T) {
			inRoom(t, func(t *testing.T, r *room) {
				r.take(wire.ClientReady{Version: "1"})
				p := r.goOn(c.played, c.known, "one", "two", "three")
				e := r.over(p)
				if e.Interrupted || e.PlayedMs != 3000 || e.TotalMs != 3000 || e.Heard != "one two three" || e.Text != "one two three" {
					t.Errorf("ended: %v", e)
				}
				frames := r.k.heard()
				switch {
				case c.first < 0:
					if len(frames) > 0 || r.k.was("AudioStart") {
						t.Errorf("%d frames were sent", len(frames))
					}
				case len(frames) == 0 || int(frames[0].Offset) != c.first:
					t.Errorf("%d frames, want the first at sample %d", len(frames), c.first)
				case r.k.ms(1) != 3000-c.first/16:
					t.Errorf("%d ms were sent", r.k.ms(1))
				}
				for _, text := range strings.Fields(c.told) {
					if !r.k.was("BotOutput{Text:" + text) {
						t.Errorf("%q was not told", text)
					}
				}
				for _, text := range strings.Fields(c.left) {
					if r.k.was("BotOutput{Text:"+text) || r.k.was("BotTTSText{Text:"+text) {
						t.Errorf("%q was told again", text)
					}
				}
				if !r.k.was("State{State:thinking") {
					t.Errorf("told %q", r.k.told)
				}
			})
		})
	}
}

// A kiosk plays what it has while it is on its way.
func TestAKioskPlaysOnWhileItMoves(t *testing.T) {
	for played, first := range map[int64]int{2200: 2200 * 16, 2990: -1} {
		inRoom(t, func(t *testing.T, r *room) {
			r.take(wire.ClientReady{Version: "1"})
			r.take(wire.Played{Response: 1, Ms: played, Done: played > 2900})
			e := r.over(r.goOn(1500*time.Millisecond, 1, "one", "two", "three"))
			if e.Interrupted || e.Heard != "one two three" {
				t.Errorf("ended: %v", e)
			}
			switch frames := r.k.heard(); {
			case first < 0 && len(frames) > 0, first >= 0 && (len(frames) == 0 || int(frames[0].Offset) != first):
				t.Errorf("%d frames were sent to a kiosk that has played %d ms", len(frames), played)
			}
		})
	}
}

// What a customer has heard of a response that they interrupt is what they heard
// of it at both gateways.
func TestWhatWasHeardBeforeCounts(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		p := r.goOn(1500*time.Millisecond, 1, "one", "two", "three")
		time.Sleep(700 * time.Millisecond)
		r.take(wire.Interrupt{})
		if e := r.over(p); !e.Interrupted || e.PlayedMs != 2200 || e.Heard != "one two" {
			t.Errorf("ended: %v", e)
		}
	})
}

// A wordless response tells only how to listen.
func TestAKioskThatComesWhileItIsListenedTo(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		s := start(nil, 4, "speech").GetStart()
		s.Listening = &media.Listening{EndSilenceMs: 900, Buttons: []*media.Button{{Value: "y", Label: "Yes"}}}
		p, _, err := r.s.play(s)
		if err != nil {
			t.Fatal(err)
		}
		r.add(p, audioEnd)
		if e := r.over(p); e.Interrupted {
			t.Errorf("ended: %v", e)
		}
		if !r.k.was("State{State:listening") || !r.k.was("Yes") || r.k.was("AudioStart") || r.s.listen.GetEndSilenceMs() != 900 {
			t.Errorf("told %q", r.k.told)
		}
	})
}

func TestAKioskTellsWhatItHasPlayed(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		r.signals()
		r.s.rejoin(&wire.Played{Response: 3, Ms: 1234})
		kinds, joined := r.signals()
		if len(kinds) != 1 || joined.Kind != workflows.Joined || joined.Response != 3 || joined.PlayedMs != 1234 || joined.Stay != r.s.stay || joined.Stay == "" {
			t.Errorf("signals %v, %+v", kinds, joined)
		}
	})
}

// A response that was taken along to another gateway comes back with its kiosk.
func TestAResponseComesBack(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		p := r.speak(1, "speech", "one", "two", "three")
		time.Sleep(500 * time.Millisecond)
		r.s.detach(r.k, time.Now())
		close(r.k.done)
		r.s.conversation = "c"
		cut := &media.CutRequest{Place: &media.Place{Store: "s1", Kiosk: "k1", Session: "session", Conversation: "c"}, Response: 1}
		if _, err := (&mediaServer{g: r.g}).Cut(t.Context(), cut); err != nil {
			t.Fatal(err)
		}
		if e := r.over(p); !e.Interrupted || e.PlayedMs != 500 {
			t.Errorf("ended: %v", e)
		}
		if _, err := r.s.textCut(r.s.responses[1]); status.Code(err) != codes.NotFound {
			t.Errorf("its text: %v; want NOT_FOUND, for it is wanted elsewhere", err)
		}
		r.k = r.connect(&wire.Played{Response: 1, Ms: 2000})
		r.s.rejoin(&wire.Played{Response: 1, Ms: 2000})
		e := r.over(r.goOn(2*time.Second, 2, "one", "two", "three"))
		synctest.Wait()
		if e.Interrupted || e.Heard != "one two three" || r.k.ms(1) != 1000 {
			t.Errorf("ended: %v; %d ms were sent", e, r.k.ms(1))
		}
	})
}

// A gateway that was restarted does not take what was meant for the one before.
func TestAnEarlierStayIsOver(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		place := &media.Place{Store: "s1", Kiosk: "k1", Session: "session", Conversation: "c", Stay: r.s.stay}
		if _, err := r.g.find(place); err != nil {
			t.Error(err)
		}
		place.Stay = "another"
		if _, err := r.g.find(place); status.Code(err) != codes.NotFound {
			t.Errorf("error %v, want NOT_FOUND", err)
		}
	})
}

// Text that a worker writes once more is told to a kiosk once.
func TestTextIsToldOnce(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		r.s.conversation = "c"
		for _, text := range []string{"One is one. Two is", "One is one. Two is two."} {
			x, _, err := r.s.startText(&media.Text{Response: 1})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.s.addText(x, &media.Text{Delta: text}); err != nil {
				t.Fatal(err)
			}
		}
		var told []string
		for _, m := range r.k.told {
			if strings.HasPrefix(m, "wire.BotLLMText") {
				told = append(told, m)
			}
		}
		if len(told) != 2 || !strings.Contains(told[1], "{Text: two.}") {
			t.Errorf("told %q", told)
		}
	})
}

// The kiosk was at another gateway and has come back. What the conversation has
// heard from there must not make it take a new utterance for an old one.
func TestUtterancesAreCountedOnAcrossGateways(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		r.mic(true, time.Second)
		r.mic(false, 600*time.Millisecond)
		r.signals()
		r.s.detach(r.k, time.Now())
		close(r.k.done)
		time.Sleep(10 * time.Second)
		there := newSession(r.g, "s1", "k1", "session", r.s.born)
		time.Sleep(200 * time.Millisecond)
		r.k = r.connect(nil)
		r.s.rejoin(nil)
		r.mic(true, time.Second)
		synctest.Wait()
		if last := r.expectSignals(workflows.Joined, workflows.SpeechStarted); last.Utterance <= int(there.spoken)+1 {
			t.Errorf("the next utterance here is %d, after %d of another gateway", last.Utterance, there.spoken+1)
		}
	})
}
