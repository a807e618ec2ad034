package metrics

import (
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
)

// sdkTags are the labels of Temporal's figures: the tags by which its SDK tells
// workers, queues and requests apart. Its tags for the namespace, of which a
// process has one, and for the client, which is always Go's, are left out, so
// that `namespace` stays what Prometheus makes it in a cluster.
var sdkTags = []string{
	"task_queue", "worker_type", "poller_type", "workflow_type", "activity_type",
	"operation", "status_code", "failure_reason", "cause",
}

// sdkBuckets, in seconds, are fine where a customer waits (a queue, a request)
// and reach to where an activity ends that lasts as long as a kiosk's session.
var sdkBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800}

// Temporal gives what Temporal's SDK tells of its work, for
// client.Options.MetricsHandler: how long tasks waited for a worker, slots used
// and free, requests and their failures. Every name and its meaning is at
// https://docs.temporal.io/references/sdk-metrics; counters end in _total and
// times in _seconds, as Prometheus has it. A registry takes it once.
//
// The SDK's own bridge to OpenTelemetry would bring 12 modules for this page.
func Temporal(reg prometheus.Registerer) client.MetricsHandler {
	return sdkHandler{families: &sdkFamilies{reg: reg, made: map[string]prometheus.Collector{}}}
}

// sdkHandler carries the tags that are set so far.
type sdkHandler struct {
	families *sdkFamilies
	tags     map[string]string
}

func (h sdkHandler) WithTags(tags map[string]string) client.MetricsHandler {
	all := make(map[string]string, len(h.tags)+len(tags))
	maps.Copy(all, h.tags)
	maps.Copy(all, tags)
	return sdkHandler{families: h.families, tags: all}
}

func (h sdkHandler) Counter(name string) client.MetricsCounter {
	name = strings.TrimSuffix(name, "_total") + "_total"
	c := family(h.families, name, func(help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, sdkTags)
	}).WithLabelValues(h.values()...)
	return counter{c}
}

func (h sdkHandler) Gauge(name string) client.MetricsGauge {
	g := family(h.families, name, func(help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, sdkTags)
	}).WithLabelValues(h.values()...)
	return gauge{g}
}

func (h sdkHandler) Timer(name string) client.MetricsTimer {
	name += "_seconds"
	o := family(h.families, name, func(help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: sdkBuckets}, sdkTags)
	}).WithLabelValues(h.values()...)
	return timer{o}
}

// values are the tags in the order of sdkTags; a tag that is not set is empty,
// which to Prometheus is a label that is not there.
func (h sdkHandler) values() []string {
	values := make([]string, len(sdkTags))
	for i, name := range sdkTags {
		values[i] = h.tags[name]
	}
	return values
}

// sdkFamilies are the metrics that the SDK has named so far: it has no list.
type sdkFamilies struct {
	reg  prometheus.Registerer
	mu   sync.Mutex
	made map[string]prometheus.Collector // by name
}

// family gives the metric of a name, made and registered when it is first used.
// The SDK uses a name for one kind of metric only.
func family[V prometheus.Collector](f *sdkFamilies, name string, create func(help string) V) V {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, ok := f.made[name]; ok {
		return c.(V)
	}
	v := create("Of Temporal's SDK; see https://docs.temporal.io/references/sdk-metrics")
	f.reg.MustRegister(v)
	f.made[name] = v
	return v
}

type (
	counter struct{ prometheus.Counter }
	gauge   struct{ prometheus.Gauge }
	timer   struct{ prometheus.Observer }
)

func (c counter) Inc(n int64)             { c.Add(float64(n)) }
func (g gauge) Update(to float64)         { g.Set(to) }
func (t timer) Record(took time.Duration) { t.Observe(took.Seconds()) }
