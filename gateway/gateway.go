// Package gateway holds the kiosks: their WebSocket connections and sessions,
// the media plane on which the activities of an answer meet, and the bridge
// that turns what a customer does into signals to the conversation's workflow.
package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"

	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/metrics"
	"github.com/praesenz/parley/workflows"
)

// Config is what a gateway needs; fields without a default must be set.
type Config struct {
	Addr      string // HTTP and WebSocket; default ":8080"
	MediaAddr string // gRPC, for workers; default ":8090"
	// AdvertiseMedia is the host:port under which workers reach MediaAddr; default
	// the address it listens on.
	AdvertiseMedia string
	// Listen opens the listeners of the three; default TCP.
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
	// MetricsAddr serves /metrics in Addr's place, so that what leads kiosks to Addr
	// need not hide it; default: Addr does.
	MetricsAddr string

	// Keys of the kiosks' tokens (HS256), at least 32 bytes each: the first makes them,
	// all open them, so that a key can be replaced while kiosks still hold the old.
	Keys       [][]byte
	MediaToken string // the bearer token that workers present, at least 16 characters

	Temporal Temporal
	// Plan gives the plan and the inputs with which a kiosk's next conversation
	// starts.
	Plan     func(ctx context.Context, store, kiosk string) (flow.Plan, map[string]any, error)
	TimeZone string // IANA, of the store's clocks; default UTC
	// About describes a kiosk to its page. ErrUnknownKiosk refuses the kiosk; nil
	// knows every kiosk that has a token, by its id.
	About func(ctx context.Context, store, kiosk string) (About, error)
	// Probe tells what /health and /ready answer; nil: nothing is there to probe.
	// Once it was ready, the gateway stays ready: a kiosk whose gateway has lost a
	// server is told so by voice, a kiosk without a gateway is silent.
	Probe func(ctx context.Context) Probe

	// Store is whose staff and whose events this gateway takes; needed with either
	// of the tokens that follow.
	Store string
	// StaffToken opens /v1/staff to those who answer a conversation's call for
	// staff, and EventsToken lets other systems tell a conversation of an event;
	// at least 16 characters each, and neither the other. Empty: that door is not
	// there.
	StaffToken, EventsToken string

	Page     fs.FS                // the kiosk page, served at /; nil: none
	Media    string               // the folder of the store's pictures and maps, served at /store/media/; empty: none
	Metrics  *metrics.Metrics     // those that are shared with the workers
	Registry *prometheus.Registry // takes the gateway's own metrics, and is what /metrics serves
	Logger   *slog.Logger

	Origins     []string      // further origins that may connect, like "https://kiosk.example"; same-origin always may
	MaxSessions int           // connected kiosks; default 5,000
	Grace       time.Duration // how long a session outlives its connection; default 30 s
}

// About is what a kiosk's page should know.
type About struct {
	Name      string            // for people; default the kiosk's id
	Languages []string          // BCP 47, the default first
	Brand     map[string]string // colours and name of the store
}

// ErrUnknownKiosk is returned by Config.About for a kiosk that the store does
// not have.
var ErrUnknownKiosk = errors.New("unknown kiosk")

// Probe is what the gateway knows of the servers behind the workers.
type Probe struct {
	GPU, ModelLoaded bool
	Ready            bool
	Qdrant, Ollama   string // "connected", "embedded", "not used" or "unreachable"
}

// Temporal is what the gateway needs of a client.Client.
type Temporal interface {
	SignalWithStartWorkflow(ctx context.Context, workflowID, signal string, arg any, o client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error)
	SignalWorkflow(ctx context.Context, workflowID, runID, signal string, arg any) error
	GetWorkflow(ctx context.Context, workflowID, runID string) client.WorkflowRun
	ListWorkflow(ctx context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error)
	QueryWorkflow(ctx context.Context, workflowID, runID, query string, args ...any) (converter.EncodedValue, error)
	UpdateWorkflow(ctx context.Context, o client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error)
}

