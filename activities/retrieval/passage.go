package retrieval

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/retrieval/document"
	"github.com/praesenz/parley/activities/retrieval/lexical"
)

// A Record is what an index stores for a passage, besides what it searches by.
type Record struct {
	Passage activities.Passage `json:"passage"` // Score is 0
	Ordinal int                `json:"ordinal"` // place in the document
	Tags    []string           `json:"tags,omitempty"`
	Source  Source             `json:"source"` // the document it is of
}

// Records returns what to store for a document, in the passages' order. model is
// what embedded them, or empty.
func Records(doc document.Document, model string) []Record {
	source := Source{
		Source: doc.Source, Title: doc.Title, Language: doc.Language, Origin: doc.Origin,
		Hash: doc.Hash, Model: model, Passages: len(doc.Passages),
	}
	records := make([]Record, len(doc.Passages))
	for i, p := range doc.Passages {
		records[i] = Record{
			Passage: activities.Passage{ID: p.ID, Source: doc.Source, Title: p.Title, Text: p.Text, Fields: p.Fields},
			Ordinal: i, Tags: doc.Tags, Source: source,
		}
	}
	return records
}

// Assemble makes documents of records again, sorted by source.
func Assemble(records []Record) []document.Document {
	slices.SortFunc(records, func(a, b Record) int {
		return cmp.Or(strings.Compare(a.Source.Source, b.Source.Source), a.Ordinal-b.Ordinal)
	})
	var docs []document.Document
	for _, r := range records {
		if len(docs) == 0 || docs[len(docs)-1].Source != r.Source.Source {
			docs = append(docs, document.Document{
				Source: r.Source.Source, Title: r.Source.Title, Language: r.Source.Language,
				Tags: r.Tags, Hash: r.Source.Hash, Origin: r.Source.Origin,
			})
		}
		doc := &docs[len(docs)-1]
		doc.Passages = append(doc.Passages, document.Passage{
			ID: r.Passage.ID, Title: r.Passage.Title, Text: r.Passage.Text, Fields: r.Passage.Fields,
		})
	}
	return docs
}

// Words returns the terms a passage is found by: those of its title and tags,
// and those of all of it, with its fields' names and values, because a passage
// that has a price answers a question about the price.
func (r Record) Words() (title, text []string) {
	language := r.Source.Language
	title = lexical.Terms(language, r.Passage.Title+" "+strings.Join(r.Tags, " "))
	text = slices.Clone(title)
	for _, name := range slices.Sorted(maps.Keys(r.Passage.Fields)) {
		if name != document.FieldLanguage && name != document.FieldTags {
			text = append(text, lexical.Terms(language, strings.ReplaceAll(name, "_", " ")+" "+r.Passage.Fields[name])...)
		}
	}
	return title, append(text, lexical.Terms(language, r.Passage.Text)...)
}

// Meaning returns the text whose embedding stands for the passage.
func (r Record) Meaning() string { return r.Passage.Title + "\n" + r.Passage.Text }

// rrfConstant is the k of reciprocal rank fusion: Cormack, Clarke and Büttcher
// (2009) found 60 and few have found better.
const rrfConstant = 60

// Fuse merges rankings by reciprocal rank fusion, best first. Where two are
// equal the one that an earlier ranking has first goes first.
func Fuse(rankings ...[]string) []string {
	weight := make(map[string]float64)
	var ids []string
	for _, ranking := range rankings {
		for i, id := range ranking {
			if _, seen := weight[id]; !seen {
				ids = append(ids, id)
			}
			weight[id] += 1 / float64(rrfConstant+i+1)
		}
	}
	slices.SortStableFunc(ids, func(a, b string) int { return cmp.Compare(weight[b], weight[a]) })
	return ids
}

// SortSources puts a list of sources in the order of their names.
func SortSources(sources []Source) {
	slices.SortFunc(sources, func(a, b Source) int { return strings.Compare(a.Source, b.Source) })
}

// SortCollections puts a list of collections in the order of their names.
func SortCollections(collections []Collection) {
	slices.SortFunc(collections, func(a, b Collection) int { return strings.Compare(a.String(), b.String()) })
}
