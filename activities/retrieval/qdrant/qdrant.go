// Package qdrant keeps knowledge collections on a Qdrant server, for stores
// whose knowledge outgrows one machine or whose workers share it.
//
// A collection is one Qdrant collection, named "parley-<store>.<index>". Each
// passage is a point with a sparse vector of its terms, whose rarity Qdrant
// weighs (modifier IDF), and, when there is an embedder, a dense one. A search
// asks for both and lets the server merge them by reciprocal rank fusion.
package qdrant

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/qdrant/go-client/qdrant"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/retrieval"
	"github.com/praesenz/parley/activities/retrieval/document"
	"github.com/praesenz/parley/activities/retrieval/lexical"
)

// Options of an Index.
type Options struct {
	Addr     string             // host:port of the gRPC interface; the port's default is 6334
	APIKey   string             // empty: the server asks for none
	TLS      bool               // encrypt the connection
	Embedder retrieval.Embedder // nil: passages are found by their words only
	Log      *slog.Logger       // nil: nothing is logged
	Timeout  time.Duration      // of one call; 0 means 10 s. A shorter limit of the caller holds as well
}

const (
	defaultPort    = 6334
	defaultTimeout = 10 * time.Second
)

// Index is a retrieval.Index on a Qdrant server.
type Index struct {
	client   *qdrant.Client
	embedder retrieval.Embedder
	log      *slog.Logger
	timeout  time.Duration

	writing sync.Mutex // a Put is two calls, and another between them would lose a document
}

var _ retrieval.Index = (*Index)(nil)

// Open connects to the server. It does not wait for it: a server that is away
// is found out, and found again, by the calls that follow.
func Open(o Options) (*Index, error) {
	host, port, err := splitAddr(o.Addr)
	if err != nil {
		return nil, err
	}
	config := &qdrant.Config{Host: host, Port: port, APIKey: o.APIKey, UseTLS: o.TLS, SkipCompatibilityCheck: true}
	if o.TLS {
		config.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	client, err := qdrant.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("connect to qdrant at %s: %w", o.Addr, err)
	}
	x := &Index{client: client, embedder: o.Embedder, log: o.Log, timeout: o.Timeout}
	if x.log == nil {
		x.log = slog.New(slog.DiscardHandler)
	}
	if x.timeout <= 0 {
		x.timeout = defaultTimeout
	}
	return x, nil
}

func splitAddr(addr string) (host string, port int, err error) {
	host, digits, err := net.SplitHostPort(addr)
	if err != nil {
		host, digits = addr, strconv.Itoa(defaultPort)
	}
	port, err = strconv.Atoi(digits)
	if err != nil || port < 1 || port > 65535 || host == "" || strings.Contains(host, "/") {
		return "", 0, fmt.Errorf("%w: qdrant address %q: write host:port of its gRPC interface, such as localhost:%d", retrieval.ErrInvalid, addr, defaultPort)
	}
	return host, port, nil
}

// Names in a Qdrant collection.
const (
	prefix = "parley-"

	words   = "words"   // sparse vector
	meaning = "meaning" // dense vector

	payloadSource = "source"
	payloadFirst  = "first"  // true for a document's first passage, which stands for it in lists
	payloadFilter = "filter" // "name=value" for each of the passage's fields
	payloadTerms  = "terms"
	payloadTitle  = "title" // terms of the title
	payloadRecord = "record"

	// Of the metadata, which is a point that is no passage.
	payloadModel = "model"
	payloadDim   = "dim"
)

// metadataID is the point that says what the collection was embedded by.
var metadataID = qdrant.NewIDUUID("00000000-0000-5000-8000-000000000000")

func nameOf(c retrieval.Collection) (string, error) {
	if err := c.Validate(); err != nil {
		return "", err
	}
	return prefix + c.Store + "." + c.Index, nil
}

// Model implements retrieval.Index.
func (x *Index) Model() string {
	if x.embedder == nil {
		return ""
	}
	return x.embedder.Model()
}

// A manifest says what a collection was embedded by.
type manifest struct {
	model string
	dim   int
}

// call bounds one call to the server.
func (x *Index) call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, x.timeout, fmt.Errorf("qdrant did not answer within %v", x.timeout))
}

// fault says what a call was for. What the server calls wrong is ErrInvalid.
func fault(doing string, err error) error {
	if err == nil {
		return nil
	}
	switch status.Code(err) {
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
		return fmt.Errorf("qdrant: %s: %w: %w", doing, retrieval.ErrInvalid, err)
	case codes.DeadlineExceeded:
		return fmt.Errorf("qdrant: %s: %w: %w", doing, context.DeadlineExceeded, err)
	case codes.Canceled:
		return fmt.Errorf("qdrant: %s: %w: %w", doing, context.Canceled, err)
	}
	return fmt.Errorf("qdrant: %s: %w", doing, err)
}

