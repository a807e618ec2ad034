package diagram

import (
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/praesenz/parley/flow"
)

// Sizes in pixels.
const (
	nameSize  = 15.0
	verbSize  = 10.5
	bodySize  = 12.5
	labelSize = 11.5
	lineGap   = 17.0
	padding   = 12.0
	minWidth  = 132.0
	margin    = 12.0

	// busy is how many ways may lead to a step before those that nobody hopes
	// for are drawn as a tag with its name: arrows across the whole picture help
	// nobody.
	busy = 3
)

// entry is the dot from which the first step is reached.
const entry = "> begin"

// Faces that are likely there; the sizes of boxes err to the wide side.
const (
	sans = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', Arial, sans-serif"
	mono = "ui-monospace, 'SF Mono', Menlo, 'DejaVu Sans Mono', Consolas, monospace"
)

// SVG is the flow as a picture for people, complete in itself. taken counts the
// ways of a conversation, as workflows.Way names them; nil: none is shown. A
// flow of 40 steps takes about half a second.
func SVG(ctx context.Context, p *flow.Plan, taken map[string]int) ([]byte, error) {
	g := newGraph(p, taken)
	d := &drawing{graph: g, cards: map[string]*card{}}
	d.addCard(&card{id: entry, shape: "entry", title: "the beginning"})
	for _, name := range g.steps {
		d.addStep(name)
	}
	if slices.ContainsFunc(g.ways, func(w way) bool { return w.from == "" }) {
		d.addCard(&card{id: anytime, name: anytime, shape: "tag", look: look{paper, line, 1}})
	}
	d.connect()
	if err := d.layOut(ctx); err != nil {
		return nil, fmt.Errorf("draw %s: %w", p.Flow, err)
	}
	return []byte(d.render()), nil
}

// A card is a step as it is drawn, or a tag that stands for one far away.
type card struct {
	id    string
	name  string
	verb  string
	body  []string
	shape string // a verb, or "tag"
	look  look
	idle  bool
	title string // for those who listen to the picture
	box   *box
}

type drawing struct {
	graph *graph
	place placement
	cards map[string]*card
	order []*card
	ways  []way // as drawn; one for each of place.Connections
}

func (d *drawing) addStep(name string) {
	g := d.graph
	s := g.plan.Steps[name]
	c := &card{id: name, name: name, verb: s.Verb(), body: wrap(append(g.about(s), g.stayed[name]...)), shape: s.Verb(), look: looks[s.Verb()]}
	title := name + ": " + c.verb
	if listens(s) {
		title += ", listens"
	}
	if name == g.plan.Start {
		title += ", the first step"
	}
	if g.lit {
		c.idle = !g.taken(name)
		title += fmt.Sprintf(", left %d times", g.visits[name])
	}
	c.title = strings.Join(append(append([]string{title}, g.about(s)...), g.stayed[name]...), "\n")
	if s.Note != "" {
		c.title += "\n" + s.Note
	}
	d.addCard(c)
}

// wrap folds lines that would make a card wide.
func wrap(lines []string) []string {
	const most = 32 // characters
	var out []string
	for _, line := range lines {
		for len([]rune(line)) > most {
			head := string([]rune(line)[:most+1])
			cut := strings.LastIndexByte(head, ' ')
			if cut <= 0 {
				break // one long word
			}
			out, line = append(out, line[:cut]), line[cut+1:]
		}
		out = append(out, line)
	}
	return out
}

func (d *drawing) addCard(c *card) {
	c.box = &box{ID: c.id}
	switch c.shape {
	case "entry":
		c.box.Width, c.box.Height = 18, 18
	case "tag":
		c.box.Width, c.box.Height = textWidth(c.name, labelSize)+24, 24
	default:
		width := textWidth(c.name, nameSize) + textWidth(c.verb, verbSize+1) + 30
		for _, line := range c.body {
			width = max(width, textWidth(line, bodySize))
		}
		c.box.Width = max(minWidth, width+2*padding+2*inset(c.shape))
		c.box.Height = 34 + lineGap*float64(len(c.body))
		if len(c.body) > 0 {
			c.box.Height += 6
		}
	}
	d.cards[c.id] = c
	d.order = append(d.order, c)
	d.place.Boxes = append(d.place.Boxes, c.box)
}

