package flow

const codeShortSilence Code = "F116"

// complete fills in what no author has written.
func (l Listen) complete() Listen {
	switch {
	case l.Endpointing == "fixed":
		l.MaxSilence = 0
	case l.MaxSilence == 0:
		l.MaxSilence = max(Duration(defaultMaxSilence), l.EndSilence)
	}
	return l
}

// checkListen checks that the longest silence within a turn can be one: it is not
// shorter than the shortest, and something may wait that long.
func checkListen(t *tree, ds *Diagnostics) {
	adapts := t.listen.Endpointing != "fixed"
	check := func(n node, l Listen) {
		longest := n.field("max_silence")
		if !longest.there() {
			longest = n.field("end_silence") // over the default's max_silence
		}
		if longest.there() && l.Endpointing != "fixed" && l.MaxSilence > 0 && l.MaxSilence < l.EndSilence {
			ds.errorf(codeShortSilence, longest.at(), "make max_silence the longer one, or leave it out",
				"a turn ends after %s of silence at the latest (`max_silence`), but not before %s (`end_silence`)", l.MaxSilence.D(), l.EndSilence.D())
		}
	}
	deaf := func(n node, l Listen) {
		f := n.field("endpointing")
		if !f.there() {
			f = n.field("guess")
		}
		if f.there() && l.Endpointing == "model" && !l.Guess {
			ds.errorf(codeUselessHere, f.at(), "write `endpointing: learned`, or leave `guess` out",
				"`endpointing: model` has nothing to ask its model with `guess: false`: it is asked at a pause")
		}
	}
	for _, s := range t.steps {
		l := parseListen(s.listen, t.listen)
		adapts = adapts || l.Endpointing != "fixed"
		check(s.listen, l)
		deaf(s.listen, l)
		if f := s.listen.field("max_silence"); f.there() && l.Endpointing == "fixed" {
			ds.errorf(codeUselessHere, f.at(), "write `endpointing: learned` or `endpointing: model` too, or leave it out", "`max_silence` means nothing with `endpointing: fixed`")
		}
	}
	check(t.listenNode, t.listen)
	deaf(t.listenNode, t.listen)
	if f := t.listenNode.field("max_silence"); f.there() && !adapts {
		ds.errorf(codeUselessHere, f.at(), "write `endpointing: learned` or `endpointing: model` too, or leave it out", "`max_silence` means nothing with `endpointing: fixed`")
	}
}
