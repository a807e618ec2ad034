package llm_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"google.golang.org/grpc/codes"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/llm"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/tests/stub"
)

type scene struct {
	t       *testing.T
	gateway *stub.Gateway
	server  *stub.Server
	env     *testsuite.TestActivityEnvironment
	run     func(activities.GenerateInput) (activities.GenerateResult, error)
}

// newScene asks a stub with OpenAI's API.
func newScene(t *testing.T, gateway stub.GatewayConfig, chat stub.Config) *scene {
	t.Helper()
	server, err := stub.Start(chat)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	model, _, err := llm.Choose(t.Context(), llm.Config{Kind: llm.OpenAI, BaseURL: server.URL, Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	s := sceneWith(t, gateway, model)
	s.server = server
	return s
}

func sceneWith(t *testing.T, gateway stub.GatewayConfig, model llm.Model) *scene {
	t.Helper()
	s := &scene{t: t}
	var err error
	if s.gateway, err = stub.StartGateway(gateway); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.gateway.Close)
	gateways := media.NewClient("")
	t.Cleanup(func() { gateways.Close() })
	generator := llm.New(model, gateways, slog.New(slog.NewTextHandler(io.Discard, nil)))
	s.env = new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
	s.env.RegisterActivity(generator)
	s.run = func(in activities.GenerateInput) (activities.GenerateResult, error) {
		in.Place = activities.Place{Store: "s1", Kiosk: "k1", Conversation: "c1", Gateway: s.gateway.Address, Session: "x"}
		var result activities.GenerateResult
		v, err := s.env.ExecuteActivity(generator.Generate, in)
		if err == nil {
			err = v.Get(&result)
		}
		return result, err
	}
	return s
}

// request is the first that the server got, once it has ended.
func (s *scene) request() stub.Request {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), stub.Deadline)
	defer cancel()
	requests := s.server.Ended(ctx, 1)
	if len(requests) == 0 {
		s.t.Fatal("the server got no request")
	}
	return requests[0]
}

func TestGenerateStreams(t *testing.T) {
	s := newScene(t, stub.GatewayConfig{}, stub.Config{
		Answer: "Hammers are in **aisle 4** [1]. They cost 12.99 €.", TokenGap: 20 * time.Millisecond,
	})
	got, err := s.run(activities.GenerateInput{Question: "Where are hammers?", Stream: true, Response: 5})
	if err != nil {
		t.Fatal(err)
	}
	const want = "Hammers are in aisle 4. They cost 12.99 €."
	if got.Text != want || got.Model != "m" {
		t.Errorf("result %+v", got)
	}
	if text, complete := s.gateway.Text(); text != want || !complete {
		t.Errorf("written %q, complete %t", text, complete)
	}
	if w := s.gateway.Writes(); len(w) < 5 || w[0].GetResponse() != 5 {
		t.Errorf("%d messages; want about one a word", len(w))
	}
}

func TestTheModelIsTold(t *testing.T) {
	s := newScene(t, stub.GatewayConfig{}, stub.Config{})
	_, err := s.run(activities.GenerateInput{
		System:   "Be kind. Passages: Nails are in aisle 5.",
		Question: "And hammers?", Grounded: true,
		History:  []activities.Said{{By: "customer", Text: "Hello"}, {By: "kiosk", Text: "Hi!"}, {By: "kiosk", Text: "What do you need?"}},
		Passages: []activities.Passage{{Title: "Nails", Text: "Nails are in aisle 5."}, {Title: "Hammers", Text: "Hammers are in aisle 4."}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ms := s.request().Messages
	var roles []string
	for _, m := range ms {
		roles = append(roles, m.Role)
	}
	if strings.Join(roles, " ") != "system user assistant user" {
		t.Fatalf("roles %v", roles)
	}
	if !strings.Contains(ms[0].Content, llm.Ungrounded) || !strings.Contains(ms[2].Content, "What do you need?") {
		t.Errorf("messages %q", ms)
	}
	// The template quotes the nails already.
	if want := "Passages:\n[1] Hammers\nHammers are in aisle 4.\n\nQuestion: And hammers?"; ms[3].Content != want {
		t.Errorf("question %q, want %q", ms[3].Content, want)
	}
}

func TestUngroundedIsNotSpoken(t *testing.T) {
	s := newScene(t, stub.GatewayConfig{}, stub.Config{Answer: "[[UNGROUNDED]]"})
	_, err := s.run(activities.GenerateInput{Question: "Who was Caesar?", Stream: true, Grounded: true})
	wantKind(t, err, activities.KindUngrounded, true)
	if text, complete := s.gateway.Text(); text != "" || complete {
		t.Errorf("written %q, complete %t", text, complete)
	}
	if !s.gateway.TakenBack() {
		t.Error("the voice still waits for an answer")
	}
}

func TestCutStopsTheModel(t *testing.T) {
	for name, chat := range map[string]stub.Config{
		"while it talks":         {Answer: strings.Repeat("very ", 500) + "well.", TokenGap: 10 * time.Millisecond},
		"before its first token": {FirstToken: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, stub.GatewayConfig{}, chat)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), stub.Deadline)
				defer cancel()
				<-s.server.Arrived()
				s.gateway.Wait(ctx, func() bool { return chat.FirstToken > 0 || s.gateway.HasText() }) //nolint:errcheck // the test fails then
				s.gateway.Interrupt()
			}()
			got, err := s.run(activities.GenerateInput{Question: "How are you?", Stream: true})
			if err != nil || strings.HasSuffix(got.Text, "well.") {
				t.Errorf("result %+v, %v", got, err)
			}
			if !s.request().Cancelled {
				t.Error("the model was not stopped")
			}
		})
	}
}

