package gateway

import (
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/media"
)

const (
	// bufferedAudio is how much audio of a response is held that the kiosk has not
	// played; then the activity that speaks has to wait.
	bufferedAudio = 30 * time.Second
	// replayable is how much played audio is kept for a kiosk that comes back and
	// had played less than was thought.
	replayable = 2 * time.Second
	// ahead is how far audio is sent before it is played to a kiosk that clears
	// what it has.
	ahead = time.Second
	// frameTime is how much audio a frame holds.
	frameTime = 40 * time.Millisecond
	// overdue is how long after a response should have been played a kiosk may
	// still say so; then it counts as played (LiveKit's rule).
	overdue = 2 * time.Second
	// shortOfEnd is how far from its end a response may be that a kiosk says it has
	// played: rates are changed, and times rounded, on the way.
	shortOfEnd = 100 * time.Millisecond
	// stalledAfter is how long a response may make no progress, because the kiosk
	// does not play it or nobody makes its audio, before it is given up.
	stalledAfter = 10 * time.Second

	maxResponseText = 64 << 10 // bytes
	maxCues         = 8192     // of one response
	maxSegments     = 1024     // with audio, of one response
	envelopeStep    = 20 * time.Millisecond
	// lateCue is by how much a cue may miss its time and still be shown.
	lateCue = 200 * time.Millisecond
)

// A response is one spoken answer: the place where its text, its audio, the
// avatar's cues and the kiosk's playback meet. The session's mutex guards it.
type response struct {
	number uint32
	bell   bell // rings when text, audio or playback has changed

	// Text, as the model writes it.
	text     []byte
	taken    int    // bytes of text that have become segments
	told     int    // bytes of it that the kiosk was told
	overlap  string // text that a second attempt is expected to write once more
	written  bool   // complete
	segments []string
	covered  bool // the first of them covers the wait for the text

	// Audio, as the voice makes it.
	start   *media.Audio_Start // nil: none yet
	attempt int                // counts the Play streams; the last one is heard
	playing bool               // that stream is there
	parts   []*part
	known   bool   // the open segment is there already: its audio is let go
	skip    int64  // samples that are there of it when it is not complete
	pcm     []byte // what is kept, from sample kept on
	kept    int64
	total   int64 // samples made
	made    bool  // all of them

	after uint32 // the utterance that it answers as a guess; 0: it is none
	void  bool   // the customer went on instead

	// Playback. The played position is what the kiosk told last, mark, plus the
	// time since then; it never runs ahead of what was sent.
	begun     bool
	sent      int64 // samples
	lastSent  bool
	endTold   bool
	mark      int64
	marked    time.Time // zero: the clock stands: nobody is connected, or it is held
	held      bool      // because of a sound whose verdict is awaited
	disturbed int       // how often it was held in vain
	reported  bool      // the kiosk tells its position
	dry       bool      // and has told that it has played everything
	moved     time.Time // when there was progress last
	captions  int       // parts whose beginning was told
	early     []wire.Out
	cues      []wire.Cue

	// The end.
	over        bool
	interrupted bool
	withdrawn   bool // by the conversation
	playedMs    int64
	heard       string
}

// A part is one segment's audio.
type part struct {
	index    uint32
	text     string
	phonemes []*media.Phoneme
	first    int64 // sample of the response
	samples  int64
	complete bool
	envelope []byte // loudness, one byte per envelopeStep
	loud     float64
	louds    int64 // samples in loud
}

// write adds to the text, and reports whether a segment became complete.
func (r *response) write(delta string) bool {
	for r.overlap != "" && delta != "" {
		if n := commonPrefix(r.overlap, delta); n > 0 {
			r.overlap, delta = r.overlap[n:], delta[n:]
			continue
		}
		r.overlap = "" // the second attempt words it differently
	}
	r.text = append(r.text, delta...)
	return r.split()
}

