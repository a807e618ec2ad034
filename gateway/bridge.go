package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/workflows"
)

const (
	firstBackoff = 100 * time.Millisecond
	mostBackoff  = 2 * time.Second
	// orphanTime is how long signals of a session that has ended are still tried.
	orphanTime = time.Minute
)

// errNobody tells that no conversation is under way that could be told, which is
// as good as having told it.
var errNobody = errors.New("no conversation is under way")

// An item waits for Temporal to accept it. Without a Kind it only keeps the
// place of a number that there is nothing to signal for.
type item struct {
	workflows.Signal
	seq   int64 // acknowledged when accepted; 0: nothing to acknowledge
	start bool  // begins a conversation when none is under way
	since time.Time
}

// signal queues an item. One goroutine a session delivers them in order; it is
// there only while there is something to deliver.
func (s *session) signal(i item) {
	if i.Kind == "" && i.seq == 0 {
		return
	}
	if len(s.outbox) >= maxOutbox {
		s.g.meters.signalOverflow.Inc()
		if i.seq > 0 { // the kiosk has it and sends it again
			s.received = min(s.received, i.seq-1)
		}
		if s.conn != nil {
			s.conn.close(wire.CloseTooMany, "too much waits for the service; come back after a pause")
		}
		return
	}
	i.since = time.Now()
	i.Gateway, i.Session, i.Stay, i.Seq, i.At = s.g.cfg.AdvertiseMedia, s.id, s.stay, i.seq, i.since.UTC()
	s.outbox = append(s.outbox, i)
	if i.Kind == workflows.Joined {
		s.joins++
	}
	if !s.delivering {
		s.delivering = s.g.tasks.Go(s.deliver)
	}
}

// undelivered counts what Temporal has not accepted yet.
func (s *session) undelivered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.outbox)
}

// deliver sends what is queued, each until it is accepted.
func (s *session) deliver() {
	for {
		s.mu.Lock()
		if len(s.outbox) == 0 || s.g.ctx.Err() != nil {
			s.outbox = nil
			s.delivering = false
			s.mu.Unlock()
			return
		}
		i := s.outbox[0]
		s.mu.Unlock()

		err := s.persist(i)

		s.mu.Lock()
		s.outbox = s.outbox[1:]
		s.settle(i, err)
		s.mu.Unlock()
	}
}

// settle tells the kiosk what became of an item.
func (s *session) settle(i item, err error) {
	if i.Kind == workflows.Joined && !i.start && err == nil {
		s.goOn() // it had gone on while the kiosk was elsewhere
	}
	if err != nil && !errors.Is(err, errNobody) {
		s.g.log.Error("signal not accepted", "store", s.store, "kiosk", s.kiosk, "kind", i.Kind, "error", err)
		if i.seq > 0 {
			s.tell(wire.Error{Field: "id", Message: fmt.Sprintf("message %d could not be taken; a conversation cannot be held now", i.seq)})
		}
		if i.start && len(s.outbox) == 0 {
			s.deafen()
			s.show(idle)
		}
		return
	}
	s.g.meters.signalTime.Observe(time.Since(i.since).Seconds())
	if i.seq > s.durable {
		s.durable = i.seq
		s.tell(wire.Ack{Seq: i.seq})
	}
}

// persist sends one item until Temporal has it. Its error is permanent, or
// errNobody.
func (s *session) persist(i item) error {
	if i.Kind == "" {
		return nil
	}
	away := time.AfterFunc(awayAfter, s.sayAway)
	defer func() {
		away.Stop()
		s.sayBack()
	}()
	for backoff := firstBackoff; ; backoff = min(2*backoff, mostBackoff) {
		err := s.attempt(i)
		if err == nil {
			s.g.meters.signals.WithLabelValues(string(i.Kind), "accepted").Inc()
			return nil
		}
		if errors.Is(err, errNobody) {
			s.g.meters.signals.WithLabelValues(string(i.Kind), "nobody").Inc()
			return err
		}
		if permanent(err) {
			s.g.meters.signals.WithLabelValues(string(i.Kind), "refused").Inc()
			return err
		}
		if s.lost(i) {
			s.g.meters.signals.WithLabelValues(string(i.Kind), "lost").Inc()
			return fmt.Errorf("given up: %w", err)
		}
		s.g.meters.signals.WithLabelValues(string(i.Kind), "retried").Inc()
		s.g.log.Warn("signal is retried", "store", s.store, "kiosk", s.kiosk, "kind", i.Kind, "error", err)
		select {
		case <-time.After(backoff):
		case <-s.g.ctx.Done():
			return context.Cause(s.g.ctx)
		}
	}
}

// lost tells whether nobody is there any more for whom an item must be kept.
func (s *session) lost(i item) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over != nil && time.Since(i.since) > orphanTime
}

