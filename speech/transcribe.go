package speech

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/praesenz/parley/speech/lexicon"
)

// A problem is an answer other than 200, with the detail a client is told.
type problem struct {
	status int
	detail string
}

func (p *problem) Error() string { return p.detail }

func problemf(status int, format string, args ...any) error {
	return &problem{status, fmt.Sprintf(format, args...)}
}

// A transcription is what the form of POST /v1/audio/transcriptions asks for
// and, once the file part has been read, what was heard in it.
type transcription struct {
	model, language, format string
	prompt, hotwords        string
	wordTimes               bool
	bad                     faults

	heard    bool // a file part was read
	words    []heardWord
	duration time.Duration
}

// transcribe serves POST /v1/audio/transcriptions. The utterance is decoded
// while its upload arrives, so that a client that uploads as the customer
// speaks has the transcript soon after the last sound. Fields that come before
// the file steer the decoding; of those that come after it, hotwords and prompt
// come too late and the others still count.
func (s *Server) transcribe(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(uploadTime)) // supported by every net/http server connection
	t, err := s.readTranscription(r.Context(), w, r)
	_ = control.SetWriteDeadline(time.Now().Add(downloadTime))
	var told *problem
	switch {
	case err == nil && len(t.bad) > 0:
		t.bad.write(w)
	case err == nil:
		t.write(w)
	case errors.As(err, &told):
		// Without this the answer would wait for the end of the upload, and so of
		// the customer's sentence.
		w.Header().Set("Connection", "close")
		writeProblem(w, told.status, told.detail)
	case r.Context().Err() != nil:
		// The client has gone.
	default:
		s.config.Logger.Error("utterance not transcribed", "error", err)
		writeProblem(w, http.StatusInternalServerError, err.Error())
	}
}

func (s *Server) readTranscription(ctx context.Context, w http.ResponseWriter, r *http.Request) (*transcription, error) {
	if s.deaf != nil {
		return nil, problemf(http.StatusServiceUnavailable, "%v", s.deaf)
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxTranscriptionBody)
	form, err := r.MultipartReader()
	if err != nil {
		return nil, problemf(http.StatusBadRequest, "the request is not a form (%v); send multipart/form-data with file and model", err)
	}
	t := &transcription{format: "json"}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, bodyProblem(err)
		}
		if part.FormName() == "file" {
			err = s.hear(ctx, t, part)
		} else {
			err = t.set(part)
		}
		if err != nil {
			return nil, err
		}
	}
	if t.model == "" {
		t.bad.addf("model", "is missing; GET /v1/models lists what there is")
	} else if !s.knowsModel(t.model, taskHear) {
		return nil, problemf(http.StatusNotFound, "Model '%s' not found; use %s or whisper-1", t.model, modelSphinx)
	}
	if !t.heard {
		t.bad.addf("file", "is missing; send the utterance as a file part")
	}
	return t, nil
}

// bodyProblem explains why a form cannot be read to its end.
func bodyProblem(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problemf(http.StatusRequestEntityTooLarge, "request body is larger than %d bytes; send one utterance", tooLarge.Limit)
	}
	return problemf(http.StatusBadRequest, "the form cannot be read: %v", err)
}

