package workflows

import (
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
)

// say speaks a prompt.
func (c *conversation) say(ctx workflow.Context, s flow.Say) error {
	text, err := c.prompt(s.Prompt, s.With)
	if err != nil {
		return err
	}
	_, err = c.speak(ctx, utterance{text: text, gesture: s.Avatar, bargeIn: c.bargeIn()})
	return err
}

// collect asks until its slot has a valid value, and gives the step to go to
// when that is not the step's own `next`.
func (c *conversation) collect(ctx workflow.Context, s flow.Collect) (string, error) {
	slot := c.plan.Slots[s.Slot]
	if c.Answered[s.Slot] && !slot.AskAnew {
		return "", nil
	}
	delete(c.Answered, s.Slot)
	prompt, err := c.prompt(s.Prompt, s.With)
	if err != nil {
		return "", err
	}
	noInput, noMatch := c.plan.NoInput, c.plan.NoMatch
	if s.NoInput != nil {
		noInput = *s.NoInput
	}
	if s.NoMatch != nil {
		noMatch = *s.NoMatch
	}

	// A customer who has begun to speak before the question was asked is answering
	// it already: to ask now would be to interrupt them.
	ask := prompt
	if len(c.Inbox) > 0 {
		ask = ""
	}
	for silent, missed, unheard := 0, 0, 0; ; {
		if ask != "" {
			c.LastPrompt = ask
			if _, err := c.speak(ctx, utterance{text: ask, gesture: s.Avatar, bargeIn: c.bargeIn(), listening: c.listeningTo(s)}); err != nil {
				return "", err
			}
		}
		in, err := c.hear(ctx, s.Listen.StartTimeout.D())
		if err != nil {
			return "", err
		}
		if in == nil {
			if silent == len(noInput.Say) {
				return noInput.Then, nil
			}
			if ask, err = c.prompt(noInput.Say[silent], nil); err != nil {
				return "", err
			}
			silent++
			continue
		}
		c.Turns++
		understood := c.understand(ctx, in)
		c.Transcript = append(c.Transcript, Line{
			By: "customer", Step: c.Step, Text: in.Text, How: in.How, Confidence: in.Confidence,
			Sensitive: slot.Sensitive,
		})
		c.Utterance = in.Text
		if slot.Sensitive {
			c.Utterance = "" // expressions see it as the slot's value, which the checker follows; models never
		}
		switch {
		case in.Failed:
			if unheard == maxUnheard {
				return noMatch.Then, nil
			}
			unheard++
			if ask, err = c.prompt(flow.PromptUnheard, nil); err != nil {
				return "", err
			}
		case understood.Intent != "":
			intent := c.plan.Intents[slices.IndexFunc(c.plan.Intents, func(i flow.Intent) bool { return i.Name == understood.Intent })]
			if !intent.Replay {
				return intent.To, nil
			}
			ask = c.LastPrompt
		case understood.OK:
			c.Slots[s.Slot] = understood.Values[s.Slot]
			c.Answered[s.Slot] = true
			c.followLanguage()
			return "", nil
		default:
			if missed == len(noMatch.Say) {
				return noMatch.Then, nil
			}
			if ask, err = c.prompt(noMatch.Say[missed], nil); err != nil {
				return "", err
			}
			missed++
		}
		if c.heardEnough(ctx) {
			return "", errHeardEnough
		}
	}
}

// maxUnheard is how often a step tells a customer that they could not be heard,
// before it goes where it goes for those who are not understood.
const maxUnheard = 3

// understand turns an input into a slot's value or an intent. The result enters
// the history, so that a better grammar never changes what was understood.
func (c *conversation) understand(ctx workflow.Context, in *Input) flow.Understanding {
	if in.Failed {
		return flow.Understanding{}
	}
	text, touched := in.Text, ""
	if in.How == ByTouch {
		text, touched = "", in.Text
	}
	var understood flow.Understanding
	options := workflow.SideEffectOptions{Summary: c.Step + " · understand"}
	value := workflow.SideEffectWithOptions(ctx, options, func(workflow.Context) any {
		return c.program.Understand(flow.Heard{Step: c.Step, Language: c.Language, Text: text, Touched: touched, Slots: c.Slots, Answered: c.Answered})
	})
	if err := value.Get(&understood); err != nil {
		return flow.Understanding{Why: err.Error()}
	}
	return understood
}

// listeningTo tells the gateway what comes after a question, so that it listens
// the moment the last word is out.
func (c *conversation) listeningTo(s flow.Collect) *activities.Listening {
	l := &activities.Listening{
		EndSilenceMs:   s.Listen.EndSilence.D().Milliseconds(),
		MaxUtteranceMs: s.Listen.MaxUtterance.D().Milliseconds(),
	}
	for _, b := range c.program.Buttons(c.Step, c.Language, nil) {
		l.Buttons = append(l.Buttons, activities.Button{Value: b.Value, Label: b.Label})
	}
	return l
}

