package llm

import (
	"cmp"
	"context"
	"errors"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/analysis/lang/de"
	"github.com/blevesearch/bleve/v2/analysis/lang/en"
	"github.com/blevesearch/bleve/v2/analysis/lang/fr"
	"github.com/blevesearch/bleve/v2/analysis/lang/tr"
	"github.com/blevesearch/bleve/v2/registry"
	"golang.org/x/text/language"

	"github.com/praesenz/parley/activities"
)

// An extractive answerer is the fallback where there is no model: it quotes the
// one or two sentences of the passages that answer the question and says nothing
// of its own. It takes a sentence that shares the question's words, weighed by
// how rare they are among the passages, and prefers one with a price for "how
// much", with a place for "where", and so on.
type extractive struct {
	analyzers map[string]analysis.Analyzer // by ISO 639-1 code
}

// Limits of an answer: what a standing customer keeps in mind.
const (
	maxSentences = 2
	maxWords     = 45
)

// enough is the share of the question's words, weighed, that a sentence and its
// title must hold to be an answer.
const enough = 0.4

// What a word is worth that stands not in the sentence but in its passage's
// title, and one that is only a part of a German compound.
const (
	inTitle    = 0.6
	inCompound = 0.8
)

func newExtractive() extractive {
	e := extractive{analyzers: map[string]analysis.Analyzer{}}
	cache := registry.NewCache()
	for code, name := range map[string]string{"en": en.AnalyzerName, "de": de.AnalyzerName, "fr": fr.AnalyzerName, "tr": tr.AnalyzerName} {
		a, err := cache.AnalyzerNamed(name)
		if err != nil {
			panic(err) // the imports above register them
		}
		e.analyzers[code] = a
	}
	return e
}

// Name implements Model.
func (extractive) Name() string { return Extractive }

// Answer implements Model. It answers grounded questions only, whatever the flow
// asks for, because it can do nothing else.
func (e extractive) Answer(ctx context.Context, q Question, emit func(string) error) error {
	if len(q.Schema) > 0 {
		return activities.Permanent(activities.KindUnable, errors.New("there is no language model, only one that quotes; set llm.kind"))
	}
	quoted := e.quote(q)
	if len(quoted) == 0 {
		return activities.Permanent(activities.KindUngrounded, errors.New("no sentence of the passages answers the question"))
	}
	rest, _ := strings.CutPrefix(strings.Join(quoted, " "), q.Begun)
	return emit(rest)
}

// Continues implements Model.
func (extractive) Continues(context.Context) bool { return true }

// An asking is a kind of question that can be told by its words, and the kind of
// sentence that answers it. (A regexp's \b knows ASCII letters only, so words
// that begin or end with another letter stand outside it.)
type asking struct {
	question *regexp.Regexp
	answer   *regexp.Regexp
}

var (
	asksPlace = asking{
		regexp.MustCompile(`(?i)\b(where|which (aisle|floor|shelf|bay)|wo|welche[mnrs]? (gang|regal|etage|stock)|nerede)\b|où`),
		regexp.MustCompile(`(?i)\b(aisle|bay|shelf|floor|level|counter|desk|next to|entrance|outside|behind|gang|regal|etage|neben|eingang|hinter|theke|schalter|rayon|allée|koridor|reyon)\b`),
	}
	asksPrice = asking{
		regexp.MustCompile(`(?i)\b(how much|price|prices|costs?|expensive|cheap|wie ?viel|kostet|kosten|preise?|teuer|combien|prix|kaça|fiyatı?|ne kadar)\b`),
		regexp.MustCompile(`(?i)[€$£]|\b(euros?|cents?|free|kostenlos|gratis|dollars?|gratuit|lira)\b`),
	}
	asksTime = asking{
		regexp.MustCompile(`(?i)\b(when|what time|hours|opening|open|opens|closed?|closes|how long|how late|wann|uhrzeit|geöffnet|geschlossen|offen|wie lange|quand|horaires|ne zaman|saat)\b|öffn`),
		regexp.MustCompile(`(?i)\b\d{1,2}([:.]\d{2})? ?(am|pm|a\.m\.|p\.m\.|o'clock|uhr|heures|h)\b|\b(open|opens|closed?|closes|geöffnet|geschlossen|schließt|days?|weeks?|hours?|tage?n?|wochen?|stunden?|ouvert|açık)\b|öffnet|fermé|kapalı`),
	}
	asksStock = asking{
		regexp.MustCompile(`(?i)\b(do you (have|sell|carry|stock)|in stock|available|haben sie|habt ihr|gibt es|führen sie|vorrätig|avez-vous)\b|var mı`),
		regexp.MustCompile(`(?i)\b(in stock|available|we (have|sell|carry)|sold out|vorrätig|erhältlich|auf lager|wir (haben|führen|verkaufen)|en stock|stokta)\b`),
	}
	askings = []asking{asksPlace, asksPrice, asksTime, asksStock}
)

