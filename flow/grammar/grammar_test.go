package grammar_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/praesenz/parley/flow/grammar"
)

// now is a Monday morning.
var now = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// read is the one value that a text holds, or "" for none or several. A weak one
// counts when nothing else is said.
func read(lang, kind, text string, now time.Time) string {
	w := grammar.Hear(lang, text)
	switch kind {
	case "bool":
		if yes, ok := w.YesNo(); ok {
			return fmt.Sprint(yes)
		}
		return ""
	case grammar.E164, grammar.Digits, grammar.Code, grammar.Email:
		if s, ok := w.Spelled(kind); ok {
			return s
		}
		return ""
	}
	v, ok := w.One(kind, now)
	if !ok {
		return ""
	}
	return fmt.Sprint(v.Value)
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ lang, kind, text, want string }{
		{"en", "int", "zero", "0"},
		{"en", "int", "twelve", "12"},
		{"en", "int", "twenty-one please", "21"},
		{"en", "int", "a hundred", "100"},
		{"en", "int", "two hundred and five", "205"},
		{"en", "int", "twelve hundred", "1200"},
		{"en", "int", "nine hundred ninety nine thousand nine hundred ninety nine", "999999"},
		{"en", "int", "one hundred and twenty three thousand four hundred and fifty six", "123456"},
		{"en", "int", "two thousand and twenty six", "2026"},
		{"en", "int", "1,200", "1200"},
		{"en", "int", "one five one", "151"},
		{"en", "int", "a dozen", "12"},
		{"en", "int", "I need five of them", "5"},
		{"en", "int", "five or six", ""},
		{"en", "int", "two three", ""},
		{"en", "int", "2.5", ""},
		{"en", "number", "two and a half", "2.5"},
		{"en", "number", "two point two five", "2.25"},
		{"en", "number", "minus three", "-3"},
		{"en", "number", "-3.5", "-3.5"},
		{"en", "number", "half", "0.5"},
		{"de", "int", "zwölf", "12"},
		{"de", "int", "zwoelf", "12"},
		{"de", "int", "zwölfhundert", "1200"},
		{"de", "int", "einundzwanzig", "21"},
		{"de", "int", "siebenundsiebzig", "77"},
		{"de", "int", "hunderteins", "101"},
		{"de", "int", "einhundertzwei", "102"},
		{"de", "int", "neunhundertneunundneunzigtausendneunhundertneunundneunzig", "999999"},
		{"de", "int", "drei und zwanzig", "23"},
		{"de", "int", "zwei tausend sechs und zwanzig", "2026"},
		{"de", "int", "dreissig", "30"},
		{"de", "int", "1.200", "1200"},
		{"de", "int", "eins fünf eins", "151"},
		{"de", "int", "zwo", "2"},
		{"de", "int", "ein", "1"},
		{"de", "int", "ich brauche ein paar", ""},
		{"de", "int", "drei oder vier", ""},
		{"de", "int", "wir sind zu fünft", "5"},
		{"de", "number", "zwei Komma fünf", "2.5"},
		{"de", "number", "zweieinhalb", "2.5"},
		{"de", "number", "anderthalb", "1.5"},
		{"de", "number", "2,5", "2.5"},
		{"de", "number", "2.5", "2.5"},
		{"de", "number", "1.000,50", "1000.5"},
		{"fr", "int", "zéro", "0"},
		{"fr", "int", "vingt et un", "21"},
		{"fr", "int", "soixante-dix", "70"},
		{"fr", "int", "soixante et onze", "71"},
		{"fr", "int", "soixante-dix-sept", "77"},
		{"fr", "int", "quatre-vingts", "80"},
		{"fr", "int", "quatre-vingt-un", "81"},
		{"fr", "int", "quatre-vingt-dix-sept", "97"},
		{"fr", "int", "septante-cinq", "75"},
		{"fr", "int", "nonante", "90"},
		{"fr", "int", "cent un", "101"},
		{"fr", "int", "deux cents", "200"},
		{"fr", "int", "deux mille vingt-six", "2026"},
		{"fr", "int", "neuf cent quatre-vingt-dix-neuf mille neuf cent quatre-vingt-dix-neuf", "999999"},
		{"fr", "int", "12 000", "12000"},
		{"fr", "int", "une", "1"},
		{"fr", "int", "j'en voudrais trois", "3"},
		{"fr", "int", "trois ou quatre", ""},
		{"fr", "int", "ce serait pour une nuit", "1"},
		{"de", "int", "eine Nacht", "1"},
		{"en", "int", "just one night", "1"},
		{"tr", "int", "bir gece", "1"},
		{"de", "int", "lieber die um halb drei", ""},
		{"fr", "number", "trois virgule quatorze", "3.14"},
		{"fr", "number", "zéro virgule zéro cinq", "0.05"},
		{"fr", "number", "deux et demi", "2.5"},
		{"tr", "int", "sıfır", "0"},
		{"tr", "int", "on iki", "12"},
		{"tr", "int", "oniki", "12"},
		{"tr", "int", "yüz yirmi üç", "123"},
		{"tr", "int", "yüzyirmiüç", "123"},
		{"tr", "int", "bin dokuz yüz doksan dokuz", "1999"},
		{"tr", "int", "dokuz yüz doksan dokuz bin dokuz yüz doksan dokuz", "999999"},
		{"tr", "int", "iki bin yirmi altı", "2026"},
		{"tr", "int", "ALTI", "6"},
		{"tr", "int", "bir", "1"},
		{"tr", "int", "5 tane lütfen", "5"},
		{"tr", "number", "iki buçuk", "2.5"},
		{"tr", "number", "iki virgül yetmiş beş", "2.75"},
		{"es", "int", "12", "12"},
		{"es", "int", "doce", ""},
	} {
		if got := read(c.lang, c.kind, c.text, now); got != c.want {
			t.Errorf("%s %s %q: %q, want %q", c.lang, c.kind, c.text, got, c.want)
		}
	}
}

