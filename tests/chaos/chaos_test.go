package chaos

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/praesenz/parley/tests/voice"
	"github.com/praesenz/parley/workflows"
)

var (
	seed   = flag.Uint64("seed", 0, "of the faults' order and moments; 0: a new one")
	faults = flag.Int("faults", 0, "how many in the long form; 0: it is left out")
	only   = flag.String("only", "", "only faults whose name holds this")
)

// How soon a conversation goes on once the process is back: the bar, and what is
// forgiven where other tests run beside this one.
const (
	bar      = 3 * time.Second
	forgiven = 10 * time.Second
)

// A fault is one thing that breaks, and what mends it again.
type fault struct {
	name   string
	strike func()
	mend   func(ctx context.Context) error // returns when the part works again
	down   [2]time.Duration                // how long it stays broken, from and to
}

// A blow is a fault that has struck.
type blow struct {
	*fault
	at, back, until time.Time     // until the next one struck
	recovery        time.Duration // of the slowest customer, from back on
	never           bool          // somebody did not recover
}

func (d *deployment) faults() []*fault {
	var all []*fault
	for _, p := range d.processes {
		all = append(all, &fault{
			name: "kill " + p.name, strike: p.kill, down: [2]time.Duration{50 * time.Millisecond, 1500 * time.Millisecond},
			mend: func(ctx context.Context) error {
				if err := p.start(); err != nil {
					return err
				}
				return p.await(ctx)
			},
		})
	}
	for _, p := range d.processes {
		if !strings.HasPrefix(p.name, "gateway") && !strings.HasPrefix(p.name, "worker") {
			continue
		}
		var stays error
		all = append(all, &fault{
			name: "replace " + p.name, strike: func() { stays = p.leave() }, down: [2]time.Duration{0, 200 * time.Millisecond},
			mend: func(ctx context.Context) error {
				if stays != nil {
					return stays
				}
				if err := p.start(); err != nil {
					return err
				}
				return p.await(ctx)
			},
		})
	}
	for _, k := range d.links {
		well := func(context.Context) error { k.set(well); return nil }
		down := [2]time.Duration{200 * time.Millisecond, 3 * time.Second}
		all = append(all,
			&fault{name: "reset " + k.name, strike: func() { k.set(broken) }, mend: well, down: down},
			&fault{name: "mute " + k.name, strike: func() { k.set(mute) }, mend: well, down: down})
	}
	return all
}

// part is what a fault strikes.
func (f *fault) part() string {
	_, part, _ := strings.Cut(f.name, " ")
	return part
}

// together stands in the table for all pairs of faults.
const together = " together with "

// both strike at once.
func both(a, b *fault) *fault {
	return &fault{
		name: a.name + together + b.name, down: a.down,
		strike: func() {
			var g sync.WaitGroup
			g.Go(a.strike)
			b.strike()
			g.Wait()
		},
		mend: func(ctx context.Context) error {
			g, ctx := errgroup.WithContext(ctx)
			g.Go(func() error { return a.mend(ctx) })
			g.Go(func() error { return b.mend(ctx) })
			return g.Wait()
		},
	}
}

// TestNothingIsLost breaks one thing after another while customers talk.
func TestNothingIsLost(t *testing.T) {
	if *faults == 0 {
		t.Skip("minutes; make chaos runs it")
	}
	suffer(t, *faults, bar, func(f *fault) bool { return strings.Contains(f.name, *only) })
}

// holds names the faults of the short form, one of each sort.
var holds = []string{
	"kill temporal",
	"kill worker-conversation",
	"kill worker-llm",
	"reset gateway-1 to temporal",
}

// TestNothingIsLostInShort breaks some of it.
func TestNothingIsLostInShort(t *testing.T) {
	if testing.Short() || *faults > 0 {
		t.Skip("half a minute of real time")
	}
	suffer(t, len(holds), forgiven, func(f *fault) bool { return slices.Contains(holds, f.name) })
}

