package flow

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
	for _, in := range t.intents {
		name := in.name.Value
		switch {
		case in.broken:
		case in.to.Value == "" && !in.replay:
			ds.errorf(codeIntent, in.name.at, "add `to: step` or `replay: last_prompt`", "intent %q leads nowhere", name)
		case in.to.Value != "" && in.replay:
			ds.errorf(codeIntent, in.name.at, "keep one", "intent %q has both `to` and `replay`", name)
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

func (in *intentDecl) hasPhrases(lang string) bool {
	for _, p := range in.phrases {
		if p.key.Value == lang {
			return true
		}
	}
	return false
}
