package flow

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

// longFlow is a flow of n steps with expressions, prompts and every verb.
func longFlow(n int) fstest.MapFS {
	var flow, prompts strings.Builder
	flow.WriteString(`api: parley.flow/v1
flow: long
version: 1.0.0
languages: {default: en, supported: [en, de]}
prompts: prompts
slots:
  question: {type: text, ask_anew: true}
vars: {hits: list(passage), answer: string, count: int}
defaults:
  no_input: {say: [p0], then: bye}
  no_match: {say: [p0], then: bye}
start: s0
steps:
  bye: {end: {prompt: p0, outcome: resolved}}
`)
	for i := range n - 1 {
		next := fmt.Sprintf("s%d", i+1)
		if i == n-2 {
			next = "bye"
		}
		fmt.Fprintf(&prompts, "p%d: This is prompt number %d.\n", i, i)
		switch i % 5 {
		case 0:
			fmt.Fprintf(&flow, "  s%d: {collect: {slot: question, prompt: p%d}, next: %s}\n", i, i, next)
		case 1:
			fmt.Fprintf(&flow, "  s%d: {retrieve: {index: store, query: slots.question, into: hits}, catch: {error: bye}, next: %s}\n", i, next)
		case 2:
			fmt.Fprintf(&flow, "  s%d: {branch: [{when: 'size(vars.hits) > 0 && vars.hits[0].score > 0.3', to: %s}, {else: bye}]}\n", i, next)
		case 3:
			fmt.Fprintf(&flow, "  s%d: {generate: {template: p%d, question: slots.question, into: answer, grounded_in: hits}, next: %s}\n", i, i, next)
		case 4:
			fmt.Fprintf(&flow, "  s%d: {set: {count: 'size(vars.hits) + %d'}, next: %s}\n", i, i, next)
		}
	}
	text := prompts.String()
	return fstest.MapFS{"flow.yaml": {Data: []byte(flow.String())}, "prompts/en.yaml": {Data: []byte(text)}, "prompts/de.yaml": {Data: []byte(text)}}
}

// BenchmarkCheck checks a flow of 100 steps; the bar is 20 ms.
func BenchmarkCheck(b *testing.B) {
	src := Source{FS: longFlow(100), Path: "flow.yaml", Collections: []string{"store"}}
	if errs := Check(src).Errors(); len(errs) > 0 {
		b.Fatal(errs)
	}
	for b.Loop() {
		Check(src)
	}
}

// BenchmarkNewProgram prepares the plan of a flow of 100 steps, which each
// conversation does once.
func BenchmarkNewProgram(b *testing.B) {
	plan, err := Compile(Source{FS: longFlow(100), Path: "flow.yaml"})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := NewProgram(plan); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCheckMistakes checks the flow of TestTwentyMistakes.
func BenchmarkCheckMistakes(b *testing.B) {
	src := twenty(b)
	for b.Loop() {
		Check(src)
	}
}
