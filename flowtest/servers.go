package flowtest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/praesenz/parley/activities"
)

// lacks fails a test whose `given` does not say what a server answers.
func (sc *script) lacks(step, what, name, example string) answer {
	e := sc.current()
	sc.fail(e, Failure{
		Message: fmt.Sprintf("step %q %s, and `given` does not say what comes back", step, what),
		Hint:    fmt.Sprintf("add %s: %s", name, example),
	})
	return answer{fails: activities.KindInvalid}
}

func (sc *script) retrieve(step string, in activities.RetrieveInput) answer {
	name := "retrieve." + in.Index
	a := sc.given[name]
	if a == nil {
		return sc.lacks(step, fmt.Sprintf("searches %q", in.Index), name, "[{text: \"Kettles are in aisle 4.\", score: 0.8}], or [] for nothing")
	}
	return sc.tell(name, step, strconv.Quote(in.Query), a.take())
}

func (sc *script) generate(in activities.GenerateInput) answer {
	step, _, _ := strings.Cut(in.Step, ".") // inside a parallel: step.branch.number
	a := sc.given["generate."+step]
	if a == nil && sc.stage.isHandoff(step) {
		return answer{value: summary}
	}
	if a == nil {
		a = sc.given["generate"]
	}
	if a == nil {
		return sc.lacks(in.Step, "asks the language model", "generate", "[\"The kettles are in aisle 4.\"]")
	}
	return sc.tell("generate", in.Step, strconv.Quote(in.Question), a.take())
}

func (sc *script) call(in activities.CallInput) answer {
	name := "call." + in.Action
	a := sc.given[name]
	if a == nil {
		return sc.lacks(in.Step, fmt.Sprintf("calls %q", in.Action), name, "{…what it answers}")
	}
	return sc.tell(name, in.Step, asText(in.Args), a.take())
}

func (sc *script) understand(in activities.UnderstandInput) answer {
	result := activities.UnderstandResult{}
	if u := sc.means; u != nil && u.means && strings.HasSuffix(" "+in.Utterance, " "+u.text) {
		result.Intent, result.Values = u.intent, u.slots
	}
	text := "nothing"
	if result.Intent != "" || result.Values != nil {
		text = strings.TrimSpace(result.Intent + " " + dataText(anyOrNil(result.Values)))
	}
	sc.stage.note("understand", in.Step, strconv.Quote(in.Utterance)+" → "+text)
	return answer{value: result}
}

func anyOrNil(m map[string]any) any {
	if m == nil {
		return nil
	}
	return m
}

// answering and annulled let the servers answer anew what was answered in vain: a
// customer who goes on has not heard it.
func (sc *script) answering(n int) {
	used := map[string]int{}
	for name, a := range sc.given {
		used[name] = a.next
	}
	sc.marks[n] = used
}

func (sc *script) annulled(n int) {
	for name, next := range sc.marks[n] {
		sc.given[name].next = next
	}
}

// tell writes a request and its answer into the conversation.
func (sc *script) tell(name, step, asked string, a answer) answer {
	text := "fails: " + a.fails
	if a.fails == "" {
		text = asText(a.value)
	}
	if a.after > 0 {
		text += " after " + a.after.String()
	}
	sc.stage.note(name, step, asked+" → "+text)
	return a
}
