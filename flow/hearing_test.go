package flow

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

// hotelPlan asks for most types of slots, and has every kind of intent.
func hotelPlan() *Plan {
	words := func(en, de string) map[string][]string { return map[string][]string{"en": {en}, "de": {de}} }
	collect := func(slot string, also ...string) Step {
		return Step{Collect: &Collect{Slot: slot, Also: also, Understand: "model"}}
	}
	p := &Plan{
		Languages: Languages{Default: "en", Supported: []string{"en", "de", "fr", "tr"}, Slot: "lang"},
		Slots: map[string]Slot{
			"lang":      {Type: "enum", Values: []string{"en", "de", "fr", "tr"}, Synonyms: map[string]map[string][]string{"en": {"en": {"English"}, "de": {"German"}, "fr": {"French"}, "tr": {"Turkish"}}}},
			"arrival":   {Type: "date", About: "the first day"},
			"departure": {Type: "date"},
			"at":        {Type: "time"},
			"guests":    {Type: "int", Valid: "value < 10"},
			"budget":    {Type: "amount"},
			"wake":      {Type: "time", Valid: `value >= "04:00" && value <= "12:00"`},
			"breakfast": {Type: "bool"},
			"bed":       {Type: "enum", Values: []string{"single", "double", "twin"}, Synonyms: map[string]map[string][]string{"de": {"single": {"Einzelzimmer"}, "double": {"Doppelzimmer"}, "twin": {"Zweibettzimmer"}}}},
			"name":      {Type: "string", Pattern: `[A-Za-z ]+`},
			"phone":     {Type: "string", Normalise: "e164", Sensitive: true},
			"mail":      {Type: "string", Normalise: "email"},
			"booking":   {Type: "string", Normalise: "code", Pattern: `[A-Z][0-9]{3}`},
			"room":      {Type: "string"},
			"wish":      {Type: "text"},
		},
		Vars: map[string]Type{"rooms": "list(string)"},
		Intents: []Intent{
			{Name: "cancel", To: "bye", Phrases: words("no room after all", "kein Zimmer mehr")},
			{Name: "human", To: "staff"},
			{Name: "repeat", Replay: true},
			{Name: "language", Set: []Assign{{Name: "slots.lang", Expr: "heard.language"}}},
			{Name: "correct", Correct: []string{"lang", "arrival", "departure", "at", "guests", "bed", "name"}},
			{Name: "digress", Digress: &Digress{Flows: []string{"house@1.0.0"}, Depth: 1}},
		},
		Steps: map[string]Step{
			"arrival": collect("arrival", "departure", "guests", "bed", "at"), "at": collect("at"), "guests": collect("guests"), "budget": collect("budget"),
			"breakfast": collect("breakfast"), "bed": {Collect: &Collect{Slot: "bed", Buttons: true, Understand: "model"}}, "name": collect("name"), "who": collect("name", "arrival", "at"),
			"phone": collect("phone"), "mail": collect("mail"), "booking": collect("booking"), "room": {Collect: &Collect{Slot: "room", Options: "vars.rooms", Buttons: true, Understand: "grammar"}},
			"wish": collect("wish"), "wake": collect("wake"), "known": collect("breakfast", "booking"), "stay": collect("bed", "arrival", "departure", "guests"),
			"say": {Say: &Say{Prompt: "x"}},
		},
		Flows: map[string]Plan{"house@1.0.0": {About: "Customer asks about the house", Phrases: words("where is the pool", "wo ist das Schwimmbad")}},
	}
	return p
}

func hotel(t *testing.T) *Program {
	t.Helper()
	prog, err := NewProgram(hotelPlan())
	if err != nil {
		t.Fatal(err)
	}
	return prog
}

// monday is the day on which everything is said.
var monday = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

type told = map[string]any

