package grammar

import (
	"regexp"
	"slices"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// meant is how a language says what somebody wants of the conversation.
type meant struct {
	intents    map[string][]string       // cancel, human, repeat, language, correct
	asks       map[string]*regexp.Regexp // the same in more ways than a list can hold; of folded words
	corrects   [][]word                  // takes something back: "I meant"
	rather     [][]word                  // may take something back: "actually"
	not, but   map[string]bool           // not A but B
	lead, tail [][]word                  // around a value that is put right
	last       [][]word                  // "the last one"
	one        map[string]bool           // around an ordinal: "number two", "the second one"
	speaks     [][]word                  // around a language's name
}

// Phrases are the ways to say what every conversation understands: "cancel",
// "human", "repeat", "language" or "correct"; none for another name.
func Phrases(tag, intent string) []string { return Hear(tag, "").lang.meant.intents[intent] }

// Means reports whether words say what one of those intents means: one of its
// phrases, or a sentence built like them.
func (w Words) Means(intent string) bool {
	if w.lang == nil {
		return false
	}
	if slices.ContainsFunc(w.lang.meant.intents[intent], w.Is) {
		return true
	}
	asks := w.lang.meant.asks[intent]
	return asks != nil && (asks.MatchString(w.String()) || asks.MatchString(w.Core().String()))
}

// ask compiles a sentence of folded words: "(can i )?(talk|speak) to someone".
func ask(pattern string) *regexp.Regexp { return regexp.MustCompile("^(?:" + pattern + ")$") }

// YesNo reads words that are nothing but yes or no.
func (w Words) YesNo() (yes, ok bool) {
	core := w.Core()
	for _, list := range []struct {
		ways [][]word
		yes  bool
	}{{w.lang.yesWords, true}, {w.lang.noWords, false}} {
		for _, p := range list.ways {
			if len(p) == len(w.list) && w.begins(0, p) || len(p) == len(core.list) && core.begins(0, p) {
				return list.yes, true
			}
		}
	}
	// "Yes, yes please, of course."
	yes, rest := w.leadingYesNo()
	if rest.Len() < w.Len() && rest.Len() > 0 && rest.Len() < len(w.list) {
		if more, ok := rest.YesNo(); ok && more == yes {
			return yes, true
		}
	}
	return false, false
}

// leadingYesNo takes a yes or no from the beginning. Where there is none, all is
// left.
func (w Words) leadingYesNo() (yes bool, rest Words) {
	core := w.Core()
	y, n := core.anyAt(0, w.lang.yesWords), core.anyAt(0, w.lang.noWords)
	if y == 0 && n == 0 {
		return false, w
	}
	return y > n, core.From(max(y, n))
}

// Begins reads words that begin with yes or no and do not take it back.
func (w Words) Begins() (yes, ok bool) {
	yes, rest := w.leadingYesNo()
	if rest.Len() == w.Len() {
		return false, false
	}
	opposite := w.lang.noWords
	if !yes {
		opposite = w.lang.yesWords
	}
	for i := range rest.list {
		if rest.anyAt(i, opposite) > 0 {
			return false, false
		}
	}
	return yes, true
}

// AfterNo is what comes after a no at the beginning ("no, it's four"); it is
// empty when nothing does, and ok is false when there is no such no.
func (w Words) AfterNo() (rest Words, ok bool) {
	yes, rest := w.leadingYesNo()
	if yes || rest.Len() == w.Len() {
		return w, false
	}
	return rest.Bare(), true
}

// Bare is what is left without the words around a value that is put right.
func (w Words) Bare() Words {
	m := w.lang.meant
	for {
		n := len(w.list)
		if k := w.anyAt(0, m.lead); k > 0 && k < len(w.list) {
			w.list = w.list[k:]
		}
		for _, p := range m.tail {
			if len(p) < len(w.list) && w.begins(len(w.list)-len(p), p) {
				w.list = w.list[:len(w.list)-len(p)]
			}
		}
		w = w.Core()
		if len(w.list) == n {
			return w
		}
	}
}

// A Correction is a sentence that takes something back.
type Correction struct {
	Right Words // what is right
	Wrong Words // what is not, where it is said: "not A but B"
	// Sure: it cannot be an answer to the question that is open.
	Sure bool
}

// Correction reads "no, I meant German", "actually four", "nicht 15 Uhr, sondern
// 16 Uhr".
func (w Words) Correction() (Correction, bool) {
	m := w.lang.meant
	if c, ok := w.notBut(); ok {
		return c, true
	}
	if n := w.anyAt(0, m.corrects); n > 0 && n < len(w.list) {
		right := w.From(n)
		if c, ok := right.notBut(); ok {
			return c, true
		}
		return Correction{Right: right.Bare(), Sure: true}, true
	}
	for _, p := range m.tail { // "Almanca demek istedim"
		if w.lang == turkish && len(p) < len(w.list) && w.begins(len(w.list)-len(p), p) && len(p) > 1 {
			return Correction{Right: w.Part(0, len(w.list)-len(p)).Bare(), Sure: true}, true
		}
	}
	core := w.Core()
	if n := core.anyAt(0, m.rather); n > 0 && n < len(core.list) {
		return Correction{Right: core.From(n).Bare()}, true
	}
	return Correction{}, false
}

// notBut reads "not A but B", "nicht A sondern B", "A değil B".
func (w Words) notBut() (Correction, bool) {
	m := w.lang.meant
	if w.lang == turkish {
		for i := 1; i+1 < len(w.list); i++ {
			if m.not[w.word(i)] {
				return Correction{Right: w.From(i + 1).Bare(), Wrong: w.Part(0, i).Bare(), Sure: true}, true
			}
		}
		return Correction{}, false
	}
	for i := range w.list {
		if !m.not[w.word(i)] {
			continue
		}
		for k := i + 2; k+1 < len(w.list); k++ {
			if m.but[w.word(k)] {
				return Correction{Right: w.From(k + 1).Bare(), Wrong: w.Part(i+1, k).Bare(), Sure: true}, true
			}
		}
	}
	return Correction{}, false
}

// Choice reads a place in a list of n: "the second one", "number two", "the
// last". It counts from 0.
func (w Words) Choice(n int) (int, bool) {
	if n == 0 {
		return 0, false
	}
	m := w.lang.meant
	core := w.Core()
	for _, p := range m.last {
		if len(p) <= len(core.list) && core.begins(0, p) && core.From(len(p)).only(m.one) {
			return n - 1, true
		}
	}
	for i := range core.list {
		at, used := 0, 0
		if o, ok := w.lang.place(core.word(i)); ok {
			at, used = o, 1
		} else if plainDigits(core.word(i)) || i > 0 && m.one[core.word(i-1)] {
			at, used = core.small(i)
			if o, ok := w.lang.days.ordinals[core.word(i+used)]; used > 0 && ok && o == 0 {
				used++
			}
		}
		if used == 0 {
			continue
		}
		if at < 1 || at > n || !core.Part(0, i).only(m.one) || !core.From(i+used).only(m.one) {
			return 0, false
		}
		return at - 1, true
	}
	return 0, false
}

// only reports whether all words are in a set.
func (w Words) only(in map[string]bool) bool {
	return !slices.ContainsFunc(w.list, func(x word) bool { return !in[x.text] })
}

// place reads an ordinal in words as lists have them.
func (l *lang) place(s string) (int, bool) {
	if n, ok := l.places[s]; ok {
		return n, true
	}
	n, ok := l.days.ordinals[s]
	return n, ok && n > 0
}

// Tongue reads a wish to speak one of the languages: its name, in any of them, in
// its own or in the words' own, and nothing but what belongs to such a wish:
// "English please", "auf Deutsch bitte", "Türkçe". It returns the language's tag
// as it is in languages.
func (w Words) Tongue(languages []string) (string, bool) {
	found := ""
	for _, tag := range languages {
		if !w.names(language.Make(tag), languages) {
			continue
		}
		if found != "" {
			return "", false
		}
		found = tag
	}
	return found, found != ""
}

// names reports whether the words name a language and ask for it.
func (w Words) names(want language.Tag, languages []string) bool {
	base, _ := want.Base()
	tag := language.Make(base.String())
	own := []string{display.Self.Name(tag)}
	for code := range langNames {
		own = append(own, langNames[code][base.String()])
	}
	for _, code := range languages {
		if namer := display.Languages(language.Make(code)); namer != nil {
			own = append(own, namer.Name(tag))
		}
	}
	slices.Sort(own)
	for _, name := range slices.Compact(own) {
		if name == "" {
			continue
		}
		from, to := w.Find(name)
		if from < 0 {
			continue
		}
		if w.Part(0, from).asksToSpeak() && w.From(to).asksToSpeak() {
			return true
		}
	}
	return false
}

// langNames are what the languages of this package call each other: somebody who
// does not know a kiosk's language asks in their own.
var langNames = map[string]map[string]string{
	"en": {"en": "English", "de": "German", "fr": "French", "tr": "Turkish"},
	"de": {"en": "Englisch", "de": "Deutsch", "fr": "Französisch", "tr": "Türkisch"},
	"fr": {"en": "anglais", "de": "allemand", "fr": "français", "tr": "turc"},
	"tr": {"en": "İngilizce", "de": "Almanca", "fr": "Fransızca", "tr": "Türkçe"},
}

// asksToSpeak reports whether words are such as stand around a language's name,
// in any language.
func (w Words) asksToSpeak() bool {
	for i := 0; i < len(w.list); {
		longest := 0
		for _, code := range []string{"en", "de", "fr", "tr"} {
			l := langs[code]
			longest = max(longest, w.anyAt(i, l.meant.speaks), w.anyAt(i, l.fillers), w.anyAt(i, l.noWords))
		}
		if longest == 0 {
			return false
		}
		i += longest
	}
	return true
}
