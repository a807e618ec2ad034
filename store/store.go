// Package store reads a store's folder: which kiosks stand in it, which flow
// each of them talks, what it knows and how its page looks.
package store

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/praesenz/parley/flow"
)

// File is the name of the file that describes a store, in the store's folder.
const File = "store.yaml"

// ActionsDir is the folder of the action catalogue where store.yaml names none.
const ActionsDir = "actions"

// A Store is one place with kiosks. All its paths are relative to its folder.
type Store struct {
	ID          string                `yaml:"store"`
	Name        string                `yaml:"name"`
	Languages   Languages             `yaml:"languages"`
	Kiosks      []Kiosk               `yaml:"kiosks"`
	Collections map[string]Collection `yaml:"collections"`
	Voices      map[string]string     `yaml:"voices"` // language → the speech server's voice; default: its own choice
	Branding    Branding              `yaml:"branding"`
	Actions     string                `yaml:"actions"`   // folder of the action catalogue; default: ActionsDir, if it is there
	TimeZone    string                `yaml:"time_zone"` // IANA name, for dates and times that customers say; default: the machine's

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

// A Fault is something in store.yaml that cannot be so.
type Fault struct {
	Way     []string // the keys and indexes that lead to it
	Message string   // what is wrong, and what to write
}

// Name is the way as one writes it: "kiosks[1].id".
func (f Fault) Name() string {
	var b strings.Builder
	for i, seg := range f.Way {
		if _, err := strconv.Atoi(seg); err == nil {
			seg = "[" + seg + "]"
		} else if i > 0 {
			seg = "." + seg
		}
		b.WriteString(seg)
	}
	return b.String()
}

// An InvalidError names every fault of a store.yaml.
type InvalidError struct {
	File   string
	Faults []Fault // at least one
}

// Error lists the faults, one a line.
func (e *InvalidError) Error() string {
	var b strings.Builder
	b.WriteString(e.File + ":")
	for _, f := range e.Faults {
		b.WriteString("\n  " + f.Name() + ": " + f.Message)
	}
	return b.String()
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
	if faults := s.validate(); len(faults) > 0 {
		return nil, &InvalidError{File: path, Faults: faults}
	}
	if s.TimeZone == "" {
		s.TimeZone = MachineZone()
	}
	return s, nil
}

// MachineZone is the IANA name of the machine's time zone, or UTC.
func MachineZone() string {
	if zone, ok := os.LookupEnv("TZ"); ok && zone != "" {
		return strings.TrimPrefix(zone, ":")
	}
	if file, err := os.Readlink("/etc/localtime"); err == nil {
		if _, zone, ok := strings.Cut(file, "/zoneinfo/"); ok {
			return zone
		}
	}
	return "UTC"
}

func (s *Store) validate() []Fault {
	var faults []Fault
	fault := func(way []string, format string, args ...any) {
		faults = append(faults, Fault{Way: way, Message: fmt.Sprintf(format, args...)})
	}
	at := func(way ...any) []string {
		keys := make([]string, len(way))
		for i, w := range way {
			keys[i] = fmt.Sprint(w)
		}
		return keys
	}
	if !idPattern.MatchString(s.ID) {
		fault(at("store"), "%q must be lower-case letters, digits and hyphens, like \"hardware-store\"", s.ID)
	}
	if s.Name == "" {
		s.Name = s.ID
	}
	if !slices.Contains(s.Languages.Supported, s.Languages.Default) {
		fault(at("languages", "default"), "%q must be one of languages.supported %v", s.Languages.Default, s.Languages.Supported)
	}
	if len(s.Kiosks) == 0 {
		fault(at("kiosks"), "a store needs at least one, like {id: entrance, flow: help}")
	}
	seen := map[string]bool{}
	for i, k := range s.Kiosks {
		if !idPattern.MatchString(k.ID) {
			fault(at("kiosks", i, "id"), "%q must be lower-case letters, digits and hyphens", k.ID)
		}
		if seen[k.ID] {
			fault(at("kiosks", i, "id"), "%q is there twice", k.ID)
		}
		seen[k.ID] = true
		if !idPattern.MatchString(strings.ReplaceAll(k.Flow, "_", "-")) {
			fault(at("kiosks", i, "flow"), "%q must name a file in flows/, without .yaml", k.Flow)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Collections)) {
		if len(s.Collections[name].Paths) == 0 {
			fault(at("collections", name, "paths"), "name at least one file or folder")
		}
		for i, p := range s.Collections[name].Paths {
			if !filepath.IsLocal(p) {
				fault(at("collections", name, "paths", i), "%q must stay inside the store's folder", p)
			} else if _, err := os.Stat(filepath.Join(s.dir, p)); err != nil {
				fault(at("collections", name, "paths", i), "%q is not there", p)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Branding.Colours)) {
		if !slices.Contains(colourNames, name) {
			fault(at("branding", "colours", name), "not a colour of the page; it has %s", strings.Join(colourNames, ", "))
		} else if !colourPattern.MatchString(s.Branding.Colours[name]) {
			fault(at("branding", "colours", name), "%q must be like \"#10261f\"", s.Branding.Colours[name])
		}
	}
	if s.Actions != "" && !filepath.IsLocal(s.Actions) {
		fault(at("actions"), "%q must stay inside the store's folder", s.Actions)
	}
	if _, err := time.LoadLocation(s.TimeZone); err != nil || s.TimeZone == "Local" {
		fault(at("time_zone"), "%q is no time zone; write it like Europe/Berlin", s.TimeZone)
	}
	return faults
}

// Catalogue reads the store's action catalogue, which is empty where the store
// has no folder of actions. The error is a *flow.InvalidError with every mistake
// in it.
func (s *Store) Catalogue() (*flow.Catalogue, error) {
	catalogue, ds := ReadCatalogue(s.dir, s.Actions)
	if catalogue == nil {
		return nil, &flow.InvalidError{Diagnostics: ds}
	}
	return catalogue, nil
}

// ReadCatalogue reads the action catalogue of a store's folder; actions is what
// store.yaml says about it. It is nil when it has mistakes.
func ReadCatalogue(dir, actions string) (*flow.Catalogue, flow.Diagnostics) {
	if actions == "" {
		if _, err := os.Stat(filepath.Join(dir, ActionsDir)); err != nil {
			return &flow.Catalogue{}, nil
		}
		actions = ActionsDir
	}
	return flow.ReadCatalogue(os.DirFS(dir), filepath.ToSlash(filepath.Clean(actions)))
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
	catalogue, err := s.Catalogue()
	if err != nil {
		return last.plan, err
	}
	plan, err := flow.Compile(flow.Source{
		FS:          os.DirFS(s.dir),
		Path:        "flows/" + name + ".yaml",
		Collections: slices.Sorted(maps.Keys(s.Collections)),
		Actions:     catalogue,
	})
	if err != nil {
		return last.plan, err
	}
	s.plans[name] = compiled{plan: plan, stamp: stamp}
	return plan, nil
}

// stamp changes whenever a file does of which plans are made.
func (s *Store) stamp() (string, error) {
	folders := []string{"flows", "prompts", flow.PublishedDir, cmp.Or(s.Actions, ActionsDir)}
	for i, folder := range folders {
		folders[i] = filepath.Join(s.dir, folder)
	}
	return Stamp(folders...)
}

// Stamp tells whether the files under some folders, or some files, have changed:
// it differs after any change. What is not there is left out.
func Stamp(paths ...string) (string, error) {
	var b strings.Builder
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // not there, or gone since its folder was read
			}
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
			return nil
		})
		if err != nil {
			return "", fmt.Errorf("look for changes: %w", err)
		}
	}
	return b.String(), nil
}