func absent(err error) bool { return status.Code(err) == codes.NotFound }

// manifest returns what the collection was embedded by; false when there is no
// such collection.
func (x *Index) manifest(ctx context.Context, name string) (manifest, bool, error) {
	ctx, cancel := x.call(ctx)
	defer cancel()
	points, err := x.client.Get(ctx, &qdrant.GetPoints{
		CollectionName: name, Ids: []*qdrant.PointId{metadataID}, WithPayload: qdrant.NewWithPayload(true),
	})
	if absent(err) {
		return manifest{}, false, nil
	}
	if err != nil {
		return manifest{}, false, fault("read the collection's model", err)
	}
	if len(points) == 0 {
		return manifest{}, true, nil
	}
	p := points[0].GetPayload()
	return manifest{model: p[payloadModel].GetStringValue(), dim: int(p[payloadDim].GetIntegerValue())}, true, nil
}

// ensure makes the collection when it is not there, with dense vectors of the
// given length, and sees to it that it has vectors of one model only.
func (x *Index) ensure(ctx context.Context, c retrieval.Collection, name string, dim int) error {
	have, exists, err := x.manifest(ctx, name)
	if err != nil {
		return err
	}
	if exists && (dim == 0 || have.model != "") {
		return x.checkModel(c, have, dim)
	}
	if exists { // made without an embedder: Qdrant cannot add a vector to it later
		return x.remake(ctx, c, name, dim)
	}
	return x.make(ctx, name, dim)
}

func (x *Index) checkModel(c retrieval.Collection, have manifest, dim int) error {
	if x.embedder == nil || have.model == "" || have.model == x.embedder.Model() && (dim == 0 || dim == have.dim) {
		return nil
	}
	return &retrieval.ModelError{Collection: c, Have: have.model, HaveDim: have.dim, Want: x.embedder.Model(), WantDim: dim}
}

// remake makes a collection anew that has room for dense vectors, with all that
// it held; its passages are found by words until they are put again.
func (x *Index) remake(ctx context.Context, c retrieval.Collection, name string, dim int) error {
	records, err := x.records(ctx, name, nil)
	if err != nil {
		return err
	}
	if err := x.Drop(ctx, c); err != nil {
		return err
	}
	if err := x.make(ctx, name, dim); err != nil {
		return err
	}
	points := make([]*qdrant.PointStruct, 0, len(records))
	for _, r := range records {
		p, err := point(r, nil)
		if err != nil {
			return err
		}
		points = append(points, p)
	}
	return x.upsert(ctx, name, points)
}

func (x *Index) make(ctx context.Context, name string, dim int) error {
	ctx, cancel := x.call(ctx)
	defer cancel()
	create := &qdrant.CreateCollection{
		CollectionName: name,
		SparseVectorsConfig: qdrant.NewSparseVectorsConfig(map[string]*qdrant.SparseVectorParams{
			words: {Modifier: qdrant.PtrOf(qdrant.Modifier_Idf)},
		}),
	}
	if dim > 0 {
		create.VectorsConfig = qdrant.NewVectorsConfigMap(map[string]*qdrant.VectorParams{
			meaning: {Size: uint64(dim), Distance: qdrant.Distance_Cosine},
		})
	}
	if err := x.client.CreateCollection(ctx, create); err != nil && status.Code(err) != codes.AlreadyExists {
		return fault("make the collection", err)
	}
	for field, kind := range map[string]qdrant.FieldType{
		payloadSource: qdrant.FieldType_FieldTypeKeyword, payloadFilter: qdrant.FieldType_FieldTypeKeyword,
		payloadTerms: qdrant.FieldType_FieldTypeKeyword,
		payloadFirst: qdrant.FieldType_FieldTypeBool,
	} {
		_, err := x.client.CreateFieldIndex(ctx, &qdrant.CreateFieldIndexCollection{
			CollectionName: name, FieldName: field, FieldType: kind.Enum(), Wait: qdrant.PtrOf(true),
		})
		if err != nil {
			return fault("index the field "+field, err)
		}
	}
	if dim == 0 {
		return nil
	}
	return x.upsert(ctx, name, []*qdrant.PointStruct{{
		Id: metadataID, Vectors: qdrant.NewVectorsMap(map[string]*qdrant.Vector{}),
		Payload: map[string]*qdrant.Value{
			payloadModel: qdrant.NewValueString(x.embedder.Model()), payloadDim: qdrant.NewValueInt(int64(dim)),
		},
	}})
}

