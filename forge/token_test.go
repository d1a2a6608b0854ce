package forge_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sam/sandbox/github"
	"sam/task"
)

func (w *world) mints() int {
	return w.between.count("POST /app/installations/" + id(w.install.ID) + "/access_tokens")
}

// passes reports whether git can fetch secret with a token.
func (w *world) passes(token string) bool {
	w.t.Helper()
	_, ok := w.git(w.t.TempDir(), "ls-remote", w.remote("secret", token))
	return ok
}

// inProcess is a way to a server without a network, so that a simulated clock is the only one.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	if r = r.Clone(r.Context()); r.Body == nil {
		r.Body = http.NoBody
	}
	p.handler.ServeHTTP(recorder, r)
	res := recorder.Result()
	res.Request = r
	return res, nil
}

// inSimulatedTime is a world in a bubble of synctest, with octo's repository secret alone.
func inSimulatedTime(t *testing.T, test func(t *testing.T, w *world, secret github.Repository)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t}
		var err error
		w.hub, err = github.New(github.Options{Dir: t.TempDir()})
		w.check(err)
		defer func() { w.check(w.hub.Close()) }()
		w.url = "http://github.invalid"
		w.hub.SetURL(w.url)
		_, err = w.hub.CreateUser("octo")
		w.check(err)
		secret, err := w.hub.CreateRepository(github.RepositorySpec{Owner: "octo", Name: "secret", Private: true, Files: map[string][]byte{"a": []byte("a")}})
		w.check(err)
		w.app, err = w.hub.CreateApp(github.AppSpec{Name: "Sam", Owner: "octo", Permissions: map[string]string{"contents": "write"}})
		w.check(err)
		w.install, err = w.hub.Install(w.app.ID, "octo")
		w.check(err)
		w.between = &between{next: inProcess{w.hub.Handler()}, calls: map[string]int{}}
		w.connect(nil)
		test(t, w, secret)
	})
}

func TestATokenServesManyOperationsAndIsRenewedLongBeforeItExpires(t *testing.T) {
	inSimulatedTime(t, func(t *testing.T, w *world, secret github.Repository) {
		get := func() string {
			t.Helper()
			token, err := w.forge.FetchToken(t.Context(), w.install.ID, secret.ID)
			w.check(err)
			return token
		}
		good := func(token string) bool {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/octo/secret.git/info/refs?service=git-upload-pack", nil)
			r.SetBasicAuth("x-access-token", token)
			res, err := w.between.next.RoundTrip(r)
			w.check(err)
			w.check(res.Body.Close())
			return res.StatusCode == http.StatusOK
		}
		first := get()
		if own, err := w.forge.MintFetchToken(t.Context(), w.install.ID, secret.ID); err != nil || own == first || !good(own) || w.mints() != 2 {
			t.Errorf("a token of its own: %v, after %d were minted", err, w.mints())
		}
		<-time.After(24 * time.Minute)
		if get() != first || w.mints() != 2 {
			t.Error("a token that lasts 36 minutes more was minted anew")
		}
		<-time.After(2 * time.Minute)
		second := get()
		if second == first {
			t.Error("a token that lasts 34 minutes only was handed out")
		}
		<-time.After(24 * time.Minute)
		if get() != second {
			t.Error("the second was renewed early")
		}
		// What begins now goes on for the longest that an operation takes.
		<-time.After(30 * time.Minute)
		if !good(second) || good(first) {
			t.Error("after 30 minutes the second must still be good, and the first have expired")
		}
	})
}

func TestATokenIsMintedOnceForAllWhoWantItAtOnce(t *testing.T) {
	w := newWorld(t)
	secret := w.project("secret")
	was := w.mints()
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := w.forge.PushToken(t.Context(), w.install.ID, secret.ID); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := w.mints() - was; n != 1 {
		t.Errorf("%d tokens were minted", n)
	}
}

func TestATokenThatGitHubForgotIsMintedAnew(t *testing.T) {
	w := newWorld(t)
	secret := w.project("secret")
	first, err := w.forge.PushToken(t.Context(), w.install.ID, secret.ID)
	w.check(err)
	w.forge.ForgetToken("ghs_another")
	if same, err := w.forge.PushToken(t.Context(), w.install.ID, secret.ID); err != nil || same != first {
		t.Errorf("forgetting another token's: %v", err)
	}
	w.forge.ForgetToken(first)
	if next, err := w.forge.PushToken(t.Context(), w.install.ID, secret.ID); err != nil || next == first {
		t.Errorf("the forgotten one was handed out again: %v", err)
	}
}

func TestATokenForWorkflowsIsMintedWhereTheAppHasThatRight(t *testing.T) {
	w := newWorld(t)
	secret := w.project("secret")
	var unusable task.UnusableError
	if _, err := w.forge.WorkflowsToken(t.Context(), w.install.ID, secret.ID); !errors.As(err, &unusable) || !strings.Contains(unusable.Reason, "`workflows: write`") {
		t.Errorf("an app without it: %v", err)
	}
	app, err := w.hub.CreateApp(github.AppSpec{Name: "Able", Owner: "octo", Permissions: map[string]string{"contents": "write", "workflows": "write"}})
	w.check(err)
	in, err := w.hub.Install(app.ID, "octo", "secret")
	w.check(err)
	w.app, w.install = app, in
	w.connect(nil)
	// The one that is refused comes first: what both commit may be the same
	// commit, and pushing again what is there already is refused to nobody.
	for _, c := range []struct {
		name string
		mint func() (string, error)
		says string
	}{
		{"to push", func() (string, error) { return w.forge.PushToken(t.Context(), in.ID, secret.ID) }, "refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` without `workflows` permission"},
		{"to push, workflows too", func() (string, error) { return w.forge.WorkflowsToken(t.Context(), in.ID, secret.ID) }, ""},
	} {
		token, err := c.mint()
		w.check(err)
		dir := t.TempDir()
		if out, ok := w.git(dir, "clone", "--quiet", w.remote("secret", token), "."); !ok {
			t.Fatal(out)
		}
		w.write(dir, ".github/workflows/ci.yml", "on: push\n")
		w.git(dir, "add", ".")
		w.git(dir, "commit", "--quiet", "-m", "Build")
		out, ok := w.git(dir, "push", "origin", "HEAD:refs/heads/topic")
		if ok != (c.says == "") || !strings.Contains(out, c.says) {
			t.Errorf("%s: %v %s", c.name, ok, out)
		}
	}
}

