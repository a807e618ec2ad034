package llm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tmaxmax/go-sse"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/modelserver"
)

// openAI is a model on any server with OpenAI's chat API: vLLM, llama.cpp,
// LocalAI, OpenAI itself.
type openAI struct {
	server      *modelserver.Server
	model       string
	temperature float64
}

func newOpenAI(c Config) *openAI {
	return &openAI{server: modelserver.Over(c.HTTP, c.BaseURL, c.Key), model: c.Model, temperature: c.Temperature}
}

func (o *openAI) Name() string { return o.model }

// chatRequest and chatChunk are the fields that we use of the API's
// chat.completions, streamed.
type chatRequest struct {
	Model       string    `json:"model"`
	Messages    []message `json:"messages"`
	Stream      bool      `json:"stream"`
	MaxTokens   int       `json:"max_tokens"`
	Temperature float64   `json:"temperature"`
	// Format holds the model to a schema; vLLM and llama.cpp do so whatever is
	// strict, which OpenAI allows only for schemas of a certain shape.
	Format *responseFormat `json:"response_format,omitempty"`
	// Of vLLM and SGLang: the last message is the assistant's and stays open.
	ContinueFinal *bool `json:"continue_final_message,omitempty"`
	AddPrompt     *bool `json:"add_generation_prompt,omitempty"`
}

// modelList is what /v1/models answers.
type modelList struct {
	Data []struct {
		OwnedBy string `json:"owned_by"`
	} `json:"data"`
}

type responseFormat struct {
	Type       string `json:"type"` // json_schema
	JSONSchema struct {
		Name   string          `json:"name"`
		Schema json.RawMessage `json:"schema"`
	} `json:"json_schema"`
}

type chatChunk struct {
	Choices []struct {
		Delta struct {
			Content string `json:"content"`
			Refusal string `json:"refusal"`
		} `json:"delta"`
		FinishReason string `json:"finish_reason"`
	} `json:"choices"`
	Error *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// The servers that continue an assistant's last message, by what they write as the
// owner of their models; llama.cpp does so of itself.
const (
	vLLM     = "vllm"
	sgLang   = "sglang"
	llamaCPP = "llamacpp"
)

// Continues implements Model. It asks the server which one it is, because OpenAI's
// own refuses what the others need to be told.
func (o *openAI) Continues(ctx context.Context) bool {
	return slices.Contains([]string{vLLM, sgLang, llamaCPP}, o.kind(ctx))
}

// kindTimeout bounds the question which server it is.
const kindTimeout = time.Second

// kind is the owner of the server's models, or "". It is asked anew each time: a
// broken answer is rare, and another server may have taken its place.
func (o *openAI) kind(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, kindTimeout)
	defer cancel()
	res, err := o.server.Get(ctx, "/v1/models")
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	var list modelList
	if json.NewDecoder(io.LimitReader(res.Body, maxModelList)).Decode(&list) != nil || len(list.Data) == 0 {
		return ""
	}
	return list.Data[0].OwnedBy
}

// maxModelList bounds a server's list of models, in bytes.
const maxModelList = 1 << 20

// Answer implements Model.
func (o *openAI) Answer(ctx context.Context, q Question, emit func(string) error) error {
	req := chatRequest{
		Model:       o.model,
		Messages:    q.messages(),
		Stream:      true,
		MaxTokens:   q.MaxTokens,
		Temperature: o.temperature,
	}
	if q.Exact {
		req.Temperature = 0
	}
	if len(q.Schema) > 0 {
		req.Format = &responseFormat{Type: "json_schema"}
		req.Format.JSONSchema.Name, req.Format.JSONSchema.Schema = "answer", q.Schema
	}
	if q.Prefill && o.kind(ctx) != llamaCPP {
		req.ContinueFinal, req.AddPrompt = new(true), new(false)
	}
	body, err := json.Marshal(req)
	if err != nil {
		return activities.Permanent(activities.KindInvalid, fmt.Errorf("write the chat request: %w", err))
	}
	res, err := o.server.Post(ctx, "/v1/chat/completions", "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()

	finished := false
	for event, err := range sse.Read(res.Body, nil) {
		if err != nil {
			return modelserver.Broken(ctx, o.server.String(), err)
		}
		if event.Data == "[DONE]" {
			return nil
		}
		var chunk chatChunk
		if err := json.Unmarshal([]byte(event.Data), &chunk); err != nil {
			return activities.Permanent(activities.KindInvalid, fmt.Errorf("%s answered no chat chunk: %w", o.server, err))
		}
		if chunk.Error != nil {
			return activities.Retryable(activities.KindAway, fmt.Errorf("%s: %s", o.server, chunk.Error.Message))
		}
		for _, c := range chunk.Choices {
			if c.Delta.Refusal != "" || c.FinishReason == "content_filter" {
				return activities.Permanent(activities.KindRefused, fmt.Errorf("%s declined to answer", o.model))
			}
			finished = finished || c.FinishReason != ""
			if c.Delta.Content == "" {
				continue
			}
			if err := emit(c.Delta.Content); err != nil {
				return err
			}
		}
	}
	if !finished {
		return modelserver.Broken(ctx, o.server.String(), errors.New("the answer broke off"))
	}
	return nil
}
