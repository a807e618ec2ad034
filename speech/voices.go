package speech

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// A voice is an entry of /v1/audio/voices.
type voice struct {
	ID         string  `json:"id"`
	Name       string  `json:"name"`
	ModelID    string  `json:"model_id"`
	Language   string  `json:"language"`
	Gender     string  `json:"gender"`
	SampleRate int     `json:"sample_rate"` // hertz, of the audio as it is made
	MinSpeed   float64 `json:"min_speed"`
	MaxSpeed   float64 `json:"max_speed"`
	engineName string  // what the engine calls it
}

// voices, by language in order of preference: a language's code is another name
// for its first voice.
var voices = []voice{
	fliteVoice("slt", "slt", "female"),
	fliteVoice("rms", "rms", "male"),
	fliteVoice("awb", "awb", "male"),
	fliteVoice("kal", "kal16", "male"),
	espeakVoice("espeak-en-us", "English (US)", "en", "en-us"),
	espeakVoice("espeak-en-gb", "English (UK)", "en", "en-gb"),
	espeakVoice("espeak-de", "Deutsch", "de", "de"),
	espeakVoice("espeak-fr", "Français", "fr", "fr-fr"),
	espeakVoice("espeak-tr", "Türkçe", "tr", "tr"),
	espeakVoice("espeak-es", "Español", "es", "es"),
	espeakVoice("espeak-it", "Italiano", "it", "it"),
	espeakVoice("espeak-nl", "Nederlands", "nl", "nl"),
	espeakVoice("espeak-pl", "Polski", "pl", "pl"),
}

func fliteVoice(id, engineName, gender string) voice {
	return voice{ID: id, Name: id, ModelID: modelFlite, Language: "en", Gender: gender, SampleRate: 16000, MinSpeed: 0.25, MaxSpeed: 4, engineName: engineName}
}

// espeak-ng speaks 80 to 450 words a minute, 175 being its usual.
func espeakVoice(id, name, language, engineName string) voice {
	return voice{ID: id, Name: name, ModelID: modelEspeak, Language: language, Gender: "male", SampleRate: 22050, MinSpeed: 0.5, MaxSpeed: 2.5, engineName: engineName}
}

// findVoice finds a voice by its id or by a language such as "de" or "de-DE".
func findVoice(name string) (voice, bool) {
	language, _, _ := strings.Cut(strings.ToLower(name), "-")
	i := slices.IndexFunc(voices, func(v voice) bool { return v.ID == name })
	if i < 0 {
		i = slices.IndexFunc(voices, func(v voice) bool { return v.Language == language })
	}
	if i < 0 {
		return voice{}, false
	}
	return voices[i], true
}

func voiceIDs() string {
	ids := make([]string, len(voices))
	for i, v := range voices {
		ids[i] = v.ID
	}
	return strings.Join(ids, ", ")
}

func espeakLanguages() []string {
	var languages []string
	for _, v := range voices {
		if v.ModelID == modelEspeak && !slices.Contains(languages, v.Language) {
			languages = append(languages, v.Language)
		}
	}
	return languages
}

// A spoken is a text as sound.
type spoken struct {
	samples  []int16 // mono
	rate     int     // hertz
	phonemes []phoneme
}

// A phoneme is one sound of the speech and when it is heard, counted from the
// first sample. Symbols are lower-case ARPAbet as flite prints it; silence is
// "pau".
type phoneme struct {
	Symbol  string `json:"p"`
	StartMS int    `json:"start_ms"`
	EndMS   int    `json:"end_ms"`
}

// say speaks text by the voice at speed times its usual pace. The phonemes
// follow one another without a gap and end with the audio at the latest.
func (v voice) say(ctx context.Context, text string, speed float64) (spoken, error) {
	var s spoken
	var err error
	if v.ModelID == modelFlite {
		s, err = sayWithFlite(ctx, v.engineName, text, speed)
	} else {
		s, err = sayWithEspeak(ctx, v.engineName, text, speed)
	}
	if err != nil {
		return spoken{}, fmt.Errorf("speak with voice %s: %w", v.ID, err)
	}
	return s, nil
}