// rewind prepares for a second attempt that goes on behind the first keep bytes.
// What has become a segment stays, because it may have been heard. Of a complete
// text nothing is written again.
func (r *response) rewind(keep uint64) {
	if r.written {
		return
	}
	n := int(min(keep, uint64(len(r.text))))
	if n < r.taken {
		r.overlap = string(r.text[n:r.taken])
		n = r.taken
	}
	r.text = r.text[:n]
}

func (r *response) finishText() bool {
	r.written = true
	return r.split()
}

func (r *response) split() bool {
	found := false
	for r.taken < len(r.text) {
		n := nextSegment(string(r.text[r.taken:]), r.taken == 0, r.written)
		if n == 0 {
			break
		}
		s := strings.Join(strings.Fields(string(r.text[r.taken:r.taken+n])), " ")
		r.taken += n
		if speakable(s) {
			r.segments = append(r.segments, s)
			found = true
		}
	}
	return found
}

// cover puts a phrase before the text: as segments of its own, so that the text
// goes on as if nothing were there. It is too late once a segment has its audio.
func (r *response) cover(phrase string) {
	if r.covered || len(r.parts) > 0 {
		return
	}
	r.covered = true
	var segments []string
	for phrase != "" {
		n := nextSegment(phrase, false, true)
		if s := strings.Join(strings.Fields(phrase[:n]), " "); speakable(s) {
			segments = append(segments, s)
		}
		phrase = phrase[n:]
	}
	r.segments = append(segments, r.segments...)
	r.bell.ring()
}

// samples and ms convert between time and the response's samples.
func (r *response) samples(d time.Duration) int64 {
	return int64(d) * int64(r.start.SampleRate) / int64(time.Second)
}

func (r *response) duration(samples int64) time.Duration {
	return time.Duration(samples * int64(time.Second) / int64(r.start.SampleRate))
}

func (r *response) ms(samples int64) int64 {
	if r.start == nil {
		return 0
	}
	return samples * 1000 / int64(r.start.SampleRate)
}

// fromSegment is where a second attempt goes on: behind the last segment whose
// audio is complete.
func (r *response) fromSegment() uint32 {
	from := uint32(0)
	for _, p := range r.parts {
		if p.complete {
			from = p.index + 1
		}
	}
	return from
}

// open begins a segment's audio. A segment that is there already is made again
// by a second attempt: what was kept of it is skipped.
func (r *response) open(a *media.Audio_SegmentAudio) *part {
	if n := len(r.parts); n > 0 && r.parts[n-1].index >= a.Index {
		last := r.parts[n-1]
		r.known = last.complete || last.index > a.Index
		r.skip = last.samples
		return nil
	}
	r.known, r.skip = false, 0
	p := &part{index: a.Index, text: a.Text, phonemes: a.Phonemes, first: r.total}
	r.parts = append(r.parts, p)
	if a.HeardMs > 0 {
		p.samples, p.complete = r.samples(time.Duration(a.HeardMs)*time.Millisecond), true
		r.total += p.samples
		r.kept = r.total
		r.beginAt(max(r.sent, r.kept))
	}
	return p
}

// left is how many samples of a response may be left when it was heard in an
// earlier stay: a kiosk tells its position now and then, and rounded.
func (r *response) left() int64 {
	if r.start.FromMs == 0 {
		return 0
	}
	return r.samples(frameTime)
}

// beginAt makes a response that nothing was sent of go on behind what was played
// in an earlier stay.
func (r *response) beginAt(sample int64) { r.sent, r.mark = sample, sample }

// full tells that no more audio fits before some is played.
func (r *response) full(now time.Time) bool {
	return r.total-r.position(now) >= r.samples(bufferedAudio)
}

// add appends audio to the open segment.
func (r *response) add(pcm []byte) {
	if r.known {
		return
	}
	if n := min(int64(len(pcm)/2), r.skip); n > 0 {
		r.skip -= n
		pcm = pcm[n*2:]
	}
	if len(pcm) == 0 {
		return
	}
	p := r.parts[len(r.parts)-1]
	p.measure(pcm, r.samples(envelopeStep))
	r.pcm = append(r.pcm, pcm...)
	p.samples += int64(len(pcm) / 2)
	r.total += int64(len(pcm) / 2)
}

