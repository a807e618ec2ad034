package bench

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/praesenz/parley/tests/load"
)

var idleKiosks = flag.Int("idle", 5000, "how many silent kiosks are connected at once")

// TestBenchIdleSessions connects kiosks that nobody stands before, through the
// real door, and reads from the gateway's process what each of them costs. It
// fails when the gateway does not hold them all, or keeps something of them when
// they have gone.
func TestBenchIdleSessions(t *testing.T) {
	if !*run {
		t.Skip("a benchmark; run `make bench`")
	}
	sys, tokens := loaded(t, *idleKiosks, "--session-grace", "1s")
	gateway := processes(t, sys)[0]
	type reading struct {
		heap, goroutines float64
		load.Usage
	}
	read := func() reading {
		u, err := gateway.Usage()
		if err != nil {
			t.Fatal(err)
		}
		m := scrape(t, sys)
		return reading{m.Value("go_memstats_heap_inuse_bytes") + m.Value("go_memstats_stack_inuse_bytes"), m.Value("go_goroutines"), u}
	}
	before := read()

	// A browser answers pings by itself; so does a connection that is read.
	ctx, hangUp := context.WithCancel(t.Context())
	var kiosks sync.WaitGroup
	defer kiosks.Wait()
	defer hangUp()
	lost := make(chan error, len(tokens))
	d := websocket.Dialer{HandshakeTimeout: 30 * time.Second, ReadBufferSize: 512, WriteBufferSize: 512}
	began := time.Now()
	for i, token := range tokens {
		d.Subprotocols = []string{"parley.v1", "bearer." + token}
		conn, _, err := d.DialContext(ctx, sys.Kiosk, nil)
		if err != nil {
			t.Fatalf("kiosk %d of %d: %v", i+1, len(tokens), err)
		}
		kiosks.Go(func() {
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			for {
				if _, _, err := conn.ReadMessage(); err != nil {
					if ctx.Err() == nil {
						lost <- err
					}
					return
				}
			}
		})
	}
	connected := time.Since(began)
	n := float64(len(tokens))
	held := 0.0
	for limit := time.Now().Add(10 * time.Second); held < n && time.Now().Before(limit); time.Sleep(100 * time.Millisecond) {
		held = scrape(t, sys).Value("kiosk_active_sessions")
	}

	const watched = 40 * time.Second // two rounds of pings
	settled := read()
	time.Sleep(watched)
	after := read()
	select {
	case err := <-lost:
		t.Errorf("a kiosk was lost: %v", err)
	default:
	}
	fmt.Fprintf(os.Stdout, "\n%d idle kiosks, connected within %s; the gateway holds %.0f (bar: all, ≤ 50 KB each)\n"+
		"  memory in use  %.1f KB each (heap and stacks; resident %.1f KB)\n  goroutines     %.2f each\n  CPU            %.1f %% of one core\n\n",
		len(tokens), connected.Round(time.Second), held,
		(after.heap-before.heap)/n/1024, float64(after.Memory-before.Memory)/n/1024, (after.goroutines-before.goroutines)/n,
		100*(after.CPU-settled.CPU).Seconds()/watched.Seconds())
	if held != n {
		t.Errorf("the gateway holds %.0f kiosks, want %.0f", held, n)
	}

	hangUp()
	kiosks.Wait()
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		left := read().goroutines - before.goroutines
		if left < 50 {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("%.0f goroutines are left of kiosks that have gone", left)
		}
	}
}
