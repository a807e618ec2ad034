// Package echo knows the kiosk's own voice in its microphone. A kiosk without a
// good echo canceller hears itself, and must not interrupt itself.
//
// It works on what is there anyway, the last second of microphone and of what was
// played, and only when something is about to count as speech: it costs nothing a
// frame and keeps nothing. Two questions have to be answered with yes. Is what was
// played in there at all, waveform for waveform, at some delay? Loudspeaker and
// room change its colour, which is why it is whitened first (the generalised
// cross-correlation of Knapp and Carter, 1976). And is there nothing more than
// that: does the loudness of six bands go up and down as that of what was played
// does, and hardly rise above it? A customer who speaks over the kiosk fails the
// second.
package echo

import (
	"math"
	"math/cmplx"
	"slices"
	"sync"
	"time"
)

// What is compared.
const (
	// Late is how much later than the kiosk's clock says its voice may be heard:
	// the clock runs from the sending of the first frame until the kiosk tells its
	// position, the loudspeaker has a buffer, and sound takes 3 ms a metre.
	Late = 600 * time.Millisecond
	// Early is how much earlier: the position that a kiosk tells comes late.
	Early = 100 * time.Millisecond
	// Shortest is the least that can be judged. Of more than Longest the newest
	// part is; all together is a power of two of samples, which is what a Fourier
	// transform is quick with.
	Shortest = 240 * time.Millisecond
	Longest  = 324 * time.Millisecond
)

const (
	micRate = 16000
	rate    = 8000 // what is compared: a voice has little of its own above 4 kHz
	size    = int((Late + Early + Longest) * rate / time.Second)
	hop     = rate / 50 // of the envelopes: 20 ms
	window  = 256       // of their transform, with zeros behind the hop
	hops    = int(Longest * rate / time.Second / hop)

	// lowest and highest, in Hz, are what of a voice every loudspeaker plays.
	lowest, highest = 250, 3400
	// depth is by how much, in dB, a band may be softer than at its loudest and
	// still count: below are noise and the room's decay.
	depth = 25
	// leeway is by how much, in dB, it may be louder than what was played explains.
	leeway = 3
)

// edges of the envelopes' bands, in Hz.
var edges = [...]int{200, 400, 700, 1100, 1700, 2600, 3900}

const bands = len(edges) - 1

var hann = func() (w [hop]float64) {
	for i := range w {
		w[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/hop)
	}
	return w
}()

// From these on a sound is the kiosk's own voice. Rates over voices, rooms and
// levels are printed by this package's TestRates.
const (
	// leastPeak is of a stretch of a second: what is alike by chance grows as the
	// root of the length shrinks.
	leastPeak     = 0.06
	leastEnvelope = 0.60
	leastShare    = 0.75
)

// A Match is how alike the microphone and what was played are.
type Match struct {
	// Peak is the whitened correlation at the best delay, 0..1. It must reach Least;
	// else the rest is not filled in. Voices that have nothing to do with each other
	// reach 0.05 to 0.1.
	Peak, Least float64
	// Behind is that delay, by the kiosk's clock.
	Behind time.Duration
	// Envelope is the correlation of the bands' levels over time at that delay,
	// -1..1.
	Envelope float64
	// Share is how much of the microphone's power is explained by what was played.
	Share float64
}

// Own reports whether the kiosk heard hardly anything but itself.
func (m Match) Own() bool {
	return m.Within() && m.Envelope >= leastEnvelope && m.Share >= leastShare
}

// Within reports whether what was played is in what the microphone heard at all,
// beside a customer's voice or alone.
func (m Match) Within() bool { return m.Least > 0 && m.Peak >= m.Least }

// scratch is the memory of one comparison, some 260 KB, shared by all sessions.
type scratch struct {
	mic, played  [size]float64
	spectrum     [size]complex128
	frame        [window]complex128
	heard, voice [bands][hops]float64
	gains        [hops]float64
}

var (
	whole = newTransform(size)
	short = newTransform(window)
	pool  = sync.Pool{New: func() any { return new(scratch) }}
)

// Compare holds what a microphone heard (PCM16 little-endian mono at 16 kHz)
// against what was played (the same at playedRate Hz), of which sample at was due,
// by the kiosk's clock, when the microphone's first was. at may be negative, and
// what lies outside of played counts as silence: played should reach from Late
// before the microphone's first sample to Early after its last.
//
// Less than Shortest, or played at less than 8,000 Hz, gives a Match that is not
// Own.
func Compare(mic, played []byte, playedRate, at int) Match {
	if skip := len(mic)/2 - int(Longest*micRate/time.Second); skip > 0 {
		mic = mic[skip*2:]
		at += skip * playedRate / micRate
	}
	if len(mic)/2 < int(Shortest*micRate/time.Second) || playedRate < rate {
		return Match{}
	}
	s := pool.Get().(*scratch)
	defer pool.Put(s)
	n := len(mic) / 2 * rate / micRate
	resample(s.mic[:n], mic, micRate, 0)
	clear(s.mic[n:])
	resample(s.played[:], played, playedRate, at-int(Late*time.Duration(playedRate)/time.Second))

	lag, peak := s.correlate(n)
	m := Match{Peak: peak, Least: leastPeak / math.Sqrt(float64(n)/rate)}
	if peak >= m.Least {
		m.Behind = Late - time.Duration(lag)*time.Second/rate
		m.Envelope, m.Share = s.follow(n, lag)
	}
	return m
}

