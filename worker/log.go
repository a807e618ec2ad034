package worker

import (
	"context"
	"errors"
	"log/slog"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
)

// Logger makes the SDK log where everything else does. It takes for an error what
// is none here: that a conversation has taken an activity back, as it does with
// each answer to half a sentence, or has come to its end before it. Both are told
// for debugging.
func Logger(l *slog.Logger) log.Logger { return log.NewStructuredLogger(slog.New(calm{l.Handler()})) }

type calm struct{ slog.Handler }

func (c calm) Handle(ctx context.Context, r slog.Record) error {
	if r.Level > slog.LevelDebug && takenBack(r) {
		r.Level = slog.LevelDebug
		if !c.Enabled(ctx, r.Level) {
			return nil
		}
	}
	return c.Handler.Handle(ctx, r)
}

func (c calm) WithAttrs(attrs []slog.Attr) slog.Handler { return calm{c.Handler.WithAttrs(attrs)} }

func (c calm) WithGroup(name string) slog.Handler { return calm{c.Handler.WithGroup(name)} }

// takenBack tells whether a record's error is that nobody wants the result.
func takenBack(r slog.Record) (is bool) {
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			var over *serviceerror.NotFound
			is = errors.Is(err, context.Canceled) || temporal.IsCanceledError(err) || errors.As(err, &over)
		}
		return !is
	})
	return is
}
