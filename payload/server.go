package payload

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/converter"
)

// ServerConfig says for whom a codec server opens payloads.
type ServerConfig struct {
	Addr string // default 127.0.0.1:8120
	Keys *Keys  // required
	// Origins are the pages that may ask, such as https://temporal.example.com: the
	// Temporal UI's. A request of another page is refused.
	Origins []string
	// Token is what a caller must present as its bearer token; "" asks for none.
	Token string
	// TrustProxy says that whatever reaches Addr has been authenticated by a proxy.
	// Without it and without a Token, Addr must be loopback.
	TrustProxy bool
	Logger     *slog.Logger // default: discards
}

func (c ServerConfig) withDefaults() ServerConfig {
	c.Addr = cmp.Or(c.Addr, "127.0.0.1:8120")
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// validate names every fault at once.
func (c ServerConfig) validate() error {
	var faults []error
	if c.Keys == nil {
		faults = append(faults, errors.New("payload_keys: a codec server without keys has nothing to open; set the keys that the gateways and workers have"))
	}
	host, _, err := net.SplitHostPort(c.Addr)
	switch {
	case err != nil:
		faults = append(faults, fmt.Errorf("listen: %q is not HOST:PORT; write for example 127.0.0.1:8120", c.Addr))
	case c.Token == "" && !c.TrustProxy && !isLoopback(host):
		faults = append(faults, fmt.Errorf("listen: %s would open customers' words for the whole network; set codec_token, or codec_trust_proxy where an authenticating proxy is in front, or listen on 127.0.0.1", c.Addr))
	}
	for _, o := range c.Origins {
		u, err := url.Parse(o)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Scheme+"://"+u.Host != o {
			faults = append(faults, fmt.Errorf("origins: %q is not an origin; write the Temporal UI's, like https://temporal.example.com, without a path", o))
		}
	}
	return errors.Join(faults...)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// A Server opens payloads for the Temporal UI and the temporal command. It speaks
// their remote codec's protocol, POST /decode, and never seals: who only reads
// needs no /encode.
type Server struct {
	config   ServerConfig
	listener net.Listener
	http     *http.Server
	dead     chan error // one value, when serving has ended
}

// NewServer checks the configuration; the error names every fault.
func NewServer(c ServerConfig) (*Server, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	s := &Server{config: c, dead: make(chan error, 1)}
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(c.Logger.Handler(), slog.LevelWarn),
	}
	return s, nil
}

// Start begins to serve until Stop.
func (s *Server) Start(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.config.Addr)
	if err != nil {
		return fmt.Errorf("listen: %w; choose another address or end what listens there", err)
	}
	s.listener = l
	go func() { s.dead <- s.http.Serve(l) }()
	return nil
}

// Addr is the host:port that is listened on; valid after Start.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Dead tells why it serves no more.
func (s *Server) Dead() <-chan error { return s.dead }

// Stop takes no more requests and waits for those under way until ctx ends.
func (s *Server) Stop(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return fmt.Errorf("stop codec server: %w", errors.Join(err, s.http.Close()))
	}
	return nil
}

// maxBody bounds a request: a page of the UI's history and Temporal's own limit
// of 4 MiB for a message, in base64, have room.
const maxBody = 16 << 20

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	opens := converter.NewPayloadCodecHTTPHandler(NewCodec(s.config.Keys))
	mux.Handle("/decode", s.fromOrigin(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", "POST, OPTIONS")
			http.Error(w, "POST the payloads here", http.StatusMethodNotAllowed)
			return
		}
		if !s.authorised(r) {
			http.Error(w, "Invalid or missing token; send it as Authorization: Bearer", http.StatusUnauthorized)
			return
		}
		// Who reads what customers have said leaves a trace.
		s.config.Logger.Info("payloads asked for", "remote", r.RemoteAddr, "origin", r.Header.Get("Origin"), "namespace", r.Header.Get("X-Namespace"))
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		w.Header().Set("Cache-Control", "no-store")
		opens.ServeHTTP(w, r)
	}))
	alive := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintln(w, `{"status":"ok"}`)
	}
	mux.HandleFunc("GET /health", alive)
	mux.HandleFunc("GET /ready", alive)
	return mux
}

// fromOrigin lets the listed pages ask, by CORS, and refuses others: a browser
// hides only the answer from a page that is not listed, not the question.
func (s *Server) fromOrigin(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		if origin := r.Header.Get("Origin"); origin != "" {
			if !slices.Contains(s.config.Origins, origin) {
				http.Error(w, "this page is not in the codec server's setting origins", http.StatusForbidden)
				return
			}
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true") // a proxy's cookie
		}
		if r.Method == http.MethodOptions {
			h.Set("Access-Control-Allow-Methods", "POST")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Namespace")
			h.Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next(w, r)
	})
}

// authorised compares sums, so that not even the token's length shows in the time
// that it takes.
func (s *Server) authorised(r *http.Request) bool {
	if s.config.Token == "" {
		return true
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.config.Token))
	return ok && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}
