package handlers_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"sam/task"
)

func TestAWritersCommandMakesATask(t *testing.T) {
	w := newWorld(t)
	issue := w.issue("hello", "Uploads are slow")
	comment := w.comment("ada", "hello", issue.Number, "Hm.\n\n/sam make uploads fast\n\nTwice as fast will do.")
	w.settle()

	repository := w.repository("hello")
	got := w.task(task.NewID(repository, task.CommentSource(comment), 0))
	owner := w.install.Account
	want := task.Spec{
		ID: got.ID, Project: repository, Installation: w.install.ID, Account: owner.ID, Repository: "octo/hello",
		Thread: task.IssueThread(repository, 1), Number: 1, Title: "Uploads are slow", Body: "It should be **so**.",
		Request: "make uploads fast\n\nTwice as fast will do.", Requester: "ada", RequesterID: got.RequesterID,
		Source: task.CommentSource(comment), Comment: comment, Agent: "demo", Created: got.Created, Accepted: got.Accepted,
	}
	if !reflect.DeepEqual(got.Spec, want) {
		t.Errorf("got  %+v\nwant %+v", got.Spec, want)
	}
	if got.State != task.Queued || got.RequesterID == 0 || got.Created.IsZero() {
		t.Errorf("it is %s, asked by user %d at %s", got.State, got.RequesterID, got.Created)
	}
	targets, _ := w.owed()
	if want := []string{fmt.Sprintf("reaction:%d:1:%d:eyes", repository, comment), "status:" + string(got.ID)}; !reflect.DeepEqual(targets, want) {
		t.Errorf("owed %v, want %v", targets, want)
	}
	entries, _, err := w.store.Conversation(t.Context(), repository, "", 10)
	w.check(err)
	if len(entries) != 1 || entries[0].Kind != task.EntryRequest || entries[0].Author != "ada" || entries[0].Task != got.ID {
		t.Errorf("the conversation holds %+v", entries)
	}
}

func TestACommandOnAPullRequestSaysSo(t *testing.T) {
	w := newWorld(t)
	w.settle()
	body := strings.Replace(comment, `"number":1`, `"number":1,"pull_request":{"url":"https://api.example/pulls/1"}`, 1)
	body = strings.NewReplacer(`"repository":{"id":7`, fmt.Sprintf(`"repository":{"id":%d`, w.repository("hello")),
		`"installation":{"id":2}`, fmt.Sprintf(`"installation":{"id":%d}`, w.install.ID)).Replace(body)
	if code, answer := w.post("issue_comment", guid, body, nil); code != 200 {
		t.Fatalf("%d %s", code, answer)
	}
	w.settle()
	if got := w.task(task.NewID(w.repository("hello"), task.CommentSource(5), 0)); !got.OnPull {
		t.Errorf("%+v is not on a pull request", got.Spec)
	}
}

func TestTwoCommandsInACommentMakeTwoTasksInTheirOrder(t *testing.T) {
	w := newWorld(t)
	issue := w.issue("hello", "Uploads are slow")
	comment := w.comment("ada", "hello", issue.Number, "/sam make it fast\n/sam help\n/sam add a test")
	w.settle()
	source, repository := task.CommentSource(comment), w.repository("hello")
	first, second := w.task(task.NewID(repository, source, 0)), w.task(task.NewID(repository, source, 2))
	if first.Request != "make it fast" || second.Request != "add a test" {
		t.Errorf("asked for %q and %q", first.Request, second.Request)
	}
	var not task.NotYoursError
	if _, err := w.store.Claim(t.Context(), second.ID); !errors.As(err, &not) || not.Why != "turn" {
		t.Errorf("the second can be claimed before the first: %v", err)
	}
	_, replies := w.owed()
	if len(replies) != 1 || !strings.HasPrefix(replies[0], "Write `/sam` and what you want done") {
		t.Errorf("help was answered with %q", replies)
	}
}

