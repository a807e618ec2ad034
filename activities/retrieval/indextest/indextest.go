// Package indextest is the contract of retrieval.Index as tests. Every
// implementation runs them.
package indextest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/retrieval"
	"github.com/praesenz/parley/activities/retrieval/document"
)

// Open opens an index with what an earlier call with the same test wrote. The
// first call of a test finds it empty. embedder may be nil.
type Open func(t *testing.T, embedder retrieval.Embedder) retrieval.Index

var store = retrieval.Collection{Store: "teststore", Index: "kb"}

// Run runs the contract. open is called with the name of a fresh test each time.
func Run(t *testing.T, open Open) {
	tests := map[string]func(*testing.T, Open){
		"finds, replaces and removes a document": testPut,
		"writes a document twice as once":        testIdempotent,
		"filters by exact fields":                testFilter,
		"bounds and thresholds":                  testBounds,
		"spelling":                               testSpelling,
		"spoken questions":                       testSpoken,
		"queries of any kind":                    testOddQueries,
		"collections are apart":                  testCollections,
		"a thousand passages":                    testThousand,
		"searches while it writes":               testConcurrent,
		"keeps everything when it is reopened":   testReopen,
		"finds by meaning":                       testMeaning,
		"refuses another model's vectors":        testModel,
		"stops when asked to":                    testCancelled,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

func testPut(t *testing.T, open Open) {
	idx := open(t, nil)
	put(t, idx, read(t, "hammer.md", "# Claw hammer\n\nIt costs 14.99 euros."))
	put(t, idx, read(t, "saw.md", "# Hand saw\n\nIt cuts wood."))

	hits := search(t, idx, "claw hammer")
	want(t, hits, "hammer.md")
	h := hits[0]
	if h.Title != "Claw hammer" || !strings.Contains(h.Text, "14.99") || h.ID == "" || h.Fields["lang"] != "en" || h.Score <= 0 || h.Score > 1 {
		t.Errorf("passage is %+v", h)
	}

	put(t, idx, read(t, "hammer.md", "# Mallet\n\nIt is made of rubber.\n\n# Care\n\nKeep it dry."))
	want(t, search(t, idx, "claw"))
	want(t, search(t, idx, "rubber"), "hammer.md")
	if s := sources(t, idx); len(s) != 2 || s[0].Source != "hammer.md" || s[0].Passages != 2 || s[0].Title != "Mallet" || s[0].Hash == "" {
		t.Errorf("sources are %+v", s)
	}

	for _, n := range []int{2, 0} {
		if removed, err := idx.Remove(t.Context(), store, "hammer.md"); err != nil || removed != n {
			t.Errorf("Remove = %d, %v, want %d", removed, err, n)
		}
	}
	want(t, search(t, idx, "rubber mallet"))
	want(t, search(t, idx, "saw"), "saw.md")

	put(t, idx, document.Document{Source: "saw.md"}) // no passages: forgotten
	if s := sources(t, idx); len(s) != 0 {
		t.Errorf("sources are %+v, want none", s)
	}
}

func testIdempotent(t *testing.T, open Open) {
	idx := open(t, nil)
	doc := read(t, "hammer.md", "# Hammer\n\nIt drives nails.")
	put(t, idx, doc)
	first := search(t, idx, "hammer")
	put(t, idx, doc)
	again := search(t, idx, "hammer")
	if len(again) != 1 || again[0].ID != first[0].ID || again[0].Score != first[0].Score {
		t.Errorf("after writing twice: %+v, before: %+v", again, first)
	}
}

func testFilter(t *testing.T, open Open) {
	idx := open(t, nil)
	put(t, idx,
		read(t, "en.md", "---\nlang: en\nbrand: Blue & Co = best\n---\n# Hammer\n\nA hammer."),
		read(t, "de.md", "---\nlang: de\nbrand: blau\n---\n# Hammer\n\nEin Hammer."),
	)
	find := func(filter map[string]string) []activities.Passage {
		t.Helper()
		hits, err := idx.Search(t.Context(), store, retrieval.Query{Text: "hammer", Filter: filter})
		if err != nil {
			t.Fatal(err)
		}
		return hits
	}
	want(t, find(map[string]string{"lang": "de"}), "de.md")
	want(t, find(map[string]string{"brand": "Blue & Co = best"}), "en.md")
	want(t, find(map[string]string{"brand": "blue & co = best"})) // exact
	want(t, find(map[string]string{"brand": "Blue"}))
	want(t, find(map[string]string{"brand": "blau", "lang": "en"}))
	want(t, find(map[string]string{"nosuch": "x"}))
	if n := len(find(nil)); n != 2 {
		t.Errorf("%d passages without a filter, want 2", n)
	}
}

func testBounds(t *testing.T, open Open) {
	idx := open(t, nil)
	var docs []document.Document
	for i := range 60 {
		docs = append(docs, read(t, fmt.Sprintf("hammer-%02d.md", i), fmt.Sprintf("# Hammer number%d\n\nA tool.", i)))
	}
	put(t, idx, docs...)
	for topK, n := range map[int]int{0: retrieval.DefaultTopK, 1: 1, 7: 7, retrieval.MaxTopK: retrieval.MaxTopK} {
		hits, err := idx.Search(t.Context(), store, retrieval.Query{Text: "hammer", TopK: topK})
		if err != nil || len(hits) != n {
			t.Errorf("top_k %d: %d passages, %v; want %d", topK, len(hits), err, n)
		}
	}
	hits := search(t, idx, "hammer number7")
	if hits[0].Source != "hammer-07.md" || hits[1].Score >= hits[0].Score {
		t.Errorf("the better match is not first: %+v", hits)
	}
	hits, err := idx.Search(t.Context(), store, retrieval.Query{Text: "hammer number7", MinScore: hits[0].Score, TopK: retrieval.MaxTopK})
	if err != nil {
		t.Fatal(err)
	}
	want(t, hits, "hammer-07.md")
	for _, q := range []retrieval.Query{
		{Text: "x", TopK: -1}, {Text: "x", TopK: retrieval.MaxTopK + 1}, {Text: "x", MinScore: -0.1}, {Text: "x", MinScore: 1.1},
		{Text: strings.Repeat("x", retrieval.MaxQuery+1)},
	} {
		if _, err := idx.Search(t.Context(), store, q); !errors.Is(err, retrieval.ErrInvalid) {
			t.Errorf("top_k %d, min_score %v, %d bytes: %v, want ErrInvalid", q.TopK, q.MinScore, len(q.Text), err)
		}
	}
}

func testSpelling(t *testing.T, open Open) {
	idx := open(t, nil)
	put(t, idx,
		read(t, "de/keys.md", "# Schlüsseldienst\n\nWir machen Schlüssel nach. Die Größe ist gleich."),
		read(t, "de/drill.md", "# Akkubohrschrauber\n\nFür Holz und Metall."),
		read(t, "de/paint.md", "# Wandfarbe\n\nWeiß und matt."),
		read(t, "fr/hours.md", "# Horaires d'ouverture\n\nLe magasin ouvre à huit heures, fermé l'été."),
		read(t, "tr/lamp.md", "# Işık\n\nİyi bir lamba, ampuller burada."),
		read(t, "en/hammer.md", "# Hammer\n\nIt drives nails."),
		read(t, "ja/hammer.md", "# ハンマー\n\nハンマー は 4 番 通路 です。"),
	)
	for query, source := range map[string]string{
		"schlüsseldienst":              "de/keys.md",
		"SCHLÜSSELDIENST":              "de/keys.md",
		"Schluesseldienst":             "de/keys.md",
		"schlu\u0308sseldienst":        "de/keys.md", // decomposed
		"Schlüssel":                    "de/keys.md", // part of a compound
		"groesse":                      "de/keys.md",
		"Akkuschrauber":                "de/drill.md", // another compound of the same words
		"welche Farben haben Sie":      "de/paint.md",
		"l'ouverture du magasin":       "fr/hours.md",
		"IŞIK":                         "tr/lamp.md",
		"lambalar":                     "tr/lamp.md",
		"hammers":                      "en/hammer.md",
		"the nail":                     "en/hammer.md",
		"ハンマー":                         "ja/hammer.md",
		"where is the hammer 🔨 please": "en/hammer.md",
	} {
		hits := search(t, idx, query)
		if len(hits) == 0 || hits[0].Source != source {
			t.Errorf("%q found %v, want %s", query, named(hits), source)
		}
	}
}

func testSpoken(t *testing.T, open Open) {
	idx := open(t, nil)
	put(t, idx,
		read(t, "hammer.md", "# Claw hammer\n\nYou find hammers in aisle 4. The hammer costs 14.99 euros."),
		read(t, "hours.md", "# Opening hours\n\nWe are open from 8 to 8. On Sunday we are closed."),
		read(t, "keys.md", "# Key cutting\n\nWe cut keys while you wait."),
	)
	const sure = 0.5
	for query, source := range map[string]string{
		"where do i find hammers":                               "hammer.md",
		"excuse me could you tell me where i can find a hammer": "hammer.md",
		"when are you open":                                     "hours.md",
		"can you cut a key for me please":                       "keys.md",
	} {
		hits := search(t, idx, query)
		if len(hits) == 0 || hits[0].Source != source || hits[0].Score < sure {
			t.Errorf("%q found %v, want %s with a score of %v", query, hits, source, sure)
		}
	}
	for _, query := range []string{"what is the capital of mongolia", "who won the football match"} {
		hits := search(t, idx, query)
		if len(hits) > 0 && hits[0].Score >= 0.35 {
			t.Errorf("%q found %v", query, hits)
		}
	}
}

func testOddQueries(t *testing.T, open Open) {
	idx := open(t, nil)
	want(t, search(t, idx, "hammer")) // before there is a collection
	put(t, idx, read(t, "hammer.md", "# Hammer\n\nA hammer."))
	for _, query := range []string{
		"", "   \n\t", "where can i find the", "?", "+-&|!(){}[]^\"~*:\\/", "AND OR NOT", "\x00", "\xff\xfe", "👩‍👩‍👧", "en:", "*", strings.Repeat("ü ", 500),
	} {
		want(t, search(t, idx, query))
	}
	want(t, search(t, idx, "hammer) OR (*"), "hammer.md")
}

func testCollections(t *testing.T, open Open) {
	idx := open(t, nil)
	other := retrieval.Collection{Store: store.Store + "2", Index: store.Index}
	t.Cleanup(func() {
		if err := idx.Drop(context.Background(), other); err != nil { // the test's context has ended
			t.Error(err)
		}
	})
	put(t, idx, read(t, "hammer.md", "# Hammer\n\nA hammer."))
	if err := idx.Put(t.Context(), other, []document.Document{read(t, "saw.md", "# Saw\n\nA saw.")}); err != nil {
		t.Fatal(err)
	}
	want(t, search(t, idx, "saw"))
	all, err := idx.Collections(t.Context())
	if err != nil || !slices.Contains(all, store) || !slices.Contains(all, other) {
		t.Errorf("Collections = %v, %v", all, err)
	}
	if err := idx.Drop(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	want(t, search(t, idx, "hammer"))
	put(t, idx, read(t, "new.md", "# Hammer\n\nAnother hammer."))
	want(t, search(t, idx, "hammer"), "new.md")
	for _, bad := range []retrieval.Collection{{}, {Store: "..", Index: "x"}, {Store: "a/b", Index: "x"}, {Store: "a", Index: strings.Repeat("x", 64)}} {
		if err := idx.Put(t.Context(), bad, []document.Document{{Source: "x"}}); !errors.Is(err, retrieval.ErrInvalid) {
			t.Errorf("Put into %q: %v, want ErrInvalid", bad, err)
		}
		if _, err := idx.Search(t.Context(), bad, retrieval.Query{Text: "x"}); !errors.Is(err, retrieval.ErrInvalid) {
			t.Errorf("Search in %q: %v, want ErrInvalid", bad, err)
		}
	}
}

func testThousand(t *testing.T, open Open) {
	idx := open(t, nil)
	var rows strings.Builder
	rows.WriteString("sku,name\n")
	for i := range 1000 {
		fmt.Fprintf(&rows, "X%04d,Part %s\n", i, letters(i))
	}
	put(t, idx, read(t, "parts.csv", rows.String()))
	for _, i := range []int{0, 500, 999} {
		hits := search(t, idx, letters(i))
		if len(hits) == 0 || hits[0].Fields["sku"] != fmt.Sprintf("X%04d", i) {
			t.Errorf("%q found %v", letters(i), hits)
		}
	}
	docs, err := idx.Documents(t.Context(), store)
	if err != nil || len(docs) != 1 || len(docs[0].Passages) != 1000 {
		t.Fatalf("Documents: %d, %v", len(docs), err)
	}
	for i, p := range docs[0].Passages {
		if p.Fields["sku"] != fmt.Sprintf("X%04d", i) {
			t.Fatalf("passage %d is %v: not in the order of the document", i, p.Fields)
		}
	}
}

// letters is a word for a number, since digits alone are too alike.
func letters(n int) string {
	word := "part"
	for range 4 {
		word += string(rune('a' + n%10))
		n /= 10
	}
	return word
}

func testConcurrent(t *testing.T, open Open) {
	idx := open(t, nil)
	// Two versions of a document of three passages: a search sees three of them.
	versions := []document.Document{
		read(t, "doc.md", "# Hammer\n\n## One\n\nold\n\n## Two\n\nold\n\n## Three\n\nold"),
		read(t, "doc.md", "# Hammer\n\n## One\n\nnew\n\n## Two\n\nnew\n\n## Three\n\nnew"),
	}
	put(t, idx, versions[0])
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var g errgroup.Group
	for range 2 {
		g.Go(func() error {
			for ctx.Err() == nil {
				hits, err := idx.Search(t.Context(), store, retrieval.Query{Text: "hammer", Filter: map[string]string{"lang": "en"}})
				if err != nil {
					return err
				}
				ids := make(map[string]bool)
				for _, h := range hits {
					ids[h.ID] = true
				}
				if len(hits) != 3 || len(ids) != 3 {
					return fmt.Errorf("a search saw a document half written: %v", hits)
				}
			}
			return nil
		})
	}
	for i := range 10 {
		put(t, idx, versions[i%2])
		put(t, idx, read(t, fmt.Sprintf("other-%d.md", i), "# Nails\n\nSome nails."))
	}
	stop()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

func testReopen(t *testing.T, open Open) {
	idx := open(t, concepts("model-a", 32))
	doc := read(t, "hammer.md", "---\ntags: [striking]\nsku: H1\n---\n# Hammer\n\nIt drives nails.")
	doc.Origin = "example"
	put(t, idx, doc)
	if err := idx.Close(); err != nil {
		t.Fatal(err)
	}
	idx = open(t, concepts("model-a", 32))
	want(t, search(t, idx, "striking"), "hammer.md")
	want(t, search(t, idx, "mallet"), "hammer.md") // by meaning
	s := sources(t, idx)
	if len(s) != 1 || s[0].Hash != doc.Hash || s[0].Origin != "example" || s[0].Model != "model-a" || s[0].Language != "en" {
		t.Errorf("sources are %+v", s)
	}
	docs, err := idx.Documents(t.Context(), store)
	if err != nil || len(docs) != 1 || !slices.Equal(docs[0].Tags, doc.Tags) || docs[0].Passages[0].Fields["sku"] != "H1" {
		t.Errorf("documents are %+v, %v", docs, err)
	}
}

func testMeaning(t *testing.T, open Open) {
	idx := open(t, concepts("model-a", 32))
	put(t, idx,
		read(t, "hammer.md", "# Hammer\n\nIt drives nails."),
		read(t, "hours.md", "# Opening hours\n\nFrom 8 to 8."),
		read(t, "de/hours.md", "# Öffnungszeiten\n\nVon 8 bis 20 Uhr."),
	)
	hits := search(t, idx, "a mallet") // no word in common
	want(t, hits, "hammer.md")
	if hits[0].Score < 0.35 {
		t.Errorf("score is %v", hits[0].Score)
	}
	hits, err := idx.Search(t.Context(), store, retrieval.Query{Text: "business times", Filter: map[string]string{"lang": "de"}})
	if err != nil {
		t.Fatal(err)
	}
	want(t, hits, "de/hours.md")
	put(t, idx, read(t, "hammer.md", "# Paint\n\nWhite."))
	want(t, search(t, idx, "a mallet"))
}

func testModel(t *testing.T, open Open) {
	idx := open(t, concepts("model-a", 32))
	put(t, idx, read(t, "hammer.md", "# Hammer\n\nIt drives nails."))
	if err := idx.Close(); err != nil {
		t.Fatal(err)
	}
	for _, embedder := range []retrieval.Embedder{concepts("model-b", 32), concepts("model-a", 16)} {
		idx = open(t, embedder)
		_, searchErr := idx.Search(t.Context(), store, retrieval.Query{Text: "hammer"})
		putErr := idx.Put(t.Context(), store, []document.Document{read(t, "saw.md", "# Saw\n\nA saw.")})
		for _, err := range []error{searchErr, putErr} {
			var model *retrieval.ModelError
			if !errors.As(err, &model) || !strings.Contains(err.Error(), "parley kb rebuild") {
				t.Errorf("%v, want a ModelError that says what to do", err)
			}
		}
		if err := idx.Close(); err != nil {
			t.Fatal(err)
		}
	}
	idx = open(t, concepts("model-b", 16))
	if n, err := retrieval.Rebuild(t.Context(), idx, store); err != nil || n != 1 {
		t.Fatalf("Rebuild = %d, %v", n, err)
	}
	want(t, search(t, idx, "a mallet"), "hammer.md")
	if err := idx.Close(); err != nil {
		t.Fatal(err)
	}
	idx = open(t, nil) // without an embedder, words still find
	want(t, search(t, idx, "hammer"), "hammer.md")
}

func testCancelled(t *testing.T, open Open) {
	idx := open(t, nil)
	put(t, idx, read(t, "hammer.md", "# Hammer\n\nA hammer."))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := idx.Search(ctx, store, retrieval.Query{Text: "hammer"}); err == nil {
		t.Error("a cancelled search returned no error")
	}
	if err := idx.Put(ctx, store, []document.Document{read(t, "saw.md", "# Saw\n\nA saw.")}); err == nil {
		t.Error("a cancelled Put returned no error")
	}
}

func read(t *testing.T, source, content string) document.Document {
	t.Helper()
	doc, err := document.Read(source, []byte(content), document.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func put(t *testing.T, idx retrieval.Index, docs ...document.Document) {
	t.Helper()
	if err := idx.Put(t.Context(), store, docs); err != nil {
		t.Fatal(err)
	}
}

func search(t *testing.T, idx retrieval.Index, query string) []activities.Passage {
	t.Helper()
	hits, err := idx.Search(t.Context(), store, retrieval.Query{Text: query})
	if err != nil {
		t.Fatalf("search %q: %v", query, err)
	}
	return hits
}

func sources(t *testing.T, idx retrieval.Index) []retrieval.Source {
	t.Helper()
	s, err := idx.Sources(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func want(t *testing.T, hits []activities.Passage, sources ...string) {
	t.Helper()
	if got := named(hits); !slices.Equal(got, sources) {
		t.Errorf("found %v, want %v", got, sources)
	}
}

func named(hits []activities.Passage) []string {
	var names []string
	for _, h := range hits {
		names = append(names, h.Source)
	}
	return names
}

// conceptStub is a stub of an embedder: words of one concept lie together, all
// others apart. It is here for models that change; how well a real model embeds
// is not tested.
type conceptStub struct {
	model string
	dim   int
}

func concepts(model string, dim int) conceptStub { return conceptStub{model: model, dim: dim} }

var conceptWords = map[string]string{
	"hammer": "striking tool", "mallet": "striking tool", "drives": "striking tool", "nails": "striking tool",
	"opening": "hours", "hours": "hours", "business": "hours", "times": "hours", "öffnungszeiten": "hours",
}

func (s conceptStub) Model() string { return s.model }

func (s conceptStub) EmbedPassages(ctx context.Context, texts []string) ([][]float32, error) {
	vectors := make([][]float32, len(texts))
	for i, text := range texts {
		vectors[i] = s.vector(text)
	}
	return vectors, ctx.Err()
}

func (s conceptStub) EmbedQuery(ctx context.Context, text string) ([]float32, error) {
	return s.vector(text), ctx.Err()
}

func (s conceptStub) vector(text string) []float32 {
	v := make([]float32, s.dim)
	for _, word := range strings.Fields(strings.ToLower(text)) {
		word = strings.Trim(word, ".,")
		weight := float32(0.1)
		if concept, ok := conceptWords[word]; ok {
			word, weight = concept, 1
		}
		h := fnv.New32a()
		h.Write([]byte(word))
		v[h.Sum32()%uint32(s.dim)] += weight
	}
	return v
}
