package gateway

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestABranchThatIsGuardedIsNotPushedWhateverTheGrantSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*gitWorld)
		words  []string
	}{
		"the base of the work": {func(w *gitWorld) { w.grant.Branch, w.grant.Base = "refs/heads/main", "refs/heads/main" },
			[]string{"SAM never pushes to main, the branch that the work goes to"}},
		"guarded upstream": {func(w *gitWorld) {
			w.grant.Branch, w.guarded = "refs/heads/main", "main is the default branch, and SAM never pushes there"
		}, []string{"main is the default branch, and SAM never pushes there"}},
		"nobody can say": {func(w *gitWorld) { w.grant.Branch, w.guardErr = "refs/heads/main", errRedisAway },
			[]string{"SAM cannot learn at the moment whether this branch is protected", "try again shortly"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newGitWorld(t)
			work := w.clone()
			w.commit(work, "a")
			w.set(func() { c.change(w) })
			out := w.refused(work, append(c.words, "[remote rejected]"), "push", "origin", "HEAD:main")
			if w.asked(http.MethodPost, receivePackService) != 0 || strings.Contains(out, "redis") {
				t.Errorf("it reached upstream, or a cause was told:\n%s", out)
			}
		})
	}
}

func TestABranchThatMovesAfterItWasLookedAtIsNotRewritten(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	work := w.clone()
	w.commit(work, "a")
	w.must(work, "push", "-q", "origin", "HEAD:"+samBranch)
	w.must(work, "commit", "-q", "--amend", "-m", "another history")
	theirs := w.must(w.bare, "rev-parse", "main")
	w.set(func() {
		w.intercept = func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, receivePackService) {
				w.must(w.bare, "update-ref", samBranch, theirs)
			}
			w.serveGit(rw, r)
		}
	})
	out, err := w.run(work, "push", "--force", "origin", "HEAD:"+samBranch)
	if err == nil || !strings.Contains(out, "fetch first: sam/fix-1 moved upstream while this push was under way") {
		t.Errorf("%v\n%s", err, out)
	}
	if got := w.must(w.bare, "rev-parse", samBranch); got != theirs || len(w.recorded()) != 1 {
		t.Errorf("the branch is at %s, recorded %v", got, w.recorded())
	}
}

