package timing

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// columns is how wide a picture may be.
const columns = 100

// A lane of a picture: what begins and ends a stretch of it, and the marks of
// what takes no time.
type lane struct {
	name       string
	begin, end []string
	marks      map[string]rune
}

var lanes = []lane{
	{laneCustomer, []string{kindSays}, []string{kindDone}, map[string]rune{kindDoes: '*'}},
	{laneGateway, nil, nil, map[string]rune{kindSpeech: 's', kindTurn: 't', kindHeard: 'h', kindInterrupted: '!'}},
	{laneLLM, []string{kindAsked}, []string{kindAnswered, kindAborted}, nil},
	{laneKiosk, []string{kindSpeaking, kindResumed}, []string{kindSilent}, map[string]rune{kindClosed: 'x'}},
	{laneWorkflow, nil, nil, map[string]rune{kindRecorded: 'r', kindCalled: 'c', kindMisheard: 'i'}},
}

func laneOrder(e Event) int {
	return slices.IndexFunc(lanes, func(l lane) bool { return l.name == e.Lane })
}

// Picture is what happened: a lane for each of those who took part, and below it
// every event.
func Picture(events []Event) string {
	var b strings.Builder
	b.WriteString(Lanes(events))
	b.WriteByte('\n')
	for _, e := range ordered(events) {
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("%7s  %-9s %s %s", seconds(e.At), e.Lane, e.Kind, e.Text), " "))
	}
	return b.String()
}

// ordered sorts events. What happens at one moment has no order of its own.
func ordered(events []Event) []Event {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(laneOrder(a), laneOrder(b)), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Text, b.Text))
	})
	return events
}

// Lanes draws a lane for each of those who took part, in seconds from left to
// right.
func Lanes(events []Event) string {
	events = ordered(events)
	last := time.Second
	for _, e := range events {
		last = max(last, e.At)
	}
	step := 50 * time.Millisecond
	for _, s := range []time.Duration{100, 200, 250, 500, 1000, 2000} {
		if last/step > columns {
			step = s * time.Millisecond
		}
	}
	width := int(last/step) + 1
	column := func(at time.Duration) int { return max(0, min(width-1, int(at/step))) }

	var b strings.Builder
	ruler := []rune(strings.Repeat(" ", width+8))
	every := time.Second
	for width > 12 && every/step < 5 {
		every += time.Second
	}
	for at := time.Duration(0); at <= last; at += every {
		copy(ruler[column(at):], []rune("|"+seconds(at)[:strings.Index(seconds(at), ".")]))
	}
	line := func(name string, cells []rune) {
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("%-9s %s", name, string(cells)), " "))
	}
	line("", ruler)
	for _, l := range lanes {
		cells := []rune(strings.Repeat(" ", width))
		since := -1
		for _, e := range events {
			if e.Lane != l.name {
				continue
			}
			at := column(e.At)
			switch {
			case slices.Contains(l.begin, e.Kind):
				since = at
				cells[at] = '█'
			case since >= 0 && slices.Contains(l.end, e.Kind):
				for i := since; i < max(at, since+1); i++ {
					cells[i] = '█'
				}
				since = -1
			case l.marks[e.Kind] != 0:
				for at < width-1 && cells[at] != ' ' { // beside the one of the same moment
					at++
				}
				cells[at] = l.marks[e.Kind]
			}
		}
		for i := since; since >= 0 && i < width; i++ {
			cells[i] = '█'
		}
		line(l.name, cells)
	}
	return b.String()
}
