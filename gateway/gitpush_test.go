package gateway

import (
	"bytes"
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sam/agent/wire"
)

const zeroID = "0000000000000000000000000000000000000000"

func TestTheGrantedBranchIsCreatedAndUpdatedAndEachPushIsRecorded(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	work := w.clone()
	first := w.commit(work, "a")
	w.must(work, "push", "-q", "origin", "HEAD:"+samBranch)
	second := w.commit(work, "b")
	w.must(work, "push", "-q", "origin", "HEAD:"+samBranch)
	want := []Push{{samBranch, zeroID, first}, {samBranch, first, second}}
	if got := w.recorded(); !slices.Equal(got, want) {
		t.Errorf("recorded %v, want %v", got, want)
	}
	if !strings.Contains(w.refs(), samBranch+" "+second) {
		t.Errorf("upstream has %s", w.refs())
	}
}

func TestAPushPassesInAnySizeAndForm(t *testing.T) {
	t.Parallel()
	for name, config := range map[string][]string{
		"more than a megabyte comes in chunks after a probe": nil,
		"a small post buffer":                                {"-c", "http.postBuffer=65536"},
		"one buffer for all, with a length":                  {"-c", "http.postBuffer=16777216"},
		"no thin pack":                                       {"-c", "push.default=nothing"},
		"a client that asks for the protocol":                {"-c", "protocol.version=1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, rewrite := range []bool{true, false} {
				w := newGitWorld(t)
				work := w.clone()
				if !rewrite {
					w.must(w.bare, "branch", "sam/fix-1", "main")
					w.set(func() { w.grant.Rewrite = false })
				}
				noise := make([]byte, 3<<20)
				_, _ = rand.Read(noise)
				if err := os.WriteFile(filepath.Join(work, "noise"), noise, 0o600); err != nil {
					t.Fatal(err)
				}
				id := w.commit(work, "with noise")
				out := w.must(work, append(config, "push", "--progress", "origin", "HEAD:"+samBranch)...)
				if got := w.recorded(); len(got) != 1 || got[0].New != id {
					t.Errorf("recorded %v\n%s", got, out)
				}
			}
		})
	}
}

func TestAPushElsewhereIsRefusedInGitsOwnWords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args  []string
		words []string
	}{
		"the default branch":           {[]string{"push", "origin", "HEAD:main"}, []string{"! [remote rejected] HEAD -> main (SAM pushes only sam/fix-1 for this task, not main; push with: git push origin HEAD:refs/heads/sam/fix-1)"}},
		"a branch with a like name":    {[]string{"push", "origin", "HEAD:" + samBranch + "0"}, []string{"[remote rejected]", "SAM pushes only sam/fix-1 for this task, not sam/fix-10"}},
		"a tag":                        {[]string{"push", "origin", "HEAD:refs/tags/v1"}, []string{"[remote rejected]", "SAM pushes only sam/fix-1"}},
		"a ref outside heads":          {[]string{"push", "origin", "HEAD:refs/sam/fix-1"}, []string{"[remote rejected]", "SAM pushes only sam/fix-1"}},
		"deletion":                     {[]string{"push", "origin", ":" + samBranch}, []string{"[remote rejected]", "SAM does not delete branches"}},
		"deletion of main":             {[]string{"push", "origin", ":main"}, []string{"[remote rejected]", "SAM pushes only sam/fix-1"}},
		"the granted with another":     {[]string{"push", "origin", "HEAD:" + samBranch, "HEAD:main"}, []string{"HEAD -> sam/fix-1 (refused because SAM takes one ref in a push; push sam/fix-1 alone)", "HEAD -> main (SAM pushes only sam/fix-1"}},
		"the same, atomic":             {[]string{"push", "--atomic", "origin", "HEAD:" + samBranch, "HEAD:refs/tags/v1"}, []string{"refused because SAM takes one ref in a push"}},
		"everything, mirrored":         {[]string{"push", "--mirror", "origin"}, []string{"[remote rejected]", "SAM pushes only sam/fix-1"}},
		"the default branch, by force": {[]string{"push", "--force", "origin", "HEAD~1:main"}, []string{"[remote rejected]", "SAM pushes only sam/fix-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newGitWorld(t)
			work := w.clone()
			w.commit(work, "a")
			w.must(work, "push", "-q", "origin", "HEAD:"+samBranch)
			w.commit(work, "b")
			before := w.asked(http.MethodPost, receivePackService)
			w.refused(work, c.words, c.args...)
			if w.asked(http.MethodPost, receivePackService) != before {
				t.Error("a refused list reached upstream")
			}
		})
	}
}

