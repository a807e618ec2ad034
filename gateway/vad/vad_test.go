package vad

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var options = Options{MinSpeech: 120 * time.Millisecond, EndSilence: 500 * time.Millisecond, MaxUtterance: 20 * time.Second}

// A stretch is where the detector heard an utterance, in frames.
type stretch struct{ detected, begin, end int }

func listen(pcm []byte, o Options) []stretch {
	var d Detector
	var found []stretch
	for i := 0; (i+1)*FrameBytes <= len(pcm); i++ {
		switch d.Hear(pcm[i*FrameBytes:(i+1)*FrameBytes], o) {
		case Started:
			found = append(found, stretch{detected: i, begin: i + 1 - d.Lead(), end: -1})
		case Ended, TooLong:
			found[len(found)-1].end = i
		}
	}
	return found
}

// sound is samples between -1 and 1 at 16 kHz.
type sound []float64

func silence(d time.Duration) sound { return make(sound, int(d.Seconds()*16000)) }

func (s sound) pcm() []byte {
	b := make([]byte, 0, len(s)*2)
	for _, v := range s {
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(max(-1, min(1, v))*32767)))
	}
	return b
}

func (s sound) rms() float64 {
	var sum float64
	for _, v := range s {
		sum += v * v
	}
	return math.Sqrt(sum / float64(max(1, len(s))))
}

// noise adds pink noise of a level in dB below full scale.
func (s sound) noise(db float64) sound {
	r := rand.New(rand.NewPCG(1, 2))
	out := make(sound, len(s))
	var rows [12]float64
	for i := range out { // Voss and McCartney: rows that change ever more rarely
		for j := range rows {
			if i%(1<<j) == 0 {
				rows[j] = r.Float64()*2 - 1
			}
			out[i] += rows[j]
		}
	}
	scale := math.Pow(10, db/20) / out.rms()
	for i := range out {
		out[i] = s[i] + out[i]*scale
	}
	return out
}

// at scales to a level in dB below full scale.
func (s sound) at(db float64) sound {
	scale := math.Pow(10, db/20) / s.rms()
	out := make(sound, len(s))
	for i, v := range s {
		out[i] = v * scale
	}
	return out
}

