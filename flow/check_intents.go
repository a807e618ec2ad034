package flow

import "strings"

const (
	codeNoPhrases  Code = "F304"
	codeIntent     Code = "F311"
	codeSamePhrase Code = "F312"
)

// checkIntents checks that every intent leads somewhere, can be said in every
// language, and that no phrase means two.
func checkIntents(t *tree, ds *Diagnostics) {
	type said struct{ lang, phrase string }
	owner := map[said]string{}
	for _, p := range t.phrases {
		t.checkSupported(p.key, ds)
	}
	for _, in := range t.intents {
		name := in.name.Value
		if !in.broken {
			in.checkShape(ds)
		}
		for _, lang := range t.languages() {
			if !in.hasPhrases(lang.Value) && len(in.phrases) > 0 {
				ds.errorf(codeNoPhrases, in.name.at, "", "intent %q has no %s phrases", name, languageName(lang.Value))
			}
		}
		for _, p := range in.phrases {
			t.checkSupported(p.key, ds)
			for _, phrase := range p.val.texts() {
				key := said{p.key.Value, normalise(p.key.Value, phrase.Value)}
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

// checkShape checks that an intent does one thing.
func (in *intentDecl) checkShape(ds *Diagnostics) {
	var does []string
	for _, way := range []string{"replay", "set", "slots", "flows"} {
		if in.node.field(way).there() {
			does = append(does, "`"+way+"`")
		}
	}
	if len(does) == 0 && in.to.Value != "" {
		does = append(does, "`to`")
	}
	name := in.name.Value
	switch {
	case len(does) == 0:
		ds.errorf(codeIntent, in.name.at, "add `to: step`, `replay: last_prompt`, `set`, `slots` or `flows`", "intent %q leads nowhere", name)
	case len(does) > 1:
		ds.errorf(codeIntent, in.name.at, "keep one", "intent %q does several things (%s)", name, strings.Join(does, ", "))
	case in.replay.Value != "" && in.to.Value != "":
		ds.errorf(codeIntent, in.name.at, "keep one", "intent %q has both `to` and `replay`", name)
	case in.goesOn() && in.resume.there() && in.to.Value != "":
		ds.errorf(codeIntent, in.resume.at(), "keep `resume` to go on where the conversation was, or `to` to go elsewhere", "intent %q has both `to` and `resume`", name)
	case !in.goesOn():
		for _, field := range []string{"say", "resume"} {
			if n := in.node.field(field); n.there() {
				ds.errorf(codeIntent, n.at(), "leave it out", "`%s` belongs to an intent that sets, corrects or digresses; %q only has %s", field, name, does[0])
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