func TestUnderstandsWhatIsSaid(t *testing.T) {
	prog := hotel(t)
	for name, c := range map[string]struct {
		h    Heard
		want Understanding // without Why
	}{
		"a date":                   {Heard{Step: "arrival", Text: "next Friday please"}, Understanding{OK: true, Values: told{"arrival": "2026-11-27"}}},
		"several slots at once":    {Heard{Step: "arrival", Text: "a double for four people from Friday to Sunday, and we come at half past three"}, Understanding{OK: true, Values: told{"arrival": "2026-11-27", "departure": "2026-11-29", "guests": int64(4), "bed": "double", "at": "15:30"}}},
		"the same in German":       {Heard{Step: "arrival", Language: "de", Text: "Ein Doppelzimmer für zwei Personen von Freitag bis Sonntag"}, Understanding{OK: true, Values: told{"arrival": "2026-11-27", "departure": "2026-11-29", "guests": int64(2), "bed": "double"}}},
		"an enum in a long answer": {Heard{Step: "stay", Text: "well we would like to have a double from Friday to Sunday for four people"}, Understanding{OK: true, Values: told{"arrival": "2026-11-27", "departure": "2026-11-29", "guests": int64(4), "bed": "double"}}},
		"only what was not asked":  {Heard{Step: "arrival", Text: "a twin for three"}, Understanding{OK: true, Values: told{"bed": "twin", "guests": int64(3)}}},
		"an invalid also is left":  {Heard{Step: "arrival", Text: "Friday for twenty people"}, Understanding{OK: true, Values: told{"arrival": "2026-11-27"}}},
		"an hour":                  {Heard{Step: "at", Text: "three"}, Understanding{OK: true, Values: told{"at": "15:00"}}},
		"refused by valid":         {Heard{Step: "guests", Text: "twelve"}, Understanding{Invalid: int64(12)}},
		"an amount":                {Heard{Step: "budget", Text: "around eighty euros fifty"}, Understanding{OK: true, Values: told{"budget": 80.5}}},
		"a name":                   {Heard{Step: "name", Text: "Anna Berg."}, Understanding{OK: true, Values: told{"name": "Anna Berg"}, AskModel: true}},
		"a day is no name":         {Heard{Step: "who", Text: "tomorrow at three please"}, Understanding{OK: true, Values: told{"arrival": "2026-11-24", "at": "15:00"}}},
		"a name as before":         {Heard{Step: "who", Text: "Anna"}, Understanding{OK: true, Values: told{"name": "Anna"}, AskModel: true}},
		"a name in a sentence":     {Heard{Step: "name", Language: "de", Text: "Mein Name ist Anna Berg."}, Understanding{OK: true, Values: told{"name": "Anna Berg"}, AskModel: true}},
		"refused by pattern":       {Heard{Step: "name", Text: "R2D2"}, Understanding{Invalid: "R2D2"}},
		"a telephone number":       {Heard{Step: "phone", Language: "de", Text: "null eins fünf eins eins zwei drei vier fünf sechs sieben acht"}, Understanding{OK: true, Values: told{"phone": "+4915112345678"}}},
		"no number, not for model": {Heard{Step: "phone", Text: "I would rather not"}, Understanding{}},
		"an address":               {Heard{Step: "mail", Text: "anna dot b at example dot com"}, Understanding{OK: true, Values: told{"mail": "anna.b@example.com"}}},
		"a code":                   {Heard{Step: "booking", Text: "It is kilo one seven three"}, Understanding{OK: true, Values: told{"booking": "K173"}}},
		"cancel is no code":        {Heard{Step: "booking", Text: "cancel"}, Understanding{OK: true, Intent: "cancel"}},
		"a text may be an intent":  {Heard{Step: "wish", Text: "a quiet room"}, Understanding{OK: true, Values: told{"wish": "a quiet room"}, AskModel: true}},
		"punctuation stays":        {Heard{Step: "wish", Text: " a quiet room (large)  please! "}, Understanding{OK: true, Values: told{"wish": "a quiet room (large) please!"}, AskModel: true}},
		"for the model":            {Heard{Step: "guests", Text: "the whole family"}, Understanding{AskModel: true}},
		"silence is not":           {Heard{Step: "guests", Text: "…"}, Understanding{}},
		"a synonym":                {Heard{Step: "bed", Language: "de", Text: "ein Doppelzimmer, bitte"}, Understanding{OK: true, Values: told{"bed": "double"}}},
		"a place on the screen":    {Heard{Step: "bed", Text: "the second one"}, Understanding{OK: true, Values: told{"bed": "double"}}},
		"the last of them":         {Heard{Step: "bed", Language: "de", Text: "das letzte bitte"}, Understanding{OK: true, Values: told{"bed": "twin"}}},
		"an option":                {Heard{Step: "room", Text: "the garden view", Options: []string{"Garden view", "Sea view"}}, Understanding{OK: true, Values: told{"room": "Garden view"}}},
		"an option's place":        {Heard{Step: "room", Language: "tr", Text: "ikinci", Options: []string{"Garden view", "Sea view"}}, Understanding{OK: true, Values: told{"room": "Sea view"}}},
		"no option":                {Heard{Step: "room", Text: "the penthouse", Options: []string{"Garden view", "Sea view"}}, Understanding{}},
		"an option that is a time": {Heard{Step: "room", Language: "de", Text: "lieber die um halb drei", Options: []string{"11:00", "14:30"}}, Understanding{OK: true, Values: told{"room": "14:30"}}},
		"the morning is valid":     {Heard{Step: "wake", Text: "at half past six"}, Understanding{OK: true, Values: told{"wake": "06:30"}}},
		"one night":                {Heard{Step: "guests", Language: "fr", Text: "une personne"}, Understanding{OK: true, Values: told{"guests": int64(1)}}},
		"a time is no number":      {Heard{Step: "guests", Language: "de", Text: "nein, lieber die um halb drei"}, Understanding{AskModel: true}},
		"a code in a sentence":     {Heard{Step: "known", Text: "yes, it is kilo one seven three"}, Understanding{OK: true, Values: told{"breakfast": true, "booking": "K173"}}},
		"a number of nobody":       {Heard{Step: "phone", Language: "de", Text: "null eins zwei drei"}, Understanding{Invalid: "0123"}},
		"a touched option":         {Heard{Step: "room", Touched: "Sea view", Options: []string{"Garden view", "Sea view"}}, Understanding{OK: true, Values: told{"room": "Sea view"}}},
		"a touched intent":         {Heard{Step: "room", Touched: "human", Options: []string{"Garden view"}}, Understanding{OK: true, Intent: "human"}},

		"an author's phrase":    {Heard{Step: "guests", Text: "No room after all!"}, Understanding{OK: true, Intent: "cancel"}},
		"cancel in French":      {Heard{Step: "guests", Language: "fr", Text: "Laissez tomber"}, Understanding{OK: true, Intent: "cancel"}},
		"a human in German":     {Heard{Step: "wish", Language: "de", Text: "Kann ich bitte mit jemandem sprechen?"}, Understanding{OK: true, Intent: "human"}},
		"a human, word by word": {Heard{Step: "wish", Language: "de", Text: "Ich möchte mit einem Menschen sprechen"}, Understanding{OK: true, Intent: "human"}},
		"repeat in Turkish":     {Heard{Step: "wish", Language: "tr", Text: "Tekrar eder misiniz?"}, Understanding{OK: true, Intent: "repeat"}},
		"where only intents":    {Heard{Step: "say", Text: "say that again"}, Understanding{OK: true, Intent: "repeat"}},
		"a digression":          {Heard{Step: "wish", Text: "Where is the pool?"}, Understanding{OK: true, Intent: "digress", Flow: "house@1.0.0"}},
		"German, in German":     {Heard{Step: "wish", Text: "Auf Deutsch bitte!"}, Understanding{OK: true, Intent: "language", Language: "de"}},
		"French, in Turkish":    {Heard{Step: "guests", Language: "tr", Text: "Fransızca konuşabilir miyiz?"}, Understanding{OK: true, Intent: "language", Language: "fr"}},
		"Turkish, in English":   {Heard{Step: "guests", Text: "do you speak Turkish"}, Understanding{OK: true, Intent: "language", Language: "tr"}},
		"Turkish, in itself":    {Heard{Step: "guests", Text: "Türkçe"}, Understanding{OK: true, Intent: "language", Language: "tr"}},
		"a language it is not":  {Heard{Step: "guests", Text: "Spanish please"}, Understanding{AskModel: true}},
		"German, but a beer":    {Heard{Step: "wish", Text: "a German beer please"}, Understanding{OK: true, Values: told{"wish": "a German beer please"}, AskModel: true}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.h.Language == "" {
				c.h.Language = "en"
			}
			c.h.Now = monday
			got := prog.Understand(c.h)
			if got.OK == (got.Why != "") {
				t.Errorf("OK and Why disagree: %+v", got)
			}
			got.Why = ""
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("%q: got %+v, want %+v", c.h.Text+c.h.Touched, got, c.want)
			}
		})
	}
}

