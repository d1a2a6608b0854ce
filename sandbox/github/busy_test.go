package github_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	gogithub "github.com/google/go-github/v62/github"
	"golang.org/x/sync/errgroup"

	"sam/sandbox/github"
)

// Fifty tasks by three replicas, as far as GitHub is concerned: each is an issue, a
// command, a reaction, a status comment that is edited, a push, a pull request
// and a closing comment, with every kind of fault about and redeliveries under way.
func TestFiftyTasksWithFaultsEndWithWhatWasAnswered(t *testing.T) {
	const tasks = 50
	w := newWorld(t)
	w.hub.SetContentLimits(github.ContentLimits{PerMinute: -1, PerHour: -1})
	e := w.listen(w.app)
	token := w.token(nil)
	faults, err := github.ParseFaults("deliveries=0.1/10ms,bad_gateway=0.05,bad_gateway_after=0.05,not_found_yet=0.1")
	w.check(err)
	faults.Seed = 1
	w.check(w.hub.SetFaults(faults))

	begun := time.Now()
	var replicas errgroup.Group
	replicas.SetLimit(3)
	for i := range tasks {
		replicas.Go(func() error { return w.task(t.Context(), i, token) })
	}
	w.check(replicas.Wait())
	e.all()
	for _, d := range w.hub.Deliveries(w.app.ID) {
		if d.StatusCode >= 400 && !d.Redelivery {
			w.check(w.hub.Redeliver(w.app.ID, d.ID))
		}
	}
	w.check(w.hub.SetFaults(github.Faults{}))
	e.all()
	if took := time.Since(begun); took > 2*time.Minute {
		t.Errorf("it took %s", took)
	}

	h, report := w.hub.History(), w.hub.Faults()
	if len(h.Issues) != tasks || len(h.PullRequests) != tasks || len(h.Pushes) != tasks {
		t.Errorf("%d issues, %d pull requests, %d pushes", len(h.Issues), len(h.PullRequests), len(h.Pushes))
	}
	// A comment whose answer was lost is made again by this careless client.
	said := 3 * tasks
	if n := len(h.Comments); n < said || n > said+report.Hits[github.BadGatewayAfter] {
		t.Errorf("%d comments, with %d answers lost", n, report.Hits[github.BadGatewayAfter])
	}
	for kind := range faultsIn(faults) {
		if report.Hits[kind] == 0 {
			t.Errorf("%s was never hit: %v", kind, report.Hits)
		}
	}
}

func faultsIn(f github.Faults) map[github.FaultKind]bool {
	kinds := map[github.FaultKind]bool{}
	for _, r := range f.Rules {
		kinds[r.Kind] = true
	}
	return kinds
}

func (w *world) task(ctx context.Context, i int, token string) error {
	bot := w.client(plain()).WithAuthToken(token)
	is, err := w.hub.CreateIssue("robin", "octo", "hello", fmt.Sprint("Task ", i), "")
	if err != nil {
		return err
	}
	command, err := w.hub.CreateComment("robin", "octo", "hello", is.Number, "/sam fix")
	if err != nil {
		return err
	}
	if err := again(func() (*gogithub.Response, error) {
		_, res, err := bot.Issues.GetComment(ctx, "octo", "hello", command.ID)
		return res, err
	}); err != nil {
		return err
	}
	if err := again(func() (*gogithub.Response, error) {
		_, res, err := bot.Reactions.CreateIssueCommentReaction(ctx, "octo", "hello", command.ID, "eyes")
		return res, err
	}); err != nil {
		return err
	}
	for _, body := range []string{"status", "done"} {
		var c *gogithub.IssueComment
		if err := again(func() (res *gogithub.Response, err error) {
			c, res, err = bot.Issues.CreateComment(ctx, "octo", "hello", is.Number, &gogithub.IssueComment{Body: &body})
			return res, err
		}); err != nil {
			return err
		}
		if err := again(func() (*gogithub.Response, error) {
			_, res, err := bot.Issues.EditComment(ctx, "octo", "hello", c.GetID(), &gogithub.IssueComment{Body: ptr(body + ", edited")})
			return res, err
		}); err != nil {
			return err
		}
	}
	branch := fmt.Sprint("sam/", is.Number)
	dir := w.t.TempDir()
	for _, args := range [][]string{
		{"clone", "--quiet", w.remote("hello", token), "."}, {"checkout", "--quiet", "-b", branch},
		{"commit", "--quiet", "--allow-empty", "-m", "Work"}, {"push", "--quiet", "origin", branch},
	} {
		if out, ok := w.git(dir, args...); !ok { //nolint:contextcheck // it has the test's own and a limit
			return fmt.Errorf("git %v: %s", args, out)
		}
	}
	return again(func() (*gogithub.Response, error) {
		_, res, err := bot.PullRequests.Create(ctx, "octo", "hello", &gogithub.NewPullRequest{Title: &branch, Head: &branch, Base: ptr("main")})
		if res != nil && res.StatusCode == http.StatusUnprocessableEntity { // it is there already
			err = nil
		}
		return res, err
	})
}

// again repeats what a fault has struck.
func again(do func() (*gogithub.Response, error)) error {
	for {
		res, err := do()
		if err == nil || res == nil || (res.StatusCode != http.StatusBadGateway && res.StatusCode != http.StatusNotFound) {
			return err
		}
	}
}
