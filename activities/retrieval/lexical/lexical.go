// Package lexical turns text into search terms and says how well a passage
// covers a question. Every index uses it, so that a question finds the same
// passages with the same scores whichever index a store runs.
//
// Analysis is bleve's per language (stop words, stemming, German umlauts), plus
// what spoken questions need: the words that people wrap a question in ("could
// you tell me where I find …") carry no meaning and are dropped.
package lexical

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/analysis/lang/de"
	"github.com/blevesearch/bleve/v2/analysis/lang/en"
	"github.com/blevesearch/bleve/v2/analysis/lang/fr"
	"github.com/blevesearch/bleve/v2/analysis/lang/tr"
	"github.com/blevesearch/bleve/v2/analysis/token/lowercase"
	words "github.com/blevesearch/bleve/v2/analysis/tokenizer/unicode"
	"github.com/blevesearch/bleve/v2/registry"
	"golang.org/x/text/unicode/norm"
)

// Revision changes whenever the same text yields other terms. It is part of a
// document's content hash, so that a new version indexes every document anew.
const Revision = "1"

// other stands for every language without an analyzer of its own: its words are
// lower-cased and otherwise taken as they are.
const other = "xx"

var analyzerNames = map[string]string{
	"en": en.AnalyzerName, "de": de.AnalyzerName, "fr": fr.AnalyzerName, "tr": tr.AnalyzerName,
}

// analyzers is built once: bleve's analyzers are safe for concurrent use and
// cost a stop-word map each.
var analyzers = sync.OnceValue(func() map[string]analysis.Analyzer {
	cache := registry.NewCache()
	built := map[string]analysis.Analyzer{other: &analysis.DefaultAnalyzer{
		Tokenizer:    words.NewUnicodeTokenizer(),
		TokenFilters: []analysis.TokenFilter{lowercase.NewLowerCaseFilter()},
	}}
	for lang, name := range analyzerNames {
		a, err := cache.AnalyzerNamed(name)
		if err != nil {
			panic(fmt.Sprintf("lexical: analyzer %q is compiled in and must exist: %v", name, err))
		}
		built[lang] = a
	}
	return built
})

// languageOf reduces a BCP 47 tag to one that has an analyzer: "de-AT" is "de".
func languageOf(tag string) string {
	base, _, _ := strings.Cut(strings.ToLower(tag), "-")
	if _, ok := analyzerNames[base]; ok {
		return base
	}
	return other
}

// Terms returns the search terms of a text in the order they stand, marked with
// their language ("de:schraub"), so that one index can hold several languages
// and a word's rarity is counted within its own. Terms hold no white space.
func Terms(language, text string) []string {
	lang := languageOf(language)
	text = norm.NFC.String(text)
	if lang == "tr" {
		text = strings.ToLowerSpecial(unicode.TurkishCase, text) // I is not the capital of i
	}
	chatter := chatterOf[lang]
	var terms []string
	for _, token := range analyzers()[lang].Analyze([]byte(text)) {
		term := string(token.Term)
		if term == "" || chatter[term] {
			continue
		}
		terms = append(terms, lang+":"+term)
	}
	return terms
}

// chatter is what a customer says around the question, by language. A word that
// could be the question itself ("open", "cost", "return") must not be here.
var chatter = map[string]string{
	"en": `what where when which who whom whose why how can could would should shall will do does did
		i me my mine we us our you your he she his her they them their am are been being have has had having
		tell show say know find found finding get getting got look looking search searching need needs want wants like
		please thanks thank hello hi hey excuse sorry okay ok well um uh yes
		much many some any anything something somewhere anywhere there here about also just really
		one ones thing things stuff kind sort let let's i'm i'd i've you're it's that's what's where's
		give take go going come buy purchase sell selling carry stock new today tomorrow yesterday now`,
	"de": `was wo wann welche welcher welches welchen wer wen wem warum wieso wie woher wohin
		ich mir mich mein meine meinen wir uns unser unsere sie ihr ihre ihnen man du
		kann können könnte könnten könnt darf dürfen muss müssen soll sollte möchte möchten will wollen würde würden
		haben habt hat hätte hätten gibt gibt's gibts geben ist sind sein war wird werden
		sagen zeigen wissen finde finden findet suche suchen sucht brauche brauchen braucht bekomme bekommen kriege kriegen
		bitte danke hallo entschuldigung guten tag ja ähm äh okay mal denn eigentlich auch noch hier da dort
		viel viele etwas irgendwo irgendwas kaufen kauf führen verkaufen verkauft
		neu neue neuen neues heute morgen gestern jetzt`,
	"fr": `quoi où quand quel quelle quels quelles qui que pourquoi comment combien est-ce
		je me moi mon ma mes nous vous votre vos il elle ils elles on
		peux peut pouvez pourriez pourrais puis dois doit faut veux voudrais voulez aimerais
		ai as avez avons ont avoir y a-t-il est sont être
		dire montrer savoir trouver trouve trouvez cherche cherchez chercher besoin acheter vendez vends
		bonjour merci s'il plaît svp excusez oui euh ici là aussi quelque chose
		aujourd'hui demain hier maintenant`,
	"tr": `ne nerede nereden nereye neresi hangi hangisi kim neden niye nasıl kaç
		ben bana benim biz bize bizim siz size sizin var mı mi mu mü yok
		bulabilirim bulurum bulabilir arıyorum arıyoruz istiyorum lazım gerek almak alabilirim satıyor musunuz
		söyler misiniz lütfen teşekkürler merhaba pardon evet burada orada acaba
		bugün yarın dün şimdi`,
}

