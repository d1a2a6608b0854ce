package model

import (
	"fmt"
	"strconv"
	"strings"
)

// question holds no digit: the first number after it is the answer.
const question = "How many uploads a second may one client send?"

// ask puts its question through the client's own tool, or else as its last words, and works with the answer.
func (s *script) ask() answer {
	if strings.Contains(s.asked, question) {
		return s.answered(s.request)
	}
	if s.tools.ask == nil {
		return s.end("Before I start I need one decision from you.\n\n" + question + "\n\n- 5 a second, as I would suggest\n- 2 a second\n- 20 a second\n\n" +
			"I'll go on when you answer.")
	}
	option := func(label, why string) map[string]any { return map[string]any{"label": label, "description": why} }
	seen, ok := s.do("Before I start I need one decision from you.", s.tools.ask.use("Ask for the limit", map[string]any{
		"questions": []any{map[string]any{
			"question": question, "header": "Limit", "multiSelect": false,
			"options": []any{
				option("5 a second (Recommended)", "A person never notices it, a loop does"),
				option("2 a second", "Strict: scripts that upload many files have to wait"),
				option("20 a second", "Loose: stops floods alone"),
			},
		}},
	}))
	if !ok {
		return s.out
	}
	if seen[0].failed {
		return s.end("I got no answer to my question, so I have changed nothing:\n\n" + failure(seen[0]))
	}
	text := seen[0].text
	if i := strings.LastIndex(text, question); i >= 0 {
		text = text[i:]
	}
	return s.answered(text)
}

// answered goes on with the number in the answer.
func (s *script) answered(text string) answer {
	n, err := strconv.Atoi(number.FindString(text))
	if err != nil || n < 1 || n > 1000 {
		return s.end(fmt.Sprintf("I found no number between 1 and 1000 in the answer. I have changed nothing; ask me again.\n\n%s", failure(step{text: text})))
	}
	return s.work(n)
}
