package workflows

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
)

// A point is where the conversation goes back to when an answer turns out to be
// to half of what the customer wanted to say: the question that was open, as it
// was before it took the utterance. There is one as long as nothing of the answer
// was heard and nothing was done that cannot be taken back; what is spoken in the
// meantime tells the gateway so. See docs/decisions/0018.
type point struct {
	input    Input // that was answered
	course   Course
	question question
	asked    *utterance // what a gateway is told to listen for
}

// errVoid says that what was answered is taken back.
var errVoid = errors.New("the customer goes on with the sentence")

// commitWithin is how long a conversation waits for its gateway's word that an
// utterance is over, beyond the silence that ends it.
const commitWithin = 10 * time.Second

// remember makes the point to which an answer to an utterance can go back. What
// was typed or touched is whole, and surely meant as it is.
func (c *conversation) remember(q *question, in *Input) {
	c.point = nil
	if c.latest == in {
		c.latest = nil // what goes on with it goes on with the point
	}
	if in.How == Spoken {
		c.point = &point{input: *in, course: c.Course.copy(), question: *q, asked: c.asked}
	}
}

// goBack takes up the question again at which the customer goes on. To be called
// when no step is under way.
func (c *conversation) goBack() {
	p := c.back
	if p == nil {
		return
	}
	c.back = nil
	c.Course, c.asked, c.reopened = p.course, p.asked, &p.question
}

// whole says whether a point's utterance is surely all that the customer says:
// another gateway than the one that heard it knows nothing of it.
func (c *conversation) whole(p *point) bool {
	return !p.input.Open || p.input.Place != c.Place || c.Committed >= p.input.Utterance
}

// commit waits until the customer has surely finished what is being answered. To
// be called before anything that cannot be taken back.
func (c *conversation) commit(ctx workflow.Context) error {
	p := c.point
	if p != nil && !c.whole(p) {
		limit := p.question.Listen.EndSilence.D() + p.question.Listen.MaxSilence.D() + commitWithin
		decided, err := c.until(ctx, limit, "end of the sentence", func() bool { return c.point != p || c.whole(p) || c.left != "" })
		if err != nil {
			return err
		}
		if !decided {
			workflow.GetLogger(ctx).Warn("the gateway has not said whether an utterance is over", "step", c.frame().Step, "utterance", p.input.Utterance)
		}
	}
	if c.back != nil {
		return errVoid
	}
	c.point = nil
	return nil
}

// after is the utterance that is being answered and may still be taken back; 0:
// none.
func (c *conversation) after() int {
	if c.point == nil || c.point.input.Place != c.Place {
		return 0
	}
	return c.point.input.Utterance
}

// speech takes in the beginning of an utterance, which may be a continuation.
func (c *conversation) speech(ctx workflow.Context, in *Input, continues int) {
	guard := c.guard
	switch {
	case continues != 0 && c.extend(in, continues):
		guard = nil
	case guard != nil:
	case !c.enter(ctx, in):
		return
	}
	c.latest = in
	w, t := c.toTranscribe(in, guard)
	ctx, in.stop = workflow.WithCancel(ctx)
	c.transcribing++
	workflow.Go(ctx, func(ctx workflow.Context) { c.transcribe(ctx, in, w, t, guard) })
}

// extend lets an utterance take the place of the one that it goes on with:
// whether that has been answered, transcribed, or neither. It says whether that
// has a place. One that has none, because it seemed to be a noise or was said
// over a response that only a hotword cuts, is heard again with its continuation.
func (c *conversation) extend(in *Input, continues int) bool {
	var was Input
	if p := c.point; p != nil && p.input.is(in.Place, continues) {
		was = p.input
		c.void(in)
	} else if i := c.waiting(in.Place, continues); i >= 0 {
		was = *c.Inbox[i]
		if was.stop != nil { // else it is of an earlier run, and over
			was.stop()
		}
		c.Inbox[i] = in
	} else {
		if latest := c.latest; latest != nil && latest.is(in.Place, continues) {
			latest.stop()
			in.Since = cmp.Or(latest.Since, latest.Utterance)
		}
		return false
	}
	in.Since = cmp.Or(was.Since, was.Utterance)
	in.Text, in.Confidence, in.Over = was.Text, was.Confidence, cmp.Or(in.Over, was.Over)
	in.Before, in.BeforeSure = was.Before, was.BeforeSure
	return true
}

