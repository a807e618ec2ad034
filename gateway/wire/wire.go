// Package wire is the kiosk's protocol, docs/kiosk-protocol.md, as Go types:
// RTVI messages as JSON text frames and audio as binary frames. Every message
// has a JSON Schema in schemas/kiosk, and the types are tested against it.
package wire

import "fmt"

// Subprotocol is the WebSocket subprotocol of this serialisation.
const Subprotocol = "parley.v1"

// BearerPrefix begins the subprotocol in which a browser offers its token.
const BearerPrefix = "bearer."

// Label marks every JSON message as RTVI.
const Label = "rtvi-ai"

// Version is the version of RTVI that is spoken.
const Version = "1.0.0"

// Bounds of what a kiosk may send.
const (
	MaxText        = 16 << 10 // bytes of a text frame
	MaxPCM         = 8192     // bytes of PCM in a binary frame
	MaxContent     = 2000     // characters of send-text
	MaxTouch       = 200      // characters of a touched button's value
	MaxToken       = 4096     // characters of a resume token
	FramesASecond  = 200      // binary frames
	MessagesSecond = 20       // text frames
	MessagesBurst  = 50
)

// MaxBinary is the size of the largest binary frame in bytes.
const MaxBinary = headerSize + MaxPCM

// RateIn is the sample rate of a kiosk's audio in Hz.
const RateIn = 16000

// Close codes say whether to come back.
const (
	CloseRestart   = 1012 // at once, with the resume token
	CloseMalformed = 4400 // no: mend the client
	CloseToken     = 4401 // no: the token is missing, wrong or out of date
	CloseUnknown   = 4403 // no: this kiosk is not known here
	CloseIdle      = 4408 // yes: nothing was heard for too long
	CloseReplaced  = 4409 // no: another connection took this kiosk
	CloseTooMany   = 4429 // after a pause
)

// A FieldError says which field of a message is wrong and what to send instead.
type FieldError struct {
	Field   string // a path like "data.content"; empty when it is not JSON at all
	Problem string
}

// Error is the field and the problem.
func (e *FieldError) Error() string {
	if e.Field == "" {
		return e.Problem
	}
	return e.Field + ": " + e.Problem
}

func wrong(field, format string, args ...any) *FieldError {
	return &FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}
}