func TestALargeRefusedPushStillSeesItsReason(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	work := w.clone()
	noise := make([]byte, 8<<20)
	_, _ = rand.Read(noise)
	if err := os.WriteFile(filepath.Join(work, "noise"), noise, 0o600); err != nil {
		t.Fatal(err)
	}
	w.commit(work, "a")
	w.refused(work, []string{"! [remote rejected] HEAD -> main (SAM pushes only sam/fix-1"}, "push", "origin", "HEAD:main")
}

func TestAPushOverTheLimitLandsNowhereAndSaysSo(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{"in chunks": "http.postBuffer=65536", "with a length": "http.postBuffer=16777216"} {
		for _, rewrite := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newGitWorld(t, GitLimits{PackBytes: 1 << 20, CommandBytes: 8 << 10})
				w.must(w.bare, "branch", "sam/fix-1", "main")
				w.set(func() { w.grant.Rewrite = rewrite })
				work := w.clone()
				noise := make([]byte, 4<<20)
				_, _ = rand.Read(noise)
				if err := os.WriteFile(filepath.Join(work, "noise"), noise, 0o600); err != nil {
					t.Fatal(err)
				}
				w.commit(work, "a")
				w.refused(work, []string{"[remote rejected]", "this push is larger than SAM's limit of 1048576 bytes"}, "-c", config, "push", "origin", "HEAD:"+samBranch)
			})
		}
	}
}

func TestOnlyABranchOfSAMsIsRewritten(t *testing.T) {
	t.Parallel()
	prepare := func(t *testing.T, rewrite bool) (*gitWorld, string) {
		w := newGitWorld(t)
		work := w.clone()
		w.commit(work, "a")
		w.must(work, "push", "-q", "origin", "HEAD:"+samBranch)
		w.set(func() { w.grant.Rewrite = rewrite; w.pushes = nil })
		w.must(work, "commit", "-q", "--amend", "-m", "another history")
		return w, work
	}
	t.Run("its own is", func(t *testing.T) {
		t.Parallel()
		w, work := prepare(t, true)
		w.must(work, "push", "-q", "--force", "origin", "HEAD:"+samBranch)
		if len(w.recorded()) != 1 {
			t.Errorf("recorded %v", w.recorded())
		}
	})
	t.Run("somebody else's is not", func(t *testing.T) {
		t.Parallel()
		w, work := prepare(t, false)
		w.refused(work, []string{"[remote rejected]", "non-fast-forward", "SAM does not rewrite a branch that it did not create"}, "push", "--force", "origin", "HEAD:"+samBranch)
		w.refused(work, []string{"[remote rejected]", "non-fast-forward"}, "push", "--force", "origin", "HEAD~1:"+samBranch)
	})
	t.Run("somebody else's moves forward, by merges as well", func(t *testing.T) {
		t.Parallel()
		w, work := prepare(t, false)
		w.must(work, "reset", "-q", "--hard", "origin/sam/fix-1")
		w.must(work, "checkout", "-q", "-b", "side", "origin/main")
		for _, name := range []string{"s1", "s2"} {
			w.commit(work, name)
		}
		w.must(work, "merge", "-q", "--no-edit", "origin/sam/fix-1")
		w.commit(work, "after")
		w.must(work, "push", "-q", "origin", "HEAD:"+samBranch)
		if len(w.recorded()) != 1 {
			t.Errorf("recorded %v", w.recorded())
		}
	})
	t.Run("somebody else's is not brought back", func(t *testing.T) {
		t.Parallel()
		w, work := prepare(t, false)
		w.must(w.bare, "branch", "-D", "sam/fix-1")
		w.refused(work, []string{"[remote rejected]", "SAM does not create sam/fix-1"}, "push", "origin", "HEAD:"+samBranch)
	})
}

func TestAPushMadeForAnOldTipIsToldToFetchFirst(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	work := w.clone()
	id := w.commit(work, "a")
	w.must(w.bare, "branch", "sam/fix-1", "main")
	status, body := w.post("git-receive-pack", pushBody(zeroID, id, samBranch, "report-status"), nil)
	if status != http.StatusOK || !strings.Contains(body, "ng "+samBranch+" fetch first") {
		t.Errorf("%d %q", status, body)
	}
	if w.asked(http.MethodPost, receivePackService) != 0 {
		t.Error("the push reached upstream")
	}
}

