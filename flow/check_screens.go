package flow

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
)

const (
	codeNoFile     Code = "F314"
	codeDeadButton Code = "F315"
	codeScreen     Code = "F317"
)

// checkScreens checks that what a screen shows is there, fits together, and that
// its buttons do something.
func checkScreens(t *tree, ds *Diagnostics) {
	for i, s := range t.steps {
		sc := screenOf(s)
		if sc == nil {
			continue
		}
		t.checkFile(sc.picture, pictureKinds, ds)
		t.checkFile(sc.plan, mapKinds, ds)
		shown := sc.picture
		if shown.Value == "" {
			shown = sc.plan
		}
		switch {
		case sc.picture.Value != "" && sc.plan.Value != "":
			ds.errorf(codeScreen, sc.plan.at, "show the other with the next step", "the screen of %q has both a `picture` and a `map`; it has room for one", s.name.Value)
		case sc.mark.Value != "" && sc.plan.Value == "":
			ds.errorf(codeScreen, sc.mark.at, "", "`mark` lights up a part of a `map`, which the screen of %q does not have", s.name.Value)
		case sc.alt.Value != "" && shown.Value == "":
			ds.errorf(codeScreen, sc.alt.at, "", "`alt` describes a `picture` or `map`, which the screen of %q does not have", s.name.Value)
		case shown.Value != "" && sc.alt.Value == "":
			ds.warnf(codeScreen, shown.at, "add `alt` with the key of a description", "who cannot see %s is not told what it shows", shown.Value)
		}
		if len(sc.buttons) > 0 {
			t.checkButtons(i, sc, ds)
		}
	}
}

func screenOf(s *step) *screen {
	switch b := s.body.(type) {
	case *sayBody:
		return b.screen
	case *collectBody:
		return b.screen
	}
	return nil
}

// What a gateway serves to its kiosks: files below mediaDir, of these kinds, of at
// most maxPicture bytes.
const (
	mediaDir   = "media/"
	maxPicture = 8 << 20
)

var (
	pictureKinds = []string{".png", ".jpg", ".jpeg", ".webp", ".gif", ".svg"}
	mapKinds     = []string{".svg"}
)

// checkFile checks that a file can be shown and is there; of one whose name is
// only known at run time what can be said.
func (t *tree) checkFile(name Text, kinds []string, ds *Diagnostics) {
	open := len(Placeholders(name.Value)) > 0
	switch {
	case !fs.ValidPath(name.Value): // none, or the schema has said so
		return
	case !strings.HasPrefix(name.Value, mediaDir) && !strings.HasPrefix(name.Value, "{"):
		ds.errorf(codeNoFile, name.at, "move it there", "%q cannot be shown: kiosks get only what is in the store's folder media", name.Value)
		return
	case !slices.Contains(kinds, path.Ext(name.Value)) && !strings.HasSuffix(name.Value, "}"):
		ds.errorf(codeNoFile, name.at, "", "%q cannot be shown here: its name must end in %s", name.Value, strings.Join(kinds, ", "))
		return
	case open:
		return
	}
	info, err := fs.Stat(t.files, name.Value)
	switch {
	case err == nil && !info.IsDir() && info.Size() > maxPicture:
		ds.errorf(codeNoFile, name.at, "make it smaller", "%q has %d MiB; a kiosk shows at most %d", name.Value, info.Size()>>20, maxPicture>>20)
	case err == nil && !info.IsDir():
	case err == nil || errors.Is(err, fs.ErrNotExist):
		dir := path.Dir(name.Value)
		var there []string
		if entries, err := fs.ReadDir(t.files, dir); err == nil {
			for _, e := range entries {
				there = append(there, path.Join(dir, e.Name()))
			}
		}
		ds.errorf(codeNoFile, name.at, "", "the store has no file %q%s", name.Value, didYouMean(name.Value, there))
	default:
		ds.errorf(codeNoFile, name.at, "", "%s cannot be read: %v", name.Value, reason(err))
	}
}

// checkButtons checks that what a button stands for is understood where the
// conversation listens next: as a value, an intent, or words for a text.
func (t *tree) checkButtons(i int, sc *screen, ds *Diagnostics) {
	asked := t.listensNext(i)
	if len(asked) == 0 {
		ds.warnf(codeDeadButton, sc.buttons[0].value.at, "ask something next", "no step listens after this screen, so nobody can touch its buttons")
		return
	}
	for _, b := range sc.buttons {
		for _, s := range asked {
			c := s.body.(*collectBody)
			if slot := t.slot(c.slot.Value); slot != nil && b.value.Value != "" && !t.understands(slot, c, b.value.Value) {
				ds.warnf(codeDeadButton, b.value.at, "write a value of the slot, or the name of an intent", "the button %q is no value of slot %q, which %q collects next",
					b.value.Value, slot.name.Value, s.name.Value)
				break
			}
		}
	}
}

// listensNext are the steps that listen first after one, or that one.
func (t *tree) listensNext(i int) []*step {
	g := t.graph
	var out []*step
	through := func(from int, _ arc) bool { return !g.steps[from].facts.listens }
	for j, reached := range g.from(i, through) {
		if reached && g.steps[j].facts.listens {
			out = append(out, g.steps[j])
		}
	}
	return out
}

// understands reports whether a slot surely takes a button's value. Where that
// takes more than a look, it is believed.
func (t *tree) understands(slot *slotDecl, c *collectBody, value string) bool {
	for _, in := range t.intents {
		if in.name.Value == value {
			return true
		}
		for _, p := range in.phrases {
			for _, phrase := range p.val.texts() {
				if strings.EqualFold(phrase.Value, value) {
					return true
				}
			}
		}
	}
	if len(c.also) > 0 {
		return true
	}
	switch slot.typ {
	case "enum":
		return slot.hasValue(value)
	case "bool":
		return value == "true" || value == "false"
	}
	return true
}
