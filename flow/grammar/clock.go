package grammar

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Shop hours: of "half past three" the reading within them is meant.
const (
	shopOpens  = 7  // o'clock
	shopCloses = 21 // the last hour in which somebody would come
)

// A clock is what a language says of times of day.
type clock struct {
	at      map[string]bool // before a time: "at", "um", "saat"
	oclock  map[string]bool // after an hour
	minutes map[string]bool // the word "minutes"
	am, pm  [][]word        // parts of the day, and after an hour
	noon    [][]word
	night   [][]word // midnight
	quarter map[string]bool
	half    map[string]bool // half past, or half to in German
	// past and to stand between the minutes and the hour; French says "moins dix"
	// after the hour, and Turkish says which after both.
	past, to map[string]bool
	hours    map[string]int // forms of the hours that only clocks have: "üçte"
	order    clockOrder
	spans    map[string]int // of "in an hour", in minutes
}

type clockOrder int

const (
	minutesFirst clockOrder = iota // ten past three
	hourFirst                      // trois heures dix, trois heures moins dix
	hourFirstTo                    // üçü on geçe, üçe on kala
)

// A moment is a time that was read at a word.
type moment struct {
	minute int // of the day
	used   int
	weak   bool
	sure   bool // the half of the day is known
}

// Times finds every time of day, as "15:30". Of a time that could be in either
// half of the day, the one that its sentence names ("in the evening") is taken,
// else the next one to come within the hours that shops keep, 7 to 21.
func (w Words) Times(now time.Time) []Found {
	part := w.partOfDay()
	var out []Found
	for i := 0; i < len(w.list); {
		m := w.moment(i, now)
		if m.used == 0 {
			i++
			continue
		}
		minute, other := m.minute, -1
		if !m.sure {
			minute = meant12(minute, part, now)
			if part == anyPart && m.minute < 13*60 {
				other = (minute + 12*60) % (24 * 60)
			}
		}
		to := i + m.used
		for to < len(w.list) && w.lang != turkish { // "in the evening" belongs to it
			n := max(w.anyAt(to, w.lang.clock.am), w.anyAt(to, w.lang.clock.pm))
			if n == 0 {
				break
			}
			to += n
		}
		f := Found{Value: timeOfDay(minute), From: i, To: to, Weak: m.weak}
		if other >= 0 {
			f.Other = timeOfDay(other)
		}
		out = append(out, f)
		i = to
	}
	return out
}

func timeOfDay(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60%24, minute%60) }

// Parts of the day.
const (
	anyPart = iota
	morning
	afternoon
)

// partOfDay is the half of the day that the words name anywhere.
func (w Words) partOfDay() int {
	c := w.lang.clock
	found := anyPart
	for i := 0; i < len(w.list); {
		am, pm := w.anyAt(i, c.am), w.anyAt(i, c.pm)
		if c.past[w.word(i)] && i > 0 { // "on geçe", folded, is no "gece"
			if _, took := w.minute(i - 1); took == 1 {
				pm = 0
			}
		}
		switch {
		case am == 0 && pm == 0:
			i++
			continue
		case found != anyPart:
			return anyPart // both: each time has to say it itself
		case am > pm:
			found = morning
		default:
			found = afternoon
		}
		i += max(am, pm)
	}
	return found
}

// meant12 chooses between the two times of day that a clock face shows.
func meant12(minute, part int, now time.Time) int {
	hour := minute / 60
	switch {
	case hour > 12 || hour == 0:
		return minute
	case part == morning:
		return minute % (12 * 60)
	case part == afternoon:
		return minute%(12*60) + 12*60
	case hour == 12:
		return minute
	}
	early, late := minute, minute+12*60
	open := func(m int) bool { return m >= shopOpens*60 && m < (shopCloses+1)*60 }
	switch {
	case !open(late):
		return early
	case !open(early):
		return late
	case !now.IsZero() && now.Hour()*60+now.Minute() > early && now.Hour()*60+now.Minute() <= late:
		return late
	}
	return early
}

