package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/gateway"
	"github.com/praesenz/parley/kiosk"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/metrics"
	"github.com/praesenz/parley/speech"
	"github.com/praesenz/parley/store"
	"github.com/praesenz/parley/worker"
)

// gatewayCommand runs a gateway by itself, where Temporal and the workers are
// elsewhere.
func gatewayCommand() *cobra.Command {
	var (
		logs                              logFlags
		temporal                          temporalFlags
		models                            modelFlags
		doors                             doorFlags
		dir, listen, mediaAddr, advertise string
	)
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Run a gateway: kiosks' WebSockets, the media plane, the page",
		Long: `Run a gateway: kiosks' WebSockets, the media plane and the page. Its secrets come
from the environment only: PARLEY_KIOSK_KEY, from which kiosks' tokens are made,
and PARLEY_MEDIA_TOKEN, which the workers present; the tokens of staff and of other
systems also from files.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logger, err := logs.begin(cmd)
			if err != nil {
				return err
			}
			key, err := parseSecret("PARLEY_KIOSK_KEY", os.Getenv("PARLEY_KIOSK_KEY"))
			if err != nil {
				return err
			}
			if err := doors.read(); err != nil {
				return err
			}
			ctx := cmd.Context()
			s, err := store.Open(dir)
			if err != nil {
				return err
			}
			client, err := dialTemporal(ctx, temporal, nil, logger)
			if err != nil {
				return err
			}
			defer client.Close()
			index, err := openRemoteIndex(ctx, models, logger)
			if err != nil {
				return err
			}
			defer index.close()
			registry := prometheus.NewRegistry()
			meters, err := metrics.New(registry)
			if err != nil {
				return err
			}
			gw, err := gateway.New(gateway.Config{
				Addr: listen, MediaAddr: mediaAddr, AdvertiseMedia: advertise,
				Key: key, MediaToken: os.Getenv("PARLEY_MEDIA_TOKEN"),
				Store: s.ID, TimeZone: s.TimeZone, StaffToken: doors.staff, EventsToken: doors.events,
				Temporal: client, Plan: plans(s, logger), About: about(s), Probe: probe(models, index),
				Page: kiosk.Page(), Media: filepath.Join(s.Dir(), "media"), Metrics: meters, Registry: registry, Logger: logger,
			})
			if err != nil {
				return err
			}
			if err := gw.Start(ctx); err != nil {
				return err
			}
			defer stopWithin(gw.Stop, logger)
			select {
			case <-ctx.Done():
				gw.Drain(context.WithoutCancel(ctx))
				return nil
			case err := <-gw.Dead():
				return err
			}
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "store", "examples/hardware-store", "folder of the store, with its store.yaml")
	f.StringVar(&listen, "listen", ":8080", "address of the kiosk page and its WebSocket")
	f.StringVar(&mediaAddr, "media", ":8090", "address of the media plane, for workers")
	f.StringVar(&advertise, "advertise-media", "", "HOST:PORT under which workers reach --media (default: the address it listens on)")
	temporal.bind(f, "127.0.0.1:7233", "")
	models.bind(f, "")
	doors.bind(f, "without one that door is not there")
	logs.bind(f, "info", "json")
	return cmd
}

// workerCommand runs some pools by themselves.
func workerCommand() *cobra.Command {
	var (
		logs              logFlags
		temporal          temporalFlags
		models            modelFlags
		actions           actionFlags
		dir, data, listen string
		pools             []string
		slots             map[string]int
	)
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run workers for some or all pools",
		Long: `Run workers for some or all pools of a store. PARLEY_MEDIA_TOKEN in the environment
is the token that the gateways expect.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logger, err := logs.begin(cmd)
			if err != nil {
				return err
			}
			token := os.Getenv("PARLEY_MEDIA_TOKEN")
			if token == "" {
				return errors.New("PARLEY_MEDIA_TOKEN: set it to the token that the gateways expect")
			}
			ctx := cmd.Context()
			s, err := store.Open(dir)
			if err != nil {
				return err
			}
			c := worker.Config{Store: s.ID, Logger: logger, Slots: map[activities.Pool]int{}}
			for _, p := range pools {
				c.Pools = append(c.Pools, activities.Pool(p))
			}
			for p, n := range slots {
				if !slices.Contains(activities.Pools, activities.Pool(p)) {
					return fmt.Errorf("--slots %s=%d: the pools are %s", p, n, poolNames())
				}
				c.Slots[activities.Pool(p)] = n
			}
			if c.Temporal, err = dialTemporal(ctx, temporal, nil, logger); err != nil {
				return err
			}
			defer c.Temporal.Close()
			index, err := openIndex(ctx, models, data, logger)
			if err != nil {
				return err
			}
			defer index.close()
			registry := prometheus.NewRegistry()
			meters, err := metrics.New(registry)
			if err != nil {
				return err
			}
			gateways := media.NewClient(token)
			defer gateways.Close()
			var thinks string
			if c.Work, thinks, err = work(ctx, models, actions, c.Pools, index, s, gateways, meters, logger); err != nil {
				return err
			}
			w, err := worker.New(c)
			if err != nil {
				return err
			}
			if err := w.Start(); err != nil {
				return err
			}
			defer w.Stop()
			stop, dead, err := serveMetrics(listen, registry)
			if err != nil {
				return err
			}
			defer stop()
			logger.Info("worker started", "store", s.ID, "pools", strings.Join(pools, ","), "llm", thinks)
			select {
			case <-ctx.Done():
				logger.Info("worker stops", "store", s.ID)
				return nil
			case err := <-dead:
				return err
			}
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "store", "examples/hardware-store", "folder of the store, with its store.yaml")
	f.StringVar(&data, "data", ".parley", "folder of the embedded index")
	f.StringVar(&listen, "listen", ":9100", "address of /metrics and /health")
	f.StringSliceVar(&pools, "pools", nil, "pools to serve: "+poolNames()+" (default: all)")
	f.StringToIntVar(&slots, "slots", nil, "requests at once, by pool: llm=4,tts=8")
	temporal.bind(f, "127.0.0.1:7233", "")
	models.bind(f, "")
	actions.bind(f)
	logs.bind(f, "info", "json")
	return cmd
}

