package chaos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/gateway"
	"github.com/praesenz/parley/tests/system"
	"github.com/praesenz/parley/tests/temporal"
	"github.com/praesenz/parley/workflows"
)

const store = "chaos"

// pools are those that a conversation of the test's store needs, each a process
// of its own.
var pools = []activities.Pool{
	activities.PoolConversation, activities.PoolSTT, activities.PoolRetrieval,
	activities.PoolLLM, activities.PoolTTS, activities.PoolAvatar, activities.PoolAction,
}

const gateways = 2

// Secrets of a system that only this machine can reach.
var (
	kioskKey   = strings.Repeat("6b", 32)
	mediaToken = strings.Repeat("6d", 16)
)

// deployment is the whole system, each part a process of its own and each two of
// them with a link between.
type deployment struct {
	processes []*process
	links     []*link
	kiosks    *link // to the gateways
	temporal  client.Client
	shop      *shop
}

// deploy starts everything and ends it with the test.
func deploy(t testing.TB) *deployment {
	t.Helper()
	d := &deployment{shop: openShop(t)}
	logs := t.ArtifactDir()
	folder := filepath.Join(system.Root(t), "tests", "chaos", "testdata", "store")
	address := func() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(system.FreePort(t))) }
	connect := func(name string, targets ...string) *link {
		k, err := newLink(name, targets...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(k.close)
		d.links = append(d.links, k)
		return k
	}
	add := func(p *process) *process {
		p.log = filepath.Join(logs, p.name+".log")
		p.env = append(p.env, "PARLEY_MEDIA_TOKEN="+mediaToken, "PARLEY_KIOSK_KEY="+kioskKey, "PARLEY_LOG_FORMAT=text")
		d.processes = append(d.processes, p)
		t.Cleanup(p.kill)
		return p
	}
	parley := func(name string, args ...string) *process {
		return add(&process{name: name, path: system.Binary(t), args: args})
	}

	// A real server with its data on disk, so that it finds again what it knew.
	at := address()
	host, port, _ := net.SplitHostPort(at)
	args := []string{
		"server", "start-dev", "--ip", host, "--port", port, "--headless", "--log-level", "warn",
		"--db-filename", filepath.Join(t.TempDir(), "temporal.db"), "--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL",
		"--dynamic-config-value", "history.transferProcessorMaxPollRPS=5000",
		"--dynamic-config-value", "history.timerProcessorMaxPollRPS=5000",
		"--dynamic-config-value", "history.visibilityProcessorMaxPollRPS=5000",
	}
	for _, a := range workflows.Attributes {
		kind := "Keyword"
		if a.GetValueType() == enums.INDEXED_VALUE_TYPE_INT {
			kind = "Int"
		}
		args = append(args, "--search-attribute", a.GetName()+"="+kind)
	}
	quiet := log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	server := add(&process{name: "temporal", path: temporal.Command(t), args: args})
	server.up = func(ctx context.Context) error {
		if d.temporal == nil {
			c, err := client.DialContext(ctx, client.Options{HostPort: at, Logger: quiet})
			if err != nil {
				return err
			}
			t.Cleanup(c.Close)
			d.temporal = c
		}
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := d.temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: "default", Query: workflows.AttributeStore.GetName() + ` = "none"`,
		})
		return err
	}

	speechAt := address()
	parley("speech", "speech", "--listen", speechAt, "--corpus", filepath.Join(folder, "kb")).up = answers("http://" + speechAt + "/health")

	var doors []string
	for n := range gateways {
		name := fmt.Sprintf("gateway-%d", n+1)
		listen, media := address(), address()
		advertise := connect("workers to "+name, media)
		p := parley(name, "gateway", "--store", folder, "--listen", listen, "--media", media, "--advertise-media", advertise.addr(),
			"--temporal", connect(name+" to temporal", at).addr(), "--ollama", "", "--speech", "http://"+speechAt)
		p.up = answers("http://" + listen + "/ready")
		doors = append(doors, listen)
	}
	d.kiosks = connect("kiosks to gateways", doors...)
	data := t.TempDir()
	index := exec.Command(system.Binary(t), "kb", "sync", "--store", folder, "--data", data, "--ollama", "", "--embed", "none")
	if out, err := index.CombinedOutput(); err != nil {
		t.Fatalf("parley kb sync: %v\n%s", err, out)
	}
	for _, pool := range pools {
		name := "worker-" + string(pool)
		listen := address()
		args := []string{"worker", "--store", folder, "--pools", string(pool), "--listen", listen, "--data", data,
			"--temporal", connect(name+" to temporal", at).addr(), "--ollama", "", "--llm", "extractive", "--embed", "none"}
		if pool == activities.PoolSTT || pool == activities.PoolTTS {
			args = append(args, "--speech", "http://"+connect(name+" to speech", speechAt).addr())
		}
		if pool == activities.PoolAction {
			args = append(args, "--action-url", "shop=http://"+connect(name+" to the shop", d.shop.server.Listener.Addr().String()).addr())
		}
		p := parley(name, args...)
		p.up, p.metrics = answers("http://"+listen+"/ready"), "http://"+listen+"/metrics"
	}
	for _, p := range d.processes {
		if err := p.start(); err != nil {
			t.Fatal(err)
		}
		if p != server { // the others wait for it
			continue
		}
		d.await(t, p)
	}
	for _, p := range d.processes {
		d.await(t, p)
	}
	return d
}

func (d *deployment) await(t testing.TB, p *process) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("not within a minute"))
	defer cancel()
	if err := p.await(ctx); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
}

// token lets a kiosk in.
func token(t testing.TB, kiosk string) string {
	t.Helper()
	key := []byte(strings.Repeat("k", 32)) // kioskKey, which is hex
	s, err := gateway.NewKioskToken(key, store, kiosk, 3*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
