package embedded

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/analysis/analyzer/custom"
	"github.com/blevesearch/bleve/v2/analysis/tokenizer/whitespace"
	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/query"
	index "github.com/blevesearch/bleve_index_api"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/retrieval"
	"github.com/praesenz/parley/activities/retrieval/document"
	"github.com/praesenz/parley/activities/retrieval/lexical"
)

// A collection is one bleve index and one chromem database.
type collection struct {
	manifest atomic.Pointer[manifest]
	writing  sync.Mutex // one Put or Remove at a time
	vectors  *vectors

	open   sync.RWMutex // held for reading while words is in use
	words  bleve.Index
	closed bool
}

// The fields of a passage in bleve.
const (
	fieldSource = "source"
	fieldFirst  = "first"  // "yes" for a document's first passage, which stands for it in lists
	fieldFilter = "filter" // "name=value" for each of the passage's fields
	fieldTitle  = "title"  // terms
	fieldText   = "text"   // terms, the title's as well
	fieldParts  = "parts"  // of German compounds
	fieldRecord = "record" // JSON, stored only
)

// termsAnalyzer takes terms as lexical made them.
const termsAnalyzer = "terms"

func newMapping() (mapping.IndexMapping, error) {
	m := bleve.NewIndexMapping()
	m.ScoringModel = index.BM25Scoring
	err := m.AddCustomAnalyzer(termsAnalyzer, map[string]any{"type": custom.Name, "tokenizer": whitespace.Name})
	if err != nil {
		return nil, err
	}
	passage := bleve.NewDocumentStaticMapping()
	for _, name := range []string{fieldSource, fieldFirst, fieldFilter} {
		f := bleve.NewKeywordFieldMapping()
		f.Store, f.DocValues, f.IncludeInAll = false, false, false
		passage.AddFieldMappingsAt(name, f)
	}
	for _, name := range []string{fieldTitle, fieldText, fieldParts} {
		f := bleve.NewTextFieldMapping()
		f.Analyzer = termsAnalyzer
		f.Store = name != fieldParts
		f.DocValues, f.IncludeInAll, f.IncludeTermVectors = false, false, false
		passage.AddFieldMappingsAt(name, f)
	}
	record := bleve.NewTextFieldMapping()
	record.Index, record.DocValues, record.IncludeInAll = false, false, false
	passage.AddFieldMappingsAt(fieldRecord, record)
	m.DefaultMapping = passage
	return m, nil
}

// openCollection opens a collection's folder or makes it; without a folder the
// collection is in memory.
func openCollection(folder string, m manifest) (*collection, error) {
	words, err := openWords(folder)
	if err != nil {
		return nil, err
	}
	v, err := openVectors(folder)
	if err != nil {
		return nil, errors.Join(err, words.Close())
	}
	c := &collection{words: words, vectors: v}
	c.manifest.Store(&m)
	return c, nil
}

func openWords(folder string) (bleve.Index, error) {
	m, err := newMapping()
	if err != nil {
		return nil, fmt.Errorf("describe passages: %w", err)
	}
	if folder == "" {
		return bleve.NewMemOnly(m)
	}
	path := filepath.Join(folder, "words")
	words, err := bleve.Open(path)
	if errors.Is(err, bleve.ErrorIndexPathDoesNotExist) {
		return bleve.New(path, m)
	}
	return words, err
}

func (c *collection) embeddedBy() manifest { return *c.manifest.Load() }

// use keeps the collection open until done is called; false when it is closed.
func (c *collection) use() (done func(), ok bool) {
	c.open.RLock()
	if c.closed {
		c.open.RUnlock()
		return nil, false
	}
	return c.open.RUnlock, true
}

func (c *collection) close() error {
	c.open.Lock()
	defer c.open.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	return c.words.Close()
}

var errDropped = errors.New("the collection was dropped meanwhile")

// replace writes the records in place of everything the sources had. The words
// are one batch, so a search sees all of it or nothing; vectors go in before
// and old ones out after, and a vector without its words is not found.
func (c *collection) replace(ctx context.Context, sources []string, records []retrieval.Record, vectors [][]float32) error {
	done, ok := c.use()
	if !ok {
		return errDropped
	}
	defer done()
	c.writing.Lock()
	defer c.writing.Unlock()

	batch := c.words.NewBatch()
	var gone []string
	for _, source := range sources {
		ids, err := c.passagesOf(ctx, source)
		if err != nil {
			return err
		}
		gone = append(gone, ids...)
	}
	for _, id := range gone {
		batch.Delete(id)
	}
	for _, r := range records {
		entry, err := wordsOf(r)
		if err != nil {
			return err
		}
		if err := batch.Index(r.Passage.ID, entry); err != nil {
			return fmt.Errorf("index a passage of %s: %w", r.Source.Source, err)
		}
		gone = slices.DeleteFunc(gone, func(id string) bool { return id == r.Passage.ID && vectors != nil })
	}
	if vectors != nil {
		if err := c.vectors.add(ctx, records, vectors); err != nil {
			return err
		}
	}
	if err := c.words.Batch(batch); err != nil {
		return fmt.Errorf("write passages: %w", err)
	}
	return c.vectors.remove(ctx, gone)
}

