// Package temporal starts Temporal's own development server for tests.
package temporal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
)

// Start gives the address of a server of the test's own, without any search
// attribute of ours. It ends with the test.
func Start(t testing.TB, args ...string) string {
	t.Helper()
	path := Command(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	var out bytes.Buffer
	cmd := exec.Command(path, append([]string{"server", "start-dev", "--ip", "127.0.0.1", "--port", port, "--headless", "--log-level", "error",
		"--dynamic-config-value", "history.transferProcessorMaxPollRPS=5000",
		"--dynamic-config-value", "history.timerProcessorMaxPollRPS=5000",
		"--dynamic-config-value", "history.visibilityProcessorMaxPollRPS=5000"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Temporal wrote:\n%s", out.String())
		}
	})
	return "127.0.0.1:" + port
}

// Command is the path of the temporal command. Where it is neither on the PATH nor
// where `parley dev` builds it, the test is skipped.
func Command(t testing.TB) string {
	t.Helper()
	path, err := find()
	if err != nil {
		t.Skipf("no temporal command: %v; `make run` builds one", err)
	}
	return path
}

func find() (string, error) {
	if path, err := exec.LookPath("temporal"); err == nil {
		return path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	paths, err := filepath.Glob(filepath.Join(cache, "parley", "temporal-*", "temporal"))
	if err == nil && len(paths) == 0 {
		err = errors.New("there is none")
	}
	if err != nil {
		return "", err
	}
	return paths[len(paths)-1], nil
}

// Dial connects to a server that may still be starting.
func Dial(t testing.TB, options client.Options) client.Client {
	t.Helper()
	if options.Logger == nil {
		options.Logger = log.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	}
	var c client.Client
	Eventually(t, time.Minute, func() (err error) {
		c, err = client.DialContext(t.Context(), options)
		return err
	})
	t.Cleanup(c.Close)
	return c
}

// Eventually polls until a condition holds, or fails the test with its last
// error.
func Eventually(t testing.TB, limit time.Duration, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, fmt.Errorf("not within %s", limit))
	defer cancel()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%v: %v", context.Cause(ctx), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