func TestSecondAttemptGoesOn(t *testing.T) {
	s := newScene(t, stub.GatewayConfig{}, stub.Config{Answer: "It costs 12.99 euros."})
	s.gateway.Preset("The hammer is in aisle 4. It costs 12.", false)
	s.env.SetHeartbeatDetails(llm.Progress{Text: "The hammer is in aisle 4. It costs 12."})
	got, err := s.run(activities.GenerateInput{Question: "Tell me about the hammer.", Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	const want = "The hammer is in aisle 4. It costs 12.99 euros."
	if text, complete := s.gateway.Text(); got.Text != want || text != want || !complete {
		t.Errorf("result %q, written %q, complete %t", got.Text, text, complete)
	}
	ms := s.request().Messages
	if n := len(ms); ms[n-2].Role != "assistant" || ms[n-2].Content != "The hammer is in aisle 4." || ms[n-1].Role != "user" {
		t.Errorf("messages %q", ms)
	}
}

// A gateway that is away does not stop the model, and gets all of its text.
func TestAGatewayComesBack(t *testing.T) {
	g := failing(codes.Unavailable)
	g.FailFirst = 2
	s := newScene(t, g, stub.Config{Answer: "Hammers are in aisle four."})
	got, err := s.run(activities.GenerateInput{Question: "Where are hammers?", Stream: true})
	if text, complete := s.gateway.Text(); err != nil || text != got.Text || !complete || text != "Hammers are in aisle four." {
		t.Errorf("result %+v, %v; written %q, complete %t", got, err, text, complete)
	}
}

// Nor does a kiosk that has gone elsewhere: the answer will be spoken there.
func TestAnAnswerIsFinishedForAKioskThatMoves(t *testing.T) {
	s := newScene(t, failing(codes.NotFound), stub.Config{Answer: "Hammers are in aisle four."})
	got, err := s.run(activities.GenerateInput{Question: "Where are hammers?", Stream: true})
	if err != nil || got.Text != "Hammers are in aisle four." || got.Unfinished {
		t.Errorf("result %+v, %v", got, err)
	}
}

func TestAnAnswerThatIsTakenBackTellsHowFarItIs(t *testing.T) {
	s := newScene(t, stub.GatewayConfig{}, stub.Config{
		Owner: "vllm", Answer: "Hammers are in aisle four, " + strings.Repeat("very ", 500), TokenGap: 10 * time.Millisecond,
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	s.env.SetWorkerOptions(worker.Options{BackgroundActivityContext: ctx})
	go func() {
		s.gateway.Wait(ctx, s.gateway.HasText) //nolint:errcheck // then it is cancelled sooner
		cancel(temporal.NewCanceledError())
	}()
	got, err := s.run(activities.GenerateInput{Question: "Where are hammers?", Stream: true})
	if err != nil || !got.Unfinished || !strings.HasPrefix(got.Text, "Hammers") {
		t.Errorf("result %+v, %v", got, err)
	}
	if !s.request().Cancelled {
		t.Error("the model was not stopped")
	}
}

// A model that cannot go on in the middle of a sentence is let finish.
func TestAnAnswerThatIsTakenBackIsFinished(t *testing.T) {
	s := newScene(t, stub.GatewayConfig{}, stub.Config{Owner: "openai", Answer: "Hammers are in aisle four.", TokenGap: 100 * time.Millisecond})
	ctx, cancel := context.WithCancelCause(t.Context())
	s.env.SetWorkerOptions(worker.Options{BackgroundActivityContext: ctx})
	go func() {
		s.gateway.Wait(ctx, s.gateway.HasText) //nolint:errcheck // then it is cancelled sooner
		cancel(temporal.NewCanceledError())
	}()
	got, err := s.run(activities.GenerateInput{Question: "Where are hammers?", Stream: true})
	if err != nil || got.Unfinished || got.Text != "Hammers are in aisle four." {
		t.Errorf("result %+v, %v", got, err)
	}
}

// An answer goes on at another gateway behind what was written at the first.
func TestAnAnswerGoesOn(t *testing.T) {
	const begun = "The hammer is in aisle 4. It costs 12"
	for name, c := range map[string]struct {
		owner, answer string
		last          string // message's role
		continued     bool   // told so
		want          string
	}{
		"vLLM continues":                    {"vllm", ".99 euros.", "assistant", true, "The hammer is in aisle 4. It costs 12.99 euros."},
		"llama.cpp continues by itself":     {"llamacpp", ".99 euros.", "assistant", false, "The hammer is in aisle 4. It costs 12.99 euros."},
		"OpenAI is asked to":                {"openai", "12.99 euros.", "user", false, "The hammer is in aisle 4. It costs 12.99 euros."},
		"OpenAI begins the sentence again":  {"openai", "It costs 12.99 euros.", "user", false, "The hammer is in aisle 4. It costs 12.99 euros."},
		"OpenAI has nothing more to say of": {"openai", "It", "user", false, "The hammer is in aisle 4. It costs It"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, stub.GatewayConfig{}, stub.Config{Owner: c.owner, Answer: c.answer})
			got, err := s.run(activities.GenerateInput{Question: "Tell me about the hammer.", Stream: true, Begun: begun})
			if text, complete := s.gateway.Text(); err != nil || got.Text != c.want || text != c.want || !complete {
				t.Errorf("result %q, %v, written %q, complete %t; want %q", got.Text, err, text, complete, c.want)
			}
			r := s.request()
			if last := r.Messages[len(r.Messages)-1]; last.Role != c.last || r.Continued != c.continued {
				t.Errorf("the last message is %q, continued %t", last, r.Continued)
			}
		})
	}
}

func TestGenerateFails(t *testing.T) {
	fault := func(f stub.Fault) stub.Config {
		f.Path = stub.Chat
		return stub.Config{Faults: []stub.Fault{f}}
	}
	for name, c := range map[string]struct {
		gateway   stub.GatewayConfig
		chat      stub.Config
		kind      string
		permanent bool
	}{
		"slow":             {chat: fault(stub.Fault{Hang: true}), kind: activities.KindTimeout},
		"slow after 200":   {chat: stub.Config{FirstToken: time.Minute}, kind: activities.KindTimeout},
		"empty":            {chat: fault(stub.Fault{Empty: true}), kind: activities.KindRefused},
		"breaks off":       {chat: fault(stub.Fault{Cut: true}), kind: activities.KindAway},
		"busy":             {chat: fault(stub.Fault{Status: 503}), kind: activities.KindAway},
		"unknown model":    {chat: fault(stub.Fault{Status: 404}), kind: activities.KindInvalid, permanent: true},
		"wrong worker key": {gateway: stub.GatewayConfig{Token: "secret"}, kind: activities.KindInvalid, permanent: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, c.gateway, c.chat)
			_, err := s.run(activities.GenerateInput{Question: "Hm?", Stream: true, FirstToken: 300})
			wantKind(t, err, c.kind, c.permanent)
			if _, complete := s.gateway.Text(); complete {
				t.Error("a failed answer was given as complete")
			}
		})
	}
}

