package speech

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/praesenz/parley/speech/lexicon"
	"github.com/praesenz/parley/speech/ngram"
)

//go:embed questions/en.txt
var englishQuestions string

// maxCorpusFile and maxCorpusFiles bound what is read to train the language
// model: a store's documents are a few megabytes at most, and a folder given by
// mistake must not be read whole.
const (
	maxCorpusFile  = 4 << 20
	maxCorpusFiles = 5000
)

// A corpus is what the store's own files teach the recogniser.
type corpus struct {
	sentences [][]string // what they say
	things    [][]string // what they name: titles, tags, products
}

// corpusFiles lists the files under paths that readCorpus understands, and a
// stamp that changes when one of them is edited, added or removed.
func corpusFiles(paths []string) (files []string, stamp string, err error) {
	var s strings.Builder
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() || !slices.Contains([]string{".md", ".txt", ".yaml", ".yml", ".csv"}, filepath.Ext(path)) {
				return nil
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if len(files) == maxCorpusFiles {
				return fmt.Errorf("more than %d files; name the folders that hold the store's documents", maxCorpusFiles)
			}
			files = append(files, path)
			fmt.Fprintf(&s, "%s %d %s\n", path, info.Size(), info.ModTime().Format(time.RFC3339Nano))
			return nil
		})
		if err != nil {
			return nil, "", fmt.Errorf("read corpus %s: %w", root, err)
		}
	}
	return files, s.String(), nil
}

// readCorpus reads the English files among the given ones.
func readCorpus(files []string) (corpus, error) {
	var c corpus
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			return c, fmt.Errorf("read corpus: %w", err)
		}
		if info.Size() > maxCorpusFile {
			return c, fmt.Errorf("read corpus: %s is larger than %d MiB; split it or leave it out", path, maxCorpusFile>>20)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return c, fmt.Errorf("read corpus: %w", err)
		}
		if inOtherLanguage(path) {
			continue
		}
		switch filepath.Ext(path) {
		case ".csv":
			c.readTable(b)
		case ".yaml", ".yml":
			c.readYAML(b)
		default:
			c.readDocument(b)
		}
	}
	return c, nil
}

// inOtherLanguage reports whether the path says, as de/hours.md or de.yaml do,
// that the file is in a language the recogniser has no sounds for.
func inOtherLanguage(path string) bool {
	for part := range strings.SplitSeq(filepath.ToSlash(path), "/") {
		name, _, _ := strings.Cut(part, ".")
		if slices.Contains([]string{"de", "fr", "tr", "es", "it", "nl", "pl"}, name) {
			return true
		}
	}
	return false
}

// readDocument reads Markdown or plain text with or without front matter.
func (c *corpus) readDocument(b []byte) {
	if rest, ok := bytes.CutPrefix(b, []byte("---\n")); ok {
		if matter, body, ok := bytes.Cut(rest, []byte("\n---")); ok {
			var meta struct {
				Title string
				Name  string
				Lang  string
				Tags  []string
			}
			// Front matter that is not YAML is for the knowledge base to
			// complain about; here it teaches nothing.
			if yaml.Unmarshal(matter, &meta) == nil {
				if meta.Lang != "" && meta.Lang != "en" {
					return
				}
				c.name(append(meta.Tags, meta.Title, meta.Name)...)
			}
			b = body
		}
	}
	for line := range strings.Lines(string(b)) {
		if heading, ok := strings.CutPrefix(line, "#"); ok {
			c.name(strings.TrimLeft(heading, "#"))
		}
	}
	c.sentences = append(c.sentences, lexicon.Sentences(string(b))...)
}

// readYAML reads a flow or its prompts: every text of more than one word.
// Identifiers and settings teach nothing and single words are mostly those.
func (c *corpus) readYAML(b []byte) {
	var root yaml.Node
	if yaml.Unmarshal(b, &root) != nil {
		return // the flow compiler says what is wrong with it
	}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for _, child := range n.Content {
			walk(child)
		}
		if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && strings.Contains(strings.TrimSpace(n.Value), " ") {
			c.sentences = append(c.sentences, lexicon.Sentences(n.Value)...)
		}
	}
	walk(&root)
}

// readTable reads CSV with a header line; columns headed name, title or product
// hold things.
func (c *corpus) readTable(b []byte) {
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil || len(rows) == 0 {
		return // the knowledge base says what is wrong with it
	}
	for i, head := range rows[0] {
		if slices.Contains([]string{"name", "title", "product"}, strings.ToLower(strings.TrimSpace(head))) {
			for _, row := range rows[1:] {
				c.name(row[i])
			}
		}
	}
}

// name adds things by their names, and each word of a name too: of the "Claw
// hammer" customers ask for hammers.
func (c *corpus) name(names ...string) {
	for _, name := range names {
		for _, words := range lexicon.Sentences(name) {
			c.things = append(c.things, words)
			if len(words) > 1 {
				for _, w := range words {
					c.things = append(c.things, []string{w})
				}
			}
		}
	}
}

// model counts the corpus and the questions customers ask about its things.
func (c corpus) model(lex *lexicon.Lexicon) *ngram.Counts {
	var counts ngram.Counts
	for _, s := range c.sentences {
		counts.Add(s, 1)
	}
	seen := map[string]bool{}
	things := [][]string{}
	for _, thing := range c.things {
		for _, form := range numbers(thing, lex) {
			if key := strings.Join(form, " "); !seen[key] {
				seen[key] = true
				things = append(things, form)
			}
		}
	}
	for line := range strings.Lines(englishQuestions) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !strings.Contains(line, "{thing}") {
			counts.Add(strings.Fields(line), questionWeight)
			continue
		}
		for _, thing := range things {
			question := strings.ReplaceAll(line, "{thing}", strings.Join(thing, " "))
			counts.Add(strings.Fields(question), questionWeight/float64(len(things)))
		}
	}
	return &counts
}

// questionWeight is how often each general question counts, against once for a
// sentence of the documents.
const questionWeight = 3

// numbers gives the thing and, where the dictionary has it, its other
// grammatical number: hammer and hammers.
func numbers(thing []string, lex *lexicon.Lexicon) [][]string {
	last := thing[len(thing)-1]
	others := []string{last + "s", last + "es"}
	if s, ok := strings.CutSuffix(last, "s"); ok {
		others = []string{s, strings.TrimSuffix(s, "e")}
	}
	forms := [][]string{thing}
	for _, other := range others {
		if lex.Known(other) && other != last {
			return append(forms, append(slices.Clone(thing[:len(thing)-1]), other))
		}
	}
	return forms
}

// lookInterval is how often, at most, the corpus files are looked at.
const lookInterval = 5 * time.Second
