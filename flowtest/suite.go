// Package flowtest rehearses flows: it holds the conversations of test files with
// the real workflow on virtual time, without a server, and says where one went
// otherwise than its author expects.
package flowtest

import (
	"cmp"
	"context"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/praesenz/parley/flow"
)

// A Report is what became of all tests.
type Report struct {
	Results  []Result      `json:"tests"`
	Coverage []Coverage    `json:"coverage"` // of each flow that a test talks to
	Took     time.Duration `json:"took_ns"`
}

// Failed is how many tests failed.
func (r Report) Failed() int {
	n := 0
	for _, result := range r.Results {
		if result.Failure != nil {
			n++
		}
	}
	return n
}

// Turns is how many turns all conversations had.
func (r Report) Turns() int {
	n := 0
	for _, result := range r.Results {
		n += result.Turns
	}
	return n
}

// Rehearse holds all tests, as many at once as there are processors. plans has
// the flow of every test by its file's name. When ctx ends, the tests that have
// not begun are left out.
func Rehearse(ctx context.Context, tests []*Test, plans map[string]*flow.Plan) Report {
	began := time.Now()
	results := make([]*Result, len(tests))
	texts := map[string]*prompts{}
	for name, plan := range plans {
		texts[name] = promptsOf(plan)
	}
	work := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range work {
				r := run(tests[i], plans[tests[i].Flow], texts[tests[i].Flow])
				results[i] = &r
			}
		})
	}
	for i := range tests {
		if ctx.Err() != nil {
			break
		}
		work <- i
	}
	close(work)
	workers.Wait()

	report := Report{Results: make([]Result, 0, len(tests))}
	taken := map[string]int{}
	for _, r := range results {
		if r == nil {
			continue
		}
		report.Results = append(report.Results, *r)
		for way, n := range r.Taken {
			taken[way] += n
		}
	}
	var tested []string
	for _, t := range tests {
		tested = append(tested, t.Flow)
	}
	slices.Sort(tested)
	for _, name := range slices.Compact(tested) {
		report.Coverage = append(report.Coverage, Cover(plans[name], "flows/"+name+".yaml", taken))
	}
	report.Took = time.Since(began)
	return report
}

// stepsByLine are a plan's steps in the order of its source.
func stepsByLine(plan *flow.Plan) []string {
	names := sortedKeys(plan.Steps)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(plan.Steps[a].Line, plan.Steps[b].Line) })
	return names
}

// Open reads test files and compiles the flows that they test. What is wrong is
// reported; tests that can be held are still there.
func Open(root fs.FS, files []string, compile func(flow string) (*flow.Plan, error)) ([]*Test, map[string]*flow.Plan, flow.Diagnostics) {
	var read, fit []*Test
	var all flow.Diagnostics
	plans, failed := map[string]*flow.Plan{}, map[string]bool{}
	for _, file := range files {
		tests, ds := Read(root, file)
		read, all = append(read, tests...), append(all, ds...)
	}
	twice(read, &all)
	for _, t := range read {
		if failed[t.Flow] {
			continue // said of the first test
		}
		if plans[t.Flow] == nil {
			plan, err := compile(t.Flow)
			if err != nil {
				failed[t.Flow] = true
				t.doc.Field("flow").Report(&all, codeFlow, "run parley flow check", "flow %q does not compile: %v", t.Flow, firstLine(err))
				continue
			}
			plans[t.Flow] = plan
		}
		ds := t.Check(plans[t.Flow])
		all = append(all, ds...)
		if len(ds.Errors()) == 0 {
			fit = append(fit, t)
		}
	}
	all.Sort()
	return fit, plans, all
}

// firstLine is an error that may list everything that is wrong with a flow.
func firstLine(err error) string {
	line, _, more := strings.Cut(err.Error(), "\n")
	if more {
		line += " …"
	}
	return line
}
