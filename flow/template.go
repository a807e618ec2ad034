package flow

import (
	"fmt"
	"strings"
)

// part is a stretch of a prompt: literal text, or the name of a placeholder.
type part struct {
	text        string
	placeholder bool
	offset      int // of its first byte in the prompt's text
}

// A templateError is a brace out of place.
type templateError struct {
	offset  int // in bytes
	width   int // in characters
	message string
}

// Error says what is wrong.
func (e *templateError) Error() string { return e.message }

// parseTemplate splits a prompt at its {placeholders}. {{ and }} are braces.
func parseTemplate(text string) ([]part, *templateError) { return parseParts(text, isName) }

// parseParts splits a text at its {placeholders}, whose names valid knows.
func parseParts(text string, valid func(name string) bool) ([]part, *templateError) {
	var parts []part
	var lit strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case (c == '{' || c == '}') && i+1 < len(text) && text[i+1] == c:
			lit.WriteByte(c)
			i++
		case c == '{':
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return nil, &templateError{i, 1, "{ is never closed; write {{ for a brace"}
			}
			name := text[i+1 : i+end]
			if !valid(name) {
				return nil, &templateError{i, len([]rune(name)) + 2, fmt.Sprintf("{%s} is not a placeholder; write {{ for a brace", name)}
			}
			if lit.Len() > 0 {
				parts = append(parts, part{text: lit.String()})
				lit.Reset()
			}
			parts = append(parts, part{text: name, placeholder: true, offset: i})
			i += end
		case c == '}':
			return nil, &templateError{i, 1, "} has no {; write }} for a brace"}
		default:
			lit.WriteByte(c)
		}
	}
	if lit.Len() > 0 {
		parts = append(parts, part{text: lit.String()})
	}
	return parts, nil
}

// isName reports whether s can name a step, slot, var, input or placeholder:
// lower-case letters, digits and _, beginning with a letter.
func isName(s string) bool {
	for i, r := range s {
		if !(r >= 'a' && r <= 'z' || i > 0 && (r >= '0' && r <= '9' || r == '_')) {
			return false
		}
	}
	return s != ""
}
