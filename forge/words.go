package forge

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"sam/task"
)

// GitHub's limits: a body holds 65,536 characters; what an agent wrote gets less, so that SAM's own lines always fit.
const (
	maxAgentText = 60_000
	maxTitle     = 120
)

// marker is the hidden line by which SAM finds what it created. Only its own text may hold one: see tame.
func marker(kind, id string) string { return fmt.Sprintf("<!-- sam:%s:%s -->", kind, id) }

var (
	mention = regexp.MustCompile(`(^|[^\w` + "`" + `/@])@([A-Za-z0-9])`)
	closes  = regexp.MustCompile(`(?i)\b(close[sd]?|fix(?:e[sd])?|resolve[sd]?)(:?\s+)((?:[\w.-]+/[\w.-]+)?#\d|https?://)`)
)

// tame makes an agent's or a person's words harmless within SAM's comment: they hold no hidden marker, notify nobody, close no
// issue, and fit. They stay readable as they were.
func tame(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.ReplaceAll(text, "<!--", "&lt;!--")
	text = mention.ReplaceAllString(text, "$1@\u200b$2")
	text = closes.ReplaceAllString(text, "$1$2\u200b$3")
	return cut(text, maxAgentText)
}

// cut shortens text to n characters on a character's boundary and closes a code fence that the cut leaves open.
func cut(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	text = string([]rune(text)[:n])
	if strings.Count(text, "\n```")%2 == 1 {
		text += "\n```"
	}
	return text + "\n\n*… cut: the whole text is longer than GitHub's comments hold.*"
}

// line is text as one line of at most n characters.
func line(text string, n int) string {
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) > n {
		text = strings.TrimSpace(string([]rune(text)[:n-1])) + "…"
	}
	return text
}

func quote(text string) string {
	return "> " + strings.ReplaceAll(strings.TrimSpace(tame(text)), "\n", "\n> ")
}

// seconds is a duration as a person says it.
func seconds(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// pullText is the title and body of a task's pull request: what was done and why, and what it closes.
func pullText(t task.Task) (title, body string) {
	title = line(t.Headline, maxTitle)
	if title == "" {
		title = line(t.Request, maxTitle)
	}
	var b strings.Builder
	if t.Summary != "" {
		b.WriteString(strings.TrimSpace(tame(t.Summary)) + "\n\n")
	}
	fmt.Fprintf(&b, "### Why\n\n@%s asked in #%d", t.Requester, t.Number)
	if t.Title != "" {
		fmt.Fprintf(&b, " (%s)", tame(line(t.Title, maxTitle)))
	}
	fmt.Fprintf(&b, ":\n\n%s\n\nCloses #%d\n\n", quote(t.Request), t.Number)
	fmt.Fprintf(&b, "---\n<sub>Made by SAM with the agent `%s`, task `%s`. Read it as you would anyone's: the tests that ran are those named above.</sub>\n%s\n",
		t.Agent, t.ID, marker("pull", string(t.ID)))
	return title, b.String()
}

// stateWords is what a state means to a person.
var stateWords = map[task.State]string{
	task.Queued:     "is queued",
	task.Placing:    "is finding a machine",
	task.Preparing:  "is preparing the workspace",
	task.Running:    "is working",
	task.Waiting:    "is waiting for an answer",
	task.Publishing: "is publishing the result",
	task.Succeeded:  "is done",
	task.Failed:     "could not finish",
	task.Cancelled:  "was stopped",
}

// statusText is the task's status comment, edited in place as the task goes on.
func statusText(t task.Task) string {
	var b strings.Builder
	fmt.Fprintf(&b, "**SAM %s**", stateWords[t.State])
	switch {
	case t.State == task.Succeeded:
		fmt.Fprintf(&b, ": #%d", t.Pull)
	case t.State == task.Failed && t.Failure != "":
		fmt.Fprintf(&b, "\n\n%s", tame(t.Failure))
	case t.Waits != "" && !t.State.Final():
		fmt.Fprintf(&b, "\n\n%s", tame(t.Waits))
	}
	fmt.Fprintf(&b, "\n\n%s\n\n", quote(line(t.Request, 300)))
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", name, value)
		}
	}
	b.WriteString("| | |\n|---|---|\n")
	row("Way", way(t))
	agent := "`" + t.Agent + "`"
	if t.Workspace != "" {
		agent += ", workspace " + t.Workspace
	}
	if t.Node != "" {
		agent += ", node `" + t.Node + "`"
	}
	row("Agent", agent)
	if t.Branch != "" {
		row("Branch", "`"+t.Branch+"`")
	}
	if t.State.Final() {
		row("Time", seconds(t.Took()))
	}
	fmt.Fprintf(&b, "\n<sub>Task `%s`, asked by %s. This comment is edited as the task goes on.</sub>\n%s\n",
		t.ID, t.Requester, marker("status", string(t.ID)))
	return b.String()
}

// way draws the states that the task has passed, with the present one in bold.
func way(t task.Task) string {
	var steps []string
	for _, s := range []task.State{task.Queued, task.Placing, task.Preparing, task.Running, task.Publishing} {
		switch _, passed := t.At[s]; {
		case s == t.State:
			steps = append(steps, "**"+string(s)+"**")
		case passed:
			steps = append(steps, string(s)+" ✓")
		case !t.State.Final():
			steps = append(steps, string(s))
		}
	}
	if t.State.Final() || t.State == task.Waiting {
		steps = append(steps, "**"+string(t.State)+"**")
	}
	return strings.Join(steps, " → ")
}

// closingText is the one comment that tells how a task ended. Edits notify nobody, so this is a new comment.
func closingText(t task.Task) string {
	var b strings.Builder
	took := seconds(t.Took())
	switch t.State {
	case task.Succeeded:
		what := line(t.Headline, maxTitle)
		if what == "" {
			what = line(t.Request, maxTitle)
		}
		where := fmt.Sprintf("The work is in #%d", t.Pull)
		if t.OnPull {
			where = fmt.Sprintf("The work is on `%s`, the branch of this pull request", t.Branch)
		}
		fmt.Fprintf(&b, "@%s **%s** · %s, commit %s. It took %s.\n", t.Requester, tame(what), where, t.Head, took)
		if t.Summary != "" {
			fmt.Fprintf(&b, "\n<details><summary>What changed</summary>\n\n%s\n\n</details>\n", strings.TrimSpace(tame(t.Summary)))
		}
	case task.Cancelled:
		fmt.Fprintf(&b, "@%s Stopped after %s.", t.Requester, took)
		if t.Failure != "" {
			fmt.Fprintf(&b, " %s", tame(t.Failure))
		}
		b.WriteString("\n")
	default:
		fmt.Fprintf(&b, "@%s **This did not work out**, after %s.\n\n%s\n", t.Requester, took, tame(t.Failure))
		if t.Head != "" {
			fmt.Fprintf(&b, "\nWhat was committed is kept on the branch `%s` (%s).\n", t.Branch, t.Head)
		}
	}
	b.WriteString(marker("closing", string(t.ID)) + "\n")
	return b.String()
}

func replyText(b task.EffectBody) string {
	return b.Text + "\n" + marker("reply", b.Key) + "\n"
}
