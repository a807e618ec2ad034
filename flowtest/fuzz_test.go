package flowtest

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// Whatever somebody writes, reading and checking it never panics, and every
// mistake has a place in the file.
func FuzzTestFile(f *testing.F) {
	for _, file := range []string{"desk.yaml", "failing.yaml", "bad.yaml"} {
		text, err := os.ReadFile("testdata/" + file)
		if err != nil {
			f.Fatal(err)
		}
		for _, doc := range strings.Split(string(text), "---\n") {
			f.Add(doc)
		}
	}
	plan, err := compileDesk("desk")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tests, ds := Read(fstest.MapFS{"t.yaml": {Data: []byte(text)}}, "t.yaml")
		for _, test := range tests {
			ds = append(ds, test.Check(plan)...)
		}
		lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n"), "\n")
		for _, d := range ds {
			if d.Pos.Line < 1 || d.Pos.Line > len(lines) || d.Pos.Column < 1 {
				t.Fatalf("%s is outside the file, which has %d lines", d, len(lines))
			}
		}
	})
}
