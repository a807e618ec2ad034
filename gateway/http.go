package gateway

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/praesenz/parley/gateway/wire"
)

const (
	probeTimeout = 2 * time.Second
	probeFresh   = 5 * time.Second
	aboutTimeout = 2 * time.Second
)

// contentSecurity lets the page load its own files, talk to its own host and
// nothing else.
const contentSecurity = "default-src 'self'; connect-src 'self'; img-src 'self' data:; media-src 'self' blob:; " +
	"object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// writeBuffers are shared by all connections; each needs one only while it
// writes.
var writeBuffers sync.Pool

func (g *Gateway) routes() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, err any) {
		g.log.Error("request panicked", "path", c.Request.URL.Path, "error", err)
		c.AbortWithStatus(http.StatusInternalServerError)
	}))
	r.GET("/v1/kiosk", g.connect)
	r.GET("/health", g.health)
	r.GET("/ready", g.ready)
	if g.cfg.MetricsAddr == "" {
		r.GET("/metrics", gin.WrapH(g.figures()))
	}
	if g.cfg.Media != "" {
		r.GET("/store/media/*file", g.storeMedia)
		r.HEAD("/store/media/*file", g.storeMedia)
	}
	g.staffRoutes(r)
	if g.cfg.Page != nil {
		r.NoRoute(page(g.cfg.Page))
	}
	return r
}

// figures serves the metrics.
func (g *Gateway) figures() http.Handler {
	return promhttp.HandlerFor(g.cfg.Registry, promhttp.HandlerOpts{Registry: g.cfg.Registry})
}

// connect upgrades a kiosk's request. Why it is refused is told by a close code,
// because a page can see no HTTP status.
func (g *Gateway) connect(c *gin.Context) {
	if g.drained.Load() {
		c.String(http.StatusServiceUnavailable, "the gateway is draining; connect again")
		return
	}
	up := websocket.Upgrader{
		HandshakeTimeout: 5 * time.Second,
		ReadBufferSize:   2048,
		WriteBufferSize:  4096,
		WriteBufferPool:  &writeBuffers,
		Subprotocols:     []string{wire.Subprotocol},
		CheckOrigin:      g.mayConnect,
	}
	ws, err := up.Upgrade(c.Writer, c.Request, nil)
	if err != nil {
		g.log.Debug("upgrade refused", "error", err) // the answer says why
		return
	}
	k, code, err := g.identify(c.Request, ws)
	if err != nil {
		g.meters.closed.WithLabelValues(strconv.Itoa(code)).Inc()
		refuse(ws, code, err.Error())
		if !g.tasks.Go(func() { drop(ws) }) {
			ws.Close()
		}
		return
	}
	// The connection has goroutines of its own, with small stacks; the request's
	// ends here.
	if !g.tasks.Go(func() { k.serve(g.ctx) }) {
		ws.Close()
	}
}

// identify tells which kiosk connects, or with which code it is refused.
func (g *Gateway) identify(r *http.Request, ws *websocket.Conn) (*conn, int, error) {
	store, kiosk, err := g.keys.openKiosk(token(r))
	if err != nil {
		return nil, wire.CloseToken, err
	}
	d := speaks(r, ws)
	if d == nil {
		return nil, wire.CloseMalformed, errors.New("offer the subprotocol " + wire.Subprotocol)
	}
	ctx, cancel := context.WithTimeout(r.Context(), aboutTimeout)
	defer cancel()
	about, err := g.cfg.About(ctx, store, kiosk)
	if errors.Is(err, ErrUnknownKiosk) {
		return nil, wire.CloseUnknown, errors.New("store " + store + " has no kiosk " + kiosk)
	}
	if err != nil {
		g.log.Error("kiosk cannot be described", "store", store, "kiosk", kiosk, "error", err)
		return nil, wire.CloseRestart, errors.New("the store's configuration cannot be read now")
	}
	return newConn(g, ws, d, store, kiosk, about), 0, nil
}

// token is the kiosk's, from the places where one may be.
func token(r *http.Request) string {
	if t, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return t
	}
	for _, p := range websocket.Subprotocols(r) {
		if t, ok := strings.CutPrefix(p, wire.BearerPrefix); ok {
			return t
		}
	}
	// A stock client appends its token to the address once more when it comes back.
	all := r.URL.Query()["token"]
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

// mayConnect checks where a page comes from; what is no browser has no origin.
func (g *Gateway) mayConnect(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(g.cfg.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// drop reads on until the other side has seen the close frame, or refuse's
// deadline has passed.
func drop(ws *websocket.Conn) {
	defer ws.Close()
	for {
		if _, _, err := ws.NextReader(); err != nil {
			return
		}
	}
}

func (g *Gateway) health(c *gin.Context) {
	p := g.probed.get(c.Request.Context(), g.cfg.Probe)
	c.JSON(http.StatusOK, struct {
		Status      string `json:"status"`
		GPU         bool   `json:"gpu"`
		ModelLoaded bool   `json:"model_loaded"`
	}{"ok", p.GPU, p.ModelLoaded})
}

func (g *Gateway) ready(c *gin.Context) {
	p := g.probed.get(c.Request.Context(), g.cfg.Probe)
	if p.Ready {
		g.wasReady.Store(true)
	}
	ready := g.wasReady.Load() && !g.drained.Load() && !g.load.over.Load()
	code := http.StatusOK
	if !ready {
		code = http.StatusServiceUnavailable
	}
	c.JSON(code, struct {
		Ready  bool   `json:"ready"`
		Qdrant string `json:"qdrant"`
		Ollama string `json:"ollama"`
	}{ready, p.Qdrant, p.Ollama})
}

// A probeCache keeps the last answer for a while: a probe asks several servers,
// and Kubernetes asks us every few seconds.
type probeCache struct {
	mu   sync.Mutex
	last Probe
	at   time.Time
}

func (c *probeCache) get(ctx context.Context, probe func(context.Context) Probe) Probe {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() || time.Since(c.at) > probeFresh {
		// Whoever asked may go; the answer is for others too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
		defer cancel()
		c.last, c.at = probe(ctx), time.Now()
	}
	return c.last
}

// page serves the kiosk page.
func page(files fs.FS) gin.HandlerFunc {
	server := http.FileServerFS(files)
	return func(c *gin.Context) {
		if c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead {
			c.Status(http.StatusMethodNotAllowed)
			return
		}
		securePage(c.Writer.Header())
		c.Writer.Header().Set("Permissions-Policy", "microphone=(self), camera=(), geolocation=()")
		c.Status(http.StatusOK) // gin presets 404 for NoRoute; the file server decides
		server.ServeHTTP(c.Writer, c.Request)
	}
}

// securePage sets the headers of a page of ours.
func securePage(h http.Header) {
	h.Set("Content-Security-Policy", contentSecurity)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // a new release must reach the kiosks
}
