package gateway

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/praesenz/parley/gateway/vad"
	"github.com/praesenz/parley/gateway/wire"
	flite "github.com/praesenz/parley/tests/voice"
	"github.com/praesenz/parley/workflows"
)

// A hall is a room with a loudspeaker and a microphone that nobody keeps apart.
type hall struct {
	kiosk    []byte        // what is said, at 16 kHz
	began    time.Time     // when the kiosk began
	delay    time.Duration // until its voice reaches the microphone
	echo     float64       // how loud it does, 0..1
	customer []byte
	loud     float64   // how loud the customer is, 0..1
	says     time.Time // when they begin
	noise    *rand.Rand
}

// frame is what the microphone hears up to now.
func (h *hall) frame(now time.Time) []byte {
	sample := func(pcm []byte, at int) float64 {
		if at < 0 || at*2+1 >= len(pcm) {
			return 0
		}
		return float64(int16(binary.LittleEndian.Uint16(pcm[at*2:])))
	}
	index := func(since time.Time) int { return int(now.Sub(since).Seconds()*wire.RateIn) - vad.FrameSamples }
	b := make([]byte, 0, vad.FrameBytes)
	own, other := index(h.began.Add(h.delay)), index(h.says)
	for i := range vad.FrameSamples {
		v := h.noise.NormFloat64() * 15
		if !h.began.IsZero() { // two walls send it back
			v += h.echo * (sample(h.kiosk, own+i) + sample(h.kiosk, own+i-140)/2 - sample(h.kiosk, own+i-610)/3)
		}
		if !h.says.IsZero() {
			v += h.loud * sample(h.customer, other+i)
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(max(math.MinInt16, min(math.MaxInt16, v)))))
	}
	return b
}

// listen lets the microphone hear the hall.
func (r *room) listen(h *hall, d time.Duration) {
	r.t.Helper()
	for range int(d / vad.Frame) {
		time.Sleep(vad.Frame) // virtual
		if err := r.s.hear(h.frame(time.Now()), time.Now()); err != nil {
			r.t.Fatal(err)
		}
	}
}

func TestTheKiosksOwnVoiceDoesNotInterruptIt(t *testing.T) {
	said := "We have electric kettles from nineteen euros in aisle four, and whistling kettles next to them."
	kiosk := flite.Say(t, "slt", said)
	customer := flite.Say(t, "rms", "Excuse me, where do I find the hammers?")
	length := time.Duration(len(kiosk)/2) * time.Second / wire.RateIn
	for name, tc := range map[string]struct {
		echo  float64 // of the kiosk's voice in its microphone
		delay time.Duration
		loud  float64 // of a customer; 0: there is none
	}{
		"itself, 10 dB softer":          {echo: 0.32},
		"itself, 20 dB softer":          {echo: 0.1},
		"itself, late":                  {echo: 0.2, delay: 300 * time.Millisecond},
		"itself, at once":               {echo: 0.2, delay: 30 * time.Millisecond},
		"a customer over it":            {echo: 0.1, loud: 1},
		"a customer without it":         {loud: 1},
		"a customer as soft as an echo": {loud: 0.1},
	} {
		t.Run(name, func(t *testing.T) {
			inRoom(t, func(t *testing.T, r *room) {
				r.take(wire.ClientReady{Version: "1"})
				h := &hall{kiosk: kiosk, customer: customer, loud: tc.loud, delay: cmp.Or(tc.delay, 120*time.Millisecond), echo: tc.echo, noise: rand.New(rand.NewPCG(1, 2))}
				r.listen(h, time.Second)
				r.signals()
				p := r.speak(1, "speech")
				r.add(p, segmentAudio(0, said), pcmAudio(kiosk), segmentEnd, audioEnd)
				h.began = time.Now()
				if tc.loud > 0 {
					h.says = h.began.Add(1500 * time.Millisecond)
					r.listen(h, 1500*time.Millisecond)
					r.expectSignals()
					r.listen(h, time.Second)
					r.expectSignals(workflows.SpeechStarted)
					if !r.k.was("Clear{Response:1}") {
						t.Error("the voice is not held")
					}
					return
				}
				r.listen(h, length+2*time.Second) // its last word is heard when it is over
				r.expectSignals()
				if e := r.over(p); e.Interrupted || e.Heard != said {
					t.Errorf("ended: %v", e)
				}
			})
		})
	}
}

// A noise that does not end must not hold the kiosk up for ever.
func TestAVoiceThatWasHeldInVainIsHarderToHold(t *testing.T) {
	inTalk(t, guessing, func(t *testing.T, r *room) {
		var said []string
		for range 12 {
			said = append(said, "and so on")
		}
		p := r.speak(2, "speech", said...)
		r.mic(false, 500*time.Millisecond)
		for _, needed := range []time.Duration{250, 450, 650, 700, 700} {
			needed *= time.Millisecond
			r.mic(true, needed-40*time.Millisecond)
			r.mic(false, 400*time.Millisecond)
			r.expectSignals()
			r.mic(true, needed+40*time.Millisecond)
			r.expectSignals(workflows.SpeechStarted)
			r.mic(false, 300*time.Millisecond)
			if v := r.understood(""); v.Ignored != "noise" {
				t.Fatalf("the verdict is %v", v)
			}
			r.mic(false, 400*time.Millisecond)
		}
		if e := r.over(p); e.Interrupted {
			t.Errorf("ended: %v", e)
		}
	})
}
