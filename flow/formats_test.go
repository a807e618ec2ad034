package flow

import (
	"encoding/json"
	"strings"
	"testing"
)

var someDiagnostics = Diagnostics{
	{Code: "F101", Severity: Error, Pos: Pos{"flows/a, b:100%.yaml", 3, 7}, End: &Pos{"flows/a, b:100%.yaml", 3, 10}, Message: `step "aks" does not exist`, Hint: "100% sure:\nwrite ask"},
	{Code: "F303", Severity: Warning, Pos: Pos{"prompts/en.yaml", 1, 1}, Message: "unused"},
	{Code: "F101", Severity: Error, Pos: Pos{"flows/b.yaml", 9, 2}, Message: "again"},
}

func TestGitHub(t *testing.T) {
	want := `::error file=flows/a%2C b%3A100%25.yaml,line=3,col=7,endColumn=10,title=F101::step "aks" does not exist%0Ahint: 100%25 sure:%0Awrite ask
::warning file=prompts/en.yaml,line=1,col=1,title=F303::unused
::error file=flows/b.yaml,line=9,col=2,title=F101::again
`
	if got := someDiagnostics.GitHub(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := Diagnostics(nil).GitHub(); got != "" {
		t.Errorf("nothing to say: %q", got)
	}
}

// tests/editor holds it against the format's own schema.
func TestSARIF(t *testing.T) {
	text, err := someDiagnostics.SARIF("1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/formats/want.sarif", string(text)+"\n")
	for name, ds := range map[string]Diagnostics{"some": someDiagnostics, "none": nil} {
		text, err := ds.SARIF("1.2.3")
		if err != nil {
			t.Fatal(err)
		}
		var log struct {
			Runs []struct {
				Tool    struct{ Driver struct{ Rules []any } }
				Results []struct {
					RuleID    string
					RuleIndex int
				}
			}
		}
		if err := json.Unmarshal(text, &log); err != nil {
			t.Fatal(err)
		}
		if got := len(log.Runs[0].Results); got != len(ds) {
			t.Errorf("%s: %d results, want %d", name, got, len(ds))
		}
		if strings.Contains(string(text), "null") {
			t.Errorf("%s: a list is null:\n%s", name, text)
		}
	}
}
