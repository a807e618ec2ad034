package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"go.yaml.in/yaml/v3"
)

// recordFile keeps, in a store's folder, what it was made from.
const recordFile = ".parley-template"

// A storeRecord is what a store was made from.
type storeRecord struct {
	Parley  string            `yaml:"parley"`  // the version that wrote it
	Answers map[string]string `yaml:"answers"` // by flag
	Files   map[string]string `yaml:"files"`   // SHA-256 of each file as it was written, by path from the folder of both folders
}

// storeFolders are the two folders of a store. Paths in them begin with the
// folder's name and are written with /.
type storeFolders struct{ dir, name string }

func (f storeFolders) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

func (f storeFolders) record() string { return f.name + "/" + recordFile }

// readRecord gives the zero record where there is none.
func (f storeFolders) readRecord() (storeRecord, error) {
	var r storeRecord
	if err := f.refuseLink(f.record()); err != nil {
		return r, err
	}
	text, err := os.ReadFile(f.path(f.record()))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("read the answers of last time: %w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&r); err != nil || r.Files == nil {
		return storeRecord{}, fmt.Errorf("%s is not as `parley store new` writes it (%w); take it from Git again", f.path(f.record()), errors.Join(err, errors.New("it needs parley, answers and files")))
	}
	return r, nil
}

func (f storeFolders) writeRecord(r storeRecord) error {
	text, err := yaml.Marshal(r)
	if err != nil {
		return fmt.Errorf("write the answers: %w", err)
	}
	text = append([]byte("# What `parley store new` made this store from; it reads it when it runs again.\n"), text...)
	return f.write(map[string][]byte{f.record(): text})
}

// refuseLinks refuses to go through symbolic links, which would lead out of both
// folders.
func (f storeFolders) refuseLinks(files map[string][]byte) error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := f.refuseLink(name); err != nil && !slices.ContainsFunc(faults, func(e error) bool { return e.Error() == err.Error() }) {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

func (f storeFolders) refuseLink(name string) error {
	for at := name; at != "."; at = path.Dir(at) {
		if info, err := os.Lstat(f.path(at)); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf("%s is a symbolic link; parley store new writes only in folders and files that are real", f.path(at))
		}
	}
	return nil
}

// write writes files, each whole or not at all.
func (f storeFolders) write(files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o755); err != nil { //nolint:gosec // a store is for everyone
			return fmt.Errorf("write the store: %w", err)
		}
		if err := replaceFile(f.path(name), files[name]); err != nil {
			return fmt.Errorf("write the store: %w", err)
		}
	}
	return nil
}

func sums(files map[string][]byte) map[string]string {
	all := map[string]string{}
	for name, text := range files {
		all[name] = sum(text)
	}
	return all
}

func sum(text []byte) string {
	s := sha256.Sum256(text)
	return hex.EncodeToString(s[:])
}

// A change is a file that is not as it would be written now.
type change struct {
	name     string
	old, new []byte
	missing  bool // it is not there
	yours    bool // somebody changed or removed it since it was written
}

// changes compares both folders with what would be written now.
func (f storeFolders) changes(files map[string][]byte, last storeRecord) ([]change, error) {
	var all []change
	for _, name := range slices.Sorted(maps.Keys(files)) {
		c := change{name: name, new: files[name]}
		var err error
		c.old, err = os.ReadFile(f.path(name))
		c.missing = errors.Is(err, fs.ErrNotExist)
		if err != nil && !c.missing {
			return nil, fmt.Errorf("compare the store: %w", err)
		}
		if !c.missing && bytes.Equal(c.old, c.new) {
			continue
		}
		was, written := last.Files[name]
		switch {
		case name == f.name+gitopsSuffix+"/"+packedFile: // made from the store's folder, by anyone
		case c.missing:
			c.yours = written
		default:
			c.yours = was != sum(c.old)
		}
		all = append(all, c)
	}
	return all, nil
}

