package workflows

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/flow"
)

// A question is a `collect` under way.
type question struct {
	flow.Collect
	next             string
	slot             flow.Slot
	utter            utterance // the question itself
	ask              utterance // what to say next: the question, or what leads back to it
	noInput, noMatch flow.Ladder
	// How often the customer was silent, not understood, not transcribed, and not
	// of the mind that what was understood is right.
	silent, missed, unheard, wrong int
	waited                         int // how often the customer asked for a moment
	asked                          bool
	doubt                          *doubt
	options                        []string // that the customer can choose from
}

// A doubt is something that was understood and that the customer is asked to
// confirm.
type doubt struct {
	understood flow.Understanding // what a yes makes true
	value      any                // what they are asked about
	asked      utterance
	explicit   bool // the author wants it confirmed, however sure we are
}

// A reply is what follows from an answer: a way on, or something to say before
// listening again.
type reply struct {
	on    way
	gone  bool // another flow has the floor
	utter utterance
}

// maxUnheard is how often a step tells a customer that they could not be heard,
// before it goes where it goes for those who are not understood.
const maxUnheard = 3

// maxWaited is how often a question gives a customer who asks for it a moment,
// without being asked again; after that they are not understood.
const maxWaited = 3

// collect asks until its slot has a valid value, or until the customer wants
// something else. A question that is resumed forgets nothing.
func (c *conversation) collect(ctx workflow.Context, s flow.Collect, resumed bool) (reply, error) {
	f, plan := c.frame(), c.plan()
	if !resumed {
		for _, name := range append([]string{s.Slot}, s.Also...) {
			if plan.Slots[name].AskAnew && name != plan.Languages.Slot {
				c.reset(name)
			} else if plan.Slots[name].AskAnew {
				delete(f.Answered, name) // its value is the language that is being spoken
			}
		}
	}
	q := &question{Collect: s, next: c.step().Next, slot: plan.Slots[s.Slot], noInput: plan.NoInput, noMatch: plan.NoMatch}
	if f.Answered[s.Slot] {
		return reply{on: way{"next", q.next}}, nil
	}
	if s.NoInput != nil {
		q.noInput = *s.NoInput
	}
	if s.NoMatch != nil {
		q.noMatch = *s.NoMatch
	}
	if s.Options != "" {
		var err error
		if q.options, err = c.choose(s.Options); err != nil {
			return reply{}, err
		}
	}
	var err error
	if q.ask, err = c.question(q); err != nil {
		return reply{}, err
	}
	return c.pursue(ctx, q)
}

// pursue asks until there is a way on. A question that was being answered when
// the customer went on speaking is not asked again; see point.
func (c *conversation) pursue(ctx workflow.Context, q *question) (reply, error) {
	c.options = q.options
	defer func() { c.options = nil }()
	// A customer who has begun to speak before the question was asked is answering
	// it already: to ask now would be to interrupt them.
	for quiet := len(c.Inbox) > 0; ; quiet = false {
		if !quiet {
			q.asked = true
			ask := q.ask
			c.LastPrompt = ask.text
			ask.listening = c.listeningTo(q)
			if ask.screen == nil {
				ask.screen = q.utter.screen // an answer takes a screen away, and the question is still open
			}
			if _, err := c.speak(ctx, ask); err != nil {
				return reply{}, err
			}
		}
		in, err := c.hear(ctx, q)
		switch {
		case errors.Is(err, errNoise):
			continue
		case err != nil:
			return reply{}, err
		}
		var r reply
		if in == nil {
			r, err = c.climb(q, "no_input", q.noInput, &q.silent, "")
		} else {
			c.Turns++
			r, err = c.reply(ctx, q, in)
		}
		if err != nil || r.on.to != "" || r.gone {
			return r, err
		}
		if in != nil && c.heardEnough(ctx) {
			return reply{}, errHeardEnough
		}
		q.ask = r.utter
	}
}

// question renders the question as it is now.
func (c *conversation) question(q *question) (utterance, error) {
	u, err := c.utter(q.Prompt, q.With)
	if err != nil {
		return utterance{}, err
	}
	u.gesture = q.Avatar
	u.screen, err = c.screen(q.Screen, q.With)
	q.utter = u
	return u, err
}

