package helm_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/praesenz/parley/tests/helm/render"
)

// A ruleFile is what Prometheus reads as a rule file.
type ruleFile struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []rule `json:"rules"`
	} `json:"groups"`
}

type rule struct {
	Alert       string            `json:"alert,omitempty"`
	Record      string            `json:"record,omitempty"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// alertRules renders the chart's alerts, with values over those that turn them on.
func alertRules(t *testing.T, alerts map[string]any) ruleFile {
	t.Helper()
	values := map[string]any{"enabled": true}
	maps.Copy(values, alerts)
	r := mustRender(t, map[string]any{"monitoring": map[string]any{"alerts": values}}, render.Options{})
	for _, o := range r.Objects {
		if o.Kind() == "PrometheusRule" {
			var rules ruleFile
			if err := o.Into(&rules, "spec"); err != nil {
				t.Fatal(err)
			}
			return rules
		}
	}
	t.Fatal("the chart renders no PrometheusRule")
	return ruleFile{}
}

func (f ruleFile) alerts() []rule {
	var all []rule
	for _, g := range f.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// write puts the rules into a file for promtool.
func (f ruleFile) write(t *testing.T, path string) {
	t.Helper()
	text, err := yaml.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// promtool runs Prometheus's own tool in dir.
func promtool(t *testing.T, dir string, args ...string) {
	t.Helper()
	var why bytes.Buffer
	find := exec.CommandContext(t.Context(), "../promtool")
	find.Stderr = &why
	path, err := find.Output()
	if err != nil {
		t.Skipf("no promtool: %s", strings.TrimSpace(why.String()))
	}
	cmd := exec.CommandContext(t.Context(), strings.TrimSpace(string(path)), args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestAlerts: what is rendered is what Prometheus takes, with nothing left to fill
// in, and docs/alerts.md says what to do about each.
func TestAlerts(t *testing.T) {
	rules := alertRules(t, nil)
	page, err := os.ReadFile("../../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules.alerts() {
		for what, text := range map[string]string{"expr": r.Expr, "summary": r.Annotations["summary"], "description": r.Annotations["description"]} {
			if text == "" || regexp.MustCompile(`<[a-zA-Z]+>`).MatchString(text) {
				t.Errorf("%s: %s is %q", r.Alert, what, text)
			}
		}
		if !strings.HasPrefix(r.Alert, "Parley") || r.Labels["severity"] == "" {
			t.Errorf("%s: labels %v; every alert begins with Parley and has a severity", r.Alert, r.Labels)
		}
		if _, anchor, _ := strings.Cut(r.Annotations["runbook_url"], "#"); anchor != strings.ToLower(r.Alert) {
			t.Errorf("%s: runbook_url is %s", r.Alert, r.Annotations["runbook_url"])
		}
		if !strings.Contains(string(page), "\n### "+r.Alert+"\n") {
			t.Errorf("docs/alerts.md has no section `### %s`, to which the alert leads", r.Alert)
		}
	}
	dir := t.TempDir()
	rules.write(t, filepath.Join(dir, "rules.yml"))
	promtool(t, dir, "check", "rules", "rules.yml")
}

