// Package tts is text-to-speech: the Speak activity. It reads a response's text
// sentence by sentence from the gateway's session, has any server with the
// OpenAI audio API speak it (speaches, or the embedded one), and stays until the
// kiosk has played it.
package tts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/modelserver"
	"github.com/praesenz/parley/activities/session"
	"github.com/praesenz/parley/media"
)

// Ahead is how many segments are made ahead of the one that plays: enough that
// the voice never waits for the server, few enough that little is thrown away
// when the customer interrupts.
const Ahead = 2

// A Speaker runs the Speak activity. It is safe for concurrent use.
type Speaker struct {
	config Config
	media  *media.Client
	server *modelserver.Server
	rates  rates
	log    *slog.Logger
}

// New returns a Speaker, or every fault of the configuration.
func New(config Config, gateways *media.Client, log *slog.Logger) (*Speaker, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.Timeout == 0 {
		config.Timeout = DefaultTimeout
	}
	if config.Speed == 0 {
		config.Speed = 1
	}
	return &Speaker{
		config: config,
		media:  gateways,
		server: modelserver.Over(config.HTTP, config.BaseURL, config.Key),
		rates:  rates{known: map[voice]*rate{}},
		log:    log,
	}, nil
}

// cutTimeout bounds taking a response back: the gateway has nothing to wait for.
const cutTimeout = 2 * time.Second

// hotwordBeat is how often Speak heartbeats when the conversation may take the
// response back in mid-sentence: by this much a customer's "stop" is late.
const hotwordBeat = 500 * time.Millisecond

// Speak speaks one response and returns when the kiosk has played it or it was
// cut, by the customer or by the conversation: cancelled by its workflow, it
// stops what is played and returns what was heard, as a result and no error (the
// workflow gets it if it waits for cancellation). A second attempt goes on with
// the first segment whose audio the gateway does not have. A gateway that is away
// is waited for; KindGone, when it stays away or has lost the session, has what
// was made in its details. So have heartbeats, for the gateway after that.
func (s *Speaker) Speak(ctx context.Context, in activities.SpeakInput) (_ activities.SpeakResult, err error) {
	started := time.Now()
	result := activities.SpeakResult{Response: in.Response}
	if in.Gesture != "" && !slices.Contains(activities.Gestures, in.Gesture) {
		return result, activities.Permanent(activities.KindInvalid,
			fmt.Errorf("gesture %q: must be one of %s", in.Gesture, strings.Join(activities.Gestures, ", ")))
	}
	voice, err := s.config.voice(in.Language)
	if err != nil {
		return result, err
	}
	result.Voice = voice.name
	gateway, release, err := session.Join(s.media, in.Place)
	if err != nil {
		return result, err
	}
	defer release()

	made := begin(ctx)
	interval := session.BeatInterval
	if in.BargeIn == "hotword" {
		interval = hotwordBeat
	}
	defer session.BeatEvery(ctx, interval, func() any { return made.soFar() })(&err)

	var r *response
	var ended *media.Playback_Ended
	err = session.Retry(ctx, func() error {
		r = &response{
			speaker: s,
			gateway: gateway,
			in:      in,
			voice:   voice,
			started: started,
			made:    made,
			from:    make(chan uint32, 1),
			played:  make(chan struct{}, 1),
		}
		if in.Text != "" { // written once more, it changes nothing
			// Of a response that is over, Play tells how much was heard.
			if err := write(ctx, gateway, in); err != nil && !errors.Is(err, session.ErrCut) {
				return err
			}
		}
		var err error
		ended, err = r.perform(ctx)
		return err
	})
	if so := made.soFar(); ended == nil && temporal.IsCanceledError(context.Cause(ctx)) && len(so.Segments) > 0 {
		// The gateway could not say how much was heard. Another one will be told.
		result.Interrupted, result.Made = true, &so
		return result, nil
	}
	if ended == nil && ctx.Err() != nil {
		return result, ctx.Err()
	}
	if session.Kind(err) == activities.KindGone {
		return result, temporal.NewNonRetryableApplicationError(err.Error(), activities.KindGone, err, made.soFar())
	}
	if err != nil && !errors.Is(err, session.ErrCut) {
		return result, err
	}
	if ctx.Err() != nil {
		so := made.soFar()
		result.Made = &so
	}
	result.FirstAudioMs = r.firstAudio.Milliseconds()
	if ended == nil { // cut before the gateway could say how much was heard
		result.Text, result.Interrupted = cmp.Or(r.text, in.Text), true
		return result, nil
	}
	result.Text = ended.GetText()
	result.Heard = ended.GetHeard()
	result.PlayedMs = int64(ended.GetPlayedMs())
	result.TotalMs = int64(ended.GetTotalMs())
	result.Interrupted = ended.GetInterrupted()
	s.log.Debug("spoke", "store", in.Place.Store, "kiosk", in.Place.Kiosk, "conversation", in.Place.Conversation, "step", in.Step,
		"voice", result.Voice, "first_audio_ms", result.FirstAudioMs, "played_ms", result.PlayedMs, "interrupted", result.Interrupted)
	return result, nil
}