// choose evaluates the values that the customer can choose from.
func (c *conversation) choose(expr string) ([]string, error) {
	value, err := c.script().Value(expr, c.scope())
	if err != nil {
		return nil, c.inStep(err)
	}
	list, ok := value.([]any)
	if !ok {
		return nil, c.inStep(fmt.Errorf("options %q must be a list of text", expr))
	}
	var options []string
	for _, v := range list {
		option, ok := v.(string)
		if !ok {
			return nil, c.inStep(fmt.Errorf("options %q holds %v, which is no text", expr, v))
		}
		options = append(options, option)
	}
	return options, nil
}

// climb says the next rung of a ladder, or text instead of it, and goes where the
// ladder leads when it has been climbed.
func (c *conversation) climb(q *question, how string, ladder flow.Ladder, rung *int, text string) (reply, error) {
	if *rung >= len(ladder.Say) {
		return reply{on: way{how, ladder.Then}}, nil
	}
	u, err := c.utter(ladder.Say[*rung], nil)
	if text != "" {
		u.text, u.sensitive = text, q.slot.Sensitive
	}
	*rung++
	return reply{utter: u}, err
}

// missed is the reply to what was not understood. Who was asked to confirm
// something is asked that again.
func (c *conversation) missed(q *question) (reply, error) {
	r, err := c.climb(q, "no_match", q.noMatch, &q.missed, "")
	if err == nil && q.doubt != nil && r.on.to == "" {
		r.utter = q.doubt.asked
	}
	return r, err
}

// reply takes one answer.
func (c *conversation) reply(ctx workflow.Context, q *question, in *Input) (reply, error) {
	u, err := c.understand(ctx, q, in)
	if err != nil {
		return reply{}, err
	}
	c.record(q, in, u)
	d := q.doubt
	switch {
	case in.Failed:
		if q.unheard == maxUnheard {
			return reply{on: way{"no_match", q.noMatch.Then}}, nil
		}
		q.unheard++
		u, err := c.utter(flow.PromptUnheard, nil)
		return reply{utter: u}, err
	case u.Wait && q.waited < maxWaited:
		if q.waited++; !q.asked {
			return reply{utter: q.utter}, nil
		}
		u, err := c.utter(flow.PromptTakeYourTime, nil)
		return reply{utter: u}, err
	case d != nil && (u.Confirmed == "yes" || told(u, q.Slot, d.value)):
		q.doubt = nil
		return c.act(ctx, q, in, d.understood, true)
	case d != nil && u.Intent == "" && (u.Confirmed == "no" || len(u.Values) > 0):
		q.doubt = nil
		if q.wrong++; d.explicit && q.wrong >= q.Confirm.Attempts {
			return reply{on: way{"no_match", q.noMatch.Then}}, nil
		}
		switch {
		case len(u.Values) > 0: // "no, it is …"
			return c.act(ctx, q, in, u, false)
		case d.explicit:
			again, err := c.question(q)
			return reply{utter: again}, err
		}
		return c.missed(q)
	case !u.OK && u.Invalid != nil && q.slot.Invalid != "":
		q.doubt = nil
		text, err := c.quote(q.slot.Invalid, nil, q.Slot, u.Invalid)
		if err != nil {
			return reply{}, err
		}
		return c.climb(q, "no_match", q.noMatch, &q.missed, text)
	case !u.OK:
		return c.missed(q)
	case d == nil && c.unsure(q, in, u):
		return c.askBack(q, in, u)
	}
	return c.act(ctx, q, in, u, false)
}

// told says whether a slot was told a value.
func told(u flow.Understanding, slot string, value any) bool {
	v, ok := u.Values[slot]
	return ok && u.Intent == "" && u.Confirmed == "" && fmt.Sprint(v) == fmt.Sprint(value)
}

