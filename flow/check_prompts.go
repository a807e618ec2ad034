package flow

import (
	"fmt"
	"slices"
	"strings"
)

const (
	codeNoPrompt    Code = "F301"
	codePlaceholder Code = "F302"
	codeUnused      Code = "F303"
	codePromptFile  Code = "F305"
	codeTemplate    Code = "F306"
	codeUnusedWith  Code = "F307"
)

// A use is a prompt, the place that speaks it and what that place passes.
type use struct {
	promptUse
	by string // "step "ask"" or "the default no_input"
}

// promptUses are all places that speak a prompt, in source order.
func (t *tree) promptUses() []use {
	var out []use
	ladder := func(l *ladder, by string) {
		if l == nil {
			return
		}
		for _, key := range l.say {
			out = append(out, use{promptUse{key: key}, by})
		}
	}
	ladder(t.noInput, "the default `no_input`")
	ladder(t.noMatch, "the default `no_match`")
	for _, in := range t.intents {
		out = append(out, use{promptUse{key: in.say}, fmt.Sprintf("intent %q", in.name.Value)})
	}
	for _, s := range t.slots {
		out = append(out, use{promptUse{key: s.invalid, own: []string{"value"}}, fmt.Sprintf("`invalid` of slot %q", s.name.Value)})
	}
	for _, s := range t.steps {
		by := fmt.Sprintf("step %q", s.name.Value)
		for _, p := range s.facts.prompts {
			out = append(out, use{p, by})
		}
		ladder(s.noInput, "`no_input` of "+by)
		ladder(s.noMatch, "`no_match` of "+by)
		if s.run.cover.Value != "" {
			out = append(out, use{promptUse{key: s.run.cover}, "`cover` of " + by})
		}
	}
	return slices.DeleteFunc(out, func(u use) bool { return u.key.Value == "" })
}

// checkPrompts checks that every prompt is there in every language and takes
// what it is passed.
func checkPrompts(t *tree, ds *Diagnostics) {
	used, missing := map[string]bool{}, map[string]bool{}
	templates := t.templates(ds)
	passed := t.passed(ds)
	for _, u := range t.promptUses() {
		key := u.key.Value
		used[key] = true
		if !missing[key] {
			missing[key] = true // once is enough
			t.checkTranslated(u, ds)
		}
		group := passed.of(u.with)
		for _, f := range t.prompts {
			parts, ok := templates[f][key]
			group.unread = group.unread || !ok
			for _, p := range parts {
				if !p.placeholder || slices.Contains(u.own, p.text) {
					continue
				}
				group.wanted[p.text] = true
				if !slices.ContainsFunc(u.with, func(w pair) bool { return w.key.Value == p.text }) {
					text := f.byKey[key]
					ds.errorf(codePlaceholder, pieceOf(text, p.offset, len(p.text)+2), "", "%s %q uses {%s}; %s passes %s",
						languageName(f.language), key, p.text, u.by, u.passes())
				}
			}
		}
		group.by, group.keys = u.by, append(group.keys, fmt.Sprintf("%q", key))
	}
	if len(t.prompts) > 0 {
		passed.report(ds)
	}
	if t.damaged {
		return // what seems unused may be used where it cannot be read
	}
	for key := range ownPrompts["en"] {
		used[key] = true
		t.checkReplaced(key, templates, ds)
	}
	reported := map[string]bool{}
	for _, f := range t.prompts {
		for _, p := range f.texts {
			if !used[p.key.Value] && !reported[p.key.Value] {
				reported[p.key.Value] = true
				ds.warnf(codeUnused, p.key.at, "", "prompt %q is used by no step", p.key.Value)
			}
		}
	}
}

// checkReplaced checks an author's words for one of the kiosk's own prompts,
// which are passed nothing but what they read back.
func (t *tree) checkReplaced(key string, templates map[*promptFile]map[string][]part, ds *Diagnostics) {
	passes := "nothing"
	if key == PromptConfirmHeard {
		passes = "only {value}"
	}
	for _, f := range t.prompts {
		for _, p := range templates[f][key] {
			if p.placeholder && !(key == PromptConfirmHeard && p.text == "value") {
				ds.errorf(codePlaceholder, pieceOf(f.byKey[key], p.offset, len(p.text)+2), "", "%s %q uses {%s}; the kiosk passes %s",
					languageName(f.language), key, p.text, passes)
			}
		}
	}
}

