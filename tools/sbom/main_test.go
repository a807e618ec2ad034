package main

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

// TestRun reads the bill of this test's own binary.
func TestRun(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run([]string{self, "v1.2.3"}, &out); err != nil {
		t.Fatal(err)
	}
	var bill struct {
		SpecVersion string
		Metadata    struct{ Component struct{ PURL string } }
		Components  []struct{ PURL string }
	}
	if err := json.Unmarshal(out.Bytes(), &bill); err != nil {
		t.Fatal(err)
	}
	if bill.SpecVersion != "1.6" || bill.Metadata.Component.PURL != "pkg:golang/github.com/praesenz/parley/tools@v1.2.3" || len(bill.Components) < 2 {
		t.Errorf("bill of %s: %s", self, out.String())
	}
	if err := run([]string{"/dev/null", "v1"}, &out); err == nil {
		t.Error("a file that is no Go binary has a bill")
	}
}