func (c *collection) remove(ctx context.Context, source string) (int, error) {
	done, ok := c.use()
	if !ok {
		return 0, nil
	}
	defer done()
	c.writing.Lock()
	defer c.writing.Unlock()

	ids, err := c.passagesOf(ctx, source)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	batch := c.words.NewBatch()
	for _, id := range ids {
		batch.Delete(id)
	}
	if err := c.words.Batch(batch); err != nil {
		return 0, fmt.Errorf("remove %s: %w", source, err)
	}
	return len(ids), c.vectors.remove(ctx, ids)
}

func wordsOf(r retrieval.Record) (map[string]any, error) {
	record, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	title, text := r.Words()
	filter := make([]string, 0, len(r.Passage.Fields))
	for name, value := range r.Passage.Fields {
		filter = append(filter, name+"="+value)
	}
	first := ""
	if r.Ordinal == 0 {
		first = "yes"
	}
	return map[string]any{
		fieldSource: r.Source.Source, fieldFirst: first, fieldFilter: filter,
		fieldTitle: strings.Join(title, " "), fieldText: strings.Join(text, " "),
		fieldParts: strings.Join(lexical.Parts(text), " "), fieldRecord: string(record),
	}, nil
}

func keyword(field, value string) query.Query {
	q := bleve.NewTermQuery(value)
	q.SetField(field)
	return q
}

// page is how many passages are read at a time when all are wanted.
const page = 1000

// each calls f for every passage that matches, in the order of their ids.
func (c *collection) each(ctx context.Context, q query.Query, fields []string, f func(*search.DocumentMatch) error) error {
	req := bleve.NewSearchRequestOptions(q, page, 0, false)
	req.Fields = fields
	req.SortBy([]string{"_id"})
	for {
		res, err := c.words.SearchInContext(ctx, req)
		if err != nil {
			return fmt.Errorf("list passages: %w", err)
		}
		for _, hit := range res.Hits {
			if err := f(hit); err != nil {
				return err
			}
		}
		if len(res.Hits) < page {
			return nil
		}
		req.SearchAfter = []string{res.Hits[len(res.Hits)-1].ID}
	}
}

func (c *collection) passagesOf(ctx context.Context, source string) ([]string, error) {
	var ids []string
	err := c.each(ctx, keyword(fieldSource, source), nil, func(hit *search.DocumentMatch) error {
		ids = append(ids, hit.ID)
		return nil
	})
	return ids, err
}

func (c *collection) records(ctx context.Context, q query.Query) ([]retrieval.Record, error) {
	done, ok := c.use()
	if !ok {
		return nil, nil
	}
	defer done()
	var records []retrieval.Record
	err := c.each(ctx, q, []string{fieldRecord}, func(hit *search.DocumentMatch) error {
		r, err := recordOf(hit)
		records = append(records, r)
		return err
	})
	return records, err
}

func recordOf(hit *search.DocumentMatch) (retrieval.Record, error) {
	var r retrieval.Record
	stored, _ := hit.Fields[fieldRecord].(string)
	if err := json.Unmarshal([]byte(stored), &r); err != nil {
		return r, fmt.Errorf("passage %s is damaged: %w", hit.ID, err)
	}
	return r, nil
}

func (c *collection) sources(ctx context.Context) ([]retrieval.Source, error) {
	records, err := c.records(ctx, keyword(fieldFirst, "yes"))
	if err != nil {
		return nil, err
	}
	sources := make([]retrieval.Source, len(records))
	for i, r := range records {
		sources[i] = r.Source
	}
	retrieval.SortSources(sources)
	return sources, nil
}

func (c *collection) documents(ctx context.Context) ([]document.Document, error) {
	records, err := c.records(ctx, bleve.NewMatchAllQuery())
	if err != nil {
		return nil, err
	}
	return retrieval.Assemble(records), nil
}

// A request is a query, analysed.
type request struct {
	retrieval.Query
	question *lexical.Question
	vector   []float32 // nil: words only
}

func newRequest(q retrieval.Query) request {
	return request{Query: q, question: lexical.Ask(q.Filter[document.FieldLanguage], q.Text)}
}

// A found passage.
type found struct {
	passage  activities.Passage
	words    float64 // share of the question it covers
	mentions float64 // decides where words is the same
	near     float64 // closeness in meaning
}

// candidates is how many passages each way of searching contributes at most.
const candidates = 2 * retrieval.MaxTopK

