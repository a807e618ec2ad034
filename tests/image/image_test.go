// Package image checks what containers are made from and run by: the Dockerfiles,
// what goes to a builder, and compose.yaml. It needs no builder and no engine.
package image

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/stretchr/testify/require"
)

// root is the repository, from this folder.
const root = "../.."

// dockerfiles are all of ours, with the build tags of their binary.
var dockerfiles = map[string]string{"Dockerfile": "", "deploy/speech.Dockerfile": "pocketsphinx"}

func TestDockerfiles(t *testing.T) {
	context := buildContext(t)
	for name := range dockerfiles {
		t.Run(name, func(t *testing.T) {
			stages, bases := read(t, name)
			for _, base := range bases {
				require.Regexp(t, `[:@][\w.-]+$`, base.image, "%s has a tag", base.arg)
				require.NotContains(t, base.image, ":latest", base.arg)
			}
			for _, stage := range stages {
				for _, command := range stage.Commands {
					switch c := command.(type) {
					case *instructions.CopyCommand:
						if c.From != "" {
							require.True(t, slices.ContainsFunc(stages, func(s instructions.Stage) bool { return s.Name == c.From }), "%s names a stage", c)
							continue
						}
						for _, source := range c.SourcePaths {
							require.True(t, context.has(source), "COPY %s: nothing goes to the builder under that name; see .dockerignore", source)
						}
					case *instructions.ArgCommand:
						for _, arg := range c.Args {
							require.NotRegexp(t, `(?i)key|token|secret|password`, arg.Key, "a build argument stays in the image's history")
						}
					case *instructions.EnvCommand:
						for _, e := range c.Env {
							require.NotRegexp(t, `(?i)key|token|secret|password`, e.Key, "a secret comes when the image runs, not when it is built")
						}
					}
				}
			}

			final := stages[len(stages)-1]
			user := last[*instructions.UserCommand](t, final).User
			uid, err := strconv.Atoi(strings.Split(user, ":")[0])
			require.NoError(t, err, "USER %s: Kubernetes' runAsNonRoot takes numbers only", user)
			require.NotZero(t, uid)
			require.Equal(t, []string{"/usr/local/bin/parley"}, []string(last[*instructions.EntrypointCommand](t, final).CmdLine), "no shell around it, so that it gets the signals")
			var labels []string
			for _, l := range last[*instructions.LabelCommand](t, final).Labels {
				labels = append(labels, strings.Trim(l.Key, `"`))
			}
			require.Subset(t, labels, []string{"org.opencontainers.image.title", "org.opencontainers.image.source", "org.opencontainers.image.version", "org.opencontainers.image.revision"})
		})
	}
}

// TestContext compares what goes to the builder with what `go build` reads there.
func TestContext(t *testing.T) {
	context := buildContext(t)
	for name, tags := range dockerfiles {
		t.Run(name, func(t *testing.T) {
			for _, file := range sources(t, tags) {
				require.True(t, context.has(file), "%s is needed to build the binary; let it through in .dockerignore", file)
			}
		})
	}
	t.Run("the example stores", func(t *testing.T) {
		stores, err := filepath.Glob(filepath.Join(root, "examples/*/store.yaml"))
		require.NoError(t, err)
		require.NotEmpty(t, stores)
		for _, store := range stores {
			file, err := filepath.Rel(root, store)
			require.NoError(t, err)
			require.True(t, context.has(file), file)
		}
	})
	for _, secret := range []string{
		".env", ".git/config", ".parley/kiosk.key", "parley-secrets.yaml", "tls.key", "bin/parley",
		"cmd/parley/.env", "cmd/parley/.parley/kiosk.key", "examples/hardware-store/.parley/kiosk.key", "examples/hardware-store/.env",
		"deploy/compose/secrets/kiosk_key", "deploy/compose/secrets/actions/shop_token", "kiosk/node_modules/x/index.js",
	} {
		t.Run(secret, func(t *testing.T) {
			require.False(t, context.lets(t, secret), "it must not go to the builder; keep it out in .dockerignore")
		})
	}
}

// TestBinary runs the Dockerfile's own build line.
func TestBinary(t *testing.T) {
	binary := build(t)
	f, err := elf.Open(binary)
	require.NoError(t, err)
	defer f.Close()
	for _, p := range f.Progs {
		require.NotEqual(t, elf.PT_INTERP, p.Type, "the binary asks for a dynamic linker, which the image does not have")
	}
	libraries, err := f.ImportedLibraries()
	require.NoError(t, err)
	require.Empty(t, libraries)

	info, err := buildinfo.ReadFile(binary)
	require.NoError(t, err, "a bill of materials is read from the binary")
	require.Equal(t, "github.com/praesenz/parley", info.Main.Path)
	require.NotEmpty(t, info.Deps)

	out, err := exec.Command(binary, "--version").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "parley version v1.2.3-test\n", string(out))
}

