package lexicon_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/praesenz/parley/speech/lexicon"
)

func TestSentences(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"Hammers are in aisle 4.", "[[hammers are in aisle four]]"},
		{"It costs 12.99 euros, or 5 €.", "[[it costs twelve point nine nine euros] [or five euros]]"},
		{"We're open 9:30 to 20:00!", "[[we're open nine thirty to twenty]]"},
		{"1250 screws & 007 nails", "[[one thousand two hundred fifty screws and zero zero seven nails]]"},
		{"4006381333931", "[[four zero zero six three eight one three three three nine three one]]"},
		{"## The *claw hammer* (large)", "[[the claw hammer] [large]]"},
		{"'quoted' – O’Neill's", "[[quoted] [o'neill's]]"},
		{"Die Größe beträgt 18V", "[[die grösse beträgt eighteen v]]"},
		{"", "[]"},
		{"... !?", "[]"},
	} {
		if got := fmt.Sprint(lexicon.Sentences(c.text)); got != c.want {
			t.Errorf("%q\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

func FuzzSentences(f *testing.F) {
	f.Add("Aisle 4, 12.99 €")
	f.Fuzz(func(t *testing.T, text string) {
		for _, sentence := range lexicon.Sentences(text) {
			for _, word := range sentence {
				if word == "" || len(word) > 40 {
					t.Errorf("%q gives the word %q", text, word)
				}
			}
		}
	})
}

func TestPronounce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "small.dict")
	if err := os.WriteFile(path, []byte("read R EH D\nread(2) R IY D\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	guesses := 0
	l, err := lexicon.Open(path, func(_ context.Context, word string) (string, error) {
		guesses++
		if word == "xyzzy" {
			return "", errors.New("unsayable")
		}
		return "M AH K IY T AH", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for word, want := range map[string][]string{"read": {"R EH D", "R IY D"}, "makita": {"M AH K IY T AH"}, "xyzzy": nil} {
			got, err := l.Pronounce(t.Context(), word)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %q, %v", word, got, err)
			}
		}
	}
	if guesses != 2 {
		t.Errorf("%d guesses; each word is guessed once", guesses)
	}
	if got := fmt.Sprint(l.Phones("read makita xyzzy other")); got != "[R EH D M AH K IY T AH]" {
		t.Errorf("phones %s", got)
	}
	if _, err := lexicon.Open(filepath.Join(t.TempDir(), "none"), nil); err == nil {
		t.Error("a dictionary that is not there was opened")
	}
}
