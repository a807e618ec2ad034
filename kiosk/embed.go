// Package kiosk holds the page that a kiosk shows, as built by `npm run build`.
package kiosk

import (
	"embed"
	"io/fs"
)

// The build is committed, so that `go build` and `go install` need no npm.
//
//go:embed dist
var dist embed.FS

// Page returns the page's files, index.html at the root. Everything in it works
// under the content security policy "default-src 'none'; script-src 'self';
// style-src 'self'; img-src 'self'; connect-src 'self'".
func Page() fs.FS {
	page, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // only for an invalid path, and this one is a constant
	}
	return page
}
