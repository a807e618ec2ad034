// Package schemas holds the JSON Schemas (draft-07) of the files that people
// write. Editors complete and explain by them, and the flow compiler's first
// pass checks by them.
package schemas

import (
	"bytes"
	_ "embed" // the schemas are part of the binary
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// The schemas' source.
var (
	//go:embed flow.v1.json
	FlowJSON []byte
	//go:embed prompts.v1.json
	PromptsJSON []byte
	//go:embed actions.v1.json
	ActionsJSON []byte
	//go:embed store.v1.json
	StoreJSON []byte
	//go:embed test.v1.json
	TestJSON []byte
)

// A Schema is a compiled schema together with its source.
type Schema struct {
	compiled *jsonschema.Schema
	doc      any
}

// Flow is the schema of a flow file.
var Flow = sync.OnceValue(func() *Schema { return mustCompile("flow.v1.json", FlowJSON) })

// Prompts is the schema of a prompts file.
var Prompts = sync.OnceValue(func() *Schema { return mustCompile("prompts.v1.json", PromptsJSON) })

// Actions is the schema of one file of the action catalogue.
var Actions = sync.OnceValue(func() *Schema { return mustCompile("actions.v1.json", ActionsJSON) })

// Store is the schema of store.yaml.
var Store = sync.OnceValue(func() *Schema { return mustCompile("store.v1.json", StoreJSON) })

// Test is the schema of a conversation test.
var Test = sync.OnceValue(func() *Schema { return mustCompile("test.v1.json", TestJSON) })

// Sources are the schemas' texts by the kind of file that they describe.
func Sources() map[string][]byte {
	return map[string][]byte{"flow": FlowJSON, "prompts": PromptsJSON, "actions": ActionsJSON, "store": StoreJSON, "test": TestJSON}
}

// File is the name of the file that holds the schema of a kind.
func File(kind string) string { return kind + ".v1.json" }

// mustCompile panics on a broken schema: it is part of the binary, and a test
// compiles each.
func mustCompile(name string, src []byte) *Schema {
	s, err := Compile(name, src)
	if err != nil {
		panic(fmt.Sprintf("schemas: %s: %v", name, err))
	}
	return s
}

// A SchemaError says what is wrong with a schema, and where in it.
type SchemaError struct {
	Instance []string // the way to the place in the schema: keys and indexes
	Message  string
}

// Error says it without the place.
func (e *SchemaError) Error() string { return e.Message }

// Compile reads a JSON Schema (draft-07) that is complete in itself: it loads
// nothing from anywhere. The error is a *SchemaError, or JSON's.
func Compile(name string, src []byte) (*Schema, error) {
	s := &Schema{}
	if err := json.Unmarshal(src, &s.doc); err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft7
	c.LoadURL = func(url string) (io.ReadCloser, error) {
		return nil, fmt.Errorf("%s is outside this schema", url)
	}
	if err := c.AddResource(name, bytes.NewReader(src)); err != nil {
		return nil, err
	}
	compiled, err := c.Compile(name)
	if err != nil {
		return nil, schemaError(err)
	}
	s.compiled = compiled
	return s, nil
}

// schemaError is the innermost of what the compiler says.
func schemaError(err error) error {
	var broken *jsonschema.ValidationError
	if errors.As(err, &broken) {
		for len(broken.Causes) > 0 {
			broken = broken.Causes[0]
		}
		return &SchemaError{Instance: split(broken.InstanceLocation), Message: broken.Message}
	}
	var outer *jsonschema.SchemaError
	if errors.As(err, &outer) {
		err = outer.Err
	}
	return &SchemaError{Message: err.Error()}
}

// A Fault is one place where a document breaks a schema.
type Fault struct {
	Instance []string       // the way to the value in the document: keys and indexes
	Keyword  string         // the schema's keyword that is broken, such as "required"
	Rule     map[string]any // the schema object that holds the keyword
	Def      string         // the name of the definition the rule is in; empty at the top
	Key      bool           // it is the name of the field at Instance that is wrong, not its value
	Message  string         // in the validator's words
}

// Validate lists where a document (as encoding/json decodes one) breaks the
// schema, in no particular order.
func (s *Schema) Validate(doc any) ([]Fault, error) {
	err := s.compiled.Validate(doc)
	if err == nil {
		return nil, nil
	}
	broken, ok := err.(*jsonschema.ValidationError)
	if !ok {
		return nil, err
	}
	return s.leaves(broken, nil), nil
}

func (s *Schema) leaves(e *jsonschema.ValidationError, out []Fault) []Fault {
	if len(e.Causes) > 0 {
		for _, cause := range e.Causes {
			out = s.leaves(cause, out)
		}
		return out
	}
	_, pointer, _ := strings.Cut(e.AbsoluteKeywordLocation, "#")
	segments := split(pointer)
	f := Fault{Instance: split(e.InstanceLocation), Message: e.Message, Key: strings.Contains(e.KeywordLocation, "/propertyNames/")}
	at := s.doc
	for i, seg := range segments {
		if i == 1 && segments[0] == "definitions" {
			f.Def = seg
		}
		m, ok := at.(map[string]any)
		if !ok { // an array, as in allOf/0
			at = element(at, seg)
			continue
		}
		if _, isObject := m[seg].(map[string]any); !isObject || i == len(segments)-1 {
			f.Keyword, f.Rule = seg, m
		}
		at = m[seg]
	}
	return append(out, f)
}

// split takes a JSON pointer apart, which the validator also escapes as a URL.
func split(pointer string) []string {
	if pointer == "" {
		return nil
	}
	segments := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, seg := range segments {
		if plain, err := url.PathUnescape(seg); err == nil {
			seg = plain
		}
		segments[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(seg)
	}
	return segments
}

func element(v any, index string) any {
	var i int
	if list, ok := v.([]any); ok {
		if _, err := fmt.Sscanf(index, "%d", &i); err == nil && i >= 0 && i < len(list) {
			return list[i]
		}
	}
	return nil
}

// An InvalidError says why a document is no JSON Schema.
type InvalidError struct {
	Way     []string // keys and indexes to the place in the document; nil: not known
	Message string
}

func (e *InvalidError) Error() string { return e.Message }

// CheckSchema says why a document is no JSON Schema (draft-07 or what its $schema
// names), or nil. References to other documents are refused.
func CheckSchema(src []byte) *InvalidError {
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft7
	c.LoadURL = func(string) (io.ReadCloser, error) {
		return nil, errors.New("a reference to another document is not allowed")
	}
	err := c.AddResource("schema.json", bytes.NewReader(src))
	if err == nil {
		_, err = c.Compile("schema.json")
	}
	if err == nil {
		return nil
	}
	var broken *jsonschema.ValidationError
	if !errors.As(err, &broken) {
		var where *jsonschema.SchemaError
		if errors.As(err, &where) {
			err = where.Err
		}
		return &InvalidError{Message: err.Error()}
	}
	for len(broken.Causes) > 0 {
		broken = broken.Causes[0]
	}
	return &InvalidError{Way: split(broken.InstanceLocation), Message: broken.Message}
}
