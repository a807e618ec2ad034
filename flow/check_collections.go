package flow

import "slices"

const codeNoCollection Code = "F404"

// checkCollections checks that what is searched is configured, where that is
// known.
func checkCollections(t *tree, ds *Diagnostics) {
	if t.collections == nil {
		return
	}
	for _, s := range t.steps {
		b, ok := s.body.(*retrieveBody)
		if ok && b.index.Value != "" && !slices.Contains(t.collections, b.index.Value) {
			hint := ""
			if nearest(b.index.Value, t.collections) == "" {
				hint = "there is " + quoted(t.collections, "and")
			}
			ds.errorf(codeNoCollection, b.index.at, hint, "knowledge collection %q is not configured%s",
				b.index.Value, didYouMean(b.index.Value, t.collections))
		}
	}
}