// connect draws the ways. One to a step where many lead, which nobody hopes for,
// ends at a tag with the step's name beside where it begins.
func (d *drawing) connect() {
	d.place.Connections = append(d.place.Connections, &connection{From: entry, To: d.graph.plan.Start, Weight: 4})
	start := way{to: d.graph.plan.Start}
	if d.graph.lit {
		start.times = 1
	}
	d.ways = append(d.ways, start)
	leading := map[string]int{}
	for _, w := range d.graph.ways {
		leading[w.to]++
	}
	drawn := map[string]bool{}
	tags := map[string]*card{}
	for _, w := range d.graph.ways {
		to := w.to
		if w.aside && leading[to] > busy && drawn[to] {
			id := w.from + " tag " + to
			if tags[id] == nil {
				target := d.graph.plan.Steps[to]
				tags[id] = &card{id: id, name: "→ " + to, shape: "tag", look: looks[target.Verb()], idle: d.graph.lit && w.times == 0, title: "goes to " + to}
				d.addCard(tags[id])
			}
			tags[id].idle = tags[id].idle && w.times == 0
			to = id
		}
		drawn[w.to] = true
		c := &connection{From: cmp.Or(w.from, anytime), To: to, Weight: 1}
		if !w.aside {
			c.Weight = 4
		}
		if label := d.label(w); label != "" {
			c.Width, c.Height = monoWidth(label, labelSize)+10, labelSize+6
		}
		d.place.Connections = append(d.place.Connections, c)
		d.ways = append(d.ways, w)
	}
}

func (d *drawing) label(w way) string {
	label := firstWords(w.label, 34)
	if w.times > 0 && w.how != "" {
		label = strings.TrimSpace(fmt.Sprintf("%s ×%d", label, w.times))
	}
	return label
}

func (d *drawing) layOut(ctx context.Context) error {
	if err := d.place.layOut(ctx); err != nil {
		return err
	}
	for i, b := range d.place.Boxes {
		d.order[i].box = b
	}
	d.frame()
	return nil
}

// frame moves everything into the picture: the layout looks at boxes and labels
// only, and lines may lead around them.
func (d *drawing) frame() {
	left, right := 0.0, d.place.Width
	for _, c := range d.place.Connections {
		for _, p := range c.Points {
			left, right = min(left, p.X-margin), max(right, p.X+margin)
		}
	}
	for _, b := range d.place.Boxes {
		b.X -= left
	}
	for _, c := range d.place.Connections {
		c.X -= left
		for i := range c.Points {
			c.Points[i].X -= left
		}
	}
	d.place.Width = right - left
}

func (d *drawing) render() string {
	p := d.graph.plan
	legend, legendWidth, legendHeight := d.legend()
	width, top := max(d.place.Width, legendWidth), legendHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title about" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f">`+"\n",
		width, top+d.place.Height, width, top+d.place.Height)
	fmt.Fprintf(&b, "<title id=\"title\">%s %s</title>\n<desc id=\"about\">%s</desc>\n", esc(p.Flow), esc(p.Version), esc(d.inWords()))
	b.WriteString(style())
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="%s"/>`+"\n", paper)
	b.WriteString(legend)
	fmt.Fprintf(&b, "<g transform=\"translate(%.1f %.1f)\">\n", (width-d.place.Width)/2, top)
	// What was taken is drawn last, above the rest.
	for _, lit := range []bool{false, true} {
		for i, c := range d.place.Connections {
			if (d.ways[i].times > 0) == lit {
				b.WriteString(d.line(c, d.ways[i]))
			}
		}
	}
	for _, c := range d.order {
		b.WriteString(c.draw())
	}
	for i, c := range d.place.Connections {
		b.WriteString(d.labelOf(c, d.ways[i]))
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}

