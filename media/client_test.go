package media_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/praesenz/parley/media"
	"github.com/praesenz/parley/tests/stub"
)

func start(t *testing.T) *stub.Gateway {
	t.Helper()
	g, err := stub.StartGateway(stub.GatewayConfig{Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func TestClientPresentsItsToken(t *testing.T) {
	g := start(t)
	for token, want := range map[string]codes.Code{"secret": codes.OK, "wrong": codes.Unauthenticated, "": codes.Unauthenticated} {
		c := media.NewClient(token)
		defer c.Close()
		gateway, release, err := c.Gateway(g.Address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = gateway.Transcribed(t.Context(), &media.Transcript{})
		if status.Code(err) != want {
			t.Errorf("token %q: %v, want %s", token, err, want)
		}
		release()
	}
}

func TestClientKeepsABoundedNumberOfGateways(t *testing.T) {
	a, b := start(t), start(t)
	c := media.NewClient("secret", media.WithMaxGateways(1))
	defer c.Close()

	gateway, release, err := c.Gateway(a.Address)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Gateway(b.Address); err == nil || !strings.Contains(err.Error(), "WithMaxGateways") {
		t.Errorf("a second gateway while the first is in use: %v", err)
	}
	if _, again, err := c.Gateway(a.Address); err != nil {
		t.Errorf("the same gateway again: %v", err)
	} else {
		again()
	}
	if _, err := gateway.Transcribed(t.Context(), &media.Transcript{}); err != nil {
		t.Errorf("the gateway in use: %v", err)
	}
	release()
	release() // twice is once
	if _, release, err := c.Gateway(b.Address); err != nil {
		t.Errorf("the first gateway did not give way: %v", err)
	} else {
		release()
	}
}

func TestClientFailsFastWhereNobodyAnswers(t *testing.T) {
	c := media.NewClient("secret")
	gateway, release, err := c.Gateway("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	began := time.Now()
	if _, err := gateway.Transcribed(t.Context(), &media.Transcript{}); status.Code(err) != codes.Unavailable {
		t.Errorf("error %v, want Unavailable", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s to say so", took)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := c.Gateway("127.0.0.1:1"); err == nil {
		t.Error("a closed client connects")
	}
}
