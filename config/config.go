// Package config holds every setting of the binary: one name, one place where it
// is described, and three ways to write it.
//
// The setting stt_model is stt_model in the file, PARLEY_STT_MODEL in the
// environment and --stt-model on the command line; each of them wins over those
// before it. A secret has no flag and is not taken from the file: llm_key is
// PARLEY_LLM_KEY, or the content of the file that the setting llm_key_file names.
package config

import (
	"cmp"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/praesenz/parley/activities"
)

// A Command is one of the binary's commands that read settings.
type Command string

// The commands that read settings. Any is none of them: it has every setting, for
// tools that work on the settings themselves, and it requires nothing.
const (
	Any             Command = ""
	Dev             Command = "dev"
	Gateway         Command = "gateway"
	Worker          Command = "worker"
	Speech          Command = "speech"
	Codec           Command = "codec"
	TemporalSetup   Command = "temporal setup"
	TemporalPromote Command = "temporal promote"
	KB              Command = "kb" // its tools: add, search, list, remove, rebuild
	KBSync          Command = "kb sync"
	Token           Command = "token"
	Handoff         Command = "handoff"
	FlowGraph       Command = "flow graph"
)

// Commands are the commands that read settings.
var Commands = []Command{Dev, Gateway, Worker, Speech, Codec, TemporalSetup, TemporalPromote, KB, KBSync, Token, Handoff, FlowGraph}

// A Secret is a text that is never printed, logged or marshalled: whoever needs
// it converts it to a string.
type Secret string

// String tells whether there is one.
func (s Secret) String() string {
	if s == "" {
		return "not set"
	}
	return "set"
}

// GoString keeps %#v from showing it.
func (s Secret) GoString() string { return s.String() }

// LogValue keeps it out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps it out of JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Config has one field for each setting, with the setting's name; table says what
// each means. A command reads the settings that are its own; the others have
// their defaults, or what the file and the environment say.
type Config struct {
	Store, Data         string
	LogLevel, LogFormat string
	ReadyFile           string

	Temporal, Namespace                            string // Temporal is HOST:PORT
	TemporalTLS                                    bool
	TemporalTLSCA, TemporalTLSCert, TemporalTLSKey string // PEM files
	TemporalServerName                             string
	TemporalAPIKey, PayloadKeys                    Secret
	TemporalPort, UIPort                           int

	Listen, Media, AdvertiseMedia, MetricsListen, SpeechListen string   // HOST:PORT
	Origins                                                    []string // like https://kiosk.example
	MaxSessions                                                int
	SessionGrace, Drain                                        time.Duration
	KioskKey                                                   Secret // at least 64 hexadecimal digits
	MediaToken, StaffToken, EventsToken                        Secret

	Pools               []string       // of activities.Pools; none: all
	Slots               map[string]int // by pool
	Deployment, BuildID string
	StopTimeout         time.Duration

	Speech, STTModel, TTSModel string
	TurnURL                    string
	SpeechKey                  Secret
	LLM, LLMURL, LLMModel      string
	LLMKey                     Secret
	Ollama, Embed, EmbedModel  string
	Qdrant                     string
	QdrantKey                  Secret

	Secrets   string
	ActionURL map[string]string // by service

	Corpus      []string
	SpeechToken Secret

	CodecToken      Secret
	CodecTrustProxy bool

	Index       string
	KBSyncEvery time.Duration
	Gateway     string

	settings []Setting         // each with its place in this Config; a secret's file follows it
	written  map[string]origin // by key
}

// A Setting describes one setting.
type Setting struct {
	Key     string // such as "stt_model"
	Help    string // what it is, with its unit
	Default string // as it is written in the environment
	// Defaults are those of commands that have one of their own.
	Defaults map[Command]string
	By       []Command // the commands that read it
	Secret   bool      // never printed; only in the environment or in a file of its own
	FileOf   string    // it names the file with the content of this secret; else empty

	oneOf    []string // the only values; of a list its items, of a map its keys
	min, max int64    // of a number or a duration (nanoseconds); both 0: any
	form     form     // of a text, or of each text of a list or a map
	also     string   // a variable of the environment that others set; the weakest after the default
	none     bool     // an empty text is one too, and means none, though there is a default
	into     any      // where in the Config it goes
}

// DefaultFor is what a command uses where nothing is written.
func (s Setting) DefaultFor(c Command) string {
	if d, ok := s.Defaults[c]; ok {
		return d
	}
	return s.Default
}

