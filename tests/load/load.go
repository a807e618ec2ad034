// Package load is a floor full of kiosks: each holds a conversation, asks
// something every so often and notes how long it waited for the first word of the
// answer. Benchmarks and the soak put it before the whole product.
package load

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Config says how many kiosks talk, and how. The zero value of a field means its
// default.
type Config struct {
	URL    string   // ws://host:port/v1/kiosk
	Tokens []string // one kiosk each
	// Every is the time from one question of a kiosk to its next. Default 10s.
	Every time.Duration
	// Speech is how long a question takes to say. Default 600ms.
	Speech time.Duration
	// Ears: the gateway detects when the customer has finished. Without it the
	// kiosk says so, and nobody waits for silence.
	Ears bool
	// Want is part of what every answer must say.
	Want string
	// Turns of a conversation, after which the customer leaves and the next one
	// comes. Default 30.
	Turns int
}

// A Floor is kiosks that talk.
type Floor struct {
	config Config
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu     sync.Mutex
	turns  []time.Duration
	faults []error
}

// Open connects the kiosks and has each begin its conversation, evenly over one
// Every. It returns when all listen.
func Open(ctx context.Context, c Config) (*Floor, error) {
	if c.Every == 0 {
		c.Every = 10 * time.Second
	}
	if c.Speech == 0 {
		c.Speech = 600 * time.Millisecond
	}
	if c.Turns == 0 {
		c.Turns = 30
	}
	run, stop := context.WithCancel(ctx)
	f := &Floor{config: c, stop: stop}
	ready := make(chan error, len(c.Tokens))
	start := time.Now()
	for i := range c.Tokens {
		f.done.Go(func() { f.visit(run, i, start.Add(c.Every*time.Duration(i)/time.Duration(len(c.Tokens))), ready) })
	}
	for range c.Tokens {
		if err := <-ready; err != nil {
			f.Close()
			return nil, err
		}
	}
	return f, nil
}

// Take gives the turns and faults since the last Take.
func (f *Floor) Take() (took []time.Duration, faults []error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	took, faults = f.turns, f.faults
	f.turns, f.faults = nil, nil
	slices.Sort(took)
	return took, faults
}

// Close sends every customer home.
func (f *Floor) Close() {
	f.stop()
	f.done.Wait()
}

// visit is one kiosk's day. Its customers ask at fixed times, whatever happened
// to the question before: a system that is too slow is not given more time.
func (f *Floor) visit(ctx context.Context, i int, first time.Time, ready chan<- error) {
	at := time.NewTimer(time.Until(first))
	defer at.Stop()
	select {
	case <-at.C:
	case <-ctx.Done():
		ready <- ctx.Err()
		return
	}
	k, err := f.open(ctx, i)
	if err != nil {
		ready <- fmt.Errorf("kiosk %d: %w", i, err)
		return
	}
	ready <- nil
	defer func() { k.close() }()
	due := first.Add(f.config.Every * (1 + time.Since(first)/f.config.Every))
	// Conversations end at different times, as on a floor that was open before.
	for turn := 1 + i%f.config.Turns; ; turn++ {
		at.Reset(time.Until(due))
		select {
		case <-at.C:
		case <-ctx.Done():
			return
		}
		due = due.Add(f.config.Every)
		var took time.Duration
		switch {
		case k == nil: // the turn before has failed
			turn = 0
			k, err = f.open(ctx, i)
		case turn > f.config.Turns:
			turn = 0
			if err = k.leave(ctx); err == nil {
				err = k.begin(ctx)
			}
		default:
			took, err = k.ask(ctx, f.config.Speech, f.config.Want)
		}
		f.note(ctx, i, turn, took, err)
		if err != nil {
			k.close()
			k = nil
		}
		for turn == 0 && time.Now().After(due) { // the greeting may take longer than a turn
			due = due.Add(f.config.Every)
		}
	}
}

// open connects a kiosk, at which a customer begins a conversation.
func (f *Floor) open(ctx context.Context, i int) (*kiosk, error) {
	k, err := dial(ctx, f.config.URL, f.config.Tokens[i], f.config.Ears)
	if err == nil {
		if err = k.begin(ctx); err == nil {
			return k, nil
		}
		k.close()
	}
	return nil, err
}

// note keeps what became of a turn, or, of the zeroth, only its failure.
func (f *Floor) note(ctx context.Context, kiosk, turn int, took time.Duration, err error) {
	if ctx.Err() != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil:
		f.faults = append(f.faults, fmt.Errorf("kiosk %d, turn %d: %w", kiosk, turn, err))
	case turn > 0: // the zeroth is a change of customers
		f.turns = append(f.turns, took)
	}
}

// Store copies a store's folder and gives it n kiosks, which all follow one
// flow; it returns the copy.
func Store(t testing.TB, folder, flow string, n int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "store.yaml")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var kiosks strings.Builder
	kiosks.WriteString("kiosks:\n")
	for i := range n {
		fmt.Fprintf(&kiosks, "  - {id: %s, flow: %s}\n", Kiosk(i), flow)
	}
	own := regexp.MustCompile(`(?m)^kiosks:\n(  .*\n)+`)
	if !own.Match(b) {
		t.Fatalf("%s lists no kiosks", path)
	}
	if err := os.WriteFile(path, own.ReplaceAll(b, []byte(kiosks.String())), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Kiosk is the name of the store's i-th kiosk, from 0.
func Kiosk(i int) string { return fmt.Sprintf("k%04d", i) }

// Quantile of sorted durations; 0 of none.
func Quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
