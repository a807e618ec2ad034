package grammar

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DateForm and TimeForm are how values of the types date and time are written.
const (
	DateForm = time.DateOnly
	TimeForm = "15:04"
)

// A calendar is what a language says of days.
type calendar struct {
	relative map[string]int // days from today, of one word: "tomorrow"
	phrases  []dayPhrase    // and of several: "the day after tomorrow"; longest first
	weekdays map[string]int // time.Weekday
	months   map[string]int // 1 to 12
	ordinals map[string]int // 1 to 31: "third", "dritten"
	endings  map[string]bool
	partings map[string]bool // what a weekday is written together with
	// units of "in two weeks": 1, 7, and -1 for months.
	units    map[string]int
	in       [][]word // before the span
	later    [][]word // after it
	one      map[string]bool
	next     map[string]bool // before or after a weekday, adding nothing: the next one is meant anyway
	skip     map[string]bool // adding a week: "übernächsten"
	skipped  [][]word        // the same after it: "after next"
	nextWeek [][]word
	the      map[string]bool // before a day of the month that stands alone
	of       map[string]bool // between day and month
	through  map[string]bool // between the two days of a span
	monthDay bool            // 05/03 is the third of May
}

type dayPhrase struct {
	words []word
	days  int
}

func dayPhrases(days map[string]int) []dayPhrase {
	var out []dayPhrase
	for s, n := range days {
		out = append(out, dayPhrase{unknown.split(s), n})
	}
	slices.SortFunc(out, func(a, b dayPhrase) int {
		if n := len(b.words) - len(a.words); n != 0 {
			return n
		}
		return slices.CompareFunc(a.words, b.words, func(x, y word) int { return strings.Compare(x.text, y.text) })
	})
	return out
}

// Dates finds every day that is named, as "2026-11-23". A weekday is the next one
// after now's day, a date without a year the next one to come, and a later day of
// a sentence comes after the one before it ("from Monday to Wednesday").
func (w Words) Dates(now time.Time) []Found {
	if w.lang.days.weekdays == nil && w.lang != unknown {
		return nil
	}
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
	before := today
	var out []Found
	for i := 0; i < len(w.list); {
		d := w.date(i, today)
		if d.used == 0 {
			i++
			continue
		}
		if d.floats && d.day.Before(before) {
			d = w.date(i, before)
		}
		f := Found{From: i, To: i + d.used, Weak: d.weak}
		if !d.wrong {
			f.Value = d.day.Format(DateForm)
			before = d.day
		}
		out = append(out, f)
		i += d.used
	}
	return out
}

// A dayRead is a day that was read at a word.
type dayRead struct {
	day    time.Time
	used   int
	weak   bool
	floats bool // another year or week would do as well
	wrong  bool // there is no such day
}

func (w Words) date(i int, today time.Time) dayRead {
	c := w.lang.days
	if d := w.writtenDate(i, today); d.used > 0 {
		return d
	}
	for _, p := range c.phrases {
		if w.begins(i, p.words) {
			return dayRead{day: today.AddDate(0, 0, p.days), used: len(p.words)}
		}
	}
	if n, ok := c.relative[w.word(i)]; ok {
		return dayRead{day: today.AddDate(0, 0, n), used: 1}
	}
	if d := w.span(i, today); d.used > 0 {
		return d
	}
	if d := w.weekday(i, today); d.used > 0 {
		return d
	}
	d := w.monthDay(i, today)
	if name, ok := w.stem(i+d.used, c.weekdays); ok && d.used > 0 { // "4 Ekim Pazartesi"
		d.used++
		d.wrong = d.wrong || int(d.day.Weekday()) != name
	}
	return d
}

// writtenDate reads "2026-11-23", "3.5.", "3.5.2026" and "05/03".
func (w Words) writtenDate(i int, today time.Time) dayRead {
	s := w.word(i)
	if s == "" || !isDigit(s[0]) {
		return dayRead{}
	}
	parts := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("./-", r) })
	var n []int
	for _, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil || len(p) > 4 {
			return dayRead{}
		}
		n = append(n, v)
	}
	used := 1
	dotted := strings.Contains(s, ".")
	switch {
	case len(n) == 3 && len(parts[0]) == 4:
		return exactDay(n[0], n[1], n[2], used)
	case len(n) == 2 && dotted && !w.list[i].stop && plainDigits(w.word(i+1)) && len(w.word(i+1)) == 4:
		// "3.5. 2026": split has left the year a word of its own
	case len(n) == 2 && dotted && !w.list[i].stop && len(w.list) > 1:
		return dayRead{} // 3.5 is a number, or a time
	case len(n) < 2 || len(n) > 3 || strings.Contains(s, "-") && len(n) == 2:
		return dayRead{}
	}
	day, month := n[0], n[1]
	if !dotted && w.monthFirst() && month <= 31 && day <= 12 || month > 12 {
		day, month = month, day
	}
	if len(n) == 2 {
		if year, took := w.year(i + 1); took > 0 && dotted {
			return exactDay(year, month, day, used+took)
		}
		return nextDay(month, day, used, today)
	}
	if len(parts[2]) <= 2 {
		n[2] += 2000
	}
	return exactDay(n[2], month, day, used)
}

