package flowtest

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/praesenz/parley/flow"
)

// prompts knows which of a plan's texts something that was said is.
type prompts struct {
	plan  *flow.Plan
	texts map[string][]*regexp.Regexp // by key, of all languages and flows
}

func promptsOf(plan *flow.Plan) *prompts {
	p := &prompts{plan: plan, texts: map[string][]*regexp.Regexp{}}
	p.add(plan)
	for _, name := range sortedKeys(plan.Flows) {
		sub := plan.Flows[name]
		p.add(&sub)
	}
	return p
}

func (p *prompts) add(plan *flow.Plan) {
	for _, lang := range sortedKeys(plan.Prompts) {
		for key, text := range plan.Prompts[lang] {
			p.texts[key] = append(p.texts[key], pattern(text))
		}
	}
}

// pattern is a prompt's text with anything in its placeholders, as a whole or,
// between blanks, as a part of what was said.
func pattern(text string) *regexp.Regexp {
	literals, err := flow.Literals(text)
	if err != nil {
		literals = []string{text} // the checker has reported it
	}
	for i, l := range literals {
		literals[i] = regexp.QuoteMeta(l)
	}
	// What is around it is trimmed when it is spoken.
	return regexp.MustCompile(`(?s)(?:^|\s)` + strings.TrimSpace(strings.Join(literals, ".*")) + `(?:\s|$)`)
}

// is says whether what was said is, or holds, a prompt.
func (p *prompts) is(key, said string) bool {
	return slices.ContainsFunc(p.texts[key], func(re *regexp.Regexp) bool { return re.MatchString(said) })
}

// keys are the prompts that something is as a whole, the ones with more text of
// their own first.
func (p *prompts) keys(said string) []string {
	var found []string
	for _, key := range sortedKeys(p.texts) {
		for _, re := range p.texts[key] {
			if re.FindString(said) == said && said != "" && re.String() != wildcard {
				found = append(found, key)
				break
			}
		}
	}
	return found
}

// wildcard is the pattern of a prompt that is nothing but a placeholder.
var wildcard = pattern("{x}").String()

// text is a prompt as its author wrote it, in a language or else the default one.
func (p *prompts) text(key, lang string) string {
	for _, l := range []string{lang, p.plan.Languages.Default} {
		if text, ok := p.plan.Prompts[l][key]; ok {
			return text
		}
	}
	for _, name := range sortedKeys(p.plan.Flows) {
		if text, ok := p.plan.Flows[name].Prompts[lang][key]; ok {
			return text
		}
	}
	return ""
}

// throughJSON gives values the types that they have after a journey through JSON.
func throughJSON(m map[string]any) map[string]any {
	var out map[string]any
	b, err := json.Marshal(m)
	if err != nil || json.Unmarshal(b, &out) != nil {
		return m
	}
	return out
}