// build builds the binary as the image does, once for all tests.
func build(t *testing.T) string {
	t.Helper()
	binary, err := built()
	require.NoError(t, err)
	return binary
}

// folder is where the binary is built; TestMain makes and removes it.
var folder string

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "parley-image-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

var built = sync.OnceValues(func() (string, error) {
	source, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		return "", err
	}
	line := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 (?:.|\\\n)*? -o )/out/parley (\S+)$`).FindSubmatch(source)
	if line == nil {
		return "", fmt.Errorf("no line in Dockerfile builds /out/parley with CGO_ENABLED=0")
	}
	binary := filepath.Join(folder, "parley")
	cmd := exec.Command("sh", "-c", string(line[1])+binary+" "+string(line[2]))
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "VERSION=v1.2.3-test", "TARGETOS=", "TARGETARCH=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return binary, nil
})

// A base is what a stage begins with.
type base struct{ arg, image string }

// read parses a Dockerfile as BuildKit does.
func read(t *testing.T, name string) ([]instructions.Stage, []base) {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	tree, err := parser.Parse(bytes.NewReader(source))
	require.NoError(t, err)
	require.Empty(t, tree.Warnings)
	stages, args, err := instructions.Parse(tree.AST, nil)
	require.NoError(t, err)

	given := map[string]string{}
	for _, a := range args {
		for _, arg := range a.Args {
			require.NotNil(t, arg.Value, "%s: has a default", arg.Key)
			given["${"+arg.Key+"}"] = *arg.Value
		}
	}
	var bases []base
	for _, s := range stages {
		require.Contains(t, given, s.BaseName, "FROM %s: bases are arguments, so that a release can pin them", s.BaseName)
		bases = append(bases, base{s.BaseName, given[s.BaseName]})
	}
	return stages, bases
}

// last gives a stage's last instruction of a kind: the one that counts.
func last[T instructions.Command](t *testing.T, s instructions.Stage) T {
	t.Helper()
	for _, command := range slices.Backward(s.Commands) {
		if c, ok := command.(T); ok {
			return c
		}
	}
	var none T
	require.Failf(t, "missing", "the last stage has no %T", none)
	return none
}

// A buildTree is the repository as a builder gets it.
type buildTree struct {
	ignored *patternmatcher.PatternMatcher
	files   map[string]bool // and folders
}

// buildContext walks the repository by the rules of .dockerignore.
func buildContext(t *testing.T) buildTree {
	t.Helper()
	f, err := os.Open(filepath.Join(root, ".dockerignore"))
	require.NoError(t, err)
	defer f.Close()
	patterns, err := ignorefile.ReadAll(f)
	require.NoError(t, err)
	matcher, err := patternmatcher.New(patterns)
	require.NoError(t, err)
	tree := buildTree{ignored: matcher, files: map[string]bool{".": true}}

	tracked, err := git("ls-files", "--cached", "--others", "--exclude-standard")
	require.NoError(t, err)
	for file := range strings.SplitSeq(strings.TrimSpace(tracked), "\n") {
		if _, err := os.Lstat(filepath.Join(root, file)); err != nil || !tree.lets(t, file) {
			continue
		}
		for ; file != "."; file = path.Dir(file) {
			tree.files[file] = true
		}
	}
	return tree
}

// lets tells whether .dockerignore lets a file through.
func (c buildTree) lets(t *testing.T, file string) bool {
	t.Helper()
	ignored, err := c.ignored.MatchesOrParentMatches(file)
	require.NoError(t, err)
	return !ignored
}

// has tells whether the builder gets a file, or anything in a folder.
func (c buildTree) has(name string) bool { return c.files[path.Clean(name)] }

func git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = root
	out, err := cmd.Output()
	return string(out), err
}

// sources lists the files of ours that the compiler reads for the binary.
func sources(t *testing.T, tags string) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=Dir,Standard,Module,GoFiles,CgoFiles,CFiles,HFiles,EmbedFiles", "-tags", tags, "./cmd/parley")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false")
	out, err := cmd.Output()
	require.NoError(t, err)
	top, err := filepath.Abs(root)
	require.NoError(t, err)

	files := []string{"go.mod", "go.sum"}
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var p struct {
			Dir                                           string
			Standard                                      bool
			Module                                        *struct{ Main bool }
			GoFiles, CgoFiles, CFiles, HFiles, EmbedFiles []string
		}
		require.NoError(t, decoder.Decode(&p))
		if p.Standard || p.Module == nil || !p.Module.Main {
			continue
		}
		folder, err := filepath.Rel(top, p.Dir)
		require.NoError(t, err)
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.CFiles, p.HFiles, p.EmbedFiles) {
			file := path.Join(filepath.ToSlash(folder), name)
			_, err := fs.Stat(os.DirFS(root), file)
			require.NoError(t, err)
			files = append(files, file)
		}
	}
	require.Greater(t, len(files), 100)
	return files
}
