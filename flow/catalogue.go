package flow

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/praesenz/parley/schemas"
)

// What holds where an action says nothing else, and what it can say at most.
const (
	DefaultIdempotencyHeader = "Idempotency-Key"
	DefaultActionTimeout     = Duration(5 * time.Second)
	DefaultActionBytes       = 256 << 10

	maxActionTimeout = Duration(time.Minute)
	maxActionBytes   = 1 << 20 // a result is part of the conversation's history, whose payloads Temporal bounds at 2 MiB
)

// A Catalogue is what flows can `call`: the actions of a store's services, read
// from the YAML files of one folder, one file a service.
type Catalogue struct {
	Services map[string]Service // by name
	Actions  map[string]Action  // by full name, "shop.hold_item"
}

// A Service is one HTTP server with actions.
type Service struct {
	Name  string
	About string
	URL   string // http or https, without a slash at its end; a deployment may replace it
	// Headers are templates for Expand with the names "secret.NAME" only.
	Headers map[string]string
}

// Secrets names the secrets that the service's headers need, in order.
func (s Service) Secrets() []string {
	var names []string
	for _, value := range s.Headers {
		for _, p := range Placeholders(value) {
			names = append(names, strings.TrimPrefix(p, "secret."))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// An Action is one request of a service.
type Action struct {
	Name    string // with the service's: "shop.hold_item"
	Service string
	About   string
	Method  string
	// Path is below the service's URL, and begins with a slash. It and the values
	// of Query are templates for Expand with the names of Args.
	Path  string
	Query map[string]string

	Args       []Arg           // by name; those in neither Path nor Query are the body
	ArgsSchema json.RawMessage // JSON Schema of the object of all arguments

	// Result is the type of the action's value: of the response's body, or of its
	// member Take. Empty: the response has no value.
	Result       Type
	ResultSchema json.RawMessage // JSON Schema of the response's body; nil: it is not read
	Take         string

	Errors []ActionError // in the author's order; the first that fits a response is meant

	IdempotencyHeader string // empty for GET
	Timeout           Duration
	MaxBytes          int64 // of a response
}

// An Arg is one argument of an action.
type Arg struct {
	Name     string
	About    string
	Type     Type // empty: of any type, or of one that only the schema can tell
	Required bool
	Values   []string // what a string can be; nil: anything
}

// An ActionError is a failure that has a name, and how it is recognised.
type ActionError struct {
	Name   string
	About  string
	Status int
	// Pointer is the JSON pointer of a member of the response's body that must be
	// Value, as text. Empty: any body.
	Pointer string
	Value   string
}

const (
	codeServiceURL     Code = "F410"
	codeSecret         Code = "F411"
	codeActionPart     Code = "F412"
	codeActionSchema   Code = "F413"
	codeActionType     Code = "F414"
	codeActionError    Code = "F415"
	codeServiceTwice   Code = "F416"
	codeArgGoesNowhere Code = "F417"
)

// ReadCatalogue reads every .yaml file of a folder and says everything that is
// wrong with them, in order of position. The catalogue is nil when there is a
// mistake: what a broken file may have meant is not known.
func ReadCatalogue(fsys fs.FS, dir string) (*Catalogue, Diagnostics) {
	var ds Diagnostics
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		ds.errorf(codeNotYAML, at{pos: Pos{File: dir, Line: 1, Column: 1}}, "", "the folder of actions cannot be read: %v", reason(err))
		return nil, ds
	}
	r := catalogueReader{
		ds:  &ds,
		out: &Catalogue{Services: map[string]Service{}, Actions: map[string]Action{}},
		at:  map[string]Text{},
	}
	for _, e := range entries {
		if ext := path.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") {
			r.readFile(fsys, path.Join(dir, e.Name()))
		}
	}
	ds.sort()
	if len(ds.Errors()) > 0 {
		return nil, ds
	}
	return r.out, ds
}

type catalogueReader struct {
	ds  *Diagnostics
	out *Catalogue
	at  map[string]Text // where a service is named
}

func (r *catalogueReader) readFile(fsys fs.FS, name string) {
	src := readYAML(fsys, name, r.ds)
	if src == nil || src.root == nil {
		return
	}
	broken, tooMany := checkStructure(src, schemas.Actions(), r.ds)
	if tooMany {
		return
	}
	root := node{src.root, src}
	service := root.field("service").text()
	if prior, ok := r.at[service.Value]; ok && service.Value != "" {
		r.ds.errorf(codeServiceTwice, service.at, "put its actions into one file, or rename one of the two", "service %q is already in %s", service.Value, prior.at.pos.File)
	}
	r.at[service.Value] = service
	isBroken := func(way ...string) bool {
		return slices.ContainsFunc(broken, func(b []string) bool { return len(b) >= len(way) && slices.Equal(b[:len(way)], way) })
	}
	s := Service{Name: service.Value, About: root.field("about").text().Value, Headers: map[string]string{}}
	if !isBroken("url") {
		s.URL = r.serviceURL(root.field("url").text())
	}
	for _, h := range root.field("headers").pairs() {
		if !isBroken("headers", h.key.Value) {
			s.Headers[h.key.Value] = h.val.text().Value
			r.checkHeader(h.key, h.val.text())
		}
	}
	r.out.Services[s.Name] = s
	for _, p := range root.field("actions").pairs() {
		if !isBroken("actions", p.key.Value) {
			a := r.action(s, p.key, p.val)
			r.out.Actions[a.Name] = a
		}
	}
}

// serviceURL is a service's URL without the slash at its end.
func (r *catalogueReader) serviceURL(t Text) string {
	if t.Value == "" {
		return "" // the schema has said that it is missing
	}
	u, err := url.Parse(t.Value)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		r.ds.errorf(codeServiceURL, t.at, "write it like https://shop.example/api", "%q is not the address of an HTTP service", t.Value)
	case u.User != nil:
		r.ds.errorf(codeSecret, t.at, "put it into a header, as {secret.name}", "`url` holds a user name or password")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		r.ds.errorf(codeServiceURL, t.at, "put fields into the actions' `query`", "`url` ends with a query or fragment, behind which no path can follow")
	}
	return strings.TrimSuffix(t.Value, "/")
}

