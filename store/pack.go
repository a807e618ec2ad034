package store

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/praesenz/parley/flow"
)

const (
	// maxMap is the most that Kubernetes takes in one ConfigMap, in bytes of its
	// values (validation.ValidateConfigMap).
	maxMap = 1 << 20
	// maxPacked bounds a packed store, compressed, in bytes. Helm keeps a release
	// in a Secret of at most 1 MiB, as base64 of a compressed text in which the
	// store is twice, once in the values and once in the ConfigMaps; the rest is
	// for the chart.
	maxPacked = 320 << 10
)

// packHint is what to do with a store that is too large to be packed.
const packHint = "put the folder into an image or on a volume: `store.source: image` or `store.source: claim` in the chart's values"

// A Pack is what kiosks need of a store's folder, as the chart's values carry it.
type Pack struct {
	ID     string
	Text   map[string]string // by path relative to the folder, written with /
	Binary map[string][]byte // what is no text, by path
}

// ReadPack packs the store in a folder: store.yaml, its flows, prompts, published
// flows, actions, pictures and knowledge, without hidden files. It refuses what
// ConfigMaps cannot hold and a folder whose flows do not compile from what was
// packed. The error names every fault at once.
func ReadPack(dir string) (*Pack, error) {
	s, err := Read(dir)
	if err != nil {
		return nil, err
	}
	p := &Pack{ID: s.ID, Text: map[string]string{}, Binary: map[string][]byte{}}
	roots := []string{File, "flows", "prompts", flow.PublishedDir, "media", cmp.Or(s.Actions, ActionsDir)}
	for _, c := range s.Collections {
		roots = append(roots, c.Paths...)
	}
	var faults []error
	for _, root := range roots {
		faults = append(faults, p.add(os.DirFS(dir), path.Clean(filepath.ToSlash(root))))
	}
	faults = append(faults, p.checkKeys(), p.checkSize())
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("pack %s: %w", dir, err)
	}
	if err := p.open(); err != nil {
		return nil, fmt.Errorf("pack %s: what was packed is no whole store; are all files that its flows name in flows/, prompts/, media/ or a collection? %w", dir, err)
	}
	return p, nil
}

// add takes in a file, or the files of a folder and its folders.
func (p *Pack) add(fsys fs.FS, root string) error {
	var faults []error
	for at := root; at != "."; at = path.Dir(at) { // a walk follows a link at its own beginning
		if info, err := fs.Lstat(fsys, at); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return linkFault(at)
		}
	}
	err := fs.WalkDir(fsys, root, func(name string, d fs.DirEntry, err error) error {
		hidden := name != "." && strings.HasPrefix(path.Base(name), ".")
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // most folders are optional
		case err != nil:
			return err
		case d.IsDir() && hidden:
			return fs.SkipDir
		case d.IsDir() || hidden:
			return nil
		case !d.Type().IsRegular():
			faults = append(faults, linkFault(name))
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Size() > maxMap { // a film is not read to find that out
			faults = append(faults, fmt.Errorf("%s has %d KiB, more than the 1024 of a ConfigMap; %s", name, info.Size()>>10, packHint))
			return nil
		}
		content, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		if isText(content) {
			p.Text[name] = string(content)
		} else {
			p.Binary[name] = content
		}
		return nil
	})
	return errors.Join(append(faults, err)...)
}

func linkFault(name string) error {
	return fmt.Errorf("%s is no regular file or folder; put a copy in its place, for a link leads nowhere in a cluster", name)
}

// isText tells whether YAML can show a content as it is.
func isText(content []byte) bool {
	return utf8.Valid(content) && !bytes.ContainsFunc(content, func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\t' && r != '\r' || r == 0x7f || r == 0xfeff
	})
}

// paths are those of every file, sorted.
func (p *Pack) paths() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for name := range maps.Keys(p.Text) {
			if !yield(name) {
				return
			}
		}
		for name := range maps.Keys(p.Binary) {
			if !yield(name) {
				return
			}
		}
	})
}

// noKey are the characters that no ConfigMap key may have.
var noKey = regexp.MustCompile(`[^-._a-zA-Z0-9]`)

// maxKey is the length of a ConfigMap's key, in bytes.
const maxKey = 253

// key is the ConfigMap key under which the chart keeps a file.
func key(name string) string {
	return noKey.ReplaceAllString(strings.ReplaceAll(name, "/", "__"), "_")
}

// checkKeys reports the paths that cannot be told apart, or are too long, as
// ConfigMaps' keys.
func (p *Pack) checkKeys() error {
	var faults []error
	taken := map[string]string{}
	for _, name := range p.paths() {
		key := key(name)
		if len(key) > maxKey {
			faults = append(faults, fmt.Errorf("%s: the path has more than the %d characters of a ConfigMap's key; shorten it", name, maxKey))
		}
		if other, ok := taken[key]; ok {
			faults = append(faults, fmt.Errorf("%s and %s become one ConfigMap key, %s; rename one", other, name, key))
		}
		taken[key] = name
	}
	return errors.Join(faults...)
}

// configMap is the chart's ConfigMap in which a path lies.
func configMap(name string) string {
	switch top, _, _ := strings.Cut(name, "/"); top {
	case "prompts":
		return "prompts"
	case "kb", "media":
		return "kb"
	}
	return "flows"
}

