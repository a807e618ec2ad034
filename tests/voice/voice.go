// Package voice is the customers' voice: Debian's flite with voices other than
// the kiosk's own.
package voice

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Customers are the voices that a customer may have; the kiosk speaks with slt.
var Customers = []string{"rms", "awb", "kal16"}

// Say speaks a text as 16 kHz PCM16 little-endian mono.
func Say(t testing.TB, voice, text string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "say.wav")
	out, err := exec.Command("flite", "-voice", voice, "-t", text, "-o", path).CombinedOutput()
	if err != nil {
		t.Fatalf("flite (Debian package flite) could not say %q: %v\n%s", text, err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pcm, rate, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if rate != 16000 {
		t.Fatalf("flite's voice %s has %d Hz; choose one with 16000", voice, rate)
	}
	return pcm
}

// Decode reads a WAV file with PCM16 mono samples.
func Decode(b []byte) (pcm []byte, rate int, err error) {
	if len(b) < 44 || !bytes.Equal(b[:4], []byte("RIFF")) || !bytes.Equal(b[8:12], []byte("WAVE")) {
		return nil, 0, errors.New("not a WAV file")
	}
	for at := 12; at+8 <= len(b); {
		size := int(binary.LittleEndian.Uint32(b[at+4:]))
		body := b[at+8 : min(len(b), at+8+size)]
		switch string(b[at : at+4]) {
		case "fmt ":
			if len(body) < 16 || binary.LittleEndian.Uint16(body) != 1 || binary.LittleEndian.Uint16(body[2:]) != 1 || binary.LittleEndian.Uint16(body[14:]) != 16 {
				return nil, 0, fmt.Errorf("not PCM16 mono")
			}
			rate = int(binary.LittleEndian.Uint32(body[4:]))
		case "data":
			return body, rate, nil
		}
		at += 8 + size + size%2
	}
	return nil, 0, errors.New("no samples")
}

// Encode writes a WAV file with PCM16 mono samples.
func Encode(pcm []byte, rate int) []byte {
	var b bytes.Buffer
	b.WriteString("RIFF")
	le := func(v any) { binary.Write(&b, binary.LittleEndian, v) }
	le(uint32(36 + len(pcm)))
	b.WriteString("WAVEfmt ")
	le(uint32(16))
	le(uint16(1))
	le(uint16(1))
	le(uint32(rate))
	le(uint32(2 * rate))
	le(uint16(2))
	le(uint16(16))
	b.WriteString("data")
	le(uint32(len(pcm)))
	b.Write(pcm)
	return b.Bytes()
}
