package handlers_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sam/sandbox/github"
	"sam/task"
)

func TestAnIssueThatEndsTakesItsTasksAlong(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*world) error
		want string
	}{
		"closed":  {func(w *world) error { return w.hub.CloseIssue("octo", "octo", "hello", 1) }, "Issue #1 was closed."},
		"deleted": {func(w *world) error { return w.hub.DeleteIssue("octo", "octo", "hello", 1) }, "Issue #1 was deleted"},
	} {
		for state, begun := range map[string]bool{"queued": false, "running": true} {
			t.Run(name+" while its task is "+state, func(t *testing.T) {
				w, _, id := asked(t, "/sam make it fast")
				w.settle()
				if begun {
					w.begin(id, 0)
				}
				other := w.issue("hello", "Downloads too")
				w.comment("ada", "hello", other.Number, "/sam make downloads fast")
				w.settle()
				w.check(c.end(w))
				w.settle()
				if got := w.task(id); !strings.HasPrefix(got.Cancel, c.want) {
					t.Errorf("cancelled because %q, want %q", got.Cancel, c.want)
				}
				if n := w.count("sam_tasks_unwanted_total", "issues"); n != 1 {
					t.Errorf("%d tasks ended, want the issue's one", n)
				}
			})
		}
	}
}

func TestAnIssueThatMovesToAnotherRepositoryTakesItsTasksAlong(t *testing.T) {
	w, _, id := asked(t, "/sam make it fast")
	w.settle()
	body := fmt.Sprintf(`{"action":"transferred","issue":{"number":1},"repository":{"id":%d},"installation":{"id":%d}}`, w.repository("hello"), w.install.ID)
	if code, answer := w.post("issues", guid, body, nil); code != 200 {
		t.Fatalf("%d %s", code, answer)
	}
	w.settle()
	if got := w.task(id); !strings.Contains(got.Cancel, "moved to another repository") {
		t.Errorf("cancelled because %q", got.Cancel)
	}
}

func TestAnIssueThatIsOpenAgainWhenItsClosingIsReadKeepsItsTasks(t *testing.T) {
	w, _, id := asked(t, "/sam make it fast")
	w.settle()
	w.check(w.hub.CloseIssue("octo", "octo", "hello", 1))
	w.check(w.hub.ReopenIssue("octo", "octo", "hello", 1))
	w.settle()
	if got := w.task(id); got.Cancel != "" {
		t.Errorf("cancelled because %q", got.Cancel)
	}
}

func TestWhatIsAskedOnAClosedIssueIsDone(t *testing.T) {
	w := newWorld(t)
	w.issue("hello", "Uploads are slow")
	w.check(w.hub.CloseIssue("octo", "octo", "hello", 1))
	closing := w.late()
	w.ahead.Add(int64(2 * time.Second))
	comment := w.comment("ada", "hello", 1, "/sam make it fast all the same")
	w.settle()
	for _, d := range closing {
		w.handle(d)
	}
	if got := w.task(task.NewID(w.repository("hello"), task.CommentSource(comment), 0)); got.Cancel != "" {
		t.Errorf("cancelled because %q", got.Cancel)
	}
}

// branch pushes a new branch of hello with a commit of its own.
func (w *world) branch(name string) {
	w.t.Helper()
	token, err := w.forge.PushToken(w.t.Context(), w.install.ID, w.repository("hello"))
	w.check(err)
	dir := w.t.TempDir()
	remote := strings.Replace(w.forge.CloneURL("octo/hello"), "://", "://x-access-token:"+token+"@", 1)
	for _, args := range [][]string{
		{"clone", "--quiet", remote, "."}, {"checkout", "--quiet", "-b", name},
		{"-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "--quiet", "--allow-empty", "-m", "Change"},
		{"push", "--quiet", "origin", name},
	} {
		cmd := exec.CommandContext(w.t.Context(), "git", args...)
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1"}
		if out, err := cmd.CombinedOutput(); err != nil {
			w.t.Fatalf("git %v: %s", args, out)
		}
	}
}

// pulled is a task that runs on hello's first issue, whose branch has an open pull request already.
func pulled(t *testing.T) (*world, github.PullRequest, task.ID) {
	t.Helper()
	w, _, id := asked(t, "/sam make it fast")
	w.settle()
	w.branch("sam/issue-1")
	pull, err := w.hub.CreatePullRequest("octo", "octo", "hello", "Fast", "Closes #1", "sam/issue-1", "main")
	w.check(err)
	w.begin(id, pull.Number)
	return w, pull, id
}

func TestAPullRequestThatEndsStopsWhoWorksOnItsBranch(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*world, int) error
		want string
	}{
		"merged": {func(w *world, n int) error { return w.hub.MergePullRequest("octo", "octo", "hello", n) }, "was merged while SAM worked on its branch `sam/issue-1`"},
		"closed": {func(w *world, n int) error { return w.hub.CloseIssue("octo", "octo", "hello", n) }, "was closed while SAM worked on its branch `sam/issue-1`"},
	} {
		t.Run(name, func(t *testing.T) {
			w, pull, id := pulled(t)
			next := task.NewID(w.repository("hello"), task.CommentSource(w.comment("ada", "hello", 1, "/sam and document it")), 0)
			w.settle()
			w.check(c.end(w, pull.Number))
			w.settle()
			if got := w.task(id); !strings.Contains(got.Cancel, c.want) {
				t.Errorf("cancelled because %q, want %q", got.Cancel, c.want)
			}
			// What waits for its turn gets a branch of its own, though the merge has closed the issue.
			if got := w.task(next); got.Cancel != "" {
				t.Errorf("the next task of the thread is cancelled because %q", got.Cancel)
			}
		})
	}
}