// Variable is the setting's name in the environment.
func (s Setting) Variable() string { return prefix + strings.ToUpper(s.Key) }

// Flag is the setting's name on the command line, without dashes in front; a
// secret has none.
func (s Setting) Flag() string {
	if s.Secret {
		return ""
	}
	return strings.ReplaceAll(s.Key, "_", "-")
}

// ReadBy tells whether a command reads the setting.
func (s Setting) ReadBy(c Command) bool { return c == Any || slices.Contains(s.By, c) }

// Settings lists all settings in the order in which they are documented.
func Settings() []Setting { return empty().settings }

// empty is a Config in which nothing is written.
func empty() *Config {
	c := &Config{written: map[string]origin{}}
	c.settings = c.table()
	return c
}

// Who reads what, where several settings are read by the same commands.
var (
	serves   = []Command{Dev, Gateway, Worker, Speech, Codec, TemporalSetup, TemporalPromote, KBSync}
	dials    = []Command{Dev, Gateway, Worker, TemporalSetup, TemporalPromote, FlowGraph}
	models   = []Command{Dev, Gateway, Worker}
	searches = []Command{Dev, Gateway, Worker, KB, KBSync}
	indexes  = []Command{Dev, Worker, KB, KBSync}
)

// table is where every setting is described.
func (c *Config) table() []Setting {
	var pools []string
	for _, p := range activities.Pools {
		pools = append(pools, string(p))
	}
	rows := []Setting{
		{Key: "store", into: &c.Store, Default: "examples/hardware-store", By: []Command{Dev, Gateway, Worker, KB, KBSync, Token},
			Help: "folder of the store, with its store.yaml"},
		{Key: "data", into: &c.Data, Default: ".parley", By: []Command{Dev, Worker, KB, KBSync, Token, Handoff},
			Help: "folder for what lasts from run to run: the embedded index, and what dev makes for itself"},
		{Key: "log_level", into: &c.LogLevel, Default: "info", Defaults: map[Command]string{Dev: "warn"}, By: serves, oneOf: []string{"debug", "info", "warn", "error"},
			Help: "debug, info, warn or error; customers' words are never logged above debug"},
		{Key: "log_format", into: &c.LogFormat, Default: "json", Defaults: map[Command]string{Dev: "text", Speech: "text"}, By: serves, oneOf: []string{"text", "json"},
			Help: "text or json"},
		{Key: "ready_file", into: &c.ReadyFile, By: []Command{Dev},
			Help: "write the addresses there, as JSON, when everything answers"},

		{Key: "temporal", into: &c.Temporal, Default: "127.0.0.1:7233", Defaults: map[Command]string{Dev: ""}, By: dials, form: remote,
			Help: "Temporal's address, HOST:PORT (dev's default: a development server of its own)"},
		{Key: "namespace", into: &c.Namespace, Default: "default", By: dials, form: name,
			Help: "Temporal namespace"},
		{Key: "temporal_tls", into: &c.TemporalTLS, Default: "false", By: dials,
			Help: "connect to Temporal by TLS"},
		{Key: "temporal_tls_ca", into: &c.TemporalTLSCA, By: dials,
			Help: "PEM file with the authorities that may have signed Temporal's certificate (default: the system's)"},
		{Key: "temporal_tls_cert", into: &c.TemporalTLSCert, By: dials,
			Help: "PEM file with the certificate to present to Temporal"},
		{Key: "temporal_tls_key", into: &c.TemporalTLSKey, By: dials,
			Help: "PEM file with that certificate's key"},
		{Key: "temporal_server_name", into: &c.TemporalServerName, By: dials,
			Help: "name in Temporal's certificate, where it is not the host of its address"},
		{Key: "temporal_api_key", into: &c.TemporalAPIKey, By: dials,
			Help: "API key of the Temporal server"},
		{Key: "payload_keys", into: &c.PayloadKeys, By: append(slices.Clone(dials), Codec),
			Help: "keys by which what Temporal keeps is sealed, ID:64 hexadecimal digits each; the first seals, all open (default: it is not sealed)"},
		{Key: "temporal_port", into: &c.TemporalPort, Default: "7233", By: []Command{Dev}, min: 1, max: 65535,
			Help: "port of the Temporal development server"},
		{Key: "ui_port", into: &c.UIPort, Default: "8233", By: []Command{Dev}, min: 1, max: 65535,
			Help: "port of the Temporal UI"},

		{Key: "listen", into: &c.Listen, Default: ":8080", By: []Command{Dev, Gateway, Worker, Speech, Codec, KBSync}, form: local,
			Defaults: map[Command]string{Dev: "127.0.0.1:8080", Worker: ":9100", KBSync: ":9100", Speech: "127.0.0.1:8100", Codec: "127.0.0.1:8120"},
			Help:     "address to listen on, HOST:PORT: the kiosk page and its WebSocket, a worker's /metrics and /health, the server"},
		{Key: "media", into: &c.Media, Default: ":8090", Defaults: map[Command]string{Dev: "127.0.0.1:8090"}, By: []Command{Dev, Gateway}, form: local,
			Help: "address of the media plane, for workers, HOST:PORT"},
		{Key: "advertise_media", into: &c.AdvertiseMedia, By: []Command{Gateway}, form: remote,
			Help: "HOST:PORT under which workers reach the media plane (default: the address it listens on)"},
		{Key: "metrics_listen", into: &c.MetricsListen, By: []Command{Gateway}, form: local,
			Help: "address of /metrics, where it is not to be beside the page (default: beside the page)"},
		{Key: "origins", into: &c.Origins, By: []Command{Dev, Gateway, Codec}, form: webOrigin,
			Help: "further web origins that may connect, such as https://kiosk.example"},
		{Key: "max_sessions", into: &c.MaxSessions, Default: "5000", By: []Command{Dev, Gateway}, min: 1, max: 100_000,
			Help: "kiosks that may be connected at once"},
		{Key: "session_grace", into: &c.SessionGrace, Default: "30s", By: []Command{Dev, Gateway}, min: int64(time.Second), max: int64(10 * time.Minute),
			Help: "how long a session outlives its connection"},
		{Key: "drain", into: &c.Drain, Default: "30s", Defaults: map[Command]string{Worker: "15m"}, By: []Command{Gateway, Worker}, min: int64(time.Second), max: int64(24 * time.Hour),
			Help: "how long a gateway that is told to end waits for its kiosks (at most 30s), and a versioned worker for its conversations"},
		{Key: "kiosk_key", into: &c.KioskKey, By: []Command{Gateway, Token}, form: hexKeys,
			Help: "key from which kiosks' tokens are made, 64 hexadecimal digits or more; of several, by commas or a line each, the first makes them and all open them"},
		{Key: "media_token", into: &c.MediaToken, By: []Command{Gateway, Worker}, form: token,
			Help: "token that workers present to gateways"},
		{Key: "staff_token", into: &c.StaffToken, By: []Command{Dev, Gateway, Handoff}, form: token,
			Help: "token of those who answer calls for staff, at /staff; without it that door is not there (dev makes one)"},
		{Key: "events_token", into: &c.EventsToken, By: []Command{Dev, Gateway}, form: token,
			Help: "token of systems that tell conversations of events; without it that door is not there (dev makes one)"},

		{Key: "pools", into: &c.Pools, By: []Command{Worker}, oneOf: pools,
			Help: "pools to serve: " + strings.Join(pools, ", ") + " (default: all)"},
		{Key: "slots", into: &c.Slots, By: []Command{Worker}, oneOf: pools, min: 1, max: 10_000,
			Help: "requests at once, by pool: llm=4,tts=8"},
		{Key: "deployment", into: &c.Deployment, By: []Command{Worker, TemporalPromote}, form: deployment, also: "TEMPORAL_DEPLOYMENT_NAME",
			Help: "name of the worker deployment whose version conversations stay with (default: not versioned)"},
		{Key: "build_id", into: &c.BuildID, By: []Command{Worker, TemporalPromote}, form: buildID, also: "TEMPORAL_WORKER_BUILD_ID",
			Help: "version within the deployment, such as the image's tag"},
		{Key: "stop_timeout", into: &c.StopTimeout, Default: "10s", By: []Command{Worker}, min: int64(time.Second), max: int64(10 * time.Minute),
			Help: "how long a worker that ends waits for the activities in progress"},

		{Key: "speech", into: &c.Speech, By: models, form: httpURL,
			Help: "speech server with OpenAI's audio API, such as speaches: http://HOST:PORT (dev's default: an embedded one)"},
		{Key: "speech_key", into: &c.SpeechKey, By: models,
			Help: "its bearer token"},
		{Key: "stt_model", into: &c.STTModel, Default: "whisper-1", By: models,
			Help: "model that transcribes"},
		{Key: "turn_url", into: &c.TurnURL, By: []Command{Dev, Worker}, form: httpURL,
			Help: "server of Smart Turn, which hears whether a customer who pauses has said all: http://HOST:PORT/raw (default: none)"},
		{Key: "tts_model", into: &c.TTSModel, Default: "tts-1", By: models,
			Help: "model that speaks"},
		{Key: "llm", into: &c.LLM, Default: "auto", By: models, oneOf: []string{"auto", "ollama", "openai", "extractive"},
			Help: "auto (Ollama where one answers, else extractive), ollama, openai or extractive"},
		{Key: "llm_url", into: &c.LLMURL, By: models, form: httpURL,
			Help: "server for the language model openai, without /v1: http://HOST:PORT"},
		{Key: "llm_key", into: &c.LLMKey, By: models,
			Help: "its bearer token"},
		{Key: "llm_model", into: &c.LLMModel, By: models,
			Help: "model that answers (default for Ollama: qwen2.5:14b)"},
		{Key: "ollama", into: &c.Ollama, Default: "http://localhost:11434", none: true, By: searches, form: httpURL,
			Help: "Ollama, for answers and for embeddings; empty for none"},
		{Key: "embed", into: &c.Embed, Default: "auto", By: indexes, oneOf: []string{"auto", "ollama", "none"},
			Help: "auto (search by meaning where Ollama has the embedding model at the start), ollama (it will have it) or none (search by words alone)"},
		{Key: "embed_model", into: &c.EmbedModel, Default: "nomic-embed-text", By: indexes,
			Help: "Ollama's embedding model"},
		{Key: "qdrant", into: &c.Qdrant, By: searches, form: remote,
			Help: "Qdrant's gRPC address, HOST:6334 (default: an embedded index in the data folder)"},
		{Key: "qdrant_key", into: &c.QdrantKey, By: searches,
			Help: "its API key"},

		{Key: "secrets", into: &c.Secrets, By: []Command{Dev, Worker},
			Help: "folder with a file for each secret of the action catalogue (else PARLEY_SECRET_<NAME> in the environment)"},
		{Key: "action_url", into: &c.ActionURL, By: []Command{Dev, Worker}, form: httpURL,
			Help: "where services of the action catalogue are, in place of their own url: SERVICE=URL"},

		{Key: "speech_listen", into: &c.SpeechListen, Default: "127.0.0.1:8100", By: []Command{Dev}, form: local,
			Help: "address of the embedded speech server, HOST:PORT"},
		{Key: "corpus", into: &c.Corpus, By: []Command{Speech},
			Help: "files and folders whose words the speech server should expect"},
		{Key: "speech_token", into: &c.SpeechToken, By: []Command{Speech},
			Help: "token that the speech server's clients must present; needed where it does not listen on loopback"},

		{Key: "codec_token", into: &c.CodecToken, By: []Command{Codec}, form: token,
			Help: "token that the codec server's callers must present: the temporal command, or the proxy in front of it"},
		{Key: "codec_trust_proxy", into: &c.CodecTrustProxy, Default: "false", By: []Command{Codec},
			Help: "whatever reaches the codec server has been authenticated by a proxy; without this or codec_token it listens on loopback only"},

		{Key: "index", into: &c.Index, Default: "store", By: []Command{KB}, form: name,
			Help: "the collection that flows retrieve from"},
		{Key: "kb_sync_every", into: &c.KBSyncEvery, Default: "3s", By: []Command{Dev, KBSync}, min: int64(time.Second), max: int64(24 * time.Hour),
			Help: "how often the store's knowledge files are looked at"},
		{Key: "gateway", into: &c.Gateway, Default: "http://127.0.0.1:8080", By: []Command{Handoff}, form: httpURL,
			Help: "the gateway whose calls for staff are answered"},
	}
	var table []Setting
	for _, s := range rows {
		_, s.Secret = s.into.(*Secret)
		table = append(table, s)
		if s.Secret {
			table = append(table, Setting{
				Key: s.Key + "_file", into: new(string), By: s.By, FileOf: s.Key,
				Help: "file with the secret " + s.Key + "; else it is " + s.Variable() + " in the environment",
			})
		}
	}
	return table
}

// An origin is where a setting was written.
type origin struct {
	source string // for people: "default", "file parley.yaml:7", "PARLEY_LLM" or "--llm"
	where  string // what a message about it begins with; empty: it is a default
	layer  layer
}

// where is how a message names a setting: as it was written, or by its key.
func (c *Config) where(key string) string {
	return cmp.Or(c.written[key].where, key)
}
