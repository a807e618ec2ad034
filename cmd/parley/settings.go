package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/praesenz/parley/config"
	"github.com/praesenz/parley/flow"
)

// settings reads the settings of a command whose flags config.Bind made.
func settings(cmd *cobra.Command, reads config.Command) (*config.Config, error) {
	return config.Load(reads, cmd.Flags(), os.Environ())
}

// begin reads the settings of a command that serves, and gives its logger.
func begin(cmd *cobra.Command, reads config.Command) (*config.Config, *slog.Logger, error) {
	c, err := settings(cmd, reads)
	if err != nil {
		return nil, nil, err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return nil, nil, fmt.Errorf("log_level: %w", err)
	}
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "text" {
		return c, slog.New(slog.NewTextHandler(os.Stderr, options)), nil
	}
	return c, slog.New(slog.NewJSONHandler(os.Stderr, options)), nil
}

// unknownFlag says what was meant instead of a flag that a command does not have.
func unknownFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	name := unknown.GetSpecifiedName()
	for _, s := range config.Settings() {
		if s.Secret && strings.ReplaceAll(s.Key, "_", "-") == name {
			return fmt.Errorf("--%s: a secret has no flag, which others could read in the list of processes; put it into %s, or into a file that --%s-file names", name, s.Variable(), name)
		}
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	return fmt.Errorf("%w%s", err, flow.DidYouMean(name, known))
}

// secret reads a secret that lasts from run to run, making it the first time.
func secret(data, name string) ([]byte, error) {
	path := filepath.Join(data, name)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		b = make([]byte, 32)
		rand.Read(b)
		if err := os.MkdirAll(data, 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(hex.EncodeToString(b)+"\n"), 0o600); err != nil {
			return nil, err
		}
		return b, nil
	}
	if err != nil {
		return nil, err
	}
	return parseSecret(path, strings.TrimSpace(string(b)))
}

// parseSecret reads a key of at least 32 bytes in hexadecimal.
func parseSecret(from, s string) ([]byte, error) {
	keys, err := config.Keys(s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return keys[0], nil
}