// set takes one field of the form. What is wrong with it is noted in t.bad,
// unless decoding makes no sense then.
func (t *transcription) set(part *multipart.Part) error {
	b, err := io.ReadAll(io.LimitReader(part, maxField+1))
	if err != nil {
		return bodyProblem(err)
	}
	name, value := part.FormName(), string(b)
	if len(b) > maxField {
		return problemf(http.StatusRequestEntityTooLarge, "field %s is larger than %d bytes", name, maxField)
	}
	switch name {
	case "model":
		t.model = value
	case "language":
		t.language = value
		code, _, _ := strings.Cut(strings.ToLower(value), "-")
		if code != "" && code != "en" {
			return problemf(http.StatusBadRequest, "language %s is not served by the embedded recogniser; it hears English only, use a speaches server", value)
		}
	case "prompt":
		t.prompt = value
	case "hotwords":
		t.hotwords = value
	case "response_format":
		t.format = value
		if !slices.Contains([]string{"text", "json", "verbose_json"}, value) {
			t.bad.addf(name, "%q is not served here; use text, json or verbose_json", value)
		}
	case "temperature":
		if v, err := strconv.ParseFloat(value, 64); err != nil || !(v >= 0 && v <= 1) {
			t.bad.addf(name, "is %q; give 0 to 1 (it changes nothing here)", value)
		}
	case "timestamp_granularities[]":
		switch value {
		case "word":
			t.wordTimes = true
		case "segment":
		default:
			t.bad.addf(name, "is %q; use segment or word", value)
		}
	case "stream":
		if v, err := strconv.ParseBool(value); err != nil || v {
			t.bad.addf(name, "is %q; answers are not streamed here, leave it out", value)
		}
	}
	return nil // speaches ignores fields it does not know, too
}

// Bounds on the hints of one request. Beyond them a list of expected answers is
// a vocabulary, which belongs in the corpus.
const (
	maxPhrases     = 500
	maxPhraseWords = 20
)

// hints reads hotwords as phrases separated by commas, and prompt as text.
func (t *transcription) hints() (hints, error) {
	h := hints{text: lexicon.Sentences(t.prompt)}
	for phrase := range strings.FieldsFuncSeq(t.hotwords, func(r rune) bool { return r == ',' || r == ';' || r == '\n' }) {
		words := slices.Concat(lexicon.Sentences(phrase)...)
		if len(words) > maxPhraseWords {
			return h, problemf(http.StatusUnprocessableEntity, "hotwords has a phrase of %d words; separate phrases of at most %d words by commas", len(words), maxPhraseWords)
		}
		if len(words) > 0 {
			h.phrases = append(h.phrases, words)
		}
	}
	if len(h.phrases) > maxPhrases {
		return h, problemf(http.StatusUnprocessableEntity, "hotwords has %d phrases; give %d at most", len(h.phrases), maxPhrases)
	}
	return h, nil
}

// uploadChunk is how much is decoded at a time, a tenth of a second at 16 kHz.
const uploadChunk = 3200

// hear decodes the file part as it arrives.
func (s *Server) hear(ctx context.Context, t *transcription, part *multipart.Part) error {
	if t.heard {
		return problemf(http.StatusBadRequest, "the form has two file parts; send one utterance")
	}
	t.heard = true
	if len(t.bad) > 0 {
		return nil // the answer will be what is wrong; decoding would be for nothing
	}
	hint, err := t.hints()
	if err != nil {
		return err
	}
	format := wavFormat{channels: 1, rate: inputRate}
	kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
	if kind != "audio/pcm" && kind != "audio/raw" {
		if format, err = readWAVHeader(part); err != nil {
			return problemf(http.StatusUnsupportedMediaType, "%v", err)
		}
	}
	queue, cancel := queueing(ctx)
	defer cancel()
	u, err := s.recogniser.listen(queue, hint)
	if errors.Is(err, errBusy) {
		return problemf(http.StatusServiceUnavailable, "%v", err)
	}
	if err != nil {
		return err
	}
	defer u.abandon()
	if t.duration, err = feedAll(ctx, u, part, format); err != nil {
		return err
	}
	t.words, err = u.finish()
	return err
}