// unsure says whether the recogniser was not sure enough of what was understood
// for it to be taken as it is. What the author has confirmed anyway is not asked
// twice, and what was typed or touched is sure.
func (c *conversation) unsure(q *question, in *Input, u flow.Understanding) bool {
	_, value := u.Values[q.Slot]
	confirmed := q.Confirm != nil && value && u.Intent == ""
	return in.How == Spoken && in.Confidence > 0 && in.Confidence < q.Listen.ConfirmBelow && !confirmed
}

// askBack asks whether what was understood is what was said.
func (c *conversation) askBack(q *question, in *Input, u flow.Understanding) (reply, error) {
	var value any = in.Text
	slot := ""
	if v, ok := u.Values[q.Slot]; ok && u.Intent == "" {
		value, slot = v, q.Slot
	}
	text, err := c.quote(flow.PromptConfirmHeard, nil, slot, value)
	if err != nil {
		return reply{}, err
	}
	return c.raise(q, doubt{understood: u, value: value, asked: utterance{text: text, sensitive: c.tells(q, u), bargeIn: c.bargeIn()}})
}

// quote renders a prompt about a value that its slot does not have yet, or, with
// no slot, about the customer's words; {value} is said as the slot's values are.
func (c *conversation) quote(key string, with flow.With, slot string, value any) (string, error) {
	scope, expr := c.scope(), "ctx.utterance"
	if slot == "" {
		scope.Ctx["utterance"] = value
	} else {
		scope.Slots = maps.Clone(scope.Slots)
		scope.Slots[slot], expr = value, "slots."+slot
	}
	if with == nil {
		with = flow.With{"value": expr}
	}
	text, err := c.script().Prompt(c.Language, key, with, scope)
	if err != nil {
		return "", c.inStep(err)
	}
	return text, nil
}

// raise asks the customer to confirm.
func (c *conversation) raise(q *question, d doubt) (reply, error) {
	q.doubt = &d
	return reply{utter: d.asked}, nil
}

// act does what was understood.
func (c *conversation) act(ctx workflow.Context, q *question, in *Input, u flow.Understanding, confirmed bool) (reply, error) {
	if u.Intent != "" {
		return c.heed(ctx, q, in, u)
	}
	value, answered := u.Values[q.Slot]
	if answered && q.Confirm != nil && !confirmed {
		text, err := c.quote(q.Confirm.Prompt, q.Confirm.With, q.Slot, value)
		if err != nil {
			return reply{}, err
		}
		return c.raise(q, doubt{
			understood: u, value: value, explicit: true,
			asked: utterance{text: text, sensitive: q.slot.Sensitive || c.sensitive(q.Confirm.With), bargeIn: c.bargeIn()},
		})
	}
	c.fill(u.Values)
	if answered {
		return reply{on: way{"next", q.next}}, nil
	}
	if len(u.Values) == 0 {
		return c.missed(q)
	}
	again, err := c.question(q) // something else was told that the step wants to know too
	return reply{utter: again}, err
}

// fill gives slots the values that the customer has told.
func (c *conversation) fill(values map[string]any) {
	for _, slot := range workflow.DeterministicKeys(values) {
		c.assign("slots."+slot, values[slot])
	}
}

