package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Fault is something in the configuration that cannot be so.
type Fault struct {
	Where   string // how the setting was written: "parley.yaml:7:3: slots.llm", "PARLEY_SLOTS" or "--slots"
	Message string // what is wrong, and what to write instead
}

// An InvalidError names every fault of a configuration.
type InvalidError struct{ Faults []Fault }

// Error lists the faults, one a line.
func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.Where + ": " + f.Message
	}
	if len(lines) == 1 {
		return lines[0]
	}
	return fmt.Sprintf("%d faults in the configuration:\n  %s", len(lines), strings.Join(lines, "\n  "))
}

// A kind is how a setting is written.
type kind string

const (
	aText     kind = "string"
	aSwitch   kind = "bool"
	aNumber   kind = "int"
	aDuration kind = "duration"
	aList     kind = "list"
	aMap      kind = "map"
)

func (s Setting) kind() kind {
	switch s.into.(type) {
	case *bool:
		return aSwitch
	case *int:
		return aNumber
	case *time.Duration:
		return aDuration
	case *[]string:
		return aList
	case *map[string]int, *map[string]string:
		return aMap
	}
	return aText
}

// An item is one text of what was written: the whole of it, or one of a list's or
// a map's.
type item struct {
	where, key, text string
	wrong            string // what is wrong with its shape, where nothing else is to be said of it
}

// split takes what is written in the environment or in a flag apart: a=1,b=2.
func (s Setting) split(where, text string) []item {
	k := s.kind()
	if k != aList && k != aMap {
		return []item{{where: where, text: text}}
	}
	var items []item
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		it := item{where: where, text: part}
		if k == aMap {
			var ok bool
			if it.key, it.text, ok = strings.Cut(part, "="); !ok || it.key == "" {
				it.wrong = fmt.Sprintf("%q is not KEY=VALUE; write several as a=1,b=2", part)
			} else {
				it.where += ": " + it.key
			}
		}
		items = append(items, it)
	}
	return items
}

// set puts what was written into the Config, in place of what was there. empty
// allows an empty text.
func (s Setting) set(items []item, empty bool) []Fault {
	var faults []Fault
	each := func(check func(it item) string) {
		for _, it := range items {
			message := it.wrong
			if message == "" {
				message = check(it)
			}
			if message != "" {
				faults = append(faults, Fault{it.where, message})
			}
		}
	}
	switch into := s.into.(type) {
	case *string:
		each(func(it item) string {
			*into = it.text
			if it.text == "" && empty {
				return ""
			}
			return s.checkText(it.text)
		})
	case *Secret:
		each(func(it item) string {
			*into = Secret(it.text)
			return s.checkText(it.text)
		})
	case *bool:
		each(func(it item) string {
			*into = it.text == "true"
			if it.text != "true" && it.text != "false" {
				return fmt.Sprintf("%q is neither true nor false", it.text)
			}
			return ""
		})
	case *int:
		each(func(it item) (message string) {
			*into, message = s.number(it.text)
			return message
		})
	case *time.Duration:
		each(func(it item) (message string) {
			*into, message = s.duration(it.text)
			return message
		})
	case *[]string:
		*into = nil
		each(func(it item) string {
			if slices.Contains(*into, it.text) {
				return fmt.Sprintf("%q is there twice", it.text)
			}
			*into = append(*into, it.text)
			return s.checkText(it.text)
		})
	case *map[string]int:
		*into = map[string]int{}
		each(func(it item) string {
			n, message := s.number(it.text)
			if _, twice := (*into)[it.key]; twice {
				message = "it is there twice"
			}
			(*into)[it.key] = n
			return cmp.Or(s.checkWord(it.key), message)
		})
	case *map[string]string:
		*into = map[string]string{}
		each(func(it item) string {
			if _, twice := (*into)[it.key]; twice {
				return "it is there twice"
			}
			(*into)[it.key] = it.text
			return s.checkText(it.text)
		})
	}
	return faults
}

// checkText says what is wrong with a text, or nothing. It never repeats a secret.
func (s Setting) checkText(text string) string {
	if len(s.oneOf) > 0 {
		return s.checkWord(text)
	}
	what, like := "a text; leave the setting out for its default", ""
	switch {
	case s.form.holds != nil && !s.form.holds(text):
		what, like = s.form.what, "; write for example "+s.form.like
	case text != "" || s.Secret:
		return ""
	}
	if s.Secret {
		return "it is not " + what + like
	}
	return fmt.Sprintf("%q is not %s%s", text, what, like)
}

// checkOne is what is wrong with one value of the setting, or of its list or map.
func (s Setting) checkOne(text string) (message string) {
	switch s.into.(type) {
	case *bool:
	case *int, *map[string]int:
		_, message = s.number(text)
	case *time.Duration:
		_, message = s.duration(text)
	default:
		message = s.checkText(text)
	}
	return message
}

func (s Setting) checkWord(word string) string {
	if len(s.oneOf) == 0 || slices.Contains(s.oneOf, word) {
		return ""
	}
	return fmt.Sprintf("%q is none of %s", word, strings.Join(s.oneOf, ", "))
}

func (s Setting) number(text string) (int, string) {
	n, err := strconv.Atoi(text)
	if err != nil || int64(n) < s.min || int64(n) > s.max {
		return n, fmt.Sprintf("%q is not a whole number from %d to %d", text, s.min, s.max)
	}
	return n, ""
}

func (s Setting) duration(text string) (time.Duration, string) {
	d, err := time.ParseDuration(text)
	if err != nil || int64(d) < s.min || int64(d) > s.max {
		return d, fmt.Sprintf("%q is not a duration from %s to %s; write it with its unit, such as 30s or 5m", text, plain(s.min), plain(s.max))
	}
	return d, ""
}

// plain writes a duration without the zeros that time.Duration adds: 10m, 24h.
func plain(d int64) string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
