// Package retrieval is the Retrieve activity and the contract of the knowledge
// collections that it searches. The collections themselves are kept by an Index:
// embedded (in a folder of this machine) or qdrant (a Qdrant server).
package retrieval

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/retrieval/document"
)

// A Collection is one body of knowledge of one store, what a flow calls an index.
type Collection struct {
	Store string
	Index string
}

func (c Collection) String() string { return c.Store + "/" + c.Index }

var collectionName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,62}$`)

// Validate says whether the collection's names can be used as folder and
// collection names everywhere.
func (c Collection) Validate() error {
	for _, part := range []struct{ what, name string }{{"store", c.Store}, {"index", c.Index}} {
		if !collectionName.MatchString(part.name) {
			return fmt.Errorf("%w: %s %q: write 1 to 63 letters, digits and dashes, and begin with a letter or a digit", ErrInvalid, part.what, part.name)
		}
	}
	return nil
}

// Limits of a search.
const (
	DefaultTopK = 5
	MaxTopK     = 50
	MaxQuery    = 2000 // bytes
)

// A Query is one search.
type Query struct {
	Text     string
	Filter   map[string]string // field → exact value; all must hold
	TopK     int               // at most so many passages; 1..MaxTopK, 0 means DefaultTopK
	MinScore float64           // 0..1; passages below it are left out
}

// Check returns the query with its defaults, or what is wrong with it.
func (q Query) Check() (Query, error) {
	if q.TopK == 0 {
		q.TopK = DefaultTopK
	}
	q.Text = strings.ToValidUTF8(q.Text, " ") // servers refuse anything else
	switch {
	case q.TopK < 0 || q.TopK > MaxTopK:
		return q, fmt.Errorf("%w: top_k is %d: write a number from 1 to %d", ErrInvalid, q.TopK, MaxTopK)
	case !(q.MinScore >= 0 && q.MinScore <= 1):
		return q, fmt.Errorf("%w: min_score is %v: write a number from 0 to 1", ErrInvalid, q.MinScore)
	case len(q.Text) > MaxQuery:
		return q, fmt.Errorf("%w: the query has %d bytes: keep it under %d", ErrInvalid, len(q.Text), MaxQuery)
	}
	return q, nil
}

// A Source is a document as an index remembers it.
type Source struct {
	Source   string `json:"source"`
	Title    string `json:"title"`
	Language string `json:"language"`
	Origin   string `json:"origin"`
	Hash     string `json:"hash"`
	Model    string `json:"model"` // that embedded it; empty: it is found by its words only
	Passages int    `json:"passages"`
}

// An Index keeps collections of passages and finds them again. All methods may
// be called at the same time, also for one collection; a search sees each passage
// as it was before a Put or as it is after, and never misses one that is in both.
//
// A collection comes into being with its first Put. One that does not exist is
// like an empty one: nothing is found and there is nothing to remove. Errors
// that another attempt would only repeat are ErrInvalid or a *ModelError;
// whatever else goes wrong may be better next time.
type Index interface {
	// Put stores documents, each in place of all that the collection held of the
	// same source. Putting a document twice is the same as putting it once. A
	// document without passages is removed. When an embedder is configured, the
	// passages are embedded before anything is changed.
	Put(ctx context.Context, c Collection, docs []document.Document) error

	// Remove forgets a source and says how many passages it had.
	Remove(ctx context.Context, c Collection, source string) (int, error)

	// Search returns the passages that answer the query best, best first. A
	// query that is blank or says nothing ("where can I find the …") finds
	// nothing. Text matches whatever its case and umlauts' spelling; a filter
	// matches a field's value exactly, and the filter "lang" chooses the
	// language in which the query is read as well.
	//
	// Score is 0..1 and depends on the query and the passage only: the larger of
	// the share of the question's words that the passage covers (rare words
	// count more; see lexical.Question.Score) and, with an embedder, the
	// passage's closeness in meaning (see Closeness). Passages found both by
	// words and by meaning are ordered by reciprocal rank fusion, so a later
	// passage can have a higher score than an earlier one.
	Search(ctx context.Context, c Collection, q Query) ([]activities.Passage, error)

	// Sources lists what the collection holds, by source.
	Sources(ctx context.Context, c Collection) ([]Source, error)

	// Documents returns all that the collection holds, by source, so that it can
	// be put anew.
	Documents(ctx context.Context, c Collection) ([]document.Document, error)

	// Collections lists the collections there are, by name.
	Collections(ctx context.Context) ([]Collection, error)

	// Drop forgets a collection and which model embedded it.
	Drop(ctx context.Context, c Collection) error

	// Model names the embedder's model; empty when there is no embedder.
	Model() string

	// Close releases what the index holds. No method may be called after it.
	Close() error
}

// An Embedder turns text into vectors whose cosine says how close two texts are
// in meaning. Errors are those of activities.Permanent and activities.Retryable.
type Embedder interface {
	// Model names what embeds, so that vectors of two models are never compared.
	Model() string
	// EmbedPassages returns one vector per text, in order, all of one length.
	EmbedPassages(ctx context.Context, texts []string) ([][]float32, error)
	// EmbedQuery returns the vector of a question.
	EmbedQuery(ctx context.Context, text string) ([]float32, error)
}

// ErrInvalid marks a request that is wrong in itself.
var ErrInvalid = errors.New("invalid request")

// A ModelError says that a collection was embedded by another model than the one
// configured now, so that their vectors cannot be compared.
type ModelError struct {
	Collection       Collection
	Have, Want       string // models
	HaveDim, WantDim int    // lengths of their vectors; 0 when not known
}

func (e *ModelError) Error() string {
	return fmt.Sprintf("collection %s was embedded by %s (%d dimensions), and the embedder is %s (%d dimensions): run parley kb rebuild --store %s --index %s, or configure the model it was built with",
		e.Collection, e.Have, e.HaveDim, e.Want, e.WantDim, e.Collection.Store, e.Collection.Index)
}

// unrelated is the cosine that embedding models for retrieval commonly give to
// two texts that have nothing to do with each other.
const unrelated = 0.5

// Embed gives the vectors of records, in their order, by what they mean.
func Embed(ctx context.Context, embedder Embedder, records []Record) ([][]float32, error) {
	texts := make([]string, len(records))
	for i, r := range records {
		texts[i] = r.Meaning()
	}
	vectors, err := embedder.EmbedPassages(ctx, texts)
	if err != nil {
		return nil, fmt.Errorf("embed %d passages: %w", len(texts), err)
	}
	return vectors, nil
}

// Closeness maps the cosine of two embeddings to a score, 0..1: texts that have
// nothing to do with each other are 0, the same text is 1. Models differ, so a
// store that relies on a threshold should look at its own scores with
// `parley kb search`.
func Closeness(cosine float64) float64 {
	return min(1, max(0, (cosine-unrelated)/(1-unrelated)))
}

// Rebuild puts all of a collection anew with the embedder that is configured now
// and says how many documents it has. The first document is put into a collection
// of its own before, so that nothing is dropped while the model's server is away.
func Rebuild(ctx context.Context, idx Index, c Collection) (documents int, err error) {
	docs, err := idx.Documents(ctx, c)
	if err != nil {
		return 0, fmt.Errorf("read collection %s: %w", c, err)
	}
	if len(docs) == 0 {
		return 0, idx.Drop(ctx, c)
	}
	trial := Collection{Store: c.Store, Index: "rebuild-trial"}
	err = idx.Put(ctx, trial, docs[:1])
	if err = errors.Join(err, idx.Drop(ctx, trial)); err != nil {
		return 0, fmt.Errorf("try to rebuild (collection %s is as it was): %w", c, err)
	}
	if err := idx.Drop(ctx, c); err != nil {
		return 0, fmt.Errorf("drop collection %s: %w", c, err)
	}
	if err := idx.Put(ctx, c, docs); err != nil {
		return 0, fmt.Errorf("put %d documents back into %s (add the files again): %w", len(docs), c, err)
	}
	return len(docs), nil
}
