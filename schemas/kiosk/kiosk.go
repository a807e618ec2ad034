// Package kiosk embeds the JSON Schemas of the kiosk's protocol,
// docs/kiosk-protocol.md, one file a message: <type>.json for RTVI's own,
// client-message.<t>.json and server-message.<t>.json for what travels inside.
package kiosk

import "embed"

// Files holds the schemas.
//
//go:embed *.json
var Files embed.FS
