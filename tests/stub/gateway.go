package stub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/praesenz/parley/media"
)

// GatewayConfig is how a Gateway behaves.
type GatewayConfig struct {
	Token string // that a worker must present; empty: none
	// Sounds is what Hear gives, as it comes; a Sound with End ends it. When the
	// channel is closed before, the stream ends without one.
	Sounds <-chan *media.Sound
	// From is Play's first answer: the segment to go on with.
	From uint32
	// Played is received from before each segment counts as played; nil: a
	// segment is played as soon as it is complete.
	Played <-chan struct{}
	// Endless: a response plays on until it is cut.
	Endless bool
	// InterruptAfter bytes of audio the customer speaks over the response; 0: never.
	InterruptAfter int
	// Timeline is what Perform gives; then it goes on until Leave.
	Timeline []*media.Timeline
	// Fail makes a method ("Hear", "Write", …) fail with this status at once.
	Fail map[string]codes.Code
	// FailFirst is how many calls of each such method fail; 0: all.
	FailFirst int
}

// A Gateway is a media plane that is not one: it keeps what activities send, in
// one session, for a test to look at.
type Gateway struct {
	media.UnimplementedMediaServer
	Address string // host:port

	config GatewayConfig
	server *grpc.Server

	mu       sync.Mutex
	failed   map[string]int
	changed  chan struct{} // closed and replaced at each change
	text     string
	complete bool
	writes   []*media.Text
	read     *media.ReadRequest // the last one
	cut      bool               // by the customer
	taken    bool               // back, by the conversation
	heard    []*media.HearRequest
	verdict  *media.Verdict
	gone     bool
	captions []*media.Transcript
	start    *media.Audio_Start
	spoken   []Spoken
	first    *media.Cues
	cues     []Performed
}

// Performed is a cue, and the response it is for.
type Performed struct {
	Response uint32
	*media.Cue
}

// Spoken is the audio of one segment.
type Spoken struct {
	Index    uint32
	Text     string
	Bytes    int
	Phonemes int
	Complete bool
	HeardMs  int // in an earlier stay
}

// StartGateway serves until Close.
func StartGateway(c GatewayConfig) (*Gateway, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the stub gateway: %w", err)
	}
	g := &Gateway{Address: l.Addr().String(), config: c, changed: make(chan struct{}), failed: map[string]int{}}
	g.server = grpc.NewServer(
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if err := g.admit(ss.Context(), info.FullMethod); err != nil {
				return err
			}
			return handler(srv, ss)
		}),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if err := g.admit(ctx, info.FullMethod); err != nil {
				return nil, err
			}
			return handler(ctx, req)
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: media.KeepaliveInterval / 2}),
	)
	media.RegisterMediaServer(g.server, g)
	go g.server.Serve(l) //nolint:errcheck // it returns when Close stops it
	return g, nil
}

// Close ends the gateway and every stream.
func (g *Gateway) Close() { g.server.Stop() }

func (g *Gateway) admit(ctx context.Context, method string) error {
	if g.config.Token != "" {
		md, _ := metadata.FromIncomingContext(ctx)
		if got := md.Get("authorization"); len(got) != 1 || got[0] != "Bearer "+g.config.Token {
			return status.Error(codes.Unauthenticated, "wrong token")
		}
	}
	name := method[strings.LastIndex(method, "/")+1:]
	if code := g.config.Fail[name]; code != codes.OK && g.fails(name) {
		return status.Error(code, "the stub fails "+name)
	}
	return nil
}

// fails counts the calls of a method that fails.
func (g *Gateway) fails(method string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failed[method]++
	return g.config.FailFirst == 0 || g.failed[method] <= g.config.FailFirst
}

// update changes the state and wakes who waits for it.
func (g *Gateway) update(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
	close(g.changed)
	g.changed = make(chan struct{})
}

