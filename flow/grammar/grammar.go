// Package grammar reads what people say and type (yes and no, numbers, amounts,
// dates, times, telephone numbers, e-mail addresses, codes) in English, German,
// French and Turkish, and writes the same values as one says them. It is
// deterministic, asks nobody and imports nothing else of ours.
package grammar

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// Words are what somebody said or typed, word by word, so that two ways of
// writing it are equal: lower case, without accents, punctuation and apostrophes.
// The zero value is silence.
type Words struct {
	lang *lang
	tag  language.Tag
	raw  string
	list []word
}

// A word is one of Words: letters, or a numeral such as "12,50" or "15:30", or a
// sign that means something ("€", "@", "+").
type word struct {
	text     string
	from, to int  // in raw
	stop     bool // a full stop follows at once: "3." is third in German
}

// Hear splits a text in the language of a BCP 47 tag.
func Hear(tag, text string) Words {
	t := language.Make(tag)
	base, _ := t.Base()
	w := Words{lang: langs[base.String()], tag: t, raw: norm.NFC.String(text)}
	if w.lang == nil {
		w.lang = unknown
	}
	w.list = w.lang.split(w.raw)
	return w
}

// Normal is a text as Words compare it: "That's all." is "thats all".
func Normal(tag, text string) string { return Hear(tag, text).String() }

// Known reports whether the grammar knows a language. Of another one it reads
// digits, and nothing that is said in words.
func Known(tag string) bool {
	base, _ := language.Make(tag).Base()
	return langs[base.String()] != nil
}

// Len is the number of words.
func (w Words) Len() int { return len(w.list) }

// String is the words with blanks between them.
func (w Words) String() string { return w.text(0, len(w.list)) }

// Text is what was said from one word up to another, as it was written.
func (w Words) Text(from, to int) string {
	if from >= to {
		return ""
	}
	return w.raw[w.list[from].from:w.list[to-1].to]
}

// From is what was said from a word on, with the punctuation after it.
func (w Words) From(at int) Words {
	w.list = w.list[at:]
	return w
}

// Part is what was said from one word up to another.
func (w Words) Part(from, to int) Words {
	w.list = w.list[from:to]
	return w
}

func (w Words) text(from, to int) string {
	switch to - from {
	case 0:
		return ""
	case 1:
		return w.list[from].text
	}
	var b strings.Builder
	for i, word := range w.list[from:to] {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(word.text)
	}
	return b.String()
}

// word is the text of the word at i, or "" where there is none.
func (w Words) word(i int) string {
	if i < 0 || i >= len(w.list) {
		return ""
	}
	return w.list[i].text
}

// Core is what is left without the fillers at both ends ("please", "I'd like").
// What consists of fillers alone is left as it is.
func (w Words) Core() Words {
	for w.lang != nil {
		n := len(w.list)
		for _, f := range w.lang.fillers {
			if len(f) < len(w.list) && w.begins(0, f) {
				w.list = w.list[len(f):]
			}
			if len(f) < len(w.list) && w.begins(len(w.list)-len(f), f) {
				w.list = w.list[:len(w.list)-len(f)]
			}
		}
		if len(w.list) == n {
			break
		}
	}
	return w
}

// Is reports whether the words mean the same as a phrase, fillers aside.
func (w Words) Is(phrase string) bool {
	p := Words{lang: w.lang, raw: phrase, list: w.lang.split(norm.NFC.String(phrase))}
	return w.same(p) || w.Core().same(p.Core())
}

// Find looks for a phrase as whole words and says where it is; from is -1 when
// it is not there.
func (w Words) Find(phrase string) (from, to int) {
	p := w.lang.split(norm.NFC.String(phrase))
	if len(p) == 0 {
		return -1, -1
	}
	for i := 0; i+len(p) <= len(w.list); i++ {
		if w.begins(i, p) {
			return i, i + len(p)
		}
	}
	return -1, -1
}

func (w Words) same(other Words) bool {
	return len(w.list) == len(other.list) && w.begins(0, other.list)
}

// begins reports whether phrase stands at i.
func (w Words) begins(i int, phrase []word) bool {
	if i < 0 || i+len(phrase) > len(w.list) {
		return false
	}
	for k := range phrase {
		if w.list[i+k].text != phrase[k].text {
			return false
		}
	}
	return true
}

