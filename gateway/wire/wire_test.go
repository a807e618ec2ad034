package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/praesenz/parley/schemas/kiosk"
)

// schema is the compiled JSON Schema of one message.
func schema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	b, err := kiosk.Files.ReadFile(name + ".json")
	if err != nil {
		t.Fatalf("message %s has no schema: %v", name, err)
	}
	s, err := jsonschema.CompileString(name+".json", string(b))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, name string, b []byte) error {
	t.Helper()
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return err
	}
	return schema(t, name).Validate(v)
}

// outgoing has one of every message, filled, by the name of its schema.
var outgoing = map[string]Out{
	"bot-ready": BotReady{Version: Version, About: About{
		Store: "s1", Kiosk: "k1", Session: "abc", ResumeToken: "t", Name: "Entrance",
		Languages: []string{"en", "de"}, AudioIn: AudioIn{Rate: RateIn}, Brand: map[string]string{"accent": "#0a0"},
	}},
	"user-started-speaking": UserStartedSpeaking{},
	"user-stopped-speaking": UserStoppedSpeaking{},
	"user-transcription":    UserTranscription{Text: "where are hammers", Final: true, Timestamp: "2026-11-21T10:00:00Z", UserID: "k1", Confidence: .9},
	"bot-llm-started":       BotLLMStarted{},
	"bot-llm-text":          BotLLMText{Text: "The "},
	"bot-llm-stopped":       BotLLMStopped{},
	"bot-started-speaking":  BotStartedSpeaking{},
	"bot-stopped-speaking":  BotStoppedSpeaking{},
	"bot-output":            BotOutput{Text: "In aisle 4.", Response: 2, Segment: 1, AtMs: 1200, AggregatedBy: "sentence"},
	"bot-tts-text":          BotTTSText{Text: "In aisle 4.", Response: 2, Segment: 1},
	"bot-interrupted":       BotInterrupted{Response: 2, PlayedMs: 700},
	"error":                 Error{Message: "is missing", Field: "id"},
	"server-message.ack":    Ack{Seq: 3},
	"server-message.audio":  AudioStart{Response: 2, Rate: 22050},
	"server-message.end":    AudioEnd{Response: 2, Ms: 3100},
	"server-message.clear":  Clear{Response: 2},
	"server-message.cues":   Cues{Response: 2, Cues: []Cue{{At: 0, Viseme: "aa", Weight: .5}, {At: 80, Gesture: "nod"}}},
	"server-message.screen": Screen{
		Title: "Aisle 4", Text: "On the left", Picture: "store/media/kettle.jpg", Map: "store/media/map.svg", Mark: "a4",
		Alt: "A map of the store", Buttons: []Button{{Value: "de", Label: "Deutsch"}},
	},
	"server-message.state": State{State: "listening", Language: "de"},
	"server-message.ended": Ended{Outcome: "resolved"},
	"server-message.away":  Away{Message: "One moment"},
	"server-message.back":  Back{},
	"server-message.move":  Move{},
}

func TestEverythingToAKioskFitsItsSchema(t *testing.T) {
	for name, m := range outgoing {
		if err := validate(t, name, Encode(m)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		kind, in := m.name()
		if want := strings.TrimSuffix(kind+"."+in, "."); want != name {
			t.Errorf("%s is named %s on the wire", name, want)
		}
	}
}

func TestEveryMessageHasASchemaAndEverySchemaAMessage(t *testing.T) {
	known := map[string]bool{}
	for name := range outgoing {
		known[name] = true
	}
	for _, c := range incoming {
		known[c.schema] = true
	}
	files, err := fs.Glob(kiosk.Files, "*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !known[strings.TrimSuffix(f, ".json")] {
			t.Errorf("schema %s belongs to no message", f)
		}
	}
}

