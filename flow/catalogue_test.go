package flow

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// TestCatalogueDiagnostics reads each testdata/catalogue/<code>-<case>, a folder
// of actions, and compares what its author is told.
func TestCatalogueDiagnostics(t *testing.T) {
	dirs, err := filepath.Glob("testdata/catalogue/f*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			root := os.DirFS(dir)
			catalogue, ds := ReadCatalogue(root, ".")
			code, _, _ := strings.Cut(filepath.Base(dir), "-")
			if !slices.ContainsFunc(ds, func(d Diagnostic) bool { return strings.EqualFold(string(d.Code), code) }) {
				t.Errorf("%s is not reported", code)
			}
			if (catalogue == nil) != (len(ds.Errors()) > 0) {
				t.Errorf("catalogue: %v; with mistakes there is none, without there is one", catalogue)
			}
			golden(t, filepath.Join(dir, "want.txt"), Render(ds, root, RenderOptions{}))
		})
	}
}

const shopActions = `api: parley.actions/v1
service: shop
about: The shop's own back end
url: https://shop.example/api/v1/
headers: {Authorization: "Bearer {secret.shop_token}", Accept-Language: en}
actions:
  hold_item:
    about: Puts one item aside
    method: POST
    path: /items/{sku}/holds
    query: {lang: "{lang}"}
    args:
      type: object
      properties:
        sku: {type: string, description: The item's number}
        lang: {type: string, enum: [en, de]}
        count: {$ref: "#/definitions/count"}
        day: {type: string, format: date}
        note: {}
      required: [sku, count]
      definitions: {count: {type: integer, minimum: 1}}
    result: {type: object, properties: {ticket: {type: string}}, required: [ticket]}
    take: ticket
    errors: {unknown_item: {status: 404, when: /code=unknown}, not_in_stock: {status: 409}}
    timeout: 2s
    max_bytes: 64KiB
  opening_hours:
    method: GET
    path: /hours
    result: {type: array, items: {type: object}}
  ring:
    method: PUT
    path: /bell
    idempotency_header: X-Once
`

func TestReadCatalogue(t *testing.T) {
	c, ds := ReadCatalogue(fstest.MapFS{"actions/shop.yaml": {Data: []byte(shopActions)}, "actions/README.md": {}}, "actions")
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	shop := c.Services["shop"]
	if shop.URL != "https://shop.example/api/v1" || !slices.Equal(shop.Secrets(), []string{"shop_token"}) {
		t.Errorf("service: %+v", shop)
	}
	hold := c.Actions["shop.hold_item"]
	wantArgs := []Arg{
		{Name: "count", Type: "int", Required: true},
		{Name: "day", Type: "date"},
		{Name: "lang", Type: "string", Values: []string{"en", "de"}},
		{Name: "note"},
		{Name: "sku", Type: "string", About: "The item's number", Required: true},
	}
	if !slices.EqualFunc(hold.Args, wantArgs, func(a, b Arg) bool {
		return a.Name == b.Name && a.Type == b.Type && a.About == b.About && a.Required == b.Required && slices.Equal(a.Values, b.Values)
	}) {
		t.Errorf("args: %+v", hold.Args)
	}
	if hold.Result != "string" || hold.Take != "ticket" || hold.IdempotencyHeader != "Idempotency-Key" ||
		hold.Timeout.D() != 2*time.Second || hold.MaxBytes != 64<<10 {
		t.Errorf("hold_item: %+v", hold)
	}
	if !slices.Equal(hold.Errors, []ActionError{
		{Name: "unknown_item", Status: 404, Pointer: "/code", Value: "unknown"}, {Name: "not_in_stock", Status: 409},
	}) {
		t.Errorf("errors: %+v", hold.Errors)
	}
	hours, ring := c.Actions["shop.opening_hours"], c.Actions["shop.ring"]
	if hours.Result != "list(object)" || hours.IdempotencyHeader != "" || hours.Timeout != DefaultActionTimeout || hours.MaxBytes != DefaultActionBytes {
		t.Errorf("opening_hours: %+v", hours)
	}
	if ring.Result != "" || ring.IdempotencyHeader != "X-Once" {
		t.Errorf("ring: %+v", ring)
	}
}

func TestExpand(t *testing.T) {
	values := map[string]string{"sku": "K17", "secret.shop_token": "s3"}
	value := func(name string) (string, error) {
		if v, ok := values[name]; ok {
			return v, nil
		}
		return "", errors.New("no " + name)
	}
	for template, want := range map[string]string{
		"/items/{sku}/holds":         "/items/K17/holds",
		"Bearer {secret.shop_token}": "Bearer s3",
		"{{sku}}":                    "{sku}",
		"":                           "",
	} {
		if got, err := Expand(template, value); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", template, got, err, want)
		}
	}
	if _, err := Expand("{lang}", value); err == nil || err.Error() != "no lang" {
		t.Errorf("a name without a value: %v", err)
	}
}