// rolls names the faults of a rolling update in short: who holds the kiosks, who
// speaks, and who decides.
var rolls = []string{
	"replace gateway-1",
	"replace worker-tts",
	"replace worker-conversation",
}

// TestARollingUpdateLosesNothing replaces parts while customers talk.
func TestARollingUpdateLosesNothing(t *testing.T) {
	if testing.Short() || *faults > 0 {
		t.Skip("half a minute of real time")
	}
	suffer(t, len(rolls), forgiven, func(f *fault) bool { return slices.Contains(rolls, f.name) })
}

// suffer has customers talk while so many of the faults strike that are wanted,
// and fails the test for all that was lost.
func suffer(t *testing.T, strikes int, bar time.Duration, wanted func(*fault) bool) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d", *seed)
	rng := rand.New(rand.NewPCG(*seed, 0))
	d := deploy(t)
	all := slices.DeleteFunc(d.faults(), func(f *fault) bool { return !wanted(f) })
	if len(all) == 0 {
		t.Fatal("there is no such fault; the long form's table names them")
	}

	var mu sync.Mutex
	var violations []violation
	violated := func(i invariant, from time.Time, format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		violations = append(violations, violation{i, from, time.Now(), fmt.Sprintf(format, args...)})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	leaving := false
	leave := make(chan struct{})
	var customers []*customer
	var shop sync.WaitGroup
	for i, kiosk := range []string{"door", "window", "stairs"} {
		c := &customer{
			kiosk: kiosk, url: "ws://" + d.kiosks.addr() + "/v1/kiosk", token: token(t, kiosk),
			rng: rand.New(rand.NewPCG(*seed, uint64(i+1))), changed: make(chan struct{}), turns: map[int]int{}, reports: make(chan map[string]any, 16),
			told: func(kiosk, what string) {
				mu.Lock()
				over := leaving
				mu.Unlock()
				if !over {
					violated(alive, time.Now(), "%s %s", kiosk, what)
				}
			},
		}
		if i == 0 {
			// Whole, and with the pause of 300 ms that the voice makes around what it
			// says: the kiosk begins to answer half of it.
			c.voices = [][]byte{
				voice.Say(t, "rms", "where do i find hammers"),
				slices.Concat(voice.Say(t, "rms", "where do i find"), voice.Say(t, "rms", "hammers")),
			}
		}
		c.hasty = i != 1
		customers = append(customers, c)
		shop.Go(func() { c.run(ctx, leave) })
	}
	for _, c := range customers {
		if !c.wait(ctx, patience, func() bool { return c.turn > 0 }) {
			t.Fatalf("nobody talks at kiosk %s", c.kiosk)
		}
	}

	var blows []*blow
	for range strikes {
		if len(blows)%len(all) == 0 {
			rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		}
		b := &blow{fault: all[len(blows)%len(all)]}
		if other := all[rng.IntN(len(all))]; len(blows)%4 == 3 && other.part() != b.part() {
			b.fault = both(b.fault, other)
		}
		blows = append(blows, b)
		between(ctx, rng, 0, 4*time.Second)
		b.at = time.Now()
		if n := len(blows); n > 1 {
			blows[n-2].until = b.at
		}
		b.strike()
		between(ctx, rng, b.down[0], b.down[1])
		up, done := context.WithTimeoutCause(ctx, time.Minute, errors.New("not within a minute"))
		err := b.mend(up)
		done()
		if err != nil {
			t.Fatalf("%s: %v", b.name, err)
		}
		b.back = time.Now()
		b.settle(ctx, customers)
		for _, p := range d.processes {
			if p.gone() {
				violated(alive, b.at, "%s ended by itself after %s; see %s", p.name, b.name, p.log)
				if err := p.start(); err != nil {
					t.Fatal(err)
				}
				d.await(t, p)
			}
		}
		t.Logf("%3d %s %-44s down %5.2fs, recovered after %.2fs", len(blows), b.at.UTC().Format("15:04:05.000"), b.name, b.back.Sub(b.at).Seconds(), b.recovery.Seconds())
	}

	close(leave)
	mu.Lock()
	leaving = true
	mu.Unlock()
	shop.Wait()
	violations = append(violations, d.leftOver(ctx)...)
	inputs := 0
	for _, c := range customers {
		lines, err := history(ctx, d.temporal, c.kiosk)
		if err != nil {
			violations = append(violations, violation{clean, time.Now(), time.Now(), err.Error()})
		}
		inputs += len(c.inputs)
		c.record(t, lines)
		violations = append(violations, c.check(lines, d.shop)...)
	}
	slow := slices.ContainsFunc(blows, func(b *blow) bool { return b.never || b.recovery > bar })
	if len(violations) > 0 || slow {
		for _, c := range customers {
			if err := keepEvents(ctx, d.temporal, c.kiosk, filepath.Join(t.ArtifactDir(), c.kiosk+".events")); err != nil {
				t.Error(err)
			}
		}
	}
	t.Logf("%d faults, %d questions, seed %d\n%s", len(blows), inputs, *seed, table(blows, violations))
	for _, v := range violations {
		t.Errorf("%s: %s (%s; %s)", v.invariant, v.what, v.from.UTC().Format("15:04:05.000"), strings.Join(causes(blows, v), ", "))
	}
	for _, b := range blows {
		if b.never || b.recovery > bar {
			t.Errorf("after %s at %s conversations went on %.2fs after it was back; the bar is %s", b.name, b.at.UTC().Format("15:04:05.000"), b.recovery.Seconds(), bar)
		}
	}
}

