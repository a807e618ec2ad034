package grammar

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// A Found is one value that Words hold.
type Found struct {
	Value    any // int64, float64 or a string; nil: one that cannot be, like 31 February
	Other    any // of a time: its reading in the other half of the day, if it could be that
	From, To int // the words that tell it
	// Weak: it is a value only where nothing but this is said, as "three" is an
	// answer to "when?" but no time in "a table for three".
	Weak bool
}

// maxNumberWords is how many words a whole number below a million can have:
// "neuf cent quatre-vingt-dix-neuf mille neuf cent quatre-vingt-dix-neuf".
const maxNumberWords = 13

// whole reads a whole number from 0 to 999,999 in words at i. A number that is
// an article at the same time ("ein", "bir") is none of its own.
func (w Words) whole(i int) (n, used int, article bool) {
	first := w.word(i)
	if first == "" || isDigit(first[0]) || !w.lang.startsNumber(first) {
		return 0, 0, false
	}
	limit := min(len(w.list)-i, maxNumberWords)
	for k := range limit {
		// A number goes on only with words of numbers.
		if len(w.lang.morphemes(w.word(i+k))) == 0 {
			limit = k
			break
		}
	}
	for used := limit; used > 0; used-- {
		var parts []string
		for k := range used {
			parts = append(parts, w.lang.morphemes(w.word(i+k))...)
		}
		p := numberParser{lang: w.lang, parts: parts}
		if n, ok := p.number(); ok && p.at == len(parts) {
			return n, used, used == 1 && w.lang.articles[first]
		}
	}
	return 0, 0, false
}

func (l *lang) startsNumber(s string) bool {
	return len(l.morphemes(s)) > 0 && !slices.Contains(l.and, s)
}

// maxNumberLetters is the length of the longest number that is written as one
// word, 999,999 in German, with some to spare.
const maxNumberLetters = 64

// morphemes are the parts of a word of a number: "zweihundert" is "zwei" and
// "hundert". Of another word there are none.
func (l *lang) morphemes(s string) []string {
	if l.isMorpheme(s) {
		return []string{s}
	}
	if !l.compounds || len(s) > maxNumberLetters {
		return nil
	}
	starts := false
	for end := len(s) - 1; end > 0 && !starts; end-- {
		starts = l.isMorpheme(s[:end])
	}
	if !starts {
		return nil
	}
	// length[i] is that of the longest part at i after which the rest can be read:
	// "siebzehn" is tried before "sieb".
	length := make([]int, len(s)+1)
	for i := len(s) - 1; i >= 0; i-- {
		for end := len(s); end > i; end-- {
			if (end == len(s) || length[end] > 0) && l.isMorpheme(s[i:end]) {
				length[i] = end - i
				break
			}
		}
	}
	if length[0] == 0 {
		return nil
	}
	var parts []string
	for i := 0; i < len(s); i += length[i] {
		parts = append(parts, s[i:i+length[i]])
	}
	return parts
}

func (l *lang) isMorpheme(s string) bool {
	if _, ok := l.numbers[s]; ok {
		return true
	}
	return l.articles[s] || slices.Contains(l.hundred, s) || slices.Contains(l.thousand, s) || slices.Contains(l.and, s)
}

// A numberParser reads a number's parts by recursive descent.
type numberParser struct {
	lang  *lang
	parts []string
	at    int
}

func (p *numberParser) next(words []string) bool {
	if p.at < len(p.parts) && slices.Contains(words, p.parts[p.at]) {
		p.at++
		return true
	}
	return false
}

// value is the next part when it lies between two numbers.
func (p *numberParser) value(from, to int) (int, bool) {
	if p.at >= len(p.parts) {
		return 0, false
	}
	s := p.parts[p.at]
	n, ok := p.lang.numbers[s]
	if !ok && p.lang.articles[s] {
		n, ok = 1, true
	}
	if !ok || n < from || n > to {
		return 0, false
	}
	p.at++
	return n, true
}

// number is below a million.
func (p *numberParser) number() (int, bool) { return p.by(p.lang.thousand, 1000, p.belowThousand) }

func (p *numberParser) belowThousand() (int, bool) { return p.by(p.lang.hundred, 100, p.belowHundred) }

// by reads "[n] hundred [and] [m]", or only m.
func (p *numberParser) by(unit []string, factor int, below func() (int, bool)) (int, bool) {
	n, ok := below()
	if !ok {
		n = 1
	}
	if n == 0 || !p.next(unit) {
		return n, ok
	}
	n *= factor
	before := p.at
	p.next(p.lang.and)
	rest, ok := below()
	if !ok || rest == 0 {
		p.at = before
		return n, true
	}
	return n + rest, true
}