// anyAt is the length of the longest of the phrases that stands at i, or 0.
func (w Words) anyAt(i int, phrases [][]word) int {
	longest := 0
	for _, p := range phrases {
		if len(p) > longest && w.begins(i, p) {
			longest = len(p)
		}
	}
	return longest
}

// marks are the signs that mean something; all others are punctuation.
const marks = "€$£₺@+%_"

// split makes words of a text in normal form C.
func (l *lang) split(s string) []word {
	var out []word
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case unicode.IsDigit(r):
			end := numeral(s, i)
			out = append(out, word{text: s[i:end], from: i, to: end, stop: end < len(s) && s[end] == '.'})
			i = end
		case unicode.IsLetter(r):
			end, text := l.letters(s, i)
			stop := end < len(s) && s[end] == '.'
			for _, part := range l.parts(text) {
				out = append(out, word{text: part, from: i, to: end, stop: stop})
			}
			i = end
			if l.suffixed && isApostrophe(s, i) { // "Kasım'da": the name ends before it
				for i < len(s) {
					r, size := utf8.DecodeRuneInString(s[i:])
					if !unicode.IsLetter(r) && !isApostrophe(s, i) {
						break
					}
					i += size
				}
			}
		case strings.ContainsRune(marks, r):
			out = append(out, word{text: string(r), from: i, to: i + size})
			i += size
		case r == '-' && i+1 < len(s) && isDigit(s[i+1]) && (i == 0 || s[i-1] == ' '):
			out = append(out, word{text: "-", from: i, to: i + 1})
			i++
		case l.suffixed && isApostrophe(s, i) && i > 0 && isDigit(s[i-1]): // "15'te"
			i += size
			for i < len(s) {
				r, size := utf8.DecodeRuneInString(s[i:])
				if !unicode.IsLetter(r) {
					break
				}
				i += size
			}
		default:
			i += size
		}
	}
	return out
}

// numeral is the end of the numeral at i: digits, and signs between two of them.
func numeral(s string, i int) int {
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		inside := strings.ContainsRune(".,:/-", r) && i+1 < len(s) && isDigit(s[i+1])
		if !unicode.IsDigit(r) && !inside {
			break
		}
		i += size
	}
	return i
}

// letters is the end of the word at i and the word, folded. An apostrophe within
// a word is left out of it, except where it ends the name before a suffix.
func (l *lang) letters(s string, i int) (int, string) {
	var b strings.Builder
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		if !l.suffixed && isApostrophe(s, i) && i+size < len(s) {
			if next, _ := utf8.DecodeRuneInString(s[i+size:]); unicode.IsLetter(next) {
				i += size
				continue
			}
		}
		if !unicode.IsLetter(r) && !unicode.IsMark(r) {
			break
		}
		fold(&b, r)
		i += size
	}
	return i, b.String()
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func isApostrophe(s string, i int) bool {
	return i < len(s) && (s[i] == '\'' || strings.HasPrefix(s[i:], "’"))
}

// fold writes a letter in lower case and without accents: people type "fevrier"
// and "uc" on a kiosk's keyboard, and recognisers are no better.
func fold(b *strings.Builder, r rune) {
	if r < utf8.RuneSelf {
		b.WriteRune(unicode.ToLower(r))
		return
	}
	switch r {
	case 'ß', 'ẞ':
		b.WriteString("ss")
		return
	case 'ı', 'İ':
		b.WriteByte('i')
		return
	case 'æ', 'Æ':
		b.WriteString("ae")
		return
	case 'œ', 'Œ':
		b.WriteString("oe")
		return
	case 'ø', 'Ø':
		b.WriteByte('o')
		return
	}
	for _, d := range norm.NFD.String(string(r)) {
		if !unicode.Is(unicode.Mn, d) {
			b.WriteRune(unicode.ToLower(d))
		}
	}
}

// Raw is what was said as it was written, with its punctuation and single blanks.
func (w Words) Raw() string {
	if len(w.list) == 0 {
		return ""
	}
	from, to := w.list[0].from, w.list[len(w.list)-1].to
	spoken := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }
	for from > 0 {
		r, size := utf8.DecodeLastRuneInString(w.raw[:from])
		if spoken(r) {
			break
		}
		from -= size
	}
	for to < len(w.raw) {
		r, size := utf8.DecodeRuneInString(w.raw[to:])
		if spoken(r) {
			break
		}
		to += size
	}
	text := strings.Join(strings.Fields(w.raw[from:to]), " ")
	return strings.TrimRight(strings.TrimLeft(text, ",;:.!? "), ",;: ")
}
