package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/store"
)

// watchInterval is how often the files' times are looked at. Asking for them
// works on every file system, network shares and containers' mounts included,
// and a store has a few dozen.
const watchInterval = 300 * time.Millisecond

func flowWatchCommand() *cobra.Command {
	var test bool
	cmd := &cobra.Command{
		Use:   "watch PATH...",
		Short: "Check flows again whenever they change",
		Long: `Watch checks as ` + "`parley flow check`" + ` does, and does so again whenever a flow or
what it is made of changes: prompts, actions, published flows, tests, store.yaml. With
--test the conversation tests are held, too, once there are no mistakes. Ctrl-C
ends it.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error {
			return watchPaths(cmd.Context(), cmd.OutOrStdout(), paths, test)
		},
	}
	cmd.Flags().BoolVar(&test, "test", false, "hold the conversation tests, too")
	return cmd
}

// watchPaths checks now and after every change until ctx ends.
func watchPaths(ctx context.Context, out io.Writer, paths []string, test bool) error {
	watched, err := watchedFiles(paths)
	if err != nil {
		return err
	}
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	var last string
	for first := true; ; first = false {
		stamp, err := store.Stamp(watched...)
		if err != nil {
			return err
		}
		if first || stamp != last {
			last = stamp
			if isTerminal(out) {
				io.WriteString(out, "\x1b[H\x1b[2J\x1b[3J") // a terminal that is gone ends us by signal
			}
			err := checkPaths(out, paths, "text", nil)
			if err == nil && test {
				err = testFlows(ctx, out, storesOf(paths), testOptions{})
			}
			var told quietError
			if err != nil && !errors.As(err, &told) {
				fmt.Fprintln(out, err) // a file that is being renamed; the next look will see
			}
			fmt.Fprintf(out, "%s: waiting for changes; Ctrl-C ends\n", time.Now().Format(time.TimeOnly))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// storesOf are the stores' folders that paths are in.
func storesOf(paths []string) []string {
	var dirs []string
	for _, path := range paths {
		dir := storeFolder(path)
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			dir = testedStore(path)
		}
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// watchedFiles are the paths and what the flows in them are made of. The
// knowledge is not among it: it is large, and no check reads it.
func watchedFiles(paths []string) ([]string, error) {
	var watched []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("watch: %w", err)
		}
		dir := storeFolder(path)
		if info.IsDir() {
			dir = storeFolder(filepath.Join(path, store.File))
		}
		for _, name := range []string{store.File, "flows", "prompts", "tests", store.ActionsDir, flow.PublishedDir} {
			watched = append(watched, filepath.Join(dir, name))
		}
		if !info.IsDir() || dir != path {
			watched = append(watched, path)
		}
	}
	slices.Sort(watched)
	return slices.Compact(watched), nil
}
