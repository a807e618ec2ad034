package gateway

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/praesenz/parley/gateway/echo"
	"github.com/praesenz/parley/gateway/judge"
	"github.com/praesenz/parley/gateway/vad"
	"github.com/praesenz/parley/media"
)

// What is heard over the kiosk's own voice; decision 20.

// overBefore and overBehind bound what a sound may have been an echo of, around
// the position of the response that it was heard over: the sound had begun before
// that was held, the kiosk's voice takes its time to the microphone, and where
// words lie is known only roughly.
const (
	overBefore = 2 * time.Second
	overBehind = time.Second
)

// An ownVoice is audio that a kiosk was given to play, on the kiosk's clock. The zero
// value is silence.
type ownVoice struct {
	pcm  []byte
	rate int
	due  int       // the sample of pcm that is to be heard
	when time.Time // then
}

// voice is what is being heard of a response; silence while its clock stands.
func (r *response) voice(now time.Time) ownVoice {
	if r == nil || r.over || !r.begun || r.marked.IsZero() {
		return ownVoice{}
	}
	return ownVoice{r.pcm, int(r.start.SampleRate), int(r.position(now) - r.kept), now}
}

// ending is the voice's last second, in memory of its own: when a response is over,
// it is still on its way through the loudspeaker and the room.
func (v ownVoice) ending() ownVoice {
	samples := func(d time.Duration) int { return int(d * time.Duration(v.rate) / time.Second) }
	from := max(0, v.due-samples(echo.Longest+echo.Late))
	to := max(from, min(len(v.pcm)/2, v.due+samples(echo.Early)))
	v.pcm, v.due = slices.Clone(v.pcm[from*2:to*2]), v.due-from
	return v
}

// fade keeps what may be heard of a response beyond its end.
func (s *session) fade(r *response, now time.Time) {
	if v := r.voice(now); v.rate > 0 {
		s.ending = v.ending()
	}
}

// silent tells whether nothing of the voice can be heard any more.
func (v ownVoice) silent(now time.Time) bool { return v.rate == 0 || now.Sub(v.when) > echo.Late }

// A likeness is how much a sound in the microphone is like the kiosk's own voice.
type likeness struct {
	own, within bool
	loud        float64 // of the sound, as power; 0: nothing of the kiosk can be heard
	at          int     // the microphone's last frame that it knows of
}

// compare compares what may be speech with the kiosk's own voice.
func (s *session) compare(e *ear, now time.Time) likeness {
	l := likeness{at: e.frames}
	var mic []byte
	for _, v := range [...]ownVoice{s.current.voice(now), s.ending} {
		if v.silent(now) {
			continue
		}
		if mic == nil {
			mic = slices.Concat(e.since(e.detector.Lead())...)
			l.loud = power(mic)
		}
		since := now.Sub(v.when) - time.Duration(len(mic)/vad.FrameBytes)*vad.Frame
		m := echo.Compare(mic, v.pcm, v.rate, v.due+int(since*time.Duration(v.rate)/time.Second))
		l.own, l.within = l.own || m.Own(), l.within || m.Within()
	}
	return l
}

// hearsItself tells whether what counts as speech from now on is the kiosk's own
// voice, and else whether that is in it. A kiosk whose own voice was the last sound
// is believed to hear it once more, unless this one is twice as loud: a sentence
// has twenty such sounds, of which one in twenty is not known, and a customer is
// nearer than the loudspeaker.
//
// A comparison takes most of a millisecond, and a customer's word is to silence the
// kiosk within one: it is made a frame before it is wanted.
func (s *session) hearsItself(e *ear, now time.Time) (own, within bool) {
	l := e.likeness
	if l.at != e.frames-1 {
		l = s.compare(e, now)
	}
	again := l.loud > 0 && !l.own && l.loud < 4*e.itself
	e.itself = 0
	if l.own {
		e.itself = l.loud
	}
	return l.own || again, l.within
}

// power is the mean square of samples.
func power(pcm []byte) float64 {
	sum := 0.0
	for i := 0; i+1 < len(pcm); i += 2 {
		v := float64(int16(binary.LittleEndian.Uint16(pcm[i:])))
		sum += v * v
	}
	return sum / float64(max(1, len(pcm)/2))
}

// judged says why an utterance was not meant for the kiosk; empty: it was.
func (s *session) judged(t *media.Transcript, u *utterance) string {
	said := judge.Said{Text: t.Text, Language: t.Language, Confidence: t.Confidence, Speech: u.speech, NoEcho: u.noEcho}
	if said.Language == "" {
		said.Language = s.language
	}
	if r := u.over; r != nil {
		said.MinWords = int(r.start.MinWords)
		said.Over = cmp.Or(r.words(u.overAt-r.samples(overBefore), u.overAt+r.samples(overBehind)), r.spoken())
		// What comes before the last sentence is not yet the question.
		said.Question = r.start.Listening != nil && r.partAt(u.overAt) == r.parts[len(r.parts)-1]
		for _, b := range r.start.Listening.GetButtons() {
			said.Answers = append(said.Answers, b.Label, b.Value)
		}
	}
	return judge.Utterance(said)
}

// words gives what is said between two samples, which may lie outside of the
// response.
func (r *response) words(from, to int64) string {
	var texts []string
	for _, p := range r.parts {
		if p.first > to || p.complete && p.first+p.samples <= from {
			continue
		}
		text := wordsUpTo(p.text, r.share(p, max(0, to-p.first)))
		text = strings.TrimPrefix(text, wordsUpTo(p.text, r.share(p, max(0, from-p.first))))
		texts = append(texts, strings.TrimSpace(text))
	}
	return strings.TrimSpace(strings.Join(texts, " "))
}