// putBatch is how many documents are embedded at a time, upsertBatch how many
// passages go into one call.
const (
	putBatch    = 64
	upsertBatch = 256
)

// Put implements retrieval.Index. Qdrant writes point by point: while a document
// is replaced, a search can see new passages of it beside old ones.
func (x *Index) Put(ctx context.Context, c retrieval.Collection, docs []document.Document) error {
	name, err := nameOf(c)
	if err != nil {
		return err
	}
	x.writing.Lock()
	defer x.writing.Unlock()
	for len(docs) > 0 {
		n := min(putBatch, len(docs))
		if err := x.putSome(ctx, c, name, docs[:n]); err != nil {
			return err
		}
		docs = docs[n:]
	}
	return nil
}

func (x *Index) putSome(ctx context.Context, c retrieval.Collection, name string, docs []document.Document) error {
	var records []retrieval.Record
	for _, doc := range docs {
		records = append(records, retrieval.Records(doc, x.Model())...)
	}
	vectors, err := x.embed(ctx, c, name, records)
	if err != nil {
		return err
	}
	points := make([]*qdrant.PointStruct, len(records))
	for i, r := range records {
		var vector []float32
		if vectors != nil {
			vector = vectors[i]
		}
		if points[i], err = point(r, vector); err != nil {
			return err
		}
	}
	if err := x.upsert(ctx, name, points); err != nil {
		return err
	}
	for _, doc := range docs {
		stale := &qdrant.Filter{Must: []*qdrant.Condition{qdrant.NewMatch(payloadSource, doc.Source)}}
		if len(doc.Passages) > 0 {
			ids := make([]*qdrant.PointId, len(doc.Passages))
			for i, p := range doc.Passages {
				ids[i] = qdrant.NewIDUUID(p.ID)
			}
			stale.MustNot = []*qdrant.Condition{qdrant.NewHasID(ids...)}
		}
		if err := x.delete(ctx, name, stale); err != nil {
			return err
		}
	}
	return nil
}

