package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/praesenz/parley/config"
	"github.com/praesenz/parley/gateway"
	"github.com/praesenz/parley/kiosk"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/metrics"
	"github.com/praesenz/parley/speech"
	"github.com/praesenz/parley/store"
	"github.com/praesenz/parley/worker"
)

func devCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run the whole system on this machine",
		Long: `Run the whole system on this machine: Temporal's development server, the gateway
with the kiosk page, workers for every pool, an embedded speech server and an
embedded index filled from the store's folder. Everything binds loopback.
` + settingsHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, logger, err := begin(cmd, config.Dev)
			if err != nil {
				return err
			}
			return dev(cmd.Context(), c, logger, cmd.OutOrStdout())
		},
	}
	config.Bind(config.Dev, cmd.Flags())
	return cmd
}

// dev wires the whole system: long and straight, because each line is a part
// that can fail in a way of its own, and what has started must stop in reverse.
func dev(ctx context.Context, c *config.Config, logger *slog.Logger, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var stops []func()
	defer func() {
		for i := len(stops) - 1; i >= 0; i-- {
			stops[i]()
		}
	}()
	later := func(stop func()) { stops = append(stops, stop) }

	s, err := store.Open(c.Store)
	if err != nil {
		return err
	}
	if c.Data, err = filepath.Abs(c.Data); err != nil {
		return err
	}
	key, err := secret(c.Data, "kiosk.key")
	if err != nil {
		return err
	}
	workerToken, err := secret(c.Data, "media.key")
	if err != nil {
		return err
	}
	mediaToken := fmt.Sprintf("%x", workerToken)
	for file, token := range map[string]*config.Secret{staffKey: &c.StaffToken, eventsKey: &c.EventsToken} {
		if *token == "" {
			b, err := secret(c.Data, file)
			if err != nil {
				return err
			}
			*token = config.Secret(devToken(b))
		}
	}
	if err := portsFree(map[string]string{"--listen": c.Listen, "--media": c.Media, "--speech-listen": c.SpeechListen}); err != nil {
		return err
	}

	// Temporal.
	gone := make(<-chan struct{})
	var server *temporalServer
	if c.Temporal == "" {
		path, err := findTemporal(ctx, out)
		if err != nil {
			return err
		}
		if server, err = startTemporal(path, c.Data, c.TemporalPort, c.UIPort); err != nil {
			return err
		}
		later(server.stop)
		gone = server.exited
		c.Temporal = net.JoinHostPort("127.0.0.1", strconv.Itoa(c.TemporalPort))
	}

	// Speech, while Temporal starts.
	hears := "speech server at " + c.Speech
	if c.Speech == "" {
		embedded, err := speech.New(speech.Config{Addr: c.SpeechListen, Token: mediaToken, Corpus: corpus(s), Logger: logger.With("part", "speech")})
		if err != nil {
			return err
		}
		if err := embedded.Start(ctx); err != nil {
			return err
		}
		later(func() { stopWithin(embedded.Stop, logger) })
		c.Speech, c.SpeechKey = "http://"+embedded.Addr(), config.Secret(mediaToken)
		hears = "embedded PocketSphinx (English), flite and espeak-ng, at " + c.Speech
		if deaf := embedded.Deaf(); deaf != nil {
			hears = fmt.Sprintf("embedded flite and espeak-ng; no recogniser: %v", deaf)
		}
	}

	registry := metrics.NewRegistry()
	temporal, err := dialTemporal(ctx, c, gone, registry, logger)
	if err != nil {
		if server != nil {
			return fmt.Errorf("%w; it wrote:\n%s", err, tail(server.log))
		}
		return err
	}
	later(temporal.Close)

	// Knowledge.
	index, err := openIndex(ctx, c, logger)
	if err != nil {
		return err
	}
	later(index.close)
	syncers := collections(s, index)
	filled, err := syncOnce(ctx, syncers)
	if err != nil {
		return err
	}

	// Gateway.
	meters, err := metrics.New(registry)
	if err != nil {
		return err
	}
	gw, err := gateway.New(gateway.Config{
		Addr: c.Listen, MediaAddr: c.Media, Keys: [][]byte{key}, MediaToken: mediaToken,
		Store: s.ID, TimeZone: s.TimeZone, StaffToken: string(c.StaffToken), EventsToken: string(c.EventsToken),
		Temporal: temporal, Plan: plans(s, logger), About: about(s),
		Probe: probe(c, index), Page: kiosk.Page(), Media: filepath.Join(s.Dir(), "media"),
		Metrics: meters, Registry: registry, Logger: logger.With("part", "gateway"),
		Origins: c.Origins, MaxSessions: c.MaxSessions, Grace: c.SessionGrace,
	})
	if err != nil {
		return err
	}
	if err := gw.Start(ctx); err != nil {
		return err
	}
	later(func() { stopWithin(gw.Stop, logger) })

	// Workers.
	gateways := media.NewClient(mediaToken)
	later(func() { gateways.Close() })
	jobs, thinks, finish, err := work(ctx, c, nil, index, s, gateways, meters, logger)
	if err != nil {
		return err
	}
	later(func() { finish() }) //nolint:errcheck // it only waits
	w, err := worker.New(worker.Config{Temporal: temporal, Store: s.ID, Work: jobs, Logger: logger})
	if err != nil {
		return err
	}
	if err := w.Start(); err != nil {
		return err
	}
	later(w.Stop)

	watching := make(chan struct{})
	go func() {
		defer close(watching)
		watch(ctx, syncers, c.KBSyncEvery, logger)
	}()
	later(func() { cancel(); <-watching })

	ready := readiness{
		Store: s.ID, Page: "http://" + gw.Addr(), Kiosk: "ws://" + gw.Addr() + "/v1/kiosk", Tokens: map[string]string{},
		StaffToken: string(c.StaffToken), EventsToken: string(c.EventsToken),
		Temporal: c.Temporal, Speech: c.Speech, SpeechKey: string(c.SpeechKey), LLM: thinks,
	}
	if server != nil {
		ready.UI = fmt.Sprintf("http://127.0.0.1:%d", c.UIPort)
	}
	for _, k := range s.Kiosks {
		if ready.Tokens[k.ID], err = gateway.NewKioskToken(key, s.ID, k.ID, tokenLife); err != nil {
			return err
		}
	}
	if c.ReadyFile != "" {
		if err := ready.write(c.ReadyFile); err != nil {
			return err
		}
	}
	var notes []string
	for i, report := range filled {
		notes = append(notes, fmt.Sprintf("collection %q: %s", syncers[i].Collection.Index, report))
	}
	ready.print(out, s, []string{hears, thinks, index.searches}, notes, c.Data)

	select {
	case <-ctx.Done():
		fmt.Fprintln(out, "\nStopping …")
		drained, done := context.WithTimeout(context.Background(), 10*time.Second)
		defer done()
		gw.Drain(drained)
		return nil
	case <-gone:
		return fmt.Errorf("the Temporal server has ended (%w); it wrote:\n%s", server.err, tail(server.log))
	case err := <-gw.Dead():
		return err
	case err := <-w.Dead():
		return err
	}
}