func (c *collection) search(ctx context.Context, ask request) ([]activities.Passage, error) {
	done, ok := c.use()
	if !ok {
		return nil, nil
	}
	defer done()
	if err := c.weigh(ctx, ask.question); err != nil {
		return nil, err
	}
	byWords, err := c.find(ctx, ask, wordsQuery(ask.question))
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(byWords, func(a, b *found) int {
		return cmp.Or(cmp.Compare(b.words, a.words), cmp.Compare(b.mentions, a.mentions), strings.Compare(a.passage.ID, b.passage.ID))
	})
	rankings := [][]string{idsOf(byWords)}
	all := make(map[string]*found)
	for _, f := range byWords {
		all[f.passage.ID] = f
	}
	if ask.vector != nil {
		ranking, err := c.findByMeaning(ctx, ask, all)
		if err != nil {
			return nil, err
		}
		rankings = append(rankings, ranking)
	}
	var passages []activities.Passage
	for _, id := range retrieval.Fuse(rankings...) {
		f := all[id]
		p := f.passage
		p.Score = max(f.words, f.near)
		if p.Score > 0 && p.Score >= ask.MinScore {
			passages = append(passages, p)
		}
	}
	return passages[:min(len(passages), ask.TopK)], nil
}

func idsOf(fs []*found) []string {
	ids := make([]string, len(fs))
	for i, f := range fs {
		ids[i] = f.passage.ID
	}
	return ids
}

// findByMeaning ranks passages by their vectors and adds those that were not
// found by their words to all.
func (c *collection) findByMeaning(ctx context.Context, ask request, all map[string]*found) ([]string, error) {
	near, err := c.vectors.nearest(ctx, ask.vector, ask.Filter, candidates)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, n := range near {
		if all[n.ID] == nil {
			missing = append(missing, n.ID)
		}
	}
	if len(missing) > 0 {
		more, err := c.find(ctx, ask, bleve.NewDocIDQuery(missing))
		if err != nil {
			return nil, err
		}
		for _, f := range more {
			all[f.passage.ID] = f
		}
	}
	var ranking []string
	for _, n := range near {
		if f := all[n.ID]; f != nil { // else it was removed a moment ago
			f.near = retrieval.Closeness(float64(n.Similarity))
			ranking = append(ranking, n.ID)
		}
	}
	return ranking, nil
}

// weigh counts how many passages hold each of the question's terms.
func (c *collection) weigh(ctx context.Context, q *lexical.Question) error {
	advanced, err := c.words.Advanced()
	if err != nil {
		return fmt.Errorf("count words: %w", err)
	}
	reader, err := advanced.Reader()
	if err != nil {
		return fmt.Errorf("count words: %w", err)
	}
	defer reader.Close()
	total, err := reader.DocCount()
	if err != nil {
		return fmt.Errorf("count passages: %w", err)
	}
	holding := make(map[string]int)
	for _, term := range q.Terms() {
		postings, err := reader.TermFieldReader(ctx, []byte(term), fieldText, false, false, false)
		if err != nil {
			return fmt.Errorf("count words: %w", err)
		}
		holding[term] = int(postings.Count())
		if err := postings.Close(); err != nil {
			return fmt.Errorf("count words: %w", err)
		}
	}
	q.Weigh(int(total), holding)
	return nil
}

// What a term is worth by where it stands, for choosing candidates; the score
// decides among them.
const (
	titleBoost = 2.0
	partBoost  = 0.1
)

func wordsQuery(q *lexical.Question) query.Query {
	either := bleve.NewDisjunctionQuery()
	add := func(field string, boost float64, terms []string) {
		for _, term := range terms {
			t := bleve.NewTermQuery(term)
			t.SetField(field)
			t.SetBoost(boost)
			either.AddQuery(t)
		}
	}
	add(fieldText, 1, q.Terms())
	add(fieldTitle, titleBoost, q.Terms())
	add(fieldParts, partBoost, lexical.Parts(q.Terms()))
	return either
}

// find runs a query under the request's filter and scores what it finds.
func (c *collection) find(ctx context.Context, ask request, q query.Query) ([]*found, error) {
	if len(ask.Filter) > 0 {
		filtered := bleve.NewBooleanQuery()
		filtered.AddMust(q)
		var filters []query.Query
		for name, value := range ask.Filter {
			filters = append(filters, keyword(fieldFilter, name+"="+value))
		}
		filtered.AddFilter(bleve.NewConjunctionQuery(filters...))
		q = filtered
	}
	req := bleve.NewSearchRequestOptions(q, candidates, 0, false)
	req.Fields = []string{fieldTitle, fieldText, fieldRecord}
	res, err := c.words.SearchInContext(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("search by words: %w", err)
	}
	all := make([]*found, len(res.Hits))
	for i, hit := range res.Hits {
		r, err := recordOf(hit)
		if err != nil {
			return nil, err
		}
		title, _ := hit.Fields[fieldTitle].(string)
		text, _ := hit.Fields[fieldText].(string)
		terms := strings.Fields(text)
		all[i] = &found{
			passage:  r.Passage,
			words:    ask.question.Score(r.Source.Language, strings.Fields(title), terms),
			mentions: ask.question.Mentions(r.Source.Language, terms),
		}
	}
	return all, nil
}
