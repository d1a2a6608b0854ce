package agent

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestLinksAreFollowedFromWhatAgentsObeyOnAndThroughLinksOnTheWay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what    string
		targets map[string]string
		want    map[string]bool
	}{
		{"a link of another name", map[string]string{"README": "docs/readme"}, map[string]bool{}},
		{"one that agents obey", map[string]string{"CLAUDE.md": "docs/a.md"}, map[string]bool{"docs/a.md": true}},
		{"one after the other", map[string]string{"CLAUDE.md": "a", "a": "b", "b": "c"}, map[string]bool{"a": true, "b": true, "c": true}},
		{
			"through a folder that is a link", map[string]string{"CLAUDE.md": "way/words", "way": "docs", "else": "way"},
			map[string]bool{"way/words": true, "way": false, "docs/words": true},
		},
		{
			"what is below", map[string]string{".claude": "tools", "tools/hook": "../bin/hook", "tools-2/hook": "../bin/free"},
			map[string]bool{"tools": true, "bin/hook": true},
		},
		{
			"on the way, and meant as well", map[string]string{"CLAUDE.md": "way/words", ".codex": "way", "way": "docs"},
			map[string]bool{"way": true, "way/words": true, "docs": true, "docs/words": true},
		},
		{"out of the repository", map[string]string{"CLAUDE.md": "../a", "AGENTS.md": "/a", ".codex": ""}, map[string]bool{}},
	} {
		if got := reached(c.targets); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

func TestLinksThatLeadOnAndOnEndSoonAtABound(t *testing.T) {
	t.Parallel()
	targets := map[string]string{}
	for i := range maxLinks / 2 { // each of these leads through all of those
		targets[fmt.Sprintf("%03d/CLAUDE.md", i)] = fmt.Sprintf("../z000/%03d", i)
		targets[fmt.Sprintf("z%03d", i)] = fmt.Sprintf("z%03d", i+1)
	}
	longer := map[string]string{"CLAUDE.md": "l/x", "l": strings.Repeat("l/", 300) + "l"}
	for what, all := range map[string]map[string]string{"one after the other": targets, "to ever longer paths": longer} {
		began := time.Now()
		got := reached(all)
		for name := range got {
			if len(name) > maxTreePath {
				t.Errorf("%s: a path of %d bytes", what, len(name))
			}
		}
		if took := time.Since(began); len(got) > maxLinks || len(got) < 5 || took > 20*time.Second {
			t.Errorf("%s: %d paths in %s", what, len(got), took)
		}
	}
}

// A link's target is a blob like any other, and can be of any size.
func TestALinkOfAnySizeIsNotRead(t *testing.T) { //nolint:paralleltest // it counts what the process allocates
	const large = 64 << 20
	dir := t.TempDir()
	gitIn(t, dir, "init", "--quiet", "--bare", ".")
	put := func(name string, size int) string {
		path := filepath.Join(dir, name)
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString("docs/a.md"); err != nil {
			t.Fatal(err)
		}
		if err := file.Truncate(int64(max(size, len("docs/a.md")))); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		return gitIn(t, dir, "hash-object", "-w", path)
	}
	links := map[string]string{"AGENTS.md": put("large", large), "CLAUDE.md": put("small", 0), "GEMINI.md": put("long", maxTreePath+1)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := git{home: dir}.targets(t.Context(), dir, links)
	runtime.ReadMemStats(&after)
	if err != nil || !maps.Equal(got, map[string]string{"CLAUDE.md": "docs/a.md"}) {
		t.Errorf("found %v, %v", got, err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > large/2 {
		t.Errorf("it took %d MB to find out", took>>20)
	}
}

func TestWhatIsIgnoredIsHeldInBounds(t *testing.T) {
	t.Parallel()
	const many = 200_000
	aside := &ignored{}
	var lines strings.Builder
	for i := range many {
		aside.see(fmt.Sprintf("%06d/hooks/pre-commit", i), file{mode: "100644"})
		aside.see(fmt.Sprintf("module-%06d", i), file{mode: modeSubmodule})
		fmt.Fprintf(&lines, "*.%06d filter=x%06d\n*.%06d filter=lfs\n", i, i, i)
	}
	aside.attribute([]byte(lines.String()))
	for what, all := range map[string][]string{"hooks": aside.hooks, "submodules": aside.submodules, "filters": aside.filters, "patterns": aside.lfs} {
		if len(all) != maxIgnored {
			t.Errorf("%d %s are held", len(all), what)
		}
	}
	e, ok := aside.notice()
	if !ok || !strings.Contains(e.Text, "at least 980 more") {
		t.Errorf("told is %.300s", e.Text)
	}
}