// A sentence that starts so speaks of something named in the one before.
var leaning = regexp.MustCompile(`(?i)^(it|its|they|their|these|this|that|both|es|er|diese[rsn]?|beide|dort|there)\b`)

// generic words of a question say how it is asked, not what about.
var generic = map[string][]string{
	"en": {"find", "have", "sell", "buy", "get", "need", "look", "looking", "want", "cost", "costs", "price", "much", "many", "open", "opening", "close", "closed", "closes", "hours", "time", "tell", "please", "show", "know", "can", "could", "would", "like", "help", "me", "my", "i", "you", "your", "where", "when", "what", "how", "which", "who", "store", "shop", "today", "hello", "hi", "thanks", "any", "some", "locate", "located", "carry", "stock", "available", "aisle", "does", "do", "long", "there"},
	"de": {"finde", "finden", "findet", "habt", "haben", "hätte", "gern", "gerne", "verkaufen", "kaufen", "brauche", "suche", "möchte", "will", "kostet", "kosten", "preis", "viel", "wieviel", "teuer", "geöffnet", "geschlossen", "offen", "öffnen", "schließen", "öffnungszeiten", "uhr", "sagen", "bitte", "zeigen", "wissen", "kann", "können", "könnten", "wo", "wann", "was", "wie", "wer", "welche", "welchem", "laden", "markt", "heute", "hallo", "danke", "gibt", "führen", "vorrätig", "gang", "liegt", "liegen", "steht", "stehen", "lange", "ich", "sie", "ihr", "mir", "mich"},
}

// A candidate is one sentence of a passage.
type candidate struct {
	passage, at int // which passage, which sentence of it
	text        string
	coverage    float64 // of the question's words, 0..1
	score       float64
}

