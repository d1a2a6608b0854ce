package github_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gogithub "github.com/google/go-github/v62/github"

	"sam/sandbox/github"
)

// ear is an app's webhook endpoint that keeps what it hears.
type ear struct {
	w      *world
	srv    *httptest.Server
	mu     sync.Mutex
	status int
	heard  []heard
}

type heard struct {
	event, guid string
	body        []byte
	header      http.Header
	parsed      any
}

// listen makes the app's webhooks come to an ear, past the greeting.
func (w *world) listen(a github.App) *ear {
	w.t.Helper()
	e := &ear{w: w, status: http.StatusOK}
	e.srv = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := gogithub.ValidatePayload(r, []byte(a.WebhookSecret))
		if err != nil {
			w.t.Errorf("the signature of %s: %v", r.Header.Get("X-GitHub-Event"), err)
		}
		parsed, err := gogithub.ParseWebHook(gogithub.WebHookType(r), body)
		if err != nil {
			w.t.Errorf("the payload of %s: %v", r.Header.Get("X-GitHub-Event"), err)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.heard = append(e.heard, heard{r.Header.Get("X-GitHub-Event"), r.Header.Get("X-GitHub-Delivery"), body, r.Header.Clone(), parsed})
		rw.WriteHeader(e.status)
		_, _ = io.WriteString(rw, "thanks")
	}))
	w.t.Cleanup(e.srv.Close)
	w.check(w.hub.SetWebhook(a.ID, e.srv.URL+"/hook"))
	if names := e.names(); !slices.Equal(names, []string{"ping"}) {
		w.t.Errorf("the greeting: %v", names)
	}
	e.clear()
	return e
}

func (e *ear) answer(status int) { e.mu.Lock(); e.status = status; e.mu.Unlock() }
func (e *ear) clear()            { e.mu.Lock(); e.heard = nil; e.mu.Unlock() }

// all waits until everything is sent and returns what was heard.
func (e *ear) all() []heard {
	e.w.t.Helper()
	ctx, cancel := context.WithTimeout(e.w.t.Context(), 20*time.Second)
	defer cancel()
	e.w.check(e.w.hub.Settle(ctx))
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.heard)
}

// names lists what was heard as "event action".
func (e *ear) names() []string {
	var names []string
	for _, h := range e.all() {
		var p struct{ Action string }
		e.w.check(json.Unmarshal(h.body, &p))
		names = append(names, strings.TrimSpace(h.event+" "+p.Action))
	}
	return names
}

func (e *ear) expect(what string, want ...string) {
	e.w.t.Helper()
	if got := e.names(); !slices.Equal(got, want) {
		e.w.t.Errorf("%s: heard %v, want %v", what, got, want)
	}
	e.clear()
}

