package qdrant

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"

	"github.com/qdrant/go-client/qdrant"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/retrieval"
	"github.com/praesenz/parley/activities/retrieval/lexical"
)

// What a term is worth by where it stands, for choosing candidates; the score
// decides among them.
const (
	titleBoost = 2.0
	partBoost  = 0.1

	// BM25's usual constants, and about how many terms a passage has: Qdrant
	// knows how rare a term is but not how long the passages are on average.
	k1            = 1.2
	b             = 0.75
	averageLength = 80.0
)

// sparse is a passage's term vector: each dimension is a term (by hash), each
// value what BM25 makes of its frequency.
func sparse(title, text []string) ([]uint32, []float32) {
	frequency := make(map[string]float64)
	for _, term := range text {
		frequency[term]++
	}
	for _, term := range title {
		frequency[term] += titleBoost
	}
	long := k1 * (1 - b + b*float64(len(text))/averageLength)
	weights := make(map[uint32]float64)
	for term, tf := range frequency {
		weights[dimension(term)] += tf * (k1 + 1) / (tf + long)
	}
	for _, part := range lexical.Parts(text) {
		weights[dimension("part:"+part)] = partBoost
	}
	return vector(weights)
}

// sparseQuery is a question's term vector.
func sparseQuery(terms []string) ([]uint32, []float32) {
	weights := make(map[uint32]float64)
	for _, term := range terms {
		weights[dimension(term)] = 1
	}
	for _, part := range lexical.Parts(terms) {
		weights[dimension("part:"+part)] = 1
	}
	return vector(weights)
}

// dimension is a term's place in the vector. Two terms that share one only make
// a candidate more: scores are of the terms themselves.
func dimension(term string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(term)) // never fails
	return h.Sum32()
}

func vector(weights map[uint32]float64) ([]uint32, []float32) {
	indices := make([]uint32, 0, len(weights))
	for i := range weights {
		indices = append(indices, i)
	}
	slices.Sort(indices)
	values := make([]float32, len(indices))
	for i, at := range indices {
		values[i] = float32(weights[at])
	}
	return indices, values
}

// rank scores what the server found. By words alone the score orders the
// passages; with a vector, the server's fusion does.
func rank(points []*qdrant.ScoredPoint, q retrieval.Query, question *lexical.Question, vector []float32) ([]activities.Passage, error) {
	type found struct {
		passage  activities.Passage
		mentions float64
	}
	var all []found
	for _, p := range points {
		payload := p.GetPayload()
		stored := payload[payloadRecord].GetStringValue()
		if stored == "" {
			continue // the metadata
		}
		var r retrieval.Record
		if err := json.Unmarshal([]byte(stored), &r); err != nil {
			return nil, fmt.Errorf("passage %s is damaged: %w", p.GetId().GetUuid(), err)
		}
		title, text := terms(payload[payloadTitle]), terms(payload[payloadTerms])
		f := found{passage: r.Passage, mentions: question.Mentions(r.Source.Language, text)}
		f.passage.Score = question.Score(r.Source.Language, title, text)
		if dense := p.GetVectors().GetVectors().GetVectors()[meaning].GetDenseVector(); vector != nil && dense != nil {
			f.passage.Score = max(f.passage.Score, retrieval.Closeness(cosine(vector, dense.GetData())))
		}
		if f.passage.Score > 0 && f.passage.Score >= q.MinScore {
			all = append(all, f)
		}
	}
	if vector == nil {
		slices.SortFunc(all, func(a, b found) int {
			return cmp.Or(cmp.Compare(b.passage.Score, a.passage.Score), cmp.Compare(b.mentions, a.mentions),
				strings.Compare(a.passage.ID, b.passage.ID))
		})
	}
	all = all[:min(len(all), q.TopK)]
	passages := make([]activities.Passage, len(all))
	for i, f := range all {
		passages[i] = f.passage
	}
	return passages, nil
}

func terms(v *qdrant.Value) []string {
	values := v.GetListValue().GetValues()
	list := make([]string, len(values))
	for i, value := range values {
		list[i] = value.GetStringValue()
	}
	return list
}

func cosine(x, y []float32) float64 {
	var dot, xx, yy float64
	for i := range min(len(x), len(y)) {
		dot += float64(x[i]) * float64(y[i])
		xx += float64(x[i]) * float64(x[i])
		yy += float64(y[i]) * float64(y[i])
	}
	if xx == 0 || yy == 0 {
		return 0
	}
	return dot / math.Sqrt(xx*yy)
}
