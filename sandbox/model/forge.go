package model

import (
	_ "embed"
	"strings"
)

//go:embed forge.md
var forged string

// forge sends what pages, logs and comments must survive: through a command's raw bytes where there is a shell, and
// through its own text.
func (s *script) forge() answer {
	if s.tools.shell != nil {
		_, ok := s.do("\x1b]0;forged title\x07I'll print \x1b[31mred\x1b[0m <b>bytes</b>.", s.tools.run("Print <script>alert(1)</script>",
			`printf '\033[2J\033[31mred\033[0m \033]52;c;Zm9yZ2Vk\007 \033]8;;javascript:alert(1)\033\\link\033]8;;\033\\ \377\376\300\200 \302\233 \342\200\256gnp.exe \r over\b\n'`))
		if !ok {
			return s.out
		}
	}
	return say(hostile())
}

// hostile is forge.md with what no text file should hold in the places of its {{names}}.
func hostile() string {
	return strings.NewReplacer(
		"{{esc}}", "\x1b", "{{bel}}", "\x07", "{{nul}}", "\x00", "{{csi}}", "\u009b", "{{bs}}", "\b", "{{cr}}", "\r",
		"{{rtl}}", "\u202e", "{{isolate}}", "\u2066", "{{zero}}", "\u200b\u200d", "{{bom}}", "\ufeff", "{{sep}}", "\u2028\u2029",
		"{{noncharacter}}", "\uffff", "{{lone high}}", "\xed\xa0\xbd", "{{lone low}}", "\xed\xb2\xa9",
		"{{combining}}", strings.Repeat("\u0301", 200), "{{long}}", strings.Repeat("long", 5000),
		"{{deep}}", strings.Repeat("> ", 500)+"deep", "{{brackets}}", strings.Repeat("[", 2000), "{{ticks}}", strings.Repeat("`", 400),
	).Replace(forged)
}
