// Package modelserver is the door to an HTTP server that runs a model: one
// request, its errors sorted into permanent and retryable where they arise. It
// never tries again by itself; Temporal does.
package modelserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/praesenz/parley/activities"
)

// dialTimeout is short because a customer waits and the server is in the same
// building, if not on the same machine.
const dialTimeout = 2 * time.Second

// maxDetail bounds what of a refusal goes into an error, in bytes.
const maxDetail = 500

// A Server is one model server. It is safe for concurrent use.
type Server struct {
	base string
	key  string
	http *http.Client
}

// New returns the server at baseURL, which CheckURL accepted; key is sent as
// bearer token unless it is empty.
func New(baseURL, key string) *Server { return Over(NewHTTP(), baseURL, key) }

// Over is New with another way to the server; nil: that of NewHTTP.
func Over(way *http.Client, baseURL, key string) *Server {
	if way == nil {
		way = NewHTTP()
	}
	return &Server{base: strings.TrimSuffix(baseURL, "/"), key: key, http: way}
}

// NewHTTP returns an HTTP client for model servers. It has no time limit for a
// whole request, because answers are streams: the context of each request is
// the limit.
func NewHTTP() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext
	t.MaxIdleConnsPerHost = 64 // a worker's slots; the default of 2 would dial for the third
	return &http.Client{Transport: t}
}

// CheckURL says what is wrong with a base URL given as option, or nil.
func CheckURL(option, baseURL string) error {
	u, err := url.Parse(baseURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("%s is %q; write the server's address, for example http://localhost:8000", option, baseURL)
	}
	return nil
}

// String is the server's address, for messages.
func (s *Server) String() string { return s.base }

// Post sends body to path and returns the answer when it is 200; the caller
// closes its body. Other answers are sorted by activities.Classify, a server
// that cannot be reached is retryable, and when ctx has ended the error is its
// cause.
func (s *Server) Post(ctx context.Context, path, contentType string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+path, body)
	if err != nil {
		return nil, activities.Permanent(activities.KindInvalid, err)
	}
	req.Header.Set("Content-Type", contentType)
	return s.do(ctx, req)
}

// Get is Post for what is only read.
func (s *Server) Get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path, nil)
	if err != nil {
		return nil, activities.Permanent(activities.KindInvalid, err)
	}
	return s.do(ctx, req)
}

func (s *Server) do(ctx context.Context, req *http.Request) (*http.Response, error) {
	if s.key != "" {
		req.Header.Set("Authorization", "Bearer "+s.key)
	}
	res, err := s.http.Do(req)
	if err != nil {
		return nil, Broken(ctx, s.base, err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	detail, _ := io.ReadAll(io.LimitReader(res.Body, maxDetail)) // what there is of it
	return nil, activities.Classify(s.base, res.StatusCode, strings.TrimSpace(string(detail)))
}

// Broken is the error of a request to server that failed, or of an answer that
// broke off: the context's cause when it has ended, else retryable.
func Broken(ctx context.Context, server string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return activities.Retryable(activities.KindAway, fmt.Errorf("%s: %w", server, err))
}