func (p *numberParser) belowHundred() (int, bool) {
	if p.lang.scores {
		return p.frenchBelowHundred()
	}
	before := p.at
	if p.lang.ofNumber != "" {
		if unit, ok := p.value(1, 9); ok {
			if p.next([]string{p.lang.ofNumber}) {
				if ten, ok := p.value(20, 90); ok {
					return ten + unit, true
				}
			}
			p.at = before
		}
		return p.value(0, 99)
	}
	if ten, ok := p.value(10, 90); ok {
		if ten < 20 && ten != 10 || ten == 10 && !p.lang.compounds {
			return ten, true
		}
		if unit, ok := p.value(1, 9); ok {
			return ten + unit, true
		}
		return ten, true
	}
	return p.value(0, 19)
}

// frenchBelowHundred counts in scores: soixante-dix, quatre-vingts.
func (p *numberParser) frenchBelowHundred() (int, bool) {
	n, ok := p.value(0, 99)
	if !ok {
		return 0, false
	}
	most := 9
	switch {
	case n == 4 && p.at < len(p.parts) && strings.HasPrefix(p.parts[p.at], "vingt"):
		p.at++
		n, most = 80, 19
	case n == 60:
		most = 19
	case n == 10: // dix-sept
		if unit, ok := p.value(7, 9); ok {
			return n + unit, true
		}
		return n, true
	case n < 20:
		return n, true
	}
	before := p.at
	et := p.next(p.lang.and)
	rest, ok := p.value(1, most)
	switch {
	case !ok || et && rest != 1 && rest != 11:
		p.at = before
		return n, true
	case rest == 10:
		if unit, ok := p.value(7, 9); ok {
			rest += unit
		}
	}
	return n + rest, true
}

// numeral reads the digits of one word: "1.000,50" in German.
func (l *lang) numeral(s string) (float64, bool) {
	if s == "" || !isDigit(s[0]) || strings.ContainsAny(s, ":/-") {
		return 0, false
	}
	decimal, group := ".", ","
	if l.comma {
		decimal, group = ",", "."
	}
	switch points, commas := strings.Count(s, decimal), strings.Count(s, group); {
	case points > 0 && commas > 0 && strings.LastIndex(s, decimal) < strings.LastIndex(s, group):
		decimal, group = group, decimal // 1,000.50 in Germany
	case points == 0 && commas == 1 && !grouped(s, group):
		decimal, group = group, decimal
	}
	if strings.Count(s, decimal) > 1 || strings.Contains(s, group) && !grouped(strings.Split(s, decimal)[0], group) {
		return 0, false
	}
	s = strings.ReplaceAll(s, group, "")
	n, err := strconv.ParseFloat(strings.Replace(s, decimal, ".", 1), 64)
	return n, err == nil
}

// grouped reports whether digits stand in groups of three.
func grouped(s, sep string) bool {
	groups := strings.Split(s, sep)
	for i, g := range groups {
		if i > 0 && len(g) != 3 || i == 0 && (len(g) == 0 || len(g) > 3 || g[0] == '0') {
			return false
		}
	}
	return true
}

// A figure is a number as it was said.
type figure struct {
	n       float64
	used    int
	article bool // it may be an article: "ein", "une", "bir"
	digit   bool // a single digit and nothing else
}

// figure reads any number at i: digits or words, with decimals and halves.
func (w Words) figure(i int) figure {
	if s := w.word(i); s == "-" || slices.Contains(w.lang.minus, s) {
		f := w.figure(i + 1)
		if f.used > 0 && !f.article {
			return figure{n: -f.n, used: f.used + 1}
		}
		return figure{}
	}
	if n, ok := w.lang.portions[w.word(i)]; ok {
		return figure{n: n, used: 1}
	}
	if n, ok := w.lang.portions[w.word(i+1)]; ok && w.lang.articles[w.word(i)] { // "a dozen"
		return figure{n: n, used: 2}
	}
	f := w.simple(i)
	if f.used == 0 {
		return f
	}
	if slices.Contains(w.lang.point, w.word(i+f.used)) && f.n == math.Trunc(f.n) {
		if digits, used := w.decimals(i + f.used + 1); used > 0 {
			n, err := strconv.ParseFloat(strconv.Itoa(int(f.n))+"."+digits, 64)
			if err == nil {
				return figure{n: n, used: f.used + 1 + used}
			}
		}
	}
	at := i + f.used
	for _, skip := range [][]string{nil, w.lang.and, {"and", "a"}} {
		k := at
		for _, s := range skip {
			if w.word(k) == s {
				k++
			}
		}
		if half, ok := w.lang.halves[w.word(k)]; ok && f.n == math.Trunc(f.n) {
			return figure{n: f.n + half, used: k + 1 - i}
		}
	}
	return f
}