// update shows what would change in folders that are there, and takes over what
// it is told to.
func (n *newStore) update(folders storeFolders, files map[string][]byte, last, now storeRecord) error {
	now.Files = maps.Clone(last.Files)
	packed := n.name + gitopsSuffix + "/" + packedFile
	if err := n.checkFiles(files, packed); err != nil {
		return err
	}
	changes, err := folders.changes(files, last)
	if err != nil {
		return err
	}
	left, err := n.takeOver(folders, changes, &now)
	if err != nil {
		return err
	}
	// The packed store is made from the store's folder as it is now.
	text, err := packStore(n.complaints, folders.path(n.name))
	if err != nil {
		return err
	}
	changes, err = folders.changes(map[string][]byte{packed: text}, last)
	if err != nil {
		return err
	}
	open, err := n.takeOver(folders, changes, &now)
	if err != nil {
		return err
	}
	left += open
	if err := n.tellLeftovers(folders, files, last); err != nil {
		return err
	}
	if left == 0 {
		_, err := fmt.Fprintf(n.out, "%s is as `parley store new` would write it\n", folders.path(n.name))
		return err
	}
	return quietError{errors.New("the store differs")}
}

// tellLeftovers names the files of last time that would not be written now.
func (n *newStore) tellLeftovers(folders storeFolders, files map[string][]byte, last storeRecord) error {
	for _, name := range slices.Sorted(maps.Keys(last.Files)) {
		_, wanted := files[name]
		if _, err := os.Lstat(folders.path(name)); wanted || err != nil || name == n.name+gitopsSuffix+"/"+packedFile {
			continue
		}
		if _, err := fmt.Fprintf(n.out, "%s is no longer part of the template; remove it if you do not need it\n", folders.path(name)); err != nil {
			return err
		}
	}
	return nil
}

// checkFiles refuses files after --write that are none of the store's.
func (n *newStore) checkFiles(files map[string][]byte, packed string) error {
	var faults []error
	for i, file := range n.files {
		rel, err := filepath.Rel(n.dir, file)
		name := filepath.ToSlash(rel)
		if _, ok := files[name]; err != nil || !ok && name != packed {
			faults = append(faults, fmt.Errorf("--write=%s: it is none of the store's files, as %s", file, filepath.Join(n.dir, n.name, "store.yaml")))
			continue
		}
		n.files[i] = name
	}
	return errors.Join(faults...)
}

// takeOver writes the changes it is told to and keeps them on record, shows the
// others and answers how many these are.
func (n *newStore) takeOver(folders storeFolders, changes []change, now *storeRecord) (left int, err error) {
	for _, c := range changes {
		if n.write && !c.yours || slices.Contains(n.files, c.name) {
			if err := folders.write(map[string][]byte{c.name: c.new}); err != nil {
				return left, err
			}
			now.Files[c.name] = sum(c.new)
			if _, err := fmt.Fprintf(n.out, "wrote %s\n", folders.path(c.name)); err != nil {
				return left, err
			}
			continue
		}
		left++
		if _, err := n.out.Write(c.show(folders.path(c.name), isTerminal(n.out))); err != nil {
			return left, err
		}
	}
	if n.write || len(n.files) > 0 {
		return left, folders.writeRecord(*now)
	}
	return left, nil
}

// show is the change as a unified difference, from what is there to what would be
// written.
func (c change) show(name string, colour bool) []byte {
	from, to, why := name, name, "--write takes it over"
	switch {
	case c.missing && c.yours:
		from, why = os.DevNull, "removed since it was written; --write="+name+" writes it again"
	case c.missing:
		from, why = os.DevNull, "new; --write writes it"
	case c.yours:
		why = "changed since it was written; only --write=" + name + " replaces it"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: %s\n", name, why)
	text := strings.TrimPrefix(string(diff.Diff(from, c.old, to, c.new)), fmt.Sprintf("diff %s %s\n", from, to))
	if !colour {
		b.WriteString(text)
		return []byte(b.String())
	}
	for line := range strings.Lines(text) {
		code := map[byte]string{'+': "32", '-': "31", '@': "36"}[line[0]]
		if strings.HasPrefix(line, "--- ") || strings.HasPrefix(line, "+++ ") {
			code = "1"
		}
		if code == "" {
			b.WriteString(line)
		} else {
			fmt.Fprintf(&b, "\x1b[%sm%s\x1b[0m\n", code, strings.TrimSuffix(line, "\n"))
		}
	}
	return []byte(b.String())
}