func TestUnderstandsCorrections(t *testing.T) {
	prog := hotel(t)
	slots := told{"lang": "en", "arrival": "2026-11-27", "at": "15:00", "guests": 4.0, "bed": "double", "name": "Anna Berg"}
	answered := map[string]bool{"lang": true, "arrival": true, "at": true, "guests": true, "bed": true, "name": true}
	corrected := func(slot string, v any) Understanding {
		return Understanding{OK: true, Intent: "correct", Values: told{slot: v}}
	}
	for _, c := range []struct {
		step, lang, text string
		want             Understanding
	}{
		{"breakfast", "en", "no, I meant German", corrected("lang", "de")},
		{"breakfast", "en", "sorry, I meant Saturday", corrected("arrival", "2026-11-28")},
		{"wish", "en", "Actually, five people", corrected("guests", int64(5))},
		{"budget", "en", "not four but five guests", corrected("guests", int64(5))},
		{"budget", "en", "I meant a single", corrected("bed", "single")},
		{"budget", "en", "I meant Anna Burg", corrected("name", "Anna Burg")},
		{"breakfast", "de", "nicht 15 Uhr, sondern 16 Uhr", corrected("at", "16:00")},
		{"breakfast", "de", "Nein, ich meinte Samstag", corrected("arrival", "2026-11-28")},
		{"budget", "de", "doch lieber ein Einzelzimmer", corrected("bed", "single")},
		{"breakfast", "fr", "non, je voulais dire samedi", corrected("arrival", "2026-11-28")},
		{"budget", "fr", "pas quatre mais cinq", corrected("guests", int64(5))},
		{"breakfast", "tr", "cuma değil cumartesi", corrected("arrival", "2026-11-28")},
		{"breakfast", "tr", "cumartesi demek istedim", corrected("arrival", "2026-11-28")},
		// What was not answered, is the same, or breaks the slot's rules is no correction.
		{"budget", "fr", "attendez un moment", Understanding{Wait: true}},
		{"budget", "en", "I meant a double", Understanding{AskModel: true}},
		{"budget", "en", "I meant twenty guests", Understanding{AskModel: true}},
		{"guests", "en", "actually five", Understanding{OK: true, Values: told{"guests": int64(5)}}},
		{"wish", "en", "I mean a quiet one", Understanding{OK: true, Values: told{"wish": "I mean a quiet one"}, AskModel: true}},
	} {
		got := prog.Understand(Heard{Step: c.step, Language: c.lang, Text: c.text, Now: monday, Slots: slots, Answered: answered})
		got.Why = ""
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s at %s: got %+v, want %+v", c.text, c.step, got, c.want)
		}
	}
	got := prog.Understand(Heard{Step: "breakfast", Language: "en", Text: "I meant Saturday", Now: monday, Slots: told{"arrival": "2026-11-27"}})
	if got.Intent != "" {
		t.Errorf("a slot that nobody has answered is corrected: %+v", got)
	}
}

