package flowtest

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/workflows"
)

// matches says whether a response is what a `kiosk` entry names.
func (sc *script) matches(e entry, r *response) bool {
	if !e.val.IsMap() {
		return textMatches(e.val.Text(), r.text)
	}
	for _, f := range e.val.Fields() {
		want := f.Value.Text()
		ok := true
		switch f.Name {
		case "prompt":
			ok = sc.prompts.is(want, r.text)
		case "says":
			ok = textMatches(want, r.text)
		case "step":
			ok = r.Step == want
		case "barge_in":
			ok = r.BargeIn == want
		case "avatar":
			ok = r.Gesture == want
		case "screen":
			ok = screenMatches(f.Value, r.Screen)
		}
		if !ok {
			return false
		}
	}
	return true
}

// textMatches compares with a piece of text, or with /a regular expression/.
func textMatches(want, got string) bool {
	if pattern, ok := asPattern(want); ok {
		re, err := regexp.Compile(pattern)
		return err == nil && re.MatchString(got)
	}
	return strings.Contains(got, want)
}

func asPattern(s string) (string, bool) {
	if len(s) > 2 && s[0] == '/' && s[len(s)-1] == '/' {
		return s[1 : len(s)-1], true
	}
	return "", false
}

func screenMatches(want flow.Value, s *activities.Screen) bool {
	if s == nil {
		return false
	}
	for _, f := range want.Fields() {
		ok := true
		switch f.Name {
		case "title":
			ok = textMatches(f.Value.Text(), s.Title)
		case "text":
			ok = textMatches(f.Value.Text(), s.Text)
		case "alt":
			ok = textMatches(f.Value.Text(), s.Alt)
		case "picture":
			ok = s.Picture == f.Value.Text()
		case "map":
			ok = s.Map == f.Value.Text()
		case "mark":
			ok = s.Mark == f.Value.Text()
		case "buttons":
			var values, wants []string
			for _, b := range s.Buttons {
				values = append(values, b.Value)
			}
			for _, v := range f.Value.Items() {
				wants = append(wants, v.Text())
			}
			ok = slices.Equal(values, wants)
		}
		if !ok {
			return false
		}
	}
	return true
}

// unsaid says what was said instead.
func (sc *script) unsaid(e entry) Failure {
	f := Failure{Expected: sc.wanted(e), Got: "the kiosk said nothing more"}
	f.Message = "the kiosk did not say this"
	var said []string
	for _, r := range sc.stage.said[min(sc.from, len(sc.stage.said)):] {
		line := fmt.Sprintf("%q at step %q", r.text, r.Step)
		if keys := sc.prompts.keys(r.text); len(keys) > 0 {
			line += " (prompt " + strings.Join(keys, ", ") + ")"
		}
		said = append(said, line)
	}
	if len(said) > 0 {
		f.Got = "the kiosk said " + strings.Join(said, "\nthen ")
	}
	for _, r := range sc.stage.said[:min(sc.from, len(sc.stage.said))] {
		if sc.matches(e, r) {
			f.Hint = fmt.Sprintf("it was said earlier, after %s: each `kiosk` looks only at what was said since the customer's last turn and behind the `kiosk` before it",
				clock(r.began.Sub(sc.stage.began)))
		}
	}
	return f
}

// wanted is what a `kiosk` entry names, in words.
func (sc *script) wanted(e entry) string {
	if !e.val.IsMap() {
		return fmt.Sprintf("something with %q", e.val.Text())
	}
	var parts []string
	for _, f := range e.val.Fields() {
		switch f.Name {
		case "prompt":
			parts = append(parts, fmt.Sprintf("prompt %s, %q", f.Value.Text(), sc.prompts.text(f.Value.Text(), sc.stage.last.Language)))
		case "screen":
			parts = append(parts, "screen "+asText(plain(f.Value.Any())))
		default:
			parts = append(parts, f.Name+" "+fmt.Sprintf("%q", f.Value.Text()))
		}
	}
	return strings.Join(parts, ", ")
}