func TestAmounts(t *testing.T) {
	for _, c := range []struct{ lang, text, want string }{
		{"en", "twelve fifty", "12.5"},
		{"en", "twelve oh five", "12.05"},
		{"en", "$12.50", "12.5"},
		{"en", "twelve dollars", "12"},
		{"en", "twelve euros and fifty cents", "12.5"},
		{"en", "fifty cents", "0.5"},
		{"en", "one hundred and twenty five pounds", "125"},
		{"en", "about ten euros I think", "10"},
		{"en", "ten or twenty euros", ""},
		{"en", "between 50 and 80 euros", ""},
		{"en", "1,200.50", "1200.5"},
		{"de", "12,50 €", "12.5"},
		{"de", "zwölf Euro fünfzig", "12.5"},
		{"de", "zwölf fünfzig", "12.5"},
		{"de", "zwölf Euro und fünfzig Cent", "12.5"},
		{"de", "fünfzig Cent", "0.5"},
		{"de", "neunundneunzig Cent", "0.99"},
		{"de", "1.200 Euro", "1200"},
		{"de", "ein Euro", "1"},
		{"de", "zweieinhalb Euro", "2.5"},
		{"fr", "douze euros cinquante", "12.5"},
		{"fr", "12,50 euros", "12.5"},
		{"fr", "douze cinquante", "12.5"},
		{"fr", "cinquante centimes", "0.5"},
		{"fr", "un euro", "1"},
		{"tr", "on iki lira elli kuruş", "12.5"},
		{"tr", "on iki elli", "12.5"},
		{"tr", "on iki buçuk lira", "12.5"},
		{"tr", "yüz elli lira", "150"},
		{"tr", "12,50 TL", "12.5"},
	} {
		if got := read(c.lang, "amount", c.text, now); got != c.want {
			t.Errorf("%s %q: %q, want %q", c.lang, c.text, got, c.want)
		}
	}
}

