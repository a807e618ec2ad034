package echo_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/praesenz/parley/gateway/echo"
	"github.com/praesenz/parley/tests/voice"
)

const (
	micRate = 16000
	level   = -22 // of a voice, in dB below full scale
)

// sound is samples between -1 and 1.
type sound []float64

func (s sound) pcm() []byte {
	b := make([]byte, 0, len(s)*2)
	for _, v := range s {
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(max(-1, min(1, v))*32767)))
	}
	return b
}

func decode(pcm []byte) sound {
	s := make(sound, len(pcm)/2)
	for i := range s {
		s[i] = float64(int16(binary.LittleEndian.Uint16(pcm[i*2:]))) / 32768
	}
	return s
}

func (s sound) db() float64 {
	sum := 1e-12
	for _, v := range s {
		sum += v * v
	}
	return 10 * math.Log10(sum/float64(max(1, len(s))))
}

// by changes the level.
func (s sound) by(db float64) sound {
	gain := math.Pow(10, db/20)
	out := make(sound, len(s))
	for i, v := range s {
		out[i] = v * gain
	}
	return out
}

func (s sound) at(db float64) sound { return s.by(db - s.db()) }

func (s sound) and(other sound) sound {
	out := slices.Clone(s)
	for i := range min(len(s), len(other)) {
		out[i] += other[i]
	}
	return out
}

func (s sound) part(from, n int) sound { return s[from : from+n] }

// rated is the sound at another rate.
func (s sound) rated(from, to int) sound {
	if from == to {
		return s
	}
	out := make(sound, (len(s)-1)*to/from)
	for i := range out {
		x := float64(i) * float64(from) / float64(to)
		k := int(x)
		out[i] = s[k] + (s[k+1]-s[k])*(x-float64(k))
	}
	return out
}