// quote returns the sentences that answer, or none.
func (e extractive) quote(q Question) []string {
	code := baseLanguage(q.Language)
	var asked []asking
	for _, a := range askings {
		if a.question.MatchString(q.Text) {
			asked = append(asked, a)
		}
	}
	passages := inLanguage(q.Passages, code)
	wanted := e.terms(code, without(q.Text, generic[code]))
	if len(wanted) == 0 && len(asked) == 0 {
		return nil
	}

	// One document a sentence, so that what every sentence has weighs little.
	var split [][]string
	var documents []map[string]bool
	for _, p := range passages {
		ss := prose(p.Text)
		split = append(split, ss)
		for _, s := range ss {
			documents = append(documents, set(e.terms(code, s)))
		}
	}
	weight := map[string]float64{}
	total := 0.0
	for _, w := range wanted {
		n := 0.0
		for _, d := range documents {
			if d[w] {
				n++
			}
		}
		weight[w] = math.Log(1 + (float64(len(documents))-n+0.5)/(n+0.5))
		total += weight[w]
	}

	var all []candidate
	i := 0
	for pi, p := range passages {
		title := set(e.terms(code, p.Title+" "+p.Fields["tags"]))
		for si, s := range split[pi] {
			words := documents[i]
			i++
			c := candidate{passage: pi, at: si, text: s}
			for _, w := range wanted {
				c.coverage += weight[w] * max(match(words, w, code), inTitle*match(title, w, code))
			}
			if total > 0 {
				c.coverage /= total
			}
			// The search's own order decides between equals.
			c.score = c.coverage + 0.05*p.Score - 0.01*float64(pi) - 0.001*float64(si)
			if answers(asked, s) {
				c.score += 0.5
				if total == 0 {
					c.coverage = enough
				}
			}
			if c.coverage >= enough {
				all = append(all, c)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(b.score, a.score) })
	return compose(all, split, asked)
}

// compose makes the answer of the best candidate and, when there is room, what
// it leans on or one more sentence of the same passage.
func compose(all []candidate, split [][]string, asked []asking) []string {
	best := all[0]
	chosen := []int{best.at}
	words := len(strings.Fields(best.text))
	add := func(at int) {
		text := split[best.passage][at]
		if n := len(strings.Fields(text)); len(chosen) < maxSentences && words+n <= maxWords && !slices.Contains(chosen, at) {
			chosen = append(chosen, at)
			words += n
		}
	}
	if best.at > 0 && leaning.MatchString(best.text) {
		add(best.at - 1)
	}
	for _, c := range all[1:] {
		if c.passage != best.passage || c.coverage < 0.75*best.coverage {
			continue
		}
		// More of what was asked for; and who asks whether there is one wants to
		// know where.
		if len(asked) == 0 || answers(asked, c.text) || slices.Contains(asked, asksStock) && asksPlace.answer.MatchString(c.text) {
			add(c.at)
		}
	}
	slices.Sort(chosen)
	var text []string
	for _, at := range chosen {
		text = append(text, closed(split[best.passage][at]))
	}
	return text
}

// answers reports whether the sentence is of a kind that was asked for.
func answers(asked []asking, sentence string) bool {
	return slices.ContainsFunc(asked, func(a asking) bool { return a.answer.MatchString(sentence) })
}

// terms are the stems of a text's words, without stop words.
func (e extractive) terms(code, text string) []string {
	a, ok := e.analyzers[code]
	if !ok {
		a = e.analyzers["en"]
	}
	var terms []string
	for _, token := range a.Analyze([]byte(strings.ReplaceAll(text, "-", " "))) {
		if t := string(token.Term); !slices.Contains(terms, t) {
			terms = append(terms, t)
		}
	}
	return terms
}

// match is 1 when the word is there, less when it is a part of a German
// compound ("schrauben" in "holzschrauben").
func match(words map[string]bool, w, code string) float64 {
	if words[w] {
		return 1
	}
	if code != "de" || len(w) < 5 {
		return 0
	}
	for have := range words {
		if len(have) >= 5 && (strings.HasSuffix(have, w) || strings.HasSuffix(w, have) || strings.HasPrefix(have, w)) {
			return inCompound
		}
	}
	return 0
}

// inLanguage keeps the passages in the question's language, or all when none
// says that it is.
func inLanguage(passages []activities.Passage, code string) []activities.Passage {
	var same []activities.Passage
	for _, p := range passages {
		if baseLanguage(p.Fields["lang"]) == code {
			same = append(same, p)
		}
	}
	if len(same) == 0 {
		return passages
	}
	return same
}

// prose is a passage's sentences as they can be spoken: no headings, and the
// marks of Markdown left to the filter that every answer goes through.
func prose(text string) []string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			b.WriteString(line)
		}
	}
	return sentences(b.String())
}

// closed ends a list's item as a sentence.
func closed(s string) string {
	if strings.HasSuffix(s, ".") || strings.HasSuffix(s, "!") || strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}

func without(text string, words []string) string {
	kept := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return strings.ContainsRune(" \t\n.,;:!?\"'’", r) })
	kept = slices.DeleteFunc(kept, func(w string) bool { return slices.Contains(words, w) })
	return strings.Join(kept, " ")
}

func set(words []string) map[string]bool {
	m := make(map[string]bool, len(words))
	for _, w := range words {
		m[w] = true
	}
	return m
}

// baseLanguage is the ISO 639-1 code of a BCP 47 tag; "" when it has none.
func baseLanguage(tag string) string {
	t, err := language.Parse(tag)
	if err != nil {
		return ""
	}
	base, _ := t.Base()
	return base.String()
}
