package main

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

// syncBuffer can be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestFlowWatch(t *testing.T) {
	dir := writeStore(t, goodFlow)
	ctx, cancel := context.WithCancel(t.Context())
	var out syncBuffer
	done := make(chan error, 1)
	go func() { done <- watchPaths(ctx, &out, []string{dir}, false) }()
	waitFor := func(what string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !strings.Contains(out.String(), what); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no %q in:\n%s", what, out.String())
			}
		}
	}
	waitFor("0 mistakes, 0 warnings")
	waitFor("waiting for changes")
	writeFile(t, dir, "flows/help.yaml", strings.Replace(goodFlow, "next: find", "next: fnid", 1))
	waitFor(`F101 step "fnid" does not exist`)
	writeFile(t, dir, "prompts/help/en.yaml", "ask: How can I help?\nspare: Unused.\n")
	waitFor(`F303`)
	writeFile(t, dir, "flows/help.yaml", goodFlow)
	waitFor("0 mistakes, 1 warning")
	writeFile(t, dir, "actions/bell.yaml", bellActions+"  knock: {method: PUT, path: knock}\n")
	waitFor("actions/bell.yaml:6:30")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
