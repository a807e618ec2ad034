package action

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/praesenz/parley/flow"
)

// Whatever a customer says, a request goes below the service's own URL, to the
// path of the catalogue.
func FuzzTargetStaysInTheService(f *testing.F) {
	for _, s := range []string{"K17", "..", "../..", "%2e%2e", `..\`, "//elsewhere", "a/b", "?x=1", "#", "", "\x00", "ü", "..;/", "@elsewhere", ":80", "."} {
		f.Add(s, s)
	}
	base, err := url.Parse("https://shop.invalid/api/v1")
	if err != nil {
		f.Fatal(err)
	}
	a := &prepared{Action: flow.Action{Name: "shop.x", Path: "/items/{a}/{b}-{a}{b}/end", Query: map[string]string{"q": "{b}"}}, base: base}
	f.Fuzz(func(t *testing.T, x, y string) {
		u, err := a.target(map[string]any{"a": x, "b": y})
		if err != nil {
			return
		}
		if u.Scheme != "https" || u.Host != "shop.invalid" || u.User != nil || u.Fragment != "" {
			t.Fatalf("%q, %q lead to %s", x, y, u)
		}
		segments := strings.Split(u.EscapedPath(), "/")
		if len(segments) != 7 || segments[3] != "items" || segments[6] != "end" {
			t.Fatalf("%q, %q change the path: %s", x, y, u.EscapedPath())
		}
		if got, err := url.PathUnescape(segments[4]); err != nil || got != x {
			t.Fatalf("%q arrives as %q, %v", x, got, err)
		}
		if clean := path.Clean(strings.ReplaceAll(u.Path, `\`, "/")); !strings.HasPrefix(clean, "/api/v1/items/") || !strings.HasSuffix(clean, "/end") {
			t.Fatalf("%q, %q resolve to %s", x, y, clean)
		}
		if got := u.Query().Get("q"); got != y {
			t.Fatalf("query %q arrives as %q", y, got)
		}
	})
}
