package flowtest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
)

// direct puts a stage's cast in place of the activities. They run as coroutines
// of the workflow instead of goroutines of their own: what happens first is then
// the same each time, time that they take is virtual, and a turn costs
// microseconds. Time limits and retries are those of the workflow's own options.
func direct(s *stage) []interceptor.WorkerInterceptor {
	return []interceptor.WorkerInterceptor{&director{stage: s}}
}

type director struct {
	interceptor.WorkerInterceptorBase
	stage *stage
}

func (d *director) InterceptWorkflow(ctx workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	in := &inbound{stage: d.stage}
	in.Next = next
	return in
}

type inbound struct {
	interceptor.WorkflowInboundInterceptorBase
	stage *stage
}

func (i *inbound) Init(next interceptor.WorkflowOutboundInterceptor) error {
	out := &outbound{stage: i.stage}
	out.Next = next
	return i.Next.Init(out)
}

type outbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	stage *stage
}

func (o *outbound) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	future, result := workflow.NewFuture(ctx)
	workflow.Go(ctx, func(ctx workflow.Context) {
		value, err := o.stage.run(ctx, name, args[0])
		if err == nil {
			// Values are as they are after their journey through a history.
			value, err = converter.GetDefaultDataConverter().ToPayloads(value)
		}
		if err != nil {
			result.SetError(err)
		} else {
			result.SetValue(value)
		}
		o.stage.settle()
	})
	return future
}

// run is one activity with all its attempts.
func (s *stage) run(ctx workflow.Context, name string, arg any) (any, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	switch in := arg.(type) {
	case activities.SpeakInput:
		return s.voice(ctx, in)
	case activities.TranscribeInput:
		return s.hear(ctx, in)
	case activities.PerformInput:
		// The avatar is there for as long as the session.
		return activities.PerformResult{}, workflow.Await(ctx, func() bool { return false })
	case activities.CallInput:
		s.calls = append(s.calls, in)
	}
	options := workflow.GetActivityOptions(ctx)
	started, backoff := workflow.Now(ctx), options.RetryPolicy.InitialInterval
	for attempt := int32(1); ; attempt++ {
		limit := options.StartToCloseTimeout
		if all := options.ScheduleToCloseTimeout; all > 0 {
			limit = min(limit, all-workflow.Now(ctx).Sub(started))
		}
		value, err := s.attempt(ctx, arg, limit)
		over := options.ScheduleToCloseTimeout > 0 && workflow.Now(ctx).Sub(started)+backoff >= options.ScheduleToCloseTimeout
		if err == nil || temporal.IsCanceledError(err) || permanent(err) || attempt == options.RetryPolicy.MaximumAttempts || over {
			return value, err
		}
		if err := workflow.Sleep(ctx, backoff); err != nil {
			return nil, err
		}
		backoff *= 2
	}
}

func permanent(err error) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app) && app.NonRetryable()
}

// attempt asks the cast once.
func (s *stage) attempt(ctx workflow.Context, arg any, limit time.Duration) (any, error) {
	// An activity's summary begins with the author's step.
	step, _, _ := strings.Cut(workflow.GetActivityOptions(ctx).Summary, " · ")
	var got answer
	var usual time.Duration
	firstToken := time.Duration(0)
	switch in := arg.(type) {
	case activities.RetrieveInput:
		got, usual = s.cast.retrieve(step, in), usualSearch
	case activities.GenerateInput:
		got, usual = s.cast.generate(in), usualFirstToken
		firstToken = activities.FirstToken
		if in.FirstToken > 0 {
			firstToken = time.Duration(in.FirstToken) * time.Millisecond
		}
	case activities.UnderstandInput:
		got, usual = s.cast.understand(in), usualModel
	case activities.CallInput:
		got, usual = s.cast.call(in), usualCall
	default:
		return nil, activities.Permanent(activities.KindInvalid, fmt.Errorf("a rehearsal has nobody for %T", arg))
	}
	if got.after == 0 {
		got.after = usual
	}
	if firstToken > 0 && got.after > firstToken && firstToken < limit {
		if err := workflow.Sleep(ctx, firstToken); err != nil {
			return nil, err
		}
		return nil, activities.Retryable(activities.KindTimeout, fmt.Errorf("no first token within %s", firstToken))
	}
	if got.after > limit {
		if err := workflow.Sleep(ctx, limit); err != nil {
			return nil, err
		}
		return nil, temporal.NewTimeoutError(enums.TIMEOUT_TYPE_START_TO_CLOSE, nil)
	}
	if err := workflow.Sleep(ctx, got.after); err != nil {
		return nil, err
	}
	if got.fails != "" {
		return nil, failure(got.fails)
	}
	return s.result(arg, got)
}

// result makes a server's result of an answer.
func (s *stage) result(arg any, got answer) (any, error) {
	took := got.after.Milliseconds()
	switch in := arg.(type) {
	case activities.RetrieveInput:
		found, err := passages(got.value)
		if err != nil {
			return nil, activities.Permanent(activities.KindInvalid, err)
		}
		found = found[:min(len(found), in.TopK)]
		for i, p := range found {
			if p.Score < in.MinScore {
				found = found[:i]
				break
			}
		}
		return activities.RetrieveResult{Passages: found}, nil
	case activities.GenerateInput:
		result := activities.GenerateResult{Model: "rehearsal", FirstTokenMs: took, Ms: took}
		if in.Schema != nil {
			result.Value, result.Text = got.value, asText(got.value)
		} else {
			result.Text = asText(got.value)
		}
		s.generated[in.Response] = result.Text
		return result, nil
	case activities.UnderstandInput:
		result, _ := got.value.(activities.UnderstandResult)
		result.Model, result.Ms = "rehearsal", took
		return result, nil
	}
	return activities.CallResult{Value: got.value, Status: 200, Ms: took}, nil
}

// voice speaks one response, from when it can be heard and for as long as its
// text takes to say, or until the customer or the workflow cuts it.
func (s *stage) voice(ctx workflow.Context, in activities.SpeakInput) (activities.SpeakResult, error) {
	text := in.Text
	heard, err := s.await(ctx, in.After, func() (err error) {
		if text == "" {
			text, err = s.written(ctx, in)
		}
		return err
	})
	if err != nil {
		return activities.SpeakResult{}, err
	}
	if !heard {
		return activities.SpeakResult{Response: in.Response, Text: text, Interrupted: true, Voice: "rehearsal"}, nil
	}
	r := s.begin(in, strings.TrimSpace(text))
	s.play(ctx, r)
	return s.end(r), nil
}

// written waits for the text that the model writes, with what covers the wait
// when it is long for the customer.
func (s *stage) written(ctx workflow.Context, in activities.SpeakInput) (string, error) {
	patience := activities.CoverAfter
	if x := s.sound(in.After); x != nil {
		patience += max(0, x.ends.Add(x.silence).Sub(s.env.Now()))
	}
	written := func() bool { _, ok := s.generated[in.Response]; return ok }
	inTime, err := workflow.AwaitWithTimeout(ctx, patience, written)
	if err == nil {
		err = workflow.Await(ctx, written)
	}
	text := s.generated[in.Response]
	if !inTime && in.Cover != "" {
		text = in.Cover + " " + text
	}
	return text, err
}
