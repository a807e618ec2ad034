package judge_test

import (
	"strings"
	"testing"
	"time"

	"github.com/praesenz/parley/flow/grammar"
	"github.com/praesenz/parley/gateway/judge"
)

const (
	kettles  = "We have electric kettles from nineteen euros in aisle four, and whistling kettles next to them."
	delivery = "Shall we deliver it to your home, or would you rather pick it up in the store?"
	kessel   = "Wasserkocher gibt es in Gang vier, gleich neben den Teekesseln, ab neunzehn Euro."
	tezgah   = "Su ısıtıcıları dördüncü koridorda, çaydanlıkların hemen yanında."
	rayon    = "Les bouilloires se trouvent dans l'allée quatre, à côté des théières."
)

func TestWhatASoundOverTheKiosksVoiceWas(t *testing.T) {
	second := time.Second
	for _, c := range []struct {
		said judge.Said
		want string
	}{
		// No words, or none that anybody said.
		{judge.Said{Over: kettles, Language: "en"}, judge.Noise},
		{judge.Said{Over: kettles, Language: "en", Text: " ... "}, judge.Noise},
		{judge.Said{Over: kettles, Language: "en", Text: "[Music]"}, judge.Noise},
		{judge.Said{Over: kettles, Language: "en", Text: "*coughs*"}, judge.Noise},
		{judge.Said{Over: kettles, Language: "en", Text: "(keyboard clacking) [BLANK_AUDIO]"}, judge.Noise},
		{judge.Said{Over: kettles, Language: "en", Text: "♪ la la la ♪"}, judge.Noise},
		{judge.Said{Over: kettles, Language: "en", Text: "Thanks for watching!"}, judge.Noise},
		{judge.Said{Over: kettles, Language: "en", Text: "Thank you."}, judge.Noise},
		{judge.Said{Over: kettles, Language: "en", Text: "Thank you. Thank you. Thank you."}, judge.Noise},
		{judge.Said{Over: kettles, Language: "en", Text: "you"}, judge.Noise},
		{judge.Said{Over: kessel, Language: "de", Text: "Untertitel der Amara.org-Community"}, judge.Noise},
		{judge.Said{Over: kessel, Language: "de", Text: "Untertitelung des ZDF für funk, 2017"}, judge.Noise},
		{judge.Said{Over: rayon, Language: "fr", Text: "Sous-titres réalisés para la communauté d'Amara.org"}, judge.Noise},
		{judge.Said{Over: tezgah, Language: "tr", Text: "Altyazı M.K."}, judge.Noise},
		{judge.Said{Over: tezgah, Language: "tr", Text: "Abone olmayı unutmayın."}, judge.Noise},
		{judge.Said{Over: kettles, Language: "en", Speech: 300 * time.Millisecond, Text: "I'm going to show you how to do it right now"}, judge.Noise},
		{judge.Said{Over: kettles, Language: "en", Speech: 2 * second, Text: "can you show me how to get there right now"}, ""},
		{judge.Said{Over: kettles, Language: "en", Text: "[coughs] where is that?"}, ""},
		{judge.Said{Over: kettles, Language: "en", Text: "Thank you, but I want a toaster."}, ""},
		{judge.Said{Over: kettles, Language: "en", Text: "you said nineteen?"}, ""},

		// Listening.
		{judge.Said{Over: kettles, Language: "en", Text: "Mhm."}, judge.Backchannel},
		{judge.Said{Over: kettles, Language: "en", Text: "Hmmmm"}, judge.Backchannel},
		{judge.Said{Over: kettles, Language: "en", Text: "Uh-huh."}, judge.Backchannel},
		{judge.Said{Over: kettles, Language: "en", Text: "Mm-hmm, okay."}, judge.Backchannel},
		{judge.Said{Over: kettles, Language: "en-GB", Text: "Yeah, yeah. I see."}, judge.Backchannel},
		{judge.Said{Over: kettles, Language: "en", Text: "All right", MinWords: 2}, judge.Backchannel},
		{judge.Said{Over: kessel, Language: "de-AT", Text: "Ja ja, genau."}, judge.Backchannel},
		{judge.Said{Over: kessel, Language: "de", Text: "Ach so, okay."}, judge.Backchannel},
		{judge.Said{Over: rayon, Language: "fr", Text: "Ah oui, d'accord."}, judge.Backchannel},
		{judge.Said{Over: tezgah, Language: "tr", Text: "Hı hı, tamam."}, judge.Backchannel},
		{judge.Said{Over: kettles, Language: "it", Text: "Mhm, okay"}, judge.Backchannel},
		{judge.Said{Over: kettles, Language: "it", Text: "genau"}, ""},
		{judge.Said{Over: kettles, Language: "en", Text: "Yeah, but where?"}, ""},
		{judge.Said{Over: kettles, Language: "en", Text: "Okay, stop."}, ""},
		{judge.Said{Over: kettles, Language: "en", Text: "No."}, ""},
		{judge.Said{Over: kettles, Language: "en", Text: "Wait!"}, ""},
		{judge.Said{Over: kessel, Language: "de", Text: "Ja, aber billiger."}, ""},

		// An answer to what is being asked.
		{judge.Said{Over: delivery, Language: "en", Question: true, Text: "Okay."}, ""},
		{judge.Said{Over: delivery, Language: "en", Question: true, Text: "Yes please.", MinWords: 4}, ""},
		{judge.Said{Over: delivery, Language: "en", Question: true, Text: "No, thanks.", MinWords: 3}, ""},
		{judge.Said{Over: kessel, Language: "de", Question: true, Text: "Ja ja, genau."}, ""},
		{judge.Said{Over: kessel, Language: "de", Question: true, Text: "Aha."}, judge.Backchannel},
		{judge.Said{Over: delivery, Language: "en", Question: true, Text: "mhm"}, judge.Backchannel},
		{judge.Said{Over: delivery, Language: "en", Question: true, Text: "Thank you.", Confidence: 0.9}, ""},
		{judge.Said{Over: delivery, Language: "en", Question: true, Text: "Thank you.", Confidence: 0.3}, judge.Noise},
		{judge.Said{Over: delivery, Language: "en", Question: true, Text: "Pick it up.", MinWords: 4, Answers: []string{"Deliver it", "Pick it up"}}, ""},

		// Few words.
		{judge.Said{Over: kettles, Language: "en", Text: "kettles?", MinWords: 2}, judge.FewWords},
		{judge.Said{Over: kettles, Language: "en", Text: "I'd like", MinWords: 3}, judge.FewWords},
		{judge.Said{Over: kettles, Language: "en", Text: "um, the, uh, blue", MinWords: 3}, judge.FewWords},
		{judge.Said{Over: kettles, Language: "en", Text: "where is it", MinWords: 3}, ""},
		{judge.Said{Over: kettles, Language: "zh", Text: "我想买一个锤子", MinWords: 3}, ""},
		{judge.Said{Over: kettles, Language: "zh", Text: "锤子", MinWords: 2}, judge.FewWords},
		{judge.Said{Over: kettles, Language: "en", Text: "stop"}, ""},

		// The kiosk's own voice.
		{judge.Said{Over: kettles, Language: "en", Text: "whistling kettles next to them"}, judge.Echo},
		{judge.Said{Over: kettles, Language: "en", Text: "electric kettle from nineteen"}, judge.Echo},
		{judge.Said{Over: kettles, Language: "en", Text: "Kettles from nineteen euro's in I'll four."}, judge.Echo},
		{judge.Said{Over: kessel, Language: "de", Text: "gleich neben den Teekessel"}, judge.Echo},
		{judge.Said{Over: rayon, Language: "fr", Text: "se trouvent dans l'allée quatre"}, judge.Echo},
		{judge.Said{Over: tezgah, Language: "tr", Text: "çaydanlıkların hemen yanında"}, judge.Echo},
		{judge.Said{Over: kettles, Language: "en", Text: "whistling kettles next to them", NoEcho: true}, ""},
		{judge.Said{Over: kettles, Language: "en", Text: "kettles?"}, ""},
		{judge.Said{Over: kettles, Language: "en", Text: "aisle four?"}, ""},
		{judge.Said{Over: kettles, Language: "en", Text: "kettles in aisle four from nineteen euros?"}, ""},
		{judge.Said{Over: kettles, Language: "en", Text: "in aisle four, but how much are the blue ones?"}, ""},
		{judge.Said{Over: kettles, Language: "en", Text: "do you have toasters in aisle four"}, ""},
		{judge.Said{Over: "Aisle four.", Language: "en", Text: "is that aisle four"}, ""},

		// Silence: only noise is ignored.
		{judge.Said{Language: "en", Text: "okay"}, ""},
		{judge.Said{Language: "en", Text: "hammers", MinWords: 3}, ""},
		{judge.Said{Language: "en", Text: "Thank you."}, ""},
		{judge.Said{Language: "en", Text: "Thanks for watching!"}, judge.Noise},
		{judge.Said{Language: "en"}, judge.Noise},
	} {
		if got := judge.Utterance(c.said); got != c.want {
			t.Errorf("%q (%s, min_words %d, question %t) over %q: %q, want %q",
				c.said.Text, c.said.Language, c.said.MinWords, c.said.Question, c.said.Over, got, c.want)
		}
	}
}

