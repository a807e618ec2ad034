// Package document reads knowledge files (Markdown, text, HTML, PDF, CSV) and
// cuts them into passages that are short enough to be an answer's source.
package document

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"github.com/praesenz/parley/activities/retrieval/lexical"
)

// Limits of one file. A kiosk's knowledge is short texts; whoever has more in
// one file has a catalogue, which belongs in several.
const (
	MaxBytes    = 10 << 20
	maxPassages = 20_000
	maxPages    = 1_000 // of a PDF
)

// Names of the fields that every passage of an index has.
const (
	FieldLanguage = "lang"
	FieldTags     = "tags"
)

// revision changes whenever the same file yields other passages.
const revision = "1." + lexical.Revision

// A Document is one file, read.
type Document struct {
	Source   string            // path or address; unique in a collection
	Title    string            // never empty
	Language string            // BCP 47
	Tags     []string          // words that people may use for it
	Fields   map[string]string // what a search can filter by; each passage has them too
	Hash     string            // of the content; the same hash means the same passages
	Origin   string            // who keeps it up to date: a syncer's name, or empty: whoever added it
	Passages []Passage
}

// A Passage is a piece of a document, about 120 words.
type Passage struct {
	ID     string // a UUID made from source and position, so that it stays the same
	Title  string // the document's, and the heading it stands under
	Text   string
	Fields map[string]string // the document's and its own (a CSV row's columns)
}

// Options say what a file may not say itself.
type Options struct {
	// Language is used when neither the front matter nor the folder names one
	// (kb/de/opening.csv is German). The default is "en".
	Language string
}

// ErrUnsupported marks a file of a kind that cannot be read.
var ErrUnsupported = errors.New("not a kind of file that can be read; use .md, .txt, .html, .pdf or .csv")

// ErrEmpty marks a file without a word in it.
var ErrEmpty = errors.New("the file holds no text: write some, or remove the file")

// readers turn content into blocks, by the file name's extension.
var readers = map[string]func(*draft, []byte) error{
	".md": readMarkdown, ".markdown": readMarkdown,
	".txt": readText, ".text": readText,
	".html": readHTML, ".htm": readHTML,
	".pdf": readPDF,
	".csv": readCSV, ".tsv": readCSV,
}

// Supported says whether a file of this name can be read.
func Supported(name string) bool { return readers[extension(name)] != nil }

func extension(name string) string { return strings.ToLower(path.Ext(name)) }

// Hash identifies what Read would make of the content.
func Hash(source string, content []byte, o Options) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00%s\x00", revision, source, o.Language)
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}

// Read reads one file. source is its path with forward slashes, as the passages
// will name it. Errors say what is wrong with the file and what to do.
func Read(source string, content []byte, o Options) (Document, error) {
	read := readers[extension(source)]
	if read == nil {
		return Document{}, fmt.Errorf("%s: %w", source, ErrUnsupported)
	}
	if len(content) > MaxBytes {
		return Document{}, fmt.Errorf("%s has %d bytes, more than the %d MiB that one file may have: split it", source, len(content), MaxBytes>>20)
	}
	hash := Hash(source, content, o)
	if extension(source) != ".pdf" {
		var err error
		if content, err = utf8Text(content); err != nil {
			return Document{}, fmt.Errorf("%s: %w", source, err)
		}
	}
	d := &draft{fields: make(map[string]string)}
	if err := read(d, content); err != nil {
		return Document{}, fmt.Errorf("%s: %w", source, err)
	}
	doc := d.document(source, o)
	doc.Hash = hash
	if len(doc.Passages) == 0 {
		return Document{}, fmt.Errorf("%s: %w", source, ErrEmpty)
	}
	if len(doc.Passages) > maxPassages {
		return Document{}, fmt.Errorf("%s makes %d passages, more than the %d that one file may have: split it", source, len(doc.Passages), maxPassages)
	}
	return doc, nil
}

// utf8Text returns the text in Unicode's composed form, without a byte order
// mark. Guessing another charset would turn umlauts into noise that nobody
// notices until a kiosk speaks it.
func utf8Text(content []byte) ([]byte, error) {
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	switch {
	case bytes.HasPrefix(content, []byte{0xff, 0xfe}), bytes.HasPrefix(content, []byte{0xfe, 0xff}):
		return nil, errors.New("the text is UTF-16: save it as UTF-8")
	case bytes.IndexByte(content, 0) >= 0:
		return nil, errors.New("the file holds zero bytes, so it is not text: check that its name ends as its kind does")
	}
	if !utf8.Valid(content) {
		return nil, fmt.Errorf("the text is not UTF-8 (first bad byte in line %d): save it as UTF-8, for example with iconv -f WINDOWS-1252 -t UTF-8", badLine(content))
	}
	content = bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
	content = bytes.ReplaceAll(content, []byte("\r"), []byte("\n"))
	return norm.NFC.Bytes(content), nil
}

func badLine(content []byte) int {
	line := 1
	for len(content) > 0 {
		r, n := utf8.DecodeRune(content)
		if r == utf8.RuneError && n == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		content = content[n:]
	}
	return line
}

// A draft is what a reader makes of a file.
type draft struct {
	title  string
	lang   string
	tags   []string
	fields map[string]string
	blocks []block
}

// A block is a paragraph and the headings it stands under, outermost first.
type block struct {
	headings []string
	text     string
	fields   map[string]string // a table row's; such a block is a passage of its own
	title    string            // of such a row
}

func (d *draft) add(headings []string, text string) {
	if text = oneLine(text); text != "" {
		d.blocks = append(d.blocks, block{headings: slices.Clone(headings), text: text})
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func (d *draft) document(source string, o Options) Document {
	doc := Document{Source: source, Title: oneLine(d.title), Tags: d.tags, Fields: d.fields, Language: d.lang}
	if doc.Title == "" {
		doc.Title = titleFromName(source)
	}
	if doc.Language == "" {
		doc.Language = folderLanguage(source)
	}
	if doc.Language == "" {
		doc.Language = o.Language
	}
	if doc.Language == "" {
		doc.Language = "en"
	}
	doc.Fields[FieldLanguage] = doc.Language
	if len(d.tags) > 0 {
		doc.Fields[FieldTags] = strings.Join(d.tags, ", ")
	}
	doc.Passages = chunk(d.blocks, doc)
	return doc
}

// titleFromName makes "opening-hours.txt" "Opening hours".
func titleFromName(source string) string {
	name := path.Base(source)
	name = strings.TrimSuffix(name, path.Ext(name))
	name = oneLine(strings.NewReplacer("-", " ", "_", " ").Replace(name))
	r, n := utf8.DecodeRuneInString(name)
	if n == 0 {
		return source
	}
	return strings.ToUpper(string(r)) + name[n:]
}

// folderLanguage is the language that a file's folder names: kb/de/prices.csv.
func folderLanguage(source string) string {
	folder := path.Base(path.Dir(source))
	if len(folder) != 2 {
		return ""
	}
	base, err := language.ParseBase(folder)
	if err != nil {
		return ""
	}
	return base.String()
}

// passageSpace is the namespace of passage ids (RFC 9562, version 5).
var passageSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://github.com/praesenz/parley/passage"))

func passageID(source string, ordinal int) string {
	return uuid.NewSHA1(passageSpace, []byte(source+"#"+strconv.Itoa(ordinal))).String()
}