func TestAPushThatCannotBeWrittenDownIsNotToldAsDone(t *testing.T) {
	t.Parallel()
	stale := &GitForbiddenError{Message: "another node runs this task now; stop"}
	for name, c := range map[string]struct {
		begin, record error
		word          string
		sent          int // how often it reached upstream
	}{
		"before, the store is away":  {errRedisAway, nil, "it was not begun; try again", 0},
		"before, the epoch is stale": {stale, nil, stale.Message, 0},
		"after, the store is away":   {nil, errRedisAway, "SAM could not record this push, which reached the repository: try again", 1},
		"after, the epoch is stale":  {nil, stale, stale.Message, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newGitWorld(t)
			work := w.clone()
			w.commit(work, "a")
			w.set(func() { w.beginErr, w.recordErr = c.begin, c.record })
			out, err := w.run(work, "push", "origin", "HEAD:"+samBranch)
			if err == nil || !strings.Contains(out, "[remote rejected]") || !strings.Contains(out, c.word) || strings.Contains(out, "redis") {
				t.Errorf("%v\n%s", err, out)
			}
			if n := w.asked(http.MethodPost, receivePackService); n != c.sent {
				t.Errorf("it reached upstream %d times, want %d", n, c.sent)
			}
		})
	}
}

func TestAPushThatIsRefusedForWhatItIsIsToldToTheTaskAndOneToMakeAgainIsNot(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	work := w.clone()
	id := w.commit(work, "a")
	for ref, want := range map[string]wire.Refused{
		"refs/heads/main": {Code: "push_refused", Subject: "refs/heads/main", Text: "SAM pushes only sam/fix-1"},
		"refs/tags/v1":    {Code: "push_refused", Subject: "refs/tags/v1", Text: "SAM pushes only sam/fix-1"},
		samBranch:         {}, // no pack comes with it: it broke off
	} {
		resp, answer := w.request(http.MethodPost, "/git/t1/git-receive-pack", bytes.NewReader(pushBody(zeroID, id, ref, "report-status")),
			map[string]string{"Content-Type": "application/x-git-receive-pack-request"})
		got := toldOf(resp)
		if !strings.Contains(answer, "ng "+ref) || got.Code != want.Code || got.Subject != want.Subject || !strings.Contains(got.Text, want.Text) {
			t.Errorf("%s: told %+v, want %+v; %q", ref, got, want, answer)
		}
	}
}

func TestALostAnswerIsSettledByLookingAtTheBranch(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	work := w.clone()
	id := w.commit(work, "a")
	w.set(func() {
		w.intercept = func(rw http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, receivePackService) {
				w.serveGit(rw, r)
				return
			}
			w.serveGit(discardResponse{http.Header{}}, r)
			panic(http.ErrAbortHandler)
		}
	})
	w.must(work, "push", "-q", "origin", "HEAD:"+samBranch)
	if got := w.recorded(); len(got) != 1 || got[0].New != id {
		t.Errorf("recorded %v", got)
	}
}

type discardResponse struct{ h http.Header }

func (d discardResponse) Header() http.Header         { return d.h }
func (d discardResponse) Write(p []byte) (int, error) { return len(p), nil }
func (d discardResponse) WriteHeader(int)             {}

func TestUpstreamsOwnRefusalReachesGit(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	hook := "#!/bin/sh\necho 'a line of progress' >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(w.bare, "hooks", "pre-receive"), []byte(hook), 0o700); err != nil {
		t.Fatal(err)
	}
	work := w.clone()
	w.commit(work, "a")
	w.refused(work, []string{"remote: a line of progress", "[remote rejected]", "pre-receive hook declined"}, "push", "origin", "HEAD:"+samBranch)
}

func TestAShallowCloneCanPush(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	work := filepath.Join(w.dir, "shallow")
	w.must("", "clone", "-q", "--depth=1", w.remote("t1"), work)
	id := w.commit(work, "a")
	w.must(work, "push", "-q", "origin", "HEAD:"+samBranch)
	if got := w.recorded(); len(got) != 1 || got[0].New != id {
		t.Errorf("recorded %v", got)
	}
}

func TestPushOptionsAreRefused(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	w.must(w.bare, "config", "receive.advertisePushOptions", "true")
	work := w.clone()
	w.commit(work, "a")
	w.refused(work, []string{"[remote rejected]", "SAM passes no push options on"}, "push", "-o", "ci.skip", "origin", "HEAD:"+samBranch)
}
