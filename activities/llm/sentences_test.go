package llm

import (
	"slices"
	"testing"
)

func TestSentences(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"Hammers cost 12.99 euros. They are in aisle 4.", []string{"Hammers cost 12.99 euros.", "They are in aisle 4."}},
		{"Is it open? Yes! Until 8 p.m. today.", []string{"Is it open?", "Yes!", "Until 8 p.m. today."}},
		{"Holz, z.B. Fichte, ca. 2 Meter. Ab dem 1. Mai.", []string{"Holz, z.B. Fichte, ca. 2 Meter.", "Ab dem 1. Mai."}},
		{"- Nails\n- Screws\n\n", []string{"- Nails", "- Screws"}},
		{"He said \"yes.\" Then he left.", []string{"He said \"yes.\"", "Then he left."}},
		{"", nil},
	} {
		if got := sentences(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q splits into %q, want %q", c.text, got, c.want)
		}
	}
}

func TestExtractiveGoesOnAfterWhatWasSaid(t *testing.T) {
	q := Question{Text: "how much is a hammer and where is the hammer", Language: "en"}
	q.Passages = append(q.Passages, passage(t, "../../examples/hardware-store", "kb/en/claw-hammer.md", 1))
	e := newExtractive()
	all := e.quote(q)
	if len(all) != 2 {
		t.Fatalf("quoted %q, want two sentences", all)
	}
	q.Begun = all[0]
	var got string
	if err := e.Answer(t.Context(), q, func(delta string) error { got += delta; return nil }); err != nil {
		t.Fatal(err)
	}
	if got != " "+all[1] {
		t.Errorf("went on with %q, want %q", got, all[1])
	}
}