func TestUnderstandsConfirmations(t *testing.T) {
	prog := hotel(t)
	yes, no := Understanding{OK: true, Confirmed: "yes"}, Understanding{OK: true, Confirmed: "no"}
	other := func(slot string, v any) Understanding {
		return Understanding{OK: true, Confirmed: "no", Values: told{slot: v}}
	}
	for _, c := range []struct {
		step, lang, text string
		confirming       any
		want             Understanding
	}{
		{"guests", "en", "Yes, that's right.", 4.0, yes},
		{"guests", "en", "four", 4.0, yes},
		{"guests", "en", "no", 4.0, no},
		{"guests", "en", "No, it's five.", 4.0, other("guests", int64(5))},
		{"guests", "en", "five", 4.0, other("guests", int64(5))},
		{"guests", "en", "no, twenty", 4.0, Understanding{OK: true, Confirmed: "no", Invalid: int64(20)}},
		{"guests", "en", "no, a human please", 4.0, Understanding{OK: true, Intent: "human"}},
		{"guests", "en", "what did you say", 4.0, Understanding{OK: true, Intent: "repeat"}},
		{"guests", "en", "the weather is nice", 4.0, Understanding{AskModel: true}},
		{"name", "en", "no, it's Hannah", "Anna", other("name", "Hannah")},
		{"name", "en", "Hannah", "Anna", other("name", "Hannah")},
		{"name", "en", "yes, Anna", "Anna", yes},
		{"arrival", "de", "nein, am Samstag", "2026-11-27", other("arrival", "2026-11-28")},
		{"arrival", "de", "nicht Freitag, sondern Samstag", "2026-11-27", other("arrival", "2026-11-28")},
		{"arrival", "fr", "c'est ça", "2026-11-27", yes},
		{"arrival", "tr", "hayır, cumartesi", "2026-11-27", other("arrival", "2026-11-28")},
		{"breakfast", "en", "no", true, no},
		{"booking", "en", "no, kilo one seven four", "K173", other("booking", "K174")},
		{"say", "en", "yes", "the pool", yes},
	} {
		got := prog.Understand(Heard{Step: c.step, Language: c.lang, Text: c.text, Confirming: c.confirming, Now: monday})
		got.Why = ""
		if len(got.Values) == 0 {
			got.Values = nil
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q about %v at %s: got %+v, want %+v", c.text, c.confirming, c.step, got, c.want)
		}
	}
	if got := prog.Understand(Heard{Step: "name", Language: "en", Touched: "true", Confirming: "Anna"}); got.Confirmed != "yes" {
		t.Errorf("a touched yes: %+v", got)
	}
}

