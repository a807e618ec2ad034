package flow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

const (
	codeChanged      Code = "F603"
	codeNotPublished Code = "F607"
)

// PublishedDir is the folder of a store that holds the flows as they were
// published.
const PublishedDir = "published"

// PublishedPath is the file of a published flow in its store's folder. It is
// written once and never changed: conversations and other flows rely on it.
func PublishedPath(flow, version string) string {
	return path.Join(PublishedDir, flow+"@"+version+".json")
}

// ReadPublished reads a published flow and checks that it is what was published.
// The error is fs.ErrNotExist where that version is not.
func ReadPublished(fsys fs.FS, flow, version string) (*Plan, error) {
	name := PublishedPath(flow, version)
	text, err := readSource(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("read published flow: %w", err)
	}
	var p Plan
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return nil, fmt.Errorf("%s is no plan: %w", name, err)
	}
	if p.Flow != flow || p.Version != version {
		return nil, fmt.Errorf("%s holds flow %q in version %q", name, p.Flow, p.Version)
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	return &p, nil
}

// CheckPublished says what is wrong with a file in PublishedDir.
func CheckPublished(fsys fs.FS, name string) Diagnostics {
	flow, version, _ := strings.Cut(strings.TrimSuffix(path.Base(name), ".json"), "@")
	if _, err := ReadPublished(fsys, flow, version); err != nil {
		var ds Diagnostics
		ds.errorf(codeNotPublished, at{pos: Pos{File: name, Line: 1, Column: 1}},
			"restore the file, or delete it and publish the flow under a new version", "this is not what was published: %v", reason(err))
		return ds
	}
	return nil
}

// CheckUnchanged says that a flow is not what was published under its version;
// nothing where that version is not published yet. p is compiled from src. That
// another flow has a newer version by now is only a warning: its author need not
// know who runs it.
func CheckUnchanged(src Source, p *Plan) Diagnostics {
	old, err := ReadPublished(src.FS, p.Flow, p.Version)
	if errors.Is(err, fs.ErrNotExist) || err == nil && old.SHA256 == p.SHA256 {
		return nil
	}
	if err != nil {
		return CheckPublished(src.FS, PublishedPath(p.Flow, p.Version))
	}
	var ds Diagnostics
	same, err := sameToAuthor(*old, *p)
	if err != nil {
		ds.errorf(codeChanged, at{pos: Pos{File: src.Path, Line: 1, Column: 1}}, "", "what was published cannot be compared: %v", err)
	}
	if err != nil || same {
		return ds
	}
	var where at
	if file := readYAML(src.FS, src.Path, &ds); file != nil && file.root != nil {
		where = node{file.root, file}.field("version").at()
	}
	if was, is := sortedKeys(old.Flows), sortedKeys(p.Flows); !slices.Equal(was, is) {
		ds.warnf(codeChanged, where, "to take it, raise the version and publish it", "version %s was published with other flows (%s) than it would be now (%s)",
			p.Version, quoted(was, "and"), quoted(is, "and"))
		return ds
	}
	ds.errorf(codeChanged, where, "raise the version, then publish it", "version is still %s but the plan has changed since it was published", p.Version)
	return ds
}

// sameToAuthor reports whether two plans differ in nothing that an author wrote:
// not in the lines at which the steps stand, nor in prompts that are the kiosk's
// own, which another version of Parley words otherwise.
func sameToAuthor(published, now Plan) (bool, error) {
	for _, p := range []*Plan{&published, &now} {
		p.Steps, p.Prompts = maps.Clone(p.Steps), maps.Clone(p.Prompts)
		for name, s := range p.Steps {
			p.Steps[name] = s.anywhere()
		}
	}
	for lang, texts := range now.Prompts {
		was := maps.Clone(published.Prompts[lang])
		is := maps.Clone(texts)
		for key, own := range ownPromptsOf(lang) {
			if is[key] == own {
				delete(is, key)
				delete(was, key)
			}
		}
		published.Prompts[lang], now.Prompts[lang] = was, is
	}
	was, err := published.Sum()
	if err != nil {
		return false, err
	}
	is, err := now.Sum()
	return was == is, err
}

// anywhere is a step without its place in the source.
func (s Step) anywhere() Step {
	s.Line = 0
	if s.Parallel == nil {
		return s
	}
	parallel := *s.Parallel
	parallel.Branches = slices.Clone(parallel.Branches)
	for i, b := range parallel.Branches {
		b.Steps = slices.Clone(b.Steps)
		for j, in := range b.Steps {
			b.Steps[j] = in.anywhere()
		}
		parallel.Branches[i] = b
	}
	s.Parallel = &parallel
	return s
}
