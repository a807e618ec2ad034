package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/praesenz/parley/config"
	"github.com/praesenz/parley/metrics"
	"github.com/praesenz/parley/payload"
	"github.com/praesenz/parley/worker"
	"github.com/praesenz/parley/workflows"
)

// What `parley dev` builds when no temporal command is on the PATH.
const (
	temporalModule  = "github.com/temporalio/cli/cmd/temporal"
	temporalVersion = "v1.5.1"
)

// dynamicConfig are the settings of Temporal's development server that one
// machine wants otherwise; see docs/decisions/0022-fewer-hops.md.
var dynamicConfig = []string{
	// At the 20 a second that it ships for its single shard every activity hop takes
	// about 100 ms after the first few.
	"history.transferProcessorMaxPollRPS=5000",
	"history.timerProcessorMaxPollRPS=5000",
	"history.visibilityProcessorMaxPollRPS=5000",
	// One process has no use for four partitions of a queue, between which tasks and
	// polls are forwarded.
	"matching.numTaskqueueReadPartitions=1",
	"matching.numTaskqueueWritePartitions=1",
	// Ours are registered when it starts; it need not look for new ones at each use.
	"system.forceSearchAttributesCacheRefreshOnRead=false",
}

// pragmas let SQLite write to its log without waiting for the disk at every
// transaction. Killing any process loses nothing; only a power cut may lose the
// last moments.
var pragmas = []string{"journal_mode=WAL", "synchronous=NORMAL"}

// temporalServer is Temporal's own development server as a child process.
type temporalServer struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it is gone
	err    error         // why, once exited is closed
	log    string
}

// findTemporal gives the temporal command. Where there is none it builds one, for
// all of this user's runs, in their cache folder.
func findTemporal(ctx context.Context, progress io.Writer) (string, error) {
	if path, err := exec.LookPath("temporal"); err == nil {
		return path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder to build Temporal's development server in: %w", err)
	}
	bin := filepath.Join(cache, "parley", "temporal-"+temporalVersion)
	path := filepath.Join(bin, "temporal")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if _, err := exec.LookPath("go"); err != nil {
		return "", fmt.Errorf("there is no `temporal` command and no `go` to build it with: install the Temporal CLI, or name a server with --temporal HOST:PORT")
	}
	fmt.Fprintln(progress, "Building Temporal's development server (once, a few minutes) …")
	cmd := exec.CommandContext(ctx, "go", "install", "-v", temporalModule+"@"+temporalVersion)
	cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=-buildvcs=false")
	cmd.Stdout, cmd.Stderr = &packageCounter{w: progress}, &packageCounter{w: progress}
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go install %s@%s: %w", temporalModule, temporalVersion, err)
	}
	fmt.Fprintln(progress)
	return path, nil
}

// packageCounter turns the lines of `go install -v` into a line that counts.
type packageCounter struct {
	w io.Writer
	n int
}

func (p *packageCounter) Write(b []byte) (int, error) {
	for _, c := range b {
		if c == '\n' {
			p.n++
		}
	}
	fmt.Fprintf(p.w, "\r  %d packages", p.n)
	return len(b), nil
}

// startTemporal starts the development server on loopback, with its data in a
// file.
func startTemporal(path, data string, port, uiPort int) (*temporalServer, error) {
	const ip = "127.0.0.1"
	for what, p := range map[string]int{"Temporal": port, "the Temporal UI": uiPort} {
		l, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(p)))
		if err != nil {
			return nil, fmt.Errorf("port %d, meant for %s, is in use: stop what uses it, or choose another with --temporal-port and --ui-port", p, what)
		}
		l.Close()
	}
	args := []string{"server", "start-dev", "--ip", ip, "--port", strconv.Itoa(port), "--ui-port", strconv.Itoa(uiPort),
		"--db-filename", filepath.Join(data, "temporal.db"), "--log-level", "warn"}
	for _, kv := range dynamicConfig {
		args = append(args, "--dynamic-config-value", kv)
	}
	for _, kv := range pragmas {
		args = append(args, "--sqlite-pragma", kv)
	}
	for _, key := range workflows.Attributes {
		kind := map[enums.IndexedValueType]string{
			enums.INDEXED_VALUE_TYPE_KEYWORD: "Keyword",
			enums.INDEXED_VALUE_TYPE_INT:     "Int",
		}[key.GetValueType()]
		args = append(args, "--search-attribute", key.GetName()+"="+kind)
	}
	log := filepath.Join(data, "temporal.log")
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has its own
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if os.Getenv("GOGC") == "" {
		// It makes much garbage beside little that stays: a twentieth of its time was
		// spent on that. This costs some 100 MB.
		cmd.Env = append(os.Environ(), "GOGC=300")
	}
	// Its own group, so that Ctrl-C reaches it through us, after the workers have
	// stopped; and it dies with us, however we die.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	t := &temporalServer{cmd: cmd, exited: make(chan struct{}), log: log}
	started := make(chan error, 1)
	go t.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return t, nil
}