func (w Words) moment(i int, now time.Time) moment {
	c := w.lang.clock
	at := i
	marked := false
	for c.at[w.word(at)] {
		marked = true
		at++
	}
	if m := w.fromNow(i, now); m.used > 0 {
		return m
	}
	m := w.onTheClock(at, marked)
	if m.used == 0 {
		return m
	}
	if marked {
		m.weak = false
	}
	m.used += at - i
	end := i + m.used
	if w.lang == turkish { // "gece iki" is a time, "iki gece" are two nights
		return m
	}
	if n := w.anyAt(end, w.lang.clock.pm); n > 0 && !m.sure && m.minute < 13*60 {
		m.minute, m.sure, m.weak = m.minute%(12*60)+12*60, true, false
		m.used += n
	} else if n := w.anyAt(end, w.lang.clock.am); n > 0 && !m.sure && m.minute < 13*60 {
		m.minute, m.sure, m.weak = m.minute%(12*60), true, false
		m.used += n
	}
	return m
}

// fromNow reads "in an hour" and "in twenty minutes".
func (w Words) fromNow(i int, now time.Time) moment {
	d := w.lang.days
	at := i + w.anyAt(i, d.in)
	minutes, took := 0.0, 0
	half := 1.0
	switch f := w.figure(at); {
	case d.one[w.word(at)] && w.lang.clock.half[w.word(at+1)] && w.lang.clock.spans[w.word(at+2)] > 0:
		minutes, took, half = 1, 2, 0.5 // "einer halben Stunde", "une demi heure"
	case w.lang.clock.half[w.word(at)] && w.lang.clock.spans[w.word(at+1)] > 0:
		minutes, took, half = 1, 1, 0.5
	case w.lang.clock.half[w.word(at)] && d.one[w.word(at+1)] && w.lang.clock.spans[w.word(at+2)] > 0:
		minutes, took, half = 1, 2, 0.5 // "half an hour"
	case d.one[w.word(at)]:
		minutes, took = 1, 1
	case f.used > 0 && f.n >= 0 && f.n < 1000:
		minutes, took = f.n, f.used
	default:
		return moment{}
	}
	unit := w.lang.clock.spans[w.word(at+took)]
	if unit == 0 {
		return moment{}
	}
	end := at + took + 1
	if at == i {
		n := w.anyAt(end, d.later)
		if n == 0 {
			return moment{}
		}
		end += n
	}
	total := now.Hour()*60 + now.Minute() + int(math.Round(minutes*half*float64(unit)))
	return moment{minute: total % (24 * 60), used: end - i, sure: true}
}

func (w Words) onTheClock(i int, marked bool) moment {
	c := w.lang.clock
	if n := w.anyAt(i, c.noon); n > 0 {
		if w.lang.clock.order == hourFirst {
			return w.frenchMinutes(i, i+n, 12*60, true)
		}
		return moment{minute: 12 * 60, used: n, sure: true}
	}
	if n := w.anyAt(i, c.night); n > 0 {
		if w.lang.clock.order == hourFirst {
			return w.frenchMinutes(i, i+n, 0, true)
		}
		return moment{minute: 0, used: n, sure: true}
	}
	if m := w.written(i, marked); m.used > 0 {
		return m
	}
	switch c.order {
	case hourFirst:
		return w.frenchClock(i)
	case hourFirstTo:
		return w.turkishClock(i)
	}
	if m := w.spokenClock(i); m.used > 0 {
		return m
	}
	return w.hourAndMinute(i)
}

// written reads "15:30", and "15.30" where a time is expected.
func (w Words) written(i int, marked bool) moment {
	s := w.word(i)
	h, m, ok := strings.Cut(s, ":")
	if !ok {
		if h, m, ok = strings.Cut(s, "."); ok && !marked && !w.lang.clock.oclock[w.word(i+1)] && len(w.list) > 1 {
			return moment{}
		}
	}
	if !ok || !plainDigits(h) || !plainDigits(m) || len(m) != 2 {
		return moment{}
	}
	hour, err := strconv.Atoi(h)
	minute, err2 := strconv.Atoi(m)
	if err != nil || err2 != nil || hour > 24 || minute > 59 {
		return moment{}
	}
	used := 1
	if w.lang.clock.oclock[w.word(i+1)] {
		used++
	}
	return moment{minute: (hour%24)*60 + minute, used: used, sure: hour > 12 || hour == 0 || h[0] == '0'}
}

