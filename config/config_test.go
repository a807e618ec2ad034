package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/praesenz/parley/config"
)

// load reads settings as a command does.
func load(t *testing.T, cmd config.Command, file string, environ, args []string) (*config.Config, []string) {
	t.Helper()
	flags := pflag.NewFlagSet(string(cmd), pflag.ContinueOnError)
	config.Bind(cmd, flags)
	if file != "" {
		t.Chdir(t.TempDir())
		if err := os.WriteFile("parley.yaml", []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append([]string{"--config", "parley.yaml"}, args...)
	}
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(cmd, flags, environ)
	return c, faults(t, err)
}

func faults(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var invalid *config.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("%v is no InvalidError", err)
	}
	var list []string
	for _, f := range invalid.Faults {
		list = append(list, f.Where+": "+f.Message)
	}
	return list
}

const speechURL = "PARLEY_SPEECH=http://speech:8000"

// What a gateway and a worker cannot do without.
var needed = []string{speechURL, "PARLEY_KIOSK_KEY=" + strings.Repeat("0f", 32), "PARLEY_MEDIA_TOKEN=0123456789abcdef"}

// Every field of the Config is one setting, and no key is there twice.
func TestTableIsComplete(t *testing.T) {
	fields := 0
	for _, f := range reflect.VisibleFields(reflect.TypeFor[config.Config]()) {
		if f.IsExported() {
			fields++
		}
	}
	seen := map[string]bool{}
	settings := 0
	for _, s := range config.Settings() {
		if seen[s.Key] || s.Help == "" || len(s.By) == 0 {
			t.Errorf("%q: there twice, or without help, or read by no command", s.Key)
		}
		seen[s.Key] = true
		if s.FileOf == "" {
			settings++
		}
	}
	if settings != fields {
		t.Errorf("%d settings for %d fields", settings, fields)
	}
}

// The defaults are what their own checks take, for each command.
func TestDefaults(t *testing.T) {
	for _, cmd := range append(slices.Clone(config.Commands), config.Any) {
		if _, faults := load(t, cmd, "", needed, nil); faults != nil {
			t.Errorf("%s: %s", cmd, strings.Join(faults, "\n"))
		}
	}
	c, _ := load(t, config.Worker, "", needed, nil)
	if c.Listen != ":9100" || c.Drain != 15*time.Minute || c.LogFormat != "json" || c.Temporal != "127.0.0.1:7233" {
		t.Errorf("a worker's defaults: %+v", c)
	}
	c, _ = load(t, config.Dev, "", nil, nil)
	if c.Listen != "127.0.0.1:8080" || c.Temporal != "" || c.LogLevel != "warn" || c.LogFormat != "text" {
		t.Errorf("dev's defaults: %+v", c)
	}
}

// Each layer wins over those before it, for every kind of value.
func TestOrder(t *testing.T) {
	const file = "stt_model: file\ntts_model: file\nllm_model: file\nslots: {llm: 1, tts: 2}\npools: [llm, tts]\nstop_timeout: 5s\ntemporal_tls: true\naction_url:\n  shop: http://shop:8080/api\n"
	environ := append(slices.Clone(needed), "PARLEY_TTS_MODEL=environment", "PARLEY_LLM_MODEL=environment", "PARLEY_SLOTS=llm=3", "PARLEY_ACTION_URL=a=http://a, b=http://b")
	c, faults := load(t, config.Worker, file, environ, []string{"--llm-model", "flag", "--slots", "llm=4", "--slots", "stt=5", "--drain=1m", "--drain=2m"})
	if faults != nil {
		t.Fatal(faults)
	}
	if got := []string{c.STTModel, c.TTSModel, c.LLMModel}; !slices.Equal(got, []string{"file", "environment", "flag"}) {
		t.Errorf("models: %v", got)
	}
	if want := map[string]int{"llm": 4, "stt": 5}; !reflect.DeepEqual(c.Slots, want) {
		t.Errorf("slots %v, want those of the flags alone, %v", c.Slots, want)
	}
	if want := map[string]string{"a": "http://a", "b": "http://b"}; !reflect.DeepEqual(c.ActionURL, want) {
		t.Errorf("action URLs %v, want %v", c.ActionURL, want)
	}
	if !c.TemporalTLS || c.StopTimeout != 5*time.Second || c.Drain != 2*time.Minute || !slices.Equal(c.Pools, []string{"llm", "tts"}) {
		t.Errorf("%+v", c)
	}
	sources := map[string]string{}
	for _, v := range c.Values(config.Worker) {
		sources[v.Key] = v.Source
	}
	for key, want := range map[string]string{
		"namespace": "default", "stt_model": "file parley.yaml:1", "action_url": "PARLEY_ACTION_URL", "slots": "--slots", "media_token": "PARLEY_MEDIA_TOKEN",
	} {
		if sources[key] != want {
			t.Errorf("%s is from %q, want %q", key, sources[key], want)
		}
	}
	if _, there := sources["kiosk_key"]; there {
		t.Error("a worker lists the gateways' kiosk_key as its own")
	}
}

