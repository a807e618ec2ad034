// Package e2e holds conversations with the whole product through its real doors:
// a real Temporal server, the real gateway, real workers, real speech in and out.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.yaml.in/yaml/v3"

	"github.com/praesenz/parley/tests/kiosk"
	"github.com/praesenz/parley/tests/system"
	"github.com/praesenz/parley/tests/voice"
	"github.com/praesenz/parley/workflows"
)

// A question is one of the example store's, with what a right answer holds.
type question struct {
	Ask      string     `yaml:"ask"`
	Expects  [][]string `yaml:"expects"` // each line in any one of its wordings
	Document string     `yaml:"document"`
}

func questions(t *testing.T) map[string]map[string]question {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(system.Root(t), "examples", "hardware-store", "questions.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var byLanguage map[string][]question
	if err := yaml.Unmarshal(b, &byLanguage); err != nil {
		t.Fatal(err)
	}
	found := map[string]map[string]question{}
	for language, all := range byLanguage {
		found[language] = map[string]question{}
		for _, q := range all {
			found[language][q.Ask] = q
		}
	}
	return found
}

// visit is one customer at one kiosk.
type visit struct {
	t    *testing.T
	sys  *system.System
	k    *kiosk.Kiosk
	ctx  context.Context
	name string
}

func enter(t *testing.T, sys *system.System, name, language string, o kiosk.Options) *visit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	o.URL, o.Token = sys.Kiosk, sys.Tokens[name]
	k, err := kiosk.Dial(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	v := &visit{t, sys, k, ctx, name}
	if err := k.Start(language); err != nil {
		t.Fatal(err)
	}
	v.waitState(0, "listening")
	return v
}

func (v *visit) waitState(mark int, state string) kiosk.Event {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, 60*time.Second)
	defer cancel()
	e, err := v.k.State(ctx, mark, state)
	if err != nil {
		v.t.Fatalf("no state %q: %v", state, err)
	}
	return e
}

// answer waits for the kiosk to have spoken and to listen again, and gives what
// it said and the audio of it.
func (v *visit) answer(mark, last int) (text string, spoken []kiosk.Response) {
	v.t.Helper()
	e := v.waitState(mark, "speaking")
	_ = e
	speaking := v.k.Mark()
	v.waitState(speaking-1, "listening")
	spoken = v.k.Responses(last)
	for _, r := range spoken {
		text += strings.Join(r.Sentences, " ") + " "
	}
	return text, spoken
}

// holds says which of an answer's expectations a text does not meet.
func (q question) missing(text string) []string {
	text = plain(text)
	var missing []string
	for _, wordings := range q.Expects {
		if !slices.ContainsFunc(wordings, func(w string) bool { return strings.Contains(text, plain(w)) }) {
			missing = append(missing, strings.Join(wordings, " / "))
		}
	}
	return missing
}

var noWord = regexp.MustCompile(`[^\p{L}\p{N}.,:]+`)

func plain(s string) string { return noWord.ReplaceAllString(strings.ToLower(s), " ") }

// transcribe asks the speech server what it hears in a response.
func (v *visit) transcribe(r kiosk.Response) string {
	v.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	form.WriteField("model", "whisper-1")
	form.WriteField("language", "en")
	h := textproto.MIMEHeader{}
	h.Set("Content-Disposition", `form-data; name="file"; filename="answer.wav"`)
	h.Set("Content-Type", "audio/wav")
	part, err := form.CreatePart(h)
	if err != nil {
		v.t.Fatal(err)
	}
	part.Write(voice.Encode(r.PCM, r.Rate))
	form.Close()
	req, err := http.NewRequestWithContext(v.ctx, http.MethodPost, v.sys.Speech+"/v1/audio/transcriptions", &body)
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Authorization", "Bearer "+v.sys.SpeechKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	var said struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(b, &said); err != nil || resp.StatusCode != http.StatusOK {
		v.t.Fatalf("transcription of an answer: %s: %s", resp.Status, b)
	}
	return said.Text
}

