package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// The search attributes by which operators find conversations: `parley dev` and
// `parley temporal setup` register them. They are never sealed, so none may hold
// what a customer said.
var (
	AttributeStore       = temporal.NewSearchAttributeKeyKeyword("ParleyStore")
	AttributeKiosk       = temporal.NewSearchAttributeKeyKeyword("ParleyKiosk")
	AttributeFlow        = temporal.NewSearchAttributeKeyKeyword("ParleyFlow")
	AttributeFlowVersion = temporal.NewSearchAttributeKeyKeyword("ParleyFlowVersion")
	AttributeLanguage    = temporal.NewSearchAttributeKeyKeyword("ParleyLanguage")
	AttributeStep        = temporal.NewSearchAttributeKeyKeyword("ParleyStep")
	AttributeTurns       = temporal.NewSearchAttributeKeyInt64("ParleyTurns")
	AttributeOutcome     = temporal.NewSearchAttributeKeyKeyword("ParleyOutcome")
	AttributeHandoff     = temporal.NewSearchAttributeKeyKeyword("ParleyHandoff") // the team that is called; unset when none is
)

// Attributes lists the search attributes, for those who register them.
var Attributes = []temporal.SearchAttributeKey{
	AttributeStore, AttributeKiosk, AttributeFlow, AttributeFlowVersion,
	AttributeLanguage, AttributeStep, AttributeTurns, AttributeOutcome, AttributeHandoff,
}

// published is what the search attributes say now.
type published struct {
	any      bool
	step     string
	language string
	turns    int
	outcome  string
	team     string // that is called
}

// publish brings what operators see up to date: the transcript at every step,
// and the search attributes, as far as they have changed, where a conversation
// waits for its customer and where it ends. An update of theirs is an event and a
// write to Temporal's index, which would slow down the steps on the way to an
// answer; what such a step is doing, its pending activity shows.
func (c *conversation) publish(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, c.details())
	now := published{any: true, step: c.where(), language: c.Language, turns: c.Turns, outcome: c.Outcome}
	if c.calling != nil {
		now.team = c.calling.Team
	}
	was := c.published
	if now == was || was.any && !c.listening && c.Outcome == "" && now.team == was.team {
		return
	}
	c.published = now
	updates := []temporal.SearchAttributeUpdate{AttributeStep.ValueSet(now.step)}
	if !was.any {
		updates = append(updates,
			AttributeStore.ValueSet(c.Place.Store), AttributeKiosk.ValueSet(c.Place.Kiosk),
			AttributeFlow.ValueSet(c.root.Flow), AttributeFlowVersion.ValueSet(c.root.Version))
	}
	if now.language != was.language {
		updates = append(updates, AttributeLanguage.ValueSet(c.Language))
	}
	if now.turns != was.turns || !was.any {
		updates = append(updates, AttributeTurns.ValueSet(int64(c.Turns)))
	}
	switch {
	case now.team == was.team:
	case now.team == "":
		updates = append(updates, AttributeHandoff.ValueUnset())
	default:
		updates = append(updates, AttributeHandoff.ValueSet(now.team))
	}
	if now.outcome != "" {
		updates = append(updates, AttributeOutcome.ValueSet(c.Outcome))
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, updates...); err != nil {
		workflow.GetLogger(ctx).Error("search attributes not updated", "error", err)
	}
}

// where names the current step, in a flow that another one waits for with the
// flow's name.
func (c *conversation) where() string {
	if step := c.frame().Step; len(c.Stack) == 1 {
		return step
	}
	return c.plan().Flow + "/" + c.frame().Step
}

// status answers StatusQuery.
func (c *conversation) status() (Status, error) {
	f, plan := c.frame(), c.plan()
	slots := make(map[string]any, len(f.Slots))
	for _, name := range workflow.DeterministicKeys(f.Slots) {
		slots[name] = f.Slots[name]
		if plan.Slots[name].Sensitive {
			slots[name] = masked
		}
	}
	transcript := slices.Clone(c.Transcript)
	for i := range transcript {
		if transcript[i].Sensitive {
			transcript[i].Text = masked
		}
	}
	var within []string
	for _, waiting := range c.Stack[:len(c.Stack)-1] {
		p := c.scripts[waiting.Flow].plan
		within = append(within, p.Flow+"@"+p.Version)
	}
	return Status{
		Flow: plan.Flow, Version: plan.Version, Step: f.Step, Language: c.Language, Turns: c.Turns,
		Listening: c.listening, Within: within, Handoff: c.calling, Vars: f.Vars, Taken: c.Taken,
		Place: c.Place, Slots: slots, Transcript: transcript,
	}, nil
}

// masked stands for what a customer said of themselves.
const masked = "•••"

// details is the live transcript, as Markdown, for the workflow's page in the
// Temporal UI.
func (c *conversation) details() string {
	var b strings.Builder
	step, doing := c.step(), c.step().Verb()
	switch {
	case c.Outcome != "":
		fmt.Fprintf(&b, "### %s %s · ended: **%s**\n\n", c.root.Flow, c.root.Version, c.Outcome)
	case c.calling != nil:
		fmt.Fprintf(&b, "### %s %s · at **%s**: calling **%s** until %s\n\n", c.root.Flow, c.root.Version, c.where(),
			c.calling.Team, c.calling.Until.In(c.zone).Format(time.TimeOnly))
	case c.listening:
		doing = "listening"
		fallthrough
	default:
		fmt.Fprintf(&b, "### %s %s · at **%s** (%s)\n\n", c.root.Flow, c.root.Version, c.where(), doing)
	}
	fmt.Fprintf(&b, "Kiosk **%s** in **%s**, language **%s**, turn **%d**", c.Place.Kiosk, c.Place.Store, c.Language, c.Turns)
	if step.Note != "" {
		fmt.Fprintf(&b, " · %s", step.Note)
	}
	b.WriteString("\n\n")
	const lines = 60
	from := max(0, len(c.Transcript)-lines)
	if from > 0 {
		fmt.Fprintf(&b, "*%d earlier lines are in the history*\n\n", from)
	}
	if len(c.Transcript) > 0 {
		b.WriteString("| who | said | step |\n|---|---|---|\n")
	}
	for _, line := range c.Transcript[from:] {
		text := line.Text
		if line.Sensitive {
			text = masked
		}
		text = strings.NewReplacer("|", "\\|", "\n", " ").Replace(text)
		who := "Kiosk"
		if line.By == "customer" {
			who = "**Customer**"
			switch {
			case line.Text == "":
				text = "*(could not be transcribed)*"
			case line.How == Spoken && line.Confidence > 0:
				text += fmt.Sprintf(" *(%.0f %% sure)*", 100*line.Confidence)
			case line.How != Spoken:
				text += " *(" + line.How + ")*"
			}
		}
		if line.Cut {
			text += " — *interrupted*"
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` |\n", who, text, line.Step)
	}
	return b.String()
}
