package action_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/action"
	"github.com/praesenz/parley/flow"
)

const catalogueYAML = `
api: parley.actions/v1
service: shop
url: https://shop.invalid/api/v1
headers: {Authorization: "Bearer {secret.shop_token}", X-Site: berlin}
actions:
  hold_item:
    method: POST
    path: /items/{sku}/holds
    query: {lang: "{lang}", via: kiosk}
    args:
      type: object
      properties:
        sku: {type: string}
        phone: {type: string, pattern: "^[+][0-9]{8,15}$"}
        count: {type: integer}
        lang: {type: string}
      required: [sku, phone]
    result: {type: object, properties: {ticket: {type: string}, left: {type: integer}}, required: [ticket]}
    take: ticket
    errors:
      unknown_item: {status: 409, when: "/error/code=unknown"}
      not_in_stock: {status: 409}
      closed: {status: 200, when: "/open=false"}
  stock:
    method: GET
    path: /stock/{shelf}
    args: {type: object, properties: {shelf: {type: integer}}, required: [shelf]}
    result: {type: object, properties: {left: {type: integer}}}
    timeout: 200ms
    max_bytes: 1KiB
  ring:
    method: POST
    path: /bell
  search:
    method: POST
    path: /search
    args: {type: object, properties: {words: {type: string}}}
`

func catalogue(t testing.TB) *flow.Catalogue {
	t.Helper()
	c, ds := flow.ReadCatalogue(fstest.MapFS{"actions/shop.yaml": {Data: []byte(catalogueYAML)}}, "actions")
	if c == nil {
		t.Fatal(ds)
	}
	return c
}

// seen is a request as the service got it.
type seen struct {
	Method, Path, Query, Body string
	Header                    http.Header
}

// A shop is the service, a real HTTP server.
type shop struct {
	*httptest.Server
	seen   []seen
	answer http.HandlerFunc
}

