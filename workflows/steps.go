package workflows

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
)

// A job is a step at work, or a step in a branch of a parallel.
type job struct {
	flow.Step
	name  string // the author's: "find", in a branch "prepare.stock.1"
	visit int
}

// say speaks a prompt.
func (c *conversation) say(ctx workflow.Context, s flow.Say) error {
	u, err := c.utter(s.Prompt, s.With)
	if err != nil {
		return err
	}
	u.gesture = s.Avatar
	if u.screen, err = c.screen(s.Screen, s.With); err != nil {
		return err
	}
	_, err = c.speak(ctx, u)
	return err
}

// sayOf speaks a prompt of the flow so many further out than the one that has the
// floor, in the middle of that one's step.
func (c *conversation) sayOf(ctx workflow.Context, outer int, key string) error {
	var text string
	err := c.asOuter(outer, func() (err error) {
		text, err = c.prompt(key, nil)
		return err
	})
	if err != nil {
		return err
	}
	_, err = c.speak(ctx, utterance{text: text, bargeIn: c.bargeIn()})
	return err
}

// retrieve searches a knowledge collection.
func (c *conversation) retrieve(ctx workflow.Context, j job) error {
	r := j.Retrieve
	query, err := c.script().Text(r.Query, c.scope())
	if err != nil {
		return c.inStep(err)
	}
	in := activities.RetrieveInput{Store: c.Place.Store, Index: r.Index, Query: query, TopK: r.TopK, MinScore: r.MinScore}
	for _, field := range workflow.DeterministicKeys(r.Filter) {
		value, err := c.script().Text(r.Filter[field], c.scope())
		if err != nil {
			return c.inStep(err)
		}
		if in.Filter == nil {
			in.Filter = map[string]string{}
		}
		in.Filter[field] = value
	}
	var result activities.RetrieveResult
	if here, err := c.searchHere(ctx, j, in, &result); err != nil {
		return err
	} else if !here {
		search := workflow.ExecuteActivity(c.on(ctx, activities.PoolRetrieval, j.work()), activities.Retrieve, in)
		if err := c.await(ctx, search, j.Run.Cover, &result); err != nil {
			return err
		}
	}
	passages := make([]any, len(result.Passages))
	for i, p := range result.Passages {
		passages[i] = flowPassage(p)
	}
	c.assign("vars."+r.Into, passages)
	return nil
}

// hereWithin is how long a search in the conversation's own worker may take: by
// then the hop to the pool would have been the quicker way, and signals wait for
// as long.
const hereWithin = 100 * time.Millisecond

// searchHere searches in the conversation's own worker, which saves a hop and its
// workflow task, where that worker serves the pool retrieval too. Where it does
// not, or the search failed or took long there, here is false, and the pool is
// asked from then on, by an activity with time limits and attempts of its own. An
// error is permanent, or that the step is cancelled.
func (c *conversation) searchHere(ctx workflow.Context, j job, in activities.RetrieveInput, result *activities.RetrieveResult) (here bool, err error) {
	if c.Elsewhere {
		return false, nil
	}
	options := workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: hereWithin, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1}, Summary: j.work().summary(),
	}
	err = workflow.ExecuteLocalActivity(workflow.WithLocalActivityOptions(ctx, options), activities.RetrieveHere, in).Get(ctx, result)
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil, kindOf(err) == activities.KindInvalid:
		return false, err
	}
	c.Elsewhere = true
	return false, nil
}

// generate asks the language model and, unless the author keeps it silent,
// speaks the answer.
func (c *conversation) generate(ctx workflow.Context, j job) error {
	g := j.Generate
	system, err := c.prompt(g.Template, g.With)
	if err != nil {
		return err
	}
	question := c.Utterance
	if g.Question != "" {
		if question, err = c.script().Text(g.Question, c.scope()); err != nil {
			return c.inStep(err)
		}
	}
	in := activities.GenerateInput{
		Place: c.Place, Step: j.name, System: system, Question: question, History: c.history(historyLines),
		Language: c.Language, MaxTokens: g.MaxTokens, FirstToken: j.Run.FirstToken.D().Milliseconds(), Schema: g.Schema,
	}
	if g.GroundedIn != "" {
		in.Grounded = true
		if in.Passages, err = contractPassages(c.frame().Vars[g.GroundedIn]); err != nil {
			return c.inStep(err)
		}
	}

	policy := c.bargeIn()
	if g.Speak == "stream" {
		u := utterance{answer: &in, gesture: g.Avatar, bargeIn: policy, run: j.Run}
		if j.Run.Cover != "" {
			if u.cover, err = c.prompt(j.Run.Cover, nil); err != nil {
				return err
			}
		}
		said, err := c.speak(ctx, u)
		if err != nil {
			return err
		}
		return c.keep(g.Into, policy, said)
	}
	var result activities.GenerateResult
	c.Responses++
	in.Response = c.Responses
	answer := workflow.ExecuteActivity(c.on(ctx, activities.PoolLLM, j.work()), activities.Generate, in)
	if err := c.await(ctx, answer, j.Run.Cover, &result); err != nil {
		return err
	}
	switch {
	case len(g.Schema) > 0:
		return c.into(g.Into, result.Value)
	case g.Speak != "whole":
		return c.into(g.Into, result.Text)
	}
	said, err := c.speak(ctx, utterance{text: result.Text, gesture: g.Avatar, bargeIn: policy})
	if err != nil {
		return err
	}
	return c.keep(g.Into, policy, said)
}

