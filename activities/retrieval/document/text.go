package document

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/ledongthuc/pdf"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// readText takes paragraphs, which blank lines divide. A short first line that
// stands alone is the title.
func readText(d *draft, content []byte) error {
	paragraphs := strings.Split(string(content), "\n\n")
	for i, p := range paragraphs {
		line := strings.TrimSpace(p)
		if i == 0 && len(paragraphs) > 1 && !strings.ContainsAny(line, "\n.!?") && len(strings.Fields(line)) <= 10 {
			d.title = line
			continue
		}
		d.add(nil, p)
	}
	return nil
}

// unread are the parts of a page that are not its text.
var unread = map[atom.Atom]bool{
	atom.Script: true, atom.Style: true, atom.Noscript: true, atom.Template: true, atom.Svg: true,
	atom.Nav: true, atom.Footer: true, atom.Form: true, atom.Iframe: true, atom.Select: true, atom.Button: true,
}

// paragraphs are the elements that end one piece of text and begin another.
var paragraphs = map[atom.Atom]bool{
	atom.P: true, atom.Div: true, atom.Li: true, atom.Ul: true, atom.Ol: true, atom.Tr: true, atom.Table: true,
	atom.Section: true, atom.Article: true, atom.Main: true, atom.Header: true, atom.Aside: true, atom.Body: true,
	atom.Blockquote: true, atom.Pre: true, atom.Dl: true, atom.Dt: true, atom.Dd: true, atom.Figure: true, atom.Figcaption: true,
}

var headingLevels = map[atom.Atom]int{atom.H1: 1, atom.H2: 2, atom.H3: 3, atom.H4: 4, atom.H5: 5, atom.H6: 6}

func readHTML(d *draft, content []byte) error {
	root, err := html.Parse(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("parse HTML: %w", err)
	}
	r := &htmlReader{draft: d}
	r.read(root)
	r.end()
	return nil
}

type htmlReader struct {
	draft    *draft
	headings outline
	text     strings.Builder // of the paragraph that is being read
}

// read goes down at most as deep as the parser allows, which is 512 elements.
func (r *htmlReader) read(n *html.Node) {
	switch {
	case n.Type == html.TextNode:
		r.text.WriteString(n.Data)
		return
	case n.Type == html.ElementNode && unread[n.DataAtom]:
		return
	case n.DataAtom == atom.Html:
		for _, a := range n.Attr {
			if a.Key == "lang" {
				r.draft.lang = strings.ToLower(a.Val)
			}
		}
	case n.DataAtom == atom.Title:
		if r.draft.title == "" {
			r.draft.title = textOf(n)
		}
		return
	case headingLevels[n.DataAtom] > 0:
		r.end()
		r.headings.enter(headingLevels[n.DataAtom], oneLine(textOf(n)))
		return
	case n.DataAtom == atom.Br, n.DataAtom == atom.Td, n.DataAtom == atom.Th:
		r.text.WriteByte(' ')
	}
	if paragraphs[n.DataAtom] {
		r.end()
		defer r.end()
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		r.read(c)
	}
}

// end closes the paragraph that is being read.
func (r *htmlReader) end() {
	r.draft.add(r.headings.path(), r.text.String())
	r.text.Reset()
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}

// readPDF takes a PDF's text page by page. Scanned pages have none.
func readPDF(d *draft, content []byte) (err error) {
	// The library panics on many malformed files; whatever it was, the file is
	// what to mend.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the PDF is damaged (%v): print it to PDF anew, or save its text as .txt", p)
		}
	}()
	r, err := pdf.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return fmt.Errorf("open PDF: %w", err)
	}
	if n := r.NumPage(); n > maxPages {
		return fmt.Errorf("the PDF has %d pages, more than the %d that one file may have: split it", n, maxPages)
	}
	d.title = r.Trailer().Key("Info").Key("Title").Text()
	size := 0
	for i := 1; i <= r.NumPage(); i++ {
		for _, text := range paragraphsOf(r.Page(i).Content().Text) {
			if size += len(text); size > MaxBytes { // a small file can unfold to a huge text
				return fmt.Errorf("the PDF holds more than %d MiB of text: split it", MaxBytes>>20)
			}
			d.add(nil, strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), ""))
		}
	}
	if len(d.blocks) == 0 {
		return errors.New("the PDF holds no text, only pictures of it: run it through text recognition (OCR) first")
	}
	return nil
}

// paragraphsOf joins a page's pieces of text, mostly single letters, by where they
// stand: a PDF knows places, not lines or spaces. Distances are in sizes of the
// type: lines follow each other by about 1.2, paragraphs by more.
func paragraphsOf(pieces []pdf.Text) []string {
	const (
		sameLine  = 0.5
		paragraph = 1.8
		space     = 0.2
	)
	var done []string
	var text strings.Builder
	for i, p := range pieces {
		if i > 0 {
			before, size := pieces[i-1], max(p.FontSize, 1)
			switch down := math.Abs(before.Y-p.Y) / size; {
			case down > paragraph:
				done = append(done, text.String())
				text.Reset()
			case down > sameLine, before.W > 0 && p.X-before.X-before.W > space*size:
				text.WriteByte(' ')
			}
		}
		text.WriteString(p.S)
	}
	return append(done, text.String())
}

// readCSV makes a passage of each row: "name: Claw hammer, price: 14.99". The
// first row names the columns, and each becomes a field to filter by.
func readCSV(d *draft, content []byte) error {
	r := csv.NewReader(bytes.NewReader(content))
	r.Comma = separator(content)
	r.TrimLeadingSpace = true
	r.FieldsPerRecord = 0 // as many as the first row
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the row of column names: %w", err)
	}
	for i, name := range header {
		if header[i] = fieldName(name); header[i] == "" {
			return fmt.Errorf("column %d has no name: write one in the first row", i+1)
		}
	}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a row: %w", err)
		}
		if len(d.blocks) >= maxPassages {
			return fmt.Errorf("more than %d rows: split the file", maxPassages)
		}
		d.addRow(header, row)
	}
}

func (d *draft) addRow(header, row []string) {
	b := block{fields: make(map[string]string)}
	var cells []string
	for i, value := range row {
		if value = oneLine(value); value == "" {
			continue
		}
		b.fields[header[i]] = value
		cells = append(cells, strings.ReplaceAll(header[i], "_", " ")+": "+value)
		if header[i] == "title" || header[i] == "name" || b.title == "" {
			b.title = value
		}
	}
	if len(cells) > 0 {
		b.text = strings.Join(cells, ", ")
		d.blocks = append(d.blocks, b)
	}
}

// separator is the first row's most frequent of comma, semicolon (spreadsheets
// in German) and tab.
func separator(content []byte) rune {
	first, _, _ := bytes.Cut(content, []byte("\n"))
	best, most := ',', 0
	for _, sep := range ",;\t" {
		if n := bytes.Count(first, []byte(string(sep))); n > most {
			best, most = sep, n
		}
	}
	return best
}
