// Package embedded keeps knowledge collections in a folder of this machine, with
// nothing to install: bleve finds passages by their words (BM25) and, when there
// is an embedder, chromem-go finds them by their meaning. It serves one store's
// knowledge, up to some ten thousand passages; beyond that, or for several
// workers, use a Qdrant server.
package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/retrieval"
	"github.com/praesenz/parley/activities/retrieval/document"
)

// Options of an Index.
type Options struct {
	Dir      string             // the folder, made when it is not there; empty: memory only
	Embedder retrieval.Embedder // nil: passages are found by their words only
	Log      *slog.Logger       // nil: nothing is logged
}

// ErrLocked says that another process has the folder open. One at a time can.
var ErrLocked = errors.New("the knowledge folder is in use by another process")

// lockWait is how long Open waits for another process to let go of the folder.
const lockWait = 500 * time.Millisecond

var manifests = []byte("collections")

// A manifest is what a collection's folder does not say itself.
type manifest struct {
	Model string `json:"model,omitempty"` // that embedded it
	Dim   int    `json:"dim,omitempty"`   // length of the vectors
}

// Index is a retrieval.Index in a folder. It replaces a document in one stroke: a
// search sees all of the old one or all of the new.
type Index struct {
	dir      string
	embedder retrieval.Embedder
	log      *slog.Logger
	db       *bbolt.DB // manifests, and the lock on the folder; nil in memory

	mu          sync.Mutex
	collections map[retrieval.Collection]*collection
}

var _ retrieval.Index = (*Index)(nil)

// Open opens the folder and every collection in it. It returns ErrLocked when
// another process has it open.
func Open(o Options) (_ *Index, err error) {
	x := &Index{dir: o.Dir, embedder: o.Embedder, log: o.Log, collections: make(map[retrieval.Collection]*collection)}
	if x.log == nil {
		x.log = slog.New(slog.DiscardHandler)
	}
	if x.dir == "" {
		return x, nil
	}
	if err := os.MkdirAll(x.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the knowledge folder: %w", err)
	}
	x.db, err = bbolt.Open(filepath.Join(x.dir, "collections.db"), 0o600, &bbolt.Options{Timeout: lockWait})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open %s: %w", x.dir, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", x.dir, err)
	}
	defer func() {
		if err != nil {
			_ = x.Close() // what failed matters more
		}
	}()
	return x, x.openAll()
}

func (x *Index) openAll() error {
	found := make(map[retrieval.Collection]manifest)
	err := x.db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists(manifests)
		if err != nil {
			return err
		}
		return bucket.ForEach(func(k, v []byte) error {
			var m manifest
			if err := json.Unmarshal(v, &m); err != nil {
				return fmt.Errorf("collection %s: %w", k, err)
			}
			store, index, _ := strings.Cut(string(k), "/")
			found[retrieval.Collection{Store: store, Index: index}] = m
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("read the list of collections: %w", err)
	}
	for name, m := range found {
		c, err := openCollection(x.folder(name), m)
		if err != nil {
			return fmt.Errorf("open collection %s (remove %s to begin it anew): %w", name, x.folder(name), err)
		}
		x.collections[name] = c
	}
	return nil
}

func (x *Index) folder(name retrieval.Collection) string {
	if x.dir == "" {
		return ""
	}
	return filepath.Join(x.dir, name.Store, name.Index)
}

// Model implements retrieval.Index.
func (x *Index) Model() string {
	if x.embedder == nil {
		return ""
	}
	return x.embedder.Model()
}

// collection returns a collection, or nil when there is none of that name.
func (x *Index) collection(name retrieval.Collection) (*collection, error) {
	if err := name.Validate(); err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.collections[name], nil
}

func (x *Index) makeCollection(name retrieval.Collection) (*collection, error) {
	if err := name.Validate(); err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if c := x.collections[name]; c != nil {
		return c, nil
	}
	folder := x.folder(name)
	if folder != "" {
		// Without a manifest, the folder is what a process left that died while
		// it made or dropped the collection.
		if err := os.RemoveAll(folder); err != nil {
			return nil, fmt.Errorf("clear %s: %w", folder, err)
		}
	}
	c, err := openCollection(folder, manifest{})
	if err != nil {
		return nil, fmt.Errorf("make collection %s: %w", name, err)
	}
	if err := x.saveManifest(name, manifest{}); err != nil {
		return nil, errors.Join(err, c.close())
	}
	x.collections[name] = c
	return c, nil
}

func (x *Index) saveManifest(name retrieval.Collection, m manifest) error {
	if x.db == nil {
		return nil
	}
	value, err := json.Marshal(m)
	if err != nil {
		return err
	}
	err = x.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(manifests).Put([]byte(name.String()), value) })
	if err != nil {
		return fmt.Errorf("save what collection %s was embedded by: %w", name, err)
	}
	return nil
}

// putBatch is how many documents are embedded and written at a time.
const putBatch = 64

