package llm

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/praesenz/parley/activities"
)

// A Model answers questions as a stream of text. Three implement it: Ollama,
// any server with OpenAI's chat API, and the extractive answerer.
type Model interface {
	// Name is what the answer's record shows: "qwen2.5:14b", "extractive".
	Name() string
	// Answer calls emit with each piece of text, in order, and returns when the
	// answer is complete or ctx has ended, with the context's cause then. An
	// error that emit returns ends the answer and comes back unchanged. Other
	// errors are the contract's: permanent or retryable, with a kind.
	Answer(ctx context.Context, q Question, emit func(delta string) error) error
	// Continues tells whether the model goes on behind a Begun that ends anywhere,
	// as if it had written it itself. Others are asked to, and may word it anew.
	Continues(ctx context.Context) bool
}

// A Question is everything a model may know when it answers.
type Question struct {
	System    string // the flow's instruction
	History   []activities.Said
	Text      string
	Passages  []activities.Passage
	Language  string // BCP 47
	Grounded  bool   // answer only from the passages, else with Ungrounded
	MaxTokens int
	// Begun is the start of the answer that an earlier attempt gave and that may
	// have been spoken already. The answer continues after it.
	Begun string
	// Prefill: the model continues Begun itself; see Model.Continues.
	Prefill bool
	// Schema is the JSON Schema that the answer, then one JSON value, has to
	// fulfil. The server is asked to hold the model to it; who cannot be held
	// answers KindUnable.
	Schema json.RawMessage
	// Exact wants the most likely answer, without any chance in it.
	Exact bool
}

// Ungrounded is what a model is told to answer when the passages do not hold
// the answer. It never reaches a customer.
const Ungrounded = "[[UNGROUNDED]]"

// A message of a chat.
type message struct {
	Role    string `json:"role"` // system, user or assistant
	Content string `json:"content"`
}

// messages is the question as a chat: the instruction, what was said, and the
// question with those passages that the instruction does not quote already.
func (q Question) messages() []message {
	system := strings.TrimSpace(q.System)
	if q.Grounded {
		system += "\n\nAnswer only with what the passages say. When they do not hold the answer, this rule comes before all others: answer exactly " + Ungrounded + " and nothing else."
	}
	if len(q.Schema) > 0 { // a model that knows what it is held to does better
		system += "\n\nAnswer with one JSON value that fulfils this JSON Schema, and nothing else:\n" + string(q.Schema)
	}
	ms := []message{{"system", strings.TrimSpace(system)}}
	for _, s := range q.History {
		role := "user"
		if s.By == "kiosk" {
			role = "assistant"
		}
		// Some chat templates refuse two messages of one role in a row.
		if last := &ms[len(ms)-1]; last.Role == role {
			last.Content += "\n" + s.Text
			continue
		}
		ms = append(ms, message{role, s.Text})
	}

	var b strings.Builder
	n := 0
	for _, p := range q.Passages {
		if strings.Contains(q.System, strings.TrimSpace(p.Text)) {
			continue
		}
		if n++; n == 1 {
			b.WriteString("Passages:\n")
		}
		fmt.Fprintf(&b, "[%d] %s\n%s\n\n", n, p.Title, strings.TrimSpace(p.Text))
	}
	if n > 0 {
		b.WriteString("Question: ")
	}
	b.WriteString(q.Text)
	if last := &ms[len(ms)-1]; last.Role == "user" {
		last.Content += "\n" + b.String()
	} else {
		ms = append(ms, message{"user", b.String()})
	}

	if q.Prefill {
		ms = append(ms, message{"assistant", q.Begun})
	} else if q.Begun != "" {
		ms = append(ms,
			message{"assistant", q.Begun},
			message{"user", "You were interrupted there. Give only what is still missing of that answer, and repeat nothing."})
	}
	return ms
}
