package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/praesenz/parley/activities/retrieval"
	"github.com/praesenz/parley/config"
	"github.com/praesenz/parley/metrics"
	"github.com/praesenz/parley/store"
)

// kbSyncCommand keeps the index like the store's folder where no `parley dev` does.
func kbSyncCommand() *cobra.Command {
	var watches bool
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Keep the store's collections in the index like the store's folder",
		Long: `Sync makes the collections of the store's store.yaml in the index like the files that
they name: what is new or changed is read, what is gone is removed. It fails when a
document could not be read.

With --watch it goes on for ever and looks again every kb_sync_every, with /health
and /metrics at --listen: a cluster runs one of these beside Qdrant. What fails is
logged, and tried again. ` + settingsHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, logger, err := begin(cmd, config.KBSync)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			s, err := store.Read(c.Store)
			if err != nil {
				return err
			}
			index, err := openIndex(ctx, c, logger)
			if err != nil {
				return err
			}
			defer index.close()
			syncers := collections(s, index)
			if !watches {
				reports, err := syncOnce(ctx, syncers)
				return errors.Join(err, tellSync(cmd.OutOrStdout(), syncers, reports))
			}
			registry := metrics.NewRegistry()
			meters, err := metrics.NewKnowledge(registry)
			if err != nil {
				return err
			}
			observe(syncers, meters)
			probes, err := serveProbes(c.Listen, registry, logger)
			if err != nil {
				return err
			}
			defer probes.close()
			probes.ready(workload{})
			logger.Info("knowledge is kept", "store", s.ID, "collections", len(syncers), "index", index.searches)
			g, ctx := errgroup.WithContext(ctx)
			g.Go(func() error {
				watch(ctx, syncers, c.KBSyncEvery, logger)
				return nil
			})
			g.Go(func() error {
				select {
				case <-ctx.Done():
					return nil
				case err := <-probes.dead:
					return err
				}
			})
			return g.Wait()
		},
	}
	config.Bind(config.KBSync, cmd.Flags())
	cmd.Flags().BoolVar(&watches, "watch", false, "go on for ever")
	return cmd
}

// tellSync writes one line for each collection that was synced; the error names
// the documents that could not be read.
func tellSync(out io.Writer, syncers []*retrieval.Syncer, reports []retrieval.Report) error {
	var failed []error
	for i, report := range reports {
		if _, err := fmt.Fprintf(out, "%s: %s\n", syncers[i].Collection, report); err != nil {
			return err
		}
		failed = append(failed, report.Failed...)
	}
	return errors.Join(failed...)
}

// collections gives a syncer for each collection of the store, by name.
func collections(s *store.Store, index retrieval.Index) []*retrieval.Syncer {
	var syncers []*retrieval.Syncer
	for _, name := range slices.Sorted(maps.Keys(s.Collections)) {
		syncers = append(syncers, &retrieval.Syncer{
			Index:      index,
			Collection: retrieval.Collection{Store: s.ID, Index: name},
			Files:      os.DirFS(s.Dir()),
			Paths:      s.Collections[name].Paths,
		})
	}
	return syncers
}

// syncOnce makes the collections like the store's folder. It gives a report for
// each until the index fails.
func syncOnce(ctx context.Context, syncers []*retrieval.Syncer) ([]retrieval.Report, error) {
	var reports []retrieval.Report
	for _, s := range syncers {
		report, err := s.Sync(ctx)
		if err != nil {
			return reports, fmt.Errorf("collection %s: %w", s.Collection, err)
		}
		reports = append(reports, report)
	}
	return reports, nil
}

// observe tells the metrics what each sync found.
func observe(syncers []*retrieval.Syncer, meters *metrics.Knowledge) {
	for _, s := range syncers {
		labels := []string{s.Collection.Store, s.Collection.Index}
		s.OnSync = func(r retrieval.Report) {
			meters.Documents.WithLabelValues(labels...).Set(float64(r.Documents))
			meters.Failed.WithLabelValues(labels...).Set(float64(len(r.Failed)))
			meters.Synced.WithLabelValues(labels...).SetToCurrentTime()
		}
	}
}

// watch keeps the collections like the store's files until ctx ends.
func watch(ctx context.Context, syncers []*retrieval.Syncer, every time.Duration, logger *slog.Logger) {
	var wg sync.WaitGroup
	for _, s := range syncers {
		wg.Go(func() { s.Run(ctx, every, logger) })
	}
	wg.Wait()
}
