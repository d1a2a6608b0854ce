package simulation

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sam/sandbox/github"
	"sam/task"
)

// check compares the end of a session with the promises, and says what was not kept.
func (s *session) check(ctx context.Context) (wrong []string) {
	found := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	tasks, err := s.tasks(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	answers, more := s.conversations(ctx, tasks)
	wrong = append(append(wrong, s.stuck...), more...)
	for _, r := range s.asked {
		var made []task.Task
		for _, t := range tasks {
			if t.Comment == r.comment {
				made = append(made, t)
			}
		}
		outcomes := len(made)
		for _, words := range answers {
			if strings.Contains(words, r.words) {
				outcomes++
			}
		}
		want := 1
		if r.who != maintainer {
			want = 0
		}
		if outcomes > want || outcomes < want && !r.touched && !s.left[r.place] {
			found("comment %d of %s on %s#%d (%s) made %d tasks and is %d answers, want %d of them", r.comment, r.who, r.place, r.number, r.words,
				len(made), outcomes-len(made), want)
		}
	}
	for _, t := range tasks {
		wrong = append(wrong, s.stream(ctx, t)...)
		if !t.State.Final() {
			found("task %s is still %s", t.ID, t.State)
		}
	}
	for _, p := range places() {
		for _, number := range s.issues[p] {
			wrong = append(wrong, s.checkThread(p, number, tasks)...)
		}
	}
	return wrong
}

// checkThread compares what GitHub shows of a thread with its tasks.
func (s *session) checkThread(p place, number int, tasks []task.Task) (wrong []string) {
	thread := fmt.Sprintf("%s#%d", p, number)
	found := func(format string, args ...any) { wrong = append(wrong, thread+": "+fmt.Sprintf(format, args...)) }
	told := s.hub.told(p, number)
	labelled := 0
	var last task.Task
	for _, t := range tasks {
		if t.Project != s.hub.ids[p] || t.Number != number {
			continue
		}
		if t.Comment == 0 {
			labelled++
		}
		for _, kind := range []string{"status", "closing"} {
			n := 0
			for _, c := range told.comments[kind] {
				if strings.Contains(c.Body, "<!-- sam:"+kind+":"+string(t.ID)+" -->") {
					n++
				}
			}
			if n != 1 && (n != 0 || !s.mute(p)) {
				found("%d %s comments of task %s, which is %s", n, kind, t.ID, t.State)
			}
		}
		if t.At[t.State].After(last.At[last.State]) {
			last = t
		}
	}
	if most := s.labels[thread]; labelled > most || labelled == 0 && most > 0 && !s.mute(p) {
		found("%d tasks of %d labellings", labelled, most)
	}
	var open []int
	for _, pull := range told.pulls {
		if pull.State == "open" {
			open = append(open, pull.Number)
		}
	}
	if len(open) > 1 {
		found("pull requests %v are all open", open)
	}
	if last.State == task.Succeeded {
		if !slices.ContainsFunc(told.pulls, func(pull github.PastPull) bool { return pull.Number == last.Pull }) {
			found("task %s succeeded with pull request %d, which is not there", last.ID, last.Pull)
		}
		tip := ""
		for _, push := range told.pushes {
			if push.Ref == "refs/heads/"+last.Branch {
				tip = push.New
			}
		}
		if tip != last.Head { // who pushed after that had been superseded
			found("task %s ended last, with commit %s, and its branch is at %s", last.ID, last.Head, tip)
		}
	}
	refusals, asked := 0, 0
	for _, c := range told.comments["reply"] {
		if strings.Contains(c.Body, "@"+stranger) {
			found("a stranger was answered: %q", c.Body)
		}
		if strings.Contains(c.Body, "@"+triager) {
			refusals++
		}
	}
	for _, r := range s.asked {
		if r.place == p && r.number == number && r.who == triager {
			asked++
		}
	}
	if refusals > asked || refusals < asked && !s.mute(p) {
		found("%d of a member's %d requests were answered with why not", refusals, asked)
	}
	seen := map[string]bool{}
	for kind, comments := range told.comments {
		for _, c := range comments {
			m := marked.FindString(c.Body)
			if seen[m] || kind == "unmarked" {
				found("a second comment, or one without a marker, says %s %q", m, c.Body)
			}
			seen[m] = true
		}
	}
	return wrong
}

// conversations checks each project's conversation: every task is asked for once and ends once, and a thread's tasks run
// one at a time. It returns the words of all answers.
func (s *session) conversations(ctx context.Context, tasks []task.Task) (answers, wrong []string) {
	projects := map[int64]bool{}
	for _, t := range tasks {
		projects[t.Project] = true
	}
	asked, started, ended := map[task.ID]int{}, map[task.ID]int{}, map[task.ID]int{}
	for project := range projects {
		entries, _, err := s.observer.Conversation(ctx, project, "", 10_000)
		if err != nil {
			return nil, []string{err.Error()}
		}
		at := map[task.ThreadID]task.ID{} // which task has its thread
		for _, e := range entries {
			switch e.Kind {
			case task.EntryRequest:
				asked[e.Task]++
			case task.EntryAnswer:
				answers = append(answers, e.Text)
			case task.EntryStarted:
				started[e.Task]++
				if other := at[e.Thread]; other != "" && other != e.Task {
					wrong = append(wrong, fmt.Sprintf("task %s was started while %s ran in thread %s", e.Task, other, e.Thread))
				}
				if ended[e.Task] > 0 {
					wrong = append(wrong, fmt.Sprintf("task %s was started after its end", e.Task))
				}
				at[e.Thread] = e.Task
			case task.EntryResult:
				ended[e.Task]++
				if at[e.Thread] == e.Task {
					delete(at, e.Thread)
				}
			}
		}
	}
	for _, t := range tasks {
		// A comment that was edited in time is told anew, and an attempt whose node was lost while it waited for an answer
		// does not count.
		if asked[t.ID] < 1 || ended[t.ID] != 1 || started[t.ID] < t.Attempts || started[t.ID] > t.Attempts+len(t.Answers) {
			wrong = append(wrong, fmt.Sprintf("task %s was asked for %d times, started %d times in %d attempts, and ended %d times",
				t.ID, asked[t.ID], started[t.ID], t.Attempts, ended[t.ID]))
		}
	}
	return answers, wrong
}
