// Package action runs the actions of a store's catalogue: the Call activity. An
// action is one HTTP request to one of the store's own services; what the
// request is and what its answer means, the catalogue says (flow.Catalogue).
//
// What a customer said is in an action's arguments and in its answer, so neither
// is ever in a log line or in an error.
package action

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/session"
	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/schemas"
)

// dialTimeout is short because a customer waits.
const dialTimeout = 2 * time.Second

// Outcomes of a call that OnCalled learns, beside the action's own errors and
// the kinds of package activities.
const (
	Done      = "done"
	Cancelled = "cancelled"
)

// Config says what can be called, and with which secrets.
type Config struct {
	// Catalogue gives the actions, and is asked at every call, so that one that is
	// edited is used by the next. nil, or one that gives nil: there are none.
	Catalogue func() *flow.Catalogue
	// URLs replace services' URLs in this deployment, by service.
	URLs map[string]string
	// Secrets is a folder with one file for each secret, named as the catalogue
	// names it. A file is read at every call, so a secret that is rotated needs no
	// restart. What has no file there is read from the environment, the secret
	// shop_token from PARLEY_SECRET_SHOP_TOKEN. Empty: only the environment.
	Secrets string
	// OnCalled, when set, observes every attempt: its outcome is Done, Cancelled,
	// the name of one of the action's errors, or a kind of package activities.
	OnCalled func(store, action, outcome string, seconds float64)
}

// A Caller runs the Call activity. It is safe for concurrent use.
type Caller struct {
	config  Config
	secrets secrets
	dials   *http.Transport
	log     *slog.Logger

	mu       sync.Mutex
	prepared *flow.Catalogue // what actions was made from
	actions  map[string]*prepared
}

// A prepared action is one of the catalogue with what every call of it needs.
type prepared struct {
	flow.Action
	base    *url.URL // of the service, without a slash at its end
	headers map[string]string
	args    *schemas.Schema
	result  *schemas.Schema // nil: the answer's body is not read
	inBody  bool            // some of its arguments are the request's body
	placed  map[string]bool // arguments in the path or the query
	http    *http.Client
}

// New returns a Caller, or every fault at once: an override for a service that
// there is not, a secret that is missing.
func New(config Config, log *slog.Logger) (*Caller, error) {
	dials := http.DefaultTransport.(*http.Transport).Clone()
	dials.DialContext = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext
	dials.MaxIdleConnsPerHost = 32 // the pool's slots
	dials.MaxResponseHeaderBytes = 64 << 10
	c := &Caller{config: config, secrets: secrets{dir: config.Secrets}, dials: dials, log: log}

	catalogue := c.catalogue()
	var faults []error
	for _, service := range slices.Sorted(maps.Keys(config.URLs)) {
		if _, ok := catalogue.Services[service]; !ok {
			faults = append(faults, fmt.Errorf("--action-url %s=…: there is no service %q in the catalogue; it has %s",
				service, service, cmp.Or(strings.Join(slices.Sorted(maps.Keys(catalogue.Services)), ", "), "none")))
		}
		if err := checkURL(config.URLs[service]); err != nil {
			faults = append(faults, fmt.Errorf("--action-url %s=%s: %w", service, config.URLs[service], err))
		}
	}
	if err := c.secrets.check(); err != nil {
		faults = append(faults, err)
	}
	for _, name := range slices.Sorted(maps.Keys(catalogue.Services)) {
		for _, secret := range catalogue.Services[name].Secrets() {
			if _, err := c.secrets.read(secret); err != nil {
				faults = append(faults, fmt.Errorf("service %q: %w", name, err))
			}
		}
	}
	if len(faults) == 0 {
		_, err := c.prepare(catalogue)
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("actions: %w", err)
	}
	return c, nil
}

func (c *Caller) catalogue() *flow.Catalogue {
	if c.config.Catalogue != nil {
		if catalogue := c.config.Catalogue(); catalogue != nil {
			return catalogue
		}
	}
	return &flow.Catalogue{}
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" ||
		u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return errors.New("write the service's address, like https://shop.example/api, without user, query and fragment")
	}
	return nil
}