// made is activities.Made as it grows; heartbeats read it.
type made struct {
	mu sync.Mutex
	m  activities.Made
}

// begin takes up what an earlier attempt knew.
func begin(ctx context.Context) *made {
	var m made
	if activity.HasHeartbeatDetails(ctx) && activity.GetHeartbeatDetails(ctx, &m.m) != nil {
		m.m = activities.Made{} // it is only made again
	}
	return &m
}

// add notes a whole segment, unless one before it is not known: then its length
// is of no use.
func (m *made) add(s *media.Segment, cover string, ms int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if int(s.GetIndex()) != len(m.m.Segments) {
		return
	}
	m.m.Segments = append(m.m.Segments, ms)
	if s.GetIndex() == 0 && cover != "" {
		m.m.Covered = strings.HasPrefix(strings.Join(strings.Fields(cover), " "), s.GetText())
	}
}

func (m *made) soFar() activities.Made {
	m.mu.Lock()
	defer m.mu.Unlock()
	so := m.m
	so.Segments = slices.Clone(so.Segments)
	return so
}

// writeTimeout bounds the handing over of a text that is known beforehand.
const writeTimeout = 3 * time.Second

// write puts a given text into the session, so that it is cut into segments,
// captioned and performed like one that a model writes.
func write(ctx context.Context, gateway media.MediaClient, in activities.SpeakInput) error {
	ctx, cancel := context.WithTimeoutCause(ctx, writeTimeout,
		activities.Retryable(activities.KindTimeout, fmt.Errorf("the gateway did not take the text within %s", writeTimeout)))
	defer cancel()
	stream, err := gateway.Write(ctx)
	if err != nil {
		return session.Err(ctx, "write the text", err)
	}
	err = stream.Send(&media.Text{
		Place:    session.Place(in.Place),
		Response: uint32(in.Response),
		Delta:    in.Text,
		Complete: true,
		After:    uint32(in.After),
	})
	if err != nil && !errors.Is(err, io.EOF) { // at EOF the stream's status says why
		return session.Err(ctx, "write the text", err)
	}
	_, err = stream.CloseAndRecv()
	return session.Err(ctx, "write the text", err)
}

// A response is being spoken: one goroutine reads its text, one makes and sends
// its audio, one takes it back when the conversation says so, one listens to what
// the kiosk has played and ends the others.
type response struct {
	speaker *Speaker
	gateway media.MediaClient
	in      activities.SpeakInput
	voice   voice
	started time.Time
	made    *made

	play   grpc.BidiStreamingClient[media.Audio, media.Playback]
	from   chan uint32   // the first segment whose audio is wanted, once
	played chan struct{} // a token when heard was raised

	heard counter // segments that the kiosk has played

	// Owned by the speaking goroutine until perform returns.
	text       string
	firstAudio time.Duration
}

// perform runs the four and returns how playback ended.
func (r *response) perform(speaking context.Context) (*media.Playback_Ended, error) {
	var ended *media.Playback_Ended
	// A response that is taken back is listened to until the gateway has said how
	// much of it was heard; its goroutine ends the others.
	g, ctx := errgroup.WithContext(context.WithoutCancel(speaking))
	// Everything ends with playback, and so does this context.
	ctx, over := context.WithCancelCause(ctx)
	defer over(nil)

	play, err := r.gateway.Play(ctx)
	if err != nil {
		return nil, session.Err(ctx, "play the response", err)
	}
	r.play = play
	segments := make(chan *media.Segment, Ahead)

	g.Go(func() error {
		if r.in.Heard != nil && r.in.Heard.Whole {
			close(segments)
			return nil
		}
		err := unlessOver(ctx, r.read(ctx, segments))
		if errors.Is(err, session.ErrCut) {
			<-ctx.Done() // the end of playback tells how much was heard
			return nil
		}
		return err
	})
	g.Go(func() error { return unlessOver(ctx, r.speak(ctx, segments)) })
	g.Go(func() error {
		select {
		case <-speaking.Done():
			return unlessOver(ctx, r.takeBack(ctx, context.Cause(speaking)))
		case <-ctx.Done():
			return nil
		}
	})
	g.Go(func() error {
		var err error
		ended, err = r.listen(ctx)
		if err == nil || errors.Is(err, session.ErrCut) {
			over(errOver)
		}
		return err
	})
	err = g.Wait()
	return ended, err
}

