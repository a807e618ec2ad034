package worker_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"

	"github.com/praesenz/parley/worker"
)

func TestWhatNobodyWantsAnyMoreIsNoErrorInTheLog(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		told bool
	}{
		"taken back":           {err: context.Canceled},
		"cancelled":            {err: temporal.NewCanceledError()},
		"conversation is over": {err: serviceerror.NewNotFound("workflow execution already completed")},
		"out of time":          {err: context.DeadlineExceeded, told: true},
		"failed":               {err: errors.New("no such voice"), told: true},
	} {
		t.Run(name, func(t *testing.T) {
			for level, least := range map[string]slog.Level{"": slog.LevelInfo, "DEBUG": slog.LevelDebug} {
				var out bytes.Buffer
				l := worker.Logger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: least})))
				log.With(l, "ActivityType", "Speak").Error("Activity error.", "Error", c.err)
				if c.told {
					level = "ERROR"
				}
				if got := out.String(); (got != "") != (level != "") || !strings.Contains(got, level) {
					t.Errorf("logged at %s and above: %q, want level %q", least, got, level)
				}
			}
		})
	}
}