func TestTheSameRequestTwiceMakesOneTask(t *testing.T) {
	w := newWorld(t)
	issue := w.issue("hello", "Uploads are slow")
	w.settle()
	comment := w.comment("ada", "hello", issue.Number, "/sam make it fast")
	taken := w.settle()
	if len(taken) != 1 {
		t.Fatalf("accepted %d deliveries, want 1", len(taken))
	}
	w.check(w.webhook.Handle(t.Context(), taken[0])) // a consumer died before it could say that it was done
	taken[0].ID = "another-guid"                     // another hook told of the same comment
	w.check(w.webhook.Handle(t.Context(), taken[0]))
	for _, d := range w.hub.Deliveries(w.app.ID) {
		if d.Event == "issue_comment" {
			w.check(w.hub.Redeliver(w.app.ID, d.ID))
		}
	}
	if again := w.settle(); len(again) != 0 {
		t.Errorf("a redelivery was taken for new: %+v", again)
	}
	w.task(task.NewID(w.repository("hello"), task.CommentSource(comment), 0))
	if made, again := w.count("sam_tasks_total", "created"), w.count("sam_tasks_total", "duplicate"); made != 1 || again != 2 {
		t.Errorf("%d tasks made and %d found, want 1 and 2", made, again)
	}
}

func TestTheLabelMakesTheIssueTheRequest(t *testing.T) {
	w := newWorld(t)
	issue := w.issue("hello", "Uploads are slow")
	w.check(w.hub.AddLabel("ada", "octo", "hello", issue.Number, "SAM"))
	labelled, err := w.hub.Issue("octo", "hello", issue.Number)
	w.check(err)
	w.settle()
	got := w.task(task.NewID(w.repository("hello"), task.LabelSource(issue.ID, "sam", labelled.UpdatedAt), 0))
	if got.Request != "Uploads are slow" || got.Body != "It should be **so**." || got.Requester != "ada" || got.Comment != 0 {
		t.Errorf("got %+v", got.Spec)
	}
	targets, _ := w.owed()
	if want := fmt.Sprintf("reaction:%d:1:0:eyes", w.repository("hello")); len(targets) != 2 || targets[0] != want {
		t.Errorf("owed %v, want %s and the status", targets, want)
	}
}

func TestWhoMayNotAskIsToldOnlyAsAMember(t *testing.T) {
	for _, c := range []struct {
		login, repo string
		told        bool
		counted     string
	}{
		{"tess", "hello", true, "member"},     // triage
		{"tess", "secret", true, "member"},    // triage
		{"robin", "secret", true, "member"},   // a reader of what is private
		{"robin", "hello", false, "stranger"}, // everyone reads what is public
		{"zoe", "hello", false, "stranger"},
	} {
		t.Run(c.login+" on "+c.repo, func(t *testing.T) {
			w := newWorld(t)
			issue := w.issue(c.repo, "Uploads are slow")
			comment := w.comment(c.login, c.repo, issue.Number, "/sam delete it all\n/sam and the backups")
			w.settle()
			targets, replies := w.owed()
			var want []string
			if c.told {
				want = []string{
					fmt.Sprintf("reaction:%d:1:%d:confused", w.repository(c.repo), comment),
					fmt.Sprintf("reply:%d:1:comment-%d", w.repository(c.repo), comment),
				}
				if len(replies) != 1 || !strings.HasPrefix(replies[0], "@"+c.login+", SAM takes requests from people with write access") {
					t.Errorf("told %q", replies)
				}
			}
			if !reflect.DeepEqual(targets, want) {
				t.Errorf("owed %v, want %v", targets, want)
			}
			if w.count("sam_requests_ignored_total", c.counted) != 1 || w.count("sam_tasks_total", "") != 0 {
				t.Errorf("not counted once as %s, or a task was made", c.counted)
			}
		})
	}
}

func TestWhoLabelsIsAskedForNotWhoWroteTheIssue(t *testing.T) {
	w := newWorld(t)
	issue := w.issue("hello", "Uploads are slow") // octo's, who owns the repository
	w.check(w.hub.AddLabel("tess", "octo", "hello", issue.Number, "sam"))
	w.settle()
	targets, replies := w.owed()
	if len(targets) != 2 || !strings.HasSuffix(targets[0], ":1:0:confused") || len(replies) != 1 || !strings.Contains(replies[0], "@tess") {
		t.Errorf("owed %v, told %q", targets, replies)
	}
	if w.count("sam_tasks_total", "") != 0 {
		t.Error("a triager's label made a task")
	}
}

func TestACommandThatSaysNothingIsAnsweredWithWhatWould(t *testing.T) {
	w := newWorld(t)
	issue := w.issue("hello", "Uploads are slow")
	w.comment("ada", "hello", issue.Number, "/sam\n\n/sam hepl")
	w.settle()
	_, replies := w.owed()
	if len(replies) != 2 || w.count("sam_tasks_total", "") != 0 {
		t.Fatalf("told %q, and %d tasks", replies, w.count("sam_tasks_total", ""))
	}
	all := strings.Join(replies, "\n")
	for _, want := range []string{"`/sam` alone says nothing to do.", "`/sam hepl` looks like `/sam help`"} {
		if !strings.Contains(all, want) {
			t.Errorf("told %q, want %q", replies, want)
		}
	}
}