// Wait returns when holds does, or ctx has ended. holds sees a quiet state.
func (g *Gateway) Wait(ctx context.Context, holds func() bool) error {
	for {
		g.mu.Lock()
		ok, changed := holds(), g.changed
		g.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Interrupt ends the response, as a customer does who speaks over it.
func (g *Gateway) Interrupt() { g.update(func() { g.cut = true }) }

// Leave ends the kiosk's session.
func (g *Gateway) Leave() { g.update(func() { g.gone = true }) }

// Preset is text that an earlier attempt has written.
func (g *Gateway) Preset(text string, complete bool) {
	g.update(func() { g.text, g.complete = text, complete })
}

// Text is what was written, and whether it is complete.
func (g *Gateway) Text() (text string, complete bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text, g.complete
}

// HasText reports, inside Wait, whether any text has come.
func (g *Gateway) HasText() bool { return g.text != "" }

// SpokenSegments counts, inside Wait, the segments whose audio is complete.
func (g *Gateway) SpokenSegments() int {
	n := 0
	for _, s := range g.spoken {
		if s.Complete {
			n++
		}
	}
	return n
}

// Performed tells, inside Wait, whether a cue of a response has come.
func (g *Gateway) Performed(response uint32) bool {
	return slices.ContainsFunc(g.cues, func(p Performed) bool { return p.Response == response })
}

// Writes are the messages of all Write streams, the first of each with its place.
func (g *Gateway) Writes() []*media.Text {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*media.Text(nil), g.writes...)
}

// LastRead is the request of the last Read.
func (g *Gateway) LastRead() *media.ReadRequest {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.read
}

// TakenBack tells whether the conversation has cut the response.
func (g *Gateway) TakenBack() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.taken
}

// Captions are the transcripts that were shown.
func (g *Gateway) Captions() []*media.Transcript {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*media.Transcript(nil), g.captions...)
}

// Spoken is the audio that has come, and how it was announced.
func (g *Gateway) Spoken() (*media.Audio_Start, []Spoken) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.start, append([]Spoken(nil), g.spoken...)
}

// Cues are what Perform got, and its first message.
func (g *Gateway) Cues() (*media.Cues, []Performed) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.first, append([]Performed(nil), g.cues...)
}

// Hear implements the media plane.
func (g *Gateway) Hear(req *media.HearRequest, s grpc.ServerStreamingServer[media.Sound]) error {
	g.update(func() { g.heard = append(g.heard, req) })
	for {
		select {
		case sound, ok := <-g.config.Sounds:
			if !ok {
				return nil
			}
			if err := s.Send(sound); err != nil || sound.GetEnd() {
				return err
			}
		case <-s.Context().Done():
			return s.Context().Err()
		}
	}
}

// Transcribed implements the media plane.
func (g *Gateway) Transcribed(_ context.Context, t *media.Transcript) (*media.Verdict, error) {
	g.update(func() { g.captions = append(g.captions, t) })
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.verdict == nil {
		return &media.Verdict{}, nil
	}
	return g.verdict, nil
}

// Judge sets what Transcribed answers.
func (g *Gateway) Judge(v *media.Verdict) { g.update(func() { g.verdict = v }) }

// Heard gives what was asked to be heard.
func (g *Gateway) Heard() []*media.HearRequest {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.heard)
}

// Write implements the media plane.
func (g *Gateway) Write(s grpc.ClientStreamingServer[media.Text, media.Done]) error {
	got := make(chan error, 1)
	go func() {
		for {
			t, err := s.Recv()
			if err != nil {
				got <- err
				return
			}
			g.update(func() {
				g.writes = append(g.writes, t)
				if t.GetPlace() != nil {
					g.text = g.text[:min(int(t.GetKeep()), len(g.text))]
					g.complete = false
				}
				g.text += t.GetDelta()
				g.complete = g.complete || t.GetComplete()
			})
		}
	}()
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	cut := make(chan struct{})
	go func() {
		if g.Wait(ctx, func() bool { return g.cut }) == nil {
			close(cut)
		}
	}()
	select {
	case err := <-got:
		if errors.Is(err, io.EOF) {
			return s.SendAndClose(&media.Done{})
		}
		return err
	case <-cut:
		return status.Error(codes.Aborted, "the response was cut")
	}
}

// Read implements the media plane. A segment ends with a full stop, a question
// or an exclamation mark before a blank.
func (g *Gateway) Read(r *media.ReadRequest, s grpc.ServerStreamingServer[media.Segment]) error {
	g.update(func() { g.read = r })
	for next := int(r.GetFrom()); ; next++ {
		var segments []string
		var complete bool
		err := g.Wait(s.Context(), func() bool {
			segments, complete = split(g.text, g.complete), g.complete
			return len(segments) > next || complete
		})
		if err != nil {
			return err
		}
		if next >= len(segments) {
			return nil
		}
		if err := s.Send(&media.Segment{Index: uint32(next), Text: segments[next]}); err != nil {
			return err
		}
	}
}

func split(text string, complete bool) []string {
	var segments []string
	start := 0
	for i := 0; i+1 < len(text); i++ {
		if strings.ContainsRune(".?!", rune(text[i])) && text[i+1] == ' ' {
			segments = append(segments, strings.TrimSpace(text[start:i+1]))
			start = i + 1
		}
	}
	if rest := strings.TrimSpace(text[start:]); complete && rest != "" {
		segments = append(segments, rest)
	}
	return segments
}

