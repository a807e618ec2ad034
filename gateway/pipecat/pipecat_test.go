package pipecat

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/praesenz/parley/gateway/wire"
)

var update = flag.Bool("update", false, "make the golden files anew: testdata/*.bin by the stock library, of which tests/pipecat needs npm ci, and testdata/told.txt")

// stock runs the stock serializer.
func stock(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	if _, err := os.Stat("../../tests/pipecat/node_modules"); err != nil {
		t.Skip("tests/pipecat/node_modules is not there: run npm ci in tests/pipecat, as tests/run does")
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{"../../tests/pipecat/frames.mjs"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("frames.mjs: %v", err)
	}
	return string(out)
}

// golden is a frame that the stock library made.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".bin"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatTheStockClientSendsIsUnderstood(t *testing.T) {
	if *update {
		stock(t, "", "testdata")
	}
	for name, want := range map[string]wire.Message{
		"client-ready": {Seq: wire.Next, Body: wire.ClientReady{
			Version: "2.1.0", About: json.RawMessage(`{"library":"@pipecat-ai/client-js","library_version":"1.13.1"}`), Language: "de",
		}},
		"send-text":      {Seq: wire.Next, Body: wire.SendText{Content: "wo finde ich Hämmer?", Options: json.RawMessage(`{}`)}},
		"touch":          {Seq: wire.Next, Body: wire.UIEvent{Value: "de"}},
		"disconnect-bot": {Seq: wire.Next, Body: wire.DisconnectBot{}},
		"interrupt":      {Seq: wire.Next, Body: wire.Interrupt{}},
	} {
		got, err := (&Reader{Language: "de"}).Read(golden(t, name))
		if err != nil || got.Sound || !reflect.DeepEqual(got.Message, want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, want)
		}
	}
}

