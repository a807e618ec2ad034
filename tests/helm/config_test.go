package helm_test

import (
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/praesenz/parley/config"
	"github.com/praesenz/parley/tests/helm/check"
	"github.com/praesenz/parley/tests/helm/render"
)

// readers are parley's commands that the chart runs and that read settings.
var readers = []config.Command{config.Gateway, config.Worker, config.Speech, config.Codec, config.TemporalSetup, config.TemporalPromote, config.KBSync}

const someHex = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"

// secret makes a file with a secret that is good for a setting. Those of staff and
// of other systems must not be the same.
func secret(t *testing.T, dir, setting string) string {
	t.Helper()
	text := someHex + hex.EncodeToString([]byte(setting))
	if setting == "payload_keys" {
		text = "one:" + someHex
	}
	return written(t, dir, setting, text)
}

func written(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSettingsAreTaken gives the binary what every container of every rendering is
// given: the settings file, the environment and the arguments. It must know all of
// it, find no fault and miss nothing.
func TestSettingsAreTaken(t *testing.T) {
	s := readYAML[switches](t, "testdata/switches.yaml")
	factors := s.factors(t, theChart(t).Values())
	type container struct {
		check.Part
		in string // the rendering
	}
	found := map[string]container{} // each once: most are the same in most renderings
	add := func(name string, r *render.Rendering) {
		parts, err := check.Parts(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			key := fmt.Sprint(p.Args, p.Env, p.FileText)
			if _, ok := found[key]; !ok {
				found[key] = container{p, name}
			}
		}
	}
	for name, values := range valuesFiles(t) {
		add(name, mustRender(t, values, render.Options{}))
	}
	for i, row := range pairwise(factors, s.apart) {
		values, o := s.values(factors, row)
		add(fmt.Sprintf("pairs/%d", i), mustRender(t, values, o))
	}
	dir := t.TempDir()
	ran, asked := map[config.Command]bool{}, map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		c := found[key]
		command := config.Command(strings.Join(c.Command, " "))
		// The binary itself says whether it knows the command and its flags.
		if shape := fmt.Sprint(c.Command, slices.Sorted(maps.Keys(c.Flags))); !asked[shape] {
			asked[shape] = true
			if err := parleyTakes(t, c.Args); err != nil {
				t.Errorf("%s: %s: %v", c.in, c, err)
			}
		}
		if c.Command[0] == "health" {
			continue
		}
		ran[command] = true
		flags := pflag.NewFlagSet(string(command), pflag.ContinueOnError)
		config.Bind(command, flags)
		flags.ParseErrorsAllowlist.UnknownFlags = true // those that are no settings
		if err := flags.Parse(c.Args); err != nil {
			t.Errorf("%s: %s: %v", c.in, c, err)
		}
		var environ []string
		for name, value := range c.Env {
			switch {
			case strings.HasSuffix(name, "_file"):
				value = secret(t, dir, strings.TrimSuffix(name, "_file"))
			case name == "config":
				value = written(t, dir, "parley.yaml", c.FileText)
			}
			environ = append(environ, "PARLEY_"+strings.ToUpper(name)+"="+value)
		}
		if _, err := config.Load(command, flags, environ); err != nil {
			t.Errorf("%s: %s, container %s: %v", c.in, c, c.Container.Name, err)
		}
	}
	for _, command := range readers {
		if !ran[command] {
			t.Errorf("no rendering runs parley %s", command)
		}
	}
}

