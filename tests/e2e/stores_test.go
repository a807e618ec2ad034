package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/praesenz/parley/tests/kiosk"
	"github.com/praesenz/parley/tests/system"
	"github.com/praesenz/parley/workflows"
)

// A said is what a customer types once the conversation stands at a step, as
// "flow/step".
type said struct{ at, text string }

// openStore starts an example store and the back end that its actions call.
func openStore(t *testing.T, name, service, path string) (*system.System, client.Client) {
	t.Helper()
	root := system.Root(t)
	backend := filepath.Join(t.TempDir(), "backend")
	build := exec.Command("go", "build", "-o", backend, "./examples/backend")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	gateway, listen := fmt.Sprintf("127.0.0.1:%d", system.FreePort(t)), fmt.Sprintf("127.0.0.1:%d", system.FreePort(t))
	for _, name := range []string{"PARLEY_EVENTS_TOKEN", "PARLEY_SECRET_QUEUE_TOKEN", "PARLEY_SECRET_PMS_KEY", "PARLEY_SECRET_MUSEUM_DESK"} {
		t.Setenv(name, "what-both-of-them-know")
	}
	cmd := exec.Command(backend, "-listen", listen, "-gateway", "http://"+gateway, "-pace", "2s")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the back end ended with %v", err)
		}
		if t.Failed() {
			t.Logf("the back end wrote:\n%s", out.String())
		}
	})
	sys := system.Start(t, "--store", filepath.Join(root, "examples", name), "--listen", gateway, "--action-url", service+"=http://"+listen+path)
	return sys, sys.Client(t)
}

// types says each line once the conversation listens at its step, so that a
// conversation that goes another way fails where it does.
func (v *visit) types(c client.Client, lines ...said) {
	v.t.Helper()
	for _, line := range lines {
		turn := v.until(c, func(s workflows.Status) bool { return s.Listening && s.Flow+"/"+s.Step == line.at }).Turns
		if err := v.k.Type(line.text); err != nil {
			v.t.Fatal(err)
		}
		v.until(c, func(s workflows.Status) bool { return s.Turns > turn })
	}
}

// leaves waits for the conversation's end, and gives its outcome and what the
// kiosk has said.
func (v *visit) leaves(c client.Client) (outcome, kioskSaid string) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, time.Minute)
	defer cancel()
	var sum workflows.Summary
	if err := c.GetWorkflow(ctx, workflows.ConversationID(v.sys.Store, v.name), "").Get(ctx, &sum); err != nil {
		v.t.Fatal(err)
	}
	v.k.Close()
	var all strings.Builder
	for _, line := range sum.Transcript {
		if line.By != "customer" {
			all.WriteString(line.Text + "\n")
		}
	}
	return sum.Outcome, all.String()
}

// shows waits for the kiosk to light up a place on a map.
func (v *visit) shows(file, mark string) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, time.Minute)
	defer cancel()
	if err := system.Eventually(ctx, func() error {
		if s := v.k.Screen(); !strings.HasSuffix(s.Map, file) || s.Mark != mark {
			return fmt.Errorf("the kiosk shows %+v, want %s at %s", s, mark, file)
		}
		return nil
	}); err != nil {
		v.t.Fatal(err)
	}
}

// staffAccepts answers the call for staff over their API.
func (v *visit) staffAccepts(c client.Client) {
	v.t.Helper()
	call := v.until(c, func(s workflows.Status) bool { return s.Handoff != nil }).Handoff
	req, err := http.NewRequestWithContext(v.ctx, http.MethodPost, v.sys.Page+"/v1/staff/handoffs/"+v.name+"/"+call.ID,
		strings.NewReader(`{"answer": "accept", "by": "Ann"}`))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+v.sys.StaffToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		v.t.Fatalf("staff's answer: %s %s %v", res.Status, b, err)
	}
}

// ends checks how a conversation has ended, and that all of this was said.
func (v *visit) ends(c client.Client, outcome string, want ...string) {
	v.t.Helper()
	got, all := v.leaves(c)
	var missing []error
	for _, text := range want {
		if !strings.Contains(all, text) {
			missing = append(missing, fmt.Errorf("nobody said %s", strconv.Quote(text)))
		}
	}
	if err := errors.Join(missing...); got != outcome || err != nil {
		v.t.Errorf("it ended with %q, want %q; %v; the kiosk said:\n%s", got, outcome, err, all)
	}
}