// The variables of Temporal's Worker Controller are weaker than what is ours.
func TestWorkerController(t *testing.T) {
	environ := append(slices.Clone(needed), "TEMPORAL_DEPLOYMENT_NAME=store/parley", "TEMPORAL_WORKER_BUILD_ID=v2-7f")
	c, faults := load(t, config.Worker, "", environ, nil)
	if faults != nil || c.Deployment != "store/parley" || c.BuildID != "v2-7f" {
		t.Errorf("%q %q %v", c.Deployment, c.BuildID, faults)
	}
	c, faults = load(t, config.Worker, "build_id: mine\n", environ, nil)
	if faults != nil || c.Deployment != "store/parley" || c.BuildID != "mine" {
		t.Errorf("%q %q %v", c.Deployment, c.BuildID, faults)
	}
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	first, second, empty := write("first", "one\n"), write("second", "two\n"), write("empty", "\n")
	for name, tc := range map[string]struct {
		file    string
		environ []string
		args    []string
		want    string
		source  string
		fault   string
	}{
		"none":                             {want: "", source: "default"},
		"environment":                      {environ: []string{"PARLEY_LLM_KEY=env"}, want: "env", source: "PARLEY_LLM_KEY"},
		"empty, as compose passes it":      {environ: []string{"PARLEY_LLM_KEY="}, want: "", source: "default"},
		"file's file":                      {file: "llm_key_file: " + first, want: "one", source: "file parley.yaml:1"},
		"environment over the file's file": {file: "llm_key_file: " + first, environ: []string{"PARLEY_LLM_KEY=env"}, want: "env", source: "PARLEY_LLM_KEY"},
		"flag's file over environment":     {environ: []string{"PARLEY_LLM_KEY=env"}, args: []string{"--llm-key-file", second}, want: "two", source: "--llm-key-file"},
		"both":                             {environ: []string{"PARLEY_LLM_KEY=env", "PARLEY_LLM_KEY_FILE=" + first}, fault: "PARLEY_LLM_KEY: it is set, and so is PARLEY_LLM_KEY_FILE; keep one of them"},
		"an empty file":                    {args: []string{"--llm-key-file", empty}, fault: "--llm-key-file: " + empty + " is empty; write the secret into it"},
		"no file":                          {args: []string{"--llm-key-file", "/nowhere"}, fault: "--llm-key-file: open /nowhere: no such file or directory"},
		"another command's file":           {environ: []string{"PARLEY_KIOSK_KEY_FILE=/nowhere"}, want: "", source: "default"},
	} {
		t.Run(name, func(t *testing.T) {
			c, faults := load(t, config.Dev, tc.file, tc.environ, tc.args)
			if tc.fault != "" {
				if !slices.Equal(faults, []string{tc.fault}) {
					t.Errorf("%q, want %q", faults, tc.fault)
				}
				return
			}
			if faults != nil || string(c.LLMKey) != tc.want {
				t.Errorf("%q, %v; want %q", string(c.LLMKey), faults, tc.want)
			}
			for _, v := range c.Values(config.Dev) {
				if v.Key == "llm_key" && (v.Source != tc.source || v.Value != c.LLMKey.String()) {
					t.Errorf("listed as %q from %q, want %q from %q", v.Value, v.Source, c.LLMKey, tc.source)
				}
			}
		})
	}
}

func TestKeys(t *testing.T) {
	a, b := strings.Repeat("0a", 32), strings.Repeat("f1", 40)
	for text, want := range map[string]int{a: 1, a + "," + b: 2, a + "\n" + b + "\n": 2, "": 0, ",": 0, a + ",f1": 0, a[1:]: 0, a + ";" + b: 0} {
		keys, err := config.Keys(text)
		if len(keys) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d keys, %v, want %d", text, len(keys), err, want)
		}
	}
}