func TestEveryChangeIsAnnouncedOnceAndInOrder(t *testing.T) {
	w := newWorld(t)
	e := w.listen(w.app)
	ctx, bot, hub := t.Context(), w.asBot(), w.hub

	is := must(hub.CreateIssue("robin", "octo", "hello", "Slow", "very"))
	e.expect("opening", "issues opened")
	c := must(hub.CreateComment("robin", "octo", "hello", is.Number, "/sam fix"))
	must(hub.EditComment("robin", "octo", "hello", c.ID, "/sam fix it"))
	w.check(hub.DeleteComment("robin", "octo", "hello", c.ID))
	e.expect("commenting", "issue_comment created", "issue_comment edited", "issue_comment deleted")
	w.check(hub.AddLabel("robin", "octo", "hello", 1, "sam"))
	w.check(hub.AddLabel("robin", "octo", "hello", 1, "sam"))
	w.check(hub.RemoveLabel("robin", "octo", "hello", 1, "sam"))
	e.expect("labelling", "issues labeled", "issues unlabeled")
	_, _, err := bot.Issues.Edit(ctx, "octo", "hello", 1, &gogithub.IssueRequest{Title: ptr("Slower")})
	w.check(err)
	w.check(hub.CloseIssue("robin", "octo", "hello", 1))
	w.check(hub.CloseIssue("robin", "octo", "hello", 1))
	w.check(hub.ReopenIssue("robin", "octo", "hello", 1))
	e.expect("editing", "issues edited", "issues closed", "issues reopened")

	dir, _ := w.branch("hello", "sam/1")
	e.expect("pushing a branch", "push")
	_, err = hub.CreatePullRequest("robin", "octo", "hello", "Quick", "Fixes #1", "sam/1", "main")
	w.check(err)
	w.commit(dir, "more.txt", "more\n")
	w.mustGit(dir, "push", "--quiet", "origin", "sam/1")
	must(hub.CreateComment("robin", "octo", "hello", 2, "good"))
	w.check(hub.AddLabel("robin", "octo", "hello", 2, "bug"))
	e.expect("a pull request", "pull_request opened", "push", "pull_request synchronize", "issue_comment created", "pull_request labeled")
	w.check(hub.MergePullRequest("robin", "octo", "hello", 2))
	e.expect("merging", "pull_request closed", "issues closed", "push")

	w.check(hub.RemoveRepositories(w.inst.ID, "secret"))
	w.check(hub.AddRepositories(w.inst.ID, "secret"))
	w.check(hub.Uninstall(w.inst.ID))
	e.expect("the installation", "installation_repositories removed", "installation_repositories added", "installation deleted")
	must(hub.CreateIssue("robin", "octo", "hello", "Unheard", ""))
	must(hub.Install(w.app.ID, "octo", "hello"))
	e.expect("installing anew", "installation created")
}

func TestAPayloadSaysWhoWhereAndForWhichInstallation(t *testing.T) {
	w := newWorld(t)
	e := w.listen(w.app)
	w.branch("hello", "sam/1")
	must(w.hub.CreatePullRequest("robin", "octo", "hello", "Quick", "", "sam/1", "main"))
	must(w.hub.CreateComment("stranger", "octo", "hello", 1, "/sam go on"))
	got := e.all()
	push, isPush := got[0].parsed.(*gogithub.PushEvent)
	comment, isComment := got[2].parsed.(*gogithub.IssueCommentEvent)
	if !isPush || !isComment {
		t.Fatalf("heard %T and %T", got[0].parsed, got[2].parsed)
	}
	if push.GetRef() != "refs/heads/sam/1" || !push.GetCreated() || len(push.Commits) != 1 || push.Commits[0].Added[0] != "sam-1.txt" ||
		push.GetInstallation().GetID() != w.inst.ID || push.GetSender().GetLogin() != "helper-app[bot]" || push.GetRepo().GetCreatedAt().Unix() == 0 {
		t.Errorf("push: %s", got[0].body)
	}
	if comment.GetInstallation().GetID() != w.inst.ID || comment.GetInstallation().GetNodeID() == "" || comment.GetSender().GetLogin() != "stranger" ||
		comment.GetRepo().GetFullName() != "octo/hello" || !comment.GetIssue().IsPullRequest() || comment.GetComment().GetAuthorAssociation() != "NONE" {
		t.Errorf("comment: %s", got[2].body)
	}
	for _, h := range got {
		for name, want := range map[string]string{
			"Content-Type": "application/json", "X-GitHub-Hook-Installation-Target-ID": fmt.Sprint(w.app.ID),
			"X-GitHub-Hook-Installation-Target-Type": "integration",
		} {
			if h.header.Get(name) != want {
				t.Errorf("%s: %q", name, h.header.Get(name))
			}
		}
		if !strings.HasPrefix(h.header.Get("User-Agent"), "GitHub-Hookshot/") || h.header.Get("X-Hub-Signature") == "" ||
			h.header.Get("X-GitHub-Hook-ID") == "" || len(h.guid) != 36 {
			t.Errorf("headers: %v", h.header)
		}
	}
}

