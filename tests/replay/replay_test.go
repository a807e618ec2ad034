// Package replay proves that today's workflow code still takes every recorded
// conversation the way it went. Record one before changing workflow code:
//
//	go test -tags pocketsphinx ./tests/e2e -run 'ByText|ByVoice|EveryVerb' -record
package replay

import (
	"path/filepath"
	"testing"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/workflows"
)

func TestRecordedConversationsReplay(t *testing.T) {
	histories, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(histories) == 0 {
		t.Fatal("there is no recorded history in testdata")
	}
	for _, path := range histories {
		t.Run(filepath.Base(path), func(t *testing.T) {
			r := worker.NewWorkflowReplayer()
			r.RegisterWorkflowWithOptions(workflows.Conversation, workflow.RegisterOptions{Name: workflows.ConversationType})
			if err := r.ReplayWorkflowHistoryFromJSONFile(nil, path); err != nil {
				t.Error(err)
			}
		})
	}
}
