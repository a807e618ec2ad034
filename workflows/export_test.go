package workflows_test

import (
	"errors"
	"testing"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/workflows"
)

// converterFrom reads the input with which a run continues as new.
func converterFrom(err *workflow.ContinueAsNewError, into any) error {
	return converter.GetDefaultDataConverter().FromPayloads(err.Input, into)
}

// continued is the visit with which a run that has ended so continues as new.
func continued(t *testing.T, err error) workflows.Visit {
	t.Helper()
	var again *workflow.ContinueAsNewError
	if !errors.As(err, &again) {
		t.Fatalf("error %v, want continue-as-new", err)
	}
	var v workflows.Visit
	if err := converterFrom(again, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