// record leaves what a customer heard and what the histories say among the
// test's artifacts.
func (c *customer) record(t *testing.T, lines []workflows.Line) {
	t.Helper()
	var s strings.Builder
	for _, h := range c.heard {
		fmt.Fprintf(&s, "%s turn %d, response %d, %.2f of: %s\n", h.at.UTC().Format("15:04:05.000"), h.turn, h.response, h.share, h.text)
	}
	s.WriteString("\nThe histories:\n")
	for _, l := range lines {
		fmt.Fprintf(&s, "%s %s (%s, cut %t): %s\n", l.By, l.How, l.Step, l.Cut, l.Text)
	}
	if err := os.WriteFile(filepath.Join(t.ArtifactDir(), c.kiosk+".txt"), []byte(s.String()), 0o600); err != nil {
		t.Error(err)
	}
}

// keepEvents writes the events of all of a kiosk's conversations, a line each.
func keepEvents(ctx context.Context, c client.Client, kiosk, path string) error {
	id := workflows.ConversationID(store, kiosk)
	all, err := runs(ctx, c, id)
	if err != nil {
		return err
	}
	var s strings.Builder
	for _, e := range all {
		events := c.GetWorkflowHistory(ctx, id, e.GetExecution().GetRunId(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			event, err := events.Next()
			if err != nil {
				return err
			}
			fmt.Fprintln(&s, event)
		}
	}
	return os.WriteFile(path, []byte(s.String()), 0o600)
}

// settle waits until every customer goes on, and for a while more, in which what
// was harmed but had not shown it shows it.
func (b *blow) settle(ctx context.Context, customers []*customer) {
	const watch, limit = 3 * time.Second, 30 * time.Second
	err := poll(ctx, 50*time.Millisecond, func() error {
		if time.Since(b.back) < watch {
			return errors.New("too early")
		}
		for _, c := range customers {
			if _, ok := c.recovered(b.back); !ok && time.Since(b.back) < limit {
				return fmt.Errorf("%s waits", c.kiosk)
			}
		}
		return nil
	})
	b.until = time.Now()
	for _, c := range customers {
		took, ok := c.recovered(b.back)
		if !ok {
			took, b.never = b.until.Sub(b.back), true
		}
		b.recovery = max(b.recovery, took)
	}
	b.never = b.never || err != nil
}

// between waits for a time between two.
func between(ctx context.Context, rng *rand.Rand, from, to time.Duration) {
	select {
	case <-time.After(from + time.Duration(rng.Int64N(int64(to-from)))):
	case <-ctx.Done():
	}
}

// leftOver finds what still runs although every customer has gone.
func (d *deployment) leftOver(ctx context.Context) []violation {
	from := time.Now()
	limited, done := context.WithTimeoutCause(ctx, 20*time.Second, errors.New("20 s after the last customer left"))
	defer done()
	err := poll(limited, 200*time.Millisecond, func() error {
		list, err := d.temporal.ListWorkflow(limited, &workflowservice.ListWorkflowExecutionsRequest{
			Query: fmt.Sprintf(`%s = %q AND ExecutionStatus = "Running"`, workflows.AttributeStore.GetName(), store),
		})
		if err != nil {
			return err
		}
		for _, e := range list.GetExecutions() {
			return fmt.Errorf("%s is still running", e.GetExecution().GetWorkflowId())
		}
		for _, p := range d.processes {
			if p.metrics == "" {
				continue
			}
			used, err := slotsUsed(limited, p.metrics)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			if used {
				return fmt.Errorf("%s still runs an activity", p.name)
			}
		}
		return nil
	})
	if err != nil {
		return []violation{{clean, from, time.Now(), err.Error()}}
	}
	return nil
}

// slotsUsed tells whether a worker says that an activity is running.
func slotsUsed(ctx context.Context, url string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "slots_used{") && strings.Contains(line, "ActivityWorker") && !strings.HasSuffix(strings.TrimSpace(line), " 0") {
			return true, nil
		}
	}
	return false, nil
}

