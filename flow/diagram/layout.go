package diagram

import (
	"context"
	_ "embed" // the layout is part of the binary
	"encoding/json"
	"fmt"

	"github.com/dop251/goja"
)

// dagre places boxes in layers. It is JavaScript, the layout that Mermaid itself
// has used for years; Go has none as good under a licence that we can ship.
//
//go:embed dagre/dagre.min.js
var dagre string

// A box is something to place; X and Y are its middle, in pixels.
type box struct {
	ID     string  `json:"id"`
	Width  float64 `json:"width"`
	Height float64 `json:"height"`
	X      float64 `json:"x"`
	Y      float64 `json:"y"`
}

// A line leads from one box to another. Width and Height are its label's, X and
// Y the label's middle.
type connection struct {
	From   string  `json:"from"`
	To     string  `json:"to"`
	Weight int     `json:"weight"` // how much it wants to be short and straight
	Width  float64 `json:"width"`
	Height float64 `json:"height"`
	X      float64 `json:"x"`
	Y      float64 `json:"y"`
	Points []point `json:"points"`
}

type point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// A placement is boxes and the lines between them, and once laid out, how much
// room they take.
type placement struct {
	Boxes       []*box        `json:"boxes"`
	Connections []*connection `json:"connections"`
	Width       float64       `json:"width"`
	Height      float64       `json:"height"`
}

// placing runs in the interpreter: input and result are JSON of a placement. The
// interpreter has no structuredClone, which dagre uses on plain objects.
const placing = `
function structuredClone(v) { return v === undefined ? v : JSON.parse(JSON.stringify(v)); }
function place(input) {
	const p = JSON.parse(input);
	const g = new dagre.graphlib.Graph({multigraph: true});
	g.setGraph({rankdir: "TB", nodesep: 26, edgesep: 14, ranksep: 34, marginx: 12, marginy: 12});
	for (const b of p.boxes) g.setNode(b.id, {width: b.width, height: b.height});
	p.connections.forEach((c, i) => g.setEdge({v: c.from, w: c.to, name: String(i)},
		{width: c.width, height: c.height, labelpos: "c", weight: c.weight}));
	dagre.layout(g);
	for (const b of p.boxes) ({x: b.x, y: b.y} = g.node(b.id));
	p.connections.forEach((c, i) => {
		const e = g.edge({v: c.from, w: c.to, name: String(i)});
		c.points = e.points;
		c.x = e.x === undefined ? 0 : e.x;
		c.y = e.y === undefined ? 0 : e.y;
	});
	({width: p.width, height: p.height} = g.graph());
	return JSON.stringify(p);
}`

// layOut places everything. It ends early with ctx.
func (p *placement) layOut(ctx context.Context) error {
	input, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("lay out: %w", err)
	}
	vm := goja.New()
	stop := context.AfterFunc(ctx, func() { vm.Interrupt(context.Cause(ctx)) })
	defer stop()
	for _, script := range []string{dagre, placing} {
		if _, err := vm.RunString(script); err != nil {
			return fmt.Errorf("lay out: %w", err)
		}
	}
	place, ok := goja.AssertFunction(vm.Get("place"))
	if !ok {
		return fmt.Errorf("lay out: place is no function")
	}
	out, err := place(goja.Undefined(), vm.ToValue(string(input)))
	if ctx.Err() != nil {
		return fmt.Errorf("lay out: %w", context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("lay out: %w", err)
	}
	*p = placement{}
	if err := json.Unmarshal([]byte(out.String()), p); err != nil {
		return fmt.Errorf("lay out: %w", err)
	}
	return nil
}