// takeBack ends the response for its conversation, and waits for the end of
// playback. Whatever else ends the activity leaves it to the next attempt.
func (r *response) takeBack(ctx context.Context, why error) error {
	if !temporal.IsCanceledError(why) {
		return why
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cutTimeout, why)
	defer cancel()
	_, err := r.gateway.Cut(ctx, &media.CutRequest{Place: session.Place(r.in.Place), Response: uint32(r.in.Response)})
	if err != nil {
		return session.Err(ctx, "cut the response", err)
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// errOver ends what still reads and speaks when playback has ended.
var errOver = errors.New("playback has ended")

func unlessOver(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errOver) {
		return nil
	}
	return err
}

// read passes the response's segments on as they become complete. It closes
// segments only when the text is complete.
func (r *response) read(ctx context.Context, segments chan<- *media.Segment) error {
	cover, wait := r.in.Cover, activities.CoverAfter
	if h := r.in.Heard; h != nil { // its first segment is what it was
		wait = 0
		if !h.Covered {
			cover = ""
		}
	}
	stream, err := r.gateway.Read(ctx, &media.ReadRequest{
		Place: session.Place(r.in.Place), Response: uint32(r.in.Response),
		Cover: cover, CoverAfterMs: uint32(wait.Milliseconds()),
	})
	if err != nil {
		return session.Err(ctx, "read the response", err)
	}
	for {
		segment, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			close(segments)
			return nil
		}
		if err != nil {
			return session.Err(ctx, "read the response", err)
		}
		select {
		case segments <- segment:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// speak makes the audio of the segments, one after the other, and sends it as
// it comes. Audio that breaks off leaves the response open for the next attempt.
func (r *response) speak(ctx context.Context, segments <-chan *media.Segment) error {
	rate, err := r.speaker.rate(ctx, r.voice)
	if err != nil {
		return err
	}
	start := &media.Audio_Start{
		Place:      session.Place(r.in.Place),
		Response:   uint32(r.in.Response),
		SampleRate: uint32(rate),
		BargeIn:    r.in.BargeIn,
		MinWords:   uint32(r.in.MinWords),
		Listening:  listening(r.in.Listening),
		Voice:      r.voice.name,
		Language:   r.in.Language,
		Gesture:    r.in.Gesture,
		Screen:     screen(r.in.Screen),
		After:      uint32(r.in.After),
	}
	if r.in.Heard != nil {
		start.FromMs = uint32(r.in.Heard.PlayedMs)
	}
	if err := r.send(ctx, &media.Audio{Part: &media.Audio_Start_{Start: start}}); err != nil {
		return err
	}
	var from uint32
	select {
	case from = <-r.from:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for complete := false; !complete; {
		select {
		case segment, more := <-segments:
			if !more {
				complete = true
				break
			}
			if err := r.segment(ctx, segment, rate, from); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := r.send(ctx, &media.Audio{Part: &media.Audio_End{End: true}}); err != nil {
		return err
	}
	return session.Err(ctx, "play the response", r.play.CloseSend())
}

// mayMake waits until segment index is at most Ahead of the one that plays.
func (r *response) mayMake(ctx context.Context, index uint32) error {
	for index > r.heard.value()+Ahead {
		select {
		case <-r.played:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// listen follows the playback to its end.
func (r *response) listen(ctx context.Context) (*media.Playback_Ended, error) {
	for {
		p, err := r.play.Recv()
		if errors.Is(err, io.EOF) {
			return nil, activities.Retryable(activities.KindAway, errors.New("play the response: the gateway ended the stream before the playback's end"))
		}
		if err != nil {
			return nil, session.Err(ctx, "play the response", err)
		}
		switch part := p.GetPart().(type) {
		case *media.Playback_Ready_:
			select {
			case r.from <- part.Ready.GetFromSegment():
			default: // said twice; the first one counts
			}
			r.hear(part.Ready.GetFromSegment())
		case *media.Playback_Progress_:
			r.hear(part.Progress.GetSegmentsPlayed())
		case *media.Playback_Ended_:
			return part.Ended, nil
		}
	}
}

// hear notes how many segments were played, which makes room for the next.
func (r *response) hear(segments uint32) {
	r.heard.raise(segments)
	select {
	case r.played <- struct{}{}:
	default: // a token is waiting already
	}
}

// send writes to the playback. When the gateway has ended the stream, listen
// knows why; this waits until it has said so.
func (r *response) send(ctx context.Context, a *media.Audio) error {
	err := r.play.Send(a)
	if errors.Is(err, io.EOF) {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return session.Err(ctx, "play the response", err)
}

func listening(l *activities.Listening) *media.Listening {
	if l == nil {
		return nil
	}
	return &media.Listening{
		Buttons: buttons(l.Buttons), EndSilenceMs: uint32(l.EndSilenceMs), MaxUtteranceMs: uint32(l.MaxUtteranceMs),
		Endpointing: l.Endpointing, MaxSilenceMs: uint32(l.MaxSilenceMs), PauseMs: uint32(l.PauseMs),
	}
}

func screen(c *activities.Screen) *media.Screen {
	if c == nil {
		return nil
	}
	return &media.Screen{
		Title: c.Title, Text: c.Text, Picture: c.Picture, Map: c.Map, Mark: c.Mark, Alt: c.Alt, Buttons: buttons(c.Buttons),
	}
}

func buttons(list []activities.Button) []*media.Button {
	var m []*media.Button
	for _, b := range list {
		m = append(m, &media.Button{Value: b.Value, Label: b.Label})
	}
	return m
}
