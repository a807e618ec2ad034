package grammar

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/language"

	"github.com/nyaruka/phonenumbers"
)

// Kinds of strings that are said letter by letter, or digit by digit.
const (
	E164   = "e164"   // "+4915112345678"
	Digits = "digits" // "0123"
	Code   = "code"   // "K17A"
	Email  = "email"  // "anna.b@example.com"
)

// spelled is how a language spells.
type spelled struct {
	plus, at, dot, dash, under map[string]bool
	alphabet                   map[string]int // "berta" → 'b'
	as                         [][]word       // between a letter and its word
	leads                      map[string]bool
	gaps                       map[string]bool // said between two groups
}

// spellers folds a spelling alphabet; each word stands for its first letter.
func spellers(list string) map[string]int {
	out := map[string]int{}
	for s := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ' ' || r == '/' }) {
		folded := unknown.split(s)[0].text
		out[folded] = int(folded[0])
	}
	return out
}

// Spelled reads a string of a kind: what is typed as it is written, and what is
// said one by one. Words around it are left out ("my number is …"); of several
// such strings the longest is taken, of two as long none.
func (w Words) Spelled(kind string) (string, bool) {
	switch kind {
	case E164:
		return w.phone()
	case Digits:
		return w.longest(w.digitAt)
	case Code:
		if len(w.list) == 1 && strings.IndexFunc(w.list[0].text, func(r rune) bool { return !unicode.IsLetter(r) }) < 0 {
			return strings.ToUpper(w.list[0].text), true
		}
		s, ok := w.longest(w.codeAt)
		return s, ok && (len(s) > 1 || w.Core().Len() == 1) // "I" and "a" are words, too
	case Email:
		return w.email()
	}
	return "", false
}

// longest joins what at reads word by word, with gaps between allowed, and
// returns the longest run.
func (w Words) longest(at func(int) (string, int)) (string, bool) {
	best, second := "", ""
	for i := 0; i < len(w.list); {
		var run strings.Builder
		end := i
		for end < len(w.list) {
			s, used := at(end)
			if used == 0 {
				gap := end
				for gap > i && w.lang.spelled.gaps[w.word(gap)] {
					gap++
				}
				if s, used = at(gap); gap == end || used == 0 {
					break
				}
				end = gap
			}
			run.WriteString(s)
			end += used
		}
		if end == i {
			i++
			continue
		}
		if s := run.String(); len(s) > len(best) {
			best, second = s, best
		} else if len(s) > len(second) {
			second = s
		}
		i = end
	}
	return best, best != "" && len(second) < len(best)
}

// digitAt reads digits: a numeral, a number in words ("vingt-trois" is 23), a
// zero, "double five".
func (w Words) digitAt(i int) (string, int) {
	s := w.word(i)
	if s == "" {
		return "", 0
	}
	if isDigit(s[0]) {
		return strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, s), 1
	}
	if n, ok := w.lang.repeats[s]; ok {
		if d, used := w.digitAt(i + 1); len(d) == 1 {
			return strings.Repeat(d, n), used + 1
		}
		return "", 0
	}
	if w.oh(i) > 0 {
		return "0", 1
	}
	n, used, _ := w.whole(i)
	if used == 0 {
		return "", 0
	}
	return strconv.Itoa(n), used
}

// codeAt reads one letter or digit, or a group that is written together.
func (w Words) codeAt(i int) (string, int) {
	s := w.word(i)
	if s == "" {
		return "", 0
	}
	letter := func(r byte) (string, int) { return strings.ToUpper(string(r)), 1 }
	if len(s) == 1 && s[0] >= 'a' && s[0] <= 'z' {
		out, used := letter(s[0])
		if n := w.anyAt(i+1, w.lang.spelled.as); n > 0 && w.word(i+1+n) != "" && w.word(i + 1 + n)[0] == s[0] { // "B wie Berta"
			used += n + 1
			if _, ok := w.lang.spelled.alphabet[w.word(i+n+1)+w.word(i+n+2)]; ok && i+n+2 < len(w.list) { // "x-ray"
				used++
			}
		} else if r, ok := w.lang.spelled.alphabet[w.word(i+1)]; ok && byte(r) == s[0] { // "B Bravo"
			used++
		}
		return out, used
	}
	if w.lang == english && s == "double" && w.word(i+1) == "u" {
		return "W", 2
	}
	if n, ok := w.lang.repeats[s]; ok {
		if c, used := w.codeAt(i + 1); len(c) == 1 {
			return strings.Repeat(c, n), used + 1
		}
		return "", 0
	}
	if r, ok := w.lang.spelled.alphabet[s]; ok {
		return letter(byte(r))
	}
	if d, used := w.digitAt(i); used > 0 && s != "oh" && s != "o" {
		return d, used
	}
	if w.together(i) {
		return strings.ToUpper(s), 1
	}
	return "", 0
}

