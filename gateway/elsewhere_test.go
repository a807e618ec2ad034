package gateway

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/workflows"
)

// at is what the conversation says of where its kiosk is.
func (s *stubTemporal) at(p activities.Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[workflows.ConversationID("s1", "k1")] = &workflows.Status{Place: p}
}

// Of two connections for one kiosk the newer wins, and the older is told, wherever
// the newer one is.
func TestTheOlderOfTwoConnectionsIsToldByItsConversation(t *testing.T) {
	away := func(d time.Duration) func(*room) {
		return func(r *room) {
			r.temporal.setAway(errors.New("away"))
			time.AfterFunc(d, func() { r.temporal.setAway(nil) })
		}
	}
	another := func(p *activities.Place) {
		p.Gateway, p.Session, p.Stay = "10.0.0.2:8090", "another", "another"
	}
	for name, c := range map[string]struct {
		elsewhere func(*activities.Place)
		meanwhile func(*room)
		code      int
		asked     int
	}{
		"at another gateway":                  {elsewhere: another, code: wire.CloseReplaced, asked: 1},
		"at the same gateway":                 {elsewhere: func(p *activities.Place) { p.Session, p.Stay = "another", "another" }, code: wire.CloseReplaced, asked: 1},
		"by its own connection elsewhere":     {elsewhere: func(p *activities.Place) { p.Gateway, p.Stay = "10.0.0.2:8090", "another" }, code: wire.CloseRestart, asked: 1},
		"here":                                {elsewhere: func(*activities.Place) {}, asked: 1},
		"nowhere":                             {asked: 1},
		"when Temporal was away for a moment": {elsewhere: another, meanwhile: away(2 * time.Second), code: wire.CloseReplaced, asked: 2},
		"when Temporal stays away":            {elsewhere: another, meanwhile: away(time.Minute), asked: asks},
		"when another performer has come":     {elsewhere: another, meanwhile: func(r *room) { r.s.perform(&media.Cues{Response: 1}) }},
		"when the kiosk has come back":        {elsewhere: another, meanwhile: func(r *room) { r.s.rejoin(nil) }},
		"when the conversation is over":       {elsewhere: another, meanwhile: func(r *room) { r.s.conversationEnded("resolved", time.Now()) }},
	} {
		t.Run(name, func(t *testing.T) {
			inRoom(t, func(t *testing.T, r *room) {
				r.take(wire.ClientReady{Version: "1"})
				synctest.Wait()
				if c.elsewhere != nil {
					p := activities.Place{Store: "s1", Kiosk: "k1", Conversation: "c", Session: "session", Stay: r.s.stay}
					c.elsewhere(&p)
					r.temporal.at(p)
				}
				p := r.s.perform(&media.Cues{Response: 1})
				p.stop()
				if c.meanwhile != nil {
					c.meanwhile(r)
				}
				time.Sleep(20 * time.Second)
				if got := r.k.closedWith(); got != c.code {
					t.Errorf("closed with %d, want %d", got, c.code)
				}
				if r.s.online() == (c.code != 0) {
					t.Errorf("the session is online: %t", r.s.online())
				}
				r.temporal.mu.Lock()
				defer r.temporal.mu.Unlock()
				if r.temporal.asked != c.asked {
					t.Errorf("asked %d times, want %d", r.temporal.asked, c.asked)
				}
			})
		})
	}
}

// A connection that comes while the conversation is being asked is not the one
// that it is asked about.
func TestAKioskThatIsBackIsNotClosed(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		synctest.Wait()
		r.temporal.at(activities.Place{Gateway: "10.0.0.2:8090", Session: "session", Stay: "another"})
		p := r.s.perform(&media.Cues{Response: 1})
		p.stop()
		time.Sleep(askAfter / 2)
		r.s.detach(r.k, time.Now())
		close(r.k.done)
		r.k = r.connect(nil)
		r.s.rejoin(nil)
		time.Sleep(20 * time.Second)
		if got := r.k.closedWith(); got != 0 {
			t.Errorf("closed with %d", got)
		}
	})
}

// A session that was closed so is let go when nobody has come back to it.
func TestWhatTheOlderConnectionLeavesIsLetGo(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		r.take(wire.ClientReady{Version: "1"})
		synctest.Wait()
		r.temporal.at(activities.Place{Gateway: "10.0.0.2:8090", Session: "another", Stay: "another"})
		r.s.perform(&media.Cues{Response: 1}).stop()
		time.Sleep(askAfter + r.g.cfg.Grace + time.Second)
		if !r.s.ended() || r.s.undelivered() > 0 {
			t.Errorf("ended: %t, undelivered: %d", r.s.ended(), r.s.undelivered())
		}
		r.g.mu.Lock()
		defer r.g.mu.Unlock()
		if len(r.g.sessions) > 0 || len(r.g.kiosks) > 0 {
			t.Errorf("%d sessions and %d kiosks are left", len(r.g.sessions), len(r.g.kiosks))
		}
	})
}
