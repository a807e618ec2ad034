//go:build pocketsphinx

package speech

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/praesenz/parley/speech/lexicon"
	"github.com/praesenz/parley/speech/ngram"
	"github.com/praesenz/parley/speech/sphinx"
)

// The shares of the language models in what is heard. The store's own model
// leads; the general one lets customers say what the store never wrote, so that
// a question out of scope is heard as itself and not as the nearest product.
const (
	generalShare = 0.05
	hintShare    = 0.30
)

// hearing is PocketSphinx with a fixed number of resident ears. When the corpus
// changes, ears that know the new one take the places of the old, one by one.
type hearing struct {
	config  Config
	log     *slog.Logger
	lexicon *lexicon.Lexicon
	idle    chan *ear // holds every ear that is not hearing; its capacity is their number

	ctx     context.Context // ends when close is called
	stop    context.CancelFunc
	rebuild sync.WaitGroup

	mu      sync.Mutex
	checked time.Time // when the corpus files were last looked at
	stamp   string    // of the corpus the newest ears know
	busy    bool      // a look or rebuild is under way
}

// builtDeaf is nil: this build has a recogniser.
var builtDeaf error

func newRecogniser(ctx context.Context, c Config) (recogniser, error) {
	lex, err := lexicon.Open(filepath.Join(c.ModelDir, "cmudict-en-us.dict"), pronounceWithFlite)
	if err != nil {
		return nil, fmt.Errorf("start recogniser: %w; install Debian package pocketsphinx-en-us", err)
	}
	h := &hearing{
		config:  c,
		log:     c.Logger,
		lexicon: lex,
		idle:    make(chan *ear, c.Recognisers),
	}
	files, stamp, err := corpusFiles(c.Corpus)
	if err != nil {
		return nil, err
	}
	ears, err := h.train(ctx, files, c.Recognisers)
	if err != nil {
		return nil, err
	}
	for _, e := range ears {
		h.idle <- e
	}
	h.stamp, h.checked = stamp, time.Now()
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h, nil
}

// train builds n ears that know the files' words.
func (h *hearing) train(ctx context.Context, files []string, n int) (ears []*ear, err error) {
	start := time.Now()
	corpus, err := readCorpus(files)
	if err != nil {
		return nil, err
	}
	counts := corpus.model(h.lexicon)
	dir, err := os.MkdirTemp("", "parley-speech-")
	if err != nil {
		return nil, fmt.Errorf("train recogniser: %w", err)
	}
	defer os.RemoveAll(dir) // an ear has read its files once it is open
	store := filepath.Join(dir, "store.arpa")
	if err := writeFile(store, counts.WriteARPA); err != nil {
		return nil, fmt.Errorf("train recogniser: %w", err)
	}
	full, small := filepath.Join(dir, "full.dict"), filepath.Join(dir, "small.dict")
	if err := h.writeDictionaries(ctx, full, small, counts.Words()); err != nil {
		return nil, fmt.Errorf("train recogniser: %w", err)
	}
	defer func() {
		if err != nil {
			for _, e := range ears {
				e.close()
			}
		}
	}()
	for range n {
		e, err := h.newEar(full, small, store)
		if err != nil {
			return ears, err
		}
		ears = append(ears, e)
	}
	h.log.Info("recogniser trained", "files", len(files), "words", len(counts.Words()), "took", time.Since(start).Round(time.Millisecond))
	return ears, nil
}

// writeDictionaries writes the dictionary of everything, the model's own with
// the store's words added, and a small one to begin phrase lists from.
func (h *hearing) writeDictionaries(ctx context.Context, full, small string, words []string) error {
	known, err := os.ReadFile(filepath.Join(h.config.ModelDir, "cmudict-en-us.dict"))
	if err != nil {
		return err
	}
	var added, minimal strings.Builder
	minimal.WriteString("yes Y EH S\nno N OW\n")
	for _, w := range words {
		if h.lexicon.Known(w) {
			continue
		}
		phones, err := h.lexicon.Pronounce(ctx, w)
		if err != nil {
			return err
		}
		if len(phones) == 0 {
			h.log.Debug("word cannot be pronounced", "word", w)
			continue
		}
		fmt.Fprintf(&added, "%s %s\n", w, phones[0])
	}
	if len(known) > 0 && known[len(known)-1] != '\n' {
		known = append(known, '\n')
	}
	if err := os.WriteFile(full, append(known, added.String()...), 0o600); err != nil {
		return err
	}
	return os.WriteFile(small, []byte(minimal.String()), 0o600)
}