// Fixed times; each is one that somebody waits for.
const (
	drainLimit    = 30 * time.Second      // SIGTERM to gone
	moveLimit     = 25 * time.Second      // SIGTERM to the last kiosk's being asked to go
	moveWithin    = 10 * time.Second      // in which kiosks are asked, one after the other,
	moveEvery     = 50 * time.Millisecond // and the most between two
	awayAfter     = 3 * time.Second       // of silence from Temporal before a customer is told
	signalTimeout = 2 * time.Second       // of one attempt
	writeTimeout  = 5 * time.Second       // of one WebSocket message
	pingEvery     = 20 * time.Second
	idleTimeout   = 45 * time.Second // two pings unanswered
	lingerTimeout = 2 * time.Second  // for the other side to see why it is closed
)

// Gateway is one gateway process. Make it with New.
type Gateway struct {
	cfg    Config
	log    *slog.Logger
	meters *meters
	keys   keys

	ctx     context.Context // of everything that outlives a request
	cancel  context.CancelFunc
	tasks   tasks
	dead    chan error // a listener that ended by itself
	drained atomic.Bool

	httpLn, mediaLn, metricsLn net.Listener
	http, metrics              *http.Server
	grpc                       *grpc.Server

	mu       sync.Mutex
	sessions map[string]*session // by id
	kiosks   map[string]*session // the newest of each kiosk, by store/kiosk
	conns    map[*conn]struct{}
	moveBy   time.Time         // while it drains: when the last kiosk has to go
	watches  map[string]*watch // by workflow id

	seeking  chan struct{} // holds as many as ask where their kiosk is
	load     load
	probed   probeCache
	wasReady atomic.Bool // once is enough; see Config.Probe

	staff, events *door // nil: not there
	desk          desk
}

