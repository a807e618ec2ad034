// Package staff answers calls for staff as staff do: over the API, in a terminal
// and on the page in a real Chromium, with a real Temporal server behind them.
package staff

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/tests/system"
	"github.com/praesenz/parley/workflows"
)

var update = flag.Bool("update", false, "take the picture in docs/images again")

const patience = 30 * time.Second

// A visit is what a stubConversation begins with.
type visit struct {
	Store, Kiosk, Team, Language, Summary string
	Wait                                  time.Duration
	Transcript                            []workflows.Line
}

// stubConversation is a conversation that does nothing but call for staff: it
// has the names and rules of a real one, and says when and what is asked. Its
// result is what it was told.
func stubConversation(ctx workflow.Context, v visit) (told []string, err error) {
	now := workflow.Now(ctx)
	call := &workflows.Handoff{ID: "offer_staff-1", Team: v.Team, Step: "offer_staff", Since: now, Until: now.Add(v.Wait), Summary: v.Summary}
	answered := false
	if err := workflow.SetQueryHandler(ctx, workflows.StatusQuery, func() (workflows.Status, error) {
		return workflows.Status{Flow: "help", Step: "offer_staff", Language: v.Language, Handoff: call, Transcript: v.Transcript}, nil
	}); err != nil {
		return nil, err
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, workflows.HandoffUpdate, func(_ workflow.Context, a workflows.HandoffAnswer) error {
		call, answered = nil, true
		told = append(told, fmt.Sprintf("%s accepts %s: %t", a.By, a.ID, a.Accept))
		return nil
	}, workflow.UpdateHandlerOptions{Validator: func(a workflows.HandoffAnswer) error {
		switch {
		case call != nil && call.ID == a.ID:
			return nil
		case answered:
			return temporal.NewApplicationError("somebody has answered this call already", workflows.HandoffAnswered)
		}
		return temporal.NewApplicationError("this call has run out", workflows.HandoffOver)
	}}); err != nil {
		return nil, err
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, workflows.AttributeStore.ValueSet(v.Store), workflows.AttributeHandoff.ValueSet(v.Team)); err != nil {
		return nil, err
	}
	var event workflows.Event
	if workflow.GetSignalChannel(ctx, workflows.EventSignal).Receive(ctx, &event); event.Name != "" {
		told = append(told, fmt.Sprint("event ", event.Name, " ", event.Data))
	}
	return told, nil
}

// A floor is a running parley with conversations that call.
type floor struct {
	t   *testing.T
	sys *system.System
	c   client.Client
}

func open(t *testing.T) *floor {
	sys := system.Start(t)
	f := &floor{t, sys, sys.Client(t)}
	w := worker.New(f.c, "calls", worker.Options{})
	w.RegisterWorkflowWithOptions(stubConversation, workflow.RegisterOptions{Name: workflows.ConversationType})
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return f
}

// call lets a customer at a kiosk call for staff.
func (f *floor) call(kiosk string, v visit) client.WorkflowRun {
	f.t.Helper()
	v.Store, v.Kiosk = f.sys.Store, kiosk
	id := workflows.ConversationID(v.Store, kiosk)
	run, err := f.c.ExecuteWorkflow(f.t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: "calls"}, workflows.ConversationType, v)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		_ = f.c.TerminateWorkflow(context.Background(), id, run.GetRunID(), "the test is over") // most have ended by themselves
	})
	return run
}

// request asks the gateway and gives the status and the body.
func (f *floor) request(method, path, token, body string) (int, string) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.sys.Page+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// terminal runs `parley handoff`.
func (f *floor) terminal(args ...string) (string, error) {
	cmd := exec.Command(system.Binary(f.t), append([]string{"handoff"}, args...)...)
	cmd.Env = append(os.Environ(), "PARLEY_GATEWAY="+f.sys.Page, "PARLEY_DATA="+f.sys.Data)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// eventually polls until a condition holds; Temporal's index is a moment late.
func (f *floor) eventually(what string, holds func() error) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	if err := system.Eventually(ctx, holds); err != nil {
		f.t.Fatalf("%s: %v", what, err)
	}
}

// events streams /v1/staff/events: each as "name data".
func (f *floor) events() <-chan string {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.sys.Page+"/v1/staff/events", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+f.sys.StaffToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		f.t.Fatal(res.Status)
	}
	f.t.Cleanup(func() { res.Body.Close() })
	told := make(chan string, 100)
	go func() {
		defer close(told)
		name := ""
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if v, ok := strings.CutPrefix(lines.Text(), "event:"); ok {
				name = v
			}
			if v, ok := strings.CutPrefix(lines.Text(), "data:"); ok {
				told <- name + " " + v
			}
		}
	}()
	return told
}

