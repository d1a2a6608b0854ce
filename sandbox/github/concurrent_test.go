package github_test

import (
	"fmt"
	"net/http"
	"testing"

	gogithub "github.com/google/go-github/v62/github"
	"golang.org/x/sync/errgroup"

	"sam/sandbox/github"
	"sam/sandbox/github/contract"
)

func TestTheContractIsReallyChecked(t *testing.T) {
	d, err := contract.Installed()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	before := d.Checked()
	_, _, err = w.asBot().Repositories.Get(t.Context(), "octo", "hello")
	w.check(err)
	if d.Checked() < before+2 { // the token and the repository
		t.Errorf("checked %d exchanges, then %d", before, d.Checked())
	}
}

func TestWhatIsReadWhileItsRepositoryIsTransferredIsFoundOrNot(t *testing.T) {
	w := newWorld(t)
	_, err := w.hub.CreateOrganization("guild", "octo")
	w.check(err)
	r := must(w.hub.CreateRepository(github.RepositorySpec{Owner: "octo", Name: "nomad", Files: map[string][]byte{"a": []byte("a\n")}}))
	auth := "Authorization: token " + must(w.hub.CreatePersonalToken("octo"))
	stop := make(chan struct{})
	var moving errgroup.Group
	moving.Go(func() error {
		for from, to := "octo", "guild"; ; from, to = to, from {
			select {
			case <-stop:
				return nil
			default:
			}
			if _, err := w.hub.TransferRepository("octo", from, "nomad", to); err != nil {
				return err
			}
			if _, err := w.hub.RenameRepository("octo", to, "nomad", "nomad2"); err != nil {
				return err
			}
			if _, err := w.hub.RenameRepository("octo", to, "nomad2", "nomad"); err != nil {
				return err
			}
		}
	})
	seen := map[int]int{}
	for range 8 {
		for _, path := range []string{"/compare/octo:main...octo:main", "/commits/main", "/contents/a", "/git/ref/heads/main", "/branches/main"} {
			seen[w.ask(http.MethodGet, fmt.Sprintf("%s/api/v3/repositories/%d%s", w.loose, r.ID, path), "", auth).status]++
		}
	}
	close(stop)
	w.check(moving.Wait())
	delete(seen, http.StatusOK)
	delete(seen, http.StatusMovedPermanently)
	delete(seen, http.StatusNotFound) // whose the branch is may have changed
	if len(seen) > 0 {
		t.Errorf("answered with %v", seen)
	}
}

func TestManyActAtOnce(t *testing.T) {
	w := newWorld(t)
	e := w.listen(w.app)
	must(w.hub.CreateIssue("robin", "octo", "hello", "Busy", ""))
	e.all()
	e.clear()
	bot, robin, token := w.asBot(), w.asUser("robin"), w.token(nil)
	const each = 4
	var group errgroup.Group
	for i := range each {
		dir := w.clone("hello", token)
		branch := fmt.Sprintf("topic/%d", i)
		w.mustGit(dir, "checkout", "--quiet", "-b", branch)
		w.commit(dir, fmt.Sprintf("file-%d", i), "x")
		group.Go(func() error {
			if out, ok := w.git(dir, "push", "--quiet", "origin", branch); !ok {
				return fmt.Errorf("push: %s", out)
			}
			pr, _, err := bot.PullRequests.Create(t.Context(), "octo", "hello", &gogithub.NewPullRequest{Title: &branch, Head: &branch, Base: ptr("main")})
			if err != nil {
				return err
			}
			_, _, err = bot.PullRequests.Merge(t.Context(), "octo", "hello", pr.GetNumber(), "", nil)
			return err
		})
		group.Go(func() error {
			_, _, err := robin.Issues.CreateComment(t.Context(), "octo", "hello", 1, &gogithub.IssueComment{Body: ptr("hi")})
			return err
		})
	}
	w.check(group.Wait())
	counts := map[string]int{}
	for _, name := range e.names() {
		counts[name]++
	}
	if counts["push"] != 2*each || counts["pull_request opened"] != each || counts["pull_request closed"] != each || counts["issue_comment created"] != each {
		t.Errorf("heard %v", counts)
	}
	threads, err := w.hub.Issues("octo", "hello")
	w.check(err)
	if len(threads) != each+1 {
		t.Errorf("%d threads", len(threads))
	}
}
