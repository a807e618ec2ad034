package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/praesenz/parley/config"
)

// configCommand shows and checks settings.
func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show and check settings",
	}
	cmd.AddCommand(configPrintCommand(), configCheckCommand(), configSchemaCommand())
	return cmd
}

func configPrintCommand() *cobra.Command {
	var reads, format string
	var names []string
	for _, c := range config.Commands {
		names = append(names, string(c))
	}
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Show every setting, what it is and where that was written",
		Long: `Print shows every setting, what it is and where that was written: "default", "file
parley.yaml:7", "PARLEY_LLM" or "--llm". It takes the file, the environment and the
flags as the commands that serve do, and then fails as they would. With --for it
shows what one command reads, with its own defaults, and says what that command
lacks. Secrets are only said to be set or not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("for") && !slices.Contains(names, reads) {
				return fmt.Errorf("--for: %q is none of %s", reads, strings.Join(names, ", "))
			}
			c, faults := settings(cmd, config.Command(reads))
			// Whoever looks for a fault wants to see what there is, too.
			if err := c.Print(cmd.OutOrStdout(), config.Command(reads), format); err != nil {
				return fmt.Errorf("--format: %w", err)
			}
			return faults
		},
	}
	config.Bind(config.Any, cmd.Flags())
	cmd.Flags().StringVar(&reads, "for", "", "a command: "+strings.Join(names, ", "))
	cmd.Flags().StringVar(&format, "format", "table", strings.Join(config.Formats, ", "))
	return cmd
}

func configCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE…",
		Short: "Check files of settings by themselves",
		Long: `Check reads files of settings, without the environment, and lists every fault of
each. It opens none of the files that they name. What a command lacks beside its
file, parley config print --for COMMAND says.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			var failed error
			for _, file := range files {
				if err := config.CheckFile(file); err != nil {
					fmt.Fprintln(cmd.ErrOrStderr(), err)
					failed = quietError{err}
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: no faults\n", file)
			}
			return failed
		},
	}
}

func configSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the file of settings",
		Long: `Schema prints the JSON Schema (draft-07) by which editors complete and explain a
file of settings. Editors with yaml-language-server find it by a file's first line:

    # yaml-language-server: $schema=config.v1.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			schema, err := config.SchemaJSON()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(schema)
			return err
		},
	}
}