// New checks the configuration, reporting every fault at once, and makes a
// gateway that Start starts.
func New(cfg Config) (*Gateway, error) {
	var errs []error
	need := func(ok bool, problem string) {
		if !ok {
			errs = append(errs, errors.New("gateway: "+problem))
		}
	}
	need(len(cfg.Keys) > 0, "Keys: is empty; pass a key of at least 32 bytes, from a random source")
	for _, key := range cfg.Keys {
		need(len(key) >= 32, "Keys: each needs at least 32 bytes, from a random source")
	}
	need(len(cfg.MediaToken) >= minToken, "MediaToken: needs at least 16 characters, from a random source")
	need(cfg.Temporal != nil, "Temporal: is missing; pass a client")
	need(cfg.Plan != nil, "Plan: is missing; pass where a kiosk's plan comes from")
	need(cfg.Metrics != nil, "Metrics: is missing; pass metrics.New(Registry)")
	need(cfg.Registry != nil, "Registry: is missing; pass a prometheus.Registry")
	need(cfg.Logger != nil, "Logger: is missing; pass a slog.Logger")
	for name, token := range map[string]string{"StaffToken": cfg.StaffToken, "EventsToken": cfg.EventsToken} {
		need(token == "" || len(token) >= minToken, name+": needs at least 16 characters, from a random source")
		need(token == "" || cfg.Store != "", "Store: is missing; name the store that "+name+" is for")
	}
	need(cfg.StaffToken == "" || cfg.StaffToken != cfg.EventsToken, "StaffToken: is EventsToken too; make two")
	need(cfg.MaxSessions >= 0, "MaxSessions: must not be negative; leave it 0 for 5,000")
	need(cfg.Grace >= 0, "Grace: must not be negative; leave it 0 for 30s")
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if cfg.Addr == "" {
		cfg.Addr = ":8080"
	}
	if cfg.MediaAddr == "" {
		cfg.MediaAddr = ":8090"
	}
	if cfg.Listen == nil {
		cfg.Listen = (&net.ListenConfig{}).Listen
	}
	if cfg.MaxSessions == 0 {
		cfg.MaxSessions = 5000
	}
	if cfg.Grace == 0 {
		cfg.Grace = 30 * time.Second
	}
	if cfg.About == nil {
		cfg.About = func(context.Context, string, string) (About, error) { return About{}, nil }
	}
	if cfg.Probe == nil {
		cfg.Probe = func(context.Context) Probe { return Probe{Ready: true} }
	}
	m, err := newMeters(cfg.Registry)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if cfg.Store != "" {
		// From zero, or a rate would not see the first of each.
		for _, outcome := range []string{outcomeFailed, outcomeTimedOut, outcomeTerminated, outcomeCancelled} {
			cfg.Metrics.Conversations.WithLabelValues(cfg.Store, outcome)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := &Gateway{
		cfg: cfg, log: cfg.Logger, meters: m, keys: keys(cfg.Keys),
		ctx: ctx, cancel: cancel, dead: make(chan error, 3),
		sessions: map[string]*session{}, kiosks: map[string]*session{},
		conns: map[*conn]struct{}{}, watches: map[string]*watch{},
		seeking: make(chan struct{}, queriesAside),
	}
	if cfg.StaffToken != "" {
		g.staff = newDoor(g, "staff", cfg.StaffToken)
		g.desk = desk{g: g, listeners: map[*listener]struct{}{}, wake: make(chan struct{}, 1)}
	}
	if cfg.EventsToken != "" {
		g.events = newDoor(g, "events", cfg.EventsToken)
	}
	return g, nil
}

// Start listens and serves until Stop. ctx bounds only the start.
func (g *Gateway) Start(ctx context.Context) error {
	var err error
	if g.httpLn, err = g.cfg.Listen(ctx, "tcp", g.cfg.Addr); err != nil {
		return fmt.Errorf("gateway: listen on Addr %s: %w", g.cfg.Addr, err)
	}
	if g.mediaLn, err = g.cfg.Listen(ctx, "tcp", g.cfg.MediaAddr); err != nil {
		g.httpLn.Close()
		return fmt.Errorf("gateway: listen on MediaAddr %s: %w", g.cfg.MediaAddr, err)
	}
	if g.cfg.MetricsAddr != "" {
		if g.metricsLn, err = g.cfg.Listen(ctx, "tcp", g.cfg.MetricsAddr); err != nil {
			g.httpLn.Close()
			g.mediaLn.Close()
			return fmt.Errorf("gateway: listen on MetricsAddr %s: %w", g.cfg.MetricsAddr, err)
		}
	}
	if g.cfg.AdvertiseMedia == "" {
		g.cfg.AdvertiseMedia = g.MediaAddr()
	}
	g.grpc = newMediaServer(g)
	g.http = g.server(g.routes())
	g.serve(g.http, g.httpLn)
	if g.metricsLn != nil {
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", g.figures())
		g.metrics = g.server(mux)
		g.serve(g.metrics, g.metricsLn)
	}
	g.tasks.Go(func() {
		if err := g.grpc.Serve(g.mediaLn); err != nil {
			g.dead <- fmt.Errorf("gateway: serve %s: %w", g.cfg.MediaAddr, err)
		}
	})
	g.tasks.Go(func() { g.load.watch(g.ctx, g.loaded) })
	g.log.Info("gateway started", "addr", g.Addr(), "media", g.cfg.AdvertiseMedia)
	return nil
}

// loaded tells that the gateway has become overloaded, or is no more.
func (g *Gateway) loaded(lasted time.Duration) {
	if g.load.over.Load() {
		g.meters.overloaded.Set(1)
		g.log.Warn("gateway is overloaded and takes no further kiosks", "late", g.load.late)
		return
	}
	g.meters.overloaded.Set(0)
	g.log.Info("gateway takes kiosks again", "seconds", lasted.Seconds())
}

func (g *Gateway) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second, // none of these holds for a WebSocket
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
}

func (g *Gateway) serve(server *http.Server, l net.Listener) {
	g.tasks.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			g.dead <- fmt.Errorf("gateway: serve %s: %w", l.Addr(), err)
		}
	})
}

