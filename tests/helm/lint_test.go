package helm_test

import (
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"

	"github.com/praesenz/parley/tests/helm/render"
)

// TestLint is `helm lint --strict` with each values file: a warning fails too.
func TestLint(t *testing.T) {
	for name, values := range valuesFiles(t) {
		t.Run(name, func(t *testing.T) {
			kube, err := chartutil.ParseKubeVersion("1.36.0")
			if err != nil {
				t.Fatal(err)
			}
			linter := lint.AllWithKubeVersion(*chartDir, render.Merge(values), "shop", kube)
			for _, m := range linter.Messages {
				if m.Severity >= support.WarningSev {
					t.Error(m)
				}
			}
		})
	}
}
