package flow

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/praesenz/parley/schemas"
)

// What holds where a flow says nothing else.
const (
	defaultStartTimeout = 6 * time.Second
	defaultEndSilence   = 500 * time.Millisecond
	defaultMaxUtterance = 20 * time.Second
	defaultMaxSilence   = 1500 * time.Millisecond
	defaultTurns        = 40
	defaultDuration     = 10 * time.Minute
	defaultVisits       = 6
	defaultMinWords     = 2
	defaultConfirmBelow = 0.4
	defaultRejectBelow  = 0.2
)

// A Source is a flow on its author's disk.
type Source struct {
	FS   fs.FS  // the store's folder, with `prompts` and the published flows in it
	Path string // of the flow file in FS
	// Collections are the knowledge collections that there are; nil: not known,
	// and `retrieve.index` is not checked.
	Collections []string
	// Actions are what flows can `call`; nil: not known, and `call` is not checked.
	Actions *Catalogue
}

// checks all run over a parsed flow; each reports what it finds and none stops.
// checkVerbs and checkExpressions come first because they complete the facts
// that the others read.
var checks = []func(*tree, *Diagnostics){
	checkVerbs,
	checkExpressions,
	checkLanguages,
	checkSlots,
	checkIntents,
	checkTargets,
	checkReachable,
	checkLoops,
	checkAssigned,
	checkAskAnew,
	checkPrompts,
	checkCollections,
	checkSilence,
	checkListen,
	checkSensitive,
	checkBargeIn,
	checkScreens,
	checkActions,
	checkUnused,
}

// Compile turns source into a Plan, or returns an *InvalidError with every
// reason that it cannot.
func Compile(src Source) (*Plan, error) {
	p, ds, err := Examine(src)
	if p == nil && err == nil {
		return nil, &InvalidError{Diagnostics: ds}
	}
	return p, err
}

// Examine is Check and Compile in one reading: the plan beside everything that
// can be said about the flow, or no plan where that holds an error.
func Examine(src Source) (*Plan, Diagnostics, error) {
	t, ds := analyse(src)
	if len(ds.Errors()) > 0 {
		return nil, ds, nil
	}
	p, err := lower(t)
	return p, ds, err
}

// Check is everything that can be said about a flow, warnings included, in order
// of position.
func Check(src Source) Diagnostics {
	_, ds := analyse(src)
	return ds
}

func analyse(in Source) (*tree, Diagnostics) {
	var ds Diagnostics
	src := readYAML(in.FS, in.Path, &ds)
	if src == nil || src.root == nil {
		ds.sort()
		return nil, ds
	}
	broken, tooMany := checkStructure(src, schemas.Flow(), &ds)
	if tooMany {
		ds.sort()
		return nil, ds // to check it all is what the bound forbids
	}
	t := parseTree(src, broken)
	t.collections, t.actions = in.Collections, in.Actions
	t.files = in.FS
	t.published = &shelf{files: in.FS, calls: map[string]*called{}}
	t.prompts = readPrompts(in.FS, t, &ds)
	for _, check := range checks {
		check(t, &ds)
	}
	ds.sort()
	return t, ds
}

// readYAML reads and parses a file; nil says that it cannot be read.
func readYAML(root fs.FS, name string, ds *Diagnostics) *source {
	text, ok := readText(root, name, "split the flow in two", ds)
	if !ok {
		return nil
	}
	return parseYAML(name, text, ds)
}

// readText reads a file, or reports why it cannot. tooBig is what to do about one
// that is too large.
func readText(root fs.FS, name, tooBig string, ds *Diagnostics) ([]byte, bool) {
	start := at{pos: Pos{File: name, Line: 1, Column: 1}}
	text, err := readSource(root, name)
	switch {
	case errors.Is(err, errTooBig):
		ds.errorf(codeTooBig, start, tooBig, "%v", err)
	case err != nil:
		ds.errorf(codeNotYAML, start, "", "the file cannot be read: %v", reason(err))
	}
	return text, err == nil
}

// reason is why a file cannot be read, without its name on this machine.
func reason(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// readPrompts reads the prompts of every language that the flow supports.
func readPrompts(root fs.FS, t *tree, ds *Diagnostics) []*promptFile {
	var files []*promptFile
	seen := map[string]bool{}
	for _, lang := range t.languages() {
		name := path.Join(t.promptsDir.Value, lang.Value+".yaml")
		if t.promptsDir.Value == "" || seen[lang.Value] || !fs.ValidPath(name) {
			continue
		}
		seen[lang.Value] = true
		f := &promptFile{language: lang.Value, path: name, byKey: map[string]Text{}}
		files = append(files, f)
		if _, err := fs.Stat(root, name); err != nil {
			ds.errorf(codePromptFile, lang.at, "", "there is no %s: the %s prompts belong there", name, languageName(lang.Value))
			continue
		}
		src := readYAML(root, name, ds)
		if src == nil || src.root == nil {
			continue
		}
		if _, tooMany := checkStructure(src, schemas.Prompts(), ds); tooMany {
			continue
		}
		f.readable = true
		f.texts = node{src.root, src}.pairs()
		for _, p := range f.texts {
			f.byKey[p.key.Value] = p.val.text()
		}
	}
	return files
}

// lower makes the plan of a flow without mistakes.
func lower(t *tree) (*Plan, error) {
	p := &Plan{
		Interpreter: Interpreter,
		Flow:        t.name.Value,
		Version:     t.version.Value,
		About:       t.about.Value,
		Phrases:     wordLists(t.phrases),
		Languages:   Languages{Default: t.language.initial.Value, Slot: t.language.slot.Value},
		Inputs:      typesOf(t.inputs),
		Slots:       make(map[string]Slot, len(t.slots)),
		Vars:        typesOf(t.vars),
		Listen:      t.listen.complete(),
		BargeIn:     BargeIn{Mode: "speech", MinWords: defaultMinWords},
		NoInput:     t.noInput.lower(),
		NoMatch:     t.noMatch.lower(),
		Limits:      t.limits,
		Start:       t.start.Value,
		Steps:       make(map[string]Step, len(t.steps)),
		Prompts:     make(map[string]map[string]string, len(t.prompts)),
	}
	if t.bargeIn != nil {
		p.BargeIn = *t.bargeIn.lower(nil)
	}
	for _, lang := range t.language.supported {
		p.Languages.Supported = append(p.Languages.Supported, lang.Value)
	}
	for _, s := range t.slots {
		p.Slots[s.name.Value] = s.lower()
	}
	for _, in := range t.intents {
		p.Intents = append(p.Intents, in.lower(t))
	}
	for _, s := range t.steps {
		p.Steps[s.name.Value] = s.lower(t)
	}
	// Only what the flow speaks travels with a conversation.
	for _, f := range t.prompts {
		used := map[string]string{}
		for _, u := range t.promptUses() {
			if text, ok := f.byKey[u.key.Value]; ok {
				used[u.key.Value] = text.Value
			}
		}
		for key, text := range ownPromptsOf(f.language) {
			used[key] = text
			if own, ok := f.byKey[key]; ok {
				used[key] = own.Value
			}
		}
		p.Prompts[f.language] = used
	}
	for _, ref := range sortedKeys(t.published.calls) {
		if c := t.published.calls[ref]; c != nil {
			p.addFlow(c)
		}
	}
	sum, err := p.Sum()
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", t.src.name, err)
	}
	p.SHA256 = sum
	return p, nil
}

