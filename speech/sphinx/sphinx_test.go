//go:build pocketsphinx

package sphinx_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/praesenz/parley/speech/sphinx"
)

const acousticModel = "/usr/share/pocketsphinx/model/en-us/en-us"

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// open makes a decoder that knows yes and no.
func open(t *testing.T) *sphinx.Decoder {
	t.Helper()
	d, err := sphinx.Open(sphinx.Config{AcousticModel: acousticModel, Dictionary: write(t, "small.dict", "yes Y EH S\nno N OW\n")})
	if err != nil {
		t.Fatalf("%v (Debian package pocketsphinx-en-us)", err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestWhatCannotBeOpened(t *testing.T) {
	dict := write(t, "small.dict", "yes Y EH S\n")
	for name, c := range map[string]sphinx.Config{
		"no acoustic model": {AcousticModel: t.TempDir(), Dictionary: dict},
		"no dictionary":     {AcousticModel: acousticModel, Dictionary: filepath.Join(t.TempDir(), "none")},
	} {
		if d, err := sphinx.Open(c); err == nil {
			d.Close()
			t.Errorf("%s: opened", name)
		}
	}
	d := open(t)
	for name, path := range map[string]string{"missing": filepath.Join(t.TempDir(), "none"), "no ARPA": write(t, "x.arpa", "hello\n")} {
		if m, err := d.Load(path); err == nil {
			m.Close()
			t.Errorf("language model %s: loaded", name)
		}
	}
}

func TestWhatCannotBeSet(t *testing.T) {
	d := open(t)
	if err := d.AddWord("maybe", "M EY B IY"); err != nil {
		t.Error(err)
	}
	if err := d.AddWord("foreign", "M QX"); err == nil {
		t.Error("a word with a phone that does not exist was added")
	}
	if err := d.SetPhrases("answers", []string{"yes", "unknown"}); err == nil {
		t.Error("a phrase with an unknown word was set")
	}
	if err := d.SetModel("nothing"); err == nil {
		t.Error("a search without language models was set")
	}
	if err := d.Begin("nowhere", d.Expected()); err == nil {
		t.Error("an utterance began with a search that is not there")
	}
	if err := d.SetPhrases("answers", []string{"yes", "no", "maybe"}); err != nil {
		t.Fatal(err)
	}
	if err := d.Begin("answers", nil); err == nil {
		t.Error("an utterance began without a mean")
	}
}

// Silence, utterances cut short and searches that come and go leave the decoder
// ready for the next.
func TestManyUtterances(t *testing.T) {
	d := open(t)
	front, err := d.NewFrontend()
	if err != nil {
		t.Fatal(err)
	}
	defer front.Close()
	noise := make([]int16, sphinx.SampleRate)
	for i := range noise {
		noise[i] = int16((i * 7919) % 4001)
	}
	for i := range 20 {
		if err := d.SetPhrases("answers", []string{"yes", "no"}); err != nil {
			t.Fatal(err)
		}
		front.Begin()
		frames, err := front.Process(nil, noise[:i*500])
		if err != nil {
			t.Fatal(err)
		}
		if frames, err = front.End(frames); err != nil {
			t.Fatal(err)
		}
		if err := d.Begin("answers", frames.Mean(d.Expected(), 50)); err != nil {
			t.Fatal(err)
		}
		if err := d.Feed(frames); err != nil {
			t.Fatal(err)
		}
		if _, err := d.End(); err != nil {
			t.Fatal(err)
		}
		d.Unset("answers")
	}
}
