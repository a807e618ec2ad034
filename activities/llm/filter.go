package llm

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A filter turns a model's text into what can be spoken, piece by piece: marks
// of Markdown, links, citations, emojis, tags and a model's hidden thinking go;
// line breaks become pauses. It holds back what it cannot judge yet, so the
// same text gives the same words however it is cut into pieces.
type filter struct {
	// ungrounded is set once the text holds the Ungrounded marker; nothing
	// comes out any more.
	ungrounded bool

	held     []rune // not judged yet: an open bracket, say, or the start of the text
	begun    bool   // the text does not start with the marker
	thinking bool   // inside <think>
	inLine   bool   // a word of this line is out; what follows is no list mark
	link     bool   // the text of a link has just ended; its address may follow
	pause    rune   // what is due before the next word: 0, ' ' or '.'
	last     rune   // the last rune that came out; 0 before the first
}

// newFilter filters the answer to a question, which may go on in the middle of a
// line.
func newFilter(q Question) filter {
	if !q.Prefill {
		return filter{}
	}
	last, _ := utf8.DecodeLastRuneInString(q.Begun)
	return filter{begun: true, inLine: true, last: last}
}

// Bounds of what is held back, in runes, before it counts as plain text.
const (
	maxBracket = 80
	maxAddress = 300
)

var (
	marker     = []rune(strings.Trim(Ungrounded, "[]"))
	thinkEnd   = []rune("</think>")
	decoration = []rune("[]()*_`\"“„' \t\r\n")
)

// push takes the next piece and returns what can be spoken of the text so far.
func (f *filter) push(delta string) string {
	var out strings.Builder
	for _, r := range delta {
		f.held = append(f.held, r)
		f.judge(&out, false)
	}
	return out.String()
}

// flush returns what was held back at the end of the text.
func (f *filter) flush() string {
	var out strings.Builder
	f.judge(&out, true)
	return out.String()
}

// judge lets out what is known to be text. Every step either takes runes from
// those held or moves the state on, so it ends.
func (f *filter) judge(out *strings.Builder, end bool) {
	for len(f.held) > 0 && !f.ungrounded {
		n, text, known := f.next(end)
		if !known {
			return
		}
		f.held = f.held[n:]
		for _, r := range text {
			f.say(out, r)
		}
	}
}

// next judges the first of the held runes: how many go, and what of them is
// text. known is false when more has to come first.
func (f *filter) next(end bool) (n int, text []rune, known bool) {
	switch r := f.held[0]; {
	case f.thinking:
		return f.skipThinking(end)
	case !f.begun:
		return f.begin(end)
	case f.link:
		return f.address(end)
	case r == '[':
		return f.bracket(end)
	case r == '<':
		return f.tag(end)
	case !f.inLine:
		return f.lineStart(end)
	default:
		return 1, f.held[:1], true
	}
}

// begin waits until the text cannot be the marker any more, which models also
// write without its brackets or in quotes.
func (f *filter) begin(end bool) (int, []rune, bool) {
	word := f.held
	for len(word) > 0 && slices.Contains(decoration, word[0]) {
		word = word[1:]
	}
	if len(word) >= len(marker) {
		f.begun = true
		f.ungrounded = slices.Equal(word[:len(marker)], marker)
		return 0, nil, true
	}
	if !slices.Equal(word, marker[:len(word)]) || end || len(f.held) > maxBracket {
		f.begun = true
		return 0, nil, true
	}
	return 0, nil, false
}

func (f *filter) skipThinking(end bool) (int, []rune, bool) {
	if i := len(f.held) - len(thinkEnd); i >= 0 && slices.Equal(f.held[i:], thinkEnd) {
		f.thinking, f.begun = false, false // the answer proper starts here
		return len(f.held), nil, true
	}
	if n := len(f.held) - len(thinkEnd); n > 0 {
		return n, nil, true
	}
	return len(f.held), nil, end
}

// bracket drops a citation and takes the text of anything else in brackets.
func (f *filter) bracket(end bool) (int, []rune, bool) {
	depth := 0
	for i, r := range f.held {
		switch r {
		case '[':
			depth++
		case ']':
			depth--
		}
		if depth > 0 {
			continue
		}
		inner := f.held[1:i]
		if strings.Contains(string(inner), string(marker)) {
			f.ungrounded = true
			return 0, nil, true
		}
		f.link = true
		if isCitation(string(inner)) {
			return i + 1, nil, true
		}
		return i + 1, []rune(strings.Trim(string(inner), "[]")), true
	}
	return 1, nil, end || len(f.held) > maxBracket
}

