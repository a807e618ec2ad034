package speech

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A wavFormat is what the header of a WAV file says.
type wavFormat struct {
	channels int // 1 or 2
	rate     int // hertz, 8000–48000
}

// readWAVHeader reads a WAV file up to its first sample. Only 16-bit PCM is
// taken; the error says what was found instead. Lengths are not trusted: a
// program that writes to a pipe cannot know them.
func readWAVHeader(r io.Reader) (wavFormat, error) {
	var f wavFormat
	var riff [12]byte
	if _, err := io.ReadFull(r, riff[:]); err != nil || string(riff[:4]) != "RIFF" || string(riff[8:]) != "WAVE" {
		return f, errors.New("audio is not a WAV file; send WAV, or raw 16 kHz PCM typed audio/pcm")
	}
	for {
		var chunk [8]byte
		if _, err := io.ReadFull(r, chunk[:]); err != nil {
			return f, errors.New("WAV file ends before its samples")
		}
		size := int64(binary.LittleEndian.Uint32(chunk[4:]))
		switch string(chunk[:4]) {
		case "fmt ":
			var b [16]byte
			if size < int64(len(b)) {
				return f, fmt.Errorf("WAV format chunk has %d bytes; it must have 16", size)
			}
			if _, err := io.ReadFull(r, b[:]); err != nil {
				return f, errors.New("WAV file ends in its format chunk")
			}
			encoding, bits := binary.LittleEndian.Uint16(b[0:]), binary.LittleEndian.Uint16(b[14:])
			f.channels, f.rate = int(binary.LittleEndian.Uint16(b[2:])), int(binary.LittleEndian.Uint32(b[4:]))
			const pcm, extensible = 1, 0xfffe
			switch {
			case encoding != pcm && encoding != extensible || bits != 16:
				return f, fmt.Errorf("WAV has encoding %d with %d bits; send 16-bit PCM", encoding, bits)
			case f.channels != 1 && f.channels != 2:
				return f, fmt.Errorf("WAV has %d channels; send 1 or 2", f.channels)
			case f.rate < minRate || f.rate > maxRate:
				return f, fmt.Errorf("WAV has %d samples a second; send %d to %d", f.rate, minRate, maxRate)
			}
			size -= int64(len(b))
		case "data":
			if f.rate == 0 {
				return f, errors.New("WAV has samples before their format")
			}
			return f, nil
		}
		if _, err := io.CopyN(io.Discard, r, size+size%2); err != nil {
			return f, errors.New("WAV file ends before its samples")
		}
	}
}

// The sample rates in hertz that are taken and made.
const (
	minRate = 8000
	maxRate = 48000
)

// readAllWAV reads a mono WAV file.
func readAllWAV(r io.Reader) ([]int16, int, error) {
	f, err := readWAVHeader(r)
	if err != nil {
		return nil, 0, err
	}
	if f.channels != 1 {
		return nil, 0, fmt.Errorf("audio has %d channels; 1 was expected", f.channels)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, 0, err
	}
	return decodePCM(nil, b), f.rate, nil
}

// decodePCM appends 16-bit little-endian samples; a last odd byte is dropped.
func decodePCM(samples []int16, b []byte) []int16 {
	for ; len(b) >= 2; b = b[2:] {
		samples = append(samples, int16(binary.LittleEndian.Uint16(b)))
	}
	return samples
}

func encodePCM(samples []int16) []byte {
	b := make([]byte, 0, 2*len(samples))
	for _, s := range samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return b
}

// encodeWAV makes a mono WAV file.
func encodeWAV(samples []int16, rate int) []byte {
	pcm := encodePCM(samples)
	b := append(make([]byte, 0, 44+len(pcm)), "RIFF"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(36+len(pcm)))
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	b = binary.LittleEndian.AppendUint16(b, 1) // PCM
	b = binary.LittleEndian.AppendUint16(b, 1) // channel
	b = binary.LittleEndian.AppendUint32(b, uint32(rate))
	b = binary.LittleEndian.AppendUint32(b, uint32(2*rate))
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint16(b, 16)
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(pcm)))
	return append(b, pcm...)
}

// A resampler changes the rate of a stream of samples by linear interpolation,
// which is what speaches does too. Equal rates pass unchanged.
type resampler struct {
	from, to int
	position float64 // of the next output sample, in input samples after previous
	previous int16
	started  bool
}

// resample appends what in adds to the output. What it appends is valid until
// the caller reuses out.
func (r *resampler) resample(out, in []int16) []int16 {
	if r.from == r.to {
		return append(out, in...)
	}
	for _, s := range in {
		if !r.started {
			r.started, r.previous, r.position = true, s, 0
			continue
		}
		for ; r.position < 1; r.position += float64(r.from) / float64(r.to) {
			out = append(out, int16(float64(r.previous)*(1-r.position)+float64(s)*r.position))
		}
		r.position--
		r.previous = s
	}
	return out
}
