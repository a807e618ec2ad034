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
)

// environment lets every flag be set by a variable too: --stt-model is
// PARLEY_STT_MODEL. A flag on the command line wins.
func environment(cmd *cobra.Command) error {
	var faults []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := "PARLEY_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value, ok := os.LookupEnv(name); ok && !f.Changed {
			if err := cmd.Flags().Set(f.Name, value); err != nil {
				faults = append(faults, fmt.Errorf("%s=%q: %w", name, value, err))
			}
		}
	})
	return errors.Join(faults...)
}

// logFlags choose how the process logs.
type logFlags struct{ level, format string }

func (l *logFlags) bind(f *pflag.FlagSet, level, format string) {
	f.StringVar(&l.level, "log-level", level, "debug, info, warn or error; customers' words are never logged above debug")
	f.StringVar(&l.format, "log-format", format, "text or json")
}

// begin takes the environment into a command's flags and gives its logger.
func (l *logFlags) begin(cmd *cobra.Command) (*slog.Logger, error) {
	if err := environment(cmd); err != nil {
		return nil, err
	}
	return l.logger()
}

func (l logFlags) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.level)); err != nil {
		return nil, fmt.Errorf("--log-level: %q is none of debug, info, warn, error", l.level)
	}
	options := &slog.HandlerOptions{Level: level}
	switch l.format {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, options)), nil
	}
	return nil, fmt.Errorf("--log-format: %q is none of text, json", l.format)
}

// temporalFlags say where Temporal is.
type temporalFlags struct{ address, namespace string }

func (t *temporalFlags) bind(f *pflag.FlagSet, address, hint string) {
	f.StringVar(&t.address, "temporal", address, "Temporal's address, HOST:PORT"+hint)
	f.StringVar(&t.namespace, "namespace", "default", "Temporal namespace")
}

// modelFlags say which servers hear, think, search and speak.
type modelFlags struct {
	speech, speechKey, sttModel, ttsModel string
	llm, llmURL, llmKey, llmModel         string
	qdrant, qdrantKey, ollama, embedModel string
}

func (m *modelFlags) bind(f *pflag.FlagSet, speechHint string) {
	f.StringVar(&m.speech, "speech", "", "speech server with OpenAI's audio API, such as speaches: http://HOST:PORT"+speechHint)
	f.StringVar(&m.speechKey, "speech-key", "", "its bearer token")
	f.StringVar(&m.sttModel, "stt-model", "whisper-1", "model that transcribes")
	f.StringVar(&m.ttsModel, "tts-model", "tts-1", "model that speaks")
	f.StringVar(&m.llm, "llm", "auto", "auto (Ollama where one answers, else extractive), ollama, openai or extractive")
	f.StringVar(&m.llmURL, "llm-url", "", "server for --llm openai, without /v1: http://HOST:PORT")
	f.StringVar(&m.llmKey, "llm-key", "", "its bearer token")
	f.StringVar(&m.llmModel, "llm-model", "", "model that answers (default for Ollama: qwen2.5:14b)")
	m.bindIndex(f)
}

// bindIndex binds the flags of the search alone.
func (m *modelFlags) bindIndex(f *pflag.FlagSet) {
	f.StringVar(&m.ollama, "ollama", "http://localhost:11434", "Ollama, for answers and for embeddings")
	f.StringVar(&m.embedModel, "embed-model", "nomic-embed-text", "Ollama's embedding model; used when Ollama has it")
	f.StringVar(&m.qdrant, "qdrant", "", "Qdrant's gRPC address, HOST:6334 (default: an embedded index in --data)")
	f.StringVar(&m.qdrantKey, "qdrant-key", "", "its API key")
}

// actionFlags say where the services of the action catalogue are, and with which
// secrets.
type actionFlags struct {
	secrets string
	urls    map[string]string
}

func (a *actionFlags) bind(f *pflag.FlagSet) {
	f.StringVar(&a.secrets, "secrets", "", "folder with a file for each secret of the action catalogue (else PARLEY_SECRET_<NAME> in the environment)")
	f.StringToStringVar(&a.urls, "action-url", nil, "where a service of the action catalogue is, in place of its own url: SERVICE=URL; repeat it for several")
}

// doorFlags hold the tokens of the gateway's doors for staff and for events, or
// the files in which they are.
type doorFlags struct{ staff, events, staffFile, eventsFile string }

func (d *doorFlags) bind(f *pflag.FlagSet, without string) {
	f.StringVar(&d.staffFile, "staff-token-file", "", "file with the token of those who answer calls for staff, at /staff; else PARLEY_STAFF_TOKEN in the environment ("+without+")")
	f.StringVar(&d.eventsFile, "events-token-file", "", "file with the token of systems that tell conversations of events; else PARLEY_EVENTS_TOKEN in the environment ("+without+")")
}

// read gives both tokens, each empty where there is none.
func (d *doorFlags) read() error {
	var faults [2]error
	d.staff, faults[0] = token("--staff-token-file", d.staffFile, "PARLEY_STAFF_TOKEN")
	d.events, faults[1] = token("--events-token-file", d.eventsFile, "PARLEY_EVENTS_TOKEN")
	return errors.Join(faults[:]...)
}

// token reads a token from a file, or else from the environment.
func token(option, file, variable string) (string, error) {
	if file == "" {
		return os.Getenv(variable), nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", option, err)
	}
	t := strings.TrimSpace(string(b))
	if t == "" {
		return "", fmt.Errorf("%s: %s is empty; write the token into it", option, file)
	}
	return t, nil
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
	b, err := hex.DecodeString(s)
	if err != nil || len(b) < 32 {
		return nil, fmt.Errorf("%s: a key must be at least 64 hexadecimal digits; make one with `openssl rand -hex 32`", from)
	}
	return b, nil
}