// address drops the address that follows a link's text.
func (f *filter) address(end bool) (int, []rune, bool) {
	if f.held[0] != '(' {
		f.link = false
		return 0, nil, true
	}
	if i := slices.Index(f.held, ')'); i >= 0 {
		f.link = false
		return i + 1, nil, true
	}
	if end || len(f.held) > maxAddress {
		f.link = false
		return 1, nil, true
	}
	return 0, nil, false
}

// tag drops an HTML tag; a lone "<" is text.
func (f *filter) tag(end bool) (int, []rune, bool) {
	if len(f.held) > 1 && f.held[1] != '/' && !unicode.IsLetter(f.held[1]) {
		return 1, f.held[:1], true
	}
	if i := slices.Index(f.held, '>'); i >= 0 {
		f.thinking = string(f.held[:i+1]) == "<think>"
		return i + 1, []rune{' '}, true
	}
	return 1, f.held[:1], end || len(f.held) > maxBracket
}

// lineStart drops the marks of headings, quotations and lists.
func (f *filter) lineStart(end bool) (int, []rune, bool) {
	r := f.held[0]
	switch {
	case strings.ContainsRune("#>•‣▪", r):
		return 1, nil, true
	case strings.ContainsRune("-+–", r):
		if len(f.held) == 1 {
			return 1, f.held, end
		}
		if strings.ContainsRune("-|: \n", f.held[1]) { // a list's mark, or a rule
			return 1, nil, true
		}
	case unicode.IsDigit(r) && f.last != 0: // an answer may itself begin with "2. floor"
		i := slices.IndexFunc(f.held, func(r rune) bool { return !unicode.IsDigit(r) })
		if i < 0 && len(f.held) > 2 { // no list is that long
			return len(f.held), f.held, true
		}
		if i < 0 || i == len(f.held)-1 && strings.ContainsRune(".)", f.held[i]) {
			return len(f.held), slices.Clone(f.held), end
		}
		if i <= 2 && strings.ContainsRune(".)", f.held[i]) && unicode.IsSpace(f.held[i+1]) {
			return i + 2, nil, true
		}
		return i, f.held[:i], true
	}
	return 1, f.held[:1], true
}

// say lets out one rune of text, without the marks that are never spoken.
func (f *filter) say(out *strings.Builder, r rune) {
	switch {
	case r == '\n':
		f.inLine = false
		if f.last != 0 {
			f.pause = ' '
			if unicode.IsLetter(f.last) || unicode.IsDigit(f.last) {
				f.pause = '.' // a heading or a list's item is a sentence to the ear
			}
		}
		return
	case unicode.IsSpace(r) || r == '|':
		if f.last != 0 && f.pause == 0 {
			f.pause = ' '
		}
		return
	case r == '_':
		// Between letters it separates words, elsewhere it is emphasis.
		if f.pause == 0 && unicode.IsLetter(f.last) {
			f.pause = ' '
		}
		return
	case strings.ContainsRune("*`~", r), isEmoji(r), unicode.IsControl(r):
		return
	}
	closing := strings.ContainsRune(".,;:!?…)", r)
	switch {
	case f.pause == '.' && !closing:
		out.WriteString(". ")
	case f.pause == ' ' && !closing:
		out.WriteByte(' ')
	}
	f.pause = 0
	out.WriteRune(r)
	f.last, f.inLine = r, true
}

// isCitation reports whether the text in brackets points at a passage:
// "1", "2, 3", "passage 1", "Quelle 2", "^4".
func isCitation(s string) bool {
	s = strings.ToLower(strings.Trim(s, "[]^ "))
	for _, word := range []string{"passages", "passage", "source", "quelle", "textstelle", "kaynak"} {
		s = strings.TrimPrefix(s, word)
	}
	return strings.Trim(s, "0123456789,;-–†: ") == ""
}

// isEmoji reports whether r is a pictograph or one of the marks that go with
// one. The degree sign and its like are symbols too, but are spoken.
func isEmoji(r rune) bool {
	switch {
	case r == '°' || r == '№':
		return false
	case r == 0x200d || r >= 0xfe00 && r <= 0xfe0f || r >= 0x1f3fb && r <= 0x1f3ff || r == 0x20e3:
		return true
	}
	return unicode.Is(unicode.So, r)
}
