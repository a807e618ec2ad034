package gateway

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/praesenz/parley/media"
)

// segmentsOf writes text in pieces of n bytes and gives what becomes of it.
func segmentsOf(text string, n int) []string {
	r := &response{number: 1}
	for len(text) > 0 {
		k := min(n, len(text))
		r.write(text[:k])
		text = text[k:]
	}
	r.finishText()
	return r.segments
}

func TestTextBecomesSentences(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"Yes.", []string{"Yes."}},
		{"No. We are closed.", []string{"No.", "We are closed."}},
		{"It costs 12.99 euros. You find it in aisle 4.", []string{"It costs 12.99 euros.", "You find it in aisle 4."}},
		{"It is in aisle 4. You can't miss it!", []string{"It is in aisle 4.", "You can't miss it!"}},
		{"Really?! Yes. \"Of course.\" Well", []string{"Really?!", "Yes.", "\"Of course.\"", "Well"}},
		{"Use e.g. a drill. Ask Mr. Smith.", []string{"Use e.g. a drill.", "Ask Mr. Smith."}},
		{"Item no. 5 is sold out.", []string{"Item no. 5 is sold out."}},
		{"We open at 8 a.m. on Monday. We close at 6 p.m. Come in.", []string{"We open at 8 a.m. on Monday.", "We close at 6 p.m.", "Come in."}},
		{"Das kostet 12,99 Euro. Gern!", []string{"Das kostet 12,99 Euro.", "Gern!"}},
		{"Am 3. Oktober ist zu. Im 2. Stock auch.", []string{"Am 3. Oktober ist zu.", "Im 2. Stock auch."}},
		{"Nehmen Sie z.B. Dübel, z. B. Größe 6. Gern.", []string{"Nehmen Sie z.B. Dübel, z. B. Größe 6.", "Gern."}},
		{"Montag bis Freitag, ca. 9 bis 18 Uhr. Bis bald.", []string{"Montag bis Freitag, ca. 9 bis 18 Uhr.", "Bis bald."}},
		{"Hammers\nSaws\n\nDrills", []string{"Hammers", "Saws", "Drills"}},
		{"Wait... what? Ok…  Go.", []string{"Wait... what?", "Ok…", "Go."}},
		{"See www.example.com for more. Bye.", []string{"See www.example.com for more.", "Bye."}},
		{"...", nil},
		{"   ", nil},
		{"When you come in by the main entrance on the left, you see the hammers, then the saws. Fine, thanks, that is a sentence with commas.", []string{
			"When you come in by the main entrance on the left,", "you see the hammers, then the saws.",
			"Fine, thanks, that is a sentence with commas.",
		}},
	} {
		for _, n := range []int{1, 3, 1000} {
			if got := segmentsOf(c.text, n); !slices.Equal(got, c.want) {
				t.Errorf("%q in pieces of %d:\n got %q\nwant %q", c.text, n, got, c.want)
			}
		}
	}
}

func TestAVeryLongSentenceIsSplitAndNothingIsLost(t *testing.T) {
	text := strings.Repeat("word ", 200)
	got := segmentsOf(text, 7)
	if strings.Join(got, " ") != strings.TrimSpace(text) {
		t.Errorf("words are lost: %q", got)
	}
	for _, s := range got {
		if len(s) > longestNormal {
			t.Errorf("a segment of %d bytes", len(s))
		}
	}
}

func FuzzSegments(f *testing.F) {
	f.Add("Am 3. Oktober. z. B. 12.99 a.m. Yes?! \xff…", 3)
	f.Fuzz(func(t *testing.T, text string, n int) {
		got := segmentsOf(text, max(1, n%64))
		letters := func(s string) string {
			return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return !speakable(string(r)) }), "")
		}
		if a, b := letters(strings.Join(got, "")), letters(text); a != b {
			t.Fatalf("%q became %q", text, got)
		}
	})
}

func TestASecondAttemptWritesOn(t *testing.T) {
	r := &response{number: 1}
	r.write("One is one. Two is two. Thr")
	if len(r.segments) != 2 {
		t.Fatalf("segments: %q", r.segments)
	}
	// It was told to keep less than has become a segment, and says it once more.
	r.rewind(uint64(len("One is one. Two")))
	r.write(" is two.")
	r.write(" Three is three.")
	r.finishText()
	if want := []string{"One is one.", "Two is two.", "Three is three."}; !slices.Equal(r.segments, want) {
		t.Errorf("got %q, want %q", r.segments, want)
	}
	// What was no segment yet is dropped.
	r = &response{number: 1}
	r.write("One is one. Two is")
	r.rewind(uint64(len("One is one.")))
	r.write(" Three is three.")
	r.finishText()
	if want := []string{"One is one.", "Three is three."}; !slices.Equal(r.segments, want) {
		t.Errorf("got %q, want %q", r.segments, want)
	}
}

func TestWhatWasHeard(t *testing.T) {
	r := &response{number: 1, start: &media.Audio_Start{SampleRate: 1000}} // a sample is a millisecond
	r.open(&media.Audio_SegmentAudio{Index: 0, Text: "Hello there."})
	r.add(make([]byte, 2*1000))
	r.closePart()
	r.open(&media.Audio_SegmentAudio{Index: 1, Text: "You find hammers here."})
	r.add(make([]byte, 2*2000))
	for at, want := range map[int64]string{
		0:    "",
		400:  "",
		500:  "Hello",
		1000: "Hello there.",
		// The second segment is not complete; it is taken to last 2 s.
		1400: "Hello there. You",
		2000: "Hello there. You",
		3000: "Hello there. You find hammers here.",
	} {
		if got := r.heardUpTo(at); got != want {
			if at == 2000 && got == "Hello there. You find" {
				continue
			}
			t.Errorf("after %d ms %q was heard, want %q", at, got, want)
		}
	}
	// Phonemes know better: the last word is drawn out.
	r.parts[1].phonemes = []*media.Phoneme{{Symbol: "pau", EndMs: 50}}
	for i := range 18 {
		r.parts[1].phonemes = append(r.parts[1].phonemes, &media.Phoneme{Symbol: "ah", EndMs: uint32(50 + 50*(i+1))})
	}
	if got, want := r.heardUpTo(2000), "Hello there. You find hammers here."; got != want {
		t.Errorf("by phonemes %q was heard, want %q", got, want)
	}
}

func TestASecondAttemptSpeaksOnlyWhatIsMissing(t *testing.T) {
	r := &response{number: 1, start: &media.Audio_Start{SampleRate: 16000}}
	audio := tone(time.Second)
	seg := func(i uint32) { r.open(&media.Audio_SegmentAudio{Index: i, Text: "x"}) }
	seg(0)
	r.add(audio[:8000])
	r.closePart()
	seg(1)
	r.add(audio[8000:12000]) // and the worker dies
	if r.fromSegment() != 1 {
		t.Fatalf("goes on from segment %d, want 1", r.fromSegment())
	}
	seg(0) // not told, or not listening: it begins at the beginning
	r.add(audio[:8000])
	r.closePart()
	seg(1)
	r.add(audio[8000:10000])
	r.add(audio[10000:20000])
	r.closePart()
	if string(r.pcm) != string(audio[:20000]) || len(r.parts) != 2 || !r.parts[1].complete || r.parts[1].first != 4000 {
		t.Errorf("%d bytes in %d parts, want 20000 in 2, none twice", len(r.pcm), len(r.parts))
	}
}
