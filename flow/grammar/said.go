package grammar

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/currency"
	"golang.org/x/text/language"
)

// said is how a kiosk says values.
type said struct {
	dot, at, dash, under, plus string
	weekdays, months           []string
	currency                   string // where the tag has no region
}

func names(list string) []string { return strings.Fields(list) }

// Say writes a value as one says it in a language, so that a speech engine can
// read it aloud and Words understand it again. The kind is a slot's `normalise`
// (e164, digits, code, email) or its type (bool, int, number, amount, date,
// time); a value of another kind, or of a form that its kind does not have, is
// written as it is.
//
// An amount names the currency of the tag's region ("en-GB": pounds); without
// one German, French and English say euros and Turkish says lira.
func Say(tag, kind string, value any) string {
	w := Hear(tag, "")
	l := w.lang
	switch v := value.(type) {
	case nil:
		return ""
	case bool:
		if v {
			return l.yes[0]
		}
		return l.no[0]
	case string:
		return w.sayString(kind, v)
	case int:
		return w.sayNumber(kind, float64(v))
	case int64:
		return w.sayNumber(kind, float64(v))
	case float64:
		return w.sayNumber(kind, v)
	}
	return fmt.Sprint(value)
}

func (w Words) sayNumber(kind string, n float64) string {
	if kind == "amount" {
		return w.sayAmount(n)
	}
	return w.decimal(strconv.FormatFloat(n, 'f', -1, 64))
}

func (w Words) decimal(s string) string {
	if w.lang.comma {
		return strings.Replace(s, ".", ",", 1)
	}
	return s
}

// coins are how a currency is said: one, several.
var coins = map[string]map[string][2]string{
	"EUR": {"en": {"euro", "euros"}, "de": {"Euro", "Euro"}, "fr": {"euro", "euros"}, "tr": {"euro", "euro"}},
	"USD": {"en": {"dollar", "dollars"}, "de": {"Dollar", "Dollar"}, "fr": {"dollar", "dollars"}, "tr": {"dolar", "dolar"}},
	"GBP": {"en": {"pound", "pounds"}, "de": {"Pfund", "Pfund"}, "fr": {"livre", "livres"}, "tr": {"sterlin", "sterlin"}},
	"CHF": {"en": {"franc", "francs"}, "de": {"Franken", "Franken"}, "fr": {"franc", "francs"}, "tr": {"frank", "frank"}},
	"TRY": {"en": {"lira", "lira"}, "de": {"Lira", "Lira"}, "fr": {"lire", "lires"}, "tr": {"lira", "lira"}},
}

func (w Words) sayAmount(n float64) string {
	base, _ := w.tag.Base()
	code := w.lang.said.currency
	if region, sure := w.tag.Region(); sure == language.Exact {
		if unit, ok := currency.FromRegion(region); ok {
			code = unit.String()
		}
	}
	name, ok := coins[code][base.String()]
	hundredths := int64(math.Round(math.Abs(n) * 100))
	if !ok || n < 0 {
		return w.decimal(strconv.FormatFloat(n, 'f', 2, 64))
	}
	whole, rest := hundredths/100, hundredths%100
	unit := name[1]
	if whole == 1 {
		unit = name[0]
	}
	switch {
	case rest == 0:
		return fmt.Sprintf("%d %s", whole, unit)
	case rest < 10: // "12 euros 5" would be heard as fifty
		return w.decimal(fmt.Sprintf("%d.%02d %s", whole, rest, unit))
	}
	return fmt.Sprintf("%d %s %d", whole, unit, rest)
}

func (w Words) sayString(kind, v string) string {
	switch kind {
	case "date":
		if d, err := time.Parse(DateForm, v); err == nil && w.lang.said.months != nil {
			return w.sayDate(d)
		}
	case "time":
		if t, err := time.Parse(TimeForm, v); err == nil {
			return w.sayTime(t.Hour(), t.Minute())
		}
	case E164:
		if rest, ok := strings.CutPrefix(v, "+"); ok {
			return w.lang.said.plus + " " + groups(rest, 3)
		}
		return groups(v, 3)
	case Digits:
		return groups(v, 3)
	case Code:
		return groups(v, 4)
	case Email:
		return w.sayEmail(v)
	}
	return v
}

