package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
)

// pushBody is a push of one command without a pack.
func pushBody(before, after, ref, capabilities string) []byte {
	var b bytes.Buffer
	e := pktline.NewEncoder(&b)
	_ = e.Encodef("%s %s %s\x00 %s", before, after, ref, capabilities)
	_ = e.Flush()
	return b.Bytes()
}

func (w *gitWorld) request(method, path string, body io.Reader, header map[string]string) (*http.Response, string) {
	w.t.Helper()
	req, err := http.NewRequest(method, w.broker.URL+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	req.SetBasicAuth("sam", taskSecret)
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := w.broker.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	_, _ = w.said.Write(answer)
	return resp, string(answer)
}

func (w *gitWorld) post(service string, body []byte, header map[string]string) (int, string) {
	w.t.Helper()
	all := map[string]string{"Content-Type": "application/x-" + service + "-request"}
	for k, v := range header {
		all[k] = v
	}
	resp, answer := w.request(http.MethodPost, "/git/t1/"+service, bytes.NewReader(body), all)
	return resp.StatusCode, answer
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}

func TestTheProbeBeforeALargePushIsAnsweredWithNothing(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	for _, encoding := range []string{"", "gzip"} {
		body := []byte("0000")
		if encoding != "" {
			body = gzipped(body)
		}
		if status, answer := w.post(receivePackService, body, map[string]string{"Content-Encoding": encoding}); status != http.StatusOK || answer != "" {
			t.Errorf("%q: %d %q", encoding, status, answer)
		}
	}
}

func TestAGzippedPushIsReadLikeAnyOther(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	id := w.must(w.bare, "rev-parse", "main")
	emptyPack := []byte("PACK\x00\x00\x00\x02\x00\x00\x00\x00\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e")
	status, answer := w.post(receivePackService, gzipped(append(pushBody(zeroID, id, samBranch, "report-status"), emptyPack...)), map[string]string{"Content-Encoding": "gzip"})
	if status != http.StatusOK || !strings.Contains(answer, "ok "+samBranch) {
		t.Errorf("%d %q", status, answer)
	}
	if len(w.recorded()) != 1 {
		t.Errorf("recorded %v", w.recorded())
	}
}

func TestAMalformedPushIsAnsweredWithAReasonAndReachesNobody(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	id := w.must(w.bare, "rev-parse", "main")
	var many bytes.Buffer
	e := pktline.NewEncoder(&many)
	_ = e.Encodef("%s %s refs/heads/b\x00report-status", zeroID, id)
	for i := range 64 {
		_ = e.Encodef("%s %s refs/heads/b%d", zeroID, id, i)
	}
	_ = e.Flush()
	for name, c := range map[string]struct {
		body   []byte
		header map[string]string
		status int
		word   string
	}{
		"no command list":       {body: []byte("PACK"), status: 400, word: "SAM refused this push"},
		"nothing at all":        {status: 400, word: "unexpected EOF"},
		"a certificate":         {body: []byte("0018push-cert\x00report-st\n0000"), status: 400, word: "--no-signed"},
		"sixty-five commands":   {body: many.Bytes(), status: 400, word: "too many ref updates"},
		"no report wanted":      {body: pushBody(zeroID, id, samBranch, "quiet"), status: 400, word: "report-status"},
		"another object format": {body: pushBody(zeroID, id, samBranch, "report-status object-format=sha256"), status: 400, word: "SHA-1"},
		"false gzip":            {body: []byte("0000"), header: map[string]string{"Content-Encoding": "gzip"}, status: 415, word: "gzip"},
		"another encoding":      {body: []byte("0000"), header: map[string]string{"Content-Encoding": "br"}, status: 415, word: "encoding"},
		"a form":                {body: []byte("0000"), header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, status: 415, word: "not a git push"},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := w.post(receivePackService, c.body, c.header)
			if status != c.status || !strings.Contains(answer, c.word) {
				t.Errorf("%d %q", status, answer)
			}
		})
	}
	if w.asked(http.MethodPost, receivePackService) != 0 || len(w.recorded()) != 0 {
		t.Error("something reached upstream or the record")
	}
}