// simple is a number without decimals in words.
func (w Words) simple(i int) figure {
	s := w.word(i)
	if s == "" {
		return figure{}
	}
	if isDigit(s[0]) {
		n, ok := w.lang.numeral(s)
		if !ok {
			return figure{}
		}
		used := 1
		for len(s) <= 3 && n == math.Trunc(n) && w.lang.comma && len(w.word(i+used)) == 3 && plainDigits(w.word(i+used)) && s[0] != '0' && used < 2 {
			rest, _ := strconv.Atoi(w.word(i + used)) // "12 000"
			n = n*1000 + float64(rest)
			used++
		}
		if slices.Contains(w.lang.thousand, w.word(i+used)) {
			return figure{n: n * 1000, used: used + 1}
		}
		return figure{n: n, used: used, digit: used == 1 && len(s) == 1}
	}
	n, used, article := w.whole(i)
	if used == 0 && w.lang.compounds { // "zweieinhalb"
		for suffix, half := range w.lang.halves {
			if stem, ok := strings.CutSuffix(s, suffix); ok && stem != "" {
				p := numberParser{lang: w.lang, parts: w.lang.morphemes(stem)}
				if n, ok := p.number(); ok && len(p.parts) > 0 && p.at == len(p.parts) {
					return figure{n: float64(n) + half, used: 1}
				}
			}
		}
	}
	return figure{n: float64(n), used: used, article: article, digit: used == 1 && n < 10}
}

// decimals reads what follows the point: digits one by one, or a number.
func (w Words) decimals(i int) (string, int) {
	digits, used := "", 0
	for {
		f := w.simple(i + used)
		if f.used == 0 || f.n != math.Trunc(f.n) || f.n < 0 {
			break
		}
		if !f.digit && used > 0 {
			break
		}
		digits += strconv.Itoa(int(f.n))
		used += f.used
		if !f.digit {
			break
		}
	}
	return digits, used
}

func plainDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// Numbers finds every number, as float64. Single digits one after the other are
// one number ("one five one" is 151), but for two that follow each other: "two
// three" is a guess.
func (w Words) Numbers() []Found {
	var out []Found
	for i := 0; i < len(w.list); {
		f := w.figure(i)
		if f.used == 0 {
			i++
			continue
		}
		to := i + f.used
		if f.digit {
			run, last := strconv.Itoa(int(f.n)), int(f.n)
			for len(run) < 15 {
				next := w.figure(to)
				if !next.digit {
					break
				}
				last = int(next.n)
				run += strconv.Itoa(last)
				to += next.used
			}
			if len(run) == 2 && last == int(f.n)+1 {
				out = append(out, Found{Value: f.n, From: i, To: i + 1})
				i++
				continue
			}
			if len(run) > 1 {
				f.n, _ = strconv.ParseFloat(run, 64)
				f.article = false
			}
		}
		weak := f.article && !w.lang.counted[w.word(to)] // "une nuit" is one night
		out = append(out, Found{Value: f.n, From: i, To: to, Weak: weak})
		i = to
	}
	return out
}

// Amounts finds every sum of money, as float64 in the currency's unit: "twelve
// fifty", "12,50 €", "zwölf Euro fünfzig", "fifty cents". A bare number is one
// that is Weak.
func (w Words) Amounts() []Found {
	var out []Found
	for i := 0; i < len(w.list); {
		n, to, sure := w.amount(i)
		if to == i {
			i++
			continue
		}
		out = append(out, Found{Value: math.Round(n*100) / 100, From: i, To: to, Weak: !sure})
		i = to
	}
	return out
}

func (w Words) amount(i int) (n float64, to int, sure bool) {
	at := i
	if w.lang.money[w.word(at)] && len(w.word(at)) <= 3 { // "€ 12"
		at++
		sure = true
	}
	f := w.figure(at)
	if f.used == 0 || f.n < 0 {
		return 0, i, false
	}
	at += f.used
	if w.lang.cents[w.word(at)] {
		return f.n / 100, at + 1, true
	}
	n = f.n
	if w.lang.money[w.word(at)] {
		at++
		sure = true
	}
	if n != math.Trunc(n) {
		return n, at, sure
	}
	next := at
	if sure && slices.Contains(w.lang.and, w.word(next)) {
		next++
	}
	cents := w.simple(next)
	if used := w.oh(next); used > 0 { // "twelve oh five"
		cents = w.simple(next + used)
		cents.used += used
	} else if cents.n < 10 && !w.lang.cents[w.word(next+cents.used)] {
		return n, at, sure
	}
	if cents.used == 0 || cents.article || cents.n >= 100 || cents.n != math.Trunc(cents.n) || cents.n == 0 {
		return n, at, sure
	}
	to = next + cents.used
	if w.lang.cents[w.word(to)] {
		return n + cents.n/100, to + 1, true
	}
	return n + cents.n/100, to, sure
}

// oh is the length of a zero at i.
func (w Words) oh(i int) int {
	if s := w.word(i); s == "0" || s == "oh" || s == "o" || s != "" && w.lang.numbers[s] == 0 && w.lang.isZero(s) {
		return 1
	}
	return 0
}

func (l *lang) isZero(s string) bool {
	n, ok := l.numbers[s]
	return ok && n == 0
}
