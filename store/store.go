// Package store reads a store's folder: which kiosks stand in it, which flow
// each of them talks, what it knows and how its page looks.
package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/praesenz/parley/flow"
)

// File is the name of the file that describes a store, in the store's folder.
const File = "store.yaml"

// A Store is one place with kiosks. All its paths are relative to its folder.
type Store struct {
	ID          string                `yaml:"store"`
	Name        string                `yaml:"name"`
	Languages   Languages             `yaml:"languages"`
	Kiosks      []Kiosk               `yaml:"kiosks"`
	Collections map[string]Collection `yaml:"collections"`
	Voices      map[string]string     `yaml:"voices"` // language → the speech server's voice; default: its own choice
	Branding    Branding              `yaml:"branding"`

	dir   string
	mu    sync.Mutex
	plans map[string]compiled // by flow
}

// Languages are BCP 47 tags.
type Languages struct {
	Default   string   `yaml:"default"`
	Supported []string `yaml:"supported"`
}

// A Kiosk talks one flow.
type Kiosk struct {
	ID   string `yaml:"id"`
	Name string `yaml:"name"`
	Flow string `yaml:"flow"`
}

// A Collection is a body of documents that a flow can search.
type Collection struct {
	Paths []string `yaml:"paths"` // files and folders
}

// Branding is how the kiosk's page looks.
type Branding struct {
	Name    string            `yaml:"name" json:"name"`
	Colours map[string]string `yaml:"colours" json:"colours"`
}

type compiled struct {
	plan  *flow.Plan
	stamp string
}

var (
	idPattern     = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	colourPattern = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
	colourNames   = []string{"background", "surface", "text", "accent", "on_accent"}
)

// Open reads the store in a folder and compiles its flows. The error names
// every fault at once.
func Open(dir string) (*Store, error) {
	s, err := Read(dir)
	if err != nil {
		return nil, err
	}
	var faults []error
	for _, name := range s.flows() {
		if _, err := s.compile(name); err != nil {
			faults = append(faults, err)
		}
	}
	return s, errors.Join(faults...)
}

// Read reads the store in a folder without looking at its flows.
func Read(dir string) (*Store, error) {
	path := filepath.Join(dir, File)
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	s := &Store{dir: dir, plans: map[string]compiled{}}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("%s:\n%w", path, err)
	}
	return s, nil
}

func (s *Store) validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("  "+format, args...)) }
	if !idPattern.MatchString(s.ID) {
		fault("store: %q must be lower-case letters, digits and hyphens, like \"hardware-store\"", s.ID)
	}
	if s.Name == "" {
		s.Name = s.ID
	}
	if !slices.Contains(s.Languages.Supported, s.Languages.Default) {
		fault("languages.default: %q must be one of languages.supported %v", s.Languages.Default, s.Languages.Supported)
	}
	if len(s.Kiosks) == 0 {
		fault("kiosks: a store needs at least one, like {id: entrance, flow: help}")
	}
	seen := map[string]bool{}
	for i, k := range s.Kiosks {
		if !idPattern.MatchString(k.ID) {
			fault("kiosks[%d].id: %q must be lower-case letters, digits and hyphens", i, k.ID)
		}
		if seen[k.ID] {
			fault("kiosks[%d].id: %q is there twice", i, k.ID)
		}
		seen[k.ID] = true
		if !idPattern.MatchString(strings.ReplaceAll(k.Flow, "_", "-")) {
			fault("kiosks[%d].flow: %q must name a file in flows/, without .yaml", i, k.Flow)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Collections)) {
		if len(s.Collections[name].Paths) == 0 {
			fault("collections.%s.paths: name at least one file or folder", name)
		}
		for i, p := range s.Collections[name].Paths {
			if !filepath.IsLocal(p) {
				fault("collections.%s.paths[%d]: %q must stay inside the store's folder", name, i, p)
			} else if _, err := os.Stat(filepath.Join(s.dir, p)); err != nil {
				fault("collections.%s.paths[%d]: %v", name, i, err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Branding.Colours)) {
		if !slices.Contains(colourNames, name) {
			fault("branding.colours.%s: not a colour of the page; it has %s", name, strings.Join(colourNames, ", "))
		} else if !colourPattern.MatchString(s.Branding.Colours[name]) {
			fault("branding.colours.%s: %q must be like \"#10261f\"", name, s.Branding.Colours[name])
		}
	}
	return errors.Join(faults...)
}

// Kiosk finds a kiosk.
func (s *Store) Kiosk(id string) (Kiosk, bool) {
	i := slices.IndexFunc(s.Kiosks, func(k Kiosk) bool { return k.ID == id })
	if i < 0 {
		return Kiosk{}, false
	}
	return s.Kiosks[i], true
}

// Dir is the store's folder.
func (s *Store) Dir() string { return s.dir }

// flows names each flow that a kiosk talks, once.
func (s *Store) flows() []string {
	var names []string
	for _, k := range s.Kiosks {
		names = append(names, k.Flow)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Plan gives the plan with which a kiosk's next conversation starts: compiled
// anew when a flow or prompt file has changed since. A change with mistakes
// keeps the last good plan in use; its mistakes are the error beside the plan.
func (s *Store) Plan(kiosk string) (*flow.Plan, error) {
	k, ok := s.Kiosk(kiosk)
	if !ok {
		return nil, fmt.Errorf("kiosk %q is not in %s", kiosk, filepath.Join(s.dir, File))
	}
	return s.compile(k.Flow)
}

func (s *Store) compile(name string) (*flow.Plan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stamp, err := s.stamp()
	if err != nil {
		return nil, err
	}
	last := s.plans[name]
	if last.stamp == stamp {
		return last.plan, nil
	}
	plan, err := flow.Compile(flow.Source{
		FS:          os.DirFS(s.dir),
		Path:        "flows/" + name + ".yaml",
		Collections: slices.Sorted(maps.Keys(s.Collections)),
	})
	if err != nil {
		return last.plan, err
	}
	s.plans[name] = compiled{plan: plan, stamp: stamp}
	return plan, nil
}

// stamp changes whenever a flow or prompt file does.
func (s *Store) stamp() (string, error) {
	var b strings.Builder
	for _, folder := range []string{"flows", "prompts"} {
		err := filepath.WalkDir(filepath.Join(s.dir, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
			return nil
		})
		if err != nil {
			return "", fmt.Errorf("read flows: %w", err)
		}
	}
	return b.String(), nil
}
