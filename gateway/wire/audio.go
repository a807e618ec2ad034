package wire

import "encoding/binary"

const (
	headerSize = 8
	kindAudio  = 1
	flagLast   = 1
)

// Audio is one binary frame: PCM16 little-endian mono.
type Audio struct {
	Last     bool   // of its response; only to a kiosk
	Response uint16 // 0 from a kiosk
	Offset   uint32 // of the first sample, counted from the response's or stream's first
	PCM      []byte // at most MaxPCM; may be empty with Last
}

// DecodeAudio reads a kiosk's binary frame; its PCM shares b. The error is a
// *FieldError.
func DecodeAudio(b []byte) (Audio, error) {
	switch {
	case len(b) < headerSize:
		return Audio{}, wrong("header", "a binary frame begins with %d bytes of header; this one has %d bytes", headerSize, len(b))
	case b[0] != kindAudio:
		return Audio{}, wrong("kind", "%d is not a kind of frame; send 1 for audio", b[0])
	case b[1] != 0:
		return Audio{}, wrong("flags", "a kiosk sets no flags; send 0, not %d", b[1])
	case len(b) == headerSize:
		return Audio{}, wrong("pcm", "the frame holds no samples; send 20 to 40 ms of PCM16")
	case len(b) > MaxBinary:
		return Audio{}, wrong("pcm", "the frame holds %d bytes of PCM; send at most %d", len(b)-headerSize, MaxPCM)
	case len(b)%2 != 0:
		return Audio{}, wrong("pcm", "half a sample: PCM16 has two bytes a sample, this frame has %d", len(b)-headerSize)
	}
	a := Audio{
		Response: binary.LittleEndian.Uint16(b[2:]),
		Offset:   binary.LittleEndian.Uint32(b[4:]),
		PCM:      b[headerSize:],
	}
	if a.Response != 0 {
		return Audio{}, wrong("response", "a kiosk's audio belongs to no response; send 0, not %d", a.Response)
	}
	return a, nil
}

// Append writes the frame behind dst.
func (a Audio) Append(dst []byte) []byte {
	var flags byte
	if a.Last {
		flags = flagLast
	}
	dst = append(dst, kindAudio, flags)
	dst = binary.LittleEndian.AppendUint16(dst, a.Response)
	dst = binary.LittleEndian.AppendUint32(dst, a.Offset)
	return append(dst, a.PCM...)
}
