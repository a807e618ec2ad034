package flow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	codeNotYAML   Code = "F001"
	codeTooBig    Code = "F002"
	codeAlias     Code = "F003"
	codeDuplicate Code = "F004"
	codeKey       Code = "F005"
	codeBareBool  Code = "F604"
)

// Bounds of a source file. A flow of 100 steps has about 30 KB and a depth of 8.
const (
	maxSourceBytes = 1 << 20
	maxDepth       = 50
)

// errTooBig is what readSource answers for a file over maxSourceBytes.
var errTooBig = errors.New("the file is larger than 1 MiB")

// A source is one file as its author sees it.
type source struct {
	name  string
	lines []string
	root  *yaml.Node // nil where the file is empty or cannot be read
}

func readSource(root fs.FS, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxSourceBytes+1))
	if err != nil {
		return nil, err
	}
	if len(src) > maxSourceBytes {
		return nil, errTooBig
	}
	return src, nil
}

// parseYAML reads one document and reports everything in it that YAML readers
// disagree about or that could be used to exhaust one.
func parseYAML(name string, text []byte, ds *Diagnostics) *source {
	src := &source{name: name, lines: splitLines(text)}
	start := at{pos: Pos{File: name, Line: 1, Column: 1}}
	if !utf8.Valid(text) {
		ds.errorf(codeNotYAML, start, "save the file as UTF-8", "the file is not UTF-8 text")
		return src
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		ds.errorf(codeNotYAML, start, "", "the file is empty")
		return src
	}
	if err != nil {
		src.syntaxError(err, ds)
		return src
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		where := at{pos: clampTo(Pos{File: name, Line: second.Line, Column: second.Column}, src.lines)}
		ds.errorf(codeAlias, where, "keep one document per file", "a second YAML document begins here; it would be ignored")
	case !errors.Is(err, io.EOF):
		src.syntaxError(err, ds)
	}
	if len(doc.Content) == 1 && src.admit(doc.Content[0], 1, ds) {
		src.root = doc.Content[0]
	}
	return src
}

var (
	yamlErrorLine   = regexp.MustCompile(`^yaml: line ([0-9]+): (.*)$`)
	yamlErrorAnchor = regexp.MustCompile(`^yaml: unknown anchor '(.*)' referenced$`)
	bareNot         = regexp.MustCompile(`\bwhen: +(!)`) // to YAML a tag, which eats the comma behind it
)

// syntaxError places what the YAML reader says. It knows the line only; where a
// tab indents a line nearby, or a bare `!` begins an expression, that is the reason.
func (s *source) syntaxError(err error, ds *Diagnostics) {
	line, message := 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlErrorLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1]) // the pattern is digits; a huge number is clamped
		message = m[2]
	}
	if m := yamlErrorAnchor.FindStringSubmatch(err.Error()); m != nil {
		for l, text := range s.lines {
			if before, _, ok := strings.Cut(text, "*"+m[1]); ok {
				where := at{pos: Pos{File: s.name, Line: l + 1, Column: 1 + utf8.RuneCountInString(before)}}
				ds.errorf(codeAlias, where, "write the value out, or quote it if it is text", "anchors and aliases (& and *) are not allowed")
				return
			}
		}
	}
	for l := max(line-1, 1); l <= min(line+1, len(s.lines)); l++ {
		text := s.lines[l-1]
		indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 {
			ds.errorf(codeNotYAML, at{pos: Pos{File: s.name, Line: l, Column: tab + 1}}, "indent with spaces", "a tab cannot indent in YAML")
			return
		}
	}
	for l := max(line-1, 1); l <= min(line+1, len(s.lines)); l++ {
		if m := bareNot.FindStringSubmatchIndex(s.lines[l-1]); m != nil {
			where := at{pos: Pos{File: s.name, Line: l, Column: 1 + utf8.RuneCountInString(s.lines[l-1][:m[2]])}}
			ds.errorf(codeNotYAML, where, "quote the whole expression", "a `!` that begins a text must be quoted in YAML")
			return
		}
	}
	pos := clampTo(Pos{File: s.name, Line: line, Column: 1}, s.lines)
	text := s.lines[pos.Line-1]
	pos.Column = 1 + len(text) - len(strings.TrimLeft(text, " "))
	ds.errorf(codeNotYAML, at{pos: pos}, "look at this line and the one before it", "this is not YAML: %s", message)
}