func TestThatAnAppLacksARightIsAskedOnceInTenMinutes(t *testing.T) {
	inSimulatedTime(t, func(t *testing.T, w *world, secret github.Repository) {
		ask := func() {
			t.Helper()
			var unusable task.UnusableError
			if _, err := w.forge.WorkflowsToken(t.Context(), w.install.ID, secret.ID); !errors.As(err, &unusable) {
				t.Errorf("%v", err)
			}
		}
		ask()
		<-time.After(9 * time.Minute)
		ask()
		if n := w.mints(); n != 1 {
			t.Errorf("in nine minutes it was asked %d times", n)
		}
		<-time.After(2 * time.Minute)
		ask()
		if n := w.mints(); n != 2 {
			t.Errorf("after eleven it was asked %d times", n)
		}
		if _, err := w.forge.PushToken(t.Context(), w.install.ID, secret.ID); err != nil {
			t.Errorf("the right that it has: %v", err)
		}
	})
}

func TestATokenToReadByNameIsForThatRepositoryAlone(t *testing.T) {
	w := newWorld(t)
	token, err := w.forge.ReadToken(t.Context(), "Octo/Secret")
	w.check(err)
	if !w.passes(token) {
		t.Error("it cannot read it")
	}
	dir := t.TempDir()
	w.git(dir, "init", "--quiet", ".")
	w.git(dir, "commit", "--quiet", "--allow-empty", "-m", "x")
	for _, repo := range []string{"secret", "hello"} {
		if out, ok := w.git(dir, "push", w.remote(repo, token), "HEAD:refs/heads/x"); ok {
			t.Errorf("it pushes to %s: %s", repo, out)
		}
	}
	if out, ok := w.git(dir, "ls-remote", w.remote("elsewhere", token)); ok {
		t.Errorf("it reads another: %s", out)
	}
	for _, name := range []string{"octo/elsewhere", "octo/nothing", "nobody/x", "octo", "octo/"} {
		if _, err := w.forge.ReadToken(t.Context(), name); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatKeepsATokenFromBeingMintedIsTold(t *testing.T) {
	w := newWorld(t)
	if _, err := w.forge.PushToken(t.Context(), w.install.ID, w.project("hello").ID+1_000_000); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("a repository outside: %v", err)
	}
	hello := w.project("hello").ID
	w.check(w.hub.Suspend(w.install.ID))
	if _, err := w.forge.PushToken(t.Context(), w.install.ID, hello); !errors.Is(err, task.ErrSuspended) {
		t.Errorf("a suspended installation: %v", err)
	}
	w.check(w.hub.Uninstall(w.install.ID))
	if _, err := w.forge.FetchToken(t.Context(), w.install.ID, hello); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("no installation: %v", err)
	}
}

func TestDefaultAndProtectedBranchesAreGuarded(t *testing.T) {
	w := newWorld(t)
	w.branch("release-to-be")
	hello := w.project("hello")
	w.check(w.hub.SetCollaborator("octo", "hello", "zoe", "write"))
	another := hello
	another.ID++
	for name, c := range map[string]struct {
		p      task.Project
		branch string
		exists bool
		says   string
	}{
		"the default branch":         {hello, "main", true, "main is the default branch"},
		"the same in other letters":  {hello, "Main", false, "is the default branch"},
		"a branch of anybody's":      {hello, "release-to-be", true, ""},
		"one that is not there":      {hello, "sam/issue-1", false, ""},
		"another repository by then": {another, "sam/issue-1", false, "another repository by now"},
	} {
		t.Run(name, func(t *testing.T) {
			why, err := w.forge.Guarded(t.Context(), c.p, c.branch, c.exists)
			if err != nil || !strings.Contains(why, c.says) || (c.says == "") != (why == "") {
				t.Errorf("%q, %v", why, err)
			}
		})
	}
	if why, err := w.forge.Guarded(t.Context(), hello, "not-yet-seen", true); err == nil {
		t.Errorf("one that is there and that GitHub does not find: %q", why)
	}
	w.between.altering(func(path string, body []byte) []byte {
		if !strings.HasSuffix(path, "/branches/release-to-be") {
			return body
		}
		return edit(t, body, func(o map[string]any) { o["protected"] = true })
	})
	if why, err := w.forge.Guarded(t.Context(), hello, "release-to-be", true); err != nil || !strings.Contains(why, "release-to-be is protected") {
		t.Errorf("a protected one: %q, %v", why, err)
	}
	w.between.refusing(func(*http.Request) *http.Response { return answer(502, "{}") })
	if why, err := w.forge.Guarded(t.Context(), hello, "sam/issue-1", false); err == nil {
		t.Errorf("when GitHub does not say: %q", why)
	}
}
