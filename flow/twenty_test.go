package flow

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// wanted are the mistakes that the comments of testdata/twenty/flow.yaml name,
// as "line code".
func wanted(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/twenty/flow.yaml")
	if err != nil {
		t.Fatal(err)
	}
	comment := regexp.MustCompile(`# (F\d+)$`)
	var want []string
	for i, line := range strings.Split(string(text), "\n") {
		if m := comment.FindStringSubmatch(line); m != nil {
			want = append(want, fmt.Sprintf("%d %s", i+1, m[1]))
		}
	}
	return want
}

func twenty(t testing.TB) Source {
	t.Helper()
	root := os.DirFS("testdata/twenty")
	actions, ds := ReadCatalogue(root, "actions")
	if len(ds) > 0 {
		t.Fatal(Render(ds, root, RenderOptions{}))
	}
	return Source{FS: root, Path: "flow.yaml", Collections: []string{"store"}, Actions: actions}
}

// A flow of 100 steps with 20 mistakes of 20 kinds: each is told once, at its
// line, and nothing else is.
func TestTwentyMistakes(t *testing.T) {
	if *update {
		publishAll(t, "testdata/twenty")
	}
	want := wanted(t)
	src := twenty(t)
	ds := Check(src)
	var got []string
	for _, d := range ds {
		got = append(got, fmt.Sprintf("%d %s", d.Pos.Line, d.Code))
	}
	if len(want) != 20 || !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q\n%s", got, want, Render(ds, src.FS, RenderOptions{}))
	}
	if raceDetector {
		return
	}
	// The bar is 20 ms; the best of some rounds is what the checker costs when
	// nothing else runs on the machine.
	best := time.Hour
	for range 20 {
		start := time.Now()
		Check(src)
		best = min(best, time.Since(start))
	}
	if best > 20*time.Millisecond {
		t.Errorf("checking takes %s at best; the bar is 20ms", best)
	}
	t.Logf("checking takes %s at best", best)
}
