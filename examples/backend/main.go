// Command backend is the made-up world behind the example stores: the pharmacy's
// queue, the hotel's own system and the museum's desk, as one HTTP server. It
// keeps everything in memory, so each start is a new day. `make run
// STORE=examples/pharmacy-queue` starts it beside `parley dev`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
	_ "time/tzdata" // the hotel's day begins in Paris
)

func main() {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], logger); err != nil {
		fmt.Fprintln(os.Stderr, "backend:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, logger *slog.Logger) error {
	flags := flag.NewFlagSet("backend", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:8110", "address to serve; the `url` of the stores' actions")
	gateway := flags.String("gateway", "http://127.0.0.1:8080", "address of the gateway, which is told of events")
	pace := flags.Duration("pace", 8*time.Second, "how long a customer takes at a desk, a key card to be written, a bank card to be read")
	lastNumber := flags.Int("last-number", 60, "how many numbers the pharmacy gives out")
	flags.Parse(args) //nolint:errcheck // ExitOnError
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is not understood; backend takes flags only", flags.Arg(0))
	}
	if *pace <= 0 || *pace > 30*time.Second {
		return errors.New("-pace must be above 0 and at most 30s, or no action would be answered in time")
	}
	if *lastNumber < 0 || *lastNumber > 1000 {
		return errors.New("-last-number must be from 0 to 1000")
	}

	secrets := map[string]string{}
	var faults []error
	for _, name := range []string{"PARLEY_EVENTS_TOKEN", "PARLEY_SECRET_QUEUE_TOKEN", "PARLEY_SECRET_PMS_KEY", "PARLEY_SECRET_MUSEUM_DESK"} {
		if secrets[name] = os.Getenv(name); secrets[name] == "" {
			faults = append(faults, fmt.Errorf("%s is missing in the environment; parley needs the same one", name))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	w := newWorld(ctx, *pace, &kiosks{gateway: *gateway, token: secrets["PARLEY_EVENTS_TOKEN"], client: &http.Client{Timeout: 5 * time.Second}, logger: logger})
	defer w.running.Wait()
	defer cancel()
	mux := http.NewServeMux()
	newQueue(w, *lastNumber).serve(mux, guard("Authorization", "Bearer "+secrets["PARLEY_SECRET_QUEUE_TOKEN"]))
	newHotel(w, paris).serve(mux, guard("X-Api-Key", secrets["PARLEY_SECRET_PMS_KEY"]))
	newMuseum(w).serve(mux, guard("Authorization", "Bearer "+secrets["PARLEY_SECRET_MUSEUM_DESK"]))

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("-listen: %w", err)
	}
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	logger.Info("serving the example stores", "address", listener.Addr().String())
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err = server.Shutdown(closing)
	<-failed
	return err
}

// A world is what the three services share: the pace of things, and the kiosks
// that are told what happens later.
type world struct {
	ctx     context.Context // the program's; what happens later ends with it
	pace    time.Duration
	kiosks  *kiosks
	running sync.WaitGroup
}

func newWorld(ctx context.Context, pace time.Duration, k *kiosks) *world {
	return &world{ctx: ctx, pace: pace, kiosks: k}
}

// later lets something happen after a while, unless the program ends before.
func (w *world) later(after time.Duration, happen func(context.Context)) {
	w.running.Go(func() {
		timer := time.NewTimer(after)
		defer timer.Stop()
		select {
		case <-timer.C:
			happen(w.ctx)
		case <-w.ctx.Done():
		}
	})
}
