package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/praesenz/parley/flow"
)

// maxFile bounds the file: a full one has a few kilobytes.
const maxFile = 256 << 10

// An entry is one setting of the file.
type entry struct {
	setting Setting
	line    int
	where   string // "parley.yaml:7:1: slots"
	items   []item
}

// readFile reads a file, bounded.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d KiB; it is not a file of settings", path, maxFile>>10)
	}
	return b, nil
}

// A decoder reads a file of settings, and every fault in it.
type decoder struct {
	path     string
	settings []Setting
	faults   []Fault
}

func (d *decoder) faultf(n *yaml.Node, key, format string, args ...any) {
	d.faults = append(d.faults, Fault{d.where(n, key), fmt.Sprintf(format, args...)})
}

func (d *decoder) where(n *yaml.Node, key string) string {
	at := fmt.Sprintf("%s:%d:%d", d.path, n.Line, n.Column)
	if key != "" {
		at += ": " + key
	}
	return at
}

// decode gives what is written in a file whose shape is right; whether the values
// are, Setting.set says.
func (d *decoder) decode(text []byte) []entry {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil // empty, or comments alone
	}
	if err != nil {
		d.faults = append(d.faults, d.syntax(err))
		return nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		if root.Tag != "!!null" {
			d.faultf(root, "", "settings are written one a line, such as llm: ollama")
		}
		return nil
	}
	list := d.settingsOf(root)
	if err := dec.Decode(&second); err == nil {
		d.faultf(&second, "", "a second document begins here; all settings stand in one, without ---")
	} else if !errors.Is(err, io.EOF) {
		d.faults = append(d.faults, d.syntax(err))
	}
	return list
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntax says where the file is no YAML.
func (d *decoder) syntax(err error) Fault {
	where := d.path
	message := err.Error()
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		if m[1] != "" {
			where += ":" + m[1]
		}
		message = message[len(m[0]):]
	}
	return Fault{where, "this is not YAML: " + message}
}

func (d *decoder) settingsOf(root *yaml.Node) []entry {
	var list []entry
	seen := map[string]int{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		s, ok := d.setting(key)
		if !ok {
			continue
		}
		if line, twice := seen[s.Key]; twice {
			d.faultf(key, s.Key, "it is already in line %d; keep one", line)
			continue
		}
		seen[s.Key] = key.Line
		before := len(d.faults)
		items := d.items(s, value)
		if len(d.faults) == before {
			list = append(list, entry{s, key.Line, d.where(key, s.Key), items})
		}
	}
	return list
}

// setting finds the setting that a key of the file names.
func (d *decoder) setting(key *yaml.Node) (Setting, bool) {
	var known []string
	for _, s := range d.settings {
		switch {
		case s.Key == key.Value && s.Secret:
			d.faultf(key, s.Key, "a secret does not stand in this file, which many may read: put it into %s, or into a file that %s_file names", s.Variable(), s.Key)
			return s, false
		case s.Key == key.Value && key.Kind == yaml.ScalarNode:
			return s, true
		case !s.Secret:
			known = append(known, s.Key)
		}
	}
	d.faultf(key, "", "there is no setting %q%s; `parley config print` lists all", key.Value, flow.DidYouMean(key.Value, known))
	return Setting{}, false
}

// items takes a value apart by the setting's kind.
func (d *decoder) items(s Setting, value *yaml.Node) []item {
	var items []item
	switch s.kind() {
	case aList:
		if value.Kind != yaml.SequenceNode || value.Anchor != "" {
			d.faultf(value, s.Key, "it is a list; write [a, b], or each in a line of its own after a hyphen")
			return nil
		}
		for i, n := range value.Content {
			name := fmt.Sprintf("%s[%d]", s.Key, i)
			if text, ok := d.scalar(n, name, "!!str"); ok {
				items = append(items, item{where: d.where(n, name), text: text})
			}
		}
	case aMap:
		if value.Kind != yaml.MappingNode || value.Anchor != "" {
			d.faultf(value, s.Key, "it is a map; write {a: 1, b: 2}, or each in a line of its own")
			return nil
		}
		tag := "!!str"
		if _, counts := s.into.(*map[string]int); counts {
			tag = "!!int"
		}
		for i := 0; i+1 < len(value.Content); i += 2 {
			key, n := value.Content[i], value.Content[i+1]
			name := s.Key + "." + key.Value
			if _, ok := d.scalar(key, s.Key, "!!str"); !ok {
				continue
			}
			if text, ok := d.scalar(n, name, tag); ok {
				items = append(items, item{where: d.where(key, name), key: key.Value, text: text})
			}
		}
	default:
		tag := map[kind]string{aSwitch: "!!bool", aNumber: "!!int"}[s.kind()]
		if tag == "" {
			tag = "!!str"
		}
		if text, ok := d.scalar(value, s.Key, tag); ok {
			items = append(items, item{where: d.where(value, s.Key), text: text})
		}
	}
	return items
}

// scalar gives a plain value of one kind, by YAML's tag. What is true or false has
// one spelling.
func (d *decoder) scalar(n *yaml.Node, name, tag string) (string, bool) {
	wanted := map[string]string{
		"!!str":  "it must be a text; put it into quotes",
		"!!bool": "it must be true or false, without quotes",
		"!!int":  "it must be a whole number, without quotes",
	}[tag]
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.faultf(n, name, "anchors and aliases have no place here; write the value itself")
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		d.faultf(n, name, "it has no value; leave the setting out for its default")
	case n.Kind != yaml.ScalarNode || n.Tag != tag:
		d.faultf(n, name, "%s", wanted)
	default:
		return n.Value, true
	}
	return "", false
}
