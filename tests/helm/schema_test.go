package helm_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/praesenz/parley/tests/helm/render"
)

// A schema is one node of values.schema.json.
type schema struct {
	Ref         string             `json:"$ref"`
	Description string             `json:"description"`
	Type        any                `json:"type"`
	Default     any                `json:"default"`
	Properties  map[string]*schema `json:"properties"`
	Additional  json.RawMessage    `json:"additionalProperties"`
	Items       *schema            `json:"items"`
	Definitions map[string]*schema `json:"definitions"`
}

// others is what an object may hold beside its properties: nothing, anything, or
// what a schema says.
func (s *schema) others(t *testing.T) (closed bool, each *schema) {
	t.Helper()
	switch text := string(s.Additional); text {
	case "false":
		return true, nil
	case "", "true":
		return false, nil
	}
	if err := json.Unmarshal(s.Additional, &each); err != nil {
		t.Fatal(err)
	}
	return false, each
}

// A reading walks values.yaml and its schema side by side.
type reading struct {
	t       *testing.T
	root    *schema
	objects []string // paths of the objects that refuse unknown keys
	free    []string // paths of the objects that take any key
}

func readSchema(t *testing.T) *reading {
	t.Helper()
	r := &reading{t: t}
	if err := json.Unmarshal(theChart(t).Schema(), &r.root); err != nil {
		t.Fatalf("values.schema.json: %v", err)
	}
	return r
}

// resolve follows a reference. What stands beside it wins.
func (r *reading) resolve(s *schema) *schema {
	if s == nil || s.Ref == "" {
		return s
	}
	to, ok := r.root.Definitions[strings.TrimPrefix(s.Ref, "#/definitions/")]
	if !ok {
		r.t.Fatalf("values.schema.json: %s is not there", s.Ref)
	}
	to = r.resolve(to)
	merged := *to
	if s.Description != "" {
		merged.Description = s.Description
	}
	return &merged
}

// compare looks at one value and its schema. A mapped object is one of a map's, of
// which values.yaml need not show every key.
func (r *reading) compare(path string, value any, s *schema, mapped bool) {
	s = r.resolve(s)
	if s == nil {
		r.t.Errorf("values.schema.json does not know %s", path)
		return
	}
	if s.Description == "" && path != "" && !(mapped && len(s.Properties) == 0) {
		r.t.Errorf("values.schema.json: %s has no description", path)
	}
	if s.Default != nil && !reflect.DeepEqual(fmt.Sprint(s.Default), fmt.Sprint(value)) {
		r.t.Errorf("values.schema.json: the default of %s is %v, in values.yaml %v", path, s.Default, value)
	}
	object, ok := value.(map[string]any)
	if !ok {
		return
	}
	closed, each := s.others(r.t)
	if !closed && len(s.Properties) > 0 {
		r.t.Errorf("values.schema.json: %s takes unknown keys: say additionalProperties: false", path)
	}
	if closed {
		r.objects = append(r.objects, path)
	} else {
		r.free = append(r.free, path)
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		below := strings.TrimPrefix(path+"."+key, ".")
		switch {
		case s.Properties[key] != nil:
			r.compare(below, object[key], s.Properties[key], mapped)
		case each != nil:
			r.compare(below, object[key], each, true)
		case closed:
			r.t.Errorf("values.schema.json does not know %s", below)
		}
	}
	// An empty object is a free choice, of which values.yaml shows nothing.
	if mapped || len(object) == 0 || optional.MatchString(path) {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
		if _, ok := object[key]; !ok {
			r.t.Errorf("values.yaml lacks %s, which values.schema.json knows", strings.TrimPrefix(path+"."+key, "."))
		}
	}
}

// optional are objects that values.yaml shows a part of: they know what Kubernetes
// knows, or every setting there is.
var optional = regexp.MustCompile(`(^|\.)(config|resources|podSecurityContext|containerSecurityContext)$`)

// TestSchemaIsComplete expects that values.yaml and values.schema.json know the
// same keys, and that every key says what it is.
func TestSchemaIsComplete(t *testing.T) {
	r := readSchema(t)
	r.compare("", theChart(t).Values(), r.root, false)
	slices.Sort(r.free)
	golden(t, "free.golden", strings.Join(r.free, "\n")+"\n")
}

// TestSchemaRefusesUnknownKeys plants a key that nobody knows into every object of
// the values and expects to be told where it is.
func TestSchemaRefusesUnknownKeys(t *testing.T) {
	r := readSchema(t)
	r.compare("", theChart(t).Values(), r.root, false)
	for _, path := range r.objects {
		bogus := strings.TrimPrefix(path+".bogus", ".")
		_, err := theChart(t).Render(set(map[string]any{}, bogus, "x"), render.Options{})
		where := "at '/" + strings.ReplaceAll(path, ".", "/") + "'"
		if path == "" {
			where = "at ''"
		}
		if err == nil || !strings.Contains(err.Error(), where) || !strings.Contains(err.Error(), "'bogus'") {
			t.Errorf("%s: got %v, want to be told %s that 'bogus' is not known", bogus, err, where)
		}
	}
}

// TestMistakes shows what somebody is told who makes a typical mistake.
func TestMistakes(t *testing.T) {
	type mistake struct {
		Name   string         `json:"name"`
		Values map[string]any `json:"values"`
	}
	// Two spellings of the same place, and traces that only a template's author needs.
	noise := regexp.MustCompile(`(?m)^(values don't meet .*|parley:|execution error at \(.*?\):\s*)\n?`)
	var told strings.Builder
	for _, m := range readYAML[[]mistake](t, "testdata/mistakes.yaml") {
		_, err := theChart(t).Render(m.Values, render.Options{})
		if err == nil {
			t.Errorf("%s: nobody says anything", m.Name)
			continue
		}
		fmt.Fprintf(&told, "# %s\n%s\n\n", m.Name, strings.TrimSpace(noise.ReplaceAllString(err.Error(), "")))
	}
	golden(t, "mistakes.golden", told.String())
}