// feedAll feeds the utterance everything that arrives and returns its length.
func feedAll(ctx context.Context, u utterance, r io.Reader, f wavFormat) (time.Duration, error) {
	var (
		buffer  [uploadChunk]byte
		held    int // bytes of an unfinished frame at the front of buffer
		samples []int16
		out     []int16
		total   int
		change  = resampler{from: f.rate, to: inputRate}
	)
	frame := 2 * f.channels
	for {
		n, err := r.Read(buffer[held:])
		n += held
		whole := n - n%frame
		samples = decodePCM(samples[:0], buffer[:whole])
		held = copy(buffer[:], buffer[whole:n])
		if f.channels == 2 {
			samples = mixDown(samples)
		}
		total += len(samples)
		length := time.Duration(total) * time.Second / time.Duration(f.rate)
		if length > maxUtterance {
			return 0, problemf(http.StatusRequestEntityTooLarge, "the utterance is longer than %s; end it at a pause", maxUtterance)
		}
		out = change.resample(out[:0], samples)
		if err := u.feed(out); err != nil {
			return 0, err
		}
		switch {
		case ctx.Err() != nil:
			return 0, context.Cause(ctx)
		case errors.Is(err, io.EOF):
			return length, nil
		case err != nil:
			return 0, bodyProblem(err)
		}
	}
}

// mixDown makes one channel of two, in place.
func mixDown(samples []int16) []int16 {
	for i := range len(samples) / 2 {
		samples[i] = int16((int(samples[2*i]) + int(samples[2*i+1])) / 2)
	}
	return samples[:len(samples)/2]
}

// A segment and a word are parts of verbose_json, as speaches has them.
type segment struct {
	ID               int     `json:"id"`
	Seek             int     `json:"seek"`
	Start            float64 `json:"start"` // seconds
	End              float64 `json:"end"`
	Text             string  `json:"text"`
	Tokens           []int   `json:"tokens"`
	Temperature      float64 `json:"temperature"`
	AvgLogprob       float64 `json:"avg_logprob"`
	CompressionRatio float64 `json:"compression_ratio"`
	NoSpeechProb     float64 `json:"no_speech_prob"`
}

type word struct {
	Start float64 `json:"start"`
	End   float64 `json:"end"`
	Word  string  `json:"word"`
}

func (t *transcription) text() string {
	words := make([]string, len(t.words))
	for i, w := range t.words {
		words[i] = w.text
	}
	return strings.Join(words, " ")
}

func (t *transcription) write(w http.ResponseWriter) {
	switch t.format {
	case "text":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, t.text()) // the only error is a client that has gone
	case "json":
		writeJSON(w, http.StatusOK, map[string]string{"text": t.text()})
	default:
		body := map[string]any{
			"language": "en", "duration": t.duration.Seconds(), "text": t.text(),
			"segments": t.segments(), "words": nil,
		}
		if t.wordTimes {
			body["words"] = t.wordList()
		}
		writeJSON(w, http.StatusOK, body)
	}
}

// segments makes one segment of the utterance, none of silence. Its tokens are
// the words by number and its avg_logprob is the logarithm of their mean
// posterior, so that a client's usual exp(Σ n·avg_logprob / Σ n) is how sure the
// recogniser is. no_speech_prob is the doubt about even the surest word.
func (t *transcription) segments() []segment {
	if len(t.words) == 0 {
		return []segment{}
	}
	var sum, surest float64
	tokens := make([]int, len(t.words))
	for i, w := range t.words {
		tokens[i] = i
		sum += w.posterior
		surest = max(surest, w.posterior)
	}
	const leastPosterior = 1e-6 // JSON has no infinity
	text := t.text()
	return []segment{{
		Start: t.words[0].start.Seconds(), End: t.words[len(t.words)-1].end.Seconds(),
		Text: text, Tokens: tokens,
		AvgLogprob:       math.Log(max(leastPosterior, sum/float64(len(t.words)))),
		CompressionRatio: compressionRatio(text),
		NoSpeechProb:     1 - surest,
	}}
}

func (t *transcription) wordList() []word {
	list := make([]word, len(t.words))
	for i, w := range t.words {
		list[i] = word{Start: w.start.Seconds(), End: w.end.Seconds(), Word: w.text}
	}
	return list
}

// compressionRatio is Whisper's: how much shorter zlib makes the text. Above
// 2.4 a model repeats itself.
func compressionRatio(text string) float64 {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = io.WriteString(z, text) // a bytes.Buffer takes everything
	_ = z.Close()
	return float64(len(text)) / float64(b.Len())
}