// keep puts an answer that was spoken into its var: all of it, or, of one that
// was interrupted, what the customer heard, as the author wants it.
func (c *conversation) keep(name string, policy flow.BargeIn, said spoken) error {
	c.LastPrompt = said.text
	if said.cut && policy.WhenCut != "keep_all" {
		return c.into(name, said.heard)
	}
	return c.into(name, said.text)
}

// call runs an action of the store's catalogue. Its key is the same for every
// attempt and another for every visit of the step, so that a service can tell a
// repetition from a new wish.
func (c *conversation) call(ctx workflow.Context, j job) error {
	args, err := c.values(j.Call.Args)
	if err != nil {
		return err
	}
	f := c.frame()
	key := fmt.Sprintf("%s/%s/%d", c.Place.Conversation, j.name, j.visit)
	if f.Flow != "" {
		key = fmt.Sprintf("%s/%s#%d/%s/%d", c.Place.Conversation, c.plan().Flow, f.ID, j.name, j.visit)
	}
	var result activities.CallResult
	work := workflow.ExecuteActivity(c.on(ctx, activities.PoolAction, j.work()), activities.Call, activities.CallInput{
		Store: c.Place.Store, Kiosk: c.Place.Kiosk, Conversation: c.Place.Conversation, Step: j.name,
		Action: j.Call.Action, Args: args, Key: key, Language: c.Language,
	})
	if err := c.await(ctx, work, j.Run.Cover, &result); err != nil {
		return err
	}
	return c.into(j.Call.Into, result.Value)
}

// await waits for work that makes no sound, and says the step's cover phrase
// when it takes long.
func (c *conversation) await(ctx workflow.Context, work workflow.Future, cover string, result any) error {
	if cover != "" {
		done, err := c.until(ctx, activities.CoverAfter, "cover", work.IsReady)
		if err != nil {
			return err
		}
		if !done {
			u, err := c.utter(cover, nil)
			if err != nil {
				return err
			}
			if _, err := c.speak(ctx, u); err != nil {
				return err
			}
		}
	}
	return work.Get(ctx, result)
}

// wait lets time pass, or waits for an event from outside, which may have come
// already.
func (c *conversation) wait(ctx workflow.Context, w flow.Wait) error {
	if w.Signal == "" {
		return workflow.Sleep(ctx, w.For.D())
	}
	came := func() bool { _, ok := c.Events[w.Signal]; return ok }
	if ok, err := c.until(ctx, w.Timeout.D(), w.Signal, came); err != nil {
		return err
	} else if !ok {
		return activities.Permanent(activities.KindTimeout, c.inStep(fmt.Errorf("event %q did not come within %s", w.Signal, w.Timeout.D())))
	}
	event := c.Events[w.Signal]
	delete(c.Events, w.Signal)
	return c.into(w.Into, event.Data)
}

// set assigns slots and vars, in the author's order.
func (c *conversation) set(assigns []flow.Assign, scope func() flow.Scope) error {
	for _, a := range assigns {
		value, err := c.script().Value(a.Expr, scope())
		if err != nil {
			return c.inStep(err)
		}
		c.assign(a.Name, value)
	}
	return nil
}

// branch goes to the first case that holds.
func (c *conversation) branch(cases []flow.Case) (way, error) {
	for i, arm := range cases {
		if arm.When == "" {
			return way{"else", arm.To}, nil
		}
		holds, err := c.script().Bool(arm.When, c.scope())
		if err != nil {
			return way{}, c.inStep(err)
		}
		if holds {
			return way{fmt.Sprintf("case %d", i+1), arm.To}, nil
		}
	}
	return way{}, c.inStep(errors.New("no case of the branch holds"))
}

// end says goodbye and ends the flow.
func (c *conversation) end(ctx workflow.Context, e flow.End) error {
	if e.Prompt != "" {
		if err := c.say(ctx, flow.Say{Prompt: e.Prompt, With: e.With, Avatar: e.Avatar}); err != nil {
			return err
		}
	}
	if len(c.Stack) == 1 {
		if err := c.commit(ctx); err != nil {
			return err
		}
	}
	c.finish(e.Outcome)
	return nil
}

