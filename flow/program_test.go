package flow

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// planWith is a plan whose one step evaluates the given expressions.
func planWith(exprs ...string) *Plan {
	p := &Plan{
		Interpreter: Interpreter,
		Flow:        "test",
		Version:     "1.0.0",
		Languages:   Languages{Default: "en", Supported: []string{"en", "de"}},
		Inputs:      map[string]Type{"store": "string"},
		Slots: map[string]Slot{
			"count": {Type: "int"},
			"price": {Type: "number"},
			"more":  {Type: "bool"},
			"name":  {Type: "text"},
		},
		Vars:    map[string]Type{"hits": "list(passage)", "total": "int"},
		Start:   "s",
		Prompts: map[string]map[string]string{"en": {}, "de": {}},
	}
	step := Step{}
	for _, e := range exprs {
		step.Set = append(step.Set, Assign{Name: "vars.total", Expr: e})
	}
	p.Steps = map[string]Step{"s": step}
	return p
}

func testScope() Scope {
	return Scope{
		Inputs: map[string]any{"store": "s1"},
		Slots:  map[string]any{"count": 3, "price": 12.5, "more": true, "name": "Ada"},
		Vars: map[string]any{"hits": []any{
			map[string]any{"id": "1", "source": "a.md", "title": "Kettle", "text": "Blue kettle, aisle 4.", "score": 0.8, "sku": "K17"},
			map[string]any{"id": "2", "source": "b.md", "title": "Kettle", "text": "Kettle, red.", "score": 0.5},
		}},
		Ctx: map[string]any{"turns": 2, "language": "en", "utterance": "hello there"},
	}
}

func TestProgramValue(t *testing.T) {
	for expr, want := range map[string]any{
		"slots.count + 1":                int64(4),
		"slots.price > 10":               true,
		"slots.price * 2.0":              25.0,
		"inputs.store":                   "s1",
		"size(vars.hits)":                int64(2),
		"vars.hits[0].sku":               "K17",
		"vars.hits[0].score >= 0.35":     true,
		"has(vars.hits[1].sku)":          false,
		"has(vars.total)":                false,
		"ctx.turns < 30 && slots.more":   true,
		"ctx.utterance.startsWith('he')": true,
		"slots.name == 'Ada' ? 'a' : ''": "a",
		"[slots.count, 4]":               []any{int64(3), int64(4)},
	} {
		t.Run(expr, func(t *testing.T) {
			prog, err := NewProgram(planWith(expr))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range []Scope{testScope(), throughJSON(t, testScope())} {
				got, err := prog.Value(expr, s)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("got %#v, want %#v", got, want)
				}
			}
		})
	}
}