// heardShare is the share of a text's longer words that a transcription has.
func heardShare(text, transcription string) float64 {
	heard := strings.Fields(plain(transcription))
	words, found := 0, 0
	for _, w := range strings.Fields(strings.Trim(plain(text), ". ")) {
		w = strings.Trim(w, ".,:")
		if len(w) < 4 || strings.ContainsAny(w, "0123456789") {
			continue
		}
		words++
		if slices.Contains(heard, w) {
			found++
		}
	}
	if words == 0 {
		return 1
	}
	return float64(found) / float64(words)
}

// summary reads the conversation's result and checks how it is filed.
func (v *visit) summary(c client.Client, language string) workflows.Summary {
	v.t.Helper()
	id := workflows.ConversationID(v.sys.Store, v.name)
	var s workflows.Summary
	if err := c.GetWorkflow(v.ctx, id, "").Get(v.ctx, &s); err != nil {
		v.t.Fatal(err)
	}
	d, err := c.DescribeWorkflow(v.ctx, id, "")
	if err != nil {
		v.t.Fatal(err)
	}
	want := map[string]any{
		"ParleyStore": v.sys.Store, "ParleyKiosk": v.name, "ParleyFlow": "help", "ParleyLanguage": language,
		"ParleyTurns": int64(s.Turns), "ParleyOutcome": s.Outcome,
	}
	got := map[string]any{}
	for key, value := range d.TypedSearchAttributes.GetUntypedValues() {
		got[key.GetName()] = value
	}
	for name, w := range want {
		if got[name] != w {
			v.t.Errorf("search attribute %s is %v, want %v", name, got[name], w)
		}
	}
	if got["ParleyFlowVersion"] == nil || got["ParleyStep"] == nil {
		v.t.Errorf("search attributes %v lack the flow's version or the step", got)
	}
	return s
}

func TestConversationsByVoice(t *testing.T) {
	sys := system.Start(t)
	temporal := sys.Client(t)
	known := questions(t)["en"]
	conversations := []struct {
		kiosk, voice string
		ask          []string
	}{
		{"entrance", "rms", []string{"where do i find hammers", "can you cut keys", "where are the toilets"}},
		{"tools", "awb", []string{"how much is the cordless drill", "do you rent tools", "where do i find hammers"}},
		{"garden", "rms", []string{"what does paint mixing cost", "when are you open on saturday", "can you cut keys"}},
	}
	for _, c := range conversations {
		t.Run(c.kiosk, func(t *testing.T) {
			t.Parallel()
			v := enter(t, sys, c.kiosk, "en", kiosk.Options{})
			for _, ask := range c.ask {
				q, ok := known[ask]
				if !ok {
					t.Fatalf("questions.yaml has no %q", ask)
				}
				mark, last := v.k.Mark(), v.k.Last()
				ended, err := v.k.Say(v.ctx, voice.Say(t, c.voice, ask))
				if err != nil {
					t.Fatal(err)
				}
				text, spoken := v.answer(mark, last)
				var heard struct {
					Text       string  `json:"text"`
					Confidence float64 `json:"confidence"`
				}
				if e, err := v.k.Wait(v.ctx, mark, func(e kiosk.Event) bool { return e.Type == "user-transcription" }); err == nil {
					json.Unmarshal(e.Data, &heard)
				}
				first := spoken[0]
				transcription := v.transcribe(first)
				t.Logf("asked %q, understood %q (%.2f), first audio after %v\n  said  %s\n  heard %s",
					ask, heard.Text, heard.Confidence, first.First.Sub(ended).Round(time.Millisecond), text, transcription)
				if missing := q.missing(text); len(missing) > 0 {
					t.Errorf("the answer to %q lacks %q", ask, missing)
				}
				if share := heardShare(strings.Join(first.Sentences, " "), transcription); share < 0.5 {
					t.Errorf("only %.0f %% of what the kiosk says it said is to be heard in its audio", 100*share)
				}
				if first.Visemes < 5 {
					t.Errorf("%d visemes came with the answer; the face stood still", first.Visemes)
				}
			}
			mark := v.k.Mark()
			if _, err := v.k.Say(v.ctx, voice.Say(t, c.voice, "no thank you")); err != nil {
				t.Fatal(err)
			}
			if _, err := v.k.Wait(v.ctx, mark, func(e kiosk.Event) bool { return e.Type == "server:ended" }); err != nil {
				t.Fatal(err)
			}
			v.recordHistory(temporal, "voice-"+c.kiosk)
			v.wantShortTurns(temporal)
			s := v.summary(temporal, "en")
			if s.Outcome != "resolved" || s.Turns != len(c.ask)+1 {
				t.Errorf("outcome %q after %d turns, want resolved after %d", s.Outcome, s.Turns, len(c.ask)+1)
			}
			var customer []string
			for _, l := range s.Transcript {
				if l.By == "customer" && l.How == workflows.Spoken && l.Confidence > 0 {
					customer = append(customer, l.Text)
				}
			}
			if len(customer) != s.Turns {
				t.Errorf("the history's transcript has %d spoken customer's lines, want %d: %q", len(customer), s.Turns, customer)
			}
		})
	}
}

