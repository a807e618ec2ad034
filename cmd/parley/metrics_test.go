package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/gateway"
	"github.com/praesenz/parley/metrics"
)

const metricsPage = "../../docs/metrics.md"

var updateMetrics = flag.Bool("update-metrics", false, "write the table of docs/metrics.md anew")

// TestMetricsPage: docs/metrics.md has every metric of ours, with its labels and
// what it is, as gateway and workers register them.
func TestMetricsPage(t *testing.T) {
	registry := prometheus.NewRegistry()
	meters, err := metrics.New(registry)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := metrics.NewKnowledge(registry); err != nil {
		t.Fatal(err)
	}
	if _, err := gateway.New(gateway.Config{
		Keys: [][]byte{make([]byte, 32)}, MediaToken: strings.Repeat("m", 16), Temporal: struct{ gateway.Temporal }{},
		Plan:    func(context.Context, string, string) (flow.Plan, map[string]any, error) { return flow.Plan{}, nil, nil },
		Metrics: meters, Registry: registry, Logger: slog.New(slog.DiscardHandler),
	}); err != nil {
		t.Fatal(err)
	}
	descs := make(chan *prometheus.Desc)
	go func() {
		registry.Describe(descs)
		close(descs)
	}()
	// A Desc tells of itself only as text.
	parts := regexp.MustCompile(`^Desc\{fqName: "(\w+)", help: "(.*?)"(?:, unit: "\w*")?, constLabels: \{\}, variableLabels: \{(.*)\}\}$`)
	var rows []string
	for d := range descs {
		m := parts.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("cannot read %s", d)
		}
		labels := ""
		if m[3] != "" {
			labels = "`" + strings.ReplaceAll(m[3], ",", "`, `") + "`"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", m[1], labels, m[2]))
	}
	slices.Sort(rows)

	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- made by go test ./cmd/parley -run TestMetricsPage -update-metrics -->\n", "<!-- end -->"
	before, rest, ok := strings.Cut(string(page), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the marks %q and %q", metricsPage, begin, end)
	}
	want := before + begin + "| metric | labels | is |\n|---|---|---|\n" + strings.Join(rows, "") + end + after
	if *updateMetrics {
		if err := os.WriteFile(metricsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(page) {
		t.Errorf("%s is not what is registered; make it again with -update-metrics", metricsPage)
	}
}

// TestTemporalMetricsPage: the metrics of Temporal that docs/metrics.md names are
// those that its SDK, as we build it, has.
func TestTemporalMetricsPage(t *testing.T) {
	folder, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "go.temporal.io/sdk").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(strings.TrimSpace(string(folder)) + "/internal/common/metrics/constants.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("(?m)^\\| `(temporal_\\w+)` \\|").FindAllStringSubmatch(string(page), -1)
	if len(named) == 0 {
		t.Fatalf("%s names no metric of Temporal", metricsPage)
	}
	for _, m := range named {
		name := strings.TrimPrefix(strings.TrimSuffix(strings.TrimSuffix(m[1], "_total"), "_seconds"), "temporal_")
		// Some names are made of another's.
		request := strings.TrimPrefix(strings.TrimPrefix(name, "long_"), "request")
		if !strings.Contains(string(source), `"`+name+`"`) && (request == name || !strings.Contains(string(source), `"`+request+`"`)) {
			t.Errorf("Temporal's SDK has no metric temporal_%s", name)
		}
	}
}
