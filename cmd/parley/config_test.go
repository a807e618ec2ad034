package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func TestConfigPrint(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("parley.yaml", []byte("llm: ollama\nspeech: http://speaches:8000\nmedia_token_file: token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("token", []byte("hunter2hunter2hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PARLEY_CONFIG", "parley.yaml")
	t.Setenv("PARLEY_STT_MODEL", "small")

	out, err := parley(t, "", "config", "print", "--for", "worker", "--slots", "llm=2", "--format", "json")
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]struct {
		Value  any
		Source string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"llm": "ollama from file parley.yaml:1", "stt_model": "small from PARLEY_STT_MODEL", "tts_model": "tts-1 from default",
		"media_token": "set from file parley.yaml:3", "drain": "15m from default",
	} {
		if is, _ := got[key].Value.(string); is+" from "+got[key].Source != want {
			t.Errorf("%s is %v from %s, want %s", key, got[key].Value, got[key].Source, want)
		}
	}
	if slots, _ := got["slots"].Value.(map[string]any); slots["llm"] != 2.0 || got["slots"].Source != "--slots" {
		t.Errorf("slots are %+v", got["slots"])
	}
	if strings.Contains(out, "hunter2") {
		t.Error("a secret is printed")
	}

	if out, err := parley(t, "", "config", "print", "--for", "gateway"); err == nil || !strings.Contains(err.Error(), "kiosk_key: not set") || !strings.Contains(out, "kiosk_key ") {
		t.Errorf("a gateway without its key: %v\n%s", err, out)
	}
	for _, args := range [][]string{{"--for", "porter"}, {"--for", ""}, {"--format", "xml"}} {
		if _, err := parley(t, "", append([]string{"config", "print"}, args...)...); err == nil || !strings.HasPrefix(err.Error(), args[0]+": ") {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestConfigCheck(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"good.yaml": "kiosk_key_file: /nowhere\n", "bad.yaml": "llm: gpt\nslots: {lm: 1}\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PARLEY_NONSENSE", "1") // a file is checked by itself
	if out, err := parley(t, "", "config", "check", "good.yaml"); err != nil || out != "good.yaml: no faults\n" {
		t.Errorf("%q, %v", out, err)
	}
	out, err := parley(t, "", "config", "check", "bad.yaml", "good.yaml", "none.yaml")
	if err == nil {
		t.Error("a bad file was taken")
	}
	for _, want := range []string{`bad.yaml:1:6: llm: "gpt" is none of`, `bad.yaml:2:9: slots.lm: "lm" is none of`, "good.yaml: no faults", "none.yaml"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
}

func TestConfigSchema(t *testing.T) {
	out, err := parley(t, "", "config", "schema")
	want, readErr := os.ReadFile("../../schemas/config.v1.json")
	if err != nil || readErr != nil || out != string(want) {
		t.Errorf("it is not schemas/config.v1.json: %v %v", err, readErr)
	}
}

// Each command has the settings that it reads as flags, and reads a fault of
// theirs before it does anything.
func TestCommandsReadTheirSettings(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("PARLEY_STT_MODLE", "small")
	for _, command := range []string{"dev", "gateway", "worker", "speech", "token k1", "kb list", "kb sync", "handoff list", "flow graph x.yaml", "temporal setup", "temporal promote", "config print"} {
		_, err := parley(t, "", strings.Fields(command)...)
		if err == nil || !strings.Contains(err.Error(), `PARLEY_STT_MODLE: there is no such setting; did you mean "PARLEY_STT_MODEL"?`) {
			t.Errorf("parley %s: %v", command, err)
		}
	}
}

// A flag that is misspelt, or that a secret does not have, says what was meant.
func TestUnknownFlags(t *testing.T) {
	for flag, want := range map[string]string{
		"--stt-modle": `did you mean "stt-model"?`,
		"--llm-key":   "put it into PARLEY_LLM_KEY, or into a file that --llm-key-file names",
		"--colour":    "unknown flag: --colour",
	} {
		if _, err := parley(t, "", "worker", flag, "x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", flag, err, want)
		}
	}
}
