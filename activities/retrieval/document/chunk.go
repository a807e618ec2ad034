package document

import (
	"maps"
	"slices"
	"strings"
)

// Passage lengths in words. About 120 words are what a spoken answer can be made
// of, and what embedding models see as one topic. A paragraph longer than
// longest is cut between sentences.
const (
	target  = 120
	longest = 180
)

// chunk makes passages of a document's blocks: paragraphs under the same heading
// go together until the target is reached, a table row stays alone.
func chunk(blocks []block, doc Document) []Passage {
	var passages []Passage
	emit := func(title, text string, own map[string]string) {
		fields := maps.Clone(doc.Fields)
		maps.Copy(fields, own)
		fields[FieldLanguage] = doc.Language // a column "lang" does not change the language of the text
		passages = append(passages, Passage{
			ID: passageID(doc.Source, len(passages)), Title: title, Text: text, Fields: fields,
		})
	}
	var headings []string
	var pending []string
	words := 0
	flush := func() {
		if len(pending) > 0 {
			emit(passageTitle(doc.Title, headings), strings.Join(pending, "\n"), nil)
			pending, words = nil, 0
		}
	}
	for _, b := range blocks {
		if b.fields != nil {
			flush()
			emit(b.title, b.text, b.fields)
			continue
		}
		if !slices.Equal(headings, b.headings) {
			flush()
			headings = b.headings
		}
		for _, piece := range split(b.text) {
			n := len(strings.Fields(piece))
			if words > 0 && words+n > target {
				flush()
			}
			pending = append(pending, piece)
			words += n
		}
	}
	flush()
	return passages
}

// passageTitle carries the document's title into each passage: "Returns: Without
// a receipt". A heading that only repeats the title is left out.
func passageTitle(title string, headings []string) string {
	parts := []string{title}
	for _, h := range headings {
		if h != "" && !strings.EqualFold(h, parts[len(parts)-1]) {
			parts = append(parts, h)
		}
	}
	return strings.Join(parts, ": ")
}

// split cuts a paragraph that is too long between sentences, and a sentence that
// is too long between words.
func split(text string) []string {
	words := strings.Fields(text)
	if len(words) <= longest {
		return []string{text}
	}
	var pieces []string
	for len(words) > longest {
		cut := target
		for i := target; i > target/2; i-- {
			if strings.ContainsAny(words[i-1][len(words[i-1])-1:], ".!?") {
				cut = i
				break
			}
		}
		pieces = append(pieces, strings.Join(words[:cut], " "))
		words = words[cut:]
	}
	return append(pieces, strings.Join(words, " "))
}