// monthFirst reports whether 05/03 is the third of May: American English, which
// is what English without a region is.
func (w Words) monthFirst() bool {
	region, _ := w.tag.Region()
	return w.lang.days.monthDay && region.String() == "US"
}

func exactDay(year, month, day, used int) dayRead {
	d := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if d.Day() != day || int(d.Month()) != month || d.Year() != year || year < 1000 {
		return dayRead{}
	}
	return dayRead{day: d, used: used}
}

// nextDay is the next day of that name to come; today counts. The 29th of
// February may be years away.
func nextDay(month, day, used int, today time.Time) dayRead {
	for year := today.Year(); year <= today.Year()+8; year++ {
		if d := exactDay(year, month, day, used); d.used > 0 && !d.day.Before(today) {
			d.floats = true
			return d
		}
	}
	return dayRead{used: used, wrong: true}
}

// span reads "in two weeks" and "two weeks from now".
func (w Words) span(i int, today time.Time) dayRead {
	c := w.lang.days
	at := i + w.anyAt(i, c.in)
	n, took := 0, 0
	if c.one[w.word(at)] {
		n, took = 1, 1
	} else if f := w.simple(at); f.used > 0 && f.n == math.Trunc(f.n) && f.n >= 0 && f.n < 1000 {
		n, took = int(f.n), f.used
	}
	if took == 0 {
		return dayRead{}
	}
	unit, ok := c.units[w.word(at+took)]
	if !ok {
		return dayRead{}
	}
	end := at + took + 1
	if at == i { // no "in" before it: something must come after it
		after := w.anyAt(end, c.later)
		if after == 0 {
			return dayRead{}
		}
		end += after
	}
	if w.lang == french && unit == 1 { // counted with the day itself: a week, a fortnight
		switch n {
		case 8:
			n = 7
		case 15:
			n = 14
		}
	}
	day := today.AddDate(0, 0, n*unit)
	if unit < 0 {
		day = addMonths(today, n)
	}
	return dayRead{day: day, used: end - i}
}

// addMonths ends with the month where it has no such day.
func addMonths(d time.Time, n int) time.Time {
	first := time.Date(d.Year(), d.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(d.Day(), last)-1)
}

// weekday reads "next Monday", "Monday next week", and swallows a date that
// follows it.
func (w Words) weekday(i int, today time.Time) dayRead {
	c := w.lang.days
	at, extra := i, 0
	week := w.anyAt(at, c.nextWeek)
	at += week
	for c.next[w.word(at)] || c.skip[w.word(at)] {
		if c.skip[w.word(at)] {
			extra = 7
		}
		at++
	}
	name, ok := w.stem(at, c.weekdays)
	if !ok {
		if week > 0 && at == i+week {
			return dayRead{day: today.AddDate(0, 0, 7), used: week, weak: true}
		}
		return dayRead{}
	}
	at++
	for c.endings[w.word(at)] { // "cuma günü"
		at++
	}
	if after := at; week == 0 && extra == 0 {
		for w.lang.particles[w.word(after)] {
			after++
		}
		if d := w.monthDay(after, today); d.used > 0 && (!d.weak || after < len(w.list)) {
			d.used += after - i
			d.weak = false
			d.wrong = d.wrong || int(d.day.Weekday()) != name
			return d
		}
		if d := w.writtenDate(after, today); d.used > 0 {
			d.used += after - i
			d.wrong = d.wrong || int(d.day.Weekday()) != name
			return d
		}
	}
	if week == 0 {
		week = w.anyAt(at, c.nextWeek)
		at += week
	}
	if week > 0 {
		monday := today.AddDate(0, 0, 7-(int(today.Weekday())+6)%7)
		return dayRead{day: monday.AddDate(0, 0, (name+6)%7), used: at - i}
	}
	if n := w.anyAt(at, c.skipped); n > 0 {
		extra = 7
		at += n
	}
	for c.next[w.word(at)] { // "lundi prochain"
		at++
	}
	ahead := (name - int(today.Weekday()) + 7) % 7
	if ahead == 0 {
		ahead = 7
	}
	return dayRead{day: today.AddDate(0, 0, ahead+extra), used: at - i, floats: true}
}

// stem finds a word that may carry an ending of the language: "mayısta".
func (w Words) stem(i int, names map[string]int) (int, bool) {
	s := w.word(i)
	if n, ok := names[s]; ok {
		return n, true
	}
	for cut := len(s) - 1; cut >= 3 && cut >= len(s)-4; cut-- {
		if n, ok := names[s[:cut]]; ok && w.lang.days.endings[s[cut:]] {
			return n, true
		}
	}
	return 0, false
}

