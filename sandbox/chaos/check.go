package chaos

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"sam/sandbox/github"
)

// asked is a comment in which somebody with write access asked for something.
type asked struct {
	comment    int64
	repository string
	number     int
	words      string
}

// liveFor is how soon after the last sign of an attempt that did not end another node may not have written: a node's
// lease is 45 s and it reports every 10 s, so a lease cannot have run out before. Some seconds are left for slow clocks
// and queues.
const liveFor = 30 * time.Second

// check compares what was asked, what GitHub's history shows of the app called slug, and what Redis holds.
func check(report *Report, slug string, asks []asked, h github.History, r *records) {
	for _, d := range h.Deliveries {
		report.Deliveries += len(d.Attempts)
	}
	report.Tasks = len(r.tasks)
	checkRequests(report, slug, asks, h, r)
	checkStrangers(report, slug, asks, h, r)
	checkConversations(report, r)
	checkComments(report, slug, h)
	checkPulls(report, slug, h)
	checkTips(report, h, r)
	for _, t := range r.tasks {
		checkStream(report, t)
		if !t.final() {
			report.found(&report.Unfinished, "task %s (%d#%d) is still %s, epoch %d, attempt %d", t.id, t.project, t.number, t.state, t.epoch, t.attempts)
		}
	}
	for _, target := range r.owed {
		report.found(&report.Unfinished, "%s is still owed to GitHub", target)
	}
	if r.intake > 0 {
		report.found(&report.Unfinished, "%d accepted deliveries were not handled", r.intake)
	}
}

// checkRequests finds requests that made no task, or several, or a task that nobody was told the end of.
func checkRequests(report *Report, slug string, asks []asked, h github.History, r *records) {
	of := map[int64][]*record{}
	for _, t := range r.tasks {
		of[t.comment] = append(of[t.comment], t)
	}
	told := map[string]bool{}
	for _, c := range ours(slug, h) {
		for _, m := range markers(c.Body) {
			told[m] = true
		}
	}
	for _, a := range asks {
		tasks := of[a.comment]
		where := fmt.Sprintf("comment %d on %s#%d (%s)", a.comment, a.repository, a.number, a.words)
		if len(tasks) == 0 {
			report.found(&report.Lost, "%s made no task", where)
		}
		for range max(0, len(tasks)-1) {
			report.found(&report.DuplicateTasks, "%s made %d tasks", where, len(tasks))
		}
		for _, t := range tasks {
			if t.final() && !told["closing:"+t.id] {
				report.found(&report.Lost, "%s: task %s is %s, and no comment says so", where, t.id, t.state)
			}
		}
	}
}

// checkStrangers finds tasks that no writer's request made, and comments that speak to a stranger, who is to hear nothing.
func checkStrangers(report *Report, slug string, asks []asked, h github.History, r *records) {
	invited := map[int64]bool{}
	for _, a := range asks {
		invited[a.comment] = true
	}
	for _, t := range r.tasks {
		if !invited[t.comment] {
			report.found(&report.Uninvited, "task %s was made of comment %d on %d#%d, which is no writer's request", t.id, t.comment, t.project, t.number)
		}
	}
	for _, c := range ours(slug, h) {
		if strings.Contains(c.Body, "@"+stranger) {
			report.found(&report.Uninvited, "comment %d on %s#%d speaks to a stranger: %q", c.ID, c.Repository, c.Number, c.Body)
		}
	}
}

// checkConversations finds tasks that were made twice, and tasks that went on after their end.
func checkConversations(report *Report, r *records) {
	requests, results := map[string]int{}, map[string]int{}
	for _, e := range r.entries {
		switch e.Kind {
		case "request":
			if requests[e.Task]++; requests[e.Task] > 1 {
				report.found(&report.DuplicateTasks, "task %s was made %d times", e.Task, requests[e.Task])
			}
		case "result":
			if results[e.Task]++; results[e.Task] > 1 {
				report.found(&report.StaleWrites, "task %s ended %d times", e.Task, results[e.Task])
			}
		case "started":
			if results[e.Task] > 0 {
				report.found(&report.StaleWrites, "task %s was started after its end", e.Task)
			}
		}
	}
}

