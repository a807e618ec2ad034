package diagram

import (
	"fmt"
	"slices"
	"strings"

	"github.com/praesenz/parley/flow"
)

// Mermaid is the flow as a Mermaid flowchart (https://mermaid.js.org), which
// GitHub, GitLab and many editors show. taken counts the ways of a conversation,
// as workflows.Way names them; nil: none is shown.
func Mermaid(p *flow.Plan, taken map[string]int) string {
	g := newGraph(p, taken)
	var b strings.Builder
	fmt.Fprintf(&b, "---\ntitle: %s %s\n---\nflowchart TD\n", p.Flow, p.Version)
	for _, name := range g.steps {
		s := p.Steps[name]
		label := "<b>" + name + "</b>"
		for _, line := range append(g.about(s), g.stayed[name]...) {
			label += "<br/>" + mermaidText(line)
		}
		shape := mermaidShapes[s.Verb()]
		class := "v_" + s.Verb() // bare, "end" would be Mermaid's own word
		if g.lit && !g.taken(name) {
			class = "idle"
		}
		fmt.Fprintf(&b, "  %s%s\"%s\"%s:::%s\n", mermaidID(name), shape[0], label, shape[1], class)
	}
	if slices.ContainsFunc(g.ways, func(w way) bool { return w.from == "" }) {
		fmt.Fprintf(&b, "  anytime>\"%s\"]:::legend\n", anytime)
	}
	var lit []string
	for i, w := range g.ways {
		arrow := "-->"
		if w.aside {
			arrow = "-.->"
		}
		label := firstWords(w.label, 40)
		if w.times > 0 {
			label = strings.TrimSpace(fmt.Sprintf("%s ×%d", label, w.times))
			lit = append(lit, fmt.Sprint(i))
		}
		if label != "" {
			arrow += `|"` + mermaidText(label) + `"|`
		}
		from := "anytime"
		if w.from != "" {
			from = mermaidID(w.from)
		}
		fmt.Fprintf(&b, "  %s %s %s\n", from, arrow, mermaidID(w.to))
	}
	var legend []string
	for _, par := range g.legend() {
		legend = append(legend, "<b>"+par.title+"</b>")
		for _, line := range par.lines {
			legend = append(legend, mermaidText(line))
		}
	}
	fmt.Fprintf(&b, "  legend[\"%s\"]:::legend\n", strings.Join(legend, "<br/>"))
	for _, verb := range verbs {
		look := looks[verb]
		fmt.Fprintf(&b, "  classDef v_%s fill:%s,stroke:%s,stroke-width:%dpx,color:%s\n", verb, look.fill, look.stroke, look.width, ink)
	}
	fmt.Fprintf(&b, "  classDef idle fill:%s,stroke:%s,color:%s\n", idle.fill, idle.stroke, faded)
	fmt.Fprintf(&b, "  classDef legend fill:%s,stroke:%s,color:%s,text-align:left\n", paper, idle.stroke, ink)
	if len(lit) > 0 {
		fmt.Fprintf(&b, "  linkStyle %s stroke:%s,stroke-width:4px\n", strings.Join(lit, ","), litColour)
	}
	return b.String()
}

// mermaidID is a step's name as a node: bare names such as "end" are Mermaid's
// own words.
func mermaidID(step string) string { return "s_" + step }

// mermaidText keeps what Mermaid or a browser would read as markup.
func mermaidText(s string) string {
	return strings.NewReplacer("#", "#35;", "&", "#amp;", "<", "#lt;", ">", "#gt;", `"`, "#quot;", "`", "#96;", ";", "#59;", `\`, "#92;").Replace(s)
}

// mermaidShapes are the brackets of each verb's shape.
var mermaidShapes = map[string][2]string{
	"say":      {"(", ")"},
	"collect":  {"([", "])"},
	"retrieve": {"[(", ")]"},
	"generate": {"[/", "/]"},
	"call":     {"[[", "]]"},
	"set":      {"[", "]"},
	"branch":   {"{", "}"},
	"run_flow": {"[[", "]]"},
	"parallel": {"[[", "]]"},
	"wait":     {"{{", "}}"},
	"handoff":  {"[/", `\]`},
	"end":      {`[\`, "/]"},
}
