package github

import (
	"bytes"
	"html/template"
	"regexp"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
)

// pageMarkdown turns what people and apps write into HTML that is safe to show.
type pageMarkdown struct {
	parser goldmark.Markdown
	policy *bluemonday.Policy
}

func newPageMarkdown() *pageMarkdown {
	policy := bluemonday.UGCPolicy()
	// Task lists, which GitHub shows as boxes.
	policy.AllowAttrs("type").Matching(regexp.MustCompile(`^checkbox$`)).OnElements("input")
	policy.AllowAttrs("checked", "disabled").Matching(regexp.MustCompile(`^$`)).OnElements("input")
	return &pageMarkdown{
		// As in GitHub's comments: its flavour, line breaks kept, and HTML let
		// through, which the policy then reduces to what is harmless.
		parser: goldmark.New(
			goldmark.WithExtensions(extension.GFM),
			goldmark.WithRendererOptions(html.WithHardWraps(), html.WithUnsafe()),
		),
		policy: policy,
	}
}

func (m *pageMarkdown) render(text string) template.HTML {
	var out bytes.Buffer
	if err := m.parser.Convert([]byte(text), &out); err != nil {
		return template.HTML("<p>" + template.HTMLEscapeString(text) + "</p>") //nolint:gosec // escaped
	}
	return template.HTML(m.policy.SanitizeBytes(out.Bytes())) //nolint:gosec // the policy has made it safe
}
