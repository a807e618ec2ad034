package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/config"
	"github.com/praesenz/parley/tests/temporal"
)

// kb runs a kb command on a data folder, with no Ollama.
func kb(t *testing.T, data string, args ...string) (string, error) {
	t.Helper()
	cmd := kbCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	dir := t.TempDir()
	const file = "store: s1\nlanguages: {default: en, supported: [en, de]}\nkiosks: [{id: k1, flow: help}]\n"
	if err := os.WriteFile(filepath.Join(dir, "store.yaml"), []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd.SetArgs(append(args, "--data", data, "--store", dir, "--index", "kb", "--ollama", ""))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func wantOut(t *testing.T, out string, err error, wants ...string) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range wants {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
}

func TestKB(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("kb/hammer.md", "# Claw hammer\n\nThe claw hammer costs 14.99 euros.")
	write("kb/de/saege.md", "# Säge\n\nDie Säge kostet 9 Euro.")
	write("more/prices.csv", "name,price\nSpade,24.99\nRake,12.49\n")
	const data = "data"

	out, err := kb(t, data, "add", "kb", "more/prices.csv")
	wantOut(t, out, err, "3 documents, 4 passages, 0 unchanged", "by words only")
	out, err = kb(t, data, "add", "kb")
	wantOut(t, out, err, "2 documents, 2 passages, 2 unchanged")

	out, err = kb(t, data, "search", "how", "much", "is", "the", "hammer")
	wantOut(t, out, err, "SCORE", "Claw hammer", "kb/hammer.md", "14.99 euros")
	out, err = kb(t, data, "search", "mongolia")
	wantOut(t, out, err, "Nothing found")
	out, err = kb(t, data, "search", "was kostet die Säge", "--lang", "de", "--json")
	wantOut(t, out, err)
	var res activities.RetrieveResult
	if err := json.Unmarshal([]byte(out), &res); err != nil || len(res.Passages) != 1 || res.Passages[0].Source != "kb/de/saege.md" {
		t.Errorf("%v: %s", err, out)
	}

	out, err = kb(t, data, "list")
	wantOut(t, out, err, "more/prices.csv", "3 documents, 4 passages")
	out, err = kb(t, data, "remove", "more/prices.csv")
	wantOut(t, out, err, "2 passages")
	out, err = kb(t, data, "rebuild")
	wantOut(t, out, err, "2 documents")
	out, err = kb(t, data, "search", "hammer")
	wantOut(t, out, err, "kb/hammer.md")

	write("kb/bad.md", "gr\xfc\xdfe")
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"charset":    {[]string{"add", "kb"}, "save it as UTF-8"},
		"no file":    {[]string{"add", "nosuch.md"}, "nosuch.md"},
		"kind":       {[]string{"add", "data/kb/collections.db"}, ".pdf or .csv"},
		"no source":  {[]string{"remove", "nosuch.md"}, "parley kb list"},
		"top":        {[]string{"search", "x", "--top", "51"}, "1 to 50"},
		"bad server": {[]string{"list", "--qdrant", "http://x"}, "HOST:PORT"},
	} {
		if out, err := kb(t, data, test.args...); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q\n%s", name, err, test.says, out)
		}
	}
	if out, err := kb(t, "other", "search", "hammer"); err == nil || !strings.Contains(err.Error(), "parley kb add") {
		t.Errorf("an empty collection: %v\n%s", err, out)
	}
}

// The commands work while another parley has the folder open.
func TestKBBesideDev(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("hammer.md", []byte("# Hammer\n\nA hammer."), 0o644); err != nil {
		t.Fatal(err)
	}
	dev, err := openIndex(t.Context(), &config.Config{Data: "data"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer dev.close()
	out, err := kb(t, "data", "add", "hammer.md")
	wantOut(t, out, err, "the parley that is running", "1 document, 1 passage")
	out, err = kb(t, "data", "search", "hammer")
	wantOut(t, out, err, "hammer.md")
}

// kb sync keeps the index like the folder, once or for ever, and fails where a
// document does.
func TestKBSync(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("store.yaml", "store: s1\nlanguages: {default: en, supported: [en]}\nkiosks: [{id: k1, flow: help}]\ncollections: {shop: {paths: [kb/shop]}, more: {paths: [kb/more]}}\n")
	write("kb/shop/hammer.md", "# Hammer\n\nA hammer costs 9 euros.")
	write("kb/more/nail.md", "# Nail\n\nA nail.")
	run := func(ctx context.Context, out io.Writer, args ...string) error {
		cmd := kbCommand()
		cmd.SetOut(out)
		cmd.SetErr(out)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs(append(args, "--store", dir, "--data", filepath.Join(dir, "data"), "--embed", "none"))
		return cmd.ExecuteContext(ctx)
	}
	var out bytes.Buffer
	err := run(t.Context(), &out, "sync")
	wantOut(t, out.String(), err, "more: 1 document, 1 passage, 0 unchanged\n", "shop: 1 document")

	write("kb/more/bad.md", "gr\xfc\xdfe")
	out.Reset()
	if err := run(t.Context(), &out, "sync"); err == nil || !strings.Contains(err.Error(), "kb/more/bad.md") || !strings.Contains(out.String(), "more: 1 document, 1 passage, 1 unchanged, 1 failed") {
		t.Errorf("a document that is no text: %v\n%s", err, out.String())
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, io.Discard, "sync", "--watch", "--kb-sync-every", "1s", "--listen", address) }()
	temporal.Eventually(t, 20*time.Second, func() error {
		res, err := http.Get("http://" + address + "/health")
		if err != nil {
			return err
		}
		return res.Body.Close()
	})
	write("kb/shop/saw.md", "# Saw\n\nA saw costs 12 euros.")
	temporal.Eventually(t, 20*time.Second, func() error {
		var found bytes.Buffer
		if err := run(t.Context(), &found, "search", "saw", "--index", "shop"); err != nil {
			return err
		}
		if !strings.Contains(found.String(), "saw.md") {
			return errors.New(found.String())
		}
		return nil
	})
	temporal.Eventually(t, 20*time.Second, func() error {
		res, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		for _, want := range []string{
			`parley_knowledge_documents{index="shop",store="s1"} 2`, `parley_knowledge_documents{index="more",store="s1"} 1`,
			`parley_knowledge_failed_documents{index="more",store="s1"} 1`, `parley_knowledge_synced_timestamp_seconds{index="shop",store="s1"} 1`,
		} {
			if !strings.Contains(string(text), want) {
				err = errors.Join(err, errors.New("/metrics lacks "+want))
			}
		}
		return err
	})
	stop()
	if err := <-ended; err != nil {
		t.Errorf("kb sync --watch that is told to end: %v", err)
	}
}