// checkSize reports what is too large for a ConfigMap or for a Helm release.
func (p *Pack) checkSize() error {
	sizes := map[string]int{}
	for _, name := range p.paths() {
		sizes[configMap(name)] += len(p.Text[name]) + len(p.Binary[name])
	}
	var faults []error
	for _, m := range slices.Sorted(maps.Keys(sizes)) {
		if sizes[m] > maxMap {
			faults = append(faults, fmt.Errorf("the ConfigMap of %s would have %d KiB, more than 1024; the largest are %s; %s", m, sizes[m]>>10, p.largest(m), packHint))
		}
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	text, err := p.YAML()
	if err != nil {
		return err
	}
	if n := gzipped(text); n > maxPacked {
		return fmt.Errorf("the store would have %d KiB compressed, more than the %d that a Helm release has room for; the largest files are %s; %s", n>>10, maxPacked>>10, p.largest(""), packHint)
	}
	return nil
}

func gzipped(text []byte) int {
	var size counter
	w := gzip.NewWriter(&size)
	_, _ = w.Write(text) // a counter takes everything
	_ = w.Close()
	return int(size)
}

type counter int

func (c *counter) Write(b []byte) (int, error) { *c += counter(len(b)); return len(b), nil }

// largest names the three largest files of a ConfigMap, or of all.
func (p *Pack) largest(inMap string) string {
	size := func(name string) int { return len(p.Text[name]) + len(p.Binary[name]) }
	names := slices.DeleteFunc(p.paths(), func(name string) bool { return inMap != "" && configMap(name) != inMap })
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(size(b), size(a)) })
	var said []string
	for _, name := range names[:min(3, len(names))] {
		said = append(said, fmt.Sprintf("%s (%d KiB)", name, size(name)>>10))
	}
	return strings.Join(said, ", ")
}

// open proves that the packed files are a store by themselves.
func (p *Pack) open() error {
	dir, err := os.MkdirTemp("", "parley-pack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, name := range p.paths() {
		content, ok := p.Binary[name]
		if !ok {
			content = []byte(p.Text[name])
		}
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return err
		}
	}
	_, err = Open(dir)
	return err
}

// packedValues are a packed store in the chart's values.
type packedValues struct {
	Store struct {
		ID          string            `yaml:"id"`
		Source      string            `yaml:"source"`
		Files       map[string]string `yaml:"files"`
		BinaryFiles map[string]string `yaml:"binaryFiles"`
	} `yaml:"store"`
}

// YAML is the pack as a file of the chart's values, the same for the same store.
func (p *Pack) YAML() ([]byte, error) {
	files, binary := mapping(), mapping()
	for _, name := range p.paths() {
		if content, ok := p.Binary[name]; ok {
			set(binary, name, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: base64.StdEncoding.EncodeToString(content)})
			continue
		}
		value, err := legible(p.Text[name])
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
		set(files, name, value)
	}
	values := mapping()
	set(values, "id", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: p.ID})
	set(values, "source", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "files"})
	set(values, "files", files)
	if len(binary.Content) > 0 {
		set(values, "binaryFiles", binary)
	}
	root := mapping()
	set(root, "store", values)
	root.HeadComment = "Written by `parley store pack`; change the store's folder and pack it again."
	return encode(root)
}

func mapping() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode} }

func set(m *yaml.Node, key string, value *yaml.Node) {
	m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, value)
}

func encode(node *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(node); err != nil {
		return nil, err
	}
	return b.Bytes(), enc.Close()
}

// legible is a text as a literal block, so that a difference shows the lines that
// changed, or in quotes where a block would not give it back as it is.
func legible(text string) (*yaml.Node, error) {
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: yaml.LiteralStyle}
	written, err := encode(node)
	if err != nil {
		return nil, err
	}
	var read string
	if err := yaml.Unmarshal(written, &read); err != nil || read != text {
		node.Style = yaml.DoubleQuotedStyle
	}
	return node, nil
}

// Differs says in which files a values file is not this pack, one a line, such as
// "flows/help.yaml has changed"; empty: it is up to date. Its layout and what
// else it sets do not matter.
func (p *Pack) Differs(values io.Reader) ([]string, error) {
	var there packedValues
	if err := yaml.NewDecoder(values).Decode(&there); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var differences []string
	if there.Store.ID != p.ID {
		differences = append(differences, fmt.Sprintf("store.id is %q, not %q", there.Store.ID, p.ID))
	}
	if there.Store.Source != "files" {
		differences = append(differences, fmt.Sprintf("store.source is %q, not \"files\"", there.Store.Source))
	}
	here := maps.Clone(p.Text)
	for name, content := range p.Binary {
		here[name] = base64.StdEncoding.EncodeToString(content)
	}
	packed := map[string]string{}
	maps.Copy(packed, there.Store.Files)
	maps.Copy(packed, there.Store.BinaryFiles)
	for _, name := range p.paths() {
		if was, ok := packed[name]; !ok {
			differences = append(differences, name+" is missing")
		} else if was != here[name] {
			differences = append(differences, name+" has changed")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(packed)) {
		if _, ok := here[name]; !ok {
			differences = append(differences, name+" is no longer in the folder")
		}
	}
	return differences, nil
}
