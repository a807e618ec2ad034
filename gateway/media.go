package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/praesenz/parley/gateway/endpointing"
	"github.com/praesenz/parley/gateway/wire"
	"github.com/praesenz/parley/media"
)

const (
	soundChunk     = 32 << 10 // bytes of one Sound
	maxMediaBytes  = 1 << 20  // of one message from a worker
	progressEvery  = 250 * time.Millisecond
	maxSegmentText = 4096
	maxPhonemes    = maxSegmentText
	// maxStreams is of one worker's connection. A worker that would open more
	// waits; its slots bound it long before.
	maxStreams = 32 << 10
)

// mediaServer is the media plane: workers' calls, each led to the session of
// its place.
type mediaServer struct {
	media.UnimplementedMediaServer
	g *Gateway
}

func newMediaServer(g *Gateway) *grpc.Server {
	srv := grpc.NewServer(
		grpc.MaxRecvMsgSize(maxMediaBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 20 * time.Second, Timeout: 5 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
			if err := g.authorise(ctx); err != nil {
				return nil, err
			}
			return h(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) error {
			if err := g.authorise(s.Context()); err != nil {
				return err
			}
			return h(srv, s)
		}),
	)
	media.RegisterMediaServer(srv, &mediaServer{g: g})
	return srv
}

// authorise lets workers in, which know the shared token.
func (g *Gateway) authorise(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	for _, v := range md.Get("authorization") {
		token, ok := strings.CutPrefix(v, "Bearer ")
		// Sums have one length, so that the comparison tells nothing of the token's.
		got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(g.cfg.MediaToken))
		if ok && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			return nil
		}
	}
	return status.Error(codes.Unauthenticated, "the media token is missing or wrong")
}

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

// received gives what a stream brings, so that its handler can listen to the
// session too. Its goroutine ends with the stream, which is when the handler
// returns.
type received[T any] struct {
	message T
	err     error
}

