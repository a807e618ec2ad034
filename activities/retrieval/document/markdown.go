package document

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	mdext "github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
	"go.yaml.in/yaml/v3"
)

var markdown = goldmark.New(goldmark.WithExtensions(mdext.Table, mdext.Strikethrough))

func readMarkdown(d *draft, content []byte) error {
	content, err := d.readFrontMatter(content)
	if err != nil {
		return err
	}
	var headings outline
	root := markdown.Parser().Parse(text.NewReader(content))
	return ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			heading := oneLine(plain(n, content))
			if d.title == "" && n.Level == 1 {
				d.title = heading
			}
			headings.enter(n.Level, heading)
			return ast.WalkSkipChildren, nil
		case *ast.Paragraph, *ast.TextBlock:
			d.add(headings.path(), plain(n, content))
			return ast.WalkSkipChildren, nil
		case *ast.CodeBlock, *ast.FencedCodeBlock:
			d.add(headings.path(), string(n.Lines().Value(content)))
			return ast.WalkSkipChildren, nil
		case *extast.TableHeader, *extast.TableRow:
			var cells []string
			for c := n.FirstChild(); c != nil; c = c.NextSibling() {
				cells = append(cells, oneLine(plain(c, content)))
			}
			d.add(headings.path(), strings.Join(cells, ", ")+".")
			return ast.WalkSkipChildren, nil
		case *ast.HTMLBlock:
			return ast.WalkSkipChildren, nil // markup, not words for a customer
		}
		return ast.WalkContinue, nil
	})
}

// plain is a node's text without its markup.
func plain(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the walker below returns no error
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			b.Write(n.Value(source))
			if n.SoftLineBreak() || n.HardLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.String:
			b.Write(n.Value)
		case *ast.AutoLink:
			b.Write(n.Label(source))
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// An outline is the headings that lead to a place in a document.
type outline [6]string

func (o *outline) enter(level int, heading string) {
	o[level-1] = heading
	clear(o[level:])
}

func (o *outline) path() []string {
	var path []string
	for _, h := range o {
		if h != "" {
			path = append(path, h)
		}
	}
	return path
}

// readFrontMatter takes the YAML between two lines of "---" at the top: title,
// lang and tags, and every other scalar as a field, written as it stands there
// (7.50 stays 7.50). It returns what follows.
func (d *draft) readFrontMatter(content []byte) ([]byte, error) {
	rest, found := bytes.CutPrefix(content, []byte("---\n"))
	if !found {
		return content, nil
	}
	front, body, closed := bytes.Cut(rest, []byte("\n---\n"))
	if !closed {
		if front, closed = bytes.CutSuffix(bytes.TrimRight(rest, " \n"), []byte("\n---")); !closed {
			return content, nil // a thematic break, not front matter
		}
	}
	var root yaml.Node
	if err := yaml.Unmarshal(front, &root); err != nil {
		return nil, fmt.Errorf("front matter: %w", err)
	}
	if len(root.Content) == 0 {
		return body, nil
	}
	entries := root.Content[0]
	if entries.Kind != yaml.MappingNode {
		return nil, errors.New("front matter: write one `name: value` a line")
	}
	for i := 0; i+1 < len(entries.Content); i += 2 {
		name, value := entries.Content[i].Value, entries.Content[i+1]
		switch {
		case name == FieldTags:
			d.tags = scalars(value)
		case value.Kind == yaml.ScalarNode && name == "title":
			d.title = value.Value
		case value.Kind == yaml.ScalarNode && name == FieldLanguage:
			d.lang = strings.ToLower(value.Value)
		case value.Kind == yaml.ScalarNode, value.Kind == yaml.SequenceNode:
			d.fields[fieldName(name)] = strings.Join(scalars(value), ", ")
		default:
			return nil, fmt.Errorf("front matter line %d: %q must be one value or a list of values", value.Line, name)
		}
	}
	return body, nil
}

func scalars(n *yaml.Node) []string {
	if n.Kind == yaml.ScalarNode {
		var parts []string
		for part := range strings.SplitSeq(n.Value, ",") {
			if part = oneLine(part); part != "" {
				parts = append(parts, part)
			}
		}
		return parts
	}
	var values []string
	for _, item := range n.Content {
		if item.Kind == yaml.ScalarNode {
			values = append(values, oneLine(item.Value))
		}
	}
	return values
}

// fieldName makes a name that a flow can write: "Price (EUR)" becomes price_eur.
func fieldName(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r > 127)
	})
	return strings.Join(words, "_")
}
