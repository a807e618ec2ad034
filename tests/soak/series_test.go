package soak

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func (s *series) add(v float64) { s.values = append(s.values, v) }

// growth is by how much the line through the second half rises over it, and how
// much of that is no growth yet.
func (s *series) growth() (grown, limit float64) {
	half := s.values[len(s.values)/2:]
	n := float64(len(half))
	if n < 2 {
		return 0, s.slack
	}
	var x, y, xy, xx float64
	for i, v := range half {
		at := float64(i)
		x, y, xy, xx = x+at, y+v, xy+at*v, xx+at*at
	}
	slope := (n*xy - x*y) / (n*xx - x*x)
	return slope * (n - 1), max(s.slack, s.share*y/n)
}

// spark draws the curve in so many characters, from 0 to its highest value.
func (s *series) spark(width int) string {
	const levels = "▁▂▃▄▅▆▇█"
	marks := []rune(levels)
	top := max(slices.Max(s.values), 1e-9)
	width = min(width, len(s.values))
	line := make([]rune, width)
	for i := range line {
		from, to := i*len(s.values)/width, (i+1)*len(s.values)/width
		v := slices.Max(s.values[from:to])
		line[i] = marks[min(len(marks)-1, int(v/top*float64(len(marks))))]
	}
	return string(line)
}

// picture draws each curve in a strip of its own.
func picture(title string, seconds []float64, curves []*series) string {
	const left, width, strip, top = 230, 640, 56, 40
	var out strings.Builder
	height := top + strip*len(curves) + 24
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", left+width+20, height)
	fmt.Fprintf(&out, `<rect width="100%%" height="100%%" fill="white"/><text x="16" y="24" font-size="15" font-weight="bold">%s</text>`+"\n", title)
	end := seconds[len(seconds)-1]
	for i, c := range curves {
		y0 := float64(top + strip*(i+1) - 6) // of value 0
		highest := max(slices.Max(c.values), 1e-9)
		var points []string
		for j, v := range c.values {
			points = append(points, fmt.Sprintf("%.1f,%.1f", left+width*seconds[j]/end, y0-(strip-16)*v/highest))
		}
		fmt.Fprintf(&out, `<text x="16" y="%.0f">%s</text><text x="16" y="%.0f" fill="#666">%s</text>`+"\n", y0-22, c.name, y0-6,
			strings.TrimSpace(fmt.Sprintf("%.4g … %.4g %s", slices.Min(c.values), slices.Max(c.values), c.unit)))
		fmt.Fprintf(&out, `<path d="M%d %.1fH%d" stroke="#ccc"/><polyline points="%s" fill="none" stroke="#1a6b52" stroke-width="1.5"/>`+"\n",
			left, y0, left+width, strings.Join(points, " "))
	}
	fmt.Fprintf(&out, `<text x="%d" y="%d" fill="#666">0</text><text x="%d" y="%d" fill="#666" text-anchor="end">%.0f s</text></svg>`+"\n",
		left, height-8, left+width, height-8, end)
	return out.String()
}

func TestGrowth(t *testing.T) {
	line := func(f func(i int) float64) *series {
		s := &series{share: 0.1, slack: 8}
		for i := range 120 {
			s.add(f(i))
		}
		return s
	}
	for _, tc := range []struct {
		name  string
		s     *series
		grows bool
	}{
		{"steady", line(func(int) float64 { return 200 }), false},
		{"fills its caches first", line(func(i int) float64 { return 200 + float64(min(i, 50)) }), false},
		{"a garbage collector's teeth", line(func(i int) float64 { return 200 + float64(i%7)*10 }), false},
		{"a leak", line(func(i int) float64 { return 200 + float64(i) }), true},
		{"a small one of something small", line(func(i int) float64 { return 10 + float64(i)/20 }), false},
		{"shrinks", line(func(i int) float64 { return 400 - float64(i) }), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if grown, limit := tc.s.growth(); grown > limit != tc.grows {
				t.Errorf("grown %.1f, limit %.1f: want growth %v", grown, limit, tc.grows)
			}
		})
	}
}
