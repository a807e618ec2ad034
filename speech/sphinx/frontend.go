//go:build pocketsphinx

package sphinx

/*
#include "sphinx.h"
*/
import "C"

import "errors"

// coefficients is the length of one frame of cepstra.
const coefficients = C.PARLEY_CEPSTRA

// Cepstra are frames of audio as the acoustic model sees them, one after the
// other, 13 coefficients each, 100 frames for a second of speech.
type Cepstra []float32

// Frames is the number of frames.
func (c Cepstra) Frames() int { return len(c) / coefficients }

// Mean is the mean of the frames and of expected, counted as weight frames. The
// first coefficient is loudness, which is the frames' own alone: nobody can
// expect how far from the microphone a customer stands.
func (c Cepstra) Mean(expected Cepstra, weight int) Cepstra {
	mean := make(Cepstra, coefficients)
	for i, v := range c {
		mean[i%coefficients] += v
	}
	mean[0] /= float32(max(1, c.Frames()))
	for i := 1; i < coefficients; i++ {
		mean[i] = (mean[i] + expected[i]*float32(weight)) / float32(c.Frames()+weight)
	}
	return mean
}

// A Frontend turns the samples of one utterance after another into cepstra and
// drops the silence in them. It holds C memory until Close.
type Frontend struct {
	fe *C.fe_t
}

// NewFrontend makes a Frontend for decoders with d's acoustic model.
func (d *Decoder) NewFrontend() (*Frontend, error) {
	fe := C.parley_fe_open(d.ps)
	if fe == nil {
		return nil, errors.New("open front end: the acoustic model does not use 13 cepstra; use en-us of Debian's pocketsphinx-en-us")
	}
	return &Frontend{fe: fe}, nil
}

// Close frees the front end. Closing twice does nothing.
func (f *Frontend) Close() {
	if f.fe != nil {
		C.fe_free(f.fe)
		f.fe = nil
	}
}

// Begin starts an utterance.
func (f *Frontend) Begin() { C.fe_start_utt(f.fe) }

// Process appends the frames that the next samples complete. When speech
// begins, the frames just before it come along.
func (f *Frontend) Process(frames Cepstra, samples []int16) (Cepstra, error) {
	if len(samples) == 0 {
		return frames, nil
	}
	// Beyond the samples' own frames, up to this many come from before them.
	const held = 64
	room := len(samples)/(SampleRate/100) + held
	out := make(Cepstra, room*coefficients)
	n := C.parley_fe_process(f.fe, (*C.int16)(&samples[0]), C.size_t(len(samples)), (*C.mfcc_t)(&out[0]), C.int(room))
	if n < 0 {
		return nil, errors.New("analyse samples: PocketSphinx failed")
	}
	return append(frames, out[:int(n)*coefficients]...), nil
}

// End appends the last frame, if the utterance has an unfinished one.
func (f *Frontend) End(frames Cepstra) (Cepstra, error) {
	var last [coefficients]float32
	n := C.parley_fe_end(f.fe, (*C.mfcc_t)(&last[0]))
	if n < 0 {
		return nil, errors.New("analyse last samples: PocketSphinx failed")
	}
	return append(frames, last[:int(n)*coefficients]...), nil
}
