// Package hardwarestore_test holds the example store to its word: a kiosk quotes
// these files aloud, so they must not contradict each other.
package hardwarestore_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// document is one Markdown file of the knowledge base.
type document struct {
	Title string   `yaml:"title"`
	Tags  []string `yaml:"tags"`
	Lang  string   `yaml:"lang"`
	SKU   string   `yaml:"sku"`
	Price float64  `yaml:"price"` // in euros
	Aisle int      `yaml:"aisle"`

	body string
}

// wording is how documents of one language put the facts of a product.
type wording struct {
	price string                    // a format of price-list figures
	place *regexp.Regexp            // aisle and bay
	stock map[string]*regexp.Regexp // by the price list's column
}

var wordings = map[string]wording{
	"en": {"%s euros", regexp.MustCompile(`aisle (\d+), bay (\d+)`), map[string]*regexp.Regexp{
		"in stock": regexp.MustCompile(`(is|are) in stock`),
		"few left": regexp.MustCompile(`only a few`),
		"to order": regexp.MustCompile(`we order`),
	}},
	"de": {"%s Euro", regexp.MustCompile(`Gang (\d+), Regal (\d+)`), map[string]*regexp.Regexp{
		"in stock": regexp.MustCompile(`vorrätig`),
		"few left": regexp.MustCompile(`nur noch wenige`),
		"to order": regexp.MustCompile(`wir bestellen`),
	}},
}

func TestDocumentsAgreeWithThePriceList(t *testing.T) {
	prices := readPrices(t)
	bays := map[string]string{} // by SKU, across languages
	for path, doc := range readDocuments(t) {
		if doc.SKU == "" {
			continue
		}
		row, ok := prices[doc.SKU]
		if !ok {
			t.Errorf("%s: sku %s is not in the price list", path, doc.SKU)
			continue
		}
		if got := fmt.Sprintf("%.2f", doc.Price); got != row["price_eur"] {
			t.Errorf("%s: price is %s, but %s in the price list", path, got, row["price_eur"])
		}
		if got := fmt.Sprint(doc.Aisle); got != row["aisle"] {
			t.Errorf("%s: aisle is %s, but %s in the price list", path, got, row["aisle"])
		}

		say := wordings[doc.Lang]
		figures := row["price_eur"]
		if doc.Lang == "de" {
			figures = strings.Replace(figures, ".", ",", 1)
		}
		if sentence := fmt.Sprintf(say.price, figures); !strings.Contains(doc.body, sentence) {
			t.Errorf("%s: the text does not say %q", path, sentence)
		}
		if stock := say.stock[row["stock"]]; stock == nil || !stock.MatchString(doc.body) {
			t.Errorf("%s: the text does not say that the product is %s", path, row["stock"])
		}
		place := say.place.FindStringSubmatch(doc.body)
		if place == nil || place[1] != row["aisle"] {
			t.Errorf("%s: the first place in the text is %q, want one in aisle %s", path, place, row["aisle"])
			continue
		}
		if bay, known := bays[doc.SKU]; known && bay != place[2] {
			t.Errorf("%s: bay %s here, but bay %s in another language", path, place[2], bay)
		}
		bays[doc.SKU] = place[2]
	}
	for sku := range prices {
		if _, ok := bays[sku]; !ok {
			t.Errorf("prices.csv: no document describes %s", sku)
		}
	}
}

// A passage is read aloud on its own, so a document is short, begins with its
// title, and lies in the folder of its language.
func TestDocumentsCanBeQuoted(t *testing.T) {
	for path, doc := range readDocuments(t) {
		if want := filepath.Base(filepath.Dir(path)); doc.Lang != want {
			t.Errorf("%s: lang is %q, want %q", path, doc.Lang, want)
		}
		if len(doc.Tags) == 0 {
			t.Errorf("%s: has no tags", path)
		}
		if !strings.HasPrefix(doc.body, "\n# "+doc.Title+"\n\n") {
			t.Errorf("%s: does not begin with its title %q", path, doc.Title)
		}
		if n := len(strings.Fields(doc.body)); n < 35 || n > 150 {
			t.Errorf("%s: has %d words, want 35 to 150", path, n)
		}
	}
}

func TestQuestionsAreAnsweredByTheirDocuments(t *testing.T) {
	var questions map[string][]struct {
		Ask      string     `yaml:"ask"`
		Expects  [][]string `yaml:"expects"`
		Document string     `yaml:"document"`
	}
	decode(t, "questions.yaml", &questions)
	documents := readDocuments(t)
	for lang, list := range questions {
		for _, q := range list {
			doc, ok := documents[q.Document]
			if !ok || doc.Lang != lang {
				t.Errorf("%q: %s is not a document in %q", q.Ask, q.Document, lang)
				continue
			}
			text := strings.ToLower(doc.body)
			for _, wordings := range q.Expects {
				if !slices.ContainsFunc(wordings, func(w string) bool { return strings.Contains(text, strings.ToLower(w)) }) {
					t.Errorf("%q: %s says none of %q", q.Ask, q.Document, wordings)
				}
			}
		}
	}
}

func readDocuments(t *testing.T) map[string]document {
	t.Helper()
	paths, err := filepath.Glob("kb/*/*.md")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no documents under kb: %v", err)
	}
	documents := make(map[string]document, len(paths))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.SplitN(string(text), "---\n", 3)
		if len(parts) != 3 {
			t.Fatalf("%s: front matter is missing", path)
		}
		doc := document{body: parts[2]}
		unmarshal(t, path, []byte(parts[1]), &doc)
		documents[filepath.ToSlash(path)] = doc
	}
	return documents
}

// readPrices reads the price list: SKU → column → value.
func readPrices(t *testing.T) map[string]map[string]string {
	t.Helper()
	file, err := os.Open("kb/en/prices.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	prices := map[string]map[string]string{}
	for _, row := range rows[1:] {
		columns := map[string]string{}
		for i, name := range rows[0] {
			columns[name] = row[i]
		}
		if _, twice := prices[columns["sku"]]; twice {
			t.Errorf("prices.csv: sku %s is there twice", columns["sku"])
		}
		prices[columns["sku"]] = columns
	}
	return prices
}

func decode(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	unmarshal(t, path, text, into)
}

func unmarshal(t *testing.T, path string, text []byte, into any) {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