// bareBools are words that YAML 1.1 readers take for true and false.
var bareBools = []string{"yes", "no", "on", "off", "y", "n"}

// admit walks the tree; false means that nothing more should be made of it.
func (s *source) admit(n *yaml.Node, depth int, ds *Diagnostics) bool {
	where := s.at(n)
	switch {
	case depth > maxDepth:
		ds.errorf(codeTooBig, where, "", "this is nested more than %d deep", maxDepth)
		return false
	case n.Kind == yaml.AliasNode, n.Anchor != "":
		ds.errorf(codeAlias, where, "write the value out", "anchors and aliases (& and *) are not allowed")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		ds.errorf(codeAlias, where, "quote the value if it is text", "the tag %q is not allowed", n.Tag)
		return false
	}
	if (node{y: n}).bareBool() {
		ds.errorf(codeBareBool, where, fmt.Sprintf("quote it: %q; or write true or false", n.Value),
			"`%s` is true or false to many YAML readers", n.Value)
	}
	ok := true
	if n.Kind == yaml.MappingNode {
		first := map[string]*yaml.Node{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode || !isText(key) {
				ds.errorf(codeKey, s.at(key), "quote it", "a key must be text")
				ok = false
				continue
			}
			if prior := first[key.Value]; prior != nil {
				ds.errorf(codeDuplicate, s.at(key), "keep one", "%q is already in line %d", key.Value, prior.Line)
				continue
			}
			first[key.Value] = key
		}
	}
	for _, child := range n.Content {
		ok = s.admit(child, depth+1, ds) && ok
	}
	return ok
}

// isText reports whether a scalar is a string. A plain date is one for us: the
// language has no dates.
func isText(n *yaml.Node) bool {
	tag := n.ShortTag()
	return n.Kind == yaml.ScalarNode && (tag == "!!str" || tag == "!!timestamp" || tag == "!!merge")
}

// at is a node's place. Its end is known where the node is a scalar on one line.
func (s *source) at(n *yaml.Node) at {
	pos := clampTo(Pos{File: s.name, Line: n.Line, Column: n.Column}, s.lines)
	if n.Kind != yaml.ScalarNode || n.Value == "" || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return at{pos: pos}
	}
	width := utf8.RuneCountInString(n.Value)
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		width += 2
	}
	end := clampTo(Pos{File: s.name, Line: pos.Line, Column: pos.Column + width}, s.lines)
	return at{pos: pos, end: &end}
}

// within is the place of a character of a scalar's value, given as line (from 1)
// and column (from 0) of the value. Where the value is folded over lines, it is
// the scalar's beginning.
func (s *source) within(n *yaml.Node, line, column int) Pos {
	begin := s.at(n).pos
	switch {
	case n.Style&yaml.LiteralStyle != 0:
		first := strings.SplitN(n.Value, "\n", 2)[0]
		if begin.Line >= len(s.lines) {
			return begin
		}
		indent := strings.Index(s.lines[begin.Line], first) // of the line after the |
		if indent < 0 {
			return begin
		}
		return clampTo(Pos{File: s.name, Line: begin.Line + line, Column: 1 + indent + column}, s.lines)
	case n.Style&yaml.FoldedStyle != 0 || line > 1:
		return begin
	}
	runes := []rune(s.lines[begin.Line-1])[begin.Column-1:]
	quote := n.Style & (yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle)
	i := 0
	if quote != 0 {
		i = 1
	}
	for ; column > 0 && i < len(runes); column-- {
		switch {
		case quote == yaml.SingleQuotedStyle && runes[i] == '\'':
			i += 2 // '' is one '
		case quote == yaml.DoubleQuotedStyle && runes[i] == '\\':
			i += escapeWidth(runes[i:])
		default:
			i++
		}
	}
	if i > len(runes) || column > 0 {
		return begin // folded over lines without a style of its own
	}
	return clampTo(Pos{File: s.name, Line: begin.Line, Column: begin.Column + i}, s.lines)
}

// escapeWidth is how many characters an escape of a double-quoted scalar takes.
func escapeWidth(runes []rune) int {
	if len(runes) < 2 {
		return 1
	}
	switch runes[1] {
	case 'x':
		return 4
	case 'u':
		return 6
	case 'U':
		return 10
	}
	return 2
}