// together reports whether the word at i is a part of a code as it is written:
// in capitals, or with digits at one side.
func (w Words) together(i int) bool {
	written := w.Text(i, i+1)
	if len(written) <= 5 && strings.ToUpper(written) == written && strings.ToUpper(w.raw) != w.raw {
		return true
	}
	joined := func(a, b int) bool {
		if a < 0 || b >= len(w.list) {
			return false
		}
		between := w.raw[w.list[a].to:max(w.list[a].to, w.list[b].from)]
		return (between == "" || between == "-" || between == "/") && (isDigit(w.list[a].text[0]) || isDigit(w.list[b].text[0]))
	}
	return joined(i-1, i) || joined(i, i+1)
}

// minPhone is the length of the shortest number that a shop would call back, in
// digits with the country code; what is shorter has lost some on the way.
const minPhone = 8

// phone reads a telephone number. One without a country code is read as the
// language's country dials it; English without a region has none.
func (w Words) phone() (string, bool) {
	digits, ok := w.longest(func(i int) (string, int) {
		if s := w.word(i); s == "+" || w.lang.spelled.plus[s] {
			if d, used := w.digitAt(i + 1); used > 0 {
				return "+" + d, used + 1
			}
			return "", 0
		}
		return w.digitAt(i)
	})
	if !ok {
		return "", false
	}
	if rest, ok := strings.CutPrefix(digits, "00"); ok && !strings.HasPrefix(digits, "+") {
		digits = "+" + rest
	}
	// "+49 (0) 151": the zero is for those who dial within the country.
	region := "ZZ"
	if r, sure := w.tag.Region(); sure == language.Exact || w.lang != english && w.lang != unknown {
		region = r.String()
	}
	if !strings.HasPrefix(digits, "+") && region == "ZZ" {
		return "", false
	}
	n, err := phonenumbers.Parse(digits, region)
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return "", false
	}
	number := phonenumbers.Format(n, phonenumbers.E164)
	if len(number) <= minPhone {
		return "", false
	}
	return number, true
}

var emailPattern = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}`)

// email reads an address: typed, or said as "anna dot b at example dot com".
func (w Words) email() (string, bool) {
	if found := emailPattern.FindAllString(w.raw, 2); len(found) > 0 {
		return strings.ToLower(found[0]), len(found) == 1
	}
	core := w.Core()
	sp := w.lang.spelled
	for at := len(core.list) - 2; at > 0; at-- {
		if s := core.word(at); s != "@" && !sp.at[s] {
			continue
		}
		domain := core.From(at + 1).address()
		from := at
		for k := at - 1; k >= 0 && !sp.leads[core.word(k)]; k-- {
			from = k
		}
		name := core.Part(from, at).Core().address()
		if address := name + "@" + domain; emailPattern.FindString(address) == address {
			return address, true
		}
	}
	return "", false
}

// address joins words that are said for the parts of an address.
func (w Words) address() string {
	sp := w.lang.spelled
	var b strings.Builder
	for i := 0; i < len(w.list); i++ {
		s := w.word(i)
		switch {
		case sp.dot[s]:
			b.WriteByte('.')
		case sp.dash[s], s == "-":
			b.WriteByte('-')
		case sp.under[s], s == "_":
			b.WriteByte('_')
		case sp.plus[s], s == "+":
			b.WriteByte('+')
		default:
			if d, used := w.digitAt(i); used > 0 && s != "o" && s != "a" {
				b.WriteString(d)
				i += used - 1
				continue
			}
			b.WriteString(w.latin(i))
		}
		if i+1 < len(w.list) && w.raw[w.list[i].to:max(w.list[i].to, w.list[i+1].from)] == "." {
			b.WriteByte('.')
		}
		if i+1 < len(w.list) && w.raw[w.list[i].to:max(w.list[i].to, w.list[i+1].from)] == "-" {
			b.WriteByte('-')
		}
	}
	return b.String()
}

// latin is a word as an address writes it: "müller" is "mueller" in German.
func (w Words) latin(i int) string {
	if w.lang != german {
		return w.word(i)
	}
	s := strings.ToLower(w.Text(i, i+1))
	s = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss").Replace(s)
	return unknown.split(s)[0].text
}
