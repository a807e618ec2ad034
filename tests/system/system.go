// Package system runs the whole product as its users do: the parley binary as a
// process of its own, on free ports, with its data in a temporary folder.
package system

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
)

// Addresses is what `parley dev --ready-file` writes when everything answers.
type Addresses struct {
	Store       string            `json:"store"`
	Page        string            `json:"page"`   // http://host:port
	Kiosk       string            `json:"kiosk"`  // ws://host:port/v1/kiosk
	Tokens      map[string]string `json:"tokens"` // by kiosk
	StaffToken  string            `json:"staff_token"`
	EventsToken string            `json:"events_token"`
	Temporal    string            `json:"temporal"`
	UI          string            `json:"ui"`
	Speech      string            `json:"speech"`
	SpeechKey   string            `json:"speech_key"`
	LLM         string            `json:"llm"`
}

// A System is a running parley.
type System struct {
	Addresses
	Data string
	Dir  string // the repository

	args   []string
	cmd    *exec.Cmd
	exited chan struct{}
	err    error
	out    lockedBuffer
}

// Root is the repository's folder.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = parent
	}
}

var build struct {
	once sync.Once
	out  []byte
	err  error
}

// Binary builds parley once per test process and gives its path.
func Binary(t testing.TB) string {
	t.Helper()
	root := Root(t)
	build.once.Do(func() {
		cmd := exec.Command("go", "build", "-tags", "pocketsphinx", "-o", "bin/parley", "./cmd/parley")
		cmd.Dir = root
		build.out, build.err = cmd.CombinedOutput()
	})
	if build.err != nil {
		t.Fatalf("go build: %v\n%s", build.err, build.out)
	}
	return filepath.Join(root, "bin", "parley")
}

// Start runs `parley dev` with the example store, and stops it when the test
// ends. What it wrote is shown when the test has failed.
func Start(t testing.TB, args ...string) *System {
	t.Helper()
	s := &System{Dir: Root(t), Data: t.TempDir(), args: args}
	s.run(t)
	t.Cleanup(func() {
		s.Stop(t)
		if t.Failed() {
			t.Logf("parley dev wrote:\n%s", s.out.String())
		}
	})
	return s
}

// Restart starts it again after Stop, with the same data, and with further
// arguments, which win over those of Start.
func (s *System) Restart(t testing.TB, args ...string) {
	t.Helper()
	s.args = append(s.args, args...)
	s.run(t)
}

// Wait waits for it to end by itself and gives its exit code.
func (s *System) Wait(t testing.TB, limit time.Duration) int {
	t.Helper()
	select {
	case <-s.exited:
	case <-time.After(limit):
		t.Errorf("parley dev did not end within %v\n%s", limit, s.out.String())
		s.cmd.Process.Kill()
		<-s.exited
	}
	return s.cmd.ProcessState.ExitCode()
}

func (s *System) run(t testing.TB) {
	t.Helper()
	binary := Binary(t)
	ready := filepath.Join(s.Data, "ready.json")
	os.Remove(ready)
	all := append([]string{"dev",
		"--store", filepath.Join(s.Dir, "examples", "hardware-store"), "--data", s.Data, "--ready-file", ready,
		"--listen", "127.0.0.1:0", "--media", "127.0.0.1:0", "--speech-listen", "127.0.0.1:0",
		"--temporal-port", strconv.Itoa(FreePort(t)), "--ui-port", strconv.Itoa(FreePort(t)),
		"--ollama", "http://127.0.0.1:1", // a test does not depend on what this machine happens to run
	}, s.args...)
	s.cmd = exec.Command(binary, all...)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	s.exited = make(chan struct{})
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func(cmd *exec.Cmd, exited chan struct{}) {
		s.err = cmd.Wait()
		close(exited)
	}(s.cmd, s.exited)
	deadline := time.After(90 * time.Second)
	for {
		b, err := os.ReadFile(ready)
		if err == nil {
			if err := json.Unmarshal(b, &s.Addresses); err == nil {
				return
			}
		}
		select {
		case <-s.exited:
			t.Fatalf("parley dev ended: %v\n%s", s.err, s.out.String())
		case <-deadline:
			s.cmd.Process.Kill()
			t.Fatalf("parley dev was not ready within 90 s\n%s", s.out.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop ends it as Ctrl-C does, and fails the test when that does not work.
func (s *System) Stop(t testing.TB) {
	t.Helper()
	select {
	case <-s.exited:
		return
	default:
	}
	s.cmd.Process.Signal(os.Interrupt)
	select {
	case <-s.exited:
		if s.err != nil {
			t.Errorf("parley dev ended with %v after an interrupt\n%s", s.err, s.out.String())
		}
	case <-time.After(45 * time.Second):
		s.cmd.Process.Signal(syscall.SIGQUIT)
		<-s.exited
		t.Errorf("parley dev did not end within 45 s of an interrupt\n%s", s.out.String())
	}
}

// Output is what it has written so far.
func (s *System) Output() string { return s.out.String() }

// Pid is the process that can be killed.
func (s *System) Pid() int { return s.cmd.Process.Pid }

// Client connects to its Temporal server.
func (s *System) Client(t testing.TB) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: s.Temporal, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// FreePort finds a TCP port that nobody uses. It is below those from which a
// system gives to whoever wants any: a port that a process is to have a moment
// later, or again after it was killed, must not be another's by then.
func FreePort(t testing.TB) int {
	t.Helper()
	const lowest, highest = 15_000, 32_000
	for range 100 {
		port := lowest + rand.IntN(highest-lowest)
		if _, taken := handedOut.LoadOrStore(port, true); taken {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		l.Close()
		return port
	}
	t.Fatalf("no port from %d to %d is free", lowest, highest)
	return 0
}

// handedOut are the ports that FreePort gave to this process's tests.
var handedOut sync.Map

// Eventually polls until a condition holds; the error of the last try is why not.
func Eventually(ctx context.Context, try func() error) error {
	var err error
	for {
		if err = try(); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
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

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

var _ log.Logger = quiet{}