// inWords is the picture for those who cannot see it.
func (d *drawing) inWords() string {
	var lines []string
	if about := d.graph.plan.About; about != "" {
		lines = append(lines, about)
	}
	for _, w := range d.graph.ways {
		from := cmp.Or(w.from, anytime)
		label := d.label(w)
		if label != "" {
			label = " (" + label + ")"
		}
		lines = append(lines, from+label+" → "+w.to)
	}
	return strings.Join(lines, "\n")
}

func style() string {
	marker := func(id, colour string) string {
		return fmt.Sprintf(`<marker id="%s" viewBox="0 0 10 10" refX="9" refY="5" markerUnits="userSpaceOnUse" markerWidth="9" markerHeight="9" orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="%s"/></marker>`, id, colour)
	}
	return "<style>\n" +
		".name{font:600 15px " + sans + "}.verb{font:600 10.5px " + sans + ";letter-spacing:.4px}.body{font:12.5px " + sans + "}\n" +
		".label{font:11.5px " + mono + "}\n" +
		".tag{font:11.5px " + sans + "}.head{font:700 22px " + sans + "}.par{font:700 12.5px " + sans + "}\n" +
		"a{text-decoration:none}\n</style>\n<defs>" + marker("arrow", line) + marker("arrow-idle", lineIdle) + marker("arrow-lit", litColour) + "</defs>\n"
}

// towards is a little way from a corner to the next point, where its rounding
// begins.
func towards(corner, next point) point {
	const radius = 22
	dx, dy := next.X-corner.X, next.Y-corner.Y
	part := min(radius/max(math.Hypot(dx, dy), 1), 0.5)
	return point{corner.X + dx*part, corner.Y + dy*part}
}

// line draws a way along the points that the layout found, its corners rounded.
// It must pass them: a label stands at one.
func (d *drawing) line(c *connection, w way) string {
	colour, marker, width := line, "arrow", 1.4
	switch {
	case w.times > 0:
		colour, marker, width = litColour, "arrow-lit", 3.5
	case d.graph.lit:
		colour, marker = lineIdle, "arrow-idle"
	}
	dash := ""
	if w.aside {
		dash = ` stroke-dasharray="5 4"`
	}
	pts := d.route(c)
	var path strings.Builder
	fmt.Fprintf(&path, "M%.1f %.1f", pts[0].X, pts[0].Y)
	for i := 1; i+1 < len(pts); i++ {
		in, out := towards(pts[i], pts[i-1]), towards(pts[i], pts[i+1])
		fmt.Fprintf(&path, "L%.1f %.1fQ%.1f %.1f %.1f %.1f", in.X, in.Y, pts[i].X, pts[i].Y, out.X, out.Y)
	}
	last := pts[len(pts)-1]
	fmt.Fprintf(&path, "L%.1f %.1f", last.X, last.Y)
	return fmt.Sprintf(`<path d="%s" fill="none" stroke="%s" stroke-width="%.1f"%s marker-end="url(#%s)"/>`+"\n", path.String(), colour, width, dash, marker)
}

// route is the points of a line. Lines leave cards at their lower and enter them
// at their upper edge, or the other way round where they lead back, and go past
// the neighbours in the same row before they turn: the layout itself would lead
// them behind taller ones.
func (d *drawing) route(c *connection) []point {
	from, to := d.cards[c.From].box, d.cards[c.To].box
	inner := c.Points
	if len(inner) > 2 {
		inner = inner[1 : len(inner)-1]
	}
	pts := d.leave(from, inner[0])
	pts = append(pts, inner...)
	end := d.leave(to, inner[len(inner)-1])
	slices.Reverse(end)
	return append(pts, end...)
}

// leave is how a line goes from a card out of its row, towards a point.
func (d *drawing) leave(b *box, towards point) []point {
	const corner, straight = 18, 12 // an arrow's head needs a straight end
	room := max(b.Width/2-corner, 0)
	x := min(max(towards.X, b.X-room), b.X+room)
	down, height := 1.0, b.Height
	if towards.Y < b.Y {
		down = -1
	}
	for _, other := range d.place.Boxes {
		if other.Y == b.Y { // the same row
			height = max(height, other.Height)
		}
	}
	return []point{{x, b.Y + down*b.Height/2}, {x, b.Y + down*(height/2+straight)}}
}

