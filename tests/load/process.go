package load

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// A Process is one process whose work is measured.
type Process struct {
	Name string // parley, temporal or kiosks
	Pid  int
}

// Usage is what a process has used and holds.
type Usage struct {
	CPU    time.Duration // user and system, since it began
	Memory int64         // bytes resident
}

// ticksPerSecond is Linux's USER_HZ, which is 100 on every architecture that Go
// knows.
const ticksPerSecond = 100

// Usage reads what the process has used so far.
func (p Process) Usage() (Usage, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
	if err != nil {
		return Usage{}, fmt.Errorf("usage of %s: %w", p.Name, err)
	}
	// The command's name, in parentheses, may hold anything.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	number := func(n int) int64 { // counted from 1, as proc(5) does
		v, e := strconv.ParseInt(fields[n-3], 10, 64)
		if e != nil && err == nil {
			err = fmt.Errorf("usage of %s: field %d: %w", p.Name, n, e)
		}
		return v
	}
	ticks, pages := number(14)+number(15), number(24)
	return Usage{CPU: time.Duration(ticks) * time.Second / ticksPerSecond, Memory: pages * int64(os.Getpagesize())}, err
}

// System gives the processes of a `parley dev`: itself, its Temporal, and this one,
// which holds the kiosks.
func System(pid int) ([]Process, error) {
	all := []Process{{Name: "parley", Pid: pid}}
	started, err := children(pid)
	for _, p := range started {
		if p.Name == "temporal" {
			all = append(all, p)
		}
	}
	if err == nil && len(all) != 2 {
		err = fmt.Errorf("process %d has not started one Temporal but %d", pid, len(all)-1)
	}
	return append(all, Process{Name: "kiosks", Pid: os.Getpid()}), err
}

// children gives the processes that pid has started, by the names of their
// commands.
func children(pid int) ([]Process, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var all []Process
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
		fields := strings.Fields(string(b[end+1:]))
		if parent, _ := strconv.Atoi(fields[1]); parent != pid {
			continue
		}
		child, err := strconv.Atoi(strings.TrimSpace(string(b[:open])))
		if err != nil {
			return nil, err
		}
		all = append(all, Process{Name: string(b[open+1 : end]), Pid: child})
	}
	return all, nil
}

// Scrape reads an address's metrics in Prometheus's text format.
func Scrape(ctx context.Context, url string) (Metrics, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", url, resp.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(resp.Body)
}

// Metrics are a process's metrics by name.
type Metrics map[string]*dto.MetricFamily

// Value is a gauge's or a counter's, summed over its labels; 0 when it is not
// there.
func (m Metrics) Value(name string) float64 {
	sum := 0.0
	for _, one := range m[name].GetMetric() {
		sum += one.GetGauge().GetValue() + one.GetCounter().GetValue()
	}
	return sum
}
