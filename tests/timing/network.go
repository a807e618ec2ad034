package timing

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/praesenz/parley/activities/modelserver"
)

// A network is in memory: who waits for a byte of it waits on virtual time, as
// nobody does at a socket.
type network struct {
	mu        sync.Mutex
	listeners map[string]*listener  // by address
	conns     map[string][]net.Conn // of those who have called, by address
}

// A listener takes one end of a net.Pipe for each call.
type listener struct {
	address string
	calls   chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.calls:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr  { return l }
func (l *listener) Network() string { return "pipe" }
func (l *listener) String() string  { return l.address }

func newNetwork() *network {
	return &network{listeners: map[string]*listener{}, conns: map[string][]net.Conn{}}
}

// listen has the signature that gateway.Config.Listen wants.
func (n *network) listen(_ context.Context, _, address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := &listener{address: address, calls: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[address] = l
	return l, nil
}

func (n *network) dial(ctx context.Context, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[address]
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("dial %s: nobody listens", address)
	}
	c, other := net.Pipe()
	select {
	case l.calls <- other:
	case <-l.closed:
		return nil, fmt.Errorf("dial %s: nobody listens any more", address)
	case <-ctx.Done():
		return nil, fmt.Errorf("dial %s: %w", address, context.Cause(ctx))
	}
	n.mu.Lock()
	n.conns[address] = append(n.conns[address], c)
	n.mu.Unlock()
	return c, nil
}

// cut ends every connection to an address, and lets none begin.
func (n *network) cut(address string) {
	n.mu.Lock()
	l, conns := n.listeners[address], n.conns[address]
	delete(n.listeners, address)
	delete(n.conns, address)
	n.mu.Unlock()
	if l != nil {
		l.Close()
	}
	for _, c := range conns {
		c.Close()
	}
}

// client is the client of model servers in this network.
func (n *network) client() *http.Client {
	c := modelserver.NewHTTP()
	c.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, address string) (net.Conn, error) {
		return n.dial(ctx, address)
	}
	return c
}
