package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/praesenz/parley/schemas"
)

func flowSchemaCommand() *cobra.Command {
	var dir string
	names := slices.Sorted(maps.Keys(schemas.Sources()))
	cmd := &cobra.Command{
		Use:   "schema [" + strings.Join(names, "|") + "]",
		Short: "Print the JSON Schemas by which editors complete and explain",
		Long: `Schema prints the JSON Schema (draft-07) of one kind of file, by default that of
a flow, or writes all of them into a folder. Editors with yaml-language-server
find it by a file's first line:

    # yaml-language-server: $schema=../schemas/flow.v1.json`,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" {
				name := "flow"
				if len(args) > 0 {
					name = args[0]
				}
				_, err := cmd.OutOrStdout().Write(schemas.Sources()[name])
				return err
			}
			if len(args) > 0 {
				return fmt.Errorf("--write writes all schemas: leave out %q", args[0])
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("--write: %w", err)
			}
			for _, name := range names {
				file := filepath.Join(dir, schemas.File(name))
				if err := os.WriteFile(file, schemas.Sources()[name], 0o644); err != nil {
					return fmt.Errorf("--write: %w", err)
				}
				fmt.Fprintln(cmd.OutOrStdout(), file)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "write", "", "write all schemas into this folder")
	return cmd
}
