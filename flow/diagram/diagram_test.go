package diagram

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/tests/flowgen"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// market is a flow of 49 steps; everyVerb is one with all that a flow can hold.
func market(t testing.TB) *flow.Plan {
	return compile(t, flow.Source{FS: os.DirFS("testdata/market"), Path: "flows/market.yaml"})
}

func everyVerb(t testing.TB) *flow.Plan {
	return compile(t, flow.Source{FS: os.DirFS("../testdata/everyverb"), Path: "flows/desk.yaml"})
}

func compile(t testing.TB, src flow.Source) *flow.Plan {
	t.Helper()
	p, err := flow.Compile(src)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A conversation in market that came by a failure, an intent that resumed, one
// that did not, and one in another flow.
func marketTaken(t testing.TB) map[string]int {
	t.Helper()
	text, err := os.ReadFile("testdata/market/taken.json")
	if err != nil {
		t.Fatal(err)
	}
	var taken map[string]int
	if err := json.Unmarshal(text, &taken); err != nil {
		t.Fatal(err)
	}
	return taken
}

// tests/editor reads the golden files with Mermaid itself.
func TestMermaid(t *testing.T) {
	golden(t, "testdata/market.mmd", Mermaid(market(t), nil))
	golden(t, "testdata/market-taken.mmd", Mermaid(market(t), marketTaken(t)))
	golden(t, "testdata/every-verb.mmd", Mermaid(everyVerb(t), nil))
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (run with -update to accept):\n%s", name, got)
	}
}

func TestSVG(t *testing.T) {
	for name, c := range map[string]struct {
		plan  *flow.Plan
		taken map[string]int
	}{
		"market":         {market(t), nil},
		"market, taken":  {market(t), marketTaken(t)},
		"with all verbs": {everyVerb(t), nil},
	} {
		t.Run(name, func(t *testing.T) {
			svg, err := SVG(t.Context(), c.plan, c.taken)
			if err != nil {
				t.Fatal(err)
			}
			titles := titlesOf(t, svg)
			for step, s := range c.plan.Steps {
				title := titles["step-"+step]
				if !strings.HasPrefix(title, step+": "+s.Verb()) {
					t.Errorf("step %s is drawn as %q", step, title)
				}
			}
			for _, in := range c.plan.Intents {
				if !strings.Contains(string(svg), ">"+in.Name+does(in)) && !strings.Contains(string(svg), esc(in.Name+does(in))) {
					t.Errorf("intent %s is not in the legend", in.Name)
				}
			}
			apart(t, svg)
		})
	}
}

// titlesOf reads the picture as an XML reader does: the title of every element
// with an id.
func titlesOf(t *testing.T, svg []byte) map[string]string {
	t.Helper()
	titles := map[string]string{}
	dec := xml.NewDecoder(bytes.NewReader(svg))
	id, inTitle := "", false
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return titles
		}
		if err != nil {
			t.Fatalf("the picture is not XML: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			inTitle = token.Name.Local == "title"
			for _, a := range token.Attr {
				if a.Name.Local == "id" {
					id = a.Value
				}
			}
		case xml.CharData:
			if inTitle && titles[id] == "" {
				titles[id] = string(token)
			}
		case xml.EndElement:
			inTitle = false
		}
	}
}

// apart checks that no two steps lie on each other, from the picture itself.
func apart(t *testing.T, svg []byte) {
	t.Helper()
	type rect struct {
		id         string
		x, y, w, h float64
	}
	var cards []rect
	for line := range strings.Lines(string(svg)) {
		var c rect
		rest, ok := strings.CutPrefix(line, `<g id="step-`)
		if !ok {
			continue
		}
		c.id, rest, _ = strings.Cut(rest, `" transform="translate(`)
		if _, err := fmt.Sscanf(rest, "%f %f)", &c.x, &c.y); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		c.w, c.h = minWidth-20, 30 // at least
		cards = append(cards, c)
	}
	if len(cards) < 20 {
		t.Fatalf("found %d steps: has their form changed?", len(cards))
	}
	for i, a := range cards {
		for _, b := range cards[:i] {
			if math.Abs(a.x-b.x) < a.w && math.Abs(a.y-b.y) < a.h {
				t.Errorf("%s and %s lie on each other", a.id, b.id)
			}
		}
	}
}

func TestSVGShowsTheWayTaken(t *testing.T) {
	svg, err := SVG(t.Context(), market(t), marketTaken(t))
	if err != nil {
		t.Fatal(err)
	}
	again, err := SVG(t.Context(), market(t), marketTaken(t))
	if err != nil || !bytes.Equal(svg, again) {
		t.Errorf("the same flow is drawn differently (%v)", err)
	}
	titles := titlesOf(t, svg)
	for step, want := range map[string]string{"search": "left 2 times", "balance": "left 0 times", "question": "repeat ×1"} {
		if !strings.Contains(titles["step-"+step], want) {
			t.Errorf("step %s is told as %q, want %q in it", step, titles["step-"+step], want)
		}
	}
	for _, want := range []string{"human ×1", "error ×1", "×2"} {
		if !strings.Contains(string(svg), ">"+want+"<") {
			t.Errorf("%q is written on no way", want)
		}
	}
	if strings.Contains(string(svg), "store_info") {
		t.Error("a way of another flow is drawn")
	}
}

// Flows that nobody wrote are drawn too, whole and with every step.
func TestSVGOfRandomFlows(t *testing.T) {
	for seed := range uint64(4) {
		p, err := flowgen.Plan(seed)
		if err != nil {
			t.Fatal(err)
		}
		svg, err := SVG(t.Context(), p, nil)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		titles := titlesOf(t, svg)
		for step := range p.Steps {
			if titles["step-"+step] == "" {
				t.Errorf("seed %d: step %s is not drawn", seed, step)
			}
		}
	}
}

func TestSVGEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("nobody looks")
	cancel(why)
	if _, err := SVG(ctx, market(t), nil); !errors.Is(err, why) {
		t.Errorf("got %v, want the cause", err)
	}
}

// What people read has a contrast of 7:1, and of 4.5:1 where it is faded
// (WCAG 2.2, 1.4.3 and 1.4.6).
func TestTextCanBeRead(t *testing.T) {
	for verb, l := range looks {
		if c := contrast(t, ink, l.fill); c < 7 {
			t.Errorf("%s: %.1f", verb, c)
		}
	}
	for name, pair := range map[string][2]string{"faded": {faded, idle.fill}, "faded labels": {faded, paper}, "lit labels": {litColour, paper}} {
		if c := contrast(t, pair[0], pair[1]); c < 4.5 {
			t.Errorf("%s: %.1f", name, c)
		}
	}
	for _, verb := range verbs {
		if _, ok := looks[verb]; !ok {
			t.Errorf("%s has no look", verb)
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(v) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func BenchmarkSVG(b *testing.B) {
	p := market(b)
	for b.Loop() {
		if _, err := SVG(b.Context(), p, nil); err != nil {
			b.Fatal(err)
		}
	}
}