// retrieve searches a knowledge collection.
func (c *conversation) retrieve(ctx workflow.Context, r flow.Retrieve) error {
	query, err := c.program.Text(r.Query, c.scope())
	if err != nil {
		return c.inStep(err)
	}
	in := activities.RetrieveInput{Store: c.Place.Store, Index: r.Index, Query: query, TopK: r.TopK, MinScore: r.MinScore}
	for _, field := range workflow.DeterministicKeys(r.Filter) {
		value, err := c.program.Text(r.Filter[field], c.scope())
		if err != nil {
			return c.inStep(err)
		}
		if in.Filter == nil {
			in.Filter = map[string]string{}
		}
		in.Filter[field] = value
	}
	run := c.plan.Steps[c.Step].Run
	var result activities.RetrieveResult
	search := workflow.ExecuteActivity(c.on(ctx, activities.PoolRetrieval, c.Step, c.Visits[c.Step], "", run), activities.Retrieve, in)
	if err := c.await(ctx, search, run.Cover, &result); err != nil {
		return err
	}
	passages := make([]any, len(result.Passages))
	for i, p := range result.Passages {
		passages[i] = flowPassage(p)
	}
	c.Vars[r.Into] = passages
	return nil
}

// generate asks the language model and, unless the author keeps it silent,
// speaks the answer.
func (c *conversation) generate(ctx workflow.Context, g flow.Generate) error {
	system, err := c.prompt(g.Template, g.With)
	if err != nil {
		return err
	}
	question := c.Utterance
	if g.Question != "" {
		if question, err = c.program.Text(g.Question, c.scope()); err != nil {
			return c.inStep(err)
		}
	}
	run := c.plan.Steps[c.Step].Run
	in := activities.GenerateInput{
		Place: c.Place, Step: c.Step, System: system, Question: question, History: c.history(),
		Language: c.Language, MaxTokens: g.MaxTokens, FirstToken: run.FirstToken.D().Milliseconds(),
	}
	if g.GroundedIn != "" {
		in.Grounded = true
		if in.Passages, err = contractPassages(c.Vars[g.GroundedIn]); err != nil {
			return c.inStep(err)
		}
	}

	var text string
	switch g.Speak {
	case "stream":
		if run.Cover != "" {
			if in.Cover, err = c.prompt(run.Cover, nil); err != nil {
				return err
			}
		}
		text, err = c.speak(ctx, utterance{answer: &in, gesture: g.Avatar, bargeIn: c.bargeIn(), run: run})
	default:
		var result activities.GenerateResult
		c.Responses++
		in.Response = c.Responses
		answer := workflow.ExecuteActivity(c.on(ctx, activities.PoolLLM, c.Step, in.Response, "", run), activities.Generate, in)
		err = c.await(ctx, answer, run.Cover, &result)
		text = result.Text
		if err == nil && g.Speak == "whole" {
			_, err = c.speak(ctx, utterance{text: text, gesture: g.Avatar, bargeIn: c.bargeIn()})
		}
	}
	if err != nil {
		return err
	}
	c.LastPrompt = text
	if g.Into != "" {
		c.Vars[g.Into] = text
	}
	return nil
}

// await waits for work that makes no sound, and says the step's cover phrase
// when it takes long.
func (c *conversation) await(ctx workflow.Context, work workflow.Future, cover string, result any) error {
	if cover != "" {
		done, err := workflow.AwaitWithTimeout(ctx, activities.CoverAfter, work.IsReady)
		if err != nil {
			return err
		}
		if !done {
			text, err := c.prompt(cover, nil)
			if err != nil {
				return err
			}
			if _, err := c.speak(ctx, utterance{text: text, bargeIn: c.bargeIn()}); err != nil {
				return err
			}
		}
	}
	return work.Get(ctx, result)
}

// set assigns slots and vars, in the author's order.
func (c *conversation) set(assigns []flow.Assign) error {
	for _, a := range assigns {
		value, err := c.program.Value(a.Expr, c.scope())
		if err != nil {
			return c.inStep(err)
		}
		kind, name, _ := strings.Cut(a.Name, ".")
		if kind == "slots" {
			c.Slots[name] = value
			c.followLanguage()
		} else {
			c.Vars[name] = value
		}
	}
	return nil
}

// branch goes to the first case that holds.
func (c *conversation) branch(cases []flow.Case) (string, error) {
	for _, arm := range cases {
		if arm.When == "" {
			return arm.To, nil
		}
		holds, err := c.program.Bool(arm.When, c.scope())
		if err != nil {
			return "", c.inStep(err)
		}
		if holds {
			return arm.To, nil
		}
	}
	return "", c.inStep(fmt.Errorf("no case of the branch holds"))
}

// end says goodbye and ends the conversation.
func (c *conversation) end(ctx workflow.Context, e flow.End) error {
	if e.Prompt != "" {
		text, err := c.prompt(e.Prompt, e.With)
		if err != nil {
			return err
		}
		if _, err := c.speak(ctx, utterance{text: text, gesture: e.Avatar, bargeIn: c.bargeIn()}); err != nil {
			return err
		}
	}
	c.Outcome = e.Outcome
	return nil
}

// prompt renders an author's text in the conversation's language.
func (c *conversation) prompt(key string, with flow.With) (string, error) {
	text, err := c.program.Prompt(c.Language, key, with, c.scope())
	if err != nil {
		return "", c.inStep(err)
	}
	return text, nil
}

// bargeIn is the current step's policy.
func (c *conversation) bargeIn() flow.BargeIn {
	if own := c.plan.Steps[c.Step].BargeIn; own != nil {
		return *own
	}
	return c.plan.BargeIn
}

// inStep says where in the author's file a failure arose.
func (c *conversation) inStep(err error) error {
	return fmt.Errorf("step %q (line %d): %w", c.Step, c.plan.Steps[c.Step].Line, err)
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
