package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/praesenz/parley/workflows"
)

const (
	testStaff  = "staff-share-this-one"
	testEvents = "systems-share-this-one"
)

func (s *stubTemporal) ListWorkflow(context.Context, *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		return nil, s.away
	}
	var page workflowservice.ListWorkflowExecutionsResponse
	for id := range s.calls {
		page.Executions = append(page.Executions, &workflowpb.WorkflowExecutionInfo{Execution: &commonpb.WorkflowExecution{WorkflowId: id}})
	}
	return &page, nil
}

func (s *stubTemporal) QueryWorkflow(_ context.Context, id, _, _ string, _ ...any) (converter.EncodedValue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	status, ok := s.calls[id]
	switch {
	case s.away != nil:
		return nil, s.away
	case !ok:
		return nil, serviceerror.NewNotFound("no workflow " + id)
	case status == nil:
		return nil, serviceerror.NewUnavailable("no worker")
	}
	p, err := converter.GetDefaultDataConverter().ToPayloads(status)
	if err != nil {
		return nil, err
	}
	return client.NewValue(p), nil
}

type stubUpdate struct {
	client.WorkflowUpdateHandle
	err error
}

func (u stubUpdate) Get(context.Context, any) error { return u.err }

func (s *stubTemporal) UpdateWorkflow(_ context.Context, o client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		return nil, s.away
	}
	if s.calls[o.WorkflowID] == nil {
		return nil, serviceerror.NewNotFound("no workflow " + o.WorkflowID)
	}
	return stubUpdate{err: s.refuse}, nil
}

func (s *stubTemporal) setCall(kiosk string, h *workflows.Handoff, lines ...workflows.Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[workflows.ConversationID("s1", kiosk)] = &workflows.Status{Flow: "help", Language: "de", Handoff: h, Transcript: lines}
}

func (s *stubTemporal) setUnread(kiosk string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[workflows.ConversationID("s1", kiosk)] = nil
}

func (s *stubTemporal) setRefuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = err
}

func staffGateway(t *testing.T) *bench {
	return startGateway(t, func(c *Config) {
		c.Store, c.StaffToken, c.EventsToken = "s1", testStaff, testEvents
		c.About = func(_ context.Context, _, kiosk string) (About, error) {
			if kiosk == "nowhere" {
				return About{}, ErrUnknownKiosk
			}
			return About{Name: "At the " + kiosk}, nil
		}
	})
}

func handoff(id string, since time.Time) *workflows.Handoff {
	return &workflows.Handoff{ID: id, Team: "floor", Step: "offer_staff", Since: since, Until: since.Add(90 * time.Second), Summary: "Wants a kettle."}
}

// ask makes a request and gives its status and body.
func (b *bench) ask(t testing.TB, method, path, token, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+b.Addr()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(got)
}

func TestStaffSeeWhoCallsForThem(t *testing.T) {
	b := staffGateway(t)
	now := time.Now().UTC().Truncate(time.Second)
	var lines []workflows.Line
	for i := range 10 {
		lines = append(lines, workflows.Line{By: "customer", Text: fmt.Sprint("line ", i), How: "spoken"})
	}
	lines = append(lines, workflows.Line{By: "customer", Text: "+4915112345678", Sensitive: true})
	b.temporal.setCall("door", handoff("h2", now))
	b.temporal.setCall("till", handoff("h1", now.Add(-time.Minute)), lines...)
	b.temporal.setCall("hall", nil) // the index is late: nobody calls there any more
	b.temporal.setUnread("roof")

	code, body := b.ask(t, "GET", "/v1/staff/handoffs", testStaff, "")
	var got calls
	if err := json.Unmarshal([]byte(body), &got); err != nil || code != 200 {
		t.Fatalf("%d %s: %v", code, body, err)
	}
	if len(got.Handoffs) != 2 || got.Handoffs[0].ID != "h1" || got.Handoffs[1].ID != "h2" || len(got.Unread) != 1 || got.Unread[0] != "roof" {
		t.Fatalf("got %s; want h1, h2, and roof unread", body)
	}
	first := got.Handoffs[0]
	if first.Kiosk != "till" || first.Name != "At the till" || first.Team != "floor" || first.Language != "de" ||
		first.Summary != "Wants a kettle." || !first.Until.Equal(now.Add(30*time.Second)) {
		t.Errorf("got %+v", first)
	}
	if n := len(first.Transcript); n != maxLines || first.Transcript[n-1].Text != masked || first.Transcript[0].Text != "line 5" {
		t.Errorf("transcript %+v", first.Transcript)
	}
	if _, body := b.ask(t, "GET", "/v1/staff/handoffs?team=night", testStaff, ""); strings.Contains(body, "h1") {
		t.Errorf("another team sees %s", body)
	}

	_, body = b.ask(t, "GET", "/v1/staff/handoffs/till/h1", testStaff, "")
	var one staffCall
	if err := json.Unmarshal([]byte(body), &one); err != nil {
		t.Fatal(err)
	}
	if len(one.Transcript) != 11 || strings.Contains(body, "4915112345678") {
		t.Errorf("got %s; want all eleven lines, the last masked", body)
	}
}

