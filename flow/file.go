package flow

import (
	"io/fs"

	"github.com/praesenz/parley/schemas"
)

// A File is one of a store's YAML files, with the places of what it says.
type File struct{ root node }

// ReadFile reads a file that has no checks but its schema's, such as store.yaml.
// The file is nil when there is nothing in it to look at.
func ReadFile(fsys fs.FS, name string, schema *schemas.Schema) (*File, Diagnostics) {
	var ds Diagnostics
	src := readYAML(fsys, name, &ds)
	if src == nil || src.root == nil {
		return nil, ds
	}
	checkStructure(src, schema, &ds)
	ds.sort()
	return &File{root: node{src.root, src}}, ds
}

// Mistake is a diagnostic of what a way of keys and indexes leads to ("kiosks",
// "0", "id"), or of the last on the way that is there.
func (f *File) Mistake(code Code, way []string, message string) Diagnostic {
	where := f.root.at()
	for n := range way {
		key, val := f.root.find(way[:n+1])
		switch {
		case val.y == f.root.y:
		case val.text().Value != "":
			where = val.at()
		case key.Value != "":
			where = key.at
		}
	}
	return Diagnostic{Code: code, Severity: Error, Pos: where.pos, End: where.end, Message: message}
}

// CodeValue is the code of a value that is not allowed where it stands.
const CodeValue = codeValue