func TestConversationsByText(t *testing.T) {
	sys := system.Start(t)
	temporal := sys.Client(t)
	for _, c := range []struct {
		kiosk, language, goodbye string
	}{{"entrance", "en", "no thanks"}, {"tools", "de", "nein danke"}} {
		t.Run(c.language, func(t *testing.T) {
			t.Parallel()
			v := enter(t, sys, c.kiosk, c.language, kiosk.Options{Mute: true, Hurry: true})
			asked := 0
			all := questions(t)[c.language]
			asks := make([]string, 0, len(all))
			for ask := range all {
				asks = append(asks, ask)
			}
			slices.Sort(asks)
			for _, ask := range asks {
				mark, last := v.k.Mark(), v.k.Last()
				if err := v.k.Type(ask); err != nil {
					t.Fatal(err)
				}
				asked++
				text, _ := v.answer(mark, last)
				if missing := all[ask].missing(text); len(missing) > 0 {
					t.Errorf("the answer to %q lacks %q: %s", ask, missing, text)
				}
			}
			mark := v.k.Mark()
			if err := v.k.Type(c.goodbye); err != nil {
				t.Fatal(err)
			}
			if _, err := v.k.Wait(v.ctx, mark, func(e kiosk.Event) bool { return e.Type == "server:ended" }); err != nil {
				t.Fatal(err)
			}
			v.recordHistory(temporal, "text-"+c.language)
			s := v.summary(temporal, c.language)
			if s.Outcome != "resolved" || s.Turns != asked+1 {
				t.Errorf("outcome %q after %d turns, want resolved after %d", s.Outcome, s.Turns, asked+1)
			}
		})
	}
}

func TestACustomerInterrupts(t *testing.T) {
	sys := system.Start(t)
	v := enter(t, sys, "entrance", "en", kiosk.Options{})
	mark := v.k.Mark()
	if err := v.k.Type("where are the toilets"); err != nil {
		t.Fatal(err)
	}
	v.waitState(mark, "speaking")
	answer := v.k.Last()
	mark = v.k.Mark()
	if _, err := v.k.Say(v.ctx, voice.Say(t, "rms", "where do i find hammers")); err != nil {
		t.Fatal(err)
	}
	if _, err := v.k.Wait(v.ctx, mark, func(e kiosk.Event) bool { return e.Type == "bot-interrupted" }); err != nil {
		t.Fatal(err)
	}
	if text, _ := v.answer(mark, answer); !strings.Contains(text, "aisle 4") {
		t.Errorf("what was said over the answer is answered with %q\n%s", text, v.k.Story())
	}
	mark = v.k.Mark()
	if err := v.k.Leave(); err != nil {
		t.Fatal(err)
	}
	if _, err := v.k.Wait(v.ctx, mark, func(e kiosk.Event) bool { return e.Type == "server:ended" }); err != nil {
		t.Fatal(err)
	}
	s := v.summary(sys.Client(t), "en")
	i := slices.IndexFunc(s.Transcript, func(l workflows.Line) bool { return l.Cut })
	if i < 0 {
		t.Fatalf("no line of the transcript is marked as cut: %+v", s.Transcript)
	}
	const whole = "The toilets are behind the information desk, on the left side of the entrance."
	if heard := s.Transcript[i].Text; heard == "" || len(heard) >= len(whole) || !strings.HasPrefix(whole, strings.TrimRight(heard, " .,…")) {
		t.Errorf("the customer is said to have heard %q, want a part of %q", heard, whole)
	}
}

