package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/praesenz/parley/activities"
	"github.com/praesenz/parley/activities/retrieval"
	"github.com/praesenz/parley/activities/retrieval/document"
	"github.com/praesenz/parley/config"
	"github.com/praesenz/parley/store"
)

// addedByHand marks what `kb add` put into a collection, so that the running
// system, which keeps a collection like the store's folder, leaves it alone.
const addedByHand = "kb add"

// A knowledge is what every kb command works on.
type knowledge struct {
	collection retrieval.Collection
}

// kbCommand fills and searches what the kiosks know.
func kbCommand() *cobra.Command {
	k := &knowledge{}
	cmd := &cobra.Command{
		Use:   "kb",
		Short: "Fill and search what the kiosks know",
		Long: `Fill and search what the kiosks know.

A running "parley dev" follows the store's own knowledge folder by itself, and so
does "parley kb sync"; the other commands are for what lies elsewhere, and to see
what a question finds. They can be used while it runs.`,
	}
	for _, tool := range []*cobra.Command{k.addCommand(), k.searchCommand(), k.listCommand(), k.removeCommand(), k.rebuildCommand()} {
		config.Bind(config.KB, tool.Flags())
		cmd.AddCommand(tool)
	}
	cmd.AddCommand(kbSyncCommand())
	return cmd
}

// with opens the index for one command.
func (k *knowledge) with(cmd *cobra.Command, do func(context.Context, openedIndex) error) error {
	c, err := settings(cmd, config.KB)
	if err != nil {
		return err
	}
	s, err := store.Read(c.Store)
	if err != nil {
		return err
	}
	k.collection = retrieval.Collection{Store: s.ID, Index: c.Index}
	if err := k.collection.Validate(); err != nil {
		return fmt.Errorf("--index: %w", err)
	}
	logger := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	idx, err := openIndex(cmd.Context(), c, logger)
	if err != nil {
		return err
	}
	defer idx.close()
	return do(cmd.Context(), idx)
}

func (k *knowledge) addCommand() *cobra.Command {
	var o document.Options
	cmd := &cobra.Command{
		Use:   "add FILE|FOLDER…",
		Short: "Put Markdown, text, HTML, PDF and CSV files into a collection",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.with(cmd, func(ctx context.Context, idx openedIndex) error {
				return k.add(ctx, idx, args, o, cmd.OutOrStdout())
			})
		},
	}
	cmd.Flags().StringVar(&o.Language, "lang", "en", "language of files that do not say theirs by front matter or folder (kb/de/…)")
	return cmd
}

// add puts files into the collection, each under the path it was named by.
func (k *knowledge) add(ctx context.Context, idx openedIndex, args []string, o document.Options, out io.Writer) error {
	fmt.Fprintf(out, "Adding to %s (%s) …\n", k.collection, idx.searches)
	var total retrieval.Report
	for _, arg := range args {
		path, err := filepath.Abs(arg)
		if err != nil {
			return err
		}
		// The source is named as in the shell, from the working folder where it
		// lies below it, so that the same file has one name.
		root, name := filepath.Dir(path), filepath.Base(path)
		if wd, err := os.Getwd(); err == nil {
			if rel, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(rel) {
				root, name = wd, rel
			}
		}
		adder := &retrieval.Syncer{
			Index: idx, Collection: k.collection, Files: os.DirFS(root), Paths: []string{filepath.ToSlash(name)},
			Origin: addedByHand, Options: o, Keep: true,
			OnPut: func(r retrieval.Report) { fmt.Fprintf(out, "  %s: %d documents so far …\n", arg, r.Documents) },
		}
		report, err := adder.Sync(ctx)
		if err != nil {
			return fmt.Errorf("add %s: %w", arg, err)
		}
		fmt.Fprintf(out, "  %s: %s\n", arg, report)
		total.Documents += report.Documents
		total.Passages += report.Passages
		total.Changed += report.Changed
		total.Failed = append(total.Failed, report.Failed...)
	}
	fmt.Fprintln(out, total)
	return errors.Join(total.Failed...)
}

