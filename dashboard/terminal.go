package dashboard

import (
	"fmt"
	"html"
	"html/template"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/buildkite/terminal-to-html/v3"
	"github.com/microcosm-cc/bluemonday"
)

// maxLines is how many lines of one output are shown: the last ones.
const maxLines = 2000

// terminalOutput turns what a program printed into HTML with its colours. It is safe for concurrent use.
type terminalOutput struct{ policy *bluemonday.Policy }

func newTerminalOutput() terminalOutput {
	p := bluemonday.NewPolicy()
	// The library gives colours and weights as classes, and links and images that are not wanted here.
	p.AllowAttrs("class").Matching(regexp.MustCompile(`^term-(?:fg|bg)[ix]?[0-9]{1,3}(?: term-(?:fg|bg)[ix]?[0-9]{1,3})*$`)).OnElements("span")
	return terminalOutput{p}
}

// html renders output. It never fails: what cannot be rendered is shown without colours.
func (t terminalOutput) html(output string) template.HTML {
	output = lastLines(colours(output), maxLines)
	screen, err := terminal.NewScreen()
	if err == nil {
		_, err = screen.Write([]byte(output))
	}
	if err != nil {
		return template.HTML(html.EscapeString(visible(output))) //nolint:gosec // escaped
	}
	return template.HTML(t.policy.Sanitize(screen.AsHTML())) //nolint:gosec // what the policy is for
}

func lastLines(s string, n int) string {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '\n' && i < len(s)-1 {
			if n--; n == 0 {
				return s[i+1:]
			}
		}
	}
	return s
}

// colours leaves of a terminal's language what changes colours, what a progress bar needs to draw over itself (carriage
// return, erase line, column), and text. Titles, links, the clipboard (OSC), device strings, moves over the screen and
// 8-bit controls go.
func colours(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	var b strings.Builder
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == 0x1b:
			n, keep := escape(s[i:])
			if keep {
				b.WriteString(s[i : i+n])
			}
			i += n
		case c == '\n' || c == '\r' || c == '\t' || c == '\b':
			b.WriteByte(c)
			i++
		case c < 0x20 || c == 0x7f:
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			switch {
			case r >= 0x80 && r <= 0x9f: // the 8-bit controls: 0x9b is CSI, 0x9d OSC
			case hidden(r):
				fmt.Fprintf(&b, "⟨U+%04X⟩", r)
			default:
				b.WriteRune(r)
			}
			i += n
		}
	}
	return b.String()
}

// escape is the length of the escape sequence at the start of s, and whether it stays.
func escape(s string) (n int, keep bool) {
	if len(s) < 2 {
		return len(s), false
	}
	switch s[1] {
	case '[':
		for i := 2; i < len(s); i++ {
			switch c := s[i]; {
			case c >= 0x40 && c <= 0x7e:
				return i + 1, (c == 'm' || c == 'K' || c == 'G') && i < 40
			case c < 0x20 || c > 0x7e:
				return i, false // broken off
			}
		}
		return len(s), false
	case ']', 'P', '_', '^', 'X': // OSC, DCS, APC, PM, SOS: up to BEL or ST, on this line
		for i := 2; i < len(s); i++ {
			switch {
			case s[i] == 0x07:
				return i + 1, false
			case s[i] == 0x1b:
				if i+1 < len(s) && s[i+1] == '\\' {
					return i + 2, false
				}
				return i, false
			case strings.HasPrefix(s[i:], "\u009c"):
				return i + 2, false
			case s[i] == '\n':
				return i, false
			}
		}
		return len(s), false
	case '(', ')', '*', '+', '#', ' ', '%':
		return min(3, len(s)), false
	case '\n', '\r', 0x1b:
		return 1, false
	default:
		_, size := utf8.DecodeRuneInString(s[1:])
		return 1 + size, false
	}
}

// visible is text of somebody else with nothing in it that hides or turns around other text, and valid UTF-8.
func visible(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if strings.IndexFunc(s, unseen) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unseen(r) {
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unseen(r rune) bool {
	return hidden(r) || r < 0x20 && r != '\n' && r != '\t' && r != '\r' || r >= 0x7f && r <= 0x9f
}

// hidden are the characters that reorder or hide what stands beside them.
func hidden(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0x061c ||
		r == 0x2028 || r == 0x2029 || r == 0xfeff || r >= 0xe0000 && r <= 0xe007f
}