func TestOnlyTheTaskItselfComesIn(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	const ask = "/info/refs?service=git-upload-pack"
	for name, c := range map[string]struct {
		path, secret string
		status       int
		asks         bool
	}{
		"its own path":          {"/git/t1" + ask, taskSecret, 200, false},
		"no credentials":        {"/git/t1" + ask, "", 401, true},
		"wrong credentials":     {"/git/t1" + ask, "guess", 401, false},
		"another task's path":   {"/git/t2" + ask, taskSecret, 403, false},
		"a task that is over":   {"/git/over" + ask, taskSecret, 403, false},
		"the dumb protocol":     {"/git/t1/info/refs", taskSecret, 403, false},
		"another service":       {"/git/t1/info/refs?service=git-upload-archive", taskSecret, 403, false},
		"a file of the dumb":    {"/git/t1/HEAD", taskSecret, 404, false},
		"a path above":          {"/git/t1/../t1/objects/info/packs", taskSecret, 404, false},
		"a push with a GET":     {"/git/t1/git-receive-pack", taskSecret, 405, false},
		"a repository's folder": {"/git/t1/x/info/refs?service=git-upload-pack", taskSecret, 404, false},
	} {
		t.Run(name, func(t *testing.T) {
			auth := map[string]string{"Authorization": ""}
			if c.secret != "" {
				req, _ := http.NewRequest(http.MethodGet, "/", nil)
				req.SetBasicAuth("sam", c.secret)
				auth["Authorization"] = req.Header.Get("Authorization")
			}
			resp, answer := w.request(http.MethodGet, c.path, nil, auth)
			if resp.StatusCode != c.status {
				t.Errorf("%d %q", resp.StatusCode, answer)
			}
			if asks := resp.Header.Get("WWW-Authenticate") != ""; asks != c.asks {
				t.Errorf("asks for credentials: %v", asks)
			}
		})
	}
	out := w.refused("", []string{"remote: this task is over; start a new one with /sam"}, "clone", w.remote("over"), w.dir+"/x")
	if strings.Contains(out, taskSecret) {
		t.Error("git shows the task's secret")
	}
}

func TestAFetchPassesThrough(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	// Git compresses a request that wants many commits.
	seed := w.dir + "/seed"
	for i := range 40 {
		w.must(seed, "commit", "-q", "--allow-empty", "-m", fmt.Sprint(i))
		w.must(seed, "branch", fmt.Sprint("b", i))
	}
	w.must(seed, "push", "-q", "--all", w.bare)
	work := w.clone()
	id := w.commit(seed, "later")
	w.must(seed, "push", "-q", w.bare, "main")
	for _, version := range []string{"2", "0"} {
		w.must(work, "-c", "protocol.version="+version, "fetch", "-q", "origin", "+main:refs/remotes/v"+version)
		if got := w.must(work, "rev-parse", "refs/remotes/v"+version); got != id {
			t.Errorf("protocol %s fetched %s", version, got)
		}
		w.must(work, "update-ref", "-d", "refs/remotes/v"+version)
		w.must(work, "update-ref", "-d", "refs/remotes/origin/main")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var packed, v2 bool
	for _, r := range w.requests {
		packed = packed || r.Header.Get("Content-Encoding") == "gzip"
		v2 = v2 || r.Header.Get("Git-Protocol") == "version=2"
		if strings.Contains(r.Header.Get("Authorization"), "c2FtOn") || r.Header.Get("Cookie") != "" {
			t.Error("the task's own credentials went upstream")
		}
	}
	if !packed || !v2 {
		t.Errorf("gzip %v, version 2 %v", packed, v2)
	}
}

func TestATooLargeFetchRequestIsRefused(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t, GitLimits{FetchBytes: 1000})
	big := bytes.Repeat([]byte("0032want 0123456789012345678901234567890123456789\n"), 100)
	for name, body := range map[string]io.Reader{"with a length": bytes.NewReader(big), "in chunks": io.MultiReader(bytes.NewReader(big))} {
		resp, answer := w.request(http.MethodPost, "/git/t1/git-upload-pack", body, map[string]string{"Content-Type": "application/x-git-upload-pack-request"})
		if resp.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(answer, "1000 bytes") {
			t.Errorf("%s: %d %q", name, resp.StatusCode, answer)
		}
	}
}