// marked is the hidden line by which the app finds its own comments.
var marked = regexp.MustCompile(`<!-- sam:([a-z]+:[^ ]+) -->`)

func markers(body string) []string {
	var all []string
	for _, m := range marked.FindAllStringSubmatch(body, -1) {
		all = append(all, m[1])
	}
	return all
}

// ours are the app's comments that were not deleted.
func ours(slug string, h github.History) []github.PastComment {
	var all []github.PastComment
	for _, c := range h.Comments {
		if c.App == slug && c.DeletedAt == nil {
			all = append(all, c)
		}
	}
	return all
}

func checkComments(report *Report, slug string, h github.History) {
	seen := map[string]int64{}
	for _, c := range ours(slug, h) {
		for _, m := range markers(c.Body) {
			if first := seen[m]; first != 0 {
				report.found(&report.DuplicateComments, "comments %d and %d on %s#%d both say %s", first, c.ID, c.Repository, c.Number, m)
			}
			seen[m] = c.ID
		}
	}
}

// issueBranch is the branch that a thread's commits go to; a thread whose branch was taken has a number after it.
var issueBranch = regexp.MustCompile(`^sam/issue-([0-9]+)(-[0-9]+)?$`)

func checkPulls(report *Report, slug string, h github.History) {
	open := map[string]int{}
	for _, p := range h.PullRequests {
		m := issueBranch.FindStringSubmatch(p.Head)
		if p.App != slug || p.State != "open" || m == nil {
			continue
		}
		thread := p.Repository + "#" + m[1]
		if first := open[thread]; first != 0 {
			report.found(&report.DuplicatePullRequests, "pull requests #%d and #%d are both open for %s", first, p.Number, thread)
		}
		open[thread] = p.Number
	}
}

// checkTips finds pushes that came after the one that the last of a thread's tasks to end was told of as its own: whoever
// made them had been superseded. The last to end need not have been the last to be asked for: deliveries come late.
func checkTips(report *Report, h github.History, r *records) {
	last := map[string]*record{}
	for _, e := range r.entries { // a project's in their order
		if t := r.tasks[e.Task]; t != nil && e.Kind == "result" {
			last[fmt.Sprintf("%d#%d", t.project, t.number)] = t
		}
	}
	for _, t := range last {
		if t.state != "succeeded" || t.head == "" {
			continue
		}
		tip := ""
		for _, p := range h.Pushes {
			m := issueBranch.FindStringSubmatch(strings.TrimPrefix(p.Ref, "refs/heads/"))
			if p.RepositoryID == t.project && m != nil && m[1] == fmt.Sprint(t.number) {
				tip = p.New
			}
		}
		if tip != t.head {
			report.found(&report.StaleWrites, "task %s ended with commit %s, and its branch is at %s", t.id, t.head, tip)
		}
	}
}

// checkStream finds gaps in a task's stream, and events of attempts that had been superseded or superseded a live one.
func checkStream(report *Report, t *record) {
	var last event
	for i, e := range t.events {
		want := int64(i) + 1
		if e.id != want || e.seq != want {
			report.found(&report.Gaps, "task %s: entry %d of its stream is %d, and its event says %d", t.id, want, e.id, e.seq)
		}
		switch {
		case i == 0 || e.epoch == last.epoch:
		case e.epoch < last.epoch:
			report.found(&report.StaleWrites, "task %s: event %d of epoch %d came after epoch %d", t.id, e.id, e.epoch, last.epoch)
		case last.kind != "finished" && e.at.Sub(last.at) < liveFor:
			report.found(&report.StaleWrites, "task %s: epoch %d took over from epoch %d, which had written %s before", t.id, e.epoch, last.epoch, e.at.Sub(last.at))
		}
		last = e
	}
	if t.last != int64(len(t.events)) {
		report.found(&report.Gaps, "task %s: its stream holds %d events, and its record says %d", t.id, len(t.events), t.last)
	}
}