func failing(code codes.Code) stub.GatewayConfig {
	return stub.GatewayConfig{Fail: map[string]codes.Code{"Write": code}}
}

func wantKind(t *testing.T, err error, kind string, permanent bool) {
	t.Helper()
	var e *temporal.ApplicationError
	if !errors.As(err, &e) || e.Type() != kind || e.NonRetryable() != permanent {
		t.Errorf("error %v; want kind %q, permanent %t", err, kind, permanent)
	}
}

// ollamaStub speaks Ollama's protocol, as recorded from its documentation.
func ollamaStub(t *testing.T, chat http.HandlerFunc) string {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/tags", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"models":[{"name":"tiny:latest","model":"tiny:latest"}]}`)
	})
	mux.HandleFunc("POST /api/chat", chat)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestOllama(t *testing.T) {
	asked := make(chan map[string]any, 1)
	url := ollamaStub(t, func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		json.NewDecoder(r.Body).Decode(&body) //nolint:errcheck // seen below
		asked <- body
		for _, word := range []string{"Aisle ", "4."} {
			fmt.Fprintf(w, `{"model":"tiny","message":{"role":"assistant","content":%q},"done":false}`+"\n", word)
		}
		fmt.Fprint(w, `{"model":"tiny","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop"}`+"\n")
	})
	model, why, err := llm.Choose(t.Context(), llm.Config{BaseURL: url, Model: "tiny"})
	if err != nil || !strings.HasPrefix(why, "tiny by Ollama at 127.0.0.1:") {
		t.Fatalf("%q, %v", why, err)
	}
	s := sceneWith(t, stub.GatewayConfig{}, model)
	got, err := s.run(activities.GenerateInput{Question: "Where?", MaxTokens: 20})
	if err != nil || got.Text != "Aisle 4." || got.Model != "tiny" {
		t.Errorf("result %+v, %v", got, err)
	}
	body := <-asked
	options := body["options"].(map[string]any)
	if options["num_predict"] != 20.0 || options["temperature"] != llm.DefaultTemperature || body["keep_alive"] != "30m0s" {
		t.Errorf("asked %v", body)
	}
}

