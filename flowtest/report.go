package flowtest

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/praesenz/parley/flow"
)

// TextOptions say how Text writes.
type TextOptions struct {
	Dir     string // put before the files' names; default: none
	Colour  bool   // with ANSI colours, for a terminal
	Verbose bool   // also the conversations of tests that pass
}

// around is how many lines of a conversation are shown before a failure.
const around = 8

// Text writes a report for people.
func (r Report) Text(out io.Writer, o TextOptions) error {
	w := &painter{out: out, o: o}
	for _, result := range r.Results {
		w.result(result)
	}
	w.coverage(r.Coverage)
	passed := len(r.Results) - r.Failed()
	summary := fmt.Sprintf("%s: %d passed, %d failed", count(len(r.Results), "test"), passed, r.Failed())
	colour := green
	if r.Failed() > 0 {
		colour = red
	}
	w.printf("%s · %s in %s (%.0f a second)\n", w.paint(colour, summary), count(r.Turns(), "turn"),
		r.Took.Round(time.Millisecond), float64(r.Turns())/max(r.Took.Seconds(), 1e-6))
	return w.err
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// The colours of a terminal.
const (
	bold   = "1"
	dim    = "2"
	red    = "1;31"
	green  = "1;32"
	yellow = "33"
	cyan   = "36"
)

// A painter writes text and remembers the first error.
type painter struct {
	out io.Writer
	o   TextOptions
	err error
}

func (w *painter) printf(format string, args ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.out, format, args...)
	}
}

func (w *painter) paint(colour, s string) string {
	if !w.o.Colour || colour == "" || s == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

func (w *painter) result(r Result) {
	if r.Failure == nil {
		if w.o.Verbose {
			w.printf("%s  %s  %s\n", w.paint(green, "ok"), w.paint(bold, r.Name), w.paint(dim, fmt.Sprintf("%s · %s, %s", r.Flow, count(r.Turns, "turn"), clock(r.Virtual))))
			w.conversation(r.Conversation, 0, len(r.Conversation), -1)
			w.printf("\n")
		}
		return
	}
	f := r.Failure
	pos := f.Pos
	pos.File = joined(w.o.Dir, pos.File)
	w.printf("%s %s\n%s: %s\n", w.paint(red, "FAIL"), w.paint(bold, r.Name), pos, f.Message)
	w.field("expected", f.Expected, green)
	w.field("got", f.Got, red)
	w.field("hint", f.Hint, cyan)
	from := max(0, f.line-around)
	if w.o.Verbose {
		from = 0
	}
	w.conversation(r.Conversation, from, min(f.line, len(r.Conversation)), f.line-1)
	w.printf("\n")
}

func (w *painter) field(name, text, colour string) {
	if text == "" {
		return
	}
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			name = ""
		}
		w.printf("  %s %s\n", w.paint(colour, fmt.Sprintf("%-8s", name)), line)
	}
}

// conversation writes lines from..to, with a mark at one of them.
func (w *painter) conversation(lines []Line, from, to, mark int) {
	who, step := 4, 4
	for _, l := range lines[from:to] {
		who, step = max(who, utf8.RuneCountInString(l.Who)), max(step, utf8.RuneCountInString(l.Step))
	}
	if from > 0 {
		w.printf("    %s\n", w.paint(dim, "⋮"))
	}
	for i := from; i < to; i++ {
		l := lines[i]
		sign, colour := " ", ""
		switch l.Who {
		case "kiosk":
		case "customer":
			colour = cyan
		case "!":
			colour = red
		default:
			colour = dim
		}
		if i == mark {
			sign = w.paint(red, "▸")
		}
		w.printf("  %s %s  %s  %s  %s\n", sign, w.paint(dim, fmt.Sprintf("%7s", clock(l.At))),
			w.paint(colour, fmt.Sprintf("%-*s", who, l.Who)), w.paint(dim, fmt.Sprintf("%-*s", step, l.Step)),
			w.paint(colour, shortened(l.Text)))
	}
}

// shortened keeps a line readable.
func shortened(s string) string {
	const width = 100
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

func (w *painter) coverage(all []Coverage) {
	width := 4
	for _, c := range all {
		width = max(width, len(c.Flow))
	}
	if len(all) > 0 {
		w.printf("%s\n", w.paint(bold, fmt.Sprintf("%-*s  %-16s %-16s", width, "flow", "steps", "ways")))
	}
	for _, c := range all {
		w.printf("%-*s  %s %s\n", width, c.Flow, w.share(c.Steps), w.share(c.Ways))
	}
	for _, c := range all {
		if len(c.Missed) == 0 {
			continue
		}
		w.printf("\n%s\n", w.paint(yellow, "not covered in "+c.Flow))
		for _, m := range c.Missed {
			pos := joined(w.o.Dir, c.File)
			if m.Line > 0 {
				pos = flow.Pos{File: pos, Line: m.Line, Column: 3}.String()
			}
			w.printf("  %s  %s\n", w.paint(dim, pos), m)
		}
	}
	if len(all) > 0 {
		w.printf("\n")
	}
}

func (w *painter) share(c Count) string {
	colour := green
	if c.Covered < c.All {
		colour = yellow
	}
	return w.paint(colour, fmt.Sprintf("%-16s", fmt.Sprintf("%d of %d  %.0f %%", c.Covered, c.All, c.Percent())))
}

func joined(dir, file string) string {
	if dir == "" || dir == "." {
		return file
	}
	return strings.TrimSuffix(dir, "/") + "/" + file
}