// Cut implements the media plane.
func (g *Gateway) Cut(context.Context, *media.CutRequest) (*media.Done, error) {
	g.update(func() { g.taken = true })
	return &media.Done{}, nil
}

// Play implements the media plane.
func (g *Gateway) Play(s grpc.BidiStreamingServer[media.Audio, media.Playback]) error {
	var bytes, finished int
	var rate uint32
	interrupted := false
	ended := func() error {
		g.mu.Lock()
		var texts []string
		for _, sp := range g.spoken {
			texts = append(texts, sp.Text)
		}
		g.mu.Unlock()
		text := strings.Join(texts, " ")
		ms := uint32(0)
		if rate > 0 {
			ms = uint32(bytes) * 1000 / (rate * 2)
		}
		e := &media.Playback_Ended{PlayedMs: ms, TotalMs: ms, Text: text, Heard: text, Interrupted: interrupted}
		if interrupted {
			e.Heard = strings.Join(strings.Fields(text)[:1], " ")
		}
		return s.Send(&media.Playback{Part: &media.Playback_Ended_{Ended: e}})
	}
	type message struct {
		*media.Audio
		err error
	}
	in := make(chan message)
	go func() {
		for {
			a, err := s.Recv()
			select {
			case in <- message{a, err}:
			case <-s.Context().Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	taken := make(chan struct{})
	go func() {
		if g.Wait(s.Context(), func() bool { return g.taken }) == nil {
			close(taken)
		}
	}()
	complete := false
	for {
		var a message
		select {
		case a = <-in:
		case <-taken:
			interrupted = true
			return ended()
		}
		if errors.Is(a.err, io.EOF) && complete {
			in = nil
			continue
		}
		if a.err != nil {
			return a.err
		}
		switch part := a.GetPart().(type) {
		case *media.Audio_Start_:
			rate = part.Start.GetSampleRate()
			g.update(func() { g.start = part.Start })
			ready := &media.Playback_Ready{FromSegment: g.config.From}
			finished = int(g.config.From)
			if err := s.Send(&media.Playback{Part: &media.Playback_Ready_{Ready: ready}}); err != nil {
				return err
			}
		case *media.Audio_Segment:
			g.update(func() {
				g.spoken = append(g.spoken, Spoken{
					Index: part.Segment.GetIndex(), Text: part.Segment.GetText(), Phonemes: len(part.Segment.GetPhonemes()),
					HeardMs: int(part.Segment.GetHeardMs()),
				})
			})
		case *media.Audio_Pcm:
			if len(part.Pcm)%2 != 0 {
				return status.Error(codes.InvalidArgument, "half a sample")
			}
			bytes += len(part.Pcm)
			g.update(func() { g.spoken[len(g.spoken)-1].Bytes += len(part.Pcm) })
			if g.config.InterruptAfter > 0 && bytes >= g.config.InterruptAfter {
				interrupted = true
				return ended()
			}
		case *media.Audio_SegmentEnd:
			g.update(func() { g.spoken[len(g.spoken)-1].Complete = true })
			finished++
			n := finished
			if g.config.Played != nil {
				// Playback goes on while audio comes; this goroutine ends with the stream.
				go func() {
					select {
					case <-g.config.Played:
						s.Send(progress(n)) //nolint:errcheck // the stream may be over
					case <-s.Context().Done():
					}
				}()
				continue
			}
			if err := s.Send(progress(n)); err != nil {
				return err
			}
		case *media.Audio_End:
			if g.config.Endless {
				complete = true
				continue
			}
			return ended()
		}
	}
}

func progress(segments int) *media.Playback {
	return &media.Playback{Part: &media.Playback_Progress_{Progress: &media.Playback_Progress{SegmentsPlayed: uint32(segments)}}}
}

// Perform implements the media plane.
func (g *Gateway) Perform(s grpc.BidiStreamingServer[media.Cues, media.Timeline]) error {
	first, err := s.Recv()
	if err != nil {
		return err
	}
	g.update(func() { g.first = first })
	for _, t := range g.config.Timeline {
		if err := s.Send(t); err != nil {
			return err
		}
	}
	go func() { // ends with the stream
		for {
			c, err := s.Recv()
			if err != nil {
				return
			}
			g.update(func() {
				for _, cue := range c.GetCues() {
					g.cues = append(g.cues, Performed{Response: c.GetResponse(), Cue: cue})
				}
			})
		}
	}()
	return g.Wait(s.Context(), func() bool { return g.gone })
}

// Tone is ms of a loud 16 kHz tone, as Hear gives it.
func Tone(ms int) []byte { return tone(16000, ms) }

// Deadline is how long a test waits for something that should happen at once.
const Deadline = 10 * time.Second
