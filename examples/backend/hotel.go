package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// hotelKiosk is the kiosk of examples/hotel-checkin.
const hotelKiosk = "lobby"

// A booking is a reservation of somebody who arrives today; the made-up guests
// arrive on whichever day it is.
type booking struct {
	name     string
	nights   int
	unready  bool   // its room is still being made up
	room     string // assigned; empty until then
	highUp   bool   // the guest wishes for a high floor
	notified bool   // the key card is being written
}

// A kind of room, with what it is called in each of the house's languages.
type kind struct {
	names map[string]string
	beds  int
	price int // a night, in euros
	free  int
}

// A hotel is the hotel's property management system.
type hotel struct {
	*world
	zone *time.Location

	mu       sync.Mutex
	bookings map[string]*booking // by reference, which is the id too
	kinds    []*kind
	rooms    []string // that are made up and nobody's
}

func newHotel(w *world, zone *time.Location) *hotel {
	h := &hotel{world: w, zone: zone,
		bookings: map[string]*booking{
			"BL4207": {name: "Meier", nights: 2},
			"BL1300": {name: "Keller", nights: 1, unready: true},
			"BL3180": {name: "Sommer", nights: 3, room: "318"},
			"BL5001": {name: "Dubois", nights: 1},
			"BL5002": {name: "Dubois", nights: 4},
		},
		kinds: []*kind{
			{names: map[string]string{"en": "Single room", "fr": "Chambre simple", "de": "Einzelzimmer"}, beds: 1, price: 89, free: 3},
			{names: map[string]string{"en": "Double room", "fr": "Chambre double", "de": "Doppelzimmer"}, beds: 2, price: 129, free: 5},
			{names: map[string]string{"en": "Family room", "fr": "Chambre familiale", "de": "Familienzimmer"}, beds: 4, price: 169, free: 2},
		}}
	for floor := 1; floor <= 3; floor++ {
		for n := 11; n <= 17; n++ {
			h.rooms = append(h.rooms, fmt.Sprintf("%d%d", floor, n))
		}
	}
	return h
}

func (h *hotel) serve(mux *http.ServeMux, only guarded) {
	// One at a time: what is looked up is still so when it is booked.
	handle := func(pattern string, a answerer) {
		mux.Handle(pattern, only(func(r *http.Request) (any, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			return a(r)
		}))
	}
	handle("GET /hotel/reservations/{reference}", h.findReservation)
	handle("GET /hotel/reservations", h.findByName)
	handle("POST /hotel/reservations", h.book)
	handle("GET /hotel/availability", h.freeRooms)
	handle("GET /hotel/prices", h.cost)
	handle("PUT /hotel/reservations/{reference}/car", h.park)
	handle("PUT /hotel/reservations/{reference}/wishes", h.noteWishes)
	handle("POST /hotel/reservations/{reference}/room", h.assignRoom)
	handle("PUT /hotel/rooms/{room}/wake-up", h.wake)
}

// today is the date in the hotel, plus days.
func (h *hotel) today(days int) string {
	return time.Now().In(h.zone).AddDate(0, 0, days).Format(time.DateOnly)
}

func (h *hotel) tell(reference string) any {
	b := h.bookings[reference]
	return map[string]any{"id": reference, "name": b.name, "nights": b.nights, "departure": h.today(b.nights)}
}

func (h *hotel) bookingOf(r *http.Request) (*booking, error) {
	b := h.bookings[r.PathValue("reference")]
	if b == nil {
		return nil, refuse(http.StatusNotFound, "there is no such reservation")
	}
	return b, nil
}

func (h *hotel) findReservation(r *http.Request) (any, error) {
	if _, err := h.bookingOf(r); err != nil {
		return nil, err
	}
	return h.tell(r.PathValue("reference")), nil
}

func (h *hotel) findByName(r *http.Request) (any, error) {
	name, arrival := r.FormValue("name"), r.FormValue("arrival")
	if _, err := time.Parse(time.DateOnly, arrival); err != nil || name == "" {
		return nil, refuse(http.StatusBadRequest, "name must not be empty, arrival must be a date like 2026-11-23")
	}
	var found []string
	for reference, b := range h.bookings {
		if strings.EqualFold(b.name, name) && arrival == h.today(0) {
			found = append(found, reference)
		}
	}
	switch len(found) {
	case 0:
		return nil, refuse(http.StatusNotFound, "there is no such reservation")
	case 1:
		return h.tell(found[0]), nil
	}
	return nil, refuse(http.StatusConflict, "there are several guests of this name")
}

// longest is the longest stay that the house has rooms for, in nights.
const longest = 14

// stay checks how long how many people want to stay.
func stay(nights, guests int) error {
	if nights < 1 || nights > 21 || guests < 1 || guests > 4 {
		return refuse(http.StatusBadRequest, "nights must be from 1 to 21, guests from 1 to 4")
	}
	return nil
}

func stayOf(r *http.Request) (nights, guests int, err error) {
	nights, _ = strconv.Atoi(r.FormValue("nights")) // 0 is refused, too
	guests, _ = strconv.Atoi(r.FormValue("guests"))
	return nights, guests, stay(nights, guests)
}

