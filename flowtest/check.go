package flowtest

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/workflows"
)

// What can be wrong with a test beyond its form; docs/flow-diagnostics.md
// explains each.
const (
	codeTime     flow.Code = "T001" // no such time
	codeAnswer   flow.Code = "T002" // not an answer that a server can give
	codeFlow     flow.Code = "T003" // the flow does not compile
	codeTwice    flow.Code = "T004" // two tests of one name
	codeEntry    flow.Code = "T005" // an entry that is not one thing
	codePause    flow.Code = "T006" // words and pauses not in turn
	codeName     flow.Code = "T101" // the flow has nothing of that name
	codeValue    flow.Code = "T102" // a slot cannot have that value
	codeNever    flow.Code = "T103" // it can never happen
	codePattern  flow.Code = "T104" // not a regular expression
	codeInput    flow.Code = "T201" // an input is not given
	codeUncaught flow.Code = "T202" // a failure that no step catches by name
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// A checker holds a test against the names that its flow, and the flows that this
// one runs, have.
type checker struct {
	test  *Test
	plan  *flow.Plan
	plans []flow.Plan // plan and those it runs
	ds    flow.Diagnostics
}

// Check says what in a test can never fit its flow's plan.
func (t *Test) Check(plan *flow.Plan) flow.Diagnostics {
	c := &checker{test: t, plan: plan, plans: []flow.Plan{*plan}}
	for _, name := range sortedKeys(plan.Flows) {
		c.plans = append(c.plans, plan.Flows[name])
	}
	c.head()
	c.given()
	left := false
	for _, e := range t.entries {
		if left && e.kind != kindKiosk && e.kind != kindExpect {
			e.at.Report(&c.ds, codeNever, "", "nothing can happen after the customer has left")
		}
		left = left || e.kind == kindLeave
		c.entry(e)
	}
	c.ds.Sort()
	return c.ds
}

// all gathers names from every plan, in order.
func (c *checker) all(names func(p flow.Plan) []string) []string {
	var out []string
	for _, p := range c.plans {
		out = append(out, names(p)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// eachStep calls f with every step of every plan, those inside a parallel too.
func (c *checker) eachStep(f func(name string, s flow.Step)) {
	for _, p := range c.plans {
		for _, name := range sortedKeys(p.Steps) {
			f(name, p.Steps[name])
			if par := p.Steps[name].Parallel; par != nil {
				for _, line := range par.Branches {
					for _, s := range line.Steps {
						f(name, s)
					}
				}
			}
		}
	}
}

// stepsWith gathers what steps name.
func (c *checker) stepsWith(name func(name string, s flow.Step) string) []string {
	var out []string
	c.eachStep(func(step string, s flow.Step) {
		if n := name(step, s); n != "" {
			out = append(out, n)
		}
	})
	slices.Sort(out)
	return slices.Compact(out)
}

func (c *checker) steps() []string {
	return c.all(func(p flow.Plan) []string { return sortedKeys(p.Steps) })
}

func (c *checker) actions() []string {
	return c.stepsWith(func(_ string, s flow.Step) string {
		if s.Call == nil {
			return ""
		}
		return s.Call.Action
	})
}

// name reports a name that is not among those there are.
func (c *checker) name(at flow.Value, what, name string, known []string) bool {
	if slices.Contains(known, name) {
		return true
	}
	hint, mean := "", flow.DidYouMean(name, known)
	switch {
	case len(known) == 0:
		hint = "the flow has none"
	case mean == "" && len(known) <= 12:
		hint = "there is " + flow.Quoted(known)
	}
	at.Report(&c.ds, codeName, hint, "flow %q has no %s %q%s", c.plan.Flow, what, name, mean)
	return false
}

func (c *checker) head() {
	doc := c.test.doc
	if lang := doc.Field("language"); lang.There() {
		c.name(lang, "language", lang.Text(), c.plan.Languages.Supported)
	}
	given := map[string]bool{}
	for _, f := range doc.Field("inputs").Fields() {
		given[f.Name] = true
		if c.name(f.Key, "input", f.Name, sortedKeys(c.plan.Inputs)) {
			c.typed(f.Value, "input", f.Name, c.plan.Inputs[f.Name])
		}
	}
	for _, name := range sortedKeys(c.plan.Inputs) {
		if !given[name] {
			doc.Field("flow").Warn(&c.ds, codeInput, "add it to `inputs`", "flow %q has an input %q, which the test does not give", c.plan.Flow, name)
		}
	}
}

func (c *checker) given() {
	for _, f := range c.test.doc.Field("given").Fields() {
		kind, name, _ := strings.Cut(f.Name, ".")
		switch kind {
		case "retrieve":
			c.name(f.Key, "search in the collection", name, c.stepsWith(func(_ string, s flow.Step) string {
				if s.Retrieve == nil {
					return ""
				}
				return s.Retrieve.Index
			}))
			c.searches(f)
		case "call":
			c.name(f.Key, "call of the action", name, c.actions())
		case "generate":
			steps := c.stepsWith(func(step string, s flow.Step) string {
				if s.Generate == nil && (s.Handoff == nil || !s.Handoff.Summary) {
					return ""
				}
				return step
			})
			if name != "" {
				c.name(f.Key, "step that asks the model and is named", name, steps)
			} else if len(steps) == 0 {
				f.Key.Report(&c.ds, codeName, "", "flow %q never asks the model", c.plan.Flow)
			}
		}
		c.failures(f.Value)
	}
}

func (c *checker) searches(f flow.Field) {
	for _, a := range c.test.given[f.Name].list {
		if a.fails == "" {
			if _, err := passages(a.value); err != nil {
				f.Value.Report(&c.ds, codeAnswer, "", "%v", err)
				return
			}
		}
	}
}

// kinds are the failures that are not an action's own.
var kinds = []string{
	activities.KindAway, activities.KindInvalid, activities.KindRefused, activities.KindTimeout, activities.KindUngrounded,
}

// failures looks for names of failures that no step catches.
func (c *checker) failures(v flow.Value) {
	for _, item := range v.Items() {
		c.failures(item)
	}
	fails := v.Field("fails")
	if fails.There() {
		caught := slices.Clone(kinds)
		c.eachStep(func(_ string, s flow.Step) { caught = append(caught, sortedKeys(s.Catch)...) })
		if !slices.Contains(caught, fails.Text()) {
			fails.Warn(&c.ds, codeUncaught, "", "no step catches %q%s", fails.Text(), flow.DidYouMean(fails.Text(), caught))
		}
	}
	c.thenFailures(v)
}

func (c *checker) thenFailures(v flow.Value) {
	if then := v.Field("then"); then.There() {
		c.failures(then)
	}
}

func (c *checker) entry(e entry) {
	switch e.kind {
	case kindKiosk:
		c.kiosk(e.val)
	case kindUser:
		c.utterance(e.val)
	case kindSilence:
		if limit := c.plan.Limits.Duration.D(); limit > 0 && e.after > limit {
			e.val.Report(&c.ds, codeNever, "", "a conversation of flow %q lasts %s at most (limits.duration); nobody is silent for %s", c.plan.Flow, length(limit), e.val.Text())
		}
	case kindBargeIn:
		c.bargeIn(e)
	case kindStaff:
		if len(c.stepsWith(func(step string, s flow.Step) string {
			if s.Handoff == nil {
				return ""
			}
			return step
		})) == 0 {
			e.at.Report(&c.ds, codeNever, "", "flow %q never calls staff: it has no `handoff`", c.plan.Flow)
		}
	case kindEvent:
		c.name(e.val.Field("name"), "wait for the event", e.event, c.stepsWith(func(_ string, s flow.Step) string {
			if s.Wait == nil {
				return ""
			}
			return s.Wait.Signal
		}))
	case kindExpect:
		c.expect(e.val)
	}
}

func (c *checker) kiosk(v flow.Value) {
	if !v.IsMap() {
		c.pattern(v)
		return
	}
	for _, f := range v.Fields() {
		switch f.Name {
		case "prompt":
			c.name(f.Value, "prompt", f.Value.Text(), c.all(func(p flow.Plan) []string {
				var keys []string
				for _, byKey := range p.Prompts {
					keys = append(keys, sortedKeys(byKey)...)
				}
				return keys
			}))
		case "says":
			c.pattern(f.Value)
		case "step":
			c.name(f.Value, "step", f.Value.Text(), c.steps())
		case "screen":
			for _, name := range []string{"title", "text", "alt"} {
				if text := f.Value.Field(name); text.There() {
					c.pattern(text)
				}
			}
		}
	}
}

// pattern reports a /regular expression/ that is none.
func (c *checker) pattern(v flow.Value) {
	if pattern, ok := asPattern(v.Text()); ok {
		if _, err := regexp.Compile(pattern); err != nil {
			v.Report(&c.ds, codePattern, "write \\ before a character that is meant as it is", "%v", err)
		}
	}
}

func (c *checker) bargeIn(e entry) {
	n := 0
	for _, name := range []string{"user", "typed", "touch"} {
		if e.val.Field(name).There() {
			n++
		}
	}
	if n != 1 {
		e.at.Report(&c.ds, codeNever, "", "`barge_in` needs exactly one of user, typed and touch")
	}
	if user := e.val.Field("user"); user.There() {
		c.utterance(user)
	}
}

func (c *checker) utterance(v flow.Value) {
	means := v.Field("means")
	if intent := means.Field("intent"); intent.There() {
		name, _, _ := strings.Cut(intent.Text(), ":")
		if c.name(intent, "intent", name, c.all(intents)) {
			return
		}
	}
	for _, f := range means.Field("slots").Fields() {
		c.name(f.Key, "slot", f.Name, c.all(func(p flow.Plan) []string { return sortedKeys(p.Slots) }))
	}
}

func intents(p flow.Plan) []string {
	var names []string
	for _, in := range p.Intents {
		names = append(names, in.Name)
	}
	return names
}

func (c *checker) expect(v flow.Value) {
	for _, f := range v.Fields() {
		switch f.Name {
		case "step":
			c.name(f.Value, "step", f.Value.Text(), c.steps())
		case "flow":
			c.name(f.Value, "flow to run", f.Value.Text(), c.all(func(p flow.Plan) []string { return []string{p.Flow} }))
		case "visited":
			for _, item := range f.Value.Items() {
				c.name(item, "step", item.Text(), c.steps())
			}
		case "language":
			c.name(f.Value, "language", f.Value.Text(), c.plan.Languages.Supported)
		case "heard":
			c.pattern(f.Value)
		case "slots":
			c.slots(f.Value)
		case "vars":
			for _, g := range f.Value.Fields() {
				c.name(g.Key, "var", g.Name, c.all(func(p flow.Plan) []string { return sortedKeys(p.Vars) }))
			}
		case "called":
			for _, g := range f.Value.Fields() {
				c.name(g.Key, "call of the action", g.Name, c.actions())
			}
		case "outcome":
			if f.Value.Any() != nil {
				c.name(f.Value, "outcome", f.Value.Text(), c.outcomes())
			}
		}
	}
}

// outcomes are those with which a conversation can end.
func (c *checker) outcomes() []string {
	names := []string{workflows.OutcomeAbandoned, workflows.OutcomeFailed, workflows.OutcomeLimit}
	for _, s := range c.plan.Steps {
		if s.End != nil {
			names = append(names, s.End.Outcome)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (c *checker) slots(v flow.Value) {
	for _, f := range v.Fields() {
		if !c.name(f.Key, "slot", f.Name, c.all(func(p flow.Plan) []string { return sortedKeys(p.Slots) })) {
			continue
		}
		for _, p := range c.plans {
			slot, ok := p.Slots[f.Name]
			if !ok {
				continue
			}
			if slot.Type == "enum" && f.Value.Any() != nil && !slices.Contains(slot.Values, f.Value.Text()) {
				f.Value.Report(&c.ds, codeValue, "", "slot %q can be %s, never %q%s", f.Name, flow.Quoted(slot.Values), f.Value.Text(), flow.DidYouMean(f.Value.Text(), slot.Values))
			} else {
				c.typed(f.Value, "slot", f.Name, slot.Type)
			}
			break
		}
	}
}

// typed reports a value that a type does not have.
func (c *checker) typed(v flow.Value, what, name string, t flow.Type) {
	value := plain(v.Any())
	if value == nil {
		return // it has none
	}
	fits, example := true, ""
	switch t {
	case "bool":
		_, fits = value.(bool)
		example = "true or false"
	case "int", "number", "amount":
		_, fits = value.(float64)
		example = "a number"
	case "date":
		fits, example = isTime(value, time.DateOnly), "a day like \"2026-11-23\""
	case "time":
		fits, example = isTime(value, "15:04"), "a time like \"15:30\""
	case "text", "string", "enum":
		_, fits = value.(string)
		example = "text; quote it: " + strconv.Quote(v.Text())
	}
	if !fits {
		v.Report(&c.ds, codeValue, "", "%s %q is of type %s: write %s", what, name, t, example)
	}
}

// length writes a duration as an author does.
func length(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func isTime(v any, layout string) bool {
	s, ok := v.(string)
	if !ok {
		return false
	}
	_, err := time.Parse(layout, s)
	return err == nil
}

// twice reports tests of one flow that have the same name.
func twice(tests []*Test, ds *flow.Diagnostics) {
	first := map[string]*Test{}
	for _, t := range tests {
		key := t.Flow + "\x00" + t.Name
		if other := first[key]; other != nil {
			t.doc.Field("test").Report(ds, codeTwice, "give it a name of its own", "the test at %s is called so, too", other.Pos)
			continue
		}
		first[key] = t
	}
}