// callers are two flows that wait for the hotel's: a shop, and what called it.
func callers(t *testing.T) []Caller {
	t.Helper()
	languages := Languages{Default: "en", Supported: []string{"en", "de"}, Slot: "lang"}
	lang := Slot{Type: "enum", Values: []string{"en", "de"}}
	var out []Caller
	for _, p := range []*Plan{
		{
			Flow: "shop", Languages: languages, Slots: map[string]Slot{"lang": lang, "colour": {Type: "enum", Values: []string{"red", "blue"}}, "nights": {Type: "int"}},
			Intents: []Intent{
				{Name: "human", To: "till"},
				{Name: "gift", To: "wrap", Phrases: map[string][]string{"en": {"it is a present", "yes"}}},
				{Name: "correct", Correct: []string{"colour", "nights"}},
			},
		},
		{
			Flow: "mall", Languages: languages, Slots: map[string]Slot{"lang": lang},
			Intents: []Intent{
				{Name: "gift", To: "nowhere", Phrases: map[string][]string{"en": {"it is a present"}}},
				{Name: "lost", To: "exit", Phrases: map[string][]string{"en": {"where is the exit"}}},
			},
		},
	} {
		prog, err := NewProgram(p)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, Caller{Program: prog, Slots: told{"colour": "red", "nights": int64(2)}, Answered: map[string]bool{"colour": true, "nights": true}})
	}
	return out
}