func TestDates(t *testing.T) {
	for _, c := range []struct{ lang, text, want string }{
		{"en", "today", "2026-11-23"},
		{"en", "tomorrow please", "2026-11-24"},
		{"en", "the day after tomorrow", "2026-11-25"},
		{"en", "Monday", "2026-11-30"},
		{"en", "next Monday", "2026-11-30"},
		{"en", "on Friday evening", "2026-11-27"},
		{"en", "Monday after next", "2026-12-07"},
		{"en", "Wednesday next week", "2026-12-02"},
		{"en", "on the third of May", "2027-05-03"},
		{"en", "May 3rd", "2027-05-03"},
		{"en", "May the third", "2027-05-03"},
		{"en", "the twenty-third", "2026-11-23"},
		{"en", "the 5th", "2026-12-05"},
		{"en", "05/03", "2027-05-03"},
		{"en-GB", "05/03", "2027-03-05"},
		{"en", "23 November 2026", "2026-11-23"},
		{"en", "the third of May twenty twenty eight", "2028-05-03"},
		{"en", "Friday the 27th of November", "2026-11-27"},
		{"en", "Monday the 27th of November", ""},
		{"en", "in two weeks", "2026-12-07"},
		{"en", "in a week", "2026-11-30"},
		{"en", "three days from now", "2026-11-26"},
		{"en", "in three months", "2027-02-23"},
		{"en", "2026-12-24", "2026-12-24"},
		{"en", "the thirty-first of February", ""},
		{"en", "29 February", "2028-02-29"},
		{"en", "I may come", ""},
		{"en", "at three", ""},
		{"de", "heute", "2026-11-23"},
		{"de", "morgen früh", "2026-11-24"},
		{"de", "übermorgen", "2026-11-25"},
		{"de", "heute Abend", "2026-11-23"},
		{"de", "nächsten Montag", "2026-11-30"},
		{"de", "am Freitag", "2026-11-27"},
		{"de", "Montagabend", "2026-11-30"},
		{"de", "übernächsten Montag", "2026-12-07"},
		{"de", "nächste Woche Mittwoch", "2026-12-02"},
		{"de", "3.5.", "2027-05-03"},
		{"de", "am 3.5.2028", "2028-05-03"},
		{"de", "3. Mai", "2027-05-03"},
		{"de", "am dritten Mai", "2027-05-03"},
		{"de", "am dritten fünften", "2027-05-03"},
		{"de", "am dreiundzwanzigsten Dezember", "2026-12-23"},
		{"de", "am einunddreißigsten", "2026-12-31"},
		{"de", "Montag, 30. November", "2026-11-30"},
		{"de", "am Freitag, den 27.11.", "2026-11-27"},
		{"de", "erster Januar", "2027-01-01"},
		{"de", "in zwei Wochen", "2026-12-07"},
		{"de", "in einer Woche", "2026-11-30"},
		{"de", "3.5.26", "2026-05-03"},
		{"fr", "aujourd'hui", "2026-11-23"},
		{"fr", "demain", "2026-11-24"},
		{"fr", "après-demain", "2026-11-25"},
		{"fr", "lundi prochain", "2026-11-30"},
		{"fr", "vendredi", "2026-11-27"},
		{"fr", "mercredi de la semaine prochaine", "2026-12-02"},
		{"fr", "le trois mai", "2027-05-03"},
		{"fr", "le premier mai", "2027-05-01"},
		{"fr", "1er mai", "2027-05-01"},
		{"fr", "le 23 novembre 2026", "2026-11-23"},
		{"fr", "le trois mai deux mille vingt-huit", "2028-05-03"},
		{"fr", "dans deux semaines", "2026-12-07"},
		{"fr", "dans quinze jours", "2026-12-07"},
		{"fr", "3/5", "2027-05-03"},
		{"fr", "le trois", "2026-12-03"},
		{"tr", "bugün", "2026-11-23"},
		{"tr", "yarın", "2026-11-24"},
		{"tr", "öbür gün", "2026-11-25"},
		{"tr", "gelecek pazartesi", "2026-11-30"},
		{"tr", "cuma günü", "2026-11-27"},
		{"tr", "haftaya çarşamba", "2026-12-02"},
		{"tr", "3 Mayıs", "2027-05-03"},
		{"tr", "üç mayısta", "2027-05-03"},
		{"tr", "23 Kasım'da", "2026-11-23"},
		{"tr", "mayısın üçü", "2027-05-03"},
		{"tr", "aralığın on yedisi", "2026-12-17"},
		{"tr", "23 Kasım 2027", "2027-11-23"},
		{"tr", "iki hafta sonra", "2026-12-07"},
		{"tr", "üç gün sonra", "2026-11-26"},
		{"tr", "3.5.", "2027-05-03"},
		{"es", "2026-12-24", "2026-12-24"},
	} {
		if got := read(c.lang, "date", c.text, now); got != c.want {
			t.Errorf("%s %q: %q, want %q", c.lang, c.text, got, c.want)
		}
	}
}

