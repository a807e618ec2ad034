package tts

import "testing"

func TestSpoken(t *testing.T) {
	for _, c := range []struct{ language, text, want string }{
		{"en", "It costs 12.99 €.", "It costs 12 euros 99."},
		{"en", "It costs €5.00 or € 20.", "It costs 5 euros or 20 euros."},
		{"en", "It costs 24.99 euros for 5 l.", "It costs 24 euros 99 for 5 litres."},
		{"en-US", "Mon–Fri 9 am–8 pm", "Monday to Friday 9 a m to 8 p m"},
		{"en", "Open until 18:00, Sat until 6:30 pm.", "Open until 18 o'clock, Saturday until 6 30 p m."},
		{"en", "8 mm drill & 18 V battery, 20% off, 5 m².", "8 millimetres drill and 18 volts battery, 20 percent off, 5 square metres."},
		{"en", "I'm in the team; 3 items, vitamin C.", "I'm in the team; 3 items, vitamin C."},
		{"de", "Der Hammer kostet 12,99 €.", "Der Hammer kostet 12 Euro 99."},
		{"de", "Der Hammer kostet 14,99 Euro, der Nagel 5,00 €.", "Der Hammer kostet 14 Euro 99, der Nagel 5 Euro."},
		{"de", "Mo–Fr 8:00–20:00 Uhr", "Montag bis Freitag 8 bis 20 Uhr"},
		{"de-AT", "Sa. bis 18:30 Uhr, So geht das.", "Sa. bis 18 Uhr 30, So geht das."},
		{"de", "z. B. 8 mm, ca. 5 l, 30 °C & 20 %", "zum Beispiel 8 Millimeter, circa 5 Liter, 30 Grad und 20 Prozent"},
		{"fr", "12,99 €", "12,99 €"},
	} {
		if got := spoken(c.language, c.text); got != c.want {
			t.Errorf("%s: %q becomes %q, want %q", c.language, c.text, got, c.want)
		}
	}
}
