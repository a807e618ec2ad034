package flow

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const codeUnusable Code = "F608"

// A shelf is the published flows of a store.
type shelf struct {
	files    fs.FS
	versions map[string][]version // by flow; nil: not looked at yet
	calls    map[string]*called   // by reference, as the author wrote it; nil: not to be had
}

// A called flow is one that another runs or digresses into.
type called struct {
	key  string // "store_info@2.1.0"
	plan *Plan
}

type version [3]int

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

var publishedFile = regexp.MustCompile(`^([a-z][a-z0-9_]*)@([0-9]+)\.([0-9]+)\.([0-9]+)\.json$`)

// look reads the folder's names.
func (s *shelf) look() {
	if s.versions != nil {
		return
	}
	s.versions = map[string][]version{}
	entries, err := fs.ReadDir(s.files, PublishedDir)
	if err != nil {
		return // there is no such folder, so nothing is published
	}
	for _, e := range entries {
		m := publishedFile.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		var v version
		for i := range v {
			v[i], _ = strconv.Atoi(m[2+i]) // digits; a number too large is none that an author writes
		}
		s.versions[m[1]] = append(s.versions[m[1]], v)
	}
	for _, vs := range s.versions {
		slices.SortFunc(vs, func(a, b version) int { return slices.Compare(a[:], b[:]) })
	}
}

// split takes "store_info@2.1" apart.
func splitRef(ref string) (name string, want []int) {
	name, rest, _ := strings.Cut(ref, "@")
	for _, n := range strings.Split(rest, ".") {
		i, _ := strconv.Atoi(n) // the schema has seen to it that these are digits
		want = append(want, i)
	}
	return name, want
}

// highest is the highest published version that a reference allows.
func (s *shelf) highest(name string, want []int) (version, bool) {
	for _, v := range slices.Backward(s.versions[name]) {
		if slices.Equal(v[:min(len(want), 3)], want) {
			return v, true
		}
	}
	return version{}, false
}

// call finds the flow that a reference names, or reports why it cannot be had.
func (t *tree) call(ref Text, ds *Diagnostics) *called {
	if !flowRef.MatchString(ref.Value) {
		return nil // the schema has said so
	}
	s := t.published
	if c, ok := s.calls[ref.Value]; ok && c != nil {
		return c
	}
	s.look()
	c := s.find(t, ref, ds)
	s.calls[ref.Value] = c
	return c
}

var flowRef = regexp.MustCompile(`^[a-z][a-z0-9_]*@[0-9]{1,9}(\.[0-9]{1,9}){0,2}$`)

func (s *shelf) find(t *tree, ref Text, ds *Diagnostics) *called {
	name, want := splitRef(ref.Value)
	if name == t.name.Value {
		ds.errorf(codeCycle, ref.at, "", "flow %q calls itself", name)
		return nil
	}
	v, ok := s.highest(name, want)
	if !ok {
		s.notPublished(ref, name, ds)
		return nil
	}
	plan, err := ReadPublished(s.files, name, v.String())
	if err == nil {
		_, err = NewProgram(plan)
	}
	if err != nil {
		ds.errorf(codeUnusable, ref.at, "publish it again with `parley flow publish`, under a new version", "flow %s@%s cannot be used: %v", name, v, reason(err))
		return nil
	}
	if way := plan.wayTo(t.name.Value); way != nil {
		ds.errorf(codeCycle, ref.at, "", "flows %s call each other", strings.Join(append([]string{t.name.Value}, way...), " → "))
		return nil
	}
	var lacking []string
	for _, lang := range t.languages() {
		if !slices.Contains(plan.Languages.Supported, lang.Value) {
			lacking = append(lacking, languageName(lang.Value))
		}
	}
	if len(lacking) > 0 {
		ds.errorf(codeLacksLang, ref.at, "publish a version with it, or take it from `languages.supported`",
			"flow %s@%s has no %s, which this flow supports", name, v, strings.Join(lacking, " and no "))
	}
	return &called{key: name + "@" + v.String(), plan: plan}
}

// notPublished is F602: running plans need a fixed version.
func (s *shelf) notPublished(ref Text, name string, ds *Diagnostics) {
	if vs := s.versions[name]; len(vs) > 0 {
		var have []string
		for _, v := range vs {
			have = append(have, v.String())
		}
		ds.errorf(codeNoVersion, ref.at, "published are "+quoted(have, "and"), "no version of flow %q fits %q", name, ref.Value)
		return
	}
	hint := ""
	if nearest(name, sortedKeys(s.versions)) == "" {
		hint = "publish it with `parley flow publish`"
	}
	ds.errorf(codeNoVersion, ref.at, hint, "flow %q is not published%s", ref.Value, didYouMean(name, sortedKeys(s.versions)))
}

// wayTo is how a plan comes to call a flow by name: itself, then those between,
// then that flow; nil when it does not.
func (p *Plan) wayTo(name string) []string {
	seen := map[string]bool{}
	var way func(from *Plan) []string
	way = func(from *Plan) []string {
		for _, key := range from.refs() {
			if flow, _, _ := strings.Cut(key, "@"); flow == name {
				return []string{from.Flow, name}
			}
			if sub, ok := p.Flows[key]; ok && !seen[key] {
				seen[key] = true
				if rest := way(&sub); rest != nil {
					return append([]string{from.Flow}, rest...)
				}
			}
		}
		return nil
	}
	return way(p)
}

// refs are the keys of the flows that a plan's own steps and intents name.
func (p *Plan) refs() []string {
	var out []string
	for _, name := range sortedKeys(p.Steps) {
		if r := p.Steps[name].RunFlow; r != nil {
			out = append(out, r.Flow)
		}
	}
	for _, in := range p.Intents {
		if in.Digress != nil {
			out = append(out, in.Digress.Flows...)
		}
	}
	return out
}

// addFlow takes a called flow and those that it calls into the plan.
func (p *Plan) addFlow(c *called) {
	if p.Flows == nil {
		p.Flows = map[string]Plan{}
	}
	for key, sub := range c.plan.Flows {
		p.Flows[key] = sub
	}
	own := *c.plan
	own.Flows, own.SHA256 = nil, ""
	p.Flows[c.key] = own
}

// holds are a plan's slots and vars by full name, with their types.
func (p *Plan) holds() map[string]Type {
	out := make(map[string]Type, len(p.Slots)+len(p.Vars))
	for name, s := range p.Slots {
		out["slots."+name] = s.Type
	}
	for name, t := range p.Vars {
		out["vars."+name] = t
	}
	return out
}