// The embedded recogniser hears English only. Whoever speaks German to it is told
// to type, and is answered when they do.
func TestALanguageThatNobodyHears(t *testing.T) {
	sys := system.Start(t)
	v := enter(t, sys, "entrance", "de", kiosk.Options{Hurry: true})
	mark, last := v.k.Mark(), v.k.Last()
	if _, err := v.k.Say(v.ctx, voice.Say(t, "rms", "where do i find hammers")); err != nil {
		t.Fatal(err)
	}
	if text, _ := v.answer(mark, last); !strings.Contains(text, "eintippen") {
		t.Errorf("it answers %q, want the advice to type", text)
	}
	mark, last = v.k.Mark(), v.k.Last()
	if err := v.k.Type("Wo finde ich Hämmer?"); err != nil {
		t.Fatal(err)
	}
	if text, _ := v.answer(mark, last); !strings.Contains(text, "Gang 4") {
		t.Errorf("it answers %q, want the aisle", text)
	}
}

func TestTheSeedsHealthAndMetrics(t *testing.T) {
	sys := system.Start(t)
	get := func(path string) (int, string) {
		resp, err := http.Get(sys.Page + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	if code, body := get("/health"); code != 200 || !regexp.MustCompile(`^\{"status":"ok","gpu":(true|false),"model_loaded":true\}\s*$`).MatchString(body) {
		t.Errorf("/health: %d %s", code, body)
	}
	if code, body := get("/ready"); code != 200 || strings.TrimSpace(body) != `{"ready":true,"qdrant":"embedded","ollama":"not used"}` {
		t.Errorf("/ready: %d %s", code, body)
	}

	v := enter(t, sys, "garden", "en", kiosk.Options{Hurry: true})
	mark, last := v.k.Mark(), v.k.Last()
	if _, err := v.k.Say(v.ctx, voice.Say(t, "rms", "where do i find hammers")); err != nil {
		t.Fatal(err)
	}
	v.answer(mark, last)
	mark = v.k.Mark()
	if err := v.k.Leave(); err != nil {
		t.Fatal(err)
	}
	if _, err := v.k.Wait(v.ctx, mark, func(e kiosk.Event) bool { return e.Type == "server:ended" }); err != nil {
		t.Fatal(err)
	}
	_, metrics := get("/metrics")
	for _, want := range []string{
		`(?m)^kiosk_conversations_total\{outcome="abandoned",store="hardware-store"\} 1$`,
		`(?m)^kiosk_response_time_seconds_count\{kiosk="garden",store="hardware-store"\} [1-9]`,
		`(?m)^kiosk_stt_confidence_count\{kiosk="garden",store="hardware-store"\} 1$`,
		`(?m)^kiosk_rag_chunks_retrieved\{store="hardware-store"\} [1-9]`,
		`(?m)^kiosk_tts_generation_seconds_count\{store="hardware-store"\} [1-9]`,
		`(?m)^kiosk_active_sessions 1$`,
		`(?m)^kiosk_connected\{kiosk="garden",store="hardware-store"\} 1$`,
		`(?m)^temporal_activity_schedule_to_start_latency_seconds_count\{activity_type="Speak",.*task_queue="hardware-store/tts",.*\} [1-9]`,
		`(?m)^temporal_worker_task_slots_available\{.*task_queue="hardware-store/tts",.*worker_type="ActivityWorker",.*\} [1-9]`,
	} {
		if !regexp.MustCompile(want).MatchString(metrics) {
			var ours []string
			for line := range strings.Lines(metrics) {
				if strings.HasPrefix(line, "kiosk_") && !strings.Contains(line, "_bucket") {
					ours = append(ours, line)
				}
			}
			t.Errorf("/metrics has no %s among\n%s", want, strings.Join(ours, ""))
		}
	}
}

func TestWrongKiosksAreTurnedAway(t *testing.T) {
	sys := system.Start(t)
	for _, token := range []string{"", "nonsense", sys.Tokens["entrance"] + "x"} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		k, err := kiosk.Dial(ctx, kiosk.Options{URL: sys.Kiosk, Token: token, Mute: true})
		cancel()
		if err == nil {
			k.Close()
			t.Errorf("token %q opened the door", token)
		} else if !strings.Contains(fmt.Sprint(err), "4401") && !strings.Contains(fmt.Sprint(err), "401") {
			t.Errorf("token %q: %v, want 4401", token, err)
		}
	}
}
