package main

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const hammerTests = `test: hammers
flow: help
given:
  retrieve.store: [{text: "Hammers are in aisle 4.", score: 0.8}]
  generate: ["Hammers are in aisle 4."]
conversation:
- kiosk: {prompt: choose_language}
- user: where are the hammers
- kiosk: aisle 4
- user: no thanks
- expect: {outcome: resolved}
---
test: nails
flow: help
conversation:
- kiosk: {prompt: goodbye}
`

func writeTests(t *testing.T, text string) (dir, file string) {
	t.Helper()
	dir = shopFolder(t)
	file = filepath.Join(dir, "tests", "help", "own.yaml")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, file
}

func TestFlowTest(t *testing.T) {
	dir, file := writeTests(t, hammerTests)
	junit, report := filepath.Join(dir, "junit.xml"), filepath.Join(dir, "report.json")
	for _, tc := range []struct {
		name  string
		args  []string
		want  []string
		fails bool
	}{
		{"a store", []string{dir, "--junit", junit, "--json", report}, []string{"FAIL nails", "own.yaml:16:3: the kiosk did not say this", "1 passed, 1 failed"}, true},
		{"by name", []string{file, "--run", "^ham"}, []string{"1 test: 1 passed, 0 failed"}, false},
		{"a folder, talkatively", []string{filepath.Dir(file), "--run", "hammers", "-v"}, []string{"ok  hammers", "where are the hammers"}, false},
		{"too little covered", []string{file, "--run", "hammers", "--min-coverage", "90"}, []string{"--min-coverage wants 90 %"}, true},
		{"no such test", []string{file, "--run", "screws"}, []string{"no test's name matches"}, true},
		{"no such folder", []string{filepath.Join(dir, "nowhere")}, []string{"look for tests"}, true},
		{"not a pattern", []string{file, "--run", "("}, []string{"--run: "}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, err := parley(t, "", append([]string{"flow", "test"}, tc.args...)...)
			if (err != nil) != tc.fails {
				t.Errorf("error %v, want one: %v", err, tc.fails)
			}
			if err != nil {
				out += err.Error()
			}
			for _, want := range tc.want {
				if !strings.Contains(out, want) {
					t.Errorf("the output lacks %q:\n%s", want, out)
				}
			}
		})
	}

	var suites struct {
		Failures int `xml:"failures,attr"`
	}
	if b, err := os.ReadFile(junit); err != nil || xml.Unmarshal(b, &suites) != nil || suites.Failures != 1 {
		t.Errorf("junit.xml: %v, %+v\n%s", err, suites, b)
	}
	var results struct {
		Tests []struct {
			Test         string `json:"test"`
			Conversation []any  `json:"conversation"`
			Failure      *struct {
				Message string `json:"message"`
			} `json:"failure"`
		} `json:"tests"`
		Coverage []struct {
			Flow string `json:"flow"`
		} `json:"coverage"`
	}
	if b, err := os.ReadFile(report); err != nil || json.Unmarshal(b, &results) != nil || len(results.Tests) != 2 || len(results.Coverage) != 1 ||
		results.Tests[1].Failure == nil || len(results.Tests[0].Conversation) == 0 {
		t.Errorf("report.json: %v, %+v\n%s", err, results, b)
	}
}

func TestFlowTestTellsMistakes(t *testing.T) {
	_, file := writeTests(t, "test: typo\nflow: help\nconversation:\n- kiosk: {prompt: gret}\n")
	out, err := parley(t, "", "flow", "test", file)
	if err == nil || !strings.Contains(out, `own.yaml:4:19: error T101 flow "help" has no prompt "gret"; did you mean "greet"?`) {
		t.Errorf("error %v\n%s", err, out)
	}
}

func TestFlowCheckChecksTestsToo(t *testing.T) {
	dir, _ := writeTests(t, "test: typo\nflow: help\nconversation:\n- kiosk: {prompt: gret}\n")
	out, err := parley(t, "", "flow", "check", dir)
	if err == nil || !strings.Contains(out, `own.yaml:4:19: error T101`) || !strings.Contains(out, "1 test file") {
		t.Errorf("error %v\n%s", err, out)
	}
}
