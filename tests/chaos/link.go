package chaos

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// A condition is what the network between two parts is like.
type condition int

const (
	well   condition = iota
	broken           // connections end with a reset, and none is taken
	mute             // nothing arrives and nobody is told: a cable that is pulled
)

// A link is the network between two parts: a TCP proxy that can be cut.
type link struct {
	name    string
	targets []string // host:port; a connection goes to any that takes it
	l       net.Listener
	wg      sync.WaitGroup
	ctx     context.Context
	cancel  context.CancelFunc

	mu      sync.Mutex
	is      condition
	changed chan struct{} // closed and replaced when is changes
	conns   map[*net.TCPConn]struct{}
}

func newLink(name string, targets ...string) (*link, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &link{name: name, targets: targets, l: l, changed: make(chan struct{}), conns: map[*net.TCPConn]struct{}{}}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	k.wg.Go(k.accept)
	return k, nil
}

func (k *link) addr() string { return k.l.Addr().String() }

// set changes the network's condition. Connections do not outlive broken; what
// was on its way while it was mute arrives when it is well again, as TCP sends it
// once more.
func (k *link) set(c condition) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.is = c
	close(k.changed)
	k.changed = make(chan struct{})
	if c == broken {
		k.reset()
	}
}

// reset ends all connections; the lock is held.
func (k *link) reset() {
	for c := range k.conns {
		_ = c.SetLinger(0)
		c.Close()
	}
}

func (k *link) close() {
	k.cancel()
	k.l.Close()
	k.mu.Lock()
	k.reset()
	k.mu.Unlock()
	k.wg.Wait()
}

// keep takes a connection into the books, unless the network is broken.
func (k *link) keep(c *net.TCPConn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.is == broken || k.ctx.Err() != nil {
		_ = c.SetLinger(0)
		c.Close()
		return false
	}
	k.conns[c] = struct{}{}
	return true
}

func (k *link) drop(c *net.TCPConn) {
	k.mu.Lock()
	delete(k.conns, c)
	k.mu.Unlock()
	c.Close()
}

// passable waits while the network is mute.
func (k *link) passable() error {
	for {
		k.mu.Lock()
		is, changed := k.is, k.changed
		k.mu.Unlock()
		switch is {
		case well:
			return nil
		case broken:
			return errors.New("the network is broken")
		}
		select {
		case <-changed:
		case <-k.ctx.Done():
			return k.ctx.Err()
		}
	}
}

func (k *link) accept() {
	for {
		c, err := k.l.Accept()
		if err != nil {
			return
		}
		near := c.(*net.TCPConn)
		if k.keep(near) {
			k.wg.Go(func() { k.serve(near) })
		}
	}
}

func (k *link) serve(near *net.TCPConn) {
	defer k.drop(near)
	if k.passable() != nil {
		return
	}
	far := k.dial()
	if far == nil || !k.keep(far) {
		return
	}
	defer k.drop(far)
	back := make(chan struct{})
	k.wg.Go(func() {
		defer close(back)
		k.carry(near, far)
	})
	k.carry(far, near)
	<-back
}

// dial connects to one of the targets, as a load balancer would.
func (k *link) dial() *net.TCPConn {
	for _, i := range rand.Perm(len(k.targets)) {
		c, err := net.DialTimeout("tcp", k.targets[i], time.Second)
		if err == nil {
			return c.(*net.TCPConn)
		}
	}
	return nil
}

// carry takes what one side says to the other, until either has gone.
func (k *link) carry(to, from *net.TCPConn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			if k.passable() != nil {
				return
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			// A process that was killed ends its connections, whatever the cable does
			// afterwards; a cable that is pulled lets nobody know.
			if errors.Is(err, io.EOF) {
				_ = k.passable()
			}
			return
		}
	}
}
