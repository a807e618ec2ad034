package action

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/schemas"
)

// request makes the HTTP request of a call.
func (c *Caller) request(ctx context.Context, a *prepared, in activities.CallInput) (*http.Request, error) {
	invalid := func(err error) error {
		return activities.Permanent(activities.KindInvalid, fmt.Errorf("action %s: %w", a.Name, err))
	}
	args := in.Args
	if args == nil {
		args = map[string]any{}
	}
	if err := fits(a.args, "args", args); err != nil {
		return nil, invalid(err)
	}
	target, err := a.target(args)
	if err != nil {
		return nil, invalid(err)
	}
	var body []byte
	if a.inBody {
		rest := maps.Clone(args)
		maps.DeleteFunc(rest, func(name string, _ any) bool { return a.placed[name] })
		if body, err = json.Marshal(rest); err != nil {
			return nil, invalid(err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, a.Method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, invalid(errors.New("the request cannot be made of its URL"))
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "parley")
	if in.Language != "" {
		req.Header.Set("Accept-Language", in.Language)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if a.IdempotencyHeader != "" {
		req.Header.Set(a.IdempotencyHeader, in.Key)
	}
	for name, template := range a.headers {
		value, err := flow.Expand(template, func(name string) (string, error) {
			return c.secrets.read(strings.TrimPrefix(name, "secret."))
		})
		if err != nil {
			// It was there when the worker started, or the catalogue is newer than the
			// deployment; either may be mended before the next attempt.
			return nil, activities.Retryable(activities.KindAway, fmt.Errorf("action %s: header %s: %w", a.Name, name, err))
		}
		req.Header.Set(name, value)
	}
	return req, nil
}

// target is the URL of a call. Whatever the arguments are, it stays below the
// service's own URL.
func (a *prepared) target(args map[string]any) (*url.URL, error) {
	path, err := flow.Expand(a.Path, func(name string) (string, error) {
		text, ok, err := textOf(name, args)
		if err == nil && (!ok || text == "") {
			err = fmt.Errorf("args.%s is empty, and the path needs it", name)
		}
		return url.PathEscape(text), err
	})
	if err != nil {
		return nil, err
	}
	if err := checkPath(path); err != nil {
		return nil, err
	}
	query := url.Values{}
	for _, field := range slices.Sorted(maps.Keys(a.Query)) {
		absent := false
		value, err := flow.Expand(a.Query[field], func(name string) (string, error) {
			text, ok, err := textOf(name, args)
			absent = absent || !ok
			return text, err
		})
		if err != nil {
			return nil, err
		}
		if !absent {
			query.Set(field, value)
		}
	}
	u, err := url.Parse(a.base.String() + path)
	if err != nil {
		return nil, errors.New("its path is no part of a URL; mend the % in the catalogue's `path`")
	}
	u.RawQuery = query.Encode()
	return u, nil
}

// checkPath refuses a path that a server, or a proxy before it that decodes more
// than it should, would resolve to another one.
func checkPath(escaped string) error {
	for segment := range strings.SplitSeq(strings.TrimPrefix(escaped, "/"), "/") {
		plain, err := url.PathUnescape(segment)
		if err != nil {
			return errors.New("its path is no part of a URL; mend the % in the catalogue's `path`")
		}
		for part := range strings.FieldsFuncSeq(plain, func(r rune) bool { return r == '/' || r == '\\' }) {
			if part == "." || part == ".." {
				return errors.New("an argument would lead to another path: `.` and `..` cannot be part of one")
			}
		}
	}
	return nil
}

// textOf is an argument as it stands in a path or query; ok is false when it was
// not passed.
func textOf(name string, args map[string]any) (text string, ok bool, err error) {
	switch v := args[name].(type) {
	case nil:
		return "", false, nil
	case string:
		return v, true, nil
	case bool:
		return strconv.FormatBool(v), true, nil
	case float64: // whatever number it was in the flow, it came as JSON
		return strconv.FormatFloat(v, 'f', -1, 64), true, nil
	}
	return "", false, fmt.Errorf("args.%s is an object or a list; a path or query takes only text, a number or a boolean", name)
}

// fits holds a value to a schema. Its error names the places and the rules, never
// the value: that may be what a customer said.
func fits(s *schemas.Schema, what string, v any) error {
	faults, err := s.Validate(v)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	var broken []string
	for _, f := range faults {
		place := strings.Join(append([]string{what}, f.Instance...), ".")
		rule := f.Keyword
		switch limit := f.Rule[f.Keyword].(type) {
		case string, float64:
			rule = fmt.Sprintf("%s: %v", f.Keyword, limit)
		case []any:
			if f.Keyword == "required" {
				rule = f.Message // which names those that are missing
			}
		}
		broken = append(broken, fmt.Sprintf("%s breaks `%s`", place, rule))
	}
	if len(broken) == 0 {
		return nil
	}
	slices.Sort(broken)
	return errors.New(strings.Join(slices.Compact(broken), "; ") + " (the schema in the catalogue)")
}
