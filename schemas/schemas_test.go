package schemas

import (
	"slices"
	"strings"
	"testing"
)

func TestSchemasCompile(t *testing.T) {
	for name, src := range Sources() {
		if _, err := Compile(name, src); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Editors show a field's description, so every field has one.
func TestEveryFieldHasADescription(t *testing.T) {
	for name, s := range map[string]*Schema{"flow.v1.json": Flow(), "prompts.v1.json": Prompts(), "actions.v1.json": Actions(), "store.v1.json": Store(), "test.v1.json": Test()} {
		described(t, name, s.doc, s.doc)
	}
}

func described(t *testing.T, where string, doc, v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			described(t, where, doc, e)
		}
	case map[string]any:
		inBranch := strings.Contains(where, "/if/") || strings.Contains(where, "/then/")
		if props, ok := v["properties"].(map[string]any); ok && !inBranch {
			if rest := v["additionalProperties"]; rest == nil || rest == true {
				t.Errorf("%s: unknown fields are let through", where)
			}
			for field, p := range props {
				rule := p.(map[string]any)
				if ref, ok := rule["$ref"].(string); ok {
					def := strings.TrimPrefix(ref, "#/definitions/")
					rule, _ = doc.(map[string]any)["definitions"].(map[string]any)[def].(map[string]any)
				}
				if text, _ := rule["description"].(string); text == "" {
					t.Errorf("%s: field %q has no description", where, field)
				}
			}
		}
		for k, e := range v {
			if k == "examples" {
				continue // of what people write, no schema
			}
			described(t, where+"/"+k+"/", doc, e)
		}
	}
}

func TestFaultsSayWhereAndWhichRule(t *testing.T) {
	faults, err := Flow().Validate(map[string]any{
		"api": "parley.flow/v1", "flow": "x", "version": "1.0.0", "prompts": "p", "start": "a",
		"languages": map[string]any{"default": "en", "supported": []any{"en"}},
		"steps":     map[string]any{"a": map[string]any{"say": map[string]any{"prompt": "p", "promt": "q"}, "next": "a"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(faults) != 1 {
		t.Fatalf("got %d faults, want 1: %+v", len(faults), faults)
	}
	f := faults[0]
	if !slices.Equal(f.Instance, []string{"steps", "a", "say"}) || f.Keyword != "additionalProperties" || f.Def != "say" || f.Rule["properties"] == nil {
		t.Errorf("got %+v", f)
	}
}

// Editors show the description beside a $ref, but not the one beside an allOf:
// they show what it refers to.
func TestDescriptionsAreShown(t *testing.T) {
	var look func(where string, v any)
	look = func(where string, v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				look(where, e)
			}
		case map[string]any:
			all, _ := v["allOf"].([]any)
			if len(all) == 1 && v["description"] != nil {
				if first, _ := all[0].(map[string]any); first["$ref"] != nil {
					t.Errorf("%s: write {$ref, description}; what constrains goes into a definition", where)
				}
			}
			for k, e := range v {
				look(where+"/"+k, e)
			}
		}
	}
	for name, s := range map[string]*Schema{"flow": Flow(), "prompts": Prompts(), "actions": Actions(), "store": Store()} {
		look(name, s.doc)
	}
}
