package payload_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	temporalsdk "go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"

	"github.com/praesenz/parley/payload"
	"github.com/praesenz/parley/tests/temporal"
)

const (
	key = "k:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

	theirs  = "where are the hammers"
	failing = "no shelf for hammers"
)

// dial gives a client with some keys; what it logs goes to log.
func dial(t *testing.T, address, keys string, log *lockedBuffer) client.Client {
	t.Helper()
	k, err := payload.ParseKeys(keys)
	if err != nil {
		t.Fatal(err)
	}
	options, err := payload.DialOptions(k, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return temporal.Dial(t, client.Options{HostPort: address, ConnectionOptions: client.ConnectionOptions{DialOptions: options}})
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// answer hears one signal, fails to look it up, remembers that, and ends with it.
func answer(ctx workflow.Context, greeting string) (string, error) {
	var question string
	workflow.GetSignalChannel(ctx, "ask").Receive(ctx, &question)
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute, Summary: question, RetryPolicy: &temporalsdk.RetryPolicy{MaximumAttempts: 1},
	})
	err := workflow.ExecuteActivity(ctx, lookUp, question).Get(ctx, nil)
	var app *temporalsdk.ApplicationError
	if !errors.As(err, &app) || !strings.Contains(app.Message(), failing) || app.Type() != "no_shelf" {
		return "", fmt.Errorf("the failure is told as %w", err)
	}
	return greeting + ": " + question, temporalsdk.NewApplicationError(failing+", again", "no_shelf")
}

func lookUp(_ context.Context, question string) error {
	return temporalsdk.NewApplicationError(failing, "no_shelf", question)
}

func startWorker(t *testing.T, c client.Client) {
	t.Helper()
	w := worker.New(c, "shop", worker.Options{})
	w.RegisterWorkflow(answer)
	w.RegisterActivity(lookUp)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
}

func TestTemporalKeepsNothingThatCanBeRead(t *testing.T) {
	address := temporal.Start(t)
	var log lockedBuffer
	c := dial(t, address, key, &log)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	run, err := c.SignalWithStartWorkflow(ctx, "kiosk", "ask", theirs, client.StartWorkflowOptions{
		ID: "kiosk", TaskQueue: "shop", StaticSummary: theirs, StaticDetails: theirs, Memo: map[string]any{"note": theirs},
	}, answer, "hello")
	if err != nil {
		t.Fatal(err)
	}

	// A worker without the key says what is wrong, and neither loses nor fails what
	// it cannot open.
	var refused lockedBuffer
	blind := dial(t, address, "", &refused)
	stranger := worker.New(blind, "shop", worker.Options{})
	stranger.RegisterWorkflow(answer)
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	temporal.Eventually(t, 30*time.Second, func() error {
		if !strings.Contains(refused.String(), `needs the key \"k\", and payload_keys has none`) {
			return fmt.Errorf("it says %q", refused.String())
		}
		return nil
	})
	stranger.Stop()
	startWorker(t, c)
	err = run.Get(ctx, nil)
	var app *temporalsdk.ApplicationError
	if !errors.As(err, &app) || app.Message() != failing+", again" {
		t.Errorf("with the key it ends with %v", err)
	}

	plain := temporal.Dial(t, client.Options{HostPort: address})
	history := plain.GetWorkflowHistory(ctx, "kiosk", run.GetRunID(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		e, err := history.Next()
		if err != nil {
			t.Fatal(err)
		}
		b, err := proto.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte("hammers")) || bytes.Contains(b, []byte("hello")) {
			t.Errorf("event %d, %s, can be read: %q", e.GetEventId(), e.GetEventType(), b)
		}
	}
	d, err := c.DescribeWorkflowExecution(ctx, "kiosk", run.GetRunID())
	if err != nil {
		t.Fatal(err)
	}
	if got := string(d.GetWorkflowExecutionInfo().GetMemo().GetFields()["note"].GetData()); got != `"`+theirs+`"` {
		t.Errorf("with the key the memo reads %q", got)
	}
	if _, err := plain.DescribeWorkflowExecution(ctx, "kiosk", run.GetRunID()); err != nil {
		t.Error(err)
	}
	_, err = blind.DescribeWorkflowExecution(ctx, "kiosk", run.GetRunID())
	var invalid *serviceerror.InvalidArgument
	if !errors.As(err, &invalid) || !strings.Contains(err.Error(), "payload_keys") {
		t.Errorf("a client without the key gets %v", err)
	}
	if said := log.String(); said != "" {
		t.Errorf("with the key it logs %s", said)
	}
}