func openShop(t testing.TB, answer http.HandlerFunc) *shop {
	s := &shop{answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		s.seen = append(s.seen, seen{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, string(b), r.Header})
		s.answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func says(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func caller(t testing.TB, s *shop, change func(*action.Config)) *action.Caller {
	t.Helper()
	t.Setenv("PARLEY_SECRET_SHOP_TOKEN", "s3cret")
	all := catalogue(t)
	c := action.Config{Catalogue: func() *flow.Catalogue { return all }, URLs: map[string]string{"shop": s.URL + "/api/v1/"}}
	if change != nil {
		change(&c)
	}
	made, err := action.New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// call runs the activity as a worker does.
func call(t testing.TB, c *action.Caller, name string, args map[string]any) (activities.CallResult, error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivityWithOptions(c.Call, activity.RegisterOptions{Name: activities.Call})
	v, err := env.ExecuteActivity(activities.Call, activities.CallInput{
		Store: "s1", Kiosk: "k1", Conversation: "c1", Step: "hold", Action: name, Args: args, Key: "c1/hold/1", Language: "de",
	})
	if err != nil {
		return activities.CallResult{}, err
	}
	var result activities.CallResult
	if err := v.Get(&result); err != nil {
		t.Fatal(err)
	}
	return result, nil
}

var held = map[string]any{"sku": "K 17/b", "phone": "+4915112345678", "count": 2, "lang": "de"}

func TestCallMakesTheRequestOfTheCatalogue(t *testing.T) {
	s := openShop(t, says(200, `{"ticket":"A17","left":3}`))
	result, err := call(t, caller(t, s, nil), "shop.hold_item", held)
	if err != nil {
		t.Fatal(err)
	}
	if result.Value != "A17" || result.Status != 200 {
		t.Errorf("got %+v, want the ticket", result)
	}
	got := s.seen[0]
	if got.Method != "POST" || got.Path != "/api/v1/items/K%2017%2Fb/holds" || got.Query != "lang=de&via=kiosk" {
		t.Errorf("got %s %s?%s", got.Method, got.Path, got.Query)
	}
	if got.Body != `{"count":2,"phone":"+4915112345678"}` {
		t.Errorf("body %s", got.Body)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer s3cret", "X-Site": "berlin", "Idempotency-Key": "c1/hold/1",
		"Content-Type": "application/json", "Accept-Language": "de",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.Header.Get(name), want)
		}
	}
}

func TestCallLeavesOutWhatIsNotPassed(t *testing.T) {
	s := openShop(t, says(200, `{"ticket":"A17"}`))
	c := caller(t, s, nil)
	if _, err := call(t, c, "shop.hold_item", map[string]any{"sku": "K17", "phone": "+4915112345678"}); err != nil {
		t.Fatal(err)
	}
	if s.seen[0].Query != "via=kiosk" {
		t.Errorf("query %q has a field for an argument that was not passed", s.seen[0].Query)
	}
	for name, want := range map[string]string{"shop.ring": "", "shop.search": "{}"} {
		result, err := call(t, c, name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.seen[len(s.seen)-1].Body; got != want {
			t.Errorf("%s: body %q, want %q", name, got, want)
		}
		if result.Value != nil {
			t.Errorf("%s: value %v, but the catalogue gives it none", name, result.Value)
		}
	}
}

func TestCallReadsTheAnswer(t *testing.T) {
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		action string
		args   map[string]any
		kind   string
		retry  bool
		wait   time.Duration
		says   string
	}{
		"a named error":             {answer: says(409, `{"error":{"code":"sold"}}`), kind: "not_in_stock"},
		"one by its body":           {answer: says(409, `{"error":{"code":"unknown"}}`), kind: "unknown_item"},
		"one without a body":        {answer: says(409, ``), kind: "not_in_stock"},
		"one of a good status":      {answer: says(200, `{"ticket":"-","open":false}`), kind: "closed"},
		"another refusal":           {answer: says(403, `{}`), kind: "invalid", says: "status 403"},
		"a fault":                   {answer: says(500, ``), kind: "away", retry: true},
		"busy":                      {answer: says(503, ``, "Retry-After", "2"), kind: "away", retry: true, wait: 2 * time.Second},
		"too many":                  {answer: says(429, ``), kind: "away", retry: true},
		"too early":                 {answer: says(425, ``), kind: "away", retry: true},
		"slow on its own account":   {answer: says(408, ``), kind: "away", retry: true},
		"busy for longer than that": {answer: says(503, ``, "Retry-After", "120"), kind: "away"},
		"no JSON":                   {answer: says(200, `<p>hello</p>`), kind: "invalid", says: "not the JSON"},
		"JSON of another shape":     {answer: says(200, `{"ticket":17}`), kind: "invalid", says: "result.ticket"},
		"a member missing":          {answer: says(200, `{}`), kind: "invalid", says: "ticket"},
		"a redirect to elsewhere":   {answer: says(307, ``, "Location", "http://elsewhere.invalid/"), kind: "invalid", says: "redirects"},
		"a redirect above the base": {answer: says(307, ``, "Location", "/admin"), kind: "invalid", says: "redirects"},
		"too long":                  {answer: says(200, `{"pad":"`+strings.Repeat("x", 2000)+`"}`), action: "shop.stock", args: map[string]any{"shelf": 4}, kind: "invalid", says: "max_bytes"},
		"an argument of bad form":   {answer: says(200, ``), args: map[string]any{"sku": "K17", "phone": "call me"}, kind: "invalid", says: "args.phone"},
		"an argument missing":       {answer: says(200, ``), args: map[string]any{"sku": "K17"}, kind: "invalid", says: "phone"},
		"an unknown action":         {answer: says(200, ``), action: "shop.nothing", kind: "invalid", says: `"shop.nothing"`},
		"a way out of the path":     {answer: says(200, ``), args: map[string]any{"sku": "..", "phone": "+4915112345678"}, kind: "invalid", says: "another path"},
		"an encoded way out":        {answer: says(200, ``), args: map[string]any{"sku": `..\..\admin`, "phone": "+4915112345678"}, kind: "invalid", says: "another path"},
	} {
		t.Run(name, func(t *testing.T) {
			s := openShop(t, tt.answer)
			if tt.action == "" {
				tt.action = "shop.hold_item"
			}
			if tt.args == nil {
				tt.args = held
			}
			_, err := call(t, caller(t, s, nil), tt.action, tt.args)
			var failed *temporal.ApplicationError
			if !errors.As(err, &failed) {
				t.Fatalf("got %v, want an application error", err)
			}
			if failed.Type() != tt.kind || failed.NonRetryable() == tt.retry || failed.NextRetryDelay() != tt.wait && tt.retry {
				t.Errorf("got type %q, retryable %v, after %v; want %q, %v, %v", failed.Type(), !failed.NonRetryable(), failed.NextRetryDelay(), tt.kind, tt.retry, tt.wait)
			}
			if !strings.Contains(failed.Message(), tt.says) {
				t.Errorf("error %q does not tell %q", failed.Message(), tt.says)
			}
		})
	}
}

func TestCallWaitsNoLongerThanTheActionSays(t *testing.T) {
	s := openShop(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	_, err := call(t, caller(t, s, nil), "shop.stock", map[string]any{"shelf": 4})
	var failed *temporal.ApplicationError
	if !errors.As(err, &failed) || failed.Type() != activities.KindTimeout || failed.NonRetryable() {
		t.Errorf("got %v, want a retryable timeout", err)
	}
}

func TestCallFindsNobody(t *testing.T) {
	s := openShop(t, nil)
	c := caller(t, s, nil)
	s.Close()
	_, err := call(t, c, "shop.stock", map[string]any{"shelf": 4})
	var failed *temporal.ApplicationError
	if !errors.As(err, &failed) || failed.Type() != activities.KindAway || failed.NonRetryable() {
		t.Errorf("got %v, want retryable and away", err)
	}
}

func TestCallFollowsARedirectInsideTheService(t *testing.T) {
	s := openShop(t, nil)
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/v1/bell") && !strings.HasSuffix(r.URL.Path, "/new") {
			http.Redirect(w, r, "/api/v1/bell/new", http.StatusPermanentRedirect)
		}
	}
	if _, err := call(t, caller(t, s, nil), "shop.ring", nil); err != nil {
		t.Fatal(err)
	}
	if len(s.seen) != 2 || s.seen[1].Header.Get("Authorization") == "" || s.seen[1].Header.Get("Idempotency-Key") != "c1/hold/1" {
		t.Errorf("got %+v", s.seen)
	}
}

// What a customer said is neither in the log nor in an error.
func TestCustomersWordsStayOutOfLogsAndErrors(t *testing.T) {
	const word = "Rumpelstilzchen"
	t.Setenv("PARLEY_SECRET_SHOP_TOKEN", "s3cret")
	for name, s := range map[string]*shop{
		"answered": openShop(t, says(400, `{"echo":"`+word+`"}`)),
		"no JSON":  openShop(t, says(200, word)),
		"gone":     {Server: &httptest.Server{URL: "http://127.0.0.1:1"}},
	} {
		var log bytes.Buffer
		all := catalogue(t)
		c, err := action.New(action.Config{
			Catalogue: func() *flow.Catalogue { return all }, URLs: map[string]string{"shop": s.URL},
		}, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
		if err != nil {
			t.Fatal(err)
		}
		for _, args := range []map[string]any{{"sku": word, "phone": "+4915112345678"}, {"sku": "K17", "phone": word}} {
			_, err = call(t, c, "shop.hold_item", args)
			if err == nil || strings.Contains(err.Error(), word) {
				t.Errorf("%s: the error is %v", name, err)
			}
		}
		if strings.Contains(log.String(), word) || strings.Contains(log.String(), "s3cret") {
			t.Errorf("%s: logged:\n%s", name, log.String())
		}
		if !strings.Contains(log.String(), "action=shop.hold_item") {
			t.Errorf("%s: the call itself is not logged:\n%s", name, log.String())
		}
	}
}

func TestASecretIsReadAnewAtEveryCall(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "shop_token")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	s := openShop(t, says(200, ``))
	c := caller(t, s, func(c *action.Config) { c.Secrets = dir })
	for _, secret := range []string{"first", "second"} {
		write(secret + "\n")
		if _, err := call(t, c, "shop.ring", nil); err != nil {
			t.Fatal(err)
		}
		if got := s.seen[len(s.seen)-1].Header.Get("Authorization"); got != "Bearer "+secret {
			t.Errorf("got %q, want %s", got, secret)
		}
	}
	write("two\nlines")
	_, err := call(t, c, "shop.ring", nil)
	var failed *temporal.ApplicationError
	if !errors.As(err, &failed) || failed.NonRetryable() || !strings.Contains(err.Error(), "one line") || strings.Contains(err.Error(), "two") {
		t.Errorf("got %v", err)
	}
}

func TestAnEditedCatalogueIsUsedByTheNextCall(t *testing.T) {
	s := openShop(t, says(200, ``))
	now := catalogue(t)
	c := caller(t, s, func(c *action.Config) { c.Catalogue = func() *flow.Catalogue { return now } })
	edited := *now
	edited.Actions = map[string]flow.Action{}
	for name, a := range now.Actions {
		a.Path = "/v2" + a.Path
		edited.Actions[name] = a
	}
	now = &edited
	if _, err := call(t, c, "shop.ring", nil); err != nil {
		t.Fatal(err)
	}
	if s.seen[0].Path != "/api/v1/v2/bell" {
		t.Errorf("called %s", s.seen[0].Path)
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	all := catalogue(t)
	_, err := action.New(action.Config{
		Catalogue: func() *flow.Catalogue { return all },
		URLs:      map[string]string{"shp": "http://localhost", "shop": "https://user:pw@shop.invalid"},
	}, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{`no service "shp" in the catalogue; it has shop`, "without user", `service "shop": secret "shop_token" is missing`, "PARLEY_SECRET_SHOP_TOKEN"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if _, err := action.New(action.Config{Secrets: filepath.Join(t.TempDir(), "none")}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "--secrets") {
		t.Errorf("got %v", err)
	}
	if _, err := action.New(action.Config{}, slog.New(slog.DiscardHandler)); err != nil {
		t.Errorf("a worker without a catalogue: %v", err)
	}
}

func TestCallsAreObserved(t *testing.T) {
	var observed []string
	note := func(store, name, outcome string, seconds float64) {
		if seconds < 0 {
			t.Errorf("took %v s", seconds)
		}
		observed = append(observed, fmt.Sprint(store, " ", name, " ", outcome))
	}
	s := openShop(t, says(200, `{"ticket":"A17"}`))
	c := caller(t, s, func(c *action.Config) { c.OnCalled = note })
	for _, answer := range []http.HandlerFunc{says(200, `{"ticket":"A17"}`), says(409, ``), says(500, ``)} {
		s.answer = answer
		_, _ = call(t, c, "shop.hold_item", held) // each outcome is what is looked at
	}
	b, err := json.Marshal(observed)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(b), `["s1 shop.hold_item done","s1 shop.hold_item not_in_stock","s1 shop.hold_item away"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