// incoming is what a kiosk may send and may not: field is empty for what is
// right, else the field that the error must name.
var incoming = []struct {
	schema, message, field, problem string
}{
	{"client-ready", `{"label":"rtvi-ai","type":"client-ready","id":"1","data":{"version":"1.0.0","about":{"library":"x"},"language":"de"}}`, "", ""},
	{"client-ready", `{"label":"rtvi-ai","type":"client-ready","id":"1","data":{}}`, "data.version", "RTVI version"},
	{"client-ready", `{"label":"rtvi-ai","type":"client-ready","data":{"version":"1.0.0"}}`, "id", "is missing"},
	{"client-ready", `{"label":"rtvi-ai","type":"client-ready","id":"one","data":{"version":"1.0.0"}}`, "id", "is not a number"},
	{"client-ready", `{"label":"rtvi-ai","type":"client-ready","id":"07","data":{"version":"1.0.0"}}`, "id", "is not a number"},
	{"client-ready", `{"label":"rtvi-ai","type":"client-ready","id":7,"data":{"version":"1.0.0"}}`, "id", "must be a string, not number"},
	{"client-ready", `{"label":"other","type":"client-ready","id":"1","data":{"version":"1.0.0"}}`, "label", "rtvi-ai"},
	{"client-ready", `{"label":"rtvi-ai","type":"client-ready","id":"1","data":{"version":"1.0.0","lang":"de"}}`, "data.lang", "not a field"},
	{"client-ready", `{"label":"rtvi-ai","type":"client-ready","id":"1","extra":1,"data":{"version":"1.0.0"}}`, "extra", "not a field"},
	{"send-text", `{"label":"rtvi-ai","type":"send-text","id":"2","data":{"content":"do you have paint?","options":{"run_immediately":true}}}`, "", ""},
	{"send-text", `{"label":"rtvi-ai","type":"send-text","id":"2","data":{"content":""}}`, "data.content", "is empty"},
	{"send-text", `{"label":"rtvi-ai","type":"send-text","id":"2","data":{"content":5}}`, "data.content", "must be a string, not number"},
	{"send-text", `{"label":"rtvi-ai","type":"send-text","id":"2","data":{"content":"` + strings.Repeat("ü", MaxContent+1) + `"}}`, "data.content", "2001 characters"},
	{"send-text", `{"label":"rtvi-ai","type":"send-text","id":"2"}`, "data", "must be a JSON object"},
	{"ui-event", `{"label":"rtvi-ai","type":"ui-event","id":"3","data":{"value":"de"}}`, "", ""},
	{"ui-event", `{"label":"rtvi-ai","type":"ui-event","id":"3","data":{"value":""}}`, "data.value", "button"},
	{"disconnect-bot", `{"label":"rtvi-ai","type":"disconnect-bot","id":"4"}`, "", ""},
	{"client-message.speech-start", `{"label":"rtvi-ai","type":"client-message","id":"5","data":{"t":"speech-start"}}`, "", ""},
	{"client-message.speech-end", `{"label":"rtvi-ai","type":"client-message","id":"6","data":{"t":"speech-end"}}`, "", ""},
	{"client-message.interrupt", `{"label":"rtvi-ai","type":"client-message","id":"7","data":{"t":"interrupt"}}`, "", ""},
	{"client-message.interrupt", `{"label":"rtvi-ai","type":"client-message","id":"7","data":{"t":"hush"}}`, "data.t", "is not known"},
	{"client-message.played", `{"label":"rtvi-ai","type":"client-message","data":{"t":"played","d":{"response":2,"ms":340,"done":true}}}`, "", ""},
	{"client-message.played", `{"label":"rtvi-ai","type":"client-message","data":{"t":"played","d":{"response":0,"ms":340}}}`, "data.d.response", "1 to 65535"},
	{"client-message.played", `{"label":"rtvi-ai","type":"client-message","data":{"t":"played","d":{"response":1,"ms":-1}}}`, "data.d.ms", "played milliseconds"},
	{"client-message.played", `{"label":"rtvi-ai","type":"client-message","data":{"t":"played","d":{"response":1,"ms":1.5}}}`, "data.d.ms", "a whole number"},
	{"client-message.played", `{"label":"rtvi-ai","type":"client-message","data":{"t":"played"}}`, "data.d", "must be a JSON object"},
	{"client-message.resume", `{"label":"rtvi-ai","type":"client-message","id":"u1","data":{"t":"resume","d":{"token":"x","played":{"response":1,"ms":20}}}}`, "", ""},
	{"client-message.resume", `{"label":"rtvi-ai","type":"client-message","data":{"t":"resume","d":{"token":""}}}`, "data.d.token", "resume_token"},
	{"client-message.resume", `{"label":"rtvi-ai","type":"client-message","data":{"t":"resume","d":{"token":"x","played":{"response":0,"ms":20}}}}`, "data.d.played.response", "1 to 65535"},
	{"client-message.vad", `{"label":"rtvi-ai","type":"client-message","data":{"t":"vad","d":{"mode":"kiosk"}}}`, "", ""},
	{"client-message.vad", `{"label":"rtvi-ai","type":"client-message","data":{"t":"vad","d":{"mode":"none"}}}`, "data.d.mode", "gateway"},
}