func TestADeliveryIsLoggedNeverRepeatedAndRedeliveredOnRequest(t *testing.T) {
	w := newWorld(t)
	e := w.listen(w.app)
	ctx, app := t.Context(), w.asApp(w.app)
	e.answer(http.StatusInternalServerError)
	must(w.hub.CreateIssue("robin", "octo", "hello", "Slow", ""))
	first := e.all()
	if len(first) != 1 {
		t.Fatalf("sent %d times", len(first))
	}
	log, _, err := app.Apps.ListHookDeliveries(ctx, nil)
	w.check(err)
	d := log[0]
	if d.GetGUID() != first[0].guid || d.GetStatusCode() != 500 || d.GetStatus() == "OK" || d.GetEvent() != "issues" || d.GetAction() != "opened" ||
		d.GetInstallationID() != w.inst.ID || d.GetRedelivery() {
		t.Errorf("logged %v", d)
	}
	full, _, err := app.Apps.GetHookDelivery(ctx, d.GetID())
	w.check(err)
	if full.GetResponse().GetRawPayload() == nil || full.GetRequest().GetHeaders()["X-GitHub-Delivery"] != d.GetGUID() {
		t.Errorf("in full %v", full)
	}
	e.answer(http.StatusOK)
	if _, res, err := app.Apps.RedeliverHookDelivery(ctx, d.GetID()); res == nil || res.StatusCode != 202 {
		t.Errorf("asking again: %v", err)
	}
	both := e.all()
	if len(both) != 2 || both[1].guid != first[0].guid || string(both[1].body) != string(first[0].body) {
		t.Errorf("redelivered %d", len(both))
	}
	log, _, err = app.Apps.ListHookDeliveries(ctx, nil)
	w.check(err)
	if !log[0].GetRedelivery() || log[0].GetStatusCode() != 200 || log[0].GetID() == d.GetID() {
		t.Errorf("logged %v", log[0])
	}
}

func TestTheLogIsReadByCursor(t *testing.T) {
	w := newWorld(t)
	e := w.listen(w.app)
	for i := range 5 {
		must(w.hub.CreateIssue("robin", "octo", "hello", fmt.Sprint(i), ""))
	}
	e.all()
	seen := map[int64]bool{}
	opts := &gogithub.ListCursorOptions{PerPage: 2}
	for range 10 {
		log, res, err := w.asApp(w.app).Apps.ListHookDeliveries(t.Context(), opts)
		w.check(err)
		for _, d := range log {
			seen[d.GetID()] = true
		}
		if opts.Cursor = res.Cursor; opts.Cursor == "" {
			break
		}
	}
	if len(seen) != 6 { // and the ping
		t.Errorf("saw %d deliveries", len(seen))
	}
}

func TestAnAppThatIsDownIsLoggedToo(t *testing.T) {
	w := newWorld(t)
	e := w.listen(w.app)
	e.srv.Close()
	must(w.hub.CreateIssue("robin", "octo", "hello", "Slow", ""))
	e.all()
	if d := w.hub.Deliveries(w.app.ID)[0]; d.StatusCode != 502 || d.Status != "failed to connect to host" || d.Event != "issues" {
		t.Errorf("logged %+v", d)
	}
}

func TestAnAppHearsOnlyWhatItAskedForWhereItIsInstalled(t *testing.T) {
	w := newWorld(t)
	quiet := w.newApp("Quiet App", map[string]string{"contents": "read"}, "push")
	must(w.hub.Install(quiet.ID, "octo", "secret"))
	e := w.listen(quiet)
	must(w.hub.CreateIssue("robin", "octo", "hello", "Slow", ""))
	w.branch("hello", "topic")
	e.expect("another repository")
	w.branch("secret", "topic")
	e.expect("its own", "push")
	if _, err := w.hub.CreateApp(github.AppSpec{Name: "Greedy", Owner: "octo", Events: []string{"issues"}}); err == nil {
		t.Error("events need their permission")
	}
}

func TestClosingDoesNotWaitForASlowApp(t *testing.T) {
	hub := must(github.New(github.Options{}))
	must(hub.CreateUser("octo"))
	reached, release := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(reached); <-release }))
	defer srv.Close()
	defer close(release)
	must(hub.CreateApp(github.AppSpec{Name: "Slow", Owner: "octo", WebhookURL: srv.URL}))
	<-reached
	for range 2 {
		if err := hub.Close(); err != nil {
			t.Error(err)
		}
	}
}
