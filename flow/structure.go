package flow

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/praesenz/parley/schemas"
)

const (
	codeUnknownField Code = "F011"
	codeMissing      Code = "F012"
	codeKind         Code = "F013"
	codeValue        Code = "F014"
	codeDuration     Code = "F015"
)

// checkStructure holds a file against its schema. It answers the ways (keys and
// indexes) to the values that are wrong in themselves, and whether there is more
// of something than a file may hold.
func checkStructure(src *source, schema *schemas.Schema, ds *Diagnostics) (broken [][]string, tooMany bool) {
	root := node{src.root, src}
	faults, misplaced, err := unknownFields(root, schema, ds)
	if err != nil {
		ds.errorf(codeKind, root.at(), "", "this cannot be checked: %v", err)
		return [][]string{nil}, false
	}
	broken = misplaced
	for _, f := range faults {
		if f.Keyword != "additionalProperties" {
			broken = append(broken, f.Instance)
			tooMany = tooMany || f.Keyword == "maxProperties" || f.Keyword == "maxItems"
			key, val := root.find(f.Instance)
			explain(f, key, val, ds)
		}
	}
	return broken, tooMany
}

// unknownFields reports the fields that the schema does not know and answers the
// faults that remain, and where a verb stands that cannot be there. A misspelt
// field is from then on read as what it most likely was, so that one mistake is
// not reported as several; hence the second look.
func unknownFields(root node, schema *schemas.Schema, ds *Diagnostics) (faults []schemas.Fault, misplaced [][]string, err error) {
	for {
		if faults, err = schema.Validate(root.json()); err != nil {
			return nil, nil, err
		}
		corrected := false
		for _, f := range faults {
			if f.Keyword != "additionalProperties" {
				continue
			}
			_, val := root.find(f.Instance)
			for _, p := range val.correct(f, ds) {
				corrected = true
				p.key.node.y.Value = p.to
			}
		}
		if corrected {
			continue
		}
		for _, f := range faults {
			if f.Keyword == "additionalProperties" {
				_, val := root.find(f.Instance)
				if val.reportUnknown(f, ds) {
					misplaced = append(misplaced, f.Instance)
				}
			}
		}
		return faults, misplaced, nil
	}
}

// A correction is what a misspelt field most likely was.
type correction struct {
	key Text
	to  string
}

// correct reports the misspelt fields of a mapping.
func (n node) correct(f schemas.Fault, ds *Diagnostics) []correction {
	props, _ := f.Rule["properties"].(map[string]any)
	known := sortedKeys(props)
	var out []correction
	taken := map[string]bool{}
	for _, p := range n.pairs() {
		name := p.key.Value
		if props[name] != nil || f.Def == "line_step" && fitsNoLine(name) {
			continue
		}
		best := nearest(name, known)
		if best == "" || taken[best] || n.field(best).there() {
			continue
		}
		taken[best] = true
		ds.errorf(codeUnknownField, p.key.at, "", "unknown field %q; did you mean %q?", name, best)
		out = append(out, correction{p.key, best})
	}
	return out
}

// reportUnknown reports the fields of a mapping that are no misspellings; true
// says that one of them is a verb that cannot be there.
func (n node) reportUnknown(f schemas.Fault, ds *Diagnostics) (misplaced bool) {
	props := fieldsOf(f)
	known := strings.Join(sortedKeys(props), ", ")
	for _, p := range n.pairs() {
		switch {
		case props[p.key.Value] != nil:
		case f.Def == "line_step" && fitsNoLine(p.key.Value):
			misplaced = true
			reportUnfit(p.key, ds)
		default:
			ds.errorf(codeUnknownField, p.key.at, "the fields here are "+known, "unknown field %q", p.key.Value)
		}
	}
	return misplaced
}

// explain says what a fault is in the author's terms.
func explain(f schemas.Fault, key Text, val node, ds *Diagnostics) {
	where, name := val.at(), "this"
	if key.Value != "" {
		name = "`" + key.Value + "`"
	}
	advice, _ := f.Rule["patternErrorMessage"].(string)
	value := val.text().Value
	switch {
	case f.Key:
		ds.errorf(codeValue, key.at, advice, "%q cannot be a name here", key.Value)
	case f.Keyword == "required":
		if key.Value != "" {
			where = key.at
		}
		for _, field := range missing(f, val) {
			ds.errorf(codeMissing, where, "", "%s needs `%s`", name, field)
		}
	case f.Keyword == "type" && val.bareBool():
		// F604 has said it.
	case f.Keyword == "type" && f.Def == "duration":
		ds.errorf(codeDuration, where, advice, "%s is a duration, but this is %s", name, val.kind())
	case f.Keyword == "type":
		if f.Rule["type"] == "array" && value != "" {
			advice = "write [" + value + "]"
		}
		if _, takesPrompt := fieldsOf(f)["prompt"]; takesPrompt && value != "" {
			advice = "write {prompt: " + value + "}"
		}
		ds.errorf(codeKind, where, advice, "%s must be %s, but this is %s", name, kinds(f.Rule["type"]), val.kind())
	case f.Keyword == "pattern" && f.Def == "duration":
		ds.errorf(codeDuration, where, advice, "%s cannot be %q", name, value)
	case f.Keyword == "pattern":
		ds.errorf(codeValue, where, advice, "%s cannot be %q", name, value)
	case f.Keyword == "enum":
		allowed := texts(f.Rule["enum"])
		hint := ""
		if nearest(value, allowed) == "" {
			hint = "write " + quoted(allowed, "or")
		}
		ds.errorf(codeValue, where, hint, "%s cannot be %q%s", name, value, didYouMean(value, allowed))
	case f.Keyword == "maxProperties" || f.Keyword == "maxItems":
		ds.errorf(codeTooBig, where, "", "%s holds too much: at most %v entries", name, f.Rule[f.Keyword])
	default: // minimum, maxItems and the like: the validator's words are clear
		ds.errorf(codeValue, where, "", "%s: %s", name, f.Message)
	}
}

// missing are the required fields that a mapping lacks.
func missing(f schemas.Fault, val node) []string {
	return slices.DeleteFunc(texts(f.Rule["required"]), func(field string) bool { return val.field(field).there() })
}

// fieldsOf are the fields that a schema's mapping has.
func fieldsOf(f schemas.Fault) map[string]any {
	fields, _ := f.Rule["properties"].(map[string]any)
	return fields
}

// texts are the strings of a schema's array.
func texts(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// kindNames are JSON's types in the author's words.
var kindNames = map[string]string{
	"object": "a mapping", "array": "a list", "string": "text", "number": "a number", "integer": "a whole number", "boolean": "true or false",
}

func kinds(v any) string {
	names := texts(v)
	if s, ok := v.(string); ok {
		names = []string{s}
	}
	for i, n := range names {
		names[i] = kindNames[n]
	}
	return strings.Join(names, " or ")
}

// kind is what a value is, in the author's words.
func (n node) kind() string {
	switch n.json().(type) {
	case nil:
		return "empty"
	case map[string]any:
		return kindNames["object"]
	case []any:
		return kindNames["array"]
	case bool:
		return kindNames["boolean"]
	case json.Number:
		return "the number " + n.y.Value
	}
	return "text"
}