func (d *drawing) labelOf(c *connection, w way) string {
	label := d.label(w)
	if label == "" {
		return ""
	}
	colour, weight := ink, ""
	switch {
	case w.times > 0:
		colour, weight = litColour, ` font-weight="700"`
	case d.graph.lit:
		colour = faded
	}
	title := ""
	if w.label != "" {
		title = "<title>" + esc(w.label) + "</title>"
	}
	width := monoWidth(label, labelSize) + 4
	return fmt.Sprintf(`<g>%s<rect x="%.1f" y="%.1f" width="%.1f" height="15" fill="%s" opacity="0.9"/><text class="label" x="%.1f" y="%.1f" text-anchor="middle" fill="%s"%s>%s</text></g>`+"\n",
		title, c.X-width/2, c.Y-8, width, paper, c.X, c.Y+labelSize/3, colour, weight, esc(label))
}

// draw is a card, its upper left corner where the layout put it.
func (c *card) draw() string {
	w, h := c.box.Width, c.box.Height
	x, y := c.box.X-w/2, c.box.Y-h/2
	look, colour := c.look, ink
	if c.idle {
		look.fill, look.stroke, colour = idle.fill, idle.stroke, faded
	}
	var b strings.Builder
	if c.shape == "entry" {
		return fmt.Sprintf(`<circle cx="%.1f" cy="%.1f" r="8" fill="%s"><title>%s</title></circle>`+"\n", c.box.X, c.box.Y, ink, c.title)
	}
	if c.shape == "tag" {
		target := strings.TrimPrefix(c.name, "→ ")
		open, end := "", ""
		if target != c.name {
			open, end = fmt.Sprintf(`<a href="#step-%s">`, target), "</a>"
		}
		fmt.Fprintf(&b, `%s<g transform="translate(%.1f %.1f)"><title>%s</title><rect width="%.1f" height="%.1f" rx="12" fill="%s" stroke="%s" stroke-dasharray="3 3"/><text class="tag" x="%.1f" y="16" text-anchor="middle" fill="%s">%s</text></g>%s`+"\n",
			open, x, y, esc(c.title), w, h, look.fill, look.stroke, w/2, colour, esc(c.name), end)
		return b.String()
	}
	left, right := padding+inset(c.shape), w-padding-inset(c.shape)
	fmt.Fprintf(&b, `<g id="step-%s" transform="translate(%.1f %.1f)"><title>%s</title>`, c.id, x, y, esc(c.title))
	b.WriteString(shape(c.shape, w, h, look))
	fmt.Fprintf(&b, `<text class="name" x="%.1f" y="22" fill="%s">%s</text><text class="verb" x="%.1f" y="21" text-anchor="end" fill="%s">%s</text>`, left, colour, esc(c.name), right, colour, esc(c.verb))
	for i, line := range c.body {
		fmt.Fprintf(&b, `<text class="body" x="%.1f" y="%.1f" fill="%s">%s</text>`, left, 42+lineGap*float64(i), colour, esc(line))
	}
	b.WriteString("</g>\n")
	return b.String()
}

// inset is how much of a shape's width is at each side not for text.
func inset(shape string) float64 {
	switch shape {
	case "branch":
		return 14
	case "generate", "handoff", "call", "run_flow":
		return 8
	case "end":
		return 8
	}
	return 0
}

