package flow

import "strings"

const codeNoHotword Code = "F313"

// checkBargeIn checks that a customer who may interrupt only by a hotword has one
// in every language.
func checkBargeIn(t *tree, ds *Diagnostics) {
	rules := []*bargeInDecl{t.bargeIn}
	for _, s := range t.steps {
		if s.bargeIn != nil && s.bargeIn.WhenCut != "" && s.verb != nil && s.verb != &generateVerb {
			ds.errorf(codeUselessHere, s.bargeIn.node.field("when_cut").at(), "leave it out", "`when_cut` means nothing on `%s`", s.verb.name)
		}
		rules = append(rules, s.bargeIn)
	}
	for _, b := range rules {
		if b == nil {
			continue
		}
		for _, words := range b.hotwords {
			t.checkSupported(words.key, ds)
		}
		if b.Mode != "hotword" {
			continue
		}
		if b.node.field("min_words").there() {
			ds.errorf(codeUselessHere, b.node.field("min_words").at(), "leave it out", "`min_words` counts with mode speech; a hotword needs none")
		}
		words := b.lower(t.bargeIn).Hotwords
		var lacking []string
		for _, lang := range t.languages() {
			if len(words[lang.Value]) == 0 {
				lacking = append(lacking, languageName(lang.Value))
			}
		}
		if len(lacking) > 0 {
			ds.errorf(codeNoHotword, b.node.at(), "add `hotwords` to it or to `defaults.barge_in`", "only a hotword interrupts here, but there is none in %s", strings.Join(lacking, " and "))
		}
	}
}
