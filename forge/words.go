package forge

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sam/task"
)

// GitHub's limit for a body is 65,536 characters. What others wrote gets less, so that SAM's own lines always fit: a
// quote of nothing but line ends grows threefold.
const (
	maxAgentText = 45_000
	maxQuote     = 5_000
	maxTitle     = 120
	maxShort     = 300
	shortHash    = 9 // digits of a commit's hash, as on the dashboard's pages
)

// marker is the hidden line by which SAM finds what it created. Only its own text may hold one: see tame.
func marker(kind, id string) string { return fmt.Sprintf("<!-- sam:%s:%s -->", kind, id) }

// took is a duration as a person says it.
func took(d time.Duration) string {
	if d >= time.Minute-50*time.Millisecond { // below, it is rounded to tenths
		d = d.Round(time.Second)
	}
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
}

// count is a number of tokens as a person says it, in the dashboard's words: 950, 12.3k, 134k, 3.0M.
func count(n int64) string {
	switch {
	case n < 1000:
		return strconv.FormatInt(n, 10)
	case n < 99_950:
		return fmt.Sprintf("%.1fk", float64(n)/1000)
	case n < 999_500:
		return fmt.Sprintf("%.0fk", float64(n)/1000)
	default:
		return fmt.Sprintf("%.1fM", float64(n)/1_000_000)
	}
}

// cost is what a task spent on the model as a person says it, empty when it asked none. A model that has no price costs
// nothing that SAM could tell.
func cost(s task.Spent) string {
	if s.Requests == 0 {
		return ""
	}
	requests := "1 request"
	if s.Requests != 1 {
		requests = fmt.Sprintf("%d requests", s.Requests)
	}
	words := fmt.Sprintf("%s tokens in %s", count(s.Input+s.Output+s.CacheRead+s.CacheWrite), requests)
	switch dollars := float64(s.MicroUSD) / 1e6; {
	case s.MicroUSD == 0:
		return words
	case dollars < 0.1:
		return fmt.Sprintf("$%.4f for %s", dollars, words)
	default:
		return fmt.Sprintf("$%.2f for %s", dollars, words)
	}
}

// price is the same as a sentence's continuation.
func price(s task.Spent) string {
	if words := cost(s); words != "" {
		return ", " + words
	}
	return ""
}

// code is words as a code span, whatever marks they hold: a branch's name may have backticks.
func code(words string) string {
	if !strings.Contains(words, "`") {
		return "`" + words + "`"
	}
	fence := "``"
	for strings.Contains(words, fence) {
		fence += "`"
	}
	return fence + " " + words + " " + fence // one space at either end is the span's, not the words'
}

// commit names the task's last commit so that GitHub makes a short link of it; elsewhere it is readable as it stands.
func commit(t task.Task) string {
	return t.Repository + "@" + t.Head[:min(len(t.Head), shortHash)]
}

// headline is one line on what a task did, else what it was asked.
func headline(t task.Task) string {
	if words := line(t.Headline, maxTitle); words != "" {
		return words
	}
	return line(t.Request, maxTitle)
}

// pullText is the title and body of a task's pull request: what was done and why, and what it closes.
func pullText(t task.Task) (title, body string) {
	var b strings.Builder
	if t.Summary != "" {
		b.WriteString(strings.TrimSpace(tame(t.Summary, maxAgentText)) + "\n\n")
	}
	fmt.Fprintf(&b, "### Why\n\n@%s asked in #%d", t.Requester, t.Number)
	if t.Title != "" {
		fmt.Fprintf(&b, " (%s)", tame(line(t.Title, maxTitle), maxTitle))
	}
	fmt.Fprintf(&b, ":\n\n%s\n\n", quote(t.Request, maxQuote))
	if !t.OnPull {
		fmt.Fprintf(&b, "Closes #%d\n\n", t.Number)
	}
	fmt.Fprintf(&b, "---\n\n<sub>Made by SAM with the agent `%s`, task `%s`. Review it as you would anyone's.</sub>\n\n%s\n",
		t.Agent, t.ID, marker("pull", string(t.ID)))
	return headline(t), b.String()
}

// stateWords is what a state means to a person.
func stateWords(s task.State) string {
	switch s {
	case task.Queued:
		return "is waiting for its turn"
	case task.Placing:
		return "is looking for a node"
	case task.Preparing:
		return "is preparing the workspace"
	case task.Running:
		return "is working on it"
	case task.Waiting:
		return "needs an answer"
	case task.Publishing:
		return "is publishing the result"
	case task.Succeeded:
		return "is done"
	case task.Cancelled:
		return "was stopped"
	default:
		return "could not finish"
	}
}

// pages is the address of the dashboard without a slash at its end; empty where there is none.
type pages string

// link is Markdown that leads to a task's live page, empty without a dashboard.
func (p pages) link(t task.Task, words string) string {
	if p == "" {
		return ""
	}
	return fmt.Sprintf("[%s](%s/tasks/%s)", words, p, t.ID)
}

