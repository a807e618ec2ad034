package speech

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// postSpeech asks for speech and returns the answer and its body.
func postSpeech(t testing.TB, url, body string) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/audio/speech", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, b
}

func TestSpokenFormats(t *testing.T) {
	url := startDeaf(t)
	ask := func(more string) []byte {
		response, body := postSpeech(t, url, `{"model":"tts-1","voice":"slt","input":"Hammers are in aisle four."`+more+`}`)
		if response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s: %s", more, response.Status, body)
		}
		return body
	}
	wav := ask(``)
	samples, rate, err := readAllWAV(bytes.NewReader(wav))
	if err != nil || rate != 16000 {
		t.Fatalf("wav: rate %d, %v", rate, err)
	}
	if ms := durationMS(len(samples), rate); ms < 1000 || ms > 4000 {
		t.Errorf("five words take %d ms", ms)
	}
	pcm := ask(`,"response_format":"pcm"`)
	if !bytes.Equal(pcm, encodePCM(samples)) {
		t.Errorf("pcm has %d bytes and is not the %d samples of the WAV file", len(pcm), len(samples))
	}
	if half, want := len(ask(`,"response_format":"pcm","sample_rate":8000`)), len(pcm)/2; half < want-4 || half > want+4 {
		t.Errorf("at 8 kHz: %d bytes, want about %d", half, want)
	}
	if slow, want := len(ask(`,"response_format":"pcm","speed":0.5`)), 2*len(pcm); slow < want*9/10 || slow > want*11/10 {
		t.Errorf("at half speed: %d bytes, want about %d", slow, want)
	}
}

// Every voice tells when each sound is heard, without a gap from the first
// sample to the last.
func TestPhonemesCoverTheAudio(t *testing.T) {
	for _, v := range voices {
		text := "Hello. The hammer costs 12.99 euros, and you find it in aisle 4. Anything else?"
		for _, speed := range []float64{0.8, 1.5} {
			said, err := v.say(t.Context(), text, speed)
			if err != nil {
				t.Fatalf("%s: %v", v.ID, err)
			}
			if said.rate != v.SampleRate {
				t.Errorf("%s speaks at %d Hz, not the %d it is listed with", v.ID, said.rate, v.SampleRate)
			}
			if len(said.phonemes) < 30 {
				t.Fatalf("%s: only %d phonemes", v.ID, len(said.phonemes))
			}
			at, silent := 0, 0
			for _, p := range said.phonemes {
				if p.StartMS != at || p.EndMS < p.StartMS {
					t.Fatalf("%s: %q lasts from %d to %d ms after one that ended at %d", v.ID, p.Symbol, p.StartMS, p.EndMS, at)
				}
				if p.Symbol == "pau" {
					silent += p.EndMS - p.StartMS
				}
				at = p.EndMS
			}
			length := durationMS(len(said.samples), said.rate)
			if at != length {
				t.Errorf("%s: phonemes end at %d ms, the audio at %d", v.ID, at, length)
			}
			if silent > length/2 {
				t.Errorf("%s: %d of %d ms are silence", v.ID, silent, length)
			}
		}
	}
}

// The sounds fall where the audio is loud, the pauses where it is quiet.
func TestPausesAreQuiet(t *testing.T) {
	for _, id := range []string{"slt", "espeak-de"} {
		v, _ := findVoice(id)
		said, err := v.say(t.Context(), "Wand. Farbe. Hammer.", 1)
		if err != nil {
			t.Fatal(err)
		}
		var loud, quiet, loudN, quietN float64
		for _, p := range said.phonemes {
			for _, s := range said.samples[p.StartMS*said.rate/1000 : p.EndMS*said.rate/1000] {
				if p.Symbol == "pau" {
					quiet, quietN = quiet+float64(s)*float64(s), quietN+1
				} else {
					loud, loudN = loud+float64(s)*float64(s), loudN+1
				}
			}
		}
		if quietN == 0 || quiet/quietN > 0.05*loud/loudN {
			t.Errorf("%s: pauses have %.4f of the speech's power", id, quiet/quietN/(loud/loudN))
		}
	}
}

func TestSpeechEventsGolden(t *testing.T) {
	url := startDeaf(t)
	response, body := postSpeech(t, url, `{"model":"flite","voice":"kal","input":"Aisle four.","stream_format":"sse"}`)
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("Content-Type %q", kind)
	}
	var got strings.Builder
	var audio int
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			fmt.Fprintln(&got, lines.Text())
			continue
		}
		var delta struct{ Type, Audio string }
		if err := json.Unmarshal([]byte(data), &delta); err != nil {
			t.Fatal(err)
		}
		if delta.Audio != "" {
			pcm, err := base64.StdEncoding.DecodeString(delta.Audio)
			if err != nil {
				t.Fatal(err)
			}
			audio += len(pcm)
			data = strings.ReplaceAll(data, delta.Audio, fmt.Sprintf("<%d bytes>", len(pcm)))
		}
		fmt.Fprintln(&got, "data: "+data)
	}
	fmt.Fprintf(&got, "%d bytes of audio\n", audio)
	golden(t, "speech_events.golden", got.String())
}

func TestSpeakingEndsWithItsContext(t *testing.T) {
	gone := errors.New("the client has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	for _, id := range []string{"slt", "espeak-de"} {
		v, _ := findVoice(id)
		if _, err := v.say(ctx, "Hello", 1); !errors.Is(err, gone) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestMissingProgramNamesItsPackage(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := New(Config{Addr: "127.0.0.1:0"})
	for _, want := range []string{"install Debian package flite", "install Debian package espeak-ng"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
}

func TestBusyVoicesSaySo(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for range cap(s.speaking) {
		s.speaking <- struct{}{}
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Nanosecond, errBusy)
	defer cancel()
	v, _ := findVoice("slt")
	if _, err := s.sayInTurn(ctx, v, speechRequest{Input: "Hello", Speed: new(1.0)}); !errors.Is(err, errBusy) {
		t.Errorf("all voices in use: %v", err)
	}
}

func TestPhoneEndsOfSeveralSentences(t *testing.T) {
	got, err := parsePhoneEnds("pau:0.100 ay:0.300 \npau:0.050 n:0.200 \n")
	if err != nil {
		t.Fatal(err)
	}
	want := "[{pau 0 100} {ay 100 300} {pau 300 350} {n 350 500}]"
	if fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	for _, bad := range []string{"pau", "pau:x", "pau:0.1 ay"} {
		if _, err := parsePhoneEnds(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestIPA(t *testing.T) {
	for _, c := range []struct{ ipa, want string }{
		{"h_ˈɛ_m_ɜ", "hh eh m er"},
		{"ts_v_ˈœ_l_f _k_ɔ_m_ɑː", "t s v er l f k ao m aa"},
		{"ʃ_r_ˈaʊ_b_ə_n", "sh r aw b ax n"},
		{"dʒ_ˈʌ_m_p tʃ_ˈɪ_p", "jh ah m p ch ih p"},
		{"_!_ ʔ", ""},
	} {
		var got []string
		for _, clause := range parseIPA(c.ipa) {
			for _, s := range clause {
				got = append(got, s.symbol)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %q, want %q", c.ipa, strings.Join(got, " "), c.want)
		}
	}
}
