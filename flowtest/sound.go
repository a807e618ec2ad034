package flowtest

import (
	"strings"
	"time"
	"unicode/utf8"

	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/gateway/judge"
	"github.com/praesenz/parley/workflows"
)

// A sound is an utterance as its gateway knows it. What a gateway does with one
// is in docs/decisions/0018.
type sound struct {
	number    int
	of        *utterance // nil: a noise
	text      string     // without those that it goes on with
	continues *sound     // that was not committed
	over      *response  // that it was said over and that is held for it

	ends    time.Time // its words
	pause   time.Duration
	silence time.Duration

	open      bool // its transcript was given before it was committed
	committed bool // the customer has said all of it
	told      bool // and the conversation knows
	void      bool // they went on, or what they said next joined it
	ignored   bool
	answered  bool // something was heard since then
}

// speak lets the customer say something, with all its pauses; nil is a noise. It
// tells whether the kiosk listens at all.
func (s *stage) speak(u *utterance) bool {
	if s.current != nil && s.current.BargeIn == "none" {
		return false
	}
	s.utter(u, 0)
	return true
}

// utter says what comes next of an utterance, up to a pause that is noticed.
func (s *stage) utter(u *utterance, i int) {
	if s.env.IsWorkflowCompleted() {
		return
	}
	x := &sound{number: len(s.sounds) + 1, of: u, pause: ms(s.listening.PauseMs), silence: ms(s.listening.EndSilenceMs)}
	if x.silence == 0 {
		x.silence = endSilence
	}
	if x.pause == 0 {
		x.pause = x.silence
	}
	var lasts, rest time.Duration
	if u != nil {
		x.text = u.parts[i].text
		lasts = spokenFor(x.text)
		for i++; i < len(u.parts); i++ {
			if rest = u.parts[i].after; rest >= x.pause {
				break
			}
			x.text += " " + u.parts[i].text
			lasts += rest + spokenFor(u.parts[i].text)
		}
		if i < len(u.parts) {
			s.unsaid++
			s.later(lasts+rest, func() {
				s.unsaid--
				s.utter(u, i)
			})
		}
	}
	x.ends = s.env.Now().Add(lasts)
	s.begins(x)
	s.later(lasts+x.silence, func() { s.commit(x) })
}

// begins lets the gateway notice a sound: what was guessed from its beginning is
// void, and a response that it may interrupt is held.
func (s *stage) begins(x *sound) {
	if last := s.sound(len(s.sounds)); last != nil && !last.committed {
		x.continues = last
		s.annul(last)
	}
	started := workflows.Signal{Kind: workflows.SpeechStarted, Utterance: x.number}
	if x.continues != nil {
		started.Continues = x.continues.number
	}
	if r := s.current; r != nil {
		started.Response = r.Response
		if r.BargeIn == "speech" {
			r.hold(s.env.Now())
			x.over = r
		}
	}
	s.sounds = append(s.sounds, x)
	s.unheard++
	s.signal(started)
}

// annul takes back what was answered to a sound.
func (s *stage) annul(x *sound) {
	x.void = true
	s.cast.annulled(x.number)
}

// commit is when a customer has been silent for so long that they are done.
func (s *stage) commit(x *sound) {
	if x.void || s.env.IsWorkflowCompleted() {
		return
	}
	x.committed = true
	if x.open && !x.ignored && s.gated[x.number] == 0 {
		s.tellCommitted(x)
	}
}

func (s *stage) tellCommitted(x *sound) {
	if !x.told {
		x.told = true
		s.signal(workflows.Signal{Kind: workflows.Committed, Utterance: x.number})
	}
}

// sound finds one by its number, or gives nil.
func (s *stage) sound(number int) *sound {
	if number < 1 || number > len(s.sounds) {
		return nil
	}
	return s.sounds[number-1]
}

// hear is the recogniser: it knows the words when they have been said.
func (s *stage) hear(ctx workflow.Context, in activities.TranscribeInput) (activities.TranscribeResult, error) {
	x := s.sound(in.Utterance)
	err := workflow.Sleep(ctx, x.ends.Add(x.pause).Sub(s.env.Now()))
	s.unheard--
	if err != nil {
		return activities.TranscribeResult{}, err
	}
	result := activities.TranscribeResult{Utterance: x.number, Model: "rehearsal", Open: x.pause < x.silence}
	first := x
	for ; first.continues != nil && first.number > in.Since && in.Since > 0; first = first.continues {
		continue
	}
	var words []string
	for _, part := range s.sounds[first.number-1 : x.number] {
		if part.of != nil {
			words = append(words, part.text)
			result.Confidence = part.of.confidence
		}
	}
	result.Text = strings.Join(words, " ")
	result.AudioMs = spokenFor(result.Text).Milliseconds()
	result.NoSpeech = result.Text == ""
	x.open = result.Open
	s.verdict(x, first, &result)
	if !result.NoSpeech && result.Ignored == "" {
		s.cast.answering(x.number)
	}
	return result, nil
}