func (h *hotel) freeRooms(r *http.Request) (any, error) {
	nights, guests, err := stayOf(r)
	if err != nil {
		return nil, err
	}
	lang := r.FormValue("lang")
	if !slices.Contains([]string{"en", "fr", "de"}, lang) {
		return nil, refuse(http.StatusBadRequest, "lang must be en, fr or de")
	}
	var names []string
	for _, k := range h.kinds {
		if k.free > 0 && k.beds >= guests && nights <= longest {
			names = append(names, k.names[lang])
		}
	}
	if len(names) == 0 {
		return nil, refuse(http.StatusNotFound, "no room is free for this stay")
	}
	return map[string]any{"kinds": names}, nil
}

// kindOf finds a kind of room by its name in any language.
func (h *hotel) kindOf(name string, guests int) (*kind, error) {
	for _, k := range h.kinds {
		for _, called := range k.names {
			if strings.EqualFold(called, name) && guests <= k.beds {
				return k, nil
			}
		}
	}
	return nil, refuse(http.StatusUnprocessableEntity, "there is no such kind of room for %d", guests)
}

func (h *hotel) cost(r *http.Request) (any, error) {
	nights, guests, err := stayOf(r)
	if err != nil {
		return nil, err
	}
	k, err := h.kindOf(r.FormValue("kind"), guests)
	if err != nil {
		return nil, err
	}
	return map[string]any{"total": k.price * nights}, nil
}

func (h *hotel) book(r *http.Request) (any, error) {
	var in struct {
		Kind, Name, Email string
		Nights, Guests    int
	}
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if err := stay(in.Nights, in.Guests); err != nil {
		return nil, err
	}
	if in.Name == "" || !strings.Contains(in.Email, "@") {
		return nil, refuse(http.StatusBadRequest, "name must not be empty, email must be an address")
	}
	k, err := h.kindOf(in.Kind, in.Guests)
	if err != nil {
		return nil, err
	}
	if k.free == 0 || in.Nights > longest {
		return nil, refuse(http.StatusConflict, "the last one has just gone")
	}
	k.free--
	reference := fmt.Sprintf("BL%d", 6000+len(h.bookings))
	h.bookings[reference] = &booking{name: in.Name, nights: in.Nights}
	return h.tell(reference), nil
}

func (h *hotel) park(r *http.Request) (any, error) {
	var in struct{ Plate string }
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if in.Plate == "" || len(in.Plate) > 20 {
		return nil, refuse(http.StatusBadRequest, "plate must be a number plate")
	}
	_, err := h.bookingOf(r)
	return nil, err // the barrier reads plates by itself
}

func (h *hotel) noteWishes(r *http.Request) (any, error) {
	var in struct {
		Wishes []string
		Words  string
	}
	if err := read(r, &in); err != nil {
		return nil, err
	}
	for _, wish := range in.Wishes {
		if !slices.Contains([]string{"quiet", "high_floor", "cot", "extra_pillow", "allergy"}, wish) {
			return nil, refuse(http.StatusBadRequest, "wishes must be of quiet, high_floor, cot, extra_pillow, allergy")
		}
	}
	b, err := h.bookingOf(r)
	if err != nil {
		return nil, err
	}
	b.highUp = slices.Contains(in.Wishes, "high_floor")
	return nil, nil
}

// assignRoom gives a guest a room and has the key card written, which the kiosk
// is told of.
func (h *hotel) assignRoom(r *http.Request) (any, error) {
	b, err := h.bookingOf(r)
	if err != nil {
		return nil, err
	}
	if b.unready || b.room == "" && len(h.rooms) == 0 {
		return nil, refuse(http.StatusConflict, "the room is still being made up")
	}
	if b.room == "" {
		i := 0
		if b.highUp {
			i = len(h.rooms) - 1
		}
		b.room = h.rooms[i]
		h.rooms = slices.Delete(h.rooms, i, i+1)
	}
	if !b.notified {
		b.notified = true
		h.later(h.pace, func(ctx context.Context) {
			h.mu.Lock()
			b.notified = false // a guest who has lost the card gets another
			h.mu.Unlock()
			h.kiosks.tell(ctx, hotelKiosk, "card_ready", map[string]any{"slot": 1})
		})
	}
	return map[string]any{"room": b.room, "floor": int(b.room[0] - '0')}, nil
}

var (
	roomNumber = regexp.MustCompile(`^[123]1[1-8]$`)
	clockTime  = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
)

func (h *hotel) wake(r *http.Request) (any, error) {
	var in struct{ At string }
	if err := read(r, &in); err != nil {
		return nil, err
	}
	room := r.PathValue("room")
	switch {
	case !clockTime.MatchString(in.At):
		return nil, refuse(http.StatusBadRequest, "at must be a time like 06:30")
	case !roomNumber.MatchString(room):
		return nil, refuse(http.StatusNotFound, "there is no such room")
	case strings.HasSuffix(room, "18"): // at the end of each corridor
		return nil, refuse(http.StatusUnprocessableEntity, "the room has no telephone")
	}
	return nil, nil
}
