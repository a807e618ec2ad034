package metrics_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/praesenz/parley/metrics"
)

// TestTemporalsFigures sets the tags as the SDK does: namespace and client once
// for all, then what is special, and sets of tags that differ for one name.
func TestTemporalsFigures(t *testing.T) {
	reg := prometheus.NewRegistry()
	root := metrics.Temporal(reg).WithTags(map[string]string{
		"namespace": "default", "client_name": "temporal_go", "task_queue": "none", "workflow_type": "none", "activity_type": "none",
	})
	queue := root.WithTags(map[string]string{"task_queue": "s1/tts"})
	request := queue.WithTags(map[string]string{"operation": "PollActivityTaskQueue"})
	request.Counter("temporal_request").Inc(2)
	request.WithTags(map[string]string{"status_code": "UNAVAILABLE"}).Counter("temporal_request_failure").Inc(1)
	root.WithTags(map[string]string{"operation": "GetSystemInfo"}).Counter("temporal_request").Inc(1)
	queue.WithTags(map[string]string{"worker_type": "ActivityWorker"}).Gauge("temporal_worker_task_slots_available").Update(126)
	waited := queue.WithTags(map[string]string{"activity_type": "Speak"}).Timer("temporal_activity_schedule_to_start_latency")
	waited.Record(20 * time.Millisecond)
	waited.Record(3 * time.Second)
	root.Counter("temporal_local_activity_total").Inc(1)

	page := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`temporal_request_total{activity_type="none",cause="",failure_reason="",operation="PollActivityTaskQueue",poller_type="",status_code="",task_queue="s1/tts",worker_type="",workflow_type="none"} 2`,
		`temporal_request_total{activity_type="none",cause="",failure_reason="",operation="GetSystemInfo",poller_type="",status_code="",task_queue="none",worker_type="",workflow_type="none"} 1`,
		`temporal_request_failure_total{activity_type="none",cause="",failure_reason="",operation="PollActivityTaskQueue",poller_type="",status_code="UNAVAILABLE",task_queue="s1/tts",worker_type="",workflow_type="none"} 1`,
		`temporal_worker_task_slots_available{activity_type="none",cause="",failure_reason="",operation="",poller_type="",status_code="",task_queue="s1/tts",worker_type="ActivityWorker",workflow_type="none"} 126`,
		`temporal_activity_schedule_to_start_latency_seconds_sum{activity_type="Speak",cause="",failure_reason="",operation="",poller_type="",status_code="",task_queue="s1/tts",worker_type="",workflow_type="none"} 3.02`,
		`temporal_local_activity_total{`,
	} {
		if !strings.Contains(page.Body.String(), "\n"+want) {
			t.Errorf("/metrics does not say %s", want)
		}
	}
	if t.Failed() {
		t.Log(page.Body)
	}
}