// hour reads an hour of the day, 0 to 24.
func (w Words) hour(i int) (h, used int) {
	s := w.word(i)
	if n, ok := w.lang.clock.hours[s]; ok {
		return n, 1
	}
	if w.lang == turkish && s == "on" { // "on birde"
		if n, ok := w.lang.clock.hours[w.word(i+1)]; ok && n < 10 {
			return 10 + n, 2
		}
	}
	n, used := w.small(i)
	if used == 0 || n > 24 {
		return 0, 0
	}
	return n % 24, used
}

// small reads a number from 0 to 99.
func (w Words) small(i int) (n, used int) {
	s := w.word(i)
	if plainDigits(s) && len(s) <= 2 {
		n, _ := strconv.Atoi(s)
		return n, 1
	}
	n, used, _ = w.whole(i)
	if n > 99 {
		return 0, 0
	}
	return n, used
}

// minute reads 1 to 59 minutes, or a quarter.
func (w Words) minute(i int) (m, used int) {
	if w.lang.clock.quarter[w.word(i)] {
		return 15, 1
	}
	m, used = w.small(i)
	if used == 0 || m < 1 || m > 59 {
		return 0, 0
	}
	if w.lang.clock.minutes[w.word(i+used)] {
		used++
	}
	return m, used
}

// spokenClock reads minutes before the hour: "quarter past three", "halb vier",
// "fünf vor halb vier".
func (w Words) spokenClock(i int) moment {
	c := w.lang.clock
	half := func(i int) (minute, used int) {
		if !c.half[w.word(i)] {
			return 0, 0
		}
		at := i + 1
		past := c.past[w.word(at)]
		if past {
			at++
		}
		h, used := w.hour(at)
		if used == 0 || h > 12 {
			return 0, 0
		}
		minute = h*60 + 30
		if w.lang == german {
			minute = (h+11)%12*60 + 30 // half an hour to
			if h == 1 {
				minute = 12*60 + 30
			}
		}
		return minute, at + used - i
	}
	if minute, used := half(i); used > 0 {
		return moment{minute: minute, used: used, weak: w.lang == english && !c.past[w.word(i+1)]}
	}
	if w.lang == german {
		if m := w.germanQuarters(i); m.used > 0 {
			return m
		}
	}
	at := i
	if w.word(at) == "a" { // "a quarter past"
		at++
	}
	m, took := w.minute(at)
	if took == 0 {
		return moment{}
	}
	at += took
	sign := 0
	switch s := w.word(at); {
	case c.past[s]:
		sign = 1
	case c.to[s]:
		sign = -1
	default:
		return moment{}
	}
	at++
	base, used := half(at)
	if used == 0 {
		h, took := w.hour(at)
		if took == 0 {
			return moment{}
		}
		base, used = h*60, took
		if h == 0 && w.word(at) != "0" {
			base = 0
		}
	}
	at += used
	if c.oclock[w.word(at)] {
		at++
	}
	minute := base + sign*m
	if minute < 60 && sign < 0 && base == 60 {
		minute += 12 * 60 // a quarter to one is past noon
	}
	minute = (minute + 24*60) % (24 * 60)
	return moment{minute: minute, used: at - i, sure: base > 12*60+59}
}

// germanQuarters reads "viertel vier" (3:15) and "drei viertel vier" (3:45), as
// the south and east say it.
func (w Words) germanQuarters(i int) moment {
	c := w.lang.clock
	at, minutes := i, 0
	switch {
	case w.word(at) == "dreiviertel":
		at, minutes = at+1, 45
	case w.word(at) == "drei" && w.word(at+1) == "viertel":
		at, minutes = at+2, 45
	case w.word(at) == "viertel" && !c.past[w.word(at+1)] && !c.to[w.word(at+1)]:
		at, minutes = at+1, 15
	default:
		return moment{}
	}
	h, used := w.hour(at)
	if used == 0 || h < 1 || h > 12 {
		return moment{}
	}
	if h--; h == 0 {
		h = 12
	}
	return moment{minute: h*60 + minutes, used: at + used - i}
}

