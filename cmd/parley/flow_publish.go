package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/praesenz/parley/flow"
)

func flowPublishCommand() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "publish FLOW...",
		Short: "Keep a version of a flow for good, so that other flows can run it",
		Long: `Publish compiles flow files and writes each plan to published/NAME@VERSION.json
in the store's folder. Other flows run it from there, with ` + "`run_flow`" + ` and
` + "`digress`" + `, by its version.

A published version never changes: when the flow is not what was published under
its version, publish refuses; raise ` + "`version`" + ` in the flow. Commit the published
files with the flows.

It exits with 1 when a flow has mistakes or its version is taken.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			for _, file := range files {
				if err := publishFlow(cmd.OutOrStdout(), file, check); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "only say whether it can be published")
	return cmd
}

func publishFlow(out io.Writer, file string, checkOnly bool) error {
	plan, src, err := compileFlow(file, out)
	if err != nil {
		return err
	}
	dir := storeFolder(file)
	name := filepath.Join(dir, filepath.FromSlash(flow.PublishedPath(plan.Flow, plan.Version)))
	ds := flow.CheckUnchanged(src, plan)
	if _, err := io.WriteString(out, flow.Render(ds, src.FS, flow.RenderOptions{Dir: dir, Colour: isTerminal(out)})); err != nil {
		return err
	}
	if len(ds.Errors()) > 0 {
		return quietError{errors.New("the version is taken")}
	}
	did := "can be published"
	if _, err := os.Stat(name); err == nil {
		did = "is published already"
	} else if !checkOnly {
		if err := writeOnce(name, plan); err != nil {
			return fmt.Errorf("publish %s: %w", file, err)
		}
		did = "is published"
	}
	_, err = fmt.Fprintf(out, "%s %s %s: %s\n", plan.Flow, plan.Version, did, name)
	return err
}

// writeOnce writes a plan to a file that must not be there. The file appears
// whole or not at all, because others compile against it meanwhile.
func writeOnce(name string, plan *flow.Plan) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(plan); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	draft, err := os.CreateTemp(filepath.Dir(name), ".publish-*")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(text.Bytes())
	if err := errors.Join(err, draft.Chmod(0o644), draft.Close()); err != nil {
		return err
	}
	if err := os.Link(draft.Name(), name); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s has been published meanwhile", name)
	} else if err != nil {
		return err
	}
	return nil
}
