package config

import (
	"encoding/hex"
	"errors"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// A form is what a text must look like. The zero form is any text.
type form struct {
	what    string // it "is not …"
	like    string // what to write, for example
	pattern string // a regular expression for the schema that takes whatever holds takes
	holds   func(string) bool
}

// The forms of texts. An empty text is not asked whether it holds where the
// setting's default is empty too: it means none.
var (
	httpURL = form{"a URL with http or https and a host", "http://localhost:8000", `^https?://[^/?#]+`, func(s string) bool {
		u, err := url.Parse(s)
		return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.RawQuery == "" && u.Fragment == ""
	}}
	webOrigin = form{"an origin, which is http or https and a host, and no path", "https://kiosk.example", `^https?://[^/?#]+$`, func(s string) bool {
		u, err := url.Parse(s)
		return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && s == u.Scheme+"://"+u.Host
	}}
	local = form{"an address to listen on, HOST:PORT, where no HOST means all", "127.0.0.1:8080", `:[0-9]{1,5}$`, func(s string) bool {
		_, port, err := net.SplitHostPort(s)
		return err == nil && isPort(port, 0)
	}}
	remote = form{"an address, HOST:PORT", "localhost:7233", `^.+:[0-9]{1,5}$`, func(s string) bool {
		host, port, err := net.SplitHostPort(s)
		return err == nil && host != "" && !strings.Contains(host, "/") && isPort(port, 1)
	}}
	name = form{"a name of up to 200 characters without spaces", "store-17", `^\S{1,200}$`, isName}
	// What Temporal takes for a version's two halves, as worker.ValidateVersion has it.
	deployment = matching("a name of up to 100 of a-z, A-Z, 0-9, '/', '_' and '-' that begins with a letter or digit", "parley-store-17", `^[a-zA-Z0-9][a-zA-Z0-9/_-]{0,99}$`)
	buildID    = matching("a name of up to 100 of a-z, A-Z, 0-9, '.', '_' and '-' that begins with a letter or digit", "1.4.0", `^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$`)
	hexKeys    = form{"a key of 64 hexadecimal digits or more, or several with commas or line ends between them", "what `openssl rand -hex 32` prints", "", func(s string) bool {
		_, err := Keys(s)
		return err == nil
	}}
	token = form{"a token of 16 characters or more without spaces", "what `openssl rand -hex 16` prints", "", func(s string) bool {
		return len(s) >= 16 && strings.IndexFunc(s, unicode.IsSpace) < 0
	}}
)

// matching is a form that is all in its pattern.
func matching(what, like, pattern string) form {
	return form{what, like, pattern, regexp.MustCompile(pattern).MatchString}
}

func isPort(s string, low int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= low && n <= 65535
}

func isName(s string) bool {
	return s != "" && len(s) <= 200 && strings.IndexFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) < 0
}

// Keys reads a setting of keys in hexadecimal, each of at least 32 bytes, with
// commas or white space between them.
func Keys(s string) ([][]byte, error) {
	var keys [][]byte
	for _, text := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		key, err := hex.DecodeString(text)
		if err != nil || len(key) < 32 {
			return nil, errors.New("a key must be at least 64 hexadecimal digits; make one with `openssl rand -hex 32`")
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("no key; make one with `openssl rand -hex 32`")
	}
	return keys, nil
}
