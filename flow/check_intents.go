package flow

import (
	"slices"
	"strings"

	"github.com/praesenz/parley/flow/grammar"
)

const (
	codeNoPhrases  Code = "F304"
	codeIntent     Code = "F311"
	codeSamePhrase Code = "F312"
	codeUnheard    Code = "F316"
)

// said is a phrase in a language.
type said struct{ lang, phrase string }

// checkIntents checks that every intent leads somewhere, can be said in every
// language, and that no phrase means two.
func checkIntents(t *tree, ds *Diagnostics) {
	owner := map[said]string{}
	corrects := "" // the intent that does
	for _, p := range t.phrases {
		t.checkSupported(p.key, ds)
	}
	for _, in := range t.intents {
		name := in.name.Value
		if !in.broken {
			in.checkShape(ds)
		}
		if len(in.correct) > 0 && corrects != "" {
			ds.errorf(codeIntent, in.name.at, "put its slots into that one", "intent %q corrects already; %q would never be heard", corrects, name)
		} else if len(in.correct) > 0 {
			corrects = name
		}
		var silent []string
		for _, lang := range t.languages() {
			if in.hasPhrases(lang.Value) || in.about.Value != "" || in.builtIn(lang.Value) {
				continue
			}
			switch {
			case len(in.phrases) > 0:
				ds.errorf(codeNoPhrases, in.name.at, "", "intent %q has no %s phrases", name, languageName(lang.Value))
			case len(in.flows) > 0 || in.broken:
				t.checkFlowsKnown(in, lang.Value, ds)
			default:
				silent = append(silent, languageName(lang.Value))
			}
		}
		if len(silent) > 0 {
			ds.errorf(codeUnheard, in.name.at, "add `phrases`, or `about` for the language model", "nobody can say intent %q in %s: it has neither `phrases` nor `about`",
				name, strings.Join(silent, " or "))
		}
		t.checkLanguageSet(in, ds)
		for _, own := range t.givenPhrases(in) {
			if owner[own] == "" {
				owner[own] = name
			}
		}
		for _, p := range in.phrases {
			t.checkSupported(p.key, ds)
			for _, phrase := range p.val.texts() {
				key := said{p.key.Value, grammar.Normal(p.key.Value, phrase.Value)}
				if key.phrase == "" {
					continue
				}
				if other, ok := owner[key]; ok && other != name {
					ds.errorf(codeSamePhrase, phrase.at, "the first would always win", "%q is already a phrase of intent %q", phrase.Value, other)
					continue
				}
				owner[key] = name
			}
		}
	}
}

// builtIn reports whether the kiosk knows how the intent is said in a language.
// An intent that sets heard.language is known by the languages' own names.
func (in *intentDecl) builtIn(lang string) bool {
	return in.setsLanguage() != nil || len(grammar.Phrases(lang, in.name.Value)) > 0
}

// setsLanguage is where an intent sets something to heard.language, or nil.
func (in *intentDecl) setsLanguage() *pair {
	if in.set == nil {
		return nil
	}
	for _, p := range in.set.assigns {
		if strings.TrimSpace(p.val.text().Value) == "heard.language" {
			return &p
		}
	}
	return nil
}

// givenPhrases are those that an intent has without its author writing them: by
// its name, or those of the flows that it digresses into.
func (t *tree) givenPhrases(in *intentDecl) []said {
	var out []said
	for _, lang := range t.languages() {
		phrases := grammar.Phrases(lang.Value, in.name.Value)
		for _, ref := range in.flows {
			if c := t.published.calls[ref.Value]; c != nil {
				phrases = append(slices.Clone(phrases), c.plan.Phrases[lang.Value]...)
			}
		}
		for _, p := range phrases {
			out = append(out, said{lang.Value, grammar.Normal(lang.Value, p)})
		}
	}
	return out
}

// checkLanguageSet checks that the slot that an intent gives the language is the
// one that chooses it.
func (t *tree) checkLanguageSet(in *intentDecl, ds *Diagnostics) {
	p := in.setsLanguage()
	if p == nil {
		return
	}
	name, typ := t.target(p.key)
	if slot := t.language.slot.Value; typ != "" && name != "slots."+slot {
		ds.errorf(codeLanguageSlot, p.key.at, "name it: languages: {…, slot: "+strings.TrimPrefix(name, "slots.")+"}",
			"`%s` takes the language, but `languages.slot` does not name it; nothing would change", name)
	}
}

// checkFlowsKnown checks that a customer can ask for the flows of a digression.
func (t *tree) checkFlowsKnown(in *intentDecl, lang string, ds *Diagnostics) {
	for _, ref := range in.flows {
		c := t.published.calls[ref.Value]
		if c != nil && c.plan.About == "" && len(c.plan.Phrases[lang]) == 0 {
			ds.errorf(codeUnheard, ref.at, "publish a version that has, or add phrases to the intent", "nobody can ask for flow %q in %s: it has neither `about` nor `phrases`", c.key, languageName(lang))
		}
	}
}

// checkShape checks that an intent does one thing.
func (in *intentDecl) checkShape(ds *Diagnostics) {
	var does []string
	for _, way := range []string{"replay", "set", "slots", "flows"} {
		if in.node.field(way).there() {
			does = append(does, "`"+way+"`")
		}
	}
	switch {
	case len(does) > 0:
	case in.says():
		does = append(does, "`say`")
	case in.to.Value != "":
		does = append(does, "`to`")
	}
	name := in.name.Value
	switch {
	case len(does) == 0:
		ds.errorf(codeIntent, in.name.at, "add `to: step`, `say: prompt`, `replay: last_prompt`, `set`, `slots` or `flows`", "intent %q leads nowhere", name)
	case len(does) > 1:
		ds.errorf(codeIntent, in.name.at, "keep one", "intent %q does several things (%s)", name, strings.Join(does, ", "))
	case in.replay.Value != "" && in.to.Value != "":
		ds.errorf(codeIntent, in.name.at, "keep one", "intent %q has both `to` and `replay`", name)
	case in.goesOn() && in.resume.there() && in.to.Value != "":
		ds.errorf(codeIntent, in.resume.at(), "keep `resume` to go on where the conversation was, or `to` to go elsewhere", "intent %q has both `to` and `resume`", name)
	case !in.goesOn():
		for _, field := range []string{"say", "resume"} {
			if n := in.node.field(field); n.there() {
				ds.errorf(codeIntent, n.at(), "leave it out", "`%s` belongs to an intent that says, sets, corrects or digresses; %q only has %s", field, name, does[0])
			}
		}
	}
	if n := in.node.field("depth"); n.there() && len(in.flows) == 0 {
		ds.errorf(codeIntent, n.at(), "leave it out", "`depth` bounds digressions; intent %q names no `flows`", name)
	}
}

func (in *intentDecl) hasPhrases(lang string) bool {
	for _, p := range in.phrases {
		if p.key.Value == lang {
			return true
		}
	}
	return false
}