// closePart ends the open segment.
func (r *response) closePart() {
	if n := len(r.parts); n > 0 && !r.known {
		r.parts[n-1].flush()
		r.parts[n-1].complete = true
	}
	r.known, r.skip = false, 0
}

// measure appends to the envelope: 0 is 50 dB below full scale or less, 255 is
// 10 dB below or more, which is the range of a speaking voice.
func (p *part) measure(pcm []byte, step int64) {
	for i := 0; i+1 < len(pcm); i += 2 {
		v := float64(int16(uint16(pcm[i])|uint16(pcm[i+1])<<8)) / 32768
		p.loud += v * v
		if p.louds++; p.louds == step {
			p.flush()
		}
	}
}

func (p *part) flush() {
	if p.louds == 0 {
		return
	}
	db := 10 * math.Log10(p.loud/float64(p.louds)+1e-10)
	p.envelope = append(p.envelope, byte(max(0, min(255, (db+50)*255/40))))
	p.loud, p.louds = 0, 0
}

// position is the sample that is being played.
func (r *response) position(now time.Time) int64 {
	if r.marked.IsZero() {
		return r.mark
	}
	return min(r.sent, r.mark+r.samples(now.Sub(r.marked)))
}

// report takes the played position that a kiosk tells.
func (r *response) report(ms int64, done bool, now time.Time) {
	at := min(r.sent, r.samples(time.Duration(ms)*time.Millisecond))
	if at > r.mark {
		r.moved = now
	}
	r.mark, r.marked, r.reported = at, now, true
	// A done that is short of the end answers a clear.
	if done && r.lastSent && r.total-at <= r.samples(shortOfEnd) {
		r.dry = true
	}
}

// pause stops the clock, because the kiosk is not there.
func (r *response) pause(now time.Time) {
	if r.begun {
		r.mark, r.marked = r.position(now), time.Time{}
	}
}

func (r *response) partAt(sample int64) *part {
	for _, p := range slices.Backward(r.parts) {
		if sample >= p.first {
			return p
		}
	}
	return nil
}

// wholeParts counts the parts that end before a sample.
func (r *response) wholeParts(sample int64) int {
	n := slices.IndexFunc(r.parts, func(p *part) bool { return p.first+p.samples > sample })
	if n < 0 {
		return len(r.parts)
	}
	return n
}

// rewindTo makes everything behind a sample be sent again.
func (r *response) rewindTo(sample int64, now time.Time) {
	r.sent = max(r.kept, min(sample, r.sent))
	r.mark, r.marked, r.moved = r.sent, now, now
	r.lastSent, r.reported, r.dry = false, false, false
}

// frame gives the next frame when it is due, in a, whose memory it uses; else it
// says when to ask again. upTo is the sample behind which nothing is to be sent,
// ahead how long before it is played it is sent.
func (r *response) frame(now time.Time, upTo int64, ahead time.Duration, a *wire.Audio) (due bool, wait time.Duration) {
	ready := max(0, min(r.total, upTo)-r.sent)
	n := min(ready, r.samples(frameTime))
	last := r.made && r.sent+n == r.total
	if r.lastSent || n < r.samples(frameTime) && !last && !r.flushable() {
		return false, stalledAfter // more audio wakes us
	}
	at := r.position(now)
	if early := r.sent + n - at - r.samples(ahead); early > 0 {
		return false, r.duration(early) + time.Millisecond
	}
	if n == 0 && !last {
		return false, stalledAfter
	}
	if at == r.sent { // the first frame, or the kiosk has run dry: its clock starts here
		r.mark, r.marked = r.sent, now
	}
	from := (r.sent - r.kept) * 2
	*a = wire.Audio{
		Last: last, Response: uint16(r.number), Offset: uint32(r.sent), PCM: append(a.PCM[:0], r.pcm[from:from+n*2]...),
	}
	r.sent += n
	r.lastSent = last
	r.moved = now
	r.forget(at)
	return true, 0
}

