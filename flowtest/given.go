package flowtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
)

// An answer is what one attempt of one request gets.
type answer struct {
	value any           // as encoding/json decodes it
	fails string        // the kind of failure; then there is no value
	after time.Duration // how long it takes; 0: what is usual
	call  bool          // of a recording: a list is one value, not the passages of a search
}

// answers are taken one after the other, the last one for ever after.
type answers struct {
	list []answer
	next int
}

func (a *answers) take() answer {
	got := a.list[min(a.next, len(a.list)-1)]
	a.next++
	return got
}

// anew gives the same answers from the beginning.
func (a *answers) anew() *answers { return &answers{list: a.list} }

func readAnswers(f flow.Field, ds *flow.Diagnostics) *answers {
	a := &answers{}
	several := f.Value.IsList()
	if strings.HasPrefix(f.Name, "retrieve.") && several && !slices.ContainsFunc(f.Value.Items(), isSearch) {
		several = false // one list of passages is one search
	}
	if !several {
		a.list = readAnswer(f.Value, ds)
		return a
	}
	for _, item := range f.Value.Items() {
		a.list = append(a.list, readAnswer(item, ds)...)
	}
	if len(a.list) == 0 {
		a.list = []answer{{value: []any{}}}
	}
	return a
}

// isSearch tells the answer to one search from a single passage.
func isSearch(v flow.Value) bool {
	return v.IsList() || v.Field("fails").There() || v.Field("answer").There()
}

// readAnswer reads a value, {answer: value, after: 1s} or {fails: kind, times: n,
// then: answer}.
func readAnswer(v flow.Value, ds *flow.Diagnostics) []answer {
	fails, wrapped := v.Field("fails"), v.Field("answer")
	if !fails.There() && !wrapped.There() {
		return []answer{{value: plain(v.Any())}}
	}
	for _, f := range v.Fields() {
		if !slices.Contains([]string{"answer", "fails", "after", "times", "then"}, f.Name) {
			f.Key.Report(ds, codeAnswer, "the fields of an answer are answer, after, fails, times and then", "unknown field %q", f.Name)
		}
	}
	var after time.Duration
	if a := v.Field("after"); a.There() {
		if after = a.Duration().D(); after <= 0 {
			a.Report(ds, codeAnswer, "a duration is written like 500ms, 1.5s or 2m", "`after` cannot be %q", a.Text())
		}
	}
	first := answer{after: after, fails: fails.Text()}
	if wrapped.There() {
		first.value = plain(wrapped.Any())
	}
	times := 1
	if n := v.Field("times"); n.There() {
		if f, ok := plain(n.Any()).(float64); ok && f >= 1 && f <= 100 && f == float64(int(f)) {
			times = int(f)
		} else {
			n.Report(ds, codeAnswer, "write a whole number from 1 to 100", "`times` cannot be %q", n.Text())
		}
	}
	list := slices.Repeat([]answer{first}, times)
	if then := v.Field("then"); then.There() {
		list = append(list, readAnswer(then, ds)...)
	}
	return list
}

// failure is the error that a server's kind of failure comes as.
func failure(kind string) error {
	err := fmt.Errorf("the test says that it fails: %s", kind)
	switch kind {
	case activities.KindTimeout, activities.KindAway:
		return activities.Retryable(kind, err)
	}
	return activities.Permanent(kind, err)
}

// passages reads the answer to a search. What a passage has beside its own
// fields are its document's fields.
func passages(v any) ([]activities.Passage, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, errors.New("the answer to a search is a list of passages, like [{text: \"Kettles are in aisle 4.\", score: 0.8}]")
	}
	out := make([]activities.Passage, 0, len(list))
	for i, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("passage %d must be a mapping, like {text: \"Kettles are in aisle 4.\", score: 0.8}", i+1)
		}
		p := activities.Passage{ID: fmt.Sprintf("p%d", i+1), Score: 0.8}
		for name, value := range m {
			text := asText(value)
			switch name {
			case "id":
				p.ID = text
			case "source":
				p.Source = text
			case "title":
				p.Title = text
			case "text":
				p.Text = text
			case "score":
				if p.Score, ok = value.(float64); !ok {
					return nil, fmt.Errorf("passage %d: `score` must be a number from 0 to 1", i+1)
				}
			default:
				if p.Fields == nil {
					p.Fields = map[string]string{}
				}
				p.Fields[name] = text
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// asText writes a value on one line.
func asText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