func TestWhatTheStockClientRecordsIsHeard(t *testing.T) {
	got, err := (&Reader{}).Read(golden(t, "audio"))
	if err != nil || !got.Sound || len(got.PCM) != 640 {
		t.Fatalf("20 ms at 16 kHz: %d bytes, %v, want 640", len(got.PCM), err)
	}
	var r Reader
	n := 0
	for range 50 {
		got, err := r.Read(golden(t, "audio-24k"))
		if err != nil {
			t.Fatal(err)
		}
		n += len(got.PCM)
	}
	if ms := n / 32; ms < 998 || ms > 1000 {
		t.Errorf("a second at 24 kHz is %d ms at 16 kHz", ms)
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	message := func(data string) []byte { return frame([]byte(data)) }
	audio := func(a *Audio) []byte { return marshal(nil, &Frame{Frame: &Frame_Audio{Audio: a}}) }
	for _, c := range []struct {
		frame        []byte
		sound        bool
		field, wants string
	}{
		{[]byte("hello"), false, "", "protobuf Frame"},
		{nil, false, "frame", "neither audio nor a message"},
		{message(`{`), false, "message.data", "not an RTVI message"},
		{message(`{"label":"x"}`), false, "label", "rtvi-ai"},
		{message(`{"label":"rtvi-ai","type":"ui-event","data":{"event":"hover","payload":{"value":"de"}}}`), false, "data.event", "touch"},
		{message(`{"label":"rtvi-ai","type":"ui-event","data":{"event":"touch"}}`), false, "data.value", "button"},
		{message(`{"label":"rtvi-ai","type":"send-text","data":{"content":" "}}`), false, "data.content", "is empty"},
		{message(`{"label":"rtvi-ai","type":"send-text"}`), false, "data", "send-text"},
		{message(strings.Repeat(" ", wire.MaxText+1)), false, "", "at most 16384"},
		{golden(t, "ui-snapshot"), false, "type", `"ui-snapshot" is not known`},
		{audio(&Audio{Audio: make([]byte, 4), SampleRate: 16000, NumChannels: 2}), true, "audio.num_channels", "must be 1"},
		{audio(&Audio{Audio: make([]byte, 4), SampleRate: 9, NumChannels: 1}), true, "audio.sample_rate", "16000"},
		{audio(&Audio{Audio: make([]byte, 3), SampleRate: 16000, NumChannels: 1}), true, "audio.audio", "half a sample"},
		{audio(&Audio{SampleRate: 16000, NumChannels: 1}), true, "audio.audio", "no samples"},
	} {
		got, err := (&Reader{}).Read(c.frame)
		var fe *wire.FieldError
		if !errors.As(err, &fe) || fe.Field != c.field || !strings.Contains(fe.Problem, c.wants) || got.Sound != c.sound {
			t.Errorf("%.60q: got %v (sound %t), want field %q, %q", c.frame, err, got.Sound, c.field, c.wants)
		}
	}
}

// told is a response from its announcement to its end, one that is cut, and
// what has no word in RTVI.
var told = []wire.Out{
	wire.BotReady{Version: wire.Version, About: wire.About{Store: "s1", Kiosk: "k1", Session: "abc", Name: "Entrance", Languages: []string{"en"}, AudioIn: wire.AudioIn{Rate: wire.RateIn}}},
	wire.State{State: "speaking", Language: "en"},
	wire.AudioStart{Response: 2, Rate: 16000},
	wire.BotStartedSpeaking{},
	wire.BotOutput{Text: "In aisle 4.", Response: 2, AggregatedBy: "sentence"},
	wire.BotOutput{Text: "On the left.", Response: 2, Segment: 1, AtMs: 900, AggregatedBy: "sentence"},
	wire.BotTTSText{Text: "In aisle 4.", Response: 2},
	wire.BotTTSText{Text: "On the left.", Response: 2, Segment: 1},
	wire.AudioEnd{Response: 2, Ms: 1800},
	wire.BotStoppedSpeaking{},
	wire.BotTTSText{Text: "Anything else?", Response: 3},
	wire.UserStartedSpeaking{},
	wire.Clear{Response: 3},
	wire.BotInterrupted{Response: 3, PlayedMs: 200},
	wire.BotStoppedSpeaking{},
	wire.UserTranscription{Text: "no", Final: true, Timestamp: "2026-11-22T10:00:00Z", UserID: "k1"},
	wire.Error{Field: "data.content", Message: "is empty; send what the customer typed"},
	wire.Ended{Outcome: "resolved"},
}

// The golden file is what the stock library reads in our frames.
func TestTheStockClientUnderstandsWhatItIsTold(t *testing.T) {
	var w Writer
	var lines strings.Builder
	for _, m := range told {
		for _, f := range w.Message(m) {
			lines.WriteString(base64.StdEncoding.EncodeToString(f) + "\n")
		}
	}
	read := stock(t, lines.String(), "--read")
	if *update {
		if err := os.WriteFile("testdata/told.txt", []byte(read), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/told.txt")
	if err != nil {
		t.Fatal(err)
	}
	if read != string(want) {
		t.Errorf("the stock client reads\n%s\nwant\n%s", read, want)
	}
}

// A voice of any rate comes out at the rate at which the client plays, as long
// and as high as it was, and no louder.
func TestAVoiceOfAnyRateSoundsTheSame(t *testing.T) {
	const pitch = 440.0
	for _, rate := range []int{8000, 16000, 22050, 24000, 44100, 48000} {
		var w Writer
		w.Message(wire.AudioStart{Response: 1, Rate: rate})
		var samples []float64
		at := 0
		for n := range 25 { // a second in frames of 40 ms
			in := make([]int16, rate/25)
			for i := range in {
				in[i] = int16(16000 * math.Sin(2*math.Pi*pitch*float64(at)/float64(rate)))
				at++
			}
			var f Frame
			if err := proto.Unmarshal(w.Audio(nil, wire.Audio{Response: 1, PCM: appendSamples(nil, in), Last: n == 24}), &f); err != nil {
				t.Fatal(err)
			}
			if a := f.GetAudio(); a.SampleRate != RateOut || a.NumChannels != 1 {
				t.Fatalf("a frame of %d Hz and %d channels", a.SampleRate, a.NumChannels)
			}
			for _, s := range appendPCM(nil, f.GetAudio().Audio) {
				samples = append(samples, float64(s))
			}
		}
		sounding := float64(at) / float64(rate) * RateOut
		if extra := float64(len(samples)-quantum) - sounding; math.Abs(extra) > 2 {
			t.Errorf("%d Hz: %d samples, want %.0f and %d of silence", rate, len(samples), sounding, quantum)
		}
		// The mean square of the difference to the tone as it should be, away from
		// the edges.
		worst := 0.0
		for i := 200; i < int(sounding)-200; i++ {
			worst = max(worst, math.Abs(samples[i]-16000*math.Sin(2*math.Pi*pitch*float64(i)/RateOut)))
		}
		if worst > 160 { // −40 dB
			t.Errorf("%d Hz: a sample is %.0f off", rate, worst)
		}
	}
}

// What is above the lower rate's reach is not mirrored into it.
func TestNothingIsMirrored(t *testing.T) {
	change := resampler{from: 48000, to: 16000}
	in := make([]int16, 48000)
	for i := range in {
		in[i] = int16(16000 * math.Sin(2*math.Pi*12000*float64(i)/48000)) // would be heard at 4 kHz
	}
	out := change.add(nil, in)
	loudest := int16(0)
	for _, s := range out[200 : len(out)-200] {
		loudest = max(loudest, s, -s)
	}
	if loudest > 50 {
		t.Errorf("a tone of 12 kHz is heard at 16 kHz with %d", loudest)
	}
}

// Whatever comes, the reader answers with sound, a message or a FieldError, and
// sound is whole samples and no longer than its bytes allow.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*.bin")
	if err != nil || len(files) == 0 {
		f.Fatal("no golden files", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > MaxFrame {
			return
		}
		var r Reader
		for range 2 { // the second time with the first one's state
			got, err := r.Read(b)
			var fe *wire.FieldError
			switch {
			case err != nil && !errors.As(err, &fe):
				t.Fatalf("%T is no FieldError: %v", err, err)
			case err != nil:
				(&Writer{}).Message(wire.Error{Message: fe.Problem, Field: fe.Field})
			case got.Sound && (len(got.PCM)%2 != 0 || len(got.PCM) > 2*MaxFrame+64):
				t.Fatalf("%d bytes of sound from %d", len(got.PCM), len(b))
			case !got.Sound && got.Message.Body == nil:
				t.Fatal("neither sound nor a message")
			}
		}
	})
}

// A second of a voice as one kiosk hears it: 25 frames.
func BenchmarkAudio(b *testing.B) {
	pcm := make([]byte, 2*22050/25)
	var w Writer
	w.Message(wire.AudioStart{Response: 1, Rate: 22050})
	var frame []byte
	for b.Loop() {
		for range 25 {
			frame = w.Audio(frame[:0], wire.Audio{Response: 1, PCM: pcm})
		}
	}
}
