package workflows

import (
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
)

// frame is the flow that has the floor, plan, step and script what belongs to it.
func (c *conversation) frame() *Frame    { return c.Stack[len(c.Stack)-1] }
func (c *conversation) script() *script  { return c.scripts[c.frame().Flow] }
func (c *conversation) plan() *flow.Plan { return &c.script().plan }
func (c *conversation) step() flow.Step  { return c.plan().Steps[c.frame().Step] }

// outer is the flow so many further out than the one that has the floor.
func (c *conversation) outer(n int) *Frame { return c.Stack[len(c.Stack)-1-n] }

// asOuter does something as if the flow so many further out had the floor. What
// it does waits for nothing.
func (c *conversation) asOuter(n int, do func() error) error {
	stack := c.Stack
	defer func() { c.Stack = stack }()
	c.Stack = stack[:len(stack)-n]
	return do()
}

// read prepares a flow's expressions, once a run, when the flow is first needed.
func (c *conversation) read(name string) error {
	if c.scripts[name] != nil {
		return nil
	}
	s := &script{plan: c.root}
	if name != "" {
		p, ok := c.root.Flows[name]
		if !ok {
			return fmt.Errorf("flow %q is not in plan %s %s", name, c.root.Flow, c.root.Version)
		}
		p.Flows = c.root.Flows // the closure belongs to the whole conversation
		s.plan = p
	}
	var err error
	if s.Program, err = flow.NewProgram(&s.plan); err != nil {
		return fmt.Errorf("plan %s %s: %w", s.plan.Flow, s.plan.Version, err)
	}
	c.scripts[name] = s
	return nil
}

// push gives a flow the floor, at its start and with nothing known but its
// inputs, its slots' initial values and the language.
func (c *conversation) push(name string, inputs map[string]any) error {
	if err := c.read(name); err != nil {
		return err
	}
	c.Frames++
	f := &Frame{
		ID: c.Frames, Flow: name, Inputs: inputs, Step: c.scripts[name].plan.Start,
		Visits: map[string]int{}, Slots: map[string]any{}, Answered: map[string]bool{}, Vars: map[string]any{},
	}
	c.Stack = append(c.Stack, f)
	for _, slot := range workflow.DeterministicKeys(c.plan().Slots) {
		c.reset(slot)
	}
	if name != "" {
		c.keepLanguage()
	}
	return nil
}

// pop takes the floor from a flow that is over and gives it back to the one that
// waits for it.
func (c *conversation) pop() *Frame {
	over := c.frame()
	c.Stack = c.Stack[:len(c.Stack)-1]
	c.keepLanguage()
	return over
}

// leave ends the flows above the one so many further out, which goes on where an
// intent of its own leads. Nothing is taken over from them.
func (c *conversation) leave(n int) {
	for range n {
		c.pop()
	}
	c.frame().Resume = nil
}

// runFlow gives a flow the floor; finish returns from it.
func (c *conversation) runFlow(r flow.RunFlow) error {
	inputs, err := c.values(r.Inputs)
	if err != nil {
		return err
	}
	return c.push(r.Flow, inputs)
}

// finish ends the flow under way: the conversation, when it is its own. A flow
// that was run hands over its outputs, and its outcome is the way on; a flow that
// was digressed into is just over.
func (c *conversation) finish(outcome string) {
	c.count(way{"end", ""})
	if len(c.Stack) == 1 {
		c.Outcome = outcome
		return
	}
	over := c.pop()
	if over.Digression {
		return
	}
	step := c.step()
	for _, out := range step.RunFlow.Outputs {
		from := over.Vars
		kind, name, _ := strings.Cut(out.From, ".")
		if kind == "slots" {
			from = over.Slots
		}
		if value, ok := from[name]; ok {
			c.assign(out.Name, value)
		}
	}
	on := way{"next", step.Next}
	if to, ok := step.Catch[outcome]; ok {
		on = way{outcome, to}
	}
	c.follow(on)
}

// unwind looks for somebody further out who has an answer to a failure of the
// flow under way: the step that ran it, or the conversation that was interrupted
// for it, which goes on without it.
func (c *conversation) unwind(ctx workflow.Context, err error) bool {
	for len(c.Stack) > 1 {
		over := c.pop()
		if over.Digression {
			workflow.GetLogger(ctx).Error("digression failed", "flow", over.Flow, "step", over.Step, "error", err)
			return true
		}
		if on, ok := caught(c.step().Catch, kindOf(err)); ok {
			workflow.GetLogger(ctx).Info("flow's failure caught", "flow", over.Flow, "step", c.frame().Step, "to", on.to, "error", err)
			c.follow(on)
			return true
		}
	}
	return false
}