// verdict is what the gateway makes of a transcript: whether what is held for it
// goes on, and whether it wants one answer with what was said before.
func (s *stage) verdict(x, first *sound, result *activities.TranscribeResult) {
	if r := x.over; r != nil && !r.cut {
		result.Ignored = judge.Utterance(judge.Said{
			Text: result.Text, Language: r.Language, Confidence: result.Confidence, MinWords: r.MinWords,
			Over: r.text, Question: r.Listening != nil, Answers: s.labels,
		})
		if result.Ignored != "" {
			x.ignored = true
			r.release(s.env.Now())
			s.note("gateway", r.Step, "the kiosk goes on: "+strings.ReplaceAll(result.Ignored, "_", " "))
			return
		}
		r.cut = true
		s.later(0, func() { s.interrupted(r) })
	}
	before := s.sound(first.number - 1)
	if result.NoSpeech || before == nil || before.of == nil || before.void || before.ignored || before.answered || !before.committed {
		return
	}
	result.Joins = before.number
	s.annul(before)
}

// gate waits until a response can be heard: the one before it is over, what it
// answers is committed, and what is being said now is judged. It gives false for
// one that is taken back.
func (s *stage) gate(ctx workflow.Context, after int) (bool, error) {
	x := s.sound(after)
	void := func() bool { return x != nil && x.void }
	ready := func() bool { return s.current == nil && s.unheard == 0 && (x == nil || x.committed) }
	for !void() && !ready() {
		var err error
		if x != nil && !x.committed {
			at := x.ends.Add(x.silence).Sub(s.env.Now())
			_, err = workflow.AwaitWithTimeout(ctx, max(at, time.Nanosecond), func() bool { return void() || ready() })
		} else {
			err = workflow.Await(ctx, func() bool { return void() || ready() })
		}
		if err != nil {
			return false, err
		}
	}
	if void() {
		return false, nil
	}
	for _, said := range s.sounds {
		said.answered = said.answered || said.committed
	}
	return true, nil
}

// await is gate for a response that has been asked for and may go unheard, which
// the conversation is told.
func (s *stage) await(ctx workflow.Context, after int, text func() error) (bool, error) {
	s.gated[after]++
	heard, err := false, text()
	if err == nil {
		heard, err = s.gate(ctx, after)
	}
	s.gated[after]--
	if x := s.sound(after); x != nil && x.committed && !x.void && !heard {
		s.later(0, func() { s.tellCommitted(x) })
	}
	return heard, err
}

// hold stops a response for a sound that may interrupt it, release lets it go on.
func (r *response) hold(now time.Time) {
	if r.held.IsZero() {
		r.held = now
	}
}

func (r *response) release(now time.Time) {
	if !r.held.IsZero() {
		r.stood, r.held = r.stood+now.Sub(r.held), time.Time{}
	}
}

// played is how much of a response was heard.
func (r *response) played(now time.Time) time.Duration {
	if !r.held.IsZero() {
		now = r.held
	}
	return min(now.Sub(r.began)-r.stood, r.lasts)
}

// play lasts as long as a response is heard.
func (s *stage) play(ctx workflow.Context, r *response) {
	for !r.cut && r.played(s.env.Now()) < r.lasts {
		var err error
		if held := r.held; held.IsZero() {
			left := r.lasts - r.played(s.env.Now())
			_, err = workflow.AwaitWithTimeout(ctx, left, func() bool { return r.cut || !r.held.IsZero() })
		} else {
			err = workflow.Await(ctx, func() bool { return r.cut || r.held.IsZero() })
		}
		if err != nil {
			r.cut = true // by the conversation, which wants to know what was heard
		}
	}
}

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// spokenFor is how long a text takes to say.
func spokenFor(text string) time.Duration {
	return time.Duration(utf8.RuneCountInString(text)) * letter
}