// secretHeaders are parts of the names of headers that carry secrets.
var secretHeaders = []string{"authorization", "cookie", "token", "secret", "key", "password", "credential"}

func (r *catalogueReader) checkHeader(key, value Text) {
	parts, err := parseParts(value.Value, isSecretName)
	if err != nil {
		r.ds.errorf(codeActionPart, value.span(1, runesTo(value.Value, err.offset), err.width), "a header takes only secrets, as {secret.name}", "header %s: %s", key.Value, err.message)
		return
	}
	if slices.ContainsFunc(parts, func(p part) bool { return p.placeholder }) {
		return
	}
	lower := strings.ToLower(key.Value)
	if slices.ContainsFunc(secretHeaders, func(s string) bool { return strings.Contains(lower, s) }) {
		r.ds.errorf(codeSecret, value.at, "write {secret.name}, and give the deployment the secret of that name", "header %s is written out; secrets do not belong in files that are shared", key.Value)
	}
}

func isSecretName(s string) bool {
	name, ok := strings.CutPrefix(s, "secret.")
	return ok && isName(name)
}

// runesTo is the column of a byte offset.
func runesTo(s string, offset int) int { return len([]rune(s[:offset])) }

func (r *catalogueReader) action(s Service, key Text, n node) Action {
	a := Action{
		Name:              s.Name + "." + key.Value,
		Service:           s.Name,
		About:             n.field("about").text().Value,
		Method:            n.field("method").text().Value,
		Path:              n.field("path").text().Value,
		Take:              n.field("take").text().Value,
		IdempotencyHeader: DefaultIdempotencyHeader,
		Timeout:           DefaultActionTimeout,
		MaxBytes:          DefaultActionBytes,
	}
	if h := n.field("idempotency_header"); h.there() {
		a.IdempotencyHeader = h.text().Value
		if a.Method == "GET" {
			r.ds.warnf(codeUselessHere, h.at(), "", "GET changes nothing and has no idempotency key")
		}
	}
	if a.Method == "GET" {
		a.IdempotencyHeader = ""
	}
	if t := n.field("timeout"); t.there() {
		a.Timeout = t.duration()
		if a.Timeout <= 0 || a.Timeout > maxActionTimeout {
			r.ds.errorf(codeValue, t.at(), "a customer waits meanwhile", "`timeout` must be above 0 and at most 60s")
		}
	}
	if m := n.field("max_bytes"); m.there() {
		a.MaxBytes = byteSize(m.text().Value)
		if a.MaxBytes > maxActionBytes {
			r.ds.errorf(codeValue, m.at(), "let the service answer with less", "`max_bytes` must be at most 1MiB: a result is part of the conversation's history")
		}
	}
	r.args(&a, n.field("args"))
	r.places(&a, n)
	r.result(&a, n)
	r.namedErrors(&a, n.field("errors"))
	return a
}

