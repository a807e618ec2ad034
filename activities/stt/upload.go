package stt

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/textproto"
	"strings"

	"golang.org/x/text/language"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/modelserver"
)

// maxAnswer bounds a server's answer, in bytes.
const maxAnswer = 1 << 20

// An upload is one request for a transcript, sent while the customer speaks. Its
// pipe holds nothing: a server that reads slowly slows the gateway's stream, and
// the gateway's ring of audio is the bound. One goroutine, ended by answer or
// abandon, waits for the server.
type upload struct {
	body   *io.PipeWriter
	form   *multipart.Writer
	file   io.Writer
	cancel context.CancelFunc
	done   chan answer
}

type answer struct {
	transcript transcript
	err        error
}

// begin opens the request and sends the fields, which come before the file so
// that they can steer the decoding of what follows.
func (t *Transcriber) begin(ctx context.Context, in activities.TranscribeInput) *upload {
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	u := &upload{body: w, form: multipart.NewWriter(w), cancel: cancel, done: make(chan answer, 1)}

	contentType := u.form.FormDataContentType()
	go func() {
		tr, err := t.ask(ctx, r, contentType)
		// Whoever still writes learns that nobody reads any more.
		r.CloseWithError(io.ErrClosedPipe)
		u.done <- answer{tr, err}
	}()

	for _, f := range t.fields(in) {
		if u.form.WriteField(f[0], f[1]) != nil {
			return u // the server's answer says why
		}
	}
	header := textproto.MIMEHeader{}
	header.Set("Content-Disposition", `form-data; name="file"; filename="utterance.pcm"`)
	header.Set("Content-Type", "audio/pcm") // read as s16le, 16 kHz, mono
	u.file, _ = u.form.CreatePart(header)   // it fails as the next write does
	return u
}

// fields are the form's, in order. The expected phrases go as hotwords: a bias
// for Whisper, and for the embedded server a grammar that it prefers where it
// fits what it hears.
func (t *Transcriber) fields(in activities.TranscribeInput) [][2]string {
	fields := [][2]string{
		{"model", t.config.Model},
		{"response_format", "verbose_json"},
		{"temperature", "0"},
	}
	if lang := baseLanguage(in.Language); lang != "" {
		fields = append(fields, [2]string{"language", lang})
	}
	if len(in.Expected) > 0 {
		fields = append(fields, [2]string{"hotwords", strings.Join(in.Expected, ",")})
	}
	return fields
}

// baseLanguage is the ISO 639-1 code that the API wants for a BCP 47 tag, or
// empty to let the server find out.
func baseLanguage(tag string) string {
	t, err := language.Parse(tag)
	if err != nil {
		return ""
	}
	base, _ := t.Base()
	if base.String() == "und" {
		return ""
	}
	return base.String()
}

// write sends sound on; false means that the server wants no more.
func (u *upload) write(pcm []byte) bool {
	if u.file == nil {
		return false
	}
	_, err := u.file.Write(pcm)
	return err == nil
}

// finish completes the form.
func (u *upload) finish() {
	if u.form.Close() == nil {
		u.body.Close()
	}
}

// answer waits for the server.
func (u *upload) answer() answer {
	defer u.cancel()
	return <-u.done
}

// abandon ends the request without waiting for an answer that nobody wants.
func (u *upload) abandon(why error) {
	u.body.CloseWithError(why)
	u.cancel()
	<-u.done
}

func (t *Transcriber) ask(ctx context.Context, body io.Reader, contentType string) (transcript, error) {
	res, err := t.server.Post(ctx, "/v1/audio/transcriptions", contentType, body)
	if err != nil {
		// speaches fails with 500 on audio in which it finds no speech (its issue 608).
		if strings.Contains(err.Error(), "No clip timestamps found") {
			return transcript{}, errNothingSaid
		}
		return transcript{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return transcript{}, modelserver.Broken(ctx, t.server.String(), err)
	}
	var tr transcript
	if err := json.Unmarshal(b, &tr); err != nil {
		return transcript{}, activities.Permanent(activities.KindInvalid, fmt.Errorf("%s answered no verbose_json: %w; stt.base_url must be a server with the OpenAI audio API", t.server, err))
	}
	return tr, nil
}
