package timing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/workflows"
)

// A stubTemporal stands in for Temporal and its workers: it runs the real
// Conversation in the SDK's test environment, and the real activities with their
// attempts, time limits and heartbeats. The environment's own clock follows
// neither the bubble's nor the wall's while activities run, so timers and
// activities are run here, on the bubble's. Nothing that it does takes time,
// except where away says so.
type stubTemporal struct {
	activities map[string]any // by name
	log        *slog.Logger
	// ended is told of each activity's end.
	ended func(name string, input, result any, err error)

	mu   sync.Mutex
	runs []*run
	away bool // nothing is taken
}

// A run is one conversation.
type run struct {
	*stubTemporal
	id      string // the run's
	env     *testsuite.TestWorkflowEnvironment
	stopped context.Context // when it is over
	over    chan struct{}
	done    chan struct{} // and so are its activities
	tasks   sync.WaitGroup

	// What the workflow waits for, by number. Only its coroutines touch waiting.
	waiting map[int]workflow.Settable
	last    int
	mu      sync.Mutex
	results map[int]result

	summary workflows.Summary // once it is over
	err     error
}

type result struct {
	value any
	err   error
}

// settledSignal tells a workflow that something it waits for has a result.
const settledSignal = "timing: settled"

func (s *stubTemporal) setAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// current is the run under way, or nil.
func (s *stubTemporal) current() *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.runs) == 0 {
		return nil
	}
	r := s.runs[len(s.runs)-1]
	select {
	case <-r.over:
		return nil
	default:
		return r
	}
}

func (s *stubTemporal) reachable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return serviceerror.NewUnavailable("made to be away")
	}
	return nil
}

// SignalWithStartWorkflow implements gateway.Temporal.
func (s *stubTemporal) SignalWithStartWorkflow(_ context.Context, id, signal string, arg any, _ client.StartWorkflowOptions, name any, args ...any) (client.WorkflowRun, error) {
	if err := s.reachable(); err != nil {
		return nil, err
	}
	r := s.current()
	if r == nil {
		r = s.start(name.(string), args[0])
	}
	r.signal(signal, arg)
	return handle{r}, nil
}

// SignalWorkflow implements gateway.Temporal.
func (s *stubTemporal) SignalWorkflow(_ context.Context, id, _, signal string, arg any) error {
	if err := s.reachable(); err != nil {
		return err
	}
	r := s.current()
	if r == nil {
		return serviceerror.NewNotFound("no conversation " + id)
	}
	r.signal(signal, arg)
	return nil
}

// GetWorkflow implements gateway.Temporal.
func (s *stubTemporal) GetWorkflow(_ context.Context, _, id string) client.WorkflowRun {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		if r.id == id || id == "" && r == s.runs[len(s.runs)-1] {
			return handle{r}
		}
	}
	return handle{}
}

// ListWorkflow implements gateway.Temporal.
func (*stubTemporal) ListWorkflow(context.Context, *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	return nil, serviceerror.NewUnimplemented("ListWorkflow")
}

