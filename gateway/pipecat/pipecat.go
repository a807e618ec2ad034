// Package pipecat is how the gateway talks with Pipecat's stock clients
// (@pipecat-ai/client-js over @pipecat-ai/websocket-transport): each WebSocket
// message is a protobuf frame that holds an RTVI 2 message as JSON, or audio.
// docs/kiosk-protocol.md says what these clients cannot tell, and what stands in
// for it.
package pipecat

import (
	"encoding/binary"

	"github.com/praesenz/parley/gateway/wire"
)

// Version is the version of RTVI that is spoken with stock clients.
const Version = "2.0.0"

// MaxFrame is the size of the largest frame that a client may send, in bytes: a
// message of wire.MaxText and what protobuf puts around it.
const MaxFrame = wire.MaxText + 64

// RateOut is the sample rate of all audio to a client, in Hz. A stock client
// plays at this rate whatever a frame says of its own.
const RateOut = 24000

// quantum is how many samples a client's audio thread takes at once. A stock
// client never plays the samples behind the last whole one.
const quantum = 128

// rates are those in Hz that a client may record at.
var rates = []uint32{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}

func appendSamples(dst []byte, samples []int16) []byte {
	for _, s := range samples {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(s))
	}
	return dst
}

func appendPCM(dst []int16, pcm []byte) []int16 {
	for i := 0; i+1 < len(pcm); i += 2 {
		dst = append(dst, int16(binary.LittleEndian.Uint16(pcm[i:])))
	}
	return dst
}
