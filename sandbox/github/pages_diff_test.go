package github

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestADiffIsTakenApart(t *testing.T) {
	got := newPageDiff(strings.Join([]string{
		"diff --git a/a.go b/b.go", "similarity index 90%", "rename from a.go", "rename to b.go",
		"index 1111111..2222222 100644", "--- a/a.go", "+++ b/b.go", "@@ -3,3 +3,4 @@ func f() {", " same", "-old", "+new", "+newer", " same",
		`\ No newline at end of file`,
		"diff --git a/logo.png b/logo.png", "new file mode 100644", "index 0000000..3333333", "Binary files /dev/null and b/logo.png differ",
		"diff --git a/run b/run", "old mode 100644", "new mode 100755",
		"diff --git a/x b/y", "similarity index 100%", "rename from x", "rename to y",
		"diff --git a/gone b/gone", "deleted file mode 100644", "index 4444444..0000000", "--- a/gone", "+++ /dev/null", "@@ -1 +0,0 @@", "-bye", "",
	}, "\n"))
	if got.Raw != "" || got.Added != 2 || got.Removed != 2 || got.Cut {
		t.Fatalf("got %+v", got)
	}
	var said []string
	for _, f := range got.Files {
		said = append(said, fmt.Sprintf("%s<%s %s +%d -%d", f.Path, f.Was, f.Note, f.Added, f.Removed))
	}
	want := []string{"b.go<a.go renamed +2 -1", "logo.png< new binary +0 -0", "run< mode 100755 +0 -0", "y<x renamed +0 -0", "gone< deleted +0 -1"}
	if !slices.Equal(said, want) {
		t.Errorf("got  %q\nwant %q", said, want)
	}
	lines := got.Files[0].Lines
	if want := (pageLine{Kind: "hunk", Text: "⋯ func f() {"}); lines[0] != want {
		t.Errorf("first line %+v, want %+v", lines[0], want)
	}
	if want := (pageLine{Kind: "add", New: 5, Text: "newer"}); lines[4] != want {
		t.Errorf("fifth line %+v, want %+v", lines[4], want)
	}
	if want := (pageLine{Kind: "same", Old: 5, New: 6, Text: "same"}); lines[5] != want {
		t.Errorf("sixth line %+v, want %+v", lines[5], want)
	}
}

func TestADiffThatIsTooLongIsCutAndSaysSo(t *testing.T) {
	var text strings.Builder
	for f := range 3 {
		fmt.Fprintf(&text, "diff --git a/f%d b/f%d\n--- /dev/null\n+++ b/f%d\n@@ -0,0 +1,3000 @@\n%s", f, f, f, strings.Repeat("+x\n", 3000))
	}
	got := newPageDiff(text.String())
	shown := 0
	for _, f := range got.Files {
		shown += len(f.Lines)
	}
	if shown != diffLines || !got.Cut || got.Added != 9000 || len(got.Files) != 3 {
		t.Errorf("shown %d, cut %v, added %d, files %d", shown, got.Cut, got.Added, len(got.Files))
	}
}

func TestADiffThatCannotBeTakenApartIsShownAsItIs(t *testing.T) {
	const text = "--- a/x\n+++ b/x\n@@ broken @@\n"
	if got := newPageDiff(text); got.Raw != text || len(got.Files) != 0 {
		t.Errorf("got %+v", got)
	}
	if got := newPageDiff(""); got.Raw != "" || len(got.Files) != 0 {
		t.Errorf("no change gave %+v", got)
	}
}

func TestClosingWordsNameTheirIssues(t *testing.T) {
	for body, want := range map[string][]int{
		"Closes #1":                           {1},
		"fixes: #2, resolved #3 and CLOSE #2": {2, 3},
		"see #4":                              nil,
		"discloses #5":                        nil,
		"Fix\n#6":                             {6},
		"closes #1234567890":                  nil,
	} {
		if got := closes(body); !slices.Equal(got, want) {
			t.Errorf("%q closes %v, want %v", body, got, want)
		}
	}
}
