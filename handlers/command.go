package handlers

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// Verb is what a command asks for.
type Verb string

// The verbs. A request is "/sam" with words that are none of the others.
const (
	VerbRequest Verb = "request"
	VerbHelp    Verb = "help"
	VerbEmpty   Verb = "empty"   // "/sam" alone
	VerbUnknown Verb = "unknown" // one word that looks like a verb misspelt
	VerbLater   Verb = "later"   // one of the words that will have a meaning of their own
)

// Command is one "/sam" of a comment.
type Command struct {
	Verb    Verb
	Text    string // of a request: the person's words, Markdown
	Nearest string // of an unknown verb: the one that was probably meant
}

const (
	mentionWord = "/sam"
	maxRequest  = 32 << 10 // bytes; a comment holds 65,536 characters
)

// verbs are the words that stand alone after /sam; reserved are those of them that this release cannot do yet. They must
// not be taken for a request: an agent that is asked to "stop" would be started by it.
var (
	verbs    = []string{"help", "stop", "status", "cost", "retry", "new"}
	reserved = verbs[1:]
)

// mentioned finds what may be a command: a line that begins with /sam, wherever it stands.
var mentioned = regexp.MustCompile(`(?im)^ *` + mentionWord)

// ParseCommands finds the commands of a comment, in order. A command is a line of a top-level paragraph that begins with
// /sam; it goes on to the next command or to the end of the comment, so a request may span paragraphs, lists and code.
// Where /sam stands inside a quote, code, a list, a table or HTML it is somebody talking about SAM, not to it.
func ParseCommands(comment string) []Command {
	if !mentioned.MatchString(comment) { // most comments are not for SAM
		return nil
	}
	source := []byte(strings.ReplaceAll(comment, "\r\n", "\n"))
	document := goldmark.New(goldmark.WithExtensions(extension.Table)).Parser().Parse(text.NewReader(source))
	var starts []int // offsets of lines that begin with /sam
	for block := document.FirstChild(); block != nil; block = block.NextSibling() {
		if block.Kind() != ast.KindParagraph {
			continue
		}
		quoted := inlineCode(block)
		lines := block.Lines()
		for i := range lines.Len() {
			segment := lines.At(i)
			within := func(s text.Segment) bool { return s.Start <= segment.Start && segment.Start < s.Stop }
			if _, ok := afterMention(string(segment.Value(source))); ok && !slices.ContainsFunc(quoted, within) {
				starts = append(starts, segment.Start)
			}
		}
	}
	commands := make([]Command, len(starts))
	for i, start := range starts {
		end := len(source)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		commands[i] = parseCommand(string(source[start:end]))
	}
	return commands
}

// inlineCode lists the parts of a paragraph that are code or HTML: either may run over several lines.
func inlineCode(paragraph ast.Node) []text.Segment {
	var parts []text.Segment
	_ = ast.Walk(paragraph, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the walker makes no error
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.RawHTML:
			for i := range n.Segments.Len() {
				parts = append(parts, n.Segments.At(i))
			}
		case *ast.Text:
			if n.Parent().Kind() == ast.KindCodeSpan {
				parts = append(parts, n.Segment)
			}
		}
		return ast.WalkContinue, nil
	})
	return parts
}

// afterMention is what follows /sam at a line's beginning, false when the line does not begin so: "/same" and "/sam/x" do not.
// Capitals do not matter: telephones write them by themselves.
func afterMention(line string) (string, bool) {
	line = strings.TrimLeft(line, " ")
	if len(line) < len(mentionWord) || !strings.EqualFold(line[:len(mentionWord)], mentionWord) {
		return "", false
	}
	rest := line[len(mentionWord):]
	return rest, rest == "" || strings.ContainsAny(rest[:1], " \t\n")
}

func parseCommand(raw string) Command {
	rest, _ := afterMention(raw)
	words := head(strings.TrimSpace(rest), maxRequest)
	if words == "" {
		return Command{Verb: VerbEmpty}
	}
	if strings.ContainsAny(words, " \t\n") {
		return Command{Verb: VerbRequest, Text: words}
	}
	word := strings.ToLower(words)
	switch {
	case word == "help":
		return Command{Verb: VerbHelp}
	case slices.Contains(reserved, word):
		return Command{Verb: VerbLater, Text: word}
	}
	for _, v := range verbs {
		if levenshtein.ComputeDistance(word, v) <= min(2, len(v)/2) {
			return Command{Verb: VerbUnknown, Text: words, Nearest: v}
		}
	}
	return Command{Verb: VerbRequest, Text: words}
}

const usage = "Write `/sam` and what you want done, for example `/sam add rate limiting to /api/upload`. " +
	"SAM works on a branch of its own and answers with a pull request. Or put the label `sam` on an issue."

// answer is what a command that makes no task is answered with, "" for one that makes a task.
func (c Command) answer() string {
	switch c.Verb {
	case VerbEmpty:
		return "`/sam` alone says nothing to do. " + usage
	case VerbHelp:
		return usage
	case VerbLater:
		return fmt.Sprintf("Nothing was done: `/sam %s` is kept for a command that this release does not have yet. If it is a request, say it in more words. %s", c.Text, usage)
	case VerbUnknown:
		return fmt.Sprintf("Nothing was started: `/sam %s` looks like `/sam %s`. If it is a request, say it in more words. %s", c.Text, c.Nearest, usage)
	default:
		return ""
	}
}
