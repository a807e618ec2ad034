package flow

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"
)

// RenderOptions say how Render writes.
type RenderOptions struct {
	Dir    string // put before the files' names; default: none
	Colour bool   // with ANSI colours, for a terminal
}

// Render writes diagnostics as text: place, code and message, the source line
// with a caret beneath, and the hint. root is what they
// were compiled from.
func Render(ds Diagnostics, root fs.FS, opts RenderOptions) string {
	paint := func(colour, s string) string { return s }
	if opts.Colour {
		paint = func(colour, s string) string { return "\x1b[" + colour + "m" + s + "\x1b[0m" }
	}
	const bold, red, yellow, cyan = "1", "1;31", "1;33", "36"
	lines := map[string][]string{}
	var b strings.Builder
	for _, d := range ds {
		if _, ok := lines[d.Pos.File]; !ok {
			src, _ := readSource(root, d.Pos.File) // a file that is missing has no line to show
			lines[d.Pos.File] = splitLines(src)
		}
		colour := red
		if d.Severity == Warning {
			colour = yellow
		}
		shown := d.Pos
		shown.File = path.Join(opts.Dir, shown.File)
		fmt.Fprintf(&b, "%s: %s %s\n", paint(bold, shown.String()), paint(colour, string(d.Severity)+" "+string(d.Code)), d.Message)
		if src := lines[d.Pos.File]; d.Pos.Line >= 1 && d.Pos.Line <= len(src) {
			line, gap, carets := excerpt(src[d.Pos.Line-1], d)
			number := fmt.Sprint(d.Pos.Line)
			fmt.Fprintf(&b, "  %s | %s\n  %s | %s%s\n", number, line, strings.Repeat(" ", len(number)), gap, paint(colour, carets))
		}
		if d.Hint != "" {
			fmt.Fprintf(&b, "  %s %s\n", paint(cyan, "hint:"), d.Hint)
		}
	}
	return b.String()
}

// excerptWidth is how much of a line is shown, in characters.
const excerptWidth = 110

// excerpt is the part of a line around a diagnostic, the gap before the carets
// and the carets.
func excerpt(line string, d Diagnostic) (text, gap, carets string) {
	runes := []rune(strings.ToValidUTF8(strings.ReplaceAll(line, "\t", " "), "?"))
	col := min(max(d.Pos.Column-1, 0), len(runes))
	width := 1
	if d.End != nil && d.End.Line == d.Pos.Line && d.End.Column > d.Pos.Column {
		width = min(d.End.Column-d.Pos.Column, max(len(runes)-col, 1))
	}
	from := 0
	if col+width > excerptWidth {
		from = max(0, min(col-20, len(runes)-excerptWidth))
	}
	to := min(len(runes), from+excerptWidth)
	width = min(width, max(to-col, 1))
	text = string(runes[from:to])
	gap = strings.Repeat(" ", col-from)
	if from > 0 {
		text, gap = "…"+text, gap+" "
	}
	if to < len(runes) {
		text += "…"
	}
	return text, gap, strings.Repeat("^", width)
}

// splitLines splits as YAML counts lines.
func splitLines(src []byte) []string {
	return strings.Split(strings.ReplaceAll(strings.ReplaceAll(string(src), "\r\n", "\n"), "\r", "\n"), "\n")
}

// clampTo moves a position into a file whose lines are given; the YAML reader
// places some of its own mistakes behind the end.
func clampTo(p Pos, lines []string) Pos {
	p.Line = min(max(p.Line, 1), len(lines))
	p.Column = min(max(p.Column, 1), utf8.RuneCountInString(lines[p.Line-1])+1)
	return p
}
