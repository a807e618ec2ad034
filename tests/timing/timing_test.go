package timing

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "draw the pictures of docs/turn-taking.md anew")

// scenarios are those of testdata, by file.
func scenarios(t *testing.T) map[string][]Scenario {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]Scenario{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var read []Scenario
		d := yaml.NewDecoder(bytes.NewReader(b))
		d.KnownFields(true)
		if err := d.Decode(&read); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".yaml")] = read
	}
	return all
}

func TestTurnTaking(t *testing.T) {
	for file, all := range scenarios(t) {
		for _, sc := range all {
			t.Run(file+"/"+sc.Name, func(t *testing.T) {
				p := sc.Run(t)
				if testing.Verbose() {
					t.Logf("%s\n\n%s", sc.About, Picture(p.Events))
				}
				if faults := sc.Check(p); len(faults) > 0 {
					t.Errorf("%s\n\n%s\n\n%s\n%s", sc.About, strings.Join(faults, "\n"), Picture(p.Events), p.Log)
				}
			})
		}
	}
}

// A picture in the documentation stands behind the name of its scenario.
var drawn = regexp.MustCompile("(?s)<!-- ([a-z]+)/([^\n]+) -->\n```\n.*?```\n")

// The documentation shows what happens, not what once did.
func TestTheDocumentationsPictures(t *testing.T) {
	const file = "../../docs/turn-taking.md"
	was, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := scenarios(t)
	is := drawn.ReplaceAllStringFunc(string(was), func(picture string) string {
		name := drawn.FindStringSubmatch(picture)
		for _, sc := range all[name[1]] {
			if sc.Name == name[2] {
				return "<!-- " + name[1] + "/" + name[2] + " -->\n```\n" + Lanes(sc.Run(t).Events) + "```\n"
			}
		}
		t.Errorf("%s: there is no scenario %s/%s", file, name[1], name[2])
		return picture
	})
	if is == string(was) {
		return
	}
	if !*update {
		t.Fatalf("%s shows something else than what happens:\n%s\nrun go test ./tests/timing -update", file, is)
	}
	if err := os.WriteFile(file, []byte(is), 0o644); err != nil {
		t.Fatal(err)
	}
}
