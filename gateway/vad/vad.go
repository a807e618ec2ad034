// Package vad finds speech in a kiosk's microphone. It looks at energy against
// an adaptive noise floor and at where in the spectrum the energy lies, which is
// enough beside a microphone with echo cancellation and costs a few microseconds
// and no allocation a frame.
package vad

import (
	"math"
	"time"
)

// Frame is how much audio is looked at at once.
const (
	Frame        = 20 * time.Millisecond
	FrameSamples = 320              // at 16 kHz
	FrameBytes   = FrameSamples * 2 // PCM16 little-endian mono
)

// Options say what counts as an utterance; they may change with every frame.
type Options struct {
	MinSpeech    time.Duration // how much speech is needed to start one
	Pause        time.Duration // the silence that is told before it ends one; 0, or EndSilence and more: none
	EndSilence   time.Duration // the silence that ends one
	MaxUtterance time.Duration // ends one that does not pause
}

// An Event is what a frame changed.
type Event uint8

// The events.
const (
	Nothing Event = iota
	Started       // an utterance began Lead frames ago
	Paused        // it may be over
	Resumed       // it was not: it went on Lead frames ago
	Ended         // by silence
	TooLong       // by MaxUtterance
)

// Levels in dB below full scale, and the constants of the decision, tried out
// with the voices of espeak-ng and flite in pink noise (see the tests).
const (
	above      = 9.0  // dB over the floor begin speech
	below      = 5.0  // dB over the floor keep it up
	quietest   = -52. // softer than this is never speech
	floorMin   = -70.
	floorMax   = -30.
	warmUp     = 25 // frames before anything is decided, to know the room; what was said meanwhile counts
	gap        = 5  // frames of silence that a word may have inside, as before a plosive
	windows    = 8  // of the noise floor,
	windowSpan = 13 // frames each: together 2 s, longer than people speak without a gap
)

const (
	// again is how much speech after a pause counts as going on. A click, which
	// has less, must not take back what was begun at the pause.
	again = 80 * time.Millisecond
	// doubt is how long a sound in a pause, which may become speech, puts off the
	// end of the utterance.
	doubt = 200 * time.Millisecond
)

// A Detector follows one microphone. The zero value is ready; it is not safe
// for concurrent use.
type Detector struct {
	// Filters: a high-pass at 120 Hz against hum, a low-pass at 1 kHz below which
	// voiced speech has most of its energy.
	lastIn, high, low float64

	smooth float64 // energy of the last few frames
	// The floor is the minimum of the smoothed level over the last windows: speech
	// has gaps, noise has none.
	minima  [windows]float64
	filling int // frames in the newest window
	heard   int // frames so far

	speech    bool // this frame, with hysteresis
	speaking  bool // an utterance is under way
	paused    bool // and has paused
	candidate int  // frames since speech may have begun; 0: it has not
	speechy   int  // of these, frames of speech
	voiced    int  // of these, voiced
	silent    int  // frames since the last sound like speech
	quiet     int  // frames since the last one that counted, in an utterance
	length    int  // frames of the utterance
}

// Hear takes the next frame of FrameBytes bytes.
func (d *Detector) Hear(frame []byte, o Options) Event {
	level, voiced := d.measure(frame)
	d.follow(level)

	over := level - d.Floor()
	d.speech = level > quietest && (over > above || d.speech && over > below)
	if d.speech {
		d.silent = 0
	} else {
		d.silent++
	}
	if d.speaking {
		return d.goOn(voiced, o)
	}
	return d.begin(voiced, o)
}

func (d *Detector) begin(voiced bool, o Options) Event {
	if !d.likely(voiced, o.MinSpeech) || d.heard < warmUp {
		return Nothing
	}
	d.speaking = true
	d.length, d.quiet = d.candidate, d.silent
	return Started
}

