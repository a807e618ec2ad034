//go:build pocketsphinx

// Package sphinx is PocketSphinx as Go sees it: a resident [Decoder] that is fed
// an utterance while it is spoken and answers with words and how sure it is of
// each. It needs Debian's libpocketsphinx-dev and libsphinxbase-dev to build and
// exists only under the build tag "pocketsphinx".
package sphinx

/*
#cgo pkg-config: pocketsphinx sphinxbase
#include <stdlib.h>
#include "sphinx.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unsafe"
)

// SampleRate is the rate in hertz of the mono 16-bit audio a Decoder takes.
const SampleRate = 16000

// frameLength is the acoustic model's step: 100 frames a second.
const frameLength = 10 * time.Millisecond

// Config names the files a Decoder is built from.
type Config struct {
	AcousticModel string // folder, for example /usr/share/pocketsphinx/model/en-us/en-us
	Dictionary    string // file with one "word PH ON EM ES" a line; must not be empty
}

// A Decoder recognises one utterance at a time and is not safe for use by two
// goroutines at once. It holds C memory until Close.
type Decoder struct {
	ps *C.ps_decoder_t
}

// Expected is the mean the acoustic model expects of an utterance before any of
// it is known.
func (d *Decoder) Expected() Cepstra {
	mean := make(Cepstra, coefficients)
	C.parley_expected(d.ps, (*C.mfcc_t)(&mean[0]))
	return mean
}

// A Word is one recognised word.
type Word struct {
	Text      string
	Start     time.Duration // since the first sample of the utterance
	End       time.Duration
	Posterior float64 // 0–1; always 1 for a phrase list, which has nothing to compare with
}

// A Result is what was heard in one utterance.
type Result struct {
	Words []Word // without silence and noise; empty when nothing was heard
}

// Text joins the words by spaces.
func (r Result) Text() string {
	words := make([]string, len(r.Words))
	for i, w := range r.Words {
		words[i] = w.Text
	}
	return strings.Join(words, " ")
}

// Open loads the acoustic model and dictionary; it takes tens of milliseconds
// for a dictionary of a few thousand words.
func Open(c Config) (*Decoder, error) {
	hmm, dict := C.CString(c.AcousticModel), C.CString(c.Dictionary)
	defer C.free(unsafe.Pointer(hmm))
	defer C.free(unsafe.Pointer(dict))
	ps := C.parley_open(hmm, dict)
	if ps == nil {
		return nil, fmt.Errorf("open recogniser with acoustic model %s and dictionary %s: PocketSphinx refused them", c.AcousticModel, c.Dictionary)
	}
	return &Decoder{ps: ps}, nil
}

// Close frees the decoder. Closing twice does nothing.
func (d *Decoder) Close() {
	if d.ps != nil {
		C.ps_free(d.ps)
		d.ps = nil
	}
}

// AddWord teaches the dictionary one pronunciation, phones separated by spaces.
// Searches set before do not see it. A word that is known already is left alone.
func (d *Decoder) AddWord(word, phones string) error {
	w, p := C.CString(word), C.CString(phones)
	defer C.free(unsafe.Pointer(w))
	defer C.free(unsafe.Pointer(p))
	if C.parley_add_word(d.ps, w, p) < 0 {
		return fmt.Errorf("add word %q: pronunciation %q has a phone that the acoustic model lacks", word, phones)
	}
	return nil
}

// A Model is an n-gram language model loaded for one Decoder. It holds C memory
// until Close; closing it does not disturb searches that use it.
type Model struct {
	lm *C.ngram_model_t
}

// Load reads a language model, an ARPA or Sphinx binary file, for SetModel.
func (d *Decoder) Load(path string) (*Model, error) {
	p := C.CString(path)
	defer C.free(unsafe.Pointer(p))
	lm := C.parley_load_model(d.ps, p)
	if lm == nil {
		return nil, fmt.Errorf("load language model %s: PocketSphinx cannot read it", path)
	}
	return &Model{lm: lm}, nil
}

// Close frees the model. Closing twice does nothing.
func (m *Model) Close() {
	if m.lm != nil {
		C.ngram_model_free(m.lm)
		m.lm = nil
	}
}

// A Part is a language model's share in a search.
type Part struct {
	Model  *Model
	Weight float64 // the weights of all parts add up to 1
}

// SetModel adds a search by the interpolation of language models, replacing the
// search of that name. Words that are not in the dictionary are never heard.
func (d *Decoder) SetModel(name string, parts ...Part) error {
	if len(parts) == 0 {
		return fmt.Errorf("set search %q: it has no language models", name)
	}
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	models := make([]*C.ngram_model_t, len(parts))
	names := make([]*C.char, len(parts))
	weights := make([]C.float32, len(parts))
	for i, p := range parts {
		models[i], weights[i] = p.Model.lm, C.float32(p.Weight)
		names[i] = C.CString(fmt.Sprint(i))
		defer C.free(unsafe.Pointer(names[i]))
	}
	if C.parley_set_model(d.ps, n, &models[0], &names[0], &weights[0], C.int(len(parts))) < 0 {
		return fmt.Errorf("set search %q by %d language models: none of their words are in the dictionary", name, len(parts))
	}
	return nil
}

// SetPhrases adds a search that hears one of the phrases and nothing else,
// replacing the search of that name. Each phrase is words from the dictionary
// separated by spaces.
func (d *Decoder) SetPhrases(name string, phrases []string) error {
	n, g := C.CString(name), C.CString(grammar(phrases))
	defer C.free(unsafe.Pointer(n))
	defer C.free(unsafe.Pointer(g))
	if C.ps_set_jsgf_string(d.ps, n, g) < 0 {
		return fmt.Errorf("set %d phrases: a word is not in the dictionary", len(phrases))
	}
	return nil
}

func grammar(phrases []string) string {
	return "#JSGF V1.0;\ngrammar parley;\npublic <phrase> = " + strings.Join(phrases, " | ") + " ;\n"
}

// Unset frees the search of that name, which must not be the one in use.
func (d *Decoder) Unset(name string) {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	C.ps_unset_search(d.ps, n)
}

// Begin starts an utterance with the search of that name. Mean is the mean of
// the utterance's cepstra as far as it is known; it carries the voice, the
// microphone and the distance, which recognition takes away from every frame.
func (d *Decoder) Begin(search string, mean Cepstra) error {
	if len(mean) != coefficients {
		return fmt.Errorf("begin utterance: the mean has %d coefficients, it must have %d", len(mean), coefficients)
	}
	n := C.CString(search)
	defer C.free(unsafe.Pointer(n))
	if C.parley_begin(d.ps, n, (*C.mfcc_t)(&mean[0])) < 0 {
		return fmt.Errorf("begin utterance with search %q: no such search", search)
	}
	return nil
}

// Feed decodes the next frames. It blocks for as long as that takes, up to some
// tenths of the audio's own length. The frames are used up.
func (d *Decoder) Feed(frames Cepstra) error {
	if len(frames) == 0 {
		return nil
	}
	if C.parley_feed(d.ps, (*C.mfcc_t)(&frames[0]), C.int(frames.Frames())) < 0 {
		return errors.New("decode frames: PocketSphinx failed")
	}
	return nil
}

// End finishes the utterance: a second pass over it and the posteriors.
func (d *Decoder) End() (Result, error) {
	if C.ps_end_utt(d.ps) < 0 {
		return Result{}, errors.New("end utterance: PocketSphinx failed")
	}
	var r Result
	for seg := C.ps_seg_iter(d.ps); seg != nil; seg = C.ps_seg_next(seg) {
		text := C.GoString(C.ps_seg_word(seg))
		if strings.HasPrefix(text, "<") || strings.HasPrefix(text, "[") || strings.HasPrefix(text, "(") {
			continue
		}
		text, _, _ = strings.Cut(text, "(") // "the(2)" is a second pronunciation
		var start, end C.int
		C.ps_seg_frames(seg, &start, &end)
		logPosterior := C.logmath_log_to_ln(C.ps_get_logmath(d.ps), C.ps_seg_prob(seg, nil, nil, nil))
		r.Words = append(r.Words, Word{
			Text:      text,
			Start:     time.Duration(start) * frameLength,
			End:       time.Duration(end+1) * frameLength,
			Posterior: min(1, math.Exp(float64(logPosterior))),
		})
	}
	return r, nil
}
