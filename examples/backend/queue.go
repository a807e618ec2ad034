package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"
)

// pharmacyKiosk is the kiosk of examples/pharmacy-queue.
const pharmacyKiosk = "door"

// desks is how many there are on the pharmacy's map.
const desks = 3

// An order is a medicine that a customer has ordered.
type order struct {
	Ready   bool   `json:"ready"`
	ReadyAt string `json:"ready_at,omitempty"` // "16:30", when it is known
}

// A queue is the pharmacy's: its shelf of orders and its numbers. A number is
// called after each pace.
type queue struct {
	*world
	last   int // the highest number that is given out
	orders map[string]order

	mu    sync.Mutex
	drawn int       // the number drawn last
	ahead int       // how many are drawn and not yet called
	free  time.Time // when the next number can be called
}

func newQueue(w *world, last int) *queue {
	return &queue{world: w, last: last, orders: map[string]order{
		"A1734": {Ready: true},
		"B2041": {ReadyAt: "16:30"},
		"C3000": {}, // nobody knows when; the pharmacist has to look
	}}
}

func (q *queue) serve(mux *http.ServeMux, only guarded) {
	mux.Handle("GET /pharmacy/orders/{code}", only(q.findOrder))
	mux.Handle("POST /pharmacy/tickets", only(q.takeTicket))
}

func (q *queue) findOrder(r *http.Request) (any, error) {
	o, ok := q.orders[r.PathValue("code")]
	if !ok {
		return nil, refuse(http.StatusNotFound, "there is no such order")
	}
	return o, nil
}

var phoneNumber = regexp.MustCompile(`^(\+[0-9]{8,15})?$`)

// takeTicket draws a number. Who leaves a phone number gets a text message and
// whoever else draws after them stands before the kiosk, so only the number drawn
// last is called there; the others read the board.
func (q *queue) takeTicket(r *http.Request) (any, error) {
	var in struct{ Concern, Lang, Phone string }
	if err := read(r, &in); err != nil {
		return nil, err
	}
	switch {
	case !slices.Contains([]string{"prescription", "pick_up", "advice", "question"}, in.Concern):
		return nil, refuse(http.StatusBadRequest, "concern must be prescription, pick_up, advice or question")
	case !slices.Contains([]string{"de", "en", "tr"}, in.Lang):
		return nil, refuse(http.StatusBadRequest, "lang must be de, en or tr")
	case !phoneNumber.MatchString(in.Phone):
		return nil, refuse(http.StatusBadRequest, "phone must be + and 8 to 15 digits, or empty")
	}

	q.mu.Lock()
	defer q.mu.Unlock()
	if q.drawn >= q.last {
		return nil, refuse(http.StatusGone, "there are no more numbers today")
	}
	q.drawn++
	number, ahead := q.drawn, q.ahead
	q.ahead++
	now := time.Now()
	if q.free.Before(now) {
		q.free = now
	}
	q.free = q.free.Add(q.pace)
	q.later(q.free.Sub(now), func(ctx context.Context) { q.call(ctx, number, in.Phone == "") })
	return map[string]any{"number": fmt.Sprintf("A%d", number), "ahead": ahead}, nil
}

// call calls a number to its desk. About every fifth there is a question first:
// it is held.
func (q *queue) call(ctx context.Context, number int, waits bool) {
	q.mu.Lock()
	q.ahead--
	waits = waits && number == q.drawn
	q.mu.Unlock()
	if !waits {
		return
	}
	if number%5 == 0 {
		q.kiosks.tell(ctx, pharmacyKiosk, "ticket_held", map[string]any{"number": fmt.Sprintf("A%d", number)})
		return
	}
	q.kiosks.tell(ctx, pharmacyKiosk, "ticket_called", map[string]any{"number": fmt.Sprintf("A%d", number), "desk": 1 + number%desks})
}
