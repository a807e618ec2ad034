package flow

import (
	"slices"
)

// A tree is a flow as its author wrote it: names not yet resolved, every part
// with its place in the source.
type tree struct {
	src         *source
	collections []string // the knowledge collections there are; nil: not known

	name, about, version Text
	language             struct {
		initial   Text
		supported []Text
		slot      Text
	}
	promptsDir Text
	prompts    []*promptFile // in the order of language.supported

	inputs, vars []decl
	slots        []*slotDecl

	bargeIn          *BargeIn
	listen           Listen
	noInput, noMatch *ladder
	limits           Limits
	intents          []*intentDecl

	start  Text
	steps  []*step
	byName map[string]*step
	graph  *graph // of the steps, once checkVerbs has completed their facts
	// damaged says that a step's mistakes of form hide where it leads, so that
	// what the graph seems to say may be an echo of them.
	damaged bool
}

// decl declares an input or a var.
type decl struct {
	name Text
	typ  Type
}

type slotDecl struct {
	name     Text
	typ      Type
	values   []Text
	synonyms []pair // language → node of value → ways
	initial  node
	askAnew  node
	valid    Text
	node     node
}

type ladder struct {
	say  []Text
	then Text
}

type intentDecl struct {
	name    Text
	phrases []pair // language → node of phrases
	to      Text
	replay  bool
	broken  bool // it has mistakes of form
}

type runDecl struct {
	timeout, firstToken node
	attempts            int
	cover               Text
}

// A step is one entry of `steps`.
type step struct {
	name   Text
	verb   *verb // nil where there is none
	body   body  // of verb
	facts  facts
	extra  []Text // keys of further verbs
	fields []Text // keys of all other fields
	broken bool   // it has mistakes of form

	note             string
	next             Text
	run              runDecl
	catch            []pair
	bargeIn          *BargeIn
	listen           node
	noInput, noMatch *ladder
}

// A promptFile holds the texts of one language.
type promptFile struct {
	language string
	path     string
	texts    []pair // nil where the file cannot be read
	byKey    map[string]Text
	readable bool
}

// parseTree reads the tree of a flow file. broken are the ways to what the
// schema found wrong.
func parseTree(src *source, broken [][]string) *tree {
	root := node{src.root, src}
	t := &tree{
		src:        src,
		name:       root.field("flow").text(),
		about:      root.field("about").text(),
		version:    root.field("version").text(),
		promptsDir: root.field("prompts").text(),
		inputs:     parseDecls(root.field("inputs")),
		vars:       parseDecls(root.field("vars")),
		start:      root.field("start").text(),
		byName:     map[string]*step{},
	}
	langs := root.field("languages")
	t.language.initial = langs.field("default").text()
	t.language.supported = langs.field("supported").texts()
	t.language.slot = langs.field("slot").text()
	for _, p := range root.field("slots").pairs() {
		t.slots = append(t.slots, parseSlot(p))
	}
	defaults := root.field("defaults")
	t.bargeIn = parseBargeIn(defaults.field("barge_in"))
	t.listen = parseListen(defaults.field("listen"), Listen{
		StartTimeout: Duration(defaultStartTimeout),
		EndSilence:   Duration(defaultEndSilence),
		MaxUtterance: Duration(defaultMaxUtterance),
	})
	t.noInput = parseLadder(defaults.field("no_input"))
	t.noMatch = parseLadder(defaults.field("no_match"))
	t.limits = parseLimits(defaults.field("limits"))
	for _, p := range root.field("intents").pairs() {
		t.intents = append(t.intents, &intentDecl{
			name:    p.key,
			phrases: p.val.field("phrases").pairs(),
			to:      p.val.field("to").text(),
			replay:  p.val.field("replay").text().Value == "last_prompt",
			broken:  slices.ContainsFunc(broken, func(way []string) bool { return slices.Equal(way, []string{"intents", p.key.Value}) }),
		})
	}
	for _, p := range root.field("steps").pairs() {
		s := parseStep(p)
		for _, way := range broken {
			if len(way) >= 2 && way[0] == "steps" && way[1] == p.key.Value {
				s.broken = true
				t.damaged = t.damaged || len(way) == 2 || slices.Contains(leading, way[2])
			}
		}
		t.damaged = t.damaged || len(s.extra) > 0
		if t.byName[s.name.Value] == nil {
			t.byName[s.name.Value] = s
			t.steps = append(t.steps, s)
		}
	}
	return t
}