// attempt signals once; a conversation that is not under way is started by the
// same call when the item may start one.
func (s *session) attempt(i item) error {
	ctx, cancel := context.WithTimeoutCause(s.g.ctx, signalTimeout,
		fmt.Errorf("Temporal did not answer within %s", signalTimeout))
	defer cancel()
	id := workflows.ConversationID(s.store, s.kiosk)
	if !i.start || s.g.watched(id) {
		err := s.g.cfg.Temporal.SignalWorkflow(ctx, id, "", workflows.KioskSignal, i.Signal)
		var none *serviceerror.NotFound
		switch {
		case err == nil:
			s.g.watch(s.store, s.kiosk, "")
			return nil
		case !errors.As(err, &none):
			return fmt.Errorf("signal %s: %w", id, err)
		case !i.start:
			return errNobody
		}
	}
	plan, inputs, err := s.g.cfg.Plan(ctx, s.store, s.kiosk)
	if err != nil {
		return fmt.Errorf("plan of kiosk %s/%s: %w", s.store, s.kiosk, err)
	}
	run, err := s.g.cfg.Temporal.SignalWithStartWorkflow(ctx, id, workflows.KioskSignal, i.Signal, client.StartWorkflowOptions{
		ID:            id,
		TaskQueue:     activities.Queue(s.store, activities.PoolConversation),
		StaticSummary: fmt.Sprintf("%s at kiosk %s, flow %s %s", s.store, s.kiosk, plan.Flow, plan.Version),
		Memo:          map[string]any{"flow": plan.Flow, "version": plan.Version, "plan_sha256": plan.SHA256},
	}, workflows.ConversationType, workflows.Visit{Store: s.store, Kiosk: s.kiosk, Plan: plan, Inputs: inputs, TimeZone: s.g.cfg.TimeZone})
	if err != nil {
		return fmt.Errorf("start or signal %s: %w", id, err)
	}
	s.g.watch(s.store, s.kiosk, run.GetRunID())
	return nil
}

// permanent tells whether another attempt would only repeat the error.
func permanent(err error) bool {
	var invalid *serviceerror.InvalidArgument
	return errors.As(err, &invalid) || errors.Is(err, ErrUnknownKiosk)
}

// sayAway tells the customer that what they said is kept but cannot be answered
// for now.
func (s *session) sayAway() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.excuse(true, s.waits)
}

func (s *session) sayBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.excuse(false, s.waits)
}

// awayMessage is what a customer reads while the service is out of reach, the
// one text that cannot come from the flow.
func awayMessage(language string) string {
	base, _, _ := strings.Cut(strings.ToLower(language), "-")
	switch base {
	case "de":
		return "Einen Moment bitte, ich bin gleich wieder da."
	case "fr":
		return "Un instant, je reviens tout de suite."
	case "tr":
		return "Bir dakika lütfen, hemen döneceğim."
	}
	return "One moment please, I will be right back."
}

// A watch waits for the end of a kiosk's conversation.
type watch struct {
	run string // the last one that a start or signal named; guarded by Gateway.mu
}

// watched tells whether a conversation is known to be under way.
func (g *Gateway) watched(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.watches[id] != nil
}

// watch waits for the conversation's end, once a kiosk. run is empty for the one
// that is under way.
func (g *Gateway) watch(store, kiosk, run string) {
	id := workflows.ConversationID(store, kiosk)
	g.mu.Lock()
	defer g.mu.Unlock()
	if w := g.watches[id]; w != nil {
		if run != "" {
			w.run = run
		}
		return
	}
	w := &watch{run: run}
	g.watches[id] = w
	g.tasks.Go(func() { g.await(w, store, kiosk) }) // a gateway that has stopped watches nobody
}

// await reports how a kiosk's conversations end, until none is under way.
func (g *Gateway) await(w *watch, store, kiosk string) {
	id := workflows.ConversationID(store, kiosk)
	g.mu.Lock()
	run := w.run
	g.mu.Unlock()
	for counted := ""; ; {
		outcome, last := g.outcome(id, run)
		if g.ctx.Err() != nil {
			return
		}
		if last != counted || last == "" { // a run of a chain that was counted ends with the chain
			g.cfg.Metrics.Conversations.WithLabelValues(store, outcome).Inc()
			counted = last
		}
		g.mu.Lock()
		if w.run != run && w.run != last { // another began, or continued, meanwhile
			run = w.run
			g.mu.Unlock()
			continue
		}
		delete(g.watches, id)
		s := g.kiosks[kioskKey(store, kiosk)]
		g.mu.Unlock()
		g.log.Info("conversation ended", "store", store, "kiosk", kiosk, "conversation", last, "outcome", outcome)
		if s != nil {
			s.conversationEnded(outcome, time.Now())
		}
		return
	}
}

// Outcomes of conversations that did not come to an end of their own; all others
// are the flow's words.
const (
	outcomeTerminated = "terminated"
	outcomeCancelled  = "cancelled"
	outcomeTimedOut   = "timed_out"
	outcomeFailed     = "failed"
)

// outcome waits for a run, and those that continue it, to end; last is the last
// of them.
func (g *Gateway) outcome(id, run string) (outcome, last string) {
	for backoff := firstBackoff; ; backoff = min(2*backoff, mostBackoff) {
		var sum workflows.Summary
		w := g.cfg.Temporal.GetWorkflow(g.ctx, id, run)
		err := w.Get(g.ctx, &sum)
		last := w.GetRunID()

		var failed *temporal.WorkflowExecutionError
		var terminated *temporal.TerminatedError
		var cancelled *temporal.CanceledError
		var late *temporal.TimeoutError
		var none *serviceerror.NotFound
		switch {
		case err == nil:
			return sum.Outcome, last
		case errors.As(err, &terminated):
			return outcomeTerminated, last
		case errors.As(err, &cancelled):
			return outcomeCancelled, last
		case errors.As(err, &late):
			return outcomeTimedOut, last
		case errors.As(err, &failed), errors.As(err, &none):
			return outcomeFailed, last
		}
		// Temporal is away; the conversation is not over for that.
		select {
		case <-time.After(backoff):
		case <-g.ctx.Done():
			return "", last
		}
	}
}
