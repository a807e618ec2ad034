package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/praesenz/parley/config"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/flow/diagram"
	"github.com/praesenz/parley/workflows"
)

// Bounds of what a picture may take.
const (
	drawTimeout         = 2 * time.Minute // a flow of 40 steps takes less than a second
	conversationTimeout = 20 * time.Second
)

type graphOptions struct {
	format, out, taken string
	conversation, run  string
	config             *config.Config
}

func flowGraphCommand() *cobra.Command {
	var o graphOptions
	cmd := &cobra.Command{
		Use:   "graph [FLOW]",
		Short: "Draw a flow, with the path that a conversation took",
		Long: `Graph draws a flow file, or a published flow, as Mermaid text, which GitHub and
many editors show, or as an SVG picture.

With --conversation it draws the plan that a conversation was started with, and
the path that it took: ID is the workflow's, such as kiosk/hardware-store/entrance.
The conversation may have ended; Temporal keeps it for the namespace's retention.

With --taken, the path comes from a JSON file: the ways and how often each was
taken, such as {"help/ask>next>find": 2}, or anything with such a member "taken".`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			var err error
			if o.config, err = settings(cmd, config.FlowGraph); err != nil {
				return err
			}
			return drawFlow(cmd, o, files)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "", "mermaid or svg (default: by the ending of --out, else mermaid)")
	f.StringVar(&o.out, "out", "", "file to write (default: standard output)")
	f.StringVar(&o.taken, "taken", "", "JSON file with the ways that a conversation took")
	f.StringVar(&o.conversation, "conversation", "", "workflow id of a conversation whose path to show")
	f.StringVar(&o.run, "run", "", "run id of the conversation (default: the latest)")
	config.Bind(config.FlowGraph, f) // used with --conversation
	cmd.MarkFlagsMutuallyExclusive("taken", "conversation")
	return cmd
}

func drawFlow(cmd *cobra.Command, o graphOptions, files []string) error {
	if o.format == "" {
		o.format = "mermaid"
		if filepath.Ext(o.out) == ".svg" {
			o.format = "svg"
		}
	}
	if o.format != "mermaid" && o.format != "svg" {
		return fmt.Errorf("--format: %q must be mermaid or svg", o.format)
	}
	if (len(files) == 1) == (o.conversation != "") {
		return errors.New("name a flow file, or a conversation with --conversation")
	}
	var plan *flow.Plan
	var taken map[string]int
	var err error
	if o.conversation != "" {
		plan, taken, err = askConversation(cmd.Context(), o)
	} else {
		plan, err = readPlan(files[0], cmd)
	}
	if err != nil {
		return err
	}
	if o.taken != "" {
		if taken, err = readTaken(o.taken); err != nil {
			return err
		}
	}
	picture := []byte(nil)
	if o.format == "mermaid" {
		picture = []byte(diagram.Mermaid(plan, taken))
	} else {
		ctx, cancel := context.WithTimeoutCause(cmd.Context(), drawTimeout,
			fmt.Errorf("not done within %s: the flow is too large for a picture; --format mermaid always works", drawTimeout))
		defer cancel()
		if picture, err = diagram.SVG(ctx, plan, taken); err != nil {
			return err
		}
	}
	if o.out == "" {
		_, err = cmd.OutOrStdout().Write(picture)
		return err
	}
	if err := os.WriteFile(o.out, picture, 0o644); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	return nil
}

// readPlan compiles a flow file, or reads a published flow.
func readPlan(file string, cmd *cobra.Command) (*flow.Plan, error) {
	if kindOf(file) == publishedFile {
		name, version, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".json"), "@")
		return flow.ReadPublished(os.DirFS(filepath.Dir(filepath.Dir(file))), name, version)
	}
	plan, _, err := compileFlow(file, cmd.ErrOrStderr())
	return plan, err
}

// readTaken reads a file of ways: the object itself, or its member "taken", as in
// a conversation's result.
func readTaken(file string) (map[string]int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--taken: %w", err)
	}
	var within struct {
		Taken map[string]int `json:"taken"`
	}
	if err := json.Unmarshal(text, &within); err == nil && within.Taken != nil {
		return within.Taken, nil
	}
	var taken map[string]int
	if err := json.Unmarshal(text, &taken); err != nil {
		return nil, fmt.Errorf("--taken: %s is no JSON object of ways and counts: %w", file, err)
	}
	return taken, nil
}

// askConversation asks Temporal for a conversation's plan and the ways it took.
func askConversation(ctx context.Context, o graphOptions) (*flow.Plan, map[string]int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, conversationTimeout, fmt.Errorf("no answer within %s", conversationTimeout))
	defer cancel()
	c, err := dialTemporal(ctx, o.config, nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	first, err := c.GetWorkflowHistory(ctx, o.conversation, o.run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT).Next()
	if err != nil {
		return nil, nil, fmt.Errorf("read conversation %s: %w", o.conversation, err)
	}
	var visit workflows.Visit
	started := first.GetWorkflowExecutionStartedEventAttributes()
	if started.GetWorkflowType().GetName() != workflows.ConversationType {
		return nil, nil, fmt.Errorf("%s is no conversation but a %s", o.conversation, started.GetWorkflowType().GetName())
	}
	if err := converter.GetDefaultDataConverter().FromPayloads(started.GetInput(), &visit); err != nil {
		return nil, nil, fmt.Errorf("read the plan of %s: %w", o.conversation, err)
	}
	taken, err := takenBy(ctx, c, o)
	return &visit.Plan, taken, err
}

// takenBy reads the ways from the result of a conversation that has ended well,
// which needs no worker, and else asks the conversation.
func takenBy(ctx context.Context, c client.Client, o graphOptions) (map[string]int, error) {
	d, err := c.DescribeWorkflowExecution(ctx, o.conversation, o.run)
	if err != nil {
		return nil, fmt.Errorf("read conversation %s: %w", o.conversation, err)
	}
	taken := map[string]int{}
	if d.GetWorkflowExecutionInfo().GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_COMPLETED {
		var summary workflows.Summary
		if err := c.GetWorkflow(ctx, o.conversation, o.run).Get(ctx, &summary); err != nil {
			return nil, fmt.Errorf("read the result of %s: %w", o.conversation, err)
		}
		if summary.Taken != nil {
			taken = summary.Taken
		}
		return taken, nil
	}
	answer, err := c.QueryWorkflow(ctx, o.conversation, o.run, workflows.StatusQuery)
	if err != nil {
		return nil, fmt.Errorf("ask conversation %s, which needs a worker that runs: %w", o.conversation, err)
	}
	var status workflows.Status
	if err := answer.Get(&status); err != nil {
		return nil, fmt.Errorf("read the status of %s: %w", o.conversation, err)
	}
	if status.Taken != nil {
		taken = status.Taken
	}
	return taken, nil
}
