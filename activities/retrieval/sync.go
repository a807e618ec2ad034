package retrieval

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"time"

	"github.com/praesenz/parley/activities/retrieval/document"
)

// A Syncer keeps a collection like the files of a folder: files that are new or
// changed are read and put, files that are gone are removed. What others put
// into the collection under another origin stays. It is not safe for concurrent
// use.
type Syncer struct {
	Index      Index
	Collection Collection
	Files      fs.FS
	Paths      []string // files and folders of Files; empty means all
	// Origin marks the documents that this syncer looks after. Two syncers of
	// one collection need different ones; empty is the store's own folder.
	Origin  string
	Options document.Options
	Keep    bool         // do not remove documents whose files are gone
	OnPut   func(Report) // learns how far a long sync is; may be nil
	OnSync  func(Report) // learns what each sync that reached the index found; may be nil

	seen   map[string]stamp // what was found to be in the index as it is
	failed map[string]failure
}

// A stamp tells that a file is as it was, without reading it.
type stamp struct {
	size     int64
	modified time.Time
}

// A failure is what was wrong with a file; it is the same until the file changes.
type failure struct {
	stamp
	err error
}

// A Report counts what a sync found and did.
type Report struct {
	Documents int // files that are in the collection now
	Passages  int // that they make
	Changed   int // of Documents, those that were new or different
	Removed   int // documents whose files are gone
	Failed    []error
}

