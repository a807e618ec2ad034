package gateway

import (
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

const (
	lookEvery      = 2 * time.Second  // for calls, while somebody listens
	aliveEvery     = 15 * time.Second // a comment, so that proxies keep a silent stream
	maxListeners   = 100
	maxStaffEvents = 64 // that wait for one listener; then it counts as gone
)

var errListeners = errors.New("too many listen already; close one")

// A desk tells everybody who listens which calls for staff begin and end. It
// looks for them only while somebody listens, once for all.
type desk struct {
	g    *Gateway
	wake chan struct{} // capacity 1: look now

	mu        sync.Mutex
	listeners map[*listener]struct{}
	looking   bool
	calls     []staffCall // as last told
}

// A listener is one stream of events. Its first event is "list".
type listener struct {
	events chan staffEvent // closed when it is dropped
	told   string          // "list", and then what is new; "away"; or nothing yet
}

// A staffEvent is one of:
//
//	list     calls       every call there is now; first, and after away
//	handoff  staffCall   one that is new or has changed
//	ended    endedCall   one that is over
//	away     nothing     the conversations cannot be reached; what was told may be old
type staffEvent struct {
	name string
	data any
}

type endedCall struct {
	ID    string `json:"id"`
	Kiosk string `json:"kiosk"`
}

func (d *desk) join() (*listener, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.listeners) >= maxListeners {
		return nil, errListeners
	}
	l := &listener{events: make(chan staffEvent, maxStaffEvents)}
	d.listeners[l] = struct{}{}
	d.g.meters.listeners.Set(float64(len(d.listeners)))
	if !d.looking {
		d.looking = true
		d.g.tasks.Go(d.look)
	}
	d.lookAgain()
	return l, nil
}

func (d *desk) leave(l *listener) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(l)
}

// drop is called with the lock held.
func (d *desk) drop(l *listener) {
	if _, ok := d.listeners[l]; ok {
		delete(d.listeners, l)
		close(l.events)
		d.g.meters.listeners.Set(float64(len(d.listeners)))
	}
}

// lookAgain makes the desk look now instead of soon.
func (d *desk) lookAgain() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// look goes on until nobody listens.
func (d *desk) look() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-d.wake:
		case <-tick.C:
		case <-d.g.ctx.Done():
		}
		found, err := d.g.callsNow(d.g.ctx, "")
		d.mu.Lock()
		switch {
		case len(d.listeners) == 0 || d.g.ctx.Err() != nil:
			d.looking, d.calls = false, nil
			for l := range d.listeners {
				d.drop(l)
			}
			d.mu.Unlock()
			return
		case err != nil:
			d.g.log.Warn("calls for staff cannot be listed", "store", d.g.cfg.Store, "error", err)
			d.sayAway()
		default:
			d.tell(found)
		}
		d.mu.Unlock()
	}
}

// sayAway tells each listener once. Those that come back get a list.
func (d *desk) sayAway() {
	for l := range d.listeners {
		if l.told != "away" {
			l.told = "away"
			d.send(l, staffEvent{name: "away", data: struct{}{}})
		}
	}
}

// tell brings every listener up to date.
func (d *desk) tell(found calls) {
	for _, old := range d.calls { // one that cannot be asked now is as it was
		if slices.Contains(found.Unread, old.Kiosk) {
			found.Handoffs = append(found.Handoffs, old)
		}
	}
	var news []staffEvent
	for _, old := range d.calls {
		if !slices.ContainsFunc(found.Handoffs, func(c staffCall) bool { return c.ID == old.ID && c.Kiosk == old.Kiosk }) {
			news = append(news, staffEvent{"ended", endedCall{ID: old.ID, Kiosk: old.Kiosk}})
		}
	}
	for _, call := range found.Handoffs {
		if !slices.ContainsFunc(d.calls, func(old staffCall) bool { return reflect.DeepEqual(old, call) }) {
			news = append(news, staffEvent{"handoff", call})
		}
	}
	d.calls = found.Handoffs
	for l := range d.listeners {
		if l.told != "list" {
			l.told = "list"
			d.send(l, staffEvent{"list", found})
			continue
		}
		d.send(l, news...)
	}
}

func (d *desk) send(l *listener, news ...staffEvent) {
	for _, e := range news {
		select {
		case l.events <- e:
		default: // it comes back when it reads again
			d.g.meters.listenersDropped.Inc()
			d.drop(l)
			return
		}
	}
}

// tellStaff streams what happens as Server-Sent Events, until the listener goes.
func (g *Gateway) tellStaff(c *gin.Context) {
	l, err := g.desk.join()
	if err != nil {
		sayLater(c, http.StatusServiceUnavailable, err.Error())
		return
	}
	defer g.desk.leave(l)
	c.Header("Content-Type", "text/event-stream")
	c.Header("X-Accel-Buffering", "no") // nginx would hold events back
	c.Status(http.StatusOK)
	stream := http.NewResponseController(c.Writer)
	// The server's times for a request do not hold for a stream.
	if err := stream.SetReadDeadline(time.Time{}); err != nil {
		g.log.Error("staff cannot be told", "error", err)
		return
	}
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	event, open := staffEvent{}, true
	for open {
		// A connection that breaks, or is not read, ends the request's context.
		if err := stream.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return
		}
		if event.name == "" {
			_, _ = io.WriteString(c.Writer, ": alive\n\n")
		} else {
			c.SSEvent(event.name, event.data)
		}
		c.Writer.Flush()
		event = staffEvent{}
		select {
		case event, open = <-l.events:
		case <-alive.C:
		case <-c.Request.Context().Done():
			return
		}
	}
}
