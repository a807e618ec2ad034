package flowtest

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/schemas"
)

// A Test is one conversation with a flow, as its author wrote it.
type Test struct {
	Name     string
	Flow     string // a file in flows/, without .yaml
	Language string // the page's choice; "" for none
	Inputs   map[string]any
	Now      time.Time // the store's own time at the start, in UTC
	Pos      flow.Pos  // of the test's name

	given   map[string]*answers
	entries []entry
	doc     flow.Value
}

// defaultNow is when a test takes place that does not say: a Monday morning.
var defaultNow = time.Date(2026, time.January, 5, 10, 0, 0, 0, time.UTC)

// What an entry of a conversation is.
const (
	kindKiosk   = "kiosk"
	kindSilence = "silence"
	kindUser    = "user"
	kindTyped   = "typed"
	kindTouch   = "touch"
	kindNoise   = "noise"
	kindBargeIn = "barge_in"
	kindStaff   = "staff"
	kindEvent   = "event"
	kindLeave   = "leave"
	kindExpect  = "expect"
)

// An entry is one thing that happens, or that is expected.
type entry struct {
	kind string
	at   flow.Value // the entry's name, to point at
	val  flow.Value

	text  string        // of typed and touch
	after time.Duration // of silence; of barge_in: since the response began; of staff: until they answer

	utterance *utterance // of user, and of barge_in by voice
	typed     bool       // of barge_in: text is typed
	touched   bool       // of barge_in: text is a button's value
	accept    bool       // of staff
	by        string     // of staff
	event     string     // of event
	data      any        // of event
}

// An utterance is what a customer says, and what a language model would make of
// it.
type utterance struct {
	text       string
	parts      []part // of text, with pauses before each but the first
	confidence float64
	intent     string
	slots      map[string]any
	means      bool // intent and slots are the model's answer; else it understands nothing
}

// A part is what a customer says without a pause.
type part struct {
	after time.Duration // the pause before it
	text  string
}

// Read reads the tests of a file. What cannot be read is reported; the tests
// beside it are still there.
func Read(root fs.FS, path string) ([]*Test, flow.Diagnostics) {
	docs, ds := flow.ReadDocuments(root, path, schemas.Test())
	var tests []*Test
	for _, doc := range docs {
		tests = append(tests, read(doc, &ds))
	}
	ds.Sort()
	return tests, ds
}

func read(doc flow.Value, ds *flow.Diagnostics) *Test {
	t := &Test{
		Name: doc.Field("test").Text(), Flow: doc.Field("flow").Text(), Language: doc.Field("language").Text(),
		Inputs: plainMap(doc.Field("inputs")), Now: defaultNow, Pos: doc.Field("test").Pos(), doc: doc,
		given: map[string]*answers{},
	}
	if now := doc.Field("now"); now.There() {
		var err error
		if t.Now, err = readTime(now.Text()); err != nil {
			now.Report(ds, codeTime, "", "there is no such time as %q", now.Text())
		}
	}
	for _, f := range doc.Field("given").Fields() {
		t.given[f.Name] = readAnswers(f, ds)
	}
	for _, item := range doc.Field("conversation").Items() {
		fields := item.Fields()
		if len(fields) != 1 {
			item.Report(ds, codeEntry, "begin each with a dash of its own", "an entry is exactly one thing that happens or is expected; this has %d", len(fields))
			continue
		}
		t.entries = append(t.entries, readEntry(fields[0], ds))
	}
	return t
}

func readTime(s string) (t time.Time, err error) {
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err = time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return defaultNow, err
}

func readEntry(f flow.Field, ds *flow.Diagnostics) entry {
	e := entry{kind: f.Name, at: f.Key, val: f.Value}
	switch f.Name {
	case kindSilence:
		e.after = f.Value.Duration().D()
	case kindUser:
		e.utterance = readUtterance(f.Value, ds)
	case kindTyped, kindTouch:
		e.text = f.Value.Text()
	case kindBargeIn:
		e.after = f.Value.Field("at").Duration().D()
		switch {
		case f.Value.Field("typed").There():
			e.text, e.typed = f.Value.Field("typed").Text(), true
		case f.Value.Field("touch").There():
			e.text, e.touched = f.Value.Field("touch").Text(), true
		default:
			e.utterance = readUtterance(f.Value.Field("user"), ds)
		}
	case kindStaff:
		answer := f.Value.Text()
		if f.Value.IsMap() {
			answer, e.by = f.Value.Field("answer").Text(), f.Value.Field("by").Text()
			e.after = f.Value.Field("after").Duration().D()
		}
		if e.by == "" {
			e.by = "staff"
		}
		e.accept = answer == "accept"
	case kindEvent:
		e.event, e.data = f.Value.Field("name").Text(), plain(f.Value.Field("data").Any())
	}
	return e
}

// usual is how sure a recogniser is of clear speech.
const usual = 0.95

func readUtterance(v flow.Value, ds *flow.Diagnostics) *utterance {
	if !v.IsMap() {
		return clearly(readParts(v, ds)...)
	}
	u := clearly(readParts(v.Field("text"), ds)...)
	if c := v.Field("confidence"); c.There() {
		u.confidence, _ = plain(c.Any()).(float64) // the schema has reported anything else
	}
	if means := v.Field("means"); means.There() {
		u.means, u.intent, u.slots = true, means.Field("intent").Text(), plainMap(means.Field("slots"))
	}
	return u
}

// clearly is an utterance of which the recogniser is sure.
func clearly(parts ...part) *utterance {
	var words []string
	for _, p := range parts {
		words = append(words, p.text)
	}
	return &utterance{text: strings.Join(words, " "), parts: parts, confidence: usual}
}

// readParts reads words, or words and pauses in turn.
func readParts(v flow.Value, ds *flow.Diagnostics) []part {
	if !v.IsList() {
		return []part{{text: v.Text()}}
	}
	var parts []part
	var pause time.Duration
	for i, item := range v.Items() {
		if i%2 == 0 {
			parts = append(parts, part{after: pause, text: item.Text()})
		} else if pause = item.Duration().D(); pause <= 0 {
			item.Report(ds, codePause, "write words and pauses in turn, like [where are, 300ms, the kettles]", "%q is where a pause is expected", item.Text())
		}
	}
	if len(v.Items())%2 == 0 {
		v.Report(ds, codePause, "end with what the customer goes on with", "nothing is said after the last pause")
	}
	return parts
}

// shown is an utterance with its pauses, for people.
func (u *utterance) shown() string {
	text := u.parts[0].text
	for _, p := range u.parts[1:] {
		text += fmt.Sprintf(" … %s … %s", p.after, p.text)
	}
	return text
}

// plain gives numbers the type that they have after a journey through JSON.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		f, _ := v.Float64() // the YAML reader saw a number
		return f
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = plain(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plain(e)
		}
		return out
	}
	return v
}

func plainMap(v flow.Value) map[string]any {
	m, _ := plain(v.Any()).(map[string]any)
	return m
}
