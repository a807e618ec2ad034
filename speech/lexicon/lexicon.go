package lexicon

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
)

// A Guess pronounces a word that is in no dictionary: its phones in the
// dictionary's own set, separated by spaces. It returns an error when the word
// cannot be said.
type Guess func(ctx context.Context, word string) (phones string, err error)

// A Lexicon knows how words sound. It is safe for use by several goroutines.
type Lexicon struct {
	known map[string][]string // word → pronunciations, the usual one first
	guess Guess

	mu      sync.Mutex
	guessed map[string]string // "" for what cannot be said
}

// maxGuessed bounds the memory for guesses: requests bring words of their own.
// Beyond it guesses are made anew each time.
const maxGuessed = 20_000

// Open reads a dictionary in CMU's format, "word PH ON EM" a line and
// "word(2) PH ON EM" for a second pronunciation. Words it lacks are left to
// guess.
func Open(path string, guess Guess) (*Lexicon, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open dictionary: %w", err)
	}
	defer f.Close()
	l := &Lexicon{known: make(map[string][]string, 140_000), guess: guess, guessed: map[string]string{}}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		word, phones, ok := strings.Cut(lines.Text(), " ")
		if !ok {
			continue
		}
		word, _, _ = strings.Cut(word, "(")
		l.known[word] = append(l.known[word], strings.TrimSpace(phones))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read dictionary %s: %w", path, err)
	}
	if len(l.known) == 0 {
		return nil, fmt.Errorf("read dictionary %s: it has no words", path)
	}
	return l, nil
}

// Known reports whether the dictionary itself has the word.
func (l *Lexicon) Known(word string) bool { return len(l.known[word]) > 0 }

// Pronounce gives the word's pronunciations, the usual one first; none when the
// word cannot be said. The error is ctx's.
func (l *Lexicon) Pronounce(ctx context.Context, word string) ([]string, error) {
	if known := l.known[word]; known != nil {
		return known, nil
	}
	l.mu.Lock()
	phones, ok := l.guessed[word]
	l.mu.Unlock()
	if !ok {
		var err error
		phones, err = l.guess(ctx, word)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			phones = "" // a word nobody can say is left out, and not asked again
		}
		l.mu.Lock()
		if len(l.guessed) < maxGuessed {
			l.guessed[word] = phones
		}
		l.mu.Unlock()
	}
	if phones == "" {
		return nil, nil
	}
	return []string{phones}, nil
}

// Phones gives the phones of a text by each word's usual pronunciation. Words
// that have not been pronounced before and are in no dictionary are left out.
func (l *Lexicon) Phones(text string) []string {
	var phones []string
	for word := range strings.FieldsSeq(text) {
		if known := l.known[word]; known != nil {
			phones = append(phones, strings.Fields(known[0])...)
			continue
		}
		l.mu.Lock()
		guessed := l.guessed[word]
		l.mu.Unlock()
		phones = append(phones, strings.Fields(guessed)...)
	}
	return phones
}
