package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/praesenz/parley/config"
)

// An authority signs certificates and writes them where the settings find them.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.issue("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil, nil)
	return a
}

// issue writes NAME.pem and NAME-key.pem.
func (a *authority) issue(name string, c, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if parent == nil {
		parent, parentKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), parentKey)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + "-key.pem": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(a.path(file), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func (a *authority) path(file string) string { return filepath.Join(a.dir, file) }

// front puts TLS that asks for a client's certificate before a server.
func (a *authority) front(backend string) string {
	a.t.Helper()
	pair, err := tls.LoadX509KeyPair(a.path("server.pem"), a.path("server-key.pem"))
	if err != nil {
		a.t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(a.cert)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, NextProtos: []string{"h2"},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				behind, err := net.Dial("tcp", backend)
				if err != nil {
					return
				}
				defer behind.Close()
				go io.Copy(behind, conn) //nolint:errcheck // either side ends it
				io.Copy(conn, behind)    //nolint:errcheck
			}()
		}
	}()
	return l.Addr().String()
}

// A Temporal server behind TLS is reached with the authority, a certificate and
// the name that the settings give, and not without one of them.
func TestTemporalTLS(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, plain := temporalForTest(ctx, t)
	a := newAuthority(t)
	a.issue("server", &x509.Certificate{DNSNames: []string{"temporal.store"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, a.cert, a.key)
	a.issue("worker", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, a.cert, a.key)
	good := config.Config{
		Temporal: a.front(plain), Namespace: "default", TemporalTLS: true, TemporalServerName: "temporal.store",
		TemporalTLSCA: a.path("ca.pem"), TemporalTLSCert: a.path("worker.pem"), TemporalTLSKey: a.path("worker-key.pem"),
	}
	logger := slog.New(slog.DiscardHandler)
	c, err := dialTemporal(ctx, &good, nil, nil, logger)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()

	for name, tc := range map[string]struct {
		spoil func(*config.Config)
		says  string
	}{
		"another name": {func(c *config.Config) { c.TemporalServerName = "temporal.elsewhere" }, "not temporal.elsewhere"},
		// Why is told only to who reads the server's alert before the connection breaks.
		"no certificate":      {func(c *config.Config) { c.TemporalTLSCert, c.TemporalTLSKey = "", "" }, "temporal at "},
		"another authority":   {func(c *config.Config) { c.TemporalTLSCA = newAuthority(t).path("ca.pem") }, "unknown authority"},
		"no authority":        {func(c *config.Config) { c.TemporalTLSCA = a.path("none.pem") }, "temporal_tls_ca: open "},
		"a key for authority": {func(c *config.Config) { c.TemporalTLSCA = a.path("worker-key.pem") }, "holds no certificate in PEM"},
		"another's key":       {func(c *config.Config) { c.TemporalTLSKey = a.path("server-key.pem") }, "temporal_tls_cert: tls: private key does not match"},
	} {
		t.Run(name, func(t *testing.T) {
			spoilt := good
			tc.spoil(&spoilt)
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			c, err := dialTemporal(ctx, &spoilt, nil, nil, logger)
			if err == nil {
				c.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v, want %q", err, tc.says)
			}
		})
	}
}