// chatterOf holds the same words as the analyzers leave them.
var chatterOf = func() map[string]map[string]bool {
	sets := make(map[string]map[string]bool, len(chatter))
	for lang, words := range chatter {
		sets[lang] = make(map[string]bool)
		for _, token := range analyzers()[lang].Analyze([]byte(words)) {
			sets[lang][string(token.Term)] = true
		}
	}
	return sets
}()

// minPart is the shortest piece of a compound word that is looked for, in
// letters: shorter ones ("bau", "hand" cut to "han") match nearly everything.
const minPart = 4

// Parts returns the beginnings and ends of German terms, by which compounds find
// each other: "Wandfarbe" is found by "Farbe" and "Schlüsseldienst" by
// "Schlüssel". Terms of other languages have none.
func Parts(terms []string) []string {
	seen := make(map[string]bool)
	var parts []string
	add := func(p string) {
		if !seen[p] {
			seen[p] = true
			parts = append(parts, p)
		}
	}
	for _, term := range terms {
		word, german := strings.CutPrefix(term, "de:")
		if !german {
			continue
		}
		letters := []rune(word)
		for n := minPart; n <= len(letters); n++ {
			add("de:" + string(letters[:n]))
			add("de:" + string(letters[len(letters)-n:]))
		}
	}
	return parts
}

// A Question is a query's terms with their weights, by language. A passage is
// held against the terms of its own language.
type Question struct {
	terms   map[string][]string // language → terms, each once
	weights map[string]float64
}

// Ask analyses a query. With a language, only passages of that language can
// match; without, the query is read in every language there is an analyzer for.
func Ask(language, query string) *Question {
	q := &Question{terms: make(map[string][]string), weights: make(map[string]float64)}
	languages := []string{language}
	if language == "" {
		languages = []string{other}
		for lang := range analyzerNames {
			languages = append(languages, lang)
		}
		slices.Sort(languages)
	}
	for _, lang := range languages {
		terms := Terms(lang, query)
		slices.Sort(terms)
		if terms = slices.Compact(terms); len(terms) > 0 {
			q.terms[languageOf(lang)] = terms
		}
	}
	return q
}

// Empty says that the query holds nothing to search for: it is blank, or chatter.
func (q *Question) Empty() bool { return len(q.terms) == 0 }

// Terms returns all terms, each once.
func (q *Question) Terms() []string {
	var all []string
	for _, terms := range q.terms {
		all = append(all, terms...)
	}
	slices.Sort(all)
	return all
}

// Weigh sets the weight of each term from how many of the collection's passages
// hold it. A rare word says more than a common one (the inverse document
// frequency of BM25); a word that no passage holds weighs as much as one that a
// single passage holds, so that a question about something else scores low.
func (q *Question) Weigh(passages int, holding map[string]int) {
	for _, term := range q.Terms() {
		q.weights[term] = idf(passages, max(1, holding[term]))
	}
}

func idf(passages, holding int) float64 {
	n, df := float64(max(passages, holding)), float64(holding)
	return math.Log(1 + (n-df+0.5)/(df+0.5))
}

// What a match is worth. A word in the title or tags says what the passage is
// about; one in the text may be an aside. A part of a compound is weaker still.
const (
	inTitle  = 1.0
	inText   = 0.85
	inParts  = 0.8 // times the value of the place
	minAlike = 0.5 // of the longer word, or two words of a compound have nothing in common
)

// Score is the share of the question that the passage covers, 0 to 1: the
// weights of the terms it holds over the weights of all. title and text are the
// passage's terms; Weigh must have been called.
//
// It depends on the question and the passage alone, not on what else was found,
// so that a flow can branch on it: a passage that answers usually scores above
// 0.5, and a question about something else stays below 0.35.
func (q *Question) Score(language string, title, text []string) float64 {
	terms := q.terms[languageOf(language)]
	var total, covered float64
	for _, term := range terms {
		w := q.weights[term]
		total += w
		covered += w * max(inTitle*match(term, title), inText*match(term, text))
	}
	if total == 0 {
		return 0
	}
	return covered / total
}

// Mentions counts how often a passage speaks of what the question asks, each
// word by its weight. It ranks passages of the same score: the one that is about
// the thing before the one that lists it, such as a row of a price list.
func (q *Question) Mentions(language string, text []string) float64 {
	var sum float64
	for _, term := range q.terms[languageOf(language)] {
		for _, t := range text {
			if t == term {
				sum += q.weights[term]
			}
		}
	}
	return sum
}

// match says how alike a term and the best of a passage's terms are, 0 to 1.
func match(term string, in []string) float64 {
	if slices.Contains(in, term) {
		return 1
	}
	word, german := strings.CutPrefix(term, "de:")
	if !german || utf8.RuneCountInString(word) < minPart {
		return 0
	}
	var best float64
	for _, t := range in {
		if w, ok := strings.CutPrefix(t, "de:"); ok {
			best = max(best, alike(word, w))
		}
	}
	return inParts * best
}

// alike compares two German words by what they share at both ends: 1 when one
// is the beginning or the end of the other ("Farbe", "Wandfarbe"), the shared
// part of the longer one when they are compounds of like words ("Akkuschrauber",
// "Akkubohrschrauber"), and 0 when they share too little.
func alike(a, b string) float64 {
	x, y := []rune(a), []rune(b)
	if len(x) > len(y) {
		x, y = y, x
	}
	var front, back int
	for front < len(x) && x[front] == y[front] {
		front++
	}
	for back < len(x)-front && x[len(x)-1-back] == y[len(y)-1-back] {
		back++
	}
	switch {
	case len(x) >= minPart && (front == len(x) || strings.HasSuffix(string(y), string(x))):
		return 1
	case max(front, back) < minPart:
		return 0
	}
	if share := float64(front+back) / float64(len(y)); share >= minAlike {
		return share
	}
	return 0
}
