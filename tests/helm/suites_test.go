package helm_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/helm-unittest/helm-unittest/pkg/unittest"
	"github.com/helm-unittest/helm-unittest/pkg/unittest/results"
	"github.com/helm-unittest/helm-unittest/pkg/unittest/snapshot"
	"helm.sh/helm/v3/pkg/chart/loader"
)

// TestSuites runs the chart's own unit tests, helm/tests/*_test.yaml, one test
// here for each of theirs.
func TestSuites(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(*chartDir, "tests", "*_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatal("the chart has no suites in tests/*_test.yaml")
	}
	for _, path := range paths {
		suites, err := unittest.ParseTestSuiteFile(path, "parley", true, nil)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		for _, suite := range suites {
			runSuite(t, strings.TrimSuffix(filepath.Base(path), "_test.yaml"), suite)
		}
	}
}

func runSuite(t *testing.T, name string, suite *unittest.TestSuite) {
	// A suite changes the chart that it is given, so each has its own.
	chart, err := loader.Load(*chartDir)
	if err != nil {
		t.Fatal(err)
	}
	cache := &snapshot.Cache{Filepath: filepath.Join(t.TempDir(), "snapshot")}
	result := suite.RunV3(chart, cache, false, "", &results.TestSuiteResult{})
	if result.ExecError != nil {
		t.Errorf("%s: %v", name, result.ExecError)
	}
	if cache.InsertedCount() > 0 {
		t.Errorf("%s: a snapshot says that something changed, not what matters: assert that instead of matchSnapshot", name)
	}
	for _, test := range result.TestsResult {
		t.Run(name+"/"+test.DisplayName, func(t *testing.T) {
			switch {
			case test.Skipped:
				t.Skip("the suite skips it")
			case !test.Passed:
				t.Error(test.Stringify())
			}
		})
	}
}

// TestEveryTemplateHasASuite holds every template to the same three questions:
// what it makes when it is on, that it makes nothing when it is off, and that its
// values are heeded.
func TestEveryTemplateHasASuite(t *testing.T) {
	for _, template := range theChart(t).Templates() {
		name := strings.ReplaceAll(strings.TrimSuffix(template, ".yaml"), "/", "-")
		path := filepath.Join(*chartDir, "tests", name+"_test.yaml")
		if _, err := os.Stat(path); err != nil {
			t.Errorf("templates/%s has no suite tests/%s_test.yaml", template, name)
			continue
		}
		suites, err := unittest.ParseTestSuiteFile(path, "parley", true, nil)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		var names []string
		for _, suite := range suites {
			for _, test := range suite.Tests {
				names = append(names, test.Name)
			}
		}
		if template == "validations.yaml" {
			continue // it makes nothing: its tests are what it refuses
		}
		for _, kind := range []string{"on: ", "off: ", "overridden: "} {
			if !strings.Contains("\n"+strings.Join(names, "\n"), "\n"+kind) {
				t.Errorf("tests/%s_test.yaml has no test that begins with %q", name, kind)
			}
		}
	}
}
