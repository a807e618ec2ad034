package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.temporal.io/sdk/client"
)

// probes serve what watches over a part without pages of its own: /metrics,
// /health, which says that the process is there, and /ready, which says that it
// takes work: 503 while it starts and while it drains. Once ready, a Temporal that
// is away for a moment does not make it unready: no other pod would reach it
// either, and it goes on by itself.
type probes struct {
	server *http.Server
	dead   chan error
	state  atomic.Pointer[workload]
}

// A workload is what a part that is ready works with.
type workload struct {
	pools    []string
	temporal client.Client // nil: none
}

// serveProbes listens at once, so that a part that waits for Temporal is seen to
// live.
func serveProbes(addr string, registry *prometheus.Registry, logger *slog.Logger) (*probes, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	p := &probes{dead: make(chan error, 1)}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintln(w, `{"status":"ok"}`)
	})
	mux.HandleFunc("GET /ready", p.answerReady)
	p.server = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := p.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.dead <- fmt.Errorf("serve %s: %w", addr, err)
		}
	}()
	return p, nil
}

// ready and unready say whether the part takes work.
func (p *probes) ready(r workload) { p.state.Store(&r) }
func (p *probes) unready()         { p.state.Store(nil) }

func (p *probes) close() { p.server.Close() }

func (p *probes) answerReady(w http.ResponseWriter, r *http.Request) {
	var answer struct {
		Ready    bool     `json:"ready"`
		Pools    []string `json:"pools,omitempty"`
		Temporal string   `json:"temporal,omitempty"`
	}
	status := http.StatusServiceUnavailable
	if state := p.state.Load(); state != nil {
		answer.Ready, answer.Pools, status = true, state.pools, http.StatusOK
		if state.temporal != nil {
			ctx, cancel := context.WithTimeout(r.Context(), time.Second)
			defer cancel()
			answer.Temporal = "connected"
			if _, err := state.temporal.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
				answer.Temporal = "unreachable"
			}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(answer)
}
