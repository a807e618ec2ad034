package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/config"
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
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Run a gateway: kiosks' WebSockets, the media plane, the page",
		Long: `Run a gateway: kiosks' WebSockets, the media plane and the page. It needs
kiosk_key, from which kiosks' tokens are made, and media_token, which the workers
present. ` + settingsHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, logger, err := begin(cmd, config.Gateway)
			if err != nil {
				return err
			}
			keys, err := config.Keys(string(c.KioskKey))
			if err != nil {
				return fmt.Errorf("kiosk_key: %w", err)
			}
			ctx := cmd.Context()
			s, err := store.Open(c.Store)
			if err != nil {
				return err
			}
			registry := metrics.NewRegistry()
			client, err := dialTemporal(ctx, c, nil, registry, logger)
			if err != nil {
				return err
			}
			defer client.Close()
			if err := canOpen(ctx, client, s.ID); err != nil {
				return err
			}
			index, err := openQdrant(c, nil, logger)
			if err != nil {
				return err
			}
			defer index.close()
			meters, err := metrics.New(registry)
			if err != nil {
				return err
			}
			gw, err := gateway.New(gateway.Config{
				Addr: c.Listen, MediaAddr: c.Media, AdvertiseMedia: c.AdvertiseMedia, MetricsAddr: c.MetricsListen,
				Keys: keys, MediaToken: string(c.MediaToken),
				Store: s.ID, TimeZone: s.TimeZone, StaffToken: string(c.StaffToken), EventsToken: string(c.EventsToken),
				Temporal: client, Plan: plans(s, logger), About: about(s), Probe: probe(c, index),
				Page: kiosk.Page(), Media: filepath.Join(s.Dir(), "media"), Metrics: meters, Registry: registry, Logger: logger,
				Origins: c.Origins, MaxSessions: c.MaxSessions, Grace: c.SessionGrace,
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
				drained, done := context.WithTimeout(context.WithoutCancel(ctx), c.Drain)
				defer done()
				gw.Drain(drained)
				return nil
			case err := <-gw.Dead():
				return err
			}
		},
	}
	config.Bind(config.Gateway, cmd.Flags())
	return cmd
}

// settingsHelp ends the help of each command that serves.
const settingsHelp = `Every flag is a setting that can also stand in
the file --config and in the environment: --stt-model is stt_model and
PARLEY_STT_MODEL. A secret such as llm_key is PARLEY_LLM_KEY, or the content of the
file --llm-key-file.`

// workerCommand runs some pools by themselves.
func workerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run workers for some or all pools",
		Long: `Run workers for some or all pools of a store. They need media_token, the token
that the gateways expect. ` + settingsHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, logger, err := begin(cmd, config.Worker)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			s, err := store.Open(c.Store)
			if err != nil {
				return err
			}
			registry := metrics.NewRegistry()
			probes, err := serveProbes(c.Listen, registry, logger)
			if err != nil {
				return err
			}
			defer probes.close()
			wc := worker.Config{
				Store: s.ID, Logger: logger, Slots: map[activities.Pool]int{},
				Deployment: c.Deployment, BuildID: c.BuildID, StopTimeout: c.StopTimeout,
			}
			for _, p := range c.Pools {
				wc.Pools = append(wc.Pools, activities.Pool(p))
			}
			for p, n := range c.Slots {
				wc.Slots[activities.Pool(p)] = n
			}
			if wc.Temporal, err = dialTemporal(ctx, c, nil, registry, logger); err != nil {
				return err
			}
			defer wc.Temporal.Close()
			if err := canOpen(ctx, wc.Temporal, s.ID); err != nil {
				return err
			}
			index := openedIndex{close: func() {}}
			if serves(wc.Pools, activities.PoolRetrieval) {
				if index, err = openIndex(ctx, c, logger); err != nil {
					return err
				}
			}
			defer index.close()
			meters, err := metrics.New(registry)
			if err != nil {
				return err
			}
			gateways := media.NewClient(string(c.MediaToken))
			defer gateways.Close()
			jobs, thinks, finish, err := work(ctx, c, wc.Pools, index, s, gateways, meters, logger)
			if err != nil {
				return err
			}
			defer finish() //nolint:errcheck // it only waits
			wc.Work = jobs
			w, err := worker.New(wc)
			if err != nil {
				return err
			}
			if err := w.Start(); err != nil {
				return err
			}
			defer w.Stop()
			pools := make([]string, 0, len(activities.Pools))
			for _, p := range activities.Pools {
				if serves(wc.Pools, p) {
					pools = append(pools, string(p))
				}
			}
			probes.ready(workload{pools, wc.Temporal})
			logger.Info("worker started", "store", s.ID, "pools", strings.Join(pools, ","), "llm", thinks,
				"deployment", c.Deployment, "build_id", c.BuildID)
			select {
			case <-ctx.Done():
				probes.unready()
				logger.Info("worker drains", "store", s.ID)
				drained, done := context.WithTimeout(context.WithoutCancel(ctx), c.Drain)
				defer done()
				w.Drain(drained)
				logger.Info("worker stops", "store", s.ID)
				return nil
			case err := <-w.Dead():
				return err
			case err := <-probes.dead:
				return err
			}
		},
	}
	config.Bind(config.Worker, cmd.Flags())
	return cmd
}

// speechCommand runs the embedded speech server by itself.
func speechCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "speech",
		Short: "Run the embedded speech server",
		Long: `Run the embedded speech server: the part of OpenAI's audio API that Parley uses, on
Debian's engines. speech_token is the token that its clients must present; without
one it serves loopback only. ` + settingsHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, logger, err := begin(cmd, config.Speech)
			if err != nil {
				return err
			}
			s, err := speech.New(speech.Config{Addr: c.Listen, Token: string(c.SpeechToken), Corpus: c.Corpus, Logger: logger})
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
	config.Bind(config.Speech, cmd.Flags())
	return cmd
}

// tokenCommand makes a kiosk's token with kiosk_key, or else with the key of
// `parley dev`.
func tokenCommand() *cobra.Command {
	var life time.Duration
	cmd := &cobra.Command{
		Use:   "token KIOSK",
		Short: "Make a kiosk's token",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := settings(cmd, config.Token)
			if err != nil {
				return err
			}
			s, err := store.Read(c.Store)
			if err != nil {
				return err
			}
			if _, ok := s.Kiosk(args[0]); !ok {
				return fmt.Errorf("kiosk %q is not in the store's %s", args[0], store.File)
			}
			if life < time.Minute {
				return fmt.Errorf("--life %s: must be at least 1m", life)
			}
			keys, err := config.Keys(string(c.KioskKey))
			if c.KioskKey == "" {
				keys = make([][]byte, 1)
				keys[0], err = secret(c.Data, "kiosk.key")
			}
			if err != nil {
				return fmt.Errorf("kiosk_key: %w", err)
			}
			token, err := gateway.NewKioskToken(keys[0], s.ID, args[0], life)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), token)
			return nil
		},
	}
	config.Bind(config.Token, cmd.Flags())
	cmd.Flags().DurationVar(&life, "life", tokenLife, "how long it is good")
	return cmd
}
