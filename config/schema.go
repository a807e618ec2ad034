package config

import "encoding/json"

// SchemaJSON is the JSON Schema (draft-07) of the file of settings. It takes what
// CheckFile takes; only CheckFile also knows the limits of durations, and looks at
// addresses as they are used.
func SchemaJSON() ([]byte, error) {
	properties := map[string]any{}
	for _, s := range Settings() {
		if !s.Secret {
			properties[s.Key] = s.schema()
		}
	}
	b, err := json.MarshalIndent(map[string]any{
		"$schema":              "http://json-schema.org/draft-07/schema#",
		"title":                "Parley's settings",
		"description":          "The file that --config or PARLEY_CONFIG names. One file may hold the settings of all commands.",
		"type":                 "object",
		"additionalProperties": false,
		"properties":           properties,
	}, "", "  ")
	return append(b, '\n'), err
}

// durationPattern is Go's durations, without a sign.
const durationPattern = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`

func (s Setting) schema() map[string]any {
	text := map[string]any{"type": "string"}
	if len(s.oneOf) > 0 {
		text["enum"] = s.oneOf
	} else if s.form.pattern != "" {
		text["pattern"] = s.form.pattern
	}
	number := map[string]any{"type": "integer", "minimum": s.min, "maximum": s.max}
	of := text
	switch s.into.(type) {
	case *bool:
		of = map[string]any{"type": "boolean"}
	case *int:
		of = number
	case *[]string:
		of = map[string]any{"type": "array", "items": text, "uniqueItems": true}
	case *map[string]int:
		of = map[string]any{"type": "object", "propertyNames": map[string]any{"enum": s.oneOf}, "additionalProperties": number}
	case *map[string]string:
		of = map[string]any{"type": "object", "additionalProperties": text}
	default:
		switch {
		case s.kind() == aDuration:
			text["pattern"] = durationPattern
		case s.none || s.Default == "":
			if p, ok := text["pattern"]; ok {
				text["pattern"] = "^$|" + p.(string)
			}
		case text["pattern"] == nil && text["enum"] == nil:
			text["minLength"] = 1
		}
	}
	of["description"] = s.Help
	if d := s.defaultValue(); d != nil {
		of["default"] = d
	}
	return of
}

// defaultValue is the default as it is written in the file; nil: there is none.
func (s Setting) defaultValue() any {
	if s.Default == "" {
		return nil
	}
	switch s.kind() {
	case aSwitch:
		return s.Default == "true"
	case aNumber:
		return json.Number(s.Default)
	}
	return s.Default
}