// serveMetrics serves a worker's /metrics, and /health, which says that the
// process is there: whether it gets work done, its queues' metrics say.
func serveMetrics(addr string, registry *prometheus.Registry) (stop func(), dead <-chan error, err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, nil, fmt.Errorf("--listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintln(w, `{"status":"ok"}`)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			ended <- fmt.Errorf("serve %s: %w", addr, err)
		}
	}()
	return func() { server.Close() }, ended, nil
}

func poolNames() string {
	var names []string
	for _, p := range activities.Pools {
		names = append(names, string(p))
	}
	return strings.Join(names, ", ")
}

// speechCommand runs the embedded speech server by itself.
func speechCommand() *cobra.Command {
	var (
		logs   logFlags
		listen string
		corpus []string
	)
	cmd := &cobra.Command{
		Use:   "speech",
		Short: "Run the embedded speech server",
		Long: `Run the embedded speech server: the part of OpenAI's audio API that Parley uses, on
Debian's engines. PARLEY_SPEECH_TOKEN in the environment is the token that its
clients must present; without one it serves loopback only.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logger, err := logs.begin(cmd)
			if err != nil {
				return err
			}
			s, err := speech.New(speech.Config{Addr: listen, Token: os.Getenv("PARLEY_SPEECH_TOKEN"), Corpus: corpus, Logger: logger})
			if err != nil {
				return err
			}
			if err := s.Start(cmd.Context()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "speech server at http://%s\n", s.Addr())
			<-cmd.Context().Done()
			stopWithin(s.Stop, logger)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:8100", "address to listen on")
	f.StringSliceVar(&corpus, "corpus", nil, "files and folders whose words to expect")
	logs.bind(f, "info", "text")
	return cmd
}

// tokenCommand makes a kiosk's token with the key of `parley dev`, or with
// PARLEY_KIOSK_KEY.
func tokenCommand() *cobra.Command {
	var (
		dir, data string
		life      time.Duration
	)
	cmd := &cobra.Command{
		Use:   "token KIOSK",
		Short: "Make a kiosk's token",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := store.Read(dir)
			if err != nil {
				return err
			}
			if _, ok := s.Kiosk(args[0]); !ok {
				return fmt.Errorf("kiosk %q is not in the store's %s", args[0], store.File)
			}
			if life < time.Minute {
				return fmt.Errorf("--life %s: must be at least 1m", life)
			}
			var key []byte
			if hex, ok := os.LookupEnv("PARLEY_KIOSK_KEY"); ok {
				key, err = parseSecret("PARLEY_KIOSK_KEY", hex)
			} else {
				key, err = secret(data, "kiosk.key")
			}
			if err != nil {
				return err
			}
			token, err := gateway.NewKioskToken(key, s.ID, args[0], life)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), token)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "store", "examples/hardware-store", "folder of the store, with its store.yaml")
	f.StringVar(&data, "data", ".parley", "folder in which `parley dev` keeps its key")
	f.DurationVar(&life, "life", tokenLife, "how long it is good")
	return cmd
}
