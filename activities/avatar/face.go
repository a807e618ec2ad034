package avatar

import (
	"strings"

	"github.com/praesenz/parley/media"
)

// visemes maps ARPAbet to the fifteen mouth shapes of the Oculus lip-sync set,
// which avatars of all makes understand.
var visemes = map[string]string{
	"p": "PP", "b": "PP", "m": "PP",
	"f": "FF", "v": "FF",
	"th": "TH", "dh": "TH",
	"t": "DD", "d": "DD",
	"k": "kk", "g": "kk", "ng": "kk", "hh": "kk",
	"ch": "CH", "jh": "CH", "sh": "CH", "zh": "CH",
	"s": "SS", "z": "SS",
	"n": "nn", "l": "nn", "en": "nn", "el": "nn",
	"r": "RR", "er": "RR",
	"aa": "aa", "ah": "aa", "ax": "aa", "ae": "aa", "ay": "aa", "aw": "aa",
	"eh": "E", "ey": "E",
	"ih": "I", "iy": "I", "y": "I",
	"ao": "O", "ow": "O", "oy": "O",
	"uh": "U", "uw": "U", "w": "U",
	"pau": "sil",
}

// weights say how far a shape is taken; those that are not here, half.
var weights = map[string]float32{
	"sil": 0, "PP": 0.9, "FF": 0.8, "TH": 0.6, "aa": 0.9, "E": 0.7, "I": 0.6, "O": 0.8, "U": 0.7,
}

// minShape is the shortest time that a mouth shape is held, in ms; less looks
// like trembling.
const minShape = 60

// msPerChar is how long a character takes to say, about, where a voice tells no
// times.
const msPerChar = 65

// envelopeStep is the time between two bytes of an envelope, in ms.
const envelopeStep = 20

// A face makes cues of a response's timeline. Its state is what it needs of the
// pieces before.
type face struct {
	vowels  []string // of the segment's text, for a voice without phonemes
	vowel   int      // which of them is spoken
	open    bool     // the mouth is open on it
	held    uint32   // since when, ms
	started bool     // any shape was given
	shown   *media.Cue
}

// cues are the mouth shapes and gestures of one piece of the timeline.
func (f *face) cues(t *media.Timeline) []*media.Cue {
	if t.GetBegin() {
		if t.GetGesture() == "" {
			return nil
		}
		return []*media.Cue{{Gesture: t.GetGesture()}}
	}
	var cues []*media.Cue
	if text := t.GetText(); text != "" {
		f.vowels, f.vowel, f.open = vowelsOf(text), 0, false
		if strings.HasSuffix(strings.TrimSpace(text), "?") {
			cues = append(cues, &media.Cue{AtMs: endOf(t, text), Gesture: "nod"})
		}
	}
	if len(t.GetPhonemes()) > 0 {
		return append(mouth(t.GetStartMs(), t.GetPhonemes()), cues...)
	}
	return append(f.babble(t.GetStartMs(), t.GetEnvelope()), cues...)
}

// endOf is when a segment will have been said, in ms.
func endOf(t *media.Timeline, text string) uint32 {
	if p := t.GetPhonemes(); len(p) > 0 {
		return t.GetStartMs() + p[len(p)-1].GetEndMs()
	}
	return t.GetStartMs() + uint32(len([]rune(text)))*msPerChar
}

// mouth turns a segment's phonemes into shapes: equal neighbours become one,
// and one that is too short to be seen gives way to the next, except closed
// lips, which everybody notices when they are missing.
func mouth(start uint32, phonemes []*media.Phoneme) []*media.Cue {
	type shape struct {
		viseme   string
		from, to uint32
	}
	var shapes []shape
	for _, p := range phonemes {
		v, ok := visemes[strings.ToLower(p.GetSymbol())]
		if !ok {
			v = "sil"
		}
		if n := len(shapes); n > 0 {
			last := &shapes[n-1]
			if last.viseme == v {
				last.to = p.GetEndMs()
				continue
			}
			if last.to-last.from < minShape && last.viseme != "PP" && last.viseme != "FF" {
				*last = shape{v, last.from, p.GetEndMs()}
				continue
			}
		}
		shapes = append(shapes, shape{v, p.GetStartMs(), p.GetEndMs()})
	}
	var cues []*media.Cue
	last := ""
	for _, s := range shapes {
		if s.viseme != last { // a short one between two equals has gone
			cues = append(cues, cue(start+s.from, s.viseme, weight(s.viseme)))
		}
		last = s.viseme
	}
	if len(shapes) > 0 && last != "sil" {
		cues = append(cues, cue(start+shapes[len(shapes)-1].to, "sil", 0))
	}
	return cues
}

func weight(viseme string) float32 {
	if w, ok := weights[viseme]; ok {
		return w
	}
	return 0.5
}

func cue(at uint32, viseme string, weight float32) *media.Cue {
	return &media.Cue{AtMs: at, Viseme: viseme, Weight: weight}
}

// Loudness at which a mouth opens, of 255, and the longest time that it stays on
// one vowel.
const (
	loudEnough = 24
	maxVowel   = 220
)

// babble moves the mouth by loudness alone: open where it is loud, on the vowels
// of the text one after the other, and closed in pauses.
func (f *face) babble(start uint32, envelope []byte) []*media.Cue {
	var cues []*media.Cue
	const window = minShape / envelopeStep
	for at := 0; at < len(envelope); at += window {
		stretch := envelope[at:min(at+window, len(envelope))]
		sum := 0
		for _, l := range stretch {
			sum += int(l)
		}
		loud := sum / len(stretch)
		now := start + uint32(at*envelopeStep)
		if loud < loudEnough {
			if f.open || !f.started {
				f.shown = cue(now, "sil", 0)
				cues = append(cues, f.shown)
			}
			f.open, f.started = false, true
			continue
		}
		// A new syllable: after a pause, or when this one has lasted long enough.
		if !f.open || now-f.held >= maxVowel {
			if f.started {
				f.vowel++
			}
			f.held = now
			f.open, f.started = true, true
		}
		// Smaller changes nobody sees.
		c := cue(now, f.shape(), 0.3+0.7*float32(loud)/255)
		if c.Viseme != f.shown.GetViseme() || max(c.Weight-f.shown.GetWeight(), f.shown.GetWeight()-c.Weight) > 0.1 {
			cues = append(cues, c)
			f.shown = c
		}
	}
	return cues
}

func (f *face) shape() string {
	if len(f.vowels) == 0 {
		return "aa"
	}
	return f.vowels[f.vowel%len(f.vowels)]
}

// vowelsOf are the shapes of a text's vowels, groups counted once.
func vowelsOf(text string) []string {
	shapes := map[rune]string{
		'a': "aa", 'ä': "E", 'e': "E", 'i': "I", 'y': "I", 'ı': "I",
		'o': "O", 'ö': "O", 'u': "U", 'ü': "U",
	}
	var all []string
	inGroup := false
	for _, r := range strings.ToLower(text) {
		v, ok := shapes[r]
		if ok && !inGroup {
			all = append(all, v)
		}
		inGroup = ok
	}
	return all
}
