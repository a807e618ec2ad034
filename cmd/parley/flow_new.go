package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/praesenz/parley/flow"
)

// templates are the flows that flow new starts from, a folder each: flow.yaml,
// test.yaml and the prompts of each language.
//
//go:embed templates
var templates embed.FS

// newLanguages are the languages in which the templates speak.
var newLanguages = []string{"en", "de", "fr", "tr"}

var flowName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// newOptions are the flags of flow new.
type newOptions struct {
	template  string
	languages []string
	dir       string
}

func flowNewCommand() *cobra.Command {
	var o newOptions
	names := templateNames()
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Start a flow, with its prompts and tests, from a template",
		Long: `New writes flows/NAME.yaml, prompts/NAME/<language>.yaml and
tests/NAME/NAME.yaml into a store's folder: a flow that checks clean, and whose
tests pass. It never overwrites a file.

The templates are
  empty      says hello and goodbye
  questions  answers questions from the store's knowledge
  form       asks for a day, a time and a telephone number, and confirms it
  handoff    calls a member of staff`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := newFlow(args[0], o)
			if err != nil {
				return err
			}
			return tellNew(cmd.OutOrStdout(), files)
		},
	}
	cmd.Flags().StringVar(&o.template, "template", "empty", "what to start from: "+strings.Join(names, ", "))
	cmd.Flags().StringSliceVar(&o.languages, "languages", []string{"en"}, "the flow's languages, its default first: "+strings.Join(newLanguages, ", "))
	cmd.Flags().StringVar(&o.dir, "dir", ".", "the store's folder")
	return cmd
}

func templateNames() []string {
	entries, err := templates.ReadDir("templates")
	if err != nil {
		panic(err) // they are part of the binary
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// check reports every fault at once.
func (o newOptions) check(name string) error {
	var faults []error
	if !flowName.MatchString(name) {
		faults = append(faults, fmt.Errorf("NAME: %q must be lower-case letters, digits and _, beginning with a letter, like product_help", name))
	}
	if names := templateNames(); !slices.Contains(names, o.template) {
		faults = append(faults, fmt.Errorf("--template: there is no %q%s; there is %s", o.template, flow.DidYouMean(o.template, names), flow.Quoted(names)))
	}
	if len(o.languages) == 0 {
		faults = append(faults, errors.New("--languages: name at least one"))
	}
	for i, lang := range o.languages {
		if !slices.Contains(newLanguages, lang) {
			faults = append(faults, fmt.Errorf("--languages: the templates do not speak %q, only %s; add its prompts file yourself", lang, strings.Join(newLanguages, ", ")))
		} else if slices.Contains(o.languages[:i], lang) {
			faults = append(faults, fmt.Errorf("--languages: %q is there twice", lang))
		}
	}
	if info, err := os.Stat(o.dir); err != nil || !info.IsDir() {
		faults = append(faults, fmt.Errorf("--dir: %q is no folder", o.dir))
	}
	return errors.Join(faults...)
}

// newFlow writes a flow's files and answers their paths.
func newFlow(name string, o newOptions) ([]string, error) {
	if err := o.check(name); err != nil {
		return nil, err
	}
	folder, err := openFlowFolder(o.dir)
	if err != nil {
		return nil, err
	}
	collection := "store"
	if known := folder.collections; len(known) > 0 && !slices.Contains(known, collection) {
		collection = known[0]
	}
	files, err := flowFiles(name, collection, o)
	if err != nil {
		return nil, err
	}
	var written []string
	for _, to := range slices.Sorted(maps.Keys(files)) { // all or nothing, as far as what is there already goes
		to = filepath.Join(o.dir, filepath.FromSlash(to))
		if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is there already; name the new flow otherwise", to)
		}
		written = append(written, to)
	}
	for i, to := range slices.Sorted(maps.Keys(files)) {
		if err := os.MkdirAll(filepath.Dir(written[i]), 0o755); err != nil { //nolint:gosec // a flow is for everyone
			return nil, fmt.Errorf("write the flow: %w", err)
		}
		if err := writeNew(written[i], files[to]); err != nil {
			return nil, fmt.Errorf("write the flow: %w", err)
		}
	}
	return written, nil
}

// flowFiles are the files of a new flow, by path in a store's folder. Its searches
// go to a collection of that store.
func flowFiles(name, collection string, o newOptions) (map[string][]byte, error) {
	from := map[string]string{
		"flows/" + name + ".yaml":              "flow.yaml",
		"tests/" + name + "/" + name + ".yaml": "test.yaml",
	}
	for _, lang := range o.languages {
		from["prompts/"+name+"/"+lang+".yaml"] = lang + ".yaml"
	}
	values := struct {
		Name, Default, All, Collection string
		Several                        bool
	}{name, o.languages[0], strings.Join(o.languages, ", "), collection, len(o.languages) > 1}
	files := map[string][]byte{}
	for to, file := range from {
		text, err := fillTemplate(path.Join("templates", o.template, file), o.languages[0], values)
		if err != nil {
			return nil, err
		}
		files[to] = text
	}
	return files, nil
}

// fillTemplate fills one of the embedded files in. `pick` chooses the words of
// the flow's default language, and `quoted` keeps YAML from reading them as
// anything but text.
func fillTemplate(name, lang string, values any) ([]byte, error) {
	src, err := templates.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	t, err := template.New(path.Base(name)).Delims("<<", ">>").Funcs(template.FuncMap{
		"pick":   func(words ...string) string { return words[slices.Index(newLanguages, lang)] },
		"quoted": strconv.Quote,
	}).Parse(string(src))
	if err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, values); err != nil {
		return nil, fmt.Errorf("fill the template in: %w", err)
	}
	return b.Bytes(), nil
}

// writeNew writes a file that must not be there.
func writeNew(file string, text []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // a flow is for everyone
	if err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		_ = f.Close() // what failed matters more
		return err
	}
	return f.Close()
}

func tellNew(out io.Writer, files []string) error {
	var b strings.Builder
	for _, f := range files {
		fmt.Fprintf(&b, "wrote %s\n", f)
	}
	fmt.Fprintf(&b, "\ntalk to it:  parley flow chat %s\ntest it:     parley flow test %s\n", files[0], files[len(files)-1]) // they are sorted
	_, err := io.WriteString(out, b.String())
	return err
}
