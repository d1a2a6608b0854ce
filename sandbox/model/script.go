package model

import "strings"

// script replays a turn. It is written as if tools answered at once: do returns what came of a step that the
// conversation already holds; at the first that it does not hold, do notes what to say and the script returns that.
type script struct {
	*turn
	next int // the first step that no do has taken
	out  answer
}

// do says something and uses tools, all at once. It returns their results, or false when the conversation has not got
// that far: then s.out is the answer.
func (s *script) do(text string, calls ...call) ([]step, bool) {
	if s.next == len(s.steps) {
		s.out = answer{texts: []string{text + s.heard()}, calls: calls}
		return nil, false
	}
	if s.next+len(calls) > len(s.steps) {
		s.out = lost()
		return nil, false
	}
	taken := s.steps[s.next : s.next+len(calls)]
	for i, c := range calls {
		if taken[i].name != c.tool.name {
			s.out = lost()
			return nil, false
		}
	}
	s.next += len(calls)
	return taken, true
}

// lost ends a turn whose steps are not the script's own: another model took them, or the conversation was cut.
func lost() answer {
	return closing("I have lost the thread: what was done in this conversation is not what my script would have done. I stop here and have " +
		"finished nothing.")
}

// heard acknowledges what the user sent while the model worked, once: with the first words after it.
func (s *script) heard() string {
	if len(s.steered) == 0 {
		return ""
	}
	return "\n\nI have read what you sent meanwhile: “" + strings.Join(s.steered, "”, “") + "”. My script has no step for that."
}

// end says the last words of a turn.
func (s *script) end(text string) answer { return closing(text + s.heard()) }

// signature is the end of a turn's last words. They become a pull request's text and a comment, beside a cost that nobody
// pays.
const signature = "\n\nA scripted stand-in for a model did this, by rote; its tokens are estimates, and their cost is invented."

func closing(text string) answer { return say(text + signature) }

// noShell ends a turn that cannot be done without one.
func (s *script) noShell() answer {
	return s.end("I was offered no shell, so I can neither run commands nor tests here. I have changed nothing.")
}

// failure is the last lines of what a step gave back, for people.
func failure(st step) string {
	const most = 1500 // bytes: an error is at the end of its output
	text := strings.TrimSpace(st.text)
	if len(text) > most {
		text = "…" + strings.ToValidUTF8(text[len(text)-most:], "")
	}
	if text == "" {
		return "(no output)"
	}
	return "```\n" + strings.ReplaceAll(text, "```", "'''") + "\n```"
}