func TestThePharmacysQueue(t *testing.T) {
	sys, c := openStore(t, "pharmacy-queue", "queue", "/pharmacy")
	hurry := kiosk.Options{Mute: true, Hurry: true}

	// An order that is ready, and a number that is called.
	v := enter(t, sys, "door", "en", hurry)
	v.types(c,
		said{"queue/ask_concern", "pick up"}, said{"queue/ask_code", "A9999"}, said{"queue/ask_code", "yes"},
		said{"queue/ask_code", "A1734"}, said{"queue/ask_code", "yes"}, said{"queue/ask_notify", "no"})
	v.shows("media/desks.svg", "desk2")
	v.ends(c, "served", "I cannot find that code.", "Your order is ready.", "Your number is A1. You are next.", "Number A1, please go to desk 2.")

	// The pharmacist comes.
	v = enter(t, sys, "door", "en", hurry)
	v.types(c, said{"queue/ask_concern", "advice"}, said{"queue/ask_complaint", "I have a headache"})
	v.staffAccepts(c)
	v.ends(c, "handed_off", "I am calling somebody", "Here they come.")
}

func TestTheHotelsCheckIn(t *testing.T) {
	sys, c := openStore(t, "hotel-checkin", "hotel", "/hotel")
	hurry := kiosk.Options{Mute: true, Hurry: true}

	v := enter(t, sys, "lobby", "en", hurry)
	v.types(c,
		said{"check_in/ask_booked", "yes"}, said{"check_in/ask_reference", "BL4207"}, said{"check_in/ask_right", "yes"},
		said{"check_in/ask_parks", "yes"}, said{"check_in/ask_plate", "AB 123 CD"}, said{"check_in/ask_plate", "yes"},
		said{"check_in/ask_wishes", "an extra pillow please"})
	v.shows("media/floor-1.svg", "r111")
	v.types(c, said{"wake_up/ask", "yes"}, said{"wake_up/when", "half past six"}, said{"wake_up/when", "yes"})
	v.ends(c, "resolved", "a reservation for Meier until", "Your room is number 111, on floor 1.", "Sleep well, then. I will wake you at")

	// Two guests of one name are the reception's.
	v = enter(t, sys, "lobby", "en", hurry)
	v.types(c,
		said{"check_in/ask_booked", "yes"}, said{"check_in/ask_reference", "I don't have it"},
		said{"check_in/ask_name", "Dubois"}, said{"check_in/ask_name", "yes"}, said{"check_in/ask_arrival", "today"})
	v.staffAccepts(c)
	v.ends(c, "handed_off", "I am calling the reception.", "Here they come.")
}

func TestTheMuseumsGuide(t *testing.T) {
	sys, c := openStore(t, "museum-guide", "museum", "/museum")
	v := enter(t, sys, "hall", "en", kiosk.Options{Mute: true, Hurry: true})
	v.types(c,
		said{"guide/choose_language", "English"}, said{"guide/ask", "a guided tour"},
		said{"guide/choose_tour", "11:00"}, said{"guide/how_many", "2"}, said{"guide/choose_tour", "14:30"},
		said{"guide/anything_else", "where is the café"})
	v.shows("media/floor.svg", "cafe")
	v.types(c,
		said{"guide/anything_else", "a story"}, said{"guide/choose_piece", "the cuckoo clock"},
		said{"guide/anything_else", "make a donation"}, said{"guide/ask_gift", "13 euros"}, said{"guide/ask_gift", "yes"},
		said{"guide/anything_else", "donate"}, said{"guide/ask_gift", "12.50 euros"}, said{"guide/ask_gift", "yes"},
		said{"guide/anything_else", "goodbye"})
	v.ends(c, "resolved", "That tour has already left.", "Today there are tours at 14:30 and 16:00.", "under the number F1.",
		"the voice of a railway inn", "The card was not accepted", "the number Q-2201", "Enjoy your visit!")
}
