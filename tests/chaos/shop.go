package chaos

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// A shop takes orders, as a store's own service would: what comes again with the
// same key is the same order.
type shop struct {
	server *httptest.Server

	mu     sync.Mutex
	orders map[order]map[string]bool // the keys that each came with
}

// An order is what was asked for at a kiosk.
type order struct {
	Kiosk string `json:"kiosk"`
	Item  string `json:"item"`
}

func openShop(t testing.TB) *shop {
	s := &shop{orders: map[order]map[string]bool{}}
	s.server = httptest.NewServer(http.HandlerFunc(s.take))
	t.Cleanup(s.server.Close)
	return s
}

func (s *shop) take(w http.ResponseWriter, r *http.Request) {
	var o order
	key := r.Header.Get("Idempotency-Key")
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil || key == "" {
		http.Error(w, "an order has a kiosk, an item and a key", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.orders[o] == nil {
		s.orders[o] = map[string]bool{}
	}
	s.orders[o][key] = true
	w.WriteHeader(http.StatusNoContent)
}

// times is how often an order was made, and all how many were made at its kiosk.
func (s *shop) times(of order) (times, all int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for o, keys := range s.orders {
		if o.Kiosk == of.Kiosk {
			all += len(keys)
		}
	}
	return len(s.orders[of]), all
}
