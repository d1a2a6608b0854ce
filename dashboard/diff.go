package dashboard

import (
	"bytes"
	"strings"

	"github.com/sourcegraph/go-diff/diff"
)

// maxDiffLines is how many lines of one diff are shown.
const maxDiffLines = 2000

// diffFile is one file of a diff.
type diffFile struct {
	Name           string
	Added, Deleted int
	Lines          []diffLine
	More           int // lines that are not shown
}

// diffLine is one line: Kind is add, del, same or hunk. Old and New are its numbers, 0 for none.
type diffLine struct {
	Kind     string
	Sign     string
	Old, New int32
	Text     string
}

// parseDiff reads a unified diff. What is none gives nil: it is then shown as it is.
func parseDiff(unified string) []diffFile {
	parsed, err := diff.ParseMultiFileDiff([]byte(unified))
	if err != nil {
		return nil
	}
	var files []diffFile
	left := maxDiffLines
	for _, f := range parsed {
		file := diffFile{Name: diffName(f)}
		for _, h := range f.Hunks {
			file.hunk(h, &left)
		}
		if len(f.Hunks) == 0 && len(f.Extended) == 0 {
			return nil
		}
		files = append(files, file)
	}
	return files
}

func diffName(f *diff.FileDiff) string {
	before, after := strings.TrimPrefix(f.OrigName, "a/"), strings.TrimPrefix(f.NewName, "b/")
	switch {
	case after == "/dev/null":
		return visible(before) + " (deleted)"
	case before == "/dev/null":
		return visible(after) + " (new)"
	case before != after:
		return visible(before) + " → " + visible(after)
	default:
		return visible(after)
	}
}

func (f *diffFile) hunk(h *diff.Hunk, left *int) {
	f.show(diffLine{Kind: "hunk", Text: visible("line " + decimal(int64(h.NewStartLine)) + "  " + h.Section)}, left)
	before, after := h.OrigStartLine, h.NewStartLine
	for line := range bytes.Lines(h.Body) {
		line = bytes.TrimRight(line, "\r\n")
		l := diffLine{Kind: "same", Old: before, New: after}
		if len(line) > 0 {
			l.Text = visible(string(line[1:]))
		}
		switch {
		case len(line) > 0 && line[0] == '+':
			l.Kind, l.Sign, l.Old = "add", "+", 0
			f.Added++
			after++
		case len(line) > 0 && line[0] == '-':
			l.Kind, l.Sign, l.New = "del", "−", 0
			f.Deleted++
			before++
		default:
			before, after = before+1, after+1
		}
		f.show(l, left)
	}
}

func (f *diffFile) show(l diffLine, left *int) {
	if *left == 0 {
		f.More++
		return
	}
	*left--
	f.Lines = append(f.Lines, l)
}
