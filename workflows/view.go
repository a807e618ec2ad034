package workflows

import (
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// The search attributes by which operators find conversations. `parley dev`
// registers them; a cluster's are registered once, as docs/operate.md shows.
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
}

// publish brings what operators see up to date: the transcript at every step,
// and the search attributes, as far as they have changed, where a conversation
// waits for its customer and where it ends. An update of theirs is an event and a
// write to Temporal's index, which would slow down the steps on the way to an
// answer; what such a step is doing, its pending activity shows.
func (c *conversation) publish(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, c.details())
	now := published{true, c.Step, c.Language, c.Turns, c.Outcome}
	was := c.published
	if now == was || was.any && !c.listening && c.Outcome == "" {
		return
	}
	c.published = now
	updates := []temporal.SearchAttributeUpdate{AttributeStep.ValueSet(c.Step)}
	if !was.any {
		updates = append(updates,
			AttributeStore.ValueSet(c.Place.Store), AttributeKiosk.ValueSet(c.Place.Kiosk),
			AttributeFlow.ValueSet(c.plan.Flow), AttributeFlowVersion.ValueSet(c.plan.Version))
	}
	if now.language != was.language {
		updates = append(updates, AttributeLanguage.ValueSet(c.Language))
	}
	if now.turns != was.turns || !was.any {
		updates = append(updates, AttributeTurns.ValueSet(int64(c.Turns)))
	}
	if now.outcome != "" {
		updates = append(updates, AttributeOutcome.ValueSet(c.Outcome))
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, updates...); err != nil {
		workflow.GetLogger(ctx).Error("search attributes not updated", "error", err)
	}
}

// status answers StatusQuery.
func (c *conversation) status() (Status, error) {
	slots := make(map[string]any, len(c.Slots))
	for _, name := range workflow.DeterministicKeys(c.Slots) {
		slots[name] = c.Slots[name]
		if c.plan.Slots[name].Sensitive {
			slots[name] = masked
		}
	}
	transcript := slices.Clone(c.Transcript)
	for i := range transcript {
		if transcript[i].Sensitive {
			transcript[i].Text = masked
		}
	}
	return Status{
		Flow: c.plan.Flow, Version: c.plan.Version, Step: c.Step, Language: c.Language, Turns: c.Turns,
		Listening: c.listening, Place: c.Place, Slots: slots, Transcript: transcript,
	}, nil
}

// masked stands for what a customer said of themselves.
const masked = "•••"

// details is the live transcript, as Markdown, for the workflow's page in the
// Temporal UI.
func (c *conversation) details() string {
	var b strings.Builder
	doing := c.plan.Steps[c.Step].Verb()
	switch {
	case c.Outcome != "":
		fmt.Fprintf(&b, "### %s %s · ended: **%s**\n\n", c.plan.Flow, c.plan.Version, c.Outcome)
	case c.listening:
		doing = "listening"
		fallthrough
	default:
		fmt.Fprintf(&b, "### %s %s · at **%s** (%s)\n\n", c.plan.Flow, c.plan.Version, c.Step, doing)
	}
	fmt.Fprintf(&b, "Kiosk **%s** in **%s**, language **%s**, turn **%d**", c.Place.Kiosk, c.Place.Store, c.Language, c.Turns)
	if note := c.plan.Steps[c.Step].Note; note != "" {
		fmt.Fprintf(&b, " · %s", note)
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
