package retrieval

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/sdk/temporal"

	"github.com/praesenz/parley/activities"
)

// Activity is the worker's side of activities.Retrieve.
type Activity struct {
	Index Index
	// OnRetrieved, when set, learns how many passages a search returned.
	OnRetrieved func(store, index string, passages int)
}

// Retrieve searches one collection. A blank question finds nothing and is no
// error: recognition can hear nothing. Its errors say whether another attempt
// can help: activities.KindInvalid cannot, KindAway and KindTimeout can.
func (a *Activity) Retrieve(ctx context.Context, in activities.RetrieveInput) (activities.RetrieveResult, error) {
	passages, err := a.search(ctx, in)
	if err != nil {
		return activities.RetrieveResult{}, classify(fmt.Errorf("retrieve from %s/%s: %w", in.Store, in.Index, err))
	}
	if a.OnRetrieved != nil {
		a.OnRetrieved(in.Store, in.Index, len(passages))
	}
	if passages == nil {
		passages = []activities.Passage{} // a flow asks for its size, and null has none
	}
	return activities.RetrieveResult{Passages: passages}, nil
}

func (a *Activity) search(ctx context.Context, in activities.RetrieveInput) ([]activities.Passage, error) {
	c := Collection{Store: in.Store, Index: in.Index}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	q, err := Query{Text: in.Query, Filter: in.Filter, TopK: in.TopK, MinScore: in.MinScore}.Check()
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(q.Text) == "" {
		return nil, nil
	}
	return a.Index.Search(ctx, c, q)
}

func classify(err error) error {
	var model *ModelError
	var application *temporal.ApplicationError
	switch {
	case errors.Is(err, ErrInvalid), errors.As(err, &model):
		return activities.Permanent(activities.KindInvalid, err)
	case errors.As(err, &application): // classified where it arose, by an embedder
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return activities.Retryable(activities.KindTimeout, err)
	case errors.Is(err, context.Canceled):
		return err // Temporal asked for it
	}
	return activities.Retryable(activities.KindAway, err)
}
