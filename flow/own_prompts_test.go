package flow

import (
	"maps"
	"slices"
	"testing"
	"testing/fstest"
)

func TestOwnPromptsAreThereAndCanBeReplaced(t *testing.T) {
	keys := slices.Sorted(maps.Keys(ownPrompts["en"]))
	for lang, texts := range ownPrompts {
		if got := slices.Sorted(maps.Keys(texts)); !slices.Equal(got, keys) {
			t.Errorf("%s has %q, want %q", lang, got, keys)
		}
	}
	source := `api: parley.flow/v1
flow: tiny
version: 1.0.0
languages: {default: en, supported: [en, de]}
prompts: prompts
start: bye
steps:
  bye: {end: {prompt: goodbye, outcome: resolved}}
`
	tiny := Source{Path: "tiny.yaml", FS: fstest.MapFS{
		"tiny.yaml":       {Data: []byte(source)},
		"prompts/en.yaml": {Data: []byte("goodbye: Bye.\napology: Oh dear.\n")},
		"prompts/de.yaml": {Data: []byte("goodbye: Tschüss.\n")},
	}}
	if ds := Check(tiny); len(ds) != 0 {
		t.Errorf("an author's own apology is found fault with: %v", ds)
	}
	plan, err := Compile(tiny)
	if err != nil {
		t.Fatal(err)
	}
	if got := plan.Prompts["en"][PromptApology]; got != "Oh dear." {
		t.Errorf("English apology %q, want the author's", got)
	}
	if got := plan.Prompts["de"][PromptApology]; got != ownPrompts["de"][PromptApology] {
		t.Errorf("German apology %q, want the kiosk's own", got)
	}
}