// throughJSON is a scope as it comes back from a conversation's state.
func throughJSON(t *testing.T, s Scope) Scope {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var out Scope
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestProgramErrorsNameTheExpression(t *testing.T) {
	_, err := NewProgram(planWith("slots.nmae"))
	if err == nil || !strings.Contains(err.Error(), `step "s"`) || !strings.Contains(err.Error(), "slots.nmae") {
		t.Errorf("NewProgram: %v; want the step and the expression", err)
	}
	prog, err := NewProgram(planWith("vars.total", "vars.hits[7].text"))
	if err != nil {
		t.Fatal(err)
	}
	for _, expr := range []string{"vars.total", "vars.hits[7].text", "not + in + plan"} {
		if _, err := prog.Value(expr, testScope()); err == nil || !strings.Contains(err.Error(), expr) {
			t.Errorf("Value(%q): %v; want an error with the expression", expr, err)
		}
	}
	if _, err := prog.Bool("vars.total", Scope{Vars: map[string]any{"total": 1}}); err == nil {
		t.Error("Bool of an int gave no error")
	}
}

func TestPromptSaysValuesAsTheirType(t *testing.T) {
	p := &Plan{
		Languages: Languages{Default: "en", Supported: []string{"en", "de"}},
		Slots: map[string]Slot{
			"day":    {Type: "date"},
			"at":     {Type: "time"},
			"code":   {Type: "string", Normalise: "code"},
			"colour": {Type: "enum", Values: []string{"red", "blue"}, Synonyms: map[string]map[string][]string{"en": {"red": {"crimson"}}, "de": {"red": {"rot"}}}},
		},
		Vars:    map[string]Type{"price": "amount", "days": "list(time)", "left": "object"},
		Inputs:  map[string]Type{"opened": "date"},
		Prompts: map[string]map[string]string{"en": {"p": "{x}"}, "de": {"p": "{x}"}},
		Steps:   map[string]Step{},
	}
	scope := Scope{
		Slots:  map[string]any{"day": "2026-11-23", "at": "15:30", "code": "AB12", "colour": "red"},
		Vars:   map[string]any{"price": 12.5, "days": []any{"11:00", "14:30", "16:00"}, "left": map[string]any{"n": 2.0}},
		Inputs: map[string]any{"opened": "2026-11-23"},
	}
	exprs := []struct{ expr, en, de string }{
		{"slots.day", "Monday, November 23", "Montag, 23. November"},
		{"inputs.opened", "Monday, November 23", "Montag, 23. November"},
		{"slots.day + ''", "2026-11-23", "2026-11-23"}, // no longer a day, for all one knows
		{"slots.code", "A B 1 2", "A B 1 2"},
		{"slots.colour", "crimson", "rot"},
		{"vars.price", "12 euros 50", "12 Euro 50"},
		{"vars.left", "n: 2", "n: 2"},
		{"['a', 'b', 'c']", "a, b and c", "a, b und c"},
	}
	var assigns []Assign
	for _, e := range exprs {
		assigns = append(assigns, Assign{Name: "vars.left", Expr: e.expr})
	}
	p.Steps["s"] = Step{Set: append(assigns, Assign{Name: "vars.left", Expr: "vars.days"})}
	prog, err := NewProgram(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range exprs {
		for lang, want := range map[string]string{"en": e.en, "de": e.de} {
			got, err := prog.Prompt(lang, "p", With{"x": e.expr}, throughJSON(t, scope))
			if err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%s in %s: got %q, want %q", e.expr, lang, got, want)
			}
		}
	}
	got, err := prog.Prompt("de", "p", With{"x": "vars.days"}, scope)
	if err != nil || !strings.Contains(got, " und ") {
		t.Errorf("a list of times: %q, %v", got, err)
	}
}

func TestPrompt(t *testing.T) {
	p := planWith("slots.count", "slots.price", "slots.more", "vars.hits")
	p.Prompts["en"]["all"] = "{n} at {p}, {b}. {{kept}}"
	p.Prompts["de"]["all"] = "{n} zu {p}, {b}."
	p.Prompts["en"]["hits"] = "Passages:\n{passages}"
	prog, err := NewProgram(p)
	if err != nil {
		t.Fatal(err)
	}
	with := With{"n": "slots.count", "p": "slots.price", "b": "slots.more", "passages": "vars.hits"}
	for _, c := range []struct{ lang, key, want string }{
		{"en", "all", "3 at 12.5, yes. {kept}"},
		{"de", "all", "3 zu 12,5, ja."},
		{"en", "hits", "Passages:\n[1] Kettle\nBlue kettle, aisle 4.\n\n[2] Kettle, red."},
	} {
		got, err := prog.Prompt(c.lang, c.key, with, throughJSON(t, testScope()))
		if err != nil {
			t.Fatal(err)
		}
		if got != c.want {
			t.Errorf("%s in %s:\n got %q\nwant %q", c.key, c.lang, got, c.want)
		}
	}
	for _, c := range []struct {
		lang, key, want string
		with            With
	}{
		{"fr", "all", `no text in "fr"`, with},
		{"en", "hits", "{passages}", nil},
	} {
		if _, err := prog.Prompt(c.lang, c.key, c.with, testScope()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Prompt(%s, %s): %v; want %q in it", c.lang, c.key, err, c.want)
		}
	}
}