func writeFile(path string, write func(w io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// lookForChanges rebuilds the ears in the background when the corpus files have
// changed since the last look. What was heard well goes on being heard while it
// does.
func (h *hearing) lookForChanges() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy || time.Since(h.checked) < lookInterval || h.ctx.Err() != nil {
		return
	}
	h.busy = true
	h.rebuild.Go(func() {
		err := h.retrain()
		h.mu.Lock()
		defer h.mu.Unlock()
		h.busy, h.checked = false, time.Now()
		if err != nil && h.ctx.Err() == nil {
			h.log.Warn("corpus not read again; the recogniser keeps what it knew", "error", err)
		}
	})
}

func (h *hearing) retrain() error {
	files, stamp, err := corpusFiles(h.config.Corpus)
	if err != nil || stamp == h.stamp {
		return err
	}
	ears, err := h.train(h.ctx, files, cap(h.idle))
	if err != nil {
		return err
	}
	for i, e := range ears {
		select {
		case old := <-h.idle:
			old.close()
			h.idle <- e
		case <-h.ctx.Done():
			for _, e := range ears[i:] {
				e.close()
			}
			return h.ctx.Err()
		}
	}
	h.stamp = stamp // only this goroutine touches it while busy is set
	return nil
}

func (h *hearing) close() {
	h.mu.Lock()
	h.stop() // no look begins after this
	h.mu.Unlock()
	h.rebuild.Wait()
	for range cap(h.idle) {
		(<-h.idle).close()
	}
}

func (h *hearing) listen(ctx context.Context, hint hints) (utterance, error) {
	h.lookForChanges()
	select {
	case e := <-h.idle:
		if err := e.begin(ctx, h.lexicon, hint); err != nil {
			h.idle <- e
			return nil, err
		}
		return &earing{ear: e, hearing: h}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// An earing is one utterance in an ear's hands.
type earing struct {
	ear     *ear // nil once it is given back
	hearing *hearing
}

func (u *earing) feed(samples []int16) error { return u.ear.feed(samples) }

func (u *earing) finish() ([]heardWord, error) {
	defer u.giveBack()
	words, err := u.ear.end(u.hearing.lexicon)
	if err != nil {
		u.ear.drop()
	}
	return words, err
}

func (u *earing) abandon() {
	if u.ear != nil {
		u.ear.drop()
		u.giveBack()
	}
}

func (u *earing) giveBack() {
	u.hearing.idle <- u.ear
	u.ear = nil
}

// An ear hears an utterance twice at once: open, as any words, and closed, as
// one of the phrases that are expected, which costs a tenth of the first. The
// closed one always finds a phrase, whatever was said, so it counts only where
// both heard much the same sounds.
type ear struct {
	front          *sphinx.Frontend
	open, closed   *sphinx.Decoder
	store, general *sphinx.Model
	known          []knownHints    // the searches that are set up, the last used last
	current        *knownHints     // nil: no hints
	begun          bool            // the decoders have begun the utterance
	expected       sphinx.Cepstra  // mean, before anything is heard
	pending        sphinx.Cepstra  // frames of it they have not had
	named          int             // searches named so far
	learned        map[string]bool // words of hints that both dictionaries have
}

// knownHints are hints an ear has its searches set up for.
type knownHints struct {
	key     string
	name    string
	phrases bool // the closed decoder has a search too
}

// maxKnownHints bounds the memory for searches: a flow has some tens of steps
// and a store's kiosks are at few of them at a time. The one used longest ago
// goes.
const maxKnownHints = 6

// maxLearned bounds the words that hints add to an ear's dictionaries, which
// cannot forget. A flow's expected answers are a few hundred; phrases with words
// beyond the bound are left out until the ear is replaced.
const maxLearned = 10_000

// minAlike is how alike, by their phones, the open and the closed hearing must
// be for the phrase to count.
const minAlike = 0.5

// meanFrames is how many frames of speech, a second's worth, are awaited before
// decoding begins: their mean says how this voice sounds at this distance, and
// starting from it instead of from what the model expects halved the word
// errors. What is expected still counts as expectedWeight frames. Decoding is
// several times faster than speech and has caught up when the utterance ends; a
// shorter one is decoded at its end.
const (
	meanFrames     = 100
	expectedWeight = 50
)

// everything is the name of the search without hints.
const everything = "everything"

func (h *hearing) newEar(full, small, store string) (_ *ear, err error) {
	e := &ear{learned: map[string]bool{}}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	acoustic := filepath.Join(h.config.ModelDir, "en-us")
	if e.open, err = sphinx.Open(sphinx.Config{AcousticModel: acoustic, Dictionary: full}); err != nil {
		return nil, fmt.Errorf("%w; install Debian package pocketsphinx-en-us", err)
	}
	if e.closed, err = sphinx.Open(sphinx.Config{AcousticModel: acoustic, Dictionary: small}); err != nil {
		return nil, err
	}
	if e.general, err = e.open.Load(filepath.Join(h.config.ModelDir, "en-us.lm.bin")); err != nil {
		return nil, fmt.Errorf("%w; install Debian package pocketsphinx-en-us", err)
	}
	if e.store, err = e.open.Load(store); err != nil {
		return nil, err
	}
	e.expected = e.open.Expected()
	if e.front, err = e.open.NewFrontend(); err != nil {
		return nil, err
	}
	return e, e.open.SetModel(everything,
		sphinx.Part{Model: e.store, Weight: 1 - generalShare},
		sphinx.Part{Model: e.general, Weight: generalShare})
}

func (e *ear) close() {
	for _, m := range []*sphinx.Model{e.store, e.general} {
		if m != nil {
			m.Close()
		}
	}
	if e.front != nil {
		e.front.Close()
	}
	for _, d := range []*sphinx.Decoder{e.open, e.closed} {
		if d != nil {
			d.Close()
		}
	}
}

func (e *ear) begin(ctx context.Context, lex *lexicon.Lexicon, hint hints) error {
	e.current = nil
	e.begun, e.pending = false, e.pending[:0]
	if !hint.empty() {
		if err := e.expect(ctx, lex, hint); err != nil {
			return err
		}
	}
	e.front.Begin()
	return nil
}

// expect sets current to searches for the hints, made now or kept from before.
func (e *ear) expect(ctx context.Context, lex *lexicon.Lexicon, hint hints) error {
	key := hint.key()
	i := slices.IndexFunc(e.known, func(k knownHints) bool { return k.key == key })
	var k knownHints
	if i >= 0 {
		k = e.known[i]
		e.known = slices.Delete(e.known, i, i+1)
	} else {
		if len(e.known) == maxKnownHints {
			e.forget(e.known[0])
			e.known = slices.Delete(e.known, 0, 1)
		}
		var err error
		if k, err = e.learn(ctx, lex, key, hint); err != nil {
			return fmt.Errorf("prepare for what is expected: %w", err)
		}
	}
	e.known = append(e.known, k)
	e.current = &k
	return nil
}

func (e *ear) forget(k knownHints) {
	e.open.Unset(k.name)
	if k.phrases {
		e.closed.Unset(k.name)
	}
}

// learn sets up the searches for hints. Phrases with a word that cannot be
// pronounced are left out; a closed list that is left empty is none.
func (e *ear) learn(ctx context.Context, lex *lexicon.Lexicon, key string, hint hints) (knownHints, error) {
	e.named++
	k := knownHints{key: key, name: fmt.Sprintf("hints-%d", e.named)}
	var counts ngram.Counts
	var phrases []string
	for _, words := range hint.phrases {
		ok, err := e.learnWords(ctx, lex, words)
		if err != nil {
			return k, err
		}
		if ok {
			phrases = append(phrases, strings.Join(words, " "))
			counts.Add(words, 1)
		}
	}
	for _, words := range hint.text {
		if _, err := e.learnWords(ctx, lex, words); err != nil {
			return k, err
		}
		counts.Add(words, 1)
	}
	if len(phrases) > 0 {
		if err := e.closed.SetPhrases(k.name, phrases); err != nil {
			return k, err
		}
		k.phrases = true
	}
	model, err := e.loadCounts(&counts)
	if err != nil {
		return k, err
	}
	defer model.Close() // the search keeps what it needs
	return k, e.open.SetModel(k.name,
		sphinx.Part{Model: e.store, Weight: 1 - generalShare - hintShare},
		sphinx.Part{Model: e.general, Weight: generalShare},
		sphinx.Part{Model: model, Weight: hintShare})
}

func (e *ear) loadCounts(counts *ngram.Counts) (*sphinx.Model, error) {
	f, err := os.CreateTemp("", "parley-hints-*.arpa")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	if err := counts.WriteARPA(f); err != nil {
		f.Close()
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return e.open.Load(f.Name())
}

// learnWords puts words into both dictionaries and reports whether all of them
// can be pronounced.
func (e *ear) learnWords(ctx context.Context, lex *lexicon.Lexicon, words []string) (bool, error) {
	for _, w := range words {
		if e.learned[w] {
			continue
		}
		pronunciations, err := lex.Pronounce(ctx, w)
		if err != nil {
			return false, err
		}
		if len(pronunciations) == 0 || len(e.learned) == maxLearned {
			return false, nil
		}
		for i, phones := range pronunciations {
			name := w
			if i > 0 {
				name = fmt.Sprintf("%s(%d)", w, i+1)
			}
			for _, d := range []*sphinx.Decoder{e.open, e.closed} {
				if d.AddWord(name, phones) != nil {
					return false, nil // a sound the acoustic model lacks
				}
			}
		}
		e.learned[w] = true
	}
	return true, nil
}

func (e *ear) feed(samples []int16) error {
	var err error
	if e.pending, err = e.front.Process(e.pending, samples); err != nil {
		return err
	}
	if !e.begun && e.pending.Frames() < meanFrames {
		return nil
	}
	return e.decode()
}

// decode gives the decoders what is pending, having begun the utterance.
func (e *ear) decode() error {
	if !e.begun {
		mean := e.pending.Mean(e.expected, expectedWeight)
		search := everything
		if e.current != nil {
			search = e.current.name
		}
		if err := e.open.Begin(search, mean); err != nil {
			return err
		}
		if e.hasPhrases() {
			if err := e.closed.Begin(search, mean); err != nil {
				return err
			}
		}
		e.begun = true
	}
	if e.hasPhrases() {
		if err := e.closed.Feed(slices.Clone(e.pending)); err != nil {
			return err
		}
	}
	err := e.open.Feed(e.pending)
	e.pending = e.pending[:0]
	return err
}

func (e *ear) hasPhrases() bool { return e.current != nil && e.current.phrases }

// drop ends whatever is under way, so that the next utterance can begin. That
// nothing is under way in one of the decoders is no error.
func (e *ear) drop() {
	_, _ = e.front.End(nil)
	_, _ = e.open.End()
	_, _ = e.closed.End()
}

func (e *ear) end(lex *lexicon.Lexicon) ([]heardWord, error) {
	var err error
	if e.pending, err = e.front.End(e.pending); err != nil {
		return nil, err
	}
	if !e.begun && e.pending.Frames() == 0 {
		return nil, nil // silence
	}
	if err := e.decode(); err != nil {
		return nil, err
	}
	open, err := e.open.End()
	if !e.hasPhrases() {
		return heardWords(open), err
	}
	closed, closedErr := e.closed.End()
	if err := errors.Join(err, closedErr); err != nil {
		return nil, err
	}
	alike := alikeness(lex.Phones(open.Text()), lex.Phones(closed.Text()))
	if alike < minAlike {
		return heardWords(open), nil
	}
	words := heardWords(closed)
	for i := range words {
		words[i].posterior = alike
	}
	return words, nil
}

func heardWords(r sphinx.Result) []heardWord {
	words := make([]heardWord, len(r.Words))
	for i, w := range r.Words {
		words[i] = heardWord{text: w.Text, start: w.Start, end: w.End, posterior: w.Posterior}
	}
	return words
}
