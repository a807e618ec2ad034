package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/praesenz/parley/store"
)

const flowSource = `api: parley.flow/v1
flow: help
version: 1.0.0
languages: {default: en, supported: [en]}
prompts: prompts/help
start: bye
steps:
  bye: {end: {prompt: goodbye, outcome: resolved}}
`

// folder makes a store's folder with a flow that says goodbye.
func folder(t *testing.T, storeYAML string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"store.yaml":           storeYAML,
		"flows/help.yaml":      flowSource,
		"prompts/help/en.yaml": "goodbye: Bye.\n",
		"kb/en/a.md":           "# A\n\nA.\n",
	} {
		write(t, dir, name, text)
	}
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

const good = `store: corner-shop
name: Corner Shop
languages: {default: en, supported: [en]}
kiosks: [{id: door, name: Door, flow: help}]
collections: {store: {paths: [kb]}}
`

func TestTheNextConversationTakesAnEditedFlow(t *testing.T) {
	dir := folder(t, good)
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Plan("door")
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Plan("door")
	if err != nil || again != first {
		t.Errorf("an unchanged flow was compiled again (%v)", err)
	}
	write(t, dir, "prompts/help/en.yaml", "goodbye: See you.\n")
	edited, err := s.Plan("door")
	if err != nil {
		t.Fatal(err)
	}
	if edited.Prompts["en"]["goodbye"] != "See you." || edited.SHA256 == first.SHA256 {
		t.Errorf("the plan is still %q", edited.Prompts["en"]["goodbye"])
	}
	write(t, dir, "flows/help.yaml", strings.Replace(flowSource, "start: bye", "start: by", 1))
	kept, err := s.Plan("door")
	if err == nil || !strings.Contains(err.Error(), `"bye"`) {
		t.Errorf("error %v, want one that suggests bye", err)
	}
	if kept != edited {
		t.Error("a flow with a mistake took the place of the last good one")
	}
	if _, err := s.Plan("window"); err == nil || !strings.Contains(err.Error(), `"window"`) {
		t.Errorf("error %v for a kiosk that is not there", err)
	}
}

func TestEveryFaultIsToldAtOnce(t *testing.T) {
	dir := folder(t, `store: Corner Shop
languages: {default: fr, supported: [en]}
kiosks: [{id: door, flow: help}, {id: door, flow: "../x"}]
collections: {store: {paths: [../elsewhere]}, other: {paths: [missing]}, none: {}}
branding: {colours: {sky: "#112233", text: white}}
actions: ../actions
time_zone: Berlin
`)
	_, err := store.Open(dir)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`store: "Corner Shop"`, "languages.default", `kiosks[1].id: "door" is there twice`, "kiosks[1].flow",
		"collections.store.paths[0]", "collections.other.paths[0]", "collections.none.paths", "branding.colours.sky", "branding.colours.text",
		`actions: "../actions"`, `time_zone: "Berlin"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s:\n%v", want, err)
		}
	}
}

func TestAMisspeltFieldIsRefused(t *testing.T) {
	_, err := store.Open(folder(t, good+"kioks: []\n"))
	if err == nil || !strings.Contains(err.Error(), "kioks") {
		t.Errorf("error %v, want one that names kioks", err)
	}
}

const bell = `api: parley.actions/v1
service: bell
url: http://bell.example
actions:
  ring: {method: PUT, path: /ring}
`

func TestTheActionCatalogue(t *testing.T) {
	dir := folder(t, good)
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := s.Catalogue(); err != nil || c == nil || len(c.Actions) != 0 {
		t.Errorf("a store without actions has the catalogue %v (%v), want an empty one", c, err)
	}
	write(t, dir, "actions/bell.yaml", bell)
	if c, err := s.Catalogue(); err != nil || c.Actions["bell.ring"].Method != "PUT" {
		t.Errorf("catalogue %v (%v)", c, err)
	}
	first, err := s.Plan("door")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "actions/bell.yaml", bell+"  knock: {method: PUT, path: knock}\n")
	if kept, err := s.Plan("door"); kept != first || err == nil || !strings.Contains(err.Error(), "actions/bell.yaml:6:30") {
		t.Errorf("with a mistake in the catalogue: %v, want the last good plan and the mistake", err)
	}

	named := folder(t, good+"actions: servers\n")
	write(t, named, "servers/bell.yaml", bell)
	s, err = store.Open(named)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := s.Catalogue(); err != nil || len(c.Actions) != 1 {
		t.Errorf("the folder that store.yaml names: %v, %v", c, err)
	}
}

func TestTheTimeZone(t *testing.T) {
	t.Setenv("TZ", "America/Lima")
	for text, want := range map[string]string{good: "America/Lima", good + "time_zone: Europe/Berlin\n": "Europe/Berlin"} {
		s, err := store.Read(folder(t, text))
		if err != nil || s.TimeZone != want {
			t.Errorf("%v, %v; want %s", s, err, want)
		}
	}
}