// values evaluates a map of expressions.
func (c *conversation) values(with flow.With) (map[string]any, error) {
	values := make(map[string]any, len(with))
	for _, name := range workflow.DeterministicKeys(with) {
		if c.scope().Lacks(with[name]) {
			continue // the checker saw to it that nothing is lacking that is required
		}
		value, err := c.script().Value(with[name], c.scope())
		if err != nil {
			return nil, c.inStep(err)
		}
		if value != nil {
			values[name] = value
		}
	}
	return values, nil
}

// prompt renders an author's text in the conversation's language.
func (c *conversation) prompt(key string, with flow.With) (string, error) {
	text, err := c.script().Prompt(c.Language, key, with, c.scope())
	if err != nil {
		return "", c.inStep(err)
	}
	return text, nil
}

// utter makes a prompt a response, with the current step's policy. One that
// tells a sensitive slot's value is sensitive itself.
func (c *conversation) utter(key string, with flow.With) (utterance, error) {
	text, err := c.prompt(key, with)
	return utterance{text: text, sensitive: c.sensitive(with), bargeIn: c.bargeIn()}, err
}

// sensitive says whether expressions read a sensitive slot. It goes by the
// slot's name, and so errs on the side of what is to be masked.
func (c *conversation) sensitive(with flow.With) bool {
	slots := c.plan().Slots
	for _, name := range workflow.DeterministicKeys(with) {
		for _, slot := range workflow.DeterministicKeys(slots) {
			if slots[slot].Sensitive && strings.Contains(with[name], "slots."+slot) {
				return true
			}
		}
	}
	return false
}

// screen fills in the texts of what is shown beside a response.
func (c *conversation) screen(s *flow.Screen, with flow.With) (*activities.Screen, error) {
	if s == nil {
		return nil, nil
	}
	out := &activities.Screen{}
	for _, text := range []struct {
		key  string
		into *string
	}{{s.Title, &out.Title}, {s.Text, &out.Text}, {s.Alt, &out.Alt}} {
		if text.key == "" {
			continue
		}
		var err error
		if *text.into, err = c.prompt(text.key, with); err != nil {
			return nil, err
		}
	}
	var err error
	if out.Picture, err = c.file(s.Picture, with); err != nil {
		return nil, err
	}
	if out.Map, err = c.file(s.Map, with); err != nil {
		return nil, err
	}
	if s.Mark != "" {
		if out.Mark, err = c.script().Text(s.Mark, c.scope()); err != nil {
			return nil, c.inStep(err)
		}
	}
	for _, b := range s.Buttons {
		label, err := c.prompt(b.Label, with)
		if err != nil {
			return nil, err
		}
		out.Buttons = append(out.Buttons, activities.Button{Value: b.Value, Label: label})
	}
	return out, nil
}

// file fills the placeholders in a file's name. Whether there is such a file in
// the store's folder, and none outside it, the gateway sees to.
func (c *conversation) file(name string, with flow.With) (string, error) {
	for _, key := range workflow.DeterministicKeys(with) {
		place := "{" + key + "}"
		if !strings.Contains(name, place) {
			continue
		}
		text, err := c.script().Text(with[key], c.scope())
		if err != nil {
			return "", c.inStep(err)
		}
		name = strings.ReplaceAll(name, place, text)
	}
	return name, nil
}

// bargeIn is the current step's policy.
func (c *conversation) bargeIn() flow.BargeIn {
	if own := c.step().BargeIn; own != nil {
		return *own
	}
	return c.plan().BargeIn
}

// inStep says where in the author's file a failure arose.
func (c *conversation) inStep(err error) error {
	return fmt.Errorf("step %q (line %d): %w", c.frame().Step, c.step().Line, err)
}

// flowPassage is a passage as expressions see it: its fields beside its text.
func flowPassage(p activities.Passage) map[string]any {
	m := map[string]any{"id": p.ID, "source": p.Source, "title": p.Title, "text": p.Text, "score": p.Score}
	for _, field := range workflow.DeterministicKeys(p.Fields) {
		if _, taken := m[field]; !taken {
			m[field] = p.Fields[field]
		}
	}
	return m
}

// contractPassages is the way back, for the model.
func contractPassages(v any) ([]activities.Passage, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("passages are %T, not a list", v)
	}
	passages := make([]activities.Passage, len(list))
	for i, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("passage %d is %T, not a passage", i+1, e)
		}
		p := &passages[i]
		p.ID, _ = m["id"].(string)
		p.Source, _ = m["source"].(string)
		p.Title, _ = m["title"].(string)
		p.Text, _ = m["text"].(string)
		p.Score, _ = m["score"].(float64)
	}
	return passages, nil
}
