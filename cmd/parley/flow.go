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

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/store"
)

// flowCommand is the tools for those who write flows.
func flowCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "flow", Short: "Tools for those who write flows"}
	cmd.AddCommand(flowNewCommand(), flowCheckCommand(), flowTestCommand(), flowChatCommand(), flowGraphCommand(),
		flowPublishCommand(), flowSchemaCommand(), flowWatchCommand())
	return cmd
}

// A flowFolder is a store's folder as its flows see it.
type flowFolder struct {
	dir         string
	fsys        fs.FS
	collections []string        // nil: not known, as there is no store.yaml
	actions     *flow.Catalogue // nil: not known, or with mistakes
	mistakes    flow.Diagnostics
}

// openFlowFolder reads what a store's folder has for its flows. It is lenient
// with store.yaml: what is wrong there is no mistake of a flow.
func openFlowFolder(dir string) (*flowFolder, error) {
	f := &flowFolder{dir: dir, fsys: os.DirFS(dir)}
	var s struct {
		Collections map[string]any `yaml:"collections"`
		Actions     string         `yaml:"actions"`
	}
	path := filepath.Join(dir, store.File)
	text, err := os.ReadFile(path)
	known := err == nil
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("read the store: %w", err)
	default:
		if err := yaml.Unmarshal(text, &s); err != nil {
			return nil, fmt.Errorf("read the store: %s: %w", path, err)
		}
		f.collections = slices.Sorted(maps.Keys(s.Collections))
	}
	if !filepath.IsLocal(s.Actions) {
		s.Actions = "" // a check of store.yaml says so
	}
	f.actions, f.mistakes = store.ReadCatalogue(dir, s.Actions)
	if _, err := os.Stat(filepath.Join(dir, store.ActionsDir)); err != nil && !known {
		f.actions = nil // a flow by itself may belong to any store
	}
	return f, nil
}

// source is a flow file in the folder.
func (f *flowFolder) source(file string) (flow.Source, error) {
	name, err := filepath.Rel(f.dir, file)
	if err != nil {
		return flow.Source{}, fmt.Errorf("read %s: %w", file, err)
	}
	return flow.Source{FS: f.fsys, Path: filepath.ToSlash(name), Collections: f.collections, Actions: f.actions}, nil
}

// compileFlow compiles a flow file. What is wrong with it is written to
// complaints, as `flow check` would.
func compileFlow(file string, complaints io.Writer) (*flow.Plan, flow.Source, error) {
	folder, err := openFlowFolder(storeFolder(file))
	if err != nil {
		return nil, flow.Source{}, err
	}
	src, err := folder.source(file)
	if err != nil {
		return nil, src, err
	}
	plan, err := flow.Compile(src)
	var invalid *flow.InvalidError
	ds := folder.mistakes
	if errors.As(err, &invalid) {
		ds = slices.Concat(ds, invalid.Diagnostics)
	}
	if len(ds.Errors()) > 0 {
		if _, err := io.WriteString(complaints, flow.Render(ds.Errors(), src.FS, flow.RenderOptions{Dir: folder.dir, Colour: isTerminal(complaints)})); err != nil {
			return nil, src, err
		}
		return nil, src, quietError{errors.New("the flow has mistakes")}
	}
	return plan, src, err
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
	if base := filepath.Base(dir); base == "flows" || base == flow.PublishedDir {
		return filepath.Dir(dir)
	}
	return dir
}

// isTerminal reports whether out is a terminal that wants colours
// (https://no-color.org).
func isTerminal(out io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && atTerminal(out)
}

// atTerminal reports whether a person is at a stream's other end. Not every device
// is a terminal: /dev/null is none.
func atTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
