package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/api/serviceerror"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/workflows"
)

// Of two connections for one kiosk the newer wins. Where the newer one is at
// another gateway, this one learns of it from the conversation, which follows the
// kiosk there and takes its performer along: a session that has lost its performer
// asks where its kiosk is.

const (
	// askAfter is how long a session waits before it asks, twice as long each further
	// time: a worker that stops is followed by another one meanwhile.
	askAfter = time.Second
	asks     = 3

	replaced = "another connection took this kiosk"
)

// stop ends a performer whose stream has ended.
func (p *performer) stop() {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if joins := s.joins; p.missed(joins) {
		s.g.tasks.Go(func() { p.seek(joins) })
	}
}

// missed tells whether the conversation may be without a performer because its
// kiosk is elsewhere: there is a connection, nobody has followed the performer, and
// the kiosk has not come back since so many joins.
func (p *performer) missed(joins int) bool {
	s := p.s
	return s.over == nil && s.conn != nil && s.conversing && s.conversation == p.conversation &&
		s.performers == p.number && s.joins == joins &&
		!slices.ContainsFunc(s.outbox, func(i item) bool { return i.Kind == workflows.Joined })
}

// seek asks the conversation where its kiosk is, and closes the connection here if
// that is elsewhere.
func (p *performer) seek(joins int) {
	s := p.s
	here := activities.Place{Gateway: s.g.cfg.AdvertiseMedia, Session: s.id, Stay: s.stay}
	for try := range asks {
		select {
		case <-time.After(askAfter << try):
		case <-s.g.ctx.Done():
			return
		}
		s.mu.Lock()
		missed := p.missed(joins)
		s.mu.Unlock()
		if !missed {
			return
		}
		place, err := s.g.whereabouts(s.store, s.kiosk)
		if err != nil {
			s.g.log.Warn("kiosk's place not known", "store", s.store, "kiosk", s.kiosk, "try", try+1, "error", err)
			continue
		}
		if place.Session == "" || place == here {
			return
		}
		s.mu.Lock()
		if p.missed(joins) {
			s.g.log.Info("kiosk is elsewhere", "store", s.store, "kiosk", s.kiosk, "session", s.id, "gateway", place.Gateway)
			if place.Session == s.id {
				// Whoever holds this session's token is one kiosk: it has left this
				// connection, or it is here and the conversation has heard late of where it
				// was before. Then it comes back and says so.
				s.hangUp(wire.CloseRestart, "the conversation is elsewhere; connect again")
			} else {
				s.hangUp(wire.CloseReplaced, replaced)
			}
		}
		s.mu.Unlock()
		return
	}
}

// whereabouts gives the gateway, session and stay of a kiosk as its conversation
// has them; none where none is under way.
func (g *Gateway) whereabouts(store, kiosk string) (activities.Place, error) {
	// The performers of a worker that dies are missed all at once.
	select {
	case g.seeking <- struct{}{}:
		defer func() { <-g.seeking }()
	case <-g.ctx.Done():
		return activities.Place{}, context.Cause(g.ctx)
	}
	status, err := g.status(g.ctx, store, kiosk)
	if err != nil || status == nil {
		return activities.Place{}, err
	}
	return activities.Place{Gateway: status.Place.Gateway, Session: status.Place.Session, Stay: status.Place.Stay}, nil
}

// status asks a kiosk's conversation for its status; nil when there is none.
func (g *Gateway) status(ctx context.Context, store, kiosk string) (*workflows.Status, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, queryTimeout, fmt.Errorf("no status within %s", queryTimeout))
	defer cancel()
	v, err := g.cfg.Temporal.QueryWorkflow(ctx, workflows.ConversationID(store, kiosk), "", workflows.StatusQuery)
	var none *serviceerror.NotFound
	if errors.As(err, &none) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("status of kiosk %s: %w", kiosk, err)
	}
	var s workflows.Status
	if err := v.Get(&s); err != nil {
		return nil, fmt.Errorf("status of kiosk %s: %w", kiosk, err)
	}
	return &s, nil
}

// replace closes the connection, because the kiosk has a newer one.
func (s *session) replace() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangUp(wire.CloseReplaced, replaced)
}

// hangUp closes the connection, if there is one.
func (s *session) hangUp(code int, reason string) {
	if c := s.conn; c != nil {
		s.detachLocked(c, time.Now())
		c.close(code, reason)
	}
}
