package main

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// maxBody is how many bytes a request may send; the longest holds a wish of 300
// characters.
const maxBody = 8 << 10

// A refusal is an answer other than success. Its status is what the stores'
// actions name in `errors`.
type refusal struct {
	status int
	why    string
}

func (r refusal) Error() string { return r.why }

func refuse(status int, format string, args ...any) error {
	return refusal{status, fmt.Sprintf(format, args...)}
}

// An answerer answers one kind of request: with a value that is sent as JSON,
// with nil where there is nothing to say, or with a refusal.
type answerer func(r *http.Request) (any, error)

// A guarded answerer is served to those who know the service's secret.
type guarded func(answerer) http.HandlerFunc

// guard serves only requests with this header, and answers one that is repeated
// under its Idempotency-Key as it was answered before: a request whose answer was
// lost draws no second number.
func guard(header, secret string) guarded {
	before := &answers{given: map[string]*attempt{}}
	return func(a answerer) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var got answer
			switch key := r.Header.Get("Idempotency-Key"); {
			case subtle.ConstantTimeCompare([]byte(r.Header.Get(header)), []byte(secret)) != 1:
				got = answerOf(nil, refuse(http.StatusUnauthorized, "the header %s is not the service's secret", header))
			case len(key) > maxKey:
				got = answerOf(nil, refuse(http.StatusBadRequest, "the header Idempotency-Key is longer than %d bytes", maxKey))
			case key == "":
				got = answerOf(a(r))
			default:
				got = before.once(r.Method+" "+r.URL.Path+" "+key, func() answer { return answerOf(a(r)) })
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(got.status)
			w.Write(got.body) //nolint:errcheck // the caller has gone
		}
	}
}

// An answer is what is sent.
type answer struct {
	status int
	body   []byte
}

func answerOf(v any, err error) answer {
	status := http.StatusOK
	var refused refusal
	switch {
	case errors.As(err, &refused):
		status, v = refused.status, map[string]string{"error": refused.why}
	case err != nil:
		status, v = http.StatusServiceUnavailable, map[string]string{"error": err.Error()}
	case v == nil:
		return answer{status: http.StatusNoContent}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return answer{status: http.StatusInternalServerError}
	}
	return answer{status, b}
}

// keepAnswers is how many answers are remembered; the oldest is forgotten first.
const keepAnswers = 1000

// maxKey is the longest Idempotency-Key in bytes.
const maxKey = 200

// answers remembers what requests were answered, by method, path and key.
type answers struct {
	mu    sync.Mutex
	given map[string]*attempt
	order []string
}

type attempt struct {
	once sync.Once
	answer
}

// once gives the answer to a request, found only once however often it is asked.
// One that failed on our side is found anew.
func (a *answers) once(request string, find func() answer) answer {
	a.mu.Lock()
	one := a.given[request]
	if one == nil {
		if len(a.order) == keepAnswers {
			delete(a.given, a.order[0])
			a.order = a.order[1:]
		}
		one = &attempt{}
		a.given[request] = one
		a.order = append(a.order, request)
	}
	a.mu.Unlock()
	one.once.Do(func() { one.answer = find() })
	if one.status >= http.StatusInternalServerError {
		a.mu.Lock()
		if a.given[request] == one {
			a.given[request] = &attempt{} // its place in the order stays
		}
		a.mu.Unlock()
	}
	return one.answer
}

// read takes a request's body, which must hold exactly what v has places for.
func read(r *http.Request, v any) error {
	b, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return refuse(http.StatusBadRequest, "the body cannot be read")
	}
	if len(b) > maxBody {
		return refuse(http.StatusRequestEntityTooLarge, "the body is longer than %d bytes", maxBody)
	}
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return refuse(http.StatusBadRequest, "the body is not what this path takes: %v", err)
	}
	if decoder.More() {
		return refuse(http.StatusBadRequest, "the body goes on after its end")
	}
	return nil
}

// kiosks are told of events through the gateway.
type kiosks struct {
	gateway, token string
	client         *http.Client
	logger         *slog.Logger
}

// tries is how often an event is sent to a gateway that is away or busy.
const tries = 3

// tell lets the conversation at a kiosk know of an event. Nobody waits for the
// outcome, so it is logged.
func (k *kiosks) tell(ctx context.Context, kiosk, name string, data any) {
	logger := k.logger.With("kiosk", kiosk, "event", name)
	body, err := json.Marshal(map[string]any{"name": name, "data": data})
	if err != nil {
		logger.Error("event not told", "error", err)
		return
	}
	for try := 1; ; try++ {
		status, err := k.post(ctx, "/v1/kiosks/"+url.PathEscape(kiosk)+"/events", body)
		switch again := err != nil || status == http.StatusTooManyRequests || status >= 500; {
		case err == nil && status == http.StatusAccepted:
			logger.Info("event told")
			return
		case err == nil && status == http.StatusNotFound:
			logger.Info("nobody is at the kiosk any more")
			return
		case !again || try == tries:
			logger.Warn("event not told", "status", status, "error", err)
			return
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return
		}
	}
}

func (k *kiosks) post(ctx context.Context, path string, body []byte) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.gateway+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+k.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := k.client.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}