func (w Words) sayDate(d time.Time) string {
	s := w.lang.said
	weekday, month := s.weekdays[d.Weekday()], s.months[d.Month()-1]
	switch w.lang {
	case english:
		if w.monthFirst() {
			return fmt.Sprintf("%s, %s %d", weekday, month, d.Day())
		}
		return fmt.Sprintf("%s, %d %s", weekday, d.Day(), month)
	case german:
		return fmt.Sprintf("%s, %d. %s", weekday, d.Day(), month)
	case turkish:
		return fmt.Sprintf("%d %s %s", d.Day(), month, weekday)
	}
	day := strconv.Itoa(d.Day())
	if d.Day() == 1 {
		day = "1er"
	}
	return fmt.Sprintf("%s %s %s", weekday, day, month)
}

// sayTime leaves no doubt about the half of the day, as "half past three" would.
func (w Words) sayTime(h, m int) string {
	switch w.lang {
	case english:
		half := "am"
		if h >= 12 {
			half = "pm"
		}
		switch {
		case m > 0:
			return fmt.Sprintf("%d:%02d %s", (h+11)%12+1, m, half)
		case h == 0:
			return "midnight"
		case h == 12:
			return "noon"
		}
		return fmt.Sprintf("%d %s", (h+11)%12+1, half)
	case german:
		return hoursMinutes(h, m, "Uhr") + early(h, "morgens")
	case french:
		switch {
		case h == 0 && m == 0:
			return "minuit"
		case h == 12 && m == 0:
			return "midi"
		case h < 2:
			return hoursMinutes(h, m, "heure") + early(h, "du matin")
		}
		return hoursMinutes(h, m, "heures") + early(h, "du matin")
	case turkish:
		if m == 0 && h != 0 {
			return fmt.Sprintf("saat %d", h) + early(h, "sabah")
		}
	}
	return fmt.Sprintf("%02d:%02d", h, m)
}

// early says that an hour is one of the morning where nobody would think so.
func early(h int, morning string) string {
	if h > 0 && h < shopOpens {
		return " " + morning
	}
	return ""
}

func hoursMinutes(h, m int, word string) string {
	if m == 0 {
		return fmt.Sprintf("%d %s", h, word)
	}
	return fmt.Sprintf("%d %s %d", h, word, m)
}

// groups says one sign after the other, with a pause after every few.
func groups(s string, size int) string {
	var b strings.Builder
	n := utf8.RuneCountInString(s)
	i := 0
	for _, r := range s {
		switch {
		case i == 0:
		case i%size == 0 && n-i > 1: // no sign is left alone at the end
			b.WriteString(", ")
		default:
			b.WriteByte(' ')
		}
		b.WriteRune(r)
		i++
	}
	return b.String()
}

func (w Words) sayEmail(v string) string {
	s := w.lang.said
	if s.at == "" {
		return v
	}
	signs := map[rune]string{'.': s.dot, '@': s.at, '-': s.dash, '_': s.under, '+': s.plus}
	var b strings.Builder
	for _, r := range v {
		if word, ok := signs[r]; ok {
			b.WriteString(" " + word + " ")
			continue
		}
		b.WriteRune(r)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// Yes and No are the ways to say so in a language, the first as a kiosk says it.
func Yes(tag string) []string { return slices.Clone(Hear(tag, "").lang.yes) }

// No is the counterpart of Yes.
func No(tag string) []string { return slices.Clone(Hear(tag, "").lang.no) }

// Capital writes a phrase with a capital letter, as a button shows it.
func Capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// Vocabulary are the words that an answer of a kind is made of, for a recogniser:
// yes and no, the words of numbers, weekdays and months, the letters' names.
func Vocabulary(tag, kind string) []string {
	l := Hear(tag, "").lang
	switch kind {
	case "bool":
		return slices.Concat(l.yes, l.no)
	case "date":
		return slices.Concat(l.said.weekdays, l.said.months)
	case "int", "number", "amount", "time", E164, Digits:
		return l.numberWords
	}
	return nil
}
