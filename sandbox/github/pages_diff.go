package github

import (
	"strings"

	"github.com/sourcegraph/go-diff/diff"
)

// diffLines bounds how many lines of a diff a page shows, for the browser's sake.
const diffLines = 5000

// pageDiff is a unified diff to look at.
type pageDiff struct {
	Files          []pageFile
	Added, Removed int
	Cut            bool   // there was more than diffLines
	Raw            string // the text itself, where it could not be taken apart
}

// pageFile is what changed in one file. Note says in words what lines do not
// show: a rename, a binary file, a change of mode.
type pageFile struct {
	Path           string
	Was            string // the old name of a file that was renamed
	Note           string
	Added, Removed int
	Lines          []pageLine
}

// pageLine is one row. Kind is add, del, same, hunk or note; Old and New are line
// numbers, 0 for none.
type pageLine struct {
	Kind     string
	Old, New int32
	Text     string
}

func newPageDiff(text string) pageDiff {
	parsed, err := diff.ParseMultiFileDiff([]byte(text))
	if err != nil {
		return pageDiff{Raw: text}
	}
	var d pageDiff
	left := diffLines
	for _, f := range parsed {
		file := newPageFile(f)
		d.Added += file.Added
		d.Removed += file.Removed
		if len(file.Lines) > left {
			file.Lines, d.Cut = file.Lines[:left], true
		}
		left -= len(file.Lines)
		d.Files = append(d.Files, file)
	}
	return d
}

func newPageFile(f *diff.FileDiff) pageFile {
	was, path := strings.TrimPrefix(f.OrigName, "a/"), strings.TrimPrefix(f.NewName, "b/")
	file := pageFile{Path: path}
	switch {
	case was == "/dev/null":
		file.Note = "new"
	case path == "/dev/null":
		file.Path, file.Note = was, "deleted"
	case was != path:
		file.Was, file.Note = was, "renamed"
	}
	for _, line := range f.Extended {
		switch {
		case strings.HasPrefix(line, "Binary files "), strings.HasPrefix(line, "GIT binary patch"):
			file.Note = strings.TrimSpace(file.Note + " binary")
		case strings.HasPrefix(line, "new mode "):
			file.Note = strings.TrimSpace(file.Note + " mode " + strings.TrimPrefix(line, "new mode "))
		}
	}
	for _, hunk := range f.Hunks {
		file.addHunk(hunk)
	}
	return file
}

func (file *pageFile) addHunk(hunk *diff.Hunk) {
	file.Lines = append(file.Lines, pageLine{Kind: "hunk", Text: strings.TrimSpace("⋯ " + hunk.Section)})
	was, now := hunk.OrigStartLine, hunk.NewStartLine
	for line := range strings.Lines(string(hunk.Body)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" { // some tools drop the blank of an empty line
			line = " "
		}
		row := pageLine{Kind: "same", Text: line[1:]}
		switch line[0] {
		case '+':
			row.Kind, row.New = "add", now
			now++
			file.Added++
		case '-':
			row.Kind, row.Old = "del", was
			was++
			file.Removed++
		case '\\':
			row.Kind = "note"
		default:
			row.Old, row.New = was, now
			was++
			now++
		}
		file.Lines = append(file.Lines, row)
	}
}
