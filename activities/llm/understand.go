package llm

import (
	"context"
	"errors"
	"log/slog"

	"github.com/praesenz/parley/activities"
)

// An Understander runs the Understand activity. It is safe for concurrent use.
type Understander struct {
	model Model
	log   *slog.Logger
}

// NewUnderstander returns an Understander that asks model.
func NewUnderstander(model Model, log *slog.Logger) *Understander {
	return &Understander{model: model, log: log}
}

// Understand asks the model what an utterance means. Errors: KindUnable, where
// there is no model, is permanent.
func (u *Understander) Understand(ctx context.Context, in activities.UnderstandInput) (activities.UnderstandResult, error) {
	return activities.UnderstandResult{}, activities.Permanent(activities.KindUnable, errors.New("no language model"))
}