func TestOllamaFails(t *testing.T) {
	for name, c := range map[string]struct {
		chat      http.HandlerFunc
		kind      string
		permanent bool
		says      string
	}{
		"no such model": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			fmt.Fprint(w, `{"error":"model 'big' not found"}`)
		}, activities.KindInvalid, true, "ollama pull big"},
		"breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"message":{"role":"assistant","content":"Ais"},"done":false}`+"\n")
		}, activities.KindAway, false, "broke off"},
		"overloaded": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			fmt.Fprint(w, `{"error":"server busy"}`)
		}, activities.KindAway, false, "server busy"},
		"hangs": {func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) //nolint:errcheck // so that the server sees the client go
			<-r.Context().Done()
		}, activities.KindTimeout, false, "within 200ms"},
	} {
		t.Run(name, func(t *testing.T) {
			model, _, err := llm.Choose(t.Context(), llm.Config{Kind: llm.Ollama, BaseURL: ollamaStub(t, c.chat), Model: "big"})
			if err != nil {
				t.Fatal(err)
			}
			s := sceneWith(t, stub.GatewayConfig{}, model)
			_, err = s.run(activities.GenerateInput{Question: "Where?", FirstToken: 200})
			wantKind(t, err, c.kind, c.permanent)
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v does not say %q", err, c.says)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	url := ollamaStub(t, http.NotFound)
	for name, c := range map[string]struct {
		config    llm.Config
		name, why string
	}{
		"no Ollama":        {llm.Config{BaseURL: "http://127.0.0.1:1"}, "extractive", "extractive; no Ollama at 127.0.0.1:1"},
		"model not pulled": {llm.Config{BaseURL: url, Model: "big"}, "extractive", "(ollama pull big)"},
		"there":            {llm.Config{BaseURL: url, Model: "tiny"}, "tiny", "tiny by Ollama"},
		"said so":          {llm.Config{Kind: llm.Extractive, BaseURL: url, Model: "tiny"}, "extractive", "as configured"},
		"OpenAI's API":     {llm.Config{Kind: llm.OpenAI, BaseURL: "http://gpu:8000", Model: "x"}, "x", "x at gpu:8000; as configured"},
	} {
		t.Run(name, func(t *testing.T) {
			model, why, err := llm.Choose(t.Context(), c.config)
			if err != nil || model.Name() != c.name || !strings.Contains(why, c.why) {
				t.Errorf("%v, %q, %v", model, why, err)
			}
		})
	}
	_, _, err := llm.Choose(t.Context(), llm.Config{Kind: "gpt", BaseURL: "x", KeepAlive: -1, Temperature: 3})
	for _, option := range []string{"llm.kind", "llm.base_url", "llm.keep_alive", "llm.temperature"} {
		if err == nil || !strings.Contains(err.Error(), option) {
			t.Errorf("%v does not name %s", err, option)
		}
	}
}