func TestDecodeAgreesWithTheSchemasAndNamesTheField(t *testing.T) {
	for _, c := range incoming {
		_, err := Decode([]byte(c.message))
		bySchema := validate(t, c.schema, []byte(c.message))
		if c.field == "" {
			if err != nil || bySchema != nil {
				t.Errorf("%.80s\n decode: %v\n schema: %v", c.message, err, bySchema)
			}
			continue
		}
		if bySchema == nil {
			t.Errorf("%.80s: the schema accepts it", c.message)
		}
		var fe *FieldError
		if !errors.As(err, &fe) || fe.Field != c.field || !strings.Contains(fe.Problem, c.problem) {
			t.Errorf("%.80s\n got  %v\n want field %q, %q", c.message, err, c.field, c.problem)
		}
	}
}

func TestDecodeRefusesWhatIsNoMessage(t *testing.T) {
	for message, want := range map[string]string{
		``:                                   "must be a JSON object",
		`hello`:                              "must be a JSON object",
		`[]`:                                 "must be a JSON object",
		`{"label":`:                          "is not JSON",
		`{"label":"rtvi-ai"} {}`:             "one message a frame",
		`{"label":"rtvi-ai"}`:                "type: is missing",
		`{"label":"rtvi-ai","type":"dance"}`: `type: "dance" is not known`,
		"{\"label\":\"\xff\"}":               "not UTF-8",
		strings.Repeat(" ", MaxText+1):       "send at most 16384",
	} {
		_, err := Decode([]byte(message))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q", message, err, want)
		}
	}
}

func TestAudioFrames(t *testing.T) {
	b := Audio{Last: true, Response: 0x0102, Offset: 0x01020304, PCM: []byte{5, 6}}.Append(nil)
	if want := []byte{1, 1, 2, 1, 4, 3, 2, 1, 5, 6}; !bytes.Equal(b, want) {
		t.Errorf("frame is % x, want % x", b, want)
	}
	a, err := DecodeAudio([]byte{1, 0, 0, 0, 4, 3, 2, 1, 5, 6})
	if err != nil || a.Offset != 0x01020304 || !bytes.Equal(a.PCM, []byte{5, 6}) {
		t.Errorf("got %+v, %v", a, err)
	}
	for _, c := range []struct {
		frame []byte
		field string
	}{
		{nil, "header"},
		{[]byte{1, 0, 0}, "header"},
		{[]byte{2, 0, 0, 0, 0, 0, 0, 0, 1, 1}, "kind"},
		{[]byte{1, 1, 0, 0, 0, 0, 0, 0, 1, 1}, "flags"},
		{[]byte{1, 0, 9, 0, 0, 0, 0, 0, 1, 1}, "response"},
		{[]byte{1, 0, 0, 0, 0, 0, 0, 0}, "pcm"},
		{[]byte{1, 0, 0, 0, 0, 0, 0, 0, 1}, "pcm"},
		{append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, make([]byte, MaxPCM+2)...), "pcm"},
	} {
		_, err := DecodeAudio(c.frame)
		var fe *FieldError
		if !errors.As(err, &fe) || fe.Field != c.field {
			t.Errorf("% .12x: got %v, want field %q", c.frame, err, c.field)
		}
	}
}

// Whatever comes, the decoder answers with a message or a FieldError, and a
// message that it accepts is numbered when it changes the conversation.
func FuzzDecode(f *testing.F) {
	for _, c := range incoming {
		f.Add([]byte(c.message))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			var fe *FieldError
			if !errors.As(err, &fe) {
				t.Fatalf("%T is no FieldError: %v", err, err)
			}
			Encode(Error{Message: fe.Problem, Field: fe.Field})
			return
		}
		if m.Body.numbered() != (m.Seq > 0) {
			t.Fatalf("%T has number %d", m.Body, m.Seq)
		}
	})
}

func FuzzDecodeAudio(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := DecodeAudio(b)
		if err == nil && !bytes.Equal(a.Append(nil), b) {
			t.Fatalf("% x is written back as % x", b, a.Append(nil))
		}
	})
}
