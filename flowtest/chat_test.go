package flowtest

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
)

// A person who tries everything, at the flow that uses every verb.
const person = `/help
/nonsense
/touch M
where is the blue kettle
{"sku": "K17"}
{"count": 3, "sizes": ["S", "M"]}
The blue kettle is in aisle 4, next to the toasters.
/slots
/lang
/noise
/silence 7s
/barge 400ms hold on please
/touch M
/type yes
/low 0.4 tomorrow
yes
two
/type 50
plus four nine one five one one two three four five six seven eight
yes
!away
A17
/event ticket_called {"desk": 3}
hours
`

// chatWith holds a chat with a person's lines.
func chatWith(t *testing.T, plan *flow.Plan, lines string, change func(*Chat)) (*Recording, string) {
	t.Helper()
	var out bytes.Buffer
	c := Chat{
		Plan: plan, Language: "en", Inputs: map[string]any{"store": "Lindenhof"},
		Now: time.Date(2026, time.November, 23, 10, 0, 0, 0, time.UTC), In: strings.NewReader(lines), Out: &out, Echo: true,
		Retrieve: func(context.Context, activities.RetrieveInput) ([]activities.Passage, error) {
			return []activities.Passage{{ID: "1", Title: "Kettles", Text: "The blue kettle is in aisle 4.", Score: 0.8, Fields: map[string]string{"aisle": "4"}}}, nil
		},
	}
	if change != nil {
		change(&c)
	}
	recording, err := c.Hold(t.Context())
	if err != nil {
		t.Fatalf("%v; so far:\n%s", err, out.String())
	}
	return recording, out.String()
}

func desk(t *testing.T) *flow.Plan {
	t.Helper()
	plan, err := compileDesk("desk")
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// replay runs a recording as the test that it is.
func replay(t *testing.T, plan *flow.Plan, recording *Recording) Result {
	t.Helper()
	src := recording.YAML("what the person said")
	tests, ds := Read(fstest.MapFS{"rec.yaml": {Data: src}}, "rec.yaml")
	if len(ds) == 0 {
		ds = tests[0].Check(plan)
	}
	if len(ds) > 0 {
		t.Fatalf("the recording is not clean:\n%s\n%s", flow.Render(ds, fstest.MapFS{"rec.yaml": {Data: src}}, flow.RenderOptions{}), src)
	}
	r := Run(tests[0], plan)
	if r.Failure != nil {
		t.Errorf("the recording fails:\n%s\n%s", text(t, Report{Results: []Result{r}}, TextOptions{Verbose: true}), src)
	}
	return r
}

func TestChatIsHeldAndItsRecordingReplays(t *testing.T) {
	plan := desk(t)
	recording, out := chatWith(t, plan, person, nil)
	golden(t, "chat.golden", out)
	golden(t, "recording.golden", string(recording.YAML("what the person said")))
	r := replay(t, plan, recording)
	var said []string
	for _, l := range r.Conversation {
		if l.Who == "kiosk" {
			said = append(said, "kiosk ▸ "+l.Text)
		}
	}
	var chatted []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "kiosk ▸") {
			chatted = append(chatted, strings.TrimSuffix(line, "\n"))
		}
	}
	if got, want := strings.Join(said, "\n"), strings.Join(chatted, "\n"); got != want {
		t.Errorf("replayed, the kiosk says\n%s\nand in the chat it said\n%s", got, want)
	}
}

func TestWhoLeavesAChatLeavesTheKiosk(t *testing.T) {
	plan := desk(t)
	for name, lines := range map[string]string{"by quitting": "/quit\n", "by the end of the input": "", "called staff first": "human please\n/accept\n", "as a model knows": "/means human get me your boss\n/decline\n"} {
		t.Run(name, func(t *testing.T) {
			recording, out := chatWith(t, plan, lines, nil)
			if !strings.Contains(out, "— ended: ") {
				t.Errorf("the chat did not say how it ended:\n%s", out)
			}
			replay(t, plan, recording)
		})
	}
}

func TestChatTakesWhatIsGiven(t *testing.T) {
	tests, _, ds := open(t, "desk.yaml")
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	plan := desk(t)
	recording, out := chatWith(t, plan, "where is the blue kettle\n/quit\n", func(c *Chat) { c.Given = tests[0] })
	if !strings.Contains(out, "next to the toasters") || strings.Contains(out, "value, or !error") {
		t.Errorf("the given answers were not taken:\n%s", out)
	}
	replay(t, plan, recording)
}

func TestAChatEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	silent, never := make(chan struct{}), make(chan struct{})
	defer close(never)
	c := Chat{Plan: desk(t), Inputs: map[string]any{"store": "s"}, Now: defaultNow, In: blocked(never), Out: &bytes.Buffer{}}
	go func() {
		defer close(silent)
		if _, err := c.Hold(ctx); err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-silent:
	case <-time.After(20 * time.Second):
		t.Fatal("the chat goes on although its context has ended")
	}
}

// blocked is a terminal at which nobody types.
type blocked chan struct{}

func (b blocked) Read([]byte) (int, error) {
	<-b
	return 0, context.Canceled
}