func receive[T any](ctx context.Context, recv func() (T, error)) <-chan received[T] {
	ch := make(chan received[T])
	go func() {
		for {
			m, err := recv()
			select {
			case ch <- received[T]{m, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return ch
}

// hungUp is the error of a stream whose caller has gone.
func hungUp(s grpc.ServerStream) error { return status.FromContextError(s.Context().Err()).Err() }

// Hear gives an utterance's audio while it is spoken.
func (m *mediaServer) Hear(req *media.HearRequest, stream grpc.ServerStreamingServer[media.Sound]) error {
	s, err := m.g.find(req.Place)
	if err != nil {
		return err
	}
	send := func(pcm []byte) error {
		for len(pcm) > 0 {
			n := min(len(pcm), soundChunk)
			if err := stream.Send(&media.Sound{Pcm: pcm[:n]}); err != nil {
				return err
			}
			pcm = pcm[n:]
		}
		return nil
	}
	for _, pcm := range s.hearBefore(req.Utterance, req.Since) {
		if err := send(pcm); err != nil {
			return err
		}
	}
	for at := 0; ; {
		h, err := s.hearUtterance(req.Utterance, at)
		if err != nil {
			return err
		}
		at += len(h.pcm)
		if err := send(h.pcm); err != nil {
			return err
		}
		if h.ended {
			return stream.Send(&media.Sound{End: true, Dropped: h.dropped, Open: h.open})
		}
		select {
		case <-h.more:
		case <-stream.Context().Done():
			return hungUp(stream)
		}
	}
}

// Transcribed takes what was understood, and tells what it was.
func (m *mediaServer) Transcribed(_ context.Context, t *media.Transcript) (*media.Verdict, error) {
	s, err := m.g.find(t.Place)
	if err != nil {
		return nil, err
	}
	if math.IsNaN(t.Confidence) {
		return nil, invalid("confidence: is not a number")
	}
	if t.Complete != nil { // it tells of the turn, and nothing of the words
		if p := *t.Complete; !(p >= 0 && p <= 1) {
			return nil, invalid("complete: must be 0 to 1, not %g", p)
		}
		s.judge(t.Utterance, *t.Complete)
		return &media.Verdict{}, nil
	}
	return s.understand(t, time.Now()), nil
}

// Write takes a response's text.
func (m *mediaServer) Write(stream grpc.ClientStreamingServer[media.Text, media.Done]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	s, err := m.g.find(first.Place)
	if err != nil {
		return err
	}
	r, cut, err := s.startText(first)
	if err != nil {
		return err
	}
	if err := s.addText(r, first); err != nil {
		return err
	}
	in := receive(stream.Context(), stream.Recv)
	for {
		select {
		case next := <-in:
			if errors.Is(next.err, io.EOF) {
				return stream.SendAndClose(&media.Done{})
			}
			if next.err != nil {
				return next.err
			}
			if err := s.addText(r, next.message); err != nil {
				return err
			}
		case <-cut:
			if cut, err = s.textCut(r); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return hungUp(stream)
		}
	}
}

// startText begins or goes on with a response's text.
func (s *session) startText(first *media.Text) (*response, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unwanted(first.After) {
		return nil, nil, errVoid
	}
	r, err := s.response(first.Response)
	if err != nil {
		return nil, nil, err
	}
	if r.over && !r.written {
		return nil, nil, s.whyCut(r)
	}
	if r.written { // once more, by a second attempt, which Play tells what was heard
		return r, r.bell.heard(), nil
	}
	r.after = first.After
	if len(r.text) > 0 {
		r.rewind(first.Keep)
	} else {
		s.tellText(r, wire.BotLLMStarted{})
	}
	return r, r.bell.heard(), nil
}

// whyCut is why a text is not taken any more: the response was cut, or, when the
// conversation took it back from a kiosk that has gone, is wanted elsewhere.
func (s *session) whyCut(r *response) error {
	if r.withdrawn && s.conn == nil {
		return errKioskOff
	}
	return errCut
}

// textCut tells whether nobody wants the rest of a text.
func (s *session) textCut(r *response) (<-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over != nil:
		return nil, s.over
	case r.over && !r.written:
		return nil, s.whyCut(r)
	case r.over:
		return nil, nil // it was heard to its end
	}
	return r.bell.heard(), nil
}

func (s *session) addText(r *response, t *media.Text) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over != nil:
		return s.over
	case r.over && !r.written:
		return s.whyCut(r)
	case r.written && (t.Delta != "" || t.Complete):
		// A second attempt writes again what was complete already.
		return nil
	case len(r.text)+len(t.Delta) > maxResponseText:
		return status.Errorf(codes.ResourceExhausted, "delta: a response has at most %d bytes of text", maxResponseText)
	}
	changed := r.write(t.Delta)
	if n := len(r.text); n > r.told { // what is written once more is told once
		s.tellText(r, wire.BotLLMText{Text: string(r.text[r.told:])})
		r.told = n
	}
	if t.Complete {
		r.finishText()
		s.tellText(r, wire.BotLLMStopped{})
		changed = true
	}
	if changed {
		r.bell.ring()
	}
	return nil
}

// Read gives a response's text, sentence by sentence.
func (m *mediaServer) Read(req *media.ReadRequest, stream grpc.ServerStreamingServer[media.Segment]) error {
	s, err := m.g.find(req.Place)
	if err != nil {
		return err
	}
	if len(req.Cover) > maxSegmentText {
		return invalid("cover: has %d bytes; send at most %d", len(req.Cover), maxSegmentText)
	}
	cover := cover{phrase: req.Cover, after: time.Duration(req.CoverAfterMs) * time.Millisecond, began: time.Now()}
	late := time.NewTimer(forever)
	defer late.Stop()
	for at := req.From; ; {
		if wait := s.cover(req.Response, &cover, time.Now()); wait > 0 {
			late.Reset(wait)
		}
		texts, complete, more, err := s.readText(req.Response, at)
		if err != nil {
			return err
		}
		for _, text := range texts {
			if err := stream.Send(&media.Segment{Index: at, Text: text}); err != nil {
				return err
			}
			at++
		}
		if complete {
			return nil
		}
		select {
		case <-more:
		case <-late.C:
		case <-stream.Context().Done():
			return hungUp(stream)
		}
	}
}

// A cover is a phrase that is said when a customer has waited too long for the
// first sentence of a text.
type cover struct {
	phrase string // empty: there is none, or it is settled
	after  time.Duration
	began  time.Time
}

// cover says the phrase when it is due, and otherwise how long to wait before
// asking again; 0: it is settled.
func (s *session) cover(number uint32, c *cover, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.responses[number]
	if c.phrase == "" || r != nil && (r.over || c.after > 0 && (r.written || len(r.segments) > 0)) {
		c.phrase = ""
		return 0
	}
	if wait := c.after - s.waited(c.began, now); wait > 0 {
		return wait
	}
	if r, err := s.response(number); err == nil {
		r.cover(c.phrase)
	}
	c.phrase = ""
	return 0
}

// waited is how long a customer has been waiting for what began to be made at a
// time: while they speak, and before they have said all, nobody waits.
func (s *session) waited(began, now time.Time) time.Duration {
	if s.open != nil {
		return 0
	}
	if s.askedAt.After(began) {
		began = s.askedAt
	}
	return now.Sub(began)
}

func (s *session) readText(number, from uint32) (texts []string, complete bool, more <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.response(number)
	if err != nil {
		return nil, false, nil, err
	}
	if r.over && (r.interrupted || !r.written) {
		return nil, false, nil, errCut
	}
	if int(from) < len(r.segments) {
		texts = r.segments[from:]
	}
	return texts, r.written, r.bell.heard(), nil
}

// Play takes a response's audio and tells how much of it was played.
func (m *mediaServer) Play(stream grpc.BidiStreamingServer[media.Audio, media.Playback]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	start := first.GetStart()
	if start == nil {
		return invalid("start: must be the first message")
	}
	if start.SampleRate < 8000 || start.SampleRate > 48000 {
		return invalid("start.sample_rate: must be 8000 to 48000 Hz, not %d", start.SampleRate)
	}
	if !slices.Contains([]string{"speech", "hotword", "none"}, start.BargeIn) {
		return invalid("start.barge_in: must be \"speech\", \"hotword\" or \"none\", not %q", start.BargeIn)
	}
	if mode := start.Listening.GetEndpointing(); !slices.Contains([]endpointing.Mode{"", endpointing.Fixed, endpointing.Learned, endpointing.Model}, endpointing.Mode(mode)) {
		return invalid("start.listening.endpointing: must be \"fixed\", \"learned\" or \"model\", not %q", mode)
	}
	s, err := m.g.find(start.Place)
	if err != nil {
		return err
	}
	p, from, err := s.play(start)
	if err != nil {
		return err
	}
	defer p.stop()
	ready := &media.Playback_Ready{FromSegment: from}
	if err := stream.Send(&media.Playback{Part: &media.Playback_Ready_{Ready: ready}}); err != nil {
		return err
	}

	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	in := receive(stream.Context(), stream.Recv)
	source := in
	var pending *media.Audio // does not fit yet
	for told := (&media.Playback_Progress{}); ; {
		state, err := p.state(time.Now())
		if err != nil {
			return err
		}
		if state.ended != nil {
			return stream.Send(&media.Playback{Part: &media.Playback_Ended_{Ended: state.ended}})
		}
		if p := state.progress; p.PlayedMs > told.PlayedMs || p.SegmentsPlayed > told.SegmentsPlayed {
			told = p
			if err := stream.Send(&media.Playback{Part: &media.Playback_Progress_{Progress: state.progress}}); err != nil {
				return err
			}
		}
		select {
		case next := <-source:
			if errors.Is(next.err, io.EOF) {
				if !p.made() {
					return invalid("the stream was closed before end")
				}
				source = nil
				continue
			}
			if next.err != nil {
				return next.err
			}
			pending = next.message
		case <-state.changed:
		case <-tick.C:
		case <-stream.Context().Done():
			return hungUp(stream)
		}
		if pending != nil {
			fits, err := p.add(pending, time.Now())
			if err != nil {
				return err
			}
			source = in
			if !fits {
				source = nil // gRPC holds the rest back
				continue
			}
			pending = nil
		}
	}
}

// A player is one attempt at making a response's audio.
type player struct {
	s       *session
	r       *response
	attempt int
	waited  bool
}

// play begins or goes on with a response's audio; from is the segment to go on
// with.
func (s *session) play(start *media.Audio_Start) (p *player, from uint32, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unwanted(start.After) {
		return nil, 0, errVoid
	}
	r, err := s.response(start.Response)
	if err != nil {
		return nil, 0, err
	}
	if r.start != nil && r.start.SampleRate != start.SampleRate {
		return nil, 0, invalid("start.sample_rate: is %d, but the response began with %d", start.SampleRate, r.start.SampleRate)
	}
	now := time.Now()
	if r.start == nil {
		r.start, r.after = start, start.After
		r.moved = now
		r.beginAt(r.samples(time.Duration(start.FromMs) * time.Millisecond))
	}
	// The conversation has gone on to this response; one before it that nobody
	// speaks any more would hold it up for ever.
	for _, x := range s.responses {
		if x.number < r.number && x.start != nil && !x.over && !x.playing && !x.made {
			s.cut(x, "abandoned", now)
		}
	}
	r.attempt++
	r.playing = true
	r.bell.ring()
	s.stage.ring()
	return &player{s: s, r: r, attempt: r.attempt}, r.fromSegment(), nil
}

func (p *player) stop() {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.attempt == p.r.attempt {
		p.r.playing = false
		p.r.moved = time.Now() // a second attempt gets its time
	}
}

func (p *player) made() bool {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.r.made
}

type playState struct {
	ended    *media.Playback_Ended
	progress *media.Playback_Progress
	changed  <-chan struct{}
}

func (p *player) state(now time.Time) (playState, error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	r := p.r
	switch {
	case p.s.over != nil && !(r.over && !r.interrupted):
		return playState{}, p.s.over
	case p.attempt != r.attempt:
		return playState{}, errCut // a newer attempt speaks
	case r.void:
		return playState{}, errVoid
	case r.over:
		return playState{ended: &media.Playback_Ended{
			PlayedMs: uint32(r.playedMs), TotalMs: uint32(r.ms(r.total)),
			Interrupted: r.interrupted, Text: r.spoken(), Heard: r.heard,
		}}, nil
	}
	at := r.position(now)
	played := uint32(0)
	for _, x := range r.parts {
		if x.complete && at >= x.first+x.samples {
			played++
		}
	}
	return playState{
		progress: &media.Playback_Progress{PlayedMs: uint32(r.ms(at)), SegmentsPlayed: played},
		changed:  r.bell.heard(),
	}, nil
}

// add takes the next piece of audio and reports whether it fitted.
func (p *player) add(a *media.Audio, now time.Time) (bool, error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	s, r := p.s, p.r
	if r.over || p.attempt != r.attempt {
		return true, nil // state tells
	}
	switch x := a.Part.(type) {
	case *media.Audio_Segment:
		if len(x.Segment.Text) > maxSegmentText {
			return false, invalid("segment.text: has %d bytes; send at most %d", len(x.Segment.Text), maxSegmentText)
		}
		if len(x.Segment.Phonemes) > maxPhonemes {
			return false, invalid("segment.phonemes: are %d; send at most %d", len(x.Segment.Phonemes), maxPhonemes)
		}
		if len(r.parts) >= maxSegments {
			return false, status.Errorf(codes.ResourceExhausted, "segment: a response has at most %d", maxSegments)
		}
		if x.Segment.HeardMs > 0 && len(r.pcm) > 0 {
			return false, invalid("segment.heard_ms: only the first segments of a response can have been heard before")
		}
		if opened := r.open(x.Segment); opened != nil && r.begun {
			s.tell(s.caption(r, opened))
		}
	case *media.Audio_Pcm:
		if len(r.parts) == 0 {
			return false, invalid("pcm: open a segment first")
		}
		if len(x.Pcm)%2 != 0 {
			return false, invalid("pcm: %d bytes are not whole samples", len(x.Pcm))
		}
		if r.made {
			return false, invalid("pcm: the response has ended")
		}
		if r.full(now) {
			if !p.waited {
				p.waited = true
				s.g.meters.playFull.Inc()
			}
			return false, nil
		}
		p.waited = false
		r.add(x.Pcm)
	case *media.Audio_SegmentEnd:
		r.closePart()
	case *media.Audio_End:
		r.closePart()
		r.made = true
	default:
		return false, invalid("part: must be segment, pcm, segment_end or end")
	}
	r.bell.ring()
	s.stage.ring()
	s.wake()
	return true, nil
}

// Cut ends a response that the conversation takes back.
func (m *mediaServer) Cut(_ context.Context, req *media.CutRequest) (*media.Done, error) {
	s, err := m.g.find(req.Place)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.response(req.Response)
	if err != nil {
		return nil, err
	}
	if r.over {
		return &media.Done{}, nil
	}
	heard := s.current == r
	r.withdrawn = true
	s.cut(r, "cancelled", time.Now())
	if heard {
		s.show(s.after(r))
		s.wake() // the clear goes out, and another response may be next
	}
	return &media.Done{}, nil
}