// statusText is the task's status comment, edited in place as the task goes on.
func (p pages) statusText(t task.Task) string {
	var b strings.Builder
	fmt.Fprintf(&b, "**SAM %s**", stateWords(t.State))
	switch {
	case t.State == task.Succeeded && !t.OnPull:
		fmt.Fprintf(&b, ": #%d", t.Pull)
	case t.State.Final() && t.Failure != "":
		fmt.Fprintf(&b, "\n\n%s", tame(t.Failure, maxAgentText))
	case !t.State.Final() && t.Waits != "":
		fmt.Fprintf(&b, "\n\n%s", tame(t.Waits, maxAgentText))
	}
	fmt.Fprintf(&b, "\n\n%s\n\n", quote(line(t.Request, maxShort), maxShort))
	fmt.Fprintf(&b, "| Task | %s, asked by %s |\n|:---|:---|\n", code(string(t.ID)), cell(t.Requester))
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", name, cell(value))
		}
	}
	row("Steps", steps(t))
	row("Agent", agent(t))
	if t.Branch != "" {
		row("Branch", code(t.Branch))
	}
	if t.State.Final() {
		row("Watch", p.link(t, "every step"))
		row("Time", took(t.Took()))
		row("Cost", cost(t.Spent))
	} else {
		row("Watch", p.link(t, "every step, live"))
		b.WriteString("\n<sub>This comment changes as the task goes on.</sub>\n")
	}
	fmt.Fprintf(&b, "\n%s\n", marker("status", string(t.ID)))
	return b.String()
}

// agent is who works, and where.
func agent(t task.Task) string {
	words := code(t.Agent)
	if t.Workspace != "" {
		words += ", workspace " + t.Workspace
	}
	if t.Exposed() {
		words += " (**not isolated** from the node)"
	}
	if t.Node != "" {
		words += ", node " + code(t.Node)
	}
	return words
}

// steps draws the states on the task's way, those that it has passed ticked and the present one in bold. A task that
// goes back to placing has its later steps before it again.
func steps(t task.Task) string {
	way := []task.State{task.Queued, task.Placing, task.Preparing, task.Running, task.Publishing}
	if t.State == task.Waiting {
		way = slices.Insert(way, 4, task.Waiting)
	}
	if t.State.Final() {
		way = append(way, t.State)
	}
	at := slices.Index(way, t.State)
	var drawn []string
	for i, s := range way {
		switch _, passed := t.At[s]; {
		case i == at:
			drawn = append(drawn, "**"+string(s)+"**")
		case i < at && passed:
			drawn = append(drawn, string(s)+" ✓")
		case !t.State.Final():
			drawn = append(drawn, string(s))
		}
	}
	return strings.Join(drawn, " → ")
}

// closingText is the one comment that tells how a task ended. Edits notify nobody, so this is a new comment.
func (p pages) closingText(t task.Task) string {
	var b strings.Builder
	switch t.State {
	case task.Succeeded:
		where := fmt.Sprintf("in #%d", t.Pull)
		if t.OnPull {
			where = fmt.Sprintf("on %s, the branch of this pull request", code(t.Branch))
		}
		fmt.Fprintf(&b, "@%s Done after %s%s: **%s**\n\nThe work is %s, up to commit %s.\n",
			t.Requester, took(t.Took()), price(t.Spent), tame(headline(t), maxTitle), where, commit(t))
		if t.Summary != "" {
			fmt.Fprintf(&b, "\n<details><summary>What changed</summary>\n\n%s\n\n</details>\n", strings.TrimSpace(tame(t.Summary, maxAgentText)))
		}
	case task.Cancelled:
		fmt.Fprintf(&b, "@%s **Stopped** after %s%s.\n", t.Requester, took(t.Took()), price(t.Spent))
		if t.Failure != "" {
			fmt.Fprintf(&b, "\n%s\n", tame(t.Failure, maxAgentText))
		}
	default:
		fmt.Fprintf(&b, "@%s **This did not work out.** SAM gave up after %s%s.\n", t.Requester, took(t.Took()), price(t.Spent))
		if t.Failure != "" {
			fmt.Fprintf(&b, "\n%s\n", tame(t.Failure, maxAgentText))
		}
		if t.Head != "" {
			fmt.Fprintf(&b, "\nWhat was committed is kept on the branch %s, up to commit %s.\n", code(t.Branch), commit(t))
		}
	}
	if t.Exposed() {
		b.WriteString("\nThe agent ran without a container, **not isolated** from the node: so the operator allowed.\n")
	}
	if link := p.link(t, "Every step of it"); link != "" {
		fmt.Fprintf(&b, "\n%s\n", link)
	}
	fmt.Fprintf(&b, "\n%s\n", marker("closing", string(t.ID)))
	return b.String()
}

func replyText(b task.EffectBody) string {
	return b.Text + "\n\n" + marker("reply", b.Key) + "\n"
}