// String is the report on one line: "62 documents, 118 passages, 3 unchanged".
func (r Report) String() string {
	s := fmt.Sprintf("%s, %s, %d unchanged", counted(r.Documents, "document"), counted(r.Passages, "passage"), r.Documents-r.Changed)
	if r.Removed > 0 {
		s += fmt.Sprintf(", %d removed", r.Removed)
	}
	if len(r.Failed) > 0 {
		s += fmt.Sprintf(", %d failed", len(r.Failed))
	}
	return s
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Sync makes the collection like the files, once. See Syncer.
func Sync(ctx context.Context, idx Index, c Collection, files fs.FS, paths ...string) (Report, error) {
	s := &Syncer{Index: idx, Collection: c, Files: files, Paths: paths}
	return s.Sync(ctx)
}

// Run syncs at once and then every interval, until ctx ends. It logs what
// changed and what failed, and goes on: a file that somebody is about to save
// will be whole the next time.
func (s *Syncer) Run(ctx context.Context, interval time.Duration, log *slog.Logger) {
	log = log.With("store", s.Collection.Store, "index", s.Collection.Index)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	told := ""
	for {
		report, err := s.Sync(ctx)
		if ctx.Err() != nil {
			return
		}
		problem := errors.Join(append(report.Failed, err)...)
		if report.Changed > 0 || report.Removed > 0 {
			log.InfoContext(ctx, "knowledge synced", "documents", report.Documents, "passages", report.Passages, "changed", report.Changed, "removed", report.Removed)
		}
		// The same problem every few seconds is said once.
		if problem == nil {
			told = ""
		} else if problem.Error() != told {
			told = problem.Error()
			log.WarnContext(ctx, "knowledge not fully synced", "error", problem)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// How much is read before it is put: enough for a model server to work on, little
// enough to hold.
const (
	putBytes     = 4 << 20
	putDocuments = 64
)

// Sync makes the collection like the files, once. A file that cannot be read is
// in Report.Failed and its old passages stay; the error is about the index.
func (s *Syncer) Sync(ctx context.Context) (Report, error) {
	var report Report
	known, err := s.known(ctx)
	if err != nil {
		return report, err
	}
	model := s.Index.Model()
	var pending []document.Document
	var pendingBytes int
	stamps := make(map[string]stamp)
	failed := make(map[string]failure)
	here := make(map[string]bool)
	put := func() error {
		if len(pending) == 0 {
			return nil
		}
		if err := s.Index.Put(ctx, s.Collection, pending); err != nil {
			return fmt.Errorf("put %d documents into %s: %w", len(pending), s.Collection, err)
		}
		pending, pendingBytes = nil, 0
		if s.OnPut != nil {
			s.OnPut(report)
		}
		return nil
	}
	err = s.walk(func(name string, info fs.FileInfo) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if here[name] { // two of the paths overlap
			return nil
		}
		here[name] = true
		old, indexed := known[name]
		upToDate := indexed && (model == "" || old.Model == model)
		now := stamp{size: info.Size(), modified: info.ModTime()}
		if upToDate && s.seen[name] == now {
			report.add(old.Passages, false)
			stamps[name] = now
			return nil
		}
		if f, before := s.failed[name]; before && f.stamp == now {
			failed[name] = f
			report.Failed = append(report.Failed, f.err)
			return nil
		}
		content, err := ReadFile(s.Files, name)
		if err != nil {
			report.Failed = append(report.Failed, err)
			return nil
		}
		if upToDate && old.Hash == document.Hash(name, content, s.Options) {
			report.add(old.Passages, false)
			stamps[name] = now
			return nil
		}
		doc, err := document.Read(name, content, s.Options)
		if err != nil {
			failed[name] = failure{stamp: now, err: err}
			report.Failed = append(report.Failed, err)
			return nil
		}
		doc.Origin = s.Origin
		pending = append(pending, doc)
		pendingBytes += len(content)
		report.add(len(doc.Passages), true)
		stamps[name] = now
		if pendingBytes >= putBytes || len(pending) >= putDocuments {
			return put()
		}
		return nil
	}, &report)
	if err == nil {
		err = put()
	}
	if err != nil {
		return report, err
	}
	for name, source := range known {
		if s.Keep || here[name] || source.Origin != s.Origin {
			continue
		}
		if _, err := s.Index.Remove(ctx, s.Collection, name); err != nil {
			return report, fmt.Errorf("remove %s from %s: %w", name, s.Collection, err)
		}
		report.Removed++
	}
	s.seen, s.failed = stamps, failed
	if s.OnSync != nil {
		s.OnSync(report)
	}
	return report, nil
}

func (r *Report) add(passages int, changed bool) {
	r.Documents++
	r.Passages += passages
	if changed {
		r.Changed++
	}
}

func (s *Syncer) known(ctx context.Context) (map[string]Source, error) {
	sources, err := s.Index.Sources(ctx, s.Collection)
	if err != nil {
		return nil, fmt.Errorf("list what %s holds: %w", s.Collection, err)
	}
	known := make(map[string]Source, len(sources))
	for _, source := range sources {
		known[source.Source] = source
	}
	return known, nil
}

// walk calls visit for every file that can be read, in a fixed order. A path
// that is not there is a failure and no reason to forget what it held, so walk
// returns an error for it.
func (s *Syncer) walk(visit func(name string, info fs.FileInfo) error, report *Report) error {
	paths := s.Paths
	if len(paths) == 0 {
		paths = []string{"."}
	}
	for _, root := range paths {
		root = path.Clean(root)
		err := fs.WalkDir(s.Files, root, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil && name == root:
				return fmt.Errorf("knowledge path %s: %w", root, err)
			case err != nil:
				report.Failed = append(report.Failed, fmt.Errorf("%s: %w", name, err))
				return nil
			case name != root && strings.HasPrefix(entry.Name(), "."):
				if entry.IsDir() {
					return fs.SkipDir
				}
				return nil
			case entry.IsDir():
				return nil
			case !document.Supported(name):
				if name == root {
					return fmt.Errorf("%s: %w", name, document.ErrUnsupported)
				}
				return nil
			}
			info, err := fs.Stat(s.Files, name)
			if errors.Is(err, fs.ErrNotExist) {
				return nil // removed while we walk
			}
			if err != nil {
				report.Failed = append(report.Failed, fmt.Errorf("%s: %w", name, err))
				return nil
			}
			return visit(name, info)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ReadFile reads one knowledge file, of document.MaxBytes at most.
func ReadFile(files fs.FS, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, document.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(content) > document.MaxBytes {
		return nil, fmt.Errorf("%s is larger than the %d MiB that one file may have: split it", name, document.MaxBytes>>20)
	}
	return content, nil
}
