// Package diagram draws flows: as Mermaid text and as SVG, with the path that a
// conversation took where one is given.
package diagram

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/praesenz/parley/flow"
)

// A graph is what both pictures show of a plan: its steps in the order in which
// a conversation comes to them, and the ways between them.
type graph struct {
	plan  *flow.Plan
	steps []string
	ways  []way
	// lit says that the path of a conversation is shown.
	lit    bool
	visits map[string]int // how often each step was left; nil unless lit
	// stayed counts ways from a step back to itself, by step: an intent that was
	// heard and resumed.
	stayed map[string][]string
}

// A way leads from a step to the next. One from "" is heard at every question.
type way struct {
	from, to string
	how      string // as workflows.Way names it: "next", "case 2", "timeout" …
	label    string
	aside    bool // not the way that its author hopes for: a failure, silence, an intent
	times    int  // how often it was taken
}

// anytime is what is drawn for the beginning of a way that is open everywhere.
const anytime = "at every question"

// failures are what a step catches that is no answer to it.
var failures = []string{"error", "timeout", "ungrounded", "refused"}

func newGraph(p *flow.Plan, taken map[string]int) *graph {
	g := &graph{plan: p, lit: taken != nil, stayed: map[string][]string{}}
	for name, s := range p.Steps {
		for _, w := range waysOf(name, s) {
			if _, ok := p.Steps[w.to]; ok { // a plan that is handed in may be anybody's
				g.ways = append(g.ways, w)
			}
		}
	}
	if g.lit {
		g.light(taken)
	}
	g.order()
	g.ways = append(g.ways, g.anytime()...)
	rank := map[string]int{"": -1}
	for i, s := range g.steps {
		rank[s] = i
	}
	slices.SortStableFunc(g.ways, func(a, b way) int {
		return cmp.Or(cmp.Compare(rank[a.from], rank[b.from]), compareWays(a, b))
	})
	return g
}

// compareWays puts the ways of one step into the order in which one reads them.
func compareWays(a, b way) int {
	place := func(w way) int {
		switch {
		case w.how == "next":
			return 0
		case strings.HasPrefix(w.how, "case "):
			return 1
		case w.how == "else":
			return 2
		case !w.aside:
			return 3
		}
		return 4
	}
	return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(len(a.how), len(b.how)), cmp.Compare(a.how, b.how), cmp.Compare(a.to, b.to))
}

// waysOf are the ways that a step itself names.
func waysOf(name string, s flow.Step) []way {
	var ways []way
	if s.Next != "" {
		ways = append(ways, way{from: name, to: s.Next, how: "next"})
	}
	for i, c := range s.Branch {
		w := way{from: name, to: c.To, how: fmt.Sprintf("case %d", i+1), label: c.When}
		if c.When == "" {
			w.how, w.label = "else", "else"
		}
		ways = append(ways, w)
	}
	for how, to := range s.Catch {
		answer := s.Handoff != nil || s.RunFlow != nil && !slices.Contains(failures, how)
		ways = append(ways, way{from: name, to: to, how: how, label: how, aside: !answer})
	}
	if s.Collect != nil {
		for how, l := range map[string]*flow.Ladder{"no_input": s.Collect.NoInput, "no_match": s.Collect.NoMatch} {
			if l != nil && l.Then != "" {
				ways = append(ways, way{from: name, to: l.Then, how: how, label: ladderWords[how], aside: true})
			}
		}
	}
	return ways
}

// ladderWords are the ladders as people say it.
var ladderWords = map[string]string{"no_input": "silence", "no_match": "not understood"}

