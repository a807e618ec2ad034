package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A call is a request and what is answered.
type call struct {
	method, path, body string
	status             int
	answer             string // part of it
}

func TestAnswers(t *testing.T) { synctest.Test(t, testAnswers) }

func testAnswers(t *testing.T) {
	mux := open(t.Context(), gatewayOf(func(*http.Request) int { return http.StatusNotFound }), 4)
	today := time.Now().UTC()
	for _, c := range []call{
		{"GET", "/pharmacy/orders/A1734", "", 200, `{"ready":true}`},
		{"GET", "/pharmacy/orders/B2041", "", 200, `{"ready":false,"ready_at":"16:30"}`},
		{"GET", "/pharmacy/orders/C3000", "", 200, `{"ready":false}`},
		{"GET", "/pharmacy/orders/D1111", "", 404, "no such order"},
		{"POST", "/pharmacy/tickets", `{"concern":"advice","lang":"en","phone":""}`, 200, `{"ahead":0,"number":"A1"}`},
		{"POST", "/pharmacy/tickets", `{"concern":"advice","lang":"en"}`, 200, `{"ahead":1,"number":"A2"}`},
		{"POST", "/pharmacy/tickets", `{"concern":"tea","lang":"en"}`, 400, "concern must be"},
		{"POST", "/pharmacy/tickets", `{"concern":"advice","lang":"en","phone":"0151"}`, 400, "phone must be"},
		{"POST", "/pharmacy/tickets", `{"concern":"advice","lang":"en","age":3}`, 400, "unknown field"},
		{"POST", "/pharmacy/tickets", strings.Repeat(" ", maxBody+1), 413, "longer than"},
		{"POST", "/pharmacy/tickets", `{"concern":"advice","lang":"tr"}`, 200, `"A3"`},
		{"POST", "/pharmacy/tickets", `{"concern":"advice","lang":"tr"}`, 200, `"A4"`},
		{"POST", "/pharmacy/tickets", `{"concern":"advice","lang":"tr"}`, 410, "no more numbers"},

		{"GET", "/hotel/reservations/BL4207", "", 200, `"name":"Meier","nights":2`},
		{"GET", "/hotel/reservations/BL9999", "", 404, ""},
		{"GET", "/hotel/reservations?name=meier&arrival=" + today.Format(time.DateOnly), "", 200, `"id":"BL4207"`},
		{"GET", "/hotel/reservations?name=Meier&arrival=2020-02-02", "", 404, ""},
		{"GET", "/hotel/reservations?name=Dubois&arrival=" + today.Format(time.DateOnly), "", 409, "several"},
		{"GET", "/hotel/reservations?name=Meier&arrival=tomorrow", "", 400, "date"},
		{"GET", "/hotel/availability?nights=2&guests=2&lang=fr", "", 200, `["Chambre double","Chambre familiale"]`},
		{"GET", "/hotel/availability?nights=15&guests=1&lang=en", "", 404, "no room"},
		{"GET", "/hotel/prices?kind=Family+room&nights=3&guests=4", "", 200, `{"total":507}`},
		{"POST", "/hotel/reservations", `{"kind":"Family room","nights":1,"guests":4,"name":"Lee","email":"lee@lee.example"}`, 200, `"id":"BL6005"`},
		{"POST", "/hotel/reservations", `{"kind":"Familienzimmer","nights":1,"guests":4,"name":"Lee","email":"lee@lee.example"}`, 200, `"id":"BL6006"`},
		{"POST", "/hotel/reservations", `{"kind":"Family room","nights":1,"guests":4,"name":"Lee","email":"lee@lee.example"}`, 409, "gone"},
		{"PUT", "/hotel/reservations/BL4207/car", `{"plate":"AB 123"}`, 204, ""},
		{"PUT", "/hotel/reservations/BL4207/wishes", `{"wishes":["high_floor"],"words":"far up"}`, 204, ""},
		{"POST", "/hotel/reservations/BL4207/room", "", 200, `{"floor":3,"room":"317"}`},
		{"POST", "/hotel/reservations/BL4207/room", "", 200, `"317"`},
		{"POST", "/hotel/reservations/BL1300/room", "", 409, "made up"},
		{"POST", "/hotel/reservations/BL3180/room", "", 200, `"318"`},
		{"PUT", "/hotel/rooms/317/wake-up", `{"at":"06:30"}`, 204, ""},
		{"PUT", "/hotel/rooms/317/wake-up", `{"at":"half six"}`, 400, "06:30"},
		{"PUT", "/hotel/rooms/318/wake-up", `{"at":"06:30"}`, 422, "telephone"},

		{"GET", "/museum/tours?lang=en", "", 200, `["11:00","14:30","16:00"]`},
		{"GET", "/museum/tours?lang=fr", "", 404, "no tour"},
		{"POST", "/museum/tours/11:00/places", `{"people":2}`, 410, "left"},
		{"GET", "/museum/tours?lang=en", "", 200, `{"times":["14:30","16:00"]}`},
		{"POST", "/museum/tours/14:30/places", `{"people":7}`, 409, "6 places"},
		{"POST", "/museum/tours/14:30/places", `{"people":6}`, 200, `"ticket":"F1"`},
		{"POST", "/museum/tours/14:30/places", `{"people":1}`, 409, "0 places"},
		{"POST", "/museum/exhibits/cuckoo/strike", "", 204, ""},
		{"POST", "/museum/exhibits/cuckoo/strike", "", 409, "calling"},
		{"POST", "/museum/gifts", `{"amount":12.5}`, 200, `{"receipt":"Q-2201"}`},
		{"POST", "/museum/gifts", `{"amount":13}`, 402, "declined"},
		{"POST", "/museum/gifts", `{"amount":501}`, 400, "500"},
		{"GET", "/elsewhere", "", 404, ""},
	} {
		status, answer := c.make(mux, "")
		if status != c.status || !strings.Contains(answer, c.answer) {
			t.Errorf("%s %s %.80s: got %d %s, want %d with %s", c.method, c.path, c.body, status, answer, c.status, c.answer)
		}
	}
}

