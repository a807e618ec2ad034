package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/store"
)

// flowCommand is the tools for those who write flows.
func flowCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "flow", Short: "Tools for those who write flows"}
	cmd.AddCommand(flowCheckCommand())
	return cmd
}

func flowCheckCommand() *cobra.Command {
	var format string
	var collections []string
	cmd := &cobra.Command{
		Use:   "check PATH...",
		Short: "Say everything that is wrong with flows, and where",
		Long: `Check says everything that is wrong with flows, each with file:line:column,
a code that docs/flow-diagnostics.md explains, and what to write instead.

A PATH is a flow file or a folder, in which every flow is checked. Prompts are
looked for in the store's folder: the nearest one above with a store.yaml, or
else the one that holds flows/. The knowledge collections are those of its
store.yaml, unless --collections names them.

It exits with 1 when there are mistakes; warnings alone are none.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error {
			if format != "text" && format != "json" {
				return fmt.Errorf("--format: %q must be text or json", format)
			}
			if !cmd.Flags().Changed("collections") {
				collections = nil
			}
			return checkFlows(cmd.OutOrStdout(), paths, format, collections)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "how to say it: text or json")
	cmd.Flags().StringSliceVar(&collections, "collections", nil, "the knowledge collections there are (default: those of store.yaml)")
	return cmd
}

// checkFlows checks all flows and then fails when there was a mistake.
func checkFlows(out io.Writer, paths []string, format string, collections []string) error {
	files, err := flowFiles(paths)
	if err != nil {
		return err
	}
	var all flow.Diagnostics
	for _, file := range files {
		dir := storeFolder(file)
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return fmt.Errorf("check %s: %w", file, err)
		}
		src := flow.Source{FS: os.DirFS(dir), Path: filepath.ToSlash(name), Collections: collections}
		if collections == nil {
			if src.Collections, err = collectionsOf(dir); err != nil {
				return err
			}
		}
		ds := flow.Check(src)
		if format == "text" {
			if _, err := io.WriteString(out, flow.Render(ds, src.FS, flow.RenderOptions{Dir: dir, Colour: isTerminal(out)})); err != nil {
				return err
			}
		}
		for _, d := range ds {
			d.Pos.File = filepath.Join(dir, d.Pos.File)
			if d.End != nil {
				end := *d.End
				end.File = d.Pos.File
				d.End = &end
			}
			all = append(all, d)
		}
	}
	mistakes := len(all.Errors())
	if format == "json" {
		text, err := all.JSON()
		if err != nil {
			return fmt.Errorf("write diagnostics: %w", err)
		}
		if _, err := fmt.Fprintln(out, string(text)); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintln(out, summary(len(files), mistakes, len(all)-mistakes)); err != nil {
		return err
	}
	if mistakes > 0 {
		return quietError{errors.New("flows have mistakes")}
	}
	return nil
}

func summary(flows, mistakes, warnings int) string {
	count := func(n int, noun string) string {
		if n == 1 {
			return "1 " + noun
		}
		return fmt.Sprintf("%d %ss", n, noun)
	}
	return fmt.Sprintf("%s: %s, %s", count(flows, "flow"), count(mistakes, "mistake"), count(warnings, "warning"))
}

// flowFiles are the flow files that paths name: files as they are, and in
// folders every YAML file that says it is a flow.
func flowFiles(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		err := filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if !d.IsDir() && (file == path || isFlow(file)) {
				files = append(files, file)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("look for flows: %w", err)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no flow in %s: a flow is a .yaml file with `api: parley.flow/v1`", strings.Join(paths, ", "))
	}
	return files, nil
}

// isFlow reports whether a file has a line that begins with the language's name.
func isFlow(file string) bool {
	if ext := filepath.Ext(file); ext != ".yaml" && ext != ".yml" {
		return false
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return false // a folder may hold what is not ours to read
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "api: parley.flow/") {
			return true
		}
	}
	return false
}

// storeFolder is the folder to which a flow's paths are relative.
func storeFolder(file string) string {
	dir := filepath.Dir(file)
	for up := dir; ; up = filepath.Join(up, "..") {
		if _, err := os.Stat(filepath.Join(up, store.File)); err == nil {
			return up
		}
		if abs, err := filepath.Abs(up); err != nil || abs == filepath.Dir(abs) {
			break
		}
	}
	if filepath.Base(dir) == "flows" {
		return filepath.Dir(dir)
	}
	return dir
}

// collectionsOf names the collections of a store's folder; nil where there is no
// store.yaml. It reads nothing else of it: what is wrong there is no mistake of
// a flow.
func collectionsOf(dir string) ([]string, error) {
	path := filepath.Join(dir, store.File)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the store's collections: %w", err)
	}
	var s struct {
		Collections map[string]any `yaml:"collections"`
	}
	if err := yaml.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("read the store's collections: %s: %w", path, err)
	}
	return slices.Sorted(maps.Keys(s.Collections)), nil
}

// isTerminal reports whether out is a terminal that wants colours
// (https://no-color.org).
func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
