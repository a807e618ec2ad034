package echo

import (
	"math"
	"math/bits"
)

// A transform is the discrete Fourier transform of so many complex samples, a
// power of two.
type transform struct {
	turns []complex128 // e^(-2πik/n), k < n/2
	place []int        // bits reversed
}

func newTransform(n int) *transform {
	t := &transform{turns: make([]complex128, n/2), place: make([]int, n)}
	for k := range t.turns {
		sin, cos := math.Sincos(-2 * math.Pi * float64(k) / float64(n))
		t.turns[k] = complex(cos, sin)
	}
	for i := range t.place {
		t.place[i] = int(bits.Reverse(uint(i)) >> (bits.UintSize - bits.Len(uint(n-1))))
	}
	return t
}

// of transforms x in place.
func (t *transform) of(x []complex128) {
	for i, k := range t.place {
		if i < k {
			x[i], x[k] = x[k], x[i]
		}
	}
	for half := 1; half < len(x); half *= 2 {
		step := len(t.turns) / half
		for from := 0; from < len(x); from += 2 * half {
			low, high := x[from:from+half], x[from+half:from+2*half]
			for k, a := range low {
				b := high[k] * t.turns[k*step]
				low[k], high[k] = a+b, a-b
			}
		}
	}
}
