// Package editor talks to the language server that editors run for YAML, and
// holds what we write for other programs against those programs.
package editor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"os/exec"
	"strconv"
	"sync"
)

// A Server is a language server as a child process, spoken to in the Language
// Server Protocol 3.17 over its standard input and output.
type Server struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	gone chan struct{} // closed when nothing more comes

	mu      sync.Mutex
	next    int
	answers map[int]chan message
	// diagnostics are the latest of each document; told has a token after each
	// change of them.
	diagnostics map[string][]Diagnostic
	told        chan struct{}
}

// A Diagnostic is what a server says about a place; lines and characters count
// from 0.
type Diagnostic struct {
	Message string `json:"message"`
	Range   struct {
		Start struct {
			Line      int `json:"line"`
			Character int `json:"character"`
		} `json:"start"`
	} `json:"range"`
}

type message struct {
	ID     *int            `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// Start runs a language server until ctx ends.
func Start(ctx context.Context, name string, args ...string) (*Server, error) {
	s := &Server{
		cmd:         exec.CommandContext(ctx, name, args...),
		gone:        make(chan struct{}),
		answers:     map[int]chan message{},
		diagnostics: map[string][]Diagnostic{},
		told:        make(chan struct{}, 1),
	}
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go s.read(bufio.NewReader(out))
	return s, nil
}

// Stop ends the server and waits for it.
func (s *Server) Stop() {
	s.in.Close()
	<-s.gone
	_ = s.cmd.Wait() // killed with its context, which is no fault
}

// read takes what the server says until it is gone.
func (s *Server) read(r *bufio.Reader) {
	defer close(s.gone)
	for {
		header, err := textproto.NewReader(r).ReadMIMEHeader()
		if err != nil {
			return
		}
		size, err := strconv.Atoi(header.Get("Content-Length"))
		if err != nil {
			return
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(r, body); err != nil {
			return
		}
		var m message
		if err := json.Unmarshal(body, &m); err != nil {
			return
		}
		s.take(m)
	}
}

func (s *Server) take(m message) {
	switch {
	case m.Method == "" && m.ID != nil:
		s.mu.Lock()
		answer := s.answers[*m.ID]
		delete(s.answers, *m.ID)
		s.mu.Unlock()
		if answer != nil {
			answer <- m
		}
	case m.ID != nil: // the server asks; we have nothing to add
		_ = s.send(map[string]any{"jsonrpc": "2.0", "id": *m.ID, "result": nil})
	case m.Method == "textDocument/publishDiagnostics":
		var p struct {
			URI         string       `json:"uri"`
			Diagnostics []Diagnostic `json:"diagnostics"`
		}
		if json.Unmarshal(m.Params, &p) == nil {
			s.mu.Lock()
			s.diagnostics[p.URI] = p.Diagnostics
			s.mu.Unlock()
			select {
			case s.told <- struct{}{}:
			default:
			}
		}
	}
}

func (s *Server) send(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err = fmt.Fprintf(s.in, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return err
}

// Notify tells the server something.
func (s *Server) Notify(method string, params any) error {
	return s.send(map[string]any{"jsonrpc": "2.0", "method": method, "params": params})
}

// Ask asks the server something and reads its answer into result.
func (s *Server) Ask(ctx context.Context, method string, params, result any) error {
	answer := make(chan message, 1)
	s.mu.Lock()
	s.next++
	id := s.next
	s.answers[id] = answer
	s.mu.Unlock()
	if err := s.send(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": params}); err != nil {
		return err
	}
	select {
	case m := <-answer:
		if m.Error != nil {
			return errors.New(m.Error.Message)
		}
		return json.Unmarshal(m.Result, result)
	case <-s.gone:
		return errors.New("the server is gone")
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

// Diagnostics waits until the server has spoken about a document.
func (s *Server) Diagnostics(ctx context.Context, uri string) ([]Diagnostic, error) {
	for {
		s.mu.Lock()
		ds, ok := s.diagnostics[uri]
		s.mu.Unlock()
		if ok {
			return ds, nil
		}
		select {
		case <-s.told:
		case <-s.gone:
			return nil, errors.New("the server is gone")
		case <-ctx.Done():
			return nil, fmt.Errorf("diagnostics of %s: %w", uri, ctx.Err())
		}
	}
}
