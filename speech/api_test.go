package speech

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run with -update if it should\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// A stubRecogniser hears one word in anything, at once. It stands in where a
// test is about the door and not about hearing.
type stubRecogniser struct{}

func (stubRecogniser) listen(context.Context, hints) (utterance, error) { return stubUtterance{}, nil }
func (stubRecogniser) close()                                           {}

type stubUtterance struct{}

func (stubUtterance) feed([]int16) error { return nil }
func (stubUtterance) finish() ([]heardWord, error) {
	return []heardWord{{text: "hello", end: 300e6, posterior: 0.5}}, nil
}
func (stubUtterance) abandon() {}

// startWith runs a server with the given recogniser, nil for none.
func startWith(t testing.TB, r recogniser, change func(*Config)) string {
	t.Helper()
	c := Config{Addr: "127.0.0.1:0"}
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	s.recogniser, s.deaf = r, nil
	if r == nil {
		s.deaf = errTestDeaf
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return "http://" + s.Addr()
}

var errTestDeaf = fmt.Errorf("no recogniser in this test")

func startDeaf(t testing.TB) string { return startWith(t, nil, nil) }

func TestDoorsGolden(t *testing.T) {
	url := startWith(t, stubRecogniser{}, func(c *Config) { c.Token = "secret" })
	pcm := func() io.Reader { return bytes.NewReader(make([]byte, 640)) }
	var got strings.Builder
	show := func(name string, response *http.Response) {
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "-- %s --\n%d %s\n%s\n", name, response.StatusCode, response.Header.Get("Content-Type"), bytes.TrimSpace(body))
	}
	call := func(name, method, path, token, kind, body string) {
		request, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		if kind != "" {
			request.Header.Set("Content-Type", kind)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		show(name, response)
	}
	form := func(name string, fields []field, kind string, file io.Reader, after ...field) {
		show(name, postForm(t, url, "secret", fields, kind, file, after...))
	}
	model := field{"model", "whisper-1"}

	call("health needs no token", "GET", "/health", "", "", "")
	call("no token", "GET", "/v1/models", "", "", "")
	call("wrong token", "POST", "/v1/audio/speech", "guess", "application/json", "{}")
	call("models", "GET", "/v1/models", "secret", "", "")
	call("models that hear", "GET", "/v1/models?task=automatic-speech-recognition", "secret", "", "")
	call("one model", "GET", "/v1/models/flite", "secret", "", "")
	call("unknown model", "GET", "/v1/models/gpt", "secret", "", "")
	call("voices", "GET", "/v1/audio/voices", "secret", "", "")
	call("unknown path", "GET", "/v2", "secret", "", "")

	call("speech: empty body", "POST", "/v1/audio/speech", "secret", "application/json", "")
	call("speech: not JSON", "POST", "/v1/audio/speech", "secret", "application/json", "hello")
	call("speech: wrong type", "POST", "/v1/audio/speech", "secret", "application/json", `{"speed":"fast"}`)
	call("speech: everything wrong", "POST", "/v1/audio/speech", "secret", "application/json",
		`{"input":" ","voice":"alloy","response_format":"mp3","speed":9,"stream_format":"ws","sample_rate":1}`)
	call("speech: too fast for this voice", "POST", "/v1/audio/speech", "secret", "application/json", `{"model":"tts-1","input":"a","voice":"de","speed":3}`)
	call("speech: too long", "POST", "/v1/audio/speech", "secret", "application/json", `{"model":"tts-1","voice":"slt","input":"`+strings.Repeat("a", maxInput+1)+`"}`)
	call("speech: far too long", "POST", "/v1/audio/speech", "secret", "application/json", `{"model":"tts-1","voice":"slt","input":"`+strings.Repeat("a", maxSpeechBody)+`"}`)
	call("speech: unknown model", "POST", "/v1/audio/speech", "secret", "application/json", `{"model":"kokoro","voice":"slt","input":"a"}`)

	form("text", []field{model, {"response_format", "text"}}, "audio/pcm", pcm())
	form("json, fields after the file", nil, "audio/raw", pcm(), model, field{"response_format", "json"})
	form("verbose_json with words", []field{model, {"language", "en-US"}, {"temperature", "0.2"}, {"response_format", "verbose_json"}, {"timestamp_granularities[]", "word"}}, "audio/pcm", pcm())
	form("everything missing", nil, "", nil)
	form("no such model", []field{{"model", "large"}}, "audio/pcm", pcm())
	form("other language", []field{model, {"language", "de"}}, "audio/pcm", pcm())
	form("fields that are wrong", []field{model, {"response_format", "srt"}, {"temperature", "hot"}, {"stream", "true"}, {"timestamp_granularities[]", "phone"}}, "audio/pcm", pcm())
	form("too many expected answers", []field{model, {"hotwords", strings.Repeat("yes,", maxPhrases+1)}}, "audio/pcm", pcm())
	form("an expected answer too long", []field{model, {"hotwords", strings.Repeat("yes ", maxPhraseWords+1)}}, "audio/pcm", pcm())
	form("a field too large", []field{model, {"prompt", strings.Repeat("a", maxField+1)}}, "audio/pcm", pcm())
	form("no WAV file", []field{model}, "audio/mpeg", strings.NewReader("ID3..........."))
	form("WAV without samples", []field{model}, "audio/wav", bytes.NewReader(encodeWAV(nil, 16000)[:36]))
	form("WAV of 8 bits", []field{model}, "audio/wav", bytes.NewReader(patched(encodeWAV(nil, 16000), 34, 8)))
	form("WAV of 3 channels", []field{model}, "audio/wav", bytes.NewReader(patched(encodeWAV(nil, 16000), 22, 3)))
	form("WAV of 1 Hz", []field{model}, "audio/wav", bytes.NewReader(encodeWAV(nil, 1)))
	call("no form", "POST", "/v1/audio/transcriptions", "secret", "application/json", "{}")
	call("half a form", "POST", "/v1/audio/transcriptions", "secret", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhis")
	golden(t, "doors.golden", got.String())
}

func patched(b []byte, at int, v byte) []byte {
	b[at] = v
	return b
}

func TestDeafServerSaysWhy(t *testing.T) {
	url := startDeaf(t)
	response := postForm(t, url, "", []field{{"model", "whisper-1"}}, "audio/pcm", bytes.NewReader(make([]byte, 640)))
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), errTestDeaf.Error()) {
		t.Errorf("%s: %s", response.Status, body)
	}
}

