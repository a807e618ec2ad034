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
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/praesenz/parley/tests/kiosk"
	"github.com/praesenz/parley/tests/load"
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

// TestBenchEndpointing measures what is added when the gateway waits 300 ms
// before it takes a silence for the end of a turn: the answer is made meanwhile,
// as a guess.
func TestBenchEndpointing(t *testing.T) {
	if !*run {
		t.Skip("a benchmark; run `make bench`")
	}
	models, err := stub.Start(stub.Config{FirstToken: firstToken, FirstAudio: firstAudio, Timing: true})
	if err != nil {
		t.Fatal(err)
	}
	defer models.Close()
	folder := load.Store(t, filepath.Join(system.Root(t), "examples", "hardware-store"), "help", 1)
	edit(t, filepath.Join(folder, "flows", "help.yaml"), "end_silence: 500ms", "end_silence: 300ms")
	sys := system.Start(t, "--store", folder, "--speech", models.URL, "--llm", "openai", "--llm-url", models.URL, "--llm-model", "stub")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	k, err := kiosk.Dial(ctx, kiosk.Options{URL: sys.Kiosk, Token: sys.Tokens[load.Kiosk(0)], Hurry: true})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if err := k.Start("en"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.State(ctx, 0, "listening"); err != nil {
		t.Fatal(err)
	}
	const endpointing, pause = 300 * time.Millisecond, 150 * time.Millisecond // half of it
	var after, added, missed []time.Duration
	for turn := range turns {
		mark := k.Mark()
		ended, err := k.Say(ctx, tone(600*time.Millisecond))
		if err != nil {
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
			continue
		}
		took := heard.At.Sub(ended)
		after = append(after, took)
		added = append(added, took-endpointing-firstToken-firstAudio)
		missed = append(missed, took-max(endpointing, pause+firstToken+firstAudio))
	}
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 2, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Response, stub models, endpointing after 300 ms, one kiosk, %d turns\tp50\tp95\tmax\n", len(added))
	row(w, "end of speech → first audio", after)
	row(w, "less endpointing, first token and first audio one after the other (bar: p50 ≤ 10 ms, p95 ≤ 25 ms)", added)
	row(w, "less what a perfect guess, begun at the pause of 150 ms, could not hide", missed)
	w.Flush()
	fmt.Fprintln(os.Stdout, "\n"+out.String())
}

// edit replaces text in a file that has it once.
func edit(t *testing.T, path, old, now string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(b), old) != 1 {
		t.Fatalf("%s has not %q once", path, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), old, now, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestBenchBargeIn talks over answers and reads from the gateway how long it took
// from the audio frame that did it to the clear, behind which no frame is sent.
func TestBenchBargeIn(t *testing.T) {
	if !*run {
		t.Skip("a benchmark; run `make bench`")
	}
	models, err := stub.Start(stub.Config{Timing: true, Answer: strings.Repeat("Hammers are in aisle four, behind the garden hoses. ", 8)})
	if err != nil {
		t.Fatal(err)
	}
	defer models.Close()
	sys := system.Start(t, "--speech", models.URL, "--llm", "openai", "--llm-url", models.URL, "--llm-model", "stub")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	k, err := kiosk.Dial(ctx, kiosk.Options{URL: sys.Kiosk, Token: sys.Tokens["entrance"]})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if err := k.Start("en"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.State(ctx, 0, "listening"); err != nil {
		t.Fatal(err)
	}
	for range turns {
		last := k.Last()
		if _, err := k.Say(ctx, tone(time.Second)); err != nil {
			t.Fatal(err)
		}
		// A moment into the answer, so that there is something to cut.
		if _, err := k.Wait(ctx, 0, func(e kiosk.Event) bool {
			return e.Type == "audio" && e.Response > last && e.Samples > 22050/2
		}); err != nil {
			t.Fatal(err)
		}
	}
	h := scrape(t, sys)["parley_gateway_cut_seconds"].GetMetric()[0].GetHistogram()
	count, within := h.GetSampleCount(), 0.0
	for _, bucket := range slices.Backward(h.GetBucket()) {
		if float64(bucket.GetCumulativeCount()) >= 0.95*float64(count) {
			within = bucket.GetUpperBound()
		}
	}
	fmt.Fprintf(os.Stdout, "\nBarge-in, %d times: speech over an answer → cleared (bar: p95 ≤ 1 ms)  mean %.2f ms, p95 ≤ %.2f ms\n\n",
		count, 1000*h.GetSampleSum()/float64(max(1, count)), 1000*within)
}

func row(w *tabwriter.Writer, name string, d []time.Duration) {
	slices.Sort(d)
	ms := func(q float64) string {
		return fmt.Sprintf("%.1f ms", float64(d[min(len(d)-1, int(q*float64(len(d))))].Microseconds())/1000)
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", name, ms(0.5), ms(0.95), ms(1))
}
