package flow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/praesenz/parley/schemas"
)

// A Value is a place in a YAML file that is not a flow, read with its position,
// so that what is wrong with it can be said as a flow's mistakes are. The zero
// Value stands for what its author left out.
type Value struct{ n node }

// A Field is one entry of a mapping.
type Field struct {
	Name  string
	Key   Value // the name's own place
	Value Value
}

// ReadDocuments reads the YAML documents of a file and holds each against a
// schema. Documents that are wrong in themselves are reported and left out.
func ReadDocuments(root fs.FS, path string, schema *schemas.Schema) ([]Value, Diagnostics) {
	var ds Diagnostics
	start := at{pos: Pos{File: path, Line: 1, Column: 1}}
	text, ok := readText(root, path, "", &ds)
	switch {
	case !ok:
		return nil, ds
	case !utf8.Valid(text):
		ds.errorf(codeNotYAML, start, "save the file as UTF-8", "the file is not UTF-8 text")
		return nil, ds
	}
	lines := splitLines(text)
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var docs []Value
	for read := 0; ; read++ {
		src := &source{name: path, lines: lines}
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			if read == 0 {
				ds.errorf(codeNotYAML, start, "", "the file is empty")
			}
			break
		}
		if err != nil {
			src.syntaxError(err, &ds)
			break
		}
		if len(doc.Content) != 1 || !src.admit(doc.Content[0], 1, &ds) {
			continue
		}
		src.root = doc.Content[0]
		if broken, _ := checkStructure(src, schema, &ds); len(broken) == 0 {
			docs = append(docs, Value{node{src.root, src}})
		}
	}
	ds.sort()
	return docs, ds
}

// There says whether the author wrote it.
func (v Value) There() bool { return v.n.there() }

// Pos is where it stands.
func (v Value) Pos() Pos { return v.n.at().pos }

// Field is the entry of a mapping with that name.
func (v Value) Field(name string) Value { return Value{v.n.field(name)} }

// Fields are a mapping's entries in the author's order; of anything else, none.
func (v Value) Fields() []Field {
	var out []Field
	for _, p := range v.n.pairs() {
		out = append(out, Field{Name: p.key.Value, Key: Value{p.key.node}, Value: Value{p.val}})
	}
	return out
}

// Items are a list's values; of anything else, none.
func (v Value) Items() []Value {
	var out []Value
	for _, n := range v.n.items() {
		out = append(out, Value{n})
	}
	return out
}

// IsList says whether it is a list, also an empty one.
func (v Value) IsList() bool { return v.There() && v.n.y.Kind == yaml.SequenceNode }

// IsMap says whether it is a mapping, also an empty one.
func (v Value) IsMap() bool { return v.There() && v.n.y.Kind == yaml.MappingNode }

// Text is a scalar as its author wrote it; of anything else "".
func (v Value) Text() string { return v.n.text().Value }

// Any is the value as encoding/json decodes one, with numbers as json.Number.
func (v Value) Any() any {
	if !v.There() {
		return nil
	}
	return v.n.json()
}

// Duration is a duration like "1.5s"; 0 for anything else.
func (v Value) Duration() Duration { return v.n.duration() }

// Report adds an error about this value.
func (v Value) Report(ds *Diagnostics, code Code, hint, format string, args ...any) {
	ds.errorf(code, v.n.at(), hint, format, args...)
}

// Warn adds a warning about this value.
func (v Value) Warn(ds *Diagnostics, code Code, hint, format string, args ...any) {
	ds.warnf(code, v.n.at(), hint, format, args...)
}

// Sort orders diagnostics by position and drops what is said twice of one place.
func (ds *Diagnostics) Sort() { ds.sort() }

// DidYouMean is "; did you mean "ask"?" for a misspelt word, or "".
func DidYouMean(word string, candidates []string) string { return didYouMean(word, candidates) }

// Quoted lists words for a hint: "a", "b" or "c".
func Quoted(words []string) string { return quoted(words, "or") }

// Literals are the pieces of a prompt's text around its {placeholders}, in order:
// always one more than there are placeholders, and some may be empty.
func Literals(text string) ([]string, error) {
	tpl, bad := parseTemplate(text)
	if bad != nil {
		return nil, fmt.Errorf("prompt text: %w", bad)
	}
	literals := []string{""}
	for _, part := range tpl {
		if part.placeholder {
			literals = append(literals, "")
		} else {
			literals[len(literals)-1] += part.text
		}
	}
	return literals, nil
}
