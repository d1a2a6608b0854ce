package github_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v62/github"

	"sam/sandbox/github"
)

// repositoryApp is an app that hears of repositories too, installed on hello.
func (w *world) repositoryApp() (github.App, github.Installation) {
	w.t.Helper()
	a := w.newApp("Mover App", map[string]string{"contents": "write", "issues": "write", "pull_requests": "write"}, "issues", "issue_comment", "repository")
	in, err := w.hub.Install(a.ID, "octo", "hello")
	w.check(err)
	return a, in
}

func TestAnOldNameRedirectsByID(t *testing.T) {
	w := newWorld(t)
	a, in := w.repositoryApp()
	e := w.listen(a)
	w.issue("Slow")
	e.all()
	e.clear()
	r := must(w.hub.RenameRepository("octo", "octo", "hello", "salut"))
	heard := e.all()
	var event struct {
		Changes struct {
			Repository struct {
				Name struct{ From string }
			}
		}
		Repository struct {
			ID       int64
			FullName string `json:"full_name"`
		}
	}
	if len(heard) != 1 || heard[0].event != "repository" {
		t.Fatalf("heard %v", e.names())
	}
	w.check(json.Unmarshal(heard[0].body, &event))
	if event.Changes.Repository.Name.From != "hello" || event.Repository.FullName != "octo/salut" || event.Repository.ID != r.ID {
		t.Errorf("the event is %+v", event)
	}
	auth := "Authorization: token " + must(w.hub.CreatePersonalToken("robin"))
	for method, status := range map[string]int{http.MethodGet: 301, http.MethodPost: 307} {
		got := w.ask(method, w.api("/repos/octo/hello/issues/1/comments?per_page=5"), `{"body":"x"}`, auth)
		want := fmt.Sprintf("%s/api/v3/repositories/%d/issues/1/comments?per_page=5", w.url, r.ID)
		if got.status != status || got.header.Get("Location") != want || got.message() != "Moved Permanently" || !strings.Contains(string(got.body), `"url":"`+want) {
			t.Errorf("%s: %d %v %s", method, got.status, got.header, got.body)
		}
	}
	bot := w.asInstallation(a, in)
	c, _, err := bot.Issues.CreateComment(t.Context(), "octo", "hello", 1, &gogithub.IssueComment{Body: ptr("followed")})
	w.check(err)
	if list := must(w.hub.Comments("octo", "salut", 1)); len(list) != 1 || list[0].ID != c.GetID() {
		t.Errorf("comments %v", list)
	}
	got, _, err := bot.Repositories.Get(t.Context(), "octo", "hello")
	w.check(err)
	if got.GetFullName() != "octo/salut" || got.GetID() != r.ID {
		t.Errorf("followed to %s", got.GetFullName())
	}
	w.check(w.hub.Settle(t.Context()))
	token, _, err := w.asApp(a).Apps.CreateInstallationToken(t.Context(), in.ID, nil)
	w.check(err)
	dir := w.clone("hello", token.GetToken()) // git follows too
	w.mustGit(dir, "checkout", "--quiet", "-b", "topic")
	w.commit(dir, "a.txt", "a\n")
	w.mustGit(dir, "push", "--quiet", "origin", "topic")

	w.repository(github.RepositorySpec{Owner: "octo", Name: "hello", Files: map[string][]byte{"new.txt": []byte("x")}})
	if got := w.ask(http.MethodGet, w.api("/repos/octo/hello"), ""); got.status != 200 || strings.Contains(string(got.body), fmt.Sprint(r.ID)) {
		t.Errorf("the name was taken by another: %d %s", got.status, got.body)
	}
	if _, err := w.hub.RenameRepository("octo", "octo", "salut", "hello"); err == nil {
		t.Error("two repositories have one name")
	}
}

func TestARenameIsTheAdministratorsByTheAPI(t *testing.T) {
	w := newWorld(t)
	if _, _, err := w.asUser("robin").Repositories.Edit(t.Context(), "octo", "hello", &gogithub.Repository{Name: ptr("salut")}); err == nil {
		t.Error("a writer renamed it")
	}
	r, _, err := w.asUser("octo").Repositories.Edit(t.Context(), "octo", "hello", &gogithub.Repository{Name: ptr("salut")})
	w.check(err)
	if r.GetFullName() != "octo/salut" {
		t.Errorf("it is %s", r.GetFullName())
	}
	_, res, err := w.asUser("octo").Repositories.Edit(t.Context(), "octo", "salut", &gogithub.Repository{Name: ptr("secret")})
	if err == nil || res.StatusCode != 422 {
		t.Errorf("a name that is taken: %v", err)
	}
}

