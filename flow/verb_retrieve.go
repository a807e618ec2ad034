package flow

var retrieveVerb = verb{
	name:   "retrieve",
	fields: []string{"next", "run"},
	errors: []string{"timeout"},
	parse: func(n node) body {
		return &retrieveBody{
			index:    n.field("index").text(),
			query:    n.field("query").text(),
			filter:   n.field("filter").pairs(),
			topK:     n.field("top_k"),
			minScore: n.field("min_score").float(),
			into:     n.field("into").text(),
		}
	},
}

// defaultTopK is how many passages `retrieve` asks for: as many as fit a spoken
// answer's context with room for one that is off the mark.
const defaultTopK = 5

type retrieveBody struct {
	index, query, into Text
	filter             []pair
	topK               node
	minScore           float64
}

func (b *retrieveBody) facts() facts {
	f := facts{
		exprs:  []*exprUse{{text: b.query, field: "query", want: "text"}},
		silent: true,
	}
	for _, p := range b.filter {
		f.exprs = append(f.exprs, &exprUse{text: p.val.text(), field: p.key.Value, want: "text"})
	}
	return f
}

func (b *retrieveBody) check(t *tree, s *step, ds *Diagnostics) {
	if into := t.checkVar(b.into, "into", ds, "list(passage)"); into != "" {
		s.facts.sets = []string{"vars." + into}
	}
}

func (b *retrieveBody) lower(_ *tree, s *Step) {
	s.Retrieve = &Retrieve{
		Index:    b.index.Value,
		Query:    b.query.Value,
		Filter:   lowerWith(b.filter),
		TopK:     defaultTopK,
		MinScore: b.minScore,
		Into:     b.into.Value,
	}
	if b.topK.there() {
		s.Retrieve.TopK = b.topK.integer()
	}
}