// light counts the ways that were taken, and adds those that no step names, for
// a default or an intent led there.
func (g *graph) light(taken map[string]int) {
	g.visits = map[string]int{}
	for key, n := range taken {
		from, how, to, ok := cutWay(key, g.plan.Flow)
		if _, known := g.plan.Steps[from]; !ok || !known || n <= 0 {
			continue // of another flow, or of another version of this one
		}
		label := cmp.Or(ladderWords[how], strings.TrimPrefix(how, "intent "))
		if from == to {
			g.stayed[from] = append(g.stayed[from], fmt.Sprintf("%s ×%d", label, n))
			continue
		}
		g.visits[from] += n
		i := slices.IndexFunc(g.ways, func(w way) bool { return w.from == from && w.how == how && w.to == to })
		switch _, known := g.plan.Steps[to]; {
		case i >= 0:
			g.ways[i].times = n
		case known:
			g.ways = append(g.ways, way{from: from, to: to, how: how, label: label, aside: true, times: n})
		}
	}
	for _, list := range g.stayed {
		slices.Sort(list)
	}
	// Where a conversation is now, it has come but not left.
	for _, w := range g.ways {
		if w.times > 0 && g.visits[w.to] == 0 {
			g.visits[w.to] = w.times
		}
	}
}

// cutWay takes workflows.Way apart: "flow/step>how>to".
func cutWay(key, flowName string) (step, how, to string, ok bool) {
	rest, ok := strings.CutPrefix(key, flowName+"/")
	parts := strings.Split(rest, ">")
	if !ok || len(parts) != 3 {
		return "", "", "", false
	}
	return parts[0], parts[1], parts[2], true
}

// order lists the steps as a conversation comes to them, the hoped-for ways
// first.
func (g *graph) order() {
	out := map[string][]way{}
	for _, w := range g.ways {
		out[w.from] = append(out[w.from], w)
	}
	for _, ways := range out {
		slices.SortFunc(ways, compareWays)
	}
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if _, ok := g.plan.Steps[name]; !ok || seen[name] {
			return
		}
		seen[name] = true
		g.steps = append(g.steps, name)
		for _, w := range out[name] {
			visit(w.to)
		}
	}
	visit(g.plan.Start)
	byLine := slices.SortedFunc(maps.Keys(g.plan.Steps), func(a, b string) int {
		return cmp.Or(cmp.Compare(g.plan.Steps[a].Line, g.plan.Steps[b].Line), cmp.Compare(a, b))
	})
	for _, name := range byLine {
		visit(name)
	}
}

// anytime are the ways that are open at every question, to the steps to which no
// other way leads. The others are in the legend.
func (g *graph) anytime() []way {
	led := map[string]bool{g.plan.Start: true}
	for _, w := range g.ways {
		led[w.to] = true
	}
	var ways []way
	add := func(to, label string) {
		if _, ok := g.plan.Steps[to]; !ok || led[to] {
			return
		}
		ways = append(ways, way{to: to, how: label, label: label, aside: true})
	}
	for _, in := range g.plan.Intents {
		add(cmp.Or(in.To, in.Then), in.Name)
	}
	add(g.plan.NoInput.Then, ladderWords["no_input"])
	add(g.plan.NoMatch.Then, ladderWords["no_match"])
	return ways
}

// taken reports whether a conversation came to a step.
func (g *graph) taken(name string) bool { return g.visits[name] > 0 || g.lit && name == g.plan.Start }

// listens reports whether the customer can speak at a step.
func listens(s flow.Step) bool { return s.Collect != nil }