// QueryWorkflow implements gateway.Temporal.
func (s *stubTemporal) QueryWorkflow(ctx context.Context, id, _, query string, args ...any) (converter.EncodedValue, error) {
	if err := s.reachable(); err != nil {
		return nil, err
	}
	r := s.current()
	if r == nil {
		return nil, serviceerror.NewNotFound("no conversation " + id)
	}
	type answer struct {
		value converter.EncodedValue
		err   error
	}
	answered := make(chan answer, 1)
	r.env.RegisterDelayedCallback(func() { // between two steps of the workflow
		value, err := r.env.QueryWorkflow(query, args...)
		answered <- answer{value, err}
	}, 0)
	select {
	case a := <-answered:
		return a.value, a.err
	case <-r.over:
		return nil, serviceerror.NewNotFound("no conversation " + id)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// UpdateWorkflow implements gateway.Temporal.
func (*stubTemporal) UpdateWorkflow(context.Context, client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	return nil, serviceerror.NewUnimplemented("UpdateWorkflow")
}

// A handle is what the gateway watches a conversation by.
type handle struct{ r *run }

func (h handle) GetID() string { return "" }

func (h handle) GetRunID() string {
	if h.r == nil {
		return ""
	}
	return h.r.id
}

func (h handle) GetFirstExecutionRunID() string { return h.GetRunID() }

func (h handle) Get(ctx context.Context, into any) error {
	if h.r == nil {
		return serviceerror.NewNotFound("no such conversation")
	}
	select {
	case <-h.r.over:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	*into.(*workflows.Summary) = h.r.summary
	return h.r.err
}

func (h handle) GetWithOptions(ctx context.Context, into any, _ client.WorkflowRunGetOptions) error {
	return h.Get(ctx, into)
}

// start begins a conversation.
func (s *stubTemporal) start(name string, input any) *run {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(s.log))
	stopped, stop := context.WithCancel(context.Background())
	r := &run{
		stubTemporal: s, env: suite.NewTestWorkflowEnvironment(), stopped: stopped,
		over: make(chan struct{}), done: make(chan struct{}), waiting: map[int]workflow.Settable{}, results: map[int]result{},
	}
	r.env.SetWorkflowRunTimeout(0) // its timer would fire as soon as nothing else is to do
	r.env.SetTestTimeout(24 * time.Hour)
	r.env.SetStartTime(time.Now())
	r.env.SetWorkerOptions(sdkworker.Options{Interceptors: []interceptor.WorkerInterceptor{&onBubbleTime{run: r}}})
	r.env.RegisterWorkflowWithOptions(workflows.Conversation, workflow.RegisterOptions{Name: name})
	s.mu.Lock()
	s.runs = append(s.runs, r)
	r.id = fmt.Sprintf("run-%d", len(s.runs))
	s.mu.Unlock()
	go func() {
		defer close(r.done)
		r.env.ExecuteWorkflow(name, input)
		if r.err = r.env.GetWorkflowError(); r.err == nil {
			r.err = r.env.GetWorkflowResult(&r.summary)
		}
		close(r.over)
		stop()
		r.tasks.Wait()
	}()
	return r
}

// signal reaches a run that has not begun, too.
func (r *run) signal(name string, arg any) {
	r.env.RegisterDelayedCallback(func() { r.env.SignalWorkflow(name, arg) }, 0)
}

// end cancels the run and waits until nothing of it is left.
func (r *run) end() {
	r.env.CancelWorkflow()
	<-r.done
}

// status asks the conversation for its status. Nothing may be going on.
func (r *run) status() (status workflows.Status, err error) {
	value, err := r.env.QueryWorkflow(workflows.StatusQuery)
	if err != nil {
		return status, fmt.Errorf("query the conversation: %w", err)
	}
	return status, value.Get(&status)
}

// meanwhile does something outside of the workflow and gives its result.
func (r *run) meanwhile(ctx workflow.Context, do func() (any, error)) workflow.Future {
	future, settable := workflow.NewFuture(ctx)
	r.last++
	n := r.last
	r.waiting[n] = settable
	r.tasks.Go(func() {
		value, err := do()
		r.mu.Lock()
		r.results[n] = result{value, err}
		r.mu.Unlock()
		r.signal(settledSignal, n)
	})
	return future
}

// settle gives the workflow the results as they come.
func (r *run) settle(ctx workflow.Context) {
	settled := workflow.GetSignalChannel(ctx, settledSignal)
	for {
		var n int
		settled.Receive(ctx, &n)
		r.mu.Lock()
		got := r.results[n]
		delete(r.results, n)
		r.mu.Unlock()
		// Values are as they are after their journey through a history.
		if got.err == nil && got.value != nil {
			got.value, got.err = converter.GetDefaultDataConverter().ToPayloads(got.value)
		}
		r.waiting[n].Set(got.value, got.err)
		delete(r.waiting, n)
	}
}

// onBubbleTime puts the bubble's clock, and activities that live by it, in place
// of the test environment's.
type onBubbleTime struct {
	interceptor.WorkerInterceptorBase
	run *run
}

func (i *onBubbleTime) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	in := &inbound{run: i.run}
	in.Next = next
	return in
}

type inbound struct {
	interceptor.WorkflowInboundInterceptorBase
	run *run
}

func (i *inbound) Init(next interceptor.WorkflowOutboundInterceptor) error {
	out := &outbound{run: i.run}
	out.Next = next
	return i.Next.Init(out)
}

func (i *inbound) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	workflow.Go(ctx, i.run.settle)
	return i.Next.ExecuteWorkflow(ctx, in)
}

type outbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	run *run
}

// GetInfo names the run, by which the gateway knows one conversation from the next.
func (o *outbound) GetInfo(ctx workflow.Context) *workflow.Info {
	info := *o.Next.GetInfo(ctx)
	info.FirstRunID = o.run.id
	return &info
}

func (o *outbound) Now(workflow.Context) time.Time { return time.Now() }

func (o *outbound) Sleep(ctx workflow.Context, d time.Duration) error {
	return o.NewTimer(ctx, d).Get(ctx, nil)
}

func (o *outbound) NewTimerWithOptions(ctx workflow.Context, d time.Duration, _ workflow.TimerOptions) workflow.Future {
	return o.NewTimer(ctx, d)
}

func (o *outbound) NewTimer(ctx workflow.Context, d time.Duration) workflow.Future {
	return o.cancellable(ctx, false, func(cancelled context.Context) (any, error) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil, nil
		case <-cancelled.Done():
			return nil, temporal.NewCanceledError()
		}
	})
}

func (o *outbound) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	options := workflow.GetActivityOptions(ctx)
	return o.cancellable(ctx, options.WaitForCancellation, func(cancelled context.Context) (any, error) {
		return o.run.perform(cancelled, name, args[0], options)
	})
}