func TestWhatStaffAreRefused(t *testing.T) {
	const accept = `{"answer":"accept","by":"Ann"}`
	kiosks := kioskToken(t, "s1", "till")
	for name, tt := range map[string]struct {
		method, path, token, body string
		refuse                    error
		away                      bool
		code                      int
		says                      string
	}{
		"no token":             {path: "/v1/staff/handoffs", token: "-", code: 401},
		"a kiosk's token":      {path: "/v1/staff/handoffs", token: kiosks, code: 401},
		"the events' token":    {path: "/v1/staff/handoffs", token: testEvents, code: 401},
		"no token for events":  {method: "POST", path: "/v1/kiosks/till/events", token: testStaff, body: `{"name":"x"}`, code: 401},
		"a team of no name":    {path: "/v1/staff/handoffs?team=a'%20OR%20", code: 400, says: "team"},
		"no such kiosk":        {path: "/v1/staff/handoffs/nowhere/h1", code: 404, says: "nowhere"},
		"another call":         {path: "/v1/staff/handoffs/till/h0", code: 410, says: "over"},
		"no conversation":      {path: "/v1/staff/handoffs/hall/h1", code: 410, says: "over"},
		"accepted":             {method: "POST", path: "/v1/staff/handoffs/till/h1", body: accept, code: 200},
		"no answer":            {method: "POST", path: "/v1/staff/handoffs/till/h1", body: `{"answer":"maybe","by":"Ann"}`, code: 400, says: "accept"},
		"nobody answers":       {method: "POST", path: "/v1/staff/handoffs/till/h1", body: `{"answer":"accept","by":" "}`, code: 400, says: "by"},
		"an unknown field":     {method: "POST", path: "/v1/staff/handoffs/till/h1", body: `{"answer":"accept","by":"Ann","x":1}`, code: 400, says: `"x"`},
		"more than one":        {method: "POST", path: "/v1/staff/handoffs/till/h1", body: accept + accept, code: 400, says: "more"},
		"too long":             {method: "POST", path: "/v1/staff/handoffs/till/h1", body: `{"by":"` + strings.Repeat("x", maxAnswer) + `"}`, code: 400, says: "longer"},
		"answered by somebody": {method: "POST", path: "/v1/staff/handoffs/till/h1", body: accept, refuse: temporal.NewApplicationError("Bob has answered", workflows.HandoffAnswered), code: 409, says: "Bob has answered"},
		"it ran out":           {method: "POST", path: "/v1/staff/handoffs/till/h1", body: accept, refuse: temporal.NewApplicationError("it ran out", workflows.HandoffOver), code: 410, says: "it ran out"},
		"the customer left":    {method: "POST", path: "/v1/staff/handoffs/hall/h1", body: accept, code: 410, says: "left"},
		"Temporal is away":     {path: "/v1/staff/handoffs", away: true, code: 503, says: "try again"},
		"away for an answer":   {method: "POST", path: "/v1/staff/handoffs/till/h1", body: accept, away: true, code: 503, says: "try again"},
		"an event for nobody":  {method: "POST", path: "/v1/kiosks/hall/events", token: testEvents, body: `{"name":"order_ready"}`, code: 404, says: "nobody"},
		"a bad name":           {method: "POST", path: "/v1/kiosks/hall/events", token: testEvents, body: `{"name":"Order Ready"}`, code: 400, says: "name"},
		"an event too long":    {method: "POST", path: "/v1/kiosks/hall/events", token: testEvents, body: `{"name":"x","data":"` + strings.Repeat("x", maxEvent) + `"}`, code: 400, says: "longer"},
	} {
		t.Run(name, func(t *testing.T) {
			b := staffGateway(t)
			b.temporal.setCall("till", handoff("h1", time.Now()))
			b.temporal.setRefuse(tt.refuse)
			if tt.away {
				b.temporal.setAway(errors.New("no route"))
			}
			if tt.method == "" {
				tt.method = "GET"
			}
			switch tt.token {
			case "":
				tt.token = testStaff
			case "-":
				tt.token = ""
			}
			code, body := b.ask(t, tt.method, tt.path, tt.token, tt.body)
			if code != tt.code || !strings.Contains(strings.ReplaceAll(body, `\"`, `"`), tt.says) {
				t.Errorf("got %d %s, want %d and %q", code, body, tt.code, tt.says)
			}
		})
	}
}

