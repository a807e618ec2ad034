package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/praesenz/parley/store"
)

// storeCommand is the tools for those who run stores.
func storeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "store", Short: "Tools for those who run stores"}
	cmd.AddCommand(storeNewCommand(), storePackCommand())
	return cmd
}

func storePackCommand() *cobra.Command {
	var out string
	var check bool
	cmd := &cobra.Command{
		Use:   "pack DIR",
		Short: "Write a store's folder as values of the Helm chart",
		Long: `Pack writes what kiosks need of a store's folder as values of the Helm chart:
store.yaml, flows, prompts, published flows, actions, pictures and knowledge,
without tests, READMEs and hidden files. The chart makes ConfigMaps of them.

The folder is checked first, as parley flow check does, and one with mistakes is
not packed. The same folder gives the same file.

With --check nothing is written: it exits with 1 when --out is not what the folder
would give, and says which files differ.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if check {
				return checkPack(cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0], out)
			}
			text, err := packStore(cmd.ErrOrStderr(), args[0])
			if err != nil {
				return err
			}
			if out == "" {
				_, err = cmd.OutOrStdout().Write(text)
				return err
			}
			if err := replaceFile(out, text); err != nil {
				return fmt.Errorf("write the packed store: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "write it to this file, such as helm/values-store.yaml (default: standard output)")
	cmd.Flags().BoolVar(&check, "check", false, "only say whether --out is up to date")
	return cmd
}

// packStore packs a store's folder that has no mistakes. What is wrong with it is
// written to complaints.
func packStore(complaints io.Writer, dir string) ([]byte, error) {
	p, err := readPack(complaints, dir)
	if err != nil {
		return nil, err
	}
	return p.YAML()
}

func readPack(complaints io.Writer, dir string) (*store.Pack, error) {
	if _, err := os.Stat(filepath.Join(dir, store.File)); err != nil {
		return nil, fmt.Errorf("%s is no store's folder, for it has no %s: %w", dir, store.File, err)
	}
	if err := refuseMistakes(complaints, dir); err != nil {
		return nil, err
	}
	return store.ReadPack(dir)
}

// refuseMistakes checks a folder as flow check does. It is silent when there is
// nothing wrong.
func refuseMistakes(complaints io.Writer, dir string) error {
	var said strings.Builder
	err := checkPaths(&said, []string{dir}, "text", nil)
	if err == nil {
		return nil
	}
	if _, failed := io.WriteString(complaints, said.String()); failed != nil {
		return failed
	}
	return err
}

// checkPack says in which files a values file is not a store's folder, packed.
func checkPack(out, complaints io.Writer, dir, file string) error {
	if file == "" {
		return errors.New("--check: name the packed file with --out")
	}
	p, err := readPack(complaints, dir)
	if err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	defer f.Close()
	differences, err := p.Differs(f)
	if err != nil {
		return fmt.Errorf("--out: %s: %w", file, err)
	}
	if len(differences) == 0 {
		_, err := fmt.Fprintf(out, "%s is %s, packed\n", file, dir)
		return err
	}
	if _, err := fmt.Fprintf(out, "%s is out of date; run: parley store pack %s --out %s\n  %s\n", file, dir, file, strings.Join(differences, "\n  ")); err != nil {
		return err
	}
	return quietError{errors.New("the packed store is out of date")}
}

// replaceFile writes a file whole or not at all.
func replaceFile(name string, text []byte) error {
	draft, err := os.CreateTemp(filepath.Dir(name), ".parley-*")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(text)
	if err := errors.Join(err, draft.Chmod(0o644), draft.Close()); err != nil { //nolint:gosec // a store is for everyone
		return err
	}
	return os.Rename(draft.Name(), name)
}
