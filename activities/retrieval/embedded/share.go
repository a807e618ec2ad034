package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/retrieval"
	"github.com/praesenz/parley/activities/retrieval/document"
)

// One process at a time can have the folder open. It shares the index with the
// others on this machine (`parley kb` beside `parley dev`) through a socket in
// the folder, which only the same user can reach: each method of retrieval.Index
// is one POST with a JSON body.

const (
	socketName = "share.sock"
	maxMessage = 256 << 20         // a document of document.MaxBytes, with its passages in JSON, many times over
	shareLimit = 10 * time.Minute  // of one call: putting many documents embeds them
	closeLimit = 5 * time.Second   // for calls in progress when sharing ends
	sockMode   = os.FileMode(0600) // the same user only
)

type sharedCall struct {
	Collection retrieval.Collection `json:"collection"`
	Documents  []document.Document  `json:"documents,omitempty"`
	Source     string               `json:"source,omitempty"`
	Query      retrieval.Query      `json:"query"`
}

// A failure is an error on its way to another process.
type failure struct {
	Message string                `json:"message"`
	Invalid bool                  `json:"invalid,omitempty"`
	Model   *retrieval.ModelError `json:"model,omitempty"`
}

// Share lets other processes of this user use the index until stop is called,
// which waits for calls in progress. It does nothing for an index in memory.
func (x *Index) Share() (stop func(), err error) {
	if x.dir == "" {
		return func() {}, nil
	}
	path := filepath.Join(x.dir, socketName)
	// We hold the folder's lock, so whoever left the socket is gone.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("share the index: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("share the index (choose a data folder with a shorter path): %w", err)
	}
	if err := os.Chmod(path, sockMode); err != nil {
		return nil, errors.Join(fmt.Errorf("share the index: %w", err), l.Close())
	}
	server := &http.Server{Handler: x.routes(), ReadHeaderTimeout: closeLimit}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // ends with ErrServerClosed
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
		defer cancel()
		_ = server.Shutdown(ctx) // what is left after the limit is cut off below
		_ = server.Close()
		<-done
	}, nil
}

func (x *Index) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(name string, do func(context.Context, sharedCall) (any, error)) {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
			var in sharedCall
			if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxMessage)).Decode(&in); err != nil {
				w.WriteHeader(http.StatusBadRequest)
				_ = json.NewEncoder(w).Encode(failure{Message: err.Error(), Invalid: true}) // the caller may be gone
				return
			}
			out, err := do(r.Context(), in)
			if err != nil {
				f := failure{Message: err.Error(), Invalid: errors.Is(err, retrieval.ErrInvalid)}
				errors.As(err, &f.Model)
				w.WriteHeader(http.StatusUnprocessableEntity)
				out = f
			}
			_ = json.NewEncoder(w).Encode(out) // the caller may be gone
		})
	}
	handle("put", func(ctx context.Context, in sharedCall) (any, error) {
		return nil, x.Put(ctx, in.Collection, in.Documents)
	})
	handle("remove", func(ctx context.Context, in sharedCall) (any, error) {
		return x.Remove(ctx, in.Collection, in.Source)
	})
	handle("search", func(ctx context.Context, in sharedCall) (any, error) {
		return x.Search(ctx, in.Collection, in.Query)
	})
	handle("sources", func(ctx context.Context, in sharedCall) (any, error) { return x.Sources(ctx, in.Collection) })
	handle("documents", func(ctx context.Context, in sharedCall) (any, error) { return x.Documents(ctx, in.Collection) })
	handle("collections", func(ctx context.Context, _ sharedCall) (any, error) { return x.Collections(ctx) })
	handle("drop", func(ctx context.Context, in sharedCall) (any, error) { return nil, x.Drop(ctx, in.Collection) })
	handle("model", func(context.Context, sharedCall) (any, error) { return x.Model(), nil })
	return mux
}

// Remote is the index of a folder that another process has open.
type Remote struct {
	client *http.Client
	model  string
}

var _ retrieval.Index = (*Remote)(nil)

// Dial reaches the process that has the folder open and shares it.
func Dial(ctx context.Context, dir string) (*Remote, error) {
	path := filepath.Join(dir, socketName)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}
	r := &Remote{client: &http.Client{Transport: transport, Timeout: shareLimit}}
	if err := r.call(ctx, "model", sharedCall{}, &r.model); err != nil {
		return nil, fmt.Errorf("%w, and does not share it: stop it first (%w)", ErrLocked, err)
	}
	return r, nil
}

func (r *Remote) call(ctx context.Context, method string, in sharedCall, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://index/"+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := r.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask the process that has the index open: %w", err)
	}
	defer res.Body.Close()
	answer := json.NewDecoder(io.LimitReader(res.Body, maxMessage))
	if res.StatusCode == http.StatusOK {
		if err := answer.Decode(out); err != nil {
			return fmt.Errorf("read the answer of the process that has the index open: %w", err)
		}
		return nil
	}
	var f failure
	if err := answer.Decode(&f); err != nil {
		return fmt.Errorf("the process that has the index open answered %s", res.Status)
	}
	switch {
	case f.Model != nil:
		return f.Model
	case f.Invalid:
		return &invalidError{f.Message}
	}
	return errors.New(f.Message)
}

// An invalidError is retrieval.ErrInvalid with another process's words.
type invalidError struct{ message string }

func (e *invalidError) Error() string { return e.message }

func (e *invalidError) Unwrap() error { return retrieval.ErrInvalid }

// Put implements retrieval.Index.
func (r *Remote) Put(ctx context.Context, c retrieval.Collection, docs []document.Document) error {
	return r.call(ctx, "put", sharedCall{Collection: c, Documents: docs}, new(any))
}

// Remove implements retrieval.Index.
func (r *Remote) Remove(ctx context.Context, c retrieval.Collection, source string) (n int, err error) {
	err = r.call(ctx, "remove", sharedCall{Collection: c, Source: source}, &n)
	return n, err
}

// Search implements retrieval.Index.
func (r *Remote) Search(ctx context.Context, c retrieval.Collection, q retrieval.Query) (passages []activities.Passage, err error) {
	err = r.call(ctx, "search", sharedCall{Collection: c, Query: q}, &passages)
	return passages, err
}

// Sources implements retrieval.Index.
func (r *Remote) Sources(ctx context.Context, c retrieval.Collection) (sources []retrieval.Source, err error) {
	err = r.call(ctx, "sources", sharedCall{Collection: c}, &sources)
	return sources, err
}

// Documents implements retrieval.Index.
func (r *Remote) Documents(ctx context.Context, c retrieval.Collection) (docs []document.Document, err error) {
	err = r.call(ctx, "documents", sharedCall{Collection: c}, &docs)
	return docs, err
}

// Collections implements retrieval.Index.
func (r *Remote) Collections(ctx context.Context) (names []retrieval.Collection, err error) {
	err = r.call(ctx, "collections", sharedCall{}, &names)
	return names, err
}

// Drop implements retrieval.Index.
func (r *Remote) Drop(ctx context.Context, c retrieval.Collection) error {
	return r.call(ctx, "drop", sharedCall{Collection: c}, new(any))
}

// Model implements retrieval.Index: the other process's model.
func (r *Remote) Model() string { return r.model }

// Close implements retrieval.Index. The other process goes on.
func (r *Remote) Close() error {
	r.client.CloseIdleConnections()
	return nil
}
