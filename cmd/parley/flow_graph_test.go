package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/config"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/workflows"
)

func TestFlowGraph(t *testing.T) {
	dir := writeStore(t, goodFlow)
	file := filepath.Join(dir, "flows", "help.yaml")
	out, err := runFlow("graph", file)
	if err != nil || !strings.Contains(out, "flowchart TD") || !strings.Contains(out, "s_find --> s_ask") {
		t.Errorf("%v\n%s", err, out)
	}

	picture := filepath.Join(dir, "help.svg")
	writeFile(t, dir, "taken.json", `{"outcome": "resolved", "taken": {"help/ask>next>find": 3}}`)
	if _, err := runFlow("graph", file, "--out", picture, "--taken", filepath.Join(dir, "taken.json")); err != nil {
		t.Fatal(err)
	}
	if svg, err := os.ReadFile(picture); err != nil || !strings.HasPrefix(string(svg), "<svg ") || !strings.Contains(string(svg), "×3") {
		t.Errorf("%v\n%s", err, svg)
	}
	writeFile(t, dir, "bare.json", `{"help/ask>next>find": 3}`)
	if out, err = runFlow("graph", file, "--taken", filepath.Join(dir, "bare.json")); err != nil || !strings.Contains(out, "×3") {
		t.Errorf("%v\n%s", err, out)
	}

	if _, err := runFlow("publish", file); err != nil {
		t.Fatal(err)
	}
	if out, err = runFlow("graph", filepath.Join(dir, "published", "help@1.0.0.json")); err != nil || !strings.Contains(out, "title: help 1.0.0") {
		t.Errorf("a published flow: %v\n%s", err, out)
	}
}

func TestFlowGraphSaysWhatItCannotDo(t *testing.T) {
	dir := writeStore(t, goodFlow)
	file := filepath.Join(dir, "flows", "help.yaml")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"graph"}, "--conversation"},
		{[]string{"graph", file, "--conversation", "kiosk/s/door"}, "--conversation"},
		{[]string{"graph", file, "--format", "png"}, "--format"},
		{[]string{"graph", file, "--taken", file}, "--taken"},
	} {
		if _, err := runFlow(c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q in it", c.args, err, c.want)
		}
	}
}

// The path of a conversation comes from Temporal: from the conversation while it
// is under way, and from its result when it has ended and no worker runs.
func TestFlowGraphOfAConversation(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	dir := writeStore(t, goodFlow)
	plan, err := flow.Compile(flow.Source{FS: os.DirFS(dir), Path: "flows/help.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	c, address := temporalForTest(ctx, t)
	w := worker.New(c, "conversations", worker.Options{})
	w.RegisterWorkflowWithOptions(stubConversation, workflow.RegisterOptions{Name: workflows.ConversationType})
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			w.Stop()
		}
	}()
	id := workflows.ConversationID("s", "door")
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: "conversations"}, workflows.ConversationType, workflows.Visit{Plan: *plan})
	if err != nil {
		t.Fatal(err)
	}

	out, err := runFlow("graph", "--conversation", id, "--temporal", address)
	if err != nil || !strings.Contains(out, "title: help 1.0.0") || !strings.Contains(out, "×2") {
		t.Errorf("under way: %v\n%s", err, out)
	}
	if err := c.SignalWorkflow(ctx, id, "", "end", nil); err != nil {
		t.Fatal(err)
	}
	if err := run.Get(ctx, nil); err != nil {
		t.Fatal(err)
	}
	w.Stop()
	stopped = true
	out, err = runFlow("graph", "--conversation", id, "--run", run.GetRunID(), "--temporal", address, "--format", "svg")
	if err != nil || !strings.HasPrefix(out, "<svg ") || !strings.Contains(out, "×3") {
		t.Errorf("ended: %v\n%.300s", err, out)
	}
	if _, err := runFlow("graph", "--conversation", "kiosk/s/window", "--temporal", address); err == nil || !strings.Contains(err.Error(), "kiosk/s/window") {
		t.Errorf("one that is not there: %v", err)
	}
}

// stubConversation stands for workflows.Conversation: it took one way twice, and
// a third time when it ends.
func stubConversation(ctx workflow.Context, _ workflows.Visit) (workflows.Summary, error) {
	taken := map[string]int{workflows.Way("help", "ask", "next", "find"): 2}
	if err := workflow.SetQueryHandler(ctx, workflows.StatusQuery, func() (workflows.Status, error) {
		return workflows.Status{Taken: taken}, nil
	}); err != nil {
		return workflows.Summary{}, err
	}
	workflow.GetSignalChannel(ctx, "end").Receive(ctx, nil)
	taken[workflows.Way("help", "ask", "next", "find")]++
	return workflows.Summary{Outcome: "resolved", Taken: taken}, nil
}

// temporalForTest is Temporal's own development server.
func temporalForTest(ctx context.Context, t *testing.T) (client.Client, string) {
	t.Helper()
	bin, err := findTemporal(ctx, io.Discard)
	if err != nil {
		t.Skip(err)
	}
	port := freePort(t)
	server, err := startTemporal(bin, t.TempDir(), port, freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.stop)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	c, err := dialTemporal(ctx, &config.Config{Temporal: address, Namespace: "default"}, server.exited, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, address
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
