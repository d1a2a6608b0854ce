package demo

import (
	"context"
	"fmt"
	"strings"
)

// askColour does what nobody can do without asking: it paints a sign. What an earlier attempt was told stands in the
// prompt, so it asks no question that is answered there.
func askColour(ctx context.Context, a *agent) error {
	colour, err := a.decide(ctx, "Which colour shall the sign have?", "green", "red")
	if err != nil {
		return a.noAnswer(ctx, err)
	}
	words := "Mind the step"
	if strings.Contains(strings.ToLower(a.told.Request), "twice") {
		if words, err = a.decide(ctx, "And what shall stand on it?"); err != nil {
			return a.noAnswer(ctx, err)
		}
	}
	done := change{
		headline: fmt.Sprintf("Put up a %s sign", oneLine(colour)),
		why:      "Asked for in the issue, in the colour that was chosen there.",
		summary:  fmt.Sprintf("A sign in **%s** that says “%s”, as it was answered.\n\nMade by the demo agent, without a model.", oneLine(colour), oneLine(words)),
		files:    []file{{path: "SIGN.md", content: fmt.Appendf(nil, "# A sign in %s\n\n%s\n", oneLine(colour), oneLine(words))}},
	}
	for _, f := range done.files {
		if err := a.write(ctx, f); err != nil {
			return a.cannot("I could not go on: " + err.Error() + ".")
		}
	}
	if err := a.commit(ctx, done); err != nil {
		return a.cannot("I could not go on: " + err.Error() + ".")
	}
	return a.end(line{Verdict: "done", Headline: done.headline, Summary: done.summary})
}

// decide asks, unless the prompt holds the question with its answer in the line after it, as SAM tells what an earlier
// attempt was answered.
func (a *agent) decide(ctx context.Context, question string, options ...string) (string, error) {
	if _, after, told := strings.Cut(a.told.Prompt, question); told {
		for line := range strings.Lines(after) {
			if _, answer, is := strings.Cut(line, " answered: "); is {
				a.say("I need not ask “" + question + "” again: the answer was **" + strings.TrimSpace(answer) + "**.")
				return strings.TrimSpace(answer), nil
			}
		}
	}
	a.say("This I cannot decide alone.")
	return a.ask(ctx, question, options...)
}

func (a *agent) noAnswer(ctx context.Context, err error) error {
	switch {
	case a.broken != nil:
		return a.broken
	case ctx.Err() != nil:
		return a.cannot("I was told to stop before I had an answer.")
	}
	return a.cannot("I got no answer: " + err.Error() + ".")
}

// oneLine is words as one line of a sign.
func oneLine(words string) string { return strings.Join(strings.Fields(words), " ") }