// shape is the outline of a verb's step.
func shape(verb string, w, h float64, l look) string {
	attrs := fmt.Sprintf(`fill="%s" stroke="%s" stroke-width="%d"`, l.fill, l.stroke, l.width)
	rect := func(r float64, more string) string {
		return fmt.Sprintf(`<rect width="%.1f" height="%.1f" rx="%.0f" %s%s/>`, w, h, r, attrs, more)
	}
	poly := func(points ...float64) string {
		var b strings.Builder
		for i := 0; i < len(points); i += 2 {
			fmt.Fprintf(&b, "%.1f,%.1f ", points[i], points[i+1])
		}
		return fmt.Sprintf(`<polygon points="%s" stroke-linejoin="round" %s/>`, strings.TrimSpace(b.String()), attrs)
	}
	bars := func(d string) string {
		return rect(3, "") + fmt.Sprintf(`<path d="%s" stroke="%s" fill="none"/>`, d, l.stroke)
	}
	switch verb {
	case "say":
		return rect(10, "")
	case "collect":
		return rect(16, "")
	case "retrieve":
		return fmt.Sprintf(`<path d="M0 5C0 -2 %.1f -2 %.1f 5V%.1fC%.1f %.1f 0 %.1f 0 %.1fZ" %s/>`, w, w, h-5, w, h+2, h+2, h-5, attrs)
	case "generate":
		return poly(10, 0, w, 0, w-10, h, 0, h)
	case "call", "run_flow":
		return bars(fmt.Sprintf("M7 0V%.1fM%.1f 0V%.1f", h, w-7, h))
	case "parallel":
		return bars(fmt.Sprintf("M0 4H%.1fM0 %.1fH%.1f", w, h-4, w))
	case "branch":
		return poly(14, 0, w-14, 0, w, h/2, w-14, h, 14, h, 0, h/2)
	case "wait":
		return rect(6, ` stroke-dasharray="2 3"`)
	case "handoff":
		return poly(0, 0, w-12, 0, w, h/2, w-12, h, 0, h)
	case "end":
		return rect(min(h/2, 24), "")
	}
	return rect(3, "") // set
}

// legend is the head of the picture: what the flow is, what holds everywhere, and
// what the shapes mean.
func (d *drawing) legend() (text string, width, height float64) {
	p := d.graph.plan
	var b strings.Builder
	fmt.Fprintf(&b, `<text class="head" x="24" y="38" fill="%s">%s %s</text>`+"\n", ink, esc(p.Flow), esc(p.Version))
	y, width := 48.0, 48+textWidth(p.Flow+" "+p.Version, 24)
	if p.About != "" {
		fmt.Fprintf(&b, `<text class="body" x="24" y="58" fill="%s">%s</text>`+"\n", faded, esc(p.About))
		y, width = 64, max(width, 48+textWidth(p.About, bodySize))
	}
	y += 18
	x, bottom := 24.0, y
	for _, par := range d.graph.legend() {
		widest := textWidth(par.title, bodySize+1)
		fmt.Fprintf(&b, `<text class="par" x="%.1f" y="%.1f" fill="%s">%s</text>`+"\n", x, y+8, ink, esc(par.title))
		for i, line := range par.lines {
			fmt.Fprintf(&b, `<text class="body" x="%.1f" y="%.1f" fill="%s">%s</text>`+"\n", x, y+8+lineGap*float64(i+1), ink, esc(line))
			widest = max(widest, textWidth(line, bodySize))
		}
		bottom = max(bottom, y+8+lineGap*float64(len(par.lines)+1))
		x += widest + 36
	}
	// The verbs that the flow has, two columns of them.
	var used []string
	for _, verb := range verbs {
		if slices.ContainsFunc(d.graph.steps, func(name string) bool { return p.Steps[name].Verb() == verb }) {
			used = append(used, verb)
		}
	}
	rows := (len(used) + 1) / 2
	for i, verb := range used {
		cx, cy := x+float64(i/max(rows, 1))*118, y-4+float64(i%max(rows, 1))*24
		fmt.Fprintf(&b, `<g transform="translate(%.1f %.1f)">%s<text class="body" x="42" y="13" fill="%s">%s</text></g>`+"\n", cx, cy, shape(verb, 34, 18, looks[verb]), ink, esc(verb))
		bottom = max(bottom, cy+24)
	}
	width = max(width, x+2*118+12)
	fmt.Fprintf(&b, `<path d="M24 %.1fH%.1f" stroke="%s"/>`+"\n", bottom+6, width-24, lineIdle)
	return b.String(), width, bottom + 16
}

// esc writes text for XML.
func esc(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return strings.ReplaceAll(b.String(), "&#xA;", "\n")
}
