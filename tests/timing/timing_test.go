package timing

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestTurnTaking(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var scenarios []Scenario
		d := yaml.NewDecoder(bytes.NewReader(b))
		d.KnownFields(true)
		if err := d.Decode(&scenarios); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, sc := range scenarios {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml")+"/"+sc.Name, func(t *testing.T) {
				if sc.Pending != "" {
					t.Skip("PENDING ", sc.Pending)
				}
				p := sc.Run(t)
				if faults := sc.Check(p); len(faults) > 0 {
					t.Errorf("%s\n\n%s\n\n%s\n%s", sc.About, strings.Join(faults, "\n"), Picture(p.Events), p.Log)
				}
			})
		}
	}
}