func (l *ladder) lower() Ladder {
	if l == nil {
		return Ladder{}
	}
	out := Ladder{Then: l.then.Value}
	for _, key := range l.say {
		out.Say = append(out.Say, key.Value)
	}
	return out
}

func (in *intentDecl) lower(t *tree) Intent {
	out := Intent{
		Name:    in.name.Value,
		About:   in.about.Value,
		Phrases: wordLists(in.phrases),
		To:      in.to.Value,
		Replay:  in.replay.Value != "",
		Correct: values(in.correct),
		Say:     in.say.Value,
	}
	if in.set != nil {
		out.Set = in.set.lowerAssigns(t)
	}
	if len(in.flows) > 0 {
		out.Digress = &Digress{Depth: in.depth}
		for _, ref := range in.flows {
			out.Digress.Flows = append(out.Digress.Flows, t.published.calls[ref.Value].key)
		}
	}
	if in.goesOn() {
		out.To, out.Then = "", in.to.Value
	}
	return out
}

// goesOn reports whether the conversation goes on where it was, unless `to` leads
// elsewhere.
func (in *intentDecl) goesOn() bool {
	return in.set != nil || len(in.correct) > 0 || len(in.flows) > 0 || in.says()
}

// says reports whether all that an intent does is to say something.
func (in *intentDecl) says() bool {
	return in.say.Value != "" && in.set == nil && len(in.correct) == 0 && len(in.flows) == 0 && in.replay.Value == ""
}

// lower completes a rule with the hotwords that hold where it names none.
func (b *bargeInDecl) lower(inherited *bargeInDecl) *BargeIn {
	if b == nil {
		return nil
	}
	out := b.BargeIn
	switch {
	case b.Mode != "hotword":
	case len(b.hotwords) > 0:
		out.Hotwords = wordLists(b.hotwords)
	case inherited != nil:
		out.Hotwords = wordLists(inherited.hotwords)
	}
	return &out
}

func (s *slotDecl) lower() Slot {
	out := Slot{
		Type:      s.typ,
		About:     s.node.field("about").text().Value,
		AskAnew:   s.askAnew.boolean(),
		MaxLen:    s.node.field("max_len").integer(),
		Normalise: s.node.field("normalise").text().Value,
		Pattern:   s.pattern.Value,
		Valid:     s.valid.Value,
		Invalid:   s.invalid.Value,
		Sensitive: s.sensitive(),
	}
	for _, v := range s.values {
		out.Values = append(out.Values, v.Value)
	}
	if s.initial.there() {
		out.Initial = s.initialValue()
	}
	for _, lang := range s.synonyms {
		if out.Synonyms == nil {
			out.Synonyms = map[string]map[string][]string{}
		}
		byValue := map[string][]string{}
		for _, value := range lang.val.pairs() {
			for _, way := range value.val.texts() {
				byValue[value.key.Value] = append(byValue[value.key.Value], way.Value)
			}
		}
		out.Synonyms[lang.key.Value] = byValue
	}
	return out
}

func (s *step) lower(t *tree) Step {
	out := Step{
		Line: s.name.at.pos.Line,
		Note: s.note,
		Next: s.next.Value,
		Run: Run{
			Timeout:    s.run.timeout.duration(),
			Attempts:   s.run.attempts,
			Backoff:    s.run.backoff.duration(),
			FirstToken: s.run.firstToken.duration(),
			Cover:      s.run.cover.Value,
		},
		BargeIn: s.bargeIn.lower(t.bargeIn),
	}
	for _, c := range s.catch {
		if out.Catch == nil {
			out.Catch = map[string]string{}
		}
		out.Catch[c.key.Value] = c.val.text().Value
	}
	s.body.lower(t, &out)
	if out.Collect != nil {
		out.Collect.Listen = parseListen(s.listen, t.listen).complete()
		if s.noInput != nil {
			l := s.noInput.lower()
			out.Collect.NoInput = &l
		}
		if s.noMatch != nil {
			l := s.noMatch.lower()
			out.Collect.NoMatch = &l
		}
	}
	return out
}
