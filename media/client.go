package media

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// KeepaliveInterval is how often a client pings a gateway while a stream is
// open, so that a gateway that vanished without a word is noticed within
// seconds. A server must allow it: its keepalive.EnforcementPolicy needs a
// MinTime no longer than this, or gRPC's default of five minutes ends the
// connection.
const KeepaliveInterval = 10 * time.Second

// Defaults of NewClient's options.
const (
	DefaultMaxGateways = 32
	DefaultIdle        = 5 * time.Minute
)

// A Client keeps the connections from one worker to the gateways it has been
// asked to stream to, one a gateway. It is safe for concurrent use.
type Client struct {
	token string
	tls   credentials.TransportCredentials
	max   int
	idle  time.Duration
	way   func(ctx context.Context, address string) (net.Conn, error)

	mu       sync.Mutex
	closed   bool
	gateways map[string]*connection // by host:port
}

// A connection belongs to the client's map; users counts the callers that have
// not released it.
type connection struct {
	conn  *grpc.ClientConn
	users int
	used  time.Time // when it was last released
}

// An Option changes a Client from its defaults.
type Option func(*Client)

// WithTLS encrypts the connections. The default is plain text, for a network
// that encrypts by itself or for one machine.
func WithTLS(c credentials.TransportCredentials) Option { return func(m *Client) { m.tls = c } }

// WithMaxGateways bounds how many gateways are kept connected (default 32). The
// one that was unused for longest gives way.
func WithMaxGateways(n int) Option { return func(m *Client) { m.max = n } }

// WithIdle is how long a connection without streams stays open (default 5 m).
func WithIdle(d time.Duration) Option { return func(m *Client) { m.idle = d } }

// WithDialer is another way to the gateways (default TCP).
func WithDialer(dial func(ctx context.Context, address string) (net.Conn, error)) Option {
	return func(m *Client) { m.way = dial }
}

// NewClient returns a client that presents token, the workers' shared bearer
// token, to every gateway.
func NewClient(token string, options ...Option) *Client {
	c := &Client{
		token:    token,
		tls:      insecure.NewCredentials(),
		max:      DefaultMaxGateways,
		idle:     DefaultIdle,
		gateways: map[string]*connection{},
	}
	for _, o := range options {
		o(c)
	}
	return c
}

// Gateway returns the media plane at address (host:port). It does not wait for
// the connection: a gateway that cannot be reached is the first call's
// UNAVAILABLE. The caller calls release when its streams are over.
func (c *Client) Gateway(address string) (gateway MediaClient, release func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, errors.New("the media client is closed")
	}
	g := c.gateways[address]
	if g == nil {
		if err := c.makeRoom(); err != nil {
			return nil, nil, err
		}
		conn, err := c.dial(address)
		if err != nil {
			return nil, nil, fmt.Errorf("gateway address %q: %w; write host:port", address, err)
		}
		g = &connection{conn: conn}
		c.gateways[address] = g
	}
	g.users++
	return NewMediaClient(g.conn), sync.OnceFunc(func() { c.release(g) }), nil
}

// Close ends every connection, and with them the streams that are open.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	var errs []error
	for address, g := range c.gateways {
		errs = append(errs, g.conn.Close())
		delete(c.gateways, address)
	}
	return errors.Join(errs...)
}

func (c *Client) release(g *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g.users--
	g.used = time.Now()
}

// makeRoom closes the connection that was unused for longest when the client is
// at its bound. The caller holds the lock.
func (c *Client) makeRoom() error {
	if len(c.gateways) < c.max {
		return nil
	}
	var oldest string
	for address, g := range c.gateways {
		if g.users == 0 && (oldest == "" || g.used.Before(c.gateways[oldest].used)) {
			oldest = address
		}
	}
	if oldest == "" {
		return fmt.Errorf("streams to %d gateways are open, which is the most; raise WithMaxGateways", c.max)
	}
	g := c.gateways[oldest]
	delete(c.gateways, oldest)
	return g.conn.Close()
}

func (c *Client) dial(address string) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(c.tls),
		grpc.WithPerRPCCredentials(bearer(c.token)),
		grpc.WithIdleTimeout(c.idle),
		grpc.WithDisableRetry(), // Temporal tries again, not the transport
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: KeepaliveInterval, Timeout: 3 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			// A kiosk is waiting: find a restarted gateway within a second.
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 300 * time.Millisecond},
			MinConnectTimeout: 2 * time.Second,
		}),
	}
	if c.way != nil {
		options = append(options, grpc.WithContextDialer(c.way))
	}
	return grpc.NewClient(address, options...)
}

// bearer sends a token with every call. Transport security is the network's
// business here (see WithTLS), so it is not demanded.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }
