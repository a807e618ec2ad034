package flow

import (
	"io/fs"
	"slices"
)

// A tree is a flow as its author wrote it: names not yet resolved, every part
// with its place in the source.
type tree struct {
	src         *source
	collections []string // the knowledge collections there are; nil: not known
	actions     *Catalogue
	files       fs.FS // the store's folder
	published   *shelf

	name, about, version Text
	phrases              []pair // language → node of phrases
	language             struct {
		initial   Text
		supported []Text
		slot      Text
	}
	promptsDir Text
	prompts    []*promptFile // in the order of language.supported

	inputs, vars []decl
	slots        []*slotDecl

	bargeIn          *bargeInDecl
	listen           Listen // as it is written; see Listen.complete
	listenNode       node
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
	pattern  Text
	invalid  Text
	node     node
}

// A bargeInDecl is a rule and where it stands.
type bargeInDecl struct {
	BargeIn
	hotwords []pair // language → node of words
	node     node
}

type ladder struct {
	say  []Text
	then Text
}

type intentDecl struct {
	name    Text
	phrases []pair // language → node of phrases
	about   Text
	to      Text
	replay  Text
	set     *setBody // nil: none
	correct []Text   // slots
	flows   []Text
	depth   int
	say     Text
	resume  node
	node    node
	sets    []string // what `set` gives a value
	broken  bool     // it has mistakes of form
}

type runDecl struct {
	timeout, firstToken, backoff node
	attempts                     int
	cover                        Text
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
	bargeIn          *bargeInDecl
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
		phrases:    root.field("phrases").pairs(),
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
	t.listenNode = defaults.field("listen")
	t.listen = parseListen(t.listenNode, Listen{
		StartTimeout: Duration(defaultStartTimeout),
		EndSilence:   Duration(defaultEndSilence),
		MaxUtterance: Duration(defaultMaxUtterance),
		Endpointing:  "fixed",
		Guess:        true,
		ConfirmBelow: defaultConfirmBelow,
		RejectBelow:  defaultRejectBelow,
	})
	t.noInput = parseLadder(defaults.field("no_input"))
	t.noMatch = parseLadder(defaults.field("no_match"))
	t.limits = parseLimits(defaults.field("limits"))
	for _, p := range root.field("intents").pairs() {
		in := parseIntent(p)
		in.broken = slices.ContainsFunc(broken, func(way []string) bool {
			return len(way) >= 2 && way[0] == "intents" && way[1] == p.key.Value && !slices.Contains(way, "phrases")
		})
		t.intents = append(t.intents, in)
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
var leading = []string{"next", "catch", "no_input", "no_match", "branch", "set", "run_flow", "parallel", "handoff"}

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
		pattern:  p.val.field("pattern").text(),
		invalid:  p.val.field("invalid").text(),
		node:     p.val,
	}
}

// sensitive reports whether what the slot holds is confidential.
func (s *slotDecl) sensitive() bool { return s.node.field("sensitive").boolean() }

func parseIntent(p pair) *intentDecl {
	in := &intentDecl{
		name:    p.key,
		about:   p.val.field("about").text(),
		phrases: p.val.field("phrases").pairs(),
		to:      p.val.field("to").text(),
		replay:  p.val.field("replay").text(),
		correct: p.val.field("slots").texts(),
		flows:   p.val.field("flows").texts(),
		depth:   1,
		say:     p.val.field("say").text(),
		resume:  p.val.field("resume"),
		node:    p.val,
	}
	if set := p.val.field("set"); set.there() {
		in.set = &setBody{assigns: set.pairs()}
	}
	if depth := p.val.field("depth"); depth.there() {
		in.depth = depth.integer()
	}
	return in
}

func parseLadder(n node) *ladder {
	if !n.there() {
		return nil
	}
	return &ladder{say: n.field("say").texts(), then: n.field("then").text()}
}

func parseBargeIn(n node) *bargeInDecl {
	if !n.there() {
		return nil
	}
	b := &bargeInDecl{node: n, hotwords: n.field("hotwords").pairs(), BargeIn: BargeIn{
		Mode:     n.text().Value,
		MinWords: n.field("min_words").integer(),
		WhenCut:  n.field("when_cut").text().Value,
	}}
	if b.Mode == "" {
		b.Mode = n.field("mode").text().Value
	}
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
		{"max_silence", &l.MaxSilence},
	} {
		if v := n.field(f.name); v.there() {
			*f.into = v.duration()
		}
	}
	if v := n.field("endpointing"); v.there() {
		l.Endpointing = v.text().Value
	}
	if v := n.field("guess"); v.there() {
		l.Guess = v.boolean()
	}
	if v := n.field("confirm_below"); v.there() {
		l.ConfirmBelow = v.float()
	}
	if v := n.field("reject_below"); v.there() {
		l.RejectBelow = v.float()
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
			backoff:    p.val.field("run").field("backoff"),
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
			s.facts.errors = slices.Clone(v.errors)
		default:
			s.extra = append(s.extra, f.key)
		}
	}
	if b, ok := s.body.(*parallelBody); ok {
		for _, l := range b.lines {
			for _, inner := range l.steps {
				inner.name.Value = s.name.Value // its own place, the author's name
			}
		}
	}
	return s
}

// allSteps are the steps and those inside of a parallel.
func (t *tree) allSteps() []*step {
	var out []*step
	for _, s := range t.steps {
		out = append(out, s)
		if p, ok := s.body.(*parallelBody); ok {
			for _, l := range p.lines {
				out = append(out, l.steps...)
			}
		}
	}
	return out
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