func TestTheStaffTokenOpensNoKiosk(t *testing.T) {
	b := staffGateway(t)
	ws, _, err := dial(b, testStaff)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if _, _, err := ws.ReadMessage(); err == nil || !strings.Contains(err.Error(), "4401") {
		t.Errorf("got %v, want close code 4401", err)
	}
}

func TestWithoutATokenThereIsNoDoor(t *testing.T) {
	b := startGateway(t, nil)
	for _, path := range []string{"/v1/staff/handoffs", "/staff/"} {
		if code, _ := b.ask(t, "GET", path, testStaff, ""); code != 404 {
			t.Errorf("%s: %d", path, code)
		}
	}
	if _, err := New(Config{StaffToken: "short"}); err == nil || !strings.Contains(err.Error(), "StaffToken: needs at least 16") || !strings.Contains(err.Error(), "Store: is missing") {
		t.Errorf("got %v", err)
	}
}

// Whoever guesses is slowed down, and keeps nobody out.
func TestWrongTokensAreSlowedDown(t *testing.T) {
	b := staffGateway(t)
	last := 0
	for range wrongBurst + 5 {
		last, _ = b.ask(t, "GET", "/v1/staff/handoffs", "wrong", "")
	}
	if last != 429 {
		t.Errorf("the last guess was answered with %d", last)
	}
	if code, _ := b.ask(t, "GET", "/v1/staff/handoffs", testStaff, ""); code != 200 {
		t.Errorf("the right token: %d", code)
	}
}

func TestAnEventReachesItsConversation(t *testing.T) {
	b := staffGateway(t)
	b.temporal.mu.Lock()
	b.temporal.running[workflows.ConversationID("s1", "till")] = &stubRun{}
	b.temporal.mu.Unlock()
	code, body := b.ask(t, "POST", "/v1/kiosks/till/events", testEvents, `{"name":"order_ready","data":{"number":17}}`)
	if code != 202 {
		t.Fatalf("%d %s", code, body)
	}
	e := <-b.temporal.events
	if data, err := json.Marshal(e); err != nil || string(data) != `{"name":"order_ready","data":{"number":17}}` {
		t.Errorf("the conversation was told %s, %v", data, err)
	}
}

// A stream is the other side of /v1/staff/events.
type stream struct {
	t      *testing.T
	events chan staffEvent
}

func (b *bench) listen(t *testing.T) *stream {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+b.Addr()+"/v1/staff/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testStaff)
	transport := &http.Transport{}
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	s := &stream{t: t, events: make(chan staffEvent, 100)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(s.events)
		name := ""
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if v, ok := strings.CutPrefix(lines.Text(), "event:"); ok {
				name = v
			}
			if v, ok := strings.CutPrefix(lines.Text(), "data:"); ok {
				s.events <- staffEvent{name, v}
			}
		}
	}()
	t.Cleanup(func() {
		res.Body.Close()
		transport.CloseIdleConnections()
		<-done
	})
	return s
}

func (s *stream) expect(name, part string) {
	s.t.Helper()
	select {
	case e := <-s.events:
		if e.name != name || !strings.Contains(fmt.Sprint(e.data), part) {
			s.t.Fatalf("got %s %v, want %s with %q", e.name, e.data, name, part)
		}
	case <-time.After(patience):
		s.t.Fatalf("no %s came", name)
	}
}

func TestStaffAreToldWhatChanges(t *testing.T) {
	b := staffGateway(t)
	b.temporal.setCall("till", handoff("h1", time.Now()))
	s := b.listen(t)
	s.expect("list", `"h1"`)
	b.temporal.setCall("door", handoff("h2", time.Now()))
	s.expect("handoff", `"h2"`)
	late := b.listen(t)
	late.expect("list", `"h1"`)
	b.temporal.setCall("till", nil)
	s.expect("ended", `{"id":"h1","kiosk":"till"}`)
	late.expect("ended", "h1")
	b.temporal.setUnread("door") // is not over for that
	b.temporal.setAway(errors.New("no route"))
	s.expect("away", "")
	b.temporal.setAway(nil)
	s.expect("list", `"unread":["door"]`)
}

func TestListenersAreBounded(t *testing.T) {
	b := staffGateway(t)
	for range maxListeners {
		if _, err := b.desk.join(); err != nil {
			t.Fatal(err)
		}
	}
	if code, _ := b.ask(t, "GET", "/v1/staff/events", testStaff, ""); code != 503 {
		t.Errorf("one more: %d", code)
	}
	// One that does not read is dropped; the others are not held up.
	b.desk.mu.Lock()
	for l := range b.desk.listeners {
		b.desk.send(l, make([]staffEvent, maxStaffEvents+1)...)
		break
	}
	left := len(b.desk.listeners)
	b.desk.mu.Unlock()
	if left != maxListeners-1 {
		t.Errorf("%d listeners are left", left)
	}
}