// digress gives a flow the floor in the middle of a question, which is asked
// again afterwards, unless the intent, of the flow so many further out, leads
// elsewhere. It refuses one that goes deeper than the author allows.
func (c *conversation) digress(in flow.Intent, outer int, name string, back way) (bool, error) {
	resume := &Resume{Intent: in.Name, Say: in.Say, Then: in.Then, Outer: outer}
	stays := c.Stack
	if in.Then != "" {
		stays, resume.Outer = stays[:len(stays)-outer], 0
	}
	depth := 0
	for _, f := range stays {
		if f.Digression {
			depth++
		}
	}
	if depth >= in.Digress.Depth || !slices.Contains(in.Digress.Flows, name) {
		return false, nil
	}
	if err := c.read(name); err != nil {
		return false, err
	}
	from := c.outer(outer)
	inputs := map[string]any{} // those that both flows have
	for _, input := range workflow.DeterministicKeys(c.scripts[name].plan.Inputs) {
		if value, ok := from.Inputs[input]; ok {
			inputs[input] = value
		}
	}
	c.countOf(from, back)
	c.leave(len(c.Stack) - len(stays))
	c.frame().Resume = resume
	if err := c.push(name, inputs); err != nil {
		return false, err
	}
	c.frame().Digression = true
	return true, nil
}

// A way is a way out of a step, as Way writes it.
type way struct{ how, to string }

// follow goes on with another step of the flow under way.
func (c *conversation) follow(on way) {
	c.count(on)
	c.frame().Step = on.to
}

// count records that a way was taken.
func (c *conversation) count(w way) { c.countOf(c.frame(), w) }

func (c *conversation) countOf(f *Frame, w way) {
	c.Taken[Way(c.scripts[f.Flow].plan.Flow, f.Step, w.how, w.to)]++
}

// caught finds the step that a `catch` names for a failure: its own kind first,
// then "error", which stands for any.
func caught(catch map[string]string, kind string) (way, bool) {
	for _, how := range []string{kind, "error"} {
		if to, ok := catch[how]; ok {
			return way{how, to}, true
		}
	}
	return way{}, false
}

// assign sets "slots.x" or "vars.x" of the flow under way; nil forgets it. What a
// step has set is known, and no `collect` asks for it, as if the customer had
// told it.
func (c *conversation) assign(target string, value any) {
	f := c.frame()
	kind, name, _ := strings.Cut(target, ".")
	switch {
	case kind == "vars" && value == nil:
		delete(f.Vars, name)
	case kind == "vars":
		f.Vars[name] = value
	case value == nil:
		c.reset(name)
		delete(f.Slots, name)
	default:
		f.Slots[name] = value
		f.Answered[name] = true
		c.followLanguage()
	}
}

// reset gives a slot back the value that it had before anybody answered.
func (c *conversation) reset(slot string) {
	f, plan := c.frame(), c.plan()
	delete(f.Answered, slot)
	switch initial := plan.Slots[slot].Initial; {
	case initial != nil:
		f.Slots[slot] = initial
	default:
		delete(f.Slots, slot)
	}
}

// into puts what came from outside into a var, held to the var's type.
func (c *conversation) into(name string, value any) error {
	if name == "" {
		return nil
	}
	t := c.plan().Vars[name]
	if !fits(value, t) {
		return activities.Permanent(activities.KindInvalid, c.inStep(fmt.Errorf("the answer is %T, but vars.%s is %s", value, name, t)))
	}
	c.assign("vars."+name, value)
	return nil
}

// fits says whether a value that went through JSON is of a type; nil is of any.
func fits(value any, t flow.Type) bool {
	if value == nil {
		return true
	}
	if inner, ok := strings.CutPrefix(string(t), "list("); ok {
		list, ok := value.([]any)
		elem := flow.Type(strings.TrimSuffix(inner, ")"))
		return ok && !slices.ContainsFunc(list, func(v any) bool { return !fits(v, elem) })
	}
	var ok bool
	switch t {
	case "bool":
		_, ok = value.(bool)
	case "int":
		n, isNumber := value.(float64)
		ok = isNumber && n == float64(int64(n))
	case "number", "amount":
		_, ok = value.(float64)
	case "object", "passage":
		_, ok = value.(map[string]any)
	default:
		_, ok = value.(string)
	}
	return ok
}