// FuzzUtterance reads anything: nothing panics, a verdict is one of those that
// are documented, and what the kiosk says word for word never counts.
func FuzzUtterance(f *testing.F) {
	for _, text := range []string{"", "Mhm.", "[Music", "*(♪", "ﬀ", "İı", "我想", "whistling kettles next to them", "Thank you."} {
		f.Add(text, "en", kettles, 2, true)
		f.Add(text, "tr", tezgah, 0, false)
		f.Add(text, "", "", 0, false)
	}
	f.Fuzz(func(t *testing.T, text, language, over string, minWords int, question bool) {
		if len(text)+len(over) > 4096 {
			return
		}
		switch got := judge.Utterance(judge.Said{Text: text, Language: language, Over: over, MinWords: minWords, Question: question}); got {
		case "", judge.Noise, judge.Backchannel, judge.FewWords, judge.Echo:
		default:
			t.Fatalf("%q over %q: %q", text, over, got)
		}
		if len(over) > 1024 || grammar.Hear(language, over).Len() < 3 || strings.ContainsAny(over, "[({*♪♫（【") {
			return
		}
		if got := judge.Utterance(judge.Said{Text: over, Language: language, Over: over}); got == "" {
			t.Fatalf("%q counts although the kiosk is saying it", over)
		}
	})
}

func BenchmarkUtterance(b *testing.B) {
	said := judge.Said{
		Over: strings.Repeat(kettles+" ", 4), Language: "en", Speech: 3 * time.Second,
		Text: "well I was wondering if you could tell me where I find the whistling kettles next to them",
	}
	b.ReportAllocs()
	for b.Loop() {
		if got := judge.Utterance(said); got != "" {
			b.Fatal(got)
		}
	}
}