// expect compares what an `expect` entry says with what the conversation knows;
// sum is there when it has ended.
func (sc *script) expect(e entry, st workflows.Status, sum *workflows.Summary) {
	for _, f := range e.val.Fields() {
		var err error
		switch f.Name {
		case "step":
			err = equal(f.Value.Text(), st.Step)
		case "flow":
			err = equal(f.Value.Text(), st.Flow)
		case "language":
			err = equal(f.Value.Text(), st.Language)
		case "turns":
			err = equal(plain(f.Value.Any()), float64(st.Turns))
		case "outcome":
			err = expectOutcome(f.Value, sum)
		case "heard":
			err = expectHeard(f.Value.Text(), sc.stage.said)
		case "slots":
			err = expectValues(f.Value, st.Slots)
		case "vars":
			err = expectValues(f.Value, st.Vars)
		case "visited":
			err = expectVisited(f.Value, st)
		case "called":
			err = expectCalled(f.Value, sc.stage.calls)
		}
		var d difference
		if errors.As(err, &d) {
			at := entry{at: f.Key}
			name := strings.TrimSuffix(f.Name+"."+d.name, ".")
			sc.fail(at, Failure{Message: name + " is not as expected", Expected: d.want, Got: d.got})
			return
		}
	}
	sc.next++
}

// A difference is between what is expected and what is.
type difference struct{ name, want, got string }

// Error says it on one line.
func (d difference) Error() string { return fmt.Sprintf("%s: want %s, got %s", d.name, d.want, d.got) }

func equal(want, got any) error {
	if !reflect.DeepEqual(want, got) {
		return difference{want: shown(want), got: shown(got)}
	}
	return nil
}

// shown writes a value so that text can be told from what is none.
func shown(v any) string {
	if v == nil {
		return "nothing"
	}
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	return asText(v)
}

func expectOutcome(v flow.Value, sum *workflows.Summary) error {
	want, got := v.Any(), any(nil)
	if sum != nil {
		got = sum.Outcome
	}
	if want == got {
		return nil
	}
	d := difference{want: shown(want), got: shown(got)}
	if want == nil {
		d.want = "that it goes on"
	}
	if got == nil {
		d.got = "it has not ended"
	}
	return d
}

func expectHeard(want string, said []*response) error {
	for _, r := range slices.Backward(said) {
		if r.cut {
			if textMatches(want, r.heard) {
				return nil
			}
			return difference{want: shown(want), got: shown(r.heard)}
		}
	}
	return difference{want: shown(want), got: "no response was interrupted"}
}

// expectValues compares the values that matter.
func expectValues(v flow.Value, have map[string]any) error {
	for _, f := range v.Fields() {
		want, got := plain(f.Value.Any()), have[f.Name]
		if !contains(got, want) {
			return difference{f.Name, shown(want), shown(got)}
		}
	}
	return nil
}

// contains compares; of an object only the wanted members matter.
func contains(got, want any) bool {
	w, ok := want.(map[string]any)
	if !ok {
		return reflect.DeepEqual(got, want)
	}
	g, ok := got.(map[string]any)
	if !ok {
		return false
	}
	for name, value := range w {
		if !contains(g[name], value) {
			return false
		}
	}
	return true
}

func expectVisited(v flow.Value, st workflows.Status) error {
	visited := visitedSteps(st.Taken)
	visited[st.Step] = true
	for _, item := range v.Items() {
		if !visited[item.Text()] {
			return difference{want: shown(item.Text()), got: "it was not visited"}
		}
	}
	return nil
}

// visitedSteps are the steps that were left by some way.
func visitedSteps(taken map[string]int) map[string]bool {
	steps := map[string]bool{}
	for way := range taken {
		_, step, _ := strings.Cut(way, "/")
		step, _, _ = strings.Cut(step, ">")
		steps[step] = true
	}
	return steps
}

func expectCalled(v flow.Value, calls []activities.CallInput) error {
	for _, f := range v.Fields() {
		var last *activities.CallInput
		for i := range calls {
			if calls[i].Action == f.Name {
				last = &calls[i]
			}
		}
		want := plain(f.Value.Any())
		switch {
		case want == nil && last != nil:
			return difference{f.Name, "that it is not called", asText(last.Args)}
		case want == nil:
		case last == nil:
			return difference{f.Name, asText(want), "it was not called"}
		case !contains(any(throughJSON(last.Args)), want):
			return difference{f.Name, asText(want), asText(last.Args)}
		}
	}
	return nil
}

// clock writes a virtual time as minutes and seconds.
func clock(d time.Duration) string {
	return fmt.Sprintf("%d:%04.1f", int(d.Minutes()), (d % time.Minute).Seconds())
}