// Addr is the address of HTTP and WebSocket, with the real port.
func (g *Gateway) Addr() string { return g.httpLn.Addr().String() }

// MediaAddr is the address of the media plane, with the real port.
func (g *Gateway) MediaAddr() string { return g.mediaLn.Addr().String() }

// MetricsAddr is the address of /metrics, with the real port.
func (g *Gateway) MetricsAddr() string {
	if g.metricsLn == nil {
		return g.Addr()
	}
	return g.metricsLn.Addr().String()
}

// Dead gives the error of a listener that ended by itself.
func (g *Gateway) Dead() <-chan error { return g.dead }

// Drain turns the gateway unready, asks every kiosk to connect elsewhere after
// the sentence in progress, one after the other so that the gateways that take
// them are not met by all at once, and returns when all have gone, or 30 s have
// passed, or ctx ends. Stop must follow.
func (g *Gateway) Drain(ctx context.Context) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	g.mu.Lock()
	g.moveBy = began.Add(moveLimit)
	g.drained.Store(true) // a connection that comes to be after this is asked by itself
	kiosks := slices.Collect(maps.Keys(g.conns))
	g.mu.Unlock()
	g.log.Info("gateway drains", "kiosks", len(kiosks))

	pace := time.NewTicker(min(moveEvery, moveWithin/time.Duration(len(kiosks)+1)))
	defer pace.Stop()
	for asked := 0; (asked < len(kiosks) || g.busy()) && ctx.Err() == nil; {
		if asked < len(kiosks) {
			kiosks[asked].move()
			asked++
		} else {
			pace.Reset(moveEvery)
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
		}
	}
	g.mu.Lock()
	left := len(g.conns)
	unsent := 0
	for _, s := range g.sessions {
		unsent += s.undelivered()
	}
	g.mu.Unlock()
	g.log.Info("gateway drained", "kiosks", len(kiosks), "moved", max(0, len(kiosks)-left), "left", left,
		"unsent_signals", unsent, "seconds", time.Since(began).Seconds())
}

// busy tells whether a kiosk is connected or a signal is yet to be accepted.
func (g *Gateway) busy() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.conns) > 0 {
		return true
	}
	for _, s := range g.sessions {
		if s.undelivered() > 0 {
			return true
		}
	}
	return false
}

// Stop ends the gateway at once: connections are closed with 1012, streams with
// UNAVAILABLE. It returns when every goroutine has ended, or with ctx's error.
func (g *Gateway) Stop(ctx context.Context) error {
	g.drained.Store(true)
	g.mu.Lock()
	sessions := len(g.sessions)
	for c := range g.conns {
		c.close(wire.CloseRestart, "the gateway restarts")
	}
	for _, s := range g.sessions {
		s.end(errMoved)
	}
	g.mu.Unlock()
	g.cancel()

	done := make(chan struct{})
	go func() {
		if g.http != nil {
			g.http.Close()
			if g.metrics != nil {
				g.metrics.Close()
			}
			g.grpc.Stop()
		}
		g.tasks.end()
		close(done)
	}()
	select {
	case <-done:
		g.log.Info("gateway stopped", "sessions", sessions)
		return nil
	case <-ctx.Done():
		return fmt.Errorf("gateway: stop: %w", context.Cause(ctx))
	}
}

// tasks are the goroutines that a gateway waits for when it stops. The zero
// value is ready for use.
type tasks struct {
	mu    sync.Mutex
	ended bool
	wg    sync.WaitGroup
}

// Go runs f, unless the gateway has stopped: then it tells false.
func (t *tasks) Go(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended {
		t.wg.Go(f)
	}
	return !t.ended
}

// end waits for all, and lets none begin any more: a request that came in as the
// gateway stopped may still be served.
func (t *tasks) end() {
	t.mu.Lock()
	t.ended = true
	t.mu.Unlock()
	t.wg.Wait()
}

func kioskKey(store, kiosk string) string { return workflows.ConversationID(store, kiosk) }

