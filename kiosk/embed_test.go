package kiosk_test

import (
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/praesenz/parley/kiosk"
)

func TestPageNamesOnlyFilesThatAreThere(t *testing.T) {
	html, err := fs.ReadFile(kiosk.Page(), "index.html")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(string(html), -1)
	if len(names) == 0 {
		t.Fatal("index.html names no script and no style sheet")
	}
	for _, name := range names {
		if _, err := fs.Stat(kiosk.Page(), name[1]); err != nil {
			t.Errorf("index.html names %s: %v", name[1], err)
		}
	}
	app, err := fs.ReadFile(kiosk.Page(), "app.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, worklet := range []string{"playback-worklet.js", "capture-worklet.js"} {
		if !strings.Contains(string(app), worklet) {
			t.Errorf("app.js does not load %s", worklet)
		}
		if _, err := fs.Stat(kiosk.Page(), worklet); err != nil {
			t.Error(err)
		}
	}
}

func TestPageNeedsNoInlineScriptOrStyle(t *testing.T) {
	html, err := fs.ReadFile(kiosk.Page(), "index.html")
	if err != nil {
		t.Fatal(err)
	}
	inline := regexp.MustCompile(`<style|<script(?:\s+type="module")?>|\sstyle=|\son[a-z]+=`)
	if found := inline.FindString(string(html)); found != "" {
		t.Errorf("index.html has %q, which the content security policy forbids", found)
	}
}

func TestCommittedPageIsWhatTheSourcesBuild(t *testing.T) {
	if _, err := os.Stat("node_modules/esbuild"); err != nil {
		t.Skip("esbuild is not installed: run npm ci in kiosk/")
	}
	out, err := exec.Command("node", "build.mjs", "--check").CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