// embed makes the collection and returns the records' vectors, or nil without
// an embedder.
func (x *Index) embed(ctx context.Context, c retrieval.Collection, name string, records []retrieval.Record) ([][]float32, error) {
	if x.embedder == nil || len(records) == 0 {
		return nil, x.ensure(ctx, c, name, 0)
	}
	have, _, err := x.manifest(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := x.checkModel(c, have, 0); err != nil {
		return nil, err
	}
	vectors, err := retrieval.Embed(ctx, x.embedder, records)
	if err != nil {
		return nil, err
	}
	return vectors, x.ensure(ctx, c, name, len(vectors[0]))
}

func (x *Index) upsert(ctx context.Context, name string, points []*qdrant.PointStruct) error {
	for len(points) > 0 {
		n := min(upsertBatch, len(points))
		if err := x.upsertSome(ctx, name, points[:n]); err != nil {
			return err
		}
		points = points[n:]
	}
	return nil
}

func (x *Index) upsertSome(ctx context.Context, name string, points []*qdrant.PointStruct) error {
	ctx, cancel := x.call(ctx)
	defer cancel()
	_, err := x.client.Upsert(ctx, &qdrant.UpsertPoints{CollectionName: name, Points: points, Wait: qdrant.PtrOf(true)})
	return fault("write passages", err)
}

func (x *Index) delete(ctx context.Context, name string, which *qdrant.Filter) error {
	ctx, cancel := x.call(ctx)
	defer cancel()
	_, err := x.client.Delete(ctx, &qdrant.DeletePoints{
		CollectionName: name, Points: qdrant.NewPointsSelectorFilter(which), Wait: qdrant.PtrOf(true),
	})
	return fault("remove passages", err)
}

// point is a passage as Qdrant keeps it.
func point(r retrieval.Record, vector []float32) (*qdrant.PointStruct, error) {
	record, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	title, text := r.Words()
	filter := make([]any, 0, len(r.Passage.Fields))
	for name, value := range r.Passage.Fields {
		filter = append(filter, name+"="+value)
	}
	payload, err := qdrant.TryValueMap(map[string]any{
		payloadSource: r.Source.Source, payloadFirst: r.Ordinal == 0, payloadFilter: filter,
		payloadTitle: anys(title), payloadTerms: anys(text), payloadRecord: string(record),
	})
	if err != nil {
		return nil, fmt.Errorf("a passage of %s: %w", r.Source.Source, err)
	}
	indices, values := sparse(title, text)
	vectors := map[string]*qdrant.Vector{words: qdrant.NewVectorSparse(indices, values)}
	if vector != nil {
		vectors[meaning] = qdrant.NewVectorDense(vector)
	}
	return &qdrant.PointStruct{Id: qdrant.NewIDUUID(r.Passage.ID), Vectors: qdrant.NewVectorsMap(vectors), Payload: payload}, nil
}

func anys(terms []string) []any {
	list := make([]any, len(terms))
	for i, t := range terms {
		list[i] = t
	}
	return list
}

// Remove implements retrieval.Index.
func (x *Index) Remove(ctx context.Context, c retrieval.Collection, source string) (int, error) {
	name, err := nameOf(c)
	if err != nil {
		return 0, err
	}
	x.writing.Lock()
	defer x.writing.Unlock()
	which := &qdrant.Filter{Must: []*qdrant.Condition{qdrant.NewMatch(payloadSource, source)}}
	n, err := x.count(ctx, name, which)
	if err != nil || n == 0 {
		return 0, err
	}
	return n, x.delete(ctx, name, which)
}

// count counts passages; there are none in a collection that does not exist.
func (x *Index) count(ctx context.Context, name string, which *qdrant.Filter) (int, error) {
	ctx, cancel := x.call(ctx)
	defer cancel()
	n, err := x.client.Count(ctx, &qdrant.CountPoints{CollectionName: name, Filter: which, Exact: qdrant.PtrOf(true)})
	if absent(err) {
		return 0, nil
	}
	return int(n), fault("count passages", err)
}

// countsAtOnce is how many words are counted at the same time.
const countsAtOnce = 8

// weigh counts how many passages hold each of the question's terms.
func (x *Index) weigh(ctx context.Context, name string, q *lexical.Question) error {
	terms := q.Terms()
	counts := make([]int, len(terms))
	var total int
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(countsAtOnce)
	g.Go(func() (err error) {
		total, err = x.count(ctx, name, nil)
		return err
	})
	for i, term := range terms {
		g.Go(func() (err error) {
			counts[i], err = x.count(ctx, name, &qdrant.Filter{Must: []*qdrant.Condition{qdrant.NewMatch(payloadTerms, term)}})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	holding := make(map[string]int, len(terms))
	for i, term := range terms {
		holding[term] = counts[i]
	}
	q.Weigh(total, holding)
	return nil
}

// Search implements retrieval.Index. When the embedder cannot be reached the
// search goes by words alone and says so in the log.
func (x *Index) Search(ctx context.Context, c retrieval.Collection, q retrieval.Query) ([]activities.Passage, error) {
	q, err := q.Check()
	if err != nil {
		return nil, err
	}
	name, err := nameOf(c)
	if err != nil {
		return nil, err
	}
	question := lexical.Ask(q.Filter[document.FieldLanguage], q.Text)
	if question.Empty() {
		return nil, ctx.Err()
	}
	have, exists, err := x.manifest(ctx, name)
	if err != nil || !exists {
		return nil, err
	}
	vector, err := x.embedQuery(ctx, c, have, q.Text)
	if err != nil {
		return nil, err
	}
	// Candidates and the words' rarity do not depend on each other.
	var points []*qdrant.ScoredPoint
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return x.weigh(gctx, name, question) })
	g.Go(func() (err error) {
		points, err = x.candidates(gctx, name, q, question, vector)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return rank(points, q, question, vector)
}

func (x *Index) embedQuery(ctx context.Context, c retrieval.Collection, have manifest, text string) ([]float32, error) {
	if x.embedder == nil || have.model == "" {
		return nil, nil
	}
	if err := x.checkModel(c, have, 0); err != nil {
		return nil, err
	}
	vector, err := x.embedder.EmbedQuery(ctx, text)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		x.log.WarnContext(ctx, "searching by words only: embedder failed", "store", c.Store, "index", c.Index, "error", err)
		return nil, nil
	}
	return vector, x.checkModel(c, have, len(vector))
}

// maxCandidates is how many passages each way of searching contributes at most.
const maxCandidates = 2 * retrieval.MaxTopK

// candidates asks the server for the passages nearest by words and, with a
// vector, by meaning, which it merges by reciprocal rank fusion.
func (x *Index) candidates(ctx context.Context, name string, q retrieval.Query, question *lexical.Question, vector []float32) ([]*qdrant.ScoredPoint, error) {
	ctx, cancel := x.call(ctx)
	defer cancel()
	filter := &qdrant.Filter{}
	for field, value := range q.Filter {
		filter.Must = append(filter.Must, qdrant.NewMatch(payloadFilter, field+"="+value))
	}
	indices, values := sparseQuery(question.Terms())
	limit := qdrant.PtrOf(uint64(maxCandidates))
	byWords := qdrant.NewQuerySparse(indices, values)
	query := &qdrant.QueryPoints{
		CollectionName: name, Limit: limit, WithPayload: qdrant.NewWithPayloadInclude(payloadTitle, payloadTerms, payloadRecord),
	}
	if vector == nil {
		query.Query, query.Using, query.Filter = byWords, qdrant.PtrOf(words), filter
	} else {
		query.Query = qdrant.NewQueryFusion(qdrant.Fusion_RRF)
		query.Prefetch = []*qdrant.PrefetchQuery{
			{Query: byWords, Using: qdrant.PtrOf(words), Filter: filter, Limit: limit},
			{Query: qdrant.NewQueryDense(vector), Using: qdrant.PtrOf(meaning), Filter: filter, Limit: limit},
		}
		query.WithVectors = qdrant.NewWithVectorsInclude(meaning) // fusion keeps no cosine
	}
	points, err := x.client.Query(ctx, query)
	return points, fault("search", err)
}

// Sources implements retrieval.Index.
func (x *Index) Sources(ctx context.Context, c retrieval.Collection) ([]retrieval.Source, error) {
	name, err := nameOf(c)
	if err != nil {
		return nil, err
	}
	records, err := x.records(ctx, name, &qdrant.Filter{Must: []*qdrant.Condition{qdrant.NewMatchBool(payloadFirst, true)}})
	if err != nil {
		return nil, err
	}
	docs := make([]retrieval.Source, len(records))
	for i, r := range records {
		docs[i] = r.Source
	}
	retrieval.SortSources(docs)
	return docs, nil
}

// Documents implements retrieval.Index.
func (x *Index) Documents(ctx context.Context, c retrieval.Collection) ([]document.Document, error) {
	name, err := nameOf(c)
	if err != nil {
		return nil, err
	}
	records, err := x.records(ctx, name, nil)
	return retrieval.Assemble(records), err
}

// records reads passages page by page; none of a collection that does not exist.
func (x *Index) records(ctx context.Context, name string, which *qdrant.Filter) ([]retrieval.Record, error) {
	var records []retrieval.Record
	var from *qdrant.PointId
	for {
		points, next, err := x.page(ctx, name, which, from)
		if absent(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fault("list passages", err)
		}
		for _, p := range points {
			stored := p.GetPayload()[payloadRecord].GetStringValue()
			if stored == "" {
				continue // the metadata
			}
			var r retrieval.Record
			if err := json.Unmarshal([]byte(stored), &r); err != nil {
				return nil, fmt.Errorf("passage %s is damaged: %w", p.GetId().GetUuid(), err)
			}
			records = append(records, r)
		}
		if next == nil {
			return records, nil
		}
		from = next
	}
}

// pageSize is how many passages are read at a time when all are wanted.
const pageSize = 1000

func (x *Index) page(ctx context.Context, name string, which *qdrant.Filter, from *qdrant.PointId) ([]*qdrant.RetrievedPoint, *qdrant.PointId, error) {
	ctx, cancel := x.call(ctx)
	defer cancel()
	return x.client.ScrollAndOffset(ctx, &qdrant.ScrollPoints{
		CollectionName: name, Filter: which, Offset: from, Limit: qdrant.PtrOf(uint32(pageSize)),
		WithPayload: qdrant.NewWithPayloadInclude(payloadRecord),
	})
}

// Collections implements retrieval.Index.
func (x *Index) Collections(ctx context.Context) ([]retrieval.Collection, error) {
	ctx, cancel := x.call(ctx)
	defer cancel()
	names, err := x.client.ListCollections(ctx)
	if err != nil {
		return nil, fault("list collections", err)
	}
	var collections []retrieval.Collection
	for _, name := range names {
		rest, ours := strings.CutPrefix(name, prefix)
		store, index, both := strings.Cut(rest, ".")
		if c := (retrieval.Collection{Store: store, Index: index}); ours && both && c.Validate() == nil {
			collections = append(collections, c)
		}
	}
	retrieval.SortCollections(collections)
	return collections, nil
}

// Drop implements retrieval.Index.
func (x *Index) Drop(ctx context.Context, c retrieval.Collection) error {
	name, err := nameOf(c)
	if err != nil {
		return err
	}
	ctx, cancel := x.call(ctx)
	defer cancel()
	err = x.client.DeleteCollection(ctx, name)
	if absent(err) {
		return nil
	}
	return fault("drop the collection", err)
}

// Close implements retrieval.Index.
func (x *Index) Close() error { return x.client.Close() }
