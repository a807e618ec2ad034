package timing

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// A microphone's sound, 16 kHz PCM16 in frames of 20 ms.
const (
	micRate      = 16000
	frame        = 20 * time.Millisecond
	frameSamples = 320
	// marks is how many phrases of a scenario can be told apart: the lowest bits of
	// each sample of a phrase are its number, from 1. Sound without words has 0.
	marks = 16
)

// Sounds without words.
const (
	cough = "cough" // voiced, as a word is
	hiss  = "hiss"  // loud, not voiced
	click = "click" // a cup set down
)

// phrases are what the customer says in a scenario, by their mark.
type phrases struct {
	mu      sync.Mutex
	texts   []string
	samples []int
}

// voice is a phrase as the microphone hears it.
func (p *phrases) voice(text string, d time.Duration) []int16 {
	pcm := voiced(d, 140)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.texts, p.samples = append(p.texts, text), append(p.samples, len(pcm))
	mark := int16(len(p.texts))
	if mark >= marks {
		panic("a scenario has at most 15 phrases")
	}
	for i := range pcm {
		pcm[i] |= mark
	}
	return pcm
}

// voiced is a tone with overtones and gaps, as between words, that a voice
// activity detector takes for speech from its first frame to its last. Without
// gaps it would be a machine's hum.
func voiced(d time.Duration, pitch float64) []int16 {
	pcm := make([]int16, int(d.Seconds()*micRate))
	for i := range pcm {
		t := float64(i) / micRate
		loud := 0.8 + 0.2*math.Sin(2*math.Pi*4*t)
		if i%(micRate*2/5) > micRate*16/50 && len(pcm)-i > micRate/5 { // 80 ms of each 400
			loud = 0
		}
		v := math.Sin(2*math.Pi*pitch*t) + 0.6*math.Sin(2*math.Pi*2*pitch*t) + 0.4*math.Sin(2*math.Pi*3*pitch*t)
		pcm[i] = int16(4000*loud*v) &^ (marks - 1)
	}
	return pcm
}

// noise is a sound without words.
func noise(kind string, d time.Duration) []int16 {
	if kind == cough {
		return voiced(d, 110)
	}
	pcm := make([]int16, int(d.Seconds()*micRate))
	random := rand.New(rand.NewPCG(1, 2))
	last := 0.0
	for i := range pcm {
		v := random.Float64()*2 - 1
		pcm[i] = int16(5000*(v-last)) &^ (marks - 1) // what is low is taken away
		last = v
	}
	return pcm
}

// recognised counts what a recogniser hears.
type recognised struct {
	samples [marks]int
	order   []int
	last    time.Time // of the last sample of a phrase
}

func (r *recognised) add(pcm []byte) {
	for i := 0; i+1 < len(pcm); i += 2 {
		mark := int(binary.LittleEndian.Uint16(pcm[i:])) & (marks - 1)
		if mark == 0 {
			continue
		}
		if r.samples[mark] == 0 {
			r.order = append(r.order, mark)
		}
		r.samples[mark]++
		r.last = time.Now()
	}
}

// text is what was recognised: the phrases in their order. One of which a word
// at least is missing is shown as such, because a recogniser would have misheard
// it.
func (p *phrases) text(r *recognised) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var texts []string
	for _, mark := range r.order {
		text := p.texts[mark-1]
		if missing := p.samples[mark-1] - r.samples[mark]; missing > micRate/10 {
			text = "(part of) " + text
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, " ")
}