// causes are the faults during which, or just before which, an invariant was
// violated.
func causes(blows []*blow, v violation) []string {
	var names []string
	for _, b := range blows {
		if b.at.Before(v.to) && b.until.After(v.from) && !v.from.IsZero() && !slices.Contains(names, b.name) {
			names = append(names, b.name)
		}
	}
	if len(names) == 0 {
		return []string{"no fault"}
	}
	return names
}

// table tells for each fault how often it struck, how soon conversations went on
// and which invariants were violated meanwhile.
func table(blows []*blow, violations []violation) string {
	type row struct {
		times []time.Duration
		hurt  map[invariant]int
	}
	rows := map[string]*row{}
	names := []string{}
	get := func(name string) *row {
		if strings.Contains(name, together) {
			name = "two at once"
		}
		if rows[name] == nil {
			rows[name] = &row{hurt: map[invariant]int{}}
			names = append(names, name)
		}
		return rows[name]
	}
	for _, b := range blows {
		r := get(b.name)
		r.times = append(r.times, b.recovery)
	}
	for _, v := range violations {
		for _, name := range causes(blows, v) {
			get(name).hurt[v.invariant]++
		}
	}
	slices.SortFunc(names, cmp.Compare[string])
	var s strings.Builder
	w := tabwriter.NewWriter(&s, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "fault\ttimes\trecovery, median\tmost")
	for _, i := range invariants {
		fmt.Fprintf(w, "\tnot %s", i)
	}
	fmt.Fprintln(w)
	for _, name := range names {
		r := rows[name]
		slices.Sort(r.times)
		fmt.Fprintf(w, "%s\t%d", name, len(r.times))
		if n := len(r.times); n > 0 {
			fmt.Fprintf(w, "\t%.2f s\t%.2f s", r.times[(n-1)/2].Seconds(), r.times[n-1].Seconds())
		} else {
			fmt.Fprint(w, "\t\t")
		}
		for _, i := range invariants {
			fmt.Fprint(w, "\t")
			if n := r.hurt[i]; n > 0 {
				fmt.Fprint(w, n)
			}
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	return s.String()
}
