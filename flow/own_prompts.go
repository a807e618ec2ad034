package flow

import "golang.org/x/text/language"

// Keys of the prompts that a kiosk speaks of its own accord, when no step can
// say what has to be said. An author's prompts of the same keys take their place.
const (
	PromptApology      = "apology"        // a step failed and nothing caught it; the conversation ends
	PromptLimit        = "limit"          // a limit of the flow is reached; the conversation ends
	PromptUnheard      = "unheard"        // what the customer said could not be transcribed
	PromptTakeYourTime = "take_your_time" // the customer asks for a moment; the question stays open
	// PromptConfirmHeard asks back what the recogniser was not sure of; {value}.
	PromptConfirmHeard = "confirm_heard"
	// PromptHandoffSummary tells the language model how to sum a conversation up
	// for staff. It is not spoken.
	PromptHandoffSummary = "handoff_summary"
)

// ownPrompts holds them by base language, then key.
var ownPrompts = map[string]map[string]string{
	"en": {
		PromptApology:        "I am sorry, that did not work. Please ask a member of our staff.",
		PromptLimit:          "We have talked for quite a while. For more, please ask a member of our staff. Goodbye.",
		PromptUnheard:        "I am sorry, I could not hear that. You can type it on the screen.",
		PromptTakeYourTime:   "Take your time.",
		PromptConfirmHeard:   "I heard: {value}. Is that right?",
		PromptHandoffSummary: "Sum this conversation up for a colleague who takes over now: what the customer wants, what they have told us, and what has not worked. Two or three short sentences in English, only what was said, no greeting.",
	},
	"de": {
		PromptApology:        "Entschuldigung, das hat leider nicht geklappt. Bitte wenden Sie sich an unser Personal.",
		PromptLimit:          "Wir haben schon eine ganze Weile gesprochen. Bitte wenden Sie sich für alles Weitere an unser Personal. Auf Wiedersehen.",
		PromptUnheard:        "Entschuldigung, das konnte ich nicht hören. Sie können es auf dem Bildschirm eintippen.",
		PromptTakeYourTime:   "Lassen Sie sich Zeit.",
		PromptConfirmHeard:   "Ich habe verstanden: {value}. Stimmt das?",
		PromptHandoffSummary: "Fasse dieses Gespräch für eine Kollegin zusammen, die jetzt übernimmt: was der Kunde möchte, was er uns gesagt hat und was nicht geklappt hat. Zwei oder drei kurze Sätze auf Deutsch, nur was gesagt wurde, ohne Anrede.",
	},
	"fr": {
		PromptApology:        "Désolé, cela n'a pas fonctionné. Veuillez vous adresser à notre personnel.",
		PromptLimit:          "Nous avons déjà bien discuté. Pour la suite, adressez-vous à notre personnel. Au revoir.",
		PromptUnheard:        "Désolé, je n'ai pas pu entendre. Vous pouvez l'écrire sur l'écran.",
		PromptTakeYourTime:   "Prenez votre temps.",
		PromptConfirmHeard:   "J'ai compris : {value}. Est-ce exact ?",
		PromptHandoffSummary: "Résume cette conversation pour un collègue qui prend la suite maintenant : ce que le client souhaite, ce qu'il nous a dit et ce qui n'a pas marché. Deux ou trois phrases courtes en français, seulement ce qui a été dit, sans salutation.",
	},
	"tr": {
		PromptApology:        "Üzgünüm, bir sorun oluştu. Lütfen personelimize danışın.",
		PromptLimit:          "Epeyce konuştuk. Daha fazlası için lütfen personelimize danışın. Hoşça kalın.",
		PromptUnheard:        "Üzgünüm, duyamadım. Ekrandan yazabilirsiniz.",
		PromptTakeYourTime:   "Acele etmeyin.",
		PromptConfirmHeard:   "Şunu duydum: {value}. Doğru mu?",
		PromptHandoffSummary: "Bu konuşmayı şimdi devralacak bir çalışma arkadaşı için özetle: müşteri ne istiyor, bize ne söyledi, ne yolunda gitmedi. İki ya da üç kısa Türkçe cümle, yalnızca söylenenler, selamlama yok.",
	},
}

// ownPromptsOf are the texts for a BCP 47 tag; English where there are none.
func ownPromptsOf(lang string) map[string]string {
	base, _ := language.Make(lang).Base()
	if texts, ok := ownPrompts[base.String()]; ok {
		return texts
	}
	return ownPrompts["en"]
}