// say is real voices' words: of flite, at 16 kHz, or of espeak-ng ("espeak de"),
// at 22,050 Hz.
func say(t testing.TB, name, words string) (s sound, rate int) {
	t.Helper()
	variant, ok := strings.CutPrefix(name, "espeak ")
	if !ok {
		return decode(voice.Say(t, name, words)).at(level), micRate
	}
	path := filepath.Join(t.TempDir(), "say.wav")
	if out, err := exec.CommandContext(t.Context(), "espeak-ng", "-v", variant, "-w", path, words).CombinedOutput(); err != nil {
		t.Fatalf("espeak-ng (Debian package espeak-ng) could not say %q: %v\n%s", words, err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pcm, rate, err := voice.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return decode(pcm).at(level), rate
}

// A room is what is between the kiosk's clock and its microphone.
type room struct {
	delay   time.Duration
	decay   time.Duration // until the reverberation is 60 dB down
	reflect []reflection
}

type reflection struct {
	after int
	gain  float64
}

// someRoom draws a room: 20 to 300 ms, 150 to 500 ms of reverberation, as loud as
// the direct sound give or take.
func someRoom(r *rand.Rand) room {
	m := room{
		delay: time.Duration(20+r.IntN(280)) * time.Millisecond,
		decay: time.Duration(150+r.IntN(350)) * time.Millisecond,
	}
	direct := -3 + 9*r.Float64() // dB above all reverberation
	sum := 0.0
	for at := 32; at < int(m.decay.Seconds()*micRate*2/3); at += 1 + r.IntN(60) {
		gain := math.Pow(10, -3*float64(at)/micRate/m.decay.Seconds())
		if r.IntN(2) == 0 {
			gain = -gain
		}
		m.reflect = append(m.reflect, reflection{at, gain})
		sum += gain * gain
	}
	for i := range m.reflect {
		m.reflect[i].gain *= math.Pow(10, -direct/20) / math.Sqrt(sum)
	}
	return m
}

// hears is n samples, from one on, of what the kiosk plays, as the microphone
// hears it: through a small loudspeaker (no bass, no treble, some distortion) and
// the room. Samples are at micRate on the kiosk's clock.
func (m room) hears(played sound, from, n int) sound {
	const highPass, lowPass = 0.91, 0.91 // at 250 Hz and 6 kHz
	begin := from - int(m.delay.Seconds()*micRate)
	first := begin - int(m.decay.Seconds()*micRate)
	speaker := make(sound, begin+n-first)
	var last, high, low float64
	for i := range speaker {
		in := 0.0
		if k := first + i; k >= 0 && k < len(played) {
			in = played[k]
		}
		high = highPass * (high + in - last)
		last = in
		low += lowPass * (high - low)
		speaker[i] = math.Tanh(3*low) / 3
	}
	out := slices.Clone(speaker.part(begin-first, n))
	for _, f := range m.reflect { // none comes later than decay
		late := speaker.part(begin-first-f.after, n)
		for i, v := range late {
			out[i] += f.gain * v
		}
	}
	return out
}

func hiss(r *rand.Rand, n int, db float64) sound {
	s := make(sound, n)
	for i := range s {
		s[i] = r.NormFloat64()
	}
	return s.at(db)
}

// loud is a place in a voice where it is not silent for n samples. The voice is
// as loud as say makes it.
func loud(r *rand.Rand, s sound, least, n int) int {
	for {
		at := least + r.IntN(len(s)-n-least)
		if s.part(at, n).db() > level-5 {
			return at
		}
	}
}

const (
	kiosk   = "We have electric kettles from nineteen euros in aisle four, and whistling kettles next to them. The cheapest one holds one and a half litres and switches itself off."
	kioskDe = "Wasserkocher gibt es in Gang vier, gleich neben den Teekesseln, ab neunzehn Euro. Der günstigste fasst anderthalb Liter."
	asks    = "Sorry, where do I find the hammers? No wait, I want something else. How much is the cordless drill over there? Stop, I don't need kettles."
	fragt   = "Entschuldigung, wo finde ich die Hämmer? Nein, warte, ich möchte etwas anderes. Was kostet der Akkuschrauber da drüben?"
)

// talk is what a kiosk says.
type talk struct {
	pcm   []byte // at rate
	rate  int
	heard sound // the same at micRate
}

func voices(t testing.TB) (kiosks []talk, customers []sound) {
	for _, v := range [][2]string{{"slt", kiosk}, {"rms", kiosk}, {"espeak en-us", kiosk}, {"espeak de", kioskDe}} {
		s, rate := say(t, v[0], v[1])
		kiosks = append(kiosks, talk{s.pcm(), rate, s.rated(rate, micRate)})
	}
	for _, v := range [][2]string{{"slt", asks}, {"rms", asks}, {"awb", asks}, {"kal16", asks}, {"espeak en+f3", asks}, {"espeak de", fragt}} {
		s, rate := say(t, v[0], v[1])
		customers = append(customers, s.rated(rate, micRate))
	}
	return kiosks, customers
}

// TestRates prints how often a sound is taken for the kiosk's own voice, over
// voices (one of the customers has the kiosk's own), rooms and noise, and holds the
// rates to what docs/decisions/0020 promises.
func TestRates(t *testing.T) {
	kiosks, customers := voices(t)
	lengths := []time.Duration{260 * time.Millisecond, echo.Longest}
	const trials = 60
	silent := math.Inf(-1)
	var table strings.Builder
	fmt.Fprintf(&table, "taken for the kiosk's own voice, of %d each\n%-34s", trials, "")
	for _, l := range lengths {
		fmt.Fprintf(&table, "%8s", l)
	}
	for _, c := range []struct {
		name        string
		echo        float64 // dB of the echo by what is played
		over        float64 // dB of the customer by the echo; at -24 dBFS where there is none
		least, most [2]int  // in percent
	}{
		{"echo at -6 dB", -6, silent, [2]int{88, 90}, [2]int{100, 100}},
		{"echo at -14 dB", -14, silent, [2]int{88, 90}, [2]int{100, 100}},
		{"echo at -22 dB", -22, silent, [2]int{88, 90}, [2]int{100, 100}},
		{"echo at -30 dB", -30, silent, [2]int{88, 90}, [2]int{100, 100}},
		{"customer, no echo", silent, 0, [2]int{}, [2]int{4, 4}},
		{"customer as loud as the echo", -14, 0, [2]int{}, [2]int{50, 50}},
		{"customer 6 dB louder", -14, 6, [2]int{}, [2]int{20, 20}},
		{"customer 12 dB louder", -14, 12, [2]int{}, [2]int{10, 10}},
	} {
		fmt.Fprintf(&table, "\n%-34s", c.name)
		for i, length := range lengths {
			r := rand.New(rand.NewPCG(uint64(i), 7))
			own := 0
			for range trials {
				k, n := kiosks[r.IntN(len(kiosks))], int(length.Seconds()*micRate)
				at := loud(r, k.heard, micRate, n)
				mic := make(sound, n)
				if !math.IsInf(c.echo, -1) {
					m := someRoom(r)
					// What the microphone hears is loud, not what is played meanwhile.
					mic = m.hears(k.heard, at+int(m.delay.Seconds()*micRate), n).at(level + c.echo)
					at += int(m.delay.Seconds() * micRate)
				}
				if !math.IsInf(c.over, -1) {
					loudness := level - 2.
					if !math.IsInf(c.echo, -1) {
						loudness = mic.db() + c.over
					}
					v := customers[r.IntN(len(customers))]
					mic = mic.and(v.part(loud(r, v, 0, n), n).at(loudness))
				}
				mic = mic.and(hiss(r, n, mic.db()-12-13*r.Float64()))
				if echo.Compare(mic.pcm(), k.pcm, k.rate, at*k.rate/micRate).Own() {
					own++
				}
			}
			percent := own * 100 / trials
			fmt.Fprintf(&table, "%7d%%", percent)
			if percent < c.least[i] || percent > c.most[i] {
				t.Errorf("%s, %s long: %d %% are taken for the kiosk's own voice, want %d to %d", c.name, length, percent, c.least[i], c.most[i])
			}
		}
	}
	t.Log(table.String())
}

func TestTheDelayIsFound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s, rate := say(t, "slt", kiosk)
	for _, to := range []int{16000, 22050, 24000, 48000} {
		k := s.rated(rate, to)
		for _, delay := range []time.Duration{-80 * time.Millisecond, 0, 40 * time.Millisecond, 300 * time.Millisecond, 580 * time.Millisecond} {
			m := someRoom(r)
			m.delay = delay
			at, n := 2*micRate, micRate*2/5
			mic := m.hears(s, at, n).at(-30)
			got := echo.Compare(mic.and(hiss(r, n, -50)).pcm(), k.pcm(), to, at*to/micRate)
			if off := got.Behind - delay; off.Abs() > 3*time.Millisecond {
				t.Errorf("%s at %d Hz: found %+v", delay, to, got)
			}
		}
	}
}

// A kiosk that has just begun, or has just finished, is known by what it played.
func TestTheEdgesOfWhatWasPlayed(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	s, rate := say(t, "slt", kiosk)
	m := someRoom(r)
	m.delay = 150 * time.Millisecond
	n := micRate * 3 / 10
	if got := echo.Compare(m.hears(s, 2600, n).at(-34).pcm(), s.part(0, 8000).pcm(), rate, 2600); !got.Own() {
		t.Errorf("just begun: %+v", got)
	}
	if got := echo.Compare(m.hears(s, micRate*19/10, n).at(-34).pcm(), s.part(micRate, micRate).pcm(), rate, micRate*9/10); !got.Own() {
		t.Errorf("just finished: %+v", got)
	}
	for name, c := range map[string]struct {
		mic, played []byte
		rate, at    int
	}{
		"nothing":          {nil, nil, rate, 0},
		"too short":        {s.part(0, 3000).pcm(), s.pcm(), rate, 0},
		"silence":          {make([]byte, n*2), s.pcm(), rate, 0},
		"played silence":   {s.part(0, n).pcm(), make([]byte, 64000), rate, 9600},
		"nothing played":   {s.part(0, n).pcm(), nil, rate, 0},
		"long before":      {s.part(0, n).pcm(), s.pcm(), rate, -1 << 30},
		"half a sample":    {s.part(0, n).pcm()[:n*2-1], nil, rate, 0},
		"a rate too small": {s.part(0, n).pcm(), s.pcm(), 4000, 0},
	} {
		if got := echo.Compare(c.mic, c.played, c.rate, c.at); got.Own() || got.Peak != got.Peak {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	s, rate := say(b, "slt", kiosk)
	customer, _ := say(b, "rms", asks)
	n := micRate * 56 / 100
	for name, mic := range map[string]sound{"customer": customer.part(8000, n), "own": s.part(30000, n)} {
		b.Run(name, func(b *testing.B) {
			pcm, played := mic.pcm(), s.part(20000, 24000).pcm()
			b.ReportAllocs()
			for b.Loop() {
				echo.Compare(pcm, played, rate, 10000)
			}
		})
	}
}
