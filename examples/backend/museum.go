package main

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A tour of today. The museum's day stands still, so that a conversation can be
// held at any hour.
type tour struct {
	time   string // "14:30"
	langs  []string
	places int
	going  bool // it leaves at this moment: it is on the list, and too late to join
}

// A museum is the desk's system, with the cuckoo clock and the card reader.
type museum struct {
	*world

	mu     sync.Mutex
	tours  []*tour
	booked int
	gifts  int
	struck time.Time
}

func newMuseum(w *world) *museum {
	return &museum{world: w, tours: []*tour{
		{time: "11:00", langs: []string{"en", "de"}, places: 12, going: true},
		{time: "14:30", langs: []string{"en"}, places: 6},
		{time: "15:00", langs: []string{"de"}, places: 6},
		{time: "16:00", langs: []string{"en", "de"}, places: 12},
	}}
}

func (m *museum) serve(mux *http.ServeMux, only guarded) {
	mux.Handle("GET /museum/tours", only(m.toursToday))
	mux.Handle("POST /museum/tours/{time}/places", only(m.bookTour))
	mux.Handle("POST /museum/exhibits/cuckoo/strike", only(m.strike))
	mux.Handle("POST /museum/gifts", only(m.give))
}

func (m *museum) toursToday(r *http.Request) (any, error) {
	lang := r.FormValue("lang")
	if !slices.Contains([]string{"en", "de", "fr"}, lang) {
		return nil, refuse(http.StatusBadRequest, "lang must be en, de or fr")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var times []string
	for _, t := range m.tours {
		if t.places > 0 && slices.Contains(t.langs, lang) {
			times = append(times, t.time)
		}
	}
	if len(times) == 0 {
		return nil, refuse(http.StatusNotFound, "there is no tour in this language today")
	}
	return map[string]any{"times": times}, nil
}

func (m *museum) bookTour(r *http.Request) (any, error) {
	var in struct{ People int }
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if in.People < 1 || in.People > 12 {
		return nil, refuse(http.StatusBadRequest, "people must be from 1 to 12")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.tours, func(t *tour) bool { return t.time == r.PathValue("time") })
	switch {
	case i < 0:
		return nil, refuse(http.StatusNotFound, "there is no tour at this time")
	case m.tours[i].going:
		m.tours[i].places = 0
		return nil, refuse(http.StatusGone, "the tour has left")
	case m.tours[i].places < in.People:
		return nil, refuse(http.StatusConflict, "the tour has %d places left", m.tours[i].places)
	}
	m.tours[i].places -= in.People
	m.booked++
	return map[string]any{"ticket": fmt.Sprintf("F%d", m.booked), "meeting_point": "desk"}, nil
}

// striking is how long the cuckoo calls.
const striking = 10 * time.Second

func (m *museum) strike(*http.Request) (any, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.struck) < striking {
		return nil, refuse(http.StatusConflict, "the cuckoo is still calling")
	}
	m.struck = time.Now()
	return nil, nil
}

// declined is the gift, in euros, that the bank declines.
const declined = 13

// give takes a gift, for as long as it takes to hold a card to the reader.
func (m *museum) give(r *http.Request) (any, error) {
	var in struct{ Amount float64 }
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if in.Amount < 1 || in.Amount > 500 {
		return nil, refuse(http.StatusBadRequest, "amount must be from 1 to 500")
	}
	reading := time.NewTimer(m.pace)
	defer reading.Stop()
	select {
	case <-reading.C:
	case <-r.Context().Done():
		return nil, r.Context().Err() // nothing is charged
	}
	if in.Amount == declined {
		return nil, refuse(http.StatusPaymentRequired, "the card was declined")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gifts++
	return map[string]any{"receipt": fmt.Sprintf("Q-%d", 2200+m.gifts)}, nil
}