func TestUnderstandsCallersIntents(t *testing.T) {
	prog := hotel(t)
	for name, c := range map[string]struct {
		h    Heard
		want Understanding // without Why
	}{
		"a caller's":                     {Heard{Step: "guests", Text: "it is a present"}, Understanding{OK: true, Intent: "gift", Outer: 1}},
		"its caller's":                   {Heard{Step: "guests", Text: "where is the exit"}, Understanding{OK: true, Intent: "lost", Outer: 2}},
		"the own first":                  {Heard{Step: "guests", Text: "a human please"}, Understanding{OK: true, Intent: "human"}},
		"rather than any text":           {Heard{Step: "wish", Text: "it is a present"}, Understanding{OK: true, Intent: "gift", Outer: 1}},
		"but not than the own answer":    {Heard{Step: "breakfast", Text: "yes"}, Understanding{OK: true, Values: told{"breakfast": true}}},
		"nor than a confirmation":        {Heard{Step: "guests", Text: "yes", Confirming: 4.0}, Understanding{OK: true, Confirmed: "yes"}},
		"in a confirmation":              {Heard{Step: "guests", Text: "it is a present", Confirming: 4.0}, Understanding{OK: true, Intent: "gift", Outer: 1}},
		"touched":                        {Heard{Step: "guests", Touched: "lost"}, Understanding{OK: true, Intent: "lost", Outer: 2}},
		"what a caller's slot was":       {Heard{Step: "breakfast", Text: "no, I meant blue"}, Understanding{OK: true, Intent: "correct", Outer: 1, Values: told{"colour": "blue"}}},
		"what answers is no correction":  {Heard{Step: "guests", Text: "I meant five"}, Understanding{OK: true, Values: told{"guests": int64(5)}}},
		"a moment, whatever callers say": {Heard{Step: "guests", Text: "one moment please"}, Understanding{Wait: true}},
	} {
		t.Run(name, func(t *testing.T) {
			c.h.Language, c.h.Now, c.h.Callers = "en", monday, callers(t)
			got := prog.Understand(c.h)
			got.Why = ""
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestCallersMeanings(t *testing.T) {
	prog, h := hotel(t), Heard{Step: "breakfast", Language: "en", Now: monday, Callers: callers(t)}
	slots, intents := prog.Meanings(h)
	var names []string
	for _, s := range slots {
		names = append(names, s.Name)
	}
	for _, in := range intents[len(intents)-4:] {
		names = append(names, in.Name)
	}
	if want := []string{"breakfast", "shop.colour", "shop.nights", "shop.human", "shop.gift", "mall.gift", "mall.lost"}; !slices.Equal(names, want) {
		t.Errorf("meanings %q, want %q", names, want)
	}
	for _, c := range []struct {
		intent string
		values told
		want   Understanding
	}{
		{"mall.gift", nil, Understanding{OK: true, Intent: "gift", Outer: 2}},
		{"gift", nil, Understanding{OK: true, Intent: "gift", Outer: 1}},
		{"human", nil, Understanding{OK: true, Intent: "human"}},
		{"", told{"shop.colour": "blue"}, Understanding{OK: true, Intent: "correct", Outer: 1, Values: told{"colour": "blue"}}},
		{"", told{"shop.colour": "red"}, Understanding{}},
	} {
		got := prog.FromModel(h, c.intent, c.values)
		got.Why = ""
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q %v: got %+v, want %+v", c.intent, c.values, got, c.want)
		}
	}
	if expected := prog.Expected(h); !slices.Contains(expected, "where is the exit") {
		t.Errorf("the recogniser expects %q, want callers' phrases too", expected)
	}
}

func TestMeanings(t *testing.T) {
	slots, intents := hotel(t).Meanings(Heard{Step: "arrival", Language: "en", Answered: map[string]bool{"lang": true, "arrival": true, "phone": true}})
	var names []string
	for _, s := range slots {
		names = append(names, s.Name)
		if s.Correct != (s.Name == "lang") {
			t.Errorf("%+v", s)
		}
	}
	if want := []string{"arrival", "departure", "guests", "bed", "at", "lang"}; !slices.Equal(names, want) {
		t.Errorf("slots %q, want %q", names, want)
	}
	names = nil
	for _, in := range intents {
		names = append(names, in.Name)
		if in.About == "" {
			t.Errorf("%q says nothing of itself", in.Name)
		}
	}
	if want := []string{"cancel", "human", "repeat", "language:de", "language:fr", "language:tr", "digress:house@1.0.0"}; !slices.Equal(names, want) {
		t.Errorf("intents %q, want %q", names, want)
	}
	if slots, _ := hotel(t).Meanings(Heard{Step: "phone", Language: "en"}); len(slots) != 0 {
		t.Errorf("a sensitive slot is told to the model: %+v", slots)
	}
}

func TestFromModel(t *testing.T) {
	prog := hotel(t)
	for name, c := range map[string]struct {
		h      Heard
		intent string
		values told
		want   Understanding
	}{
		"values":             {Heard{Step: "arrival"}, "", told{"arrival": "2026-11-28", "guests": 2.0, "at": nil}, Understanding{OK: true, Values: told{"arrival": "2026-11-28", "guests": int64(2)}}},
		"a date in words":    {Heard{Step: "arrival"}, "", told{"arrival": "tomorrow"}, Understanding{OK: true, Values: told{"arrival": "2026-11-24"}}},
		"an intent":          {Heard{Step: "arrival"}, "human", nil, Understanding{OK: true, Intent: "human"}},
		"a language":         {Heard{Step: "arrival"}, "language:fr", nil, Understanding{OK: true, Intent: "language", Language: "fr"}},
		"a flow":             {Heard{Step: "arrival"}, "digress:house@1.0.0", nil, Understanding{OK: true, Intent: "digress", Flow: "house@1.0.0"}},
		"an unknown intent":  {Heard{Step: "arrival"}, "dance", nil, Understanding{}},
		"an unknown value":   {Heard{Step: "bed"}, "", told{"bed": "water"}, Understanding{}},
		"refused":            {Heard{Step: "guests"}, "", told{"guests": 40.0}, Understanding{Invalid: int64(40)}},
		"half a person":      {Heard{Step: "guests"}, "", told{"guests": 2.5}, Understanding{}},
		"of another slot":    {Heard{Step: "guests"}, "", told{"phone": "1"}, Understanding{}},
		"a correction":       {Heard{Step: "guests", Answered: map[string]bool{"bed": true}, Slots: told{"bed": "twin"}}, "", told{"bed": "double"}, Understanding{OK: true, Intent: "correct", Values: told{"bed": "double"}}},
		"no correction":      {Heard{Step: "guests", Answered: map[string]bool{"bed": true}, Slots: told{"bed": "twin"}}, "", told{"bed": "twin"}, Understanding{}},
		"a text stays":       {Heard{Step: "wish", Text: "a very quiet room, if I may"}, "", told{"wish": "quiet room"}, Understanding{OK: true, Values: told{"wish": "a very quiet room, if I may"}}},
		"a text was no text": {Heard{Step: "wish", Text: "get me a person"}, "human", nil, Understanding{OK: true, Intent: "human"}},
		"confirmed":          {Heard{Step: "guests", Confirming: 4.0}, "", told{"guests": 4.0}, Understanding{OK: true, Confirmed: "yes"}},
		"another":            {Heard{Step: "guests", Confirming: 4.0}, "", told{"guests": 5.0}, Understanding{OK: true, Confirmed: "no", Values: told{"guests": int64(5)}}},
	} {
		t.Run(name, func(t *testing.T) {
			c.h.Language, c.h.Now = "en", monday
			got := prog.FromModel(c.h, c.intent, c.values)
			got.Why = ""
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestTheOtherLanguage(t *testing.T) {
	p := hotelPlan()
	p.Languages.Supported = []string{"en", "de"}
	prog, err := NewProgram(p)
	if err != nil {
		t.Fatal(err)
	}
	if got := prog.Understand(Heard{Step: "guests", Language: "en", Text: "another language please"}); got.Intent != "language" || got.Language != "de" {
		t.Errorf("of two languages: %+v", got)
	}
	if got := hotel(t).Understand(Heard{Step: "guests", Language: "en", Text: "another language please"}); got.Intent != "" {
		t.Errorf("of four languages: %+v", got)
	}
}

func TestButtonsOfOptions(t *testing.T) {
	got := hotel(t).Buttons("room", "en", []string{"Garden view", "Sea view"})
	if want := []Button{{"Garden view", "Garden view"}, {"Sea view", "Sea view"}}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func BenchmarkUnderstand(b *testing.B) {
	prog, err := NewProgram(hotelPlan())
	if err != nil {
		b.Fatal(err)
	}
	for name, h := range map[string]Heard{
		"value":   {Step: "guests", Language: "en", Text: "four of us"},
		"several": {Step: "arrival", Language: "de", Text: "Ein Doppelzimmer für zwei Personen von Freitag bis Sonntag"},
		"text":    {Step: "wish", Language: "en", Text: "do you have the blue kettle with the long spout"},
	} {
		h.Now = monday
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				prog.Understand(h)
			}
		})
	}
}