// heed does what an intent stands for. Those that resume ask the open question
// again, as it is by then. One of a flow further out is about that flow: its
// slots, its steps; where it leads to one of them, the flows above are over.
func (c *conversation) heed(ctx workflow.Context, q *question, in *Input, u flow.Understanding) (reply, error) {
	f := c.outer(u.Outer)
	intents := c.scripts[f.Flow].plan.Intents
	i := slices.IndexFunc(intents, func(i flow.Intent) bool { return i.Name == u.Intent })
	if i < 0 {
		return c.missed(q)
	}
	intent, how := intents[i], "intent "+u.Intent
	back := way{how, intent.Then}
	if intent.Then == "" {
		back.to = f.Step
	}
	switch {
	case intent.To != "":
		c.leave(u.Outer)
		return reply{on: way{how, intent.To}}, nil
	case intent.Replay:
		c.countOf(f, back)
		return reply{utter: utterance{text: c.LastPrompt, sensitive: q.slot.Sensitive, bargeIn: c.bargeIn()}}, nil
	case intent.Digress != nil:
		if ok, err := c.digress(intent, u.Outer, u.Flow, back); err != nil {
			return reply{}, err
		} else if !ok {
			return c.missed(q)
		}
		return reply{gone: true}, nil
	case len(intent.Correct) > 0:
		if len(u.Values) == 0 && intent.Then == "" {
			return c.missed(q) // something is wrong, but nobody knows what
		}
		_ = c.asOuter(u.Outer, func() error { c.fill(u.Values); return nil })
	default:
		if !c.settable(intent, u) {
			return c.missed(q)
		}
		scope := func() flow.Scope {
			s := c.scope()
			s.Heard = map[string]any{"language": u.Language, "text": in.Text}
			return s
		}
		if err := c.asOuter(u.Outer, func() error { return c.set(intent.Set, scope) }); err != nil {
			return reply{}, err
		}
	}
	if u.Outer > 0 {
		c.keepLanguage() // which may be another by now
	}
	q.doubt = nil
	if intent.Say != "" {
		if err := c.sayOf(ctx, u.Outer, intent.Say); err != nil {
			return reply{}, err
		}
	}
	if intent.Then != "" {
		c.leave(u.Outer)
		return reply{on: back}, nil
	}
	c.countOf(f, back)
	if c.frame().Answered[q.Slot] { // by the intent
		return reply{on: way{"next", q.next}}, nil
	}
	again, err := c.question(q)
	return reply{utter: again}, err
}

// settable says whether what an intent sets was heard: who wants another language
// without saying which is not understood.
func (c *conversation) settable(intent flow.Intent, u flow.Understanding) bool {
	return u.Language != "" || !slices.ContainsFunc(intent.Set, func(a flow.Assign) bool { return a.Expr == "heard.language" })
}

// record writes the customer's line into the transcript.
func (c *conversation) record(q *question, in *Input, u flow.Understanding) {
	line := Line{
		By: "customer", Step: c.frame().Step, Text: in.Text, How: in.How, Confidence: in.Confidence,
		Sensitive: c.tells(q, u),
	}
	c.Transcript = append(c.Transcript, line)
	c.Utterance = in.Text
	if line.Sensitive {
		c.Utterance = "" // expressions see it as the slot's value, which the checker follows; models never
	}
}

// tells says whether an answer may tell something sensitive.
func (c *conversation) tells(q *question, u flow.Understanding) bool {
	slots := c.scripts[c.outer(u.Outer).Flow].plan.Slots
	return q.slot.Sensitive || slices.ContainsFunc(workflow.DeterministicKeys(u.Values), func(name string) bool { return slots[name].Sensitive })
}

// understandWithin is how long a customer waits for the language model to tell
// what they meant, before they count as not understood.
const understandWithin = 3 * time.Second

// understand turns an input into slots' values or an intent: by the step's own
// grammar first, then by the language model where the author wants it asked. Each
// result enters the history, so that a better grammar never changes what was
// understood.
func (c *conversation) understand(ctx workflow.Context, q *question, in *Input) (flow.Understanding, error) {
	if in.Failed {
		return flow.Understanding{}, nil
	}
	if in.How == Spoken && in.Confidence > 0 && in.Confidence < q.Listen.RejectBelow {
		return flow.Understanding{Why: "the recogniser was not sure enough"}, nil
	}
	script, heard := c.script(), c.heardAt(c.frame().Step)
	heard.Text, heard.Now = in.Text, workflow.Now(ctx).In(c.zone)
	if in.How == ByTouch {
		heard.Text, heard.Touched = "", in.Text
	}
	if q.doubt != nil {
		heard.Confirming = q.doubt.value
	}
	u, err := c.recorded(ctx, "understand", func() flow.Understanding { return script.Understand(heard) })
	if err != nil || !u.AskModel || c.Unable {
		return u, err
	}
	result, err := c.askModel(ctx, q, heard)
	if err != nil {
		if ctx.Err() != nil {
			return u, ctx.Err()
		}
		c.Unable = kindOf(err) == activities.KindUnable
		workflow.GetLogger(ctx).Info("model did not understand", "step", heard.Step, "error", err)
		return u, nil
	}
	if result.Intent == "" && len(result.Values) == 0 {
		return u, nil
	}
	m, err := c.recorded(ctx, "understand by model", func() flow.Understanding {
		return script.FromModel(heard, result.Intent, result.Values)
	})
	if m.OK || m.Invalid != nil {
		return m, err
	}
	return u, err
}

