package flow

import (
	"strconv"
	"strings"
)

// englishNumber reads a number from 0 to 999 at the beginning of tokens and
// says how many tokens it took; 0 when there is none. "two point five" is 2.5.
func englishNumber(tokens []string) (float64, int) {
	n, used := englishWhole(tokens)
	return withDecimals(n, used, tokens, "point", englishUnits)
}

func englishWhole(tokens []string) (int, int) {
	small := func(i int) (int, int) { // 0..99
		if i >= len(tokens) {
			return 0, 0
		}
		if n, ok := englishTens[tokens[i]]; ok {
			if i+1 < len(tokens) {
				if unit, ok := englishUnits[tokens[i+1]]; ok && unit > 0 && unit < 10 {
					return n + unit, 2
				}
			}
			return n, 1
		}
		if n, ok := englishUnits[tokens[i]]; ok {
			return n, 1
		}
		return 0, 0
	}
	if len(tokens) > 1 && tokens[0] == "a" && tokens[1] == "hundred" {
		return hundreds(1, 2, tokens, "and", small)
	}
	n, used := small(0)
	if used == 1 && n > 0 && n < 10 && len(tokens) > 1 && tokens[1] == "hundred" {
		return hundreds(n, 2, tokens, "and", small)
	}
	return n, used
}

// hundreds adds what follows "n hundred" in tokens[used:].
func hundreds(n, used int, tokens []string, and string, small func(int) (int, int)) (int, int) {
	at := used
	if at < len(tokens) && tokens[at] == and {
		at++
	}
	rest, took := small(at)
	if took == 0 || rest == 0 {
		return n * 100, used
	}
	return n*100 + rest, at + took
}

// withDecimals goes on after "point" with digits that are said one by one.
func withDecimals(n, used int, tokens []string, point string, units map[string]int) (float64, int) {
	if used == 0 || used >= len(tokens) || tokens[used] != point {
		return float64(n), used
	}
	digits := ""
	for _, tok := range tokens[used+1:] {
		d, ok := units[tok]
		if !ok || d > 9 {
			break
		}
		digits += strconv.Itoa(d)
	}
	if digits == "" {
		return float64(n), used
	}
	f, err := strconv.ParseFloat(strconv.Itoa(n)+"."+digits, 64)
	if err != nil { // digits alone always parse
		return float64(n), used
	}
	return f, used + 1 + len(digits)
}

// germanNumber reads a number from 0 to 999, which German writes as one word
// ("zweihundertfünfunddreißig"), at the beginning of tokens.
func germanNumber(tokens []string) (float64, int) {
	if len(tokens) == 0 || tokens[0] == "ein" { // an article, unless a number follows in the same word
		return 0, 0
	}
	n, ok := germanWord(tokens[0])
	if !ok {
		return 0, 0
	}
	return withDecimals(n, 1, tokens, "komma", germanUnits)
}

func germanWord(s string) (int, bool) {
	s = strings.ReplaceAll(s, "ss", "ß") // "dreissig" in Switzerland
	if before, after, ok := strings.Cut(s, "hundert"); ok {
		n := 1
		if before != "" {
			if n, ok = germanUnits[before]; !ok || n == 0 || n > 9 {
				return 0, false
			}
		}
		after = strings.TrimPrefix(after, "und")
		if after == "" {
			return n * 100, true
		}
		rest, ok := germanSmall(after)
		return n*100 + rest, ok && rest > 0
	}
	return germanSmall(s)
}

func germanSmall(s string) (int, bool) { // 0..99
	if n, ok := germanUnits[s]; ok {
		return n, true
	}
	if n, ok := germanTens[s]; ok {
		return n, true
	}
	unit, ten, ok := strings.Cut(s, "und")
	if !ok {
		return 0, false
	}
	n, known := germanUnits[unit]
	t, knownTen := germanTens[ten]
	return t + n, known && knownTen && n > 0 && n < 10
}

var (
	englishUnits = map[string]int{
		"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
		"ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
		"seventeen": 17, "eighteen": 18, "nineteen": 19,
	}
	englishTens = map[string]int{
		"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
	}
	germanUnits = map[string]int{
		"null": 0, "eins": 1, "ein": 1, "zwei": 2, "zwo": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6, "sieben": 7,
		"acht": 8, "neun": 9, "zehn": 10, "elf": 11, "zwölf": 12, "dreizehn": 13, "vierzehn": 14, "fünfzehn": 15,
		"sechzehn": 16, "siebzehn": 17, "achtzehn": 18, "neunzehn": 19,
	}
	germanTens = map[string]int{
		"zwanzig": 20, "dreißig": 30, "vierzig": 40, "fünfzig": 50, "sechzig": 60, "siebzig": 70, "achtzig": 80, "neunzig": 90,
	}
)
