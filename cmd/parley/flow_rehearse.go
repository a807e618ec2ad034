package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/flowtest"
	"github.com/praesenz/parley/store"
)

// testOptions are the flags of flow test.
type testOptions struct {
	run         string
	verbose     bool
	minCoverage float64
	junit, json string
}

func flowTestCommand() *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use:   "test [PATH...]",
		Short: "Hold the conversations of test files, on virtual time and without a server",
		Long: `Test holds the conversations of test files with their flows: the real
interpreter on virtual time, without a server. A test that goes otherwise than
its author expects prints where, what came instead and the conversation around it.

A PATH is a store's folder, whose tests are in tests/, or a test file or folder in
it. Without one it is the store's folder around the current one.

It ends with the coverage of each flow that was tested: its steps, and the ways
out of them. It exits with 1 when a test fails or a test file has mistakes.`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			if len(paths) == 0 {
				paths = []string{"."}
			}
			return testFlows(cmd.Context(), cmd.OutOrStdout(), paths, o)
		},
	}
	cmd.Flags().StringVar(&o.run, "run", "", "only the tests whose name matches this regular expression")
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "print every conversation")
	cmd.Flags().Float64Var(&o.minCoverage, "min-coverage", 0, "fail when less of a flow's ways is covered, in percent")
	cmd.Flags().StringVar(&o.junit, "junit", "", "write the results to this file as JUnit XML")
	cmd.Flags().StringVar(&o.json, "json", "", "write the results and conversations to this file as JSON")
	return cmd
}

func testFlows(ctx context.Context, out io.Writer, paths []string, o testOptions) error {
	only, err := regexp.Compile(o.run)
	if err != nil {
		return fmt.Errorf("--run: %w", err)
	}
	if o.minCoverage < 0 || o.minCoverage > 100 {
		return fmt.Errorf("--min-coverage: %v must be from 0 to 100", o.minCoverage)
	}
	stores, err := testFiles(paths)
	if err != nil {
		return err
	}
	var all flowtest.Report
	mistakes, matched := 0, 0
	for _, s := range stores {
		folder, err := openFlowFolder(s.dir)
		if err != nil {
			return err
		}
		tests, plans, ds := flowtest.Open(folder.fsys, s.files, folder.compile)
		if _, err := io.WriteString(out, flow.Render(ds, folder.fsys, flow.RenderOptions{Dir: s.dir, Colour: isTerminal(out)})); err != nil {
			return err
		}
		mistakes += len(ds.Errors())
		tests = slices.DeleteFunc(tests, func(t *flowtest.Test) bool { return !only.MatchString(t.Name) })
		if matched += len(tests); len(tests) == 0 {
			continue
		}
		report := flowtest.Rehearse(ctx, tests, plans)
		if err := report.Text(out, flowtest.TextOptions{Dir: s.dir, Colour: isTerminal(out), Verbose: o.verbose}); err != nil {
			return err
		}
		all.Results = append(all.Results, report.Results...)
		all.Coverage = append(all.Coverage, report.Coverage...)
		all.Took += report.Took
	}
	if err := writeReports(all, o); err != nil {
		return err
	}
	switch {
	case mistakes > 0:
		return quietError{errors.New("test files have mistakes")}
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case matched == 0 && o.run != "":
		return fmt.Errorf("--run: no test's name matches %q", o.run)
	case all.Failed() > 0:
		return quietError{errors.New("tests failed")}
	}
	for _, c := range all.Coverage {
		if c.Ways.Percent() < o.minCoverage {
			return fmt.Errorf("flow %s: %.0f %% of its ways are covered; --min-coverage wants %v %%", c.Flow, c.Ways.Percent(), o.minCoverage)
		}
	}
	return nil
}

func writeReports(r flowtest.Report, o testOptions) error {
	for _, w := range []struct {
		file  string
		write func() ([]byte, error)
	}{{o.junit, r.JUnit}, {o.json, r.JSON}} {
		if w.file == "" {
			continue
		}
		text, err := w.write()
		if err != nil {
			return fmt.Errorf("write %s: %w", w.file, err)
		}
		if err := os.WriteFile(w.file, text, 0o644); err != nil { //nolint:gosec // a report is for everyone
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return nil
}

// storeTests are the test files of one store, relative to its folder.
type storeTests struct {
	dir   string
	files []string
}

// testFiles finds the test files that paths name, by store.
func testFiles(paths []string) ([]storeTests, error) {
	var stores []storeTests
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("look for tests: %w", err)
		}
		root := path
		dir := testedStore(path)
		if info.IsDir() && filepath.Clean(dir) == filepath.Clean(path) {
			root = filepath.Join(path, "tests")
		}
		var files []string
		err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if ext := filepath.Ext(file); !d.IsDir() && (file == path || ext == ".yaml" || ext == ".yml") {
				rel, err := filepath.Rel(dir, file)
				if err != nil {
					return err
				}
				files = append(files, filepath.ToSlash(rel))
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("look for tests: %w", err)
		}
		if i := slices.IndexFunc(stores, func(s storeTests) bool { return s.dir == dir }); i >= 0 {
			stores[i].files = append(stores[i].files, files...)
		} else if len(files) > 0 {
			stores = append(stores, storeTests{dir, files})
		}
	}
	if len(stores) == 0 {
		return nil, fmt.Errorf("there are no tests in %s: a store's tests are in tests/<flow>/*.yaml", strings.Join(paths, ", "))
	}
	return stores, nil
}

// testedStore is the store's folder of a test file or a folder: the nearest one
// above with a store.yaml, else the one that holds tests/.
func testedStore(path string) string {
	dir := storeFolder(filepath.Join(path, "any"))
	if _, err := os.Stat(filepath.Join(dir, store.File)); err == nil {
		return dir
	}
	for up := path; filepath.Dir(up) != up; up = filepath.Dir(up) {
		if filepath.Base(up) == "tests" {
			return filepath.Dir(up)
		}
	}
	return dir
}

// compile compiles the flow of that name.
func (f *flowFolder) compile(name string) (*flow.Plan, error) {
	src, err := f.source(filepath.Join(f.dir, "flows", name+".yaml"))
	if err != nil {
		return nil, err
	}
	return flow.Compile(src)
}