func TestUpstreamsFailuresAreToldClearly(t *testing.T) {
	t.Parallel()
	answer := func(code int, header ...string) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				rw.Header().Set(header[i], header[i+1])
			}
			rw.WriteHeader(code)
			_, _ = io.WriteString(rw, "upstream's own page "+r.Header.Get("Authorization"))
		}
	}
	for name, c := range map[string]struct {
		intercept http.HandlerFunc
		status    int
		word      string
	}{
		"token refused":   {answer(401, "WWW-Authenticate", "Basic"), 502, "check that the SAM app is still installed"},
		"gone":            {answer(404), 502, "does not show this repository"},
		"throttled":       {answer(429, "Retry-After", "30"), 502, "asks to wait"},
		"broken":          {answer(500), 502, "cannot use (500)"},
		"slow":            {answer(504), 504, "timed out"},
		"a page":          {answer(200, "Content-Type", "text/html"), 502, "cannot use (200)"},
		"moved elsewhere": {answer(301, "Location", "http://127.0.0.1:1/x/info/refs"), 502, "has moved"},
		"hangs up":        {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 502, "cannot reach"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newGitWorld(t)
			id := w.must(w.bare, "rev-parse", "main")
			w.set(func() { w.intercept = c.intercept })
			for _, service := range []string{uploadPackService, receivePackService} {
				resp, text := w.request(http.MethodGet, "/git/t1/info/refs?service="+service, nil, nil)
				if resp.StatusCode != c.status || !strings.Contains(text, c.word) || resp.Header.Get("WWW-Authenticate") != "" {
					t.Errorf("%s: %d %q", service, resp.StatusCode, text)
				}
			}
			if status, text := w.post(receivePackService, pushBody(zeroID, id, samBranch, "report-status"), nil); status != 200 || !strings.Contains(text, "ng "+samBranch+" SAM could not push") || !strings.Contains(text, c.word) {
				t.Errorf("push: %d %q", status, text)
			}
		})
	}
	t.Run("down", func(t *testing.T) {
		t.Parallel()
		w := newGitWorld(t)
		work := w.clone()
		w.commit(work, "a")
		w.upstream.Close()
		w.refused(work, []string{"remote: SAM cannot reach the repository's host"}, "push", "origin", "HEAD:"+samBranch)
	})
	t.Run("no token", func(t *testing.T) {
		t.Parallel()
		w := newGitWorld(t)
		w.set(func() { w.tokenErr = errRedisAway })
		if resp, text := w.request(http.MethodGet, "/git/t1/info/refs?service=git-upload-pack", nil, nil); resp.StatusCode != 502 || !strings.Contains(text, "cannot get a token") || strings.Contains(text, "redis") {
			t.Errorf("%d %q", resp.StatusCode, text)
		}
		w.set(func() {
			w.tokenErr = &GitForbiddenError{Message: "the installation is suspended; an owner can resume it"}
		})
		if resp, text := w.request(http.MethodGet, "/git/t1/info/refs?service=git-receive-pack", nil, nil); resp.StatusCode != 403 || !strings.Contains(text, "is suspended") {
			t.Errorf("%d %q", resp.StatusCode, text)
		}
	})
	t.Run("silent until the limit", func(t *testing.T) {
		t.Parallel()
		w := newGitWorld(t, GitLimits{Time: time.Second}) // in which it comes to the silent one
		w.set(func() { w.intercept = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() } })
		if resp, text := w.request(http.MethodGet, "/git/t1/info/refs?service=git-upload-pack", nil, nil); resp.StatusCode != 504 || !strings.Contains(text, "in time") {
			t.Errorf("%d %q", resp.StatusCode, text)
		}
	})
}

func TestACloneURLWithCredentialsIsNotUsed(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	w.set(func() { w.grant.CloneURL = strings.Replace(w.grant.CloneURL, "http://", "http://x:y@", 1) })
	if resp, text := w.request(http.MethodGet, "/git/t1/info/refs?service=git-upload-pack", nil, nil); resp.StatusCode != 500 || strings.Contains(text, "x:y") {
		t.Errorf("%d %q", resp.StatusCode, text)
	}
}

func TestAClientThatGoesAwayEndsTheUpstreamRequest(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	arrived, ended := make(chan struct{}), make(chan struct{})
	w.set(func() {
		w.intercept = func(rw http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-r.Context().Done()
			close(ended)
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, w.broker.URL+"/git/t1/info/refs?service=git-upload-pack", nil)
		req.SetBasicAuth("sam", taskSecret)
		if resp, err := w.broker.Client().Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	<-arrived
	cancel()
	<-ended
	<-done
}

func TestAStalledUploadEndsWithItsTimeLimit(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t, GitLimits{Time: 200 * time.Millisecond, DrainTime: 200 * time.Millisecond})
	id := w.must(w.bare, "rev-parse", "main")
	stalled, feed := io.Pipe()
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		_, _ = feed.Write(pushBody(zeroID, id, samBranch, "report-status"))
	}()
	req, _ := http.NewRequest(http.MethodPost, w.broker.URL+"/git/t1/git-receive-pack", stalled)
	req.SetBasicAuth("sam", taskSecret)
	req.Header.Set("Content-Type", "application/x-git-receive-pack-request")
	if resp, err := w.broker.Client().Do(req); err == nil {
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !strings.Contains(string(text), "ng "+samBranch) {
			t.Errorf("%q", text)
		}
	}
	_ = stalled.Close()
	<-fed
	if len(w.recorded()) != 0 {
		t.Error("something was recorded")
	}
}