// monthDay reads "the third of May", "May 3rd", "3. Mai 2026", "le premier mai",
// and "the third" alone.
func (w Words) monthDay(i int, today time.Time) dayRead {
	c := w.lang.days
	at := i
	the := false
	for c.the[w.word(at)] {
		the = true
		at++
	}
	if month, ok := w.stem(at, c.months); ok { // "May the third", "May 3", "mayısın üçü"
		after := at + 1
		for c.the[w.word(after)] {
			after++
		}
		if day, took, _ := w.dayOfMonth(after); took > 0 {
			return w.withYear(i, after+took, month, day, today)
		}
		return dayRead{}
	}
	day, took, ordinal := w.dayOfMonth(at)
	if took == 0 {
		return dayRead{}
	}
	at += took
	after := at
	for c.of[w.word(after)] {
		after++
	}
	if month, ok := w.stem(after, c.months); ok {
		return w.withYear(i, after+1, month, day, today)
	}
	if ordinal && w.lang == german { // "am dritten fünften"
		if month, took, ok := w.dayOfMonth(at); ok && took > 0 && month <= 12 && (the || plainDigits(w.word(at))) {
			return w.withYear(i, at+took, month, day, today)
		}
	}
	if month, ok := w.monthOfSpan(at); ok {
		return nextDay(month, day, at-i, today)
	}
	if !the && !ordinal {
		return dayRead{}
	}
	for ahead := range 12 {
		d := time.Date(today.Year(), today.Month()+time.Month(ahead), day, 0, 0, 0, 0, time.UTC)
		if d.Day() == day && !d.Before(today) {
			return dayRead{day: d, used: at - i, weak: !the || !ordinal, floats: true}
		}
	}
	return dayRead{}
}

// monthOfSpan is the month that a later day names: "from the third to the fifth
// of May".
func (w Words) monthOfSpan(at int) (int, bool) {
	c := w.lang.days
	from := at
	for c.through[w.word(at)] || at > from && c.the[w.word(at)] {
		at++
	}
	_, took, _ := w.dayOfMonth(at)
	if at == from || took == 0 {
		return 0, false
	}
	for at += took; c.of[w.word(at)]; at++ {
	}
	return w.stem(at, c.months)
}

// dayOfMonth reads 1 to 31; ordinal says that it can be nothing but a place in
// an order.
func (w Words) dayOfMonth(i int) (n, used int, ordinal bool) {
	s := w.word(i)
	if s == "" {
		return 0, 0, false
	}
	if plainDigits(s) {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 31 || len(s) > 2 {
			return 0, 0, false
		}
		if o, ok := w.lang.days.ordinals[w.word(i+1)]; ok && o == 0 { // "3rd", "1er"
			return n, 2, true
		}
		return n, 1, w.list[i].stop && w.lang != english && i+1 < len(w.list)
	}
	if n, ok := w.lang.days.ordinals[s]; ok && n > 0 {
		return n, 1, true
	}
	if tens, ok := w.lang.numbers[s]; ok && (tens == 20 || tens == 30 || tens == 10 && w.lang == turkish) { // "twenty third"
		at := i + 1
		if slices.Contains(w.lang.and, w.word(at)) {
			at++
		}
		if unit, ok := w.lang.days.ordinals[w.word(at)]; ok && unit > 0 && unit < 10 && tens+unit <= 31 {
			return tens + unit, at + 1 - i, true
		}
	}
	if n, ok := w.germanOrdinal(s); ok {
		return n, 1, true
	}
	n, used, article := w.whole(i)
	if used == 0 || article && w.lang != turkish || n < 1 || n > 31 {
		return 0, 0, false
	}
	return n, used, false
}

// germanOrdinal reads "dreiundzwanzigsten": a number with "ten" or "sten".
func (w Words) germanOrdinal(s string) (int, bool) {
	if w.lang != german {
		return 0, false
	}
	for _, ending := range []string{"sten", "ste", "ster", "ten", "te", "ter"} {
		stem, ok := strings.CutSuffix(s, ending)
		if !ok {
			continue
		}
		p := numberParser{lang: w.lang, parts: w.lang.morphemes(stem)}
		if n, ok := p.number(); ok && len(p.parts) > 0 && p.at == len(p.parts) && n > 0 && n <= 31 {
			return n, true
		}
	}
	return 0, false
}

// withYear reads the year after a day and a month.
func (w Words) withYear(from, at, month, day int, today time.Time) dayRead {
	if year, took := w.year(at); took > 0 {
		d := exactDay(year, month, day, at+took-from)
		return dayRead{day: d.day, used: at + took - from, wrong: d.used == 0}
	}
	return nextDay(month, day, at-from, today)
}

// year reads 1900 to 2199 in digits or words: "twenty twenty-six".
func (w Words) year(i int) (year, used int) {
	s := w.word(i)
	if plainDigits(s) {
		n, err := strconv.Atoi(s)
		if err == nil && len(s) == 4 && n >= 1900 && n < 2200 {
			return n, 1
		}
		return 0, 0
	}
	n, used, _ := w.whole(i)
	if n >= 1900 && n < 2200 {
		return n, used
	}
	if n == 19 || n == 20 || n == 21 {
		if rest, took, _ := w.whole(i + used); took > 0 && rest >= 10 && rest < 100 {
			return n*100 + rest, used + took
		}
	}
	return 0, 0
}
