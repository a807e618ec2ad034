package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// A process is a part of the system that can be killed and started again.
type process struct {
	name string
	path string
	args []string
	env  []string
	log  string                          // file that takes what it writes, over all its lives
	up   func(ctx context.Context) error // nil once it works
	// metrics is where a worker tells how busy it is; empty: it is none.
	metrics string

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
	killed bool          // by us
}

// start runs it, without waiting until it works.
func (p *process) start() error {
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close() // the child has its own
	cmd := exec.Command(p.path, p.args...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.exited, p.killed = cmd, make(chan struct{}), false
	go func(exited chan struct{}) {
		_ = cmd.Wait() // why it ended, its log says
		close(exited)
	}(p.exited)
	return nil
}

// kill ends it at once, as a crash does, and returns when it has gone.
func (p *process) kill() {
	p.mu.Lock()
	cmd, exited := p.cmd, p.exited
	p.killed = true
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill()
	<-exited
}

// leaveWithin is how long a process may take to end when it is asked to.
const leaveWithin = 30 * time.Second

// leave asks it to end, as a rolling update does, and returns when it has gone.
func (p *process) leave() error {
	p.mu.Lock()
	cmd, exited := p.cmd, p.exited
	p.killed = true
	p.mu.Unlock()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("ask %s to end: %w", p.name, err)
	}
	select {
	case <-exited:
	case <-time.After(leaveWithin):
		return fmt.Errorf("%s has not ended within %s; see %s", p.name, leaveWithin, p.log)
	}
	if !cmd.ProcessState.Success() {
		return fmt.Errorf("%s, asked to end, ended with %s; see %s", p.name, cmd.ProcessState, p.log)
	}
	return nil
}

// gone tells whether it has ended although nobody killed it.
func (p *process) gone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.exited:
		return !p.killed
	default:
		return false
	}
}

// errEnded tells that a process is gone which nobody has killed.
var errEnded = errors.New("it has ended by itself")

// await waits until it works.
func (p *process) await(ctx context.Context) error {
	return poll(ctx, 20*time.Millisecond, func() error {
		if p.gone() {
			return fmt.Errorf("%s: %w; see %s", p.name, errEnded, p.log)
		}
		return p.up(ctx)
	})
}

// answers asks a part's page whether it is well.
func answers(url string) func(context.Context) error {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return errors.New(res.Status)
		}
		return nil
	}
}

// poll tries until it works; the error of the last try says why it does not.
func poll(ctx context.Context, every time.Duration, try func() error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		err := try()
		if err == nil || errors.Is(err, errEnded) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}
