// Package staff answers calls for staff as staff do: over the API, in a terminal
// and on the page in a real Chromium, with a real Temporal server behind them.
package staff

import (
	"bufio"
	"context"
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

	"github.com/praesenz/parley/tests/kiosk"
	"github.com/praesenz/parley/tests/system"
	"github.com/praesenz/parley/workflows"
)

var update = flag.Bool("update", false, "take the picture in docs/images again")

// patience is for a machine that is busy with other tests.
const patience = time.Minute

// A floor is a running parley, with the store in testdata.
type floor struct {
	t   *testing.T
	sys *system.System
	c   client.Client
}

func open(t *testing.T) *floor {
	sys := system.Start(t, "--store", filepath.Join(system.Root(t), "tests", "staff", "testdata", "store"))
	return &floor{t, sys, sys.Client(t)}
}

// A customer talks to a kiosk, by typing.
type customer struct {
	*kiosk.Kiosk
	f   *floor
	ctx context.Context
	run client.WorkflowRun
}

// call lets a customer at a kiosk say what they want, and call for staff.
func (f *floor) call(name, language, wish string) *customer {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 5*time.Minute)
	f.t.Cleanup(cancel)
	k, err := kiosk.Dial(ctx, kiosk.Options{URL: f.sys.Kiosk, Token: f.sys.Tokens[name], Mute: true, Hurry: true})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(k.Close)
	if err := k.Start(language); err != nil {
		f.t.Fatal(err)
	}
	c := &customer{Kiosk: k, f: f, ctx: ctx}
	mark := 0
	for _, text := range []string{wish, phone} {
		if _, err := k.State(ctx, mark, "listening"); err != nil {
			f.t.Fatal(err)
		}
		mark = k.Mark()
		if err := k.Type(text); err != nil {
			f.t.Fatal(err)
		}
	}
	c.run = f.c.GetWorkflow(ctx, workflows.ConversationID(f.sys.Store, name), "")
	return c
}

// phone is what a customer says of themselves, which staff need not know.
const phone = "+4915112345678"

// outcome waits for the conversation's end.
func (c *customer) outcome() string {
	c.f.t.Helper()
	var sum workflows.Summary
	if err := c.run.Get(c.ctx, &sum); err != nil {
		c.f.t.Fatal(err)
	}
	return sum.Outcome
}

