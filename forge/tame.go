package forge

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
)

var (
	mention = regexp.MustCompile("(^|[^\\w`])@([A-Za-z0-9])")
	closes  = regexp.MustCompile(`(?i)\b(close[sd]?|fix(?:e[sd])?|resolve[sd]?)(:?\s+)((?:[\w.-]+/[\w.-]+)?#\d|GH-\d|https?://)`)
	details = regexp.MustCompile(`(?i)<(/?details)\b`)
	element = regexp.MustCompile(`<([A-Za-z/!?])`)
)

// hidden is a character without width: what it is put into reads as before and means nothing to GitHub.
const hidden = "\u200b"

// tame makes an agent's or a person's words harmless within SAM's comment: they hold no hidden marker, notify nobody,
// close no issue, leave nothing open that would swallow what follows, and fit in n characters and a few. They stay
// readable as they were.
func tame(words string, n int) string {
	words = strings.ToValidUTF8(words, "\uFFFD")
	words = strings.ReplaceAll(words, "\r\n", "\n")
	words = strings.ReplaceAll(words, "<!--", "<"+hidden+"!--")
	words = mention.ReplaceAllString(words, "$1@"+hidden+"$2")
	words = closes.ReplaceAllString(words, "$1$2"+hidden+"$3")
	if !balanced(words) {
		words = details.ReplaceAllString(words, "&lt;$1")
	}
	if utf8.RuneCountInString(words) <= n {
		return seal(words)
	}
	return seal(string([]rune(words)[:n])) + "\n\n*… cut here: there was more than GitHub's comments hold.*"
}

// balanced reports whether every <details> is closed, and none that was not opened.
func balanced(words string) bool {
	open := 0
	for _, found := range details.FindAllStringSubmatch(words, -1) {
		if found[1][0] != '/' {
			open++
		} else if open--; open < 0 {
			return false
		}
	}
	return open == 0
}

// maxFence is the longest fence that is closed with its like, characters; a longer one is no longer taken for a fence.
const maxFence = 64

// seal closes a code fence, or disarms HTML, that would go on over the end of the words. It asks the Markdown parser
// what becomes of a paragraph that follows.
func seal(words string) string {
	const following = "following"
	source := []byte(words + "\n\n" + following)
	last := goldmark.DefaultParser().Parse(text.NewReader(source)).LastChild()
	switch block := last.(type) {
	case *ast.FencedCodeBlock:
		fence := fenceOf(block, source)
		if len(fence) > maxFence {
			return seal(strings.ReplaceAll(words, fence, hidden+fence))
		}
		return words + "\n" + fence
	case *ast.HTMLBlock:
		return element.ReplaceAllString(words, "&lt;$1")
	default:
		return words
	}
}

// fenceOf is the fence that a code block was opened with. A block that is left open holds at least the line that follows.
func fenceOf(block *ast.FencedCodeBlock, source []byte) string {
	head := strings.TrimSuffix(string(source[:block.Lines().At(0).Start]), "\n")
	fence := strings.TrimLeft(head[strings.LastIndexByte(head, '\n')+1:], " ")
	return fence[:len(fence)-len(strings.TrimLeft(fence, fence[:1]))]
}

// line is words as one line of at most n characters.
func line(words string, n int) string {
	words = strings.Join(strings.Fields(strings.ToValidUTF8(words, "\uFFFD")), " ")
	if utf8.RuneCountInString(words) > n {
		words = strings.TrimSpace(string([]rune(words)[:n-1])) + "…"
	}
	return words
}

// quote is words of at most n characters as a blockquote.
func quote(words string, n int) string {
	return "> " + strings.ReplaceAll(strings.TrimSpace(tame(words, n)), "\n", "\n> ")
}

// cell is text that stands in a cell of a table.
func cell(words string) string { return strings.ReplaceAll(words, "|", `\|`) }