func (f *floor) expect(told <-chan string, name, part string) {
	f.t.Helper()
	for limit := time.After(patience); ; {
		select {
		case e := <-told:
			if strings.HasPrefix(e, name+" ") && strings.Contains(e, part) {
				return
			}
		case <-limit:
			f.t.Fatalf("no %s with %q was told", name, part)
		}
	}
}

func TestStaffAnswerACall(t *testing.T) {
	f := open(t)
	told := f.events()
	f.expect(told, "list", `"handoffs":[]`)
	run := f.call("entrance", visit{
		Team: "floor", Language: "de", Summary: "Sucht einen Gasgrill und möchte beraten werden.", Wait: time.Hour,
		Transcript: []workflows.Line{
			{By: "kiosk", Text: "Was suchen Sie?"},
			{By: "customer", Text: "einen Grill", How: "spoken"},
			{By: "customer", Text: "+4915112345678", Sensitive: true},
		},
	})
	f.expect(told, "handoff", `"offer_staff-1"`)

	code, body := f.request("GET", "/v1/staff/handoffs?team=floor", f.sys.StaffToken, "")
	if code != 200 || !strings.Contains(body, "Gasgrill") || strings.Contains(body, "4915112345678") {
		t.Errorf("the list: %d %s", code, body)
	}
	if _, body := f.request("GET", "/v1/staff/handoffs?team=night", f.sys.StaffToken, ""); strings.Contains(body, "Gasgrill") {
		t.Errorf("another team sees %s", body)
	}
	f.eventually("parley handoff list", func() error {
		out, err := f.terminal("list")
		if err == nil && !strings.Contains(out, "Gasgrill") {
			err = errors.New("it does not list the call")
		}
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return nil
	})

	if out, err := f.terminal("accept", "entrance", "offer_staff-1", "--by", "Ann"); err != nil || !strings.Contains(out, "accept, by Ann") {
		t.Fatalf("parley handoff accept: %v\n%s", err, out)
	}
	f.expect(told, "ended", `"offer_staff-1"`)
	if out, err := f.terminal("accept", "entrance", "offer_staff-1", "--by", "Ann"); err != nil {
		t.Errorf("Ann says it again: %v\n%s", err, out)
	}
	if out, err := f.terminal("decline", "entrance", "offer_staff-1", "--by", "Bob"); err == nil || !strings.Contains(out, "somebody has answered") {
		t.Errorf("Bob is too late: %v\n%s", err, out)
	}
	if code, body := f.request("GET", "/v1/staff/handoffs/entrance/offer_staff-1", f.sys.StaffToken, ""); code != http.StatusGone {
		t.Errorf("an answered call: %d %s", code, body)
	}

	// What another system tells, the conversation hears.
	if code, body := f.request("POST", "/v1/kiosks/entrance/events", f.sys.StaffToken, `{"name":"order_ready"}`); code != http.StatusUnauthorized {
		t.Errorf("staff's token at the door for events: %d %s", code, body)
	}
	if code, body := f.request("POST", "/v1/kiosks/entrance/events", f.sys.EventsToken, `{"name":"order_ready","data":17}`); code != http.StatusAccepted {
		t.Errorf("an event: %d %s", code, body)
	}
	var heard []string
	if err := run.Get(t.Context(), &heard); err != nil {
		t.Fatal(err)
	}
	if got, err := json.Marshal(heard); err != nil || string(got) != `["Ann accepts offer_staff-1: true","event order_ready 17"]` {
		t.Errorf("the conversation was told %s", got)
	}
	if code, body := f.request("POST", "/v1/staff/handoffs/entrance/offer_staff-1", f.sys.StaffToken, `{"answer":"decline","by":"Ann"}`); code != http.StatusGone {
		t.Errorf("the customer has left: %d %s", code, body)
	}
	if code, body := f.request("POST", "/v1/kiosks/entrance/events", f.sys.EventsToken, `{"name":"order_ready"}`); code != http.StatusNotFound {
		t.Errorf("an event for nobody: %d %s", code, body)
	}
}

// A browser has the staff page open.
type browser struct {
	t   *testing.T
	ctx context.Context
}

func (f *floor) browse(width, height int64) *browser {
	f.t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		f.t.Fatal("there is no Chromium; install Debian's package chromium")
	}
	allocated, cancel := chromedp.NewExecAllocator(f.t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true), chromedp.Flag("lang", "en-GB"),
		chromedp.UserDataDir(f.t.TempDir()), chromedp.WSURLReadTimeout(60*time.Second))...)
	f.t.Cleanup(cancel)
	ctx, stop := chromedp.NewContext(allocated)
	f.t.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil { // the browser lives as long as the context of its first action
		f.t.Fatal(err)
	}
	b := &browser{f.t, ctx}
	do(b, chromedp.EmulateViewport(width, height))
	do(b, chromedp.Navigate(f.sys.Page+"/staff/"))
	return b
}