// say is a synthetic voice's words, at 16 kHz, without silence around them.
func say(t testing.TB, voice, words string) sound {
	t.Helper()
	file := filepath.Join(t.TempDir(), "say.wav")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var cmd *exec.Cmd
	if engine, name, _ := cut(voice); engine == "flite" {
		cmd = exec.CommandContext(ctx, "flite", "-voice", name, "-t", words, "-o", file)
	} else {
		cmd = exec.CommandContext(ctx, "espeak-ng", "-v", name, "-w", file, words)
	}
	if cmd.Err != nil {
		t.Skipf("SKIPPED, no real voice to listen to: %v; install Debian's flite and espeak-ng", cmd.Err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", voice, err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rate := float64(binary.LittleEndian.Uint32(b[24:]))
	var s sound
	for i := 44; i+1 < len(b); i += 2 {
		s = append(s, float64(int16(binary.LittleEndian.Uint16(b[i:])))/32768)
	}
	out := make(sound, int(float64(len(s)-1)*16000/rate))
	for i := range out {
		x := float64(i) * rate / 16000
		k := int(x)
		out[i] = s[k] + (s[k+1]-s[k])*(x-float64(k))
	}
	return out.trim()
}

func cut(voice string) (engine, name string, ok bool) {
	for i := range voice {
		if voice[i] == ' ' {
			return voice[:i], voice[i+1:], true
		}
	}
	return voice, "", false
}

func (s sound) trim() sound {
	const window = 160
	loud := func(i int) bool { return s[i:min(i+window, len(s))].rms() > 0.01 }
	a, b := 0, len(s)-window
	for a < b && !loud(a) {
		a += window
	}
	for b > a && !loud(b) {
		b -= window
	}
	return s[a : b+window]
}

func TestVoicesAreHeard(t *testing.T) {
	voices := []string{"flite slt", "flite rms", "flite awb", "flite kal", "espeak en-us", "espeak de", "espeak en+f3"}
	words := []string{"where do I find hammers", "yes", "how much is the cordless drill"}
	var early, late []float64
	for _, voice := range voices {
		for _, w := range words {
			for _, room := range []struct {
				name  string
				noise float64
			}{{"quiet", -65}, {"a shop, 15 dB below the voice", -39}} {
				t.Run(fmt.Sprintf("%s, %q, %s", voice, w, room.name), func(t *testing.T) {
					speech := say(t, voice, w).at(-24)
					s := append(append(silence(2500*time.Millisecond), speech...), silence(1500*time.Millisecond)...).noise(room.noise)
					begin, end := 2500/20, 2500/20+len(speech)/FrameSamples
					found := listen(s.pcm(), options)
					if len(found) != 1 {
						t.Fatalf("heard %d utterances, want 1: %+v", len(found), found)
					}
					f := found[0]
					// The lead and 300 ms of pre-roll must hold the first sound.
					if f.begin-15 > begin {
						t.Errorf("begins at frame %d; with pre-roll that loses the first word, which begins at %d", f.begin, begin)
					}
					if f.begin < begin-10 {
						t.Errorf("begins at frame %d, before anything was said (%d)", f.begin, begin)
					}
					if f.detected > begin+20 {
						t.Errorf("detected %d ms after the first sound", (f.detected-begin)*20)
					}
					// 500 ms of silence, and some for how a voice dies away.
					if f.end < end+10 || f.end > end+36 {
						t.Errorf("ended %d ms after the last sound, want about 500", (f.end-end)*20)
					}
					early = append(early, float64(f.detected-begin)*20)
					late = append(late, float64(f.end-end)*20)
				})
			}
		}
	}
	t.Logf("detected %.0f ms after the first sound on average, ended %.0f ms after the last", mean(early), mean(late))
}

func mean(v []float64) float64 {
	var sum float64
	for _, x := range v {
		sum += x
	}
	return sum / float64(max(1, len(v)))
}

func TestWhatIsNoSpeechIsNotHeard(t *testing.T) {
	click := silence(40 * time.Millisecond)
	for i := range click {
		click[i] = math.Exp(-float64(i)/100) * math.Sin(float64(i))
	}
	r := rand.New(rand.NewPCG(3, 4))
	hiss := silence(time.Second) // a tap, a compressor: loud, but with nothing below 1 kHz
	last := 0.
	for i := range hiss {
		v := r.Float64()*2 - 1
		hiss[i] = (v - last) * 0.1
		last = v
	}
	hum := silence(3 * time.Second)
	for i := range hum {
		hum[i] = 0.02 * math.Sin(2*math.Pi*50*float64(i)/16000)
	}
	for name, s := range map[string]sound{
		"silence":         silence(5 * time.Second),
		"a quiet room":    silence(5 * time.Second).noise(-60),
		"a steady shop":   silence(20 * time.Second).noise(-40),
		"mains hum":       hum,
		"a click":         append(append(silence(3*time.Second), click...), silence(time.Second)...).noise(-60),
		"a hiss":          append(append(silence(3*time.Second), hiss...), silence(time.Second)...).noise(-60),
		"no frame at all": nil,
	} {
		if found := listen(s.pcm(), options); len(found) != 0 {
			t.Errorf("%s: heard %+v", name, found)
		}
	}
}

// A fan that starts is taken for speech once at most, and not for long.
func TestTheFloorFollowsANoise(t *testing.T) {
	s := append(silence(3*time.Second).noise(-60), silence(10*time.Second).noise(-38)...)
	found := listen(s.pcm(), options)
	if len(found) > 1 {
		t.Errorf("heard %d utterances in a fan: %+v", len(found), found)
	}
	for _, f := range found {
		if n := time.Duration(f.end-f.begin) * Frame; f.end < 0 || n > 4*time.Second {
			t.Errorf("took a fan for an utterance of %s: %+v", n, f)
		}
	}
}

func TestAPauseInsideDoesNotEndAnUtterance(t *testing.T) {
	a, b := say(t, "flite slt", "do you have").at(-24), say(t, "flite slt", "blue paint").at(-24)
	for pause, want := range map[time.Duration]int{200 * time.Millisecond: 1, 900 * time.Millisecond: 2} {
		s := append(silence(2500*time.Millisecond), a...)
		s = append(append(append(s, silence(pause)...), b...), silence(1200*time.Millisecond)...)
		if found := listen(s.noise(-60).pcm(), options); len(found) != want {
			t.Errorf("a pause of %s: heard %d utterances, want %d", pause, len(found), want)
		}
	}
}

func TestAnUtteranceEndsAtItsLimit(t *testing.T) {
	words := say(t, "flite slt", "one two three four five six seven eight nine ten eleven twelve").at(-24)
	o := options
	o.MaxUtterance = time.Second
	s := append(silence(2500*time.Millisecond), words...)
	found := listen(s.noise(-60).pcm(), o)
	if len(found) == 0 || found[0].end-found[0].begin != 49 {
		t.Errorf("with a limit of 1 s: %+v", found)
	}
}

func TestNoAllocation(t *testing.T) {
	frame := silence(Frame).noise(-30).pcm()
	var d Detector
	if n := testing.AllocsPerRun(1000, func() { d.Hear(frame, options) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func BenchmarkHear(b *testing.B) {
	frame := silence(Frame).noise(-30).pcm()
	var d Detector
	for b.Loop() {
		d.Hear(frame, options)
	}
}

// A pause is told before the end, and what follows it: more words, or nothing.
func TestAPauseIsToldAndTakenBack(t *testing.T) {
	o := options
	o.Pause = 200 * time.Millisecond
	a, b := say(t, "flite slt", "do you have").at(-24), say(t, "flite slt", "blue paint").at(-24)
	click := b[:640] // 40 ms of voice
	for name, c := range map[string]struct {
		then sound
		want []Event
	}{
		"silence":       {then: silence(time.Second), want: []Event{Started, Paused, Ended}},
		"a click":       {then: append(append(silence(300*time.Millisecond), click...), silence(time.Second)...), want: []Event{Started, Paused, Ended}},
		"more":          {then: append(append(silence(350*time.Millisecond), b...), silence(time.Second)...), want: []Event{Started, Paused, Resumed, Paused, Ended}},
		"a short gap":   {then: append(append(silence(100*time.Millisecond), b...), silence(time.Second)...), want: []Event{Started, Paused, Ended}},
		"another, late": {then: append(append(silence(900*time.Millisecond), b...), silence(time.Second)...), want: []Event{Started, Paused, Ended, Started, Paused, Ended}},
	} {
		t.Run(name, func(t *testing.T) {
			s := append(append(silence(2500*time.Millisecond), a...), c.then...)
			pcm := s.noise(-60).pcm()
			var d Detector
			var got []Event
			for i := 0; (i+1)*FrameBytes <= len(pcm); i++ {
				e := d.Hear(pcm[i*FrameBytes:(i+1)*FrameBytes], o)
				if e == Nothing {
					continue
				}
				got = append(got, e)
				quiet := d.Silence()
				switch {
				case e == Paused && quiet != o.Pause,
					e == Ended && (quiet < o.EndSilence || quiet > o.EndSilence+doubt+Frame),
					e == Resumed && (quiet < 250*time.Millisecond || quiet > 350*time.Millisecond || d.Lead() > 10):
					t.Errorf("event %d after %s of silence, lead %d", e, quiet, d.Lead())
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("events %v, want %v", got, c.want)
			}
		})
	}
}