func TestDaysOfOneSentenceFollowEachOther(t *testing.T) {
	for lang, text := range map[string]string{"en": "from Wednesday to Monday", "de": "von Mittwoch bis Montag", "fr": "de mercredi à lundi", "tr": "çarşambadan pazartesiye"} {
		got := grammar.Hear(lang, text).Dates(now)
		if len(got) != 2 || got[0].Value != "2026-11-25" || got[1].Value != "2026-11-30" {
			t.Errorf("%q: %v", text, got)
		}
	}
	for lang, text := range map[string]string{"en": "from the third to the fifth of May", "de": "vom 3. bis zum 5. Mai", "fr": "du trois au cinq mai"} {
		got := grammar.Hear(lang, text).Dates(now)
		if len(got) != 2 || got[0].Value != "2027-05-03" || got[1].Value != "2027-05-05" {
			t.Errorf("%q: %v", text, got)
		}
	}
	got := grammar.Hear("en", "from Friday to Tuesday").Dates(now)
	if len(got) != 2 || got[0].Value != "2026-11-27" || got[1].Value != "2026-12-01" {
		t.Errorf("over the weekend: %v", got)
	}
}

func TestTimes(t *testing.T) {
	for _, c := range []struct{ lang, text, want string }{
		{"en", "half past three", "15:30"},
		{"en", "half three", "15:30"},
		{"en", "quarter to four", "15:45"},
		{"en", "a quarter past nine", "21:15"},
		{"en", "ten past eight in the morning", "08:10"},
		{"en", "five minutes to five", "16:55"},
		{"en", "three pm", "15:00"},
		{"en", "3:30 p.m.", "15:30"},
		{"en", "3pm", "15:00"},
		{"en", "nine am", "09:00"},
		{"en", "at three", "15:00"},
		{"en", "three", "15:00"},
		{"en", "three o'clock", "15:00"},
		{"en", "three thirty", "15:30"},
		{"en", "three oh five", "15:05"},
		{"en", "15:30", "15:30"},
		{"en", "twelve", "12:00"},
		{"en", "eleven", "11:00"},
		{"en", "noon", "12:00"},
		{"en", "midnight", "00:00"},
		{"en", "twelve am", "00:00"},
		{"en", "seven in the evening", "19:00"},
		{"en", "in an hour", "11:00"},
		{"en", "in half an hour", "10:30"},
		{"en", "in twenty minutes", "10:20"},
		{"en", "a table for three", ""},
		{"en", "at three or four", ""},
		{"de", "halb vier", "15:30"},
		{"de", "halb eins", "12:30"},
		{"de", "viertel nach drei", "15:15"},
		{"de", "Viertel vor vier", "15:45"},
		{"de", "viertel vier", "15:15"},
		{"de", "drei viertel vier", "15:45"},
		{"de", "fünf vor halb vier", "15:25"},
		{"de", "zehn nach acht morgens", "08:10"},
		{"de", "15 Uhr 30", "15:30"},
		{"de", "fünfzehn Uhr dreißig", "15:30"},
		{"de", "um drei", "15:00"},
		{"de", "ein Uhr", "13:00"},
		{"de", "15.30 Uhr", "15:30"},
		{"de", "abends um sieben", "19:00"},
		{"de", "mittags", "12:00"},
		{"de", "Mitternacht", "00:00"},
		{"de", "in einer halben Stunde", "10:30"},
		{"de", "neun Uhr", "21:00"},
		{"de", "morgen früh um neun", "09:00"},
		{"fr", "quinze heures trente", "15:30"},
		{"fr", "trois heures et demie", "15:30"},
		{"fr", "trois heures et quart", "15:15"},
		{"fr", "quatre heures moins le quart", "15:45"},
		{"fr", "quatre heures moins dix", "15:50"},
		{"fr", "à trois heures", "15:00"},
		{"fr", "15h30", "15:30"},
		{"fr", "15 h", "15:00"},
		{"fr", "midi", "12:00"},
		{"fr", "midi et demi", "12:30"},
		{"fr", "minuit", "00:00"},
		{"fr", "huit heures du soir", "20:00"},
		{"fr", "trois heures de l'après-midi", "15:00"},
		{"fr", "dans une heure", "11:00"},
		{"fr", "dans une demi-heure", "10:30"},
		{"tr", "üç buçuk", "15:30"},
		{"tr", "saat üç buçukta", "15:30"},
		{"tr", "üçü çeyrek geçiyor", "15:15"},
		{"tr", "dörde çeyrek kala", "15:45"},
		{"tr", "üçü on geçe", "15:10"},
		{"tr", "saat üç", "15:00"},
		{"tr", "üçte", "15:00"},
		{"tr", "15:30", "15:30"},
		{"tr", "on beş otuz", "15:30"},
		{"tr", "akşam yedi", "19:00"},
		{"tr", "sabah dokuzda", "09:00"},
		{"tr", "öğleden sonra üç", "15:00"},
		{"tr", "öğlen", "12:00"},
		{"tr", "gece yarısı", "00:00"},
		{"tr", "bir saat sonra", "11:00"},
		{"tr", "yarım saat sonra", "10:30"},
		{"tr", "on birde", "11:00"},
		{"tr", "saat on yedi sıfır beş", "17:05"},
		{"tr", "sabah sekizi çeyrek geçe", "08:15"},
	} {
		if got := read(c.lang, "time", c.text, now); got != c.want {
			t.Errorf("%s %q: %q, want %q", c.lang, c.text, got, c.want)
		}
	}
}