// flushable tells that the last segment is complete, so that its end, shorter
// than a frame, need not wait for the next one.
func (r *response) flushable() bool {
	return len(r.parts) > 0 && r.parts[len(r.parts)-1].complete
}

// forget drops audio that was played long ago, now and then.
func (r *response) forget(played int64) {
	old := played - r.samples(replayable) - r.kept
	if old*2 < int64(len(r.pcm)/2) {
		return
	}
	r.pcm = append(make([]byte, 0, len(r.pcm)), r.pcm[old*2:]...)
	r.kept += old
}

// deadline is when the response counts as played although nobody has said so.
func (r *response) deadline() time.Time {
	end := r.marked.Add(r.duration(r.total - r.mark))
	if r.reported {
		end = end.Add(overdue)
	}
	return end
}

// played tells whether all of it has been played.
func (r *response) played(now time.Time) bool {
	if !r.lastSent || r.marked.IsZero() {
		return false
	}
	return r.dry || r.reported && r.mark >= r.total || !now.Before(r.deadline())
}

// stalled tells that there was no progress for so long that there will be none:
// the kiosk does not play what it has, or nobody is making the rest.
func (r *response) stalled(now time.Time) bool {
	if now.Sub(r.moved) < stalledAfter {
		return false
	}
	starved := r.sent == r.total && !r.made && !r.playing
	stuck := r.mark < r.sent && r.reported && !r.marked.IsZero()
	return starved || stuck
}

// finish settles what was heard and lets the audio go.
func (r *response) finish(now time.Time, interrupted bool) {
	r.over, r.interrupted = true, interrupted
	if r.start != nil {
		at := r.total
		if interrupted {
			at = r.position(now)
		}
		r.playedMs = r.ms(at)
		r.heard = r.heardUpTo(at)
	}
	r.pcm, r.early, r.cues = nil, nil, nil
	r.bell.ring()
}

// spoken is the text of all segments that have audio.
func (r *response) spoken() string {
	texts := make([]string, len(r.parts))
	for i, p := range r.parts {
		texts[i] = p.text
	}
	return strings.Join(texts, " ")
}

// heardUpTo gives the words up to a sample: whole segments, and of the one that
// was cut the share of its words that was spoken.
func (r *response) heardUpTo(at int64) string {
	var texts []string
	for _, p := range r.parts {
		if at >= p.first+p.samples && p.complete {
			texts = append(texts, p.text)
			continue
		}
		if at > p.first {
			if t := wordsUpTo(p.text, r.share(p, at-p.first)); t != "" {
				texts = append(texts, t)
			}
		}
		break
	}
	return strings.Join(texts, " ")
}

// share is which part (0..1) of a segment has been spoken: by its phonemes when
// their times are known, else by time.
func (r *response) share(p *part, samples int64) float64 {
	ms := uint32(r.ms(samples))
	said, all := 0, 0
	for _, ph := range p.phonemes {
		if ph.Symbol == "pau" {
			continue
		}
		all++
		if ph.EndMs <= ms {
			said++
		}
	}
	if all > 0 {
		return float64(said) / float64(all)
	}
	length := p.samples
	if !p.complete { // what is there of it may not be all: people speak some 15 letters a second
		length = max(length, r.samples(time.Duration(len(p.text))*time.Second/15))
	}
	return float64(samples) / float64(max(1, length))
}

// wordsUpTo gives the words of text that are complete after a share of its
// letters.
func wordsUpTo(text string, share float64) string {
	letters := 0
	for _, r := range text {
		if !unicode.IsSpace(r) {
			letters++
		}
	}
	var words []string
	reached := 0
	for _, w := range strings.Fields(text) {
		reached += len([]rune(w))
		// Half a letter of leniency: shares are measured, not exact.
		if float64(reached) > share*float64(letters)+0.5 {
			break
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