// Put implements retrieval.Index.
func (x *Index) Put(ctx context.Context, name retrieval.Collection, docs []document.Document) error {
	if len(docs) == 0 {
		return nil
	}
	c, err := x.makeCollection(name)
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(docs, putBatch) {
		if err := x.putSome(ctx, name, c, batch); err != nil {
			return err
		}
	}
	return nil
}

func (x *Index) putSome(ctx context.Context, name retrieval.Collection, c *collection, docs []document.Document) error {
	var records []retrieval.Record
	sources := make([]string, len(docs))
	for i, doc := range docs {
		sources[i] = doc.Source
		records = append(records, retrieval.Records(doc, x.Model())...)
	}
	vectors, err := x.embed(ctx, name, c, records)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.replace(ctx, sources, records, vectors)
}

// embed returns the records' vectors, or nil without an embedder, and sees to it
// that the collection has vectors of one model only.
func (x *Index) embed(ctx context.Context, name retrieval.Collection, c *collection, records []retrieval.Record) ([][]float32, error) {
	if x.embedder == nil || len(records) == 0 {
		return nil, nil
	}
	if err := x.checkModel(name, c, 0); err != nil {
		return nil, err
	}
	vectors, err := retrieval.Embed(ctx, x.embedder, records)
	if err != nil {
		return nil, err
	}
	dim := len(vectors[0])
	if err := x.checkModel(name, c, dim); err != nil {
		return nil, err
	}
	if m := (manifest{Model: x.embedder.Model(), Dim: dim}); c.embeddedBy() != m {
		if err := x.saveManifest(name, m); err != nil {
			return nil, err
		}
		c.manifest.Store(&m)
	}
	return vectors, nil
}

// checkModel compares the embedder with the one that made the collection's
// vectors; dim is the length of its vectors, 0 when not known yet.
func (x *Index) checkModel(name retrieval.Collection, c *collection, dim int) error {
	have := c.embeddedBy()
	if have.Model == "" || have.Model == x.embedder.Model() && (dim == 0 || dim == have.Dim) {
		return nil
	}
	return &retrieval.ModelError{Collection: name, Have: have.Model, HaveDim: have.Dim, Want: x.embedder.Model(), WantDim: dim}
}

// Remove implements retrieval.Index.
func (x *Index) Remove(ctx context.Context, name retrieval.Collection, source string) (int, error) {
	c, err := x.collection(name)
	if c == nil {
		return 0, err
	}
	return c.remove(ctx, source)
}

// Search implements retrieval.Index. When the embedder cannot be reached the
// search goes by words alone and says so in the log: a weaker answer now is
// better for a customer than none.
func (x *Index) Search(ctx context.Context, name retrieval.Collection, q retrieval.Query) ([]activities.Passage, error) {
	q, err := q.Check()
	if err != nil {
		return nil, err
	}
	c, err := x.collection(name)
	if c == nil {
		return nil, err
	}
	ask := newRequest(q)
	if ask.question.Empty() {
		return nil, nil
	}
	if x.embedder != nil && c.embeddedBy().Model != "" {
		if err := x.checkModel(name, c, 0); err != nil {
			return nil, err
		}
		vector, err := x.embedder.EmbedQuery(ctx, q.Text)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			x.log.WarnContext(ctx, "searching by words only: embedder failed", "store", name.Store, "index", name.Index, "error", err)
		default:
			if err := x.checkModel(name, c, len(vector)); err != nil {
				return nil, err
			}
			ask.vector = vector
		}
	}
	return c.search(ctx, ask)
}

// Sources implements retrieval.Index.
func (x *Index) Sources(ctx context.Context, name retrieval.Collection) ([]retrieval.Source, error) {
	c, err := x.collection(name)
	if c == nil {
		return nil, err
	}
	return c.sources(ctx)
}

// Documents implements retrieval.Index.
func (x *Index) Documents(ctx context.Context, name retrieval.Collection) ([]document.Document, error) {
	c, err := x.collection(name)
	if c == nil {
		return nil, err
	}
	return c.documents(ctx)
}

// Collections implements retrieval.Index.
func (x *Index) Collections(context.Context) ([]retrieval.Collection, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	names := make([]retrieval.Collection, 0, len(x.collections))
	for name := range x.collections {
		names = append(names, name)
	}
	retrieval.SortCollections(names)
	return names, nil
}

// Drop implements retrieval.Index.
func (x *Index) Drop(_ context.Context, name retrieval.Collection) error {
	if err := name.Validate(); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.collections[name]
	if c == nil {
		return nil
	}
	delete(x.collections, name)
	if x.db != nil {
		err := x.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(manifests).Delete([]byte(name.String())) })
		if err != nil {
			return fmt.Errorf("drop collection %s: %w", name, err)
		}
	}
	if err := c.close(); err != nil {
		return fmt.Errorf("close collection %s: %w", name, err)
	}
	if folder := x.folder(name); folder != "" {
		return os.RemoveAll(folder)
	}
	return nil
}

// Close implements retrieval.Index.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	var errs []error
	for name, c := range x.collections {
		errs = append(errs, c.close())
		delete(x.collections, name)
	}
	if x.db != nil {
		errs = append(errs, x.db.Close())
	}
	return errors.Join(errs...)
}
