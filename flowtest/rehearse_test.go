package flowtest

import (
	"bytes"
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/praesenz/parley/flow"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// deskPlan is the flow that uses every verb and field.
var deskFS = os.DirFS("../flow/testdata/everyverb")

func compileDesk(name string) (*flow.Plan, error) {
	catalogue, ds := flow.ReadCatalogue(deskFS, "actions")
	if len(ds) > 0 {
		return nil, &flow.InvalidError{Diagnostics: ds}
	}
	return flow.Compile(flow.Source{FS: deskFS, Path: "flows/" + name + ".yaml", Actions: catalogue})
}

// open reads one of testdata's files.
func open(t testing.TB, file string) ([]*Test, map[string]*flow.Plan, flow.Diagnostics) {
	t.Helper()
	return Open(os.DirFS("testdata"), []string{file}, compileDesk)
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	file = filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got\n%s", file, got)
	}
}

func text(t *testing.T, r Report, o TextOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Text(&b, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestEveryEntryAndAnswer(t *testing.T) {
	tests, plans, ds := open(t, "desk.yaml")
	if len(ds) > 0 {
		t.Fatalf("the tests are not clean:\n%s", flow.Render(ds, os.DirFS("testdata"), flow.RenderOptions{}))
	}
	report := Rehearse(t.Context(), tests, plans)
	if report.Failed() > 0 || len(report.Results) != 5 {
		t.Errorf("%d tests:\n%s", len(report.Results), text(t, report, TextOptions{}))
	}
}

// What a failing test prints is a promise: the place, what came instead, and the
// conversation around it.
func TestFailuresAreExplained(t *testing.T) {
	tests, plans, ds := open(t, "failing.yaml")
	if len(ds.Errors()) > 0 {
		t.Fatalf("the tests are not clean:\n%s", flow.Render(ds, os.DirFS("testdata"), flow.RenderOptions{}))
	}
	report := Rehearse(t.Context(), tests, plans)
	report.Took = 0 // it differs from run to run
	if report.Failed() != len(tests) {
		t.Errorf("%d of %d tests failed; every one should", report.Failed(), len(tests))
	}
	got := text(t, report, TextOptions{Dir: "shop"})
	got = got[:strings.LastIndex(got, " · ")] + "\n" // turns a second
	golden(t, "failing.golden", got)
}

func TestMistakesInTestFilesAreExplained(t *testing.T) {
	_, _, ds := open(t, "bad.yaml")
	golden(t, "bad.golden", flow.Render(ds, os.DirFS("testdata"), flow.RenderOptions{}))
}

// The same conversation, to the millisecond, whatever else the machine does.
func TestRehearsalsAreDeterministic(t *testing.T) {
	tests, plans, _ := open(t, "desk.yaml")
	want := Run(tests[0], plans["desk"]).Conversation
	var many []*Test
	for range 40 {
		many = append(many, tests[0])
	}
	for i, r := range Rehearse(t.Context(), many, plans).Results {
		if !slices.Equal(r.Conversation, want) {
			t.Fatalf("rehearsal %d went otherwise:\n%v\nwant\n%v", i, r.Conversation, want)
		}
	}
}

func TestJUnit(t *testing.T) {
	tests, plans, _ := open(t, "failing.yaml")
	report := Rehearse(t.Context(), tests, plans)
	b, err := report.JUnit()
	if err != nil {
		t.Fatal(err)
	}
	var suites struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Suites   []struct {
			Name       string `xml:"name,attr"`
			Properties []struct {
				Name string `xml:"name,attr"`
			} `xml:"properties>property"`
			Cases []struct {
				Name    string `xml:"name,attr"`
				File    string `xml:"file,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b, &suites); err != nil {
		t.Fatal(err)
	}
	if suites.Tests != len(tests) || suites.Failures != len(tests) || len(suites.Suites) != 1 {
		t.Fatalf("%+v", suites)
	}
	suite := suites.Suites[0]
	if suite.Name != "desk" || len(suite.Properties) != 2 || len(suite.Cases) != len(tests) {
		t.Errorf("suite %+v", suite)
	}
	c := suite.Cases[0]
	if c.Name != "the wrong prompt" || c.File != "failing.yaml" || c.Failure == nil ||
		!strings.Contains(c.Failure.Message, "failing.yaml:7:3") || !strings.Contains(c.Failure.Text, "human please") {
		t.Errorf("case %+v", c)
	}
}

func TestCoverageCountsWhatWasTaken(t *testing.T) {
	plan := &flow.Plan{
		Flow: "f", NoInput: flow.Ladder{Then: "bye"}, NoMatch: flow.Ladder{Then: "bye"},
		Intents: []flow.Intent{{Name: "cancel", To: "bye"}, {Name: "repeat", Replay: true}},
		Steps: map[string]flow.Step{
			"ask":   {Line: 1, Collect: &flow.Collect{}, Next: "which"},
			"again": {Line: 2, Collect: &flow.Collect{NoInput: &flow.Ladder{Then: "ask"}}, Next: "ask"},
			"which": {Line: 3, Branch: []flow.Case{{When: "x", To: "ask"}, {To: "bye"}}},
			"bye":   {Line: 4, End: &flow.End{}},
		},
	}
	c := Cover(plan, "flows/f.yaml", map[string]int{
		"f/ask>next>which": 2, "f/which>else>bye": 1, "f/bye>end>": 1, "f/ask>intent repeat>ask": 1,
		"f/again>no_input>ask": 1, "other/ask>no_match>bye": 1,
	})
	if c.Steps != (Count{4, 4}) || c.Ways != (Count{5, 10}) {
		t.Errorf("steps %v, ways %v; want 4 of 4 and 5 of 10", c.Steps, c.Ways)
	}
	var missed []string
	for _, w := range c.Missed {
		missed = append(missed, w.String())
	}
	want := "no_input → bye\nno_match → bye\nintent cancel → bye\nagain: next → ask\nwhich: case 1 → ask"
	if got := strings.Join(missed, "\n"); got != want {
		t.Errorf("missed\n%s\nwant\n%s", got, want)
	}
}

// BenchmarkTurns is how many turns a second are rehearsed on all processors.
func BenchmarkTurns(b *testing.B) {
	tests, plans, _ := open(b, "desk.yaml")
	tests = slices.Repeat(tests, 25) // a store has about a hundred
	turns := 0
	for b.Loop() {
		turns += Rehearse(b.Context(), tests, plans).Turns()
	}
	b.ReportMetric(float64(turns)/b.Elapsed().Seconds(), "turns/s")
}

func TestEveryCodeIsExplained(t *testing.T) {
	doc, err := os.ReadFile("../docs/test-diagnostics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, _, bad := open(t, "bad.yaml")
	for _, code := range []flow.Code{
		codeTime, codeAnswer, codeFlow, codeTwice, codeEntry, codePause, codeName, codeValue, codeNever, codePattern, codeInput, codeUncaught,
	} {
		if !strings.Contains(string(doc), "\n## "+string(code)+" ") {
			t.Errorf("docs/test-diagnostics.md has no entry for %s", code)
		}
		if !slices.ContainsFunc(bad, func(d flow.Diagnostic) bool { return d.Code == code }) {
			t.Errorf("testdata/bad.yaml has no case for %s", code)
		}
	}
}