func TestAPushOfTooManyObjectsIsRefusedBeforeUpstreamSeesIt(t *testing.T) {
	t.Parallel()
	for _, rewrite := range []bool{true, false} {
		w := newGitWorld(t, GitLimits{Objects: 50})
		w.must(w.bare, "branch", "sam/fix-1", "main")
		w.set(func() { w.grant.Rewrite = rewrite })
		work := w.clone()
		for i := range 60 {
			if err := os.WriteFile(filepath.Join(work, fmt.Sprint("file", i)), []byte(fmt.Sprint(i)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		w.commit(work, "many")
		w.refused(work, []string{"[remote rejected]", "this push has 63 commits, folders and files, and SAM's limit is 50", "git.max_objects"}, "push", "origin", "HEAD:"+samBranch)
		if w.asked(http.MethodPost, receivePackService) != 0 {
			t.Error("it reached upstream")
		}
	}
}

func TestAPackThatUnderstatesItsObjectsLandsNowhere(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t, GitLimits{Objects: 2})
	work := w.clone()
	old, id := w.must(work, "rev-parse", "HEAD"), w.commit(work, "a")
	pack := w.packOf(work, []string{id, "^" + old})
	if pack[11] != 3 {
		t.Fatalf("the pack has %d objects", pack[11])
	}
	pack[11] = 2
	before := w.refs()
	status, answer := w.post(receivePackService, append(pushBody(zeroID, id, samBranch, "report-status"), pack...), nil)
	if status != http.StatusOK || strings.Contains(answer, "ok "+samBranch) || w.refs() != before || len(w.recorded()) != 0 {
		t.Errorf("%d %q, upstream %s", status, answer, w.refs())
	}
}

func TestWhatIsNoPackReachesNobody(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	id := w.must(w.bare, "rev-parse", "main")
	for name, body := range map[string]string{"nothing": "", "something else": "a text that is no pack", "another version": "PACK\x00\x00\x00\x09\x00\x00\x00\x00", "half a header": "PACK\x00\x00"} {
		status, answer := w.post(receivePackService, append(pushBody(zeroID, id, samBranch, "report-status"), body...), nil)
		if status != http.StatusOK || !strings.Contains(answer, "ng "+samBranch+" SAM could not read this push") {
			t.Errorf("%s: %d %q", name, status, answer)
		}
	}
	if w.asked(http.MethodPost, receivePackService) != 0 {
		t.Error("it reached upstream")
	}
}

// unknownOnce is an upstream that does not know the token of the nth request that is for it.
func (w *gitWorld) unknownOnce(method, suffix string, nth int) {
	seen := 0
	w.set(func() {
		w.intercept = func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == method && strings.HasSuffix(r.URL.Path, suffix) {
				w.mu.Lock()
				seen++
				strike := seen == nth
				w.mu.Unlock()
				if strike {
					_, _ = io.Copy(io.Discard, r.Body)
					rw.Header().Set("WWW-Authenticate", `Basic realm="upstream"`)
					http.Error(rw, "bad token", http.StatusUnauthorized)
					return
				}
			}
			w.serveGit(rw, r)
		}
	})
}

func TestATokenThatUpstreamForgotIsReplacedInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, suffix string
		rewrite        bool
		token          string
	}{
		"as a fetch begins":         {http.MethodGet, "/info/refs", true, fetchTokenValue},
		"as a fetch goes on":        {http.MethodPost, uploadPackService, true, fetchTokenValue},
		"as a push goes on":         {http.MethodPost, receivePackService, true, pushTokenValue},
		"as a checked push goes on": {http.MethodPost, receivePackService, false, pushTokenValue},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newGitWorld(t)
			w.must(w.bare, "branch", "sam/fix-1", "main")
			w.set(func() { w.grant.Rewrite = c.rewrite })
			w.unknownOnce(c.method, c.suffix, 1)
			work := w.clone()
			id := w.commit(work, "a")
			w.must(work, "push", "-q", "origin", "HEAD:"+samBranch)
			if got := w.recorded(); len(got) != 1 || got[0].New != id {
				t.Errorf("recorded %v", got)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if !slices.Equal(w.forgotten, []string{c.token}) {
				t.Errorf("forgotten: %d", len(w.forgotten))
			}
		})
	}
	t.Run("once only", func(t *testing.T) {
		t.Parallel()
		w := newGitWorld(t)
		w.set(func() {
			w.intercept = func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "bad token", http.StatusUnauthorized) }
		})
		if resp, text := w.request(http.MethodGet, "/git/t1/info/refs?service=git-upload-pack", nil, nil); resp.StatusCode != 502 || !strings.Contains(text, "refused SAM's token") {
			t.Errorf("%d %q", resp.StatusCode, text)
		}
		if n := w.asked(http.MethodGet, "/info/refs"); n != 2 {
			t.Errorf("upstream was asked %d times", n)
		}
	})
	t.Run("not when it was sent for good", func(t *testing.T) {
		t.Parallel()
		w := newGitWorld(t)
		work := w.clone()
		noise := strings.Repeat("x", maxResent)
		if err := os.WriteFile(filepath.Join(work, "plain"), []byte(noise), 0o600); err != nil {
			t.Fatal(err)
		}
		w.commit(work, "large")
		w.unknownOnce(http.MethodPost, receivePackService, 1)
		w.refused(work, []string{"[remote rejected]", "refused SAM's token"}, "-c", "core.compression=0", "push", "origin", "HEAD:"+samBranch)
		w.must(work, "-c", "core.compression=0", "push", "-q", "origin", "HEAD:"+samBranch)
	})
}

func TestWhatUpstreamForbidsIsToldWithWhatToDo(t *testing.T) {
	t.Parallel()
	c := gitCommand{Push{Ref: samBranch}}
	for reason, says := range map[string]string{
		"refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` without `workflows` permission": "take what changes under .github/workflows/ out of your commits",
		"protected branch hook declined":                                 "sam/fix-1 is protected and SAM does not push there: a person has to",
		"push declined due to repository rule violations":                "a rule of this repository forbids it",
		"cannot lock ref 'refs/heads/sam/fix-1': is at 1 but expected 2": "fetch first: sam/fix-1 moved upstream",
		"something new": "something new",
	} {
		if got := advised(reason, c); !strings.Contains(got, says) || !strings.Contains(got, reason) {
			t.Errorf("%q", got)
		}
	}
}

func TestOnlyWhatCannotBePushedAsItIsCountsAsRefused(t *testing.T) {
	t.Parallel()
	c := gitCommand{Push{Ref: samBranch, Old: zeroID, New: zeroID}}
	unproven, err := provesFastForward(t.Context(), strings.NewReader("no pack"), c)
	if err != nil {
		t.Fatal(err)
	}
	for reason, want := range map[string]bool{
		unproven: false,
		advised("GH013: repository rule violations found", c):                                  false,
		advised("refusing to create or update workflow `x` without `workflows` permission", c): false,
		advised("pre-receive hook declined: mend it and try again", c):                         false,
		couldNotPush(answeredBadly(&http.Response{StatusCode: http.StatusNotFound})):           false,
		tooLarge(GitLimits{}): false,
		closed:                false,
		advised("cannot lock ref 'refs/heads/x'", c):                                         true,
		couldNotPush(asUpstreamError(errRedisAway, "")):                                      true,
		couldNotPush(answeredBadly(&http.Response{StatusCode: http.StatusTooManyRequests})):  true,
		couldNotPush(answeredBadly(&http.Response{StatusCode: http.StatusMovedPermanently})): true,
		brokeOff: true,
	} {
		if got := passing(reason); got != want {
			t.Errorf("passing is %v: %s", got, reason)
		}
	}
}
