// Package metrics holds the figures by which a store judges its kiosks, in
// one place, because gateway and workers observe them together.
package metrics

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry makes a process's registry, with what Go, the process and the build
// tell of themselves.
func NewRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	)
	return reg
}

// Metrics is what gateway and workers observe. The label `store` tells the
// stores of one cluster apart; `kiosk` is where a bad kiosk must be found among
// good ones, and costs some thirty series for each kiosk.
type Metrics struct {
	// Conversations counts conversations that have ended, by store and outcome:
	// the flow's own word, or terminated, cancelled, timed_out, failed.
	Conversations *prometheus.CounterVec
	// ResponseTime is the time in seconds from the last word that a customer said,
	// or what they typed or touched, to the first audio frame of the answer, by
	// store and kiosk. The silence that ends a turn is part of it.
	ResponseTime *prometheus.HistogramVec
	// STTConfidence is the confidence (0..1) of each transcript, by store and kiosk.
	STTConfidence *prometheus.HistogramVec
	// RAGChunks is the number of passages that the last search found, by store.
	RAGChunks *prometheus.GaugeVec
	// TTSGeneration is the time in seconds that one segment's audio took to make,
	// by store.
	TTSGeneration *prometheus.HistogramVec
	// ActionTime is the time in seconds of each attempt of an action, by store,
	// action and outcome: done, cancelled, one of the action's own errors, or the
	// kind of failure.
	ActionTime *prometheus.HistogramVec
}

// New registers the metrics. It fails when reg already has one of them.
func New(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		Conversations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kiosk_conversations_total",
			Help: "Conversations that have ended, by outcome.",
		}, []string{"store", "outcome"}),
		ResponseTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kiosk_response_time_seconds",
			Help: "From the last word that a customer said, or what they typed or touched, to the answer's first audio frame. The silence that ends a turn is part of it.",
			// Up to 15 s, where the stores' alert on response time lies, and beyond.
			Buckets: []float64{.05, .1, .2, .3, .5, .75, 1, 1.5, 2, 3, 5, 8, 15, 30},
		}, []string{"store", "kiosk"}),
		STTConfidence: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "kiosk_stt_confidence",
			Help:    "Confidence of transcripts, 0 to 1.",
			Buckets: prometheus.LinearBuckets(.1, .1, 10),
		}, []string{"store", "kiosk"}),
		RAGChunks: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kiosk_rag_chunks_retrieved",
			Help: "Passages found by the last search.",
		}, []string{"store"}),
		TTSGeneration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "kiosk_tts_generation_seconds",
			Help:    "Time to make one segment's audio.",
			Buckets: []float64{.02, .05, .1, .2, .3, .5, .75, 1, 2, 5, 10},
		}, []string{"store"}),
		ActionTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "kiosk_action_seconds",
			Help:    "Time of one attempt of an action of the catalogue, by outcome.",
			Buckets: []float64{.02, .05, .1, .2, .3, .5, .75, 1, 2, 5, 10, 30, 60},
		}, []string{"store", "action", "outcome"}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.Conversations, m.ResponseTime, m.STTConfidence, m.RAGChunks, m.TTSGeneration, m.ActionTime} {
		errs = append(errs, reg.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return m, nil
}
