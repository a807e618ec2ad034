package flow

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// words are what the slots' own grammar knows of a language. The first yes and
// the first no are how a kiosk says them; everything is written as normalise
// leaves it.
type words struct {
	yes, no []string
	fillers []string // said before or after what is meant, longest first
	comma   bool     // 12,5 rather than 12.5
	number  func(tokens []string) (float64, int)
}

// plain writes values for machines.
var plain = words{yes: []string{"true"}, no: []string{"false"}}

// knownWords is by base language. A language that is not in it can still be
// spoken; the checker says that its bool slots understand nothing.
var knownWords = map[string]words{
	"en": {
		yes: []string{"yes", "yeah", "yep", "yup", "yes i do", "yes i would", "sure", "of course", "certainly", "definitely", "absolutely",
			"correct", "right", "thats right", "exactly", "i do", "please do", "go ahead", "ok", "okay", "why not"},
		no: []string{"no", "nope", "nah", "not really", "no i dont", "never", "i dont", "not now", "not today", "wrong", "thats wrong", "nothing"},
		fillers: []string{"thank you very much", "thank you", "i would like to", "id like to", "i want to", "i would like", "id like",
			"please", "thanks", "uhm", "uh", "um", "hmm", "er", "ah", "oh", "well", "okay", "ok", "so", "hey", "just"},
		number: englishNumber,
	},
	"de": {
		yes: []string{"ja", "ja gerne", "ja gern", "jawohl", "jo", "genau", "klar", "na klar", "natürlich", "sicher", "gerne", "gern",
			"sehr gerne", "stimmt", "richtig", "das stimmt", "auf jeden fall", "ok", "okay", "warum nicht"},
		no: []string{"nein", "nö", "nee", "ne", "lieber nicht", "auf keinen fall", "eher nicht", "nicht wirklich", "jetzt nicht", "falsch", "nichts"},
		fillers: []string{"ich möchte gerne", "ich möchte gern", "ich möchte", "ich hätte gerne", "ich hätte gern", "vielen dank", "danke schön",
			"danke", "bitte", "äh", "ähm", "hm", "ach", "oh", "also", "na", "okay", "ok", "mal"},
		comma:  true,
		number: germanNumber,
	},
	"fr": {
		yes: []string{"oui", "ouais", "bien sûr", "daccord", "volontiers", "avec plaisir", "exactement", "tout à fait", "ok", "okay"},
		no:  []string{"non", "pas du tout", "pas vraiment", "pas maintenant", "jamais", "rien"},
		fillers: []string{"merci beaucoup", "je voudrais", "jaimerais", "sil vous plaît", "sil te plaît", "merci", "euh", "ben", "bon", "alors", "ah",
			"oh", "okay", "ok"},
		comma: true,
	},
	"tr": {
		yes:     []string{"evet", "olur", "tabii", "tabi", "tabii ki", "elbette", "tamam", "doğru", "kesinlikle"},
		no:      []string{"hayır", "yok", "olmaz", "istemem", "istemiyorum", "hiçbir şey"},
		fillers: []string{"teşekkür ederim", "çok teşekkürler", "teşekkürler", "lütfen", "sağ olun", "sağol", "şey", "ee", "yani", "peki"},
		comma:   true,
	},
}

// wordsOf are the words of a BCP 47 tag's base language; for one that is not
// known, bools are written "true" and "false" and no spoken word is understood.
func wordsOf(lang string) words {
	tag, err := language.Parse(lang)
	if err != nil {
		return plain
	}
	base, _ := tag.Base()
	if w, ok := knownWords[base.String()]; ok {
		return w
	}
	return plain
}

// normalise writes what was said so that two ways of writing it are equal: lower
// case, no punctuation, single spaces, no apostrophes ("That's all." is "thats
// all"). The point or comma within a number and its minus sign stay.
func normalise(lang, s string) string {
	s = cases.Lower(language.Make(lang)).String(norm.NFC.String(s))
	runes := []rune(s)
	var b strings.Builder
	for i, r := range runes {
		digitNext := i+1 < len(runes) && unicode.IsDigit(runes[i+1])
		digitBefore := i > 0 && unicode.IsDigit(runes[i-1])
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r):
			b.WriteRune(r)
		case r == '\'' || r == '’':
		case (r == '.' || r == ',') && digitBefore && digitNext:
			b.WriteByte('.')
		case r == '-' && digitNext && (i == 0 || runes[i-1] == ' '):
			b.WriteRune(r)
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// strip takes the fillers from both ends of what normalise left. What consists
// of fillers alone is left as it is.
func (w words) strip(s string) string {
	for {
		before := s
		for _, f := range w.fillers {
			if rest, ok := strings.CutPrefix(s, f+" "); ok {
				s = rest
			}
			if rest, ok := strings.CutSuffix(s, " "+f); ok {
				s = rest
			}
		}
		if s == before {
			return s
		}
	}
}

// holds reports whether phrase occurs in s as whole words.
func holds(s, phrase string) bool {
	return phrase != "" && strings.Contains(" "+s+" ", " "+phrase+" ")
}
