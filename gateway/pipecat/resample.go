package pipecat

import "math"

const (
	crossings = 8   // zero crossings of the kernel on either side
	finesse   = 256 // points of the kernel between two of them
)

// kernel is the right half of a sinc under a Blackman window: what a sample
// contributes at a distance of index/finesse samples.
var kernel = func() (k [crossings*finesse + 2]float32) {
	k[0] = 1
	for i := 1; i < crossings*finesse; i++ {
		x := math.Pi * float64(i) / finesse
		window := .42 + .5*math.Cos(x/crossings) + .08*math.Cos(2*x/crossings)
		k[i] = float32(math.Sin(x) / x * window)
	}
	return k // and zeros behind its end
}()

// A resampler changes the rate of a stream of samples by band-limited
// interpolation: below half of the lower rate it changes nothing, above that it
// lets nothing through. Equal rates pass unchanged, as they do in the zero value.
type resampler struct {
	from, to int // Hz

	in   []int16 // what is still needed, and before it
	at   int     // the next output sample, in input samples from in's first
	part int     // and parts of to
	lead bool    // the silence before the first sample is in
}

// add appends what is known of the output after further input.
func (r *resampler) add(out, in []int16) []int16 {
	if r.from == r.to {
		return append(out, in...)
	}
	scale := min(1, float64(r.to)/float64(r.from))
	reach := int(math.Ceil(crossings / scale))
	if !r.lead {
		r.lead = true
		r.in, r.at = make([]int16, reach), reach
	}
	r.in = append(r.in, in...)
	for ; r.at+reach < len(r.in); r.step() {
		sum := 0.0
		here := float64(r.at) + float64(r.part)/float64(r.to)
		for i := r.at - reach + 1; i <= r.at+reach; i++ {
			sum += float64(r.in[i]) * weight(math.Abs(here-float64(i))*scale)
		}
		out = append(out, int16(max(math.MinInt16, min(math.MaxInt16, math.Round(sum*scale)))))
	}
	old := r.at - reach
	r.in = r.in[:copy(r.in, r.in[old:])]
	r.at = reach
	return out
}

// flush appends the rest of the output, when no input comes any more.
func (r *resampler) flush(out []int16) []int16 {
	if r.from == r.to {
		return out
	}
	scale := min(1, float64(r.to)/float64(r.from))
	return r.add(out, make([]int16, int(math.Ceil(crossings/scale))))
}

func (r *resampler) step() {
	r.part += r.from
	r.at += r.part / r.to
	r.part %= r.to
}

// weight reads the kernel between its points; distance is in samples of the
// lower rate.
func weight(distance float64) float64 {
	x := distance * finesse
	i := int(x)
	if i > crossings*finesse {
		return 0
	}
	f := x - float64(i)
	return float64(kernel[i])*(1-f) + float64(kernel[i+1])*f
}