// likely follows a sound that may become speech, and reports whether there is
// least of it.
func (d *Detector) likely(voiced bool, least time.Duration) bool {
	if d.candidate == 0 && !d.speech {
		return false
	}
	d.candidate++
	if d.speech {
		d.speechy++
		if voiced {
			d.voiced++
		}
	}
	if d.silent > gap {
		d.candidate, d.speechy, d.voiced = 0, 0, 0
		return false
	}
	// A hiss or a slammed drawer is loud too, but it is not voiced.
	return time.Duration(d.speechy)*Frame >= least && d.voiced*3 >= d.speechy
}

func (d *Detector) goOn(voiced bool, o Options) Event {
	d.length++
	resumed := false
	if d.paused {
		d.quiet++
		resumed = d.likely(voiced, again)
	} else {
		d.quiet = d.silent
	}
	doubtful := d.paused && d.candidate > 0 && time.Duration(d.candidate)*Frame <= doubt
	switch {
	case resumed:
		d.paused = false
		d.quiet -= d.candidate
		return Resumed
	case d.Silence() >= o.EndSilence && !doubtful:
		d.Forget()
		return Ended
	case time.Duration(d.length)*Frame >= o.MaxUtterance:
		d.Forget()
		return TooLong
	case !d.paused && o.Pause > 0 && d.Silence() >= o.Pause:
		d.paused = true
		d.candidate, d.speechy, d.voiced = 0, 0, 0
		return Paused
	}
	return Nothing
}

// About tells whether one more frame of speech starts an utterance.
func (d *Detector) About(o Options) bool {
	return !d.speaking && d.speechy > 0 && time.Duration(d.speechy+1)*Frame >= o.MinSpeech
}

// Lead is how many frames ago, this one included, the speech began whose start
// was just told.
func (d *Detector) Lead() int { return d.candidate }

// Silence is how long nothing was said when an utterance has paused or ended; when
// it has resumed, how long the pause was.
func (d *Detector) Silence() time.Duration { return time.Duration(d.quiet) * Frame }

// Speaking tells whether an utterance is under way.
func (d *Detector) Speaking() bool { return d.speaking }

// Forget ends whatever is under way; the noise floor stays.
func (d *Detector) Forget() {
	d.speaking, d.paused = false, false
	d.candidate, d.speechy, d.voiced, d.length = 0, 0, 0, 0
}

// Floor is the level of the noise in dB below full scale.
func (d *Detector) Floor() float64 {
	floor := floorMax
	for _, m := range d.minima[:min(windows, (d.heard+windowSpan-1)/windowSpan)] {
		floor = min(floor, m)
	}
	return max(floorMin, min(floor, floorMax))
}

// measure is the frame's level above 120 Hz, and whether it looks voiced.
func (d *Detector) measure(frame []byte) (level float64, voiced bool) {
	const (
		highPass = 0.9550 // 1/(1+2π·120/16000)
		lowPass  = 0.2820 // 2π·1000/16000 / (1 + 2π·1000/16000)
	)
	var all, lows float64
	for i := 0; i+1 < len(frame); i += 2 {
		in := float64(int16(uint16(frame[i])|uint16(frame[i+1])<<8)) / 32768
		d.high = highPass * (d.high + in - d.lastIn)
		d.lastIn = in
		d.low += lowPass * (d.high - d.low)
		all += d.high * d.high
		lows += d.low * d.low
	}
	n := float64(max(1, len(frame)/2))
	return 10 * math.Log10(all/n+1e-10), lows > 0.3*all
}

// follow moves the noise floor along.
func (d *Detector) follow(level float64) {
	if d.heard == 0 {
		d.smooth = level
	}
	d.smooth += 0.4 * (level - d.smooth)
	newest := d.heard / windowSpan % windows
	if d.filling == 0 {
		d.minima[newest] = d.smooth
	}
	d.minima[newest] = min(d.minima[newest], d.smooth)
	d.filling = (d.filling + 1) % windowSpan
	d.heard++
}
