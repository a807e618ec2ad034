package config_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/praesenz/parley/config"
	"github.com/praesenz/parley/schemas"
)

var update = flag.Bool("update", false, "rewrite the golden files, the schema and the table in docs/configuration.md")

// golden compares a text with a file.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not as it should be; go test ./config -update writes:\n%s", path, got)
	}
}

// bound makes the flags of a command.
func bound(t *testing.T, cmd config.Command, args ...string) *pflag.FlagSet {
	t.Helper()
	flags := pflag.NewFlagSet(string(cmd), pflag.ContinueOnError)
	config.Bind(cmd, flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags
}

// Every fault of the file, the environment, the flags and of what does not go
// together is told at once, where it was written.
func TestEveryFault(t *testing.T) {
	t.Chdir("testdata")
	environ := []string{
		"PARLEY_STT_MODLE=small", "PARLEY_SLOTS=llm=many,4", "PARLEY_MEDIA_TOKEN=short", "PARLEY_SECRET_SHOP=x", "PARLEY_TEST_OLLAMA=x",
		"PARLEY_KIOSK_PORT=tcp://10.0.0.1:8080", "PARLEY_KIOSK_SERVICE_HOST=10.0.0.1", "PARLEY_UI_PORT=tcp://10.0.0.1:8080", "PATH=/bin",
	}
	_, err := config.Load(config.Worker, bound(t, config.Worker, "--config", "faults.yaml", "--log-level", "loud", "--pools", "llm,llm,voice"), environ)
	golden(t, "faults.txt", []byte(strings.Join(faults(t, err), "\n")+"\n"))
}

// Files that are no file of settings say why.
func TestBrokenFiles(t *testing.T) {
	for name, tc := range map[string]struct{ file, want string }{
		"no YAML":       {"llm: [auto\nlog_level: info\n", "f.yaml:1: this is not YAML: "},
		"a tab":         {"llm:\n\tauto\n", "f.yaml:2: this is not YAML: "},
		"two documents": {"llm: auto\n---\nllm: auto\n", "f.yaml:2:1: a second document begins here"},
		"a list":        {"- llm: auto\n", "f.yaml:1:1: settings are written one a line"},
		"an anchor":     {"llm: &a auto\n", "f.yaml:1:6: llm: anchors and aliases have no place here"},
		"an alias":      {"speech: &a http://a:1\nollama: *a\n", "f.yaml:2:9: ollama: anchors and aliases"},
		"a merge":       {"<<: {llm: auto}\n", `f.yaml:1:1: there is no setting "<<"`},
		"a bomb":        {"pools: &a [x]\nslots: &b {a: *a}\n", "f.yaml:1:8: pools: it is a list"},
		"too large":     {"# " + strings.Repeat("x", 256<<10), "f.yaml is larger than 256 KiB"},
		"a secret":      {"llm_key: hunter2\n", "f.yaml:1:1: llm_key: a secret does not stand in this file"},
		"odd bytes":     {"llm: \xff\xfe\n", "this is not YAML: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := os.WriteFile("f.yaml", []byte(tc.file), 0o600); err != nil {
				t.Fatal(err)
			}
			err := config.CheckFile("f.yaml")
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v; want %q", err, tc.want)
			}
		})
	}
	for _, file := range []string{"", "# nothing\n", "---\n", "null\n"} {
		path := filepath.Join(t.TempDir(), "f.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := config.CheckFile(path); err != nil {
			t.Errorf("an empty file, %q: %v", file, err)
		}
	}
}

