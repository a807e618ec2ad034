// Package bench measures the bars of docs/architecture.md with the whole system
// as a process and stub models of a known speed, and prints a table. It never
// gates on absolute times: those belong to the machine it ran on.
//
//	make bench
package bench

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/praesenz/parley/tests/kiosk"
	"github.com/praesenz/parley/tests/stub"
	"github.com/praesenz/parley/tests/system"
)

var run = flag.Bool("bench", false, "run the benchmarks")

const (
	firstToken = 100 * time.Millisecond
	firstAudio = 100 * time.Millisecond
	turns      = 30 // a conversation, two of them
)

// tone is a customer's voice for a stub that does not listen: 440 Hz.
func tone(d time.Duration) []byte {
	pcm := make([]byte, int(d.Seconds()*kiosk.Rate)*2)
	for i := 0; i < len(pcm); i += 2 {
		binary.LittleEndian.PutUint16(pcm[i:], uint16(int16(8000*math.Sin(2*math.Pi*440*float64(i/2)/kiosk.Rate))))
	}
	return pcm
}

// stages of a response, in their order; each is measured from the end of the one
// before.
var stages = []string{
	"speech end → audio complete at STT",
	"transcript → workflow → Retrieve → LLM call",
	"LLM call → first token (stub: 100 ms)",
	"first token → first sentence → TTS call",
	"TTS call → first audio (stub: 100 ms)",
	"first audio → frame at the kiosk",
}

func TestBenchResponseOverhead(t *testing.T) {
	if !*run {
		t.Skip("a benchmark; run `make bench`")
	}
	models, err := stub.Start(stub.Config{FirstToken: firstToken, FirstAudio: firstAudio, Timing: true})
	if err != nil {
		t.Fatal(err)
	}
	defer models.Close()
	sys := system.Start(t, "--speech", models.URL, "--llm", "openai", "--llm-url", models.URL, "--llm-model", "stub")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()

	parts := make([][]time.Duration, len(stages))
	var added []time.Duration
	for _, name := range []string{"entrance", "tools"} {
		k, err := kiosk.Dial(ctx, kiosk.Options{URL: sys.Kiosk, Token: sys.Tokens[name], Hurry: true})
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		if err := k.OwnVAD(); err != nil {
			t.Fatal(err)
		}
		if err := k.Start("en"); err != nil {
			t.Fatal(err)
		}
		if _, err := k.State(ctx, 0, "listening"); err != nil {
			t.Fatal(err)
		}
		for turn := range turns {
			mark := k.Mark()
			before := len(models.Requests())
			if err := k.SpeechStart(); err != nil {
				t.Fatal(err)
			}
			if _, err := k.Say(ctx, tone(600*time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			ended := time.Now()
			if err := k.SpeechEnd(); err != nil {
				t.Fatal(err)
			}
			heard, err := k.Wait(ctx, mark, func(e kiosk.Event) bool { return e.Type == "audio" })
			if err != nil {
				t.Fatal(err)
			}
			if _, err := k.State(ctx, mark, "listening"); err != nil {
				t.Fatal(err)
			}
			if turn < 2 {
				continue // caches fill, connections open
			}
			var hear, think, speak stub.Request
			for _, r := range models.Requests()[before:] {
				switch {
				case r.Path == stub.Transcriptions && hear.Path == "":
					hear = r
				case r.Path == stub.Chat && think.Path == "":
					think = r
				case r.Path == stub.Speech && speak.Path == "":
					speak = r
				}
			}
			at := []time.Time{ended, hear.Uploaded, think.Arrived, think.First, speak.Arrived, speak.First, heard.At}
			for i := range stages {
				parts[i] = append(parts[i], at[i+1].Sub(at[i]))
			}
			added = append(added, heard.At.Sub(ended)-firstToken-firstAudio)
		}
	}

	var out strings.Builder
	w := tabwriter.NewWriter(&out, 2, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Response, stub models, endpointing off, one kiosk, %d turns\tp50\tp95\tmax\n", len(added))
	for i, stage := range stages {
		row(w, stage, parts[i])
	}
	row(w, "what the framework adds (bar: p50 ≤ 60 ms, p95 ≤ 100 ms)", added)
	w.Flush()
	fmt.Fprintln(os.Stdout, "\n"+out.String())
}

func row(w *tabwriter.Writer, name string, d []time.Duration) {
	slices.Sort(d)
	ms := func(q float64) string {
		return fmt.Sprintf("%.1f ms", float64(d[min(len(d)-1, int(q*float64(len(d))))].Microseconds())/1000)
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", name, ms(0.5), ms(0.95), ms(1))
}
