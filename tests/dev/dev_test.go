// Package dev tests `parley dev` as a process: how it stops, what it remembers,
// and what it says when something is in its way.
package dev

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/praesenz/parley/tests/kiosk"
	"github.com/praesenz/parley/tests/system"
	"github.com/praesenz/parley/workflows"
)

// children lists the processes whose parent is pid, by name.
func children(t *testing.T, pid int) map[string]int {
	t.Helper()
	found := map[string]int{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		// pid (name) state ppid …
		head, rest, ok := strings.Cut(string(b), ") ")
		if !ok {
			continue
		}
		child, name, _ := strings.Cut(head, " (")
		var state string
		var parent int
		if _, err := fmt.Sscan(rest, &state, &parent); err == nil && parent == pid && state != "Z" {
			found[name], _ = strconv.Atoi(child)
		}
	}
	return found
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestStopsCleanlyAndRemembers(t *testing.T) {
	s := system.Start(t)
	server := children(t, s.Pid())["temporal"]
	if server == 0 {
		t.Fatalf("no temporal among the children %v", children(t, s.Pid()))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	k, err := kiosk.Dial(ctx, kiosk.Options{URL: s.Kiosk, Token: s.Tokens["entrance"], Mute: true, Hurry: true})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if err := k.Start("en"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.State(ctx, 0, "listening"); err != nil {
		t.Fatal(err)
	}
	mark := k.Mark()
	if err := k.Leave(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Wait(ctx, mark, func(e kiosk.Event) bool { return e.Type == "server:ended" }); err != nil {
		t.Fatal(err)
	}

	s.Stop(t)
	if alive(server) {
		t.Errorf("the Temporal server (pid %d) outlived parley dev", server)
	}

	s.Restart(t)
	var summary workflows.Summary
	id := workflows.ConversationID(s.Store, "entrance")
	if err := s.Client(t).GetWorkflow(ctx, id, "").Get(ctx, &summary); err != nil {
		t.Fatalf("yesterday's conversation is not there: %v", err)
	}
	if summary.Outcome != workflows.OutcomeAbandoned {
		t.Errorf("yesterday's conversation ended %q, want %q", summary.Outcome, workflows.OutcomeAbandoned)
	}
	// A kiosk's token is good for longer than one run.
	again, err := kiosk.Dial(ctx, kiosk.Options{URL: s.Kiosk, Token: s.Tokens["entrance"], Mute: true})
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestADeadChildIsSaid(t *testing.T) {
	s := system.Start(t)
	server := children(t, s.Pid())["temporal"]
	if err := syscall.Kill(server, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := s.Wait(t, 30*time.Second); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if out := s.Output(); !strings.Contains(out, "the Temporal server has ended (signal: killed)") {
		t.Errorf("it says\n%s", out)
	}
}

func TestDiesWithItsChildren(t *testing.T) {
	s := system.Start(t)
	server := children(t, s.Pid())["temporal"]
	if err := syscall.Kill(s.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.Wait(t, 10*time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := system.Eventually(ctx, func() error {
		if alive(server) {
			return fmt.Errorf("the Temporal server (pid %d) is an orphan", server)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// refused runs parley and gives what it wrote on its way out.
func refused(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, system.Binary(t), args...)
	cmd.Dir = system.Root(t)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("parley %s: exit code %d (%v), want 1", strings.Join(args, " "), code, err)
	}
	if n := strings.Count(out.String(), "\n"); n > 12 || strings.Contains(out.String(), "goroutine") {
		t.Errorf("parley %s wrote %d lines:\n%s", strings.Join(args, " "), n, out.String())
	}
	return out.String()
}

func TestSaysWhatIsInItsWay(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	_, port, _ := net.SplitHostPort(taken)
	free := func() string { return "127.0.0.1:" + strconv.Itoa(system.FreePort(t)) }
	data := t.TempDir()
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "store.yaml"), []byte("store: Big Shop\nkiosk: []\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		args []string
		want []string
	}{
		{"a port in use", []string{"--listen", taken, "--media", free(), "--speech-listen", free()}, []string{"--listen " + taken, "address already in use", "choose another"}},
		{"Temporal's port in use", []string{"--listen", free(), "--media", free(), "--speech-listen", free(), "--temporal-port", port, "--ui-port", strconv.Itoa(system.FreePort(t))},
			[]string{"port " + port, "--temporal-port"}},
		{"no such store", []string{"--store", "/nowhere"}, []string{"/nowhere/store.yaml"}},
		{"a wrong store", []string{"--store", broken}, []string{"kiosk not found in type"}},
		{"a wrong flag", []string{"--log-level", "loud"}, []string{"--log-level", "loud", "debug, info, warn, error"}},
		{"no such flag", []string{"--stroe", "x"}, []string{"--stroe"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := refused(t, append([]string{"dev", "--data", data}, tc.args...)...)
			for _, want := range tc.want {
				if !strings.Contains(out, want) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
		})
	}
}
