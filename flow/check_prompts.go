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
	for _, u := range t.promptUses() {
		key := u.key.Value
		used[key] = true
		if !missing[key] {
			missing[key] = true // once is enough
			t.checkTranslated(u, ds)
		}
		wanted := map[string]bool{}
		complete := true
		for _, f := range t.prompts {
			parts, ok := templates[f][key]
			complete = complete && ok
			for _, p := range parts {
				if !p.placeholder {
					continue
				}
				wanted[p.text] = true
				if !slices.ContainsFunc(u.with, func(w pair) bool { return w.key.Value == p.text }) {
					text := f.byKey[key]
					ds.errorf(codePlaceholder, pieceOf(text, p.offset, len(p.text)+2), "", "%s %q uses {%s}; %s passes %s",
						languageName(f.language), key, p.text, u.by, u.passes())
				}
			}
		}
		for _, w := range u.with {
			if complete && len(t.prompts) > 0 && !wanted[w.key.Value] {
				ds.warnf(codeUnusedWith, w.key.at, "", "%s passes %q, but %q does not use {%s} in any language", u.by, w.key.Value, key, w.key.Value)
			}
		}
	}
	if t.damaged {
		return // what seems unused may be used where it cannot be read
	}
	for key := range ownPrompts["en"] {
		used[key] = true
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