// admit makes the session of a new connection. It is the kiosk's own from now
// on; an earlier session of the kiosk stays for a grace time, because resume may
// be the first thing that the connection says.
func (g *Gateway) admit(c *conn) (*session, error) {
	s := newSession(g, c.store, c.kiosk, rand.Text(), time.Now())
	key := kioskKey(c.store, c.kiosk)
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.kiosks[key]
	most := g.cfg.MaxSessions
	if old != nil && old.online() {
		most *= 2 // the connection that is replaced takes a moment to close
	}
	switch {
	case len(g.conns) >= most:
		return nil, fmt.Errorf("this gateway holds %d kiosks, which is MaxSessions; come back after a pause", g.cfg.MaxSessions)
	case g.load.over.Load() && old == nil:
		return nil, errors.New("this gateway is overloaded; come back after a pause")
	}
	g.conns[c] = struct{}{}
	g.sessions[s.id] = s
	g.kiosks[key] = s
	if old != nil {
		s.before = old
		old.replace()
		// A kiosk that connects again and again, and never says anything, keeps the
		// session that it may come back to, and no more.
		if before := old.supersede(); before != nil {
			s.before = before
			delete(g.sessions, old.id)
		}
	}
	g.meters.sessions.Set(float64(len(g.conns)))
	g.meters.connected.WithLabelValues(c.store, c.kiosk).Inc()
	return s, nil
}

// resume gives a connection the session that its token names, which may come
// from a gateway that is gone; fresh is what the connection has so far.
func (g *Gateway) resume(c *conn, fresh *session, token string) (s *session, known bool, err error) {
	id, born, err := g.keys.openResume(token, c.store, c.kiosk)
	if err != nil {
		return nil, false, err
	}
	key := kioskKey(c.store, c.kiosk)
	g.mu.Lock()
	s = g.sessions[id]
	if known = s != nil; !known {
		s = newSession(g, c.store, c.kiosk, id, born)
		g.sessions[id] = s
	}
	delete(g.sessions, fresh.id)
	g.kiosks[key] = s
	g.mu.Unlock()
	if old := fresh.settled(); old != nil && old != s {
		g.forget(old)
		old.end(errReplaced)
	}
	result := "elsewhere"
	if known {
		result = "here"
	}
	g.meters.resumes.WithLabelValues(result).Inc()
	return s, known, nil
}

// takeUp gives a connection that cannot resume the session that its kiosk had
// here last, if that has not ended; else the fresh one that it has.
func (g *Gateway) takeUp(fresh *session) *session {
	old := fresh.settled()
	if old == nil || old.ended() {
		return fresh
	}
	g.mu.Lock()
	delete(g.sessions, fresh.id)
	g.kiosks[kioskKey(old.store, old.kiosk)] = old
	g.mu.Unlock()
	fresh.end(errReplaced)
	g.meters.resumes.WithLabelValues("here").Inc()
	return old
}

// forget takes a session out of the books.
func (g *Gateway) forget(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sessions[s.id] == s {
		delete(g.sessions, s.id)
	}
	if key := kioskKey(s.store, s.kiosk); g.kiosks[key] == s {
		delete(g.kiosks, key)
	}
}

func (g *Gateway) dismiss(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, admitted := g.conns[c]; !admitted {
		return
	}
	delete(g.conns, c)
	g.meters.sessions.Set(float64(len(g.conns)))
	g.meters.connected.WithLabelValues(c.store, c.kiosk).Dec()
}

// find gives the session of a media call.
func (g *Gateway) find(p *media.Place) (*session, error) {
	if p.GetConversation() == "" || p.GetSession() == "" {
		return nil, errPlace
	}
	g.mu.Lock()
	s := g.sessions[p.Session]
	g.mu.Unlock()
	if s == nil || s.store != p.Store || s.kiosk != p.Kiosk || p.Stay != "" && p.Stay != s.stay {
		return nil, errNotHere
	}
	return s, s.enter(p.Conversation)
}
