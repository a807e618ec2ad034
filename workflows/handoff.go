package workflows

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
)

const (
	// reassure is how often a customer who waits for staff is spoken to.
	reassure = 20 * time.Second
	// summaryLines is how much of the conversation a summary for staff is made of,
	// and lastLines what they are shown where there is none.
	summaryLines, lastLines = 60, 4
)

// handoff calls staff and waits for their answer. What the customer says
// meanwhile, the next step hears.
func (c *conversation) handoff(ctx workflow.Context, j job) (way, error) {
	h := j.Handoff
	c.Handoffs++
	since := workflow.Now(ctx)
	c.staff = nil
	c.calling = &Handoff{
		ID: fmt.Sprintf("%s-%d", j.name, c.Handoffs), Team: h.Team, Step: j.name,
		Since: since, Until: since.Add(h.Wait.D()), Summary: transcriptOf(c.history(lastLines)),
	}
	c.publish(ctx)
	defer func() {
		c.calling, c.staff = nil, nil
		c.publish(ctx)
	}()
	if h.Summary {
		workflow.Go(ctx, func(ctx workflow.Context) { c.sumUp(ctx, j, c.calling) })
	}
	if h.Prompt != "" {
		if err := c.say(ctx, flow.Say{Prompt: h.Prompt, With: h.With, Avatar: h.Avatar}); err != nil {
			return way{}, err
		}
	}
	for c.staff == nil {
		left := c.calling.Until.Sub(workflow.Now(ctx))
		if left <= 0 {
			break
		}
		pause := left
		if h.WhileWaiting != "" {
			pause = min(left, reassure)
		}
		answered, err := c.until(ctx, pause, "staff", func() bool { return c.staff != nil })
		if err != nil {
			return way{}, err
		}
		if !answered && pause < left {
			if err := c.say(ctx, flow.Say{Prompt: h.WhileWaiting}); err != nil {
				return way{}, err
			}
		}
	}
	how := activities.KindTimeout
	switch {
	case c.staff == nil:
	case c.staff.Accept:
		how = "accepted"
	default:
		how = "declined"
	}
	on, ok := caught(j.Catch, how)
	if !ok {
		return way{}, c.inStep(fmt.Errorf("the handoff ended %q, which the step does not catch", how))
	}
	return on, nil
}

// sumUp has the language model tell staff what the conversation is about. Until
// it has, and where it cannot, they are shown the last lines.
func (c *conversation) sumUp(ctx workflow.Context, j job, call *Handoff) {
	said := c.history(summaryLines)
	if len(said) == 0 {
		return
	}
	language := c.root.Languages.Default // staff's, as far as anybody knows
	system, err := c.script().Prompt(language, flow.PromptHandoffSummary, nil, c.scope())
	if err != nil {
		workflow.GetLogger(ctx).Error("no summary for staff", "step", j.name, "error", err)
		return
	}
	c.Responses++
	w := work{step: j.name, part: "summary", note: j.Note, run: flow.Run{Attempts: 1}}
	var result activities.GenerateResult
	err = workflow.ExecuteActivity(c.on(ctx, activities.PoolLLM, w), activities.Generate, activities.GenerateInput{
		Place: c.Place, Response: c.Responses, Step: j.name, System: system, Question: transcriptOf(said), Language: language,
	}).Get(ctx, &result)
	switch {
	case ctx.Err() != nil: // nobody waits for it any more
	case err != nil:
		workflow.GetLogger(ctx).Warn("no summary for staff", "step", j.name, "error", err)
	case result.Text != "":
		call.Summary = result.Text
	}
}

// transcriptOf writes lines for people, and for a model to sum up.
func transcriptOf(said []activities.Said) string {
	var text string
	for _, s := range said {
		text += s.By + ": " + s.Text + "\n"
	}
	return text
}

// answerable refuses an answer of staff that nobody waits for.
func (c *conversation) answerable(a HandoffAnswer) error {
	const longest = 100
	switch {
	case a.By == "" || utf8.RuneCountInString(a.By) > longest:
		return temporal.NewApplicationError(fmt.Sprintf("by: say who answers, in at most %d characters", longest), activities.KindInvalid)
	case a.ID == c.Answered || c.calling != nil && c.calling.ID == a.ID && c.staff != nil:
		return temporal.NewApplicationError("somebody has answered this handoff already", HandoffAnswered)
	case c.calling == nil || c.calling.ID != a.ID:
		return temporal.NewApplicationError("nobody waits for an answer to this handoff any more", HandoffOver)
	}
	return nil
}

// answer takes staff's answer to the handoff under way.
func (c *conversation) answer(ctx workflow.Context, a HandoffAnswer) error {
	if c.calling == nil || c.calling.ID != a.ID {
		return errors.New("nobody waits for an answer to this handoff any more")
	}
	c.staff, c.Answered = &a, a.ID
	workflow.GetLogger(ctx).Info("staff answered", "handoff", a.ID, "team", c.calling.Team, "accepted", a.Accept)
	return nil
}
