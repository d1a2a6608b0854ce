package demo

import (
	"embed"
	"fmt"
	"go/format"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
)

// recipe is something that the agent can do to a web service in Go.
type recipe struct {
	name    string
	example string
	wanted  *regexp.Regexp
	// change works out what to do, without doing it. The error is a refusal when the repository does not look right.
	change func(code *source, words string) (change, error)
}

// change is what a recipe does to a repository.
type change struct {
	headline string   // subject of the commit and title of the pull request
	why      string   // body of the commit
	summary  string   // body of the pull request, Markdown
	thought  string   // how the place was found
	steps    []string // find, write, test, commit
	places   []place
	files    []file
}

// file is a new content of one.
type file struct {
	path    string
	line    int // the first that matters
	content []byte
}

func recipes() []recipe {
	return []recipe{
		{
			name: "rate limiting on a path", example: "add rate limiting to /api/upload",
			wanted: regexp.MustCompile(`(?i)rate[- ]?limit|limit.{0,30}\brate\b|throttl|flood`), change: limitRate,
		},
		{
			name: "a health endpoint", example: "add a health check",
			wanted: regexp.MustCompile(`(?i)\bhealth`), change: addHealth,
		},
		{
			name: "request logging", example: "log every request",
			wanted: regexp.MustCompile(`(?i)\blogg?ing\b|\blog\b.{0,30}\brequests?\b|\b(requests?|access)[- ]logs?\b`), change: logRequests,
		},
	}
}

// vague is a request that points at the issue instead of saying what is wanted.
var vague = regexp.MustCompile(`(?i)^\W*(please\W+)?((fix|do|solve|resolve|implement|handle|address|work on|take)\W*)?(this|it|that|the issue|this issue)?\W*(please)?\W*$`)

// choose finds the recipe that is asked for, and the words that ask for it: the person's, or the whole prompt when
// these only point at it.
func choose(asked request) (recipe, string, error) {
	words := asked.Request
	if vague.MatchString(words) {
		words = asked.Prompt
	}
	for _, r := range recipes() {
		if r.wanted.MatchString(words) {
			return r, words, nil
		}
	}
	var known []string
	for _, r := range recipes() {
		known = append(known, fmt.Sprintf("%s (“%s”)", r.name, r.example))
	}
	return recipe{}, "", refusal(fmt.Sprintf("The demo agent knows %d recipes: %s; it has no model. Use a real agent for anything else.",
		len(known), strings.Join(known, ", ")))
}

//go:embed templates
var templates embed.FS

// fromTemplate fills a template's package clause in and names where it goes. It refuses if the file is there or one of its
// names is taken.
func (s *source) fromTemplate(template, dir, pkg, name string) (file, error) {
	text, err := templates.ReadFile("templates/" + template)
	if err != nil {
		return file{}, err
	}
	text = []byte(strings.Replace(string(text), "package service", "package "+pkg, 1))
	made := file{path: path.Join(dir, name), line: 1, content: text}
	if s.has(made.path) {
		return file{}, refusal(fmt.Sprintf("There is a %s already, which I do not overwrite.", made.path))
	}
	tree, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
	if err != nil {
		return file{}, err
	}
	for _, one := range declared(tree) {
		if where := s.declares(dir, one); where != "" {
			return file{}, refusal(fmt.Sprintf("%s declares `%s` already, which I would need for something else.", where, one))
		}
	}
	return made, nil
}

// edit is one replacement in a file, by offsets.
type edit struct {
	from, to int
	text     string
}

// apply makes the edits, which do not overlap, and formats the result.
func apply(text []byte, edits ...edit) ([]byte, error) {
	slices.SortFunc(edits, func(a, b edit) int { return b.from - a.from })
	for _, e := range edits {
		text = slices.Concat(text[:e.from], []byte(e.text), text[e.to:])
	}
	return format.Source(text)
}

func (s *source) offset(pos token.Pos) int { return s.set.Position(pos).Offset }

// steps is a plan: where, what, and the two that every recipe ends with.
func steps(find, write string) []string {
	return []string{find, write, "Run the tests", "Commit"}
}
