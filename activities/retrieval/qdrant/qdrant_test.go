package qdrant_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/retrieval"
	"github.com/praesenz/parley/activities/retrieval/indextest"
	"github.com/praesenz/parley/activities/retrieval/qdrant"

	"go.temporal.io/sdk/temporal"
)

// The contract, on a real server. It removes the collections "teststore/…" that
// it makes.
func TestIndex(t *testing.T) {
	addr := os.Getenv("PARLEY_TEST_QDRANT")
	if addr == "" {
		t.Skip("needs a Qdrant server: set PARLEY_TEST_QDRANT to its gRPC address, such as localhost:6334")
	}
	fresh := make(map[string]bool)
	indextest.Run(t, func(t *testing.T, e retrieval.Embedder) retrieval.Index {
		t.Helper()
		idx, err := qdrant.Open(qdrant.Options{Addr: addr, Embedder: e})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { idx.Close() })
		if !fresh[t.Name()] {
			fresh[t.Name()] = true
			if err := idx.Drop(t.Context(), retrieval.Collection{Store: "teststore", Index: "kb"}); err != nil {
				t.Fatal(err)
			}
		}
		return idx
	})
}

func TestOpenRejectsAddresses(t *testing.T) {
	for _, addr := range []string{"", "http://localhost:6334", "localhost:x", "localhost:0", ":6334"} {
		if _, err := qdrant.Open(qdrant.Options{Addr: addr}); !errors.Is(err, retrieval.ErrInvalid) {
			t.Errorf("Open(%q): %v, want ErrInvalid", addr, err)
		}
	}
}

// A server that is not there is worth another try, and is given up on in time.
func TestServerAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	idx, err := qdrant.Open(qdrant.Options{Addr: addr, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer idx.Close()
	a := &retrieval.Activity{Index: idx}
	_, err = a.Retrieve(context.Background(), activities.RetrieveInput{Store: "s", Index: "kb", Query: "hammer"})
	var application *temporal.ApplicationError
	if !errors.As(err, &application) || application.NonRetryable() {
		t.Errorf("%v, want an error that is worth another try", err)
	}
}