func (k *knowledge) searchCommand() *cobra.Command {
	q := retrieval.Query{Filter: map[string]string{}}
	var lang string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "search QUERY",
		Short: "Show what a question finds, best first, with its score",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q.Text = strings.Join(args, " ")
			if lang != "" {
				q.Filter[document.FieldLanguage] = lang
			}
			return k.with(cmd, func(ctx context.Context, idx openedIndex) error {
				passages, err := idx.Search(ctx, k.collection, q)
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(cmd.OutOrStdout(), activities.RetrieveResult{Passages: append([]activities.Passage{}, passages...)})
				}
				return k.writePassages(ctx, cmd.OutOrStdout(), idx, passages)
			})
		},
	}
	f := cmd.Flags()
	f.IntVar(&q.TopK, "top", retrieval.DefaultTopK, fmt.Sprintf("at most so many passages, 1 to %d", retrieval.MaxTopK))
	f.Float64Var(&q.MinScore, "min-score", 0, "leave out passages below this score, 0 to 1")
	f.StringVar(&lang, "lang", "", "only passages in this language")
	f.StringToStringVar(&q.Filter, "filter", q.Filter, "only passages with these fields: aisle=4,sku=H401")
	f.BoolVar(&asJSON, "json", false, "print what the Retrieve activity would return")
	return cmd
}

func (k *knowledge) writePassages(ctx context.Context, out io.Writer, idx openedIndex, passages []activities.Passage) error {
	if len(passages) == 0 {
		sources, err := idx.Sources(ctx, k.collection)
		if err != nil {
			return err
		}
		if len(sources) == 0 {
			return fmt.Errorf("collection %s is empty: fill it with parley kb add, or name another with --store and --index", k.collection)
		}
		fmt.Fprintln(out, "Nothing found.")
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SCORE\tTITLE\tSOURCE\tTEXT")
	for _, p := range passages {
		fmt.Fprintf(w, "%.2f\t%s\t%s\t%s\n", p.Score, shorten(p.Title, 32), p.Source, shorten(p.Text, 72))
	}
	return w.Flush()
}

// shorten cuts a text to a number of letters, on one line.
func shorten(text string, letters int) string {
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) <= letters {
		return text
	}
	return string([]rune(text)[:letters-1]) + "…"
}

func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func (k *knowledge) listCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the documents of a collection",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.with(cmd, func(ctx context.Context, idx openedIndex) error {
				sources, err := idx.Sources(ctx, k.collection)
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(cmd.OutOrStdout(), append([]retrieval.Source{}, sources...))
				}
				return k.writeSources(ctx, cmd.OutOrStdout(), idx, sources)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func (k *knowledge) writeSources(ctx context.Context, out io.Writer, idx openedIndex, sources []retrieval.Source) error {
	if len(sources) == 0 {
		others, err := idx.Collections(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "Collection %s is empty.\n", k.collection)
		for _, c := range others {
			fmt.Fprintf(out, "There is: --store %s --index %s\n", c.Store, c.Index)
		}
		return nil
	}
	buffered := bufio.NewWriter(out)
	w := tabwriter.NewWriter(buffered, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SOURCE\tTITLE\tLANG\tPASSAGES\tEMBEDDED BY\tADDED BY")
	passages := 0
	for _, s := range sources {
		passages += s.Passages
		by := s.Origin
		if by == "" {
			by = "store folder"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", s.Source, shorten(s.Title, 32), s.Language, s.Passages, orDash(s.Model), by)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(buffered, "%d documents, %d passages\n", len(sources), passages)
	return buffered.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (k *knowledge) removeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove SOURCE…",
		Short: "Forget documents, by their source in parley kb list",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.with(cmd, func(ctx context.Context, idx openedIndex) error {
				for _, source := range args {
					n, err := idx.Remove(ctx, k.collection, source)
					if err != nil {
						return err
					}
					if n == 0 {
						return fmt.Errorf("collection %s has no document %q: parley kb list shows those it has", k.collection, source)
					}
					fmt.Fprintf(cmd.OutOrStdout(), "Removed %s (%d passages)\n", source, n)
				}
				return nil
			})
		},
	}
}

func (k *knowledge) rebuildCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rebuild",
		Short: "Embed a collection anew, after a change of the embedding model",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.with(cmd, func(ctx context.Context, idx openedIndex) error {
				n, err := retrieval.Rebuild(ctx, idx, k.collection)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "Rebuilt %s: %d documents (%s)\n", k.collection, n, idx.searches)
				return nil
			})
		},
	}
}