func TestATransferLeavesTheOldInstallationAndJoinsTheNew(t *testing.T) {
	w := newWorld(t)
	a, old := w.repositoryApp()
	must(w.hub.CreateOrganization("acme", "octo"))
	fresh := must(w.hub.Install(a.ID, "acme"))
	e := w.listen(a)
	token, _, err := w.asApp(a).Apps.CreateInstallationToken(t.Context(), old.ID, nil)
	w.check(err)
	if _, _, err := w.asUser("robin").Repositories.Transfer(t.Context(), "octo", "hello", gogithub.TransferRequest{NewOwner: "acme"}); err == nil || strings.Contains(err.Error(), "202") {
		t.Errorf("a writer transferred it: %v", err)
	}
	// go-github takes a 202 for an error of its own.
	if _, res, _ := w.asUser("octo").Repositories.Transfer(t.Context(), "octo", "hello", gogithub.TransferRequest{NewOwner: "acme"}); res.StatusCode != 202 {
		t.Fatalf("got %d", res.StatusCode)
	}
	e.expect("the transfer", "installation_repositories removed", "installation_repositories added", "repository transferred")
	if got := w.ask(http.MethodPost, w.loose+"/api/v3/repos/acme/hello/issues", `{"title":"x"}`, "Authorization: token "+token.GetToken()); got.status != 403 {
		t.Errorf("the old installation's token: %d %s", got.status, got.body)
	}
	if _, _, err := w.asInstallation(a, fresh).Issues.Create(t.Context(), "octo", "hello", &gogithub.IssueRequest{Title: ptr("by the old name")}); err != nil {
		t.Errorf("the new installation's: %v", err)
	}
	in, _, err := w.asApp(a).Apps.FindRepositoryInstallation(t.Context(), "octo", "hello")
	if err != nil || in.GetID() != fresh.ID {
		t.Errorf("the installation of the old name is %v, %v", in.GetID(), err)
	}
}

func TestAnUninstalledAppIsNobody(t *testing.T) {
	w := newWorld(t)
	e := w.listen(w.app)
	token := "Authorization: token " + w.token(nil)
	res, err := w.asApp(w.app).Apps.DeleteInstallation(t.Context(), w.inst.ID)
	if err != nil || res.StatusCode != 204 {
		t.Fatalf("uninstalling: %v", err)
	}
	e.expect("uninstalling", "installation deleted")
	if got := w.ask(http.MethodGet, w.api("/repos/octo/hello"), "", token); got.status != 401 {
		t.Errorf("its token: %d", got.status)
	}
	for name, res := range map[string]*gogithub.Response{
		"a token": func() *gogithub.Response {
			_, res, _ := w.asApp(w.app).Apps.CreateInstallationToken(t.Context(), w.inst.ID, nil)
			return res
		}(),
		"the installation": func() *gogithub.Response {
			_, res, _ := w.asApp(w.app).Apps.GetInstallation(t.Context(), w.inst.ID)
			return res
		}(),
		"by its repository": func() *gogithub.Response {
			_, res, _ := w.asApp(w.app).Apps.FindRepositoryInstallation(t.Context(), "octo", "hello")
			return res
		}(),
	} {
		if res.StatusCode != 404 {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
}

func TestASuspendedInstallationRestsUntilItIsWokenAgain(t *testing.T) {
	w := newWorld(t)
	e := w.listen(w.app)
	token := "Authorization: token " + w.token(nil)
	if _, err := w.asApp(w.app).Apps.SuspendInstallation(t.Context(), w.inst.ID); err != nil {
		t.Fatal(err)
	}
	e.expect("suspending", "installation suspend")
	got := w.ask(http.MethodGet, w.api("/repos/octo/hello"), "", token)
	if got.status != 403 || got.message() != "This installation has been suspended" {
		t.Errorf("its token: %d %s", got.status, got.body)
	}
	if _, res, err := w.asApp(w.app).Apps.CreateInstallationToken(t.Context(), w.inst.ID, nil); err == nil || res.StatusCode != 403 {
		t.Errorf("a new token: %v", err)
	}
	in, _, err := w.asApp(w.app).Apps.GetInstallation(t.Context(), w.inst.ID)
	if err != nil || in.GetSuspendedAt().IsZero() || in.GetSuspendedBy().GetLogin() != "octo" {
		t.Errorf("the installation: %v, %v", in, err)
	}
	w.issue("Unheard")
	e.expect("meanwhile")
	w.check(w.hub.Unsuspend(w.inst.ID))
	e.expect("waking", "installation unsuspend")
	if got := w.ask(http.MethodGet, w.api("/repos/octo/hello"), "", token); got.status != 200 {
		t.Errorf("its token again: %d", got.status)
	}
}

func TestADeletedIssueIsGone(t *testing.T) {
	w := newWorld(t)
	e := w.listen(w.app)
	w.issue("Slow")
	c := must(w.hub.CreateComment("robin", "octo", "hello", 1, "/sam fix"))
	w.issue("Stays")
	e.all()
	e.clear()
	if err := w.hub.DeleteIssue("robin", "octo", "hello", 1); err == nil {
		t.Error("a writer deleted it")
	}
	w.check(w.hub.DeleteIssue("octo", "octo", "hello", 1))
	e.expect("deleting", "issues deleted")
	auth := "Authorization: token " + w.token(nil)
	for path, status := range map[string]int{
		"/issues/1": 410, "/issues/1/comments": 410, fmt.Sprintf("/issues/comments/%d", c.ID): 404, "/issues/2": 200,
	} {
		if got := w.ask(http.MethodGet, w.api("/repos/octo/hello"+path), "", auth); got.status != status {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if list := must(w.hub.Issues("octo", "hello")); len(list) != 1 || list[0].Number != 2 {
		t.Errorf("the list has %v", list)
	}
}
