package flowtest

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// A Recording is a chat written down as a test that passes when it is run.
type Recording struct {
	flow, language string
	inputs         map[string]any
	now            time.Time
	given          map[string][]answer
	entries        []recorded
	unwritten      []*response // said since the last entry
	silentSince    time.Duration
	silent         bool
}

// A recorded entry is one line of a test.
type recorded struct {
	kind  string
	value any
	u     *utterance // of user
}

func newRecording(c Chat) *Recording {
	return &Recording{
		flow: c.Plan.Flow, language: c.Language, inputs: c.Inputs, now: c.Now, given: map[string][]answer{},
	}
}

func (r *Recording) said(s *response) { r.unwritten = append(r.unwritten, s) }

// begin writes what was said since the last entry.
func (r *Recording) begin(p *prompts) {
	for _, s := range r.unwritten {
		want := map[string]any{"says": s.text}
		if keys := p.keys(s.text); len(keys) > 0 {
			want = map[string]any{"prompt": keys[0]}
		}
		r.entries = append(r.entries, recorded{kind: kindKiosk, value: want})
	}
	r.unwritten = nil
}

func (r *Recording) move(p *prompts, kind string, value any) {
	r.begin(p)
	r.entries = append(r.entries, recorded{kind: kind, value: value})
}

func (r *Recording) say(p *prompts, u *utterance) {
	r.begin(p)
	r.entries = append(r.entries, recorded{kind: kindUser, u: u})
}

// interrupt writes a barge-in, which stands behind the response it interrupts.
func (r *Recording) interrupt(e entry, p *prompts) {
	r.begin(p)
	r.entries = append(r.entries, recorded{kind: kindBargeIn, value: map[string]any{"at": length(e.after), "user": e.utterance.text}})
}

// silence begins one whose length is known when the conversation next waits.
func (r *Recording) silence(s *stage) { r.silent, r.silentSince = true, s.now() }

// waited ends a silence. It lasted at least until the kiosk broke it.
func (r *Recording) waited(s *stage) {
	if !r.silent {
		return
	}
	r.silent = false
	until := s.now()
	if len(r.unwritten) > 0 {
		until = r.unwritten[0].began.Sub(s.began)
	}
	seconds := math.Floor((until - r.silentSince).Seconds()) + 1
	r.entries = append(r.entries, recorded{kind: kindSilence, value: length(time.Duration(seconds) * time.Second)})
}

func (r *Recording) leave(p *prompts) {
	r.move(p, kindLeave, map[string]any{})
}

// end writes how the conversation ended.
func (r *Recording) end(s *stage, p *prompts) {
	r.waited(s)
	r.begin(p)
	r.entries = append(r.entries, recorded{kind: kindExpect, value: map[string]any{"outcome": s.summary.Outcome}})
}

// answered keeps what a server answered to one attempt.
func (r *Recording) answered(name string, a answer) {
	a.call = !strings.HasPrefix(name, "retrieve.")
	r.given[name] = append(r.given[name], a)
}

// YAML is the recording as a test of that name.
func (r *Recording) YAML(name string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "test: %s\nflow: %s\n", scalar(name), r.flow)
	if r.language != "" {
		fmt.Fprintf(&b, "language: %s\n", scalar(r.language))
	}
	if len(r.inputs) > 0 {
		fmt.Fprintf(&b, "inputs: %s\n", inline(r.inputs))
	}
	fmt.Fprintf(&b, "now: %s\n", r.now.Format("2006-01-02T15:04:05"))
	if len(r.given) > 0 {
		b.WriteString("given:\n")
	}
	for _, name := range sortedKeys(r.given) {
		fmt.Fprintf(&b, "  %s:\n", name)
		for _, a := range r.given[name] {
			b.WriteString(a.written())
		}
	}
	b.WriteString("conversation:\n")
	for _, e := range r.entries {
		value := e.value
		if e.u != nil {
			value = e.u.written()
		}
		fmt.Fprintf(&b, "- %s: %s\n", e.kind, inline(value))
	}
	return []byte(b.String())
}

// written is an answer as an entry of a list in `given`: a search has a line for
// each passage.
func (a answer) written() string {
	found, isList := a.value.([]any)
	_, isMap := a.value.(map[string]any)
	switch {
	case a.fails != "" && a.after > 0:
		return fmt.Sprintf("  - {fails: %s, after: %s}\n", scalar(a.fails), length(a.after))
	case a.fails != "":
		return fmt.Sprintf("  - {fails: %s}\n", scalar(a.fails))
	case a.after > 0:
		return fmt.Sprintf("  - {after: %s, answer: %s}\n", length(a.after), inline(a.value))
	case isMap || isList && a.call:
		return fmt.Sprintf("  - {answer: %s}\n", inline(a.value)) // its fields or entries are its own
	case isList && len(found) > 0:
		var b strings.Builder
		dash := "  - "
		for _, p := range found {
			fmt.Fprintf(&b, "%s- %s\n", dash, inline(p))
			dash = "    "
		}
		return b.String()
	}
	return fmt.Sprintf("  - %s\n", inline(a.value))
}

// written is an utterance as a test writes it.
func (u *utterance) written() any {
	if u.confidence == usual && !u.means {
		return u.text
	}
	m := map[string]any{"text": u.text}
	if u.confidence != usual {
		m["confidence"] = u.confidence
	}
	if u.means {
		means := map[string]any{}
		if u.intent != "" {
			means["intent"] = u.intent
		}
		if len(u.slots) > 0 {
			means["slots"] = u.slots
		}
		m["means"] = means
	}
	return m
}

// inline writes a value in YAML's flow style, on one line.
func inline(v any) string {
	switch v := v.(type) {
	case string:
		return scalar(v)
	case map[string]any:
		keys := sortedKeys(v)
		slices.SortStableFunc(keys, func(a, b string) int { return rank(a) - rank(b) })
		parts := make([]string, len(keys))
		for i, k := range keys {
			parts[i] = scalar(k) + ": " + inline(v[k])
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = inline(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "null" // what came out of JSON goes back into it
	}
	return string(b)
}

// rank puts the fields that a reader looks for first.
func rank(key string) int {
	if i := slices.Index([]string{"text", "at", "name", "answer"}, key); i >= 0 {
		return i - 4
	}
	return 0
}

// scalar is text that YAML reads as such: bare where that is safe.
func scalar(s string) string {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
		if !letter && (i == 0 || (r < '0' || r > '9') && r != '.' && r != '-') {
			b, _ := json.Marshal(s) // text always can be
			return string(b)
		}
	}
	if s == "" || slices.Contains([]string{"yes", "no", "on", "off", "y", "n", "true", "false", "null", "nan", "inf"}, strings.ToLower(s)) {
		return fmt.Sprintf("%q", s)
	}
	return s
}