// What does not go together, or is missing.
func TestTogether(t *testing.T) {
	for name, tc := range map[string]struct {
		cmd     config.Command
		environ []string
		args    []string
		want    []string // beginnings of the faults, in order
	}{
		"a bare gateway":           {cmd: config.Gateway, want: []string{"kiosk_key: not set", "media_token: not set", "speech: not set"}},
		"a bare worker":            {cmd: config.Worker, want: []string{"media_token: not set", "speech: not set"}},
		"a worker that is deaf":    {cmd: config.Worker, environ: needed[2:], args: []string{"--pools", "llm,action"}},
		"openai without a server":  {cmd: config.Dev, args: []string{"--llm", "openai"}, want: []string{"--llm: openai needs llm_url", "--llm: openai needs llm_model"}},
		"a path that is added":     {cmd: config.Worker, environ: needed, args: []string{"--llm", "openai", "--llm-model", "m", "--llm-url", "http://vllm:8000/v1/"}, want: []string{"--llm-url: \"http://vllm:8000/v1/\": write it without /v1"}},
		"openai elsewhere":         {cmd: config.Worker, environ: needed, args: []string{"--llm", "openai", "--pools", "stt"}},
		"ollama without a server":  {cmd: config.Dev, environ: []string{"PARLEY_LLM=ollama", "PARLEY_EMBED=ollama", "PARLEY_OLLAMA="}, want: []string{"PARLEY_EMBED: ollama needs", "PARLEY_LLM: ollama needs"}},
		"one token for two doors":  {cmd: config.Gateway, environ: append(slices.Clone(needed), "PARLEY_STAFF_TOKEN=0123456789abcdeF", "PARLEY_EVENTS_TOKEN=0123456789abcdeF"), want: []string{"PARLEY_STAFF_TOKEN: it is the same as events_token"}},
		"a gateway that drains on": {cmd: config.Gateway, environ: needed, args: []string{"--drain", "1m"}, want: []string{"--drain: a gateway waits for at most 30s"}},
		"a version without a name": {cmd: config.Worker, environ: needed, args: []string{"--build-id", "v1"}, want: []string{"deployment: deployment and build_id go together"}},
		"a version, not read":      {cmd: config.Gateway, environ: append(slices.Clone(needed), "PARLEY_BUILD_ID=v1")},
		"half a certificate":       {cmd: config.FlowGraph, args: []string{"--temporal-tls", "--temporal-tls-key", "k.pem"}, want: []string{"temporal_tls_cert: temporal_tls_cert and temporal_tls_key go together"}},
		"certificates without TLS": {cmd: config.FlowGraph, environ: []string{"PARLEY_TEMPORAL_API_KEY=k"}, args: []string{"--temporal-tls-ca", "ca.pem"}, want: []string{"--temporal-tls-ca: it needs temporal_tls: true", "PARLEY_TEMPORAL_API_KEY: it needs temporal_tls: true"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, got := load(t, tc.cmd, "", tc.environ, tc.args)
			if !slices.EqualFunc(got, tc.want, strings.HasPrefix) {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// Each command's settings, as parley config print shows them.
func TestPrint(t *testing.T) {
	t.Chdir("testdata")
	for _, cmd := range append([]config.Command{config.Any}, config.Commands...) {
		c, err := config.Load(cmd, bound(t, cmd, "--config", "good.yaml"), needed)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := c.Print(&out, cmd, "table"); err != nil {
			t.Fatal(err)
		}
		name := "all"
		if cmd != config.Any {
			name = strings.ReplaceAll(string(cmd), " ", "-")
		}
		golden(t, "print-"+name+".txt", out.Bytes())
	}
}

// What print writes as YAML says the same when it is read again, and a secret is
// in none of the formats, nor in what Go prints.
func TestPrintAgain(t *testing.T) {
	const secret, file = "hunter2hunter2hunter2", "/run/secrets/kiosk"
	var environ []string
	for _, s := range config.Settings() {
		if s.Secret && s.Key != "kiosk_key" && s.Key != "events_token" {
			environ = append(environ, s.Variable()+"="+secret)
		}
	}
	c, faults := load(t, config.Any, "slots: {llm: 4, stt: 2}\nbuild_id: \"007\"\norigins: [\"https://a.example\"]\naction_url: {shop: \"http://shop/a: b\"}\ntemporal_tls: true\nnamespace: \"true\"\nkiosk_key_file: "+file+"\n", environ, nil)
	if faults != nil {
		t.Fatal(faults)
	}
	var all bytes.Buffer
	for _, format := range config.Formats {
		var out bytes.Buffer
		if err := c.Print(&out, config.Any, format); err != nil {
			t.Fatal(err)
		}
		all.Write(out.Bytes())
		if format != "yaml" {
			continue
		}
		again, faults := load(t, config.Any, out.String(), nil, nil)
		if faults != nil {
			t.Fatalf("%s\n%s", strings.Join(faults, "\n"), out.String())
		}
		values, want := again.Values(config.Any), c.Values(config.Any)
		for i, v := range values {
			if !strings.HasPrefix(fmt.Sprint(want[i].Value), "set") && !reflect.DeepEqual(v.Value, want[i].Value) {
				t.Errorf("%s is %v, want %v", v.Key, v.Value, want[i].Value)
			}
		}
	}
	fmt.Fprintf(&all, "%v %+v %#v %s", *c, *c, *c, c.LLMKey)
	if b, err := json.Marshal(c); err != nil || !json.Valid(b) {
		t.Error(err)
	} else {
		all.Write(b)
	}
	if strings.Contains(all.String(), secret) {
		t.Error("a secret is printed")
	}
	for _, v := range c.Values(config.Any) {
		if v.Key == "kiosk_key" && (v.Value != "in "+file || v.Source != "file parley.yaml:7") {
			t.Errorf("a secret in a file is listed as %v from %s", v.Value, v.Source)
		}
	}
	if err := c.Print(&all, config.Any, "xml"); err == nil || !strings.Contains(err.Error(), "table, yaml, json") {
		t.Errorf("a format that is none: %v", err)
	}
}

// The schema is the one in schemas/, and takes and refuses what CheckFile does.
func TestSchema(t *testing.T) {
	source, err := config.SchemaJSON()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("..", "schemas", "config.v1.json"), source)
	schema, err := schemas.Compile("config.v1.json", source)
	if err != nil {
		t.Fatal(err)
	}
	for file, good := range map[string]bool{
		"llm: ollama":                        true,
		"llm: gpt":                           false,
		"llm: \"\"":                          false,
		"llm_key: x":                         false,
		"llm_key_file: x":                    true,
		"ollama: \"\"":                       true,
		"speech: \"\"":                       true,
		"speech: speech:8000":                false,
		"temporal: \"\"":                     false,
		"temporal: localhost":                false,
		"listen: \":8080\"":                  true,
		"origins: [\"https://a.example\"]":   true,
		"origins: [\"https://a.example/x\"]": false,
		"origins: https://a.example":         false,
		"slots: {llm: 4}":                    true,
		"slots: {llm: 0}":                    false,
		"slots: {lm: 4}":                     false,
		"slots: {llm: \"4\"}":                false,
		"pools: [llm, llm]":                  false,
		"drain: 30s":                         true,
		"drain: 1h30m":                       true,
		"drain: 30":                          false,
		"drain: -5s":                         false,
		"max_sessions: 10":                   true,
		"max_sessions: \"10\"":               false,
		"max_sessions: 0":                    false,
		"temporal_tls: \"true\"":             false,
		"deployment: a.b":                    false,
		"deployment: __a":                    false,
		"deployment: shop/parley-store1":     true,
		"build_id: v1.4.0-3fd2":              true,
		"build_id: 1.4.0+dirty":              false,
		"build_id: 7":                        false,
		"action_url: {a: \"http://a\"}":      true,
		"action_url: {a: a}":                 false,
		"store: \"\"":                        false,
		"colour: red":                        false,
	} {
		path := filepath.Join(t.TempDir(), "f.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := config.CheckFile(path); (err == nil) != good {
			t.Errorf("%s: CheckFile says %v", file, err)
		}
		var doc any
		if err := yaml.Unmarshal([]byte(file), &doc); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.UseNumber()
		if err := dec.Decode(&doc); err != nil {
			t.Fatal(err)
		}
		broken, err := schema.Validate(doc)
		if err != nil || (len(broken) == 0) != good {
			t.Errorf("%s: the schema says %v %v", file, broken, err)
		}
	}
}

// docs/configuration.md has the table of all settings.
func TestDocs(t *testing.T) {
	const page, begin, end = "../docs/configuration.md", "<!-- settings: go test ./config -update -->\n", "<!-- end of settings -->"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s: the table stands between %q and %q", page, begin, end)
	}
	_, example, _ := strings.Cut(string(text), "```yaml other\n")
	example, _, _ = strings.Cut(example, "```")
	if err := config.Check("example", []byte(example)); example == "" || err != nil {
		t.Errorf("the example of %s: %v", page, err)
	}
	var table strings.Builder
	table.WriteString("| setting | default | read by | what it is |\n|---|---|---|---|\n")
	for _, s := range config.Settings() {
		if s.FileOf != "" {
			continue // told once, for all secrets
		}
		key, defaults := "`"+s.Key+"`", code(s.Default)
		if s.Secret {
			key, defaults = key+" (secret)", ""
		}
		for _, cmd := range s.By {
			if d, ok := s.Defaults[cmd]; ok {
				defaults += fmt.Sprintf("; %s: %s", cmd, cmpOr(code(d), "none"))
			}
		}
		var by []string
		for _, cmd := range s.By {
			by = append(by, string(cmd))
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", key, defaults, strings.Join(by, ", "), strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(s.Help))
	}
	golden(t, page, []byte(before+begin+table.String()+end+after))
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func cmpOr(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// No bytes make the decoder fail otherwise than by faults with a place.
func FuzzCheck(f *testing.F) {
	for _, name := range []string{"faults.yaml", "good.yaml"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("slots: {? {a: b} : 1}\n---\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, fault := range faults(t, config.Check("f.yaml", text)) {
			if !strings.HasPrefix(fault, "f.yaml") {
				t.Errorf("%q has no place", fault)
			}
		}
	})
}