func TestSpelled(t *testing.T) {
	for _, c := range []struct{ lang, kind, text, want string }{
		{"de", "e164", "0151 12345678", "+4915112345678"},
		{"de", "e164", "null eins fünf eins eins zwei drei vier fünf sechs sieben acht", "+4915112345678"},
		{"de", "e164", "meine Nummer ist null eins fünf eins, dann zwölf vierunddreißig sechsundfünfzig achtundsiebzig", "+4915112345678"},
		{"de", "e164", "plus neunundvierzig eins fünf eins eins zwei drei vier fünf sechs sieben acht", "+4915112345678"},
		{"de", "e164", "0049 151 12345678", "+4915112345678"},
		{"de", "e164", "+49 (0)151 12345678", "+4915112345678"},
		{"de-AT", "e164", "0664 1234567", "+436641234567"},
		{"en", "e164", "plus four nine one five one one two three four five six seven eight", "+4915112345678"},
		{"en", "e164", "+49 151 12345678", "+4915112345678"},
		{"en", "e164", "oh seven nine one one one two three four five six", ""},
		{"en-GB", "e164", "oh seven nine double one one two three four five six", "+447911123456"},
		{"en-US", "e164", "(212) 555-0123", "+12125550123"},
		{"en", "e164", "my number", ""},
		{"fr", "e164", "zéro six douze trente-quatre cinquante-six soixante-dix-huit", "+33612345678"},
		{"fr", "e164", "06 12 34 56 78", "+33612345678"},
		{"tr", "e164", "sıfır beş yüz otuz iki iki yüz on üç kırk beş altmış yedi", "+905322134567"},
		{"tr", "e164", "0532 213 45 67", "+905322134567"},
		{"en", "digits", "one five one", "151"},
		{"en", "digits", "double five oh two", "5502"},
		{"en", "digits", "my pin is 12 34", "1234"},
		{"de", "digits", "null null sieben", "007"},
		{"fr", "digits", "zéro douze", "012"},
		{"tr", "digits", "sıfır bir iki", "012"},
		{"en", "code", "K17", "K17"},
		{"en", "code", "kilo one seven", "K17"},
		{"en", "code", "my code is b as in bravo, c, seven", "BC7"},
		{"en", "code", "AB-12", "AB12"},
		{"en", "code", "double a three", "AA3"},
		{"en", "code", "X as in x-ray, four, four, Q", "X44Q"},
		{"de", "code", "B wie Berta sieben acht", "B78"},
		{"de", "code", "Anton Berta drei", "AB3"},
		{"fr", "code", "A comme Anatole quatre", "A4"},
		{"tr", "code", "ankara yedi", "A7"},
		{"en", "code", "I do not have one", ""},
		{"en", "email", "anna.b@example.com", "anna.b@example.com"},
		{"en", "email", "my email is anna dot b at example dot com", "anna.b@example.com"},
		{"en", "email", "anna underscore 2 at my dash shop dot co dot uk please", "anna_2@my-shop.co.uk"},
		{"de", "email", "anna Punkt müller ät example Punkt de", "anna.mueller@example.de"},
		{"de", "email", "meine Adresse ist anna at web.de", "anna@web.de"},
		{"fr", "email", "anna point b arobase exemple point fr", "anna.b@exemple.fr"},
		{"tr", "email", "anna nokta b et example nokta com", "anna.b@example.com"},
		{"en", "email", "I have none", ""},
	} {
		if got := read(c.lang, c.kind, c.text, now); got != c.want {
			t.Errorf("%s %s %q: %q, want %q", c.lang, c.kind, c.text, got, c.want)
		}
	}
}

