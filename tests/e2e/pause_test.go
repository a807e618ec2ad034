package e2e

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/converter"

	"github.com/praesenz/parley/tests/kiosk"
	"github.com/praesenz/parley/tests/system"
	"github.com/praesenz/parley/tests/voice"
	"github.com/praesenz/parley/workflows"
)

// Somebody who stops to think is answered once, to all that they said, and
// nobody ever hears or reads of what was guessed meanwhile.
func TestAPauseIsNoEnd(t *testing.T) {
	sys := system.Start(t)
	temporal := sys.Client(t)
	v := enter(t, sys, "entrance", "en", kiosk.Options{})
	mark, last := v.k.Mark(), v.k.Last()
	// Longer than the 200 ms after which the answer is begun, shorter than the
	// 500 ms that end a turn.
	said := slices.Concat(words(voice.Say(t, "rms", "where do i find")), silence(350*time.Millisecond), words(voice.Say(t, "rms", "hammers")))
	if _, err := v.k.Say(v.ctx, said); err != nil {
		t.Fatal(err)
	}
	if text, _ := v.answer(mark, last); !strings.Contains(text, "aisle 4") {
		t.Errorf("the kiosk answered %q\n%s", text, v.k.Story())
	}
	mark = v.k.Mark()
	if err := v.k.Leave(); err != nil {
		t.Fatal(err)
	}
	if _, err := v.k.Wait(v.ctx, mark, func(e kiosk.Event) bool { return e.Type == "server:ended" }); err != nil {
		t.Fatal(err)
	}
	s := v.summary(temporal, "en")
	var customer []string
	for _, l := range s.Transcript {
		if l.By == "customer" {
			customer = append(customer, l.Text)
		}
	}
	if len(customer) != 1 || s.Turns != 1 || !strings.HasSuffix(customer[0], "find hammers") {
		t.Errorf("%d turns, in which the customer said %q; want one with all of it", s.Turns, customer)
	}
	continued := 0
	v.recordHistory(temporal, "voice-pause")
	for _, e := range v.history(temporal).Events {
		var signal workflows.Signal
		a := e.GetWorkflowExecutionSignaledEventAttributes()
		if a == nil {
			continue
		}
		if err := converter.GetDefaultDataConverter().FromPayloads(a.GetInput(), &signal); err != nil {
			t.Fatal(err)
		}
		if signal.Continues != 0 {
			continued++
		}
	}
	if continued != 1 {
		t.Errorf("the gateway said %d times that the customer goes on, want once: the pause proves nothing", continued)
	}
}

// words are a voice's PCM without the silence around it.
func words(pcm []byte) []byte {
	const quiet = 300 // of 32767
	loud := func(i int) bool {
		n := int16(binary.LittleEndian.Uint16(pcm[i:]))
		return n > quiet || n < -quiet
	}
	from, to := 0, len(pcm)&^1
	for from < to && !loud(from) {
		from += 2
	}
	for to > from && !loud(to-2) {
		to -= 2
	}
	return pcm[from:to]
}

// silence is PCM at 16 kHz in which nothing is heard.
func silence(d time.Duration) []byte { return make([]byte, int64(d)*16000/int64(time.Second)*2) }