// byteSize reads "64KiB"; the schema has seen to its form.
func byteSize(s string) int64 {
	unit := int64(1)
	if v, ok := strings.CutSuffix(s, "KiB"); ok {
		s, unit = v, 1<<10
	} else if v, ok := strings.CutSuffix(s, "MiB"); ok {
		s, unit = v, 1<<20
	}
	n, _ := strconv.ParseInt(s, 10, 64)
	return n * unit
}

// args reads the arguments out of their schema.
func (r *catalogueReader) args(a *Action, n node) {
	if !n.there() {
		a.ArgsSchema = json.RawMessage(`{"type":"object","additionalProperties":false}`)
		return
	}
	doc, ok := r.schema(n, &a.ArgsSchema)
	if !ok {
		return
	}
	if doc["type"] != "object" {
		r.ds.errorf(codeActionType, n.at(), "begin it with type: object", "`args` must be the schema of an object, whose properties are the arguments")
		return
	}
	required := texts(doc["required"])
	properties := n.field("properties")
	for _, p := range properties.pairs() {
		if !isName(p.key.Value) {
			r.ds.errorf(codeActionType, p.key.at, "a name is lower-case letters, digits and _, beginning with a letter", "argument %q cannot be named by a flow", p.key.Value)
			continue
		}
		schema := deref(doc, p.val.json())
		about, _ := schema["description"].(string)
		a.Args = append(a.Args, Arg{
			Name:     p.key.Value,
			About:    about,
			Type:     typeOfSchema(doc, schema),
			Required: slices.Contains(required, p.key.Value),
			Values:   texts(schema["enum"]),
		})
	}
	slices.SortFunc(a.Args, func(x, y Arg) int { return strings.Compare(x.Name, y.Name) })
	for _, req := range n.field("required").texts() {
		if a.arg(req.Value) == nil {
			r.ds.errorf(codeActionType, req.at, "", "`required` names %q, which is not among the properties%s", req.Value, didYouMean(req.Value, a.argNames()))
		}
	}
}

func (a *Action) arg(name string) *Arg {
	for i := range a.Args {
		if a.Args[i].Name == name {
			return &a.Args[i]
		}
	}
	return nil
}

func (a *Action) argNames() []string {
	names := make([]string, len(a.Args))
	for i, arg := range a.Args {
		names[i] = arg.Name
	}
	return names
}

