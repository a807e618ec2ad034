package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/praesenz/parley/activities"
)

// maxRetryAfter is how long a service may ask us to wait: a customer waits too.
// One that asks for longer counts as away.
const maxRetryAfter = 5 * time.Second

// maxRedirects is how often a service may send us on.
const maxRedirects = 3

// errSlow is the cause of an attempt that ran out of the action's own time.
var errSlow = errors.New("no answer within the action's timeout")

// stay follows a redirect only inside the service, with its scheme, host and
// path, and with the method unchanged. Elsewhere the redirect itself is the
// answer, which is not a good one.
func (a *prepared) stay(req *http.Request, via []*http.Request) error {
	path := req.URL.EscapedPath()
	if len(via) > maxRedirects || req.Method != a.Method ||
		req.URL.Scheme != a.base.Scheme || req.URL.Host != a.base.Host || req.URL.User != nil ||
		!strings.HasPrefix(path, a.base.EscapedPath()+"/") || checkPath(path) != nil {
		return http.ErrUseLastResponse
	}
	return nil
}

// answer makes a value, or an error, of what the service answered.
func (a *prepared) answer(ctx context.Context, res *http.Response) (any, error) {
	b, err := io.ReadAll(io.LimitReader(res.Body, a.MaxBytes+1))
	if err != nil {
		return nil, a.broken(ctx, err)
	}
	tooLong := int64(len(b)) > a.MaxBytes
	var body any
	unreadable := json.Unmarshal(b, &body) != nil
	for _, e := range a.Errors {
		if e.Status == res.StatusCode && (e.Pointer == "" || memberIs(body, e.Pointer, e.Value)) {
			return nil, a.fail(e.Name, false, "status %d: %s", res.StatusCode, e.Name)
		}
	}
	switch status := res.StatusCode; {
	case status == http.StatusRequestTimeout || status == http.StatusTooEarly || status == http.StatusTooManyRequests || status >= 500:
		return nil, a.away(res)
	case status >= 400:
		return nil, a.fail(activities.KindInvalid, false, "status %d, which is none of the errors in the catalogue", status)
	case status >= 300:
		return nil, a.fail(activities.KindInvalid, false, "status %d: the service redirects to elsewhere; write the address that is meant as its `url`", status)
	case a.result == nil:
		return nil, nil
	case tooLong:
		return nil, a.fail(activities.KindInvalid, false, "the answer is longer than `max_bytes`, %d", a.MaxBytes)
	case unreadable:
		return nil, a.fail(activities.KindInvalid, false, "status %d, but the body is not the JSON that `result` describes", status)
	}
	if err := fits(a.result, "result", body); err != nil {
		return nil, a.fail(activities.KindInvalid, false, "%v", err)
	}
	if a.Take == "" {
		return body, nil
	}
	object, ok := body.(map[string]any)
	if !ok {
		return nil, a.fail(activities.KindInvalid, false, "result is no object, from which %q could be taken", a.Take)
	}
	return object[a.Take], nil
}

// away is the error of a service that may answer better next time, and when.
func (a *prepared) away(res *http.Response) error {
	wait := retryAfter(res.Header.Get("Retry-After"), time.Now())
	err := fmt.Sprintf("action %s: status %d", a.Name, res.StatusCode)
	return temporal.NewApplicationErrorWithOptions(err, activities.KindAway, temporal.ApplicationErrorOptions{
		NonRetryable:   wait > maxRetryAfter,
		NextRetryDelay: wait,
	})
}

// retryAfter reads the header of that name: seconds, or a time; 0 when it says
// nothing.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// broken is the error of a request that failed, or of an answer that broke off.
func (a *prepared) broken(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case cause == errSlow:
		return a.fail(activities.KindTimeout, true, "%v, %s", errSlow, a.Timeout.D())
	case cause != nil:
		return cause // Temporal asked for it
	}
	// A url.Error quotes the whole URL, and with it what a customer said.
	var quoting *url.Error
	if errors.As(err, &quoting) {
		err = quoting.Err
	}
	return a.fail(activities.KindAway, true, "%s: %v", a.base.Host, err)
}

func (a *prepared) fail(kind string, retry bool, format string, args ...any) error {
	err := fmt.Errorf("action %s: "+format, append([]any{a.Name}, args...)...)
	if retry {
		return activities.Retryable(kind, err)
	}
	return activities.Permanent(kind, err)
}

// outcomeOf is an attempt's outcome, for the log and the metrics.
func outcomeOf(ctx context.Context, err error) string {
	var failed *temporal.ApplicationError
	switch {
	case err == nil:
		return Done
	case errors.As(err, &failed):
		return failed.Type()
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return activities.KindTimeout
	}
	return Cancelled
}

// memberIs reports whether a JSON value has, at a JSON pointer (RFC 6901), a
// member that is the given text.
func memberIs(v any, pointer, text string) bool {
	for segment := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		segment = strings.NewReplacer("~1", "/", "~0", "~").Replace(segment)
		switch parent := v.(type) {
		case map[string]any:
			v = parent[segment]
		case []any:
			i, err := strconv.Atoi(segment)
			if err != nil || i < 0 || i >= len(parent) {
				return false
			}
			v = parent[i]
		default:
			return false
		}
	}
	got, ok, err := textOf("", map[string]any{"": v})
	return err == nil && ok && got == text
}
