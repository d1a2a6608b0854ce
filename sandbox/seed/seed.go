// Package seed is the repository that SAM is tried out on: quayside, a small web service in Go, and the issue that is
// open there. It is written to be read; the demo agent's recipes are tested on it.
package seed

import (
	_ "embed"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// Where the repository is on the stand-in for GitHub.
const (
	Owner         = "harbour"
	Repository    = "quayside"
	DefaultBranch = "main"
)

//go:embed quayside.txtar
var archive []byte

//go:embed issue.md
var issue string

// Files are the repository's, by path. The caller may change what it gets.
func Files() map[string][]byte {
	files := map[string][]byte{}
	for _, file := range txtar.Parse(archive).Files {
		files[file.Name] = append([]byte{}, file.Data...)
	}
	return files
}

// Issue is the open issue: the first line of its text is the title.
func Issue() (title, body string) {
	title, body, _ = strings.Cut(issue, "\n")
	return strings.TrimPrefix(title, "# "), strings.TrimSpace(body)
}
