package stt

import (
	"bytes"
	"testing"
)

// The bytes are those that NumPy 2.4 wrote for
// numpy.save(f, numpy.array([0, 0.5, -1], "float32")).
func TestNumpy(t *testing.T) {
	want := append([]byte("\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }"+
		"                                                            \n"),
		0, 0, 0, 0, 0, 0, 0, 0x3f, 0, 0, 0x80, 0xbf)
	if got := numpy([]byte{0, 0, 0, 0x40, 0, 0x80}); !bytes.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// However the audio is cut into sounds, what is kept begins with a whole sample.
func TestATailKeepsWholeSamples(t *testing.T) {
	all := make([]byte, 40*SampleRate*2)
	for i := range all {
		all[i] = byte(i) | 1 // the low byte of each sample is odd, the high one even
		if i%2 == 1 {
			all[i] &^= 1
		}
	}
	for _, piece := range []int{640, 641, 32767} {
		var kept tail
		for at := 0; at < len(all); at += piece {
			kept.add(all[at:min(at+piece, len(all))])
			if last := kept.last(); len(last) > turnHeardBytes || at > turnHeardBytes && len(last) < turnHeardBytes-1 || last[0]%2 != 1 {
				t.Fatalf("pieces of %d: after %d bytes %d are kept, the first is %d", piece, at, len(last), last[0])
			}
		}
		if last := kept.last(); !bytes.Equal(last, all[len(all)-len(last):]) {
			t.Errorf("pieces of %d: what is kept is not the end", piece)
		}
	}
}
