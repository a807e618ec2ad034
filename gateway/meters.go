package gateway

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// meters are the gateway's own metrics: the kiosks that it has, and one for every
// bound and what happens at it.
type meters struct {
	sessions            prometheus.Gauge     // kiosks that are connected
	connected           *prometheus.GaugeVec // by store and kiosk: 1, or 0 once it has gone
	overloaded          prometheus.Gauge
	framesIn, framesOut prometheus.Counter
	refused             *prometheus.CounterVec // messages, by reason
	closed              *prometheus.CounterVec // connections, by close code
	controlOverflow     prometheus.Counter
	signalOverflow      prometheus.Counter
	signals             *prometheus.CounterVec // by kind and result
	signalTime          prometheus.Histogram
	playFull            prometheus.Counter
	utterances          *prometheus.CounterVec   // by what ended them
	endpointing         *prometheus.HistogramVec // by mode
	cutOffs             *prometheus.CounterVec   // by mode
	guesses             *prometheus.CounterVec   // by how the turn went on
	holds               *prometheus.CounterVec   // by verdict
	ownVoice            prometheus.Counter
	cuts                *prometheus.CounterVec // by reason
	cutTime             prometheus.Histogram
	resumes             *prometheus.CounterVec
	requests            *prometheus.CounterVec // at the doors for staff and events, by door and status
	listeners           prometheus.Gauge
	listenersDropped    prometheus.Counter
}

func newMeters(reg prometheus.Registerer) (*meters, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_gateway_" + name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_gateway_" + name, Help: help}, labels)
	}
	m := &meters{
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kiosk_active_sessions", Help: "Kiosks that are connected.",
		}),
		connected: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kiosk_connected", Help: "A kiosk's connections: 1, or 0 once it has gone.",
		}, []string{"store", "kiosk"}),
		overloaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "parley_gateway_overloaded", Help: "1 while the gateway is so late that it takes no further kiosks, else 0.",
		}),
		framesIn:        counter("frames_received_total", "Audio frames from kiosks."),
		framesOut:       counter("frames_sent_total", "Audio frames to kiosks."),
		refused:         counters("messages_refused_total", "Messages and frames that were answered with an error.", "reason"),
		closed:          counters("connections_closed_total", "Connections that the gateway closed, by close code.", "code"),
		controlOverflow: counter("control_overflows_total", "Connections closed because the kiosk did not read its messages."),
		signalOverflow:  counter("signal_overflows_total", "Connections closed because too many signals waited for Temporal."),
		signals:         counters("signals_total", "Signals to conversations, by kind and result: accepted, retried, refused, nobody, lost.", "kind", "result"),
		signalTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_gateway_signal_seconds", Help: "From a customer's action to Temporal's acceptance of the signal.",
			Buckets: prometheus.ExponentialBuckets(.001, 2, 14),
		}),
		playFull:   counter("play_full_total", "Times that a response's audio waited because its buffer was full."),
		utterances: counters("utterances_total", "Utterances, by what ended them: silence, kiosk, too_long, gone, continued, ignored.", "end"),
		endpointing: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "parley_gateway_endpointing_seconds", Help: "Silence that ended a turn, by how it was found: fixed, learned, model.",
			Buckets: []float64{.2, .3, .4, .5, .6, .7, .8, 1, 1.2, 1.5, 2, 3},
		}, []string{"endpointing"}),
		cutOffs:  counters("cut_offs_total", "Turns that a silence ended, and that the customer went on with.", "endpointing"),
		guesses:  counters("guesses_total", "Pauses at which an answer was begun: kept when the turn was over, void when the customer went on.", "result"),
		holds:    counters("responses_held_total", "Utterances over what was being said, by verdict: cut, noise, backchannel, few_words, echo, or late when there was none in time.", "verdict"),
		ownVoice: counter("own_voice_total", "Sounds that were the kiosk's own voice in its microphone, and were ignored."),
		cuts:     counters("responses_cut_total", "Responses that were cut, by reason: speech, interrupt, input, void, stalled, abandoned, superseded, cancelled, ended.", "reason"),
		cutTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_gateway_cut_seconds", Help: "From the audio frame or message that cut a response to its clear being written.",
			Buckets: prometheus.ExponentialBuckets(.00005, 2, 14),
		}),
		resumes:  counters("resumes_total", "Sessions taken up again, known here or from elsewhere.", "session"),
		requests: counters("requests_total", "Requests to the doors for staff and for events, by HTTP status.", "door", "code"),
		listeners: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "parley_gateway_staff_listeners", Help: "Open streams of staff events.",
		}),
		listenersDropped: counter("staff_listeners_dropped_total", "Streams of staff events closed because they were not read."),
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.sessions, m.connected, m.overloaded,
		m.framesIn, m.framesOut, m.refused, m.closed, m.controlOverflow, m.signalOverflow, m.signals,
		m.signalTime, m.playFull, m.utterances, m.endpointing, m.cutOffs, m.guesses, m.holds, m.ownVoice, m.cuts, m.cutTime, m.resumes,
		m.requests, m.listeners, m.listenersDropped,
	} {
		errs = append(errs, reg.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return m, nil
}
