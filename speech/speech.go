// Package speech is the embedded speech server: the subset of the OpenAI audio
// API that speaches serves, on engines that Debian packages. flite and espeak-ng
// speak; PocketSphinx hears English, with a language model built from the
// store's own documents and flows. It is a fallback for machines without a GPU
// and says so in its logs; the rest of the product cannot tell it from speaches.
//
// Hearing needs the build tag "pocketsphinx" and Debian's libpocketsphinx-dev,
// libsphinxbase-dev and pocketsphinx-en-us; see [Server.Deaf]. Speaking needs
// Debian's flite and espeak-ng.
package speech

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// Config is what an operator can choose. The zero value is a working server on
// the loopback interface that knows no store.
type Config struct {
	// Addr is the host:port to listen on. Default 127.0.0.1:8100; port 0 takes
	// a free one, see [Server.Addr].
	Addr string

	// Token must accompany every request but /health, as "Authorization:
	// Bearer". It may be empty only while Addr is a loopback address.
	Token string

	// Corpus are files and folders of knowledge documents, flows and prompts
	// (.md, .txt, .yaml, .csv) whose words the recogniser should expect. They
	// are looked at again every few seconds while requests come in. Files in
	// other languages than English, told by a path such as de/ or de.yaml or
	// by "lang" in the front matter, are skipped.
	Corpus []string

	// ModelDir holds the acoustic model, dictionary and language model of
	// Debian's pocketsphinx-en-us. Default /usr/share/pocketsphinx/model/en-us.
	ModelDir string

	// Recognisers is how many utterances are heard at once, 1–16; further ones
	// wait. Each keeps about 200 MB. Default 2.
	Recognisers int

	// Synthesisers is how many texts are spoken at once, 1–16; further ones
	// wait. Default 2.
	Synthesisers int

	// Logger gets the server's log. Default: nothing is logged.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Addr = cmp.Or(c.Addr, "127.0.0.1:8100")
	c.ModelDir = cmp.Or(c.ModelDir, "/usr/share/pocketsphinx/model/en-us")
	c.Recognisers = cmp.Or(c.Recognisers, 2)
	c.Synthesisers = cmp.Or(c.Synthesisers, 2)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// validate reports every fault at once.
func (c Config) validate() error {
	var faults []error
	host, _, err := net.SplitHostPort(c.Addr)
	switch {
	case err != nil:
		faults = append(faults, fmt.Errorf("option Addr %q is not host:port; write for example 127.0.0.1:8100", c.Addr))
	case c.Token == "" && !isLoopback(host):
		faults = append(faults, fmt.Errorf("option Token is empty but Addr %q is open to the network; set Token or listen on 127.0.0.1", c.Addr))
	}
	for _, path := range c.Corpus {
		if _, err := os.Stat(path); err != nil {
			faults = append(faults, fmt.Errorf("option Corpus: %w; name files and folders that exist", err))
		}
	}
	if c.Recognisers < 1 || c.Recognisers > 16 {
		faults = append(faults, fmt.Errorf("option Recognisers is %d; give 1 to 16", c.Recognisers))
	}
	if c.Synthesisers < 1 || c.Synthesisers > 16 {
		faults = append(faults, fmt.Errorf("option Synthesisers is %d; give 1 to 16", c.Synthesisers))
	}
	for _, program := range []string{"flite", "espeak-ng"} {
		if _, err := exec.LookPath(program); err != nil {
			faults = append(faults, fmt.Errorf("%s is not on the PATH; install Debian package %s", program, program))
		}
	}
	return errors.Join(faults...)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// A Server is one speech server. Call New, Start, then Stop.
type Server struct {
	config     Config
	recogniser recogniser // nil when deaf
	deaf       error
	speaking   chan struct{} // one entry per text being spoken; when full, requests wait

	listener net.Listener
	http     *http.Server
	served   chan error // one value, when serving has ended
}

// New checks the configuration and that the voices are installed. The error
// names every fault.
func New(c Config) (*Server, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("configure speech server: %w", err)
	}
	s := &Server{config: c, deaf: builtDeaf, speaking: make(chan struct{}, c.Synthesisers)}
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(c.Logger.Handler(), slog.LevelWarn),
	}
	return s, nil
}

// Deaf says why this server cannot recognise speech; nil when it can. It then
// answers transcriptions with 503 and the same reason.
func (s *Server) Deaf() error { return s.deaf }

// Start trains the recogniser from the corpus, a second or two for each
// Recognisers, and begins to serve. ctx bounds the start only; the server runs
// until Stop.
func (s *Server) Start(ctx context.Context) error {
	switch {
	case s.recogniser != nil: // a test brings its own
	case s.deaf != nil:
		s.config.Logger.Warn("speech is not recognised here", "reason", s.deaf)
	default:
		r, err := newRecogniser(ctx, s.config)
		if err != nil {
			return fmt.Errorf("start speech server: %w", err)
		}
		s.recogniser = r
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.config.Addr)
	if err != nil {
		if s.recogniser != nil {
			s.recogniser.close()
		}
		return fmt.Errorf("start speech server: %w; choose another Addr or end what listens there", err)
	}
	s.listener, s.served = l, make(chan error, 1)
	go func() { s.served <- s.http.Serve(l) }()
	s.config.Logger.Info("speech server listening; a fallback for speaches, synthetic voices and a small recogniser", "addr", s.Addr())
	return nil
}

// Addr is the host:port that is listened on; valid after Start.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Stop takes no more requests, waits for those under way until ctx ends, cuts
// off the rest and frees the recogniser.
func (s *Server) Stop(ctx context.Context) error {
	if s.listener == nil {
		return nil
	}
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("stop speech server: requests were cut off: %w", err), s.http.Close())
	}
	if serveErr := <-s.served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve speech: %w", serveErr))
	}
	if s.recogniser != nil {
		s.recogniser.close()
	}
	return err
}
