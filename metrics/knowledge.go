package metrics

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Knowledge is what a process that keeps the index like the store's folder
// observes, each by store and index.
type Knowledge struct {
	// Documents is the number of documents in the index after the last sync that
	// reached it.
	Documents *prometheus.GaugeVec
	// Failed is the number of documents that could not be read in it. Their old
	// text is still found.
	Failed *prometheus.GaugeVec
	// Synced is when it was, in seconds since 1970.
	Synced *prometheus.GaugeVec
}

// NewKnowledge registers the metrics. It fails when reg already has one of them.
func NewKnowledge(reg prometheus.Registerer) (*Knowledge, error) {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"store", "index"})
	}
	k := &Knowledge{
		Documents: gauge("parley_knowledge_documents", "Documents in the index after the last sync."),
		Failed:    gauge("parley_knowledge_failed_documents", "Documents that the last sync could not read."),
		Synced:    gauge("parley_knowledge_synced_timestamp_seconds", "When the index was last made like the store's folder."),
	}
	if err := errors.Join(reg.Register(k.Documents), reg.Register(k.Failed), reg.Register(k.Synced)); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return k, nil
}