// places checks the templates of an action, and that every argument goes
// somewhere.
func (r *catalogueReader) places(a *Action, n node) {
	used := map[string]bool{}
	p := n.field("path").text()
	for _, name := range r.placeholders(a, p, "path") {
		used[name] = true
		if arg := a.arg(name); arg != nil && !arg.Required {
			r.ds.errorf(codeActionPart, p.at, "add it to `required`", "`path` cannot be written without the argument %q, but it is not required", name)
		}
	}
	if slices.ContainsFunc(strings.Split(p.Value, "/"), func(s string) bool { return s == "." || s == ".." }) || strings.Contains(p.Value, "//") {
		r.ds.errorf(codeActionPart, p.at, "write the path that is meant", "`path` has a part that is empty, . or .., which servers resolve to another path")
	}
	for _, q := range n.field("query").pairs() {
		if a.Query == nil {
			a.Query = map[string]string{}
		}
		a.Query[q.key.Value] = q.val.text().Value
		for _, name := range r.placeholders(a, q.val.text(), "query."+q.key.Value) {
			used[name] = true
		}
	}
	for _, arg := range n.field("args").field("properties").pairs() {
		if a.Method == "GET" && a.arg(arg.key.Value) != nil && !used[arg.key.Value] {
			r.ds.errorf(codeArgGoesNowhere, arg.key.at, "name it in `path` or `query`, as {"+arg.key.Value+"}", "argument %q goes nowhere: GET has no body", arg.key.Value)
		}
	}
}

// placeholders are the arguments that a template names.
func (r *catalogueReader) placeholders(a *Action, t Text, field string) []string {
	parts, err := parseParts(t.Value, func(s string) bool { return isName(s) || isSecretName(s) })
	if err != nil {
		r.ds.errorf(codeActionPart, t.span(1, runesTo(t.Value, err.offset), err.width), "", "`%s`: %s", field, err.message)
		return nil
	}
	var names []string
	for _, p := range parts {
		where := t.span(1, runesTo(t.Value, p.offset), len([]rune(p.text))+2)
		switch {
		case !p.placeholder:
		case isSecretName(p.text):
			r.ds.errorf(codeSecret, where, "put it into `headers`", "a secret in `%s` would show in logs", field)
		case a.arg(p.text) == nil:
			r.ds.errorf(codeActionPart, where, "", "`%s` uses {%s}, which is no argument%s", field, p.text, didYouMean(p.text, a.argNames()))
		default:
			names = append(names, p.text)
		}
	}
	return names
}

// result finds the type of the action's value.
func (r *catalogueReader) result(a *Action, n node) {
	take, schema := n.field("take").text(), n.field("result")
	if !schema.there() {
		if take.Value != "" {
			r.ds.errorf(codeActionType, take.at, "add `result`, the schema of the response's body", "`take` needs to know what the service answers")
		}
		return
	}
	doc, ok := r.schema(schema, &a.ResultSchema)
	if !ok {
		return
	}
	if take.Value == "" {
		if a.Result = typeOfSchema(doc, doc); a.Result == "" {
			r.ds.errorf(codeActionType, schema.at(), "give it one `type`, like type: object", "`result` is of no type that a var can have")
		}
		return
	}
	properties, _ := doc["properties"].(map[string]any)
	if _, ok := properties[take.Value]; !ok {
		r.ds.errorf(codeActionType, take.at, "", "`take` names %q, which is not a property of `result`%s", take.Value, didYouMean(take.Value, sortedKeys(properties)))
		return
	}
	if !slices.Contains(texts(doc["required"]), take.Value) {
		r.ds.errorf(codeActionType, take.at, "add it to the `required` of `result`", "`take` names %q, which the service may leave out", take.Value)
	}
	if a.Result = typeOfSchema(doc, deref(doc, properties[take.Value])); a.Result == "" {
		r.ds.errorf(codeActionType, take.at, "give the property one `type`", "%q is of no type that a var can have", take.Value)
	}
}

// reservedErrors are names that `catch` has of its own.
var reservedErrors = []string{"error", "timeout"}