// resample fills out at 8 kHz from sample from on. The kernel is a triangle, whose
// first zero is at 8 kHz: what it lets through of higher frequencies is noise to
// the correlation, and little.
func resample(out []float64, pcm []byte, pcmRate, from int) {
	width := float64(pcmRate) / rate
	for i := range out {
		centre := float64(from) + float64(i)*width
		first := max(0, int(math.Ceil(centre-width)))
		last := min(len(pcm)/2-1, int(centre+width))
		sum := 0.0
		for k := first; k <= last; k++ {
			sample := int16(uint16(pcm[k*2]) | uint16(pcm[k*2+1])<<8)
			sum += float64(sample) * (width - math.Abs(float64(k)-centre))
		}
		out[i] = sum / (width * width * 32768)
	}
}

// correlate gives the place in played where the first n samples of mic are most
// alike, and how alike.
func (s *scratch) correlate(n int) (lag int, peak float64) {
	z := s.spectrum[:]
	for i, played := range s.played {
		z[i] = complex(played, s.mic[i]) // both are real, and one transform is enough
	}
	whole.of(z)
	all := 0.0
	for i := lowest * size / rate; i <= highest*size/rate; i++ {
		a, b := z[i], cmplx.Conj(z[size-i])
		played, mic := (a+b)/2, (a-b)*-0.5i
		x := cmplx.Conj(played) * mic
		power := real(x)*real(x) + imag(x)*imag(x)
		if power < 1e-30 {
			z[i] = 0
			continue
		}
		// Divided by the magnitude to the power of 3/4: whitened, but not so far that
		// the noise between a voice's harmonics counts as much as they do.
		root := math.Sqrt(math.Sqrt(power))
		eighth := math.Sqrt(root) // of the power, which is what is left of the magnitude
		by := 1 / (root * eighth)
		z[i] = complex(real(x)*by, imag(x)*by)
		all += eighth
	}
	if all == 0 {
		return 0, 0
	}
	clear(z[:lowest*size/rate])
	clear(z[highest*size/rate+1:])
	whole.of(z)
	for i, v := range z[:size-n+1] {
		if v := math.Abs(real(v)); v > peak {
			lag, peak = i, v
		}
	}
	return lag, peak / all
}

// follow holds the levels of n samples of mic against those of played at a lag.
func (s *scratch) follow(n, lag int) (correlation, share float64) {
	count := n / hop
	s.measure(&s.heard, s.mic[:], count)
	s.measure(&s.voice, s.played[lag:], count)
	var xy, xx, yy, power, beyond float64
	for b := range bands {
		x, y := s.heard[b][:count], s.voice[b][:count]
		meanX, meanY := raise(x), raise(y)
		for i := range count {
			s.gains[i] = x[i] - y[i]
		}
		slices.Sort(s.gains[:count])
		gain := s.gains[count/2]
		for i := range count {
			dx, dy := x[i]-meanX, y[i]-meanY
			xy, xx, yy = xy+dx*dy, xx+dx*dx, yy+dy*dy
			heard := math.Pow(10, x[i]/10)
			power += heard
			beyond += max(0, heard-math.Pow(10, (y[i]+gain+leeway)/10))
		}
	}
	return xy / math.Sqrt(xx*yy+1e-9), 1 - beyond/power
}

// raise lifts what is too soft to count, and gives the mean of what it makes.
func raise(levels []float64) (mean float64) {
	least := slices.Max(levels) - depth
	for i := range levels {
		levels[i] = max(levels[i], least)
		mean += levels[i]
	}
	return mean / float64(len(levels))
}

// measure gives the bands' levels in dB, hop by hop.
func (s *scratch) measure(levels *[bands][hops]float64, samples []float64, count int) {
	for i := range count {
		for k, v := range samples[i*hop : (i+1)*hop] {
			s.frame[k] = complex(v*hann[k], 0)
		}
		clear(s.frame[hop:])
		short.of(s.frame[:])
		for b := range bands {
			sum := 1e-9
			for _, x := range s.frame[edges[b]*window/rate : edges[b+1]*window/rate] {
				sum += real(x)*real(x) + imag(x)*imag(x)
			}
			levels[b][i] = 10 * math.Log10(sum)
		}
	}
}
