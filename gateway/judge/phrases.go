package judge

import (
	"strings"

	"golang.org/x/text/language"

	"github.com/praesenz/parley/flow/grammar"
)

// captions are what Whisper makes of noise because it learned from films with
// subtitles: the subtitlers' credits and the farewells of video channels. Nobody
// says them to a kiosk, however long the sound was. Each stands for all that
// begins with it ("untertitel im auftrag des zdf, 2017").
//
// Sources: the lists of "A possible solution to Whisper hallucination"
// (github.com/openai/whisper/discussions/679) and of "Dataset of hallucinations"
// (discussions/928); Barański et al., "Investigation of Whisper ASR
// Hallucinations Induced by Non-Speech Audio" (arXiv 2501.11378), whose most
// frequent ones are here; Turkish: github.com/Vexa-ai/vexa issue 617 and
// discussions/679.
var captions = phrases(
	// English
	"thanks for watching", "thank you for watching", "thank you so much for watching", "thank you very much for watching",
	"please subscribe", "like and subscribe", "please like and subscribe", "dont forget to subscribe", "subscribe to my channel",
	"subtitles by", "subtitled by", "captions by", "captioned by", "captioning by", "transcription by", "transcribed by",
	"translated by", "amara org", "www mooji org", "see you in the next video", "ill see you in the next video",
	"see you in the next one", "thanks for listening", "thank you for listening",
	// German
	"untertitel der amara org", "untertitelung aufgrund der amara org", "untertitel im auftrag des zdf",
	"untertitelung im auftrag des zdf", "untertitelung des zdf", "untertitel von", "untertitel des zdf", "untertitel ard",
	"copyright wdr", "swr 2020", "swr 2021", "vielen dank fürs zuschauen", "vielen dank für ihre aufmerksamkeit", "danke fürs zuschauen",
	// French
	"sous titres réalisés par", "sous titres réalisés para", "sous titres réalisés pour", "sous titres par", "sous titres fait par",
	"sous titres faits par", "sous titrage", "merci davoir regardé", "abonnez vous", "noubliez pas de vous abonner",
	// Turkish
	"altyazı m k", "abone olmayı unutmayın", "izlediğiniz için teşekkür", "izlediğiniz için teşekkürler",
	"bir sonraki videoda görüşmek üzere",
)

// polites are what Whisper most often makes of a short noise, of the same
// sources, and what people also say. Nobody minds when the kiosk does not stop
// for them.
var polites = phrases(
	"thank you", "thank you very much", "thank you so much", "thanks", "you", "bye", "bye bye", "the end", "so", "the",
	"danke", "danke schön", "vielen dank", "tschüss", "das wars", "bis zum nächsten mal",
	"merci", "merci beaucoup", "au revoir",
	"teşekkürler", "teşekkür ederim", "teşekkür ederiz", "sağ ol", "hoşça kalın",
)

// hesitations are in all languages the same, as far as recognisers write them.
var hesitations = phrases("uh", "uhm", "um", "er", "erm", "äh", "ähm", "euh", "eh", "hm", "mh", "ııı")

// everywhere are the sounds of listening that most languages share.
var everywhere = []string{
	"hm", "hmm", "mhm", "mh", "mm", "mm hm", "mm mm", "hm hm", "uh huh", "aha", "ah ha", "ah", "oh", "ooh", "okay", "ok", "okey",
	"uh", "uhm", "um", "er", "erm", "äh", "ähm", "euh", "eh", "wow", "super",
}

// backchannels are what listeners say to show that they listen, by language.
var backchannels = map[string]map[string]bool{
	"": phrases(everywhere...),
	"en": phrases(append([]string{
		"yeah", "yes", "yep", "yup", "ya", "right", "alright", "all right", "sure", "i see", "i know", "got it", "of course",
		"exactly", "true", "good", "great", "nice", "cool", "fine", "perfect", "oh yeah", "oh yes", "oh really", "oh wow", "that is right",
		"thats right", "that is true", "thats true", "makes sense", "i understand", "oh okay", "sounds good",
	}, everywhere...)...),
	"de": phrases(append([]string{
		"ja", "jo", "joa", "ja ja", "jaja", "jawohl", "genau", "gut", "na gut", "sehr gut", "stimmt", "das stimmt", "richtig", "klar",
		"na klar", "alles klar", "ach", "ach so", "achso", "ach ja", "oh ja", "ah ja", "ach was", "verstehe", "ich verstehe",
		"verstanden", "natürlich", "sicher", "schön", "toll", "prima", "perfekt", "eben", "so so", "soso", "in ordnung", "passt", "gerne",
	}, everywhere...)...),
	"fr": phrases(append([]string{
		"oui", "ouais", "ah oui", "ah bon", "oh oui", "daccord", "bien", "très bien", "bien sûr", "bon", "cest ça", "cest vrai", "exact",
		"exactement", "tout à fait", "voilà", "je vois", "je comprends", "compris", "parfait", "entendu", "vrai", "hein", "génial", "bah oui", "hum",
	}, everywhere...)...),
	"tr": phrases(append([]string{
		"evet", "tamam", "tamamdır", "peki", "olur", "aynen", "aynen öyle", "doğru", "öyle", "tabii", "tabi", "tabii ki", "elbette",
		"anladım", "anlıyorum", "hı", "hı hı", "hıhı", "hımm", "ha", "haa", "güzel", "iyi", "çok iyi", "çok güzel", "harika", "ya", "öyle mi", "hadi ya",
	}, everywhere...)...),
}

// longestPhrase is in words.
const longestPhrase = 4

// phrases are written as Utterance compares them: folded as the grammar folds
// words, and squeezed.
func phrases(list ...string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, p := range list {
		set[squeeze(grammar.Normal("", p))] = true
	}
	return set
}

// squeeze makes one letter of several that are the same: how often a recogniser
// writes the m of "hmmm" means nothing.
func squeeze(s string) string {
	var b strings.Builder
	var last rune
	for _, r := range s {
		if r != last {
			b.WriteRune(r)
		}
		last = r
	}
	return b.String()
}

// isCaption tells whether it begins as a caption does.
func isCaption(said []string) bool {
	text := squeeze(strings.Join(said, " "))
	for i := range len(text) + 1 {
		if (i == len(text) || text[i] == ' ') && captions[text[:i]] {
			return true
		}
	}
	return false
}

// isPolite tells whether it is one polite phrase, or the same several times, as
// Whisper repeats itself.
func isPolite(said []string) bool { return made(said, polites) }

// isBackchannel tells whether it is nothing but sounds of listening.
func isBackchannel(tag string, said []string) bool {
	base, _ := language.Make(tag).Base()
	known, ok := backchannels[base.String()]
	if !ok {
		known = backchannels[""]
	}
	return made(said, known)
}

// made tells whether words are made of phrases alone.
func made(said []string, of map[string]bool) bool {
	for len(said) > 0 {
		n := min(longestPhrase, len(said))
		for n > 0 && !of[squeeze(strings.Join(said[:n], " "))] {
			n--
		}
		if n == 0 {
			return false
		}
		said = said[n:]
	}
	return true
}