// A passing is what one `with` passes to the prompts, and the files, beside it.
type passing struct {
	with   []pair
	wanted map[string]bool // placeholders in any of them
	unread bool            // a prompt is missing or cannot be read
	by     string
	keys   []string
}

type passings []*passing

// passed are the flow's, with what the names of files want.
func (t *tree) passed(ds *Diagnostics) *passings {
	ps := &passings{}
	for _, s := range t.allSteps() {
		for _, f := range s.facts.files {
			for _, name := range Placeholders(f.name.Value) {
				ps.of(f.with).wanted[name] = true
				if !slices.ContainsFunc(f.with, func(w pair) bool { return w.key.Value == name }) {
					ds.errorf(codePlaceholder, f.name.at, "", "%q uses {%s}; step %q passes %s", f.name.Value, name, s.name.Value, use{promptUse: promptUse{with: f.with}}.passes())
				}
			}
		}
	}
	return ps
}

// of finds the passing of a `with`, or adds it. Nothing passed has its own.
func (ps *passings) of(with []pair) *passing {
	for _, p := range *ps {
		if len(with) > 0 && p.with[0].key.at.pos == with[0].key.at.pos {
			return p
		}
	}
	p := &passing{with: with, wanted: map[string]bool{}}
	if len(with) > 0 {
		*ps = append(*ps, p)
	}
	return p
}

// report tells what is passed for nothing.
func (ps *passings) report(ds *Diagnostics) {
	for _, p := range *ps {
		for _, w := range p.with {
			if p.unread || p.wanted[w.key.Value] || len(p.keys) == 0 {
				continue
			}
			verb := "does"
			if len(p.keys) > 1 {
				verb = "do"
			}
			ds.warnf(codeUnusedWith, w.key.at, "", "%s passes %q, but %s %s not use {%s} in any language", p.by, w.key.Value,
				strings.Join(p.keys, ", "), verb, w.key.Value)
		}
	}
}

// passes lists what a step passes, for a message.
func (u use) passes() string {
	if len(u.with) == 0 {
		return "nothing"
	}
	names := make([]string, len(u.with))
	for i, w := range u.with {
		names[i] = "{" + w.key.Value + "}"
	}
	return "only " + strings.Join(names, ", ")
}

// templates are the parsed prompts by file and key; those that cannot be parsed
// are reported and left out.
func (t *tree) templates(ds *Diagnostics) map[*promptFile]map[string][]part {
	out := map[*promptFile]map[string][]part{}
	for _, f := range t.prompts {
		out[f] = map[string][]part{}
		for _, p := range f.texts {
			text := p.val.text()
			parts, err := parseTemplate(text.Value)
			if err != nil {
				ds.errorf(codeTemplate, pieceOf(text, err.offset, err.width), "", "%s %q: %v", languageName(f.language), p.key.Value, err)
				continue
			}
			out[f][p.key.Value] = parts
		}
	}
	return out
}

// checkTranslated checks that a prompt is there in every language.
func (t *tree) checkTranslated(u use, ds *Diagnostics) {
	key := u.key.Value
	var lacking []*promptFile
	var known []string
	readable := 0
	for _, f := range t.prompts {
		if !f.readable {
			continue // said once, where the file is named
		}
		readable++
		if _, ok := f.byKey[key]; !ok {
			lacking = append(lacking, f)
		}
		for _, p := range f.texts {
			known = append(known, p.key.Value)
		}
	}
	if len(lacking) == 0 {
		return
	}
	if len(lacking) == readable {
		ds.errorf(codeNoPrompt, u.key.at, "", "prompt %q is in no language%s", key, didYouMean(key, known))
		return
	}
	for _, f := range lacking {
		ds.errorf(codeNoPrompt, u.key.at, "", "prompt %q has no %s text (%s)", key, languageName(f.language), f.path)
	}
}

// pieceOf is the place of a piece of a prompt's text; offset is in bytes, width in
// characters.
func pieceOf(text Text, offset, width int) at {
	before := text.Value[:offset]
	line := 1 + strings.Count(before, "\n")
	column := len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
	return text.span(line, column, width)
}