// heardAt is what is known at a step, before anything has been heard there.
func (c *conversation) heardAt(step string) flow.Heard {
	f := c.frame()
	h := flow.Heard{Step: step, Language: c.Language, Options: c.options, Slots: f.Slots, Answered: f.Answered}
	for n := 1; n < len(c.Stack); n++ {
		caller := c.outer(n)
		h.Callers = append(h.Callers, flow.Caller{Program: c.scripts[caller.Flow].Program, Slots: caller.Slots, Answered: caller.Answered})
	}
	return h
}

// recorded keeps an understanding in the history.
func (c *conversation) recorded(ctx workflow.Context, what string, f func() flow.Understanding) (u flow.Understanding, err error) {
	options := workflow.SideEffectOptions{Summary: c.frame().Step + " · " + what}
	err = workflow.SideEffectWithOptions(ctx, options, func(workflow.Context) any { return f() }).Get(&u)
	return u, err
}

// askModel asks the language model what an utterance means.
func (c *conversation) askModel(ctx workflow.Context, q *question, h flow.Heard) (activities.UnderstandResult, error) {
	slots, intents := c.script().Meanings(h)
	in := activities.UnderstandInput{
		Place: c.Place, Step: h.Step, Language: h.Language, Now: h.Now, Prompt: c.LastPrompt, Utterance: h.Text, History: c.history(historyLines),
	}
	for _, s := range slots {
		in.Slots = append(in.Slots, activities.SlotMeaning{Name: s.Name, About: s.About, Type: string(s.Type), Values: s.Values, Correct: s.Correct})
	}
	if len(in.Slots) > 0 && in.Slots[0].Name == q.Slot && len(c.options) > 0 {
		in.Slots[0].Values = c.options
	}
	for _, i := range intents {
		in.Intents = append(in.Intents, activities.Meaning{Name: i.Name, About: i.About, Phrases: i.Phrases})
	}
	var result activities.UnderstandResult
	w := work{step: h.Step, part: "understand", note: c.step().Note, run: flow.Run{Timeout: flow.Duration(understandWithin), Attempts: 1}}
	err := workflow.ExecuteActivity(c.on(ctx, activities.PoolLLM, w), activities.Understand, in).Get(ctx, &result)
	return result, err
}

// An answer is begun after pauseToGuess of silence, which is longer than the
// silences within words and leaves most of the endpointing delay for the work, or
// after half of a shorter delay. Of one that is shorter than twice shortestPause
// there is nothing to be gained: silences of that length are in every word.
const (
	pauseToGuess  = 200 * time.Millisecond
	shortestPause = 100 * time.Millisecond
)

// listeningTo tells the gateway what comes after a question, so that it listens
// the moment the last word is out. What is to be confirmed can be touched too.
func (c *conversation) listeningTo(q *question) *activities.Listening {
	l := &activities.Listening{
		EndSilenceMs:   q.Listen.EndSilence.D().Milliseconds(),
		MaxUtteranceMs: q.Listen.MaxUtterance.D().Milliseconds(),
		Endpointing:    q.Listen.Endpointing,
		MaxSilenceMs:   q.Listen.MaxSilence.D().Milliseconds(),
	}
	if pause := min(pauseToGuess, q.Listen.EndSilence.D()/2); q.Listen.Guess && pause >= shortestPause {
		l.PauseMs = pause.Milliseconds()
	}
	buttons := c.script().Buttons(c.frame().Step, c.Language, c.options)
	if q.doubt != nil {
		buttons = flow.YesNo(c.Language)
	}
	for _, b := range buttons {
		l.Buttons = append(l.Buttons, activities.Button{Value: b.Value, Label: b.Label})
	}
	return l
}
