package image
import (
 _ "github.com/compose-spec/compose-go/v2/cli"
 _ "github.com/moby/buildkit/frontend/dockerfile/parser"
 _ "github.com/moby/buildkit/frontend/dockerfile/instructions"
 _ "github.com/moby/patternmatcher/ignorefile"
 _ "github.com/stretchr/testify/require"
)
