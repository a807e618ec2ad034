package flow

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// GitHub is the workflow commands by which GitHub Actions shows diagnostics
// beside the lines of a pull request, one a line
// (https://docs.github.com/actions/reference/workflow-commands-for-github-actions).
func (ds Diagnostics) GitHub() string {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var b strings.Builder
	for _, d := range ds {
		fmt.Fprintf(&b, "::%s file=%s,line=%d,col=%d", d.Severity, property.Replace(d.Pos.File), d.Pos.Line, d.Pos.Column)
		if d.End != nil && d.End.Line == d.Pos.Line {
			fmt.Fprintf(&b, ",endColumn=%d", d.End.Column)
		}
		message := d.Message
		if d.Hint != "" {
			message += "\nhint: " + d.Hint
		}
		fmt.Fprintf(&b, ",title=%s::%s\n", property.Replace(string(d.Code)), data.Replace(message))
	}
	return b.String()
}

// codeHelp is where the codes are explained.
const codeHelp = "https://github.com/praesenz/parley/blob/main/docs/flow-diagnostics.md"

// SARIF is the Static Analysis Results Interchange Format, version 2.1.0
// (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html), which code
// scanners and editors read. version is the program's own.
func (ds Diagnostics) SARIF(version string) ([]byte, error) {
	type text struct {
		Text string `json:"text"`
	}
	type region struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
		EndColumn   int `json:"endColumn,omitempty"`
	}
	type artifact struct {
		URI string `json:"uri"`
	}
	type place struct {
		Artifact artifact `json:"artifactLocation"`
		Region   region   `json:"region"`
	}
	type location struct {
		Physical place `json:"physicalLocation"`
	}
	type result struct {
		RuleID    string     `json:"ruleId"`
		RuleIndex int        `json:"ruleIndex"`
		Level     Severity   `json:"level"`
		Message   text       `json:"message"`
		Locations []location `json:"locations"`
	}
	type rule struct {
		ID      string `json:"id"`
		HelpURI string `json:"helpUri"`
	}
	type driver struct {
		Name           string `json:"name"`
		Version        string `json:"version"`
		InformationURI string `json:"informationUri"`
		Rules          []rule `json:"rules"`
	}
	type tool struct {
		Driver driver `json:"driver"`
	}
	type run struct {
		Tool       tool     `json:"tool"`
		ColumnKind string   `json:"columnKind"`
		Results    []result `json:"results"`
	}
	out := run{
		Tool:       tool{driver{Name: "parley", Version: version, InformationURI: codeHelp, Rules: []rule{}}},
		ColumnKind: "unicodeCodePoints",
		Results:    []result{},
	}
	for _, d := range ds {
		id := string(d.Code)
		index := slices.IndexFunc(out.Tool.Driver.Rules, func(r rule) bool { return r.ID == id })
		if index < 0 {
			index = len(out.Tool.Driver.Rules)
			out.Tool.Driver.Rules = append(out.Tool.Driver.Rules, rule{ID: id, HelpURI: codeHelp})
		}
		at := region{StartLine: d.Pos.Line, StartColumn: d.Pos.Column}
		if d.End != nil && d.End.Line == d.Pos.Line {
			at.EndColumn = d.End.Column
		}
		message := d.Message
		if d.Hint != "" {
			message += "\nHint: " + d.Hint
		}
		uri := (&url.URL{Path: d.Pos.File}).EscapedPath()
		out.Results = append(out.Results, result{
			RuleID: id, RuleIndex: index, Level: d.Severity, Message: text{message},
			Locations: []location{{place{artifact{uri}, at}}},
		})
	}
	return json.MarshalIndent(struct {
		Schema  string `json:"$schema"`
		Version string `json:"version"`
		Runs    []run  `json:"runs"`
	}{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []run{out}}, "", "  ")
}