// Files in --data of the tokens that `parley dev` makes for itself.
const staffKey, eventsKey = "staff.key", "events.key"

// devToken is short enough to be typed.
func devToken(key []byte) string { return fmt.Sprintf("%x", key[:16]) }

// readiness is what is known once everything answers.
type readiness struct {
	Store       string            `json:"store"`
	Page        string            `json:"page"`
	Kiosk       string            `json:"kiosk"`
	Tokens      map[string]string `json:"tokens"` // by kiosk
	StaffToken  string            `json:"staff_token"`
	EventsToken string            `json:"events_token"`
	Temporal    string            `json:"temporal"`
	UI          string            `json:"ui"`
	Speech      string            `json:"speech"`
	SpeechKey   string            `json:"speech_key"`
	LLM         string            `json:"llm"`
}

// write puts the addresses into a file that is there only once it is complete.
// It holds tokens, so only its owner may read it.
func (r readiness) write(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".part", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}

func (r readiness) print(out io.Writer, s *store.Store, uses, filled []string, data string) {
	line := func(what, is string) { fmt.Fprintf(out, "  %-10s %s\n", what, is) }
	fmt.Fprintf(out, "\nParley is ready · %s (%s)\n", s.Name, s.ID)
	page := strings.Replace(r.Page, "127.0.0.1", "localhost", 1)
	line("kiosk", page+"/#token="+r.Tokens[s.Kiosks[0].ID])
	if len(s.Kiosks) > 1 {
		var others []string
		for _, k := range s.Kiosks[1:min(len(s.Kiosks), 6)] {
			others = append(others, k.ID)
		}
		if more := len(s.Kiosks) - 6; more > 0 {
			others = append(others, fmt.Sprintf("%d more", more))
		}
		line("", fmt.Sprintf("(this is %q; for %s: parley token KIOSK)", s.Kiosks[0].ID, strings.Join(others, ", ")))
	}
	line("token", r.Tokens[s.Kiosks[0].ID])
	line("staff", page+"/staff/  token "+r.StaffToken)
	if r.UI != "" {
		line("operator", strings.Replace(r.UI, "127.0.0.1", "localhost", 1)+"/namespaces/default/workflows")
	} else {
		line("temporal", r.Temporal)
	}
	line("metrics", page+"/metrics")
	labels := []string{"speech", "llm", "index"}
	for i, use := range uses {
		line(labels[i], use)
	}
	for _, note := range filled {
		line("", note)
	}
	line("data", data)
	fmt.Fprintln(out, "Ctrl-C stops it.")
}

// portsFree finds out, before anything starts, what would fail later.
func portsFree(options map[string]string) error {
	var faults []error
	for option, addr := range options {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s %s cannot be used: %w; stop what uses it, or choose another", option, addr, err))
			continue
		}
		l.Close()
	}
	return errors.Join(faults...)
}

// stopWithin stops a part, and says so when it will not.
func stopWithin(stop func(context.Context) error, logger *slog.Logger) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), 15*time.Second, errors.New("it did not stop within 15 s"))
	defer cancel()
	if err := stop(ctx); err != nil {
		logger.Error("part not stopped cleanly", "error", err)
	}
}

// tail gives the last lines of a child's output.
func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	const keep = 2000
	if len(b) > keep {
		b = b[len(b)-keep:]
	}
	return strings.TrimSpace(string(b))
}

// speechUp asks a speech server whether it is there.
func speechUp(ctx context.Context, base string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base, "/")+"/health", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", base, resp.Status)
	}
	return nil
}

// tokenLife is how long a kiosk's token from the development command is good.
const tokenLife = 30 * 24 * time.Hour
