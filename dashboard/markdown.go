package dashboard

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"regexp"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// maxNesting is how deep quotes, lists and brackets may nest; what goes deeper is shown as it was written. Parsers take
// quadratic time over such text and browsers do not like its tree.
const maxNesting = 24

// linkRel is on every link that somebody else wrote.
const linkRel = "noopener noreferrer nofollow ugc"

// markdown turns hostile Markdown into harmless HTML. It is safe for concurrent use.
type markdown struct {
	parser goldmark.Markdown
	policy *bluemonday.Policy
}

func newMarkdown() markdown {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "hr", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li",
		"h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td")
	p.AllowAttrs("href").OnElements("a")
	p.AllowAttrs("rel").Matching(regexp.MustCompile(`^` + linkRel + `$`)).OnElements("a")
	p.AllowURLSchemes("http", "https", "mailto")
	p.RequireParseableURLs(true)
	p.AllowAttrs("start").Matching(bluemonday.Integer).OnElements("ol")
	p.AllowAttrs("class").Matching(regexp.MustCompile(`^language-[a-zA-Z0-9+#-]{1,20}$`)).OnElements("code")
	p.AllowAttrs("type").Matching(regexp.MustCompile(`^checkbox$`)).OnElements("input")
	p.AllowAttrs("checked", "disabled").OnElements("input")
	return markdown{policy: p, parser: goldmark.New(
		goldmark.WithExtensions(extension.GFM),
		goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(linkMarker{}, 900))),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(asText{}, 100))),
	)}
}

// html renders text. It never fails: what cannot be rendered is shown as it is.
func (m markdown) html(words string) template.HTML {
	words = visible(words)
	if nesting(words) > maxNesting {
		return plain(words)
	}
	var out bytes.Buffer
	if err := m.parser.Convert([]byte(words), &out); err != nil {
		return plain(words)
	}
	return template.HTML(m.policy.SanitizeBytes(out.Bytes())) //nolint:gosec // what the policy is for
}

func plain(words string) template.HTML {
	return template.HTML(`<p class="plain">` + html.EscapeString(words) + `</p>`) //nolint:gosec // escaped
}

// nesting is an upper bound of how deep the text nests: marks at the beginning of a line, open brackets and links, and runs
// of emphasis.
func nesting(words string) int {
	deepest := 0
	open, links, runs := 0, 0, 0
	for line := range strings.Lines(words) {
		depth := 0
	marks:
		for i := 0; i < len(line); i++ {
			switch c := line[i]; c {
			case ' ', '\t':
			case '>', '-', '+', '*', '.', ')':
				depth++
			case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			default:
				break marks
			}
		}
		rule := strings.Trim(line, "-*_ \t\r\n=") == "" // a rule across the page is no nesting
		if !rule {
			deepest = max(deepest, depth)
		}
		if strings.TrimSpace(line) == "" {
			open, links, runs = 0, 0, 0 // inlines end with their paragraph
			continue
		}
		for i := 0; i < len(line) && !rule; i++ {
			switch line[i] {
			case '[':
				open++
			case ']':
				open = max(0, open-1)
			case '(':
				if i > 0 && line[i-1] == ']' {
					links++ // whose end is looked for up to the paragraph's
				}
			case ')':
				links = max(0, links-1)
			case '*', '_', '~':
				if i == 0 || line[i-1] != line[i] {
					runs++
				}
			}
		}
		deepest = max(deepest, open, links, runs/100) // emphasis that nests needs a run for each level
	}
	return deepest
}

// linkMarker says on each link that it is not ours.
type linkMarker struct{}

// Transform implements parser.ASTTransformer.
func (linkMarker) Transform(document *ast.Document, _ text.Reader, _ parser.Context) {
	_ = ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the walker makes no error
		switch n.(type) {
		case *ast.Link, *ast.AutoLink:
			if entering {
				n.SetAttributeString("rel", []byte(linkRel))
			}
		}
		return ast.WalkContinue, nil
	})
}

// asText renders what would be HTML or would be fetched as what it says: raw HTML as its source, an image as its words, a
// task's box as a sign.
type asText struct{}

// RegisterFuncs implements renderer.NodeRenderer.
func (asText) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindRawHTML, func(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		raw, ok := n.(*ast.RawHTML)
		if !entering || !ok {
			return ast.WalkContinue, nil
		}
		for i := range raw.Segments.Len() {
			segment := raw.Segments.At(i)
			if _, err := w.WriteString(html.EscapeString(string(segment.Value(source)))); err != nil {
				return ast.WalkStop, fmt.Errorf("write raw HTML: %w", err)
			}
		}
		return ast.WalkSkipChildren, nil
	})
	r.Register(ast.KindHTMLBlock, func(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		block, ok := n.(*ast.HTMLBlock)
		if !entering || !ok {
			return ast.WalkContinue, nil
		}
		words := string(block.Lines().Value(source))
		if block.HasClosure() {
			words += string(block.ClosureLine.Value(source))
		}
		_, err := w.WriteString("<pre><code>" + html.EscapeString(words) + "</code></pre>\n")
		return ast.WalkSkipChildren, err
	})
	r.Register(ast.KindImage, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		image, ok := n.(*ast.Image)
		if !ok {
			return ast.WalkContinue, nil
		}
		words := "[image: "
		if !entering {
			words = " " + html.EscapeString(string(image.Destination)) + "]"
		}
		_, err := w.WriteString(words)
		return ast.WalkContinue, err
	})
}
