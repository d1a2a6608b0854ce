package forge

import (
	"fmt"
	"strings"

	"sam/task"
)

// questionMarker names a question within its task.
func questionMarker(b task.EffectBody) string { return marker("question", string(b.Task)+":"+b.Key) }

// questionText is the comment that asks what the agent cannot go on without. It is a new one, for edits notify nobody.
func (p pages) questionText(t task.Task, b task.EffectBody) string {
	var s strings.Builder
	fmt.Fprintf(&s, "@%s **SAM has a question** and waits for the answer:\n\n%s\n\n", t.Requester, quote(b.Text, maxQuestion))
	s.WriteString("Answer here with `/sam` and your words, for example `/sam yes, do that`. Anyone who may write to this repository can answer.\n")
	if link := p.link(t, "What it has done so far"); link != "" {
		fmt.Fprintf(&s, "\n%s\n", link)
	}
	fmt.Fprintf(&s, "\n%s\n", questionMarker(b))
	return s.String()
}

// maxQuestion bounds an agent's question, characters: every line of a quote grows by two.
const maxQuestion = 15_000
