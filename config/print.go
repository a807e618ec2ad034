package config

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"go.yaml.in/yaml/v3"
)

// A Value is what a setting has, and why.
type Value struct {
	Key    string `json:"-"`
	Value  any    `json:"value"`  // a string, bool, int, []string or map; a duration as 30s; of a secret "set", "not set" or "in FILE"
	Source string `json:"source"` // "default", "file parley.yaml:7", "PARLEY_LLM" or "--llm"

	setting Setting
}

// Values lists what a command's settings have, in the order of Settings.
func (c *Config) Values(cmd Command) []Value {
	var list []Value
	for i, s := range c.settings {
		if !s.ReadBy(cmd) {
			continue
		}
		v := Value{Key: s.Key, Source: c.written[s.Key].source, setting: s}
		switch into := s.into.(type) {
		case *string:
			v.Value = *into
		case *bool:
			v.Value = *into
		case *int:
			v.Value = *into
		case *time.Duration:
			v.Value = plain(int64(*into))
		case *[]string:
			v.Value = append([]string{}, *into...)
		case *map[string]int:
			v.Value = *into
		case *map[string]string:
			v.Value = *into
		case *Secret:
			v.Value = into.String()
			// For no command in particular the file is named, and not read.
			if file := c.settings[i+1].into.(*string); *into == "" && *file != "" {
				v.Value, v.Source = "in "+*file, c.written[s.Key+"_file"].source
			}
		}
		list = append(list, v)
	}
	return list
}

// Formats are those that Print knows.
var Formats = []string{"table", "yaml", "json"}

// Print writes a command's settings with where each comes from: as a table, as a
// file of settings that says the same (yaml), or as an object with a value and a
// source for each key (json). Secrets are only said to be set or not.
func (c *Config) Print(w io.Writer, cmd Command, format string) error {
	values := c.Values(cmd)
	switch format {
	case "table":
		return printTable(w, values)
	case "yaml":
		return printYAML(w, values)
	case "json":
		byKey := make(map[string]Value, len(values))
		for _, v := range values {
			byKey[v.Key] = v
		}
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(byKey)
	}
	return fmt.Errorf("%q is none of %s", format, strings.Join(Formats, ", "))
}

func printTable(w io.Writer, values []Value) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "SETTING\tVALUE\tSOURCE")
	for _, v := range values {
		var text string
		switch value := v.Value.(type) {
		case []string:
			text = strings.Join(value, ",")
		case map[string]int:
			var parts []string
			for _, k := range slices.Sorted(maps.Keys(value)) {
				parts = append(parts, k+"="+strconv.Itoa(value[k]))
			}
			text = strings.Join(parts, ",")
		case map[string]string:
			var parts []string
			for _, k := range slices.Sorted(maps.Keys(value)) {
				parts = append(parts, k+"="+value[k])
			}
			text = strings.Join(parts, ",")
		default:
			text = fmt.Sprint(value)
		}
		if text == "" {
			text = "-"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", v.Key, text, v.Source)
	}
	return tw.Flush()
}

// printYAML writes what Load takes again; its secrets are comments.
func printYAML(w io.Writer, values []Value) error {
	for _, v := range values {
		if v.setting.Secret {
			if _, err := fmt.Fprintf(w, "# %s: %s # %s\n", v.Key, v.Value, v.Source); err != nil {
				return err
			}
			continue
		}
		var n yaml.Node
		if err := n.Encode(v.Value); err != nil {
			return err
		}
		n.Style |= yaml.FlowStyle
		n.LineComment = v.Source
		key := yaml.Node{Kind: yaml.ScalarNode, Value: v.Key}
		b, err := yaml.Marshal(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{&key, &n}})
		if err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}