func (r *catalogueReader) namedErrors(a *Action, n node) {
	for _, p := range n.pairs() {
		e := ActionError{
			Name:   p.key.Value,
			About:  p.val.field("about").text().Value,
			Status: p.val.field("status").integer(),
		}
		when := p.val.field("when")
		e.Pointer, e.Value, _ = strings.Cut(when.text().Value, "=")
		before := len(*r.ds)
		if slices.Contains(reservedErrors, e.Name) {
			r.ds.errorf(codeActionError, p.key.at, "name it after what has happened, like not_in_stock", "every action can fail with `%s` anyway", e.Name)
		}
		if e.Status < 400 && !when.there() {
			r.ds.errorf(codeActionError, p.key.at, "say with `when` by which member of the body it is known", "status %d is no failure by itself", e.Status)
		}
		for _, prior := range a.Errors {
			if prior.Status == e.Status && (prior.Pointer == "" || prior.Pointer == e.Pointer && prior.Value == e.Value) {
				r.ds.errorf(codeActionError, p.key.at, "tell them apart with `when`, and put the one without it last", "%q can never be told: %q before it has the same status", e.Name, prior.Name)
				break
			}
		}
		if len(*r.ds) == before { // what is wrong in itself hides no other
			a.Errors = append(a.Errors, e)
		}
	}
}

// schema checks a JSON Schema in a file and gives it, also as JSON.
func (r *catalogueReader) schema(n node, text *json.RawMessage) (map[string]any, bool) {
	doc, _ := n.json().(map[string]any)
	b, err := json.Marshal(doc)
	if err == nil {
		_, err = schemas.Compile("schema.json", b)
	}
	if err != nil {
		where, message := n.at(), err.Error()
		var fault *schemas.SchemaError
		if errors.As(err, &fault) {
			key, val := n.find(fault.Instance)
			if where = val.at(); key.Value != "" {
				where = key.at
			}
			message = fault.Message
		}
		r.ds.errorf(codeActionSchema, where, "", "this is not a JSON Schema: %s", message)
		return nil, false
	}
	*text = b
	return doc, true
}

// deref follows a schema's $ref within its document.
func deref(doc map[string]any, v any) map[string]any {
	schema, _ := v.(map[string]any)
	for range 10 { // a circle of references is no type
		ref, ok := schema["$ref"].(string)
		if !ok {
			return schema
		}
		var at any = doc
		for seg := range strings.SplitSeq(strings.Trim(strings.TrimPrefix(ref, "#"), "/"), "/") {
			if m, ok := at.(map[string]any); ok && seg != "" {
				at = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(seg)]
			}
		}
		schema, _ = at.(map[string]any)
	}
	return nil
}

// typeOfSchema is the flow's type for the values that a schema allows; empty
// where it has none.
func typeOfSchema(doc, schema map[string]any) Type {
	schema = deref(doc, schema)
	names := slices.DeleteFunc(texts(schema["type"]), func(s string) bool { return s == "null" })
	if s, ok := schema["type"].(string); ok {
		names = []string{s}
	}
	if len(names) != 1 {
		return ""
	}
	switch names[0] {
	case "string":
		if schema["format"] == "date" {
			return "date"
		}
		return "string"
	case "boolean":
		return "bool"
	case "integer":
		return "int"
	case "number":
		return "number"
	case "object":
		return "object"
	case "array":
		items, _ := schema["items"].(map[string]any)
		if t := typeOfSchema(doc, items); t != "" && !strings.HasPrefix(string(t), "list(") {
			return "list(" + t + ")"
		}
	}
	return ""
}

// Placeholders are the names in a catalogue's template, in order, such as
// "secret.shop_token" in "Bearer {secret.shop_token}".
func Placeholders(template string) []string {
	parts, err := parseParts(template, func(string) bool { return true })
	if err != nil {
		return nil // ReadCatalogue has refused it
	}
	var names []string
	for _, p := range parts {
		if p.placeholder {
			names = append(names, p.text)
		}
	}
	return names
}

// Expand fills a catalogue's template. It fails with what value answers.
func Expand(template string, value func(name string) (string, error)) (string, error) {
	parts, broken := parseParts(template, func(string) bool { return true })
	if broken != nil {
		return "", broken
	}
	var b strings.Builder
	for _, p := range parts {
		text := p.text
		if p.placeholder {
			var err error
			if text, err = value(p.text); err != nil {
				return "", err
			}
		}
		b.WriteString(text)
	}
	return b.String(), nil
}
