//go:build !pocketsphinx

package speech

import (
	"context"
	"errors"
)

// builtDeaf says that this build has no recogniser.
var builtDeaf = errors.New(`this build has no speech recogniser; build with -tags pocketsphinx (Debian packages libpocketsphinx-dev, libsphinxbase-dev, pocketsphinx-en-us) or use a speaches server`)

// newRecogniser is not called while builtDeaf is set.
func newRecogniser(context.Context, Config) (recogniser, error) {
	return nil, builtDeaf
}