// hourAndMinute reads "three o'clock", "15 Uhr 30", "three thirty", "three oh
// five", and "three" alone.
func (w Words) hourAndMinute(i int) moment {
	c := w.lang.clock
	h, used := w.hour(i)
	if used == 0 {
		return moment{}
	}
	at := i + used
	sure := h > 12 || h == 0
	if c.oclock[w.word(at)] {
		at++
		if slices.Contains(w.lang.and, w.word(at)) && w.lang == german {
			if m, took := w.minute(at + 1); took > 0 {
				return moment{minute: h*60 + m, used: at + 1 + took - i, sure: sure}
			}
		}
		if m, took := w.small(at); took > 0 && m < 60 && !w.startsDate(at) {
			at += took
			return moment{minute: h*60 + m, used: at - i, sure: sure}
		}
		return moment{minute: h * 60, used: at - i, sure: sure}
	}
	if w.anyAt(at, c.pm) > 0 || w.anyAt(at, c.am) > 0 {
		return moment{minute: h * 60, used: at - i, sure: sure}
	}
	if w.lang == english {
		if w.oh(at) > 0 {
			if m, took := w.small(at + 1); took > 0 && m > 0 && m < 10 {
				return moment{minute: h*60 + m, used: at + 1 + took - i, sure: sure}
			}
		}
		if m, took := w.small(at); took > 0 && m >= 10 && m < 60 && h > 0 {
			return moment{minute: h*60 + m, used: at + took - i, sure: sure}
		}
	}
	return moment{minute: h * 60, used: at - i, weak: true, sure: sure}
}

// startsDate reports whether the number at i is the day of a date that follows a
// time: the 3 of "15 Uhr 3. Mai" are no minutes.
func (w Words) startsDate(i int) bool {
	_, took, ordinal := w.dayOfMonth(i)
	if took == 0 {
		return false
	}
	_, month := w.stem(i+took, w.lang.days.months)
	return ordinal || month
}

// frenchClock reads "trois heures et demie", "quinze heures trente", "15h30".
func (w Words) frenchClock(i int) moment {
	h, used := w.hour(i)
	if used == 0 {
		return moment{}
	}
	at := i + used
	if !w.lang.clock.oclock[w.word(at)] {
		return moment{minute: h * 60, used: at - i, weak: true, sure: h > 12 || h == 0}
	}
	return w.frenchMinutes(i, at+1, h*60, h > 12 || h == 0)
}

// frenchMinutes reads what follows the hour.
func (w Words) frenchMinutes(from, at, minute int, sure bool) moment {
	c := w.lang.clock
	done := func(m, at int) moment {
		return moment{minute: (m + 24*60) % (24 * 60), used: at - from, sure: sure}
	}
	next := at
	switch {
	case c.past[w.word(next)] && c.half[w.word(next+1)]: // et demie
		return done(minute+30, next+2)
	case c.past[w.word(next)] && c.quarter[w.word(next+1)]:
		return done(minute+15, next+2)
	case c.to[w.word(next)]: // moins le quart, moins dix
		next++
		if w.word(next) == "le" || w.word(next) == "un" {
			next++
		}
		if m, took := w.minute(next); took > 0 {
			return done(minute-m, next+took)
		}
	default:
		if m, took := w.minute(next); took > 0 && !w.startsDate(next) {
			return done(minute+m, next+took)
		}
	}
	return done(minute, at)
}

// turkishClock reads "üç buçuk", "üçü çeyrek geçiyor", "üçe on kala", "saat üç".
func (w Words) turkishClock(i int) moment {
	c := w.lang.clock
	h, used := w.hour(i)
	if used == 0 {
		return moment{}
	}
	at := i + used
	sure := h > 12 || h == 0
	if w.oh(at) > 0 { // "on yedi sıfır beş"
		if m, took := w.small(at + 1); took > 0 && m < 10 {
			return moment{minute: h*60 + m, used: at + 1 + took - i, weak: true, sure: sure}
		}
	}
	if m, took := w.minute(at); took > 0 {
		switch end := w.word(at + took); {
		case c.past[end]:
			return moment{minute: h*60 + m, used: at + took + 1 - i, sure: sure}
		case c.to[end]:
			return moment{minute: (h*60 - m + 24*60) % (24 * 60), used: at + took + 1 - i, sure: sure}
		case m >= 10 && m != 15 || m == 15 && !c.quarter[w.word(at)]:
			return moment{minute: h*60 + m, used: at + took - i, weak: true, sure: sure}
		}
	}
	if c.half[w.word(at)] {
		return moment{minute: h*60 + 30, used: at + 1 - i, weak: w.word(at) == "bucuk", sure: sure}
	}
	_, form := c.hours[w.word(at-1)]
	return moment{minute: h * 60, used: at - i, weak: !form || strings.HasSuffix(w.word(at-1), "i"), sure: sure}
}