// join puts what was said before, and wants the same answer, in front of an
// utterance whose transcript has just come.
func (c *conversation) join(ctx workflow.Context, in *Input, before int) {
	if i := c.waiting(in.Place, before); i >= 0 && c.Inbox[i] != in {
		was := c.Inbox[i]
		if workflow.Await(ctx, func() bool { return !was.Pending }) != nil {
			return // the conversation is cancelled
		}
		if i = slices.Index(c.Inbox, was); i >= 0 { // else a step has just taken it
			c.Inbox = slices.Delete(c.Inbox, i, i+1)
			in.follow(*was)
			return
		}
	}
	if p := c.point; p != nil && p.input.is(in.Place, before) {
		c.forget(in)
		c.void(in)
		in.follow(p.input)
	}
}

// follow puts an earlier input in front.
func (in *Input) follow(was Input) {
	in.Before, in.BeforeSure = was.Text, was.Confidence
	in.add(in.Text, in.Confidence)
}

// add gives an input its own words, behind those that were said before.
func (in *Input) add(text string, confidence float64) {
	in.Text, in.Confidence = strings.TrimSpace(in.Before+" "+text), confidence
	if in.BeforeSure > 0 && (confidence == 0 || in.BeforeSure < confidence) {
		in.Confidence = in.BeforeSure
	}
}

// void takes back what was answered, and puts what the customer says now in the
// place of what they said before.
func (c *conversation) void(in *Input) {
	c.back, c.point = c.point, nil
	c.Inbox = slices.Insert(c.Inbox, 0, in)
	c.hush()
}

// waiting finds an utterance that no step has taken yet, or gives -1.
func (c *conversation) waiting(place activities.Place, utterance int) int {
	return slices.IndexFunc(c.Inbox, func(in *Input) bool { return in.is(place, utterance) })
}

// is says whether an input is a gateway's utterance of that number.
func (in *Input) is(place activities.Place, utterance int) bool {
	return in.How == Spoken && in.Place == place && in.Utterance == utterance
}

// toTranscribe asks for an utterance's transcript, with what the customer may be
// about to say: the answer to the question that is open or will be open next, or
// to the one that the conversation is about to go back to.
func (c *conversation) toTranscribe(in *Input, over *guard) (work, activities.TranscribeInput) {
	if p := c.back; p != nil {
		course, options := c.Course, c.options
		defer func() { c.Course, c.options = course, options }()
		c.Course, c.options = p.course, p.question.options
	}
	name := c.listeningStep()
	step := c.plan().Steps[name]
	t := activities.TranscribeInput{
		Place: in.Place, Utterance: in.Utterance, Since: in.Since, Language: c.Language, Expected: c.script().Expected(c.heardAt(name)),
	}
	if step.Collect != nil {
		t.Endpointing = step.Collect.Listen.Endpointing
	}
	if over != nil {
		t.Expected = append(slices.Clone(over.words), t.Expected...)
	}
	return work{step: name, part: "hear", note: step.Note}, t
}

// transcribe turns one utterance into text. It is scheduled when speech starts,
// so that its hop hides behind the customer's own voice. What is said over a
// response that only a hotword cuts becomes an input when it holds one.
func (c *conversation) transcribe(ctx workflow.Context, in *Input, w work, t activities.TranscribeInput, over *guard) {
	defer func() { c.transcribing-- }()
	defer in.stop()
	var result activities.TranscribeResult
	err := workflow.ExecuteActivity(c.on(ctx, activities.PoolSTT, w), activities.Transcribe, t).Get(ctx, &result)
	defer func() { in.Pending = false }()
	gone := kindOf(err) == activities.KindGone
	in.Open = result.Open
	switch {
	case temporal.IsCanceledError(err): // another has taken its place
	case over != nil:
		if err == nil && over.hears(result.Text) && !over.only(result.Text) {
			in.add(result.Text, result.Confidence)
			c.enter(ctx, in)
		}
	case err == nil && !result.NoSpeech && result.Text != "" && result.Ignored == "":
		in.add(result.Text, result.Confidence)
		if result.Joins != 0 {
			c.join(ctx, in, result.Joins)
		}
	case in.Text != "": // what is known of it is answered
	case err == nil, gone:
		c.forget(in) // a noise, or a kiosk that went away with its audio
	case in.Over > c.Cut:
		c.forget(in) // whatever it was, what was being said went on
	default:
		workflow.GetLogger(ctx).Error("utterance not transcribed", "step", w.step, "error", err)
		in.Failed = true
	}
}
