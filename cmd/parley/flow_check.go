package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/praesenz/parley/flow"
	"github.com/praesenz/parley/flowtest"
	"github.com/praesenz/parley/schemas"
	"github.com/praesenz/parley/store"
)

func flowCheckCommand() *cobra.Command {
	var format string
	var collections []string
	cmd := &cobra.Command{
		Use:   "check PATH...",
		Short: "Say everything that is wrong with flows, and where",
		Long: `Check says everything that is wrong with flows and with what they are made of,
each with file:line:column, a code that docs/flow-diagnostics.md explains, and
what to write instead.

A PATH is a file or a folder. In a folder, everything is checked: store.yaml,
flows with their prompts, the action catalogue, published flows, conversation
tests (which parley flow test holds). Prompts and actions are looked for in the store's folder: the nearest one above with a
store.yaml, or else the one that holds flows/. The knowledge collections are
those of its store.yaml, unless --collections names them.

--format text is for people, json and sarif are for programs, github shows
mistakes beside the lines of a pull request.

It exits with 1 when there are mistakes; warnings alone are none.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error {
			if !slices.Contains([]string{"text", "json", "sarif", "github"}, format) {
				return fmt.Errorf("--format: %q must be text, json, sarif or github", format)
			}
			if !cmd.Flags().Changed("collections") {
				collections = nil
			}
			return checkPaths(cmd.OutOrStdout(), paths, format, collections)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "how to say it: text, json, sarif or github")
	cmd.Flags().StringSliceVar(&collections, "collections", nil, "the knowledge collections there are (default: those of store.yaml)")
	return cmd
}

// checkPaths checks everything and then fails when there was a mistake.
func checkPaths(out io.Writer, paths []string, format string, collections []string) error {
	files, err := findFiles(paths)
	if err != nil {
		return err
	}
	c := checker{collections: collections, folders: map[string]*flowFolder{}}
	for _, f := range files {
		if err := c.check(f); err != nil {
			return err
		}
	}
	if err := c.write(out, format, files); err != nil {
		return err
	}
	if len(c.found.Errors()) > 0 {
		return quietError{errors.New("there are mistakes")}
	}
	return nil
}

// kinds of files, as a summary calls them.
const (
	flowFile      = "flow"
	actionsFile   = "service"
	publishedFile = "published flow"
	storeFile     = "store"
	testFile      = "test file"
)

// A checkedFile is a file that can be checked.
type checkedFile struct{ path, kind string }

// findFiles are the files that paths name: files as they are, and in folders
// every one that says what it is.
func findFiles(paths []string) ([]checkedFile, error) {
	var files []checkedFile
	for _, path := range paths {
		err := filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				return nil
			}
			kind := kindOf(file)
			if kind == "" && file == path {
				kind = flowFile // its author will be told what it lacks
			}
			if f := (checkedFile{file, kind}); kind != "" && !slices.Contains(files, f) {
				files = append(files, f)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("look for flows: %w", err)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no flow in %s: a flow is a .yaml file with `api: parley.flow/v1`", strings.Join(paths, ", "))
	}
	return files, nil
}

// kindOf tells what a file is by its name and the line with its api; empty: it
// is none of ours.
func kindOf(file string) string {
	base, ext := filepath.Base(file), filepath.Ext(file)
	switch {
	case base == store.File:
		return storeFile
	case ext == ".json" && strings.Contains(base, "@") && filepath.Base(filepath.Dir(file)) == flow.PublishedDir:
		return publishedFile
	case ext != ".yaml" && ext != ".yml":
		return ""
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "" // a folder may hold what is not ours to read
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "api: parley.flow/") {
			return flowFile
		}
		if strings.HasPrefix(line, "api: parley.actions/") {
			return actionsFile
		}
		if strings.HasPrefix(line, "test: ") && slices.Contains(strings.Split(filepath.ToSlash(file), "/"), "tests") {
			return testFile
		}
	}
	return ""
}

type checker struct {
	collections []string
	folders     map[string]*flowFolder
	found       flow.Diagnostics // with the files' whole paths
}

// folder is the store's folder of a file. What is wrong with its actions is told
// with the first file, for every flow in it depends on them.
func (c *checker) folder(file string) (*flowFolder, error) {
	dir := storeFolder(file)
	if f, ok := c.folders[dir]; ok {
		return f, nil
	}
	f, err := openFlowFolder(dir)
	if err != nil {
		return nil, err
	}
	if c.collections != nil {
		f.collections = c.collections
	}
	c.folders[dir] = f
	c.add(dir, f.mistakes)
	return f, nil
}

func (c *checker) check(file checkedFile) error {
	if file.kind == storeFile {
		c.add(filepath.Dir(file.path), checkStoreFile(filepath.Dir(file.path)))
		return nil
	}
	if file.kind == testFile {
		return c.checkTests(file.path)
	}
	folder, err := c.folder(file.path)
	if err != nil {
		return err
	}
	src, err := folder.source(file.path)
	if err != nil {
		return err
	}
	switch file.kind {
	case flowFile:
		plan, ds, err := flow.Examine(src)
		if err != nil {
			return fmt.Errorf("compile %s: %w", file.path, err)
		}
		if plan != nil {
			ds = append(ds, flow.CheckUnchanged(src, plan)...)
		}
		c.add(folder.dir, ds)
	case publishedFile:
		c.add(folder.dir, flow.CheckPublished(src.FS, src.Path))
	}
	return nil
}

// checkTests says what is wrong with a file of conversation tests.
func (c *checker) checkTests(file string) error {
	dir := testedStore(file)
	folder, err := c.folder(filepath.Join(dir, "flows", "any"))
	if err != nil {
		return err
	}
	name, err := filepath.Rel(dir, file)
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	_, _, ds := flowtest.Open(folder.fsys, []string{filepath.ToSlash(name)}, folder.compile)
	c.add(dir, ds)
	return nil
}

// checkStoreFile says what is wrong with the store.yaml of a folder.
func checkStoreFile(dir string) flow.Diagnostics {
	file, ds := flow.ReadFile(os.DirFS(dir), store.File, schemas.Store())
	if len(ds.Errors()) > 0 {
		return ds
	}
	_, err := store.Read(dir)
	var invalid *store.InvalidError
	if errors.As(err, &invalid) {
		for _, f := range invalid.Faults {
			ds = append(ds, file.Mistake(flow.CodeValue, f.Way, "`"+f.Name()+"`: "+f.Message))
		}
	} else if err != nil {
		ds = append(ds, file.Mistake(flow.CodeValue, nil, err.Error()))
	}
	return ds
}

// add keeps diagnostics of a folder under the files' whole paths.
func (c *checker) add(dir string, ds flow.Diagnostics) {
	for _, d := range ds {
		d.Pos.File = filepath.Join(dir, d.Pos.File)
		if d.End != nil {
			end := *d.End
			end.File = d.Pos.File
			d.End = &end
		}
		c.found = append(c.found, d)
	}
}

func (c *checker) write(out io.Writer, format string, files []checkedFile) error {
	slices.SortStableFunc(c.found, func(a, b flow.Diagnostic) int { return cmp.Or(a.Pos.Compare(b.Pos), cmp.Compare(a.Code, b.Code)) })
	var text []byte
	var err error
	switch format {
	case "json":
		text, err = c.found.JSON()
		text = append(text, '\n')
	case "sarif":
		text, err = c.found.SARIF(version())
		text = append(text, '\n')
	case "github":
		text = []byte(c.found.GitHub())
	default:
		text = []byte(flow.Render(c.found, diskFS{}, flow.RenderOptions{Colour: isTerminal(out)}) + c.summary(files) + "\n")
	}
	if err != nil {
		return fmt.Errorf("write diagnostics: %w", err)
	}
	_, err = out.Write(text)
	return err
}

// summary is what was checked, and how much was found.
func (c *checker) summary(files []checkedFile) string {
	count := func(n int, noun string) string {
		if n == 1 {
			return "1 " + noun
		}
		return fmt.Sprintf("%d %ss", n, noun)
	}
	var checked []string
	for _, kind := range []string{storeFile, flowFile, actionsFile, publishedFile, testFile} {
		n := 0
		for _, f := range files {
			if f.kind == kind {
				n++
			}
		}
		if n > 0 {
			checked = append(checked, count(n, kind))
		}
	}
	mistakes := len(c.found.Errors())
	return fmt.Sprintf("%s: %s, %s", strings.Join(checked, ", "), count(mistakes, "mistake"), count(len(c.found)-mistakes, "warning"))
}

// diskFS opens the paths of this machine as they are, for diagnostics whose files
// are in several folders.
type diskFS struct{}

// Open opens a file by its path.
func (diskFS) Open(name string) (fs.File, error) { return os.Open(name) }