// run starts the child and waits for it. Both are done on one locked thread:
// Linux sends Pdeathsig when the thread that started the child ends, not the
// process.
func (t *temporalServer) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := t.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	if t.err = t.cmd.Wait(); t.err == nil {
		t.err = errors.New("it ended by itself")
	}
	close(t.exited)
}

// stop asks it to end, and ends it after ten seconds.
func (t *temporalServer) stop() {
	select {
	case <-t.exited:
		return
	default:
	}
	_ = t.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-t.exited:
	case <-time.After(10 * time.Second):
		_ = t.cmd.Process.Kill()
		<-t.exited
	}
}

// temporalOptions say how a client reaches Temporal.
func temporalOptions(c *config.Config, registry prometheus.Registerer, logger *slog.Logger) (client.Options, error) {
	o := client.Options{HostPort: c.Temporal, Namespace: c.Namespace, Logger: worker.Logger(logger)}
	if registry != nil {
		o.MetricsHandler = metrics.Temporal(registry)
	}
	keys, err := payload.ParseKeys(string(c.PayloadKeys))
	if err != nil {
		return o, err
	}
	if o.ConnectionOptions.DialOptions, err = payload.DialOptions(keys, logger); err != nil {
		return o, fmt.Errorf("payload_keys: %w", err)
	}
	o.ConnectionOptions.DialOptions = append(o.ConnectionOptions.DialOptions,
		grpc.WithConnectParams(reconnect), grpc.WithChainUnaryInterceptor(pollWhenReady))
	if host, _, err := net.SplitHostPort(c.Temporal); err == nil && net.ParseIP(host).IsLoopback() {
		o.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{} // of which this machine would have both ends
	}
	if !c.TemporalTLS {
		return o, nil
	}
	o.ConnectionOptions.TLS = &tls.Config{ServerName: c.TemporalServerName, MinVersion: tls.VersionTLS12}
	if c.TemporalTLSCA != "" {
		pem, err := os.ReadFile(c.TemporalTLSCA)
		if err != nil {
			return o, fmt.Errorf("temporal_tls_ca: %w", err)
		}
		o.ConnectionOptions.TLS.RootCAs = x509.NewCertPool()
		if !o.ConnectionOptions.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return o, fmt.Errorf("temporal_tls_ca: %s holds no certificate in PEM", c.TemporalTLSCA)
		}
	}
	if c.TemporalTLSCert != "" {
		if _, err := tls.LoadX509KeyPair(c.TemporalTLSCert, c.TemporalTLSKey); err != nil {
			return o, fmt.Errorf("temporal_tls_cert: %w", err)
		}
		// Read at every connection, so that a certificate that is renewed needs no restart.
		o.ConnectionOptions.TLS.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(c.TemporalTLSCert, c.TemporalTLSKey)
			return &pair, err
		}
	}
	if c.TemporalAPIKey != "" {
		o.Credentials = client.NewAPIKeyStaticCredentials(string(c.TemporalAPIKey))
	}
	return o, nil
}

// reconnect is how soon a Temporal that was away is found again: customers wait.
var reconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
	MinConnectTimeout: 5 * time.Second,
}

// pollWhenReady keeps a worker's polls waiting while Temporal is away. Polls that
// fail make the SDK pause, all of a worker's together and each time for longer: a
// moment's outage would cost seconds.
func pollWhenReady(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if method == workflowservice.WorkflowService_PollWorkflowTaskQueue_FullMethodName || method == workflowservice.WorkflowService_PollActivityTaskQueue_FullMethodName {
		opts = append(opts, grpc.WaitForReady(true))
	}
	return invoker(ctx, method, req, reply, cc, opts...)
}

// dialTemporal connects to a Temporal server and waits until it serves the
// namespace with our search attributes, or until its process has gone. registry
// takes what the client tells of its work; nil: it is not told.
func dialTemporal(ctx context.Context, c *config.Config, gone <-chan struct{}, registry prometheus.Registerer, logger *slog.Logger) (client.Client, error) {
	options, err := temporalOptions(c, registry, logger)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("no answer within a minute"))
	defer cancel()
	for {
		dialed, err := client.DialContext(ctx, options)
		if err == nil {
			if _, err = dialed.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
				Namespace: c.Namespace, Query: workflows.AttributeStore.GetName() + ` = "none"`,
			}); err == nil {
				return dialed, nil
			}
			dialed.Close()
		}
		select {
		case <-gone:
			return nil, errors.New("the Temporal server ended while it was starting")
		case <-ctx.Done():
			return nil, fmt.Errorf("temporal at %s: %w (%w)", c.Temporal, context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// canOpen fails where a store's conversations under way are sealed with a key that
// is not here, which would otherwise show only as tasks that nobody begins.
func canOpen(ctx context.Context, temporal client.Client, store string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("no answer within 10 s"))
	defer cancel()
	_, err := temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: 20, Query: fmt.Sprintf(`%s = "%s" AND ExecutionStatus = "Running"`, workflows.AttributeStore.GetName(), store),
	})
	if err != nil {
		return fmt.Errorf("see the conversations under way: %w", err)
	}
	return nil
}
