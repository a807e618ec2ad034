package gateway

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sizes in bytes of text at which a segment may end before its sentence does.
const (
	earlyClause   = 32  // the first segment may end at a comma behind this, to be heard sooner,
	earlyMore     = 12  // if so much follows that the sentence does go on
	longestNormal = 240 // a longer sentence is split at a comma or space
)

// Abbreviations after which a sentence goes on, in lower case, without the last
// full stop. English "a.m." is not here: what follows tells.
var abbreviations = strings.Split("mr,mrs,ms,dr,prof,st,approx,incl,excl,max,min,vs,e.g,i.e,ca,"+
	"z,z.b,z. b,d,d.h,d. h,u,u.a,u. a,bzw,inkl,exkl,ggf,evtl,str,tel,sog,zzgl,p.ex,av,bkz,örn,vb", ",")

// Abbreviations that only a number follows; else they are words.
var numbering = []string{"no", "nr", "art", "abb"}

// Words that, behind "3." in German, make it an ordinal.
var ordinalNouns = strings.Fields(`
	januar februar märz april mai juni juli august september oktober november dezember
	stock etage obergeschoss untergeschoss og ug mal person reihe regal gang`)

// nextSegment is the length of the first complete segment of text, or 0 when
// more text is needed to tell. first: nothing of the response has been a segment
// yet; complete: no more text will come.
func nextSegment(text string, first, complete bool) int {
	lead := len(text) - len(strings.TrimLeftFunc(text, unicode.IsSpace))
	clause := 0 // the last place behind a comma
	for i, r := range text {
		if i < lead {
			continue
		}
		end := i + utf8.RuneLen(r)
		switch r {
		case '\n':
			return end
		case '.', '!', '?', '…', '。', '！', '？':
			if n := sentenceEnd(text, i, end, complete); n > 0 {
				return n
			}
		case ',', ';', ':', '–', '—':
			if nextIsSpace(text, end) {
				clause = end
			}
		}
		if first && clause-lead >= earlyClause && end-clause >= earlyMore {
			return clause
		}
		if end-lead >= longestNormal {
			if clause > lead {
				return clause
			}
			if space := strings.LastIndexByte(text[:end], ' '); space > lead {
				return space
			}
			return end
		}
	}
	if complete {
		return len(text)
	}
	return 0
}

// sentenceEnd is where the sentence ends that may end with the mark at text[at:end],
// or 0.
func sentenceEnd(text string, at, end int, complete bool) int {
	for end < len(text) { // ?!, closing quotes and brackets belong to the sentence
		r, n := utf8.DecodeRuneInString(text[end:])
		if !strings.ContainsRune(".!?…\"'”’»«)]", r) {
			break
		}
		end += n
	}
	rest := text[end:]
	if rest == "" {
		if complete {
			return end
		}
		return 0 // "12." may become "12.99"
	}
	if r, _ := utf8.DecodeRuneInString(rest); !unicode.IsSpace(r) && !strings.ContainsRune("。！？", rune(text[at])) {
		return 0
	}
	next := strings.TrimLeftFunc(rest, unicode.IsSpace)
	if strings.ContainsRune(rest[:len(rest)-len(next)], '\n') {
		return end
	}
	if next == "" {
		if complete {
			return end
		}
		return 0
	}
	if text[at] != '.' {
		return end
	}
	before := text[:at]
	word := strings.ToLower(before[strings.LastIndexFunc(before, unicode.IsSpace)+1:])
	word = strings.TrimLeft(word, "(\"'„“«»")
	first, _ := utf8.DecodeRuneInString(next)
	if unicode.IsLower(first) || abbreviated(before) || unicode.IsDigit(first) && slices.Contains(numbering, word) {
		return 0
	}
	if word != "" && strings.Trim(word, "0123456789") == "" && len(word) <= 2 {
		noun, _, whole := strings.Cut(next, " ")
		if !whole && !complete {
			return 0 // "am 3. Okt"
		}
		if slices.Contains(ordinalNouns, strings.ToLower(strings.TrimFunc(noun, unicode.IsPunct))) {
			return 0
		}
	}
	return end
}

// abbreviated tells whether text ends with one of the abbreviations.
func abbreviated(text string) bool {
	text = strings.ToLower(text[max(0, len(text)-16):])
	return slices.ContainsFunc(abbreviations, func(a string) bool {
		before, ok := strings.CutSuffix(text, a)
		last, _ := utf8.DecodeLastRuneInString(before)
		return ok && (before == "" || !unicode.IsLetter(last) && last != '.')
	})
}

func nextIsSpace(text string, at int) bool {
	r, _ := utf8.DecodeRuneInString(text[at:])
	return at < len(text) && unicode.IsSpace(r)
}

// speakable tells whether there is anything to say in a segment.
func speakable(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}
