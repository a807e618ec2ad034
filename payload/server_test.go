package payload

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const ui = "https://temporal.example.com"

func startServer(t *testing.T, c ServerConfig) string {
	t.Helper()
	c.Addr, c.Keys = "127.0.0.1:0", parse(t, keyA)
	s, err := NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return "http://" + s.Addr()
}

func ask(t *testing.T, method, url string, body []byte, header map[string]string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func wire(t *testing.T, payloads []*common.Payload) []byte {
	t.Helper()
	b, err := protojson.Marshal(&common.Payloads{Payloads: payloads})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTheTemporalUIReadsSealedPayloads(t *testing.T) {
	url := startServer(t, ServerConfig{Origins: []string{ui}})
	preflight, _ := ask(t, http.MethodOptions, url+"/decode", nil, map[string]string{
		"Origin": ui, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-namespace"})
	if preflight.StatusCode != http.StatusNoContent || preflight.Header.Get("Access-Control-Allow-Origin") != ui {
		t.Errorf("preflight: %s, %v", preflight.Status, preflight.Header)
	}
	res, body := ask(t, http.MethodPost, url+"/decode", wire(t, seal(t, parse(t, keyA), "where are the hammers")), map[string]string{
		"Origin": ui, "Content-Type": "application/json", "X-Namespace": "default"})
	if res.StatusCode != http.StatusOK || res.Header.Get("Access-Control-Allow-Origin") != ui {
		t.Fatalf("%s: %s, %v", res.Status, body, res.Header)
	}
	var got common.Payloads
	if err := protojson.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Payloads) != 1 || !proto.Equal(got.Payloads[0], said("where are the hammers")[0]) {
		t.Errorf("got %s", body)
	}
}

func TestTheServerOpensForNobodyElse(t *testing.T) {
	sealed := seal(t, parse(t, keyA), "secret words")
	with := func(h ...string) map[string]string {
		header := map[string]string{"Content-Type": "application/json"}
		for i := 0; i < len(h); i += 2 {
			header[h[i]] = h[i+1]
		}
		return header
	}
	for _, tc := range []struct {
		name         string
		token        string
		method, path string
		body         []byte
		header       map[string]string
		status       int
	}{
		{"another page", "", "POST", "/decode", wire(t, sealed), with("Origin", "https://evil.example"), http.StatusForbidden},
		{"another page asks first", "", "OPTIONS", "/decode", nil, with("Origin", "https://evil.example"), http.StatusForbidden},
		{"no token", "t0ken", "POST", "/decode", wire(t, sealed), with(), http.StatusUnauthorized},
		{"another token", "t0ken", "POST", "/decode", wire(t, sealed), with("Authorization", "Bearer t0ke"), http.StatusUnauthorized},
		{"the token as something else", "t0ken", "POST", "/decode", wire(t, sealed), with("Authorization", "t0ken"), http.StatusUnauthorized},
		{"the token", "t0ken", "POST", "/decode", wire(t, sealed), with("Authorization", "Bearer t0ken"), http.StatusOK},
		{"by GET", "", "GET", "/decode", nil, with(), http.StatusMethodNotAllowed},
		{"to seal", "", "POST", "/encode", wire(t, said("x")), with(), http.StatusNotFound},
		{"another key's", "", "POST", "/decode", wire(t, seal(t, parse(t, keyB), "x")), with(), http.StatusBadRequest},
		{"no payloads", "", "POST", "/decode", []byte("hello"), with(), http.StatusBadRequest},
		{"too much", "", "POST", "/decode", bytes.Repeat([]byte(" "), maxBody+1), with(), http.StatusBadRequest},
		{"health without a token", "t0ken", "GET", "/health", nil, with(), http.StatusOK},
	} {
		t.Run(tc.name, func(t *testing.T) {
			url := startServer(t, ServerConfig{Origins: []string{ui}, Token: tc.token, Logger: slog.New(slog.DiscardHandler)})
			res, body := ask(t, tc.method, url+tc.path, tc.body, tc.header)
			if res.StatusCode != tc.status {
				t.Errorf("%s: %s", res.Status, body)
			}
			if tc.status != http.StatusOK && strings.Contains(body, "secret words") {
				t.Errorf("it told: %s", body)
			}
		})
	}
}

func TestTheServerRefusesToBeOpenToTheNetwork(t *testing.T) {
	keys := parse(t, keyA)
	for _, tc := range []struct {
		name string
		c    ServerConfig
		want []string // nothing: it is right
	}{
		{"loopback", ServerConfig{Keys: keys}, nil},
		{"token", ServerConfig{Keys: keys, Addr: ":8234", Token: "x"}, nil},
		{"proxy", ServerConfig{Keys: keys, Addr: "0.0.0.0:8234", TrustProxy: true}, nil},
		{"neither", ServerConfig{Keys: keys, Addr: ":8234"}, []string{"codec_token", "codec_trust_proxy"}},
		{"all at once", ServerConfig{Addr: "8234", Origins: []string{"*", "https://temporal.example.com/ui", "temporal.example.com"}},
			[]string{"payload_keys", "listen", `origins: "*"`, `origins: "https://temporal.example.com/ui"`, `origins: "temporal.example.com"`}},
	} {
		_, err := NewServer(tc.c)
		if (err == nil) != (len(tc.want) == 0) {
			t.Errorf("%s: got %v", tc.name, err)
		}
		for _, want := range tc.want {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not said in: %v", tc.name, want, err)
			}
		}
	}
}