func TestConfigFaultsAreToldAtOnce(t *testing.T) {
	_, err := New(Config{Addr: "0.0.0.0:0", Corpus: []string{"testdata/nowhere"}, Recognisers: 17, Synthesisers: -1})
	if err == nil {
		t.Fatal("taken")
	}
	golden(t, "config.golden", err.Error()+"\n")
}

func TestPortInUse(t *testing.T) {
	url := startDeaf(t)
	s, err := New(Config{Addr: strings.TrimPrefix(url, "http://")})
	if err != nil {
		t.Fatal(err)
	}
	s.deaf = errTestDeaf
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "choose another Addr") {
		t.Errorf("error %v", err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("stop after a failed start: %v", err)
	}
}

// Whatever a form holds, the door answers, and never with a failure of its own.
func FuzzTranscriptionForm(f *testing.F) {
	wav := string(encodeWAV(make([]int16, 40), 22050))
	f.Add("whisper-1", "en", "yes, no", "audio/wav", wav)
	f.Add("", "de", ",,;", "audio/pcm", "odd")
	f.Add("x", "", "12.99 €", "", wav[:30])
	f.Add("whisper-1", "", "", "audio/wav", strings.Replace(wav, "data", "LIST", 1))
	f.Add("whisper-1", "", "", "audio/wav", wav[:22]+"\x02"+wav[23:])
	url := startWith(f, stubRecogniser{}, nil)
	f.Fuzz(func(t *testing.T, model, language, hotwords, kind, file string) {
		if strings.ContainsAny(kind, "\r\n") {
			t.Skip("no client can send this header")
		}
		response := postForm(t, url, "", []field{{"model", model}, {"language", language}, {"hotwords", hotwords}}, kind, strings.NewReader(file))
		if response.StatusCode >= 500 {
			body, _ := io.ReadAll(response.Body)
			t.Errorf("%s: %s", response.Status, body)
		}
	})
}
