package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/praesenz/parley/flow"
)

// maxFile bounds a file in bytes: a full one of settings has a few kilobytes.
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
		return nil, fmt.Errorf("%s is larger than %d KiB, too large for settings or a secret", path, maxFile>>10)
	}
	return b, nil
}

// A decoder reads a file of settings.
type decoder struct {
	path     string
	settings []Setting
	take     func(entry)                   // takes each setting; whether its values are right, Setting.set says
	fault    func(key, where, says string) // takes each fault; key is the setting's, or empty
}

func (d *decoder) faultf(n *yaml.Node, key, format string, args ...any) {
	d.fault("", d.where(n, key), fmt.Sprintf(format, args...))
}

func (d *decoder) where(n *yaml.Node, key string) string {
	at := fmt.Sprintf("%s:%d:%d", d.path, n.Line, n.Column)
	if key != "" {
		at += ": " + key
	}
	return at
}

// decode goes through a file from its beginning to its end.
func (d *decoder) decode(text []byte) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return // empty, or comments alone
	}
	if err != nil {
		d.syntax(err)
		return
	}
	root := doc.Content[0]
	switch {
	case root.Kind == yaml.MappingNode:
		d.mapping(root)
	case root.Tag != "!!null":
		d.faultf(root, "", "settings are written one a line, such as llm: ollama")
	}
	if err := dec.Decode(&second); err == nil {
		d.faultf(&second, "", "a second document begins here; all settings stand in one, without ---")
	} else if !errors.Is(err, io.EOF) {
		d.syntax(err)
	}
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntax says where the file is no YAML.
func (d *decoder) syntax(err error) {
	where := d.path
	message := err.Error()
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		if m[1] != "" {
			where += ":" + m[1]
		}
		message = message[len(m[0]):]
	}
	d.fault("", where, "this is not YAML: "+message)
}

func (d *decoder) mapping(root *yaml.Node) {
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
		d.take(entry{s, key.Line, d.where(key, s.Key), d.items(s, value)})
	}
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
func (d *decoder) items(s Setting, value *yaml.Node) (items []item) {
	add := func(at, n *yaml.Node, name, key string) {
		it := item{where: d.where(at, name), key: key, text: n.Value, wrong: s.shape(n)}
		if it.wrong != "" {
			it.where = d.where(n, name)
		}
		items = append(items, it)
	}
	switch s.kind() {
	case aList:
		if value.Kind != yaml.SequenceNode || value.Anchor != "" {
			d.fault(s.Key, d.where(value, s.Key), "it is a list; write [a, b], or each in a line of its own after a hyphen")
			return nil
		}
		for i, n := range value.Content {
			add(n, n, fmt.Sprintf("%s[%d]", s.Key, i), "")
		}
	case aMap:
		if value.Kind != yaml.MappingNode || value.Anchor != "" {
			d.fault(s.Key, d.where(value, s.Key), "it is a map; write {a: 1, b: 2}, or each in a line of its own")
			return nil
		}
		for i := 0; i+1 < len(value.Content); i += 2 {
			key := value.Content[i]
			if key.Kind != yaml.ScalarNode || key.Tag != "!!str" {
				d.fault(s.Key, d.where(key, s.Key), "its keys are texts; put this one into quotes")
				continue
			}
			add(key, value.Content[i+1], s.Key+"."+key.Value, key.Value)
		}
	default:
		add(value, value, s.Key, "")
	}
	return items
}

// shape is what is wrong with a value that is not one plain text, switch or
// number, as the setting has them. What is true or false has one spelling.
func (s Setting) shape(n *yaml.Node) string {
	tag, wanted := "!!str", "it must be a text; put it into quotes"
	switch s.into.(type) {
	case *bool:
		tag, wanted = "!!bool", "it must be true or false, without quotes"
	case *int, *map[string]int:
		tag, wanted = "!!int", "it must be a whole number, without quotes"
	}
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return "anchors and aliases have no place here; write the value itself"
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return "it has no value; leave the setting out for its default"
	case n.Kind != yaml.ScalarNode:
		return "it must be one plain value"
	case n.Tag == tag:
		return ""
	}
	return cmp.Or(s.checkOne(n.Value), wanted) // 30 for a duration: what lacks is its unit, not quotes
}