func TestAProjectAppearsWhereSAMIsInstalledAndGoesWithIt(t *testing.T) {
	w := newWorld(t)
	steps := []struct {
		name string
		do   func() error
		want []string
	}{
		{"installed on two", func() error { return nil }, []string{"octo/hello", "octo/secret"}},
		{"one more", func() error { return w.hub.AddRepositories(w.install.ID, "elsewhere") }, []string{"octo/elsewhere", "octo/hello", "octo/secret"}},
		{"two fewer", func() error { return w.hub.RemoveRepositories(w.install.ID, "elsewhere", "secret") }, []string{"octo/hello"}},
		{"uninstalled", func() error { return w.hub.Uninstall(w.install.ID) }, []string{}},
	}
	for _, s := range steps {
		w.check(s.do())
		w.settle()
		if got := w.projects(); !reflect.DeepEqual(got, s.want) {
			t.Errorf("%s: projects are %v, want %v", s.name, got, s.want)
		}
	}
}

func TestAnInstallationsEventsMayComeLateAndTwice(t *testing.T) {
	w := newWorld(t)
	first := w.settle()
	w.check(w.hub.Uninstall(w.install.ID))
	w.check(w.hub.Settle(t.Context()))
	late := w.store.take() // the end of the first installation, not handled yet
	again, err := w.hub.Install(w.app.ID, "octo", "hello")
	w.check(err)
	w.settle()
	for _, d := range append(late, first...) {
		w.check(w.webhook.Handle(t.Context(), d))
	}
	p, err := w.store.Project(t.Context(), w.repository("hello"))
	w.check(err)
	if p.Installation != again.ID {
		t.Errorf("hello belongs to installation %d, want %d", p.Installation, again.ID)
	}
	if got := w.projects(); !reflect.DeepEqual(got, []string{"octo/hello"}) {
		t.Errorf("projects are %v", got)
	}
}

func TestAProjectWhoseInstallationWasMissedIsAdopted(t *testing.T) {
	w := newWorld(t)
	w.check(w.hub.Settle(t.Context()))
	w.store.take() // the event is lost
	issue := w.issue("secret", "Uploads are slow")
	comment := w.comment("ada", "secret", issue.Number, "/sam make it fast")
	w.settle()
	w.task(task.NewID(w.repository("secret"), task.CommentSource(comment), 0))
	p, err := w.store.Project(t.Context(), w.repository("secret"))
	w.check(err)
	if !p.Private || p.DefaultBranch != "main" || p.Account != w.install.Account.ID || p.FullName() != "octo/secret" {
		t.Errorf("adopted as %+v", p)
	}
}

func TestWhatIsOutsideOfEveryInstallationIsIgnored(t *testing.T) {
	for name, c := range map[string]struct {
		installation, repository func(*world) int64
		counted                  string
	}{
		"an installation that GitHub does not know": {
			func(w *world) int64 { return w.install.ID + 1000 }, func(w *world) int64 { return w.repository("elsewhere") }, "unknown_installation"},
		"a repository outside the installation": {
			func(w *world) int64 { return w.install.ID }, func(w *world) int64 { return w.repository("elsewhere") }, "unknown_repository"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.settle()
			body := strings.NewReplacer(`"repository":{"id":7`, fmt.Sprintf(`"repository":{"id":%d`, c.repository(w)),
				`"installation":{"id":2}`, fmt.Sprintf(`"installation":{"id":%d}`, c.installation(w))).Replace(comment)
			if code, answer := w.post("issue_comment", guid, body, nil); code != 200 {
				t.Fatalf("%d %s", code, answer)
			}
			w.settle()
			if targets, _ := w.owed(); len(targets) != 0 || w.count("sam_tasks_total", "") != 0 {
				t.Errorf("owed %v", targets)
			}
			if w.count("sam_requests_ignored_total", c.counted) != 1 {
				t.Errorf("not counted as %s", c.counted)
			}
			if got := w.projects(); !reflect.DeepEqual(got, []string{"octo/hello", "octo/secret"}) {
				t.Errorf("projects are now %v", got)
			}
		})
	}
}
