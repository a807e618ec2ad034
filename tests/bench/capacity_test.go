package bench

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/praesenz/parley/tests/load"
	"github.com/praesenz/parley/tests/stub"
	"github.com/praesenz/parley/tests/system"
	"github.com/praesenz/parley/workflows"
)

var (
	kiosks = flag.String("kiosks", "20,40,60,80,100,120", "how many kiosks talk, one measurement each")
	hold   = flag.Duration("hold", 40*time.Second, "how long each number of kiosks is measured")
	every  = flag.Duration("every", 10*time.Second, "from one question of a kiosk to its next")
	ears   = flag.Bool("ears", false, "the gateway detects the end of speech, after the flow's end_silence")
)

const (
	answer = "Hammers are in aisle four."
)

// loaded starts the system with a store of n kiosks and stub models.
func loaded(t *testing.T, n int, args ...string) (sys *system.System, tokens []string) {
	t.Helper()
	models, err := stub.Start(stub.Config{FirstToken: firstToken, FirstAudio: firstAudio, Timing: true, Answer: answer, Unrecorded: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { models.Close() })
	folder := load.Store(t, filepath.Join(system.Root(t), "examples", "hardware-store"), "help", n)
	sys = system.Start(t, append([]string{"--store", folder, "--speech", models.URL, "--llm", "openai", "--llm-url", models.URL, "--llm-model", "stub"}, args...)...)
	tokens = make([]string, n)
	for i := range tokens {
		tokens[i] = sys.Tokens[load.Kiosk(i)]
	}
	return sys, tokens
}

func processes(t *testing.T, sys *system.System) []load.Process {
	t.Helper()
	all, err := load.System(sys.Pid())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func usages(t *testing.T, all []load.Process) []load.Usage {
	t.Helper()
	used := make([]load.Usage, len(all))
	for i, p := range all {
		u, err := p.Usage()
		if err != nil {
			t.Fatal(err)
		}
		used[i] = u
	}
	return used
}

func TestBenchCapacity(t *testing.T) {
	if !*run {
		t.Skip("a benchmark; run `make bench`")
	}
	var levels []int
	for _, s := range strings.Split(*kiosks, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			t.Fatalf("-kiosks: %q is not a number of kiosks", s)
		}
		levels = append(levels, n)
	}
	slices.Sort(levels)
	sys, tokens := loaded(t, levels[len(levels)-1])
	all := processes(t, sys)

	var out strings.Builder
	w := tabwriter.NewWriter(&out, 2, 0, 2, ' ', 0)
	fmt.Fprint(w, "kiosks, one turn per 10 s each\tturns\tfaults\tadded p50\tp95\tmax")
	for _, p := range all {
		fmt.Fprintf(w, "\t%s ms/turn", p.Name)
	}
	fmt.Fprintln(w, "\tcores\tMB parley, temporal")
	talking, answered := 0, 0
	var made map[string]int // calls of Temporal's API at the last number of kiosks
	var floors []*load.Floor
	for _, n := range levels {
		f, err := load.Open(t.Context(), load.Config{URL: sys.Kiosk, Tokens: tokens[talking:n], Every: *every, Ears: *ears, Want: answer})
		if err != nil {
			t.Logf("%d kiosks: %v", n, err) // what was measured so far is worth showing
			break
		}
		defer f.Close()
		floors = append(floors, f)
		talking = n
		time.Sleep(*every) // each kiosk's first turn fills caches
		took(floors)
		began, before, called := time.Now(), usages(t, all), calls(t, sys)
		time.Sleep(*hold)
		lasted, after := time.Since(began), usages(t, all)
		turns, faults := took(floors)
		for i := range turns {
			turns[i] -= firstToken + firstAudio
			if *ears {
				turns[i] -= 500 * time.Millisecond // the flow's end_silence
			}
		}
		made = calls(t, sys)
		for name := range made {
			made[name] -= called[name]
		}
		answered = len(turns)
		ms := func(q float64) float64 { return float64(load.Quantile(turns, q).Microseconds()) / 1000 }
		fmt.Fprintf(w, "%d\t%d\t%d\t%.0f ms\t%.0f ms\t%.0f ms", n, len(turns), len(faults), ms(0.5), ms(0.95), ms(1))
		cores := 0.0
		for i := range all {
			used := after[i].CPU - before[i].CPU
			cores += used.Seconds() / lasted.Seconds()
			fmt.Fprintf(w, "\t%.1f", float64(used.Milliseconds())/float64(max(1, len(turns))))
		}
		fmt.Fprintf(w, "\t%.2f\t%d, %d\n", cores, after[0].Memory>>20, after[1].Memory>>20)
		for _, err := range faults[:min(3, len(faults))] {
			t.Logf("%d kiosks: %v", n, err)
		}
	}
	w.Flush()
	fmt.Fprintf(os.Stdout, "\n%s\nCalls of Temporal's API a turn, with %d kiosks:%s\n%s\n", out.String(), talking, aTurn(made, max(1, answered)), eventsPerTurn(t, sys))
}

func took(floors []*load.Floor) (turns []time.Duration, faults []error) {
	for _, f := range floors {
		t, e := f.Take()
		turns, faults = append(turns, t...), append(faults, e...)
	}
	slices.Sort(turns)
	return turns, faults
}

// eventsPerTurn counts what one kiosk's turns have written into the history.
func eventsPerTurn(t *testing.T, sys *system.System) string {
	c := sys.Client(t)
	history := c.GetWorkflowHistory(t.Context(), workflows.ConversationID(sys.Store, load.Kiosk(0)), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	counts, total, bytes := map[string]int{}, 0, 0
	for history.HasNext() {
		e, err := history.Next()
		if err != nil {
			t.Fatal(err)
		}
		counts[e.EventType.String()]++
		total++
		bytes += e.Size()
	}
	turns, err := status(t.Context(), c, sys)
	if err != nil || turns == 0 {
		return fmt.Sprintf("History of a conversation: %d turns, %v", turns, err)
	}
	return fmt.Sprintf("History of a conversation: %.1f events and %.1f KB a turn%s",
		float64(total)/float64(turns), float64(bytes)/1024/float64(turns), aTurn(counts, turns))
}

// status asks a conversation how many turns it had.
func status(ctx context.Context, c client.Client, sys *system.System) (int, error) {
	v, err := c.QueryWorkflow(ctx, workflows.ConversationID(sys.Store, load.Kiosk(0)), "", workflows.StatusQuery)
	if err != nil {
		return 0, err
	}
	var s workflows.Status
	err = v.Get(&s)
	return s.Turns, err
}

// scrape reads the system's metrics.
func scrape(t *testing.T, sys *system.System) load.Metrics {
	t.Helper()
	m, err := load.Scrape(t.Context(), sys.Page+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// calls counts the calls of Temporal's API that parley has made so far, by
// operation and, where it is known, the pool.
func calls(t *testing.T, sys *system.System) map[string]int {
	t.Helper()
	m := scrape(t, sys)
	counts := map[string]int{}
	for _, family := range []string{"temporal_request_total", "temporal_long_request_total"} {
		for _, one := range m[family].GetMetric() {
			labels := map[string]string{}
			for _, l := range one.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			name := labels["operation"]
			if _, pool, ok := strings.Cut(labels["task_queue"], "/"); ok {
				name += " " + pool
			}
			counts[name] += int(one.GetCounter().GetValue())
		}
	}
	return counts
}

// aTurn lists how often each thing happened a turn, most frequent first.
func aTurn(counts map[string]int, turns int) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(counts[b]-counts[a], strings.Compare(a, b)) })
	var out strings.Builder
	for _, name := range names {
		if n := float64(counts[name]) / float64(turns); n >= 0.05 {
			fmt.Fprintf(&out, "\n  %5.1f %s", n, name)
		}
	}
	return out.String()
}