// find gives an action, from the catalogue as it is now.
func (c *Caller) find(name string) (*prepared, error) {
	actions, err := c.prepare(c.catalogue())
	if err != nil {
		return nil, err
	}
	a, ok := actions[name]
	if !ok {
		return nil, fmt.Errorf("action %q is not in this worker's catalogue; give the worker the store's folder that has it", name)
	}
	return a, nil
}

// prepare compiles a catalogue's schemas, once.
func (c *Caller) prepare(catalogue *flow.Catalogue) (map[string]*prepared, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.prepared == catalogue {
		return c.actions, nil
	}
	actions := make(map[string]*prepared, len(catalogue.Actions))
	for name, a := range catalogue.Actions {
		service := catalogue.Services[a.Service]
		p := &prepared{Action: a, headers: service.Headers, placed: map[string]bool{}}
		base, err := url.Parse(strings.TrimSuffix(cmp.Or(c.config.URLs[a.Service], service.URL), "/"))
		if err != nil {
			return nil, fmt.Errorf("service %q: %w", a.Service, err)
		}
		p.base, p.http = base, &http.Client{Transport: c.dials, CheckRedirect: p.stay}
		if p.args, err = schemas.Compile("args.json", a.ArgsSchema); err != nil {
			return nil, fmt.Errorf("action %s: args: %w", name, err)
		}
		if a.ResultSchema != nil {
			if p.result, err = schemas.Compile("result.json", a.ResultSchema); err != nil {
				return nil, fmt.Errorf("action %s: result: %w", name, err)
			}
		}
		templates := append(slices.Collect(maps.Values(a.Query)), a.Path)
		for _, t := range templates {
			for _, arg := range flow.Placeholders(t) {
				p.placed[arg] = true
			}
		}
		p.inBody = slices.ContainsFunc(a.Args, func(arg flow.Arg) bool { return !p.placed[arg.Name] })
		actions[name] = p
	}
	c.prepared, c.actions = catalogue, actions
	return actions, nil
}

// Call runs one attempt of one action. Its errors are of the action's own named
// kinds, which another attempt would only repeat, or activities.KindInvalid (the
// request or the answer breaks the catalogue; permanent), KindAway or KindTimeout
// (retryable).
func (c *Caller) Call(ctx context.Context, in activities.CallInput) (activities.CallResult, error) {
	defer session.Beat(ctx, nil)(nil) // so that a worker that dies is noticed before the attempt's time is over
	begun := time.Now()
	a, err := c.find(in.Action)
	if err != nil {
		return activities.CallResult{}, activities.Permanent(activities.KindInvalid, err)
	}
	result, err := c.call(ctx, a, in)
	took := time.Since(begun)
	result.Ms = took.Milliseconds()
	outcome := outcomeOf(ctx, err)
	c.log.Info("action called", "store", in.Store, "kiosk", in.Kiosk, "conversation", in.Conversation, "step", in.Step,
		"action", in.Action, "outcome", outcome, "status", result.Status, "ms", result.Ms)
	if c.config.OnCalled != nil {
		c.config.OnCalled(in.Store, in.Action, outcome, took.Seconds())
	}
	if err != nil {
		return activities.CallResult{}, err
	}
	return result, nil
}

// call makes the request and reads its answer. The status is set even when it
// fails, where there was one.
func (c *Caller) call(ctx context.Context, a *prepared, in activities.CallInput) (activities.CallResult, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, a.Timeout.D(), errSlow)
	defer cancel()
	req, err := c.request(ctx, a, in)
	if err != nil {
		return activities.CallResult{}, err
	}
	res, err := a.http.Do(req)
	if err != nil {
		return activities.CallResult{}, a.broken(ctx, err)
	}
	defer res.Body.Close()
	value, err := a.answer(ctx, res)
	return activities.CallResult{Value: value, Status: res.StatusCode}, err
}