func (o *outbound) ExecuteLocalActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	l := workflow.GetLocalActivityOptions(ctx)
	options := workflow.ActivityOptions{
		ScheduleToCloseTimeout: l.ScheduleToCloseTimeout, StartToCloseTimeout: l.StartToCloseTimeout, RetryPolicy: l.RetryPolicy,
	}
	if options.RetryPolicy == nil {
		options.RetryPolicy = &temporal.RetryPolicy{MaximumAttempts: 1}
	}
	return o.cancellable(ctx, false, func(cancelled context.Context) (any, error) {
		return o.run.perform(cancelled, name, args[0], options)
	})
}

// cancellable does something that the workflow may cancel, and then either waits
// for its end or does not.
func (o *outbound) cancellable(ctx workflow.Context, wait bool, do func(cancelled context.Context) (any, error)) workflow.Future {
	future, settable := workflow.NewFuture(ctx)
	if ctx.Err() != nil {
		settable.SetError(ctx.Err())
		return future
	}
	cancelled, cancel := context.WithCancel(o.run.stopped)
	done := o.run.meanwhile(ctx, func() (any, error) { return do(cancelled) })
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer cancel()
		workflow.NewSelector(ctx).AddFuture(done, func(workflow.Future) {}).AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) { cancel() }).Select(ctx)
		if !done.IsReady() && !wait {
			settable.SetError(temporal.NewCanceledError())
			return
		}
		settable.Chain(done)
	})
	return future
}

// perform is one activity with all its attempts.
func (r *run) perform(cancelled context.Context, name string, input any, o workflow.ActivityOptions) (any, error) {
	scheduled, backoff := time.Now(), o.RetryPolicy.InitialInterval
	var details *commonpb.Payload
	for attempt := int32(1); ; attempt++ {
		limit := cmp.Or(o.StartToCloseTimeout, o.ScheduleToCloseTimeout)
		if o.ScheduleToCloseTimeout > 0 {
			limit = min(limit, o.ScheduleToCloseTimeout-time.Since(scheduled))
		}
		a := &attempted{details: details}
		value, err := a.run(cancelled, name, r.activities[name], input, limit, r.log)
		details = a.details
		over := o.ScheduleToCloseTimeout > 0 && time.Since(scheduled)+backoff >= o.ScheduleToCloseTimeout
		var app *temporal.ApplicationError
		permanent := errors.As(err, &app) && app.NonRetryable() || temporal.IsCanceledError(err)
		if err == nil || permanent || over || attempt == o.RetryPolicy.MaximumAttempts {
			r.ended(name, input, value, err)
			return value, err
		}
		select {
		case <-time.After(backoff):
		case <-cancelled.Done():
			return nil, temporal.NewCanceledError()
		}
		backoff *= 2
	}
}

// An attempted activity is told of its cancellation by its next heartbeat, as
// Temporal's are.
type attempted struct {
	interceptor.WorkerInterceptorBase
	mu        sync.Mutex
	details   *commonpb.Payload // of the last heartbeat
	cancelled context.Context
	cancel    context.CancelCauseFunc
}

func (a *attempted) run(cancelled context.Context, name string, f, input any, limit time.Duration, logger *slog.Logger) (any, error) {
	if cancelled.Err() != nil {
		return nil, temporal.NewCanceledError()
	}
	ctx, stop := context.WithTimeoutCause(context.Background(), limit, context.DeadlineExceeded)
	defer stop()
	ctx, a.cancel = context.WithCancelCause(ctx)
	defer a.cancel(nil)
	a.cancelled = cancelled

	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(logger))
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(sdkworker.Options{BackgroundActivityContext: ctx, Interceptors: []interceptor.WorkerInterceptor{a}})
	env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	if a.details != nil {
		env.SetHeartbeatDetails(converter.NewRawValue(a.details))
	}
	got, err := env.ExecuteActivity(name, input)
	switch {
	case err != nil && ctx.Err() != nil && temporal.IsCanceledError(context.Cause(ctx)):
		return nil, temporal.NewCanceledError()
	case err != nil && ctx.Err() != nil:
		return nil, temporal.NewTimeoutError(enums.TIMEOUT_TYPE_START_TO_CLOSE, nil)
	case err != nil:
		return nil, err
	}
	value := reflect.New(reflect.TypeOf(f).Out(0))
	if err := got.Get(value.Interface()); err != nil {
		return nil, fmt.Errorf("read the result of %s: %w", name, err)
	}
	return value.Elem().Interface(), nil
}

func (a *attempted) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	in := &beatingInbound{attempt: a}
	in.Next = next
	return in
}

type beatingInbound struct {
	interceptor.ActivityInboundInterceptorBase
	attempt *attempted
}

func (b *beatingInbound) Init(next interceptor.ActivityOutboundInterceptor) error {
	out := &beatingOutbound{attempt: b.attempt}
	out.Next = next
	return b.Next.Init(out)
}

type beatingOutbound struct {
	interceptor.ActivityOutboundInterceptorBase
	attempt *attempted
}

func (b *beatingOutbound) RecordHeartbeat(_ context.Context, details ...any) {
	a := b.attempt
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(details) > 0 {
		if p, err := converter.GetDefaultDataConverter().ToPayload(details[0]); err == nil {
			a.details = p
		}
	}
	if a.cancelled.Err() != nil {
		a.cancel(temporal.NewCanceledError())
	}
}
