package flow

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A Code names a kind of mistake. It never changes its meaning; each is
// explained in docs/flow-diagnostics.md.
type Code string

// Severity says whether a flow can be used in spite of a diagnostic.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // the flow does not compile
	Warning Severity = "warning" // it does, but something is not as its author may think
)

// A Pos is a place in a source file. Lines and columns count from 1; columns
// count characters, not bytes.
type Pos struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// Compare orders positions by file, line and column.
func (p Pos) Compare(q Pos) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
}

// String is file:line:column, as editors and terminals understand it.
func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// A Diagnostic is one thing wrong with a flow, told to the person who wrote it.
type Diagnostic struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	Pos      Pos      `json:"pos"`
	End      *Pos     `json:"end,omitempty"` // the column after the last; nil: only the beginning is known
	Message  string   `json:"message"`       // what is wrong, in the flow's own names
	Hint     string   `json:"hint,omitempty"`
}

// String is the diagnostic on one line, without its hint.
func (d Diagnostic) String() string {
	return fmt.Sprintf("%s: %s [%s]", d.Pos, d.Message, d.Code)
}

// Diagnostics is every problem that was found, in order of position. It is
// deliberately not an error: an empty list stored in an error would not equal
// nil.
type Diagnostics []Diagnostic

// Errors are the diagnostics for which a flow does not compile.
func (ds Diagnostics) Errors() Diagnostics {
	var out Diagnostics
	for _, d := range ds {
		if d.Severity == Error {
			out = append(out, d)
		}
	}
	return out
}

// JSON is the machine's form: an array, empty when there is nothing to say.
func (ds Diagnostics) JSON() ([]byte, error) {
	if ds == nil {
		ds = Diagnostics{}
	}
	return json.MarshalIndent(ds, "", "  ")
}

// sort orders by position and drops what is said twice of one place.
func (ds *Diagnostics) sort() {
	slices.SortStableFunc(*ds, func(a, b Diagnostic) int {
		return cmp.Or(a.Pos.Compare(b.Pos), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	})
	*ds = slices.CompactFunc(*ds, func(a, b Diagnostic) bool {
		return a.Pos == b.Pos && a.Code == b.Code && a.Message == b.Message
	})
}

// at is where a diagnostic points: a beginning and, where it is known, an end.
type at struct {
	pos Pos
	end *Pos
}

func (ds *Diagnostics) add(code Code, sev Severity, where at, hint, message string) {
	*ds = append(*ds, Diagnostic{Code: code, Severity: sev, Pos: where.pos, End: where.end, Message: message, Hint: hint})
}

func (ds *Diagnostics) errorf(code Code, where at, hint, format string, args ...any) {
	ds.add(code, Error, where, hint, fmt.Sprintf(format, args...))
}

func (ds *Diagnostics) warnf(code Code, where at, hint, format string, args ...any) {
	ds.add(code, Warning, where, hint, fmt.Sprintf(format, args...))
}

// An InvalidError says everything that is wrong with a flow.
type InvalidError struct {
	Diagnostics Diagnostics // in order of position; at least one is an Error
}

// Error lists the mistakes, one a line.
func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Diagnostics))
	for i, d := range e.Diagnostics {
		lines[i] = d.String()
	}
	return strings.Join(lines, "\n")
}
