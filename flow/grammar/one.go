package grammar

import (
	"math"
	"slices"
	"time"
)

// Values finds every value of a type: int, number, amount, date or time. Of an
// int only whole numbers are values, as int64.
func (w Words) Values(kind string, now time.Time) []Found {
	switch kind {
	case "int":
		out := w.Numbers()
		for i := range out {
			n := out[i].Value.(float64)
			if n != math.Trunc(n) || math.Abs(n) >= 1<<53 {
				out[i].Value = nil // it counts: who says "2.5" does not say a whole number
				continue
			}
			out[i].Value = int64(n)
		}
		return out
	case "number":
		return w.Numbers()
	case "amount":
		return w.Amounts()
	case "date":
		return w.Dates(now)
	case "time":
		return w.Times(now)
	}
	return nil
}

// One is the only value of a type that the words hold. Weak ones count where
// nothing else is said.
func (w Words) One(kind string, now time.Time) (Found, bool) {
	found := w.Values(kind, now)
	if kind == "int" || kind == "number" {
		found = w.without(found, w.Dates(now), w.Times(now))
	}
	for i := 1; i < len(found); i++ { // "three or four", whatever else is sure
		if between := w.Part(found[i-1].To, max(found[i-1].To, found[i].From)); between.Len() > 0 && between.only(w.lang.or) {
			return Found{}, false
		}
	}
	strong := found[:0:0]
	for _, f := range found {
		if !f.Weak {
			strong = append(strong, f)
		}
	}
	switch {
	case len(strong) == 1:
		return strong[0], strong[0].Value != nil
	case len(strong) == 0 && len(found) == 1 && w.Alone(found[0]):
		return found[0], found[0].Value != nil
	}
	return Found{}, false
}

// without leaves out what belongs to something else that is sure: the three of
// "half past three" is no number.
func (w Words) without(found []Found, others ...[]Found) []Found {
	return slices.DeleteFunc(found, func(f Found) bool {
		for _, other := range others {
			for _, o := range other {
				if !o.Weak && f.From < o.To && o.From < f.To && o.To-o.From > f.To-f.From {
					return true
				}
			}
		}
		return false
	})
}

// Alone reports whether nothing is said but a value and words that may stand
// around one ("at", "the", "please"; "people" around a number).
func (w Words) Alone(f Found) bool {
	_, date := f.Value.(string)
	return w.Part(0, f.From).around(!date) && w.From(f.To).around(!date)
}

// Only reports whether nothing is said but these values, which do not overlap,
// and words that may stand around them.
func (w Words) Only(values []Found) bool {
	values = slices.SortedFunc(slices.Values(values), func(a, b Found) int { return a.From - b.From })
	at := 0
	for _, f := range values {
		if f.From < at || !w.Part(at, f.From).around(true) {
			return false
		}
		at = f.To
	}
	return len(values) > 0 && w.From(at).around(true)
}

func (w Words) around(number bool) bool {
	for i := 0; i < len(w.list); {
		n := max(w.anyAt(i, w.lang.fillers), w.anyAt(i, w.lang.clock.am), w.anyAt(i, w.lang.clock.pm))
		if n == 0 && (w.lang.particles[w.word(i)] || number && w.lang.counted[w.word(i)] || w.lang.clock.at[w.word(i)]) {
			n = 1
		}
		if n == 0 {
			return false
		}
		i += n
	}
	return true
}