// parleyTakes gives the binary a command line, and --help beside it, so that it
// looks at the line and does nothing.
func parleyTakes(t *testing.T, args []string) error {
	t.Helper()
	out, err := exec.Command(parley(t), append(slices.Clone(args), "--help")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("parley %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// TestEverySettingHasAPlace goes through all settings of the commands that the
// chart runs: each can be set by the values, by its own name in `config` or where
// the chart says, and reaches the commands that read it.
func TestEverySettingHasAPlace(t *testing.T) {
	place := readYAML[struct {
		// Samples are settings that people write in `config`, with a value to try.
		Samples map[string]any `json:"samples"`
		// Elsewhere are settings that the chart writes from other values: what to set,
		// and what then reaches the commands.
		Elsewhere map[string]struct {
			Values map[string]any `json:"values"`
			Want   any            `json:"want"` // a regular expression for texts
		} `json:"elsewhere"`
		// None are settings that have no place in a cluster, and why.
		None map[string]string `json:"none"`
	}](t, "testdata/settings.yaml")
	readBy := map[string][]config.Command{}
	for _, setting := range config.Settings() {
		for _, command := range readers {
			if setting.ReadBy(command) {
				readBy[setting.Key] = append(readBy[setting.Key], command)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(readBy)) {
		t.Run(key, func(t *testing.T) {
			secret := strings.TrimSuffix(key, "_file")
			_, isSecret := readBy[secret+"_file"]
			sample, direct := place.Samples[key]
			other, elsewhere := place.Elsewhere[key]
			switch {
			case place.None[key] != "":
			case isSecret:
				secretReaches(t, secret, readBy[secret])
			case direct:
				config := map[string]any{key: sample}
				settingReaches(t, map[string]any{"config": config}, key, sample, readBy[key])
			case elsewhere:
				settingReaches(t, other.Values, key, other.Want, readBy[key])
				// Who writes it in `config` all the same is sent there, or heard.
				config := map[string]any{"config": map[string]any{key: "something"}}
				if _, err := theChart(t).Render(config, render.Options{}); err == nil {
					settingReaches(t, config, key, "something", readBy[key])
				} else if !regexp.MustCompile(`config.` + key + `: write \S+|/config`).MatchString(err.Error()) {
					t.Errorf("config.%s is refused with %v; say which value to write instead", key, err)
				}
			default:
				t.Errorf("testdata/settings.yaml does not know it: give it a sample, or say where its value is")
			}
		})
	}
	for _, m := range []map[string]bool{keys(place.Samples), keys(place.Elsewhere), keys(place.None)} {
		for key := range m {
			if len(readBy[key]) == 0 {
				t.Errorf("testdata/settings.yaml knows %s, which is no setting of a command in a cluster", key)
			}
		}
	}
}

func keys[V any](m map[string]V) map[string]bool {
	set := map[string]bool{}
	for k := range m {
		set[k] = true
	}
	return set
}

// everything are values with every part on that reads settings.
func everything() map[string]any {
	return map[string]any{
		"networkPolicy": map[string]any{"enabled": false}, // addresses need no policy here
		"secrets":       map[string]any{"keys": []any{"kiosk_key", "media_token", "staff_token", "events_token", "speech_key", "llm_key", "qdrant_key", "temporal_api_key", "payload_keys", "codec_token"}},
		"codec":         map[string]any{"enabled": true, "origins": []any{"https://temporal.example"}},
	}
}

// settingReaches expects that values bring a setting to some part that reads it,
// and to no part something else.
func settingReaches(t *testing.T, values map[string]any, key string, want any, readers []config.Command) {
	t.Helper()
	base := everything()
	if key == "corpus" || key == "speech_token" {
		base = render.Merge(base, map[string]any{"speaches": map[string]any{"enabled": false}, "embeddedSpeech": map[string]any{"enabled": true}})
	}
	parts, err := check.Parts(mustRender(t, render.Merge(base, values), render.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	reached := false
	for _, p := range parts {
		if !slices.Contains(readers, config.Command(strings.Join(p.Command, " "))) {
			continue
		}
		got := p.Setting(key)
		if same(got, want) {
			reached = true
		}
	}
	if !reached {
		t.Errorf("%v do not bring %s=%v to any of %s", values, key, want, fmt.Sprint(readers))
	}
}

// same compares a setting with what is wanted: texts by a regular expression, all
// else as it is written.
func same(got, want any) bool {
	if pattern, ok := want.(string); ok && got != nil {
		return regexp.MustCompile("^(?:" + pattern + ")$").MatchString(fmt.Sprint(got))
	}
	return got != nil && (reflect.DeepEqual(got, want) || fmt.Sprint(got) == fmt.Sprint(want))
}

// secretReaches expects that every part that reads a secret gets it as a file.
func secretReaches(t *testing.T, secret string, readers []config.Command) {
	t.Helper()
	values := everything()
	if secret == "speech_token" {
		values = render.Merge(values, map[string]any{"speaches": map[string]any{"enabled": false}, "embeddedSpeech": map[string]any{"enabled": true}})
	}
	parts, err := check.Parts(mustRender(t, values, render.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	reached := false
	for _, p := range parts {
		if slices.Contains(readers, config.Command(strings.Join(p.Command, " "))) && p.Setting(secret+"_file") != nil {
			reached = true
		}
	}
	if !reached {
		t.Errorf("with %s in secrets.keys, none of %s gets %s_file", secret, fmt.Sprint(readers), secret)
	}
}
