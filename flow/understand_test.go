package flow

import (
	"reflect"
	"slices"
	"testing"
)

func understandPlan() *Plan {
	return &Plan{
		Languages: Languages{Default: "en", Supported: []string{"en", "de", "fr", "tr"}},
		Slots: map[string]Slot{
			"lang": {Type: "enum", Values: []string{"en", "de"}, Synonyms: map[string]map[string][]string{
				"en": {"en": {"English"}, "de": {"German", "Deutsch"}},
				"de": {"en": {"Englisch"}, "de": {"Deutsch"}},
			}},
			"hold":     {Type: "bool"},
			"count":    {Type: "int", Valid: "value > 0 && value < 100"},
			"length":   {Type: "number"},
			"question": {Type: "text", MaxLen: 20},
			"phone":    {Type: "string", Valid: `value.matches("^[+][0-9]{8,15}$")`},
		},
		Intents: []Intent{
			{Name: "goodbye", To: "bye", Phrases: map[string][]string{"en": {"no thanks", "that's all", "goodbye"}, "de": {"nein danke", "tschüss"}}},
			{Name: "repeat", Replay: true, Phrases: map[string][]string{"en": {"repeat that", "again"}, "de": {"noch einmal"}}},
		},
		Steps: map[string]Step{
			"lang":     {Collect: &Collect{Slot: "lang", Buttons: true}},
			"hold":     {Collect: &Collect{Slot: "hold", Buttons: true}},
			"count":    {Collect: &Collect{Slot: "count"}},
			"length":   {Collect: &Collect{Slot: "length"}},
			"question": {Collect: &Collect{Slot: "question"}},
			"phone":    {Collect: &Collect{Slot: "phone"}},
			"say":      {Say: &Say{Prompt: "x"}},
		},
	}
}

func TestUnderstand(t *testing.T) {
	prog, err := NewProgram(understandPlan())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		step, lang, utterance string
		want                  any    // the value; nil: not understood, or an intent
		intent                string // "" for none
	}{
		{"hold", "en", "Yes, please!", true, ""},
		{"hold", "en", "no thanks", false, ""}, // the slot's grammar before the intent
		{"hold", "en", "yes I'd like that", true, ""},
		{"hold", "en", "not sure", nil, ""},
		{"hold", "en", "yes and no", nil, ""},
		{"hold", "en", "goodbye", nil, "goodbye"},
		{"hold", "en", "um, okay", true, ""},
		{"hold", "de", "ja gerne", true, ""},
		{"hold", "de", "Nein, danke.", false, ""},
		{"hold", "de-AT", "Nö", false, ""},
		{"hold", "fr", "Oui, s'il vous plaît", true, ""},
		{"hold", "tr", "HAYIR teşekkürler", false, ""},
		{"hold", "es", "sí", nil, ""},
		{"lang", "en", "German", "de", ""},
		{"lang", "en", "I'd like to speak German, please", "de", ""},
		{"lang", "en", "english or german", nil, ""},
		{"lang", "en", "where in this shop do you keep the german beer", nil, ""},
		{"lang", "en", "germany", nil, ""},
		{"lang", "de", "auf Englisch bitte", "en", ""},
		{"lang", "tr", "Deutsch", "de", ""}, // no Turkish synonyms: the default language's
		{"lang", "en", "de", "de", ""},
		{"lang", "en", "That's all!", nil, "goodbye"},
		{"count", "en", "12", int64(12), ""},
		{"count", "en", "twenty-one please", int64(21), ""},
		{"count", "en", "I need five of them", int64(5), ""},
		{"count", "en", "five or six", nil, ""},
		{"count", "en", "two hundred and five", nil, ""}, // refused by valid
		{"count", "en", "2.5", nil, ""},
		{"count", "de", "einundzwanzig", int64(21), ""},
		{"count", "de", "ich brauche ein paar", nil, ""},
		{"length", "de", "2,5", 2.5, ""},
		{"length", "de", "zweihundertfünfunddreißig", 235.0, ""},
		{"length", "de", "zwei Komma fünf", 2.5, ""},
		{"length", "en", "two point two five", 2.25, ""},
		{"length", "en", "minus three", -3.0, ""},
		{"length", "en", "nine hundred ninety nine", 999.0, ""},
		{"length", "en", "a hundred", 100.0, ""},
		{"question", "en", "  where  are hammers ", "where are hammers", ""},
		{"question", "en", "OK, that's all, thank you", nil, "goodbye"},
		{"question", "en", "that's all I need to know", nil, ""}, // longer than max_len
		{"question", "de", "Noch einmal, bitte", nil, "repeat"},
		{"question", "en", " ?! ", nil, ""},
		{"phone", "en", "+49151234567", "+49151234567", ""},
		{"phone", "en", "my number", nil, ""},
		{"say", "en", "again", nil, "repeat"},
		{"say", "en", "hello", nil, ""},
	} {
		t.Run(c.step+"/"+c.lang+"/"+c.utterance, func(t *testing.T) {
			got := prog.Understand(Heard{Step: c.step, Language: c.lang, Text: c.utterance})
			if !reflect.DeepEqual(got.Values[c.step], c.want) || got.Intent != c.intent {
				t.Errorf("got %+v, want value %#v, intent %q", got, c.want, c.intent)
			}
			if got.OK != (c.want != nil || c.intent != "") || got.OK != (got.Why == "") {
				t.Errorf("OK and Why disagree with the rest: %+v", got)
			}
		})
	}
}

func TestTouchedButtonWins(t *testing.T) {
	prog, err := NewProgram(understandPlan())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		step, touched string
		want          any
	}{
		{"lang", "de", "de"},
		{"hold", "false", false},
		{"hold", "de", nil}, // a button of an earlier step
	} {
		if got := prog.Understand(Heard{Step: c.step, Language: "en", Text: "english please", Touched: c.touched}); !reflect.DeepEqual(got.Values[c.step], c.want) {
			t.Errorf("%s touched at %s: %+v, want %#v", c.touched, c.step, got, c.want)
		}
	}
}

func TestExpected(t *testing.T) {
	p, err := NewProgram(understandPlan())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		step, lang string
		first      []string
	}{
		{"lang", "en", []string{"English", "German", "Deutsch", "no thanks"}},
		{"hold", "de", []string{"ja", "ja gerne"}},
		{"question", "de", []string{"nein danke", "tschüss", "noch einmal"}},
	} {
		got := p.Expected(Heard{Step: c.step, Language: c.lang})
		if len(got) < len(c.first) || !slices.Equal(got[:len(c.first)], c.first) {
			t.Errorf("%s in %s: %q; want it to begin %q", c.step, c.lang, got, c.first)
		}
	}
}

func TestButtons(t *testing.T) {
	p, err := NewProgram(understandPlan())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		step, lang string
		want       []Button
	}{
		{"lang", "de", []Button{{"en", "Englisch"}, {"de", "Deutsch"}}},
		{"hold", "fr", []Button{{"true", "Oui"}, {"false", "Non"}}},
		{"question", "en", nil},
	} {
		if got := p.Buttons(c.step, c.lang, nil); !slices.Equal(got, c.want) {
			t.Errorf("%s in %s: %v, want %v", c.step, c.lang, got, c.want)
		}
	}
}