func do[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return value
}

// run evaluates an expression that answers a text.
func (b *browser) run(expression string) string {
	b.t.Helper()
	return do(b, chromedp.Evaluate[string](expression))
}

func (b *browser) picture(path string) {
	b.t.Helper()
	png := do(b, chromedp.CaptureScreenshot())
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func TestThePage(t *testing.T) {
	f := open(t)
	b := f.browse(1100, 910)
	shown := func(what, expression, part string) {
		t.Helper()
		f.eventually(what, func() error {
			if got := b.run(expression); !strings.Contains(got, part) {
				return fmt.Errorf("%s is %q, without %q", expression, got, part)
			}
			return nil
		})
	}
	signIn := func(token string) {
		t.Helper()
		b.run(fmt.Sprintf(`(document.getElementById("by").value = "Ann", document.getElementById("token").value = %q, document.getElementById("door").requestSubmit(), "")`, token))
	}
	signIn("this is not the token")
	shown("a wrong token", `document.getElementById("refused").innerText`, "not valid")
	signIn(f.sys.StaffToken)
	shown("nobody calls", `document.getElementById("waiting").innerText`, "Nobody")

	f.call("entrance", visit{
		Team: "floor", Language: "tr", Summary: "Looks for a gas grill for eight people and would like advice on the built-in hobs. Has seen the Vulkan 3 and asks whether it can be delivered.", Wait: 4 * time.Minute,
		Transcript: []workflows.Line{{By: "kiosk", Text: "How can I help you?"}, {By: "customer", Text: "Does the Vulkan 3 come assembled?", How: "spoken"}, {By: "kiosk", Text: "I have not found that in what this store tells me. Shall I call somebody?"}, {By: "customer", Text: "Yes please", How: "spoken"}},
	})
	garden := f.call("garden", visit{Team: "garden", Language: "de", Summary: "Wants 40 paving slabs and needs a trolley.", Wait: 80 * time.Second,
		Transcript: []workflows.Line{{By: "customer", Text: "<b>paving</b> slabs", How: "typed"}}})
	shown("both calls", `document.title`, "(2)")
	shown("its kiosk", `document.querySelector(".where").innerText`, "Entrance")
	shown("its language", `document.querySelector(".language").innerText`, "Turkish")
	b.run(`(document.querySelector("details").open = true, "")`)
	shown("what was said", `document.querySelector(".lines").innerText`, "Does the Vulkan 3")
	shown("that it has settled", `String(document.getAnimations().length)`, "0")
	picture := filepath.Join(f.sys.Dir, "tests", "artifacts", "staff.png")
	if *update {
		picture = filepath.Join(f.sys.Dir, "docs", "images", "staff.png")
	}
	b.picture(picture)
	b.run(`(document.querySelectorAll("details")[1].open = true, "")`)
	shown("a customer's words as text", `document.querySelectorAll(".lines")[1].innerText`, "<b>paving</b> slabs")

	b.run(`([...document.querySelectorAll(".call")].find((c) => c.innerText.includes("paving")).querySelector(".accept").click(), "")`)
	shown("the answer", `document.getElementById("notice").innerText`, "knows that you are coming")
	shown("one is left", `document.title`, "(1)")
	if err := f.c.SignalWorkflow(t.Context(), garden.GetID(), garden.GetRunID(), workflows.EventSignal, workflows.Event{}); err != nil {
		t.Fatal(err)
	}
	var told []string
	if err := garden.Get(t.Context(), &told); err != nil || len(told) != 1 || told[0] != "Ann accepts offer_staff-1: true" {
		t.Errorf("the conversation was told %v, %v", told, err)
	}

	do(b, chromedp.EmulateViewport(390, 844))
	b.picture(filepath.Join(f.sys.Dir, "tests", "artifacts", "staff-phone.png"))

	// Somebody else is faster.
	if code, body := f.request("POST", "/v1/staff/handoffs/entrance/offer_staff-1", f.sys.StaffToken, `{"answer":"accept","by":"Bob"}`); code != 200 {
		t.Fatalf("Bob: %d %s", code, body)
	}
	shown("nobody is left", `document.getElementById("waiting").innerText`, "Nobody")
	b.run(`(document.getElementById("leave").click(), "")`)
	if got := b.run(`String(sessionStorage.getItem("staff-token"))`); got != "null" {
		t.Errorf("after signing out the tab keeps the token %q", got)
	}
}
