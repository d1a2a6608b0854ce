package task_test

import (
	"strings"
	"testing"
	"time"

	"sam/task"
)

func TestWhatATaskStandsOnSaysWhetherItIsStillWanted(t *testing.T) {
	asked := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	issue := task.Task{Spec: task.Spec{Number: 1, Created: asked, Accepted: asked}, State: task.Running, Branch: "sam/issue-1", Pull: 2}
	in := func(s task.State) task.Task { t := issue; t.State = s; return t }
	pull := func(s task.State) task.Task { t := in(s); t.Number, t.OnPull, t.Pull = 2, true, 0; return t }
	closed := asked.Add(time.Minute)
	for name, c := range map[string]struct {
		state task.ThreadState
		task  task.Task
		want  string
	}{
		"nothing happened":                          {task.ThreadState{}, issue, ""},
		"it is gone":                                {task.ThreadState{Gone: true}, issue, "Issue #1 was deleted or moved to another repository."},
		"a pull request that is gone":               {task.ThreadState{Gone: true}, pull(task.Queued), "Pull request #2 was deleted or moved to another repository."},
		"the comment is gone":                       {task.ThreadState{CommentGone: true}, issue, "The comment that asked was deleted."},
		"closed":                                    {task.ThreadState{ClosedAt: closed}, issue, "Issue #1 was closed."},
		"closed while it is queued":                 {task.ThreadState{ClosedAt: closed}, in(task.Queued), "Issue #1 was closed."},
		"closed before it was asked for":            {task.ThreadState{ClosedAt: asked.Add(-time.Second)}, issue, ""},
		"closed by the merge of SAM's pull request": {task.ThreadState{ClosedAt: closed, ByMerge: true}, in(task.Queued), ""},
		"its branch's pull request merged":          {task.ThreadState{Pull: task.PullMerged}, in(task.Publishing), "Pull request #2 was merged while SAM worked on its branch `sam/issue-1`."},
		"its branch's pull request closed":          {task.ThreadState{Pull: task.PullClosed}, in(task.Preparing), "Pull request #2 was closed while SAM worked"},
		"merged while it looks for a node":          {task.ThreadState{Pull: task.PullMerged}, in(task.Placing), ""}, // it gets another branch
		"its own pull request ended":                {task.ThreadState{ClosedAt: closed}, pull(task.Queued), "Pull request #2 was merged or closed."},
	} {
		got := c.state.Unwanted(c.task, asked.Add(5*time.Minute))
		if !strings.HasPrefix(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := (task.ThreadState{CommentGone: true}).Unwanted(issue, asked.Add(59*time.Second)); got != "" {
		t.Errorf("a comment that GitHub denies right after its event: %q", got)
	}
}
