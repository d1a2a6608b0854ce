package forge_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sam/forge"
	"sam/sandbox/github"
	"sam/task"
)

func TestSAMKnowsWhoItIs(t *testing.T) {
	w := newWorld(t)
	self := w.forge.Self()
	if self.Slug != "sam" || self.Login != "sam[bot]" || self.UserID == 0 || self.Email != fmt.Sprintf("%d+sam[bot]@users.noreply.github.com", self.UserID) {
		t.Errorf("it takes itself for %+v", self)
	}
	if got, want := w.forge.CloneURL("octo/hello"), w.url+"/octo/hello.git"; got != want {
		t.Errorf("it clones from %s, want %s", got, want)
	}
}

func TestAKeyOfAnotherAppStopsTheStart(t *testing.T) {
	w := newWorld(t)
	other, err := w.hub.CreateApp(github.AppSpec{Name: "Other", Owner: "octo"})
	w.check(err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	_, err = forge.New(t.Context(), forge.Options{APIURL: w.url + "/api/v3/", WebURL: w.url, AppID: w.forge.Self().AppID, PrivateKey: other.PrivateKeyPEM, Transport: transport})
	if err == nil || !strings.Contains(err.Error(), "check github.app_id, github.private_key_file and github.api_url") {
		t.Errorf("got %v, want what to check", err)
	}
	_, err = forge.New(t.Context(), forge.Options{APIURL: w.url + "/api/v3/", AppID: 1, PrivateKey: []byte("not a key"), Transport: transport})
	if err == nil || !strings.Contains(err.Error(), "PEM") {
		t.Errorf("got %v, want that it is no key", err)
	}
}

func TestProjectsAreTheRepositoriesOfTheInstallation(t *testing.T) {
	w := newWorld(t)
	projects, err := w.forge.Projects(t.Context(), w.install.ID)
	w.check(err)
	if len(projects) != 2 || projects[0].FullName() != "octo/hello" || projects[1].FullName() != "octo/secret" {
		t.Fatalf("got %+v", projects)
	}
	if p := projects[1]; !p.Private || p.DefaultBranch != "main" || p.Installation != w.install.ID || p.Account != w.install.Account.ID {
		t.Errorf("secret is %+v", p)
	}
	if _, err := w.forge.Projects(t.Context(), w.install.ID+1000); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("of another installation: %v, want ErrNotFound", err)
	}
}

func TestMoreProjectsThanAPageHolds(t *testing.T) {
	w := newWorld(t)
	for i := range 101 {
		r := github.RepositorySpec{Owner: "octo", Name: fmt.Sprintf("more-%d", i)}
		_, err := w.hub.CreateRepository(r)
		w.check(err)
		w.check(w.hub.AddRepositories(w.install.ID, r.Name))
	}
	projects, err := w.forge.Projects(t.Context(), w.install.ID)
	if err != nil || len(projects) != 103 {
		t.Errorf("%d projects, %v; want 103", len(projects), err)
	}
}

func TestARoleIsReadByItsNameAndFailsClosed(t *testing.T) {
	w := newWorld(t)
	secret := w.project("secret")
	for _, role := range []string{"read", "triage", "write", "maintain", "admin"} {
		w.check(w.hub.SetCollaborator("octo", "secret", "zoe", role))
		if got, err := w.forge.Role(t.Context(), secret, "zoe"); err != nil || got != task.Role(role) {
			t.Errorf("one with role %s has %q, %v", role, got, err)
		}
	}
	w.between.altering(func(path string, body []byte) []byte {
		if !strings.HasSuffix(path, "/permission") {
			return body
		}
		return edit(t, body, func(o map[string]any) { o["role_name"] = "release-manager" }) // permission still says admin
	})
	if got, err := w.forge.Role(t.Context(), secret, "zoe"); err != nil || got != task.RoleNone {
		t.Errorf("one with a custom role has %q, %v; want none", got, err)
	}
	w.between.altering(nil)
	w.check(w.hub.SetCollaborator("octo", "secret", "zoe", ""))
	for _, login := range []string{"zoe", "nobody-of-this-name", "a/../b"} {
		if got, err := w.forge.Role(t.Context(), secret, login); err != nil || got != task.RoleNone {
			t.Errorf("%s has %q, %v; want none", login, got, err)
		}
	}
	w.hub.SetRateLimit(0)
	if got, err := w.forge.Role(t.Context(), secret, "octo"); err == nil || got != task.RoleNone {
		t.Errorf("when GitHub does not say, the owner has %q, %v; want none and an error", got, err)
	}
}

func TestATokenReachesOneRepositoryAndNoFurther(t *testing.T) {
	w := newWorld(t)
	secret := w.project("secret")
	fetch, err := w.forge.FetchToken(t.Context(), w.install.ID, secret.ID)
	w.check(err)
	push, err := w.forge.PushToken(t.Context(), w.install.ID, secret.ID)
	w.check(err)
	for name, token := range map[string]string{"fetch": fetch, "push": push} {
		dir := t.TempDir()
		if out, ok := w.git(dir, "clone", "--quiet", w.remote("secret", token), "."); !ok {
			t.Fatalf("the token to %s cannot fetch: %s", name, out)
		}
		w.git(dir, "commit", "--quiet", "--allow-empty", "-m", "More")
		if out, ok := w.git(dir, "push", "--quiet", "origin", "HEAD:refs/heads/by-"+name); ok != (name == "push") {
			t.Errorf("the token to %s: pushing succeeded is %v: %s", name, ok, out)
		}
		if out, ok := w.git(dir, "push", "--quiet", w.remote("hello", token), "HEAD:refs/heads/x"); ok {
			t.Errorf("the token to %s pushes to another repository: %s", name, out)
		}
		if out, ok := w.git(t.TempDir(), "clone", "--quiet", w.remote("elsewhere", token), "."); ok {
			t.Errorf("the token to %s fetches outside the installation: %s", name, out)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/api/v3/repos/octo/secret/issues", strings.NewReader(`{"title":"x"}`))
		w.check(err)
		r.Header.Set("Authorization", "token "+token)
		r.Header.Set("Content-Type", "application/json")
		res, err := w.between.next.RoundTrip(r)
		w.check(err)
		w.check(res.Body.Close())
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("the token to %s opens issues: %s", name, res.Status)
		}
	}
	if _, err := w.forge.PushToken(t.Context(), w.install.ID, w.project("hello").ID+1_000_000); err == nil {
		t.Error("a token for a repository outside the installation was minted")
	}
}
