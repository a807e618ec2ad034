package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	temporalsdk "go.temporal.io/sdk/temporal"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/config"
	"github.com/praesenz/parley/payload"
	"github.com/praesenz/parley/tests/temporal"
	"github.com/praesenz/parley/worker"
	"github.com/praesenz/parley/workflows"
)

// runParley runs a command in this process and gives what it wrote.
func runParley(t *testing.T, args ...string) (string, error) {
	t.Helper()
	root := rootCommand()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := root.ExecuteContext(ctx)
	return out.String(), err
}

func TestTemporalIsSetUpAsFarAsItIsNot(t *testing.T) {
	address := temporal.Start(t)
	for _, step := range []struct {
		args []string
		want []string
	}{
		{[]string{"--namespace", "shop"}, []string{"namespace shop: made; conversations that have ended are kept for 72h0m0s", "search attributes: added ParleyStore, ParleyKiosk"}},
		{[]string{"--namespace", "shop"}, []string{"namespace shop: there; conversations that have ended are kept for 72h0m0s", "search attributes: all 9 are there"}},
		{[]string{"--namespace", "shop", "--retention", "48h"}, []string{"kept for 48h0m0s; it was 72h0m0s", "all 9 are there"}},
		{[]string{"--namespace", "shop"}, []string{"there; conversations that have ended are kept for 48h0m0s"}},
		{[]string{"--namespace", "default"}, []string{"namespace default: there", "added ParleyStore"}},
	} {
		out, err := runParley(t, append([]string{"temporal", "setup", "--temporal", address, "--wait", "30s"}, step.args...)...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", step.args, err, out)
		}
		for _, want := range step.want {
			if !strings.Contains(out, want) {
				t.Errorf("%v: it does not say %q but\n%s", step.args, want, out)
			}
		}
	}
	// What was set up is what a worker waits for.
	c := temporal.Dial(t, client.Options{HostPort: address})
	ready, err := dialTemporal(t.Context(), &config.Config{Temporal: address, Namespace: "shop"}, nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ready.Close()

	_, err = c.OperatorService().RemoveSearchAttributes(t.Context(), &operatorservice.RemoveSearchAttributesRequest{Namespace: "default", SearchAttributes: []string{"ParleyTurns"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.OperatorService().AddSearchAttributes(t.Context(), &operatorservice.AddSearchAttributesRequest{
		Namespace: "default", SearchAttributes: map[string]enums.IndexedValueType{"ParleyTurns": enums.INDEXED_VALUE_TYPE_KEYWORD}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = runParley(t, "temporal", "setup", "--temporal", address)
	if err == nil || !strings.Contains(err.Error(), "search attribute ParleyTurns is there as Keyword and must be Int") {
		t.Errorf("an attribute of another type: %v", err)
	}
}

func TestABuildIsPromotedOnceItPolls(t *testing.T) {
	address := temporal.Start(t)
	if out, err := runParley(t, "temporal", "setup", "--temporal", address); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := temporal.Dial(t, client.Options{HostPort: address})
	promote := func(build string, wait string) (string, error) {
		return runParley(t, "temporal", "promote", "--temporal", address, "--deployment", "parley-shop", "--build-id", build, "--wait", wait)
	}
	polling := func(build string) *worker.Worker {
		w, err := worker.New(worker.Config{Temporal: c, Store: "shop", Pools: []activities.Pool{activities.PoolConversation},
			Deployment: "parley-shop", BuildID: build, StopTimeout: time.Second, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.Stop)
		return w
	}
	if _, err := promote("1.0.0", "5s"); err == nil || !strings.Contains(err.Error(), "build 1.0.0 of parley-shop: waited for 5s: no worker of this build polls") {
		t.Errorf("a build that nobody runs: %v", err)
	}
	promoted := make(chan string, 1)
	go func() {
		out, err := promote("1.0.0", "30s")
		promoted <- fmt.Sprint(out, err)
	}()
	polling("1.0.0")
	if got := <-promoted; got != "parley-shop: build 1.0.0 is the current one; conversations had no build before\n<nil>" {
		t.Errorf("the first build: %s", got)
	}
	for _, step := range []struct{ build, want string }{
		{"1.0.0", "parley-shop: build 1.0.0 was the current one already\n"},
		{"1.1.0", "parley-shop: build 1.1.0 is the current one; it was 1.0.0\n"},
		{"1.0.0", "parley-shop: build 1.0.0 is the current one; it was 1.1.0\n"},
	} {
		if step.build == "1.1.0" {
			polling("1.1.0")
		}
		if out, err := promote(step.build, "30s"); err != nil || out != step.want {
			t.Errorf("got %q, %v; want %q", out, err, step.want)
		}
	}
	handle := c.WorkerDeploymentClient().GetHandle("parley-shop")
	if _, err := handle.SetManagerIdentity(t.Context(), client.WorkerDeploymentSetManagerIdentityOptions{ManagerIdentity: "the controller"}); err != nil {
		t.Fatal(err)
	}
	if _, err := promote("1.1.0", "5s"); err == nil || !strings.Contains(err.Error(), "managed by the controller") {
		t.Errorf("a managed deployment: %v", err)
	}
	if _, err := runParley(t, "temporal", "promote", "--temporal", address); err == nil || !strings.Contains(err.Error(), "deployment") {
		t.Errorf("without a name: %v", err)
	}
}

func TestAWorkerWithoutTheKeyOfConversationsUnderWayDoesNotStart(t *testing.T) {
	address := temporal.Start(t)
	if out, err := runParley(t, "temporal", "setup", "--temporal", address); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	keys, err := payload.ParseKeys("k:" + strings.Repeat("00", 32))
	if err != nil {
		t.Fatal(err)
	}
	sealing, err := payload.DialOptions(keys, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := temporal.Dial(t, client.Options{HostPort: address, ConnectionOptions: client.ConnectionOptions{DialOptions: sealing}})
	_, err = c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		TaskQueue: "nobody", Memo: map[string]any{"flow": "help"},
		TypedSearchAttributes: temporalsdk.NewSearchAttributes(workflows.AttributeStore.ValueSet("hardware-store")),
	}, workflows.ConversationType)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PARLEY_MEDIA_TOKEN", strings.Repeat("m", 32))
	temporal.Eventually(t, 20*time.Second, func() error { // Temporal's index follows a little later
		if n, err := c.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: `ParleyStore = "hardware-store"`}); err != nil || n.GetCount() == 0 {
			return fmt.Errorf("%d conversations, %w", n.GetCount(), err)
		}
		return nil
	})
	_, err = runParley(t, "worker", "--pools", "conversation", "--temporal", address, "--store", "../../examples/hardware-store", "--listen", "127.0.0.1:0")
	if err == nil || !strings.Contains(err.Error(), `it needs the key "k", and payload_keys has none`) {
		t.Errorf("it ended with %v", err)
	}
}
