package flowtest

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strings"
)

// JSON is the report with all conversations.
func (r Report) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	return append(b, '\n'), err
}

// JUnit's XML, as CI servers read it: https://github.com/testmoapp/junitxml.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Time       string          `xml:"time,attr"`
		Properties []junitProperty `xml:"properties>property,omitempty"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr"`
		Line    int           `xml:"line,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit is the report as JUnit XML: a test suite for each flow, with its coverage
// as properties.
func (r Report) JUnit() ([]byte, error) {
	all := junitSuites{Tests: len(r.Results), Failures: r.Failed(), Time: fmt.Sprintf("%.3f", r.Took.Seconds())}
	byFlow := map[string]*junitSuite{}
	var order []string
	for _, result := range r.Results {
		suite := byFlow[result.Flow]
		if suite == nil {
			suite = &junitSuite{Name: result.Flow}
			byFlow[result.Flow] = suite
			order = append(order, result.Flow)
		}
		suite.Tests++
		c := junitCase{
			Name: result.Name, Class: result.Flow, File: result.Test.Pos.File, Line: result.Test.Pos.Line,
			Time: fmt.Sprintf("%.3f", result.Took.Seconds()),
		}
		if f := result.Failure; f != nil {
			suite.Failures++
			var b strings.Builder
			w := &painter{out: &b}
			w.result(result)
			c.Failure = &junitFailure{Message: f.Pos.String() + ": " + f.Message, Text: b.String()}
		}
		suite.Cases = append(suite.Cases, c)
	}
	for _, c := range r.Coverage {
		if suite := byFlow[c.Flow]; suite != nil {
			suite.Properties = []junitProperty{
				{"coverage.steps", fmt.Sprintf("%.1f", c.Steps.Percent())},
				{"coverage.ways", fmt.Sprintf("%.1f", c.Ways.Percent())},
			}
		}
	}
	for _, name := range order {
		suite := byFlow[name]
		total := 0.0
		for _, result := range r.Results {
			if result.Flow == name {
				total += result.Took.Seconds()
			}
		}
		suite.Time = fmt.Sprintf("%.3f", total)
		all.Suites = append(all.Suites, *suite)
	}
	b, err := xml.MarshalIndent(all, "", "  ")
	return append([]byte(xml.Header), append(b, '\n')...), err
}
