package tts

import (
	"regexp"
	"strings"
)

// A rule rewrites what a speech engine would read wrongly.
type rule struct {
	find *regexp.Regexp
	say  string // with $1 for groups
}

// rules by base language, applied in order. They hold what a store's texts are
// full of: prices, times, days and units. Captions keep the original.
var rules = map[string][]rule{
	"en": table(
		`€ ?(\d+)[.,](\d{2})\b`, `$1 euros $2`,
		`€ ?(\d+)\b`, `$1 euros`,
		`\b(\d+)[.,](\d{2}) ?(?:€|EUR\b|euros?\b)`, `$1 euros $2`,
		`(\d) ?(?:€|EUR\b)`, `$1 euros`,
		`\b(\d+) euros 00\b`, `$1 euros`,
		`\b1 euros`, `1 euro`,
		`£ ?(\d+)\.(\d{2})\b`, `$1 pounds $2`,
		`\$ ?(\d+)\.(\d{2})\b`, `$1 dollars $2`,
		`\b(\d{1,2}):00 ?([ap])(?:m\b|\.m\.)`, `$1 $2 m`,
		`\b(\d{1,2}):(\d{2}) ?([ap])(?:m\b|\.m\.)`, `$1 $2 $3 m`,
		`\b(\d{1,2}) ?([ap])(?:m\b|\.m\.)`, `$1 $2 m`,
		`\b(\d{1,2}):00\b`, `$1 o'clock`,
		`\b(\d{1,2}):(\d{2})\b`, `$1 $2`,
		`\bMon\b\.?`, `Monday`,
		`\bTue\b\.?`, `Tuesday`,
		`\bWed\b\.?`, `Wednesday`,
		`\bThu\b\.?`, `Thursday`,
		`\bFri\b\.?`, `Friday`,
		`\bSat\b\.?`, `Saturday`,
		`(day|\d|m|o'clock) ?[–-] ?(Mon|Tue|Wed|Thu|Fri|Sat|Sun|\d)`, `$1 to $2`,
		`(\d) ?m²`, `$1 square metres`,
		`(\d) ?mm\b`, `$1 millimetres`,
		`(\d) ?cm\b`, `$1 centimetres`,
		`(\d) ?kg\b`, `$1 kilograms`,
		`(\d) ?ml\b`, `$1 millilitres`,
		`(\d) ?l\b`, `$1 litres`,
		`(\d) ?°C\b`, `$1 degrees`,
		`(\d) ?V\b`, `$1 volts`,
		`(\d) ?W\b`, `$1 watts`,
		`(\d) ?%`, `$1 percent`,
		` ?& ?`, ` and `,
		`\be\.g\.`, `for example`,
		`\bapprox\.`, `about`,
	),
	"de": table(
		`€ ?(\d+),(\d{2})\b`, `$1 Euro $2`,
		`\b(\d+)[.,](\d{2}) ?(?:€|EUR\b|Euro\b)`, `$1 Euro $2`,
		`(\d) ?(?:€|EUR\b)`, `$1 Euro`,
		`\b(\d+) Euro 00\b`, `$1 Euro`,
		`\b(\d{1,2}):00( ?[–-] ?\d)`, `$1$2`,
		`\b(\d{1,2}):00(?: Uhr)?`, `$1 Uhr`,
		`\b(\d{1,2})[:.](\d{2}) Uhr\b`, `$1 Uhr $2`,
		`\b(\d{1,2}):(\d{2})\b`, `$1 Uhr $2`,
		`\bMo\b\.?( ?[–-])`, `Montag$1`,
		`\bDi\b\.?( ?[–-])`, `Dienstag$1`,
		`([–-] ?)Do\b\.?`, `${1}Donnerstag`,
		`([–-] ?)Fr\b\.?`, `${1}Freitag`,
		`([–-] ?)Sa\b\.?`, `${1}Samstag`,
		`([–-] ?)So\b\.?`, `${1}Sonntag`,
		`(tag|\d|Uhr) ?[–-] ?(Montag|Dienstag|Mittwoch|Donnerstag|Freitag|Samstag|Sonntag|\d)`, `$1 bis $2`,
		`(\d) ?m²`, `$1 Quadratmeter`,
		`(\d) ?mm\b`, `$1 Millimeter`,
		`(\d) ?cm\b`, `$1 Zentimeter`,
		`(\d) ?kg\b`, `$1 Kilogramm`,
		`(\d) ?ml\b`, `$1 Milliliter`,
		`(\d) ?l\b`, `$1 Liter`,
		`(\d) ?°C\b`, `$1 Grad`,
		`(\d) ?V\b`, `$1 Volt`,
		`(\d) ?W\b`, `$1 Watt`,
		`(\d) ?%`, `$1 Prozent`,
		` ?& ?`, ` und `,
		`\bz\. ?B\.`, `zum Beispiel`,
		`\bca\.`, `circa`,
		`\binkl\.`, `inklusive`,
		`\bNr\.`, `Nummer`,
	),
}

func table(pairs ...string) []rule {
	var rs []rule
	for i := 0; i < len(pairs); i += 2 {
		rs = append(rs, rule{regexp.MustCompile(pairs[i]), pairs[i+1]})
	}
	return rs
}

// spoken is text as it is given to the speech engine.
func spoken(tag, text string) string {
	base, _, _ := strings.Cut(tag, "-")
	for _, r := range rules[base] {
		text = r.find.ReplaceAllString(text, r.say)
	}
	return strings.TrimSpace(text)
}