// A request that is repeated under its key draws no second number, and nobody
// draws one without the secret.
func TestOnceAndGuarded(t *testing.T) { synctest.Test(t, testOnceAndGuarded) }

func testOnceAndGuarded(t *testing.T) {
	mux := open(t.Context(), gatewayOf(func(*http.Request) int { return http.StatusNotFound }), 10)
	draw := call{method: "POST", path: "/pharmacy/tickets", body: `{"concern":"advice","lang":"en"}`}
	for i, want := range []struct{ key, number string }{{"a", "A1"}, {"a", "A1"}, {"b", "A2"}, {"", "A3"}} {
		if _, answer := draw.make(mux, want.key); !strings.Contains(answer, want.number+`"`) {
			t.Errorf("%d: got %s, want %s", i, answer, want.number)
		}
	}
	req := httptest.NewRequest("GET", "/pharmacy/orders/A1734", nil)
	req.Header.Set("Authorization", "Bearer guess")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, req)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("without the secret: %d", w.Code)
	}
}

// Who still stands before the kiosk is called there: not who left a phone number,
// nor who has sat down because somebody came after them.
func TestCalls(t *testing.T) {
	for name, c := range map[string]struct {
		phones []string
		want   string
	}{
		"the last is called":      {[]string{"", ""}, `ticket_called {"desk":3,"number":"A2"} after 2s`},
		"not by a text message":   {[]string{"", "+4915112345678"}, ""},
		"the fifth is held":       {[]string{"", "", "", "", ""}, `ticket_held {"number":"A5"} after 5s`},
		"who came alone is first": {[]string{""}, `ticket_called {"desk":2,"number":"A1"} after 1s`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []string
				begin := time.Now()
				k := gatewayOf(func(r *http.Request) int {
					var e struct {
						Name string
						Data json.RawMessage
					}
					json.NewDecoder(r.Body).Decode(&e) //nolint:errcheck // an empty one is not as wanted
					told = append(told, e.Name+" "+string(e.Data)+" after "+time.Since(begin).String())
					return http.StatusAccepted
				})
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				mux := open(ctx, k, 10)
				for _, phone := range c.phones {
					body := `{"concern":"advice","lang":"en","phone":"` + phone + `"}`
					if status, answer := (call{method: "POST", path: "/pharmacy/tickets", body: body}).make(mux, ""); status != 200 {
						t.Fatal(answer)
					}
				}
				time.Sleep(time.Minute) // of the test's own clock
				synctest.Wait()
				if got := strings.Join(told, ", "); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		})
	}
}

// An event is sent again to a gateway that is away, and no more to one that has
// nobody at the kiosk.
func TestEventsAreSentAgain(t *testing.T) {
	for _, c := range []struct {
		statuses []int
		sent     int
	}{{[]int{202}, 1}, {[]int{503, 429, 202}, 3}, {[]int{503, 503, 503, 503}, 3}, {[]int{404}, 1}, {[]int{401}, 1}} {
		synctest.Test(t, func(t *testing.T) {
			sent := 0
			k := gatewayOf(func(*http.Request) int { sent++; return c.statuses[sent-1] })
			k.tell(t.Context(), "door", "ticket_called", nil)
			if sent != c.sent {
				t.Errorf("%v: sent %d times, want %d", c.statuses, sent, c.sent)
			}
		})
	}
}

// A gatewayStub answers events with a status, in the time of the test's clock.
type gatewayStub func(*http.Request) int

func (g gatewayStub) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: g(r), Body: http.NoBody, Request: r}, nil
}

func gatewayOf(stub gatewayStub) *kiosks {
	return &kiosks{gateway: "http://kiosks", client: &http.Client{Transport: stub}, logger: slog.New(slog.DiscardHandler)}
}

func open(ctx context.Context, k *kiosks, last int) *http.ServeMux {
	w := newWorld(ctx, time.Second, k)
	mux := http.NewServeMux()
	newQueue(w, last).serve(mux, guard("X-Secret", "s"))
	newHotel(w, time.UTC).serve(mux, guard("X-Secret", "s"))
	newMuseum(w).serve(mux, guard("X-Secret", "s"))
	return mux
}

func (c call) make(mux *http.ServeMux, key string) (int, string) {
	req := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
	req.Header.Set("X-Secret", "s")
	req.Header.Set("Idempotency-Key", key)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, req)
	b, _ := io.ReadAll(w.Body)
	return w.Code, string(b)
}