// leading are the parts of a step without which it is not known where it leads
// or what it sets.
var leading = []string{"next", "catch", "no_input", "no_match", "branch", "set"}

func parseDecls(n node) []decl {
	var out []decl
	for _, p := range n.pairs() {
		out = append(out, decl{name: p.key, typ: Type(p.val.text().Value)})
	}
	return out
}

func parseSlot(p pair) *slotDecl {
	return &slotDecl{
		name:     p.key,
		typ:      Type(p.val.field("type").text().Value),
		values:   p.val.field("values").texts(),
		synonyms: p.val.field("synonyms").pairs(),
		initial:  p.val.field("initial"),
		askAnew:  p.val.field("ask_anew"),
		valid:    p.val.field("valid").text(),
		node:     p.val,
	}
}

func parseLadder(n node) *ladder {
	if !n.there() {
		return nil
	}
	return &ladder{say: n.field("say").texts(), then: n.field("then").text()}
}

func parseBargeIn(n node) *BargeIn {
	if !n.there() {
		return nil
	}
	if mode := n.text().Value; mode != "" {
		return &BargeIn{Mode: mode}
	}
	b := &BargeIn{Mode: n.field("mode").text().Value, MinWords: n.field("min_words").integer()}
	if b.Mode == "speech" && b.MinWords == 0 {
		b.MinWords = 1
	}
	return b
}

// parseListen reads what is there over what holds otherwise.
func parseListen(n node, l Listen) Listen {
	for _, f := range []struct {
		name string
		into *Duration
	}{
		{"start_timeout", &l.StartTimeout},
		{"end_silence", &l.EndSilence},
		{"max_utterance", &l.MaxUtterance},
	} {
		if v := n.field(f.name); v.there() {
			*f.into = v.duration()
		}
	}
	return l
}

func parseLimits(n node) Limits {
	l := Limits{Turns: defaultTurns, Duration: Duration(defaultDuration), VisitsPerStep: defaultVisits}
	if v := n.field("turns"); v.there() {
		l.Turns = v.integer()
	}
	if v := n.field("duration"); v.there() {
		l.Duration = v.duration()
	}
	if v := n.field("visits_per_step"); v.there() {
		l.VisitsPerStep = v.integer()
	}
	return l
}

func parseStep(p pair) *step {
	s := &step{
		name: p.key,
		note: p.val.field("note").text().Value,
		next: p.val.field("next").text(),
		run: runDecl{
			timeout:    p.val.field("run").field("timeout"),
			firstToken: p.val.field("run").field("first_token"),
			attempts:   p.val.field("run").field("attempts").integer(),
			cover:      p.val.field("run").field("cover").text(),
		},
		catch:   p.val.field("catch").pairs(),
		bargeIn: parseBargeIn(p.val.field("barge_in")),
		listen:  p.val.field("listen"),
		noInput: parseLadder(p.val.field("no_input")),
		noMatch: parseLadder(p.val.field("no_match")),
	}
	for _, f := range p.val.pairs() {
		v := verbNamed(f.key.Value)
		switch {
		case v == nil:
			s.fields = append(s.fields, f.key)
		case s.verb == nil:
			s.verb, s.body = v, v.parse(f.val)
			s.facts = s.body.facts()
		default:
			s.extra = append(s.extra, f.key)
		}
	}
	return s
}

// slot finds a slot's declaration, or nil.
func (t *tree) slot(name string) *slotDecl {
	for _, s := range t.slots {
		if s.name.Value == name {
			return s
		}
	}
	return nil
}

func typesOf(decls []decl) map[string]Type {
	m := make(map[string]Type, len(decls))
	for _, d := range decls {
		m[d.name.Value] = d.typ
	}
	return m
}

// names are the names that the flow's expressions may use.
func (t *tree) names() names {
	slots := make(map[string]Type, len(t.slots))
	for _, s := range t.slots {
		slots[s.name.Value] = s.typ
	}
	return names{inputs: typesOf(t.inputs), slots: slots, vars: typesOf(t.vars)}
}
