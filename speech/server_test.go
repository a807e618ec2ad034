package speech

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"testing"
)

// startServer runs a server with the test corpus and one recogniser on a free
// port.
func startServer(t testing.TB, change func(*Config)) string {
	t.Helper()
	c := Config{Addr: "127.0.0.1:0", Corpus: []string{"testdata/corpus"}, Recognisers: 1, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&c)
	}
	s, err := New(c)
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

// customerVoices speak to the recogniser in the tests. None of them is the
// kiosk's own default, slt.
var customerVoices = []string{"rms", "awb", "kal"}

// utteranceOf is text spoken by a voice, at the recogniser's rate.
func utteranceOf(t testing.TB, voiceID, text string) []int16 {
	t.Helper()
	v, ok := findVoice(voiceID)
	if !ok {
		t.Fatalf("no voice %s", voiceID)
	}
	said, err := v.say(t.Context(), text, 1)
	if err != nil {
		t.Fatal(err)
	}
	change := resampler{from: said.rate, to: inputRate}
	return change.resample(nil, said.samples)
}

// A field is one part of a form, in order.
type field struct{ name, value string }

// postForm uploads fields and then the file, typed kind.
func postForm(t testing.TB, url, token string, fields []field, kind string, file io.Reader, after ...field) *http.Response {
	t.Helper()
	body, pipe := io.Pipe()
	form := multipart.NewWriter(pipe)
	go func() {
		write := func() error {
			for _, f := range fields {
				if err := form.WriteField(f.name, f.value); err != nil {
					return err
				}
			}
			if file != nil {
				head := textproto.MIMEHeader{}
				head.Set("Content-Disposition", `form-data; name="file"; filename="utterance"`)
				head.Set("Content-Type", kind)
				part, err := form.CreatePart(head)
				if err != nil {
					return err
				}
				if _, err := io.Copy(part, file); err != nil {
					return err
				}
			}
			for _, f := range after {
				if err := form.WriteField(f.name, f.value); err != nil {
					return err
				}
			}
			return form.Close()
		}
		pipe.CloseWithError(write())
	}()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/audio/transcriptions", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", form.FormDataContentType())
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

// A verbose is verbose_json as a client reads it.
type verbose struct {
	Text     string
	Duration float64
	Segments []segment
	Words    []word
}

// transcribed uploads samples and returns the transcript.
func transcribed(t testing.TB, url string, samples []int16, fields ...field) verbose {
	t.Helper()
	fields = append([]field{{"model", "whisper-1"}, {"language", "en"}, {"response_format", "verbose_json"}}, fields...)
	response := postForm(t, url, "", fields, "audio/pcm", bytes.NewReader(encodePCM(samples)))
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", response.Status, body)
	}
	var v verbose
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return v
}
