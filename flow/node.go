package flow

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A node is a place in a source file from which the syntax tree is read. The
// zero node stands for what the author left out. The schema has already spoken
// about values of the wrong kind, so reading one gives the zero value.
type node struct {
	y   *yaml.Node
	src *source
}

func (n node) there() bool { return n.y != nil }

func (n node) at() at {
	if n.y == nil {
		return at{}
	}
	return n.src.at(n.y)
}

// A pair is one entry of a mapping.
type pair struct {
	key Text
	val node
}

// pairs are a mapping's entries in the author's order.
func (n node) pairs() []pair {
	if n.y == nil || n.y.Kind != yaml.MappingNode {
		return nil
	}
	out := make([]pair, 0, len(n.y.Content)/2)
	for i := 0; i+1 < len(n.y.Content); i += 2 {
		out = append(out, pair{key: node{n.y.Content[i], n.src}.text(), val: node{n.y.Content[i+1], n.src}})
	}
	return out
}

func (n node) field(name string) node {
	if n.y == nil || n.y.Kind != yaml.MappingNode {
		return node{}
	}
	for i := 0; i+1 < len(n.y.Content); i += 2 {
		if n.y.Content[i].Value == name {
			return node{n.y.Content[i+1], n.src}
		}
	}
	return node{}
}

func (n node) items() []node {
	if n.y == nil || n.y.Kind != yaml.SequenceNode {
		return nil
	}
	out := make([]node, len(n.y.Content))
	for i, y := range n.y.Content {
		out[i] = node{y, n.src}
	}
	return out
}

// text is a scalar as its author wrote it; a number or bool is its source text,
// which is what an expression wants.
func (n node) text() Text {
	if n.y == nil || n.y.Kind != yaml.ScalarNode || n.y.ShortTag() == "!!null" {
		return Text{at: n.at()} // a place to point at, and nothing to read
	}
	return Text{Value: n.y.Value, at: n.src.at(n.y), node: n}
}

// null reports whether the author wrote a value and it is null.
func (n node) null() bool { return n.y != nil && n.y.ShortTag() == "!!null" }

func (n node) texts() []Text {
	var out []Text
	for _, item := range n.items() {
		out = append(out, item.text())
	}
	return out
}

// boolean is a bool; a bare yes is one too, as its author meant, although F604
// has said what is wrong with it.
func (n node) boolean() bool {
	if n.y == nil || n.y.Kind != yaml.ScalarNode {
		return false
	}
	return n.y.ShortTag() == "!!bool" && strings.EqualFold(n.y.Value, "true") ||
		n.bareBool() && slices.Contains([]string{"yes", "on", "y"}, strings.ToLower(n.y.Value))
}

func (n node) integer() int {
	if n.y == nil {
		return 0
	}
	i, _ := strconv.Atoi(n.y.Value) // the schema has reported anything else
	return i
}

func (n node) float() float64 {
	if n.y == nil {
		return 0
	}
	f, _ := strconv.ParseFloat(n.y.Value, 64) // the schema has reported anything else
	return f
}

func (n node) duration() Duration {
	if n.y == nil {
		return 0
	}
	d, _ := time.ParseDuration(n.y.Value) // the schema has reported anything else
	return Duration(d)
}

// json is the tree as encoding/json would decode it, for the schema.
func (n node) json() any {
	switch n.y.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.y.Content)/2)
		for _, p := range n.pairs() {
			m[p.key.Value] = p.val.json()
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.y.Content))
		for _, item := range n.items() {
			list = append(list, item.json())
		}
		return list
	}
	switch v := n.y.Value; n.y.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(v, "true")
	case "!!int", "!!float":
		if json.Valid([]byte(v)) {
			return json.Number(v)
		}
	}
	return n.y.Value // also for 0x1F and .inf: no field takes them, nor text there
}

// bareBool reports whether this is an unquoted yes, no, on or off.
func (n node) bareBool() bool {
	return n.y != nil && n.y.Kind == yaml.ScalarNode && n.y.Style == 0 && slices.Contains(bareBools, strings.ToLower(n.y.Value))
}

// find follows keys and indexes to a value, and to the key that names it.
func (n node) find(way []string) (key Text, val node) {
	val = n
	for _, seg := range way {
		if items := val.items(); items != nil {
			if i, err := strconv.Atoi(seg); err == nil && i < len(items) {
				val = items[i]
			}
			continue
		}
		for _, p := range val.pairs() {
			if p.key.Value == seg {
				key, val = p.key, p.val
				break
			}
		}
	}
	return key, val
}

// Text is a scalar and its place in the source.
type Text struct {
	Value string
	at    at
	node  node
}

// span is the place of a piece of the text's value: line from 1, column from 0,
// width in characters.
func (t Text) span(line, column, width int) at {
	if t.node.y == nil {
		return t.at
	}
	where := at{pos: t.node.src.within(t.node.y, line, column)}
	if end := t.node.src.within(t.node.y, line, column+width); end.Line == where.pos.Line && end.Column > where.pos.Column {
		where.end = &end
	}
	return where
}