// hears waits until the kiosk has said something.
func (c *customer) hears(text string) {
	c.f.t.Helper()
	c.f.eventually("hear "+text, func() error {
		var said []string
		for _, r := range c.Responses(0) {
			said = append(said, r.Sentences...)
		}
		if all := strings.Join(said, " "); !strings.Contains(all, text) {
			return fmt.Errorf("the kiosk has said %q", all)
		}
		return nil
	})
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
	c := f.call("entrance", "de", "Ich suche einen Gasgrill für acht Personen")
	const id = "offer_staff-1"
	f.expect(told, "handoff", id)

	code, body := f.request("GET", "/v1/staff/handoffs?team=floor", f.sys.StaffToken, "")
	if code != 200 || !strings.Contains(body, "Gasgrill") || !strings.Contains(body, `"language":"de"`) || strings.Contains(body, phone[1:]) {
		t.Errorf("the list: %d %s", code, body)
	}
	if _, body := f.request("GET", "/v1/staff/handoffs?team=night", f.sys.StaffToken, ""); strings.Contains(body, "Gasgrill") {
		t.Errorf("another team sees %s", body)
	}
	if _, body := f.request("GET", "/v1/staff/handoffs/entrance/"+id, f.sys.StaffToken, ""); !strings.Contains(body, "•••") || strings.Contains(body, phone[1:]) {
		t.Errorf("the whole call: %s", body)
	}
	if out, err := f.terminal("list"); err != nil || !strings.Contains(out, id) {
		t.Errorf("parley handoff list: %v\n%s", err, out)
	}

	if out, err := f.terminal("accept", "entrance", id, "--by", "Ann"); err != nil || !strings.Contains(out, "accept, by Ann") {
		t.Fatalf("parley handoff accept: %v\n%s", err, out)
	}
	f.expect(told, "ended", id)
	c.hears("Es kommt jemand.")
	if out, err := f.terminal("accept", "entrance", id, "--by", "Ann"); err != nil {
		t.Errorf("Ann says it again: %v\n%s", err, out)
	}
	if out, err := f.terminal("decline", "entrance", id, "--by", "Bob"); err == nil || !strings.Contains(out, "somebody has answered") {
		t.Errorf("Bob is too late: %v\n%s", err, out)
	}
	if code, body := f.request("GET", "/v1/staff/handoffs/entrance/"+id, f.sys.StaffToken, ""); code != http.StatusGone {
		t.Errorf("an answered call: %d %s", code, body)
	}

	// What another system tells, the conversation hears.
	if code, body := f.request("POST", "/v1/kiosks/entrance/events", f.sys.StaffToken, `{"name":"order_ready"}`); code != http.StatusUnauthorized {
		t.Errorf("staff's token at the door for events: %d %s", code, body)
	}
	if code, body := f.request("POST", "/v1/kiosks/entrance/events", f.sys.EventsToken, `{"name":"order_ready","data":{"number":17}}`); code != http.StatusAccepted {
		t.Errorf("an event: %d %s", code, body)
	}
	c.hears("Ihre Bestellung 17 ist fertig.")
	if got := c.outcome(); got != "handed_off" {
		t.Errorf("outcome %s", got)
	}
	if code, body := f.request("POST", "/v1/staff/handoffs/entrance/"+id, f.sys.StaffToken, `{"answer":"decline","by":"Ann"}`); code != http.StatusGone {
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
	b := f.browse(1100, 600)
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

	f.call("entrance", "en", "I am looking for a gas grill for eight people. Can the Vulkan 3 be delivered?")
	garden := f.call("garden", "de", "40 Gehwegplatten und einen Wagen")
	shown("both calls", `document.title`, "(2)")
	shown("its kiosk", `document.querySelector(".where").innerText`, "Entrance")
	shown("its language", `document.querySelector(".language").innerText`, "English")
	shown("that it has settled", `String(document.getAnimations().length)`, "0")
	picture := filepath.Join(f.sys.Dir, "tests", "artifacts", "staff.png")
	if *update {
		picture = filepath.Join(f.sys.Dir, "docs", "images", "staff.png")
	}
	b.picture(picture)
	b.run(`(document.querySelector("details").open = true, "")`)
	shown("what was said", `document.querySelector(".lines").innerText`, "gas grill for eight")
	f.call("tools", "en", "<b>a drill</b>")
	shown("a customer's words as text", `[...document.querySelectorAll(".summary")].map((s) => s.innerText).join()`, "<b>a drill</b>")

	b.run(`([...document.querySelectorAll(".call")].find((c) => c.innerText.includes("Gehweg")).querySelector(".accept").click(), "")`)
	shown("the answer", `document.getElementById("notice").innerText`, "knows that you are coming")
	shown("two are left", `document.title`, "(2)")
	garden.hears("Es kommt jemand.")

	do(b, chromedp.EmulateViewport(390, 844))
	b.picture(filepath.Join(f.sys.Dir, "tests", "artifacts", "staff-phone.png"))

	// Somebody else answers the others.
	for _, name := range []string{"entrance", "tools"} {
		if code, body := f.request("POST", "/v1/staff/handoffs/"+name+"/offer_staff-1", f.sys.StaffToken, `{"answer":"decline","by":"Bob"}`); code != 200 {
			t.Fatalf("Bob at %s: %d %s", name, code, body)
		}
	}
	shown("nobody is left", `document.getElementById("waiting").innerText`, "Nobody")
	b.run(`(document.getElementById("leave").click(), "")`)
	if got := b.run(`String(sessionStorage.getItem("staff-token"))`); got != "null" {
		t.Errorf("after signing out the tab keeps the token %q", got)
	}
}