// about is what a step does, in a line or a few; the prompts are in the flow's
// default language.
func (g *graph) about(s flow.Step) []string {
	text := func(key string) string { return g.plan.Prompts[g.plan.Languages.Default][key] }
	spoken := func(key string) []string {
		if key == "" {
			return nil
		}
		return []string{"“" + firstWords(text(key), 52) + "”"}
	}
	switch {
	case s.Say != nil:
		return spoken(s.Say.Prompt)
	case s.Collect != nil:
		return append(spoken(s.Collect.Prompt), "→ "+strings.Join(append([]string{"slots." + s.Collect.Slot}, s.Collect.Also...), ", "))
	case s.Retrieve != nil:
		return []string{"search " + s.Retrieve.Index, "→ vars." + s.Retrieve.Into}
	case s.Generate != nil:
		return []string{firstWords(s.Generate.Template, 40) + ", " + spokenHow[s.Generate.Speak], "→ vars." + s.Generate.Into}
	case s.Call != nil:
		lines := []string{s.Call.Action}
		if s.Call.Into != "" {
			lines = append(lines, "→ vars."+s.Call.Into)
		}
		return lines
	case s.Set != nil:
		var lines []string
		for _, a := range s.Set {
			lines = append(lines, firstWords(a.Name+" = "+a.Expr, 40))
		}
		return atMost(lines, 3)
	case s.Branch != nil:
		return nil // its arms are written on the ways
	case s.RunFlow != nil:
		return []string{s.RunFlow.Flow}
	case s.Parallel != nil:
		var lines []string
		for _, b := range s.Parallel.Branches {
			var verbs []string
			for _, inner := range b.Steps {
				verbs = append(verbs, inner.Verb())
			}
			lines = append(lines, firstWords(b.Name+": "+strings.Join(verbs, ", "), 40))
		}
		return atMost(lines, 4)
	case s.Wait != nil:
		if s.Wait.Signal != "" {
			return []string{"for " + s.Wait.Signal + ", at most " + long(s.Wait.Timeout)}
		}
		return []string{long(s.Wait.For)}
	case s.Handoff != nil:
		return append([]string{"team " + s.Handoff.Team + ", " + long(s.Handoff.Wait)}, spoken(s.Handoff.Prompt)...)
	case s.End != nil:
		return append([]string{s.End.Outcome}, spoken(s.End.Prompt)...)
	}
	return nil
}

// spokenHow is what becomes of an answer, in the reader's words.
var spokenHow = map[string]string{"stream": "spoken as it comes", "whole": "spoken when it is whole", "none": "not spoken"}

// long is a duration as authors write it: 10m, not 10m0s.
func long(d flow.Duration) string {
	text := d.D().String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// atMost shortens a list.
func atMost(lines []string, n int) []string {
	if len(lines) <= n {
		return lines
	}
	return append(lines[:n-1:n-1], fmt.Sprintf("… and %d more", len(lines)-n+1))
}

// firstWords is the beginning of a text on one line, cut between words.
func firstWords(text string, most int) string {
	text = strings.Join(strings.Fields(text), " ")
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	cut := string(runes[:most])
	if i := strings.LastIndexByte(cut, ' '); i > most/2 {
		cut = cut[:i]
	}
	return strings.TrimRight(cut, " ,.;:") + " …"
}

// legend is what holds at every question, as paragraphs of a title and lines.
func (g *graph) legend() []paragraph {
	p := g.plan
	var out []paragraph
	var intents []string
	for _, in := range p.Intents {
		intents = append(intents, in.Name+does(in))
	}
	if len(intents) > 0 {
		out = append(out, paragraph{"Heard at every question", intents})
	}
	var repair []string
	for _, l := range []struct {
		name   string
		ladder flow.Ladder
	}{{"silence", p.NoInput}, {"not understood", p.NoMatch}} {
		if len(l.ladder.Say) == 0 && l.ladder.Then == "" {
			continue
		}
		line := l.name + ": "
		if len(l.ladder.Say) > 0 {
			line += "says " + strings.Join(l.ladder.Say, ", ")
		}
		if l.ladder.Then != "" {
			line = strings.TrimSuffix(line, ": ") + " → " + l.ladder.Then
		}
		repair = append(repair, line)
	}
	repair = append(repair, fmt.Sprintf("ends after %d turns or %s", p.Limits.Turns, long(p.Limits.Duration)))
	return append(out, paragraph{"Where a step says nothing else", repair})
}

type paragraph struct {
	title string
	lines []string
}

// does is what an intent does, in a few words.
func does(in flow.Intent) string {
	var what string
	switch {
	case in.To != "":
		return " → " + in.To
	case in.Replay:
		return ": says it again"
	case len(in.Set) > 0:
		var names []string
		for _, a := range in.Set {
			names = append(names, strings.TrimPrefix(a.Name, "slots."))
		}
		what = ": sets " + strings.Join(names, ", ")
	case len(in.Correct) > 0:
		what = ": corrects " + strings.Join(in.Correct, ", ")
	case in.Digress != nil:
		what = ": runs " + strings.Join(in.Digress.Flows, ", ")
	default:
		what = ": says " + in.Say
	}
	if in.Then != "" {
		return what + " → " + in.Then
	}
	return what + ", then goes on"
}