func TestYesNo(t *testing.T) {
	for text, want := range map[string]string{
		"en:Yes, please!": "true", "en:um, okay": "true", "en:no thanks": "false", "en:That's right.": "true", "en:yes yes of course": "true", "en:not sure": "", "en:yes and no": "",
		"de:ja gerne": "true", "de:Nein, danke.": "false", "de-AT:Nö": "false", "de:naturlich": "true", "de:stimmt nicht": "false",
		"fr:Oui, s'il vous plaît": "true", "fr:C'est ça.": "true", "fr:non merci": "false",
		"tr:HAYIR teşekkürler": "false", "tr:Evet, doğru.": "true", "tr:İstemiyorum": "false",
		"es:sí": "",
	} {
		lang, said, _ := strings.Cut(text, ":")
		if got := read(lang, "bool", said, now); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// What a kiosk says of a value is understood as that value.
func TestWhatIsSaidIsUnderstood(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	letters := func(set string, n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte(set[r.IntN(len(set))])
		}
		return b.String()
	}
	midnight := now.Add(-10 * time.Hour) // 8 o'clock is the one in the morning
	for _, lang := range []string{"en", "en-US", "en-GB", "de", "de-AT", "fr", "tr"} {
		for range 400 {
			values := map[string]any{
				"bool":   r.IntN(2) == 1,
				"int":    int64(r.IntN(1_000_000)),
				"number": float64(r.IntN(100_000)) / 100,
				"amount": float64(r.IntN(100_000)) / 100,
				"date":   now.AddDate(0, 0, r.IntN(360)).Format(time.DateOnly),
				"time":   fmt.Sprintf("%02d:%02d", r.IntN(24), r.IntN(60)),
				"e164":   "+49151" + letters("0123456789", 8),
				"digits": letters("0123456789", 1+r.IntN(10)),
				"code":   letters("ABCDEFGHKLMNPQRSTUVWXYZ0123456789", 2+r.IntN(7)),
				"email":  letters("abcdefgh", 6) + "." + letters("mnp", 5) + "@" + letters("qrstuv", 7) + ".com",
			}
			for kind, v := range values {
				said := grammar.Say(lang, kind, v)
				if got := read(lang, kind, said, midnight); got != fmt.Sprint(v) {
					t.Errorf("%s %s %v is said %q and understood as %q", lang, kind, v, said, got)
				}
			}
		}
	}
}

// Nobody can keep a kiosk busy by talking nonsense.
func TestNonsenseIsReadFast(t *testing.T) {
	started := time.Now()
	for _, word := range []string{"dreizehn", "dreizehn ", "minus ", "double ", "yes ", "next ", "in ", "a ", "3.", "half ", "not but "} {
		for _, lang := range []string{"en", "de", "tr", "fr"} {
			w := grammar.Hear(lang, strings.Repeat(word, 300)+"x")
			for _, kind := range []string{"int", "amount", "date", "time", grammar.E164, grammar.Code, grammar.Email} {
				w.One(kind, now)
				w.Spelled(kind)
			}
			w.YesNo()
			w.Correction()
			w.Tongue([]string{"en", "de", "fr", "tr"})
		}
	}
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestMeans(t *testing.T) {
	for _, c := range []struct{ lang, text, want string }{
		{"en", "Can I talk to a person?", "human"},
		{"en", "may I speak to a person please", "human"},
		{"en", "I'd like to speak with someone who works here", "human"},
		{"en", "could you get me a member of staff", "human"},
		{"en", "can somebody help me", "human"},
		{"en", "I want a real person", "human"},
		{"en", "Could you please repeat the question?", "repeat"},
		{"en", "sorry, I didn't catch that", "repeat"},
		{"en", "Pardon?", "repeat"},
		{"en", "I've changed my mind", "cancel"},
		{"en", "can we stop this", "cancel"},
		{"en", "I made a mistake", "correct"},
		{"en", "change the language", "language"},
		{"en", "wait a second", "wait"},
		{"de", "warte, einen Moment", "wait"},
		{"fr", "attendez un moment", "wait"},
		{"tr", "bir dakika lütfen", "wait"},
		{"en", "wait for my wife", ""},
		{"en", "a person of three", ""},
		{"en", "can you repeat it for my wife's order", ""},
		{"en", "where do I cancel my subscription", ""},
		{"de", "Kann ich bitte mit jemandem sprechen?", "human"},
		{"de", "Ich möchte gerne mit einem Mitarbeiter reden", "human"},
		{"de", "Können Sie bitte jemanden rufen", "human"},
		{"de", "kann mir bitte jemand helfen", "human"},
		{"de", "Können Sie die Frage bitte nochmal wiederholen?", "repeat"},
		{"de", "Das habe ich leider nicht verstanden", "repeat"},
		{"de", "noch einmal bitte", "repeat"},
		{"de", "Ich möchte das abbrechen", "cancel"},
		{"de", "ich habe es mir anders überlegt", "cancel"},
		{"de", "ich habe mich vertan", "correct"},
		{"de", "wo finde ich einen Menschen aus Holz", ""},
		{"fr", "Est-ce que je peux parler à quelqu'un ?", "human"},
		{"fr", "je voudrais parler avec un conseiller s'il vous plaît", "human"},
		{"fr", "quelqu'un peut m'aider", "human"},
		{"fr", "Pouvez-vous répéter la question ?", "repeat"},
		{"fr", "je n'ai pas bien compris", "repeat"},
		{"fr", "encore une fois", "repeat"},
		{"fr", "je voudrais annuler", "cancel"},
		{"fr", "laissez tomber", "cancel"},
		{"fr", "je me suis trompé", "correct"},
		{"fr", "où sont les conseillers", ""},
		{"tr", "Biriyle konuşmak istiyorum", "human"},
		{"tr", "gerçek bir insanla konuşabilir miyim", "human"},
		{"tr", "bir görevli çağırır mısınız", "human"},
		{"tr", "Tekrar eder misiniz?", "repeat"},
		{"tr", "sizi anlayamadım", "repeat"},
		{"tr", "iptal etmek istiyorum", "cancel"},
		{"tr", "vazgeçtim", "cancel"},
		{"tr", "yanlış söyledim", "correct"},
		{"tr", "insan hakları kitabı", ""},
	} {
		got := ""
		for _, intent := range []string{"cancel", "human", "repeat", "language", "correct", "wait"} {
			if grammar.Hear(c.lang, c.text).Means(intent) {
				got += intent
			}
		}
		if got != c.want {
			t.Errorf("%s %q: %q, want %q", c.lang, c.text, got, c.want)
		}
	}
}
