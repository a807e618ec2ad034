package document_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/praesenz/parley/activities/retrieval/document"
)

var update = flag.Bool("update", false, "write the golden files")

// Each file in testdata/read is read and compared with its golden file.
func TestRead(t *testing.T) {
	files, err := filepath.Glob("testdata/read/*/*.*")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		if filepath.Ext(file) == ".golden" {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source, err := filepath.Rel("testdata/read", file)
			if err != nil {
				t.Fatal(err)
			}
			doc, err := document.Read(filepath.ToSlash(source), content, document.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(doc.Hash) != 64 {
				t.Errorf("hash is %q", doc.Hash)
			}
			doc.Hash = ""
			got, err := json.MarshalIndent(doc, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			golden := file + ".golden"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("%s (write anew with -update):\n%s", golden, got)
			}
		})
	}
}

func TestReadSaysWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct{ source, content, says string }{
		"kind":         {"x.docx", "x", ".pdf or .csv"},
		"charset":      {"x.md", "gr\xfc\xdfe", "save it as UTF-8"},
		"charset line": {"x.txt", "a\nb\n\xff", "line 3"},
		"UTF-16":       {"x.txt", "\xff\xfea\x00", "UTF-16"},
		"binary":       {"x.txt", "a\x00b", "not text"},
		"empty":        {"x.md", "  \n\n", "holds no text"},
		"only a title": {"x.md", "# Title\n", "holds no text"},
		"too large":    {"x.txt", strings.Repeat("x", document.MaxBytes+1), "10 MiB"},
		"front matter": {"x.md", "---\ntitle: [\n---\nx", "front matter"},
		"nested":       {"x.md", "---\na:\n  b: c\n---\nx", `"a" must be one value`},
		"ragged":       {"x.csv", "a,b\n1\n", "line 2"},
		"no column":    {"x.csv", "a,\n1,2\n", "column 2 has no name"},
		"pdf":          {"x.pdf", "%PDF-1.4 nonsense", "PDF"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := document.Read(test.source, []byte(test.content), document.Options{})
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), test.source) {
				t.Errorf("%v, want %q", err, test.says)
			}
		})
	}
	if _, err := document.Read("x.docx", nil, document.Options{}); !errors.Is(err, document.ErrUnsupported) {
		t.Errorf("%v, want ErrUnsupported", err)
	}
}

func TestLanguage(t *testing.T) {
	for name, test := range map[string]struct{ source, content, fallback, want string }{
		"front matter": {"kb/de/x.md", "---\nlang: TR\n---\nx", "fr", "tr"},
		"folder":       {"kb/de/x.md", "x", "fr", "de"},
		"no language":  {"kb/zz/x.md", "x", "fr", "fr"},
		"option":       {"x.txt", "x", "fr", "fr"},
		"default":      {"x.txt", "x", "", "en"},
		"html":         {"x.html", `<html lang="de"><p>x`, "fr", "de"},
		"column":       {"kb/de/x.csv", "name,lang\nx,en\n", "", "de"},
	} {
		doc, err := document.Read(test.source, []byte(test.content), document.Options{Language: test.fallback})
		if err != nil || doc.Language != test.want || doc.Passages[0].Fields["lang"] != test.want {
			t.Errorf("%s: %q, %v, want %q", name, doc.Language, err, test.want)
		}
	}
}

// Long texts become passages of a speakable length, and nothing is lost.
func TestChunks(t *testing.T) {
	sentence := "The store has many things on its shelves for you. " // 10 words
	for name, content := range map[string]string{
		"one paragraph":   strings.Repeat(sentence, 100),
		"many paragraphs": strings.Repeat(strings.Repeat(sentence, 3)+"\n\n", 30),
		"no sentences":    strings.Repeat("word ", 1000),
	} {
		doc, err := document.Read("x.txt", []byte(content), document.Options{})
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		ids := make(map[string]bool)
		for i, p := range doc.Passages {
			n := len(strings.Fields(p.Text))
			total += n
			ids[p.ID] = true
			if n > 180 || i < len(doc.Passages)-1 && n < 60 {
				t.Errorf("%s: passage %d has %d words", name, i, n)
			}
		}
		if total != len(strings.Fields(content)) || len(ids) != len(doc.Passages) {
			t.Errorf("%s: %d words in %d passages with %d ids, want %d", name, total, len(doc.Passages), len(ids), len(strings.Fields(content)))
		}
	}
}

// What a file makes stays the same as long as the file does.
func TestStable(t *testing.T) {
	read := func(source, content string) document.Document {
		doc, err := document.Read(source, []byte(content), document.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	a, again := read("a.md", "# A\n\none"), read("a.md", "# A\n\none")
	if a.Hash != again.Hash || a.Passages[0].ID != again.Passages[0].ID {
		t.Error("the same file read twice differs")
	}
	if changed := read("a.md", "# A\n\ntwo"); changed.Hash == a.Hash || changed.Passages[0].ID != a.Passages[0].ID {
		t.Error("a changed file must change its hash and keep its passages' ids")
	}
	if other := read("b.md", "# A\n\none"); other.Passages[0].ID == a.Passages[0].ID {
		t.Error("two files share a passage id")
	}
}

func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/read/*/*.*")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if content, err := os.ReadFile(file); err == nil && filepath.Ext(file) != ".golden" {
			f.Add(filepath.Ext(file), content)
		}
	}
	f.Fuzz(func(t *testing.T, ext string, content []byte) {
		doc, err := document.Read("kb/x"+ext, content, document.Options{})
		if err != nil {
			return
		}
		if doc.Title == "" || doc.Language == "" || len(doc.Passages) == 0 {
			t.Fatalf("incomplete: %+v", doc)
		}
		for _, p := range doc.Passages {
			if strings.TrimSpace(p.Text) == "" || strings.ToValidUTF8(p.Text, "") != p.Text {
				t.Fatalf("bad text %q", p.Text)
			}
		}
	})
}
