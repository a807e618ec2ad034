package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHealth(t *testing.T) {
	part := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ready" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		io.WriteString(w, r.URL.Path)
	}))
	t.Cleanup(part.Close)
	gone := httptest.NewServer(nil)
	gone.Close()

	for _, c := range []struct{ name, url, fault string }{
		{"well", part.URL + "/ready", ""},
		{"draining", part.URL + "/health", "answers 503"},
		{"not there", gone.URL, "connection refused"},
		{"no URL", "gateway:8080", `"gateway:8080" is no address`},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := rootCommand()
			root.SetArgs([]string{"health", c.url})
			root.SetOut(io.Discard)
			err := root.ExecuteContext(t.Context())
			if c.fault == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.fault)
		})
	}
}
