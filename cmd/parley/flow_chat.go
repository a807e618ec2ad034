package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/llm"
	"github.com/praesenz/parley/activities/retrieval"
	"github.com/praesenz/parley/activities/retrieval/embedded"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/flowtest"
	"github.com/praesenz/parley/store"
)

// chatOptions are the flags of flow chat.
type chatOptions struct {
	lang, record, given, name string
	kb                        bool
	inputs                    map[string]string
}

func flowChatCommand() *cobra.Command {
	var o chatOptions
	cmd := &cobra.Command{
		Use:   "chat FLOW",
		Short: "Talk to a flow in the terminal, by text and without a server",
		Long: `Chat holds a conversation with a flow in the terminal: the real interpreter on
virtual time, without a server. What you write is what the customer says; an
empty line is silence, and /help shows what else a customer can do. The step and
what changes in slots and vars is shown.

Where the flow calls an action you are asked what it answers, unless --given names
a test file whose answers are taken. With --kb a search looks into the store's
own knowledge, and the language model is replaced by one that quotes it.

--record writes the chat as a conversation test, which passes when it is run.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return chat(cmd, args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.lang, "lang", "", "the language in which the kiosk's page was opened (default: none was chosen)")
	f.StringVar(&o.record, "record", "", "write the chat as a test to this file, which must not be there")
	f.StringVar(&o.name, "name", "", "the recorded test's name (default: the file's)")
	f.StringVar(&o.given, "given", "", "a test file: what the servers answer is its first test's `given`")
	f.BoolVar(&o.kb, "kb", false, "search the store's own knowledge")
	f.StringToStringVar(&o.inputs, "input", nil, "the flow's inputs, like store_id=s1")
	return cmd
}

func chat(cmd *cobra.Command, file string, o chatOptions) error {
	dir := storeFolder(file)
	plan, _, err := compileFlow(file, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	now := time.Now()
	c := flowtest.Chat{
		Plan: plan, Language: o.lang, Inputs: map[string]any{},
		// The store's own time, which the rehearsal takes for UTC.
		Now: time.Date(now.Year(), now.Month(), now.Day(), now.Hour(), now.Minute(), now.Second(), 0, time.UTC),
		In:  cmd.InOrStdin(), Out: cmd.OutOrStdout(), Colour: isTerminal(cmd.OutOrStdout()),
		Echo: !atTerminal(cmd.InOrStdin()),
	}
	if o.lang != "" && !slices.Contains(plan.Languages.Supported, o.lang) {
		return fmt.Errorf("--lang: flow %s has no language %q, only %s", plan.Flow, o.lang, strings.Join(plan.Languages.Supported, ", "))
	}
	for name, value := range o.inputs {
		if _, ok := plan.Inputs[name]; !ok {
			return fmt.Errorf("--input: flow %s has no input %q", plan.Flow, name)
		}
		c.Inputs[name] = value
	}
	if o.given != "" {
		if c.Given, err = givenBy(o.given); err != nil {
			return err
		}
	}
	if o.kb {
		if err := knowledgeFor(cmd.Context(), &c, dir); err != nil {
			return err
		}
	}
	if o.record != "" {
		if _, err := os.Stat(o.record); err == nil {
			return fmt.Errorf("--record: %s is there already; name another file", o.record)
		}
	}
	recording, err := c.Hold(cmd.Context())
	if err != nil {
		return err
	}
	if o.record == "" {
		return nil
	}
	name := o.name
	if name == "" {
		name = strings.ReplaceAll(strings.TrimSuffix(path.Base(filepath.ToSlash(o.record)), filepath.Ext(o.record)), "_", " ")
	}
	if err := os.MkdirAll(filepath.Dir(o.record), 0o755); err != nil { //nolint:gosec // a test is for everyone
		return fmt.Errorf("--record: %w", err)
	}
	if err := os.WriteFile(o.record, recording.YAML(name), 0o644); err != nil { //nolint:gosec // a test is for everyone
		return fmt.Errorf("--record: %w", err)
	}
	return nil
}

// givenBy is the first test of a file.
func givenBy(file string) (*flowtest.Test, error) {
	dir, name := os.DirFS(filepath.Dir(file)), filepath.Base(file)
	tests, ds := flowtest.Read(dir, name)
	if len(ds.Errors()) > 0 {
		return nil, fmt.Errorf("--given: %w", &flow.InvalidError{Diagnostics: ds})
	}
	return tests[0], nil
}

// knowledgeFor lets a chat search the store's knowledge, and answer with its
// sentences.
func knowledgeFor(ctx context.Context, c *flowtest.Chat, dir string) error {
	s, err := store.Read(dir)
	if err != nil {
		return fmt.Errorf("--kb: %w", err)
	}
	index, err := embedded.Open(embedded.Options{})
	if err != nil {
		return fmt.Errorf("--kb: %w", err)
	}
	if _, err := syncOnce(ctx, collections(s, index)); err != nil {
		return fmt.Errorf("--kb: %w", err)
	}
	model, _, err := llm.Choose(ctx, llm.Config{Kind: llm.Extractive})
	if err != nil {
		return fmt.Errorf("--kb: %w", err)
	}
	search := &retrieval.Activity{Index: index}
	c.Retrieve = func(ctx context.Context, in activities.RetrieveInput) ([]activities.Passage, error) {
		in.Store = s.ID
		found, err := search.Retrieve(ctx, in)
		return found.Passages, err
	}
	c.Generate = func(ctx context.Context, in activities.GenerateInput) (string, error) {
		var text strings.Builder
		err := model.Answer(ctx, llm.Question{
			System: in.System, History: in.History, Text: in.Question, Passages: in.Passages, Language: in.Language,
			Grounded: in.Grounded, MaxTokens: in.MaxTokens,
		}, func(delta string) error {
			text.WriteString(delta)
			return nil
		})
		return text.String(), err
	}
	return nil
}