// TestAlertsFire plays testdata/alerts.yaml against the rules as they are rendered.
// Every alert must be seen to fire, and at another time to be quiet.
func TestAlertsFire(t *testing.T) {
	rules := alertRules(t, nil)
	dir := t.TempDir()
	rules.write(t, filepath.Join(dir, "rules.yml"))
	text, err := os.ReadFile("testdata/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "alerts.yaml"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	promtool(t, dir, "test", "rules", "alerts.yaml")

	var plays struct {
		Tests []struct {
			Alerts []struct {
				At       string `json:"eval_time"`
				Alert    string `json:"alertname"`
				Expected []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		} `json:"tests"`
	}
	if err := yaml.Unmarshal(text, &plays); err != nil {
		t.Fatal(err)
	}
	// One test in which it is quiet, fires and is quiet again.
	proven := map[string]bool{}
	for _, test := range plays.Tests {
		course := map[string]string{}
		for _, a := range test.Alerts {
			step := "-"
			if len(a.Expected) > 0 {
				step = "!"
			}
			course[a.Alert] += step
		}
		for name, c := range course {
			proven[name] = proven[name] || regexp.MustCompile(`-!+-`).MatchString(c)
		}
	}
	for _, r := range rules.alerts() {
		if !proven[r.Alert] {
			t.Errorf("%s: testdata/alerts.yaml has no test in which it is quiet, fires and resolves", r.Alert)
		}
	}
}

// TestComposeAlerts: compose's Prometheus has the chart's alerts, of all series.
func TestComposeAlerts(t *testing.T) {
	const path = "../../deploy/prometheus/alerts.yml"
	rules := alertRules(t, map[string]any{"selector": ""})
	text, err := yaml.Marshal(rules)
	if err != nil {
		t.Fatal(err)
	}
	text = append([]byte("# The chart's alerts (helm/files/alerts.yaml), for compose.yaml. Made by\n# `cd tests/helm && go test -run TestComposeAlerts . -update`.\n"), text...)
	if *update {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, text) {
		t.Errorf("%s is not what the chart renders (%v); make it again with -update", path, err)
	}
}

// A dashboard is what these tests need of Grafana's model.
type dashboard struct {
	UID        string `json:"uid"`
	Templating struct {
		List []struct {
			Name       string `json:"name"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []struct {
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
	Panels []struct {
		ID      int                      `json:"id"`
		Type    string                   `json:"type"`
		Title   string                   `json:"title"`
		Grid    struct{ X, Y, W, H int } `json:"gridPos"`
		Targets []struct {
			Expr       string `json:"expr"`
			Datasource struct {
				UID string `json:"uid"`
			} `json:"datasource"`
		} `json:"targets"`
	} `json:"panels"`
}

func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(*chartDir, "dashboards", "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("dashboards: %v, %v", paths, err)
	}
	all := map[string]dashboard{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all[filepath.Base(path)] = d
	}
	return all
}

// expressions are a dashboard's queries, with a value for every variable, by where
// they are.
func (d dashboard) expressions() map[string]string {
	fill := strings.NewReplacer("$__rate_interval", "5m", "$__range", "1d", "$store", "store1", "$namespace", ".*")
	all := map[string]string{}
	for _, p := range d.Panels {
		for i, target := range p.Targets {
			all[fmt.Sprintf("%s, query %d", p.Title, i+1)] = fill.Replace(target.Expr)
		}
	}
	for _, a := range d.Annotations.List {
		all["annotations"] = fill.Replace(a.Expr)
	}
	for _, v := range d.Templating.List {
		if query, ok := strings.CutPrefix(v.Definition, "label_values("); ok {
			metric, _, _ := strings.Cut(query, ",")
			all["variable "+v.Name] = metric
		}
	}
	return all
}

// TestDashboards: panels lie beside each other, every query is one that Prometheus
// takes, and none leaves a variable that the dashboard does not have.
func TestDashboards(t *testing.T) {
	for file, d := range dashboards(t) {
		taken := map[[2]int]string{}
		ids := map[int]bool{}
		for _, p := range d.Panels {
			if ids[p.ID] {
				t.Errorf("%s: panel %q: its id %d is another's too", file, p.Title, p.ID)
			}
			ids[p.ID] = true
			if p.Grid.W < 1 || p.Grid.H < 1 || p.Grid.X < 0 || p.Grid.X+p.Grid.W > 24 {
				t.Errorf("%s: panel %q does not fit the grid of 24: %+v", file, p.Title, p.Grid)
			}
			for x := p.Grid.X; x < p.Grid.X+p.Grid.W; x++ {
				for y := p.Grid.Y; y < p.Grid.Y+p.Grid.H; y++ {
					if other, ok := taken[[2]int{x, y}]; ok {
						t.Fatalf("%s: panels %q and %q overlap", file, other, p.Title)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
			if p.Type != "row" && len(p.Targets) == 0 {
				t.Errorf("%s: panel %q asks nothing", file, p.Title)
			}
			for _, target := range p.Targets {
				if target.Datasource.UID != "${datasource}" {
					t.Errorf("%s: panel %q asks the data source %q; write ${datasource}", file, p.Title, target.Datasource.UID)
				}
			}
		}
		// As recording rules, which promtool checks.
		var rules ruleFile
		rules.Groups = slices.Grow(rules.Groups, 1)[:1]
		rules.Groups[0].Name = "dashboard"
		for i, where := range slices.Sorted(maps.Keys(d.expressions())) {
			expr := d.expressions()[where]
			if strings.Contains(expr, "$") {
				t.Errorf("%s: %s: a variable is left in %s", file, where, expr)
			}
			rules.Groups[0].Rules = append(rules.Groups[0].Rules, rule{Record: fmt.Sprintf("query:%d", i), Expr: expr})
		}
		dir := t.TempDir()
		rules.write(t, filepath.Join(dir, "rules.yml"))
		promtool(t, dir, "check", "rules", "rules.yml")
	}
}

// foreign are metrics of others that alerts and dashboards use.
var foreign = []string{
	"up", "ALERTS", // Prometheus itself
	"DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_GPU_UTIL", // NVIDIA's DCGM exporter
	"kube_pod_container_status_restarts_total",                                                 // kube-state-metrics
	"process_start_time_seconds", "process_cpu_seconds_total", "process_resident_memory_bytes", // Go's Prometheus client
}

// TestMetricsExist: alerts and dashboards ask for metrics that docs/metrics.md has,
// which is made of the registries, or for those of others.
func TestMetricsExist(t *testing.T) {
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, name := range foreign {
		known[name] = false
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		documented[m[1]] = true
	}
	asked := map[string]string{}
	for _, r := range alertRules(t, nil).alerts() {
		asked[r.Alert] = r.Expr
	}
	for file, d := range dashboards(t) {
		for where, expr := range d.expressions() {
			asked[file+", "+where] = expr
		}
	}
	for where, expr := range asked {
		for _, name := range metricNames(expr) {
			if _, ok := known[name]; ok {
				known[name] = true
				continue
			}
			if !documented[name] && !documented[regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")] {
				t.Errorf("%s asks for %s, which nothing gives", where, name)
			}
		}
	}
	for name, used := range known {
		if !used {
			t.Errorf("%s is among the metrics of others, and nobody asks for it", name)
		}
	}
}

var (
	inQuotes  = regexp.MustCompile(`"[^"]*"`)
	matchers  = regexp.MustCompile(`\{[^}]*\}`)
	durations = regexp.MustCompile(`\[[^\]]*\]`)
	groupings = regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`)
	words     = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\s*\(?`)
)

// metricNames are the metrics that a PromQL expression reads.
func metricNames(expr string) []string {
	for _, part := range []*regexp.Regexp{inQuotes, matchers, durations, groupings} {
		expr = part.ReplaceAllString(expr, " ")
	}
	var names []string
	for _, word := range words.FindAllString(expr, -1) {
		word = strings.TrimSpace(word)
		if !strings.HasSuffix(word, "(") && !slices.Contains([]string{"and", "or", "unless", "bool", "offset", "by", "without"}, word) {
			names = append(names, word)
		}
	}
	return names
}
