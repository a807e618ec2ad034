// Package soak holds the system at its bar for a long time and looks at what
// grows.
//
//	make soak
package soak

import (
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/praesenz/parley/tests/load"
	"github.com/praesenz/parley/tests/stub"
	"github.com/praesenz/parley/tests/system"
)

var (
	run     = flag.Bool("soak", false, "hold the load")
	kiosks  = flag.Int("kiosks", 100, "how many kiosks talk, one turn per 10 s each")
	lasting = flag.Duration("for", 10*time.Minute, "how long")
	out     = flag.String("out", "", "folder for soak.csv and soak.svg; none: neither is written")
)

const (
	every  = 10 * time.Second
	sample = 5 * time.Second
	models = 200 * time.Millisecond // first token and first audio, 100 ms each
	answer = "Hammers are in aisle four."
)

// A series is one curve: a value at each sample.
type series struct {
	name, unit string
	values     []float64
	// May grow over the second half, as a share of its mean and at least by slack.
	// Negative: it is not looked at.
	share, slack float64
}

// TestSoak talks at the capacity bar and fails when a turn fails, or when memory
// or goroutines still grow in its second half.
func TestSoak(t *testing.T) {
	if !*run {
		t.Skip("it lasts for minutes; run `make soak`")
	}
	server, err := stub.Start(stub.Config{FirstToken: models / 2, FirstAudio: models / 2, Timing: true, Answer: answer, Unrecorded: true})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	folder := load.Store(t, filepath.Join(system.Root(t), "examples", "hardware-store"), "help", *kiosks)
	sys := system.Start(t, "--store", folder, "--speech", server.URL, "--llm", "openai", "--llm-url", server.URL, "--llm-model", "stub")
	processes, err := load.System(sys.Pid())
	if err != nil {
		t.Fatal(err)
	}

	tokens := make([]string, *kiosks)
	for i := range tokens {
		tokens[i] = sys.Tokens[load.Kiosk(i)]
	}
	floor, err := load.Open(t.Context(), load.Config{URL: sys.Kiosk, Tokens: tokens, Every: every, Want: answer})
	if err != nil {
		t.Fatal(err)
	}
	defer floor.Close()

	// Temporal keeps what it has read of each conversation until its caches are
	// full, so that its memory is drawn but not judged.
	turns := &series{name: "turns", unit: "/s", share: -1}
	added := &series{name: "added latency p95", unit: "ms", share: -1}
	goroutines := &series{name: "goroutines", unit: "", share: 0.05, slack: 20}
	curves := []*series{turns, added, goroutines}
	cores, memory := make([]*series, len(processes)), make([]*series, len(processes))
	for i, p := range processes {
		cores[i] = &series{name: p.Name + " CPU", unit: "cores", share: -1}
		memory[i] = &series{name: p.Name + " memory", unit: "MB", share: 0.1, slack: 8}
		if p.Name == "temporal" {
			memory[i].share = -1
		}
		curves = append(curves, cores[i], memory[i])
	}

	used := make([]load.Usage, len(processes))
	for i, p := range processes {
		if used[i], err = p.Usage(); err != nil {
			t.Fatal(err)
		}
	}
	var seconds []float64
	var faults []error
	var all []time.Duration
	began, last := time.Now(), time.Now()
	floor.Take()
	tick := time.NewTicker(sample)
	defer tick.Stop()
	for time.Since(began) < *lasting {
		<-tick.C
		now := time.Now()
		seconds = append(seconds, now.Sub(began).Seconds())
		took, failed := floor.Take()
		faults, all = append(faults, failed...), append(all, took...)
		turns.add(float64(len(took)) / now.Sub(last).Seconds())
		added.add(1000 * max(0, load.Quantile(took, 0.95)-models).Seconds())
		goroutines.add(measured(t, sys))
		for i, p := range processes {
			u, err := p.Usage()
			if err != nil {
				t.Fatal(err)
			}
			cores[i].add((u.CPU - used[i].CPU).Seconds() / now.Sub(last).Seconds())
			memory[i].add(float64(u.Memory) / (1 << 20))
			used[i] = u
		}
		last = now
	}

	fmt.Fprintf(os.Stdout, "\n%d kiosks for %s, one turn per %s each; Temporal's data in %s\n", *kiosks, *lasting, every, os.TempDir())
	slices.Sort(all)
	ms := func(q float64) int64 { return max(0, load.Quantile(all, q)-models).Milliseconds() }
	fmt.Fprintf(os.Stdout, "%d turns, %d faults, added latency p50 %d, p95 %d, most %d ms\n", len(all), len(faults), ms(0.5), ms(0.95), ms(1))
	for _, c := range curves {
		fmt.Fprintf(os.Stdout, "  %-20s %s  %.4g … %.4g %s\n", c.name, c.spark(60), slices.Min(c.values), slices.Max(c.values), c.unit)
		if grown, limit := c.growth(); c.share >= 0 && grown > limit {
			t.Errorf("%s grew by %.1f %s in the second half; at most %.1f is no growth", c.name, grown, c.unit, limit)
		}
	}
	fmt.Fprintln(os.Stdout)
	for _, err := range faults[:min(10, len(faults))] {
		t.Error(err)
	}
	if len(faults) > 10 {
		t.Errorf("and %d more", len(faults)-10)
	}
	if *out != "" {
		keep(t, "soak.csv", table(seconds, curves))
		keep(t, "soak.svg", picture(fmt.Sprintf("%d kiosks for %s, one turn per %s each", *kiosks, *lasting, every), seconds, curves))
	}
}

// measured is how many goroutines parley has.
func measured(t *testing.T, sys *system.System) float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), sample)
	defer cancel()
	m, err := load.Scrape(ctx, sys.Page+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	return m.Value("go_goroutines")
}

func keep(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(*out, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*out, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func table(seconds []float64, curves []*series) string {
	var out strings.Builder
	w := csv.NewWriter(&out)
	head := []string{"seconds"}
	for _, c := range curves {
		head = append(head, strings.TrimSpace(c.name+" "+c.unit))
	}
	_ = w.Write(head) // into memory
	for i, s := range seconds {
		line := []string{strconv.FormatFloat(s, 'f', 0, 64)}
		for _, c := range curves {
			line = append(line, strconv.FormatFloat(c.values[i], 'f', 2, 64))
		}
		_ = w.Write(line)
	}
	w.Flush()
	return out.String()
}
